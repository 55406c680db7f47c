//! Messages that mailboxes send to themselves on schedule, and how each came to its end. Whose turn it is says [`super::turns`].

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::MailboxId;
use crate::model::round_trip::{Outcome, RoundTrip, Trouble};
use sqlx::any::AnyRow;

/// How many messages of a mailbox are remembered?
const KEPT: i64 = 90;

macro_rules! columns {
    () => {
        "r.id AS id, r.mailbox_id AS mailbox_id, r.message_id AS message_id, r.sent_at AS sent_at, r.outcome AS outcome, r.seconds AS seconds, \
         r.place AS place, r.problem AS problem"
    };
}

/// Whether `r` is the last message of mailbox `m`, which still sends them.
macro_rules! last {
    () => {
        "m.enabled = 1 AND m.round_trip_hours > 0 AND r.mailbox_id = m.id \
         AND r.sent_at = (SELECT MAX(l.sent_at) FROM round_trips l WHERE l.mailbox_id = m.id)"
    };
}
pub(super) use last;

/// [`RoundTrip::SLOW`], for statements that have it in their text.
macro_rules! slow {
    () => {
        300
    };
}
pub(super) use slow;
const _: () = assert!(slow!() == RoundTrip::SLOW);

impl Store {
    /// Mailboxes whose next message isn't planned, or is planned later than their interval allows: with the interval in hours.
    pub async fn unplanned_round_trips(&self, now: Timestamp) -> StoreResult<Vec<(MailboxId, i64)>> {
        let rows = sqlx::query(
            "SELECT id, round_trip_hours FROM mailboxes WHERE enabled = 1 AND round_trip_hours > 0
             AND (next_round_trip_at = 0 OR next_round_trip_at > $1 + round_trip_hours * 3600) ORDER BY id LIMIT $2",
        )
        .bind(now.0)
        .bind(super::turns::PLANNED_AT_ONCE)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((MailboxId(row.text("id")?), row.int("round_trip_hours")?)))
            .collect()
    }

    /// The message of a mailbox whose end isn't known; none where there is none.
    pub async fn open_round_trip(&self, id: &MailboxId) -> StoreResult<Option<RoundTrip>> {
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM round_trips r WHERE r.mailbox_id = $1 AND r.outcome IN ('begun', 'sent') ORDER BY r.sent_at DESC LIMIT 1"
        ))
        .bind(id.as_str())
        .fetch_optional(self.pool())
        .await?;
        row.as_ref().map(round_trip).transpose()
    }

    /// The last messages of a mailbox, the newest first.
    pub async fn round_trips(&self, id: &MailboxId, limit: i64) -> StoreResult<Vec<RoundTrip>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM round_trips r WHERE r.mailbox_id = $1 ORDER BY r.sent_at DESC, r.id DESC LIMIT $2"
        ))
        .bind(id.as_str())
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(round_trip).collect()
    }

    /// What is wrong with the last message of every mailbox that sends them: by its kind, how many mailboxes, one of them, and since when.
    pub async fn round_trip_troubles(&self, now: Timestamp) -> StoreResult<Vec<Trouble>> {
        let rows = sqlx::query(concat!(
            "SELECT m.name AS name, ",
            columns!(),
            " FROM round_trips r JOIN mailboxes m ON ",
            last!(),
            " WHERE r.outcome IN ('lost', 'refused') OR (r.outcome IN ('begun', 'sent') AND r.sent_at < $1)
               OR (r.outcome = 'arrived' AND r.seconds > ",
            slow!(),
            ") ORDER BY r.sent_at, m.name"
        ))
        .bind(now.0 - RoundTrip::SLOW)
        .fetch_all(self.pool())
        .await?;
        let mut troubles: Vec<Trouble> = Vec::new();
        for row in &rows {
            let (name, trip) = (row.text("name")?, round_trip(row)?);
            match troubles
                .iter_mut()
                .find(|known| known.outcome == trip.outcome && known.problem == trip.problem)
            {
                Some(known) => known.mailboxes += 1,
                None => troubles.push(Trouble {
                    outcome: trip.outcome,
                    problem: trip.problem,
                    mailboxes: 1,
                    name,
                    since: trip.sent_at,
                }),
            }
        }
        Ok(troubles)
    }
}

impl Tx {
    /// Writes down that a message is about to be sent. `false`, and nobody may send it, where this instance has lost its claim or where
    /// the end of an earlier one isn't known. The oldest ones of the mailbox go.
    pub async fn begin_round_trip(&mut self, trip: &RoundTrip, owner: &str) -> StoreResult<bool> {
        let done = sqlx::query(
            "INSERT INTO round_trips (id, mailbox_id, message_id, sent_at, outcome, seconds, place, problem)
             SELECT $1, m.id, $3, $4, 'begun', NULL, '', '' FROM mailboxes m WHERE m.id = $2 AND m.round_trip_owner = $5
             AND NOT EXISTS (SELECT 1 FROM round_trips o WHERE o.mailbox_id = m.id AND o.outcome IN ('begun', 'sent'))",
        )
        .bind(&trip.id)
        .bind(trip.mailbox_id.as_str())
        .bind(&trip.message_id)
        .bind(trip.sent_at.0)
        .bind(owner)
        .write(self)
        .await?;
        sqlx::query(
            "DELETE FROM round_trips WHERE mailbox_id = $1 AND id NOT IN
             (SELECT id FROM round_trips WHERE mailbox_id = $1 ORDER BY sent_at DESC, id DESC LIMIT $2)",
        )
        .bind(trip.mailbox_id.as_str())
        .bind(KEPT)
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Writes down how a message came to its end, or that it is on its way. What has ended stays as it ended.
    pub async fn note_round_trip(&mut self, trip: &RoundTrip) -> StoreResult<()> {
        sqlx::query(
            "UPDATE round_trips SET outcome = $2, seconds = $3, place = $4, problem = $5 WHERE id = $1 AND outcome IN ('begun', 'sent')",
        )
        .bind(&trip.id)
        .bind(trip.outcome.as_str())
        .bind(trip.seconds)
        .bind(&trip.place)
        .bind(&trip.problem)
        .write(self)
        .await?;
        Ok(())
    }

    /// Forgets a message that was written down, and then not sent.
    pub async fn forget_round_trip(&mut self, id: &str) -> StoreResult<()> {
        sqlx::query("DELETE FROM round_trips WHERE id = $1 AND outcome = 'begun'")
            .bind(id)
            .write(self)
            .await?;
        Ok(())
    }
}

fn round_trip(row: &AnyRow) -> StoreResult<RoundTrip> {
    Ok(RoundTrip {
        id: row.text("id")?,
        mailbox_id: MailboxId(row.text("mailbox_id")?),
        message_id: row.text("message_id")?,
        sent_at: row.time("sent_at")?,
        outcome: row.word("outcome", Outcome::parse)?,
        seconds: row.maybe_int("seconds")?,
        place: row.text("place")?,
        problem: row.text("problem")?,
    })
}
