//! Answers that their provider is still working on: what is known of them until they are paid for.

use tollgate_ledger::Nano;
use uuid::Uuid;

use crate::{
    KeyHash, Store, StoreError, UsageRow, bulk,
    db::{Row, Value},
    record::Record,
    spend,
};

/// An answer that is still to be paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The request's id, which its usage row will have.
    pub id: Uuid,
    /// The answer's id as the client knows it.
    pub answer: String,
    /// The caller's key, or the one that took its place; `None`: the master key.
    pub key: Option<KeyHash>,
    /// Set aside of the key's budget until then.
    pub held: Nano,
    /// When the provider is to be asked next, in µs since 1970.
    pub due_us: i64,
    /// From then on it is taken for lost, in µs since 1970.
    pub deadline_us: i64,
    /// How often in a row the provider did not know it.
    pub missed: u32,
    /// Whatever else its usage row and its price are made of: JSON of the gateway's.
    pub detail: String,
}

/// What an answer that is still to be paid for takes of its key's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The request's id.
    pub id: Uuid,
    /// The caller's key; `None`: the master key.
    pub key: Option<KeyHash>,
    /// Set aside of its budget.
    pub held: Nano,
}

const COLUMNS: &str = "id, answer, key_hash, held, due_us, deadline_us, missed, detail";

impl Store {
    /// Writes an answer down that is to be paid for.
    pub async fn insert_pending(&self, pending: &Pending) -> Result<(), StoreError> {
        let sql =
            format!("INSERT INTO pending ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
        let values = vec![
            pending.id.as_bytes().as_slice().into(),
            pending.answer.as_str().into(),
            Value::Bytes(pending.key.map(|hash| hash.0.to_vec())),
            pending.held.0.into(),
            pending.due_us.into(),
            pending.deadline_us.into(),
            i64::from(pending.missed).into(),
            Value::Json(pending.detail.clone()),
        ];
        self.db.execute(sql, values).await?;
        Ok(())
    }

    /// At most `limit` answers that are due at `now_us`, and are not due again for anybody before
    /// `until_us`: until then they are the caller's to ask for.
    pub async fn claim_pending(
        &self,
        now_us: i64,
        until_us: i64,
        limit: u64,
    ) -> Result<Vec<Pending>, StoreError> {
        // The time is asked for twice: PostgreSQL looks again at a row that another node has
        // changed while this statement waited for it, and then only at the outer condition.
        let sql = format!(
            "UPDATE pending SET due_us = $2 WHERE due_us <= $1 AND id IN
                (SELECT id FROM pending WHERE due_us <= $1 ORDER BY due_us, id LIMIT $3)
            RETURNING {COLUMNS}"
        );
        let mut tx = self.db.begin().await?;
        let values = vec![now_us.into(), until_us.into(), limit.into()];
        let claimed = tx.rows(sql, values, read).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Says when the provider is to be asked for an answer next, and how often it did not know it.
    pub async fn put_pending_off(
        &self,
        id: Uuid,
        due_us: i64,
        missed: u32,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE pending SET due_us = $2, missed = $3 WHERE id = $1";
        let values = vec![id.as_bytes().as_slice().into(), due_us.into(), i64::from(missed).into()];
        self.db.execute(sql, values).await?;
        Ok(())
    }

    /// The answer that the client knows by this id, if it is still to be paid for.
    pub async fn pending_answer(&self, answer: &str) -> Result<Option<Pending>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM pending WHERE answer = $1");
        Ok(self.db.rows(sql, vec![answer.into()], read).await?.into_iter().next())
    }

    /// What all answers that are to be paid for take of their keys' limits.
    pub async fn pending_holdings(&self) -> Result<Vec<Holding>, StoreError> {
        let sql = "SELECT id, key_hash, held FROM pending";
        let read = |row: &Row<'_>| {
            Ok(Holding { id: id(row)?, key: key(row, 1)?, held: Nano(row.int(2)?) })
        };
        self.db.report(sql, vec![], read).await
    }

    /// How many answers are to be paid for, and when the first of them is due.
    pub async fn pending_count(&self) -> Result<(u64, Option<i64>), StoreError> {
        let sql = "SELECT COUNT(*), MIN(due_us) FROM pending";
        let found = self.db.rows(sql, vec![], |row| Ok((row.count(0)?, row.opt_int(1)?))).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Pays for an answer: writes its usage row, adds its cost to its key and forgets that it was
    /// pending, all or nothing. `false` if somebody has done so before, or if the request has a
    /// usage row already: then nothing was added.
    pub async fn settle_pending(&self, row: &UsageRow) -> Result<bool, StoreError> {
        let rows = [Record::write_line(row.clone(), &mut Vec::new())];
        let mut tx = self.db.begin().await?;
        // The row's lock: a second process waits here, and then finds nothing.
        let id = row.id.as_bytes().as_slice().into();
        if tx.execute("DELETE FROM pending WHERE id = $1", vec![id]).await? == 0 {
            return Ok(false);
        }
        let fresh = bulk::insert(&mut tx, &rows).await? == 1;
        if fresh {
            spend::add_to_keys(&mut tx, &spend::by_key(&rows)).await?;
        }
        tx.commit().await?;
        Ok(fresh)
    }
}

fn read(row: &Row<'_>) -> Result<Pending, StoreError> {
    Ok(Pending {
        id: id(row)?,
        answer: row.text(1)?.to_owned(),
        key: key(row, 2)?,
        held: Nano(row.int(3)?),
        due_us: row.int(4)?,
        deadline_us: row.int(5)?,
        missed: u32::try_from(row.int(6)?).map_err(StoreError::corrupt)?,
        detail: row.text(7)?.to_owned(),
    })
}

fn id(row: &Row<'_>) -> Result<Uuid, StoreError> {
    Uuid::from_slice(row.bytes(0)?).map_err(StoreError::corrupt)
}

fn key(row: &Row<'_>, column: usize) -> Result<Option<KeyHash>, StoreError> {
    let key = row.opt_bytes(column)?.map(KeyHash::from_slice).transpose();
    key.map_err(StoreError::corrupt)
}
