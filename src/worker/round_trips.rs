//! Messages that mailboxes send to themselves, where somebody wants that: one in its turn, spread over the interval, few of one provider at
//! once. That a message is about to be sent is durable before it is sent; while the end of one isn't known no second one is sent.

use super::turns;
use crate::actions::checks;
use crate::actions::probe::{Trip, look_for, new_message_id, rests_for, send_to_itself};
use crate::app::App;
use crate::model::MailboxId;
use crate::model::mailbox::Mailbox;
use crate::model::report::Direction;
use crate::model::round_trip::{Outcome, RoundTrip};
use crate::store::StoreResult;
use crate::store::turns::Turn;
use std::time::Duration;

/// How long between two passes?
pub const EVERY: Duration = Duration::from_secs(5);
/// How long is a message waited for with the connection open?
const WAIT: Duration = Duration::from_secs(30);
/// How long is one looked for that was sent before?
const LOOK: Duration = Duration::from_secs(3);
/// How soon is one looked for again that wasn't there, in seconds: the first time, and at most?
const SOON: i64 = 30;
const AGAIN: i64 = 300;
/// How often is it tried to take back one that was not sent, and how long between?
const FORGET_TRIES: u32 = 3;
const FORGET_PAUSE: Duration = Duration::from_secs(1);

/// Plans what is new, and begins what is due and has a place.
pub async fn tick(app: &App) -> StoreResult<()> {
    turns::give_back(app, Turn::RoundTrip, AGAIN).await?;
    let now = app.clock.now();
    let unplanned = app.store.unplanned_round_trips(now).await?;
    if !unplanned.is_empty() {
        let mut tx = app.store.begin().await?;
        for (id, hours) in &unplanned {
            let at = now.plus(1 + turns::share(id, hours * 3600));
            tx.plan_turn(Turn::RoundTrip, id, at).await?;
        }
        tx.commit().await?;
    }
    let room = turns::MOST_AT_ONCE.saturating_sub(turns::busy(app, Turn::RoundTrip));
    turns::begin(app, Turn::RoundTrip, (room, turns::FEW), |app, id, owner| async move {
        let seconds = one(&app, &id, &owner).await?;
        let mut tx = app.store.begin().await?;
        tx.release_turn(Turn::RoundTrip, &id, &owner, app.clock.now().plus(seconds)).await?;
        tx.commit().await?;
        Ok(true)
    })
    .await
}

/// The turn of one mailbox; says after how many seconds the next one is.
async fn one(app: &App, id: &MailboxId, owner: &str) -> StoreResult<i64> {
    let Some(mailbox) = app.store.mailbox_by_id(id).await?.filter(|mailbox| mailbox.enabled) else {
        return Ok(AGAIN);
    };
    let interval = mailbox.round_trip_hours.max(1) * 3600;
    let open = app.store.open_round_trip(id).await?;
    // To look for one that was sent takes the incoming side only.
    let outgoing = mailbox.outgoing.as_ref().filter(|_| open.is_none());
    for side in mailbox.incoming.iter().chain(outgoing) {
        if let Some(pause) = rests_for(app, side).await? {
            return Ok(i64::try_from(pause.as_secs()).unwrap_or(AGAIN) + 1);
        }
    }
    // Signing in again and again with a password that was refused locks accounts: what the checks leave in peace is left here too.
    let mut left = checks::left_in_peace(app, id).await?;
    left.retain(|rest| open.is_none() || rest.direction == Direction::Incoming);
    if let Some(until) = left.iter().map(|rest| rest.until).max() {
        return Ok(until.since(app.clock.now()) + 1);
    }
    match open {
        Some(open) => look(app, &mailbox, open, interval).await,
        None => send(app, &mailbox, owner, interval).await,
    }
}

/// Looks for a message whose end isn't known. No second one is sent before it is.
async fn look(app: &App, mailbox: &Mailbox, open: RoundTrip, interval: i64) -> StoreResult<i64> {
    let found = look_for(app, mailbox, &open.message_id, LOOK).await?;
    let now = app.clock.now();
    let age = now.since(open.sent_at).max(0);
    let limit = if open.outcome == Outcome::Begun {
        RoundTrip::FORGOTTEN_AFTER
    } else {
        RoundTrip::LOST_AFTER
    };
    let (ended, next) = match found {
        Some(found) => {
            // The server knows better when it came in, unless its clock says what can't be.
            let came_in = found.came_in.filter(|at| (open.sent_at..=now).contains(at));
            let arrived = RoundTrip {
                outcome: Outcome::Arrived,
                seconds: Some(came_in.map_or(age, |at| at.since(open.sent_at))),
                place: found.place,
                ..open
            };
            (arrived, interval)
        }
        None if age >= limit => {
            let lost = RoundTrip {
                outcome: Outcome::Lost,
                ..open
            };
            (lost, interval)
        }
        // After half a minute, one, two, four; then every five.
        None => return Ok(age.clamp(SOON, AGAIN)),
    };
    note(app, &ended).await?;
    Ok(next)
}

/// Sends one, after it was written down, and waits a little.
async fn send(app: &App, mailbox: &Mailbox, owner: &str, interval: i64) -> StoreResult<i64> {
    let trip = RoundTrip {
        id: app.new_id(),
        mailbox_id: mailbox.id.clone(),
        message_id: new_message_id(app, mailbox),
        sent_at: app.clock.now(),
        outcome: Outcome::Begun,
        seconds: None,
        place: String::new(),
        problem: String::new(),
    };
    let mut tx = app.store.begin().await?;
    if !tx.begin_round_trip(&trip, owner).await? {
        return Ok(AGAIN);
    }
    tx.commit().await?;
    let tried = match send_to_itself(app, mailbox, &trip.message_id, WAIT).await {
        Ok(tried) => tried,
        Err(error) => {
            // The console's own database was in the way, before anything was sent.
            for _ in 0..FORGET_TRIES {
                if forget(app, &trip).await.is_ok() {
                    break;
                }
                tokio::time::sleep(FORGET_PAUSE).await;
            }
            return Err(error);
        }
    };
    let (ended, next) = match tried {
        Trip::Unknown => return Ok(SOON),
        Trip::Stopped => {
            forget(app, &trip).await?;
            return Ok(SOON);
        }
        Trip::Arrived { seconds, place } => {
            let arrived = RoundTrip {
                outcome: Outcome::Arrived,
                seconds: Some(seconds),
                place,
                ..trip
            };
            (arrived, interval)
        }
        Trip::Sent => {
            let sent = RoundTrip {
                outcome: Outcome::Sent,
                ..trip
            };
            (sent, SOON)
        }
        Trip::Refused(problem) => {
            let refused = RoundTrip {
                outcome: Outcome::Refused,
                problem,
                ..trip
            };
            (refused, interval)
        }
    };
    note(app, &ended).await?;
    Ok(next)
}

/// Takes back one that was not sent.
async fn forget(app: &App, trip: &RoundTrip) -> StoreResult<()> {
    let mut tx = app.store.begin().await?;
    tx.forget_round_trip(&trip.id).await?;
    tx.commit().await
}

async fn note(app: &App, trip: &RoundTrip) -> StoreResult<()> {
    let mut tx = app.store.begin().await?;
    tx.note_round_trip(trip).await?;
    tx.commit().await?;
    if !trip.is_open() {
        app.counters.round_trip(trip.outcome.as_str(), trip.seconds);
    }
    Ok(())
}
