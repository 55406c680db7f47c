//! Notices: which events there are, whom they are told, and in which words. Plain data; [`crate::actions::notices`] decides what is told.

mod channels;
mod local;

pub use channels::{Channels, Fallback, Off, Quiet, Stamp, marked};
pub use local::Local;

use super::words;
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

words!(
    /// What somebody can be told.
    Event {
        /// Mailboxes fail, after so many checks.
        Failing = "mailbox.failing",
        /// The provider refuses the app: its mailboxes can't be read.
        AppProblem = "provider.problem",
        /// Somebody has to sign in again.
        SignInNeeded = "token.sign_in_needed",
        /// What failed works again.
        Recovered = "recovered",
        /// Something ends in so many days.
        Expiring = "expiring",
        /// It has ended.
        Expired = "expired",
        /// Mailboxes are not checked any more.
        CheckerStill = "checks.still",
        /// The chain of the audit log is broken.
        AuditBroken = "audit.broken",
        /// Notices can't be mailed.
        MailDead = "notices.mail_dead",
        /// The webhook gets no notices.
        WebhookDead = "notices.webhook_dead",
        /// A backup failed.
        BackupFailed = "backup.failed",
        /// Somebody consented, or signed in.
        ConsentGiven = "consent.given",
        /// Somebody used a one-time link.
        LinkUsed = "link.used",
        /// How the week was.
        Weekly = "report.weekly",
        /// More messages than are good for anybody, in one.
        Summary = "summary",
        /// Somebody wants to see whether it arrives.
        Test = "test",
    }
);

impl Event {
    /// Those that people choose from, in the order of the page.
    pub const CHOSEN: [Self; 14] = [
        Self::Failing,
        Self::AppProblem,
        Self::SignInNeeded,
        Self::Recovered,
        Self::Expiring,
        Self::Expired,
        Self::CheckerStill,
        Self::AuditBroken,
        Self::MailDead,
        Self::WebhookDead,
        Self::BackupFailed,
        Self::ConsentGiven,
        Self::LinkUsed,
        Self::Weekly,
    ];

    /// The words beside its tick.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failing => "A mailbox fails",
            Self::AppProblem => "A provider refuses the app",
            Self::SignInNeeded => "Somebody has to sign in again",
            Self::Recovered => "What failed works again",
            Self::Expiring => "Something expires in 60, 30, 14, 7 days or 1 day",
            Self::Expired => "Something has expired",
            Self::CheckerStill => "Mailboxes aren't checked any more",
            Self::AuditBroken => "The audit log was changed",
            Self::MailDead => "Notifications can't be mailed",
            Self::WebhookDead => "The webhook gets no notifications",
            Self::BackupFailed => "A backup failed (once backups are made)",
            Self::ConsentGiven => "Somebody consented or signed in",
            Self::LinkUsed => "A one-time link was used",
            Self::Weekly => "Weekly report",
            Self::Summary => "Several at once",
            Self::Test => "Test",
        }
    }

    /// Whether it can be told by mail: not that mail doesn't work.
    pub fn by_mail(self) -> bool {
        self != Self::MailDead
    }

    /// Whether it can be told by webhook: not that the webhook doesn't work.
    pub fn by_webhook(self) -> bool {
        self != Self::WebhookDead
    }
}

/// Days before the end at which it is told.
pub const THRESHOLDS: [i64; 5] = [60, 30, 14, 7, 1];
/// One-time links live three days at most: only the last of these says anything.
pub const LINK_THRESHOLDS: [i64; 1] = [1];
/// Web servers replace certificates of 90 days by themselves with a month left: earlier than this it is no news.
pub const CERTIFICATE_THRESHOLDS: [i64; 3] = [14, 7, 1];

/// Which of these thresholds counts with so many days left: the smallest that isn't below; none: it is too early, or over.
pub fn threshold(of: &[i64], days: i64) -> Option<i64> {
    of.iter().copied().filter(|threshold| (0..=*threshold).contains(&days)).min()
}

words!(
    /// What is still to be told of a notice.
    State {
        /// That it began.
        New = "new",
        /// That it began, as soon as there is a way at all: when it was found there was none.
        Unheard = "unheard",
        /// Nothing for now: it was told, and goes on.
        Told = "told",
        /// That it is over.
        Over = "over",
        /// Nothing any more.
        Done = "done",
        /// Nothing: it was over before anybody was told.
        Dropped = "dropped",
    }
);

impl State {
    /// Whether nobody was told yet that it began.
    pub const fn is_untold(self) -> bool {
        matches!(self, Self::New | Self::Unheard)
    }
}

words!(
    /// What a cause hits.
    MemberKind {
        /// A mailbox, by its id.
        Mailbox = "mailbox",
        /// A token, by its id.
        Token = "token",
        /// A provider, by its id.
        Provider = "provider",
        /// The console itself.
        Console = "console",
    }
);

/// One thing that a cause hits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// What it is.
    pub kind: MemberKind,
    /// Its row id.
    pub id: String,
}

/// A notice in words: subject, paragraphs, and the page with the button that fixes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// The verdict.
    pub subject: String,
    /// What it means, why, what to do: a paragraph each.
    pub text: Vec<String>,
    /// The page, below the console's address.
    pub path: String,
    /// The verdict when it is over; empty: that isn't told.
    pub recovered: String,
    /// How many mailboxes it hits.
    pub mailboxes: i64,
    /// The names of some of them.
    pub names: Vec<String>,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// A cause that somebody is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Row id.
    pub id: String,
    /// What happened.
    pub event: Event,
    /// What it is about: no two open notices have the same.
    pub cause: String,
    /// What is still to be told.
    pub state: State,
    /// When it was found.
    pub opened_at: Timestamp,
    /// When it was over; of what just happened, at once.
    pub closed_at: Option<Timestamp>,
    /// In words.
    pub words: Words,
}

words!(
    /// How a message travels.
    Channel {
        /// By mail.
        Mail = "mail",
        /// By webhook.
        Webhook = "webhook",
    }
);

words!(
    /// How far a delivery is.
    DeliveryState {
        /// It is to be sent, at its time.
        Waiting = "waiting",
        /// An attempt is under way, and the message is still here.
        Sending = "sending",
        /// The message is being handed over: from here on only the other side knows.
        Handing = "handing",
        /// The other side took it.
        Delivered = "delivered",
        /// It was refused, or tried for a day.
        Failed = "failed",
        /// It was handed over and no answer came: it is not sent again by itself.
        Unknown = "unknown",
        /// Nobody wants it any more: its recipient or its channel was removed, or turned off, or what it tells is over.
        Dropped = "dropped",
    }
);

impl DeliveryState {
    /// Mark and words.
    pub const fn shown(self) -> (&'static str, &'static str) {
        match self {
            Self::Waiting => ("todo", "Waiting"),
            Self::Sending | Self::Handing => ("run", "Being sent"),
            Self::Delivered => ("ok", "Delivered"),
            Self::Failed => ("bad", "Failed"),
            Self::Unknown => ("warn", "Not known"),
            Self::Dropped => ("skip", "Not sent"),
        }
    }

    /// Whether the console does nothing more about it by itself though it isn't known to have arrived: a person may send it again.
    pub const fn is_given_up(self) -> bool {
        matches!(self, Self::Failed | Self::Unknown | Self::Dropped)
    }
}

/// A message on its way to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Row id.
    pub id: String,
    /// What all deliveries of one message have in common.
    pub message: String,
    /// What it tells.
    pub event: Event,
    /// How it travels.
    pub channel: Channel,
    /// An address; of a webhook its server alone, because its path may be a secret.
    pub recipient: String,
    /// Subject.
    pub subject: String,
    /// The text of a mail, the document of a webhook.
    pub content: String,
    /// How far it is.
    pub state: DeliveryState,
    /// Which instance is at it.
    pub owner: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// When it was last tried.
    pub tried_at: Option<Timestamp>,
    /// What it was sent through, in words.
    pub via: String,
    /// What was sent the last time, without secrets.
    pub request: String,
    /// What the other side answered, without secrets, cut.
    pub reply: String,
    /// Why it failed: a diagnosis as JSON.
    pub problem: Option<String>,
    /// Why it was dropped: a sentence; empty: it wasn't.
    pub why: String,
}

/// Seconds until the next attempt after so many: from a minute to six hours.
pub fn backoff(attempts: i64) -> i64 {
    const STEPS: [i64; 6] = [60, 300, 900, 3600, 3 * 3600, 6 * 3600];
    let last = STEPS.len() - 1;
    STEPS[usize::try_from(attempts.max(1) - 1).unwrap_or(last).min(last)]
}

/// How often a delivery is tried: for about a day, as [`backoff`] has it. Counted, because a machine that slept, or whose clock was set,
/// has tried nothing meanwhile.
pub const MOST_ATTEMPTS: i64 = 9;
/// Messages an hour at most; the rest is told in one.
pub const MOST_AN_HOUR: usize = 10;

/// A word from elsewhere, fit for a subject or a line: no control characters, nothing that turns the direction of text, cut.
pub fn clean(text: &str, most: usize) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() || super::turns_text(c) { ' ' } else { c })
        .collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if plain.chars().count() <= most {
        return plain;
    }
    let mut cut: String = plain.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_found_late_tells_its_own_threshold_and_none_before() {
        let told: Vec<_> = (-1..=61).rev().map(|days| threshold(&THRESHOLDS, days)).collect();
        assert_eq!(told[0], None, "61 days");
        assert_eq!(threshold(&THRESHOLDS, 60), Some(60));
        assert_eq!(threshold(&THRESHOLDS, 20), Some(30), "found first at 20 days");
        assert_eq!(threshold(&THRESHOLDS, 14), Some(14));
        assert_eq!(threshold(&THRESHOLDS, 0), Some(1), "on the day");
        assert_eq!(threshold(&THRESHOLDS, -1), None);
        assert_eq!(threshold(&LINK_THRESHOLDS, 3), None);
    }

    #[test]
    fn pauses_grow_from_a_minute_to_six_hours() {
        let all: Vec<i64> = (0..9).map(backoff).collect();
        assert_eq!(all, [60, 60, 300, 900, 3600, 10_800, 21_600, 21_600, 21_600]);
    }

    #[test]
    fn nothing_from_elsewhere_ends_a_line_or_turns_it_round() {
        assert_eq!(clean("a\r\nBcc: x@y.test\t\u{202e}b", 60), "a Bcc: x@y.test b");
        assert_eq!(clean("abcdef", 4), "abc…");
        assert_eq!(clean(" \u{0} ", 4), "");
    }
}
