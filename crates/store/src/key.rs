//! Keys as they are stored.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Map;
use tollgate_ledger::Nano;

use crate::{
    KeyHash, Page, Store, StoreError,
    db::{Reading, Row, Value},
    filter::Where,
    spend,
};

/// A key that callers present. Never holds the key itself, only its hash.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyRow {
    /// SHA-256 of the key.
    pub hash: KeyHash,
    /// How the key is shown to people: `sk-...abcd`.
    pub name: String,
    /// A name given by whoever made it; no two keys have the same.
    pub alias: Option<String>,
    /// Public model names the key may use; empty: all.
    pub models: Vec<String>,
    /// When it stops working.
    pub expires_us: Option<i64>,
    /// Most that may be spent between two resets (ever, without a `budget_duration`).
    pub max_budget: Option<Nano>,
    /// Spending that is worth a warning.
    pub soft_budget: Option<Nano>,
    /// How often the budget starts anew, as LiteLLM spells it: `30d`.
    pub budget_duration: Option<String>,
    /// When the budget starts anew next.
    pub budget_reset_us: Option<i64>,
    /// Spent since the last reset. Written by the recorder alone after the key is made, some
    /// seconds late where many keys spend at once.
    pub spend: Nano,
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute.
    pub tpm: Option<u64>,
    /// Requests at once.
    pub max_parallel: Option<u64>,
    /// Whatever the maker wants to keep with it.
    pub metadata: Map<String, serde_json::Value>,
    /// Tags put on each of its usage rows.
    pub tags: Vec<String>,
    /// Whose it is.
    pub user_id: Option<String>,
    /// Which team's it is.
    pub team_id: Option<String>,
    /// Refused until it is unblocked.
    pub blocked: bool,
    /// When it was made.
    pub created_us: i64,
    /// When it was last changed (spending is no change).
    pub updated_us: i64,
    /// Who made it.
    pub created_by: Option<String>,
    /// Fields that are stored and returned and mean nothing to the store.
    pub extra: Map<String, serde_json::Value>,
}

/// Which keys to list; every field that is set must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// This key alone.
    pub hash: Option<KeyHash>,
    /// This alias exactly.
    pub alias: Option<String>,
    /// Keys of this user.
    pub user_id: Option<String>,
    /// Keys of this team.
    pub team_id: Option<String>,
    /// Blocked or not.
    pub blocked: Option<bool>,
}

/// The columns of a key, in the order of [`values`] and [`read`].
const COLUMNS: &str =
    "hash, alias, user_id, team_id, blocked, spend, budget_reset_us, created_us, detail";

/// `COLUMNS` without the hash, and without the spend ($6), which is the recorder's.
const SET: &str = "alias = $2, user_id = $3, team_id = $4, blocked = $5, budget_reset_us = $7, \
    created_us = $8, detail = $9";

/// What has no column of its own, as JSON.
#[derive(Serialize, Deserialize)]
struct Detail<'a> {
    name: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    models: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_budget: Option<Nano>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soft_budget: Option<Nano>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget_duration: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rpm: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tpm: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_parallel: Option<u64>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    metadata: Cow<'a, Map<String, serde_json::Value>>,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    tags: Cow<'a, [String]>,
    updated_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_by: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Cow<'a, Map<String, serde_json::Value>>,
}

/// Keys read at once by [`KeyChunks`]: few, as what is read and let go stays with the process.
const CHUNK_ROWS: usize = 100;

/// See [`Store::key_chunks`].
pub struct KeyChunks {
    reading: Reading,
    after: Option<KeyHash>,
}

impl KeyChunks {
    /// The next few keys; none after the last.
    pub async fn next(&mut self) -> Result<Vec<KeyRow>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM keys WHERE hash > $1 ORDER BY hash LIMIT {CHUNK_ROWS}");
        let after = self.after.as_ref().map_or_else(|| Value::Bytes(Some(Vec::new())), Value::from);
        let keys = self.reading.report(sql, vec![after], read).await?;
        self.after = keys.last().map(|key| key.hash).or(self.after);
        Ok(keys)
    }
}

impl Store {
    /// Adds a key, its spend included; [`StoreError::Conflict`] if its hash or alias is taken.
    pub async fn insert_key(&self, key: &KeyRow) -> Result<(), StoreError> {
        let sql =
            format!("INSERT INTO keys ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
        self.db.execute(sql, values(key)?).await?;
        Ok(())
    }

    /// The key with this hash.
    pub async fn key(&self, hash: &KeyHash) -> Result<Option<KeyRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM keys WHERE hash = $1");
        let found = self.db.rows(sql, vec![hash.into()], read).await?;
        Ok(found.into_iter().next())
    }

    /// The key with this alias.
    pub async fn key_by_alias(&self, alias: &str) -> Result<Option<KeyRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM keys WHERE alias = $1");
        let found = self.db.rows(sql, vec![alias.into()], read).await?;
        Ok(found.into_iter().next())
    }

    /// Writes everything but the spend; `false` if there is no such key,
    /// [`StoreError::Conflict`] if the alias is taken.
    pub async fn update_key(&self, key: &KeyRow) -> Result<bool, StoreError> {
        let sql = format!("UPDATE keys SET {SET} WHERE hash = $1");
        Ok(self.db.execute(sql, values(key)?).await? > 0)
    }

    /// Sets what a key has spent, whatever the recorder has added; `false` if there is no such key.
    pub async fn set_spend(&self, hash: &KeyHash, spend: Nano) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        spend::fold(&mut tx).await?;
        let sql = "UPDATE keys SET spend = $2 WHERE hash = $1";
        let changed = tx.execute(sql, vec![hash.into(), spend.0.into()]).await?;
        tx.commit().await?;
        Ok(changed > 0)
    }

    /// Deletes keys; returns those that were there. Their usage rows stay.
    pub async fn delete_keys(&self, hashes: &[KeyHash]) -> Result<Vec<KeyHash>, StoreError> {
        let mut tx = self.db.begin().await?;
        let mut deleted = Vec::with_capacity(hashes.len());
        for hash in hashes {
            if tx.execute("DELETE FROM keys WHERE hash = $1", vec![hash.into()]).await? > 0 {
                deleted.push(*hash);
            }
        }
        tx.commit().await?;
        Ok(deleted)
    }

    /// A page of keys, oldest first, and how many match.
    pub async fn list_keys(
        &self,
        filter: &KeyFilter,
        page: Page,
    ) -> Result<(Vec<KeyRow>, u64), StoreError> {
        let mut conditions = Where::default();
        conditions.and_equal("hash", filter.hash.as_ref());
        conditions.and_equal("alias", filter.alias.as_deref());
        conditions.and_equal("user_id", filter.user_id.as_deref());
        conditions.and_equal("team_id", filter.team_id.as_deref());
        conditions.and_equal("blocked", filter.blocked.map(i64::from));
        let (clause, bound) = conditions.parts();
        let sql = format!("SELECT COUNT(*) FROM keys{clause}");
        let total = self.db.report(sql, bound, |row| row.count(0)).await?;
        let (limit, offset) = (conditions.bind(page.limit()), conditions.bind(page.offset));
        let (clause, bound) = conditions.parts();
        let sql = format!(
            "SELECT {COLUMNS} FROM keys{clause} ORDER BY created_us, hash LIMIT {limit} OFFSET {offset}"
        );
        let keys = self.db.report(sql, bound, read).await?;
        Ok((keys, total.into_iter().next().unwrap_or(0)))
    }

    /// Visits every key, in chunks, in no useful order; returns how many there were. A key that
    /// is added meanwhile may be missed.
    pub async fn each_key(&self, mut visit: impl FnMut(KeyRow)) -> Result<u64, StoreError> {
        let mut keys = self.key_chunks().await?;
        let mut visited = 0;
        loop {
            let chunk = keys.next().await?;
            if chunk.is_empty() {
                return Ok(visited);
            }
            for key in chunk {
                visited += 1;
                visit(key);
            }
        }
    }

    /// All keys, a few at a time, in no useful order. Keeps one connection as long as it lives.
    pub async fn key_chunks(&self) -> Result<KeyChunks, StoreError> {
        Ok(KeyChunks { reading: self.db.reading().await?, after: None })
    }

    /// Puts `new` in the place of the key `old`; its spend stays as the database knows it, and
    /// what requests under way will still cost under the old hash is added to it. `false` if
    /// there is no `old`. Usage rows keep the hash they were made with.
    pub async fn replace_key_hash(&self, old: &KeyHash, new: &KeyRow) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let mut bound = values(new)?;
        bound.push(old.into());
        let sql = format!("UPDATE keys SET hash = $1, {SET} WHERE hash = $10");
        if tx.execute(sql, bound).await? == 0 {
            return Ok(false);
        }
        let sql = "INSERT INTO key_successors (old_hash, new_hash) VALUES ($1, $2)
            ON CONFLICT (old_hash) DO UPDATE SET new_hash = excluded.new_hash";
        tx.execute(sql, vec![old.into(), (&new.hash).into()]).await?;
        // What is set aside of the old key's limits is set aside of the new one's.
        let sql = "UPDATE pending SET key_hash = $2 WHERE key_hash = $1";
        tx.execute(sql, vec![old.into(), (&new.hash).into()]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Starts a budget window: sets the spend to zero, unless that was done already for this
    /// window or a later one. Returns whether it did, so any number of nodes may call it.
    pub async fn reset_budget(
        &self,
        hash: &KeyHash,
        window_start_us: i64,
        next_reset_us: Option<i64>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE keys SET spend = 0, budget_window_us = $2, budget_reset_us = $3
            WHERE hash = $1 AND (budget_window_us IS NULL OR budget_window_us < $2)";
        let bound = vec![hash.into(), window_start_us.into(), next_reset_us.into()];
        // What is noted so far was spent in the old window.
        let mut tx = self.db.begin().await?;
        spend::fold(&mut tx).await?;
        let changed = tx.execute(sql, bound).await?;
        tx.commit().await?;
        Ok(changed > 0)
    }
}

impl From<&KeyHash> for Value {
    fn from(hash: &KeyHash) -> Self {
        Self::from(hash.0.as_slice())
    }
}

fn values(key: &KeyRow) -> Result<Vec<Value>, StoreError> {
    let detail = Detail {
        name: Cow::Borrowed(&key.name),
        models: Cow::Borrowed(&key.models),
        expires_us: key.expires_us,
        max_budget: key.max_budget,
        soft_budget: key.soft_budget,
        budget_duration: key.budget_duration.as_deref().map(Cow::Borrowed),
        rpm: key.rpm,
        tpm: key.tpm,
        max_parallel: key.max_parallel,
        metadata: Cow::Borrowed(&key.metadata),
        tags: Cow::Borrowed(&key.tags),
        updated_us: key.updated_us,
        created_by: key.created_by.as_deref().map(Cow::Borrowed),
        extra: Cow::Borrowed(&key.extra),
    };
    let detail = serde_json::to_string(&detail).map_err(StoreError::other)?;
    Ok(vec![
        (&key.hash).into(),
        key.alias.as_deref().into(),
        key.user_id.as_deref().into(),
        key.team_id.as_deref().into(),
        i64::from(key.blocked).into(),
        key.spend.0.into(),
        key.budget_reset_us.into(),
        key.created_us.into(),
        Value::Json(detail),
    ])
}

fn read(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    let text = |column| -> Result<Option<String>, StoreError> {
        Ok(row.opt_text(column)?.map(str::to_owned))
    };
    let detail: Detail<'_> = serde_json::from_str(row.text(8)?).map_err(StoreError::corrupt)?;
    Ok(KeyRow {
        hash: KeyHash::from_slice(row.bytes(0)?).map_err(StoreError::corrupt)?,
        name: detail.name.into_owned(),
        alias: text(1)?,
        models: detail.models.into_owned(),
        expires_us: detail.expires_us,
        max_budget: detail.max_budget,
        soft_budget: detail.soft_budget,
        budget_duration: detail.budget_duration.map(Cow::into_owned),
        budget_reset_us: row.opt_int(6)?,
        spend: Nano(row.int(5)?),
        rpm: detail.rpm,
        tpm: detail.tpm,
        max_parallel: detail.max_parallel,
        metadata: detail.metadata.into_owned(),
        tags: detail.tags.into_owned(),
        user_id: text(2)?,
        team_id: text(3)?,
        blocked: row.int(4)? != 0,
        created_us: row.int(7)?,
        updated_us: detail.updated_us,
        created_by: detail.created_by.map(Cow::into_owned),
        extra: detail.extra.into_owned(),
    })
}
