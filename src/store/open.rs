//! Opening the database: file modes, one key for one database, migrations, and refusing what is damaged, newer or elsewhere.

mod files;

use super::{Engine, Store, StoreError, StoreResult};
use crate::clock::Timestamp;
use crate::config::{Config, MasterKeySource};
use crate::random::Random;
use crate::vault::keyring::Keyring;
use crate::vault::{MasterKey, MasterKeyError, Vault};
use files::{check_mode, open_private, percent_path, prepare_directory, sqlite_path, was_never_finished};
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, Connection};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What is said where the database has keys and this console has none.
const MISSING: &str = "the master key is missing, though the database has one";

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Setting that holds the check value of the master key.
pub(crate) const KEY_CHECK: &str = "vault.master_key_check";

/// Why there is no connection.
async fn why_unreachable(url: &str) -> sqlx::Error {
    match tokio::time::timeout(Duration::from_secs(3), AnyConnection::connect(url)).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

impl Store {
    /// Opens (at first start: makes) the data directory, master key and database, and the vault over them.
    ///
    /// Refuses, and leaves everything untouched, when the key is wrong, missing, readable by others or malformed (SEC-4), when the
    /// database is missing beside an existing key (DUR-5), made by a newer version (UPG-1), or damaged.
    pub async fn open(config: &Config, random: Arc<dyn Random>, now: Timestamp) -> StoreResult<(Self, Vault)> {
        let directory = &config.data_dir;
        prepare_directory(directory)?;
        let lock = open_private(&directory.join("init.lock"))?;
        // Another process may be opening the same directory: wait for it off the async threads. Held until this returns.
        let _lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
            .await
            .map_err(|error| unusable(error.to_string()))?
            .map_err(|error| unusable(format!("the data directory can't be locked: {error}")))?;

        let file = directory.join("mailgrant.db");
        let url = config.database_url.as_ref().map(|url| url.expose_secret().to_owned());
        let engine = if url.as_deref().is_some_and(|url| url.starts_with("postgres")) {
            Engine::Postgres
        } else {
            Engine::Sqlite
        };
        let file = match (&url, engine) {
            (Some(url), Engine::Sqlite) => sqlite_path(url),
            _ => file,
        };
        let key_file = directory.join("master.key");
        let fresh_file = engine == Engine::Sqlite && !file.exists();
        let master = match &config.master_key {
            MasterKeySource::Value(text) => Some(MasterKey::from_base64(text.expose_secret(), "MAILGRANT_MASTER_KEY")),
            MasterKeySource::File(path) => Some(MasterKey::from_file(path)),
            MasterKeySource::DataDir if key_file.exists() => Some(MasterKey::from_file(&key_file)),
            MasterKeySource::DataDir => None,
        }
        .transpose()
        .map_err(|error| key_error(&error))?;
        if fresh_file && matches!(config.master_key, MasterKeySource::DataDir) && master.is_some() {
            return Err(unusable(format!(
                "the database {} is missing, though its master key is here; nothing was made\nhelp: restore the database from a backup, or move {} away to start anew",
                file.display(),
                key_file.display()
            )));
        }

        let url = match engine {
            Engine::Postgres => url.unwrap_or_default(),
            Engine::Sqlite => {
                if !fresh_file {
                    check_mode(&file)?;
                    if master.is_none() && !was_never_finished(&file).await {
                        return Err(unusable(format!(
                            "master key file {} is missing; without it nothing stored can be read\nhelp: put the key file back, or set MAILGRANT_MASTER_KEY_FILE",
                            key_file.display()
                        )));
                    }
                }
                // Made here, so that the file and those beside it get the mode.
                drop(open_private(&file)?);
                format!("sqlite://{}", percent_path(&file))
            }
        };
        let store = Self::connect(&url, engine).await?;
        let has_tables = store.has_tables().await?;
        if has_tables {
            // A first start that was killed has made tables and no key yet.
            let check = store.setting(KEY_CHECK).await.ok().flatten();
            if let Some(check) = check {
                let master = master.as_ref().ok_or_else(|| unusable("the master key is missing, though the database has one\nhelp: set MAILGRANT_MASTER_KEY_FILE to the key of this database".into()))?;
                // Compared before anything is written, so that a wrong key leaves the database as it was.
                if check != master.check_value() {
                    store.pool.close().await;
                    return Err(key_error(&MasterKeyError::Wrong));
                }
            }
        }
        store.migrate(has_tables, directory).await?;
        let vault = store.open_vault(master, config, &key_file, random, now).await?;
        store.protect_audit().await?;
        let _ = store.audit_key.set(vault.derived("audit"));
        Ok((store, vault))
    }

    /// A pool with the settings of DUR-1.
    async fn connect(url: &str, engine: Engine) -> StoreResult<Self> {
        sqlx::any::install_default_drivers();
        let refused = |error: sqlx::Error| match engine {
            Engine::Sqlite => unusable(format!(
                "the database can't be opened: {error}\nhelp: if the file is damaged, restore it from a backup; nothing was changed"
            )),
            Engine::Postgres => unusable(format!("PostgreSQL can't be reached: {error}\nhelp: check MAILGRANT_DATABASE_URL")),
        };
        let first = match engine {
            // The pool would try a damaged file again and again, and then say only that it took too long.
            Engine::Sqlite => {
                let mut first = AnyConnection::connect(url).await.map_err(refused)?;
                prepare_connection(&mut first, engine).await.map_err(refused)?;
                Some(first)
            }
            Engine::Postgres => None,
        };
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(10))
            // A file does not hang up; asking it first would cost every statement a third of its time. Every release asks anyway.
            .test_before_acquire(engine == Engine::Postgres)
            // A full disk ends a transaction inside SQLite, and the driver still counts it: such a connection begins none any more.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .after_connect(move |connection, _| Box::pin(prepare_connection(connection, engine)))
            .connect(url)
            .await;
        let pool = match pool {
            // It has tried for a while, as a server that starts needs it; what kept it from connecting it doesn't say.
            Err(sqlx::Error::PoolTimedOut) => return Err(refused(why_unreachable(url).await)),
            other => other.map_err(refused)?,
        };
        if let Some(first) = first {
            let _ = first.close().await;
        }
        Ok(Self {
            pool,
            engine,
            writer: Arc::new(tokio::sync::Mutex::new(())),
            audit_key: Arc::new(OnceLock::new()),
            limits: Arc::default(),
        })
    }

    async fn has_tables(&self) -> StoreResult<bool> {
        let sql = match self.engine {
            Engine::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'",
            Engine::Postgres => {
                "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = '_sqlx_migrations' AND table_schema = current_schema()"
            }
        };
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&self.pool).await.map_err(|error| {
            unusable(format!(
                "the database can't be read: {error}\nhelp: restore it from a backup; nothing was changed"
            ))
        })?;
        Ok(count > 0)
    }

    async fn migrate(&self, has_tables: bool, directory: &Path) -> StoreResult<()> {
        let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        let applied: i64 = if has_tables {
            sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
                .fetch_one(&self.pool)
                .await?
        } else {
            0
        };
        if applied > newest {
            return Err(unusable(format!(
                "the database was made by a newer version of Mailgrant (schema {applied}, this one knows {newest})\nhelp: start the newer version again"
            )));
        }
        if has_tables && applied < newest && self.engine == Engine::Sqlite {
            let copy = directory.join(format!("before-upgrade-from-{applied}.db"));
            let _ = std::fs::remove_file(&copy);
            sqlx::query("VACUUM INTO $1")
                .bind(copy.display().to_string())
                .execute(&self.pool)
                .await
                .map_err(StoreError::from_write)?;
            let _ = std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600));
        }
        match MIGRATIONS.run(&self.pool).await {
            Ok(()) => Ok(()),
            Err(MigrateError::VersionMissing(version)) => Err(unusable(format!(
                "the database has schema {version}, which this version of Mailgrant does not know\nhelp: start the newer version again"
            ))),
            Err(error) => Err(unusable(format!("the database can't be brought up to date: {error}"))),
        }
    }

    async fn open_vault(
        &self,
        master: Option<MasterKey>,
        config: &Config,
        key_file: &Path,
        random: Arc<dyn Random>,
        now: Timestamp,
    ) -> StoreResult<Vault> {
        let rows = self.key_rows().await?;
        if !rows.is_empty() {
            let master = master.ok_or_else(|| unusable(MISSING.into()))?;
            let keyring = Keyring::open(&master, &rows).map_err(|error| key_error(&error))?;
            return Ok(Vault::new(keyring, random));
        }
        let made_here = master.is_none();
        let master = master.unwrap_or_else(|| MasterKey::generate(&*random));
        let rows = Keyring::first_rows(&master, &*random);
        let keyring = Keyring::open(&master, &rows).map_err(|error| key_error(&error))?;
        let mut tx = self.begin().await?;
        for row in &rows {
            match tx.insert_key(row, now).await {
                // Another console began with this database at the same moment: its keys count.
                Err(StoreError::Taken) => {
                    drop(tx);
                    if made_here {
                        return Err(unusable(MISSING.into()));
                    }
                    let rows = self.key_rows().await?;
                    let keyring = Keyring::open(&master, &rows).map_err(|error| key_error(&error))?;
                    return Ok(Vault::new(keyring, random));
                }
                other => other?,
            }
        }
        tx.put_setting(KEY_CHECK, &master.check_value()).await?;
        if made_here {
            // Before the commit: a database whose key was lost must not exist. A key without a database says what happened.
            debug_assert!(matches!(config.master_key, MasterKeySource::DataDir));
            master.write_new(key_file).map_err(|error| key_error(&error))?;
        }
        tx.commit().await?;
        Ok(Vault::new(keyring, random))
    }

    /// Looks for damage (SQLite's `quick_check`); `Err` says how to restore.
    pub async fn check_integrity(&self) -> StoreResult<()> {
        if self.engine == Engine::Sqlite {
            let answer: String = sqlx::query_scalar("PRAGMA quick_check(1)")
                .fetch_one(&self.pool)
                .await
                .unwrap_or_else(|error| error.to_string());
            if answer != "ok" {
                return Err(unusable(format!(
                    "the database is damaged: {answer}\nhelp: stop here and restore mailgrant.db from a backup; nothing was changed"
                )));
            }
        }
        Ok(())
    }
}

/// The settings of DUR-1, for one connection.
async fn prepare_connection(connection: &mut AnyConnection, engine: Engine) -> Result<(), sqlx::Error> {
    let statements: &[&'static str] = match engine {
        Engine::Sqlite => &[
            "PRAGMA busy_timeout = 5000",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
            "PRAGMA secure_delete = ON",
            "PRAGMA journal_size_limit = 67108864",
            // In KiB, for each connection; the operating system keeps the file in memory anyway.
            "PRAGMA cache_size = -1024",
        ],
        Engine::Postgres => &["SET synchronous_commit = on"],
    };
    for statement in statements {
        sqlx::query(*statement).execute(&mut *connection).await?;
    }
    Ok(())
}

fn unusable(text: String) -> StoreError {
    StoreError::Unusable(text)
}

fn key_error(error: &MasterKeyError) -> StoreError {
    let help = match error {
        MasterKeyError::Missing(_) => "put the key file back, or correct MAILGRANT_MASTER_KEY_FILE",
        MasterKeyError::Exposed(..) => "chmod 600 the file; if others could read it, change the secrets it protects",
        MasterKeyError::Malformed(_) => "a key is 32 random bytes in base64, like the one a first start makes",
        MasterKeyError::Wrong => "use the key this database was made with; nothing was changed",
        MasterKeyError::Damaged(_) => "restore the database from a backup; nothing was changed",
        MasterKeyError::Io(..) => "check the file and who may read it",
    };
    unusable(format!("{error}\nhelp: {help}"))
}
