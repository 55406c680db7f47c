//! A fresh database of each engine: SQLite always, PostgreSQL where the rig runs (MAILGRANT_TEST_RIG).

use mailgrant::app::App;
use mailgrant::clock::{Clock, Timestamp};
use mailgrant::config::{Config, Flags};
use mailgrant::oauth::{Http, Limits};
use mailgrant::random::{Random, SeededRandom, SystemRandom};
use mailgrant::store::Store;
use mailgrant::vault::Vault;
use sqlx::Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The moment tests begin at: 2026-11-21T08:00:00Z.
pub const NOW: Timestamp = Timestamp(1_795_248_000);

/// An opened database in a directory that lives as long as this.
pub struct Database {
    pub store: Store,
    pub vault: Vault,
    pub config: Config,
    _directory: TempDir,
}

/// Settings for a data directory, and whatever else.
pub fn config(directory: &Path, more: &[(&str, &str)]) -> Config {
    let flags = Flags {
        data_dir: Some(directory.to_path_buf()),
        ..Flags::default()
    };
    Config::load(&flags, |name| {
        more.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
    .unwrap()
}

/// The rig's PostgreSQL, for a superuser.
pub fn postgres_url() -> Option<String> {
    let rig = std::fs::read_to_string(std::env::var_os("MAILGRANT_TEST_RIG")?).unwrap();
    let rig: serde_json::Value = serde_json::from_str(&rig).unwrap();
    let _ = std::fs::File::create(Path::new(rig["ran"].as_str().unwrap()).join("postgresql"));
    Some(rig["postgres_url"].as_str().unwrap().to_owned())
}

/// A new, empty database on the rig's PostgreSQL; none without the rig.
pub async fn new_postgres() -> Option<String> {
    let url = postgres_url()?;
    sqlx::any::install_default_drivers();
    let name = format!("t{}", (&SystemRandom as &dyn Random).id());
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .unwrap();
    Some(format!("{}/{name}", url.rsplit_once('/').unwrap().0))
}

/// Opens a fresh database of each engine there is.
pub async fn databases() -> Vec<Database> {
    let mut urls = vec![None];
    match new_postgres().await {
        Some(url) => urls.push(Some(url)),
        None => eprintln!("PostgreSQL not tried: start with tests/run"),
    }
    let mut databases = Vec::new();
    for url in urls {
        let directory = TempDir::new().unwrap();
        let more: Vec<(&str, &str)> = url.as_deref().map(|url| ("MAILGRANT_DATABASE_URL", url)).into_iter().collect();
        let config = config(directory.path(), &more);
        let (store, vault) = Store::open(&config, Arc::new(SeededRandom::new(1)), NOW).await.unwrap();
        databases.push(Database {
            store,
            vault,
            config,
            _directory: directory,
        });
    }
    databases
}

/// A console over a data directory, on this database or on SQLite, that may go to this machine.
pub async fn console(data: &Path, url: Option<&str>, clock: Arc<dyn Clock>) -> App {
    let mut settings = vec![("MAILGRANT_ALLOW_NETWORKS", "loopback")];
    settings.extend(url.map(|url| ("MAILGRANT_DATABASE_URL", url)));
    App::open(config(data, &settings), clock, Arc::new(SystemRandom)).await.unwrap()
}

/// The same for tests of providers that hang: it waits so long for an answer.
pub async fn impatient_console(data: &Path, url: Option<&str>, clock: Arc<dyn Clock>, total: Duration) -> App {
    let mut app = console(data, url, clock).await;
    let limits = Limits {
        connect: Duration::from_millis(500),
        total,
        ..Limits::default()
    };
    let tls = app.connector.roots().client_config().unwrap();
    app.http = Http::new(app.gate.clone(), Arc::new(tls), limits);
    app
}
