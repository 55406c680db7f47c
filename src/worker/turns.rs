//! Turns that mailboxes have in this process: each is claimed in the name of this instance before it begins, so that several divide them
//! and what a dead one had claimed is free again; counted until it ends; and given back where nothing came of it.

use crate::actions::probe::{self, CheckPlace};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::MailboxId;
use crate::store::StoreResult;
use crate::store::turns::{Places, Turn};
use aws_lc_rs::digest;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many mailboxes of one provider send themselves a message at once, and how many are looked through, all instances together?
pub(super) const FEW: Places = Places { most: 2, graph: 2 };
/// How many of them are at it in this process, all providers together?
pub(super) const MOST_AT_ONCE: usize = 64;

/// Turns of one kind in this process.
#[derive(Default)]
pub(super) struct UnderWay {
    running: AtomicUsize,
    /// Claimed, and nothing came of it: to be given back.
    unfinished: Mutex<Vec<MailboxId>>,
}

impl UnderWay {
    pub(super) fn add_unfinished(&self, id: MailboxId) {
        super::locked(&self.unfinished).push(id);
    }
}

/// A turn that goes on, counted until it ends, however it does. One that brings nothing is given back at the next pass.
struct Running {
    app: App,
    turn: Turn,
    id: MailboxId,
    place: Option<CheckPlace>,
    ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let under_way = self.app.workers.under_way(self.turn);
        if !self.ended {
            under_way.add_unfinished(self.id.clone());
        }
        // Whoever finds nothing running finds the place free.
        self.place = None;
        under_way.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many turns of this kind go on in this process.
pub fn busy(app: &App, turn: Turn) -> usize {
    app.workers.under_way(turn).running.load(Ordering::Relaxed)
}

/// What was claimed and brought nothing has its next turn after so many seconds; where even that can't be written, at the next pass.
pub(super) async fn give_back(app: &App, turn: Turn, again: i64) -> StoreResult<()> {
    let under_way = app.workers.under_way(turn);
    let ids = super::locked(&under_way.unfinished).clone();
    if ids.is_empty() {
        return Ok(());
    }
    let (owner, next) = (app.flights.owner(app).as_str(), app.clock.now().plus(again));
    let mut tx = app.store.begin().await?;
    for id in &ids {
        tx.release_turn(turn, id, owner, next).await?;
    }
    tx.commit().await?;
    super::locked(&under_way.unfinished).retain(|id| !ids.contains(id));
    Ok(())
}

/// Begins what is due, at most `room` of it and `places` of each lane: claims it, and lets each have its turn as a task of its own.
/// `have` has one in the name of an owner, and says whether it was given back or will be.
pub(super) async fn begin<H, F>(app: &App, turn: Turn, (room, places): (usize, Places), have: H) -> StoreResult<()>
where
    H: Fn(App, MailboxId, String) -> F,
    F: Future<Output = StoreResult<bool>> + Send + 'static,
{
    if room == 0 || app.stopping.is_cancelled() {
        return Ok(());
    }
    let due = app.store.due_turns(turn, app.clock.now(), places).await?.into_iter();
    let with_place = due.filter_map(|due| {
        let (lane, most) = match due.graph {
            true => (format!("graph {}", due.lane), places.graph),
            false => (due.lane.clone(), places.most),
        };
        let place = probe::free_place(app, turn, &lane, usize::try_from(most).unwrap_or(0))?;
        Some((due, place))
    });
    let wanted: Vec<_> = with_place.take(room).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let owner = app.flights.owner(app).as_str();
    let mut tx = app.store.begin().await?;
    let mut claimed = Vec::new();
    for (due, place) in wanted {
        if tx.claim_turn(turn, &due, owner).await? {
            // From here on: where the rest doesn't come to pass, it is given back.
            app.workers.under_way(turn).running.fetch_add(1, Ordering::Relaxed);
            claimed.push(Running {
                app: app.clone(),
                turn,
                id: due.id,
                place: Some(place),
                ended: false,
            });
        }
    }
    tx.commit().await?;
    for mut running in claimed {
        let having = have(app.clone(), running.id.clone(), owner.to_owned());
        app.tasks.spawn(async move {
            match having.await {
                Ok(ended) => running.ended = ended,
                Err(error) => {
                    let what = match turn {
                        Turn::Check => "check",
                        Turn::RoundTrip => "message to itself",
                        Turn::Finding => "weekly look",
                    };
                    tracing::warn!(mailbox.id = %running.id, %error, "The {what} of a mailbox did not come to its end: {error}");
                }
            }
            drop(running);
        });
    }
    Ok(())
}

/// A moment of a mailbox's own within the interval that begins after `after`: always at the same time of each interval, so that however
/// many were due together, they are spread again.
pub(super) fn own_time(id: &MailboxId, after: Timestamp, interval: i64) -> Timestamp {
    let latest = after.plus(interval);
    latest.plus(-(latest.0 - share(id, interval)).rem_euclid(interval.max(1)))
}

/// A number below `range` that is always the same for a mailbox, and evenly spread over all of them.
pub(super) fn share(id: &MailboxId, range: i64) -> i64 {
    let digest = digest::digest(&digest::SHA256, id.as_str().as_bytes());
    let number = digest
        .as_ref()
        .iter()
        .take(7)
        .fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    number % range.max(1)
}
