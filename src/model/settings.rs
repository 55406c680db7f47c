//! Settings of the instance that people change on the pages, as data: the key they are stored under, what counts where nobody chose,
//! and what may be chosen.

/// A setting that is a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Its key in the database.
    pub key: &'static str,
    /// What counts where nobody chose.
    pub default: i64,
    /// The least that may be chosen.
    pub least: i64,
    /// The most.
    pub most: i64,
}

impl Number {
    const fn new(key: &'static str, default: i64, least: i64, most: i64) -> Self {
        Self { key, default, least, most }
    }

    /// What a stored text means: what can't be read counts as not chosen.
    pub fn of(&self, stored: Option<&str>) -> i64 {
        let chosen = stored.and_then(|text| text.parse::<i64>().ok());
        chosen.map_or(self.default, |number| number.clamp(self.least, self.most))
    }
}

/// Minutes between two checks of a mailbox.
pub const CHECK_INTERVAL: Number = Number::new("checks.interval_minutes", 15, 1, 1440);
/// Seconds a conversation with a server may take (`security.md` SSRF-5).
pub const CHECK_TIMEOUT: Number = Number::new("checks.timeout_seconds", 15, 3, 120);
/// Tests and checks of one provider's mailboxes at the same time.
pub const PARALLEL: Number = Number::new("checks.parallel_per_provider", 8, 1, 1000);
/// Megabytes from which on a message is oversized.
pub const LARGEST_MESSAGE: Number = Number::new("checks.largest_message_mb", 25, 1, 1024);
/// Days of junk that are counted.
pub const JUNK_DAYS: Number = Number::new("checks.junk_days", 7, 1, 90);
/// Checks in a row that fail before somebody is told.
pub const FAILING_AFTER: Number = Number::new("notifications.failing_after", 2, 1, 20);
/// Days that test results are kept.
pub const KEEP_RUNS: Number = Number::new("retention.runs_days", 90, 1, 3650);
/// Days that the system log is kept.
pub const KEEP_LOG: Number = Number::new("retention.log_days", 30, 1, 3650);
/// Days that audit entries are kept.
pub const KEEP_AUDIT: Number = Number::new("retention.audit_days", 730, 90, 3650);
/// Hours that the preview of an import is kept.
pub const KEEP_PREVIEWS: Number = Number::new("retention.previews_hours", 24, 1, 168);
/// Days that closed links are kept.
pub const KEEP_LINKS: Number = Number::new("retention.links_days", 30, 1, 365);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_by_hand_stays_within_what_may_be_chosen() {
        for (stored, read) in [
            (None, 15),
            (Some("5"), 5),
            (Some("0"), 1),
            (Some("999999"), 1440),
            (Some("often"), 15),
        ] {
            assert_eq!(CHECK_INTERVAL.of(stored), read, "{stored:?}");
        }
    }
}
