//! `tollgate keys generate|list|info|delete`: keys of a running gateway, by its API.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Number, Value, json};
use tollgate::{Gateway, Nano};
use tollgate_gateway::auth;

use crate::cli::terminal::{Terminal, count, usd};

/// Which gateway, and who asks.
#[derive(Debug, Args)]
pub(super) struct Asking {
    /// The gateway to ask
    #[arg(long, env = "TOLLGATE_URL", default_value = "http://127.0.0.1:4000", value_name = "URL")]
    url: String,
    /// The gateway's master key
    #[arg(
        long,
        env = "TOLLGATE_API_KEY",
        value_name = "KEY",
        hide_env_values = true,
        visible_alias = "master-key"
    )]
    key: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `tollgate keys generate` takes. The flags are LiteLLM's fields.
#[derive(Debug, Args)]
#[command(after_help = "Prints the new key alone, so that it can be piped; it is shown this once.")]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    asking: Asking,
    /// A name for it
    #[arg(long)]
    key_alias: Option<String>,
    /// Names and patterns that it may use, with commas between; all if not given
    #[arg(long, value_delimiter = ',', value_name = "MODEL,…")]
    models: Option<Vec<String>>,
    /// When it expires: 30s, 15m, 24h, 7d, 2w, 1mo
    #[arg(long, value_name = "TIME")]
    duration: Option<String>,
    /// What it may spend, in USD
    #[arg(long, value_name = "USD", value_parser = number)]
    max_budget: Option<Number>,
    /// After what time the spend begins anew: 1d, 7d, 30d, 1mo
    #[arg(long, value_name = "TIME")]
    budget_duration: Option<String>,
    /// Requests a minute
    #[arg(long, value_name = "N")]
    rpm_limit: Option<u64>,
    /// Tokens a minute
    #[arg(long, value_name = "N")]
    tpm_limit: Option<u64>,
    /// Requests at once
    #[arg(long, value_name = "N")]
    max_parallel_requests: Option<u64>,
    /// Whose it is
    #[arg(long)]
    user_id: Option<String>,
    /// Which team's it is
    #[arg(long)]
    team_id: Option<String>,
    /// Tags of its usage, with commas between
    #[arg(long, value_delimiter = ',', value_name = "TAG,…")]
    tags: Option<Vec<String>>,
    /// A JSON object that is kept with it
    #[arg(long, value_name = "JSON", value_parser = object)]
    metadata: Option<Map<String, Value>>,
    /// Any other field of /key/generate, as JSON or as text
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = field)]
    fields: Vec<(String, Value)>,
}

/// What `tollgate keys list` takes.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    asking: Asking,
    /// Only the key of this name
    #[arg(long)]
    key_alias: Option<String>,
    /// Only this user's
    #[arg(long)]
    user_id: Option<String>,
    /// Only this team's
    #[arg(long)]
    team_id: Option<String>,
    /// The page, from 1
    #[arg(long, default_value_t = 1, value_name = "N")]
    page: u64,
    /// Keys a page, at most 100
    #[arg(long, default_value_t = 50, value_name = "N")]
    size: u64,
}

/// What `tollgate keys info` takes.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    asking: Asking,
    /// The key or its hash; by default the one that asks
    named: Option<String>,
}

/// What `tollgate keys delete` takes.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["named", "key_alias"]))]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    asking: Asking,
    /// Keys or their hashes
    named: Vec<String>,
    /// Keys of these names
    #[arg(long, value_name = "ALIAS")]
    key_alias: Vec<String>,
}

impl Asking {
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.told(self.gateway()?.get(path).await)
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.told(self.gateway()?.post(path, body).await)
    }

    fn gateway(&self) -> anyhow::Result<Gateway> {
        let Some(key) = &self.key else {
            bail!("TOLLGATE_API_KEY is not set: set it to the gateway's master key, or give --key");
        };
        Ok(Gateway::new(&self.url, key))
    }

    fn told(&self, answer: Result<Value, tollgate::Error>) -> anyhow::Result<Value> {
        answer.with_context(|| format!("cannot ask the gateway at {}", self.url))
    }
}

/// Makes a key.
pub(super) async fn generate(
    args: &GenerateArgs,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let made = args.asking.post("/key/generate", &body(args)).await?;
    if args.asking.json {
        writeln!(terminal.out, "{}", serde_json::to_string_pretty(&made)?)?;
        return Ok(());
    }
    let key = made.get("key").and_then(Value::as_str);
    let key = key.context("the gateway's answer has no `key`")?;
    writeln!(terminal.out, "{}", terminal.out_paint.green(key))?;
    let said = "this key is shown this once: the gateway keeps a hash of it";
    writeln!(terminal.err, "{}", terminal.err_paint.dim(said))?;
    Ok(())
}

fn body(args: &GenerateArgs) -> Value {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            body.insert(name.to_owned(), value);
        }
    };
    put("key_alias", json!(args.key_alias));
    put("models", json!(args.models));
    put("duration", json!(args.duration));
    put("max_budget", json!(args.max_budget));
    put("budget_duration", json!(args.budget_duration));
    put("rpm_limit", json!(args.rpm_limit));
    put("tpm_limit", json!(args.tpm_limit));
    put("max_parallel_requests", json!(args.max_parallel_requests));
    put("user_id", json!(args.user_id));
    put("team_id", json!(args.team_id));
    put("tags", json!(args.tags));
    put("metadata", json!(args.metadata));
    for (name, value) in &args.fields {
        put(name, value.clone());
    }
    Value::Object(body)
}

/// Lists keys.
pub(super) async fn list(args: ListArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let mut path =
        format!("/key/list?return_full_object=true&page={}&size={}", args.page, args.size);
    for (name, value) in
        [("key_alias", &args.key_alias), ("user_id", &args.user_id), ("team_id", &args.team_id)]
    {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    let answer = args.asking.get(&path).await?;
    if args.asking.json {
        writeln!(terminal.out, "{}", serde_json::to_string_pretty(&answer)?)?;
        return Ok(());
    }
    let keys = answer.get("keys").and_then(Value::as_array);
    let keys = keys.context("the gateway's answer has no list `keys`")?;
    let head = ["alias", "key", "hash", "spend", "budget", "models", "expires", "status"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(keys.iter().map(row));
    write_rows(&rows, terminal)?;
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (total, pages) = (number("total_count"), number("total_pages"));
    writeln!(terminal.err, "{} keys; page {} of {pages}", count(total), number("current_page"))?;
    Ok(())
}

fn row(key: &Value) -> [String; 8] {
    let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let models = key.get("models").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let models: Vec<&str> = models.iter().filter_map(Value::as_str).collect();
    [
        short(&text("key_alias"), 32),
        text("key_name"),
        text("token").chars().take(12).collect(),
        money(key.get("spend")),
        money(key.get("max_budget")),
        if models.is_empty() { "all".to_owned() } else { short(&models.join(","), 40) },
        text("expires").chars().take(16).collect(),
        text("status"),
    ]
}

fn short(text: &str, most: usize) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    if text.chars().count() <= most {
        return plain.collect();
    }
    plain.take(most.saturating_sub(1)).chain(['…']).collect()
}

fn money(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    Nano::from_usd_text(&text).map_or(text, usd)
}

fn write_rows(rows: &[[String; 8]], terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..8).map(|column| width(column).unwrap_or(0)).collect();
    for (at, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let line = line.trim_end();
        let line = if at == 0 { terminal.out_paint.dim(line) } else { line.to_owned() };
        writeln!(terminal.out, "{line}")?;
    }
    Ok(())
}

/// Shows one key.
pub(super) async fn info(args: InfoArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    // A key has no place in an address, which may be logged.
    let path = match &args.named {
        Some(named) => format!("/key/info?key={}", hash_of(named)),
        None => "/key/info".to_owned(),
    };
    let answer = args.asking.get(&path).await?;
    if args.asking.json {
        writeln!(terminal.out, "{}", serde_json::to_string_pretty(&answer)?)?;
        return Ok(());
    }
    let info = answer.get("info").and_then(Value::as_object);
    let info = info.context("the gateway's answer has no `info`")?;
    let hash = answer.get("key").and_then(Value::as_str).unwrap_or_default();
    let widest = info.keys().map(String::len).max().unwrap_or(0);
    writeln!(terminal.out, "{:<widest$}  {hash}", "hash")?;
    for (name, value) in info {
        let shown = match value {
            Value::Null => continue,
            Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
            Value::Number(_) if matches!(&**name, "spend" | "max_budget" | "soft_budget") => {
                money(Some(value))
            }
            other => other.to_string(),
        };
        writeln!(terminal.out, "{name:<widest$}  {shown}")?;
    }
    Ok(())
}

/// Deletes keys.
pub(super) async fn delete(args: DeleteArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let mut deleted = Vec::new();
    for (name, named) in [("keys", &args.named), ("key_aliases", &args.key_alias)] {
        if named.is_empty() {
            continue;
        }
        let answer = args.asking.post("/key/delete", &json!({ name: named })).await?;
        let gone = answer.get("deleted_keys").and_then(Value::as_array);
        deleted.extend(gone.cloned().context("the gateway's answer has no `deleted_keys`")?);
    }
    if args.asking.json {
        writeln!(terminal.out, "{}", json!({ "deleted_keys": deleted }))?;
        return Ok(());
    }
    for hash in deleted.iter().filter_map(Value::as_str) {
        writeln!(terminal.out, "{hash}")?;
    }
    writeln!(terminal.err, "{} deleted", count(deleted.len() as u64))?;
    Ok(())
}

/// The hash of a key, or the one that is given.
fn hash_of(named: &str) -> String {
    let is_hash = named.len() == 64 && named.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { named.to_owned() } else { auth::hash(named).to_string() }
}

/// A text in a query.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let each = text.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    each.collect()
}

fn number(text: &str) -> Result<Number, String> {
    serde_json::from_str(text).map_err(|_| format!("`{text}` is no number"))
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|why| format!("expected a JSON object: {why}"))
}

fn field(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected FIELD=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_fields_are_read() {
        assert_eq!(escaped("a b&c=ä"), "a%20b%26c%3D%C3%A4");
        assert_eq!(field("rpm_limit=7").unwrap(), ("rpm_limit".to_owned(), json!(7)));
        assert_eq!(field("key_type=llm_api").unwrap().1, json!("llm_api"));
        assert!(field("x").is_err() && number("ten").is_err() && object("[1]").is_err());
        assert_eq!(hash_of(&"a".repeat(64)), "a".repeat(64));
        assert_eq!(hash_of("sk-1").len(), 64);
        assert_eq!(short("abcdef", 4), "abc…");
        assert_eq!(money(Some(&json!(1.5))), "$1.50");
    }
}
