//! What a file looks like that is none of what can be imported: it is told as what it is, and what would be taken instead.

use super::properties::Setting;
use super::{Fault, fault, keys};

/// What can be imported, in a sentence without its full stop.
pub(super) const ACCEPTED: &str =
    "Bring a Mailgrant configuration (TOML), a table of mailboxes (CSV), or settings like mail.store.host=imap.example.com";

/// What files begin with, and what they are then.
const BEGINNINGS: [(&[u8], &str); 12] = [
    (b"PK\x03\x04", "a spreadsheet or an archive"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet or another Office document"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "an archive"),
    (b"\xfe\xed\xfe\xed", "a Java key store"),
    (b"-----BEGIN ", "a certificate or a key (PEM)"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"{\\rtf", "a text document (RTF)"),
    (b"\x7fELF", "a program"),
];

/// What octets are by their beginning; none if that says nothing.
pub(super) fn by_beginning(bytes: &[u8]) -> Option<&'static str> {
    // Some programs write a mark or blanks before what counts.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    BEGINNINGS.iter().find(|(mark, _)| bytes.starts_with(mark)).map(|(_, what)| *what)
}

/// What a text is by its beginning, where no settings begin so.
pub(super) fn by_text(text: &str) -> Option<&'static str> {
    let text = text.trim_start();
    let lower: String = text.chars().take(200).collect::<String>().to_ascii_lowercase();
    let begins = |marks: &[&str]| marks.iter().any(|mark| lower.starts_with(mark));
    // Behind the bracket of a list stands what no block is called.
    let inner = |open: char| lower.strip_prefix(open).map(str::trim_start);
    if let Some(what) = by_beginning(text.as_bytes()) {
        Some(what)
    } else if begins(&["<!doctype html", "<html", "<head", "<body"]) {
        Some("a web page (HTML)")
    } else if begins(&["<"]) {
        Some(if lower.contains("<html") { "a web page (HTML)" } else { "XML" })
    } else if inner('{').is_some_and(|rest| rest.is_empty() || rest.starts_with(['"', '}', '\'', '{']))
        || inner('[').is_some_and(|rest| rest.starts_with(['{', '"', ']']))
    {
        Some("JSON")
    } else {
        None
    }
}

/// What settings are that have no key of mail among them; none if one has.
pub(super) fn by_settings(text: &str, settings: &[Setting]) -> Option<&'static str> {
    if settings.iter().any(|setting| keys::parted(&setting.key).is_some()) {
        return None;
    }
    let lower: String = text.trim_start().chars().take(40).collect::<String>().to_ascii_lowercase();
    let begins = |marks: &[&str]| marks.iter().any(|mark| lower.starts_with(mark));
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_comment = |line: &str| line.trim_start().starts_with(['#', ';', '!']);
    let said: Vec<&str> = lines.iter().copied().filter(|line| !is_comment(line)).collect();
    let has = |mark: char| said.iter().filter(|line| line.contains(mark)).count();
    let cells = |line: &str, mark: char| line.matches(mark).count();
    let first = said.first().copied().unwrap_or_default();
    let is_table = [',', ';', '\t'].into_iter().any(|mark| {
        let wanted = cells(first, mark);
        wanted > 0 && said.len() > 1 && said.iter().take(5).all(|line| cells(line, mark) == wanted)
    });
    let opens = said
        .windows(2)
        .any(|pair| pair[0].trim_end().ends_with(':') && pair[1].starts_with([' ', '\t', '-']));
    if begins(&["#!/"]) {
        Some("a script")
    } else if begins(&["begin:vcard", "begin:vcalendar"]) {
        Some("an address book or a calendar")
    } else if begins(&["return-path:", "received:", "delivered-to:", "mime-version:", "from: ", "subject: "]) {
        Some("a mail message")
    } else if is_table {
        Some("a table, and none of its columns is one of a mailbox")
    } else if first.trim() == "---" || opens {
        Some("YAML")
    } else if said.iter().any(|line| line.trim().starts_with('[') && line.trim().ends_with(']')) && has('=') > 0 {
        Some("settings in blocks (INI), and none of them is of mail")
    } else if !said.is_empty() && has('=') + has(':') >= said.len().div_ceil(2) {
        Some("settings, and none of them is of mail")
    } else {
        Some("a text without settings")
    }
}

/// The fault of a whole file that is something else.
pub(super) fn told(what: &str) -> Fault {
    fault(0, "", format!("This looks like {what}"), Some(ACCEPTED))
}
