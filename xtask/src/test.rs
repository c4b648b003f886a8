//! `cargo xtask test`: every test there is, with what it needs: PostgreSQL, the official Python and
//! Node SDKs. Installs what is missing where it can, starts a database of its own and removes it.

mod clients;
mod postgres;
mod rust;
mod suite;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::Context;

use self::{postgres::Postgres, suite::Outcome};

/// Run every test: unit, golden, properties, both databases, the real SDKs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the Rust tests, with SQLite alone: installs and starts nothing.
    #[arg(long)]
    fast: bool,
}

/// Where things are.
#[derive(Debug)]
struct Places {
    /// The top of the repository.
    root: PathBuf,
    /// Where cargo builds to.
    target: PathBuf,
}

/// Runs all suites; the exit code tells whether a test failed.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let places = places()?;
    let outcomes = match rust::build(&places) {
        Ok(()) if args.fast => rust::suites(&places, None),
        Ok(()) => everything(&places),
        Err(why) => vec![Outcome::unable("build", &why)],
    };
    summary(&outcomes, begin.elapsed())?;
    // Not an error: the last line of a run is the count, and nothing may come after it.
    let failed = outcomes.iter().any(|outcome| outcome.failed > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn everything(places: &Places) -> Vec<Outcome> {
    let mut outcomes = match Postgres::start() {
        Ok(postgres) => rust::suites(places, Some(postgres.url())),
        Err(why) => {
            let mut without = vec![Outcome::unable("PostgreSQL", &why)];
            without.extend(rust::suites(places, None));
            without
        }
    };
    outcomes.extend(clients::suites(places));
    outcomes
}

fn places() -> anyhow::Result<Places> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = root.parent().context("xtask lies in the repository")?.to_owned();
    let target =
        crate::variable("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(Places { root, target })
}

fn cargo() -> Command {
    Command::new(crate::variable("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A line for the person who watches.
fn say(text: &str) {
    // Nothing can be done about a closed terminal.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn summary(outcomes: &[Outcome], took: Duration) -> anyhow::Result<()> {
    let mut text = format!("\n{:<28} {:>7} {:>7} {:>8}\n", "suite", "passed", "failed", "time");
    for one in outcomes {
        let seconds = one.took.as_secs_f64();
        text += &format!("{:<28} {:>7} {:>7} {seconds:>6.1} s\n", one.name, one.passed, one.failed);
        if let Some(note) = &one.note {
            text += &format!("    {}\n", note.replace('\n', "\n    "));
        }
    }
    let passed: u64 = outcomes.iter().map(|one| one.passed).sum();
    let failed: u64 = outcomes.iter().map(|one| one.failed).sum();
    text += &format!("in all {:.1} s\n{passed} passed, {failed} failed", took.as_secs_f64());
    writeln!(std::io::stdout(), "{text}").context("cannot print")
}
