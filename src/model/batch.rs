//! A bulk test: many mailboxes tested at once, each item one side of one mailbox.

use super::report::Direction;
use super::{BatchId, MailboxId, RunId, UserId, words};
use crate::clock::Timestamp;

words!(
    /// Which sides are tested.
    What {
        /// Reading.
        Incoming = "incoming",
        /// Sending, to the mailbox itself.
        Outgoing = "outgoing",
        /// Both.
        Both = "both",
    }
);

impl What {
    /// The directions it means.
    pub fn directions(self) -> &'static [Direction] {
        match self {
            Self::Incoming => &[Direction::Incoming],
            Self::Outgoing => &[Direction::Outgoing],
            Self::Both => &[Direction::Incoming, Direction::Outgoing],
        }
    }

    /// What pages call it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Incoming => "Incoming",
            Self::Outgoing => "Outgoing, to the mailbox itself",
            Self::Both => "Incoming and outgoing",
        }
    }
}

words!(
    /// How a batch stands.
    BatchState {
        /// Its items are tested.
        Running = "running",
        /// A person holds it; what runs ends, nothing begins.
        Paused = "paused",
        /// A person ended it.
        Stopped = "stopped",
        /// Every item was looked at.
        Done = "done",
    }
);

words!(
    /// What a person does with a batch that goes on.
    Command {
        /// What runs ends, nothing begins.
        Pause = "pause",
        /// Goes on where it was.
        GoOn = "go-on",
        /// What runs is stopped, what waits stays untested.
        Stop = "stop",
    }
);

words!(
    /// How an item stands.
    ItemState {
        /// For its turn; after a stop: never tested.
        Waiting = "waiting",
        /// Just now.
        Running = "running",
        /// It works.
        Passed = "passed",
        /// It does not.
        Failed = "failed",
        /// The mailbox, or this side of it, is gone.
        Skipped = "skipped",
    }
);

/// A batch as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Id, in its address.
    pub id: BatchId,
    /// Which mailboxes, in words.
    pub which: String,
    /// Which sides.
    pub what: What,
    /// How many tests of one provider's mailboxes at the same time.
    pub parallel: i64,
    /// What its starter wrote beside it.
    pub note: String,
    /// How it stands.
    pub state: BatchState,
    /// Who started it.
    pub user_id: Option<UserId>,
    /// Their name.
    pub started_by: String,
    /// When.
    pub started_at: Timestamp,
    /// Since when nothing of it waits or runs.
    pub finished_at: Option<Timestamp>,
    /// How many mailboxes.
    pub mailboxes: i64,
    /// How many tests.
    pub total: i64,
    /// How many of them passed.
    pub passed: i64,
    /// How many failed.
    pub failed: i64,
    /// How many found no mailbox any more.
    pub skipped: i64,
    /// For how many seconds it was held before; the time it is held now is not among them.
    pub paused_seconds: i64,
}

impl Batch {
    /// Whether it is over, and not one mailbox of it was there to be tested.
    pub fn is_empty_handed(&self) -> bool {
        self.state == BatchState::Done && self.passed + self.failed == 0
    }

    /// How many were looked at.
    pub fn over(&self) -> i64 {
        self.passed + self.failed + self.skipped
    }

    /// How many wait, where so many run.
    pub fn waiting(&self, running: i64) -> i64 {
        (self.total - self.over() - running).max(0)
    }

    /// Whether anything of it waits or runs.
    pub fn is_open(&self) -> bool {
        self.finished_at.is_none()
    }
}

/// One side of one mailbox in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its batch.
    pub batch: BatchId,
    /// Its number there, from 1.
    pub position: i64,
    /// The mailbox; it may be gone.
    pub mailbox: MailboxId,
    /// Its name then.
    pub name: String,
    /// Its address then.
    pub address: String,
    /// Which side.
    pub direction: Direction,
    /// What it shares a limit with others by.
    pub lane: String,
    /// How it stands.
    pub state: ItemState,
    /// Its run; none before it ended.
    pub run: Option<RunId>,
    /// What it failed with, as [`Group::cause`] has it; empty: nothing.
    pub cause: String,
    /// The same in words: the title of the diagnosis.
    pub problem: String,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How often the console's own database kept it from being tested.
    pub tries: i64,
}

/// Items of a batch that failed for one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `provider:` or `token:` with an id, `problem:` with the title of a diagnosis, or
    /// `console:` where the console's own database was in the way.
    pub cause: String,
    /// In words, as the first of them had it.
    pub title: String,
    /// How many.
    pub items: i64,
    /// The newest run among them.
    pub run: Option<RunId>,
    /// The name of its mailbox.
    pub name: String,
}
