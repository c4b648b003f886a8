//! From a command line to a running gateway, its reloads, and its end.

use std::{
    io::IsTerminal,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use anyhow::Context;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tollgate_gateway::{
    Gateway, HealthMap, Tls, background,
    boot::{self, Booted, Parts},
    catalogue::{self, Catalogue},
    config::{self, Config, LogFormat, LogLevel, Outcome, Strictness},
    sync,
};
use tollgate_store::Store;
use tracing::{error, info, warn};

use crate::{
    api,
    listen::{Listener, Patience},
    logs, models,
    patience::Limits,
    routes::Service,
};

/// How often the configuration file is looked at for changes.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What to serve, and where.
#[derive(Debug, Clone)]
pub(crate) struct ServeOptions {
    /// LiteLLM's `config.yaml`; without one, every provider whose key is in the environment.
    pub config: Option<PathBuf>,
    /// Configuration text that counts instead of a file: the demo's.
    pub config_text: Option<String>,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// `sqlite://…` or `postgres://…`; by default a file in the data folder.
    pub database: Option<String>,
    /// Where the database file and the journal are kept.
    pub data_dir: Option<PathBuf>,
    /// Cores to serve with.
    pub workers: Option<usize>,
    /// How long requests under way may take once a shutdown is asked for.
    pub drain: Option<Duration>,
    /// Serve although the configuration asks for what is not supported.
    pub lenient: bool,
    /// How log lines look, if not as the configuration says.
    pub log_format: Option<LogFormat>,
}

/// A configuration that cannot be served; the problems have been printed.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be served")]
pub(crate) struct BadConfig;

/// A running gateway.
pub(crate) struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The master key, if it was made just now.
    pub new_master_key: Option<String>,
    /// Everything that its requests share.
    pub gateway: Arc<Gateway>,
    listener: Listener,
    drain: Duration,
}

/// Starts serving.
pub(crate) async fn start(options: ServeOptions) -> anyhow::Result<Running> {
    let health = HealthMap::default();
    let config = resolve(&options, &health, catalogue::builtin())?;
    let format = options.log_format.unwrap_or(config.general.log_format);
    logs::start(format, config.general.log_level.unwrap_or(LogLevel::Info));
    refuse_open_door(&options, &config)?;
    let data_dir = data_dir(&options, &config)?;
    let config = with_synced(config, &options, &health, &data_dir);
    let url = database_url(&options, &config, &data_dir);
    let store = Store::open(&url).await.context("the database cannot be opened")?;
    let tls = tls(&config)?;
    let workers = options.workers.or(config.general.workers);
    let cores = workers.unwrap_or_else(cores).max(1);
    let drain = options.drain.unwrap_or(config.general.drain);
    let patience = Patience {
        limits: Limits {
            head: config.general.header_timeout,
            idle: config.general.keepalive_timeout,
        },
        connections: config.general.max_connections,
    };
    let parts = Parts { config, store, data_dir: &data_dir, cores, tls, health };
    let Booted { gateway, cores, new_master_key } = boot::boot(parts).await?;
    let service = Service::new(api::router(Arc::clone(&gateway)));
    let wanted = SocketAddr::new(options.host, options.port);
    let listener = Listener::start(wanted, cores, service, patience)
        .await
        .with_context(|| format!("cannot listen on {wanted}"))?;
    let addr = listener.addr;
    watch(&gateway, options, &data_dir);
    background::poll::start(&gateway);
    models::schedule(&gateway, sync::folder(&data_dir));
    Ok(Running { addr, new_master_key, gateway, listener, drain })
}

impl Running {
    /// Serves until SIGTERM or SIGINT, then drains; a second signal cuts the draining short.
    pub(crate) async fn until_signal(self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        either(&mut terminate, &mut interrupt).await;
        info!("shutting down: what is under way may finish");
        self.stop(async move { either(&mut terminate, &mut interrupt).await }).await
    }

    /// Drains and stops; `hurry` cuts the draining short.
    pub(crate) async fn stop(self, hurry: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Running { gateway, listener, drain, .. } = self;
        gateway.ready.store(false, Relaxed);
        if !listener.drain(drain, hurry).await {
            warn!("requests that were still under way have been cut");
        }
        gateway.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(2), gateway.tasks.wait()).await;
        if let Err(error) = gateway.recorder.shutdown().await {
            warn!(%error, "some usage rows are not in the database yet; they are in the journal and will be at the next start");
        }
        gateway.store.close().await;
        Ok(())
    }
}

async fn either(a: &mut Signal, b: &mut Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "the edge: the environment is read here")]
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads and resolves the configuration; prints what is wrong with it.
fn resolve(
    options: &ServeOptions,
    health: &HealthMap,
    catalogue: &Catalogue,
) -> Result<Config, BadConfig> {
    let outcome = load(options, health, catalogue)?;
    let problems = config::render(&outcome, std::io::stderr().is_terminal());
    if !problems.is_empty() {
        eprint_text(&problems);
    }
    outcome.config.ok_or(BadConfig)
}

/// The configuration again, with the models that were read at run time. They are laid over the
/// catalogue, so what was served without them is served with them; else they are left out.
fn with_synced(
    config: Config,
    options: &ServeOptions,
    health: &HealthMap,
    data_dir: &Path,
) -> Config {
    let Some(catalogue) = models::overlaid(&sync::folder(data_dir)) else { return config };
    let outcome = load(options, health, &catalogue).ok();
    outcome.and_then(|outcome| outcome.config).unwrap_or(config)
}

fn load(
    options: &ServeOptions,
    health: &HealthMap,
    catalogue: &Catalogue,
) -> Result<Outcome, BadConfig> {
    let (text, name) = match (&options.config_text, &options.config) {
        (Some(text), _) => (text.clone(), "demo".to_owned()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                error!(%error, "cannot read {}", path.display());
                BadConfig
            })?;
            (text, path.display().to_string())
        }
        (None, None) => {
            return Ok(config::from_env(&env, &read_file, catalogue, health));
        }
    };
    Ok(read_with(&text, &name, health, options.lenient, catalogue))
}

fn read_file(path: &str) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

/// Reads a configuration's text with this process's environment and the built-in catalogue.
pub(crate) fn read(text: &str, file: &str, health: &HealthMap, lenient: bool) -> Outcome {
    read_with(text, file, health, lenient, catalogue::builtin())
}

/// The same with another catalogue.
pub(crate) fn read_with(
    text: &str,
    file: &str,
    health: &HealthMap,
    lenient: bool,
    catalogue: &Catalogue,
) -> Outcome {
    config::load(&config::Input {
        file,
        text,
        env: &env,
        read: &read_file,
        catalogue,
        health,
        strictness: if lenient { Strictness::Lenient } else { Strictness::Strict },
    })
}

/// Anybody may knock at a public address: it needs a master key that is not one of the well-known
/// ones.
fn refuse_open_door(options: &ServeOptions, config: &Config) -> anyhow::Result<()> {
    if options.host.is_loopback() {
        return Ok(());
    }
    let general = &config.general;
    let hint = "set `general_settings.master_key` (or LITELLM_MASTER_KEY) to a key of your own: \
                `sk-` and at least 16 random characters";
    if general.weak_master_key_permitted {
        return Ok(());
    }
    if general.master_key.is_none() {
        anyhow::bail!("{} is a public address and no master key is set; {hint}", options.host);
    }
    if general.master_key_is_weak {
        anyhow::bail!("{} is a public address and the master key is weak; {hint}", options.host);
    }
    Ok(())
}

/// As many cores as this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn data_dir(options: &ServeOptions, config: &Config) -> anyhow::Result<PathBuf> {
    folder_of(options.data_dir.clone().or_else(|| config.general.data_dir.clone()))
}

/// The data folder: as chosen, else the user's.
pub(crate) fn folder_of(chosen: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let dir = match chosen {
        Some(dir) => dir,
        None => {
            let base = env("XDG_DATA_HOME").filter(|dir| Path::new(dir).is_absolute());
            let base = base
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(env("HOME")?).join(".local").join("share")));
            base.context("no data folder: set --data-dir")?.join("tollgate")
        }
    };
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

fn database_url(options: &ServeOptions, config: &Config, data_dir: &Path) -> String {
    let configured = config.general.database_url.as_ref().map(|url| url.expose().to_owned());
    let chosen = options.database.clone().or(configured);
    chosen.unwrap_or_else(|| format!("sqlite://{}", data_dir.join("tollgate.db").display()))
}

/// Roots: Mozilla's, which are part of the binary, and those of `tollgate.ca_file` or
/// `SSL_CERT_FILE`.
pub(crate) fn tls(config: &Config) -> anyhow::Result<Tls> {
    let file = config.general.ca_file.clone().or_else(|| env("SSL_CERT_FILE").map(PathBuf::from));
    let extra = match file {
        None => Vec::new(),
        Some(path) => CertificateDer::pem_file_iter(&path)
            .and_then(Iterator::collect)
            .with_context(|| format!("cannot read the certificates of {}", path.display()))?,
    };
    Ok(Tls::new(extra)?)
}

/// Reloads the configuration on SIGHUP, when its file changes, and when models were read anew. One that cannot be served is
/// reported and the old one stays.
fn watch(gateway: &Arc<Gateway>, options: ServeOptions, data_dir: &Path) {
    let (gw, data_dir) = (Arc::clone(gateway), data_dir.to_owned());
    // Not a tracked task: shutdown must not wait for it.
    gateway.cold.spawn(async move {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        let folder = sync::folder(&data_dir);
        let stamps = || {
            let providers = gw.snapshot.load().general.providers_file.clone();
            (
                options.config.as_deref().and_then(stamp),
                stamp(&folder),
                providers.and_then(|path| stamp(&path)),
            )
        };
        let mut seen = stamps();
        let mut look = tokio::time::interval(WATCH_EVERY);
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                _ = look.tick() => {
                    let now = stamps();
                    let gone = options.config.is_some() && now.0.is_none();
                    if now == seen || gone {
                        continue;
                    }
                    seen = now;
                }
            }
            reload(&gw, &options, &data_dir);
        }
    });
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn reload(gw: &Gateway, options: &ServeOptions, data_dir: &Path) {
    match resolve(options, &gw.health, catalogue::builtin()) {
        Ok(config) => {
            let config = with_synced(config, options, &gw.health, data_dir);
            gw.snapshot.store(Arc::new(boot::snapshot(config)));
            gw.health.sweep();
            gw.metrics.config_ok.set(1);
            info!("the configuration was reloaded");
        }
        Err(BadConfig) => {
            gw.metrics.config_ok.set(0);
            error!("the configuration was not reloaded; the old one stays in force");
        }
    }
}

#[expect(clippy::print_stderr, reason = "what is wrong with a configuration is for a person")]
fn eprint_text(text: &str) {
    eprint!("{text}");
}
