//! The report of a test: its steps, outcome, facts and diagnosis. Serialised as `interfaces.md` has it.

use super::{Name, words};
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

words!(
    /// Which side of a mailbox is tested.
    Direction {
        /// Reading mail.
        Incoming = "incoming",
        /// Sending mail.
        Outgoing = "outgoing",
    }
);

words!(
    /// How a test or step ended.
    Outcome {
        /// As it should be.
        Passed = "passed",
        /// Works, and something about it needs attention.
        Warning = "warning",
        /// Not as it should be; the test stops here.
        Failed = "failed",
        /// Not tried.
        Skipped = "skipped",
    }
);

words!(
    /// The steps of all tests.
    Stage {
        /// A valid access token.
        Token = "token",
        /// What the token says it allows, before anything is connected to.
        Claims = "claims",
        /// Name to addresses.
        Dns = "dns",
        /// Connection.
        Tcp = "tcp",
        /// Encryption.
        Tls = "tls",
        /// The server's first line.
        Greeting = "greeting",
        /// IMAP capabilities.
        Capability = "capability",
        /// SMTP capabilities.
        Ehlo = "ehlo",
        /// Switch to encryption.
        Starttls = "starttls",
        /// Sign-in.
        Auth = "auth",
        /// Open the folder, read-only.
        Select = "select",
        /// Open the inbox through Graph.
        Inbox = "inbox",
        /// Count unread.
        Unread = "unread",
        /// Read the newest, look for oversized messages.
        Newest = "newest",
        /// Count junk.
        Junk = "junk",
        /// Sender accepted.
        MailFrom = "mail_from",
        /// Recipient accepted.
        RcptTo = "rcpt_to",
        /// Message accepted.
        Data = "data",
        /// Handed to Graph.
        Send = "send",
        /// Found again in the incoming side.
        Arrived = "arrived",
        /// A message put into another folder; no part of a test.
        Move = "move",
    }
);

impl Stage {
    /// The title on the page (`ux.md`, 6.5).
    pub fn title(self) -> &'static str {
        match self {
            Self::Token => "Fresh access token",
            Self::Claims => "What the token allows",
            Self::Dns => "Find the server",
            Self::Tcp => "Connect",
            Self::Tls => "Encrypt",
            Self::Greeting => "Greeting",
            Self::Capability | Self::Ehlo => "Capabilities",
            Self::Starttls => "Switch to encryption",
            Self::Auth => "Sign in",
            Self::Select | Self::Inbox => "Open the inbox",
            Self::Unread => "Count unread",
            Self::Newest => "Read the newest, look for oversized messages",
            Self::Junk => "Count junk",
            Self::MailFrom => "Sender accepted",
            Self::RcptTo => "Recipient accepted",
            Self::Data => "Message accepted",
            Self::Send => "Send",
            Self::Arrived => "Arrived",
            Self::Move => "Move the message",
        }
    }
}

/// One line of the conversation with a server, secrets removed before it got here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `C` for ours, `S` for the server's.
    pub from: char,
    /// The line without its end.
    pub text: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which.
    pub step: Stage,
    /// How it ended. While a test runs, steps that have not been reached are not listed.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// One line of evidence.
    pub detail: String,
    /// What was measured, by name.
    #[serde(default)]
    pub facts: Map<String, Value>,
    /// The conversation during this step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<Line>,
}

words!(
    /// Who can fix what a diagnosis names.
    FixWhere {
        /// Entra or Google admin.
        Portal = "portal",
        /// Exchange admin.
        Exchange = "exchange",
        /// Here.
        Console = "console",
        /// Whoever runs the network.
        Network = "network",
        /// The mailbox's user.
        User = "user",
    }
);

/// What a failure means and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Entry of the catalogue; ids of our own findings start with `console-`.
    pub id: String,
    /// The verdict in a few words.
    pub title: String,
    /// What it means.
    pub meaning: String,
    /// What to do, most likely first.
    pub remedy: Vec<String>,
    /// Who can.
    pub fix_where: FixWhere,
    /// Whether trying again may help without a change.
    pub retryable: bool,
    /// Where the provider explains it.
    pub url: String,
    /// Why it is thought to be this and not something else; none for what was noticed without looking further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounds: Option<Box<Grounds>>,
    /// What a provider said, secrets removed and cut to a length; empty where the steps of a report have the conversation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
    /// The ways out of it, most likely first, in what is printed for programs; never stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<WayOut>,
}

/// A way out of a failure, as programs are told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayOut {
    /// Who can, in the words of `fix_where`.
    pub who: FixWhere,
    /// What to do, in a few words; may be empty where the text says it all.
    pub title: String,
    /// A line or two about it; may be empty.
    pub text: String,
    /// A finished command; empty where none is needed. What isn't known stands in angle brackets, and the text says where to find it.
    pub command: String,
    /// Where this console does it; none: not here.
    pub fix: Option<FixHere>,
}

/// What a console does about a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixHere {
    /// Words of the button.
    pub words: String,
    /// Its page, or the page's part, below the console's public address.
    pub path: String,
}

words!(
    /// How sure a diagnosis is.
    Confidence {
        /// Nothing else fits.
        Certain = "certain",
        /// The most likely of several.
        Likely = "likely",
        /// One of several, and nothing decides.
        Guess = "a guess",
    }
);

/// Expected and found, side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// What was expected, in two or three words.
    pub expected_label: String,
    /// Its value.
    pub expected: String,
    /// What was found, in two or three words.
    pub found_label: String,
    /// Its value.
    pub found: String,
}

/// Another cause that may be there as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Also {
    /// Entry of the catalogue.
    pub id: String,
    /// Its title.
    pub title: String,
}

/// Why it is thought to be this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounds {
    /// How sure.
    pub confidence: Confidence,
    /// The facts that decide it.
    pub compared: Vec<Compared>,
    /// What speaks for it, a sentence each.
    pub why: Vec<String>,
    /// What it can't be, in a word or two each.
    pub ruled_out: Vec<String>,
    /// What may be wrong besides.
    pub also: Vec<Also>,
}

/// A message as the `newest` and `oversized` facts list it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSummary {
    /// Sender.
    pub from: String,
    /// Subject, decoded.
    pub subject: String,
    /// When it was received, RFC 3339.
    pub date: String,
    /// Octets.
    pub size: u64,
    /// Where it is, to find it again; never printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot: Option<Spot>,
}

/// Where a message is, so surely that no other can be taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spot {
    /// In a folder over IMAP.
    Imap {
        /// The folder as the server names it.
        folder: String,
        /// Whose numbers these are; another one means that they were given anew.
        validity: u32,
        /// Its number.
        uid: u32,
        /// Its Message-ID; empty where it has none.
        message_id: String,
    },
    /// Through Graph.
    Graph {
        /// The folder as people read it.
        folder: String,
        /// What paths call it.
        id: String,
        /// Its Message-ID; empty where it has none.
        message_id: String,
    },
}

impl MessageSummary {
    /// What not everybody may see of it: its subject, and the name and the address of its sender.
    pub fn private(&self) -> impl Iterator<Item = &str> {
        let (name, address) = self.from.rsplit_once('<').unwrap_or(("", &self.from));
        let parts = [self.subject.trim(), name.trim().trim_matches('"'), address.trim_end_matches('>')];
        parts.into_iter().filter(|text| text.chars().count() >= 4)
    }
}

/// The report of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The mailbox.
    pub mailbox: Name,
    /// Which side.
    pub direction: Direction,
    /// `imap`, `pop3`, `smtp` or `graph`.
    pub protocol: String,
    /// Passed or failed.
    pub outcome: Outcome,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What was found, by name: `unread`, `messages`, `junk`, `junk_unread`, `newest`, `oversized`.
    pub facts: Map<String, Value>,
    /// What is wrong; none if all passed.
    pub diagnosis: Option<Diagnosis>,
}

impl Report {
    /// An empty report that starts now.
    pub fn start(mailbox: Name, direction: Direction, protocol: &str, now: Timestamp) -> Self {
        Self {
            mailbox,
            direction,
            protocol: protocol.to_owned(),
            outcome: Outcome::Passed,
            started_at: now.to_rfc3339(),
            duration_ms: 0,
            steps: Vec::new(),
            facts: Map::new(),
            diagnosis: None,
        }
    }

    /// The step that failed.
    pub fn failed_step(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.outcome == Outcome::Failed)
    }
}
