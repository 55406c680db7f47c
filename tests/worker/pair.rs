//! Two consoles on one database, as if each had a machine of its own.

use crate::support::databases::{NOW, console, new_postgres};
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock, SystemClock};
use mailgrant::worker::instances;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tempfile::TempDir;

/// The two, with one clock that is moved by hand.
pub struct Pair {
    pub first: App,
    pub second: App,
    pub clock: MockClock,
    _dirs: [TempDir; 2],
}

impl Pair {
    /// One on each engine there is.
    pub async fn on_each() -> Vec<Self> {
        let mut pairs = vec![Self::on(None).await];
        match new_postgres().await {
            Some(url) => pairs.push(Self::on(Some(&url)).await),
            None => eprintln!("PostgreSQL not tried: start with tests/run"),
        }
        pairs
    }

    async fn on(url: Option<&str>) -> Self {
        let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        // The clock of a database server is the present.
        let clock = MockClock::at(if url.is_some() { SystemClock.now() } else { NOW });
        let [data, other] = dirs.each_ref().map(|dir| dir.path().join("data"));
        let first = console(&data, url, Arc::new(clock.clone())).await;
        let second = if url.is_some() {
            // A directory of its own; the key is the same.
            std::fs::create_dir(&other).unwrap();
            std::fs::set_permissions(&other, PermissionsExt::from_mode(0o700)).unwrap();
            std::fs::copy(data.join("master.key"), other.join("master.key")).unwrap();
            console(&other, url, Arc::new(clock.clone())).await
        } else {
            console(&data, None, Arc::new(clock.clone())).await
        };
        for app in [&first, &second] {
            instances::tick(app).await.unwrap();
        }
        Self {
            first,
            second,
            clock,
            _dirs: dirs,
        }
    }

    pub fn both(&self) -> [&App; 2] {
        [&self.first, &self.second]
    }
}

/// Sets a setting.
pub async fn set(app: &App, key: &str, value: &str) {
    let mut tx = app.store.begin().await.unwrap();
    tx.put_setting(key, value).await.unwrap();
    tx.commit().await.unwrap();
}
