//! A check on schedule: whether a mailbox opens and its sign-in for sending is taken, as short as it can be; and a test in a batch, which is
//! a whole one. Nothing is stored here; [`crate::actions::checks`] and [`crate::actions::batches`] write down what came of it.

use super::desk::LaneKey;
use super::run::{arrival, finish_row, sealed, state_after};
use super::shared::is_tested_elsewhere;
use super::work::Work;
use super::{Options, Order, is_send_unknown, new_row, passed, rests_for, settings_of, side, stages_of, subject};
use crate::app::App;
use crate::model::audit::Actor;
use crate::model::mailbox::{Mailbox, SideState};
use crate::model::report::Direction;
use crate::model::{RunId, UserId};
use crate::store::StoreError;
use crate::store::reports::Run;
use crate::store::turns::Turn;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long is a message of a batch waited for in the incoming side? Others wait for the place.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// What a check of one side found.
#[derive(Debug)]
pub struct Checked {
    /// Which side.
    pub direction: Direction,
    /// Whether it works.
    pub passed: bool,
    /// The state that follows, with the run it would have.
    pub state: SideState,
    /// The run as it would be kept.
    pub run: Run,
}

/// A place for a mailbox of this lane to have its turn at once; none while so many of the lane have one. Checks, batches and the tests of
/// people share places; checks over Graph have a lane of their own, with fewer.
pub fn free_place(app: &App, turn: Turn, lane: &str, limit: usize) -> Option<CheckPlace> {
    let key = match turn {
        Turn::Check => lane.to_owned(),
        Turn::RoundTrip => format!("round trip {lane}"),
        Turn::Finding => format!("measure {lane}"),
    };
    app.probes.free_place(LaneKey::Saved(key), limit).map(CheckPlace)
}

/// The right to have a turn, until it is dropped.
pub struct CheckPlace(#[expect(dead_code, reason = "held for what its end does")] super::desk::Permit);

/// Checks one side of a mailbox. None where it has no such side, where its server asked for a pause, where a person tests it just now, and
/// where the console stops.
pub async fn check(app: &App, mailbox: &Mailbox, direction: Direction) -> Result<Option<Checked>, StoreError> {
    let by = (Actor::console(), None);
    if let Some(side) = side(mailbox, direction)
        && rests_for(app, side).await?.is_some()
    {
        return Ok(None);
    }
    match look(app, mailbox, direction, Options::check(), by, &app.stopping).await? {
        Tested::Found(found) => Ok(Some(*found)),
        Tested::NoSide | Tested::UnderWay | Tested::Stopped => Ok(None),
    }
}

/// What came of a test in a batch.
#[derive(Debug)]
pub enum Tested {
    /// It came to an end.
    Found(Box<Checked>),
    /// The mailbox has no such side.
    NoSide,
    /// A person, or the schedule, tests it just now.
    UnderWay,
    /// It was stopped before anything was sent.
    Stopped,
}

/// Tests one side of a mailbox as its form does with its defaults, for a batch of `by`, until `cancel`. Nothing is stored here.
///
/// An error comes before anything is sent: what the database is asked for, it is asked for first.
pub async fn test(
    app: &App,
    mailbox: &Mailbox,
    direction: Direction,
    by: (Actor, Option<UserId>),
    cancel: &CancellationToken,
) -> Result<Tested, StoreError> {
    let options = Options {
        wait: Some(ARRIVES_WITHIN),
        subject: Some(subject(&*app.random)),
        ..Options::default()
    };
    look(app, mailbox, direction, options, by, cancel).await
}

async fn look(
    app: &App,
    mailbox: &Mailbox,
    direction: Direction,
    options: Options,
    (by, user): (Actor, Option<UserId>),
    cancel: &CancellationToken,
) -> Result<Tested, StoreError> {
    let Some(side) = side(mailbox, direction) else {
        return Ok(Tested::NoSide);
    };
    let id = RunId(app.new_id());
    let Ok(_claim) = app.probes.claim(&mailbox.id, direction, &id) else {
        return Ok(Tested::UnderWay);
    };
    let order = Order {
        user,
        ..Order::own(mailbox, direction, options)
    };
    if is_tested_elsewhere(app, &order).await? {
        return Ok(Tested::UnderWay);
    }
    let arrival = arrival(&order);
    let settings = settings_of(app, mailbox, direction).await?;
    let planned = stages_of(app, &order, side, arrival.is_some()).await?;
    let began = app.clock.now();
    let (work, mut steps, mut findings) = Work::begin(app, order, side, planned, arrival).await?;
    let stopped = work.run_until(cancel, &mut steps, &mut findings).await;
    let (report, failure) = work.conclude(steps, &mut findings, stopped).await;
    if stopped && !failure.is_some_and(|failure| is_send_unknown(failure.own_id)) {
        return Ok(Tested::Stopped);
    }
    let now = app.clock.now();
    let mut run = new_row(&work.order, id, &by, &settings, &report, began);
    finish_row(&mut run, &report, false, now);
    run.newest = sealed(app, &run.id, &findings.messages);
    Ok(Tested::Found(Box::new(Checked {
        direction,
        passed: passed(&report),
        state: state_after(&report, Some(run.id.clone()), now),
        run,
    })))
}
