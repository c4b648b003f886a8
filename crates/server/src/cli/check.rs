//! `tollgate config check FILE`: what of a configuration is honoured, and what is wrong with it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use tollgate_gateway::{HealthMap, config};

use crate::serve::BadConfig;

/// `tollgate config …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say of every key in the file whether it is honoured exactly, approximately, ignored or
    /// unsupported; exit 78 if the file cannot be served
    Check {
        /// LiteLLM's config.yaml
        file: PathBuf,
        /// Allow what is not supported
        #[arg(long)]
        lenient: bool,
    },
}

/// Runs it.
#[expect(clippy::print_stdout, reason = "the command line talks to a person")]
pub(crate) fn run(command: ConfigCommand) -> anyhow::Result<()> {
    let ConfigCommand::Check { file, lenient } = command;
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display().to_string();
    let outcome = crate::serve::read(&text, &name, &HealthMap::default(), lenient);
    let colour = std::io::IsTerminal::is_terminal(&std::io::stdout())
        && crate::serve::env("NO_COLOR").is_none();
    print!("{}", config::verdict_table(&outcome.verdicts));
    print!("{}", config::render(&outcome, colour));
    if outcome.config.is_none() {
        return Err(BadConfig.into());
    }
    println!("{name} can be served");
    Ok(())
}
