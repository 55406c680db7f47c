//! Whether checks stand still: due long ago, and watched for long enough. For how long is kept in the database; a console that is started
//! anew every few minutes would never know otherwise.

use crate::actions::checks::stand_still;
use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::settings::CHECK_INTERVAL;
use crate::store::{StoreResult, to_json};
use serde::{Deserialize, Serialize};

/// After how many intervals is a check that is due late?
const LATE_AFTER: i64 = 2;
/// How much of the time between two looks counts at most, in seconds? In a longer one the machine may have slept, or no console run.
const COUNTS: i64 = 60;
/// Setting that holds for how long checks were seen late.
const LATE: &str = "checks.late";

/// For how long checks were seen late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Late {
    /// Seconds, those counted in which a console ran.
    seconds: i64,
    /// When that was last looked at.
    seen: Timestamp,
}

impl Late {
    /// After another look. A pause without a console that was long enough to make checks late begins anew: they are to be caught up with
    /// first. What was told is over only when checks aren't late any more.
    fn after(before: Option<Self>, now: Timestamp, interval: i64) -> Self {
        match before {
            Some(before) if before.seconds >= interval => before,
            Some(before) if (0..=LATE_AFTER * interval).contains(&now.since(before.seen)) => Self {
                seconds: before.seconds + now.since(before.seen).min(COUNTS),
                seen: now,
            },
            _ => Self { seconds: 0, seen: now },
        }
    }
}

/// Looks whether checks are late, and says whether they have been for a whole interval in which a console ran: after a pause everything
/// is due at once.
pub(super) async fn look(app: &App) -> StoreResult<bool> {
    let now = app.clock.now();
    let interval = settings::number(app, &CHECK_INTERVAL).await?.saturating_mul(60);
    let is_late = stand_still(app).await?;
    let stored = app.store.setting(LATE).await?;
    let before: Option<Late> = stored.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let late = is_late.then(|| Late::after(before, now, interval));
    if late != before {
        let mut tx = app.store.begin().await?;
        match &late {
            Some(late) => tx.put_setting(LATE, &to_json(late)).await?,
            None => tx.remove_setting(LATE).await?,
        }
        tx.commit().await?;
    }
    Ok(late.is_some_and(|late| late.seconds >= interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: i64 = 900;

    /// What is known after looks with these pauses between them.
    fn watched(pauses: &[i64]) -> i64 {
        let (mut late, mut now) = (None, Timestamp(1_795_248_000));
        for pause in pauses {
            now = now.plus(*pause);
            late = Some(Late::after(late, now, INTERVAL));
        }
        late.map_or(0, |late| late.seconds)
    }

    #[test]
    fn only_time_in_which_a_console_ran_counts_and_a_long_pause_begins_anew() {
        assert_eq!(watched(&[0, 15, 15]), 30);
        assert_eq!(watched(&[0, 15, 600]), 15 + COUNTS, "down for ten minutes");
        assert_eq!(
            watched(&[0, 60, 60, 3600, 15]),
            15,
            "down for an hour: there is much to catch up with"
        );
        assert_eq!(watched(&[0, 60, 60, -86_400, 15]), 15, "a clock that was set back");
        let told = [60; 16];
        assert_eq!(watched(&told), INTERVAL);
        assert_eq!(watched(&[&told[..], &[3600, 86_400]].concat()), INTERVAL, "what was told stands");
    }
}
