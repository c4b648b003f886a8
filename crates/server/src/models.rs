//! Models that are read while the binary runs: the copies laid over the catalogue, and the schedule
//! by which they are made anew.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tollgate_gateway::{
    Gateway,
    catalogue::Catalogue,
    sync::{self, Halving, Source},
};
use tracing::{info, warn};

use crate::serve::env;

/// How often the schedule is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A source that failed is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// The catalogue with the copies of `folder`, if there are any.
pub(crate) fn overlaid(folder: &Path) -> Option<Catalogue> {
    let (catalogue, wrong) = sync::overlaid(folder);
    for why in wrong {
        warn!("a copy of models is left out: {why}");
    }
    catalogue
}

/// Reads the sources of `tollgate.models_sync`, each when its copy is older than it may be. What is
/// read is laid over the catalogue by the next look at the folder; a source that fails changes
/// nothing. Without sources nothing is ever fetched.
pub(crate) fn schedule(gateway: &Arc<Gateway>, folder: PathBuf) {
    let gw = Arc::clone(gateway);
    // Not a tracked task: shutdown must not wait for it.
    gateway.cold.spawn(async move {
        let mut tried: HashMap<String, Instant> = HashMap::new();
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let sources = gw.snapshot.load().general.models_sync.clone();
            for source in sources {
                if is_due(&source, &folder, tried.get(&source.from)) {
                    tried.insert(source.from.clone(), now());
                    read(&gw, &source, &folder).await;
                }
            }
        }
    });
}

fn is_due(source: &Source, folder: &Path, tried: Option<&Instant>) -> bool {
    if tried.is_some_and(|at| at.elapsed() < AGAIN_AFTER.min(source.every)) {
        return false;
    }
    sync::age(source, folder, wall_clock()).is_none_or(|age| age >= source.every)
}

async fn read(gw: &Gateway, source: &Source, folder: &Path) {
    match sync::sync(source, folder, &gw.upstream, &env, Halving::Refused).await {
        Ok(changes) => {
            info!("models were read from {}: {}", source.from, changes.report(20).trim())
        }
        Err(error) => warn!(%error, "models were not read; what was known stays in force"),
    }
}

fn now() -> Instant {
    Instant::now()
}

fn wall_clock() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
