//! From the pen to the database.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use tollgate_ledger::Nano;
use tollgate_store::{Page, Recorder, UsageFilter};

use crate::database::{Database, hash, key, on_both, row};

async fn total(db: &Database) -> u64 {
    db.store.usage(&UsageFilter::default(), Page::first(1)).await.unwrap().1
}

/// What is in the journal's folder but the lock at its door.
fn left_in(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("journal")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| !path.ends_with("lock")).collect()
}

/// A recorder that stops as if its process was killed.
async fn kill(recorder: Recorder) {
    drop(recorder);
    // The task is dropped, and its lock with it, when the runtime gets to it.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

on_both!(rows_of_all_pens_are_committed, async |db: &Database| {
    let data = db.folder.path();
    db.store.insert_key(&key(0)).await.unwrap();
    let (recorder, mut pens) = Recorder::start(db.store.clone(), data, 2).await.unwrap();
    for nth in 0..100 {
        pens[nth as usize % 2].write(row(nth)).unwrap();
    }
    assert_eq!(recorder.pending(), 100);
    recorder.flush().await;
    assert_eq!((recorder.pending(), recorder.counts().rows), (0, 100));
    assert_eq!(total(db).await, 100);
    let due = (0..100).filter(|nth| nth % 3 == 0).map(|nth| 1_000 + nth).sum();
    assert_eq!(db.store.key(&hash(0)).await.unwrap().unwrap().spend, Nano(due));
    let (rows, _) = db.store.usage(&UsageFilter::default(), Page::first(1)).await.unwrap();
    assert_eq!(rows[0], row(99));
    drop(pens);
    recorder.shutdown().await.unwrap();
    assert_eq!(left_in(data), Vec::<PathBuf>::new());
});

on_both!(what_a_killed_process_left_is_committed_once, async |db: &Database| {
    let data = db.folder.path();
    db.store.insert_key(&key(0)).await.unwrap();
    let (recorder, mut pens) = Recorder::start(db.store.clone(), data, 2).await.unwrap();
    for nth in 0..50 {
        pens[0].write(row(nth)).unwrap();
    }
    recorder.flush().await;
    for nth in 50..2_500 {
        pens[nth as usize % 2].write(row(nth)).unwrap();
    }
    kill(recorder).await;
    drop(pens);
    let [folder] = left_in(data).try_into().unwrap();
    // A line that was being written, and one that a broken disk made.
    let segment = folder.join("0-0.jsonl");
    let mut torn = fs::OpenOptions::new().append(true).open(segment).unwrap();
    torn.write_all(b"[\"not a row\"]\n[\"0123456").unwrap();
    let (recorder, pens) = Recorder::start(db.store.clone(), data, 1).await.unwrap();
    recorder.flush().await;
    assert_eq!(total(db).await, 2_500);
    let due = (0..2_500).filter(|nth| nth % 3 == 0).map(|nth| 1_000 + nth).sum();
    assert_eq!(db.store.key(&hash(0)).await.unwrap().unwrap().spend, Nano(due));
    assert!(!folder.exists());
    drop(pens);
    recorder.shutdown().await.unwrap();
    let [rejected] = left_in(data).try_into().unwrap();
    assert_eq!(fs::read_to_string(rejected).unwrap(), "[\"not a row\"]\n");
});

on_both!(rows_that_find_the_channel_full_are_read_back, async |db: &Database| {
    let (recorder, mut pens) =
        Recorder::start(db.store.clone(), db.folder.path(), 2).await.unwrap();
    // The recorder shares this thread and so cannot take any meanwhile.
    for nth in 0..40_000 {
        pens[nth as usize % 2].write(row(nth)).unwrap();
    }
    assert_eq!(recorder.pending(), 40_000);
    recorder.flush().await;
    // And the channel is in use again.
    for nth in 40_000..40_010 {
        pens[0].write(row(nth)).unwrap();
    }
    recorder.flush().await;
    assert_eq!((recorder.pending(), total(db).await), (0, 40_010));
    assert_eq!(recorder.counts().rejected, 0);
    // Segments that are done with are gone, those in use are not.
    let [folder] = left_in(db.folder.path()).try_into().unwrap();
    let segments = fs::read_dir(folder).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|suffix| suffix == "jsonl")
    });
    assert_eq!(segments.count(), 2);
    drop(pens);
    recorder.shutdown().await.unwrap();
});

on_both!(an_outage_delays_rows_and_loses_none, async |db: &Database| {
    let (recorder, mut pens) =
        Recorder::start(db.store.clone(), db.folder.path(), 1).await.unwrap();
    pens[0].write(row(0)).unwrap();
    recorder.flush().await;
    let outage = db.outage().await;
    for nth in 1..20_000 {
        pens[0].write(row(nth)).unwrap();
        if nth % 500 == 0 {
            tokio::task::yield_now().await;
        }
    }
    // PostgreSQL has refused a try by now; SQLite lets its caller wait.
    while db.is_postgres() && recorder.counts().retries == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(recorder.pending() > 0);
    outage.end().await;
    recorder.flush().await;
    assert_eq!((recorder.pending(), total(db).await), (0, 20_000));
    drop(pens);
    recorder.shutdown().await.unwrap();
});

on_both!(without_a_database_the_journal_stays, async |db: &Database| {
    let data = db.folder.path();
    let (recorder, mut pens) = Recorder::start(db.store.clone(), data, 1).await.unwrap();
    pens[0].write(row(0)).unwrap();
    db.store.close().await;
    assert!(recorder.shutdown().await.is_err());
    // Still written down, for the next start.
    pens[0].write(row(1)).unwrap();
    assert!(pens[0].ready(std::time::Instant::now()));
    drop(pens);
    let store = tollgate_store::Store::open(&db.url).await.unwrap();
    let (recorder, pens) = Recorder::start(store.clone(), data, 1).await.unwrap();
    recorder.flush().await;
    drop(pens);
    recorder.shutdown().await.unwrap();
    let (_, total) = store.usage(&UsageFilter::default(), Page::first(1)).await.unwrap();
    assert_eq!(total, 2);
    assert_eq!(left_in(data), Vec::<PathBuf>::new());
    store.close().await;
});

on_both!(two_processes_share_a_folder, async |db: &Database| {
    let data = db.folder.path();
    let (one, mut one_pens) = Recorder::start(db.store.clone(), data, 1).await.unwrap();
    one_pens[0].write(row(0)).unwrap();
    let (two, mut two_pens) = Recorder::start(db.store.clone(), data, 1).await.unwrap();
    two_pens[0].write(row(1)).unwrap();
    two.flush().await;
    // The first one's journal is its own affair.
    drop(two_pens);
    two.shutdown().await.unwrap();
    one_pens[0].write(row(2)).unwrap();
    one.flush().await;
    assert_eq!(total(db).await, 3);
    drop(one_pens);
    one.shutdown().await.unwrap();
});
