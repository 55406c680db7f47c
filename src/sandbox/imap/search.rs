//! SEARCH.

use super::folders::contains;
use crate::sandbox::mailboxes::Message;
use imap_codec::imap_types::core::AString;
use imap_codec::imap_types::datetime::NaiveDate;
use imap_codec::imap_types::search::SearchKey;

/// The numbers of the messages that fit, each after a blank.
pub(super) fn find(messages: &[Message], criteria: &[SearchKey<'_>], uid: bool) -> String {
    let largest_uid = messages.last().map_or(0, |message| message.uid);
    let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
    let numbered = messages.iter().zip(1u32..);
    numbered
        .filter(|(message, number)| {
            let one = One {
                message,
                number: *number,
                count,
                largest_uid,
            };
            criteria.iter().all(|key| one.fits(key))
        })
        .map(|(message, number)| format!(" {}", if uid { message.uid } else { number }))
        .collect()
}

struct One<'a> {
    message: &'a Message,
    number: u32,
    count: u32,
    largest_uid: u32,
}

impl One<'_> {
    fn fits(&self, key: &SearchKey<'_>) -> bool {
        let size = self.message.size() as u64;
        let day = day(self.message.received.to_rfc3339());
        match key {
            SearchKey::And(all) => all.as_ref().iter().all(|key| self.fits(key)),
            SearchKey::Or(a, b) => self.fits(a) || self.fits(b),
            SearchKey::Not(key) => !self.fits(key),
            SearchKey::SequenceSet(set) => contains(set, self.number, self.count),
            SearchKey::Uid(set) => contains(set, self.message.uid, self.largest_uid),
            SearchKey::Seen => self.message.seen,
            SearchKey::Unseen => !self.message.seen,
            SearchKey::Larger(octets) => size > u64::from(*octets),
            SearchKey::Smaller(octets) => size < u64::from(*octets),
            SearchKey::Since(date) | SearchKey::SentSince(date) => day >= of(date),
            SearchKey::Before(date) | SearchKey::SentBefore(date) => day < of(date),
            SearchKey::On(date) | SearchKey::SentOn(date) => day == of(date),
            SearchKey::Header(name, text) => self.has(&lower(name), text),
            SearchKey::Subject(text) => self.has("subject", text),
            SearchKey::From(text) => self.has("from", text),
            SearchKey::To(text) => self.has("to", text),
            SearchKey::Cc(text) => self.has("cc", text),
            SearchKey::Text(text) | SearchKey::Body(text) => {
                let content = String::from_utf8_lossy(&self.message.content()).to_lowercase();
                content.contains(&lower(text))
            }
            SearchKey::Answered | SearchKey::Deleted | SearchKey::Draft | SearchKey::Flagged | SearchKey::New | SearchKey::Recent => false,
            SearchKey::Bcc(_) | SearchKey::Keyword(_) => false,
            // Whatever else there is leaves nothing out.
            _ => true,
        }
    }

    fn has(&self, name: &str, text: &AString<'_>) -> bool {
        self.message
            .field(name)
            .is_some_and(|value| value.to_lowercase().contains(&lower(text)))
    }
}

fn lower(text: &AString<'_>) -> String {
    String::from_utf8_lossy(text.as_ref()).to_lowercase()
}

fn day(mut moment: String) -> String {
    moment.truncate(10);
    moment
}

/// `2026-11-21`, which sorts.
fn of(date: &NaiveDate) -> String {
    date.as_ref().to_string()
}
