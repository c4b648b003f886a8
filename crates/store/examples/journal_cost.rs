//! What a usage row costs: CPU time of the whole process per row, from `Pen::write` to the
//! committed transaction.
//!
//! ```text
//! cargo run --release -p tollgate-store --example journal_cost -- [url] [rows] [rows/s] [keys]
//! ```
//! Without a URL it uses a SQLite file in a temporary folder; 0 rows/s is as fast as it goes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring tool"
)]

use std::{
    borrow::Cow,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tollgate_ledger::Nano;
use tollgate_store::{KeyHash, KeyRow, Outcome, Pen, RareUsage, Recorder, Store, UsageRow};
use uuid::Uuid;

const PENS: usize = 2;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = tempfile::tempdir().unwrap();
    let url = args.next().filter(|url| !url.is_empty());
    let url = url.unwrap_or_else(|| format!("sqlite://{}/usage.db", folder.path().display()));
    let rows: u64 = args.next().map_or(200_000, |text| text.parse().expect("a number of rows"));
    let rate: u64 = args.next().map_or(40_000, |text| text.parse().expect("rows a second"));
    let keys: u64 = args.next().map_or(1, |text| text.parse().expect("a number of keys"));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&url).await.unwrap();
        for nth in 0..keys {
            let _ = store.insert_key(&key(nth)).await;
        }
        let (recorder, pens) = Recorder::start(store.clone(), folder.path(), PENS).await.unwrap();
        let before = cpu_us();
        let recorder_before = thread_cpu_us();
        let started = Instant::now();
        let writers: Vec<_> = pens
            .into_iter()
            .map(|pen| thread::spawn(move || write(pen, rows / PENS as u64, rate, keys)))
            .collect();
        let writers = tokio::task::spawn_blocking(|| {
            writers.into_iter().map(|writer| writer.join().unwrap()).sum::<u64>()
        });
        let in_pens = writers.await.unwrap();
        let written = started.elapsed();
        recorder.flush().await;
        let all = cpu_us() - before;
        let committed = started.elapsed();
        let per_row = |time_us: u64| time_us as f64 / rows as f64;
        println!(
            "{rows} rows, {keys} keys: {:.2} µs CPU per row: {:.2} in the pens, {:.2} in the \
             recorder, {:.2} elsewhere; written in {written:.2?}, committed after {committed:.2?}",
            per_row(all),
            per_row(in_pens),
            per_row(thread_cpu_us() - recorder_before),
            per_row(all - in_pens - (thread_cpu_us() - recorder_before)),
        );
        println!("{:?}", recorder.counts());
        recorder.shutdown().await.unwrap();
        store.close().await;
        let open = Instant::now();
        let store = Store::open(&url).await.unwrap();
        println!("reopened in {:.2?}", open.elapsed());
        let mut spend = 0;
        let (read, before) = (Instant::now(), cpu_us());
        let count = store.each_key(|key| spend += key.spend.0).await.unwrap();
        println!(
            "{count} keys read in {:.2?}, with {} ms of CPU, spend {}",
            read.elapsed(),
            (cpu_us() - before) / 1_000,
            Nano(spend)
        );
        if let Some(path) = url.strip_prefix("sqlite://") {
            let size = std::fs::metadata(path).unwrap().len();
            println!("{} bytes per row on disk", size / rows.max(1));
        }
        store.close().await;
    });
}

/// Returns the CPU time of this thread in µs.
fn write(mut pen: Pen, rows: u64, rate: u64, keys: u64) -> u64 {
    let group: Arc<str> = "apertis-model".into();
    let model: Arc<str> = "model-name".into();
    let provider: Arc<str> = "apertis".into();
    let target: Arc<str> = "6f5a1c0d2b3e4f50".into();
    let api_base: Arc<str> = "https://api.stima.tech/v1".into();
    let alias: Arc<str> = "team-blue-production".into();
    let tags: Arc<[Arc<str>]> = Arc::from([]);
    let seed = Uuid::new_v4().as_u64_pair().0;
    let started = Instant::now();
    for nth in 0..rows {
        // Random bits are the caller's affair: these cost nothing.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now_us = i64::try_from(now.as_micros()).unwrap();
        let random = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed;
        let now_ms = u64::try_from(now.as_millis()).unwrap();
        let id = Uuid::from_u64_pair(now_ms << 16 | 0x7000, random >> 2 | 1 << 63);
        let row = UsageRow {
            id,
            key: Some(hash(nth % keys)),
            key_alias: Some(Arc::clone(&alias)),
            user_id: None,
            team_id: None,
            end_user: None,
            operation: Cow::Borrowed("chat"),
            surface: Cow::Borrowed("openai"),
            group: Arc::clone(&group),
            model: Arc::clone(&model),
            provider: Arc::clone(&provider),
            target: Arc::clone(&target),
            api_base: Arc::clone(&api_base),
            stream: false,
            status: 200,
            outcome: Outcome::Ok,
            error: None,
            input: 250,
            cache_read: 0,
            cache_write: 0,
            cache_write_1h: 0,
            output: 120,
            reasoning: 0,
            input_audio: 0,
            output_audio: 0,
            rare: RareUsage::default(),
            estimated: false,
            cost: Some(Nano(123_456)),
            started_us: now_us,
            first_byte_us: Some(now_us + 900),
            ended_us: now_us + 1_000,
            upstream_started_us: Some(now_us + 100),
            attempts: 1,
            fallbacks: 0,
            finish_reason: Some(Cow::Borrowed("stop")),
            tags: Arc::clone(&tags),
            ip: Some("127.0.0.1".into()),
        };
        pen.write(row).unwrap();
        // In portions, as requests that were accepted together end together.
        if rate > 0 && nth % 50 == 49 {
            let due = Duration::from_secs_f64((nth + 1) as f64 * PENS as f64 / rate as f64);
            thread::sleep(due.saturating_sub(started.elapsed()));
        }
    }
    thread_cpu_us()
}

fn hash(nth: u64) -> KeyHash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&nth.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    hash[8..16].copy_from_slice(&nth.to_be_bytes());
    KeyHash(hash)
}

fn key(nth: u64) -> KeyRow {
    KeyRow {
        hash: hash(nth),
        name: "sk-...abcd".to_owned(),
        alias: Some(format!("key-{nth}")),
        models: vec!["apertis-model".to_owned()],
        expires_us: None,
        max_budget: Some(Nano(100 * Nano::USD.0)),
        soft_budget: None,
        budget_duration: None,
        budget_reset_us: None,
        spend: Nano::ZERO,
        rpm: Some(1_000_000),
        tpm: None,
        max_parallel: None,
        metadata: serde_json::Map::new(),
        tags: Vec::new(),
        user_id: None,
        team_id: None,
        blocked: false,
        created_us: 0,
        updated_us: 0,
        created_by: None,
        extra: serde_json::Map::new(),
    }
}

/// CPU time of this process, in µs.
fn cpu_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // 100 ticks a second on every Linux.
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10_000
}

/// CPU time of this thread, in µs.
fn thread_cpu_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1_000
}
