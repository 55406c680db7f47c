//! Checks on schedule: every mailbox that is turned on is looked at once an interval, spread over it. A mailbox is claimed in the name of
//! this instance before it is looked at, so that several divide the work and what a dead one had claimed is free again; each provider
//! has its own places, so that one that hangs delays no other.

use crate::actions::checks::{self, Ended};
use crate::actions::probe::{self, CheckPlace, Checked};
use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::own;
use crate::model::MailboxId;
use crate::model::mailbox::{Auth, Mailbox};
use crate::model::report::{Direction, Stage};
use crate::model::settings::{CHECK_INTERVAL, PARALLEL};
use crate::store::StoreResult;
use crate::store::checks::Due;
use aws_lc_rs::digest;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long between two passes? What ended meanwhile is written down together.
pub const EVERY: Duration = Duration::from_millis(500);
/// How many checks go on at once in this process, all providers together?
const MOST_AT_ONCE: usize = 256;
/// How many results are written down in one transaction? Others want to write too.
const RECORDED_AT_ONCE: usize = 50;
/// How long is a mailbox whose password is refused left in peace at most, in seconds?
const LONGEST_PAUSE: i64 = 6 * 3600;
/// After how many intervals is a result too old to say anything?
const AGES_AFTER: i64 = 2;

/// Checks of this process: how many go on, and those that ended and are not written down yet.
#[derive(Default)]
pub(super) struct Checks {
    running: AtomicUsize,
    ended: Mutex<Vec<Ended>>,
    /// Claimed, and nothing came of it: to be given back.
    unfinished: Mutex<Vec<MailboxId>>,
}

impl Checks {
    fn take_ended(&self) -> Vec<Ended> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let some = ended.len().min(RECORDED_AT_ONCE);
        ended.drain(..some).collect()
    }

    fn put_back(&self, mut some: Vec<Ended>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        some.append(&mut ended);
        *ended = some;
    }

    fn add(&self, one: Ended) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }

    fn unfinished(&self) -> MutexGuard<'_, Vec<MailboxId>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unrecorded(&self) -> usize {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// One check that goes on, counted until it ends, however it does. One that brings nothing is given back at the next pass.
struct Running {
    app: App,
    id: MailboxId,
    ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let checks = self.app.workers.checks();
        if !self.ended {
            checks.unfinished().push(self.id.clone());
        }
        checks.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many checks go on in this process, or ended and are not written down yet.
pub fn busy(app: &App) -> usize {
    let checks = app.workers.checks();
    checks.running.load(Ordering::Relaxed) + checks.unrecorded()
}

/// Writes down what ended, plans what is new, and starts what is due and has a place.
pub async fn tick(app: &App) -> StoreResult<()> {
    record(app).await?;
    give_back(app).await?;
    let interval = settings::number(app, &CHECK_INTERVAL).await?.saturating_mul(60);
    plan(app, interval).await?;
    start(app, interval).await?;
    age(app, interval).await
}

/// What can't be written down now waits for the next pass: its mailboxes stay claimed, so that it can't become more and more.
async fn record(app: &App) -> StoreResult<()> {
    let checks = app.workers.checks();
    loop {
        let some = checks.take_ended();
        if some.is_empty() {
            return Ok(());
        }
        let Err(error) = checks::record(app, &some).await else {
            continue;
        };
        // One that can't be written down must not stand in the way of the others.
        let mut left = Vec::new();
        let before = some.len();
        for one in some {
            if checks::record(app, std::slice::from_ref(&one)).await.is_err() {
                left.push(one);
            }
        }
        if left.len() == before && before > 1 {
            checks.put_back(left);
            return Err(error);
        }
        for one in left {
            tracing::warn!(mailbox.name = %one.mailbox.name, %error, "What a check found can't be written down: {error}");
            checks.unfinished().push(one.mailbox.id);
        }
    }
}

/// What was claimed and brought nothing is due again soon; where even that can't be written, at the next pass.
async fn give_back(app: &App) -> StoreResult<()> {
    let checks = app.workers.checks();
    let ids = checks.unfinished().clone();
    if ids.is_empty() {
        return Ok(());
    }
    let (owner, next) = (app.flights.owner(app).as_str(), app.clock.now().plus(checks::AGAIN));
    let mut tx = app.store.begin().await?;
    for id in &ids {
        tx.finish_check(id, owner, next, None).await?;
    }
    tx.commit().await?;
    checks.unfinished().retain(|id| !ids.contains(id));
    Ok(())
}

/// A mailbox that is new is checked for the first time between a half and one and a half intervals from now: people test it themselves
/// first, and thousands that come together are spread.
async fn plan(app: &App, interval: i64) -> StoreResult<()> {
    let ids = app.store.unscheduled_mailboxes().await?;
    if ids.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    for id in &ids {
        tx.schedule_first_check(id, now.plus(interval / 2 + share(id, interval))).await?;
    }
    tx.commit().await
}

/// A number below `range` that is always the same for a mailbox, and evenly spread over all of them.
fn share(id: &MailboxId, range: i64) -> i64 {
    let digest = digest::digest(&digest::SHA256, id.as_str().as_bytes());
    let number = digest
        .as_ref()
        .iter()
        .take(7)
        .fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    number % range.max(1)
}

async fn start(app: &App, interval: i64) -> StoreResult<()> {
    let checks = app.workers.checks();
    if busy(app) >= MOST_AT_ONCE || app.stopping.is_cancelled() {
        return Ok(());
    }
    let now = app.clock.now();
    let places = settings::number(app, &PARALLEL).await?;
    let mut wanted: Vec<(Due, CheckPlace)> = Vec::new();
    for due in app.store.due_checks(now, places).await? {
        if busy(app) + wanted.len() >= MOST_AT_ONCE {
            break;
        }
        if let Some(place) = probe::free_place(app, &due.lane).await? {
            wanted.push((due, place));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let owner = app.flights.owner(app).as_str().to_owned();
    let mut tx = app.store.begin().await?;
    let mut claimed = Vec::new();
    for (due, place) in wanted {
        if tx.claim_check(&due, &owner).await? {
            claimed.push((due.id, place));
        }
    }
    tx.commit().await?;
    for (id, place) in claimed {
        checks.running.fetch_add(1, Ordering::Relaxed);
        let mut running = Running {
            app: app.clone(),
            id,
            ended: false,
        };
        let owner = owner.clone();
        app.tasks.spawn(async move {
            match check(&running.app, &running.id, owner, now, interval).await {
                Ok(ended) => running.ended = ended,
                Err(error) => tracing::warn!(mailbox.id = %running.id, %error, "A mailbox could not be checked: {error}"),
            }
            drop(place);
            drop(running);
        });
    }
    Ok(())
}

/// Looks at both sides of a mailbox, one after the other; `false` where it is gone.
async fn check(app: &App, id: &MailboxId, owner: String, now: Timestamp, interval: i64) -> StoreResult<bool> {
    let Some(mailbox) = app.store.mailbox_by_id(id).await? else {
        return Ok(false);
    };
    let failed = app.store.failed_checks(id).await?;
    let provider = match checks::token_of(&mailbox) {
        Some(token) => app.store.token_by_id(token).await?.map(|token| token.provider_id),
        None => None,
    };
    let began = tokio::time::Instant::now();
    let mut sides = Vec::new();
    for direction in [Direction::Incoming, Direction::Outgoing] {
        sides.extend(probe::check(app, &mailbox, direction).await?);
    }
    let result = match sides.iter().map(|side| side.passed).reduce(|one, other| one && other) {
        Some(true) => "passed",
        Some(false) => "failed",
        None => "skipped",
    };
    app.counters.checked(result, began.elapsed());
    app.workers.checks().add(Ended {
        provider,
        owner,
        next: now.plus(if is_password_refused(&mailbox, &sides) {
            pause(failed, interval)
        } else {
            interval
        }),
        mailbox,
        sides,
    });
    Ok(true)
}

/// Whether a server refused a password. Trying it again and again locks accounts.
fn is_password_refused(mailbox: &Mailbox, sides: &[Checked]) -> bool {
    sides.iter().any(|found| {
        let side = match found.direction {
            Direction::Incoming => mailbox.incoming.as_ref(),
            Direction::Outgoing => mailbox.outgoing.as_ref(),
        };
        let password = side.is_some_and(|side| matches!(side.auth, Auth::Password { .. }));
        // What can't be opened here was never tried there.
        let ours = [own::DAMAGED, own::PASSWORD_MISSING];
        let refused = found.run.failed_step.as_deref() == Some(Stage::Auth.as_str());
        password && refused && found.run.diagnosis_id.as_deref().is_none_or(|id| !ours.contains(&id))
    })
}

/// How long a refused password is left in peace, in seconds: twice as long each time, six hours at most, an interval at least.
fn pause(failed: i64, interval: i64) -> i64 {
    let doubled = interval.saturating_mul(1 << failed.clamp(0, 10));
    doubled.min(interval.max(LONGEST_PAUSE))
}

/// A result that is older than two intervals says nothing about now.
async fn age(app: &App, interval: i64) -> StoreResult<()> {
    let now = app.clock.now();
    let before = now.plus(-AGES_AFTER * interval);
    if !app.store.has_aged_states(before, now).await? {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    tx.age_states(before, now).await?;
    tx.commit().await
}
