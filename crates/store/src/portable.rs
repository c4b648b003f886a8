//! What differs between SQLite and PostgreSQL. Each difference is one function with two arms.

use std::{fmt::Write, path::Path, str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    StoreError,
    db::{Db, Tx},
};

/// How long SQLite waits for another process's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is asked again where it does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// How long a call waits for a free connection, and for PostgreSQL to accept one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_SQLITE_READERS: u32 = 4;
/// Rows that SQLite's thread may be ahead of ours; fewer mean more switches between the two.
const SQLITE_ROW_BUFFER: usize = 128;
const MAX_POSTGRES_CONNECTIONS: u32 = 10;
/// Connections beyond the first are closed after this long without work.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The advisory lock that migrations take, `tollgate` in ASCII.
const MIGRATION_LOCK: i64 = 0x746f_6c6c_6761_7465;

/// Connects to `sqlite://path`, `sqlite::memory:` or `postgres://…`.
pub(crate) async fn connect(url: &str) -> Result<Db, StoreError> {
    let scheme = url.split(':').next().unwrap_or_default();
    match scheme {
        "sqlite" => connect_sqlite(url).await,
        "postgres" | "postgresql" => connect_postgres(url).await,
        _ => Err(StoreError::other(
            "expected a URL that begins with `sqlite:`, `postgres:` or `postgresql:`",
        )),
    }
}

/// SQLite: write-ahead log, `synchronous=NORMAL`: a commit survives the process (kill -9), while
/// a power cut may take the last commits, never the database's consistency. The same holds for
/// the journal that feeds it.
async fn connect_sqlite(url: &str) -> Result<Db, StoreError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(StoreError::other)?
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(SQLITE_ROW_BUFFER)
        .disable_statement_logging();
    if url.contains(":memory:") || url.contains("mode=memory") {
        // Each connection to memory is a database of its own, so there is one, and it stays.
        let only = sqlite_pool().max_connections(1).idle_timeout(None);
        let only = only.connect_with(options).await?;
        return Ok(Db::Sqlite { writer: only.clone(), reader: only });
    }
    create_private(options.get_filename()).map_err(StoreError::other)?;
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("journal_size_limit", "67108864")
        // Pages: most of what is written is added at the end, and need not be moved soon.
        .pragma("wal_autocheckpoint", "4000");
    // KiB: one batch of usage rows, which else is written twice.
    let writer = first_sqlite_connection(&options.clone().pragma("cache_size", "-2048")).await?;
    let reader: SqlitePool = sqlite_pool()
        .max_connections(MAX_SQLITE_READERS)
        .idle_timeout(IDLE_TIMEOUT)
        // The operating system caches the file as well, and there are several of them.
        .connect_lazy_with(options.pragma("cache_size", "-128").pragma("query_only", "1"));
    Ok(Db::Sqlite { writer, reader })
}

/// Opens the one connection that writes. While another process makes the same file a write-ahead
/// log, or closes it as the last, SQLite says "locked" at once instead of waiting, so this waits.
async fn first_sqlite_connection(options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let mut waited = Duration::ZERO;
    loop {
        // A full disk makes SQLite end a transaction by itself; the driver then takes the
        // connection for one that is still in it, for ever. Such a connection is replaced.
        let pool =
            sqlite_pool().max_connections(1).idle_timeout(None).before_acquire(|connection, _| {
                Box::pin(async { Ok(!connection.is_in_transaction()) })
            });
        match pool.connect_with(options.clone()).await.map_err(StoreError::from) {
            Err(error) if error.retry() && waited < BUSY_TIMEOUT => {
                tokio::time::sleep(BUSY_PAUSE).await;
                waited += BUSY_PAUSE;
            }
            result => return result,
        }
    }
}

fn sqlite_pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(0)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(BUSY_TIMEOUT + ACQUIRE_TIMEOUT)
}

/// Makes the file, readable by its owner alone, and the folders above it. SQLite gives the files
/// beside it the same rights.
fn create_private(file: &Path) -> std::io::Result<()> {
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true);
    let mut create = std::fs::OpenOptions::new();
    create.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folder.mode(0o700);
        create.mode(0o600);
    }
    if let Some(parent) = file.parent()
        && !parent.as_os_str().is_empty()
    {
        folder.create(parent)?;
    }
    match create.open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// PostgreSQL: one connection first, because a pool waits and tries again where a first start
/// wants to know at once.
async fn connect_postgres(url: &str) -> Result<Db, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(StoreError::other)?
        .application_name("tollgate")
        .options([("statement_timeout", "60s"), ("lock_timeout", "10s")])
        .disable_statement_logging();
    let first = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&options));
    let first = first.await.map_err(|elapsed| StoreError::Unavailable(Box::new(elapsed)))??;
    first.close().await?;
    let pool: PgPool = PgPoolOptions::new()
        .min_connections(0)
        .max_connections(MAX_POSTGRES_CONNECTIONS)
        .idle_timeout(IDLE_TIMEOUT)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options);
    Ok(Db::Postgres(pool))
}

/// Waits until no other process migrates. SQLite's write transaction is that lock already.
pub(crate) async fn lock_migrations(tx: &mut Tx) -> Result<(), StoreError> {
    match tx {
        Tx::Sqlite(_) => Ok(()),
        Tx::Postgres(_) => {
            tx.rows("SELECT pg_advisory_xact_lock($1)", vec![MIGRATION_LOCK.into()], |_| Ok(()))
                .await?;
            Ok(())
        }
    }
}

/// Placeholders for rows of values: `($1, $2), ($3, $4)`. In SQLite `?`, because it looks up the
/// number of a named placeholder by scanning all names, for each value.
pub(crate) fn rows_of_placeholders(tx: &Tx, rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 7);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            text.push_str(if column == 0 { "" } else { ", " });
            match tx {
                Tx::Sqlite(_) => text.push('?'),
                Tx::Postgres(_) => drop(write!(text, "${}", row * columns + column + 1)),
            }
        }
        text.push(')');
    }
    text
}

/// What an error means for the caller.
pub(crate) fn classify(error: sqlx::Error) -> StoreError {
    let sqlx::Error::Database(database) = &error else {
        return classify_driver(error);
    };
    if database.is_unique_violation() {
        // SQLite names the column in its message, PostgreSQL names the index.
        let text = database.constraint().unwrap_or_else(|| database.message());
        let what = if text.contains("alias") { "alias" } else { "hash" };
        return StoreError::Conflict { what };
    }
    let code = database.code().unwrap_or_default().into_owned();
    if database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        classify_postgres(&code, error)
    } else {
        classify_sqlite(code.parse().unwrap_or(0), error)
    }
}

/// Errors that no database sent. Listed are those that trying again does not mend.
#[expect(clippy::wildcard_enum_match_arm, reason = "sqlx's enum, which is non-exhaustive")]
fn classify_driver(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => StoreError::other(error),
        sqlx::Error::Encode(_) => StoreError::Refused(Box::new(error)),
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. } => StoreError::corrupt(error),
        _ => StoreError::Unavailable(Box::new(error)),
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn classify_postgres(code: &str, error: sqlx::Error) -> StoreError {
    match code.get(..2).unwrap_or_default() {
        // Connections, rollbacks by the server (deadlock), resources, operators (shut-down, time
        // limits), system errors; a server that has become a read-only replica.
        "08" | "40" | "53" | "57" | "58" => StoreError::Unavailable(Box::new(error)),
        _ if code == "25006" || code == "55P03" => StoreError::Unavailable(Box::new(error)),
        "22" | "23" => StoreError::Refused(Box::new(error)),
        "XX" => StoreError::corrupt(error),
        _ => StoreError::other(error),
    }
}

/// <https://www.sqlite.org/rescode.html>; the low byte is the class.
fn classify_sqlite(code: i32, error: sqlx::Error) -> StoreError {
    match code & 0xff {
        // busy, locked, out of memory, interrupted, I/O, full, schema lock protocol.
        5 | 6 | 7 | 9 | 10 | 13 | 15 => StoreError::Unavailable(Box::new(error)),
        // too big, constraint, mismatch.
        18..=20 => StoreError::Refused(Box::new(error)),
        // corrupt, not a database.
        11 | 26 => StoreError::corrupt(error),
        _ => StoreError::other(error),
    }
}
