//! Whom to tell, and how: what the page of notifications saves. The secrets are kept beside it, sealed.

use super::{Channel, Event};
use crate::clock::Timestamp;
use crate::model::mailbox::{Endpoint, Security};
use crate::random::hex;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use url::Url;

/// How many octets of a digest tell addresses apart?
const DIGEST: usize = 12;

/// Everything but the secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Channels {
    /// Addresses that get mail.
    pub recipients: Vec<String>,
    /// The mailbox that sends, by its id; empty: none.
    pub mailbox: String,
    /// The server to go through where the mailbox fails.
    pub fallback: Option<Fallback>,
    /// When its password was set, and by whom; none: there is none.
    pub password_set: Option<Stamp>,
    /// The webhook, as [`marked`] makes it of its address, which is sealed; empty: none.
    pub webhook: String,
    /// When its secret was set, and by whom.
    pub secret_set: Option<Stamp>,
    /// Why nothing is sent there any more.
    pub webhook_off: Option<Off>,
    /// What is mailed.
    pub mail_events: Vec<Event>,
    /// What is posted.
    pub webhook_events: Vec<Event>,
    /// When nobody wants to be told.
    pub quiet: Option<Quiet>,
    /// The time zone of quiet hours and of times in messages; empty: the server's.
    pub zone: String,
}

impl Default for Channels {
    fn default() -> Self {
        let usual = |event: &Event| !matches!(event, Event::LinkUsed | Event::ConsentGiven);
        Self {
            recipients: Vec::new(),
            mailbox: String::new(),
            fallback: None,
            password_set: None,
            webhook: String::new(),
            secret_set: None,
            webhook_off: None,
            mail_events: Event::CHOSEN.into_iter().filter(|event| event.by_mail() && usual(event)).collect(),
            webhook_events: Event::CHOSEN.into_iter().filter(|event| event.by_webhook()).collect(),
            quiet: None,
            zone: String::new(),
        }
    }
}

/// An SMTP server of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub security: Security,
    /// Who signs in; empty: nobody.
    pub user: String,
    /// Address of the sender.
    pub from: String,
}

impl Fallback {
    /// Host, port and encryption.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            host: self.host.clone(),
            port: self.port,
            security: self.security,
        }
    }

    /// What its password is bound to (SEC-2).
    pub fn destination(&self) -> String {
        self.endpoint().destination()
    }
}

/// When something was set, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// When.
    pub at: Timestamp,
    /// The person's name.
    pub by: String,
    /// Counts the values; part of what the seal is bound to.
    pub version: i64,
}

/// Why a webhook is off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Off {
    /// Since when.
    pub at: Timestamp,
    /// A sentence.
    pub why: String,
}

/// Quiet hours, in minutes of the day; `until` may be before `from`: then they go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// They begin.
    pub from: i64,
    /// They end.
    pub until: i64,
}

impl Quiet {
    /// Whether this minute of the day is within.
    pub fn holds(self, minute: i64) -> bool {
        if self.from <= self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }

    /// The minute of a time of day, `22:00`.
    pub fn minute(text: &str) -> Option<i64> {
        let (hours, minutes) = text.trim().split_once(':')?;
        let number = |text: &str, most: i64| {
            let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i64>().ok().filter(|number| digits && *number <= most)
        };
        Some(number(hours, 23)? * 60 + number(minutes, 59)?)
    }

    /// `22:00`.
    pub fn clock(minute: i64) -> String {
        format!("{:02}:{:02}", minute / 60, minute % 60)
    }
}

impl Channels {
    /// Whether mail can go out: to somebody, through something.
    pub fn mails(&self) -> bool {
        !self.recipients.is_empty() && (!self.mailbox.is_empty() || self.fallback.is_some())
    }

    /// Whether a webhook is to be called.
    pub fn posts(&self) -> bool {
        !self.webhook.is_empty() && self.webhook_off.is_none()
    }

    /// Whether there is any way at all.
    pub fn has_way(&self) -> bool {
        self.mails() || self.posts()
    }

    /// Whether this is one of the addresses that get mail.
    pub fn tells(&self, address: &str) -> bool {
        self.recipients.iter().any(|known| known.eq_ignore_ascii_case(address))
    }

    /// Whether an event goes this way.
    pub fn wants(&self, channel: Channel, event: Event) -> bool {
        match channel {
            Channel::Mail => self.mails() && event.by_mail() && self.mail_events.contains(&event),
            Channel::Webhook => self.posts() && event.by_webhook() && self.webhook_events.contains(&event),
        }
    }

    /// The webhook as it may be shown: its path may be a secret.
    pub fn webhook_shown(&self) -> String {
        shown(&self.webhook)
    }
}

/// What is readable of a webhook's address: its server, and a digest by which it is known whether another one is the same.
pub fn marked(address: &str) -> String {
    let digest = digest(&SHA256, address.as_bytes());
    format!("{}/#{}", shown(address), hex(digest.as_ref().get(..DIGEST).unwrap_or_default()))
}

/// Scheme and server of an address.
pub(super) fn shown(address: &str) -> String {
    Url::parse(address).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_may_go_over_midnight() {
        let night = Quiet {
            from: Quiet::minute("22:00").unwrap(),
            until: Quiet::minute("6:30").unwrap(),
        };
        for (clock, quiet) in [
            ("21:59", false),
            ("22:00", true),
            ("0:00", true),
            ("06:29", true),
            ("06:30", false),
            ("12:00", false),
        ] {
            assert_eq!(night.holds(Quiet::minute(clock).unwrap()), quiet, "{clock}");
        }
        let noon = Quiet { from: 720, until: 780 };
        assert!(noon.holds(720) && !noon.holds(780) && !noon.holds(60));
        for bad in ["", "24:00", "12:60", "noon", "1200", "-1:00", "001:00", "+1:00"] {
            assert_eq!(Quiet::minute(bad), None, "{bad}");
        }
        assert_eq!(Quiet::clock(390), "06:30");
    }

    #[test]
    fn the_path_of_a_webhook_is_not_shown() {
        let channels = Channels {
            webhook: "https://hooks.example:8443/services/T0/secret?x=1".into(),
            ..Channels::default()
        };
        assert_eq!(channels.webhook_shown(), "https://hooks.example:8443");
        assert!(channels.posts() && !channels.mails());
    }
}
