//! How many mailboxes a list has, and what its filters offer: known for some seconds, for everybody who asks.

use crate::app::App;
use crate::model::retirements::{self, Change};
use crate::store::StoreResult;
use crate::store::imports::Imported;
use crate::store::mailboxes::MailboxFilter;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// From here on a count says "about".
const EXACT: i64 = 10_000;
/// How long may a count be old, and the choices of the filters?
const COUNT_FOR: Duration = Duration::from_secs(5);
const CHOICES_FOR: Duration = Duration::from_secs(15);
/// How many counts are kept?
const MOST_COUNTS: usize = 128;

/// How many there are, as far as that is worth knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Total {
    Exactly(i64),
    About(i64),
    Over(i64),
}

impl Total {
    pub(super) fn of(count: i64) -> Self {
        if count <= EXACT {
            Self::Exactly(count)
        } else {
            Self::About((count + 50) / 100 * 100)
        }
    }

    pub(super) fn words(self) -> String {
        match self {
            Self::Exactly(count) => grouped(count),
            Self::About(count) => format!("about {}", grouped(count)),
            Self::Over(count) => format!("more than {}", grouped(count)),
        }
    }
}

/// `10,214`.
pub fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 mailbox`, `1,284 mailboxes`.
pub fn counted(number: i64, one: &str, several: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{} {several}", grouped(number)),
    }
}

/// `3 mailboxes, 1 turned off`: what hangs on something, where those that are turned off are told apart; empty where nothing does.
pub fn used_words(mailboxes: i64, turned_off: i64) -> String {
    match (mailboxes, turned_off) {
        (..=0, _) => String::new(),
        (1, 1..) => "1 mailbox, turned off".to_owned(),
        (all, ..=0) => counted(all, "mailbox", "mailboxes"),
        (all, off) if off >= all => format!("{} mailboxes, all turned off", grouped(all)),
        (all, off) => format!("{} mailboxes, {} turned off", grouped(all), grouped(off)),
    }
}

/// What filters offer.
#[derive(Debug, Default)]
pub struct Choices {
    pub(super) providers: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) imported: Vec<Imported>,
}

/// Counts and choices that several requests share for some seconds.
#[derive(Default)]
pub struct ListCache(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    counts: HashMap<MailboxFilter, (Instant, Total)>,
    choices: Option<(Instant, Arc<Choices>)>,
    changes: Option<(Instant, Arc<Touching>)>,
}

/// The dated changes that touch mailboxes, with how many.
pub type Touching = Vec<(&'static Change, i64)>;

impl ListCache {
    fn with<T>(&self, work: impl FnOnce(&mut Cached) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets go of what is known: much changed at once.
    pub(crate) fn forget(&self) {
        self.with(|cached| *cached = Cached::default());
    }

    pub(super) async fn total(&self, app: &App, filter: &MailboxFilter) -> StoreResult<Total> {
        let known = self.with(|cached| {
            cached
                .counts
                .get(filter)
                .filter(|(at, _)| at.elapsed() < COUNT_FOR)
                .map(|(_, total)| *total)
        });
        if let Some(total) = known {
            return Ok(total);
        }
        let by_state_only = MailboxFilter {
            state: None,
            ..filter.clone()
        } == MailboxFilter::default();
        let total = if by_state_only {
            let states = app.store.mailbox_states().await?;
            let wanted = states
                .iter()
                .filter(|(state, _)| filter.state.is_none_or(|rank| rank == state.rank()));
            Total::of(wanted.map(|(_, count)| count).sum())
        } else {
            match app.store.count_mailboxes(filter, EXACT + 1).await? {
                count if count > EXACT => Total::Over(EXACT),
                count => Total::Exactly(count),
            }
        };
        self.with(|cached| {
            if cached.counts.len() >= MOST_COUNTS {
                cached.counts.clear();
            }
            cached.counts.insert(filter.clone(), (Instant::now(), total));
        });
        Ok(total)
    }

    /// The dated changes that touch any mailbox.
    pub async fn changes(&self, app: &App) -> StoreResult<Arc<Touching>> {
        let known = self.with(|cached| {
            let fresh = cached.changes.as_ref().filter(|(at, _)| at.elapsed() < COUNT_FOR);
            fresh.map(|(_, changes)| Arc::clone(changes))
        });
        if let Some(changes) = known {
            return Ok(changes);
        }
        let mut touching = Vec::new();
        for change in retirements::all() {
            let filter = MailboxFilter {
                change: change.id.clone(),
                ..MailboxFilter::default()
            };
            let count = app.store.count_mailboxes(&filter, EXACT + 1).await?;
            touching.extend((count > 0).then_some((change, count)));
        }
        let now = app.clock.now();
        touching.sort_by_key(|(change, _)| change.order(now));
        let touching = Arc::new(touching);
        self.with(|cached| cached.changes = Some((Instant::now(), Arc::clone(&touching))));
        Ok(touching)
    }

    pub(super) async fn choices(&self, app: &App) -> StoreResult<Arc<Choices>> {
        let known = self.with(|cached| {
            cached
                .choices
                .as_ref()
                .filter(|(at, _)| at.elapsed() < CHOICES_FOR)
                .map(|(_, choices)| Arc::clone(choices))
        });
        if let Some(choices) = known {
            return Ok(choices);
        }
        let choices = Arc::new(Choices {
            providers: app.store.provider_names().await?,
            tags: app.store.tags().await?.into_iter().map(|(tag, _)| tag).collect(),
            imported: app.store.imported().await?,
        });
        self.with(|cached| cached.choices = Some((Instant::now(), Arc::clone(&choices))));
        Ok(choices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_numbers_are_grouped_and_beyond_ten_thousand_rounded() {
        assert_eq!(Total::of(999).words(), "999");
        assert_eq!(Total::of(10_000).words(), "10,000");
        assert_eq!(Total::of(100_249).words(), "about 100,200");
        assert_eq!(Total::Over(EXACT).words(), "more than 10,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn what_is_turned_off_is_told_apart() {
        for (all, off, words) in [
            (0, 0, ""),
            (1, 0, "1 mailbox"),
            (1, 1, "1 mailbox, turned off"),
            (1200, 0, "1,200 mailboxes"),
            (3, 1, "3 mailboxes, 1 turned off"),
            (3, 3, "3 mailboxes, all turned off"),
        ] {
            assert_eq!(used_words(all, off), words);
        }
    }
}
