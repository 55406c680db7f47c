//! Whether this machine's clock goes right, as far as providers say: whoever can mend it sees a line on every page until it does.

use super::{Workers, locked};
use crate::actions::doctor;
use crate::app::App;
use crate::oauth::Heard;
use crate::store::StoreResult;
use std::time::Duration;

/// How often is it looked at?
pub const EVERY: Duration = Duration::from_secs(60);

/// By how much this machine's clock differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skew {
    /// By how many seconds it is ahead; negative: behind.
    pub ahead: i64,
    /// Of whose.
    pub host: String,
}

impl Skew {
    /// What a host said, where the difference matters.
    pub fn of(heard: &Heard) -> Option<Self> {
        (heard.ahead.abs() > doctor::CLOCK_LIMIT).then(|| Self {
            ahead: heard.ahead,
            host: heard.host.clone(),
        })
    }

    /// `differs by 12 minutes: it is ahead of the one of login.example`.
    pub fn words(&self) -> String {
        let seconds = self.ahead.abs();
        let by = match seconds {
            ..7200 => format!("{} minutes", seconds / 60),
            7200..172_800 => format!("{} hours", seconds / 3600),
            _ => format!("{} days", seconds / 86_400),
        };
        let side = if self.ahead > 0 { "ahead of" } else { "behind" };
        format!("differs by {by}: it is {side} the one of {}", self.host)
    }
}

impl Workers {
    /// By how much this machine's clock differs, where that matters.
    pub fn skew(&self) -> Option<Skew> {
        locked(&self.0.skew).clone()
    }

    /// Notes it. What begins and what ends goes into the log.
    pub(crate) fn note_skew(&self, skew: Option<Skew>) {
        let before = std::mem::replace(&mut *locked(&self.0.skew), skew.clone());
        match (before, skew) {
            (None, Some(skew)) => tracing::warn!(area = "console", "The clock of this machine {}", skew.words()),
            (Some(_), None) => tracing::info!(area = "console", "The clock of this machine is right again"),
            _ => {}
        }
    }
}

/// One look.
pub async fn tick(app: &App) -> StoreResult<()> {
    doctor::compare_clocks(app).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_said_in_words_and_a_small_one_is_none() {
        let heard = |ahead| Heard {
            host: "login.example".into(),
            ahead,
            age: Duration::ZERO,
        };
        for fine in [0, 300, -300] {
            assert_eq!(Skew::of(&heard(fine)), None, "{fine}");
        }
        for (ahead, words) in [
            (301, "differs by 5 minutes: it is ahead of the one of login.example"),
            (-720, "differs by 12 minutes: it is behind the one of login.example"),
            (-86_400, "differs by 24 hours: it is behind the one of login.example"),
            (400 * 86_400, "differs by 400 days: it is ahead of the one of login.example"),
        ] {
            assert_eq!(Skew::of(&heard(ahead)).unwrap().words(), words);
        }
    }
}
