//! Checks on schedule: which mailboxes are due, who looks at them, and how many checks passed and failed in an hour or on a day.

use super::{Columns, Store, StoreError, StoreResult, Tx};
use crate::clock::Timestamp;
use crate::model::MailboxId;

/// How many mailboxes that were never scheduled are read at once?
const SCHEDULED_AT_ONCE: i64 = 1000;

/// A mailbox whose check is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: MailboxId,
    /// What it shares a limit with others by: the id of its provider, else its server.
    pub lane: String,
    /// Since when it has been due. Whoever claims it names this, so that a check that was made meanwhile isn't made again.
    pub at: Timestamp,
}

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

/// The row isn't claimed by an instance that lives.
macro_rules! free {
    () => {
        "(check_owner IS NULL OR check_owner NOT IN (SELECT id FROM instances))"
    };
}

/// What shares a limit.
macro_rules! lane {
    () => {
        "COALESCE(t.provider_id, m.incoming_host, m.outgoing_host, '')"
    };
}

impl Store {
    /// Mailboxes that are turned on and were never scheduled, some of them.
    pub async fn unscheduled_mailboxes(&self) -> StoreResult<Vec<MailboxId>> {
        let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM mailboxes WHERE enabled = 1 AND next_check_at = 0 ORDER BY id LIMIT $1")
            .bind(SCHEDULED_AT_ONCE)
            .fetch_all(self.pool())
            .await?;
        Ok(ids.into_iter().map(MailboxId).collect())
    }

    /// Mailboxes whose check is due and that nobody looks at, longest due first: of each lane at most as many as it has places left,
    /// those counted that other instances look at.
    pub async fn due_checks(&self, now: Timestamp, places: i64) -> StoreResult<Vec<Due>> {
        let rows = sqlx::query(concat!(
            "SELECT d.id AS id, d.lane AS lane, d.at AS at FROM (
                 SELECT m.id AS id, m.next_check_at AS at, ",
            lane!(),
            " AS lane, ROW_NUMBER() OVER (PARTITION BY ",
            lane!(),
            " ORDER BY m.next_check_at, m.id) AS place
                 FROM mailboxes m LEFT JOIN tokens t ON t.id = COALESCE(m.incoming_token_id, m.outgoing_token_id)
                 WHERE m.enabled = 1 AND m.next_check_at > 0 AND m.next_check_at <= $1 AND ",
            free!(),
            ") AS d LEFT JOIN (
                 SELECT ",
            lane!(),
            " AS lane, COUNT(*) AS taken FROM mailboxes m LEFT JOIN tokens t ON t.id = COALESCE(m.incoming_token_id, m.outgoing_token_id)
                 WHERE m.check_owner IN (SELECT id FROM instances) GROUP BY 1
             ) AS busy ON busy.lane = d.lane
             WHERE d.place <= $2 - COALESCE(busy.taken, 0) ORDER BY d.at, d.id"
        ))
        .bind(now.0)
        .bind(places)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Due {
                    id: MailboxId(row.text("id")?),
                    lane: row.text("lane")?,
                    at: row.time("at")?,
                })
            })
            .collect()
    }

    /// How many mailboxes are due, and since when the first of them has been.
    pub async fn overdue_checks(&self, now: Timestamp) -> StoreResult<(i64, Option<Timestamp>)> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS due, MIN(next_check_at) AS first FROM mailboxes WHERE enabled = 1 AND next_check_at > 0 AND next_check_at <= $1",
        )
        .bind(now.0)
        .fetch_one(self.pool())
        .await?;
        Ok((row.int("due")?, row.maybe_time("first")?))
    }

    /// Whether [`Tx::age_states`] would find anything.
    pub async fn has_aged_states(&self, before: Timestamp, now: Timestamp) -> StoreResult<bool> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM mailboxes WHERE (state IN (1, 3) OR (state = 0 AND next_check_at <= $2)) AND enabled = 1 AND checked_at < $1 LIMIT 1",
        )
        .bind(before.0)
        .bind(now.0)
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
    /// Sets when a mailbox that was never scheduled is first checked.
    pub async fn schedule_first_check(&mut self, id: &MailboxId, at: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE mailboxes SET next_check_at = $2 WHERE id = $1 AND next_check_at = 0")
            .bind(id.as_str())
            .bind(at.0)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Takes a mailbox for a check, in the name of an instance; `false` where another was quicker.
    pub async fn claim_check(&mut self, due: &Due, owner: &str) -> StoreResult<bool> {
        let sql = concat!(
            "UPDATE mailboxes SET check_owner = $2 WHERE id = $1 AND next_check_at = $3 AND ",
            free!()
        );
        let done = sqlx::query(sql)
            .bind(due.id.as_str())
            .bind(owner)
            .bind(due.at.0)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives a mailbox back after its check, and says when the next one is due. Only who claimed it may: `false` where somebody else has
    /// it now. `failed`: whether the check failed; none where nothing was found out.
    pub async fn finish_check(&mut self, id: &MailboxId, owner: &str, next: Timestamp, failed: Option<bool>) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE mailboxes SET check_owner = NULL, next_check_at = $3,
             failed_checks = CASE $4 WHEN 1 THEN failed_checks + 1 WHEN 0 THEN 0 ELSE failed_checks END WHERE id = $1 AND check_owner = $2",
        )
        .bind(id.as_str())
        .bind(owner)
        .bind(next.0)
        .bind(failed.map_or(-1, i64::from))
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(done.rows_affected() == 1)
    }

    /// Counts a check in the slot it falls into.
    pub async fn count_check(&mut self, kind: CountKind, id: &str, at: Timestamp, passed: bool) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO check_counts (kind, id, slot, passed, failed) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (kind, id, slot) DO UPDATE SET passed = check_counts.passed + excluded.passed, failed = check_counts.failed + excluded.failed",
        )
        .bind(kind.as_str())
        .bind(id)
        .bind(at.0.div_euclid(kind.slot()) * kind.slot())
        .bind(i64::from(passed))
        .bind(i64::from(!passed))
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
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
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(done.rows_affected())
    }

    /// What was last checked before `before` counts as not tested: a result that old says nothing about now. Paused mailboxes, and those
    /// that are turned off, keep theirs; so do those that fail and are left in peace for a while. Says how many there were.
    pub async fn age_states(&mut self, before: Timestamp, now: Timestamp) -> StoreResult<u64> {
        let done = sqlx::query("UPDATE mailboxes SET state = 2 WHERE (state IN (1, 3) OR (state = 0 AND next_check_at <= $2)) AND enabled = 1 AND checked_at < $1")
            .bind(before.0)
            .bind(now.0)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(done.rows_affected())
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
