//! The command line. LiteLLM's flags keep their names: `tollgate --config config.yaml --port 4000`
//! is `tollgate serve …`.

mod chat;
mod check;
mod cost;
mod keys;
mod models;
mod providers;

pub(crate) mod terminal;
mod usage;

use std::{net::IpAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use tollgate_gateway::config::{LogFormat, LogLevel};

use crate::serve::{self, BadConfig, ServeOptions};

/// Every model of every provider through one API, one key and one bill.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the gateway
    Serve(ServeArgs),
    /// Show the whole gateway at work with a built-in scripted provider: no key, no network
    Demo(crate::demo::DemoArgs),
    /// Talk to a model in the terminal
    Chat(chat::ChatArgs),
    /// What was used and what it cost
    Usage(usage::UsageArgs),
    /// What usage would cost at list prices: JSON lines in, JSON lines out
    Cost(cost::CostArgs),
    /// Make and manage keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// List models, show one, read them anew
    Models(models::ModelsArgs),
    /// List providers, call one
    Providers(providers::ProvidersArgs),
    /// Check a configuration
    #[command(subcommand)]
    Config(check::ConfigCommand),
}

/// Where and what to serve.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    /// LiteLLM's config.yaml; without one, every provider whose key is in the environment is served
    /// as provider/*
    #[arg(short, long, env = "CONFIG_FILE_PATH")]
    config: Option<PathBuf>,
    /// The address to listen on
    #[arg(long, env = "HOST", default_value = "127.0.0.1", overrides_with = "host")]
    host: IpAddr,
    /// The port to listen on; 0 takes a free one
    #[arg(short, long, env = "PORT", default_value_t = 4000)]
    port: u16,
    /// sqlite://PATH or postgres://…; by default a SQLite file in the data folder
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database: Option<String>,
    /// Where the SQLite file and the journal of usage rows are kept
    #[arg(long, env = "TOLLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Threads that serve requests; by default one for each core
    #[arg(long, visible_alias = "num_workers", env = "NUM_WORKERS")]
    workers: Option<usize>,
    /// Seconds that requests under way may take after SIGTERM
    #[arg(long, env = "TOLLGATE_DRAIN_SECONDS")]
    drain_seconds: Option<u64>,
    /// Serve although the configuration asks for what is not supported
    #[arg(long)]
    lenient: bool,
    /// How log lines look; counts more than the configuration
    #[arg(long, env = "TOLLGATE_LOG_FORMAT", value_enum)]
    log_format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    Human,
    /// One JSON object a line
    Json,
}

impl ServeArgs {
    /// The same for the server.
    pub(crate) fn options(&self) -> ServeOptions {
        ServeOptions {
            config: self.config.clone(),
            config_text: None,
            host: self.host,
            port: self.port,
            database: self.database.clone(),
            data_dir: self.data_dir.clone(),
            workers: self.workers,
            drain: self.drain_seconds.map(Duration::from_secs),
            lenient: self.lenient,
            log_format: self.log_format.map(|format| match format {
                Format::Human => LogFormat::Human,
                Format::Json => LogFormat::Json,
            }),
        }
    }
}

/// Exit status of a configuration that cannot be served: `EX_CONFIG` of sysexits.h.
const EX_CONFIG: u8 = 78;

/// Runs the command.
pub(crate) async fn run(cli: Cli) -> ExitCode {
    let Cli { command, serve } = cli;
    let done = match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(args) => run_server(args).await,
        Command::Demo(args) => {
            crate::logs::start(LogFormat::Human, LogLevel::Warn);
            crate::demo::run(args).await
        }
        Command::Chat(args) => chat::chat(args).await,
        Command::Usage(args) => usage::usage(args).await,
        Command::Cost(args) => cost::run(args),
        Command::Keys(command) => keys::run(command).await,
        Command::Models(args) => models::run(args).await,
        Command::Providers(args) => providers::run(args).await,
        Command::Config(command) => check::run(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if terminal::nobody_reads(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<BadConfig>() => ExitCode::from(EX_CONFIG),
        Err(error) => fail(&error),
    }
}

/// Tells what went wrong.
#[expect(clippy::print_stderr, reason = "the command line talks to a person")]
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

async fn run_server(args: ServeArgs) -> anyhow::Result<()> {
    let running = serve::start(args.options()).await?;
    announce(&running);
    running.until_signal().await
}

#[expect(clippy::print_stdout, reason = "the command line talks to a person")]
fn announce(running: &serve::Running) {
    if let Some(key) = &running.new_master_key {
        println!("master key, shown this once and stored as a hash: {key}");
    }
    println!("listening on http://{}", running.addr);
}
