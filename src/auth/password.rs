//! Passwords of people: Argon2id (RFC 9106) on blocking threads, two at once, and what makes a password acceptable (AUTH-2 to AUTH-5).

use crate::random::Random;
use crate::secret::Password;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory in KiB, passes and lanes of new hashes: 19 MiB, 2, 1.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// What a stored hash may cost at most: a row that was tampered with must not take the machine down.
const MOST: (u32, u32, u32) = (256 * 1024, 10, 4);
/// How many hashes are computed at once?
const AT_ONCE: usize = 2;
/// How many more may wait?
const QUEUE: usize = 32;
/// Fewest and most bytes of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=1024;
/// How many seconds should somebody wait who was turned away?
pub const BUSY: i64 = 5;
/// A hash of nothing anybody knows, at the cost of new ones: computed against where there is no account, so that it takes as long.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bWFpbGdyYW50LW5vYm9keQ$Zm9yIG5vYm9keSBhdCBhbGwsIDMyIGJ5dGVzIGxvbmc";

/// Words, names, keyboard walks and patterns that are tried first; one a line, lower case.
static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| include_str!("common.txt").lines().collect());

/// Too many are waiting: try again in [`BUSY`] seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// Fewer than 12 bytes.
    #[error("Password must be 12 characters or more")]
    Short,
    /// More than 1024 bytes.
    #[error("Password must be 1,024 characters or fewer")]
    Long,
    /// On the list, or a word of it with ornaments.
    #[error("Password is one of the most common ones")]
    Common,
    /// The person's own name or address, with little else.
    #[error("Password must be more than a name or address with something added")]
    Context,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// It is the password.
    pub right: bool,
    /// The stored hash is cheaper than new ones are.
    pub outdated: bool,
}

/// Computes hashes. Cheap to clone; all clones share the two places.
#[derive(Clone)]
pub struct Passwords {
    random: Arc<dyn Random>,
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

impl Passwords {
    /// With its own places.
    pub fn new(random: Arc<dyn Random>) -> Self {
        Self {
            random,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            queue: Arc::new(Semaphore::new(AT_ONCE + QUEUE)),
            computed: Arc::default(),
        }
    }

    /// How many hashes were computed so far.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Takes every place, for tests of what happens then.
    #[doc(hidden)]
    pub fn occupy(&self) -> Option<OwnedSemaphorePermit> {
        let all = u32::try_from(AT_ONCE + QUEUE).ok()?;
        Arc::clone(&self.queue).try_acquire_many_owned(all).ok()
    }

    /// The hash of a new password, in PHC format.
    pub async fn hash(&self, password: Password) -> Result<String, Busy> {
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        self.run(move || {
            let hash = current().hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).unwrap_or_default()
        })
        .await
    }

    /// Whether `password` is the one that was stored. With nothing stored it takes as long, and is wrong.
    pub async fn check(&self, password: Password, stored: Option<&str>) -> Result<Checked, Busy> {
        let known = stored.is_some();
        let stored = stored.unwrap_or(NOBODY).to_owned();
        let mut checked = self.run(move || check(&password, &stored)).await?;
        checked.right &= known;
        Ok(checked)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let waiting = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| Busy)?;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Busy)?;
        self.computed.fetch_add(1, Ordering::Relaxed);
        // The task owns both permits: a client that hangs up frees no place before the work is done.
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((place, waiting));
            result
        });
        task.await.map_err(|_| Busy)
    }
}

fn current() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn check(password: &Password, stored: &str) -> Checked {
    let wrong = Checked {
        right: false,
        outdated: false,
    };
    let Ok(hash) = PasswordHash::new(stored) else { return wrong };
    let Ok(params) = Params::try_from(&hash) else { return wrong };
    let cost = (params.m_cost(), params.t_cost(), params.p_cost());
    if cost.0 > MOST.0 || cost.1 > MOST.1 || cost.2 > MOST.2 {
        tracing::error!("A stored password hash asks for more than is allowed; it is treated as wrong");
        return wrong;
    }
    Checked {
        right: current().verify_password(password.expose_secret().as_bytes(), &hash).is_ok(),
        outdated: hash.algorithm.as_str() != "argon2id" || cost.0 < COST.0 || cost.1 < COST.1,
    }
}

/// Whether a password has a length that any account could have; others are not even hashed.
pub fn length_fits(password: &Password) -> bool {
    LENGTH.contains(&password.expose_secret().len())
}

/// Whether a new password is acceptable for somebody with this address and name. No rules of composition (AUTH-4).
pub fn check_new(password: &Password, email: &str, name: &str) -> Result<(), PasswordProblem> {
    let text = password.expose_secret();
    if text.len() < *LENGTH.start() {
        return Err(PasswordProblem::Short);
    }
    if text.len() > *LENGTH.end() {
        return Err(PasswordProblem::Long);
    }
    let text = text.to_lowercase();
    if is_common(&text) {
        return Err(PasswordProblem::Common);
    }
    let own = email
        .split(['@', '.', '+', '-', '_'])
        .chain(name.split_whitespace())
        .chain(["mailgrant"]);
    for word in own.filter(|word| word.chars().count() >= 4) {
        let rest = text.replace(&word.to_lowercase(), "");
        if rest.len() < text.len() && letters_and_digits(&rest) < 8 {
            return Err(PasswordProblem::Context);
        }
    }
    Ok(())
}

fn letters_and_digits(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

/// On the list; one character or a short piece over and over; or words of the list with digits and marks around and between them.
fn is_common(text: &str) -> bool {
    if COMMON.contains(text) {
        return true;
    }
    let bytes = text.as_bytes();
    let repeats = |length: usize| bytes.chunks(length).all(|chunk| bytes.starts_with(chunk));
    if (1..=4).any(repeats) {
        return true;
    }
    let plain: String = text.chars().map(unornamented).collect();
    [text, &plain].iter().any(|text| {
        let words: Vec<&str> = text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() >= 3).collect();
        !words.is_empty() && words.len() <= 2 && words.iter().all(|word| is_word(word))
    })
}

/// On the list, also twice in a row.
fn is_word(word: &str) -> bool {
    let half = word.len() / 2;
    COMMON.contains(word)
        || word
            .get(..half)
            .is_some_and(|first| COMMON.contains(first) && word[half..] == *first)
}

/// Letters that are written as digits and marks.
fn unornamented(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    fn passwords() -> Passwords {
        Passwords::new(Arc::new(SeededRandom::new(1)))
    }

    fn new(text: &str) -> Result<(), PasswordProblem> {
        check_new(&Password::new(text), "maija.korhonen@contoso.example", "Maija Korhonen")
    }

    #[tokio::test]
    async fn a_password_fits_its_hash_and_no_other() {
        let passwords = passwords();
        let hash = passwords.hash(Password::new("correct horse battery")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let check = |text: &str| passwords.check(Password::new(text), Some(&hash));
        assert_eq!(
            check("correct horse battery").await,
            Ok(Checked {
                right: true,
                outdated: false
            })
        );
        assert!(!check("correct horse batterz").await.unwrap().right);
    }

    #[tokio::test]
    async fn nobody_takes_as_long_as_somebody() {
        let passwords = passwords();
        assert!(!passwords.check(Password::new("correct horse battery"), None).await.unwrap().right);
        assert_eq!(passwords.computed(), 1);
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let params = Params::try_from(&nobody).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), COST);
        assert!(nobody.salt.is_some() && nobody.hash.is_some());
    }

    #[tokio::test]
    async fn a_cheap_hash_is_noticed_and_an_expensive_one_refused() {
        let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let cheap = cheap
            .hash_password_with_salt(b"correct horse battery", b"0123456789abcdef")
            .unwrap()
            .to_string();
        let passwords = passwords();
        let checked = passwords.check(Password::new("correct horse battery"), Some(&cheap)).await.unwrap();
        assert_eq!(
            checked,
            Checked {
                right: true,
                outdated: true
            }
        );
        let huge = cheap.replace("m=8,", "m=4000000,");
        assert!(
            !passwords
                .check(Password::new("correct horse battery"), Some(&huge))
                .await
                .unwrap()
                .right
        );
    }

    #[tokio::test]
    async fn the_queue_has_an_end_and_waiting_costs_no_place_twice() {
        let passwords = passwords();
        let all = passwords.occupy().unwrap();
        assert_eq!(passwords.hash(Password::new("x")).await, Err(Busy));
        drop(all);
        assert!(passwords.hash(Password::new("x")).await.is_ok());
    }

    #[tokio::test]
    async fn two_are_computed_at_once_and_a_client_that_hangs_up_frees_no_place() {
        let passwords = passwords();
        let (begun, mut beginnings) = tokio::sync::mpsc::unbounded_channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let ends = Arc::new(std::sync::Mutex::new(ends));
        let mut asking = Vec::new();
        for _ in 0..5 {
            let (passwords, begun, ends) = (passwords.clone(), begun.clone(), Arc::clone(&ends));
            asking.push(tokio::spawn(async move {
                let work = move || {
                    begun.send(()).unwrap();
                    ends.lock().unwrap().recv().unwrap();
                };
                passwords.run(work).await
            }));
        }
        for _ in 0..2 {
            beginnings.recv().await.unwrap();
        }
        for client in &asking[..2] {
            client.abort();
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(beginnings.try_recv().is_err(), "a third one began beside two that are not done");
        assert_eq!(passwords.computed(), 2);
        for _ in 0..5 {
            end.send(()).unwrap();
        }
        for client in asking.split_off(2) {
            assert_eq!(client.await.unwrap(), Ok(()));
        }
        assert_eq!(passwords.computed(), 5);
    }

    #[test]
    fn common_passwords_are_known_in_their_usual_dress() {
        assert!(COMMON.len() >= 3000, "{}", COMMON.len());
        for bad in [
            "password1234",
            "P@ssw0rd2026!",
            "passwordpassword",
            "qwertyuiop12",
            "123456789012",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "Summer2026!!!",
            "iloveyou1234",
            "welcome-admin",
        ] {
            assert_eq!(new(bad), Err(PasswordProblem::Common), "{bad}");
        }
        for bad in ["Korhonen2026", "contoso12345", "mailgrant-2026"] {
            assert_eq!(new(bad), Err(PasswordProblem::Context), "{bad}");
        }
        assert_eq!(new("short"), Err(PasswordProblem::Short));
        assert_eq!(new(&"ab1".repeat(400)), Err(PasswordProblem::Long));
        for good in ["correct horse battery", "xk2-vale-9tr-moss", "ölämölö säätää"] {
            assert_eq!(new(good), Ok(()), "{good}");
        }
    }
}
