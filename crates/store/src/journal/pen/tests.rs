use std::fs::{self, OpenOptions};

use tokio::sync::mpsc::{Receiver, channel};

use super::*;
use crate::{journal::segment, record::tests::row};

struct Desk {
    pen: Pen,
    rows: Receiver<Item>,
    _data: tempfile::TempDir,
}

fn desk(channel_rows: usize) -> Desk {
    let data = tempfile::tempdir().unwrap();
    let (folder, _) = Folder::open(&data.path().join("journal")).unwrap();
    let shared = Arc::new(Shared { pens: vec![Progress::default()], ..Shared::default() });
    let (recorder, rows) = channel(channel_rows);
    Desk { pen: Pen::new(&folder, 0, shared, recorder).unwrap(), rows, _data: data }
}

impl Desk {
    /// The numbers of the rows in the current segment, and its lines that are no rows.
    fn read(&self) -> (Vec<u64>, Vec<Vec<u8>>) {
        let path = segment::path(&self.pen.folder, 0, self.pen.end.segment);
        let chunk = segment::read(&path, 0, u64::MAX, 10_000).unwrap();
        assert!(chunk.finished);
        (chunk.rows.iter().map(|row| row.input).collect(), chunk.unreadable)
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_reported_and_forgotten() {
    let mut desk = desk(10);
    desk.pen.write(row(1)).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = std::mem::replace(&mut desk.pen.file, full);
    assert_eq!(desk.pen.write(row(2)).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(!desk.pen.healthy);
    desk.pen.file = file;
    desk.pen.write(row(3)).unwrap();
    assert!(desk.pen.healthy);
    assert_eq!(desk.read(), (vec![1, 3], vec![]));
    // What was not written was not handed over either.
    assert_eq!(desk.rows.len(), 2);
}

#[test]
fn rows_that_are_noted_share_a_write_and_none_is_forgotten() {
    let mut desk = desk(10);
    for nth in 1..=3 {
        desk.pen.note(row(nth));
    }
    assert_eq!(desk.read(), (vec![], vec![]));
    desk.pen.flush().unwrap();
    assert_eq!(desk.read(), (vec![1, 2, 3], vec![]));
    // Each is handed over with its own place, one after the other.
    let handed: Vec<Item> = std::iter::from_fn(|| desk.rows.try_recv().ok()).collect();
    assert!(handed.windows(2).all(|two| two[0].end == two[1].start));
    let length = desk.pen.file.metadata().unwrap().len();
    assert_eq!(handed.last().map(|last| u64::from(last.end.offset)), Some(length));
    desk.pen.note(row(4));
    let Desk { pen, mut rows, _data } = desk;
    drop(pen);
    assert_eq!(rows.try_recv().unwrap().row.input, 4);
}

#[test]
#[cfg(target_os = "linux")]
fn where_a_write_fails_each_row_is_tried_by_itself() {
    let mut desk = desk(10);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = std::mem::replace(&mut desk.pen.file, full);
    desk.pen.note(row(1));
    desk.pen.note(row(2));
    assert_eq!(desk.pen.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(!desk.pen.has_noted() && !desk.pen.healthy);
    desk.pen.flush().unwrap();
    assert!(!desk.pen.healthy, "nothing was written, so nothing is known to have got better");
    desk.pen.file = file;
    desk.pen.write(row(3)).unwrap();
    assert_eq!(desk.read(), (vec![3], vec![]));
    assert_eq!(desk.rows.len(), 1);
}

#[test]
fn part_of_a_line_is_cut_off() {
    let mut desk = desk(10);
    desk.pen.write(row(1)).unwrap();
    desk.pen.file.write_all(b"[\"half").unwrap();
    assert_eq!(desk.pen.cut_off(6).kind(), io::ErrorKind::StorageFull);
    desk.pen.write(row(2)).unwrap();
    assert_eq!(desk.read(), (vec![1, 2], vec![]));
}

#[test]
fn part_of_a_line_that_stays_harms_no_other() {
    let mut desk = desk(10);
    desk.pen.write(row(1)).unwrap();
    desk.pen.file.write_all(b"[\"half").unwrap();
    // A file that is open for reading alone cannot be cut.
    let path = segment::path(&desk.pen.folder, 0, 0);
    let file = std::mem::replace(&mut desk.pen.file, File::open(path).unwrap());
    desk.pen.cut_off(6);
    desk.pen.file = file;
    desk.pen.write(row(2)).unwrap();
    assert_eq!(desk.read(), (vec![1, 2], vec![b"[\"half".to_vec()]));
    // The places handed over fit the file.
    let (first, second) = (desk.rows.try_recv().unwrap(), desk.rows.try_recv().unwrap());
    let length = desk.pen.file.metadata().unwrap().len();
    assert_eq!((first.start.offset, u64::from(second.end.offset)), (0, length));
}

#[test]
fn a_page_is_turned_when_it_is_full() {
    let mut desk = desk(1);
    let mut long = row(1);
    long.end_user = Some("x".repeat(3 << 20).into());
    for segment in [0, 0, 1, 1, 2] {
        desk.pen.write(long.clone()).unwrap();
        assert_eq!(desk.pen.end.segment, segment);
    }
    assert_eq!(fs::read_dir(&desk.pen.folder).unwrap().count(), 4);
}

#[test]
fn a_full_channel_is_left_alone_until_the_recorder_is_done() {
    let mut desk = desk(1);
    for nth in 1..=3 {
        desk.pen.write(row(nth)).unwrap();
    }
    let behind = |desk: &Desk| desk.pen.shared.pens[0].behind.load(Ordering::SeqCst);
    assert!(behind(&desk));
    assert_eq!(desk.rows.try_recv().unwrap().row.input, 1);
    desk.pen.write(row(4)).unwrap();
    assert!(desk.rows.try_recv().is_err());
    desk.pen.shared.pens[0].behind.store(false, Ordering::SeqCst);
    desk.pen.write(row(5)).unwrap();
    assert_eq!(desk.rows.try_recv().unwrap().row.input, 5);
    assert_eq!(desk.read(), (vec![1, 2, 3, 4, 5], vec![]));
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_was_full_is_tried_again_once_a_second() {
    let mut desk = desk(10);
    let now = Instant::now();
    assert!(desk.pen.ready(now));
    desk.pen.write(row(1)).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = std::mem::replace(&mut desk.pen.file, full);
    desk.pen.write(row(2)).unwrap_err();
    assert!(!desk.pen.ready(now));
    desk.pen.file = file;
    assert!(!desk.pen.ready(now + TRY_EVERY / 2));
    assert!(desk.pen.ready(now + TRY_EVERY));
    desk.pen.write(row(3)).unwrap();
    // Readers pass over what was written to try.
    assert_eq!(desk.read(), (vec![1, 3], vec![]));
    let length = desk.pen.file.metadata().unwrap().len();
    assert_eq!(u64::from(desk.pen.end.offset), length);
}

#[test]
#[cfg(target_os = "linux")]
fn room_is_taken_ahead_in_each_segment() {
    use std::os::unix::fs::MetadataExt;
    let mut desk = desk(1);
    let taken = |pen: &Pen| pen.file.metadata().unwrap().blocks() * 512;
    assert!(desk.pen.ready(Instant::now()));
    if desk.pen.room_end == u32::MAX {
        // A file system that cannot: nothing is taken.
        return assert_eq!(taken(&desk.pen), 0);
    }
    assert!(taken(&desk.pen) >= u64::from(ROOM_BYTES));
    assert_eq!(desk.pen.file.metadata().unwrap().len(), 0);
    let mut long = row(1);
    long.end_user = Some("x".repeat(50 << 10).into());
    while desk.pen.end.segment < 2 {
        assert!(desk.pen.ready(Instant::now()));
        desk.pen.write(long.clone()).unwrap();
        assert!(taken(&desk.pen) >= u64::from(desk.pen.end.offset + LOW_BYTES / 2));
    }
}
