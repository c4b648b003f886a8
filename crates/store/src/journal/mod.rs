//! Usage rows, durable before an answer's last byte, and in the database soon after.
//!
//! A row's way: [`Pen::note`] takes it in, and [`Pen::flush`] appends it as one line of JSON to a
//! file of its own thread, with one write(2) for all that are noted and no fsync: what the kernel
//! has taken survives the death of the process. Then the row goes through a bounded channel to the recorder, one task that commits rows in batches.
//! If the channel is full, because the database is slow or away, the row stays in the file alone,
//! and the recorder reads it back from there when it gets to it. Nothing is lost and memory is
//! bounded; what grows is the journal. A pen takes room on the disk ahead of what it writes and says
//! when there is none ([`Pen::ready`]), so that a full disk stops requests before they cost anything.
//!
//! ```text
//! <data>/journal/lock                     held while a process makes or claims a folder
//! <data>/journal/<uuid>/lock              held as long as the process that writes there lives
//! <data>/journal/<uuid>/<pen>-<nth>.jsonl a segment; deleted when all its rows are committed
//! <data>/journal/rejected.jsonl           lines that nobody can read and rows that no database
//!                                         takes, for a person to look at
//! ```
//!
//! At start the recorder claims the folders of processes that are gone and commits what it finds
//! there, in the background. Rows are known by their id, so finding one twice does no harm. A line
//! torn by a crash was never acknowledged, and is skipped.

mod folder;
mod pen;
mod recorder;
mod room;
mod segment;

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

pub use pen::Pen;

use tokio::{
    sync::{Notify, RwLock, mpsc, oneshot},
    task::JoinHandle,
};

use tollgate_ledger::Nano;

use crate::{KeyHash, Store, StoreError, record::Record};

/// Rows on their way to the recorder, of all pens together.
const CHANNEL_ROWS: usize = 16_384;
/// Rows of one transaction.
const BATCH_ROWS: usize = 2_560;
/// How long the recorder lets rows gather after the first.
const BATCH_WINDOW: Duration = Duration::from_millis(50);
/// A segment is closed when it would grow beyond this.
const SEGMENT_BYTES: u32 = 8 << 20;

/// The recorder: owns the task that moves rows from the journal to the database. Dropping it
/// without [`Recorder::shutdown`] stops the task where it is, as a crash would; the journal stays.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How rows of an earlier process reach somebody who remembers what keys have spent.
pub struct Replay {
    /// Held for writing while such rows are committed and told of. Who reads a key with it held
    /// for reading, and remembers it before letting go, is told of exactly those rows that the
    /// key's spend did not have in it.
    pub turn: Arc<RwLock<()>>,
    /// Told what a key has spent in rows that were just committed.
    pub told: Told,
}

/// Takes what a key has spent.
pub type Told = Box<dyn Fn(&KeyHash, Nano) + Send + Sync>;

/// What the recorder has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows in the journal that are not committed yet, as far as they have been found; a segment
    /// of an earlier process that has not been read to its end counts for one more.
    pub pending: u64,
    /// Rows committed; those found twice count twice.
    pub rows: u64,
    /// Transactions they took.
    pub batches: u64,
    /// Transactions that failed and were tried again.
    pub retries: u64,
    /// Lines and rows that were put aside in `rejected.jsonl`.
    pub rejected: u64,
}

impl Recorder {
    /// Starts the recorder on the current tokio runtime, with `pens` pens that write below
    /// `data`. What an earlier process left is committed in the background.
    pub async fn start(
        store: Store,
        data: &Path,
        pens: usize,
    ) -> Result<(Self, Vec<Pen>), StoreError> {
        let nobody = Replay { turn: Arc::default(), told: Box::new(|_, _| {}) };
        Self::start_with(store, data, pens, nobody).await
    }

    /// The same, for somebody who remembers what keys have spent.
    pub async fn start_with(
        store: Store,
        data: &Path,
        pens: usize,
        replay: Replay,
    ) -> Result<(Self, Vec<Pen>), StoreError> {
        // Whoever reads a key from here on finds in it what an earlier process noted.
        store.fold_spend().await?;
        let root = data.join("journal");
        let opened = tokio::task::spawn_blocking(move || folder::Folder::open(&root));
        let (folder, left) = opened.await.map_err(StoreError::other)?.map_err(StoreError::other)?;
        let shared = Arc::new(Shared {
            pens: (0..pens).map(|_| Progress::default()).collect(),
            ..Shared::default()
        });
        let (hand_over, rows) = mpsc::channel(CHANNEL_ROWS);
        let pens = (0..pens)
            .map(|pen| Pen::new(&folder, pen, Arc::clone(&shared), hand_over.clone()))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(StoreError::other)?;
        let (orders, inbox) = mpsc::channel(8);
        let task = recorder::Task::new(store, folder, left, Arc::clone(&shared), replay);
        let task = tokio::spawn(task.run(rows, inbox));
        Ok((Self { shared, orders, task: Mutex::new(Some(task)) }, pens))
    }

    /// Zero when every row of the journal is committed, those of earlier processes included; see
    /// [`Counts::pending`].
    pub fn pending(&self) -> u64 {
        self.counts().pending
    }

    /// What has been done so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Returns when every row written before the call is committed, and what an earlier process
    /// left. Waits as long as the database is away.
    pub async fn flush(&self) {
        let (done, finished) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).await.is_ok() {
            let _ = finished.await;
        }
    }

    /// Commits what is left and removes the journal. Drop the pens first: what they write later
    /// stays for the next start. So does everything if the database is away, which is an error.
    pub async fn shutdown(&self) -> Result<(), StoreError> {
        let (done, finished) = oneshot::channel();
        self.shared.closing.store(true, Ordering::SeqCst);
        self.shared.wake.notify_one();
        let _ = self.orders.send(Order::Shutdown(done)).await;
        let result = finished.await.map_err(StoreError::other)?;
        let task = self.task.lock().ok().and_then(|mut task| task.take());
        if let Some(task) = task {
            let _ = task.await;
        }
        result
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Ok(mut task) = self.task.lock()
            && let Some(task) = task.take()
        {
            task.abort();
        }
    }
}

/// What the recorder is told.
enum Order {
    Flush(oneshot::Sender<()>),
    Shutdown(oneshot::Sender<Result<(), StoreError>>),
}

/// A row on its way, and where its line is.
struct Item {
    row: Record,
    pen: usize,
    /// Before its line.
    start: Position,
    /// After its line.
    end: Position,
}

/// A place in the journal of one pen: bytes into a segment. Ordered as written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    segment: u32,
    offset: u32,
}

impl Position {
    fn pack(self) -> u64 {
        u64::from(self.segment) << 32 | u64::from(self.offset)
    }

    fn unpack(packed: u64) -> Self {
        let low = u32::try_from(packed & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Self { segment: u32::try_from(packed >> 32).unwrap_or(u32::MAX), offset: low }
    }
}

/// What pens and recorder share.
#[derive(Debug, Default)]
struct Shared {
    pens: Vec<Progress>,
    /// Wakes the recorder when a pen falls behind, and at the end.
    wake: Notify,
    /// Whether the recorder is to give up on a database that is away.
    closing: AtomicBool,
    /// Segments of earlier processes that are still to be read, or to be read to their end.
    unread: AtomicU64,
    /// Rows found in the journals of earlier processes.
    found: AtomicU64,
    /// Rows that are settled: committed or rejected.
    rows: AtomicU64,
    batches: AtomicU64,
    retries: AtomicU64,
    rejected: AtomicU64,
}

/// How far one pen is. On a cache line of its own, because its thread writes it for each row.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Progress {
    /// The end of its journal, a packed [`Position`].
    end: AtomicU64,
    /// Rows written.
    rows: AtomicU64,
    /// Whether the pen no longer hands rows over, because the channel was full. Set by the pen;
    /// cleared by the recorder when it has read the journal to its end.
    behind: AtomicBool,
}

impl Shared {
    fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let rows = load(&self.rows);
        let written: u64 = self.pens.iter().map(|pen| load(&pen.rows)).sum();
        let written = written.saturating_add(load(&self.found));
        Counts {
            pending: written.saturating_sub(rows).saturating_add(load(&self.unread)),
            rows: rows.saturating_sub(load(&self.rejected)),
            batches: load(&self.batches),
            retries: load(&self.retries),
            rejected: load(&self.rejected),
        }
    }
}
