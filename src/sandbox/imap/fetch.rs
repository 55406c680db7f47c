//! FETCH: the parts of a message on the wire.

use crate::sandbox::mailboxes::Message;
use imap_codec::imap_types::core::AString;
use imap_codec::imap_types::fetch::{MacroOrMessageDataItemNames, MessageDataItemName, Section};
use time::macros::format_description;

/// What is asked for, macros spelled out.
pub(super) fn items<'a>(asked: &'a MacroOrMessageDataItemNames<'a>) -> Vec<MessageDataItemName<'a>> {
    match asked {
        MacroOrMessageDataItemNames::Macro(one) => one.expand(),
        MacroOrMessageDataItemNames::MessageDataItemNames(all) => all.clone(),
    }
}

/// Writes one message's response. Returns whether it marks the message as read.
pub(super) fn write(out: &mut Vec<u8>, number: usize, message: &Message, items: &[MessageDataItemName<'_>], by_uid: bool) -> bool {
    use MessageDataItemName as Item;
    out.extend_from_slice(format!("* {number} FETCH (").as_bytes());
    let (mut reads, mut first) = (false, true);
    let names_uid = items.iter().any(|item| matches!(item, Item::Uid));
    for item in items.iter().chain((by_uid && !names_uid).then_some(&Item::Uid)) {
        if !std::mem::take(&mut first) {
            out.push(b' ');
        }
        match item {
            Item::Uid => out.extend_from_slice(format!("UID {}", message.uid).as_bytes()),
            Item::Flags => {
                let flags = if message.seen { "\\Seen" } else { "" };
                out.extend_from_slice(format!("FLAGS ({flags})").as_bytes());
            }
            Item::Rfc822Size => out.extend_from_slice(format!("RFC822.SIZE {}", message.size()).as_bytes()),
            Item::InternalDate => out.extend_from_slice(format!("INTERNALDATE \"{}\"", internal_date(message)).as_bytes()),
            Item::Envelope => envelope(out, message),
            Item::Body => body_structure(out, "BODY", message),
            Item::BodyStructure => body_structure(out, "BODYSTRUCTURE", message),
            Item::Rfc822 => {
                reads = true;
                literal(out, "RFC822", &message.content());
            }
            Item::Rfc822Header => literal(out, "RFC822.HEADER", message.header()),
            Item::Rfc822Text => {
                reads = true;
                literal(out, "RFC822.TEXT", &message.content()[message.header().len()..]);
            }
            Item::BodyExt { section, partial, peek } => {
                reads |= !peek;
                let (name, mut octets) = part(message, section.as_ref());
                let mut label = format!("BODY[{name}]");
                if let Some((start, length)) = partial {
                    let start = usize::try_from(*start).unwrap_or(usize::MAX).min(octets.len());
                    let end = start.saturating_add(usize::try_from(length.get()).unwrap_or(usize::MAX));
                    octets = octets[start..end.min(octets.len())].to_vec();
                    label.push_str(&format!("<{start}>"));
                }
                literal(out, &label, &octets);
            }
            _ => out.extend_from_slice(b"X-UNKNOWN NIL"),
        }
    }
    out.extend_from_slice(b")\r\n");
    reads
}

fn literal(out: &mut Vec<u8>, label: &str, octets: &[u8]) {
    out.extend_from_slice(format!("{label} {{{}}}\r\n", octets.len()).as_bytes());
    out.extend_from_slice(octets);
}

fn part(message: &Message, section: Option<&Section<'_>>) -> (String, Vec<u8>) {
    let named = |word: &str, names: &[AString<'_>], wanted: bool| {
        let names: Vec<String> = names
            .iter()
            .map(|name| String::from_utf8_lossy(name.as_ref()).into_owned())
            .collect();
        let mut fields = message.fields(|field| names.iter().any(|name| name.eq_ignore_ascii_case(field)) == wanted);
        fields.extend_from_slice(b"\r\n");
        (format!("{word} ({})", names.join(" ")), fields)
    };
    match section {
        None => (String::new(), message.content().into_owned()),
        Some(Section::Header(_)) => ("HEADER".to_owned(), message.header().to_vec()),
        Some(Section::HeaderFields(_, names)) => named("HEADER.FIELDS", names.as_ref(), true),
        Some(Section::HeaderFieldsNot(_, names)) => named("HEADER.FIELDS.NOT", names.as_ref(), false),
        Some(Section::Text(_)) => ("TEXT".to_owned(), message.content()[message.header().len()..].to_vec()),
        Some(Section::Mime(_)) => ("1.MIME".to_owned(), b"\r\n".to_vec()),
        Some(Section::Part(_)) => ("1".to_owned(), message.content()[message.header().len()..].to_vec()),
    }
}

/// `21-Nov-2026 08:14:02 +0000`.
fn internal_date(message: &Message) -> String {
    let form = format_description!("[day]-[month repr:short]-[year] [hour]:[minute]:[second] +0000");
    let at = time::OffsetDateTime::from_unix_timestamp(message.received.0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    at.format(form).unwrap_or_default()
}

/// A string, or NIL where there is none; long ones and odd ones as literals.
fn string(out: &mut Vec<u8>, text: &str) {
    if text.is_empty() {
        out.extend_from_slice(b"NIL");
    } else if text
        .bytes()
        .all(|octet| (b' '..=b'~').contains(&octet) && octet != b'"' && octet != b'\\')
    {
        out.extend_from_slice(format!("\"{text}\"").as_bytes());
    } else {
        out.extend_from_slice(format!("{{{}}}\r\n{text}", text.len()).as_bytes());
    }
}

fn addresses(out: &mut Vec<u8>, all: &[(&str, &str)]) {
    if all.is_empty() {
        out.extend_from_slice(b" NIL");
        return;
    }
    out.extend_from_slice(b" (");
    for (name, address) in all {
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        out.push(b'(');
        string(out, name);
        out.extend_from_slice(b" NIL ");
        string(out, local);
        out.push(b' ');
        string(out, domain);
        out.push(b')');
    }
    out.push(b')');
}

fn envelope(out: &mut Vec<u8>, message: &Message) {
    let head = message.head();
    // The subject goes as it is written, encoded words and all.
    let subject = message.field("subject").unwrap_or_default();
    out.extend_from_slice(b"ENVELOPE (");
    string(out, &head.date);
    out.push(b' ');
    string(out, &subject);
    let from = [(head.from.0.as_str(), head.from.1.as_str())];
    for _ in ["from", "sender", "reply-to"] {
        addresses(out, &from);
    }
    let to: Vec<(&str, &str)> = head.to.iter().map(|address| ("", address.as_str())).collect();
    addresses(out, &to);
    out.extend_from_slice(b" NIL NIL NIL ");
    string(out, &head.message_id);
    out.push(b')');
}

fn body_structure(out: &mut Vec<u8>, label: &str, message: &Message) {
    let octets = message.size() - message.header().len();
    let is_text = message.field("content-type").is_none_or(|kind| kind.starts_with("text/"));
    let text = if is_text {
        format!("{label} (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL \"8BIT\" {octets} 3)")
    } else {
        format!("{label} (\"IMAGE\" \"PNG\" NIL NIL NIL \"BASE64\" {octets})")
    };
    out.extend_from_slice(text.as_bytes());
}
