//! The weekly look at what mailboxes hold: each once in the hours before the report, few of one provider at once.

use super::turns;
use crate::actions::findings::{Finding, next_reports};
use crate::actions::probe::measure;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::MailboxId;
use crate::model::mailbox::Mailbox;
use crate::model::report::Outcome;
use crate::store::StoreResult;
use crate::store::turns::Turn;
use std::time::Duration;

/// How long between two passes?
pub const EVERY: Duration = Duration::from_secs(10);
/// How long before the report does the look begin, and how long before it does the last mailbox have its turn, in seconds?
const BEFORE: i64 = 8 * 3600;
const LAST: i64 = 1800;
/// How soon is a mailbox looked at again that could not be read, in seconds?
const AGAIN: i64 = 3600;

/// When a mailbox has its turn: before the next report, and where that has passed before the one after it.
fn turn(id: &MailboxId, now: Timestamp, (next, after): (Timestamp, Timestamp)) -> Timestamp {
    let offset = turns::share(id, BEFORE - LAST) - BEFORE;
    let report = if next.plus(offset) > now { next } else { after };
    report.plus(offset)
}

/// Plans what is new, and begins what is due and has a place.
pub async fn tick(app: &App) -> StoreResult<()> {
    turns::give_back(app, Turn::Finding, AGAIN).await?;
    let now = app.clock.now();
    let Some(reports) = next_reports(app, now).await? else {
        return Ok(());
    };
    let unplanned = app.store.unplanned_findings(reports.1).await?;
    if !unplanned.is_empty() {
        let mut tx = app.store.begin().await?;
        for id in &unplanned {
            tx.plan_turn(Turn::Finding, id, turn(id, now, reports)).await?;
        }
        tx.commit().await?;
    }
    let room = turns::MOST_AT_ONCE.saturating_sub(turns::busy(app, Turn::Finding));
    turns::begin(app, Turn::Finding, (room, turns::FEW), |app, id, owner| async move {
        look(&app, &id, &owner).await.map(|()| true)
    })
    .await
}

/// Looks through one mailbox and gives it back.
async fn look(app: &App, id: &MailboxId, owner: &str) -> StoreResult<()> {
    // What fails is known from its checks; trying it more often locks accounts.
    let can_read = |mailbox: &Mailbox| mailbox.enabled && mailbox.incoming_state.outcome != Some(Outcome::Failed);
    let mailbox = app.store.mailbox_by_id(id).await?.filter(can_read);
    let measured = match &mailbox {
        Some(mailbox) => measure(app, mailbox).await,
        None => Ok(None),
    };
    let now = app.clock.now();
    let reports = next_reports(app, now).await?;
    let regular = reports.map_or_else(|| now.plus(7 * 86_400), |reports| turn(id, now, reports));
    // What can't be read now may be before the report.
    let is_before = |report: Timestamp| now.plus(AGAIN) < report && report.since(now) <= BEFORE;
    let soon = if reports.is_some_and(|(next, _)| is_before(next)) {
        now.plus(AGAIN)
    } else {
        regular
    };
    let mut tx = app.store.begin().await?;
    match (&mailbox, &measured) {
        (Some(mailbox), Ok(Some(found))) => {
            let found = Finding {
                name: mailbox.name.to_string(),
                address: mailbox.address.clone(),
                found_at: now,
                messages: found.messages,
                junk: found.junk,
                junk_days: found.junk_days,
                oversized: found.oversized,
                limit_mb: found.limit_mb,
            };
            if tx.release_turn(Turn::Finding, id, owner, regular).await? {
                tx.put_finding(id, &found).await?;
            }
        }
        _ => {
            tx.release_turn(Turn::Finding, id, owner, soon).await?;
        }
    }
    tx.commit().await?;
    measured.map(|_| ())
}
