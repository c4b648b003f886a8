//! Writing many usage rows at once. This is the gateway's only write that runs all the time, so
//! its cost per row counts: few long statements, no index but the primary key.

use std::{collections::HashSet, sync::OnceLock};

use uuid::Uuid;

use crate::{
    Store, StoreError, UsageRow,
    db::Tx,
    portable,
    record::{COLUMN_COUNT, COLUMNS, Record},
    spend,
};

/// Rows of one statement, longest first. Few sizes, so that each stays prepared.
pub(crate) const STATEMENT_ROWS: [usize; 5] = [256, 64, 16, 4, 1];

impl Store {
    /// Writes usage rows and adds their cost to their keys, in one transaction. Rows whose id is
    /// known are left out, and their cost with them. Returns how many were new.
    pub async fn insert_usage(&self, rows: &[UsageRow]) -> Result<u64, StoreError> {
        let mut line = Vec::new();
        let records = rows.iter().map(|row| {
            line.clear();
            Record::write_line(row.clone(), &mut line)
        });
        self.insert_records(&records.collect::<Vec<Record>>()).await
    }

    /// As [`Store::insert_usage`].
    pub(crate) async fn insert_records(&self, rows: &[Record]) -> Result<u64, StoreError> {
        if self.insert_new(rows, Spending::Noted).await? {
            return Ok(rows.len() as u64);
        }
        // Some are known: a commit's answer was lost, or a row was handed in twice.
        self.insert_unknown(rows).await.map(|fresh| fresh.len() as u64)
    }

    /// As [`Store::insert_usage`], for rows of which many may be known. Returns those that were
    /// new.
    pub(crate) async fn insert_unknown(&self, rows: &[Record]) -> Result<Vec<Record>, StoreError> {
        let mut seen = HashSet::with_capacity(rows.len());
        let fresh: Vec<Record> = rows.iter().filter(|row| seen.insert(row.id)).cloned().collect();
        let known = self.known_ids(&fresh).await?;
        let fresh: Vec<Record> = fresh.into_iter().filter(|row| !known.contains(&row.id)).collect();
        if self.insert_new(&fresh, Spending::Added).await? {
            return Ok(fresh);
        }
        Err(StoreError::Unavailable("another process writes the same usage rows".into()))
    }

    /// Writes rows that are expected to be new; `false`, and nothing written, if one is not.
    async fn insert_new(&self, rows: &[Record], spending: Spending) -> Result<bool, StoreError> {
        if rows.is_empty() {
            return Ok(true);
        }
        let mut tx = self.db.begin().await?;
        let mut rest = rows;
        let mut written = 0;
        for size in STATEMENT_ROWS {
            while let Some((part, after)) = rest.split_at_checked(size) {
                written += insert(&mut tx, part).await?;
                rest = after;
            }
        }
        if written != rows.len() as u64 {
            return Ok(false);
        }
        let spent = spend::by_key(rows);
        match spending {
            Spending::Noted => spend::note(&mut tx, &spent).await?,
            Spending::Added => spend::add_to_keys(&mut tx, &spent).await?,
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn known_ids(&self, rows: &[Record]) -> Result<HashSet<Uuid>, StoreError> {
        let mut known = HashSet::new();
        let mut tx = self.db.begin().await?;
        for part in rows.chunks(128) {
            let places = portable::rows_of_placeholders(&tx, 1, part.len());
            let sql = format!("SELECT id FROM usage WHERE id IN {places}");
            let ids = part.iter().map(|row| row.id.as_bytes().as_slice().into()).collect();
            let read = |row: &crate::db::Row<'_>| {
                Uuid::from_slice(row.bytes(0)?).map_err(StoreError::corrupt)
            };
            known.extend(tx.rows(sql, ids, read).await?);
        }
        Ok(known)
    }
}

/// When keys are to have what was spent.
#[derive(Debug, Clone, Copy)]
enum Spending {
    /// Soon.
    Noted,
    /// With the rows: somebody is to read it from the keys.
    Added,
}

pub(crate) async fn insert(tx: &mut Tx, rows: &[Record]) -> Result<u64, StoreError> {
    let mut values = Vec::with_capacity(rows.len() * COLUMN_COUNT);
    for row in rows {
        row.bind(&mut values);
    }
    let sql = Statements::of(tx).insert(rows.len());
    tx.execute(sql, values).await
}

/// The long statements, made once for each database.
pub(crate) struct Statements {
    insert: Vec<(usize, String)>,
    add_spend: Vec<(usize, String)>,
}

impl Statements {
    pub(crate) fn of(tx: &Tx) -> &'static Self {
        static SQLITE: OnceLock<Statements> = OnceLock::new();
        static POSTGRES: OnceLock<Statements> = OnceLock::new();
        let statements = match tx {
            Tx::Sqlite(_) => &SQLITE,
            Tx::Postgres(_) => &POSTGRES,
        };
        statements.get_or_init(|| Self {
            insert: STATEMENT_ROWS.map(|rows| (rows, insert_sql(tx, rows))).into(),
            add_spend: STATEMENT_ROWS.map(|rows| (rows, add_spend_sql(tx, rows))).into(),
        })
    }

    fn insert(&'static self, rows: usize) -> &'static str {
        find(&self.insert, rows)
    }

    pub(crate) fn add_spend(&'static self, rows: usize) -> &'static str {
        find(&self.add_spend, rows)
    }
}

fn find(statements: &'static [(usize, String)], rows: usize) -> &'static str {
    let statement = statements.iter().find(|(size, _)| *size == rows);
    statement.map(|(_, sql)| sql.as_str()).unwrap_or_default()
}

fn insert_sql(tx: &Tx, rows: usize) -> String {
    let places = portable::rows_of_placeholders(tx, rows, COLUMN_COUNT);
    format!("INSERT INTO usage ({COLUMNS}) VALUES {places} ON CONFLICT (id) DO NOTHING")
}

fn add_spend_sql(tx: &Tx, keys: usize) -> String {
    let places = portable::rows_of_placeholders(tx, keys, 2);
    format!(
        "WITH spent (hash, amount) AS (VALUES {places})
        UPDATE keys SET spend = spend + spent.amount FROM spent WHERE keys.hash = spent.hash"
    )
}
