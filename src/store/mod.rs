//! The only SQL: whole statements in plain strings, one text for SQLite and PostgreSQL. Columns are TEXT and BIGINT; times are Unix
//! seconds, flags 0 or 1, lists JSON. Lookups return `Option`; changes happen in a [`Tx`] together with their audit entry.

pub mod attention;
pub mod audit;
pub mod authorizations;
pub mod batch_work;
pub mod batches;
pub mod bulk;
pub mod causes;
mod changes;
pub mod checks;
pub mod consents;
pub mod deliveries;
mod devices;
pub mod due;
pub mod expiry;
pub mod findings;
pub mod former;
pub mod going_on;
pub mod grants;
pub mod imports;
pub mod instances;
pub mod kept;
pub mod log;
mod mailbox_list;
mod mailbox_row;
pub mod mailboxes;
pub mod measures;
pub mod moves;
pub mod notices;
pub mod open;
pub mod overview;
pub mod own_grants;
pub mod proofs;
pub mod provider_links;
pub mod providers;
pub mod reports;
pub mod rests;
pub mod retention;
pub mod round_trips;
mod sealed;
mod search;
pub mod sessions;
pub mod settings;
pub mod slices;
pub mod throttles;
pub mod token_list;
pub mod tokens;
pub mod turns;
pub mod users;
pub mod walkthroughs;

use crate::model::audit::AuditRow;
use aws_lc_rs::hmac;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Row, Transaction};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

/// Which database this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite in the data directory.
    Sqlite,
    /// PostgreSQL by URL.
    Postgres,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    engine: Engine,
    /// SQLite has one writer; waiting here is fair, where its own lock would be polled for.
    writer: Arc<tokio::sync::Mutex<()>>,
    audit_key: Arc<OnceLock<hmac::Key>>,
    limits: Arc<sessions::SessionLimits>,
}

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine said no, or did not answer.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A name, address or other unique value is taken.
    #[error("there is one with this name already")]
    Taken,
    /// Something else still refers to the row.
    #[error("something else still uses it")]
    InUse,
    /// Somebody changed the row since it was read.
    #[error("somebody else changed it meanwhile")]
    Stale,
    /// A row holds what this version can't read.
    #[error("a stored {0} can't be read: {1}")]
    Row(&'static str, String),
    /// The database is locked or full, or the disk refuses writes: try again later.
    #[error("the database can't be written now: {0}")]
    Busy(String),
    /// The database cannot be used at all; the text says why and what to do.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// Whether it is the database that can't be used now, whatever it is asked for.
    pub fn is_away(&self) -> bool {
        use sqlx::Error::{Io, PoolClosed, PoolTimedOut, WorkerCrashed};
        match self {
            Self::Busy(_) | Self::Unusable(_) => true,
            Self::Database(error) => matches!(error, Io(_) | PoolClosed | PoolTimedOut | WorkerCrashed),
            Self::Taken | Self::InUse | Self::Stale | Self::Row(..) => false,
        }
    }

    /// Sorts an engine's error by what a caller can do about it.
    pub(crate) fn from_write(error: sqlx::Error) -> Self {
        if let Some(database) = error.as_database_error() {
            if database.is_unique_violation() {
                return Self::Taken;
            }
            if database.is_foreign_key_violation() {
                return Self::InUse;
            }
            let text = database.message();
            let known = [
                "database is locked",
                "disk is full",
                "attempt to write a readonly",
                "disk I/O error",
                "No space left",
                "deadlock detected",
            ];
            if known.iter().any(|known| text.contains(known)) {
                return Self::Busy(text.to_owned());
            }
        }
        Self::Database(error)
    }
}

/// A result of this part.
pub type StoreResult<T> = Result<T, StoreError>;

impl Store {
    /// Which engine.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The pool, for this module's own files and for tests.
    pub(crate) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// The pool, for tests that look at rows directly.
    #[doc(hidden)]
    pub fn raw_pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Begins a transaction that may write: `BEGIN IMMEDIATE` on SQLite, so that reading first cannot end in "database is locked".
    pub async fn begin(&self) -> StoreResult<Tx> {
        let guard = match self.engine {
            Engine::Sqlite => Some(Arc::clone(&self.writer).lock_owned().await),
            Engine::Postgres => None,
        };
        let inner = match self.engine {
            Engine::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Engine::Postgres => self.pool.begin().await,
        }
        .map_err(StoreError::from_write)?;
        Ok(Tx {
            inner,
            audit_key: self.audit_key.get().cloned(),
            entries: Vec::new(),
            _guard: guard,
        })
    }

    /// Whether the database answers at all.
    pub async fn ping(&self) -> StoreResult<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Lets the database finish: everything into the file, no log beside it.
    pub async fn close(&self) {
        self.pool.close().await;
        if self.engine == Engine::Sqlite {
            // Connections of a pool can end at the same moment; then none is the last one, and the log stays. One that is alone takes
            // it away, unless another process is at work.
            if let Ok(mut last) = AnyConnection::connect_with(&self.pool.connect_options()).await {
                // Another process keeps the log for itself: nothing to wait for.
                let _ = sqlx::query("PRAGMA busy_timeout = 0").execute(&mut last).await;
                let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut last).await;
                let _ = last.close().await;
            }
        }
    }
}

/// A transaction that may write. Dropped without [`Tx::commit`] it changes nothing.
pub struct Tx {
    inner: Transaction<'static, Any>,
    audit_key: Option<hmac::Key>,
    /// For the audit log, in the order they came; not yet numbered.
    entries: Vec<AuditRow>,
    _guard: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl Tx {
    /// Makes it last, with its entries of the audit log.
    pub async fn commit(mut self) -> StoreResult<()> {
        // Boxed, for it is part of whatever ends in a commit.
        Box::pin(self.append_entries()).await?;
        self.inner.commit().await.map_err(StoreError::from_write)
    }
}

impl Tx {
    /// Whether others write beside this transaction: then a row that is read to be changed is locked. SQLite lets nobody else write.
    fn has_others_beside(&self) -> bool {
        self._guard.is_none()
    }
}

/// Statements that write, at the end of their chain of values.
trait Write {
    /// Runs it in a transaction; how many rows it touched.
    async fn write(self, tx: &mut Tx) -> StoreResult<u64>;
}

impl Write for Query<'_, Any, AnyArguments> {
    async fn write(self, tx: &mut Tx) -> StoreResult<u64> {
        let done = self.execute(&mut *tx.inner).await.map_err(StoreError::from_write)?;
        Ok(done.rows_affected())
    }
}

impl Deref for Tx {
    type Target = Transaction<'static, Any>;
    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}

/// Typed access to columns by name, with the name in the error.
pub(crate) trait Columns {
    /// TEXT NOT NULL.
    fn text(&self, column: &'static str) -> StoreResult<String>;
    /// TEXT.
    fn maybe_text(&self, column: &'static str) -> StoreResult<Option<String>>;
    /// BIGINT NOT NULL.
    fn int(&self, column: &'static str) -> StoreResult<i64>;
    /// BIGINT.
    fn maybe_int(&self, column: &'static str) -> StoreResult<Option<i64>>;
    /// BIGINT NOT NULL, as a flag.
    fn flag(&self, column: &'static str) -> StoreResult<bool> {
        Ok(self.int(column)? != 0)
    }
    /// TEXT NOT NULL with JSON inside.
    fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> StoreResult<T> {
        serde_json::from_str(&self.text(column)?).map_err(|error| StoreError::Row(column, error.to_string()))
    }
    /// TEXT NOT NULL with one of the words of an enum.
    fn word<T>(&self, column: &'static str, parse: fn(&str) -> Option<T>) -> StoreResult<T> {
        let text = self.text(column)?;
        parse(&text).ok_or_else(|| StoreError::Row(column, format!("unknown word \"{text}\"")))
    }
    /// BIGINT, as a moment.
    fn maybe_time(&self, column: &'static str) -> StoreResult<Option<crate::clock::Timestamp>> {
        Ok(self.maybe_int(column)?.map(crate::clock::Timestamp))
    }
    /// BIGINT NOT NULL, as a moment.
    fn time(&self, column: &'static str) -> StoreResult<crate::clock::Timestamp> {
        Ok(crate::clock::Timestamp(self.int(column)?))
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &'static str) -> StoreResult<String> {
        Ok(self.try_get(column)?)
    }
    fn maybe_text(&self, column: &'static str) -> StoreResult<Option<String>> {
        Ok(self.try_get(column)?)
    }
    fn int(&self, column: &'static str) -> StoreResult<i64> {
        Ok(self.try_get(column)?)
    }
    fn maybe_int(&self, column: &'static str) -> StoreResult<Option<i64>> {
        Ok(self.try_get(column)?)
    }
}

pub(crate) fn name(row: &AnyRow, column: &'static str) -> StoreResult<crate::model::Name> {
    crate::model::Name::parse(&row.text(column)?).map_err(|error| StoreError::Row(column, error.to_string()))
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}
