//! Brings a database to the schema this binary knows. One folder of SQL for both databases.

use crate::{StoreError, db::Db, portable};

/// All migrations, in order; a version is its place, from 1.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_keys_usage_settings", include_str!("../migrations/0001_keys_usage_settings.sql")),
    ("0002_spend_log", include_str!("../migrations/0002_spend_log.sql")),
    ("0003_pending", include_str!("../migrations/0003_pending.sql")),
];

const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    sql TEXT NOT NULL
)";
const APPLIED: &str = "SELECT version, name, sql FROM migrations ORDER BY version";

/// A migration that the database has: its version, name and text.
type Applied = (i64, String, String);

/// Applies what is missing, in one transaction; any number of processes may do so at once.
pub(crate) async fn migrate(db: &Db) -> Result<(), StoreError> {
    // The usual start: nothing to do, and no lock to take. The table may not exist yet.
    if let Ok(applied) = db.rows(APPLIED, vec![], read).await
        && check(&applied)? == MIGRATIONS.len()
    {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    portable::lock_migrations(&mut tx).await?;
    tx.script(CREATE_TABLE.into()).await?;
    let applied = tx.rows(APPLIED, vec![], read).await?;
    let done = check(&applied)?;
    for (place, (name, text)) in MIGRATIONS.iter().enumerate().skip(done) {
        tx.script((*text).into()).await?;
        let version = i64::try_from(place + 1).map_err(StoreError::other)?;
        let values = vec![version.into(), (*name).into(), (*text).into()];
        tx.execute("INSERT INTO migrations (version, name, sql) VALUES ($1, $2, $3)", values)
            .await?;
    }
    tx.commit().await
}

/// Returns how many of our migrations are applied; refuses a database that went another way.
fn check(applied: &[Applied]) -> Result<usize, StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).map_err(StoreError::other)?;
    if let Some((found, ..)) = applied.last()
        && *found > known
    {
        return Err(StoreError::NewerSchema { found: *found, known });
    }
    for ((_, name, sql), (our_name, text)) in applied.iter().zip(MIGRATIONS) {
        if name != our_name || sql != text {
            return Err(StoreError::corrupt(format!(
                "migration `{name}` was applied with another text than this Tollgate's"
            )));
        }
    }
    Ok(applied.len())
}

fn read(row: &crate::db::Row<'_>) -> Result<Applied, StoreError> {
    Ok((row.int(0)?, row.text(1)?.to_owned(), row.text(2)?.to_owned()))
}
