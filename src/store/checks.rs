//! Checks on schedule: which mailboxes are checked, and how many checks passed and failed in an hour or on a day. Whose turn it is says
//! [`super::turns`].

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::MailboxId;

crate::model::words!(
    /// What counts are kept of.
    CountKind {
        /// A mailbox, by day.
        MailboxDay = "mailbox-day",
        /// A provider, by hour; the empty id is for mailboxes with passwords.
        ProviderHour = "provider-hour",
    }
);

impl CountKind {
    /// Seconds in one slot.
    pub fn slot(self) -> i64 {
        match self {
            Self::MailboxDay => 86_400,
            Self::ProviderHour => 3600,
        }
    }
}

/// How many checks passed and failed within a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// What was checked: a mailbox or provider id.
    pub id: String,
    /// When the hour or day (UTC) began.
    pub slot: Timestamp,
    /// Checks that passed.
    pub passed: i64,
    /// Checks that failed.
    pub failed: i64,
}

/// When a result has to be from to say something about now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Believed {
    /// Not before this moment.
    pub from: Timestamp,
    /// Not after this one: somebody has set the clock back.
    pub to: Timestamp,
    /// Nothing is left in peace for longer than until then.
    pub rests: Timestamp,
}

/// A result that says nothing about now: `$1`, `$2` and `$3` are the moments of [`Believed`].
macro_rules! aged {
    () => {
        "state IN (0, 1, 3) AND enabled = 1 AND (checked_at < $1 OR checked_at > $2)
         AND NOT EXISTS (SELECT 1 FROM rests r WHERE r.mailbox_id = mailboxes.id AND r.rests_until >= $1 AND r.rests_until <= $3)"
    };
}

impl Store {
    /// How many mailboxes are checked.
    pub async fn count_checked(&self) -> StoreResult<i64> {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM mailboxes WHERE enabled = 1")
            .fetch_one(self.pool())
            .await?)
    }

    /// Mailboxes whose check isn't planned, or is planned after `latest`: later than any plan allows, because somebody set the clock or
    /// chose another interval. Some of them, each with whether it was never planned.
    pub async fn unplanned_checks(&self, latest: Timestamp) -> StoreResult<Vec<(MailboxId, bool)>> {
        // Two parts, so that each is found by its index: this is asked all the time.
        let rows = sqlx::query(
            "SELECT id, next_check_at FROM mailboxes WHERE enabled = 1 AND next_check_at = 0
             UNION ALL
             SELECT id, next_check_at FROM mailboxes WHERE enabled = 1 AND next_check_at > $1 LIMIT $2",
        )
        .bind(latest.0)
        .bind(super::turns::PLANNED_AT_ONCE)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((MailboxId(row.text("id")?), row.int("next_check_at")? == 0)))
            .collect()
    }

    /// Whether [`Tx::age_states`] would find anything.
    pub async fn has_aged_states(&self, range: &Believed) -> StoreResult<bool> {
        let found: Option<i64> = sqlx::query_scalar(concat!("SELECT 1 FROM mailboxes WHERE ", aged!(), " LIMIT 1"))
            .bind(range.from.0)
            .bind(range.to.0)
            .bind(range.rests.0)
            .fetch_optional(self.pool())
            .await?;
        Ok(found.is_some())
    }

    /// The earliest check to come; none where no mailbox is turned on.
    pub async fn next_check(&self) -> StoreResult<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("SELECT MIN(next_check_at) FROM mailboxes WHERE enabled = 1 AND next_check_at > 0")
            .fetch_one(self.pool())
            .await?;
        Ok(at.map(Timestamp))
    }

    /// The last check that is planned; none where no mailbox is turned on.
    pub async fn last_planned_check(&self) -> StoreResult<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("SELECT MAX(next_check_at) FROM mailboxes WHERE enabled = 1 AND next_check_at > 0")
            .fetch_one(self.pool())
            .await?;
        Ok(at.map(Timestamp))
    }

    /// How many checks in a row have failed.
    pub async fn failed_checks(&self, id: &MailboxId) -> StoreResult<i64> {
        let count: Option<i64> = sqlx::query_scalar("SELECT failed_checks FROM mailboxes WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(self.pool())
            .await?;
        Ok(count.unwrap_or(0))
    }

    /// The counts of one mailbox or provider since a moment, the oldest first.
    pub async fn check_counts(&self, kind: CountKind, id: &str, since: Timestamp) -> StoreResult<Vec<Count>> {
        let rows =
            sqlx::query("SELECT id, slot, passed, failed FROM check_counts WHERE kind = $1 AND id = $2 AND slot >= $3 ORDER BY slot")
                .bind(kind.as_str())
                .bind(id)
                .bind(since.0)
                .fetch_all(self.pool())
                .await?;
        rows.iter().map(count).collect()
    }

    /// The counts of everything of a kind since a moment, by what was counted, the oldest first.
    pub async fn all_check_counts(&self, kind: CountKind, since: Timestamp) -> StoreResult<Vec<Count>> {
        let rows = sqlx::query("SELECT id, slot, passed, failed FROM check_counts WHERE kind = $1 AND slot >= $2 ORDER BY id, slot")
            .bind(kind.as_str())
            .bind(since.0)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(count).collect()
    }
}

impl Tx {
    /// Counts how many checks of a mailbox in a row have failed: one more, or none any more.
    pub async fn count_failed(&mut self, id: &MailboxId, failed: bool) -> StoreResult<()> {
        sqlx::query("UPDATE mailboxes SET failed_checks = (failed_checks + 1) * $2 WHERE id = $1 AND (failed_checks > 0 OR $2 = 1)")
            .bind(id.as_str())
            .bind(i64::from(failed))
            .write(self)
            .await?;
        Ok(())
    }

    /// Counts checks in the slot they fall into: those that passed, and those that failed.
    pub async fn count_checks(&mut self, kind: CountKind, id: &str, at: Timestamp, (passed, failed): (i64, i64)) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO check_counts (kind, id, slot, passed, failed) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (kind, id, slot) DO UPDATE SET passed = check_counts.passed + excluded.passed, failed = check_counts.failed + excluded.failed",
        )
        .bind(kind.as_str())
        .bind(id)
        .bind(at.0.div_euclid(kind.slot()) * kind.slot())
        .bind(passed)
        .bind(failed)
        .write(self)
        .await?;
        Ok(())
    }

    /// Deletes counts of slots that began before `before`, at most so many; says how many went.
    pub async fn prune_check_counts(&mut self, kind: CountKind, before: Timestamp, most: i64) -> StoreResult<u64> {
        let done = sqlx::query(
            "DELETE FROM check_counts WHERE kind = $1 AND (id, slot) IN
             (SELECT id, slot FROM check_counts WHERE kind = $1 AND slot < $2 ORDER BY slot LIMIT $3)",
        )
        .bind(kind.as_str())
        .bind(before.0)
        .bind(most)
        .write(self)
        .await?;
        Ok(done)
    }

    /// What was last checked outside this range counts as not tested: it says nothing about now. Paused mailboxes, and those that are
    /// turned off, keep theirs; so do those of which a side is left in peace for a while. Says how many there were.
    pub async fn age_states(&mut self, range: &Believed) -> StoreResult<u64> {
        let done = sqlx::query(concat!("UPDATE mailboxes SET state = 2 WHERE ", aged!()))
            .bind(range.from.0)
            .bind(range.to.0)
            .bind(range.rests.0)
            .write(self)
            .await?;
        Ok(done)
    }
}

fn count(row: &sqlx::any::AnyRow) -> StoreResult<Count> {
    Ok(Count {
        id: row.text("id")?,
        slot: row.time("slot")?,
        passed: row.int("passed")?,
        failed: row.int("failed")?,
    })
}
