//! Trouble with the disk and the database: F47, F49, F51. Whoever is known is served as long as the
//! receipt can be written down; nobody is called unknown because the database is away.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use tollgate_testkit::{Answer, Tollgate, get};

use crate::{
    gate::{
        admin, assert_refused, base, binary, chat, hello, key, look, models, on_sqlite, upstream,
    },
    postgres::{self, Database},
    proxy::{Proxy, Way},
};

/// Longest that a request may take which needs nothing of the database.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Longest that it may take to say that the database does not answer.
const SOON: Duration = Duration::from_secs(4);
/// The database is back: so long until keys are looked up in it again.
const HEALED: Duration = Duration::from_secs(5);

/// Asks until the answer has this status.
async fn until_status(limit: Duration, status: u16, mut ask: impl AsyncFnMut() -> Answer) {
    let begin = Instant::now();
    loop {
        let answer = ask().await;
        if answer.status == status {
            return;
        }
        assert!(begin.elapsed() < limit, "still {} after {limit:?}", answer.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The ids of the answers to `count` requests, all of which must be served, and at once.
async fn served(gate: &Tollgate, key: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let begin = Instant::now();
        let answer = chat(gate, key, &hello("gpt-4o")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(begin.elapsed() < AT_ONCE, "it took {:?}", begin.elapsed());
        ids.push(answer.header("x-litellm-call-id").to_owned());
    }
    ids
}

/// Each of `ids` has one row, and there are no others of served requests.
async fn assert_rows(gate: &Tollgate, ids: &[String]) {
    settled(gate).await;
    let mut found = Vec::new();
    for page in 1.. {
        let path = format!("/spend/logs/v2?status_filter=success&page_size=1000&page={page}");
        let answer = look(gate, &path).await.json();
        let rows = answer["data"].as_array().unwrap();
        if rows.is_empty() {
            break;
        }
        found.extend(rows.iter().map(|row| row["litellm_call_id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(found.len(), ids.len(), "a row is there twice, or one is missing");
    assert_eq!(found.iter().collect::<HashSet<_>>(), ids.iter().collect::<HashSet<_>>());
}

async fn settled(gate: &Tollgate) {
    let begin = Instant::now();
    while look(gate, "/health/readiness").await.json()["journal_pending"] != 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "rows stay in the journal");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A gateway whose PostgreSQL is behind a proxy, and what else F51 needs.
struct Behind {
    gate: Tollgate,
    proxy: Proxy,
    /// Not through the proxy.
    direct: String,
    _upstream: tollgate_testkit::ScriptedUpstream,
}

impl Behind {
    async fn start(server: String) -> Self {
        let upstream = upstream(&["gpt-4o"]).await;
        let database = Database::create(server);
        let proxy = Proxy::start(database.address()).await;
        let (direct, url) = (database.url(), database.url_by(&proxy.address()));
        let config = models(&base(&upstream), &["gpt-4o"]);
        let gate = on_sqlite().config(config).database(url).keep(database).start().await;
        Behind { gate, proxy, direct, _upstream: upstream }
    }

    /// Adds a key that this gateway has not heard of.
    fn import(&self, key: &str) {
        let file = self.gate.dir().join("keys.jsonl");
        std::fs::write(&file, format!("{{\"key\": \"{key}\"}}\n")).unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["keys", "import", file.to_str().unwrap(), "--database", &self.direct])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Without a PostgreSQL to take away: one that never was there is named, and not waited for.
fn no_postgres_at_all() {
    let begin = Instant::now();
    let nobody = "postgres://tollgate@127.0.0.1:9/tollgate";
    let (status, _, stderr) = on_sqlite().database(nobody).run_to_end();
    assert!(!status.success() && stderr.contains("database"), "{stderr}");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn f51_known_keys_are_served_while_the_database_is_away() {
    let Some(server) = postgres::server() else { return no_postgres_at_all() };
    let behind = Behind::start(server).await;
    let (gate, proxy) = (&behind.gate, &behind.proxy);
    let known = key(gate, json!({ "key_alias": "known" })).await;
    let mut ids = served(gate, &known, 3).await;
    for (nth, way) in [Way::Cut, Way::Frozen, Way::Cut].into_iter().enumerate() {
        proxy.set(way);
        let late = format!("sk-made-by-another-node-{nth}");
        behind.import(&late);
        let strangers = (0..40).map(async |n| {
            let begin = Instant::now();
            let answer = chat(gate, &format!("sk-nobody-{nth}-{n}"), &hello("gpt-4o")).await;
            assert_refused(&answer, 503, "auth_unavailable");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
            assert!(begin.elapsed() < SOON, "{way:?}: it took {:?}", begin.elapsed());
        });
        let administration = async {
            let made = admin(gate, "/key/generate", &json!({})).await;
            assert_refused(&made, 503, "storage_unavailable");
            for path in ["/key/list", "/spend/logs/v2", "/spend/summary?by=model"] {
                assert_refused(&look(gate, path).await, 503, "storage_unavailable");
            }
        };
        let readiness = async {
            let begin = Instant::now();
            let ready = get(&format!("{}/health/readiness", gate.url()), "").await;
            assert_eq!(
                (ready.status.as_u16(), &ready.json()["db"]),
                (200, &"Not connected".into())
            );
            assert!(begin.elapsed() < SOON, "{way:?}: it took {:?}", begin.elapsed());
        };
        let asked_again = async {
            let mut ids = served(gate, &known, 40).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            ids.extend(served(gate, &known, 10).await);
            ids
        };
        let (more, ..) = tokio::join!(
            asked_again,
            futures_util::future::join_all(strangers),
            administration,
            readiness,
        );
        ids.extend(more);
        assert_refused(&chat(gate, &late, &hello("gpt-4o")).await, 503, "auth_unavailable");
        proxy.set(Way::Open);
        // A key that this gateway could not look up works, one that it makes works, one that nobody
        // has is unknown again.
        until_status(HEALED, 200, async || look(gate, &format!("/key/info?key={late}")).await)
            .await;
        ids.extend(served(gate, &late, 1).await);
        let made = key(gate, json!({})).await;
        ids.extend(served(gate, &made, 1).await);
        let stranger = chat(gate, &format!("sk-still-nobody-{nth}"), &hello("gpt-4o")).await;
        assert_refused(&stranger, 401, "invalid_api_key");
    }
    assert_rows(gate, &ids).await;
    let ready = look(gate, "/health/readiness").await.json();
    assert_eq!((&ready["status"], &ready["db"]), (&"healthy".into(), &"connected".into()));
}

#[tokio::test]
async fn f51_what_a_killed_gateway_could_not_record_counts_for_its_keys() {
    let Some(server) = postgres::server() else { return no_postgres_at_all() };
    let mut behind = Behind::start(server).await;
    let known = key(&behind.gate, json!({})).await;
    behind.proxy.set(Way::Frozen);
    let ids = served(&behind.gate, &known, 300).await;
    behind.gate.kill9();
    behind.proxy.set(Way::Open);
    let gate = behind.gate.start_again().await;
    let again = served(&gate, &known, 1).await;
    assert_rows(&gate, &[ids, again].concat()).await;
    // Each costs 3 µUSD and is charged once, here as in the database.
    let info = look(&gate, &format!("/key/info?key={known}")).await.json();
    let sums = look(&gate, "/spend/summary?by=key").await.json();
    assert_eq!(info["info"]["spend"], sums["data"][0]["spend"], "{info} {sums}");
}

#[tokio::test]
async fn f51_a_database_that_only_reads_delays_rows_and_loses_none() {
    let Some(server) = postgres::server() else { return no_postgres_at_all() };
    let behind = Behind::start(server).await;
    let gate = &behind.gate;
    let known = key(gate, json!({})).await;
    let mut ids = served(gate, &known, 1).await;
    let (_, name) = behind.direct.rsplit_once('/').unwrap();
    let set = async |value: &str| {
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
        postgres::run(&postgres::server().unwrap(), &sql);
        // Connections have their own setting: new ones see this one.
        behind.proxy.set(Way::Cut);
        behind.proxy.set(Way::Open);
    };
    set("on").await;
    ids.extend(served(gate, &known, 20).await);
    let unknown = chat(gate, "sk-nobody-has-this", &hello("gpt-4o")).await;
    assert_refused(&unknown, 401, "invalid_api_key");
    let made = admin(gate, "/key/generate", &json!({})).await;
    assert_refused(&made, 503, "storage_unavailable");
    assert!(look(gate, "/health/readiness").await.json()["journal_pending"].as_u64() >= Some(20));
    set("off").await;
    until_status(HEALED, 200, async || admin(gate, "/key/generate", &json!({})).await).await;
    assert_rows(gate, &ids).await;
}

#[tokio::test]
async fn f49_a_locked_sqlite_file_delays_rows_and_stops_nobody() {
    let up = upstream(&["gpt-4o"]).await;
    let gate = on_sqlite().config(models(&base(&up), &["gpt-4o"])).start().await;
    let key = key(&gate, json!({})).await;
    let mut ids = served(&gate, &key, 1).await;
    let path = gate.database_url().trim_start_matches("sqlite://").to_owned();
    let hold = "import sqlite3,sys,time
c=sqlite3.connect(sys.argv[1],isolation_level=None)
c.execute('BEGIN EXCLUSIVE')
print('locked',flush=True)
time.sleep(7)";
    let mut lock = python(hold, Path::new(&path)).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 6];
    std::io::Read::read_exact(lock.stdout.as_mut().unwrap(), &mut said).unwrap();
    ids.extend(served(&gate, &key, 20).await);
    assert!(look(&gate, "/health/readiness").await.json()["journal_pending"].as_u64() >= Some(20));
    lock.wait().unwrap();
    assert_rows(&gate, &ids).await;
}

#[tokio::test]
async fn f47_a_full_disk_stops_requests_before_the_upstream_and_heals() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(why) => return assert!(why.contains("ermi"), "no small disk to fill: {why}"),
    };
    let up = upstream(&["gpt-4o"]).await;
    let builder = binary().config(models(&base(&up), &["gpt-4o"]));
    let builder = builder.arg("--data-dir").arg(disk.path.to_str().unwrap()).arg("--workers=1");
    let file = disk.path.join("tollgate.db");
    let url = format!("sqlite://{}", file.display());
    let builder = if postgres::wanted() { builder } else { builder.database(url) };
    let mut gate = builder.start().await;
    let key = key(&gate, json!({})).await;
    let ask = async || chat(&gate, &key, &hello("gpt-4o")).await;
    let mut ids = served(&gate, &key, 1).await;
    for _ in 0..3 {
        disk.fill();
        // There is room for the rows of those under way; then nobody is let in.
        let refused = loop {
            let answer = ask().await;
            if answer.status != 200 {
                break answer;
            }
            ids.push(answer.header("x-litellm-call-id").to_owned());
            assert!(ids.len() < 2_000, "a full disk is not noticed");
        };
        assert_refused(&refused, 503, "storage_unavailable");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
        for _ in 0..30 {
            assert_refused(&ask().await, 503, "storage_unavailable");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(up.requests().len(), ids.len(), "the upstream was asked in vain");
        disk.free();
        until_status(Duration::from_secs(3), 200, async || {
            let answer = ask().await;
            if answer.status == 200 {
                ids.push(answer.header("x-litellm-call-id").to_owned());
            }
            answer
        })
        .await;
    }
    assert_rows(&gate, &ids).await;
    assert!(gate.terminate().success());
    if !postgres::wanted() {
        let check = "import sqlite3,sys\nprint(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchall())";
        let checked = python(check, &file).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&checked.stdout).trim(), "[('ok',)]");
    }
}

fn python(script: &str, file: &Path) -> Command {
    let mut command = Command::new("python3");
    command.arg("-c").arg(script).arg(file);
    command
}

/// A file system of a few megabytes; gone when dropped.
struct SmallDisk {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("tollgate-disk-").tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "tollgate"]).arg(&path);
        let told = |output: Output| match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        };
        mount.output().map_err(|error| error.to_string()).and_then(told)?;
        Ok(SmallDisk { path, _folder: folder })
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.path.join("filler")).unwrap();
        while std::io::Write::write(&mut file, &[1; 4_096]).is_ok_and(|written| written > 0) {}
    }

    fn free(&self) {
        std::fs::remove_file(self.path.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a gateway of a failed test may be writing still.
        let _gone = Command::new("umount").arg("-l").arg(&self.path).output();
    }
}
