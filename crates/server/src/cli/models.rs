//! `tollgate models …`: what there is, what it can do and costs, and where that is read from.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tollgate_gateway::{
    Client, Tls,
    admin::models::show::usd_text,
    card::{Ability, Card},
    catalogue::{Catalogue, builtin},
    sync::{self, Halving, Source},
};

use super::terminal::{Terminal, count, on_terminal};
use crate::{models::overlaid, serve};

/// `tollgate models` alone lists them.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    command: Option<ModelsCommand>,
}

/// `tollgate models …`
#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// List the models that are known, with limits and prices
    List(ListArgs),
    /// Show all that is known of a model
    Show(ShowArgs),
    /// Read models from LiteLLM's price map or a provider's /v1/models and keep a copy; a gateway
    /// that runs with the same data folder takes it over by itself
    Sync(SyncArgs),
}

/// Where the copies are.
#[derive(Debug, Default, Args)]
struct Folder {
    /// Where the copies are kept
    #[arg(long, env = "TOLLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

/// What `tollgate models list` takes.
#[derive(Debug, Default, Args)]
struct ListArgs {
    /// Only names that have this in them
    search: Option<String>,
    /// Only this provider's
    #[arg(short, long)]
    provider: Option<String>,
    /// Only models of this mode: chat, embeddings, images, …
    #[arg(short, long)]
    mode: Option<String>,
    /// Only models that can do this: tools, vision, reasoning, …
    #[arg(short, long)]
    can: Vec<String>,
    /// Only models with a price
    #[arg(long)]
    priced: bool,
    /// Print JSON, one model a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: Folder,
}

/// What `tollgate models show` takes.
#[derive(Debug, Args)]
struct ShowArgs {
    /// `provider/model`, or a model's name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: Folder,
}

/// What `tollgate models sync` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate models sync --from https://openrouter.ai/api/v1/models
  tollgate models sync --from https://api.stima.tech/v1/models
  tollgate models sync --from model_prices_and_context_window.json")]
struct SyncArgs {
    /// A URL or a file
    #[arg(long)]
    from: String,
    /// Whose list of models it is, where its address does not say
    #[arg(short, long)]
    provider: Option<String>,
    /// Take it over even if it has less than half of the models
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    folder: Folder,
}

/// Lines of a kind that are shown.
const SHOWN: usize = 50;

/// Runs it.
pub(crate) async fn run(args: ModelsArgs) -> anyhow::Result<()> {
    match args.command.unwrap_or_else(|| ModelsCommand::List(ListArgs::default())) {
        ModelsCommand::List(args) => on_terminal(async |terminal| list(&args, terminal)).await,
        ModelsCommand::Show(args) => on_terminal(async |terminal| show(&args, terminal)).await,
        ModelsCommand::Sync(args) => sync(args).await,
    }
}

fn catalogue(folder: &Folder) -> Catalogue {
    let synced = serve::folder_of(folder.data_dir.clone()).ok();
    synced.and_then(|dir| overlaid(&sync::folder(&dir))).unwrap_or_else(|| builtin().clone())
}

fn list(args: &ListArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let abilities = args.can.iter().map(|name| ability(name)).collect::<Result<Vec<_>, _>>()?;
    let search = args.search.as_deref().map(str::to_ascii_lowercase);
    let catalogue = catalogue(&args.folder);
    if let Some(name) = args.provider.as_deref().filter(|name| catalogue.provider(name).is_none()) {
        bail!("there is no provider `{name}`; `tollgate providers list` shows them");
    }
    let mut cards: Vec<Arc<Card>> = match &args.provider {
        Some(provider) => catalogue.cards_of(provider).collect(),
        None => catalogue.cards().collect(),
    };
    cards.retain(|card| {
        let name = full_name(card).to_ascii_lowercase();
        search.as_ref().is_none_or(|search| name.contains(search))
            && args.mode.as_ref().is_none_or(|mode| card.mode.is_some_and(|m| m.name() == mode))
            && abilities.iter().all(|ability| card.can(*ability))
            && (!args.priced || card.is_priced())
    });
    cards.sort_by(|a, b| (&a.provider, &a.name).cmp(&(&b.provider, &b.name)));
    if args.json {
        for card in &cards {
            writeln!(terminal.out, "{}", Value::Object(fields(card)))?;
        }
        return Ok(());
    }
    let widest = cards.iter().map(|card| full_name(card).chars().count()).max().unwrap_or(0);
    let head = format!(
        "{:<widest$}  {:<12} {:>10} {:>10} {:>10} {:>10}",
        "MODEL", "MODE", "INPUT", "OUTPUT", "IN $/M", "OUT $/M"
    );
    writeln!(terminal.out, "{}", terminal.out_paint.bold(&head))?;
    let tokens = |tokens: Option<u64>| tokens.map_or("-".to_owned(), count);
    for card in &cards {
        let rates = card.rates.as_ref();
        let price = |femto: Option<i64>| femto.map_or("-".to_owned(), per_million);
        writeln!(
            terminal.out,
            "{:<widest$}  {:<12} {:>10} {:>10} {:>10} {:>10}",
            full_name(card),
            card.mode.map_or("-", |mode| mode.name()),
            tokens(card.max_input),
            tokens(card.max_output),
            price(rates.map(|rates| rates.input)),
            price(rates.map(|rates| rates.output)),
        )?;
    }
    writeln!(terminal.err, "{} models", count(cards.len() as u64))?;
    Ok(())
}

fn ability(name: &str) -> anyhow::Result<Ability> {
    let found = Ability::ALL.into_iter().find(|ability| ability.name() == name);
    let names = || Ability::ALL.map(Ability::name).join(", ");
    found.with_context(|| format!("there is no ability `{name}`: expected one of {}", names()))
}

fn show(args: &ShowArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let catalogue = catalogue(&args.folder);
    let split = args.name.split_once('/');
    let named = split.and_then(|(provider, model)| catalogue.card(provider, model));
    let found = match named {
        Some(card) => vec![card],
        None => catalogue.cards_named(&args.name),
    };
    if found.is_empty() {
        bail!("no model is called `{}`; `tollgate models list TEXT` searches", args.name);
    }
    for card in found {
        let fields = fields(&card);
        if args.json {
            writeln!(terminal.out, "{}", serde_json::to_string_pretty(&fields)?)?;
            continue;
        }
        writeln!(terminal.out, "{}", terminal.out_paint.bold(&full_name(&card)))?;
        for (name, value) in
            fields.iter().filter(|(name, _)| *name != "name" && *name != "provider")
        {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Array(items) if items.iter().all(Value::is_string) => {
                    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            };
            writeln!(terminal.out, "  {name:<16} {text}")?;
        }
    }
    Ok(())
}

fn full_name(card: &Card) -> String {
    format!("{}/{}", card.provider, card.name)
}

/// USD for a million tokens.
fn per_million(femto: i64) -> String {
    usd_text(femto.saturating_mul(1_000_000))
}

/// A card as the catalogue writes it: prices are exact USD a unit.
fn fields(card: &Card) -> Map<String, Value> {
    let line = tollgate_gateway::catalogue::line::write(card);
    let mut fields: Map<String, Value> = serde_json::from_str(&line).unwrap_or_default();
    if let Some(rates) = &card.rates {
        let each =
            json!({ "input": per_million(rates.input), "output": per_million(rates.output) });
        fields.insert("usd_per_million".to_owned(), each);
    }
    fields
}

#[expect(clippy::print_stdout, reason = "the command line talks to a person")]
async fn sync(args: SyncArgs) -> anyhow::Result<()> {
    let folder = sync::folder(&serve::folder_of(args.folder.data_dir)?);
    let client = Client::new(&Tls::new(Vec::new())?);
    let source = Source { from: args.from, provider: args.provider, every: Duration::ZERO };
    let halving = if args.force { Halving::Allowed } else { Halving::Refused };
    let changes = sync::sync(&source, &folder, &client, &serve::env, halving).await?;
    print!("{}", changes.report(SHOWN));
    println!("kept in {}", folder.display());
    Ok(())
}
