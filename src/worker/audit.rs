//! The audit log's own work, done by one instance for all: looks through the chain after the start and every day, writes anchors to the
//! log, and cuts what is older than it has to be kept.

use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::audit::{Anchor, Checked};
use crate::model::settings::KEEP_AUDIT;
use crate::store::audit::Trim;
use crate::store::{StoreError, StoreResult};
use crate::telemetry::NOTICE;
use std::time::Duration;

/// How long between two passes?
pub const EVERY: Duration = Duration::from_secs(60);
/// Name of the duty.
const DUTY: &str = "audit";
/// Setting that holds the last anchor, and when it was written.
const ANCHORED: &str = "audit.anchored";

/// How many seconds between two looks?
const LOOK: i64 = 86_400;
/// How long does a look rest after every thousand entries?
const REST: Duration = Duration::from_millis(5);
/// After how many entries is an anchor written, and after how many seconds if there is any?
const ANCHOR_ENTRIES: i64 = 1000;
const ANCHOR_SECONDS: i64 = 600;
/// How many entries are cut at once, how often in one pass, and with what rest between?
const STEP: i64 = 500;
const STEPS: u32 = 100;
const STEP_REST: Duration = Duration::from_millis(50);

/// One pass.
pub async fn tick(app: &App) -> StoreResult<()> {
    if !super::has_duty(app, DUTY).await? {
        return Ok(());
    }
    // Where the log is damaged no anchor can be written, and that has to be found all the same.
    let anchored = anchor(app).await;
    let now = app.clock.now();
    let last = app.store.audit_checked().await?;
    let is_due = last.is_none_or(|last| now.since(last.at) >= LOOK || last.at > now);
    if is_due || !app.workers.has_looked() {
        look(app).await?;
    }
    let trimmed = trim(app).await;
    anchored.and(trimmed)
}

/// Looks through the chain and keeps what it found.
pub async fn look(app: &App) -> StoreResult<Checked> {
    let before = app.store.audit_checked().await?;
    let chain = app.store.check_audit(REST).await?;
    let found = Checked {
        at: app.clock.now(),
        chain,
    };
    let mut tx = app.store.begin().await?;
    tx.note_audit_checked(&found).await?;
    tx.commit().await?;
    app.workers.note_look();
    let was = before.and_then(|before| before.chain.broken);
    match &found.chain.broken {
        Some(broken) if was.as_ref() != Some(broken) => {
            let sequence = broken.sequence;
            tracing::error!(
                area = "console",
                sequence,
                "The chain of the audit log breaks at entry {sequence}: {}",
                broken.what
            );
        }
        None if was.is_some() => tracing::warn!(area = "console", "The chain of the audit log is intact again"),
        _ => {}
    }
    Ok(found)
}

/// Writes an anchor where it is time for one (AUD-4): the log of the service keeps it out of the database's reach.
pub async fn anchor(app: &App) -> StoreResult<Option<Anchor>> {
    if app.config.demo {
        // It keeps nothing, and its terminal is somebody's.
        return Ok(None);
    }
    let now = app.clock.now();
    let head = app.store.audit_head().await?;
    let stored = app.store.setting(ANCHORED).await?.unwrap_or_default();
    let (at, last) = match (stored.split_once(' '), Anchor::all(&stored).into_iter().next()) {
        (Some((at, _)), Some(last)) => (Timestamp(at.parse().unwrap_or(0)), last.sequence),
        _ => (Timestamp(0), 0),
    };
    let (entries, seconds) = (head.sequence - last, now.since(at));
    let is_due = entries >= ANCHOR_ENTRIES || (entries != 0 && !(0..ANCHOR_SECONDS).contains(&seconds));
    if !is_due {
        return Ok(None);
    }
    tracing::info!(target: NOTICE, "Audit anchor {head}");
    let mut tx = app.store.begin().await?;
    tx.put_setting(ANCHORED, &format!("{} {head}", now.0)).await?;
    tx.commit().await?;
    Ok(Some(head))
}

/// Cuts entries that need not be kept any more, in steps.
pub async fn trim(app: &App) -> StoreResult<()> {
    let days = settings::number(app, &KEEP_AUDIT).await?;
    for _ in 0..STEPS {
        if app.stopping.is_cancelled() {
            break;
        }
        let now = app.clock.now();
        match app.store.trim_audit(now.plus(-days * 86_400), now, STEP).await? {
            Trim::Cut(_) => tokio::time::sleep(STEP_REST).await,
            Trim::Nothing => break,
            Trim::Broken(sequence) => {
                return Err(StoreError::Unusable(format!(
                    "old audit entries are not cut, because the chain breaks at entry {sequence}"
                )));
            }
        }
    }
    Ok(())
}
