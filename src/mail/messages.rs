//! What tests read of messages: sender, subject, date and size from the envelope, and what the receiver found out about a sender
//! (RFC 8601). Nothing here marks a message as seen.

use super::error::MailError;
use super::imap::Imap;
use super::record::printable;
use crate::clock::Timestamp;
use crate::model::report::{MessageSummary, Spot};
use imap_proto::{Address, AttributeValue, Envelope};
use mail_parser::{HeaderName, HeaderValue, MessageParser};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

const ITEMS: &str = "(UID ENVELOPE RFC822.SIZE INTERNALDATE)";
/// How many characters of a sender or subject are kept?
const KEPT: usize = 300;

impl Imap {
    /// The newest messages of the opened folder, which has so many, newest first.
    pub async fn newest(&mut self, messages: u64, count: u64) -> Result<Vec<MessageSummary>, MailError> {
        if messages == 0 || count == 0 {
            return Ok(Vec::new());
        }
        let first = messages.saturating_sub(count) + 1;
        self.summaries(&format!("FETCH {first}:{messages} {ITEMS}")).await
    }

    /// The messages with these UIDs, newest first.
    pub async fn by_uid(&mut self, uids: &[u32]) -> Result<Vec<MessageSummary>, MailError> {
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let set = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        self.summaries(&format!("UID FETCH {set} {ITEMS}")).await
    }

    async fn summaries(&mut self, command: &str) -> Result<Vec<MessageSummary>, MailError> {
        let mut found = Vec::new();
        let opened = self.opened().cloned();
        self.fetch(command, |attributes| {
            // A change of flags by somebody else comes as FETCH too.
            if attributes.iter().any(|a| matches!(a, AttributeValue::Envelope(_))) {
                found.push(summary(attributes, opened.as_ref()));
            }
        })
        .await?;
        self.hide(&found);
        // Of those that came in the same second, the later number is the newer.
        found.reverse();
        found.sort_by(|a: &MessageSummary, b| b.date.cmp(&a.date));
        Ok(found)
    }

    /// What the receiver found out about the sender of a message, and when it came in by the server's clock, if the server says so.
    pub async fn verdicts(&mut self, uid: u32) -> Result<(Verdicts, Option<Timestamp>), MailError> {
        let (mut verdicts, mut came_in) = (Verdicts::default(), None);
        let command = format!("UID FETCH {uid} (BODY.PEEK[HEADER.FIELDS (AUTHENTICATION-RESULTS RECEIVED-SPF)] INTERNALDATE)");
        self.fetch(&command, |attributes| {
            for attribute in attributes {
                match attribute {
                    AttributeValue::BodySection { data: Some(data), .. } => verdicts = Verdicts::read(&String::from_utf8_lossy(data)),
                    AttributeValue::InternalDate(date) => came_in = moment(date).map(|at| Timestamp(at.unix_timestamp())),
                    _ => {}
                }
            }
        })
        .await?;
        Ok((verdicts, came_in))
    }
}

fn summary(attributes: &[AttributeValue<'_>], opened: Option<&(String, u32)>) -> MessageSummary {
    let mut summary = MessageSummary {
        from: String::new(),
        subject: String::new(),
        date: String::new(),
        size: 0,
        spot: None,
    };
    let (mut number, mut message_id) = (None, String::new());
    for attribute in attributes {
        match attribute {
            AttributeValue::Uid(uid) => number = Some(*uid),
            AttributeValue::Rfc822Size(size) => summary.size = u64::from(*size),
            AttributeValue::InternalDate(date) => summary.date = internal_date(date).unwrap_or_default(),
            AttributeValue::Envelope(envelope) => {
                summary.subject = subject(envelope);
                summary.from = envelope.from.iter().flatten().next().map(sender).unwrap_or_default();
                message_id = kept(&unescape(envelope.message_id.as_deref().unwrap_or_default()));
            }
            _ => {}
        }
    }
    summary.spot = opened.and_then(|(folder, validity)| {
        Some(Spot::Imap {
            folder: folder.clone(),
            validity: *validity,
            uid: number?,
            message_id,
        })
    });
    summary
}

/// `17-Jul-2026 02:44:25 -0700` as RFC 3339 in UTC.
fn internal_date(text: &str) -> Option<String> {
    moment(text)?.to_offset(time::UtcOffset::UTC).format(&Rfc3339).ok()
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!(
        "[day padding:none]-[month repr:short case_sensitive:false]-[year] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
    );
    OffsetDateTime::parse(text.trim(), format).ok()
}

/// What a header says of its message. It was received when the last server on its way says so, else when its sender does.
pub fn of_header(header: &str, size: u64) -> MessageSummary {
    let header = format!("{header}\r\n\r\n");
    let Some(message) = MessageParser::default().parse_headers(&header) else {
        return MessageSummary {
            from: String::new(),
            subject: String::new(),
            date: String::new(),
            size,
            spot: None,
        };
    };
    // Every server puts its own on top.
    let received = message.header_values(HeaderName::Received).next();
    let date = received
        .and_then(HeaderValue::as_received)
        .and_then(|received| received.date())
        .or_else(|| message.date().copied())
        .map(|date| date.to_timestamp());
    let from = message.from().and_then(|from| from.first()).map(|from| {
        let address = from.address().unwrap_or_default();
        match from.name() {
            Some(name) if !name.is_empty() => format!("{name} <{address}>"),
            _ => address.to_owned(),
        }
    });
    MessageSummary {
        from: kept(&from.unwrap_or_default()),
        subject: kept(message.subject().unwrap_or_default()),
        date: date.map(|at| Timestamp(at).to_rfc3339()).unwrap_or_default(),
        size,
        spot: None,
    }
}

fn subject(envelope: &Envelope<'_>) -> String {
    let raw = unescape(envelope.subject.as_deref().unwrap_or_default());
    kept(&decoded(&raw))
}

fn sender(address: &Address<'_>) -> String {
    let part = |part: &Option<std::borrow::Cow<'_, [u8]>>| unescape(part.as_deref().unwrap_or_default());
    let name = decoded(&part(&address.name));
    let address = format!("{}@{}", part(&address.mailbox), part(&address.host));
    kept(&if name.is_empty() { address } else { format!("{name} <{address}>") })
}

/// The parser leaves the backslashes of quoted strings in.
fn unescape(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => chars.next().unwrap_or('\\'),
            c => c,
        });
    }
    out
}

/// Encoded words (RFC 2047) as text.
fn decoded(raw: &str) -> String {
    if !raw.contains("=?") {
        return raw.to_owned();
    }
    let line: String = raw.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let header = format!("Subject: {line}\r\n\r\n");
    let message = MessageParser::default().parse_headers(&header);
    message.and_then(|m| m.subject().map(str::to_owned)).unwrap_or(line)
}

fn kept(text: &str) -> String {
    text.chars().take(KEPT).map(printable).collect()
}

/// SPF, DKIM and DMARC of a message, as the receiver saw them: `pass`, `fail`, `none`…
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// May the sending server send for the domain?
    pub spf: Option<String>,
    /// Is the message signed?
    pub dkim: Option<String>,
    /// Do both belong to the sender that is shown?
    pub dmarc: Option<String>,
}

impl Verdicts {
    /// Reads the header fields. The receiver puts its own on top; what stands below may be the sender's invention.
    fn read(header: &str) -> Self {
        let unfolded = header.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut verdicts = Self::default();
        for line in unfolded.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if name.eq_ignore_ascii_case("Received-SPF") {
                verdicts.spf = verdicts.spf.or_else(|| word(value));
            } else if name.eq_ignore_ascii_case("Authentication-Results") {
                for part in value.split(';').map(str::trim) {
                    let lower = part.to_ascii_lowercase();
                    for (method, slot) in [
                        ("spf=", &mut verdicts.spf),
                        ("dkim=", &mut verdicts.dkim),
                        ("dmarc=", &mut verdicts.dmarc),
                    ] {
                        if slot.is_none() {
                            *slot = lower.strip_prefix(method).and_then(word);
                        }
                    }
                }
            }
        }
        verdicts
    }

    /// In a few words; nothing if the receiver says nothing.
    pub fn text(&self) -> String {
        [("SPF", &self.spf), ("DKIM", &self.dkim), ("DMARC", &self.dmarc)]
            .iter()
            .filter_map(|(name, verdict)| verdict.as_ref().map(|verdict| format!("{name} {verdict}")))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn word(text: &str) -> Option<String> {
    let word: String = text.trim_start().chars().take_while(char::is_ascii_alphabetic).take(20).collect();
    (!word.is_empty()).then(|| word.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn dates_become_utc() {
        assert_eq!(internal_date("17-Jul-2026 02:44:25 -0700").as_deref(), Some("2026-07-17T09:44:25Z"));
        assert_eq!(internal_date(" 7-jul-2026 02:44:25 +0000").as_deref(), Some("2026-07-07T02:44:25Z"));
        assert_eq!(internal_date("yesterday"), None);
    }

    #[test]
    fn senders_and_subjects_are_read_as_people_wrote_them() {
        assert_eq!(
            decoded("=?utf-8?Q?Gr=C3=BC=C3=9Fe?= aus =?iso-8859-1?B?S/ZsbmA=?="),
            "Grüße aus Köln`"
        );
        assert_eq!(decoded("50 % = ?"), "50 % = ?");
        let address = Address {
            name: Some(Cow::Borrowed(b"=?utf-8?Q?J=C3=B6rg_\\\"J\\\"?=")),
            adl: None,
            mailbox: Some(Cow::Borrowed(b"joerg")),
            host: Some(Cow::Borrowed(b"x.test")),
        };
        assert!(sender(&address).ends_with(" <joerg@x.test>"));
        assert_eq!(unescape(br#"say \"hi\" \\ "#), r#"say "hi" \ "#);
    }

    #[test]
    fn a_header_says_who_wrote_when_and_about_what() {
        let header = "Received: from a by b; Sat, 21 Nov 2026 09:00:00 +0100\r\nReceived: from c by a; Sat, 21 Nov 2026 01:00:00 +0100\r\n\
                      Date: Fri, 20 Nov 2026 08:00:00 +0000\r\nFrom: =?utf-8?Q?J=C3=B6rg?= <joerg@x.test>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n aus\r\n Bonn";
        let read = of_header(header, 7);
        assert_eq!(
            (read.from.as_str(), read.subject.as_str()),
            ("Jörg <joerg@x.test>", "Grüße aus Bonn")
        );
        assert_eq!((read.date.as_str(), read.size), ("2026-11-21T08:00:00Z", 7));
        assert_eq!(of_header("Date: Fri, 20 Nov 2026 08:00:00 +0000", 7).date, "2026-11-20T08:00:00Z");
        for odd in [
            "",
            "\u{fffd}",
            "From:",
            "Subject",
            "Received: from x; Date: never",
            "From: <>\r\nDate: 99 Foo 0 99:99",
        ] {
            assert_eq!(of_header(odd, 7).size, 7);
        }
    }

    #[test]
    fn the_receivers_verdicts_count_and_not_the_senders() {
        let header = "Authentication-Results: mx.rig.test;\r\n dkim=pass header.i=@x.test;\r\n\tspf=softfail (x) smtp.mailfrom=a@x.test;\r\n dmarc=fail\r\n\
                      Authentication-Results: forged; spf=pass; dmarc=pass\r\nReceived-SPF: pass\r\n\r\n";
        let verdicts = Verdicts::read(header);
        assert_eq!(verdicts.text(), "SPF softfail, DKIM pass, DMARC fail");
        assert_eq!(Verdicts::read("Received-SPF: Neutral (x)\r\n").text(), "SPF neutral");
        assert_eq!(Verdicts::read("").text(), "");
    }
}
