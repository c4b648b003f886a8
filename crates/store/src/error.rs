//! Why the database did not do it.

use std::error::Error;

type Source = Box<dyn Error + Send + Sync>;

/// Why the database did not do it. The variants are what a caller decides by; the sources are for
/// the log and hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is stopping, is full or took too long. It may come back.
    #[error("the database is not available: {0}")]
    Unavailable(Source),
    /// A row with this `what` exists already.
    #[error("another key has the same {what}")]
    Conflict {
        /// The column: `hash` or `alias`.
        what: &'static str,
    },
    /// A value that the database cannot hold. Trying again does not help.
    #[error("the database refuses a value: {0}")]
    Refused(Source),
    /// A newer Tollgate has migrated this database.
    #[error(
        "the database has schema version {found}, this Tollgate knows {known}: run a newer Tollgate"
    )]
    NewerSchema {
        /// The version of the database.
        found: i64,
        /// The newest version this binary knows.
        known: i64,
    },
    /// The database holds something that Tollgate did not write.
    #[error("the database is damaged or was changed by hand: {0}")]
    Corrupt(Source),
    /// Anything else: missing rights, a URL that names no database, a journal that cannot be
    /// written.
    #[error("the store failed: {0}")]
    Other(Source),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn retry(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Conflict { .. }
            | Self::Refused(_)
            | Self::NewerSchema { .. }
            | Self::Corrupt(_)
            | Self::Other(_) => false,
        }
    }

    pub(crate) fn corrupt(what: impl Into<Source>) -> Self {
        Self::Corrupt(what.into())
    }

    pub(crate) fn other(what: impl Into<Source>) -> Self {
        Self::Other(what.into())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        crate::portable::classify(error)
    }
}
