//! From a resolved configuration and an open store to running cores.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use tokio_util::task::TaskTracker;
use tollgate_router::{Client, HealthMap, Tls, Tokens};
use tollgate_store::{KeyHash, Recorder, Store, StoreError};

use crate::{
    auth,
    background::{self, Background},
    config::Config,
    core::{Core, Gateway, InFlight, Snapshot},
    keys::KeyBook,
    metrics::Metrics,
};

/// The name of the setting that holds the hash of the master key made at the first start.
const MASTER_KEY: &str = "master_key_sha256";

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The database.
    #[error("the database cannot be used: {0}")]
    Store(#[from] StoreError),
    /// TLS towards the providers.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// No randomness.
    #[error("no master key can be made: {0}")]
    Random(String),
}

/// What [`boot`] needs.
pub struct Parts<'a> {
    /// The resolved configuration.
    pub config: Config,
    /// The database, open and migrated.
    pub store: Store,
    /// Where the journal of usage rows is kept.
    pub data_dir: &'a Path,
    /// How many cores there are to be.
    pub cores: usize,
    /// TLS towards the providers.
    pub tls: Tls,
    /// The state of the targets, which outlives configurations.
    pub health: HealthMap,
}

/// A gateway that is ready to serve.
pub struct Booted {
    /// What all cores share.
    pub gateway: Arc<Gateway>,
    /// One for each core.
    pub cores: Vec<Arc<Core>>,
    /// The master key, if it was made just now: it is shown this once.
    pub new_master_key: Option<String>,
}

/// Puts a gateway together. Keys are loaded in the background.
pub async fn boot(parts: Parts<'_>) -> Result<Booted, BootError> {
    let Parts { config, store, data_dir, cores, tls, health } = parts;
    let snapshot = snapshot(config);
    let (generated_master_key, new_master_key) = match &snapshot.master_key {
        Some(configured) => (*configured, None),
        None => stored_master_key(&store).await?,
    };
    let keys = Arc::new(KeyBook::default());
    let started = Recorder::start_with(store.clone(), data_dir, cores, keys.replay());
    let (recorder, pens) = started.await?;
    let tokens = Arc::new(Tokens::default());
    let gateway = Arc::new(Gateway {
        snapshot: ArcSwap::from_pointee(snapshot),
        keys,
        health,
        in_flight: (0..cores).map(|_| InFlight::default()).collect(),
        store,
        recorder,
        metrics: Metrics::new(cores),
        generated_master_key,
        ready: true.into(),
        background: Background::default(),
        upstream: Client::new(&tls).with_tokens(tokens.clone()),
        cold: tokio::runtime::Handle::current(),
        tasks: TaskTracker::new(),
    });
    gateway.metrics.config_ok.set(1);
    // Before anything is served: what is still to be paid for counts.
    background::restore(&gateway).await?;
    warm_up(&gateway);
    let cores = pens
        .into_iter()
        .enumerate()
        .map(|(index, pen)| {
            let client = Client::new(&tls).with_tokens(tokens.clone());
            Arc::new(Core::new(Arc::clone(&gateway), index, client, pen))
        })
        .collect();
    Ok(Booted { gateway, cores, new_master_key })
}

/// The configuration as requests see it.
pub fn snapshot(config: Config) -> Snapshot {
    let master_key = config.general.master_key.as_ref().map(|key| auth::hash(key.expose()));
    Snapshot {
        table: config.table,
        general: config.general,
        models: config.models,
        catalogue: config.catalogue,
        reachable: config.reachable,
        master_key,
    }
}

/// The hash of the master key that this database has; one is made if it has none.
async fn stored_master_key(store: &Store) -> Result<(KeyHash, Option<String>), BootError> {
    if let Some(text) = store.setting(MASTER_KEY).await?
        && let Ok(hash) = text.parse()
    {
        return Ok((hash, None));
    }
    let key = crate::admin::keys::random_key().map_err(|why| BootError::Random(why.message))?;
    let mine = auth::hash(&key);
    // Another process may have been faster: the one that is stored counts.
    let stored = store.setting_or_insert(MASTER_KEY, &mine.to_string()).await?;
    match stored.parse() {
        Ok(hash) if hash != mine => Ok((hash, None)),
        _ => Ok((mine, Some(key))),
    }
}

fn warm_up(gateway: &Arc<Gateway>) {
    let gw = Arc::clone(gateway);
    gateway.cold_task(async move {
        match gw.keys.warm_up(&gw.store).await {
            Ok(count) => tracing::debug!(count, "keys loaded"),
            Err(error) => tracing::warn!(%error, "the keys could not be loaded ahead; each is looked up when it is used"),
        }
    });
}
