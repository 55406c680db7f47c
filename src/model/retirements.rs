//! What providers turn off, and when: dated changes that touch mailboxes which work today. Data, part of the program
//! (`retirements.toml`), each with its source and the day it was looked up. A mailbox that no change touches hears nothing of them.

use super::Date;
use super::mailbox::{AuthKind, Protocol};
use crate::clock::Timestamp;
use serde::Deserialize;
use std::sync::OnceLock;

const FILE: &str = include_str!("retirements.toml");
const DAY: i64 = 86_400;

/// Something that ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Its id, as addresses and searches have it.
    pub id: String,
    /// What happens, in a few words, for lists; a day follows.
    pub mark: String,
    /// What happens, in a line.
    pub title: String,
    /// What it means, in a sentence or two.
    pub text: String,
    /// What to do.
    pub todo: String,
    /// The days on which something changes, the first first.
    pub dates: Vec<Day>,
    /// Whether something of it still works, so that a side isn't touched that passed a test after the last day.
    #[serde(default)]
    pub if_unproven: bool,
    /// Whether it is about the app, and shown on the provider's page.
    #[serde(default)]
    pub about_app: bool,
    /// Protocols of the sides it touches; none: any.
    #[serde(default)]
    pub protocols: Vec<Protocol>,
    /// How the sides sign in that it touches; none: in any way.
    pub auth: Option<AuthKind>,
    /// Servers of the sides it touches, in lower case; none: any.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Part of a scope, in lower case, that the token of the side asks for; empty: any.
    #[serde(default)]
    pub scope: String,
    /// Part of what the servers said in the newest proof of the side's token, in lower case; empty: anything.
    #[serde(default)]
    pub proof: String,
    /// Where it is written.
    pub source: String,
    /// The day it was looked up.
    pub as_of: Date,
}

/// A day on which something changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// Which.
    pub on: Date,
    /// What changes: the end of a sentence that begins with the day.
    pub what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    change: Vec<Change>,
}

/// All that is known. A file that can't be read gives an empty list; a test keeps that from happening.
pub fn all() -> &'static [Change] {
    static CHANGES: OnceLock<Vec<Change>> = OnceLock::new();
    CHANGES.get_or_init(|| toml::from_str(FILE).map_or_else(|_| Vec::new(), |file: File| file.change))
}

/// The change of this id.
pub fn find(id: &str) -> Option<&'static Change> {
    all().iter().find(|change| change.id == id)
}

impl Change {
    /// The next day that has not come, with the days until then.
    pub fn next(&self, now: Timestamp) -> Option<(&Day, i64)> {
        let days = self.dates.iter().map(|day| (day, day.on.days_from(now)));
        days.into_iter().find(|(_, days)| *days > 0)
    }

    /// Where it stands among others: the nearest day to come first, then what has happened already, the newest first.
    pub fn order(&self, now: Timestamp) -> (bool, i64) {
        let passed = self.dates.iter().map(|day| -day.on.days_from(now)).min().unwrap_or_default();
        self.next(now).map_or((true, passed), |(_, days)| (false, days))
    }

    /// Whether one of its days has come.
    pub fn has_begun(&self, now: Timestamp) -> bool {
        self.dates.iter().any(|day| day.on.days_from(now) <= 0)
    }

    /// From when on a passed test shows that a side isn't touched; none: it never does.
    pub fn proved_from(&self) -> Option<Timestamp> {
        let last = self.dates.last().filter(|_| self.if_unproven)?;
        Some(Timestamp(last.on.days_from(Timestamp(0)) * DAY))
    }

    /// Whether a side with these settings is touched, as far as they decide that alone. What a test, a token or a proof says besides, the
    /// store knows.
    pub fn touches(&self, protocol: Protocol, auth: AuthKind, host: &str) -> bool {
        let by_settings = self.scope.is_empty() && self.proof.is_empty();
        by_settings
            && (self.protocols.is_empty() || self.protocols.contains(&protocol))
            && self.auth.is_none_or(|wanted| wanted == auth)
            && (self.hosts.is_empty() || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn day(text: &str) -> Timestamp {
        Timestamp(Date::parse(text).unwrap().days_from(Timestamp(0)) * DAY)
    }

    #[test]
    fn every_change_has_its_days_its_remedy_and_its_source() {
        let mut ids = HashSet::new();
        assert!(all().len() >= 7, "the file can't be read: {:?}", toml::from_str::<File>(FILE).err());
        for change in all() {
            assert!(ids.insert(&change.id), "{} twice", change.id);
            assert!(change.source.starts_with("https://"), "{}", change.id);
            assert!(change.text.ends_with('.') && change.todo.ends_with('.'), "{}", change.id);
            assert!(!change.mark.is_empty() && change.mark.chars().count() <= 30, "{}", change.id);
            assert!(!change.title.ends_with('.') && change.title.chars().count() <= 70, "{}", change.id);
            assert!(
                !change.dates.is_empty() && change.dates.is_sorted_by_key(|day| day.on.0),
                "{}",
                change.id
            );
            assert!(change.dates.iter().all(|day| !day.what.ends_with('.')), "{}", change.id);
            // One that fits every side would be a false alarm at each of them.
            let narrow = change.auth.is_some() && !change.hosts.is_empty();
            assert!(
                narrow || !change.hosts.is_empty() || !change.scope.is_empty() || !change.proof.is_empty(),
                "{}",
                change.id
            );
            assert!(change.hosts.iter().all(|host| *host == host.to_lowercase()), "{}", change.id);
            assert_eq!(change.scope, change.scope.to_lowercase(), "{}", change.id);
            assert_eq!(change.proof, change.proof.to_lowercase(), "{}", change.id);
        }
        assert!(find("smtp-passwords").is_some() && find("nothing").is_none());
    }

    #[test]
    fn days_that_have_passed_are_told_from_those_to_come() {
        let ews = find("ews").unwrap();
        let at = |text: &str| ews.next(day(text)).map(|(day, days)| (day.on.to_string(), days));
        assert_eq!(at("2026-09-30"), Some(("2026-10-01".into(), 1)));
        assert!(!ews.has_begun(day("2026-09-30")));
        assert_eq!(at("2026-10-01"), Some(("2027-04-01".into(), 182)));
        assert!(ews.has_begun(day("2026-10-01")));
        assert_eq!(at("2027-04-01"), None);
        assert_eq!(ews.proved_from(), None);
        assert_eq!(find("google-passwords").unwrap().proved_from(), Some(day("2025-05-01")));
    }

    #[test]
    fn settings_that_a_change_is_about_are_touched_and_others_are_not() {
        let touched = |protocol, auth, host: &str| {
            let changes = all().iter().filter(|change| change.touches(protocol, auth, host));
            changes.map(|change| change.id.as_str()).collect::<Vec<_>>().join(" ")
        };
        let (password, token) = (AuthKind::Password, AuthKind::OAuth2);
        for (protocol, auth, host, ids) in [
            (Protocol::Smtp, password, "smtp.office365.com", "smtp-passwords"),
            (Protocol::Smtp, password, "SMTP.Office365.com", "smtp-passwords"),
            (Protocol::Smtp, token, "smtp.office365.com", ""),
            (Protocol::Smtp, AuthKind::None, "smtp.office365.com", ""),
            (Protocol::Smtp, password, "smtp.example.com", ""),
            (Protocol::Imap, password, "outlook.office365.com", "exchange-passwords"),
            (Protocol::Imap, token, "outlook.office365.com", ""),
            (Protocol::Pop3, token, "pop-legacy.office365.com", "exchange-legacy-tls"),
            (
                Protocol::Imap,
                password,
                "imap-legacy.office365.com",
                "exchange-passwords exchange-legacy-tls",
            ),
            (Protocol::Imap, password, "imap.gmail.com", "google-passwords"),
            (Protocol::Imap, token, "imap.gmail.com", ""),
            (Protocol::Smtp, password, "smtp-mail.outlook.com", "outlook-com-passwords"),
            (Protocol::Graph, token, "", ""),
            (Protocol::Imap, password, "127.0.0.1", ""),
        ] {
            assert_eq!(touched(protocol, auth, host), ids, "{protocol} {auth} {host}");
        }
    }
}
