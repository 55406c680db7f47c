//! What the weekly look found in mailboxes. Whose turn it is says [`super::turns`].

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::MailboxId;
use sqlx::any::AnyRow;

/// What a mailbox held when it was last looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its handle.
    pub name: String,
    /// Its address.
    pub address: String,
    /// When.
    pub found_at: Timestamp,
    /// Messages in the folder.
    pub messages: i64,
    /// Messages in the junk folder; none where there is no such folder, or where its server doesn't say which are new.
    pub junk: Option<i64>,
    /// Of how many days.
    pub junk_days: i64,
    /// Messages above the limit.
    pub oversized: i64,
    /// The limit in megabytes.
    pub limit_mb: i64,
}

/// All that was found, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingSums {
    /// Mailboxes that hold something.
    pub mailboxes: i64,
    /// Mailboxes that hold messages above the limit.
    pub large: i64,
    /// Those messages.
    pub oversized: i64,
    /// Mailboxes with new messages in the junk folder.
    pub junky: i64,
    /// Those messages.
    pub junk: i64,
    /// When the first of them was looked through.
    pub since: Option<Timestamp>,
}

/// Where a page of findings begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FindingPlace {
    /// With the most.
    #[default]
    First,
    /// After a row.
    After(FindingKey),
    /// The page that ends before a row.
    Before(FindingKey),
}

/// The place of a row: messages above the limit, messages in junk (-1 where those aren't known), handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingKey {
    /// Messages above the limit.
    pub oversized: i64,
    /// Messages in the junk folder; -1 where those aren't known.
    pub junk: i64,
    /// Handle of the mailbox.
    pub name: String,
}

impl Finding {
    /// Its place in the list.
    pub fn key(&self) -> FindingKey {
        FindingKey {
            oversized: self.oversized,
            junk: self.junk.unwrap_or(-1),
            name: self.name.clone(),
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT m.name AS name, m.address AS address, f.found_at AS found_at, f.messages AS messages, f.junk AS junk, f.junk_days AS junk_days, ",
            "f.oversized AS oversized, f.limit_mb AS limit_mb FROM findings f JOIN mailboxes m ON m.id = f.mailbox_id ",
            $rest
        )
    };
}

/// What was found since $1 in mailboxes that are turned on and hold something: the most that is too large first. Where
/// there is no junk folder is told, because the databases disagree on where what is NULL belongs.
const HELD: &str = select!(
    "WHERE m.enabled = 1 AND f.found_at >= $1 AND (f.oversized > 0 OR f.junk > 0)
     ORDER BY f.oversized DESC, COALESCE(f.junk, -1) DESC, m.name LIMIT $2"
);
const HELD_AFTER: &str = select!(
    "WHERE m.enabled = 1 AND f.found_at >= $1 AND (f.oversized > 0 OR f.junk > 0) AND (f.oversized < $3 OR (f.oversized = $3
       AND (COALESCE(f.junk, -1) < $4 OR (COALESCE(f.junk, -1) = $4 AND m.name > $5))))
     ORDER BY f.oversized DESC, COALESCE(f.junk, -1) DESC, m.name LIMIT $2"
);
const HELD_BEFORE: &str = select!(
    "WHERE m.enabled = 1 AND f.found_at >= $1 AND (f.oversized > 0 OR f.junk > 0) AND (f.oversized > $3 OR (f.oversized = $3
       AND (COALESCE(f.junk, -1) > $4 OR (COALESCE(f.junk, -1) = $4 AND m.name < $5))))
     ORDER BY f.oversized, COALESCE(f.junk, -1), m.name DESC LIMIT $2"
);

impl Store {
    /// Mailboxes whose look isn't planned, or is planned after `latest`: more than any plan allows.
    pub async fn unplanned_findings(&self, latest: Timestamp) -> StoreResult<Vec<MailboxId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM mailboxes WHERE enabled = 1 AND incoming_protocol IN ('imap', 'graph')
             AND (next_finding_at = 0 OR next_finding_at > $1) ORDER BY id LIMIT $2",
        )
        .bind(latest.0)
        .bind(super::turns::PLANNED_AT_ONCE)
        .fetch_all(self.pool())
        .await?;
        Ok(ids.into_iter().map(MailboxId).collect())
    }

    /// What was last found in a mailbox.
    pub async fn finding(&self, id: &MailboxId) -> StoreResult<Option<Finding>> {
        let row = sqlx::query(select!("WHERE f.mailbox_id = $1"))
            .bind(id.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(finding).transpose()
    }

    /// What was found since a moment in mailboxes that are turned on and hold something that is too large or in the junk folder: the most
    /// that is too large first. A page, and whether there is more on the far side.
    pub async fn findings(&self, since: Timestamp, place: &FindingPlace, limit: i64) -> StoreResult<(Vec<Finding>, bool)> {
        let (sql, key) = match place {
            FindingPlace::First => (HELD, None),
            FindingPlace::After(key) => (HELD_AFTER, Some(key)),
            FindingPlace::Before(key) => (HELD_BEFORE, Some(key)),
        };
        let mut query = sqlx::query(sql).bind(since.0).bind(limit.saturating_add(1));
        if let Some(key) = key {
            query = query.bind(key.oversized).bind(key.junk).bind(key.name.as_str());
        }
        let rows = query.fetch_all(self.pool()).await?;
        let mut found = rows.iter().map(finding).collect::<StoreResult<Vec<_>>>()?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > most;
        found.truncate(most);
        if matches!(place, FindingPlace::Before(_)) {
            found.reverse();
        }
        Ok((found, more))
    }

    /// The same in numbers.
    pub async fn finding_sums(&self, since: Timestamp) -> StoreResult<FindingSums> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS mailboxes, COUNT(CASE WHEN f.oversized > 0 THEN 1 END) AS large, COUNT(CASE WHEN f.junk > 0 THEN 1 END) AS junky,
                    CAST(COALESCE(SUM(f.oversized), 0) AS BIGINT) AS oversized, CAST(COALESCE(SUM(f.junk), 0) AS BIGINT) AS junk,
                    MIN(f.found_at) AS since
             FROM findings f JOIN mailboxes m ON m.id = f.mailbox_id
             WHERE m.enabled = 1 AND f.found_at >= $1 AND (f.oversized > 0 OR f.junk > 0)",
        )
        .bind(since.0)
        .fetch_one(self.pool())
        .await?;
        Ok(FindingSums {
            mailboxes: row.int("mailboxes")?,
            large: row.int("large")?,
            oversized: row.int("oversized")?,
            junky: row.int("junky")?,
            junk: row.int("junk")?,
            since: row.maybe_time("since")?,
        })
    }
}

impl Tx {
    /// Keeps what was found in a mailbox, instead of what was found before.
    pub async fn put_finding(&mut self, id: &MailboxId, found: &Finding) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO findings (mailbox_id, found_at, messages, junk, junk_days, oversized, limit_mb) VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (mailbox_id) DO UPDATE SET found_at = excluded.found_at, messages = excluded.messages, junk = excluded.junk,
             junk_days = excluded.junk_days, oversized = excluded.oversized, limit_mb = excluded.limit_mb",
        )
        .bind(id.as_str())
        .bind(found.found_at.0)
        .bind(found.messages)
        .bind(found.junk)
        .bind(found.junk_days)
        .bind(found.oversized)
        .bind(found.limit_mb)
        .write(self)
        .await?;
        Ok(())
    }
}

fn finding(row: &AnyRow) -> StoreResult<Finding> {
    Ok(Finding {
        name: row.text("name")?,
        address: row.text("address")?,
        found_at: row.time("found_at")?,
        messages: row.int("messages")?,
        junk: row.maybe_int("junk")?,
        junk_days: row.int("junk_days")?,
        oversized: row.int("oversized")?,
        limit_mb: row.int("limit_mb")?,
    })
}
