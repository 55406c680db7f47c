//! Bulk tests: takes what waits, in the name of this instance, as many at once of each provider as the batch and the settings allow; one
//! provider that hangs delays no other. What a batch is told to do (rest, go on, stop) stands in the database, so every instance hears it.

use crate::actions::batches::{self, Looked};
use crate::actions::probe::{self, CheckPlace, Tested};
use crate::app::App;
use crate::model::audit::Actor;
use crate::model::batch::{self, Batch, BatchState, Item};
use crate::model::report::Direction;
use crate::model::user::Permission;
use crate::model::{BatchId, UserId};
use crate::store::StoreResult;
use crate::store::turns::Turn;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

mod settle;
use settle::{Ended, settle};

/// How long between two passes, where nothing ends? What ends makes one come sooner, and what ended meanwhile is written down together.
pub const EVERY: Duration = Duration::from_millis(250);
/// How long is waited for others where one has ended?
const TOGETHER: Duration = Duration::from_millis(20);
/// How many tests go on at once in this process, all batches together?
const MOST_AT_ONCE: usize = 128;

/// Items of batches in this process.
#[derive(Default)]
pub(super) struct Batches {
    held: Mutex<Held>,
    /// Somebody has ended something: a pass may come before its time.
    woken: Notify,
}

#[derive(Default)]
struct Held {
    /// What runs, with the way to stop it.
    running: HashMap<(BatchId, i64), CancellationToken>,
    ended: Vec<Ended>,
    /// Claimed, and nothing came of it: to be given back.
    unfinished: Vec<(Item, Back)>,
}

/// Why nothing came of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Back {
    /// It was stopped: whoever goes on with the batch may take it at once.
    Stopped,
    /// Somebody else tests the mailbox just now.
    UnderWay,
    /// The console's own database, or a mistake in it, was in the way.
    Failed,
}

impl Batches {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until an item has ended since the last pass, and a little for others that end with it.
    pub(super) async fn ended(&self) {
        self.woken.notified().await;
        tokio::time::sleep(TOGETHER).await;
    }
}

/// One item that runs, listed until it ends, however it does. One that brings nothing is given back.
struct Running {
    app: App,
    item: Item,
    looked: Option<Looked>,
    /// What it is where nothing came of it.
    back: Back,
    /// In whose name a message is being sent: what became of it isn't known until the test has ended.
    sending: Option<String>,
    place: Option<CheckPlace>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut held = self.app.workers.batches().held();
        held.running.remove(&(self.item.batch.clone(), self.item.position));
        match (self.looked.take(), self.sending.take()) {
            (Some(looked), _) => held.ended.push(looked.into()),
            // Not sent twice, whatever broke.
            (None, Some(owner)) => held.ended.push(Ended::from(Looked {
                item: self.item.clone(),
                owner,
                found: None,
                settled: batches::unknown(),
            })),
            (None, None) => held.unfinished.push((self.item.clone(), self.back)),
        }
        drop(held);
        // The place is free before anybody looks for one.
        self.place = None;
        self.app.workers.batches().woken.notify_one();
    }
}

/// How many items run in this process, or ended and are not written down yet.
pub fn busy(app: &App) -> usize {
    let held = app.workers.batches().held();
    held.running.len() + held.ended.len() + held.unfinished.len()
}

/// Writes down what ended, takes over what dead instances left, stops what is to be stopped, and starts what has a place.
pub async fn tick(app: &App) -> StoreResult<()> {
    settle(app).await;
    let open = app.store.open_batches().await?;
    // Also where none is open any more: what was claimed while somebody stopped the last one.
    stop(app, &open);
    if open.is_empty() {
        return Ok(());
    }
    batches::adopt(app).await?;
    stop_for_want_of_rights(app, &open).await?;
    if app.stopping.is_cancelled() {
        return Ok(());
    }
    start(app, &open).await
}

/// A batch does not go on in the name of somebody who may not test any more (ROLE-4).
async fn stop_for_want_of_rights(app: &App, open: &[Batch]) -> StoreResult<()> {
    for batch in open.iter().filter(|batch| batch.state != BatchState::Stopped) {
        let Some(id) = &batch.user_id else { continue };
        let Some(user) = app.store.user_by_id(id).await? else { continue };
        if !user.disabled && user.role.may(Permission::MailboxTest) {
            continue;
        }
        match batches::turn(app, &Actor::console(), &batch.id, batch::Command::Stop).await {
            Ok(()) => tracing::warn!(batch.id = %batch.id, "A bulk test was stopped: whoever started it may not test any more"),
            // Somebody else stopped it meanwhile.
            Err(batches::BatchError::Store(error)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Stops what runs of batches that were stopped.
fn stop(app: &App, open: &[Batch]) {
    let held = app.workers.batches().held();
    for ((id, _), cancel) in &held.running {
        if !open.iter().any(|batch| batch.id == *id && batch.state != BatchState::Stopped) {
            cancel.cancel();
        }
    }
}

async fn start(app: &App, open: &[Batch]) -> StoreResult<()> {
    let mut room = MOST_AT_ONCE.saturating_sub(busy(app));
    let (most, places) = (batches::most_parallel(app).await?, probe::places(app).await?);
    let mut taken = app.store.busy_lanes().await?;
    let mut wanted: Vec<(Item, Batch, CheckPlace)> = Vec::new();
    for batch in open.iter().filter(|batch| batch.state == BatchState::Running) {
        for lane in app.store.waiting_lanes(&batch.id).await? {
            let busy = taken.entry(lane.clone()).or_default();
            let free = (batch.parallel.min(most) - *busy).min(i64::try_from(room).unwrap_or(0));
            if free <= 0 || probe::lane_rests(app, &lane) {
                continue;
            }
            for item in app.store.waiting_items(&batch.id, &lane, app.clock.now(), free).await? {
                let Some(place) = probe::free_place(app, Turn::Check, &lane, places) else {
                    break;
                };
                (*busy, room) = (*busy + 1, room - 1);
                wanted.push((item, batch.clone(), place));
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let owner = app.flights.owner(app).as_str().to_owned();
    let (now, actors) = (app.clock.now(), actors(app, open).await?);
    let mut tx = app.store.begin().await?;
    let mut claimed = Vec::new();
    let batches: BTreeSet<&str> = wanted.iter().map(|(_, batch, _)| batch.id.as_str()).collect();
    for id in batches {
        tx.hold_batch(&BatchId(id.to_owned())).await?;
    }
    for (item, batch, place) in wanted {
        if tx.claim_item(&item, &owner).await? {
            let actor = actors.get(&batch.id).cloned().unwrap_or_else(Actor::console);
            tx.audit(now, &actor, batches::tested_entry(&item, &batch)).await?;
            // From here on: where the rest doesn't come to pass, it is given back.
            let running = Running {
                app: app.clone(),
                item,
                looked: None,
                back: Back::Stopped,
                sending: None,
                place: Some(place),
            };
            claimed.push((running, batch, actor));
        }
    }
    tx.commit().await?;
    for (running, batch, actor) in claimed {
        spawn(running, batch, actor, owner.clone());
    }
    Ok(())
}

/// In whose name each batch tests.
async fn actors(app: &App, open: &[Batch]) -> StoreResult<HashMap<BatchId, Actor>> {
    let mut actors = HashMap::new();
    for batch in open {
        let Some(id) = &batch.user_id else { continue };
        if let Some(user) = app.store.user_by_id(id).await? {
            let actor = Actor {
                id: format!("user:{}", user.email),
                name: user.name,
                ..Actor::console()
            };
            actors.insert(batch.id.clone(), actor);
        }
    }
    Ok(actors)
}

fn spawn(mut running: Running, batch: Batch, actor: Actor, owner: String) {
    let app = running.app.clone();
    let cancel = app.stopping.child_token();
    let key = (running.item.batch.clone(), running.item.position);
    app.workers.batches().held().running.insert(key, cancel.clone());
    running.back = Back::Failed;
    app.tasks.clone().spawn(async move {
        if let Err(error) = look(&app, &mut running, (actor, batch.user_id), owner, &cancel).await {
            // It comes before anything is sent.
            running.sending = None;
            tracing::warn!(mailbox.name = %running.item.name, %error, "A mailbox could not be tested in a bulk test: {error}");
        }
        drop(running);
        if app.stopping.is_cancelled() {
            // No pass comes any more.
            settle(&app).await;
        }
    });
}

/// Tests an item, and notes in `running` what came of it.
async fn look(app: &App, running: &mut Running, by: (Actor, Option<UserId>), owner: String, cancel: &CancellationToken) -> StoreResult<()> {
    let item = running.item.clone();
    let looked = |owner: String, settled, found| {
        Some(Looked {
            item: item.clone(),
            owner,
            settled,
            found,
        })
    };
    let Some(mailbox) = app.store.mailbox_by_id(&item.mailbox).await? else {
        running.looked = looked(owner, batches::skipped(), None);
        return Ok(());
    };
    if item.direction == Direction::Outgoing {
        running.sending = Some(owner.clone());
    }
    let tested = probe::test(app, &mailbox, item.direction, by, cancel).await?;
    match tested {
        Tested::Found(checked) => {
            let settled = batches::settled(app, &mailbox, &checked).await;
            running.looked = looked(owner, settled, Some((mailbox, *checked)));
        }
        Tested::NoSide => running.looked = looked(owner, batches::skipped(), None),
        Tested::UnderWay => (running.back, running.sending) = (Back::UnderWay, None),
        Tested::Stopped => (running.back, running.sending) = (Back::Stopped, None),
    }
    Ok(())
}
