//! The reading end of the journal: one task that commits rows in batches.
//!
//! For each pen it knows how far it has seen the journal. A row that comes through the channel
//! and begins there is taken as it is; one that begins later says that rows in between stayed in
//! the journal, and they are read back first. Rows that were read back already are skipped.

use std::{
    collections::VecDeque, io, mem, path::PathBuf, sync::Arc, sync::atomic::Ordering,
    time::Duration,
};

use tokio::{sync::mpsc::Receiver, time::Instant};
use tracing::{error, info, warn};

use super::{
    BATCH_ROWS, BATCH_WINDOW, CHANNEL_ROWS, Item, Order, Position, Replay, Shared,
    folder::{Folder, Left},
    segment::{self, Chunk},
};
use crate::{
    Store, StoreError,
    record::Record,
    spend::{self, LOG_FROM_KEYS},
};

/// Pauses between tries while the database is away: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How long what keys have spent may be noted before it is added to them.
const FOLD_AFTER: Duration = Duration::from_secs(5);
/// Tries for a batch once the recorder is to end.
const LAST_TRIES: u32 = 3;

/// The recorder's task.
pub(super) struct Task {
    store: Store,
    folder: Folder,
    /// Journals of processes that are gone.
    left: VecDeque<Left>,
    /// Bytes of the first segment of the first of them that are committed.
    left_offset: u64,
    replay: Replay,
    shared: Arc<Shared>,
    /// For each pen, up to where its rows are committed or in `batch`.
    seen: Vec<Position>,
    /// For each pen, its first segment that still exists.
    kept: Vec<u32>,
    batch: Vec<Record>,
    /// When spending that is noted is to be added to the keys.
    fold_at: Option<Instant>,
}

enum Event {
    Order(Option<Order>),
    Woken,
    Rows,
    Idle,
}

impl Task {
    pub(super) fn new(
        store: Store,
        folder: Folder,
        left: Vec<Left>,
        shared: Arc<Shared>,
        replay: Replay,
    ) -> Self {
        let pens = shared.pens.len();
        let unread: usize = left.iter().map(|left| left.segments.len()).sum();
        shared.unread.store(unread as u64, Ordering::Relaxed);
        Self {
            store,
            folder,
            left: left.into(),
            left_offset: 0,
            replay,
            shared,
            seen: vec![Position::default(); pens],
            kept: vec![0; pens],
            batch: Vec::with_capacity(BATCH_ROWS),
            fold_at: None,
        }
    }

    /// Runs until told to end. Errors come back only when it is closing.
    pub(super) async fn run(mut self, mut rows: Receiver<Item>, mut inbox: Receiver<Order>) {
        let mut items = Vec::with_capacity(BATCH_ROWS);
        let error = loop {
            let mut order = None;
            match self.next_event(&mut rows, &mut items, &mut inbox).await {
                Event::Order(None) => return,
                Event::Order(given) => order = given,
                Event::Woken | Event::Idle => {}
                Event::Rows => {
                    order = gather(&mut rows, &mut items, &mut inbox).await;
                }
            }
            if let Err(error) = self.work(&mut rows, &mut items).await {
                drop_or_answer(order, error, &mut inbox).await;
                return;
            }
            match order {
                None => {}
                Some(Order::Flush(done)) => match self.settle(&mut rows).await {
                    Ok(()) => drop(done.send(())),
                    Err(error) => break error,
                },
                Some(Order::Shutdown(done)) => {
                    let settled = self.settle(&mut rows).await;
                    let _ = done.send(self.end(settled, &rows));
                    return;
                }
            }
        };
        drop_or_answer(None, error, &mut inbox).await;
    }

    async fn next_event(
        &self,
        rows: &mut Receiver<Item>,
        items: &mut Vec<Item>,
        inbox: &mut Receiver<Order>,
    ) -> Event {
        let open = !rows.is_closed() || !rows.is_empty();
        tokio::select! {
            biased;
            order = inbox.recv() => Event::Order(order),
            () = self.shared.wake.notified() => Event::Woken,
            _ = rows.recv_many(items, BATCH_ROWS), if open => Event::Rows,
            () = std::future::ready(()), if !self.left.is_empty() => Event::Idle,
            () = self.fold_time() => Event::Idle,
        }
    }

    /// Commits what came, then what pens left in the journal, then a piece of what an earlier
    /// process left.
    async fn work(
        &mut self,
        rows: &mut Receiver<Item>,
        items: &mut Vec<Item>,
    ) -> Result<(), StoreError> {
        for item in items.drain(..) {
            self.take(item).await?;
        }
        self.commit().await?;
        if rows.len() < BATCH_ROWS {
            for pen in 0..self.seen.len() {
                self.catch_up(pen).await?;
            }
            self.commit().await?;
        }
        self.fold_if_due().await;
        self.replay().await
    }

    /// Waits until noted spending is to be added to its keys; for ever if there is none.
    async fn fold_time(&self) {
        match self.fold_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    async fn fold_if_due(&mut self) {
        if self.fold_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.fold_at = None;
        if let Err(error) = self.store.fold_spend().await {
            warn!(%error, "what keys have spent is not added to them yet: {error}");
            self.fold_at = Some(Instant::now() + FOLD_AFTER);
        }
    }

    /// Commits everything that was written before the call.
    async fn settle(&mut self, rows: &mut Receiver<Item>) -> Result<(), StoreError> {
        let ends: Vec<Position> = (0..self.seen.len()).map(|pen| self.end_of(pen)).collect();
        for _ in 0..CHANNEL_ROWS {
            let Ok(item) = rows.try_recv() else { break };
            self.take(item).await?;
        }
        for (pen, end) in ends.into_iter().enumerate() {
            self.read_back(pen, end).await?;
        }
        self.commit().await?;
        while !self.left.is_empty() {
            self.replay().await?;
        }
        self.fold_at = self.fold_at.map(|_| Instant::now());
        self.fold_if_due().await;
        Ok(())
    }

    /// Takes a row that came through the channel.
    async fn take(&mut self, item: Item) -> Result<(), StoreError> {
        if item.end <= self.seen_of(item.pen) {
            return Ok(());
        }
        self.read_back(item.pen, item.start).await?;
        if let Some(seen) = self.seen.get_mut(item.pen) {
            *seen = item.end;
        }
        self.batch.push(item.row);
        self.commit_if_full().await
    }

    /// Reads a pen's journal to its end if the pen no longer hands rows over, and then lets it.
    async fn catch_up(&mut self, pen: usize) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let Some(progress) = shared.pens.get(pen) else { return Ok(()) };
        while progress.behind.load(Ordering::SeqCst) {
            self.read_back(pen, self.end_of(pen)).await?;
            progress.behind.store(false, Ordering::SeqCst);
            // What was written between the two lines above came through no channel.
            self.read_back(pen, self.end_of(pen)).await?;
        }
        Ok(())
    }

    /// Reads a pen's rows from where it was last seen up to `until`.
    async fn read_back(&mut self, pen: usize, until: Position) -> Result<(), StoreError> {
        loop {
            let seen = self.seen_of(pen);
            if seen >= until {
                return Ok(());
            }
            let last = seen.segment == until.segment;
            let path = segment::path(self.folder.path(), pen, seen.segment);
            let stop = if last { u64::from(until.offset) } else { u64::MAX };
            let chunk = self.read(path, u64::from(seen.offset), stop).await?;
            let next = match (chunk.finished, last) {
                (true, true) => until,
                (true, false) => Position { segment: seen.segment + 1, offset: 0 },
                (false, _) => Position {
                    segment: seen.segment,
                    offset: u32::try_from(chunk.offset).unwrap_or(u32::MAX),
                },
            };
            self.reject(&chunk.unreadable);
            self.batch.extend(chunk.rows);
            if let Some(seen) = self.seen.get_mut(pen) {
                *seen = next;
            }
            self.commit_if_full().await?;
        }
    }

    /// Commits a piece of what an earlier process left.
    async fn replay(&mut self) -> Result<(), StoreError> {
        let Some(left) = self.left.front() else { return Ok(()) };
        if let Some(path) = left.segments.first().cloned() {
            let chunk = self.read(path.clone(), self.left_offset, u64::MAX).await?;
            self.shared.found.fetch_add(chunk.rows.len() as u64, Ordering::Relaxed);
            self.reject(&chunk.unreadable);
            self.batch = chunk.rows;
            self.commit_all(Known::Maybe).await?;
            self.left_offset = chunk.offset;
            if chunk.finished {
                self.left_offset = 0;
                blocking(move || std::fs::remove_file(path)).await;
                if let Some(left) = self.left.front_mut() {
                    left.segments.remove(0);
                    self.shared.unread.fetch_sub(1, Ordering::Relaxed);
                }
            }
        } else if let Some(left) = self.left.pop_front() {
            blocking(move || left.remove()).await;
        }
        Ok(())
    }

    async fn commit_if_full(&mut self) -> Result<(), StoreError> {
        if self.batch.len() < BATCH_ROWS { Ok(()) } else { self.commit().await }
    }

    /// Commits the batch, then deletes the segments that are done with.
    async fn commit(&mut self) -> Result<(), StoreError> {
        self.commit_all(Known::No).await?;
        for pen in 0..self.seen.len() {
            let done = self.seen_of(pen).segment;
            let Some(kept) = self.kept.get_mut(pen) else { continue };
            while *kept < done {
                let path = segment::path(self.folder.path(), pen, *kept);
                blocking(move || std::fs::remove_file(path)).await;
                *kept += 1;
            }
        }
        Ok(())
    }

    /// Commits the batch, however long it takes. Fails only when the recorder is closing.
    async fn commit_all(&mut self, known: Known) -> Result<(), StoreError> {
        let mut pause = PAUSES.0;
        let mut tries = 0;
        while !self.batch.is_empty() {
            let Err(error) = self.commit_parts(known).await else { break };
            self.shared.retries.fetch_add(1, Ordering::Relaxed);
            tries += 1;
            if tries == 1 {
                warn!(%error, "usage rows wait in the journal: {error}");
            }
            if self.shared.closing.load(Ordering::SeqCst) {
                if tries >= LAST_TRIES {
                    return Err(error);
                }
                pause = PAUSES.0;
            }
            self.pause(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
        if tries > 0 {
            info!("usage rows are being recorded again");
        }
        Ok(())
    }

    /// Commits the batch at once, or, if the database refuses a row, in halves, down to the row
    /// that it refuses, which is put aside: one bad row must not hold up all others.
    async fn commit_parts(&mut self, known: Known) -> Result<(), StoreError> {
        let mut parts = vec![mem::take(&mut self.batch)];
        while let Some(mut part) = parts.pop() {
            let inserted = match known {
                Known::No => self.store.insert_records(&part).await.map(drop),
                Known::Maybe => self.insert_left(&part).await,
            };
            match inserted {
                Ok(()) => {
                    self.shared.batches.fetch_add(1, Ordering::Relaxed);
                    self.shared.rows.fetch_add(part.len() as u64, Ordering::Relaxed);
                    if part.len() >= LOG_FROM_KEYS {
                        self.fold_at.get_or_insert_with(|| Instant::now() + FOLD_AFTER);
                    }
                }
                Err(StoreError::Refused(_)) if part.len() > 1 => {
                    let half = part.split_off(part.len() / 2);
                    parts.extend([half, part]);
                }
                Err(StoreError::Refused(error)) => {
                    error!(%error, "the database refuses a usage row: {error}");
                    let lines: Vec<_> = part.iter().map(|row| format!("{row:?}").into()).collect();
                    self.reject(&lines);
                    self.shared.rows.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    parts.push(part);
                    self.batch = parts.into_iter().flatten().collect();
                    return Err(error);
                }
            }
        }
        // Keep the memory for the next batch.
        self.batch = Vec::with_capacity(BATCH_ROWS);
        Ok(())
    }

    /// Commits rows of an earlier process, and tells of those that were not there yet.
    async fn insert_left(&self, rows: &[Record]) -> Result<(), StoreError> {
        let _turn = self.replay.turn.write().await;
        let fresh = self.store.insert_unknown(rows).await?;
        for (key, spent) in spend::by_key(&fresh) {
            (self.replay.told)(&key, spent);
        }
        Ok(())
    }

    async fn read(&self, path: PathBuf, offset: u64, until: u64) -> Result<Chunk, StoreError> {
        let limit = BATCH_ROWS.saturating_sub(self.batch.len()).max(1);
        loop {
            let file = path.clone();
            let read = move || segment::read(&file, offset, until, limit);
            let error = match tokio::task::spawn_blocking(read).await {
                Ok(Ok(chunk)) => return Ok(chunk),
                Ok(Err(error)) => error,
                Err(error) => io::Error::other(error),
            };
            if self.shared.closing.load(Ordering::SeqCst) {
                return Err(StoreError::other(error));
            }
            error!(%error, "the journal cannot be read: {error}");
            self.pause(PAUSES.1).await;
        }
    }

    /// Waits; a pen that falls behind and the end cut it short.
    async fn pause(&self, pause: Duration) {
        let _ = tokio::time::timeout(pause, self.shared.wake.notified()).await;
    }

    fn reject(&self, lines: &[Vec<u8>]) {
        if lines.is_empty() {
            return;
        }
        let count = lines.len();
        self.shared.rejected.fetch_add(count as u64, Ordering::Relaxed);
        match self.folder.reject(lines.iter().map(Vec::as_slice)) {
            Ok(()) => {
                error!(count, "{count} lines of the journal were put aside in rejected.jsonl")
            }
            Err(error) => error!(%error, "{count} lines of the journal are lost: {error}"),
        }
    }

    /// The end of the task: the folder goes if nothing is left in it and nobody writes any more.
    fn end(self, settled: Result<(), StoreError>, rows: &Receiver<Item>) -> Result<(), StoreError> {
        settled?;
        if rows.is_closed() && rows.is_empty() {
            self.folder.remove().map_err(StoreError::other)?;
        }
        Ok(())
    }

    fn seen_of(&self, pen: usize) -> Position {
        self.seen.get(pen).copied().unwrap_or_default()
    }

    fn end_of(&self, pen: usize) -> Position {
        let end = self.shared.pens.get(pen).map_or(0, |pen| pen.end.load(Ordering::SeqCst));
        Position::unpack(end)
    }
}

/// Whether rows may be in the database already.
#[derive(Clone, Copy)]
enum Known {
    No,
    Maybe,
}

/// Lets rows gather for a moment, so that one transaction takes many. Nobody waits for the
/// channel meanwhile, so that pens need not wake anybody either.
async fn gather(
    rows: &mut Receiver<Item>,
    items: &mut Vec<Item>,
    inbox: &mut Receiver<Order>,
) -> Option<Order> {
    let mut order = None;
    if items.len() < BATCH_ROWS && !rows.is_closed() {
        order = tokio::time::timeout(BATCH_WINDOW, inbox.recv()).await.ok().flatten();
    }
    while items.len() < BATCH_ROWS
        && let Ok(item) = rows.try_recv()
    {
        items.push(item);
    }
    order
}

/// Tells whoever asks that the recorder ended with an error; the journal has what is left.
async fn drop_or_answer(order: Option<Order>, error: StoreError, inbox: &mut Receiver<Order>) {
    let mut order = order;
    loop {
        match order {
            Some(Order::Shutdown(done)) => {
                let _ = done.send(Err(error));
                return;
            }
            Some(Order::Flush(_)) => {}
            None if inbox.is_closed() && inbox.is_empty() => return,
            None => {}
        }
        order = inbox.recv().await;
        if order.is_none() {
            return;
        }
    }
}

/// Runs a file operation off the runtime's thread; a failure is no more than a file too many.
async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the journal cannot be tidied up: {error}"),
        Err(error) => warn!(%error, "the journal cannot be tidied up: {error}"),
    }
}
