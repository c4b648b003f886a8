//! A database for one test.

use std::{borrow::Cow, path::PathBuf, sync::Arc};

use sqlx::{Connection, Executor};
use tempfile::TempDir;
use tollgate_ledger::Nano;
use tollgate_store::{KeyHash, KeyRow, Outcome, RareUsage, Store, UsageRow};
use uuid::Uuid;

/// Runs a test on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($name:ident, $test:expr) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn sqlite() {
                let db = $crate::database::Database::sqlite().await;
                db.check($test).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(db) = $crate::database::Database::postgres().await {
                    db.check($test).await;
                    db.remove().await;
                }
            }
        }
    };
}
pub(crate) use on_both;

pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
    /// The server's URL and the database's name.
    server: Option<(String, String)>,
}

impl Database {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/data/tollgate.db", folder.path().display());
        let store = Store::open(&url).await.unwrap();
        Self { url, store, folder, server: None }
    }

    pub(crate) async fn postgres() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "the test run says where its PostgreSQL is")]
        let server = std::env::var("TOLLGATE_TEST_POSTGRES").ok()?;
        let name = format!("tollgate_{}", Uuid::new_v4().simple());
        run(&server, &format!("CREATE DATABASE {name}")).await;
        let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
        let store = Store::open(&url).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        Some(Self { url, store, folder, server: Some((server, name)) })
    }

    pub(crate) async fn check(&self, test: impl AsyncFn(&Self)) {
        test(self).await;
    }

    pub(crate) async fn remove(self) {
        self.store.close().await;
        if let Some((server, name)) = self.server {
            run(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.server.is_some()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.url.strip_prefix("sqlite://").unwrap().into()
    }

    /// Runs a statement behind the store's back.
    pub(crate) async fn run(&self, sql: &str) {
        run(&self.url, sql).await;
    }

    /// Makes the database refuse everything until the answer is ended.
    pub(crate) async fn outage(&self) -> Outage {
        let Some((server, name)) = self.server.clone() else {
            let mut lock = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            lock.execute("BEGIN EXCLUSIVE").await.unwrap();
            return Outage::Sqlite(lock);
        };
        run(&server, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname";
        run(&server, &format!("{kill} = '{name}'")).await;
        Outage::Postgres { server, name }
    }
}

pub(crate) enum Outage {
    Sqlite(sqlx::SqliteConnection),
    Postgres { server: String, name: String },
}

impl Outage {
    pub(crate) async fn end(self) {
        match self {
            Self::Sqlite(mut lock) => drop(lock.execute("COMMIT").await.unwrap()),
            Self::Postgres { server, name } => {
                run(&server, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
            }
        }
    }
}

async fn run(url: &str, sql: &str) {
    let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
    if url.starts_with("sqlite") {
        let mut database = sqlx::SqliteConnection::connect(url).await.unwrap();
        database.execute(sql).await.unwrap();
    } else {
        let mut database = sqlx::PgConnection::connect(url).await.unwrap();
        database.execute(sql).await.unwrap();
    }
}

pub(crate) fn hash(nth: u32) -> KeyHash {
    let mut hash = [0x5a; 32];
    hash[28..].copy_from_slice(&nth.to_be_bytes());
    KeyHash(hash)
}

pub(crate) fn key(nth: u32) -> KeyRow {
    KeyRow {
        hash: hash(nth),
        name: format!("sk-...{nth:04}"),
        alias: Some(format!("key {nth}")),
        models: vec!["m1".to_owned(), "provider/*".to_owned()],
        expires_us: Some(1_900_000_000_000_000),
        max_budget: Some(Nano(5 * Nano::USD.0)),
        soft_budget: None,
        budget_duration: Some("30d".to_owned()),
        budget_reset_us: Some(1_800_000_000_000_000),
        spend: Nano::ZERO,
        rpm: Some(60),
        tpm: None,
        max_parallel: Some(u64::MAX),
        metadata: serde_json::from_str(r#"{"z":1,"a":{"nested":["ü",null]}}"#).unwrap(),
        tags: vec!["blue".to_owned()],
        user_id: Some(format!("user {}", nth % 2)),
        team_id: None,
        blocked: false,
        created_us: i64::from(nth),
        updated_us: i64::from(nth),
        created_by: Some("admin".to_owned()),
        extra: serde_json::from_str(r#"{"permissions":{}}"#).unwrap(),
    }
}

/// A start of all times in tests.
pub(crate) const EPOCH_US: i64 = 1_790_000_000_000_000;

/// The nth request, one second after the one before.
pub(crate) fn row(nth: u32) -> UsageRow {
    let started_us = EPOCH_US + i64::from(nth) * 1_000_000;
    let id = u64::try_from(started_us / 1_000).unwrap() << 16 | 0x7000;
    UsageRow {
        id: Uuid::from_u64_pair(id, 1 << 63 | u64::from(nth)),
        key: Some(hash(nth % 3)),
        key_alias: Some(format!("key {}", nth % 3).into()),
        user_id: None,
        team_id: Some("team".into()),
        end_user: None,
        operation: Cow::Borrowed("chat"),
        surface: Cow::Borrowed("openai"),
        group: "public".into(),
        model: format!("model {}", nth % 2).into(),
        provider: "apertis".into(),
        target: "target".into(),
        api_base: "https://api.example/v1".into(),
        stream: nth.is_multiple_of(2),
        status: 200,
        outcome: Outcome::Ok,
        error: None,
        input: 100 + u64::from(nth),
        cache_read: 10,
        cache_write: 0,
        cache_write_1h: 0,
        output: 50,
        reasoning: 20,
        input_audio: 0,
        output_audio: 0,
        rare: RareUsage::default(),
        estimated: false,
        cost: Some(Nano(1_000 + i64::from(nth))),
        started_us,
        first_byte_us: Some(started_us + 300_000),
        ended_us: started_us + 900_000,
        upstream_started_us: Some(started_us + 100),
        attempts: 1,
        fallbacks: 0,
        finish_reason: Some(Cow::Borrowed("stop")),
        tags: Arc::from([]),
        ip: Some("192.0.2.1".into()),
    }
}
