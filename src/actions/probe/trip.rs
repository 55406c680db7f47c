//! A message that a mailbox sends to itself: sent once, then looked for. Nothing is stored here; the worker knows what was sent before.

use super::work::Work;
use super::{Options, Order, is_send_unknown, may_arrive, side, stages_of, target};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::mailbox::Mailbox;
use crate::model::report::{Direction, Outcome, Report, Stage};
use crate::store::StoreError;
use std::time::Duration;

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trip {
    /// It is there, after so many seconds, in the inbox or the junk folder.
    Arrived {
        /// Seconds since it was sent.
        seconds: i64,
        /// `inbox` or `junk`.
        place: String,
    },
    /// The server took it; it isn't there yet.
    Sent,
    /// It was not sent, for this reason.
    Refused(String),
    /// Nobody knows whether it was sent.
    Unknown,
    /// The console stopped before it was sent.
    Stopped,
}

/// A Message-ID that no other message has.
pub fn new_message_id(app: &App, mailbox: &Mailbox) -> String {
    target::message_id(app, mailbox.sender())
}

/// Sends a message with this Message-ID from a mailbox to itself, and waits for it so long. Whoever calls has it written down already.
pub async fn send_to_itself(app: &App, mailbox: &Mailbox, message_id: &str, wait: Duration) -> Result<Trip, StoreError> {
    let options = Options {
        subject: Some(super::subject(&*app.random)),
        message_id: Some(message_id.to_owned()),
        ..Options::default()
    };
    let Some(side) = side(mailbox, Direction::Outgoing).filter(|_| may_arrive(mailbox)) else {
        return Ok(Trip::Refused("A message to itself needs SMTP and IMAP".to_owned()));
    };
    let order = Order::own(mailbox, Direction::Outgoing, options);
    let planned = stages_of(app, &order, side, true).await?;
    let (work, mut steps, mut findings) = Work::begin(app, order, side, planned, Some(wait)).await?;
    let stopped = work.run_until(&app.stopping, &mut steps, &mut findings).await;
    let (report, failure) = work.conclude(steps, &mut findings, stopped).await;
    if let Some((seconds, Found { place, .. })) = arrived_in(&report) {
        return Ok(Trip::Arrived { seconds, place });
    }
    if failure.is_some_and(|failure| is_send_unknown(failure.own_id)) {
        return Ok(Trip::Unknown);
    }
    let handed = report.steps.iter().find(|step| step.step == Stage::Data).map(|step| step.outcome);
    Ok(match handed {
        Some(Outcome::Passed | Outcome::Warning) => Trip::Sent,
        _ if stopped => Trip::Stopped,
        _ => Trip::Refused(
            report
                .diagnosis
                .map_or_else(|| "It could not be sent".to_owned(), |found| found.title),
        ),
    })
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `inbox` or `junk`.
    pub place: String,
    /// When it came in by the clock of the server, if that says so.
    pub came_in: Option<Timestamp>,
}

/// Looks for a message that was sent before; none where it isn't there, or where the mailbox can't be read now.
pub async fn look_for(app: &App, mailbox: &Mailbox, message_id: &str, wait: Duration) -> Result<Option<Found>, StoreError> {
    let Some(incoming) = mailbox.incoming.as_ref().filter(|_| may_arrive(mailbox)) else {
        return Ok(None);
    };
    let order = Order::own(mailbox, Direction::Outgoing, Options::default());
    let (work, mut steps, mut findings) = Work::begin(app, order, incoming, vec![Stage::Arrived], Some(wait)).await?;
    tokio::select! {
        biased;
        () = app.stopping.cancelled() => return Ok(None),
        _ = Box::pin(work.arrives(incoming, message_id, wait, &mut steps)) => {}
    }
    let (report, _) = work.conclude(steps, &mut findings, false).await;
    Ok(arrived_in(&report).map(|(_, found)| found))
}

/// What the last step says, if it found the message: after how many seconds of looking, and where.
fn arrived_in(report: &Report) -> Option<(i64, Found)> {
    let step = report.steps.iter().find(|step| step.step == Stage::Arrived)?;
    let place = step.facts.get("place")?.as_str()?.to_owned();
    let seconds = step.facts.get("seconds")?.as_i64()?;
    let came_in = step.facts.get("came_in").and_then(serde_json::Value::as_i64).map(Timestamp);
    Some((seconds, Found { place, came_in }))
}
