//! `tollgate usage`: what was spent, as a table in a terminal.

use anyhow::{Context, bail};
use serde_json::Value;
use tollgate::{Gateway, Nano};

use super::terminal::{Terminal, count, on_terminal, usd};

/// What was spent, by model, key or day.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "With the master key: everybody's usage. With any other key: its own.")]
pub(crate) struct UsageArgs {
    /// The gateway to ask
    #[arg(long, env = "TOLLGATE_URL", default_value = "http://127.0.0.1:4000", value_name = "URL")]
    pub(crate) url: String,
    /// A key of the gateway
    #[arg(long, env = "TOLLGATE_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// How far back: a number and s, m, h, d or w
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = seconds)]
    pub(crate) since: i64,
    /// What to add up
    #[arg(long, value_enum, default_value_t = By::Model)]
    pub(crate) by: By,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    /// The public model names
    Model,
    /// The keys
    Key,
    /// The days, in UTC
    Day,
}

impl By {
    const fn name(self) -> &'static str {
        match self {
            By::Model => "model",
            By::Key => "key",
            By::Day => "day",
        }
    }
}

/// Runs the command on the process's terminal.
pub(crate) async fn usage(args: UsageArgs) -> anyhow::Result<()> {
    on_terminal(async |terminal| show(&args, jiff::Timestamp::now(), terminal).await).await
}

async fn show(
    args: &UsageArgs,
    now: jiff::Timestamp,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let Some(key) = &args.key else {
        bail!("TOLLGATE_API_KEY is not set: set it to a key of the gateway, or give --key");
    };
    let start = now.checked_sub(jiff::SignedDuration::from_secs(args.since))?;
    let path = format!(
        "/spend/summary?by={}&start_date={}",
        args.by.name(),
        start.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    let summary = Gateway::new(&args.url, key).get(&path).await;
    let summary = summary.with_context(|| format!("cannot ask the gateway at {}", args.url))?;
    if args.json {
        writeln!(terminal.out, "{}", serde_json::to_string_pretty(&summary)?)?;
        return Ok(());
    }
    let rows = rows(&summary)?;
    if rows.is_empty() {
        writeln!(terminal.out, "no usage since {}", start.strftime("%Y-%m-%d %H:%M UTC"))?;
        return Ok(());
    }
    table(&rows, args.by, terminal)
}

/// One line of the table.
#[derive(Debug, Default)]
struct Row {
    name: String,
    requests: u64,
    failed: u64,
    input: u64,
    output: u64,
    spend: Nano,
}

fn rows(summary: &Value) -> anyhow::Result<Vec<Row>> {
    let data = summary.get("data").and_then(Value::as_array);
    let data = data.context("the gateway's answer has no list `data`")?;
    data.iter().map(row).collect()
}

fn row(value: &Value) -> anyhow::Result<Row> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
    let number = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
    let spend = match value.get("spend") {
        None | Some(Value::Null) => Nano::ZERO,
        Some(Value::String(text)) => Nano::from_usd_text(text)?,
        Some(other) => Nano::from_usd_text(&other.to_string())?,
    };
    let name = text("alias").or(text("name")).unwrap_or("-");
    Ok(Row {
        name: name.chars().take(48).collect(),
        requests: number("requests"),
        failed: number("failed_requests"),
        input: number("prompt_tokens"),
        output: number("completion_tokens"),
        spend,
    })
}

fn table(rows: &[Row], by: By, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let mut total = Row { name: "total".to_owned(), ..Row::default() };
    for row in rows {
        total.requests = total.requests.saturating_add(row.requests);
        total.failed = total.failed.saturating_add(row.failed);
        total.input = total.input.saturating_add(row.input);
        total.output = total.output.saturating_add(row.output);
        total.spend = total.spend.saturating_add(row.spend);
    }
    let head = [by.name(), "requests", "failed", "input", "output", "cost"].map(str::to_owned);
    let mut lines = vec![head];
    lines.extend(rows.iter().chain([&total]).map(cells));
    let widths: Vec<usize> = (0..6)
        .map(|column| {
            let cells = lines.iter().filter_map(|cells| cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let last = lines.len() - 1;
    for (at, cells) in lines.iter().enumerate() {
        let line: String = cells.iter().zip(&widths).enumerate().map(pad).collect();
        let line = if at == 0 {
            terminal.out_paint.dim(&line)
        } else if at == last {
            terminal.out_paint.bold(&line)
        } else {
            line
        };
        writeln!(terminal.out, "{line}")?;
    }
    Ok(())
}

fn cells(row: &Row) -> [String; 6] {
    [
        row.name.clone(),
        count(row.requests),
        count(row.failed),
        count(row.input),
        count(row.output),
        usd(row.spend),
    ]
}

/// The first column to the left, figures to the right.
fn pad((column, (cell, &width)): (usize, (&String, &usize))) -> String {
    if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") }
}

/// `90s`, `30m`, `24h`, `7d`, `2w`
fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no time: expected a number and s, m, h, d or w");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number = text.strip_suffix(unit).unwrap_or_default();
    let number: i64 = number.parse().ok().filter(|it| *it > 0).ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(wrong()),
    };
    // A century is enough, and keeps the date within what can be written.
    number.checked_mul(seconds).filter(|it| *it < 3_155_760_000).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::terminal::Paint;

    #[test]
    fn times_are_read() {
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        for wrong in ["", "h", "24", "-1h", "0d", "1y", "99999999999w", "1é"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_table_adds_up() {
        let summary = json!({"data": [
            {"name": "demo/chat", "alias": null, "requests": 1200, "failed_requests": 3,
                "prompt_tokens": 10_000, "completion_tokens": 20_000, "spend": 0.0125},
            {"name": "abc", "alias": "team", "requests": 1, "failed_requests": 0,
                "prompt_tokens": 5, "completion_tokens": 7, "spend": 1e-06},
        ]});
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut terminal = Terminal {
            out: &mut out,
            err: &mut err,
            out_paint: Paint::Plain,
            err_paint: Paint::Plain,
        };
        table(&rows(&summary).unwrap(), By::Model, &mut terminal).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "model      requests  failed   input  output       cost\n\
             demo/chat     1,200       3  10,000  20,000    $0.0125\n\
             team              1       0       5       7  $0.000001\n\
             total         1,201       3  10,005  20,007  $0.012501\n"
        );
    }
}
