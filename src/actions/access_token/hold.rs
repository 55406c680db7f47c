//! A provider that does not answer is left in peace: however many tokens hang on it, only one of them asks at a time, at most once a
//! second (fault F1). What the others get is what that one heard.

use crate::model::ProviderId;
use crate::model::report::Diagnosis;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long is a provider left in peace at most? Short: when it is back, people wait for it.
const LONGEST: Duration = Duration::from_secs(30);

struct Hold {
    until: Instant,
    failures: u32,
    found: Box<Diagnosis>,
}

/// The providers that don't answer.
#[derive(Default)]
pub(super) struct Holds(Mutex<HashMap<ProviderId, Hold>>);

impl Holds {
    /// What was heard last and for how long the provider is left in peace. `None` lets the caller ask, and for the next second only this
    /// one.
    pub fn check(&self, provider: &ProviderId, now: Instant) -> Option<(Box<Diagnosis>, Duration)> {
        let mut holds = self.lock();
        let hold = holds.get_mut(provider)?;
        if now < hold.until {
            return Some((hold.found.clone(), hold.until - now));
        }
        hold.until = now + pause(1);
        None
    }

    /// The provider does not answer.
    pub fn note(&self, provider: &ProviderId, found: &Diagnosis, now: Instant) {
        let mut holds = self.lock();
        let failures = holds.get(provider).map_or(0, |hold| hold.failures).saturating_add(1);
        let hold = Hold {
            until: now + pause(failures),
            failures,
            found: Box::new(found.clone()),
        };
        holds.insert(provider.clone(), hold);
    }

    /// The provider answers, whatever it says.
    pub fn lift(&self, provider: &ProviderId) {
        self.lock().remove(provider);
    }

    /// All may be asked.
    pub fn lift_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProviderId, Hold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 1, 2, 4 … 30 seconds.
fn pause(failures: u32) -> Duration {
    Duration::from_secs(1 << (failures.clamp(1, 6) - 1)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::by_id;

    #[test]
    fn a_provider_that_is_down_hears_from_one_token_at_a_time() {
        let (holds, id) = (Holds::default(), ProviderId("p1".into()));
        let found = by_id("console-provider-unreachable").unwrap();
        let mut now = Instant::now();
        let asks = |now| holds.check(&id, now).is_none();
        assert!(asks(now) && asks(now), "nothing speaks against it yet");
        let mut asked = 0;
        holds.note(&id, &found, now);
        for _ in 0..600 {
            // A tenth of a second, and a hundred tokens want to ask.
            now += Duration::from_millis(100);
            for _ in 0..100 {
                if asks(now) {
                    asked += 1;
                    holds.note(&id, &found, now);
                }
            }
        }
        assert!((4..=6).contains(&asked), "{asked} times in a minute");
        assert!(holds.check(&ProviderId("p2".into()), now).is_none(), "others are not slowed");
        holds.lift(&id);
        assert!(asks(now) && asks(now), "back for everybody at once");
    }
}
