//! The store: opening it, and what is too small for a file of its own.

use crate::{
    StoreError,
    db::{Db, Value},
    migrate, portable,
};

/// The database. Cheap to clone; all clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) db: Db,
}

/// A place in a long list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many rows to skip.
    pub offset: u64,
    /// How many rows to return; more than [`Page::MAX_ROWS`] are cut to it.
    pub limit: u64,
}

impl Page {
    /// Most rows of one page.
    pub const MAX_ROWS: u64 = 1_000;

    /// The first `limit` rows.
    pub fn first(limit: u64) -> Self {
        Self { offset: 0, limit }
    }

    pub(crate) fn limit(self) -> Value {
        self.limit.min(Self::MAX_ROWS).into()
    }
}

impl Store {
    /// Opens `sqlite://path`, `sqlite::memory:` or `postgres://…`, and brings it to this binary's
    /// schema. A missing SQLite file is made, with its folder, for its owner's eyes only.
    ///
    /// Fails within seconds if PostgreSQL is not there; opens an existing SQLite file within
    /// milliseconds.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let db = portable::connect(url).await?;
        match migrate::migrate(&db).await {
            Ok(()) => Ok(Self { db }),
            Err(error) => {
                db.close().await;
                Err(error)
            }
        }
    }

    /// Asks the database whether it is there.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db.rows("SELECT 1", vec![], |_| Ok(())).await?;
        Ok(())
    }

    /// Waits for running calls and closes the connections, of all clones too.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// A setting that outlives restarts.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM settings WHERE name = $1";
        let found = self.db.rows(sql, vec![name.into()], |row| Ok(row.text(0)?.to_owned())).await?;
        Ok(found.into_iter().next())
    }

    /// Writes a setting.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO settings (name, value) VALUES ($1, $2)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.db.execute(sql, vec![name.into(), value.into()]).await?;
        Ok(())
    }

    /// Writes a setting unless it exists; returns what is stored now, by whoever came first.
    pub async fn setting_or_insert(&self, name: &str, value: &str) -> Result<String, StoreError> {
        let sql =
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        self.db.execute(sql, vec![name.into(), value.into()]).await?;
        let stored = self.setting(name).await?;
        Ok(stored.unwrap_or_else(|| value.to_owned()))
    }
}
