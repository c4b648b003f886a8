//! The gateway as it runs: what all cores share, and what each has of its own.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use tokio_util::task::TaskTracker;
use tollgate_router::{Client, Group, HealthMap, Table};
use tollgate_store::{KeyHash, Pen, Recorder, Store, UsageRow};
use tollgate_wire::catalogue::Catalogue;

use crate::{
    background::Background,
    config::{General, ModelEntry},
    keys::{Key, KeyBook, Missing},
    metrics::Metrics,
    now::Now,
};

/// What the configuration says, ready for use. Replaced whole at a reload.
#[derive(Debug)]
pub struct Snapshot {
    /// Groups, targets and how to route between them.
    pub table: Table,
    /// Everything else that requests depend on.
    pub general: General,
    /// The entries of `model_list`, in order.
    pub models: Vec<ModelEntry>,
    /// Providers and model cards.
    pub catalogue: Arc<Catalogue>,
    /// The providers that can be called with what the environment has, by name.
    pub reachable: Vec<Arc<str>>,
    /// SHA-256 of the configured master key, if one is configured.
    pub master_key: Option<KeyHash>,
}

/// What all cores share.
pub struct Gateway {
    /// The configuration in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// The keys.
    pub keys: Arc<KeyBook>,
    /// The state of the targets; outlives configurations.
    pub health: HealthMap,
    /// Requests that are under way, core by core.
    pub(crate) in_flight: Box<[InFlight]>,
    /// The database.
    pub store: Store,
    /// What turns receipts into rows.
    pub recorder: Recorder,
    /// Counters for `/metrics`.
    pub metrics: Metrics,
    /// SHA-256 of the master key that was made at the first start; counts where none is
    /// configured.
    pub generated_master_key: KeyHash,
    /// False from the moment that a shutdown was asked for.
    pub ready: AtomicBool,
    /// Answers in the background that are still to be paid for.
    pub(crate) background: Background,
    /// Connections upstream for what is not a request's own work.
    pub upstream: Client,
    /// Runs what is not a request's own work: database look-ups, administration.
    pub cold: tokio::runtime::Handle,
    /// The tasks on `cold`, for shutdown to wait for.
    pub tasks: TaskTracker,
}

impl Gateway {
    /// Runs a task beside the requests; shutdown waits for it.
    pub fn cold_task<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn_on(task, &self.cold);
    }

    /// Looks a key up in the database, away from the request's own core.
    pub(crate) async fn look_up(
        self: &Arc<Self>,
        hash: KeyHash,
        now: Now,
    ) -> Result<Arc<Key>, Missing> {
        let gw = Arc::clone(self);
        let found = self
            .tasks
            .spawn_on(async move { gw.keys.look_up(&gw.store, &hash, now).await }, &self.cold);
        found.await.unwrap_or(Err(Missing::Unavailable))
    }

    /// Requests that are under way, on all cores.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.iter().map(|InFlight(count)| count.load(Relaxed)).sum()
    }

    /// True until a shutdown is asked for.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }
}

/// A core's requests that are under way, on a cache line of its own: other cores only read it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct InFlight(AtomicU32);

/// Groups that a core keeps copies of; beyond it all are made anew.
const OWN_GROUPS: usize = 1_024;

/// The configuration as one core sees it.
pub struct View {
    /// The configuration in force when the view was made.
    pub snapshot: Arc<Snapshot>,
    /// The groups that were asked for, unshared.
    groups: Mutex<HashMap<Box<str>, Arc<Group>, foldhash::fast::RandomState>>,
}

impl View {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        View { snapshot, groups: Mutex::default() }
    }

    /// The group that `model` means, if there is one.
    pub fn group(&self, model: &str) -> Option<Arc<Group>> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(model) {
            return Some(Arc::clone(group));
        }
        let group = Arc::new(self.snapshot.table.group(model)?.group.unshared());
        if groups.len() >= OWN_GROUPS {
            groups.clear();
        }
        groups.insert(model.into(), Arc::clone(&group));
        Some(group)
    }
}

/// One core's share: its connections upstream and its pen. A request lives and dies on one core.
pub struct Core {
    /// What all cores share.
    pub gw: Arc<Gateway>,
    /// This core's connections.
    pub client: Client,
    /// Which of the gateway's cores it is.
    index: usize,
    pen: Mutex<Pen>,
    view: Mutex<Arc<View>>,
}

impl Core {
    /// A core with its own connections and pen.
    pub fn new(gw: Arc<Gateway>, index: usize, client: Client, pen: Pen) -> Self {
        let view = Mutex::new(Arc::new(View::new(gw.snapshot.load_full())));
        Core { gw, client, index, pen: Mutex::new(pen), view }
    }

    /// The configuration in force, as this core sees it.
    pub(crate) fn view(&self) -> Arc<View> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.gw.snapshot.load();
        if !Arc::ptr_eq(&view.snapshot, &current) {
            *view = Arc::new(View::new(Arc::clone(&current)));
        }
        Arc::clone(&view)
    }

    /// One more request under way.
    pub(crate) fn enter(&self) {
        if let Some(InFlight(count)) = self.gw.in_flight.get(self.index) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// One less.
    pub(crate) fn leave(&self) {
        if let Some(InFlight(count)) = self.gw.in_flight.get(self.index) {
            count.fetch_sub(1, Relaxed);
        }
    }

    /// Counts a request that is over.
    pub(crate) fn count(&self, row: &UsageRow) {
        self.gw.metrics.count(self.index, row);
    }

    /// Notes a usage row; [`Core::flush`] writes it down.
    pub(crate) fn note(&self, row: UsageRow) {
        self.pen().note(row);
    }

    /// Writes down what is noted, durably against the death of this process, before it returns.
    pub(crate) fn flush(&self) {
        // What could not be written is in the log, and the next requests are refused.
        let _ = self.pen().flush();
    }

    /// Writes down what is noted, once the requests that this core has ready to end have noted
    /// theirs: they share one write. Dropping the future writes, too.
    pub(crate) async fn durable(&self) {
        struct Flush<'a>(&'a Core);
        impl Drop for Flush<'_> {
            fn drop(&mut self) {
                self.0.flush();
            }
        }
        let flush = Flush(self);
        if self.pen().has_noted() {
            tokio::task::yield_now().await;
        }
        drop(flush);
    }

    fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the row of a request that begins now can be written down.
    pub(crate) fn can_write(&self, now: Now) -> bool {
        self.pen().ready(now.mono)
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}
