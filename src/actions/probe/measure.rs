//! What a mailbox holds, for the weekly report: how many messages, how many in the junk folder, how many that are too large. Senders and
//! subjects are read by nobody and kept nowhere.

use super::work::Work;
use super::{Options, Order, passed, rests_for, side, stages_of};
use crate::app::App;
use crate::model::RunId;
use crate::model::mailbox::{Mailbox, Protocol};
use crate::model::report::{Direction, Stage};
use crate::store::StoreError;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Messages in the folder.
    pub messages: i64,
    /// Messages that came into the junk folder in the last days; none where there is no such folder, or its server can't say which are new.
    pub junk: Option<i64>,
    /// How many days those are.
    pub junk_days: i64,
    /// Messages above the limit.
    pub oversized: i64,
    /// The limit in megabytes.
    pub limit_mb: i64,
}

/// Looks through a mailbox. None where it can't be read now, where its server asked for a pause, where it is read in a way that counts
/// nothing, and while a person tests it.
pub async fn measure(app: &App, mailbox: &Mailbox) -> Result<Option<Measured>, StoreError> {
    let direction = Direction::Incoming;
    let Some(side) = side(mailbox, direction).filter(|side| side.server.protocol() != Protocol::Pop3) else {
        return Ok(None);
    };
    if rests_for(app, side).await?.is_some() {
        return Ok(None);
    }
    let id = RunId(app.new_id());
    let Ok(_claim) = app.probes.claim(&mailbox.id, direction, &id) else {
        return Ok(None);
    };
    let options = Options {
        newest: 0,
        ..Options::chosen(app).await?
    };
    let (limit_mb, days) = (options.oversized_over / 1_000_000, i64::from(options.junk_days));
    let order = Order::own(mailbox, direction, options);
    let planned = stages_of(app, &order, side, false).await?;
    let (work, mut steps, mut findings) = Work::begin(app, order, side, planned, None).await?;
    if work.run_until(&app.stopping, &mut steps, &mut findings).await {
        return Ok(None);
    }
    let (report, _) = work.conclude(steps, &mut findings, false).await;
    let number = |stage: Stage, name: &str| {
        let step = report.steps.iter().find(|step| step.step == stage)?;
        step.facts.get(name)?.as_i64()
    };
    let oversized = number(Stage::Newest, "oversized").filter(|_| passed(&report));
    Ok(oversized.map(|oversized| Measured {
        messages: report.facts.get("messages").and_then(serde_json::Value::as_i64).unwrap_or(0),
        junk: number(Stage::Junk, "recent"),
        junk_days: days,
        oversized,
        limit_mb: i64::try_from(limit_mb).unwrap_or(i64::MAX),
    }))
}
