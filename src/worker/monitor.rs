//! Checks on schedule: every mailbox that is turned on is looked at once an interval, spread over it, in its turn ([`super::turns`]); each
//! provider has its own places, so that one that hangs delays no other. A side whose password is refused is left in peace for a while; the
//! other side is looked at all the same.

use super::turns;
use crate::actions::checks::{self, Ended};
use crate::actions::probe;
use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::MailboxId;
use crate::model::report::{Direction, Outcome};
use crate::model::settings::CHECK_INTERVAL;
use crate::store::StoreResult;
use crate::store::checks::Believed;
use crate::store::turns::Turn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long between two passes? What ended meanwhile is written down together.
pub const EVERY: Duration = Duration::from_millis(500);
/// How many checks go on at once in this process, all providers together?
const MOST_AT_ONCE: usize = 256;
/// How long is a check expected to take, in seconds? Both sides of a mailbox whose server takes 300 ms for each command.
const LASTS: i64 = 5;
/// How often are mailboxes counted, to know how many places they need?
const COUNTED: Duration = Duration::from_secs(60);
/// How many results are written down in one transaction? Others want to write too.
const RECORDED_AT_ONCE: usize = 50;
/// After how many intervals is a result too old to say anything?
const AGES_AFTER: i64 = 2;
/// By how many seconds may the clocks of two instances differ?
const CLOCKS_DIFFER: i64 = 300;
const SIDES: [Direction; 2] = [Direction::Incoming, Direction::Outgoing];

/// Checks of this process: how many places they need, and those that ended and are not written down yet.
#[derive(Default)]
pub(super) struct Checks {
    /// How many places the mailboxes of one provider need at once, were all of them there, and when that was found out.
    places: AtomicUsize,
    counted: Mutex<Option<tokio::time::Instant>>,
    ended: Mutex<Vec<Ended>>,
}

impl Checks {
    fn take_ended(&self) -> Taken<'_> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let some = ended.len().min(RECORDED_AT_ONCE);
        Taken {
            some: ended.drain(..some).collect(),
            left: Vec::new(),
            checks: self,
        }
    }

    fn put_back(&self, mut some: Vec<Ended>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        some.append(&mut ended);
        *ended = some;
    }

    fn add(&self, one: Ended) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }

    /// How many checks have to go on at once for all to keep their interval; 0 before it was counted.
    pub(super) fn places(&self) -> usize {
        self.places.load(Ordering::Relaxed)
    }

    fn unrecorded(&self) -> usize {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Results that are being written down. Those that are not when this is dropped, however that comes, go back.
struct Taken<'a> {
    some: Vec<Ended>,
    /// Those that could not be written down one by one.
    left: Vec<Ended>,
    checks: &'a Checks,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut back = std::mem::take(&mut self.some);
        back.append(&mut self.left);
        if !back.is_empty() {
            self.checks.put_back(back);
        }
    }
}

/// How many checks go on in this process, or ended and are not written down yet.
pub fn busy(app: &App) -> usize {
    turns::busy(app, Turn::Check) + app.workers.checks().unrecorded()
}

/// Writes down what ended, plans what is new, and starts what is due and has a place.
pub async fn tick(app: &App) -> StoreResult<()> {
    record(app).await?;
    turns::give_back(app, Turn::Check, checks::AGAIN).await?;
    let interval = settings::number(app, &CHECK_INTERVAL).await?.saturating_mul(60);
    plan(app, interval).await?;
    start(app, interval).await?;
    age(app, interval).await
}

/// Where nothing can be written down now, all waits for the next pass: its mailboxes stay claimed, so that it can't become more and more.
/// A single result that can't be is given up, and its mailbox checked again.
async fn record(app: &App) -> StoreResult<()> {
    let checks = app.workers.checks();
    loop {
        let mut taken = checks.take_ended();
        if taken.some.is_empty() {
            return Ok(());
        }
        let Err(error) = checks::record(app, &taken.some).await else {
            taken.some.clear();
            continue;
        };
        // One that can't be written down must not stand in the way of the others.
        let before = taken.some.len();
        while let Some(one) = taken.some.last() {
            let failed = checks::record(app, std::slice::from_ref(one)).await.is_err();
            let one = taken.some.pop();
            taken.left.extend(one.filter(|_| failed));
        }
        if taken.left.len() == before && before > 1 {
            return Err(error);
        }
        for one in std::mem::take(&mut taken.left) {
            tracing::warn!(mailbox.name = %one.mailbox.name, %error, "What a check found can't be written down: {error}");
            app.workers.under_way(Turn::Check).add_unfinished(one.mailbox.id);
        }
    }
}

/// A mailbox that is new is checked for the first time between a half and one and a half intervals from now: people test it themselves
/// first, and thousands that come together are spread. One that is planned for later than that is planned anew: somebody set the clock
/// back, or chose a shorter interval.
async fn plan(app: &App, interval: i64) -> StoreResult<()> {
    let now = app.clock.now();
    let half = now.plus(interval / 2);
    let unplanned = app.store.unplanned_checks(half.plus(interval)).await?;
    if unplanned.is_empty() {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    for (id, is_new) in &unplanned {
        let after = if *is_new { half.plus(-1) } else { now };
        tx.plan_turn(Turn::Check, id, turns::own_time(id, after, interval)).await?;
    }
    tx.commit().await
}

/// Finds out how many checks have to go on at once.
async fn count_places(app: &App, interval: i64) -> StoreResult<()> {
    let checks = app.workers.checks();
    let is_known = |at: &tokio::time::Instant| at.elapsed() < COUNTED;
    if checks
        .counted
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_ref()
        .is_some_and(is_known)
    {
        return Ok(());
    }
    let needed = app.store.count_checked().await?.saturating_mul(LASTS) / interval.max(1) + 1;
    checks.places.store(usize::try_from(needed).unwrap_or(0), Ordering::Relaxed);
    *checks.counted.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::time::Instant::now());
    Ok(())
}

async fn start(app: &App, interval: i64) -> StoreResult<()> {
    let room = MOST_AT_ONCE.saturating_sub(busy(app));
    let now = app.clock.now();
    count_places(app, interval).await?;
    let places = probe::turn_places(app).await?;
    turns::begin(app, Turn::Check, (room, places), |app, id, owner| async move {
        check(&app, &id, owner, now, interval).await
    })
    .await
}

/// Looks at both sides of a mailbox, one after the other, but for those that are left in peace; `false` where it is gone.
async fn check(app: &App, id: &MailboxId, owner: String, now: Timestamp, interval: i64) -> StoreResult<bool> {
    let Some(mailbox) = app.store.mailbox_by_id(id).await? else {
        return Ok(false);
    };
    let rests = app.store.rests(id).await?;
    let rest = |direction| rests.iter().find(|rest| rest.direction == direction);
    // What a notice found out, no check has seen yet: it looks once, and then leaves it too.
    let is_left = |direction| {
        let known = match direction {
            Direction::Incoming => &mailbox.incoming_state,
            Direction::Outgoing => &mailbox.outgoing_state,
        };
        known.outcome == Some(Outcome::Failed) && rest(direction).is_some_and(|rest| checks::is_left(rest, now, interval))
    };
    let provider = match checks::token_of(&mailbox) {
        Some(token) => app.store.token_by_id(token).await?.map(|token| token.provider_id),
        None => None,
    };
    let began = tokio::time::Instant::now();
    let mut sides = Vec::new();
    for direction in SIDES.into_iter().filter(|direction| !is_left(*direction)) {
        sides.extend(probe::check(app, &mailbox, direction).await?);
    }
    let result = match sides.iter().map(|side| side.passed).reduce(|one, other| one && other) {
        Some(true) => "passed",
        Some(false) => "failed",
        None => "skipped",
    };
    app.counters.checked(result, began.elapsed());
    let refused = sides.iter().filter(|found| {
        let (step, problem) = (found.run.failed_step.as_deref(), found.run.diagnosis_id.as_deref());
        checks::is_password_refused(&mailbox, found.direction, step, problem)
    });
    let refused = refused.map(|found| checks::rest_after(rest(found.direction), found.direction, now, interval));
    app.workers.checks().add(Ended {
        provider,
        owner,
        next: turns::own_time(id, now, interval),
        rests: refused.collect(),
        is_one_left: SIDES.into_iter().any(is_left),
        mailbox,
        sides,
    });
    Ok(true)
}

/// A result that is older than two intervals says nothing about now; neither does one from later than now. The clocks of several instances
/// may differ a little.
async fn age(app: &App, interval: i64) -> StoreResult<()> {
    let now = app.clock.now();
    let believed = Believed {
        from: now.plus(-AGES_AFTER * interval),
        to: now.plus(interval.max(CLOCKS_DIFFER)),
        rests: now.plus(checks::longest_rest(interval)),
    };
    if !app.store.has_aged_states(&believed).await? {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    tx.age_states(&believed).await?;
    tx.commit().await
}
