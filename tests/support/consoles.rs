//! Two consoles that share a database: on PostgreSQL each with a machine of its own, on SQLite two processes of one.

use super::databases::{NOW, console, new_postgres};
use mailgrant::app::App;
use mailgrant::clock::MockClock;
use mailgrant::worker::instances;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tempfile::TempDir;

/// The two, and the clock of both.
pub struct Pair {
    pub first: App,
    pub second: App,
    pub clock: MockClock,
    /// Where the database is; none: SQLite.
    pub url: Option<String>,
    _directories: [TempDir; 2],
}

impl Pair {
    /// One on each engine there is.
    pub async fn on_each() -> Vec<Self> {
        let mut pairs = vec![Self::on(None).await];
        match new_postgres().await {
            Some(url) => pairs.push(Self::on(Some(url)).await),
            None => eprintln!("PostgreSQL not tried: start with tests/run"),
        }
        pairs
    }

    async fn on(url: Option<String>) -> Self {
        let directories = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let [one, other] = directories.each_ref().map(|directory| directory.path().join("data"));
        let clock = MockClock::at(NOW);
        let first = console(&one, url.as_deref(), Arc::new(clock.clone())).await;
        let second = match &url {
            Some(url) => {
                // The key is the same.
                std::fs::create_dir(&other).unwrap();
                std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o700)).unwrap();
                std::fs::copy(one.join("master.key"), other.join("master.key")).unwrap();
                console(&other, Some(url), Arc::new(clock.clone())).await
            }
            None => console(&one, None, Arc::new(clock.clone())).await,
        };
        for app in [&first, &second] {
            instances::tick(app).await.unwrap();
        }
        Self {
            first,
            second,
            clock,
            url,
            _directories: directories,
        }
    }
}
