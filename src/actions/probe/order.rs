//! What is to be tested, and how; and why it can't be.

use crate::actions::settings;
use crate::app::App;
use crate::model::mailbox::Mailbox;
use crate::model::report::Direction;
use crate::model::settings::{JUNK_DAYS, LARGEST_MESSAGE};
use crate::model::{RunId, UserId};
use crate::probe::Letter;
use crate::store::{StoreError, StoreResult};
use std::time::Duration;

/// What a test looks at and does. The defaults are those of the form.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many of the newest messages are read?
    pub newest: u64,
    /// From how many octets on is a message oversized?
    pub oversized_over: u64,
    /// How many days of junk are counted?
    pub junk_days: u16,
    /// Sender of the test message; none: the mailbox's default.
    pub from: Option<String>,
    /// Recipient of the test message; none: the mailbox itself.
    pub to: Option<String>,
    /// Whether the default Bcc gets a copy.
    pub bcc: bool,
    /// How long to wait for the message in the incoming side; none: not at all.
    pub wait: Option<Duration>,
    /// Subject; none: one with a mark of its own.
    pub subject: Option<String>,
    /// Message-ID, with angle brackets; none: a new one.
    pub message_id: Option<String>,
    /// Stop after the sign-in.
    pub login_only: bool,
    /// Look only whether the folder opens, and for the outgoing side whether the sign-in is taken: what a check on schedule does.
    pub short: bool,
    /// What is sent in place of a test message, to `to`.
    pub letter: Option<Letter>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            newest: 5,
            oversized_over: 25_000_000,
            junk_days: 7,
            from: None,
            to: None,
            bcc: false,
            wait: Some(Duration::from_secs(120)),
            subject: None,
            message_id: None,
            login_only: false,
            short: false,
            letter: None,
        }
    }
}

impl Options {
    /// The defaults, with what people chose under Settings: from how many megabytes on a message is oversized, and how many days of junk
    /// are counted.
    pub async fn chosen(app: &App) -> StoreResult<Self> {
        let largest = settings::number(app, &LARGEST_MESSAGE).await?;
        let days = settings::number(app, &JUNK_DAYS).await?;
        Ok(Self {
            oversized_over: largest.unsigned_abs() * 1_000_000,
            junk_days: u16::try_from(days).unwrap_or(7),
            ..Self::default()
        })
    }

    /// Those of a check on schedule: nothing is read, and nothing sent.
    pub fn check() -> Self {
        Self {
            login_only: true,
            short: true,
            wait: None,
            ..Self::default()
        }
    }
}

/// A test that is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    /// The mailbox, as it is stored or as somebody wants to try it ([`crate::actions::mailboxes::prepare`]).
    pub mailbox: Mailbox,
    /// Whether these settings are not saved. Then stored secrets go to known servers only (SEC-8).
    pub draft: bool,
    /// Which side.
    pub direction: Direction,
    /// What to look at.
    pub options: Options,
    /// The person, where there is one.
    pub user: Option<UserId>,
}

impl Order {
    /// A test of a saved mailbox that the console makes by itself.
    pub(super) fn own(mailbox: &Mailbox, direction: Direction, options: Options) -> Self {
        Self {
            mailbox: mailbox.clone(),
            draft: false,
            direction,
            options,
            user: None,
        }
    }

    /// Sender, recipient and recipients of copies of the message that is sent; none if none is.
    pub(super) fn message(&self) -> Option<(&str, &str, &[String])> {
        let options = &self.options;
        (self.direction == Direction::Outgoing && !options.login_only).then(|| {
            (
                options.from.as_deref().unwrap_or(self.mailbox.sender()),
                options.to.as_deref().unwrap_or(&self.mailbox.address),
                if options.bcc { &self.mailbox.bcc[..] } else { &[] },
            )
        })
    }
}

/// Why a test was not started.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The mailbox does not read or send.
    #[error("this mailbox has no {0} side")]
    NoSide(Direction),
    /// Too many wait already.
    #[error("too many tests are waiting; test again when some have finished")]
    QueueFull,
    /// Too many tests of unsaved settings by one person.
    #[error("too many tests of unsaved settings; try again in {0} seconds")]
    TooOften(i64),
    /// One person starts too many tests.
    #[error("too many tests; try again in {0} seconds")]
    TestsTooOften(i64),
    /// One person sends too many messages to others than the mailboxes themselves.
    #[error("too many test messages to other addresses; the next one can be sent in {0} seconds")]
    MessagesTooOften(i64),
    /// This side of the mailbox is being tested already, by this run.
    #[error("a test of this is under way already")]
    UnderWay(RunId),
    /// A stored token would go to a server nobody has saved.
    #[error("a stored token is not sent to a server that is not saved")]
    UnknownServer(Direction),
    /// The process is about to stop.
    #[error("the console is stopping")]
    Stopping,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProbeError {
    /// The limit that stands in the way, if it is one.
    pub(super) fn limit(&self) -> Option<&'static str> {
        match self {
            Self::QueueFull => Some("queue"),
            Self::TooOften(_) => Some("unsaved settings"),
            Self::TestsTooOften(_) => Some("tests"),
            Self::MessagesTooOften(_) => Some("messages"),
            _ => None,
        }
    }
}
