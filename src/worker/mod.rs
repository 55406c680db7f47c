//! Work that nobody presses a button for. A worker is a `tick`, one pass that says what went wrong, and a loop around it; tests call the
//! tick.
//!
//! Several processes may serve one PostgreSQL database. [`instances`] knows which of them live; what is divided among them is claimed
//! piece by piece in the name of an instance, and what one does for all is a duty ([`has_duty`]). Claims of a process that died are free
//! within half a minute.

pub mod audit;
pub mod cleanup;
pub mod instances;
pub mod log;
pub mod monitor;
pub mod refresher;

use crate::app::App;
use crate::clock::Timestamp;
use crate::store::StoreResult;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the last pass of a worker went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What went wrong, in words for the log and the health page.
    pub problem: Option<String>,
}

/// What this process knows of its workers and of the instances beside it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Workers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    passes: Mutex<BTreeMap<&'static str, Pass>>,
    seen: instances::Seen,
    checks: monitor::Checks,
    looked: AtomicBool,
    share: Mutex<Option<(u64, u64)>>,
    refresher: refresher::Refresher,
}

impl Workers {
    /// The last pass of every worker of this process, by name.
    pub fn passes(&self) -> BTreeMap<&'static str, Pass> {
        self.lock().clone()
    }

    fn note(&self, worker: &'static str, pass: Pass) -> Option<Pass> {
        self.lock().insert(worker, pass)
    }

    /// Whether this process has looked through the audit log.
    fn has_looked(&self) -> bool {
        self.0.looked.load(Ordering::Relaxed)
    }

    fn note_look(&self) {
        self.0.looked.store(true, Ordering::Relaxed);
    }

    fn seen(&self) -> &instances::Seen {
        &self.0.seen
    }

    fn checks(&self) -> &monitor::Checks {
        &self.0.checks
    }

    fn refresher(&self) -> &refresher::Refresher {
        &self.0.refresher
    }

    /// Which of the living instances this one is, and how many there are, as far as it knows: the first of one before it has looked.
    pub fn share(&self) -> (u64, u64) {
        let share = *self.0.share.lock().unwrap_or_else(PoisonError::into_inner);
        share.unwrap_or((0, 1))
    }

    fn note_share(&self, place: usize, of: usize) {
        let share = (u64::try_from(place).unwrap_or(0), u64::try_from(of).unwrap_or(1).max(1));
        *self.0.share.lock().unwrap_or_else(PoisonError::into_inner) = Some(share);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Pass>> {
        self.0.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts every worker; they end when the program stops.
pub async fn start(app: &App) {
    // Before anything is claimed in its name.
    if let Err(error) = instances::tick(app).await {
        tracing::warn!(%error, "This instance can't be entered in the list yet: {error}");
    }
    start_one(app, "instances", instances::EVERY, |app| async move { instances::tick(&app).await });
    start_one(app, "checks", monitor::EVERY, |app| async move { monitor::tick(&app).await });
    start_one(app, "refresher", refresher::EVERY, |app| async move { refresher::tick(&app).await });
    start_one(app, "cleanup", cleanup::EVERY, |app| async move { cleanup::tick(&app).await });
    start_one(app, "audit", audit::EVERY, |app| async move { audit::tick(&app).await });
}

/// A loop around a tick: the first pass at once, the next ones after `pause`. A pass that fails or panics is told in the log and on the
/// health page, and the next one comes all the same.
fn start_one<F, W, E>(app: &App, name: &'static str, pause: Duration, tick: F)
where
    F: Fn(App) -> W + Send + 'static,
    W: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let app = app.clone();
    let tasks = app.tasks.clone();
    tasks.clone().spawn(async move {
        while !app.stopping.is_cancelled() {
            let began = tokio::time::Instant::now();
            // A task of its own, so that a panic ends this pass only.
            let problem = match tasks.spawn(tick(app.clone())).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("something that must not happen did".to_owned()),
            };
            let (ended_at, took) = (app.clock.now(), began.elapsed());
            let told = problem.clone();
            let before = app.workers.note(name, Pass { ended_at, took, problem });
            // What goes on as it was is no news.
            match (told, before.and_then(|before| before.problem)) {
                (Some(problem), before) if before.as_ref() != Some(&problem) => {
                    tracing::warn!(worker = name, "The worker {name} could not do its work: {problem}");
                }
                (None, Some(_)) => tracing::info!(area = "console", worker = name, "The worker {name} does its work again"),
                _ => {}
            }
            tokio::select! {
                () = app.stopping.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
}

/// Whether this instance does what one does for all, under this name. It keeps a duty as long as it lives.
pub async fn has_duty(app: &App, name: &str) -> StoreResult<bool> {
    app.store.take_duty(name, app.flights.owner(app).as_str()).await
}
