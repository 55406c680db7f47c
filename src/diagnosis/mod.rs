//! From an error to its cause and a remedy.
//!
//! [`diagnose`] takes what is known about a failure and names one cause from the [`catalogue`]. It never fails: what nobody has seen
//! before is "We don't know this one", and the server's own words are shown beside it.

pub mod ahead;
pub mod case;
pub mod catalogue;
mod explain;
pub mod family;
pub mod judge;
mod limits;
pub mod own;
mod page;
mod rules;
pub mod signal;
pub mod ways;

pub use catalogue::entry;
pub use explain::{Explanation, LONGEST, explain};
pub use judge::judge;

use crate::model::report::{Diagnosis, FixWhere};
use signal::Signals;

/// What is known about a failure.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// What the console noticed by itself, an id of [`own`].
    pub own_id: Option<&'a str>,
    /// What the other side said, as it came; secrets don't matter, nothing of it gets into the diagnosis.
    pub text: &'a str,
}

impl<'a> Evidence<'a> {
    /// Something the console noticed by itself.
    pub const fn own(id: &'a str) -> Self {
        Self {
            own_id: Some(id),
            text: "",
        }
    }

    /// What the other side said.
    pub const fn text(text: &'a str) -> Self {
        Self { own_id: None, text }
    }
}

/// The cause of a failure: what the console noticed by itself, else the first entry of the catalogue that the text stands for.
pub fn diagnose(evidence: &Evidence<'_>) -> Diagnosis {
    let own = evidence.own_id.and_then(entry);
    own.or_else(|| catalogue::recognise(&Signals::read(evidence.text)))
        .map_or_else(unknown, catalogue::Entry::diagnosis)
}

/// The diagnosis of an id.
pub fn by_id(id: &str) -> Option<Diagnosis> {
    entry(id).map(catalogue::Entry::diagnosis)
}

/// What we say where nothing fits.
fn unknown() -> Diagnosis {
    by_id(own::UNKNOWN).unwrap_or_else(|| Diagnosis {
        id: own::UNKNOWN.to_owned(),
        title: "We don't know this one".to_owned(),
        meaning: String::new(),
        remedy: Vec::new(),
        fix_where: FixWhere::Console,
        retryable: true,
        url: String::new(),
        grounds: None,
        said: String::new(),
        ways: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogue::{Entry, entries};
    use std::collections::HashSet;

    fn id_of(text: &str) -> String {
        diagnose(&Evidence::text(text)).id
    }

    fn with_example() -> impl Iterator<Item = &'static Entry> {
        entries().iter().filter(|entry| !entry.example.is_empty())
    }

    #[test]
    fn every_example_is_diagnosed_as_its_own_entry() {
        let missed: Vec<_> = with_example()
            .map(|entry| (&entry.id, id_of(&entry.example)))
            .filter(|(id, found)| *id != found)
            .collect();
        assert!(missed.is_empty(), "{missed:#?}");
        assert!(with_example().count() >= 214);
    }

    #[test]
    fn an_example_is_still_known_after_travelling() {
        for entry in with_example() {
            let encoded: String = url::form_urlencoded::byte_serialize(entry.example.as_bytes()).collect();
            let in_json = serde_json::json!({ "body": entry.example }).to_string();
            let in_html = entry.example.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;");
            let wrapped = entry.example.replace(' ', "\r\n\t ");
            for form in [encoded, in_json, in_html, wrapped, entry.example.to_uppercase()] {
                assert_eq!(id_of(&form), entry.id, "{form}");
            }
        }
    }

    #[test]
    fn every_entry_can_be_reached() {
        // an entry nobody can get to would be words that are never shown
        for (at, entry) in entries().iter().enumerate() {
            if entry.matches.is_empty() {
                assert!(own::ALL.contains(&entry.id.as_str()), "{}: nothing leads there", entry.id);
            }
            for text in &entry.matches {
                let found = id_of(text);
                let place = entries().iter().position(|entry| entry.id == found);
                assert!(place.is_some_and(|place| place <= at), "{}: {text} leads to {found}", entry.id);
            }
            assert_eq!(by_id(&entry.id).map(|diagnosis| diagnosis.title), Some(entry.title.clone()));
        }
    }

    #[test]
    fn the_words_keep_to_the_house_rules() {
        let mut titles = HashSet::new();
        let mut ids = HashSet::new();
        for entry in entries() {
            assert!(ids.insert(&entry.id), "{} twice", entry.id);
            assert!(titles.insert(entry.title.to_lowercase()), "{}: title is used twice", entry.id);
            assert!(
                !entry.title.is_empty() && entry.title.chars().count() <= 70,
                "{}: {}",
                entry.id,
                entry.title
            );
            assert!(
                !entry.title.ends_with('.') && entry.title.starts_with(char::is_uppercase),
                "{}: {}",
                entry.id,
                entry.title
            );
            assert!(
                !entry.title.contains("AADSTS"),
                "{}: a title names the cause, not the code",
                entry.id
            );
            assert!(entry.meaning.ends_with(['.', ')']) && !entry.remedy.is_empty(), "{}", entry.id);
            assert!(entry.url.is_empty() || entry.url.starts_with("https://"), "{}", entry.id);
            for text in std::iter::once(&entry.title).chain([&entry.meaning]).chain(&entry.remedy) {
                let words: HashSet<_> = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
                for word in ["please", "sorry", "oops", "forbidden", "successfully"] {
                    assert!(!words.contains(word), "{}: {text}", entry.id);
                }
            }
        }
    }

    #[test]
    fn every_finding_of_our_own_has_its_words() {
        for id in own::ALL {
            let diagnosis = diagnose(&Evidence::own(id));
            assert_eq!(diagnosis.id, *id);
            assert!(id.starts_with("console-"), "{id}");
            assert!(entry(id).is_some_and(|entry| entry.source == "console"), "{id}");
        }
        let ours = entries().iter().filter(|entry| entry.source == "console").count();
        assert_eq!(ours, own::ALL.len(), "an entry of our own has no constant");
    }

    #[test]
    fn what_the_console_noticed_goes_before_the_text() {
        let text = "NO AUTHENTICATE failed.";
        assert_eq!(
            diagnose(&Evidence {
                own_id: Some(own::DEADLINE),
                text
            })
            .id,
            own::DEADLINE
        );
        assert_eq!(
            diagnose(&Evidence {
                own_id: Some("console-of-another-version"),
                text
            })
            .id,
            "imap-exchange-authenticate-failed"
        );
    }

    #[test]
    fn what_nobody_has_seen_before_is_unknown_and_quotes_nothing() {
        let prose = [
            "",
            "Good morning, the coffee machine on the second floor is empty again.",
            "The quarterly report is attached. Ask Maija if a figure looks odd; she knows 5.7 of them by heart.",
            "NO [X-CANARY-4711] the daemon is on holiday",
            "599 5.9.9 Moon phase not supported",
            "connected to 15.7.705.1:993",
        ];
        for text in prose {
            let diagnosis = diagnose(&Evidence::text(text));
            assert_eq!(diagnosis.id, own::UNKNOWN, "{text}");
            assert!(!format!("{diagnosis:?}").contains("4711"));
            assert_eq!(Some(diagnosis), by_id(own::UNKNOWN));
        }
    }

    #[test]
    fn special_causes_go_before_general_ones() {
        for (text, id) in [
            (
                r#"{"error":"invalid_grant","error_description":"AADSTS50173: The provided grant has expired","error_codes":[50173]}"#,
                "entra-50173-grant-revoked",
            ),
            (
                r#"{"error":"invalid_grant","error_codes":[700082]}"#,
                "entra-700082-refresh-inactive",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"AADSTS99999: never seen"}"#,
                "oauth-invalid-grant",
            ),
            (
                "?error=access_denied&error_description=AADSTS65004%3a+User+declined",
                "entra-65004-user-declined",
            ),
            ("AADSTS500113: No reply address is registered", "entra-500113-no-reply-address"),
            (
                "535-5.7.8 Username and Password\r\n535 5.7.8 not accepted. p=BadCredentials - gsmtp",
                "smtp-gmail-bad-credentials",
            ),
            (
                "a1 NO [AUTHENTICATIONFAILED] Authentication failed.",
                "imap-authenticationfailed-generic",
            ),
            (
                "535 5.7.8 Error: authentication failed: (reason unavailable)",
                "smtp-auth-failed-generic",
            ),
            ("-ERR [AUTH] Authentication failed.", "pop-gmail-auth"),
        ] {
            assert_eq!(id_of(text), id, "{text}");
        }
    }

    #[test]
    fn hostile_text_is_answered_all_the_same() {
        let hostile = [
            "AADSTS".repeat(20_000),
            "\"error_codes\":[1,".repeat(8_000),
            "%25".repeat(40_000),
            "535-".repeat(30_000),
            "535-\r\n".repeat(20_000),
            "5.7.705.1 ".repeat(9_000),
        ];
        for text in hostile {
            assert_eq!(id_of(&text), own::UNKNOWN);
        }
    }
}
