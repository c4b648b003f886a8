//! The writing end of the journal.

use std::{
    fs::{self, File},
    io::{self, Write},
    mem,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{Sender, error::TrySendError};
use tracing::warn;

use super::{
    Item, Position, Progress, SEGMENT_BYTES, Shared,
    folder::{Folder, Lock},
    room, segment,
};
use crate::{UsageRow, record::Record};

/// Room on the disk is taken this far ahead of what is written.
const ROOM_BYTES: u32 = 256 << 10;
/// With less than this ahead, more is taken; if there is no more, nothing new is served, and this
/// much is left for the rows of requests that are under way.
const LOW_BYTES: u32 = 128 << 10;
/// How often a disk that was full is tried again.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// What is written to try: more than a page, because the last page of a file may have room for a
/// few bytes on a disk that has none.
const BLANK: [u8; 8 << 10] = [b'\n'; 8 << 10];

/// Writes usage rows to a journal of its own; each core thread has one.
#[derive(Debug)]
pub struct Pen {
    folder: PathBuf,
    pen: usize,
    file: File,
    /// The end of the file, which is where the next line goes.
    end: Position,
    /// Part of a line is at the end of the file and could not be cut off.
    torn: bool,
    /// Whether the last write succeeded.
    healthy: bool,
    /// Up to where the disk has room for the file, whatever others write to it.
    room_end: u32,
    /// When a disk that had no room is to be tried again.
    try_at: Option<Instant>,
    /// The lines of the rows that are noted; kept for its memory.
    lines: Vec<u8>,
    /// Rows that are noted and not written yet, with the lengths of their lines.
    noted: Vec<(Record, u32)>,
    shared: Arc<Shared>,
    recorder: Sender<Item>,
    _lock: Lock,
}

impl Pen {
    pub(super) fn new(
        folder: &Folder,
        pen: usize,
        shared: Arc<Shared>,
        recorder: Sender<Item>,
    ) -> io::Result<Self> {
        Ok(Self {
            folder: folder.path().to_owned(),
            pen,
            file: segment::create(&segment::path(folder.path(), pen, 0))?,
            end: Position::default(),
            torn: false,
            healthy: true,
            room_end: 0,
            try_at: None,
            lines: Vec::with_capacity(4096),
            noted: Vec::new(),
            shared,
            recorder,
            _lock: folder.lock(),
        })
    }

    /// Takes a row in; [`Pen::flush`] writes it, with others that were noted meanwhile.
    pub fn note(&mut self, row: UsageRow) {
        let before = self.lines.len();
        let record = Record::write_line(row, &mut self.lines);
        // A line beyond 4 GiB is none: it would fail to be written, and so does this.
        let length = u32::try_from(self.lines.len() - before).unwrap_or(u32::MAX);
        self.noted.push((record, length));
    }

    /// Whether rows are noted that are not written yet.
    pub fn has_noted(&self) -> bool {
        !self.noted.is_empty()
    }

    /// Appends the noted rows to the journal with one write(2), then hands them to the recorder.
    /// Never waits for the database.
    ///
    /// When it returns `Ok`, the rows survive the death of the process. When it fails (the disk is
    /// full), at least one of them is not in the journal and not counted, which the log tells of;
    /// the next call tries anew with its own.
    pub fn flush(&mut self) -> io::Result<()> {
        // Nothing to write says nothing about the disk.
        if self.noted.is_empty() {
            return Ok(());
        }
        let mut lines = mem::take(&mut self.lines);
        let mut noted = mem::take(&mut self.noted);
        let mut result = self.append(&lines, &mut noted);
        if result.is_err() && noted.len() > 1 {
            // There may be room for some of them.
            result = self.append_each(&lines, &mut noted);
        }
        if let Err(error) = &result {
            for (row, _) in &noted {
                warn!(%error, request.id = %row.id, "the usage row of request `{}` could not be journaled", row.id);
            }
        }
        self.healthy = result.is_ok();
        lines.clear();
        noted.clear();
        (self.lines, self.noted) = (lines, noted);
        result
    }

    /// [`Pen::note`] and [`Pen::flush`].
    pub fn write(&mut self, row: UsageRow) -> io::Result<()> {
        self.note(row);
        self.flush()
    }

    fn append_each(&mut self, lines: &[u8], noted: &mut Vec<(Record, u32)>) -> io::Result<()> {
        let (mut rest, mut result) = (lines, Ok(()));
        for (row, length) in mem::take(noted) {
            let (line, after) = rest.split_at_checked(length as usize).unwrap_or((rest, &[]));
            rest = after;
            let mut one = vec![(row, length)];
            if let Err(error) = self.append(line, &mut one) {
                noted.append(&mut one);
                result = Err(error);
            }
        }
        result
    }

    /// Whether the row of a request that begins now will find room on the disk. If not, it is
    /// found out at most once a second whether there is room again.
    pub fn ready(&mut self, now: Instant) -> bool {
        let ahead = self.room_end.saturating_sub(self.end.offset);
        (self.healthy && ahead >= LOW_BYTES) || self.make_ready(now)
    }

    #[cold]
    fn make_ready(&mut self, now: Instant) -> bool {
        if self.try_at.is_some_and(|at| now < at) {
            return false;
        }
        let tried = if self.healthy { Ok(()) } else { self.write_blank_lines() };
        let ready = tried.and_then(|()| self.take_room()).is_ok();
        self.healthy = ready;
        self.try_at = (!ready).then(|| now + TRY_EVERY);
        ready
    }

    /// Writes what readers pass over.
    fn write_blank_lines(&mut self) -> io::Result<()> {
        let written = write_once(&mut self.file, &BLANK)?;
        self.torn &= written == 0;
        self.end.offset =
            self.end.offset.saturating_add(u32::try_from(written).unwrap_or(u32::MAX));
        if written < BLANK.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn take_room(&mut self) -> io::Result<()> {
        self.room_end = room::take(&self.file, self.end.offset, ROOM_BYTES)?;
        Ok(())
    }

    /// Writes lines and hands their rows over; they stay in `noted` where that fails.
    fn append(&mut self, lines: &[u8], noted: &mut Vec<(Record, u32)>) -> io::Result<()> {
        let length = u32::try_from(lines.len()).map_err(io::Error::other)?;
        if self.end.offset > 0 && self.end.offset.saturating_add(length) > SEGMENT_BYTES {
            self.turn_page();
        }
        if self.torn {
            write_once(&mut self.file, b"\n")?;
            self.torn = false;
            self.end.offset = self.end.offset.saturating_add(1);
        }
        self.end.offset.checked_add(length).ok_or(io::ErrorKind::FileTooLarge)?;
        let written = write_once(&mut self.file, lines)?;
        if written < lines.len() {
            return Err(self.cut_off(written));
        }
        for (row, length) in noted.drain(..) {
            let start = self.end;
            self.end.offset += length;
            self.hand_over(row, start);
        }
        Ok(())
    }

    /// Goes on in a new segment. Where the disk has no room for one, in the old one, which may
    /// have some ahead.
    fn turn_page(&mut self) {
        let next = self.end.segment + 1;
        let path = segment::path(&self.folder, self.pen, next);
        let Ok(file) = segment::create(&path) else { return };
        let Ok(room_end) = room::take(&file, 0, ROOM_BYTES) else {
            drop(file);
            let _ = fs::remove_file(&path);
            return;
        };
        self.file = file;
        self.end = Position { segment: next, offset: 0 };
        self.room_end = room_end;
        self.torn = false;
    }

    /// Takes back the part of a line that a full disk took. If that fails too, the next line
    /// starts with a line break, which makes the part a line of its own that nobody can read.
    fn cut_off(&mut self, written: usize) -> io::Error {
        // Cutting a file gives back the room beyond its end.
        self.room_end = self.end.offset;
        if self.file.set_len(u64::from(self.end.offset)).is_err() {
            self.torn = true;
            let written = u32::try_from(written).unwrap_or(u32::MAX);
            self.end.offset = self.end.offset.saturating_add(written);
        }
        io::ErrorKind::StorageFull.into()
    }

    fn hand_over(&self, row: Record, start: Position) {
        let Some(progress) = self.shared.pens.get(self.pen) else { return };
        // The order matters: the recorder clears `behind` and then looks at `end`, so either it
        // sees this row in the journal or we see that it wants rows again.
        progress.end.store(self.end.pack(), Ordering::SeqCst);
        add_one(progress);
        if progress.behind.load(Ordering::SeqCst) {
            return;
        }
        let item = Item { row, pen: self.pen, start, end: self.end };
        match self.recorder.try_send(item) {
            // Without a recorder the row waits in the journal for the next start.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => {
                progress.behind.store(true, Ordering::SeqCst);
                self.shared.wake.notify_one();
            }
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        // What could not be written is in the log.
        let _ = self.flush();
    }
}

/// The pen is the only writer of its count, so this needs no locked addition.
fn add_one(progress: &Progress) {
    let rows = progress.rows.load(Ordering::Relaxed);
    progress.rows.store(rows + 1, Ordering::Relaxed);
}

fn write_once(file: &mut File, line: &[u8]) -> io::Result<usize> {
    loop {
        match file.write(line) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests;
