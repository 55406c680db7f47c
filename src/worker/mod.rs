//! Work that nobody presses a button for. A worker is a `tick`, one pass that says what went wrong, and a loop around it; tests call the
//! tick.
//!
//! Several processes may serve one PostgreSQL database. [`instances`] knows which of them live; what is divided among them is claimed
//! piece by piece in the name of an instance, and what one does for all is a duty ([`has_duty`]). Claims of a process that died are free
//! within half a minute.
//!
//! A pass that takes longer than it may is cut off, and told; then the duties of this instance are free for the others. Nothing that a
//! worker does may be lost by that: what it takes out of memory goes back, what it claims is given back.

pub mod audit;
pub mod batches;
pub mod bulk;
pub mod certificate;
pub mod cleanup;
pub mod clock;
pub mod deliveries;
pub mod findings;
pub mod instances;
pub mod log;
pub mod monitor;
pub mod notices;
pub mod refresher;
pub mod round_trips;
pub mod turns;

use crate::app::App;
use crate::clock::Timestamp;
use crate::held::{Held, Hold};
use crate::model::notices::Channel;
use crate::store::StoreResult;
use crate::store::turns::Turn;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long after the end of its time may a pass go on, or its successor be late, before the worker counts as stuck?
const GRACE: Duration = Duration::from_secs(30);
/// How long does an instance whose pass was cut off leave duties to others?
const SHY: Duration = Duration::from_secs(300);
/// How long does it leave them to others of which nobody has taken them up?
const FIRST: Duration = Duration::from_secs(60);
/// How long may a duty stand still before another instance takes it? Longer than the longest pass.
const STANDS: Duration = Duration::from_secs(2400);

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

/// Where a worker is.
struct Pace {
    /// When it began the pass it is at, or ended the last one.
    since: Instant,
    /// How long it may stay there.
    may: Duration,
}

/// What this process knows of its workers and of the instances beside it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Workers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    passes: Mutex<BTreeMap<&'static str, Pass>>,
    seen: instances::Seen,
    checks: monitor::Checks,
    batches: batches::Batches,
    acts: Held,
    looked: AtomicBool,
    checks_under_way: turns::UnderWay,
    trips_under_way: turns::UnderWay,
    findings_under_way: turns::UnderWay,
    share: Mutex<Option<(u64, u64)>>,
    pace: Mutex<BTreeMap<&'static str, Pace>>,
    shy_since: Mutex<Option<Instant>>,
    duties: Mutex<BTreeMap<String, (String, i64, Instant)>>,
    woken: tokio::sync::Notify,
    refresher: refresher::Refresher,
    notices: notices::Notices,
    skew: Mutex<Option<clock::Skew>>,
}

impl Workers {
    /// The last pass of every worker of this process, by name.
    pub fn passes(&self) -> BTreeMap<&'static str, Pass> {
        self.lock().clone()
    }

    fn note(&self, worker: &'static str, pass: Pass) -> Option<Pass> {
        self.lock().insert(worker, pass)
    }

    /// Workers that stand still though their time is over: this process itself can't go on. A pass that waits for something else is cut
    /// off in time, and is none of them.
    pub fn stuck(&self) -> Vec<&'static str> {
        let pace = locked(&self.0.pace);
        let late = pace.iter().filter(|(_, pace)| pace.since.elapsed() > pace.may + GRACE);
        late.map(|(name, _)| *name).collect()
    }

    fn step(&self, worker: &'static str, may: Duration) {
        let since = Instant::now();
        locked(&self.0.pace).insert(worker, Pace { since, may });
    }

    /// Every worker that rests begins its next pass now: an instance is gone, and its duties are to be taken up.
    fn wake(&self) {
        self.0.woken.notify_waiters();
    }

    /// Being cut off once more meanwhile makes it no longer: where that goes on at all instances, somebody has to come back to the duties.
    fn be_shy(&self) {
        let mut since = locked(&self.0.shy_since);
        if since.is_none_or(|since| since.elapsed() >= SHY) {
            *since = Some(Instant::now());
        }
    }

    /// For how long this process has left duties to others; none: it takes them.
    fn shy_for(&self) -> Option<Duration> {
        let since = locked(&self.0.shy_since).map(|since| since.elapsed());
        since.filter(|shy| *shy < SHY)
    }

    /// Whether a duty has stood still for too long, as far as this process saw it.
    fn stands(&self, name: &str, owner: &str, turn: i64, now: Instant) -> bool {
        let mut duties = locked(&self.0.duties);
        match duties.get(name) {
            Some((who, last, since)) if who == owner && *last == turn => now.duration_since(*since) >= STANDS,
            _ => {
                duties.insert(name.to_owned(), (owner.to_owned(), turn, now));
                false
            }
        }
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

    /// How many checks have to go on at once for all to keep their interval; 0 where that isn't known yet.
    pub fn places_wanted(&self) -> usize {
        self.0.checks.places()
    }

    fn batches(&self) -> &batches::Batches {
        &self.0.batches
    }

    fn under_way(&self, turn: Turn) -> &turns::UnderWay {
        match turn {
            Turn::Check => &self.0.checks_under_way,
            Turn::RoundTrip => &self.0.trips_under_way,
            Turn::Finding => &self.0.findings_under_way,
        }
    }

    /// The right to work on an act on many mailboxes, until it is dropped; none where this process is at it already.
    pub fn take_act(&self, id: &str) -> Option<Hold> {
        self.0.acts.take(id)
    }

    /// Waits until a worker has a reason to begin its next pass before its time.
    async fn sooner(&self, worker: &str) {
        match worker {
            "batches" => self.0.batches.ended().await,
            _ => std::future::pending().await,
        }
    }

    fn refresher(&self) -> &refresher::Refresher {
        &self.0.refresher
    }

    pub(crate) fn notices(&self) -> &notices::Notices {
        &self.0.notices
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
        locked(&self.0.passes)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts every worker; they end when the program stops.
pub async fn start(app: &App) {
    // Before anything is claimed in its name.
    if let Err(error) = instances::tick(app).await {
        tracing::warn!(%error, "This instance can't be entered in the list yet: {error}");
    }
    let (short, long) = (Duration::from_secs(60), Duration::from_secs(1800));
    let every = Every::new;
    start_one(app, "instances", every(instances::EVERY, short / 4), |app| {
        instances::tick(app).boxed()
    });
    start_one(app, "checks", every(monitor::EVERY, short), |app| monitor::tick(app).boxed());
    start_one(app, "refresher", every(refresher::EVERY, short), |app| refresher::tick(app).boxed());
    start_one(app, "cleanup", every(cleanup::EVERY, long), |app| cleanup::tick(app).boxed());
    start_one(app, "audit", every(audit::EVERY, long), |app| audit::tick(app).boxed());
    start_one(app, "round trips", every(round_trips::EVERY, short), |app| {
        round_trips::tick(app).boxed()
    });
    start_one(app, "weekly look", every(findings::EVERY, short), |app| findings::tick(app).boxed());
    start_one(app, "batches", every(batches::EVERY, short), |app| batches::tick(app).boxed());
    start_one(app, "clock", every(clock::EVERY, short), |app| clock::tick(app).boxed());
    start_one(app, "certificate", every(certificate::EVERY, short), |app| {
        certificate::tick(app).boxed()
    });
    start_one(app, "bulk acts", every(bulk::EVERY, short), |app| bulk::tick(app).boxed());
    start_one(app, "notices", every(notices::EVERY, long / 3), |app| notices::tick(app).boxed());
    for (name, channel) in [("mails", Channel::Mail), ("webhook", Channel::Webhook)] {
        start_one(app, name, every(deliveries::EVERY, long / 3), move |app| {
            deliveries::tick(app, channel).boxed()
        });
    }
}

/// What a worker of this name does, for people.
pub fn words(name: &'static str) -> &'static str {
    match name {
        "instances" => "Knowing which processes serve this database",
        "checks" => "Checks of mailboxes",
        "refresher" => "Renewal of tokens",
        "cleanup" => "Taking away what is old",
        "audit" => "The look through the audit log",
        "round trips" => "Messages of mailboxes to themselves",
        "weekly look" => "The weekly look for large messages and junk",
        "batches" => "Bulk tests",
        "clock" => "Comparing the clock with that of providers",
        "certificate" => "Looking when the certificate of this console ends",
        "bulk acts" => "Going on with changes of many mailboxes",
        "notices" => "Looking for what is to be told",
        "mails" => "Mailing notifications",
        "webhook" => "Sending notifications to the webhook",
        other => other,
    }
}

/// When a worker works.
#[derive(Clone, Copy)]
struct Every {
    /// How long it rests between two passes.
    pause: Duration,
    /// How long a pass may take.
    limit: Duration,
}

impl Every {
    fn new(pause: Duration, limit: Duration) -> Self {
        Self { pause, limit }
    }
}

/// A loop around a tick: the first pass at once, the next ones after `pause`. A pass that fails or panics is told in the log and on the
/// health page, and the next one comes all the same; so is one that hangs, which is cut off.
fn start_one<F, E>(app: &App, name: &'static str, every: Every, tick: F)
where
    F: for<'a> Fn(&'a App) -> BoxFuture<'a, Result<(), E>> + Send + Sync + 'static,
    E: Display + Send + 'static,
{
    let (app, tick) = (app.clone(), Arc::new(tick));
    let tasks = app.tasks.clone();
    tasks.clone().spawn(async move {
        while !app.stopping.is_cancelled() {
            let began = Instant::now();
            app.workers.step(name, every.limit);
            // A task of its own, so that a panic ends this pass only.
            let (its, tick) = (app.clone(), Arc::clone(&tick));
            let pass = async move { tokio::time::timeout(every.limit, tick(&its)).await };
            let problem = match tasks.spawn(pass).await {
                Ok(Ok(Ok(()))) => None,
                Ok(Ok(Err(error))) => Some(error.to_string()),
                Ok(Err(_)) => {
                    app.workers.be_shy();
                    // Where even that hangs, the others see it stand still.
                    let _ = tokio::time::timeout(GRACE, give_up_duties(&app)).await;
                    Some(format!("it took longer than {} seconds and was cut off", every.limit.as_secs()))
                }
                Err(_) => Some("something that must not happen did".to_owned()),
            };
            app.workers.step(name, every.pause);
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
                () = tokio::time::sleep(every.pause) => {}
                () = app.workers.0.woken.notified() => {}
                () = app.workers.sooner(name) => {}
            }
        }
    });
}

/// Whether this instance does what one does for all, under this name. It keeps a duty as long as it lives and comes back to it: one whose
/// pass was cut off lets its duties go, and one that does not come back for 40 minutes loses them.
pub async fn has_duty(app: &App, name: &str) -> StoreResult<bool> {
    let own = app.flights.owner(app).as_str();
    let duty = app.store.duty(name).await?;
    // Whoever was cut off lets the others go first; but where all of them were, somebody has to.
    let shy = app.workers.shy_for().filter(|_| app.workers.share().1 > 1);
    let waits = shy.is_some_and(|shy| match &duty {
        Some((holder, _)) => holder != own,
        None => shy < FIRST,
    });
    if waits {
        return Ok(false);
    }
    if let Some((holder, turn)) = duty
        && holder != own
    {
        if !app.workers.stands(name, &holder, turn, Instant::now()) {
            return Ok(false);
        }
        if app.store.free_duty(name, &holder, turn).await? {
            tracing::warn!("An instance did not come back to the work \"{name}\", which another one does now");
        }
    }
    app.store.take_duty(name, own).await
}

async fn give_up_duties(app: &App) -> StoreResult<()> {
    app.store.free_duties(app.flights.owner(app).as_str()).await
}

#[cfg(test)]
mod tests;
