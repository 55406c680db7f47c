//! Bars of how checks ended, one an hour or a day: half as high where all passed, full height where one failed, a stub where nothing was
//! checked (`ux.md`, section 3). Height carries the meaning, colour repeats it; a sentence and a table say the same.

use super::mailboxes::list::grouped;
use crate::clock::Timestamp;
use crate::store::checks::Count;

/// One bar. Numbers are ready for SVG: percent across, units down.
pub struct Bar {
    /// `ok`, `bad` or `off`.
    pub kind: &'static str,
    /// Where it begins, in percent.
    pub x: String,
    /// How wide it is, in percent.
    pub width: String,
    /// Where its top is.
    pub y: i64,
    /// How high it is.
    pub height: i64,
}

/// A row of the table that says the same.
pub struct Row {
    /// When the slot began.
    pub at: Timestamp,
    /// Checks that passed.
    pub passed: i64,
    /// Checks that failed.
    pub failed: i64,
}

/// A chart of bars and what it says in words.
pub struct History {
    /// The bars, the oldest first.
    pub bars: Vec<Bar>,
    /// What the bars say, in a sentence.
    pub label: String,
    /// Slots in which something was checked, the newest first.
    pub rows: Vec<Row>,
    /// The share that passed, as `98.9%`; empty where nothing was checked.
    pub share: String,
    /// How many failed, or how many there were where none did.
    pub words: String,
}

/// How many slots, how long each is in seconds, and what one is called.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// How many bars.
    pub slots: i64,
    /// Seconds in one.
    pub seconds: i64,
    /// `hour` or `day`.
    pub word: &'static str,
}

/// The last day, hour by hour.
pub const DAY: Scale = Scale {
    slots: 24,
    seconds: 3600,
    word: "hour",
};
/// The last thirty days.
pub const MONTH: Scale = Scale {
    slots: 30,
    seconds: 86_400,
    word: "day",
};

impl Scale {
    /// When the first slot began, if the last one is now.
    pub fn first(self, now: Timestamp) -> Timestamp {
        Timestamp((now.0.div_euclid(self.seconds) - self.slots + 1) * self.seconds)
    }
}

/// The chart of these counts, which are of one thing and sorted by time.
pub fn history(counts: &[Count], scale: Scale, now: Timestamp) -> History {
    let first = scale.first(now);
    let found = |slot: i64| counts.iter().find(|count| count.slot == first.plus(slot * scale.seconds));
    let bars = (0..scale.slots).map(|slot| {
        let (kind, y, height) = match found(slot) {
            Some(count) if count.failed > 0 => ("bad", 0, 26),
            Some(_) => ("ok", 13, 13),
            None => ("off", 23, 3),
        };
        let percent = |hundredths: i64| format!("{}.{:02}", hundredths / 100, hundredths % 100);
        Bar {
            kind,
            x: percent(slot * 10_000 / scale.slots),
            width: percent(7200 / scale.slots),
            y,
            height,
        }
    });
    let within: Vec<&Count> = counts.iter().filter(|count| count.slot >= first).collect();
    let (passed, failed) = within.iter().fold((0, 0), |(p, f), count| (p + count.passed, f + count.failed));
    let bad = within.iter().filter(|count| count.failed > 0).count();
    let all = passed + failed;
    History {
        bars: bars.collect(),
        label: match (all, failed) {
            (0, _) => "Nothing was checked".to_owned(),
            (all, 0) => format!("{}, all passed", times(all)),
            (all, failed) => format!(
                "{} of {} failed, in {} of {} {}s",
                grouped(failed),
                times(all),
                bad,
                scale.slots,
                scale.word
            ),
        },
        rows: within
            .into_iter()
            .rev()
            .map(|count| Row {
                at: count.slot,
                passed: count.passed,
                failed: count.failed,
            })
            .collect(),
        share: match (all, failed) {
            (0, _) => String::new(),
            (_, 0) => "100%".to_owned(),
            // Never rounded up to all of them.
            _ => format!("{}.{}%", passed * 100 / all, passed * 1000 / all % 10),
        },
        words: match failed {
            0 => times(all),
            1 => "1 failure".to_owned(),
            failed => format!("{} failures", grouped(failed)),
        },
    }
}

fn times(count: i64) -> String {
    match count {
        1 => "1 check".to_owned(),
        count => format!("{} checks", grouped(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(slot: i64, passed: i64, failed: i64) -> Count {
        Count {
            id: "p".into(),
            slot: Timestamp(slot * 3600),
            passed,
            failed,
        }
    }

    #[test]
    fn height_says_what_colour_says_and_the_sentence_says_both() {
        let now = Timestamp(100 * 3600 + 1800);
        let chart = history(&[count(60, 9, 9), count(98, 3000, 1), count(100, 2, 0)], DAY, now);
        let bars: Vec<_> = chart.bars.iter().map(|bar| (bar.kind, bar.height)).collect();
        assert_eq!(bars.len(), 24);
        assert_eq!((bars[21], bars[22], bars[23]), (("bad", 26), ("off", 3), ("ok", 13)));
        assert_eq!(
            chart.label, "1 of 3,003 checks failed, in 1 of 24 hours",
            "what is older doesn't count"
        );
        assert_eq!(
            (chart.share.as_str(), chart.words.as_str(), chart.rows.len()),
            ("99.9%", "1 failure", 2)
        );
        assert!(
            chart
                .bars
                .iter()
                .all(|bar| bar.x.parse::<f64>().unwrap() + bar.width.parse::<f64>().unwrap() <= 100.0)
        );

        assert_eq!(history(&[], DAY, now).label, "Nothing was checked");
        assert_eq!(history(&[count(100, 1, 0)], DAY, now).label, "1 check, all passed");
    }
}
