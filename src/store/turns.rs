//! Whose turn it is: each mailbox has a turn at its check, at its message to itself and at the weekly look. Turns are planned, claimed in
//! the name of an instance, and given back with the time of the next one.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::MailboxId;

/// How many mailboxes are planned at once?
pub(super) const PLANNED_AT_ONCE: i64 = 1000;

/// What a mailbox has turns at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Its check on schedule.
    Check,
    /// The message it sends to itself.
    RoundTrip,
    /// The weekly look at what it holds.
    Finding,
}

/// A mailbox whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: MailboxId,
    /// What it shares a limit with others by: the id of its provider, else its server.
    pub lane: String,
    /// Whether it has the places of those that use Graph.
    pub graph: bool,
    /// Since when it has been due. Whoever claims it names this, so that a turn that somebody had meanwhile isn't had again.
    pub at: Timestamp,
}

/// How many mailboxes of one lane have their turn at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Those of a lane.
    pub most: i64,
    /// Those of a lane that use Graph, where these are fewer: they have places of their own then.
    pub graph: i64,
}

impl From<i64> for Places {
    fn from(most: i64) -> Self {
        Self { most, graph: most }
    }
}

/// Whether a mailbox has the places of those that use Graph.
macro_rules! graph {
    () => {
        "CASE WHEN $3 < $2 AND (m.incoming_protocol = 'graph' OR m.outgoing_protocol = 'graph') THEN 1 ELSE 0 END"
    };
}

/// The statements about one kind of turn.
struct Statements {
    due: &'static str,
    overdue: &'static str,
    plan: &'static str,
    claim: &'static str,
    release: &'static str,
}

/// Nobody has claimed the row, or somebody who is gone.
macro_rules! free {
    ($owner:literal) => {
        concat!("(", $owner, " IS NULL OR ", $owner, " NOT IN (SELECT id FROM instances))")
    };
}

/// Due by `$1`.
macro_rules! is_due {
    ($which:literal, $next:literal) => {
        concat!($which, " AND ", $next, " > 0 AND ", $next, " <= $1")
    };
}

/// `$next` and `$owner` are columns of `mailboxes` (`m`); `$which` says which of them have such turns, `$token` whose token (`t`) counts,
/// and `$lane` by what they share a limit.
macro_rules! statements {
    ($next:literal, $owner:literal, $which:literal, $token:literal, $lane:literal) => {
        Statements {
            due: concat!(
                "SELECT d.id AS id, d.lane AS lane, d.graph AS graph, d.at AS at FROM (SELECT m.id AS id, ",
                concat!($next, " AS at, ", $lane, " AS lane, ", graph!(), " AS graph, "),
                concat!(
                    "ROW_NUMBER() OVER (PARTITION BY ",
                    $lane,
                    ", ",
                    graph!(),
                    " ORDER BY ",
                    $next,
                    ", m.id) AS place"
                ),
                concat!(" FROM mailboxes m LEFT JOIN tokens t ON t.id = ", $token, " WHERE "),
                concat!(is_due!($which, $next), " AND ", free!($owner)),
                concat!(
                    ") AS d LEFT JOIN (SELECT ",
                    $lane,
                    " AS lane, ",
                    graph!(),
                    " AS graph, COUNT(*) AS taken"
                ),
                concat!(" FROM mailboxes m LEFT JOIN tokens t ON t.id = ", $token, " WHERE "),
                concat!(
                    $owner,
                    " IN (SELECT id FROM instances) GROUP BY 1, 2) AS busy ON busy.lane = d.lane AND busy.graph = d.graph"
                ),
                " WHERE d.place <= CASE d.graph WHEN 1 THEN $3 ELSE $2 END - COALESCE(busy.taken, 0) ORDER BY d.at, d.id"
            ),
            overdue: concat!(
                concat!("SELECT COUNT(*) AS due, MIN(", $next, ") AS first FROM mailboxes m WHERE "),
                is_due!($which, $next)
            ),
            plan: concat!(
                "UPDATE mailboxes SET ",
                $next,
                " = $2 WHERE id = $1 AND (",
                $next,
                " = 0 OR ",
                $next,
                " > $2)"
            ),
            claim: concat!(
                "UPDATE mailboxes SET ",
                $owner,
                " = $2 WHERE id = $1 AND ",
                $next,
                " = $3 AND ",
                free!($owner)
            ),
            release: concat!(
                "UPDATE mailboxes SET ",
                $owner,
                " = NULL, ",
                $next,
                " = $3 WHERE id = $1 AND ",
                $owner,
                " = $2"
            ),
        }
    };
}

const CHECK: Statements = statements!(
    "next_check_at",
    "check_owner",
    "m.enabled = 1",
    "COALESCE(m.incoming_token_id, m.outgoing_token_id)",
    "COALESCE(t.provider_id, m.incoming_host, m.outgoing_host, '')"
);
const ROUND_TRIP: Statements = statements!(
    "next_round_trip_at",
    "round_trip_owner",
    "m.enabled = 1 AND m.round_trip_hours > 0",
    "m.outgoing_token_id",
    "COALESCE(t.provider_id, m.outgoing_host, '')"
);
const FINDING: Statements = statements!(
    "next_finding_at",
    "finding_owner",
    "m.enabled = 1 AND m.incoming_protocol IN ('imap', 'graph')",
    "m.incoming_token_id",
    "COALESCE(t.provider_id, m.incoming_host, '')"
);

impl Turn {
    fn sql(self) -> &'static Statements {
        match self {
            Self::Check => &CHECK,
            Self::RoundTrip => &ROUND_TRIP,
            Self::Finding => &FINDING,
        }
    }
}

impl Store {
    /// Mailboxes whose turn it is and that nobody has taken, longest due first: of each lane at most as many as it has places left,
    /// those counted that other instances have taken.
    pub async fn due_turns(&self, turn: Turn, now: Timestamp, places: impl Into<Places>) -> StoreResult<Vec<Due>> {
        let places = places.into();
        let query = sqlx::query(turn.sql().due).bind(now.0).bind(places.most).bind(places.graph);
        let rows = query.fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                Ok(Due {
                    id: MailboxId(row.text("id")?),
                    lane: row.text("lane")?,
                    graph: row.flag("graph")?,
                    at: row.time("at")?,
                })
            })
            .collect()
    }

    /// How many mailboxes' turn it is, taken or not, and since when the first of them has been due.
    pub async fn overdue_turns(&self, turn: Turn, now: Timestamp) -> StoreResult<(i64, Option<Timestamp>)> {
        let row = sqlx::query(turn.sql().overdue).bind(now.0).fetch_one(self.pool()).await?;
        Ok((row.int("due")?, row.maybe_time("first")?))
    }
}

impl Tx {
    /// Sets when a mailbox has its turn where that isn't planned, or planned for later.
    pub async fn plan_turn(&mut self, turn: Turn, id: &MailboxId, at: Timestamp) -> StoreResult<()> {
        sqlx::query(turn.sql().plan).bind(id.as_str()).bind(at.0).write(self).await?;
        Ok(())
    }

    /// Takes a mailbox for its turn, in the name of an instance; `false` where another was quicker.
    pub async fn claim_turn(&mut self, turn: Turn, due: &Due, owner: &str) -> StoreResult<bool> {
        let done = sqlx::query(turn.sql().claim)
            .bind(due.id.as_str())
            .bind(owner)
            .bind(due.at.0)
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// Gives a mailbox back, and says when its turn is next. Only who claimed it may: `false` where somebody else has it now.
    pub async fn release_turn(&mut self, turn: Turn, id: &MailboxId, owner: &str, next: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query(turn.sql().release)
            .bind(id.as_str())
            .bind(owner)
            .bind(next.0)
            .write(self)
            .await?;
        Ok(done == 1)
    }
}
