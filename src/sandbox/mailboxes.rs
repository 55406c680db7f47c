//! Mailboxes with their folders and messages, whatever protocol they are read with.

use super::state::House;
use crate::clock::Timestamp;
use mail_parser::MessageParser;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A line of a padded message, with its end.
const PADDING: &[u8] = b"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\r\n";

/// The folders every mailbox has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Folder {
    /// What comes in.
    Inbox,
    /// What looks like junk.
    Junk,
    /// What was sent.
    Sent,
    /// What is being written.
    Drafts,
    /// What was thrown away.
    Deleted,
}

impl Folder {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Inbox, Self::Junk, Self::Sent, Self::Drafts, Self::Deleted];

    /// Its name over IMAP.
    pub fn imap_name(self, house: House) -> &'static str {
        match (house, self) {
            (_, Self::Inbox) => "INBOX",
            (House::Microsoft, Self::Junk) => "Junk Email",
            (House::Microsoft, Self::Sent) => "Sent Items",
            (House::Microsoft, Self::Deleted) => "Deleted Items",
            (House::Google, Self::Junk) => "[Gmail]/Spam",
            (House::Google, Self::Sent) => "[Gmail]/Sent Mail",
            (House::Google, Self::Drafts) => "[Gmail]/Drafts",
            (House::Google, Self::Deleted) => "[Gmail]/Bin",
            (House::Open, Self::Junk) => "Junk",
            (House::Open, Self::Sent) => "Sent",
            (House::Open, Self::Deleted) => "Trash",
            (_, Self::Drafts) => "Drafts",
        }
    }

    /// Its mark (RFC 6154).
    pub fn special_use(self) -> Option<&'static str> {
        match self {
            Self::Inbox => None,
            Self::Junk => Some("\\Junk"),
            Self::Sent => Some("\\Sent"),
            Self::Drafts => Some("\\Drafts"),
            Self::Deleted => Some("\\Trash"),
        }
    }

    /// Its well-known name in Graph, and what people see.
    pub fn graph_names(self) -> (&'static str, &'static str) {
        match self {
            Self::Inbox => ("inbox", "Inbox"),
            Self::Junk => ("junkemail", "Junk Email"),
            Self::Sent => ("sentitems", "Sent Items"),
            Self::Drafts => ("drafts", "Drafts"),
            Self::Deleted => ("deleteditems", "Deleted Items"),
        }
    }
}

/// A message. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Message {
    /// Unique in its mailbox, growing.
    pub uid: u32,
    /// As it came.
    raw: Arc<[u8]>,
    /// So many lines of an attachment follow: large messages need not be kept.
    padding: usize,
    /// Read.
    pub seen: bool,
    /// When it came.
    pub received: Timestamp,
}

/// What lists show of a message.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Subject.
    pub subject: String,
    /// Sender: name and address.
    pub from: (String, String),
    /// Recipients' addresses.
    pub to: Vec<String>,
    /// `Date`, as it is written.
    pub date: String,
    /// `Message-ID` with its brackets.
    pub message_id: String,
}

impl Message {
    /// Octets.
    pub fn size(&self) -> usize {
        self.raw.len() + self.padding * PADDING.len()
    }

    /// The whole message.
    pub fn content(&self) -> Cow<'_, [u8]> {
        if self.padding == 0 {
            return Cow::Borrowed(&self.raw);
        }
        let mut all = Vec::with_capacity(self.size());
        all.extend_from_slice(&self.raw);
        for _ in 0..self.padding {
            all.extend_from_slice(PADDING);
        }
        Cow::Owned(all)
    }

    /// Header lines, with the empty line at their end.
    pub fn header(&self) -> &[u8] {
        let end = self
            .raw
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .map_or(self.raw.len(), |at| at + 4);
        &self.raw[..end]
    }

    /// The header fields of these names, each with its continued lines.
    pub fn fields(&self, wanted: impl Fn(&str) -> bool) -> Vec<u8> {
        let (mut out, mut taking) = (Vec::new(), false);
        for line in self.header().split_inclusive(|octet| *octet == b'\n') {
            if line == b"\r\n" {
                break;
            }
            if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                let name = line.split(|octet| *octet == b':').next().unwrap_or_default();
                taking = wanted(&String::from_utf8_lossy(name));
            }
            if taking {
                out.extend_from_slice(line);
            }
        }
        out
    }

    /// The value of the first field of this name.
    pub fn field(&self, name: &str) -> Option<String> {
        let field = self.fields(|known| known.eq_ignore_ascii_case(name));
        let text = String::from_utf8_lossy(&field).into_owned();
        let (_, value) = text.split_once(':')?;
        let first = value.find("\r\n").map_or(value, |_| value);
        Some(first.split("\r\n").map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned())
    }

    /// What lists show.
    pub fn head(&self) -> Head {
        let Some(parsed) = MessageParser::new().parse_headers(self.header()) else {
            return Head::default();
        };
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let from = parsed.from().and_then(|from| from.first());
        let to = parsed
            .to()
            .map(|to| to.iter().filter_map(|one| one.address()).map(str::to_owned).collect());
        Head {
            subject: text(parsed.subject()),
            from: (text(from.and_then(|from| from.name())), text(from.and_then(|from| from.address()))),
            to: to.unwrap_or_default(),
            date: self.field("date").unwrap_or_default(),
            message_id: self.field("message-id").unwrap_or_default(),
        }
    }
}

/// One mailbox.
#[derive(Debug, Default)]
struct MailStore {
    folders: BTreeMap<Folder, Vec<Message>>,
    last_uid: u32,
}

/// All mailboxes, by address in lower case.
#[derive(Debug, Default)]
pub struct Mailboxes(BTreeMap<String, MailStore>);

impl Mailboxes {
    /// Opens a mailbox, empty.
    pub fn create(&mut self, address: &str) {
        self.0.entry(address.to_lowercase()).or_default();
    }

    /// Whether there is one.
    pub fn has(&self, address: &str) -> bool {
        self.0.contains_key(&address.to_lowercase())
    }

    /// Puts a message into a folder, with so many octets of attachment more. Returns false where there is no such mailbox.
    pub fn put(&mut self, address: &str, folder: Folder, raw: &[u8], attachment: usize, seen: bool, received: Timestamp) -> bool {
        let Some(store) = self.0.get_mut(&address.to_lowercase()) else {
            return false;
        };
        store.last_uid += 1;
        let message = Message {
            uid: store.last_uid,
            raw: raw.into(),
            padding: attachment / PADDING.len(),
            seen,
            received,
        };
        store.folders.entry(folder).or_default().push(message);
        true
    }

    /// The messages of a folder, oldest first.
    pub fn list(&self, address: &str, folder: Folder) -> Vec<Message> {
        let store = self.0.get(&address.to_lowercase());
        store.and_then(|store| store.folders.get(&folder)).cloned().unwrap_or_default()
    }

    /// Marks a message as read or not.
    pub fn mark(&mut self, address: &str, folder: Folder, uid: u32, seen: bool) {
        let store = self.0.get_mut(&address.to_lowercase());
        let messages = store.and_then(|store| store.folders.get_mut(&folder));
        for message in messages.into_iter().flatten().filter(|message| message.uid == uid) {
            message.seen = seen;
        }
    }

    /// Moves a message; returns its new number.
    pub fn shift(&mut self, address: &str, from: Folder, uid: u32, to: Folder) -> Option<u32> {
        let store = self.0.get_mut(&address.to_lowercase())?;
        let messages = store.folders.get_mut(&from)?;
        let at = messages.iter().position(|message| message.uid == uid)?;
        let mut message = messages.remove(at);
        store.last_uid += 1;
        message.uid = store.last_uid;
        store.folders.entry(to).or_default().push(message);
        Some(store.last_uid)
    }

    /// Puts a copy of a message into another folder.
    pub fn copy(&mut self, address: &str, from: Folder, uid: u32, to: Folder) -> Option<u32> {
        let store = self.0.get_mut(&address.to_lowercase())?;
        let mut message = store.folders.get(&from)?.iter().find(|message| message.uid == uid)?.clone();
        store.last_uid += 1;
        message.uid = store.last_uid;
        store.folders.entry(to).or_default().push(message);
        Some(store.last_uid)
    }

    /// Takes a message away.
    pub fn remove(&mut self, address: &str, folder: Folder, uid: u32) {
        let store = self.0.get_mut(&address.to_lowercase());
        if let Some(messages) = store.and_then(|store| store.folders.get_mut(&folder)) {
            messages.retain(|message| message.uid != uid);
        }
    }

    /// The next number of a mailbox.
    pub fn next_uid(&self, address: &str) -> u32 {
        self.0.get(&address.to_lowercase()).map_or(1, |store| store.last_uid + 1)
    }
}
