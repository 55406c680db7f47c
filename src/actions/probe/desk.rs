//! Where tests queue, run, are watched and stopped: one desk for the process. Nothing here outlives it, and nothing grows without
//! bound (SSRF-5, DOS-3).

use super::Ended;
use crate::clock::Timestamp;
use crate::model::report::{Direction, Report, Stage};
use crate::model::{MailboxId, RunId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How many tests may wait, all in all?
const MOST_WAITING: usize = 500;
/// How many tests of unsaved settings may one person start in a minute?
const DRAFTS_A_MINUTE: usize = 20;
/// How many lanes may rest at once?
const MOST_RESTING: usize = 1000;
/// How many tests of saved mailboxes may one person start in a minute?
const TESTS_A_MINUTE: usize = 30;

/// A lane: tests that share a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum LaneKey {
    /// Saved mailboxes of one provider, or with passwords of one server.
    Saved(String),
    /// Settings nobody has saved.
    Draft,
}

#[derive(Default)]
struct Lane {
    running: usize,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

/// The right to run, until it is dropped.
pub(super) struct Permit(Option<(Desk, LaneKey)>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((desk, lane)) = self.0.take() {
            desk.release(&lane);
        }
    }
}

/// The one place that a side of a mailbox has for its tests, until it is dropped.
pub(super) struct Claim(Desk, (MailboxId, Direction));

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.state().claimed.remove(&self.1);
    }
}

/// A place in a lane: either the right to run, or the wait for it.
pub(super) enum Turn {
    Now(Permit),
    Later(oneshot::Receiver<Permit>),
}

/// A run as its watchers see it.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Whether it still waits for its turn.
    pub waiting: bool,
    /// The steps that ended.
    pub report: Report,
    /// When the step after them began, by the runtime's clock.
    pub step_began: Instant,
}

/// A run that goes on, for those who watch or stop it.
#[derive(Clone)]
pub struct Live {
    /// Its steps, in order.
    pub planned: Vec<Stage>,
    /// How far it is.
    pub progress: watch::Receiver<Progress>,
    /// How it ended; none before that.
    pub ended: watch::Receiver<Option<Arc<Ended>>>,
    /// When it was asked for, by the runtime's clock.
    pub began: Instant,
    pub(super) cancel: CancellationToken,
}

#[derive(Default)]
struct State {
    lanes: HashMap<LaneKey, Lane>,
    waiting: usize,
    live: HashMap<RunId, Live>,
    claimed: HashMap<(MailboxId, Direction), RunId>,
    /// Lanes whose servers asked for a pause, and until when, by what the clock has run.
    resting: HashMap<LaneKey, Duration>,
    started: HashMap<String, VecDeque<Timestamp>>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// Forms start one after the other, so that pressing a button twice can't start two.
    forms: tokio::sync::Mutex<()>,
}

/// The desk. Cheap to clone.
#[derive(Clone, Default)]
pub struct Desk(Arc<Inner>);

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to look up what a form has started, and to start it.
    pub async fn forms(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.forms.lock().await
    }

    /// A run that goes on in this process; one that ended is in the database.
    pub fn live(&self, run: &RunId) -> Option<Live> {
        self.state().live.get(run).filter(|live| live.ended.borrow().is_none()).cloned()
    }

    /// How many runs go on in this process, waiting ones included.
    pub fn count(&self) -> usize {
        self.state().live.len()
    }

    pub(super) fn register(&self, run: RunId, live: Live) {
        self.state().live.insert(run, live);
    }

    pub(super) fn remove(&self, run: &RunId) {
        self.state().live.remove(run);
    }

    /// Takes a place in a lane of `limit` at once; none where too many wait already.
    pub(super) fn queue(&self, key: LaneKey, limit: usize) -> Option<Turn> {
        let mut state = self.state();
        let waiting = state.waiting;
        let lane = state.lanes.entry(key.clone()).or_default();
        if lane.running < limit {
            lane.running += 1;
            return Some(Turn::Now(Permit(Some((self.clone(), key)))));
        }
        // Those who gave up make room.
        let before = lane.waiting.len();
        lane.waiting.retain(|waiter| !waiter.is_closed());
        let gone = before - lane.waiting.len();
        if waiting - gone >= MOST_WAITING {
            state.waiting -= gone;
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        lane.waiting.push_back(sender);
        state.waiting = waiting - gone + 1;
        Some(Turn::Later(receiver))
    }

    /// Takes a place in a lane only where one is free and nobody waits for it: for what can come later.
    pub(super) fn free_place(&self, key: LaneKey, limit: usize) -> Option<Permit> {
        let mut state = self.state();
        let lane = state.lanes.entry(key.clone()).or_default();
        // Somebody may wait where the limit was raised meanwhile.
        if lane.running < limit && lane.waiting.iter().all(oneshot::Sender::is_closed) {
            lane.running += 1;
            return Some(Permit(Some((self.clone(), key))));
        }
        None
    }

    /// Leaves a lane alone until then, by what the clock has run: nothing that can come later begins there.
    pub(super) fn rest(&self, key: LaneKey, until: Duration, running: Duration) {
        let mut state = self.state();
        state.resting.retain(|_, until| *until > running);
        if state.resting.len() < MOST_RESTING || state.resting.contains_key(&key) {
            let known = state.resting.entry(key).or_default();
            *known = until.max(*known);
        }
    }

    /// Whether any lane rests.
    pub(super) fn has_resting(&self, running: Duration) -> bool {
        self.state().resting.values().any(|until| *until > running)
    }

    /// For how long a lane rests; none where it doesn't.
    pub(super) fn rests_for(&self, key: &LaneKey, running: Duration) -> Option<Duration> {
        let until = *self.state().resting.get(key)?;
        until.checked_sub(running).filter(|left| !left.is_zero())
    }

    /// Gives a place on to who waits longest, or back.
    fn release(&self, key: &LaneKey) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(lane) = state.lanes.get_mut(key) else {
            return;
        };
        while let Some(waiter) = lane.waiting.pop_front() {
            state.waiting -= 1;
            match waiter.send(Permit(Some((self.clone(), key.clone())))) {
                Ok(()) => return,
                // Nobody waits there any more; the place was not given away, so its end must not give it back.
                Err(mut permit) => permit.0 = None,
            }
        }
        lane.running -= 1;
        if lane.running == 0 {
            state.lanes.remove(key);
        }
    }

    /// Takes the place of a mailbox's side for this run; `Err`: the run that has it.
    pub(super) fn claim(&self, mailbox: &MailboxId, direction: Direction, run: &RunId) -> Result<Claim, RunId> {
        let place = (mailbox.clone(), direction);
        let mut state = self.state();
        if let Some(other) = state.claimed.get(&place) {
            return Err(other.clone());
        }
        state.claimed.insert(place.clone(), run.clone());
        Ok(Claim(self.clone(), place))
    }

    /// Notes that a person tests unsaved settings; the seconds to wait where that was too often.
    pub(super) fn note_draft(&self, who: &str, now: Timestamp) -> Result<(), i64> {
        self.note(format!("draft {who}"), DRAFTS_A_MINUTE, now)
    }

    /// Notes that a person tests a saved mailbox; the seconds to wait where that was too often.
    pub(super) fn note_test(&self, who: &str, now: Timestamp) -> Result<(), i64> {
        self.note(format!("test {who}"), TESTS_A_MINUTE, now)
    }

    /// Whether a refusal by a limit is to be written down: once a minute for each person and limit, so that nobody fills the audit log.
    pub(super) fn note_refusal(&self, who: &str, limit: &str, now: Timestamp) -> bool {
        self.note(format!("refused {limit} {who}"), 1, now).is_ok()
    }

    fn note(&self, what: String, limit: usize, now: Timestamp) -> Result<(), i64> {
        let mut state = self.state();
        state.started.retain(|_, times| {
            times.retain(|at| (0..60).contains(&now.since(*at)));
            !times.is_empty()
        });
        let times = state.started.entry(what).or_default();
        if times.len() >= limit {
            let oldest = times.front().map_or(0, |at| now.since(*at));
            return Err((60 - oldest).max(1));
        }
        times.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LaneKey {
        LaneKey::Saved("p".into())
    }

    #[tokio::test]
    async fn only_so_many_run_and_the_rest_follow_in_order() {
        let desk = Desk::default();
        let Some(Turn::Now(first)) = desk.queue(key(), 1) else {
            panic!("no room at the start");
        };
        let Some(Turn::Later(gave_up)) = desk.queue(key(), 1) else {
            panic!("two at once");
        };
        let Some(Turn::Later(second)) = desk.queue(key(), 1) else {
            panic!("two at once");
        };
        // Another provider has a lane of its own.
        assert!(matches!(desk.queue(LaneKey::Saved("q".into()), 1), Some(Turn::Now(_))));
        drop(gave_up);
        drop(first);
        let second = second.await.unwrap();
        assert!(
            matches!(desk.queue(key(), 1), Some(Turn::Later(_))),
            "one runs and one more was let in"
        );
        drop(second);
        assert!(matches!(desk.queue(key(), 1), Some(Turn::Now(_))));
        let state = desk.state();
        assert_eq!((state.waiting, state.lanes.len()), (0, 0), "lanes and waiters are left behind");
    }

    #[tokio::test]
    async fn what_can_come_later_overtakes_nobody_where_the_limit_was_raised() {
        let desk = Desk::default();
        let _first = desk.queue(key(), 1);
        let waits = desk.queue(key(), 1);
        assert!(desk.free_place(key(), 8).is_none());
        drop(waits);
        assert!(desk.free_place(key(), 8).is_some());
    }

    #[tokio::test]
    async fn the_queue_has_an_end_and_those_who_gave_up_make_room() {
        let desk = Desk::default();
        let _running = desk.queue(key(), 1);
        let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| desk.queue(key(), 1).unwrap()).collect();
        assert!(desk.queue(key(), 1).is_none());
        waiting.pop();
        assert!(desk.queue(key(), 1).is_some());
    }

    #[test]
    fn unsaved_settings_are_tested_twenty_times_a_minute_each() {
        let desk = Desk::default();
        for second in 0..20 {
            assert_eq!(desk.note_draft("a", Timestamp(second)), Ok(()));
        }
        assert_eq!(desk.note_draft("a", Timestamp(20)), Err(40));
        assert_eq!(desk.note_draft("b", Timestamp(20)), Ok(()));
        assert_eq!(desk.note_test("a", Timestamp(20)), Ok(()), "these are counted by themselves");
        assert_eq!(desk.note_draft("a", Timestamp(60)), Ok(()));
    }
}
