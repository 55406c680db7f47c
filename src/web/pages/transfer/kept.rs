//! What was taken out of a pasted text that came back to be mended: it stays here for a while, in memory, and never goes into a page
//! (SEC-6).

use crate::clock::Timestamp;
use crate::model::UserId;
use crate::model::import::cut::Cut;
use crate::random::Random;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// How many seconds is it kept, and of how many people? Each has one text.
const FOR: i64 = 30 * 60;
const MOST: usize = 16;

/// The pieces that were taken out, by number.
type Pieces = Arc<Vec<Zeroizing<String>>>;

struct Kept {
    id: String,
    user: UserId,
    until: Timestamp,
    pieces: Pieces,
}

/// What was taken out of texts that came back. Each can be used by the person who pasted it only.
#[derive(Default)]
pub struct KeptTexts(Mutex<VecDeque<Kept>>);

impl KeptTexts {
    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<Kept>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps what was taken out; the id that finds it again, empty if that is nothing. What this person had here before goes.
    pub(super) fn keep(&self, user: &UserId, cut: &mut Cut, random: &dyn Random, now: Timestamp) -> String {
        let pieces = std::mem::take(&mut cut.kept);
        if pieces.is_empty() {
            return String::new();
        }
        let id = random.base64url(16);
        self.with(|kept| {
            kept.retain(|one| now < one.until && one.user != *user);
            if kept.len() >= MOST {
                kept.pop_front();
            }
            kept.push_back(Kept {
                id: id.clone(),
                user: user.clone(),
                until: now.plus(FOR),
                pieces: Arc::new(pieces),
            });
        });
        id
    }

    /// What was kept for this person's text.
    pub(super) fn of(&self, user: &UserId, id: &str, now: Timestamp) -> Pieces {
        self.with(|kept| {
            let found = kept.iter().find(|one| one.id == id && one.user == *user && now < one.until);
            found.map(|one| Arc::clone(&one.pieces)).unwrap_or_default()
        })
    }

    /// Lets go of what this person had here.
    pub(super) fn forget(&self, user: &UserId) {
        self.with(|kept| kept.retain(|one| one.user != *user));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::import::cut::cut;
    use crate::random::SeededRandom;

    #[test]
    fn what_was_taken_out_is_for_its_own_person_for_half_an_hour() {
        let (kept, random) = (KeptTexts::default(), SeededRandom::new(1));
        let person = |n: usize| UserId(format!("person {n}"));
        let keep = |n: usize, text: &str, at: i64| kept.keep(&person(n), &mut cut(text), &random, Timestamp(at));
        let found = |n: usize, id: &str, at: i64| kept.of(&person(n), id, Timestamp(at)).len();
        let first = keep(1, "canary", 0);
        assert_eq!((found(1, &first, 10), found(2, &first, 10), found(1, &first, FOR)), (1, 0, 0));
        let second = keep(1, "canary\ncanary", 20);
        assert_eq!((found(1, &first, 21), found(1, &second, 21)), (0, 2));
        assert_eq!(keep(1, "", 30), "");
        for n in 2..40 {
            keep(n, "canary", 40);
        }
        assert_eq!(kept.with(|all| all.len()), MOST);
        kept.forget(&person(39));
        assert_eq!(kept.with(|all| all.len()), MOST - 1);
    }
}
