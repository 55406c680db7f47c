//! Renews what is due, before anybody asks for it, by the protocol of [`crate::actions::access_token`].
//!
//! Each provider has a lane of its own: at most twenty renewals a second and eight at once, so that one that is slow, down or refuses the
//! app delays no other. What was not used for longest comes first, for that lapses first. A provider that doesn't answer, or refuses the
//! app itself, hears from one renewal at a time, and all go on once that one succeeds. Several instances share the work by the ids of
//! tokens; who renews what is settled by the lease in the grant's row all the same.

mod clock;
mod lane;

use crate::actions::ActionError;
use crate::actions::access_token::{AccessError, lease, renew_due};
use crate::app::App;
use crate::model::ProviderId;
use crate::model::due::spread;
use crate::store::due::Due;
use crate::store::{StoreError, StoreResult};
use lane::{Lane, Pace};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long between two passes?
pub const EVERY: Duration = Duration::from_secs(1);
/// How long between two rounds of a pass, as long as there is work?
const ROUND: Duration = Duration::from_millis(250);
/// After how many rounds does a pass end, so that its end can be seen?
const ROUNDS: u32 = 20;
/// How often are providers looked through for what is due?
const LOOK: Duration = Duration::from_millis(900);
/// How long does everything rest when the database takes no writes? Nothing is sent meanwhile (DUR-4).
const REST: Duration = Duration::from_secs(9);
/// How many renewals of all providers together begin in a second? Others want to write too.
const ALL_A_SECOND: u32 = 40;
const ALL_BURST: u32 = 8;
/// How many does a lane take up at a time?
const BATCH: i64 = 200;
/// How long may what belongs to another instance wait, in seconds, before this one takes it?
const OVERDUE: i64 = 60;
/// How long is a provider left in peace that refuses the app itself?
const ASK_BROKEN: Duration = Duration::from_secs(60);

/// What this process knows of its renewals.
#[derive(Default)]
pub(super) struct Refresher {
    state: Mutex<State>,
    running: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    lanes: BTreeMap<ProviderId, Lane>,
    all: Pace,
    looked_at: Option<Duration>,
    clock: clock::Steps,
    /// Which lane begins.
    turn: usize,
    /// Why the database did not take a renewal.
    trouble: Option<String>,
}

impl Refresher {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pass: rounds, as long as there is something to begin and for five seconds at most.
pub async fn tick(app: &App) -> Result<(), ActionError> {
    for _ in 0..ROUNDS {
        let more = match round(app).await {
            Ok(more) => more,
            Err(error) => {
                pause(app, REST).await;
                return Err(error);
            }
        };
        if !more || app.stopping.is_cancelled() {
            break;
        }
        pause(app, ROUND).await;
    }
    Ok(())
}

async fn pause(app: &App, time: Duration) {
    tokio::select! {
        () = app.stopping.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// Begins what may begin now. Whether there is more that may begin soon.
pub async fn round(app: &App) -> Result<bool, ActionError> {
    let refresher = app.workers.refresher();
    let trouble = refresher.state().trouble.take();
    if let Some(trouble) = trouble {
        return Err(StoreError::Busy(trouble).into());
    }
    if app.stopping.is_cancelled() {
        return Ok(false);
    }
    clock::heed(app).await?;
    look(app).await?;
    let (begun, more) = choose(app);
    for (provider, due) in begun {
        let running = Running::begin(app, provider, due);
        app.tasks.spawn(async move { running.renew().await });
    }
    Ok(more)
}

/// Waits until everything that was begun has ended.
pub async fn quiet(app: &App) {
    let mut running = app.workers.refresher().running.subscribe();
    // The sender lives as long as the app.
    let _ = running.wait_for(|running| *running == 0).await;
}

/// Fills the lanes that are empty.
async fn look(app: &App) -> StoreResult<()> {
    let (now, running) = (app.clock.now(), app.clock.running());
    {
        let mut state = app.workers.refresher().state();
        let is_hungry = state.lanes.values().any(Lane::is_hungry);
        if !is_hungry && state.looked_at.is_some_and(|at| running < at + LOOK) {
            return Ok(());
        }
        state.looked_at = Some(running);
    }
    let providers = app.store.due_providers(now).await?;
    let (share, of) = app.workers.share();
    let mut wanting = Vec::new();
    {
        let mut state = app.workers.refresher().state();
        state
            .lanes
            .retain(|id, lane| !lane.is_idle() || providers.iter().any(|(due, _)| due == id));
        for (id, is_broken) in providers {
            let lane = state.lanes.entry(id.clone()).or_default();
            lane.heed(is_broken, running);
            lane.prune(running);
            if lane.queue.is_empty() {
                wanting.push(id);
            }
        }
    }
    for id in wanting {
        let limit = BATCH * i64::try_from(of).unwrap_or(1);
        let mut due = app.store.due_grants(&id, now, limit).await?;
        let more = i64::try_from(due.len()).is_ok_and(|found| found >= limit);
        due.retain(|due| !lease::is_held(app, due.lease_owner.as_deref(), due.lease_until, now));
        let (mut ours, mut theirs): (Vec<Due>, Vec<Due>) = due.into_iter().partition(|due| spread(due.token.as_str(), 0) % of == share);
        if ours.is_empty() {
            theirs.retain(|due| now.since(due.due_at) > OVERDUE);
            ours = theirs;
        }
        if let Some(lane) = app.workers.refresher().state().lanes.get_mut(&id) {
            lane.fill(ours, more);
        }
    }
    Ok(())
}

/// What may begin now, and whether more may soon.
fn choose(app: &App) -> (Vec<(ProviderId, Due)>, bool) {
    let now = app.clock.running();
    let (_, of) = app.workers.share();
    let mut guard = app.workers.refresher().state();
    let state = &mut *guard;
    let mut ids: Vec<ProviderId> = state.lanes.keys().cloned().collect();
    if !ids.is_empty() {
        // Another lane begins each time, where the pace of all is the limit.
        state.turn = (state.turn + 1) % ids.len();
        ids.rotate_left(state.turn);
    }
    let mut begun = Vec::new();
    loop {
        let before = begun.len();
        for id in &ids {
            let Some(lane) = state.lanes.get_mut(id) else { continue };
            let standing = app.flights.standing(id, now);
            if lane.may_begin(standing, now, of) && state.all.may(now, ALL_A_SECOND, ALL_BURST) {
                state.all.take(now, ALL_A_SECOND, ALL_BURST);
                begun.extend(lane.begin(now, of).map(|due| (id.clone(), due)));
            }
        }
        if begun.len() == before {
            break;
        }
    }
    let more = state
        .lanes
        .iter()
        .any(|(id, lane)| (!lane.queue.is_empty() || lane.is_hungry()) && lane.is_open(app.flights.standing(id, now), now));
    (begun, more)
}

/// A renewal under way; dropped, its place is free again.
struct Running {
    app: App,
    provider: ProviderId,
    due: Due,
}

impl Running {
    fn begin(app: &App, provider: ProviderId, due: Due) -> Self {
        app.workers.refresher().running.send_modify(|running| *running += 1);
        Self {
            app: app.clone(),
            provider,
            due,
        }
    }

    async fn renew(&self) {
        let app = &self.app;
        let ended = match app.store.token_by_id(&self.due.token).await {
            Ok(Some(token)) => renew_due(app, &token, self.due.generation).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
        let mut guard = app.workers.refresher().state();
        let state = &mut *guard;
        let lane = state.lanes.entry(self.provider.clone()).or_default();
        match ended {
            Ok(()) => lane.heed(false, app.clock.running()),
            Err(AccessError::AppProblem(_)) => lane.heed(true, app.clock.running()),
            Err(error @ (AccessError::Busy(_) | AccessError::Store(_))) => {
                state.trouble = Some(error.to_string());
                state.lanes.values_mut().for_each(|lane| lane.queue.clear());
            }
            // Its row says what comes next, and a provider that is down is known by now.
            Err(_) => {}
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let refresher = self.app.workers.refresher();
        if let Some(lane) = refresher.state().lanes.get_mut(&self.provider) {
            lane.ended(&self.due, self.app.clock.running());
        }
        refresher.running.send_modify(|running| *running -= 1);
    }
}
