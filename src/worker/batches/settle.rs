//! Writes down what tests of a batch have found, and gives back what nothing came of. What the database does not take now stays in memory, and
//! is tried again.

use super::Back;
use crate::actions::batches::{self, Looked};
use crate::app::App;
use std::time::Duration;
use tokio::time::Instant;

/// How many seconds does an item rest whose mailbox somebody else tests just now?
const AFTER_OTHERS: i64 = 2;
/// How long does a result rest that could not be written down? Doubled each time, eight times as long at most.
const UNWRITTEN: Duration = Duration::from_millis(500);
/// How often is the whole result tried, before less than that will do?
const WHOLE: u32 = 3;
/// How many results are written down in one transaction? Others want to write too.
const RECORDED_AT_ONCE: usize = 25;

/// A result that is to be written down.
pub(super) struct Ended {
    looked: Looked,
    /// How often that failed, and until when it rests for that.
    tries: u32,
    not_before: Instant,
}

impl From<Looked> for Ended {
    fn from(looked: Looked) -> Self {
        Self {
            looked,
            tries: 0,
            not_before: Instant::now(),
        }
    }
}

/// What can't be written down now rests, and keeps its place in the count: it can't become more and more. One result that can't be stands
/// in nobody's way.
pub(super) async fn settle(app: &App) {
    let mut due = {
        let mut held = app.workers.batches().held();
        let now = Instant::now();
        let all = std::mem::take(&mut held.ended);
        // No other pass comes once the console stops.
        let (due, resting) = all
            .into_iter()
            .partition(|ended| ended.not_before <= now || app.stopping.is_cancelled());
        held.ended = resting;
        Due { app, ended: due }
    };
    while !due.ended.is_empty() {
        let number = due.ended.len().min(RECORDED_AT_ONCE);
        match batches::record(app, due.ended[..number].iter().map(|ended| &ended.looked)).await {
            Ok(()) => {
                due.ended.drain(..number);
            }
            // It takes nothing at all: the next pass tries again.
            Err(error) if error.is_away() => return,
            Err(_) => {
                for _ in 0..number {
                    if !settle_one(app, &mut due).await {
                        return;
                    }
                }
            }
        }
    }
    give_back(app).await;
}

/// Results that a pass has taken out of memory: those it did not come to go back, also where it is cut off.
struct Due<'a> {
    app: &'a App,
    ended: Vec<Ended>,
}

impl Drop for Due<'_> {
    fn drop(&mut self) {
        let mut held = self.app.workers.batches().held();
        held.ended.append(&mut self.ended);
    }
}

/// Writes down the first of what is due, or lets it rest; `false` where the database takes nothing now.
async fn settle_one(app: &App, due: &mut Due<'_>) -> bool {
    let Some(one) = due.ended.first() else { return true };
    let looked = &one.looked;
    let mut result = batches::record(app, std::iter::once(looked)).await;
    if result.is_err() && one.tries >= WHOLE {
        // Where the database takes anything at all, the rest of the batch must not wait for this one.
        result = batches::give_up(app, &looked.item, &looked.owner, &batches::unrecorded()).await;
    }
    let mut one = match result {
        Ok(()) => {
            due.ended.remove(0);
            return true;
        }
        Err(error) if error.is_away() => return false,
        Err(error) => {
            if one.tries == 0 || one.tries == WHOLE {
                let name = &one.looked.item.name;
                tracing::warn!(mailbox.name = %name, %error, "What a bulk test found can't be written down yet: {error}");
            }
            due.ended.remove(0)
        }
    };
    one.not_before = Instant::now() + UNWRITTEN * 2_u32.pow(one.tries.min(3));
    one.tries = one.tries.saturating_add(1);
    app.workers.batches().held().ended.push(one);
    true
}

/// Gives back what nothing came of; what the database was in the way of too often is given up.
async fn give_back(app: &App) {
    let items = app.workers.batches().held().unfinished.clone();
    let owner = app.flights.owner(app).as_str();
    for (item, back) in items {
        let tries = item.tries + i64::from(back == Back::Failed);
        let rest = match back {
            Back::Stopped => Some(0),
            Back::UnderWay => Some(AFTER_OTHERS),
            Back::Failed => batches::rest(tries),
        };
        let result = match rest {
            Some(rest) => batches::give_back(app, &item, owner, tries, rest).await,
            None => batches::give_up(app, &item, owner, &batches::untested()).await,
        };
        match result {
            Ok(()) => {
                let mut held = app.workers.batches().held();
                held.unfinished
                    .retain(|(other, _)| (&other.batch, other.position) != (&item.batch, item.position));
            }
            Err(error) if error.is_away() => return,
            // It stays where it is, for the next pass.
            Err(error) => tracing::debug!(%error, "An item of a bulk test can't be given back yet: {error}"),
        }
    }
}
