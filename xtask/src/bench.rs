//! `cargo xtask bench`: what it costs to have Tollgate between a client and an upstream.
//!
//! Starts a scripted upstream, a bare proxy, Tollgate with every duty on and, if asked, nginx;
//! gives each the same loads in turn, and prints what each took. `docs/benchmarks.md` says how to
//! read it.

mod gateways;
mod machine;
mod micro;
mod phases;
mod process;
mod table;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::json;

use self::{
    gateways::{Gateway, Running, Starter},
    machine::{Aside, Pins},
    phases::{Bench, PHASES, PhaseName},
    table::{Record, Records},
};

/// Measure CPU, latency and memory beside a bare proxy, or count instructions.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Args {
    /// Length of the loads: 1 is about four minutes with nginx, 0.3 about two.
    #[arg(long, default_value_t = 0.3)]
    scale: f64,
    /// Measure so often; the medians count.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Write everything that was measured to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Leave nginx out. It is measured where it is installed.
    #[arg(long)]
    no_nginx: bool,
    /// Leave Tollgate out.
    #[arg(long)]
    no_tollgate: bool,
    /// Let Tollgate serve its models under other names than the upstream's, so that it writes its
    /// own name into every event.
    #[arg(long)]
    alias: bool,
    /// Measure Tollgate as `cargo build --profile dist` builds it, and not with a profile of its own
    /// work, as it is published: half the time to build.
    #[arg(long)]
    plain: bool,
    /// Only these loads.
    #[arg(long, value_enum, value_delimiter = ',')]
    phases: Vec<PhaseName>,
    /// Wait so many seconds before each load for other work on the machine to end.
    #[arg(long, default_value_t = 3.0)]
    patience_s: f64,
    #[command(flatten)]
    micro: micro::Micro,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    if args.micro.asked() {
        return micro::run(&args.micro, &root);
    }
    ensure!(args.scale > 0.0 && args.scale <= 100.0, "--scale is a number between 0 and 100");
    ensure!(cfg!(target_os = "linux"), "the figures come from /proc: this needs Linux");
    let mut notes = Vec::new();
    let nginx = !args.no_nginx && gateways::nginx_program().is_some();
    if !args.no_nginx && !nginx {
        notes.push("nginx is not installed, and so not measured");
    }
    let mut plain = args.plain;
    if !args.no_tollgate
        && !plain
        && let Some(missing) = crate::dist::missing()?
    {
        notes.extend([missing, "This is a plain build, which takes more than the published one"]);
        plain = true;
    }
    for note in &notes {
        tell(note)?;
    }
    let mut binaries = vec!["bench-load", "bench-proxy", "bench-upstream"];
    if plain && !args.no_tollgate {
        binaries.push("tollgate");
    }
    let bin = build(&root, &binaries)?;
    let tollgate =
        if plain || args.no_tollgate { bin.join("tollgate") } else { crate::dist::build(&root)? };
    let pins = Pins::choose();
    let mut gateways = vec![Gateway::Direct, Gateway::Proxy];
    gateways.extend(nginx.then_some(Gateway::Nginx));
    gateways.extend((!args.no_tollgate).then_some(Gateway::Tollgate));
    let records = with_upstream(args, &bin, &tollgate, &pins, &gateways)?;
    let mut doubts = table::doubts(&records);
    doubts.extend(notes.into_iter().map(str::to_owned));
    print(&format!("\n{}\n{}", table::render(&records), explain(args, plain, &pins, &doubts)))?;
    let tollgate = records.get(&Gateway::Tollgate);
    let rows = tollgate.and_then(|record| Some((record.answers, record.usage_rows?)));
    if let Some((answers, rows)) = rows {
        print(&format!("Tollgate gave {answers} answers and has {rows} usage rows."))?;
    }
    if let Some(file) = &args.json {
        let all = json!({
            "machine": pins.machine, "cores": pins.told, "scale": args.scale,
            "runs": args.runs, "alias": args.alias, "plain": plain, "doubts": doubts, "gateways": records
        });
        fs::write(file, serde_json::to_string_pretty(&all)? + "\n")?;
    }
    let failed = failed(&records);
    ensure!(failed == 0, "{failed} answers failed or were malformed");
    ensure!(rows.is_none_or(|(answers, rows)| rows >= answers), "answers without a usage row");
    Ok(())
}

/// Gives the Tollgate at `tollgate` every load, under the upstream's model names and under its own,
/// for one who wants to see what it does and not how long it takes. `bin` has the benchmark's own
/// binaries.
pub(crate) fn exercise(bin: &Path, tollgate: &Path) -> anyhow::Result<()> {
    let args = Args { scale: 0.1, runs: 1, ..Args::default() };
    let pins = Pins::choose();
    for alias in [false, true] {
        let only = [Gateway::Tollgate];
        let records = with_upstream(&Args { alias, ..args.clone() }, bin, tollgate, &pins, &only)?;
        ensure!(failed(&records) == 0, "answers failed or were malformed");
    }
    Ok(())
}

/// Starts an upstream and puts the loads on each of `gateways`.
fn with_upstream(
    args: &Args,
    bin: &Path,
    tollgate: &Path,
    pins: &Pins,
    gateways: &[Gateway],
) -> anyhow::Result<Records> {
    let dir = tempfile::Builder::new().prefix("tollgate-bench-").tempdir()?;
    let _aside = Aside::step(pins);
    let upstream = gateways::free_address()?;
    let starter = Starter { bin, tollgate, dir: dir.path(), pins, upstream, alias: args.alias };
    measure(args, &starter, gateways)
}

fn failed(records: &Records) -> u64 {
    records.values().flat_map(|record| &record.measured).map(|one| one.report.failed).sum()
}

/// Starts everything, loads everything in turn, and ends everything.
fn measure(args: &Args, starter: &Starter<'_>, gateways: &[Gateway]) -> anyhow::Result<Records> {
    let upstream = starter.upstream()?;
    let mut running = Vec::new();
    for gateway in gateways {
        tell(&format!("starting {}", gateway.name()))?;
        running.push(starter.gateway(*gateway)?);
    }
    std::thread::sleep(Duration::from_secs(1));
    let mut records: Records = running.iter().map(at_rest).collect();
    let bench = Bench {
        bin: starter.bin,
        pins: starter.pins,
        upstream: &upstream,
        scale: args.scale,
        patience: Duration::try_from_secs_f64(args.patience_s).context("--patience-s")?,
    };
    for run in 1..=args.runs {
        for phase in &PHASES {
            if !args.phases.is_empty() && !args.phases.contains(&phase.name) {
                continue;
            }
            for gateway in &mut running {
                if phase.bridged && gateway.gateway != Gateway::Tollgate {
                    continue;
                }
                let name = gateway.gateway.name();
                tell(&format!("run {run} of {}: {:?}, {name}", args.runs, phase.name))?;
                let warm = bench.warm(phase, gateway)?;
                let measured = bench.measure(phase, gateway)?;
                if let Some(server) = &mut gateway.server {
                    server.alive().context(name)?;
                }
                let record = records.entry(gateway.gateway).or_default();
                record.answers = record.answers.saturating_add(warm + measured.report.ok);
                record.measured.push(measured);
            }
        }
    }
    for gateway in &running {
        let memory = gateway.server.as_ref().map(process::Server::memory).unwrap_or_default();
        let record = records.entry(gateway.gateway).or_default();
        record.peak_mb = memory.peak_mb;
        if gateway.gateway == Gateway::Tollgate {
            record.usage_rows = Some(gateways::usage_rows(gateway).context("the usage rows")?);
        }
    }
    Ok(records)
}

fn at_rest(running: &Running) -> (Gateway, Record) {
    let memory = running.server.as_ref().map(process::Server::memory).unwrap_or_default();
    let starts_ms = running.starts_ms.clone();
    // Each start ended with an answer.
    let answers = u64::try_from(starts_ms.len()).unwrap_or_default();
    (running.gateway, Record { starts_ms, rest_mb: memory.now_mb, answers, ..Record::default() })
}

fn explain(args: &Args, plain: bool, pins: &Pins, doubts: &[String]) -> String {
    let mut text = format!(
        "{}; {}. Scale {}, {} run(s).\n\
         CPU is user and system time of the gateway's whole process tree from /proc, divided by \
         the answers that\npassed the check; each load runs through one gateway after the other, \
         on loopback, without TLS, two\nworker threads each. Streams have 100 content events, \
         each written on its own; paced: one every 10 ms,\nabout 200 streams at a time. Added \
         latency: 1,000 requests a second, from when each was due, less the\nupstream's own. \
         Start: median of three, from exec to the first whole answer.\n",
        pins.machine, pins.told, args.scale, args.runs
    );
    if !args.no_tollgate {
        text += "Tollgate checks 10,000 known keys with rate limits, parallel limits and budgets, \
                 routes, prices, and\nkeeps a durable usage row for each answer (SQLite).\n";
        text += if plain {
            "It is a plain build (`cargo build --profile dist`).\n"
        } else {
            "It is built as it is published, with a profile of its own work (`cargo xtask dist`).\n"
        };
    }
    for doubt in doubts {
        text += &format!("! {doubt}\n");
    }
    text
}

/// Builds binaries with all optimisations; gives the folder that they are in.
pub(crate) fn build(root: &Path, binaries: &[&str]) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(crate::variable("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--profile", "dist", "--package", "tollgate-bench"]);
    for binary in binaries {
        if *binary == "tollgate" {
            cargo.args(["--package", "tollgate-server"]);
        }
        cargo.args(["--bin", binary]);
    }
    ensure!(cargo.status()?.success(), "the build failed");
    let mut cargo = Command::new(crate::variable("CARGO").unwrap_or_else(|| "cargo".into()));
    let metadata = cargo
        .current_dir(root)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let target = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    Ok(Path::new(target.context("cargo does not say where it builds")?).join("dist"))
}

/// The root of the workspace.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask stands in the workspace")?.to_owned())
}

/// To whoever wants the result.
fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot print")
}

/// To whoever waits.
fn tell(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "  {text}").context("cannot print")
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    #[test]
    fn the_command_line_is_sound() {
        super::Args::augment_args(Command::new("bench")).debug_assert();
    }
}
