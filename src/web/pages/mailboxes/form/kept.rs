//! Passwords that were typed into a form which came back: they stay here for a while, in memory, and never go into a page (SEC-6).

use super::MailboxForm;
use crate::clock::Timestamp;
use crate::random::Random;
use crate::secret::Password;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// How many seconds are they kept, and of how many forms?
const FOR: i64 = 30 * 60;
const MOST: usize = 200;

/// What was typed.
#[derive(Clone, Default)]
pub struct Passwords {
    pub password: Option<Password>,
    pub outgoing_password: Option<Password>,
}

struct Kept {
    id: String,
    user: String,
    until: Timestamp,
    passwords: Passwords,
}

/// The passwords of forms that came back. Each can be used by the person who typed it only.
#[derive(Default)]
pub struct KeptPasswords(Mutex<VecDeque<Kept>>);

impl KeptPasswords {
    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<Kept>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps what is in the form, together with what was kept for it before; the id that finds it again, empty if there is nothing.
    pub(super) fn keep(&self, user: &str, form: &MailboxForm, random: &dyn Random, now: Timestamp) -> String {
        let before = self.of(user, &form.kept, now);
        let typed = |text: &str, before: Option<Password>| match text {
            "" => before,
            text => Some(Password::new(text)),
        };
        let passwords = Passwords {
            password: typed(&form.password, before.password),
            outgoing_password: typed(&form.outgoing_password, before.outgoing_password),
        };
        self.forget(user, &form.kept);
        if passwords.password.is_none() && passwords.outgoing_password.is_none() {
            return String::new();
        }
        let id = random.base64url(16);
        self.with(|kept| {
            kept.retain(|one| now < one.until);
            if kept.len() >= MOST {
                kept.pop_front();
            }
            kept.push_back(Kept {
                id: id.clone(),
                user: user.to_owned(),
                until: now.plus(FOR),
                passwords,
            });
        });
        id
    }

    /// What was kept for this person's form.
    pub(super) fn of(&self, user: &str, id: &str, now: Timestamp) -> Passwords {
        self.with(|kept| {
            let found = kept
                .iter()
                .find(|one| !id.is_empty() && one.id == id && one.user == user && now < one.until);
            found.map(|one| one.passwords.clone()).unwrap_or_default()
        })
    }

    /// Lets it go.
    pub(super) fn forget(&self, user: &str, id: &str) {
        self.with(|kept| kept.retain(|one| one.id != id || one.user != user));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn a_kept_password_is_for_its_own_person_and_for_half_an_hour() {
        let (kept, random) = (KeptPasswords::default(), SeededRandom::new(1));
        let form = |password: &str, id: &str| MailboxForm {
            password: password.into(),
            kept: id.into(),
            ..MailboxForm::default()
        };
        let password = |user: &str, id: &str, at: i64| kept.of(user, id, Timestamp(at)).password.map(|p| p.expose_secret().to_owned());
        let first = kept.keep("a", &form("canary", ""), &random, Timestamp(0));
        assert_eq!(password("a", &first, 10).as_deref(), Some("canary"));
        assert_eq!(password("b", &first, 10), None);
        assert_eq!(password("a", &first, FOR), None);
        // Sent again with an empty field it is still there, under a new id only.
        let second = kept.keep("a", &form("", &first), &random, Timestamp(20));
        assert_eq!(
            (password("a", &second, 30).as_deref(), password("a", &first, 30)),
            (Some("canary"), None)
        );
        assert_eq!(kept.keep("a", &form("", ""), &random, Timestamp(40)), "");
        for n in 0..MOST as i64 + 5 {
            kept.keep("a", &form("x", ""), &random, Timestamp(50 + n));
        }
        assert!(kept.with(|all| all.len()) <= MOST);
    }
}
