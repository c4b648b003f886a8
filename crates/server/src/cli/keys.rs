//! `tollgate keys …`

mod admin;

use std::{
    io::{BufRead, BufReader, IsTerminal, Write},
    path::PathBuf,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use tollgate_gateway::{Now, admin::keys::import_row};
use tollgate_store::{Store, StoreError};

use super::terminal::on_terminal;

/// `tollgate keys …`
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key at a running gateway
    Generate(Box<admin::GenerateArgs>),
    /// List the keys of a running gateway
    List(admin::ListArgs),
    /// Show a key's settings and spend
    Info(admin::InfoArgs),
    /// Delete keys; they end at once
    Delete(admin::DeleteArgs),
    /// Take keys over from a file into the database: one JSON object a line with `key` or `token`
    /// (LiteLLM's SHA-256 of a key, as its table stores it) and any field of /key/generate
    Import(ImportArgs),
}

/// What `tollgate keys import` takes.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// JSON lines; `-` reads standard input
    file: PathBuf,
    /// sqlite://PATH or postgres://…
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database: String,
    /// Skip keys that exist already instead of stopping
    #[arg(long)]
    skip_existing: bool,
}

/// Runs it.
pub(crate) async fn run(command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::Generate(args) => {
            on_terminal(async |to| admin::generate(&args, to).await).await
        }
        KeysCommand::List(args) => on_terminal(async |to| admin::list(args, to).await).await,
        KeysCommand::Info(args) => on_terminal(async |to| admin::info(args, to).await).await,
        KeysCommand::Delete(args) => on_terminal(async |to| admin::delete(args, to).await).await,
        KeysCommand::Import(args) => import(args).await,
    }
}

#[expect(clippy::print_stdout, reason = "the command line talks to a person")]
async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let store = Store::open(&args.database).await.context("the database cannot be opened")?;
    let input: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = std::fs::File::open(&args.file)
            .with_context(|| format!("cannot read {}", args.file.display()))?;
        Box::new(BufReader::new(file))
    };
    let (mut taken, mut skipped) = (0u64, 0u64);
    for (number, line) in (1u64..).zip(input.lines()) {
        let line = line.with_context(|| format!("line {number}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let value = serde_json::from_str(&line).with_context(|| format!("line {number}"))?;
        let row = match import_row(value, Now::read()) {
            Ok(row) => row,
            Err(why) => bail!("line {number}: {}", why.message),
        };
        match store.insert_key(&row).await {
            Ok(()) => taken += 1,
            Err(StoreError::Conflict { .. }) if args.skip_existing => skipped += 1,
            Err(error) => bail!("line {number}: {error} ({taken} keys were taken over before it)"),
        }
        progress(taken);
    }
    store.close().await;
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr());
    }
    println!("{taken} keys taken over, {skipped} skipped");
    Ok(())
}

fn progress(taken: u64) {
    let mut to = std::io::stderr();
    if taken.is_multiple_of(500) && to.is_terminal() {
        let _ = write!(to, "\r{taken} keys");
        let _ = to.flush();
    }
}
