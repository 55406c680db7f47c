//! Keeps the system log: what [`crate::telemetry`] copied goes into the database in batches. Where the database refuses, entries are
//! counted and let go, and one line tells of them later; nothing waits for this.

use crate::app::App;
use crate::model::log::{Area, Level, LogEntry};
use crate::telemetry::{Queue, UNKEPT};
use serde_json::Map;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Most entries of a batch.
const BATCH: usize = 256;
/// How long does a batch wait for more? Each is one write to the disk.
const PAUSE: Duration = Duration::from_millis(500);

/// Keeps entries until `ended`, and then those that are left.
pub async fn run(app: App, mut queue: Queue, ended: CancellationToken) {
    let mut keeper = Keeper::new(app);
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            count = queue.entries.recv_many(&mut batch, BATCH) => if count == 0 { return },
            () = ended.cancelled() => {}
        }
        while batch.len() < BATCH {
            match queue.entries.try_recv() {
                Ok(entry) => batch.push(entry),
                Err(_) => break,
            }
        }
        if batch.is_empty() {
            return;
        }
        let lost = queue.lost.swap(0, Ordering::Relaxed);
        let lost = keeper.keep(batch, lost).await;
        queue.lost.fetch_add(lost, Ordering::Relaxed);
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = ended.cancelled() => {}
        }
    }
}

/// Writes batches.
pub struct Keeper {
    app: App,
    refused: bool,
}

impl Keeper {
    /// Keeps entries of this console.
    pub fn new(app: App) -> Self {
        Self { app, refused: false }
    }

    /// Writes a batch, and how many entries were lost before it; says how many are lost now.
    pub async fn keep(&mut self, mut batch: Vec<LogEntry>, lost: u64) -> u64 {
        if lost > 0
            && let Some(first) = batch.first()
        {
            batch.insert(0, loss(first, lost));
        }
        match self.app.store.insert_log(&batch).await {
            Ok(added) => {
                if std::mem::take(&mut self.refused) {
                    tracing::info!(target: UNKEPT, "The system log is kept again");
                }
                let count = u64::try_from(batch.len()).unwrap_or(added);
                count.saturating_sub(added)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.refused, true) {
                    tracing::warn!(target: UNKEPT, %error, "The system log can't be kept now: {error}");
                }
                let own = u64::from(lost > 0);
                lost + u64::try_from(batch.len()).unwrap_or(0).saturating_sub(own)
            }
        }
    }
}

/// The line that tells of a loss, just before what came after it.
fn loss(next: &LogEntry, lost: u64) -> LogEntry {
    let what = if lost == 1 {
        "1 entry".to_owned()
    } else {
        format!("{lost} entries")
    };
    LogEntry {
        id: next.id.saturating_sub(1),
        at: next.at,
        level: Level::Warn,
        area: Area::Console,
        subject: String::new(),
        message: format!("{what} of this log could not be kept before this one"),
        details: Map::new(),
        run: String::new(),
    }
}
