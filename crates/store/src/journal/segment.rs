//! Segments: files of lines, appended to by one pen and read by one recorder.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use crate::record::Record;

/// Read from a segment at once.
const BUFFER_BYTES: usize = 256 << 10;

/// What was read from a segment.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) rows: Vec<Record>,
    /// Whole lines that are no rows.
    pub(super) unreadable: Vec<Vec<u8>>,
    /// Where to go on.
    pub(super) offset: u64,
    /// Nothing follows before the end that was asked for.
    pub(super) finished: bool,
}

/// The name of a pen's nth segment.
pub(super) fn path(folder: &Path, pen: usize, nth: u32) -> PathBuf {
    folder.join(format!("{pen}-{nth}.jsonl"))
}

/// Makes a segment that its owner alone can read.
pub(super) fn create(path: &Path) -> io::Result<File> {
    private().append(true).create_new(true).open(path)
}

/// Options for files that hold who asked what.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Reads up to `limit` rows from `offset` on, and not beyond `until`. A last line without its
/// line break is skipped: whoever wrote it died before it could say so.
///
/// A segment that is gone is empty: nothing will ever come from it.
pub(super) fn read(path: &Path, offset: u64, until: u64, limit: usize) -> io::Result<Chunk> {
    let mut chunk = Chunk { offset, ..Chunk::default() };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            chunk.finished = true;
            return Ok(chunk);
        }
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let left = until.saturating_sub(offset);
    let mut lines = BufReader::with_capacity(BUFFER_BYTES, io::Read::take(file, left));
    let mut line = Vec::new();
    while chunk.rows.len() < limit {
        line.clear();
        let length = lines.read_until(b'\n', &mut line)?;
        chunk.offset += length as u64;
        let Some((b'\n', text)) = line.split_last() else {
            chunk.finished = true;
            return Ok(chunk);
        };
        if text.is_empty() {
            continue;
        }
        match Record::read_line(text) {
            Ok(row) => chunk.rows.push(row),
            Err(_) => chunk.unreadable.push(text.to_owned()),
        }
    }
    chunk.finished = chunk.offset >= until;
    Ok(chunk)
}
