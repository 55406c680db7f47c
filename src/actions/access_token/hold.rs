//! A provider that does not answer is left in peace: however many tokens hang on it, only one of them asks at a time, at most once a
//! second (fault F1). What the others get is what that one heard.

use crate::model::ProviderId;
use crate::model::report::Diagnosis;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long is a provider left in peace at most? Short: when it is back, people wait for it.
const LONGEST: Duration = Duration::from_secs(30);

/// How many failures in a row are an outage, and not one sign-in that a provider stumbles over?
const OUTAGE: u32 = 3;

struct Hold {
    until: Duration,
    /// Until when the provider itself asked for peace. What nobody waits for keeps to it.
    rests: Duration,
    failures: u32,
    /// Whether the provider itself asked for peace.
    asked: bool,
    found: Box<Diagnosis>,
}

/// How a provider stands with what nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It answers, as far as known.
    Free,
    /// It did not answer; one may try.
    MayTry,
    /// It is left in peace for now.
    Rests,
}

/// The providers that don't answer. Times are what the clock has run.
#[derive(Default)]
pub(super) struct Holds(Mutex<HashMap<ProviderId, Hold>>);

impl Holds {
    /// What was heard last and for how long the provider is left in peace. `None` lets the caller ask, and for the next second only this
    /// one.
    pub fn check(&self, provider: &ProviderId, now: Duration) -> Option<(Box<Diagnosis>, Duration)> {
        let mut holds = self.lock();
        let hold = holds.get_mut(provider)?;
        if now < hold.until {
            return Some((hold.found.clone(), hold.until - now));
        }
        hold.until = now + pause(1);
        None
    }

    /// How it stands, without taking the turn.
    pub fn standing(&self, provider: &ProviderId, now: Duration) -> Standing {
        match self.lock().get(provider) {
            None => Standing::Free,
            Some(hold) if now < hold.until.max(hold.rests) => Standing::Rests,
            Some(_) => Standing::MayTry,
        }
    }

    /// What was heard last of a provider that is left in peace, and for how long still.
    pub fn heard(&self, provider: &ProviderId, now: Duration) -> Option<(Box<Diagnosis>, Duration)> {
        let holds = self.lock();
        let hold = holds.get(provider)?;
        Some((hold.found.clone(), hold.until.max(hold.rests).saturating_sub(now)))
    }

    /// The provider does not answer; it asked for so many seconds of peace.
    pub fn note(&self, provider: &ProviderId, found: &Diagnosis, asked: i64, now: Duration) {
        let mut holds = self.lock();
        let failures = holds.get(provider).map_or(0, |hold| hold.failures).saturating_add(1);
        let hold = Hold {
            until: now + pause(failures),
            rests: now + Duration::from_secs(u64::try_from(asked).unwrap_or(0)),
            failures,
            asked: asked > 0,
            found: Box::new(found.clone()),
        };
        holds.insert(provider.clone(), hold);
    }

    /// The provider answers, whatever it says. After an outage (several failures in a row, and no wish to be left alone): what had been
    /// heard.
    pub fn lift(&self, provider: &ProviderId) -> Option<Box<Diagnosis>> {
        let hold = self.lock().remove(provider)?;
        (hold.failures >= OUTAGE && !hold.asked).then_some(hold.found)
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
        let mut now = Duration::ZERO;
        let asks = |now| holds.check(&id, now).is_none();
        assert!(asks(now) && asks(now), "nothing speaks against it yet");
        let mut asked = 0;
        holds.note(&id, &found, 0, now);
        for _ in 0..600 {
            // A tenth of a second, and a hundred tokens want to ask.
            now += Duration::from_millis(100);
            for _ in 0..100 {
                if asks(now) {
                    asked += 1;
                    holds.note(&id, &found, 0, now);
                }
            }
        }
        assert!((4..=6).contains(&asked), "{asked} times in a minute");
        assert!(holds.check(&ProviderId("p2".into()), now).is_none(), "others are not slowed");
        assert!(holds.lift(&id).is_some() && holds.lift(&id).is_none(), "news once");
        holds.note(&id, &found, 0, now);
        assert!(holds.lift(&id).is_none(), "one that fails among many is no outage");
        assert!(asks(now) && asks(now), "back for everybody at once");
    }

    #[test]
    fn what_nobody_waits_for_keeps_to_the_peace_a_provider_asked_for() {
        let (holds, id) = (Holds::default(), ProviderId("p1".into()));
        let found = by_id("console-provider-unreachable").unwrap();
        let at = |seconds| holds.standing(&id, Duration::from_secs(seconds));
        assert_eq!(at(0), Standing::Free);
        holds.note(&id, &found, 600, Duration::ZERO);
        assert_eq!((at(1), at(599), at(600)), (Standing::Rests, Standing::Rests, Standing::MayTry));
        assert!(holds.check(&id, Duration::from_secs(1)).is_none(), "a person may try before");
        assert_eq!(holds.heard(&id, Duration::from_secs(500)).unwrap().1, Duration::from_secs(100));
        holds.lift(&id);
        assert_eq!(at(2), Standing::Free, "whoever it answered has shown that it answers all");
    }
}
