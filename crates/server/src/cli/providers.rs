//! `tollgate providers …`: who can be called, and whether a call works.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_gateway::{
    Client, HealthMap, Now,
    admin::providers::{self, Listed, Tried},
    catalogue::{Catalogue, builtin},
    config,
};

use super::terminal::{Terminal, count, duration, on_terminal};
use crate::serve::{self, BadConfig, env};

/// `tollgate providers` alone lists them.
#[derive(Debug, Args)]
pub(crate) struct ProvidersArgs {
    #[command(subcommand)]
    command: Option<ProvidersCommand>,
}

/// `tollgate providers …`
#[derive(Debug, Subcommand)]
enum ProvidersCommand {
    /// List the providers: what each speaks and does, its key's variable and whether that is set
    List(ListArgs),
    /// Make one real call with the key of the environment and say what happened; exit 0 if it
    /// worked, 1 if it failed, 78 if there is no key
    Test(TestArgs),
}

/// What `tollgate providers list` takes.
#[derive(Debug, Default, Args)]
struct ListArgs {
    /// Only names that have this in them
    search: Option<String>,
    /// Only those whose key is set
    #[arg(long)]
    ready: bool,
    /// LiteLLM's config.yaml, whose own providers are listed, too
    #[arg(short, long, env = "CONFIG_FILE_PATH")]
    config: Option<PathBuf>,
    /// Print JSON, one provider a line
    #[arg(long)]
    json: bool,
}

/// What `tollgate providers test` takes.
#[derive(Debug, Args)]
struct TestArgs {
    /// The provider's name
    name: String,
    /// The model, as the provider calls it; by default its cheapest
    #[arg(short, long)]
    model: Option<String>,
    /// LiteLLM's config.yaml, whose own providers can be tried, too
    #[arg(short, long, env = "CONFIG_FILE_PATH")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The call failed; what happened has been said.
#[derive(Debug, thiserror::Error)]
#[error("the provider did not answer as it should")]
struct NoAnswer;

/// Runs it.
pub(crate) async fn run(args: ProvidersArgs) -> anyhow::Result<()> {
    match args.command.unwrap_or_else(|| ProvidersCommand::List(ListArgs::default())) {
        ProvidersCommand::List(args) => on_terminal(async |terminal| list(&args, terminal)).await,
        ProvidersCommand::Test(args) => {
            on_terminal(async |terminal| test(&args, terminal).await).await
        }
    }
}

fn list(args: &ListArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let catalogue = with(args.config.as_deref(), terminal)?;
    let mut all = providers::list(&catalogue, &env);
    all.retain(|one| {
        args.search.as_ref().is_none_or(|search| one.provider.name.contains(&**search))
            && (!args.ready || one.key.is_some())
    });
    if args.json {
        for one in &all {
            writeln!(terminal.out, "{}", one.json())?;
        }
        return Ok(());
    }
    let widest = all.iter().map(|one| one.provider.name.len()).max().unwrap_or(0);
    let head =
        format!("{:<widest$}  {:<26} {:<32} {:>6}  KEY", "PROVIDER", "SPEAKS", "DOES", "MODELS");
    writeln!(terminal.out, "{}", terminal.out_paint.bold(&head))?;
    for one in &all {
        let provider = &one.provider;
        let speaks: Vec<&str> = provider.speaks.keys().map(|dialect| dialect.name()).collect();
        let does: Vec<&str> = provider.ops.iter().map(|operation| operation.name()).collect();
        let line = format!(
            "{:<widest$}  {:<26} {:<32} {:>6}  {}",
            provider.name,
            speaks.join(" "),
            does.join(" "),
            count(one.models as u64),
            key(one)
        );
        let line = if one.key.is_some() { terminal.out_paint.green(&line) } else { line };
        writeln!(terminal.out, "{line}")?;
    }
    Ok(())
}

/// The catalogue, with the providers of a configuration laid over it.
fn with(file: Option<&Path>, terminal: &mut Terminal<'_>) -> anyhow::Result<Catalogue> {
    let Some(file) = file else { return Ok(builtin().clone()) };
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let outcome = serve::read(&text, &file.to_string_lossy(), &HealthMap::default(), true);
    let Some(config) = &outcome.config else {
        write!(terminal.err, "{}", config::render(&outcome, false))?;
        return Err(BadConfig.into());
    };
    Ok(Catalogue::clone(&config.catalogue))
}

fn key(one: &Listed) -> String {
    match &one.key {
        Some(name) => format!("{name} (set)"),
        None if one.provider.key_env.is_empty() => "none needed".to_owned(),
        None => one.provider.key_env.join(" or "),
    }
}

async fn test(args: &TestArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let name = &args.name;
    let catalogue = &with(args.config.as_deref(), terminal)?;
    if catalogue.provider(name).is_none() {
        bail!("there is no provider `{name}`; `tollgate providers list` shows them");
    }
    let Some(model) = args.model.clone().or_else(|| providers::cheapest(catalogue, name)) else {
        bail!("no model of `{name}` is known: say which one with --model");
    };
    let quoted = json!(format!("{name}/{model}"));
    let text = format!("model_list: [{{model_name: tried, litellm_params: {{model: {quoted}}}}}]");
    let outcome = serve::read_with(&text, "environment", &HealthMap::default(), false, catalogue);
    let Some(config) = &outcome.config else {
        write!(terminal.err, "{}", config::render(&outcome, false))?;
        return Err(BadConfig.into());
    };
    let client = Client::new(&serve::tls(config)?);
    let tried = providers::try_out(config, "tried", &client, Now::read()).await;
    let Some(tried) = tried else { bail!("`{name}/{model}` cannot be called") };
    if args.json {
        writeln!(terminal.out, "{}", shown(name, &tried))?;
    } else {
        tell(name, &tried, terminal)?;
    }
    if tried.outcome.is_err() { Err(NoAnswer.into()) } else { Ok(()) }
}

fn tell(name: &str, tried: &Tried, terminal: &mut Terminal<'_>) -> std::io::Result<()> {
    let status = tried.status.map_or("no answer".to_owned(), |status| format!("status {status}"));
    let (model, url) = (&tried.model, &tried.url);
    writeln!(terminal.out, "{name}/{model} at {url}: {status} after {}", duration(tried.took))?;
    match &tried.outcome {
        Ok(said) => {
            let text: String = said.text.chars().filter(|c| !c.is_control()).take(200).collect();
            let (input, output) = said.tokens;
            writeln!(terminal.out, "it said: {text}")?;
            writeln!(terminal.out, "tokens: {} in, {} out", count(input), count(output))
        }
        Err(trouble) => {
            let message: String =
                trouble.message.chars().filter(|c| !c.is_control()).take(500).collect();
            writeln!(terminal.out, "{}: {message}", trouble.class)?;
            writeln!(terminal.out, "what to do: {}", trouble.advice)
        }
    }
}

fn shown(name: &str, tried: &Tried) -> serde_json::Value {
    let mut out = json!({
        "provider": name,
        "model": tried.model,
        "url": tried.url,
        "status": tried.status,
        "ms": u64::try_from(tried.took.as_millis()).unwrap_or(u64::MAX),
        "ok": tried.outcome.is_ok(),
    });
    let more = match &tried.outcome {
        Ok(said) => json!({ "text": said.text, "tokens": [said.tokens.0, said.tokens.1] }),
        Err(why) => json!({ "error": why.class, "message": why.message, "advice": why.advice }),
    };
    if let (Some(fields), serde_json::Value::Object(more)) = (out.as_object_mut(), more) {
        fields.extend(more);
    }
    out
}
