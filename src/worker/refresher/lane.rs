//! The renewals of one provider: what waits, what runs, and how fast it may go.

use super::ASK_BROKEN;
use crate::actions::access_token::Standing;
use crate::clock::Timestamp;
use crate::model::TokenId;
use crate::store::due::Due;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// How many renewals of a provider begin in a second, and how many of these at once? Together never more than twenty in any second (F33).
const A_SECOND: u32 = 16;
const BURST: u32 = 4;
/// How many run at the same time?
const AT_ONCE: u64 = 8;
/// How long is something left alone that stayed due though it was tried?
const LEFT_ALONE: Duration = Duration::from_secs(30);

/// So many a second, a few of them at once. Times are what the clock has run.
#[derive(Default)]
pub(super) struct Pace {
    next: Duration,
}

impl Pace {
    /// Whether one may begin.
    pub fn may(&self, now: Duration, a_second: u32, burst: u32) -> bool {
        self.next.max(now.saturating_sub(Self::gap(a_second) * (burst - 1))) <= now
    }

    /// One begins.
    pub fn take(&mut self, now: Duration, a_second: u32, burst: u32) {
        let gap = Self::gap(a_second);
        self.next = self.next.max(now.saturating_sub(gap * (burst - 1))) + gap;
    }

    fn gap(a_second: u32) -> Duration {
        Duration::from_secs(1) / a_second.max(1)
    }
}

#[derive(Default)]
pub(super) struct Lane {
    /// What waits, first things first.
    pub queue: VecDeque<Due>,
    /// Whether there may be more than it took up.
    is_hungry: bool,
    running: HashSet<TokenId>,
    pace: Pace,
    /// The provider refuses the app: when it may be asked again.
    broken: Option<Duration>,
    /// What was tried lately: since when it had been due, and when it ended.
    tried: HashMap<TokenId, (Timestamp, Duration)>,
}

impl Lane {
    /// Whether there is nothing to remember.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queue.is_empty() && self.tried.is_empty()
    }

    /// Whether the provider refuses the app is known.
    pub fn heed(&mut self, is_broken: bool, now: Duration) {
        match (self.broken, is_broken) {
            (Some(_), false) => self.broken = None,
            (None, true) => {
                self.broken = Some(now + ASK_BROKEN);
                self.queue.clear();
                self.is_hungry = false;
            }
            _ => {}
        }
    }

    /// Whether it should be filled before the next look is due.
    pub fn is_hungry(&self) -> bool {
        self.is_hungry && self.queue.is_empty()
    }

    /// Forgets what was tried a while ago.
    pub fn prune(&mut self, now: Duration) {
        self.tried.retain(|_, (_, ended)| now < *ended + LEFT_ALONE);
    }

    /// Takes up what is due; `more`: there may be others.
    pub fn fill(&mut self, due: Vec<Due>, more: bool) {
        self.is_hungry = more;
        let is_new = |due: &Due| {
            let tried = self.tried.get(&due.token).is_some_and(|(since, _)| *since == due.due_at);
            !tried && !self.running.contains(&due.token)
        };
        self.queue = due.into_iter().filter(is_new).collect();
    }

    /// Whether the provider may be asked at all, by how it stands.
    pub fn is_open(&self, standing: Standing, now: Duration) -> bool {
        let alone = self.running.is_empty();
        match standing {
            Standing::Rests => false,
            Standing::MayTry if !alone => false,
            _ => self.broken.is_none_or(|at| alone && at <= now),
        }
    }

    /// Whether one more may begin now, where so many instances share the work.
    pub fn may_begin(&self, standing: Standing, now: Duration, instances: u64) -> bool {
        let (a_second, at_once) = limits(instances);
        !self.queue.is_empty()
            && u64::try_from(self.running.len()).unwrap_or(u64::MAX) < at_once
            && self.is_open(standing, now)
            && self.pace.may(now, a_second, burst(instances))
    }

    /// The next one begins.
    pub fn begin(&mut self, now: Duration, instances: u64) -> Option<Due> {
        let due = self.queue.pop_front()?;
        self.running.insert(due.token.clone());
        self.pace.take(now, limits(instances).0, burst(instances));
        if let Some(at) = &mut self.broken {
            *at = now + ASK_BROKEN;
        }
        Some(due)
    }

    /// One has ended.
    pub fn ended(&mut self, due: &Due, now: Duration) {
        self.running.remove(&due.token);
        self.tried.insert(due.token.clone(), (due.due_at, now));
    }
}

/// How many a second, and how many at once, where so many instances share a provider.
fn limits(instances: u64) -> (u32, u64) {
    let instances = instances.max(1);
    let a_second = A_SECOND / u32::try_from(instances).unwrap_or(A_SECOND).clamp(1, A_SECOND);
    (a_second, (AT_ONCE / instances).max(1))
}

/// How many of them at once: what several instances begin in one moment adds up.
fn burst(instances: u64) -> u32 {
    BURST / u32::try_from(instances).unwrap_or(BURST).clamp(1, BURST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_twenty_in_any_second() {
        let (mut pace, mut begun) = (Pace::default(), Vec::new());
        for milli in (0..10_000).map(Duration::from_millis) {
            // A pause, after which much waits.
            if (3000..5000).contains(&milli.as_millis()) {
                continue;
            }
            while pace.may(milli, A_SECOND, BURST) {
                pace.take(milli, A_SECOND, BURST);
                begun.push(milli);
            }
        }
        let in_second = |from: &Duration| {
            begun
                .iter()
                .filter(|at| **at >= *from && **at < *from + Duration::from_secs(1))
                .count()
        };
        let most = begun.iter().map(in_second).max().unwrap();
        assert!(most <= 20, "{most}");
        assert!(begun.len() > 8 * 15, "and not much less: {}", begun.len());
    }

    fn due(id: usize) -> Due {
        Due {
            token: TokenId(format!("t{id}")),
            generation: 1,
            due_at: Timestamp(5),
            lease_owner: None,
            lease_until: None,
        }
    }

    #[test]
    fn what_stays_due_though_it_was_tried_waits_and_what_is_due_anew_does_not() {
        let mut lane = Lane::default();
        lane.fill(vec![due(1)], false);
        let first = lane.begin(Duration::ZERO, 1).unwrap();
        lane.fill(vec![due(1)], false);
        assert!(lane.queue.is_empty(), "it runs");
        lane.ended(&first, Duration::from_secs(1));
        lane.fill(vec![due(1)], false);
        assert!(lane.queue.is_empty(), "no loop");
        let later = Due {
            due_at: Timestamp(7),
            ..due(1)
        };
        lane.fill(vec![later], false);
        assert_eq!(lane.queue.len(), 1, "a new moment");
        lane.prune(Duration::from_secs(40));
        lane.fill(vec![due(1)], false);
        assert_eq!(lane.queue.len(), 1, "after a while");
    }

    #[test]
    fn a_provider_that_refuses_the_app_hears_from_one_a_minute_until_that_one_succeeds() {
        let mut lane = Lane::default();
        let at = Duration::from_secs;
        lane.fill((0..100).map(due).collect(), false);
        lane.heed(true, at(0));
        assert!(lane.queue.is_empty(), "the others needn't find out");
        lane.fill((0..100).map(due).collect(), false);
        assert!(!lane.may_begin(Standing::Free, at(59), 1));
        assert!(lane.may_begin(Standing::Free, at(60), 1));
        let one = lane.begin(at(60), 1).unwrap();
        assert!(!lane.may_begin(Standing::Free, at(61), 1), "one");
        lane.ended(&one, at(61));
        assert!(!lane.may_begin(Standing::Free, at(119), 1) && lane.may_begin(Standing::Free, at(120), 1));
        lane.heed(false, at(61));
        assert!(lane.may_begin(Standing::Free, at(62), 1), "and on they go");
        assert!(!lane.may_begin(Standing::Rests, at(62), 1) && lane.may_begin(Standing::MayTry, at(62), 1));
        lane.begin(at(62), 1);
        assert!(!lane.may_begin(Standing::MayTry, at(62), 1) && lane.may_begin(Standing::Free, at(62), 1));
    }
}
