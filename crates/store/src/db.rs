//! Two databases behind one face: statements, values and rows. Everything above this file is
//! written once, for both.

use std::{borrow::Cow, sync::Arc, time::Duration};

use sqlx::{
    Arguments, AssertSqlSafe, Executor, PgPool, Postgres, Row as _, Sqlite, SqlitePool,
    Transaction,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::StoreError;

/// Longest wait for a call's answer. A database that is stopped or unplugged does not say so;
/// without this a caller would wait for ever.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for calls that may read a whole table.
const REPORT_TIMEOUT: Duration = Duration::from_secs(60);

/// SQL is ours alone: values travel as [`Value`]s.
pub(crate) type Sql = Cow<'static, str>;

/// The connections.
#[derive(Debug, Clone)]
pub(crate) enum Db {
    Sqlite {
        /// One connection: SQLite has one writer, and here it queues without polling.
        writer: SqlitePool,
        reader: SqlitePool,
    },
    Postgres(PgPool),
}

/// A connection that reads.
pub(crate) enum Reading {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A transaction that writes.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A bound value. NULL has a type because PostgreSQL asks for it.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<Arc<str>>),
    Json(String),
    Bytes(Option<Vec<u8>>),
}

/// A row, to be read by column number.
pub(crate) enum Row<'r> {
    Sqlite(&'r SqliteRow),
    Postgres(&'r PgRow),
}

impl Db {
    /// Runs a statement that writes; returns how many rows it changed.
    pub(crate) async fn execute(
        &self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let sql = AssertSqlSafe(sql.into());
        in_time(CALL_TIMEOUT, async {
            Ok(match self {
                Self::Sqlite { writer, .. } => {
                    let query = sqlx::query_with(sql, lite(values)?);
                    writer.execute(query).await?.rows_affected()
                }
                Self::Postgres(pool) => {
                    let query = sqlx::query_with(sql, pg(values)?);
                    pool.execute(query).await?.rows_affected()
                }
            })
        })
        .await
    }

    /// Reads a few rows, by an index.
    pub(crate) async fn rows<T>(
        &self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.rows_within(CALL_TIMEOUT, sql.into(), values, read).await
    }

    /// Reads rows by a statement that may look at a whole table.
    pub(crate) async fn report<T>(
        &self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.rows_within(REPORT_TIMEOUT, sql.into(), values, read).await
    }

    async fn rows_within<T>(
        &self,
        limit: Duration,
        sql: Sql,
        values: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        in_time(limit, async { self.acquire().await?.rows(sql, values, read).await }).await
    }

    /// One connection that reads, for calls that follow each other: a pool spreads them over all
    /// that it may open, and each has buffers of its own.
    pub(crate) async fn reading(&self) -> Result<Reading, StoreError> {
        in_time(CALL_TIMEOUT, self.acquire()).await
    }

    async fn acquire(&self) -> Result<Reading, StoreError> {
        Ok(match self {
            Self::Sqlite { reader, .. } => Reading::Sqlite(reader.acquire().await?),
            Self::Postgres(pool) => Reading::Postgres(pool.acquire().await?),
        })
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        in_time(CALL_TIMEOUT, async {
            Ok(match self {
                // Takes the write lock at once: an upgrade in the middle could fail.
                Self::Sqlite { writer, .. } => {
                    Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
                }
                Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
            })
        })
        .await
    }

    /// Closes the connections, after running calls.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, reader } => {
                reader.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Reading {
    /// Reads rows by a statement that may look at a whole table.
    pub(crate) async fn report<T>(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        in_time(REPORT_TIMEOUT, self.rows(sql.into(), values, read)).await
    }

    async fn rows<T>(
        &mut self,
        sql: Sql,
        values: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let sql = AssertSqlSafe(sql);
        match self {
            Self::Sqlite(one) => {
                let rows = one.fetch_all(sqlx::query_with(sql, lite(values)?)).await?;
                rows.iter().map(|row| read(&Row::Sqlite(row))).collect()
            }
            Self::Postgres(one) => {
                let rows = one.fetch_all(sqlx::query_with(sql, pg(values)?)).await?;
                rows.iter().map(|row| read(&Row::Postgres(row))).collect()
            }
        }
    }
}

impl Tx {
    /// Runs a statement that writes; returns how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let sql = AssertSqlSafe(sql.into());
        in_time(CALL_TIMEOUT, async {
            Ok(match self {
                Self::Sqlite(tx) => {
                    let query = sqlx::query_with(sql, lite(values)?);
                    tx.execute(query).await?.rows_affected()
                }
                Self::Postgres(tx) => {
                    let query = sqlx::query_with(sql, pg(values)?);
                    tx.execute(query).await?.rows_affected()
                }
            })
        })
        .await
    }

    /// Runs statements that take no values, separated by semicolons.
    pub(crate) async fn script(&mut self, sql: Sql) -> Result<(), StoreError> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Sqlite(tx) => tx.execute(script).await?.rows_affected(),
            Self::Postgres(tx) => tx.execute(script).await?.rows_affected(),
        };
        Ok(())
    }

    /// Reads rows, those of a `RETURNING` included.
    pub(crate) async fn rows<T>(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let sql = AssertSqlSafe(sql.into());
        in_time(CALL_TIMEOUT, async {
            match self {
                Self::Sqlite(tx) => {
                    let rows = tx.fetch_all(sqlx::query_with(sql, lite(values)?)).await?;
                    rows.iter().map(|row| read(&Row::Sqlite(row))).collect()
                }
                Self::Postgres(tx) => {
                    let rows = tx.fetch_all(sqlx::query_with(sql, pg(values)?)).await?;
                    rows.iter().map(|row| read(&Row::Postgres(row))).collect()
                }
            }
        })
        .await
    }

    /// Commits. After an error nobody knows whether it was; that is why all writes are idempotent.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        in_time(CALL_TIMEOUT, async {
            match self {
                Self::Sqlite(tx) => tx.commit().await?,
                Self::Postgres(tx) => tx.commit().await?,
            }
            Ok(())
        })
        .await
    }
}

async fn in_time<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
    }
}

fn lite(values: Vec<Value>) -> Result<SqliteArguments, StoreError> {
    let mut bound = SqliteArguments::default();
    bound.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::Int(int) => bound.add(int),
            // By value, so that sqlx shares the text instead of copying it.
            Value::Text(Some(text)) => bound.add(text),
            Value::Text(None) => bound.add(None::<i64>),
            Value::Json(text) => bound.add(text),
            Value::Bytes(bytes) => bound.add(bytes),
        }
        .map_err(StoreError::Refused)?;
    }
    Ok(bound)
}

fn pg(values: Vec<Value>) -> Result<PgArguments, StoreError> {
    let mut bound = PgArguments::default();
    bound.reserve(values.len(), values.len() * 16);
    for value in values {
        match value {
            Value::Int(int) => bound.add(int),
            Value::Text(text) => bound.add(text.as_deref()),
            Value::Json(text) => bound.add(text),
            Value::Bytes(bytes) => bound.add(bytes),
        }
        .map_err(StoreError::Refused)?;
    }
    Ok(bound)
}

macro_rules! cell {
    ($row:expr, $column:expr, $type:ty) => {
        match $row {
            Row::Sqlite(row) => row.try_get_unchecked::<$type, usize>($column),
            Row::Postgres(row) => row.try_get_unchecked::<$type, usize>($column),
        }
        .map_err(StoreError::corrupt)
    };
}

impl Row<'_> {
    pub(crate) fn int(&self, column: usize) -> Result<i64, StoreError> {
        cell!(self, column, i64)
    }

    pub(crate) fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        cell!(self, column, Option<i64>)
    }

    /// A count; what is below zero was written by hand and counts as zero.
    pub(crate) fn count(&self, column: usize) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.int(column)?).unwrap_or(0))
    }

    pub(crate) fn text(&self, column: usize) -> Result<&str, StoreError> {
        cell!(self, column, &str)
    }

    pub(crate) fn opt_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        cell!(self, column, Option<&str>)
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<&[u8], StoreError> {
        cell!(self, column, &[u8])
    }

    pub(crate) fn opt_bytes(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        cell!(self, column, Option<&[u8]>)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(Some(int))
    }
}

impl From<Option<i64>> for Value {
    fn from(int: Option<i64>) -> Self {
        Self::Int(int)
    }
}

impl From<u64> for Value {
    /// Counts beyond `i64` are stored as its largest value.
    fn from(count: u64) -> Self {
        Self::Int(Some(i64::try_from(count).unwrap_or(i64::MAX)))
    }
}

impl From<Option<u64>> for Value {
    fn from(count: Option<u64>) -> Self {
        Self::Int(count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::from(Some(Arc::<str>::from(text)))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::from(text.map(Arc::<str>::from))
    }
}

impl From<Option<Arc<str>>> for Value {
    /// PostgreSQL's TEXT cannot hold NUL, and callers choose some of these texts: it becomes the
    /// replacement character in both databases.
    fn from(text: Option<Arc<str>>) -> Self {
        Self::Text(text.map(|text| {
            if text.as_bytes().contains(&0) { text.replace('\0', "\u{fffd}").into() } else { text }
        }))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}
