//! What other processes on the same database see of a run, and how they stop it. Whoever runs it writes down how far it is, at most once
//! a second, and looks whether somebody wants it stopped.

use super::{Desk, Progress};
use crate::actions::access_token::lease;
use crate::app::App;
use crate::model::RunId;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::report::{Report, Stage};
use crate::store::reports::Run;
use crate::store::{Engine, StoreError, StoreResult};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often does a run say how far it is, and look whether it is to stop?
const EACH: Duration = Duration::from_secs(1);
/// How long does whoever stops a run elsewhere wait for its end?
const STOPS_WITHIN: Duration = Duration::from_secs(4);
/// After how many seconds has a run ended that nobody is known to be at?
const LONGEST: i64 = 3600;

/// What is known of a run that another process has under way.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// Its steps, in order.
    pub planned: Vec<Stage>,
    /// How far it is.
    pub progress: Progress,
    /// When it was asked for, by the runtime's clock.
    pub began: Instant,
}

/// How far a run of another process is; none where it ended, or where that is not written down.
pub async fn elsewhere(app: &App, run: &Run) -> StoreResult<Option<Elsewhere>> {
    let Some(found) = app.store.going_on(&run.id).await? else {
        return Ok(None);
    };
    let words: Vec<String> = serde_json::from_str(&found.planned).unwrap_or_default();
    let planned: Vec<Stage> = words.iter().filter_map(|word| Stage::parse(word)).collect();
    let (false, Ok(report)) = (planned.is_empty(), serde_json::from_str::<Report>(&found.report)) else {
        return Ok(None);
    };
    let now = app.clock.now();
    // Another machine's clock: as good as it is.
    let back = |since| {
        let seconds = u64::try_from(now.since(since)).unwrap_or(0);
        Instant::now()
            .checked_sub(Duration::from_secs(seconds))
            .unwrap_or_else(Instant::now)
    };
    Ok(Some(Elsewhere {
        progress: Progress {
            waiting: found.step_at.0 == 0,
            report,
            step_began: back(found.step_at),
        },
        planned,
        began: back(run.started_at),
    }))
}

/// The stages of a run, as its row has them.
pub(super) fn planned_text(planned: &[Stage]) -> String {
    let words: Vec<&str> = planned.iter().map(|stage| stage.as_str()).collect();
    crate::store::to_json(&words)
}

/// Says how far a run is and stops it where somebody wants that, as long as it goes on.
pub(super) async fn meet(app: App, id: RunId, mut progress: watch::Receiver<Progress>, cancel: CancellationToken) {
    // One console alone shows what it has in memory.
    let shares = app.store.engine() == Engine::Postgres;
    progress.mark_unchanged();
    loop {
        tokio::time::sleep(EACH).await;
        if app.store.is_stop_wanted(&id).await.unwrap_or(false) {
            cancel.cancel();
            return;
        }
        if !shares || !progress.has_changed().unwrap_or(false) {
            continue;
        }
        let now = progress.borrow_and_update().clone();
        let since = i64::try_from(now.step_began.elapsed().as_secs()).unwrap_or(0);
        let step_at = if now.waiting {
            crate::clock::Timestamp(0)
        } else {
            app.clock.now().plus(-since)
        };
        // What can't be written now is written a second later, or as the end.
        let _ = app.store.note_progress(&id, &crate::store::to_json(&now.report), step_at).await;
    }
}

/// Stops a run, whichever process has it under way; `false` where it had ended. Waits a moment for its end. That somebody stopped it is
/// written down with the wish, and before anything stops here.
pub async fn stop_anywhere(app: &App, actor: &Actor, run: &Run) -> StoreResult<bool> {
    let entry = AuditEntry {
        action: "mailbox.test_stop",
        target: format!("mailbox:{}", run.mailbox_name),
        detail: format!("run {}", run.id),
        outcome: "ok",
    };
    let (run, now) = (&run.id, app.clock.now());
    if let Some(live) = app.probes.live(run) {
        app.store.audit(now, actor, entry).await?;
        live.cancel.cancel();
        let _ = tokio::time::timeout(STOPS_WITHIN, live.end()).await;
        return Ok(true);
    }
    let mut tx = app.store.begin().await?;
    if !tx.want_stop(run).await? {
        return Ok(false);
    }
    tx.audit(now, actor, entry).await?;
    tx.commit().await?;
    let until = Instant::now() + STOPS_WITHIN;
    while Instant::now() < until && app.store.going_on(run).await?.is_some() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(true)
}

/// Ends the runs that a process left running when it died. For the start of `serve`: what other instances and commands beside it have
/// under way goes on.
pub async fn recover(app: &App) -> Result<u64, StoreError> {
    let now = app.clock.now();
    let (directory, own) = (lease::directory(app), app.flights.owner(app).as_str());
    let is_gone = |owner: Option<&str>, age| match owner {
        None => true,
        Some(owner) => owner != own && (lease::is_dead(&directory, owner) || age > LONGEST),
    };
    let running = app.store.running_runs().await?;
    let gone = running.iter().filter(|(_, owner, at)| is_gone(owner.as_deref(), now.since(*at)));
    let mut tx = app.store.begin().await?;
    let mut ended = 0;
    for (id, ..) in gone {
        tx.abandon_run(id, now).await?;
        ended += 1;
    }
    tx.commit().await?;
    Ok(ended)
}

/// Whether another instance has a run of this side of a mailbox under way. Where there is one instance only, nobody is asked.
pub(super) async fn is_tested_elsewhere(app: &App, order: &super::Order) -> StoreResult<bool> {
    if app.workers.share().1 < 2 {
        return Ok(false);
    }
    let own = app.flights.owner(app).as_str();
    Ok(app.store.run_elsewhere(&order.mailbox.id, order.direction, own).await?.is_some())
}

/// A run in the list of those that go on, for as long as this lives.
pub(super) struct Listed(pub Desk, pub RunId);

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.remove(&self.1);
    }
}
