//! Loads a gateway, checks every answer, and prints a report as JSON.

use std::{io::Write, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use clap::Parser;
use tollgate_bench::{
    Dialect,
    ask::Ask,
    load::{Load, Plan},
    script::EVENTS,
};

/// Loads a gateway on one thread, checks every answer, and prints a report as JSON.
#[derive(Debug, Parser)]
struct Args {
    /// Who is asked.
    #[arg(long)]
    target: SocketAddr,
    /// `openai` or `anthropic`.
    #[arg(long, default_value = "openai")]
    dialect: String,
    /// The path, where it is not the dialect's own.
    #[arg(long)]
    path: Option<String>,
    /// The model's name; see bench-upstream.
    #[arg(long, default_value = "bench")]
    model: String,
    /// A file of keys, one a line, used in turn.
    #[arg(long)]
    keys: Option<PathBuf>,
    /// Connections; in the open loop, the most of them.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Requests a second, answered or not (open loop). Left out: one after another (closed loop).
    #[arg(long)]
    rate: Option<f64>,
    /// Requests are started for so long.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// A request that is not answered by then has failed.
    #[arg(long, default_value_t = 30.0)]
    patience_s: f64,
    /// Size of a request's body.
    #[arg(long, default_value_t = 1024)]
    body_bytes: usize,
    /// Ask for streams.
    #[arg(long)]
    stream: bool,
    /// Do not ask for a stream's usage, and see that none is said.
    #[arg(long)]
    no_usage: bool,
    /// Content events that a streamed answer must have.
    #[arg(long, default_value_t = EVENTS)]
    events: usize,
    /// One answer in this many is parsed whole.
    #[arg(long, default_value_t = 64)]
    sample: u64,
    /// Spin in the open loop, so that no request is sent late; needs a core of its own.
    #[arg(long)]
    spin: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut report = Load::new(plan(args)?)?.run()?;
    report.own_cpu_s = own_cpu_s().unwrap_or_default();
    serde_json::to_writer(std::io::stdout(), &report)?;
    writeln!(std::io::stdout())?;
    Ok(())
}

fn plan(args: Args) -> anyhow::Result<Plan> {
    let (dialect, path) = match args.dialect.as_str() {
        "openai" => (Dialect::Openai, "/v1/chat/completions"),
        "anthropic" => (Dialect::Anthropic, "/v1/messages"),
        other => bail!("`{other}` is no dialect: say openai or anthropic"),
    };
    let keys = match &args.keys {
        None => vec!["sk-bench".to_owned()],
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the keys in {}", file.display()))?
            .lines()
            .map(str::to_owned)
            .collect(),
    };
    if keys.is_empty() {
        bail!("there is no key in the file of keys");
    }
    let seconds = |s: f64| Duration::try_from_secs_f64(s).context("not a length of time");
    Ok(Plan {
        target: args.target,
        ask: Ask {
            dialect,
            host: args.target.to_string(),
            path: args.path.unwrap_or_else(|| path.to_owned()),
            model: args.model,
            stream: args.stream,
            usage: args.stream && !args.no_usage,
            body_bytes: args.body_bytes,
        },
        keys,
        connections: args.connections.max(1),
        rate: args.rate,
        lasts: seconds(args.seconds)?,
        patience: seconds(args.patience_s)?,
        events: args.events,
        sample: args.sample,
        spin: args.spin,
    })
}

/// User and system time of this process, where the system has `/proc`.
fn own_cpu_s() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks = |n: usize| after_name.split_ascii_whitespace().nth(n)?.parse::<f64>().ok();
    // Linux counts in hundredths of a second towards programs, whatever its own clock does.
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
