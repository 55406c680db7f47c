//! What notices say (`ux.md` 9): the verdict as subject, then consequence, cause and fix. Words from elsewhere are cleaned and cut, and
//! nothing a server said is quoted.

use super::NAME;
use super::find::{Group, Kind};
use crate::clock::Timestamp;
use crate::diagnosis::by_id;
use crate::model::notices::{Local, Words, clean};
use crate::model::report::Diagnosis;
use crate::store::notices::{EndedToken, FailingSide};
use std::collections::BTreeMap;

/// How many names are given?
const NAMED: usize = 3;

/// Where and when a message is written.
pub(super) struct Desk {
    pub local: Local,
    pub now: Timestamp,
}

/// The side that fails as most do.
fn usual<'a>(sides: &[&'a FailingSide]) -> Option<&'a FailingSide> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    sides.iter().for_each(|side| *times.entry(&side.title).or_default() += 1);
    sides.iter().rev().max_by_key(|side| times.get(side.title.as_str())).copied()
}

impl Desk {
    fn since(&self, at: Option<Timestamp>) -> String {
        at.map(|at| format!(" since {}", self.local.short(at, self.now)))
            .unwrap_or_default()
    }

    fn since_line(&self, at: Option<Timestamp>) -> Option<String> {
        at.map(|at| format!("Since: {}", self.local.full(at)))
    }

    /// What is said of these items of a group.
    pub fn words(&self, group: &Group, items: &[usize]) -> Words {
        match &group.kind {
            Kind::Sides(sides) => self.sides(&pick(sides, items)),
            Kind::Tokens(tokens) => self.tokens(&pick(tokens, items)),
            Kind::Ready(words) => Words {
                text: words.text.iter().cloned().chain(self.since_line(words.since)).collect(),
                ..Words::clone(words)
            },
        }
    }

    fn sides(&self, sides: &[&FailingSide]) -> Words {
        let Some(first) = usual(sides) else {
            return Words::default();
        };
        let mut addresses: Vec<String> = sides.iter().map(|side| clean(&side.address, NAME)).collect();
        addresses.dedup();
        let since = sides.iter().filter_map(|side| side.since).min();
        let sending = sides.iter().filter(|side| side.sends).count();
        let (cant, again) = match sending {
            0 => ("can't be read", "can be read again"),
            all if all == sides.len() => ("can't send", "can send again"),
            _ if addresses.len() == 1 => ("doesn't work", "works again"),
            _ => ("don't work", "work again"),
        };
        let count = addresses.len();
        let one = count == 1;
        let title = clean(&first.title, 200);
        let who = if one { addresses[0].clone() } else { format!("{count} mailboxes") };
        let what = match (sending, one) {
            (0, true) => format!("Mail that arrives for {who} isn't fetched until this is fixed."),
            (0, false) => format!(
                "Mail that arrives for them isn't fetched until this is fixed: {}.",
                named(&addresses, count)
            ),
            (_, true) => format!("Nothing can be sent as {who} until this is fixed."),
            (_, false) => format!("It hits {}.", named(&addresses, count)),
        };
        let newest = sides.iter().max_by_key(|side| &side.run).copied().unwrap_or(first);
        let mut text = vec![what];
        text.extend(self.since_line(since));
        text.extend(explained(&title, by_id(&first.diagnosis).as_ref()));
        Words {
            subject: match one {
                true => format!("{who} {cant}{}", self.since(since)),
                false => format!("{who} {cant}{}: {}", self.since(since), lower(&title)),
            },
            text,
            path: match (one, newest.run.as_str()) {
                (true, _) | (_, "") => format!("/mailboxes/{}", first.name),
                (false, run) => format!("/tests/{run}"),
            },
            recovered: format!("{who} {again}"),
            mailboxes: i64::try_from(count).unwrap_or(i64::MAX),
            names: addresses.into_iter().take(NAMED).collect(),
            since,
        }
    }

    fn tokens(&self, tokens: &[&EndedToken]) -> Words {
        let Some(first) = tokens.first() else {
            return Words::default();
        };
        let who = |token: &EndedToken| clean(if token.account.is_empty() { &token.name } else { &token.account }, NAME);
        let names: Vec<String> = tokens.iter().map(|token| who(token)).collect();
        let since = tokens.iter().filter_map(|token| token.since).min();
        let mailboxes: i64 = tokens.iter().map(|token| token.mailboxes).sum();
        let problem: Option<Diagnosis> = first.last_error.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let title = problem
            .as_ref()
            .map_or_else(|| "the sign-in has ended".to_owned(), |found| clean(&found.title, 200));
        let one = names.len() == 1;
        let (subject, recovered) = match (one, first.needs_person) {
            (true, true) => (
                format!("{} has to sign in again: {}", names[0], lower(&title)),
                format!("{} is signed in again", names[0]),
            ),
            (true, false) => (
                format!("{} gets no token{}: {}", names[0], self.since(since), lower(&title)),
                format!("{} gets tokens again", names[0]),
            ),
            (false, _) => (
                format!(
                    "{} accounts of {} have to sign in again: {}",
                    names.len(),
                    first.provider,
                    lower(&title)
                ),
                format!("{} accounts of {} are signed in again", names.len(), first.provider),
            ),
        };
        let mut text = Vec::new();
        if !one {
            text.push(format!("It hits {}.", named(&names, names.len())));
        }
        text.push(match mailboxes {
            0 => "No mailbox uses it now.".to_owned(),
            count if first.needs_person => format!("{} until somebody signs in again.", stop(count)),
            count => format!("{} until this is fixed.", stop(count)),
        });
        text.extend(self.since_line(since));
        text.extend(explained(&title, problem.as_ref()));
        Words {
            subject,
            text,
            path: if one {
                format!("/tokens/{}", first.name)
            } else {
                "/tokens?state=revoked".to_owned()
            },
            recovered,
            mailboxes,
            names: names.into_iter().take(NAMED).collect(),
            since,
        }
    }
}

fn pick<'a, T>(all: &'a [T], items: &[usize]) -> Vec<&'a T> {
    items.iter().filter_map(|at| all.get(*at)).collect()
}

/// "Mail of 41 mailboxes is neither fetched nor sent".
pub(super) fn stop(count: i64) -> String {
    match count {
        1 => "Mail of 1 mailbox is neither fetched nor sent".to_owned(),
        count => format!("Mail of {count} mailboxes is neither fetched nor sent"),
    }
}

/// `a, b, c and 38 more`.
pub(super) fn named(names: &[String], count: usize) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>();
    match count.saturating_sub(shown.len()) {
        0 => match shown.as_slice() {
            [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
            _ => shown.concat(),
        },
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Cause and fix, a paragraph each.
pub(super) fn explained(title: &str, found: Option<&Diagnosis>) -> Vec<String> {
    let meaning = found.map_or("", |found| found.meaning.as_str());
    let mut text = vec![format!("Cause: {title}. {}", clean(meaning, 600)).trim_end().to_owned()];
    let remedy = found.map(|found| found.remedy.as_slice()).unwrap_or_default();
    if let Some(first) = remedy.first() {
        text.push(format!("What to do: {}", clean(first, 600)));
    }
    text
}

/// A title within a sentence.
pub(super) fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // An abbreviation stays as it is.
        (Some(_), Some(second)) if second.is_uppercase() => text.to_owned(),
        (Some(first), _) => first.to_lowercase().chain(chars).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(number: i64, title: &str) -> FailingSide {
        FailingSide {
            id: format!("m{number}"),
            name: format!("box-{number}"),
            address: format!("box-{number}@contoso.test"),
            sends: false,
            title: title.to_owned(),
            diagnosis: String::new(),
            step: "auth".into(),
            run: format!("run-{number}"),
            host: "imap.test".into(),
            provider: String::new(),
            since: Some(Timestamp(1_795_248_000 + number)),
            failed_checks: 2,
        }
    }

    fn desk() -> Desk {
        Desk {
            local: Local::named("UTC"),
            now: Timestamp(1_795_250_000),
        }
    }

    #[test]
    fn a_subject_is_the_verdict_and_many_mailboxes_are_a_number() {
        let sides: Vec<FailingSide> = (0..41).map(|number| side(number, "The password is refused")).collect();
        let one = desk().sides(&[&sides[0]]);
        assert_eq!(one.subject, "box-0@contoso.test can't be read since 08:00");
        assert_eq!(
            (one.path.as_str(), one.recovered.as_str()),
            ("/mailboxes/box-0", "box-0@contoso.test can be read again")
        );
        let all = desk().sides(&sides.iter().collect::<Vec<_>>());
        assert_eq!(all.subject, "41 mailboxes can't be read since 08:00: the password is refused");
        assert!(
            all.text[0].contains("box-0@contoso.test, box-1@contoso.test, box-2@contoso.test and 38 more"),
            "{:?}",
            all.text
        );
        assert_eq!(all.mailboxes, 41);
    }

    #[test]
    fn what_others_wrote_breaks_out_of_nothing() {
        let mut evil = side(1, "Refused\r\nBcc: victim@x.test");
        evil.address = "a@x.test\r\nX: y".into();
        let words = desk().sides(&[&evil]);
        for text in words.text.iter().chain([&words.subject, &words.recovered]) {
            assert!(!text.contains(['\r', '\n']), "{text:?}");
        }
    }
}
