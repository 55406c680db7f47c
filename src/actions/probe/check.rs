//! A check on schedule: whether a mailbox opens and its sign-in for sending is taken, as short as it can be. Nothing is stored here;
//! [`crate::actions::checks`] writes down what came of it.

use super::desk::LaneKey;
use super::run::{finish_row, state_after};
use super::work::{Findings, Work};
use super::{Options, Order, new_row, parallel, passed, settings_of, side, stages_of, time_limit};
use crate::app::App;
use crate::model::RunId;
use crate::model::audit::Actor;
use crate::model::mailbox::{Mailbox, SideState};
use crate::model::report::{Direction, Report};
use crate::probe::Steps;
use crate::store::StoreError;
use crate::store::reports::Run;

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

/// A place to check a mailbox of this lane at once; none while the lane is full.
pub async fn free_place(app: &App, lane: &str) -> Result<Option<CheckPlace>, StoreError> {
    let limit = parallel(app).await?;
    Ok(app.probes.free_place(LaneKey::Saved(lane.to_owned()), limit).map(CheckPlace))
}

/// The right to check a mailbox, until it is dropped.
pub struct CheckPlace(#[expect(dead_code, reason = "held for what its end does")] super::desk::Permit);

/// Checks one side of a mailbox. None where it has no such side, where a person tests it just now, and where the console stops.
pub async fn check(app: &App, mailbox: &Mailbox, direction: Direction) -> Result<Option<Checked>, StoreError> {
    let Some(side) = side(mailbox, direction) else {
        return Ok(None);
    };
    let id = RunId(app.new_id());
    let Ok(_claim) = app.probes.claim(&mailbox.id, direction, &id) else {
        return Ok(None);
    };
    let order = Order {
        mailbox: mailbox.clone(),
        draft: false,
        direction,
        options: Options::check(),
        user: None,
    };
    let settings = settings_of(app, mailbox, direction).await?;
    let planned = stages_of(app, &order, side, false).await?;
    let report = Report::start(mailbox.name.clone(), direction, side.server.protocol().as_str(), app.clock.now());
    let mut run = new_row(&order, id, &Actor::console(), &settings, &report, app.clock.now());
    let work = Work {
        app: app.clone(),
        order,
        planned,
        arrival: None,
        limit: time_limit(app).await?,
    };
    let (steps, _watcher) = Steps::start(report, work.planned.clone());
    let (mut steps, mut findings) = (steps.allow(work.limit), Findings::default());
    tokio::select! {
        biased;
        () = app.stopping.cancelled() => return Ok(None),
        _ = Box::pin(work.stages(&mut steps, &mut findings)) => {}
    }
    let (report, _) = work.conclude(steps, &mut findings, false);
    let now = app.clock.now();
    finish_row(&mut run, &report, false, now);
    Ok(Some(Checked {
        direction,
        passed: passed(&report),
        state: state_after(&report, Some(run.id.clone()), now),
        run,
    }))
}
