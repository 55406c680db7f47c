//! Bulk tests: which mailboxes a choice means, the batch with its counts, and what pages show of its items.

use super::changes::touched;
use super::mailbox_list::{MailboxFilter, bind_filter, filtered};
use super::mailbox_row::Query;
use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::batch::{Batch, BatchState, Group, Item, ItemState, What};
use crate::model::report::Direction;
use crate::model::{BatchId, MailboxId, RunId, UserId};
use sqlx::any::AnyRow;

/// Which mailboxes are meant: those that pass a filter, of these ids only where there are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The filter.
    pub filter: MailboxFilter,
    /// Ids; empty: all that pass.
    pub ids: Vec<MailboxId>,
}

impl Chosen {
    /// The ids as `|a|b|`; empty where there are none. One that can't be an id is none of a mailbox: a choice of such alone is nobody, not
    /// everybody.
    fn list(&self) -> String {
        if self.ids.is_empty() {
            return String::new();
        }
        let ids = self.ids.iter().filter(|id| !id.as_str().contains('|'));
        let text: String = ids.flat_map(|id| [id.as_str(), "|"]).collect();
        format!("|{text}")
    }
}

/// Mailboxes that share a limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lane {
    /// How many have a side that is read.
    pub incoming: i64,
    /// How many have one that sends.
    pub outgoing: i64,
    /// How many there are.
    pub mailboxes: i64,
}

/// Which items a page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemFilter {
    /// In this state only.
    pub state: Option<ItemState>,
    /// With this cause only.
    pub cause: String,
}

/// The ids a choice names, as a condition on $16.
macro_rules! among {
    () => {
        "($16 = '' OR REPLACE($16, '|' || m.id || '|', '') <> $16)"
    };
}
pub(super) use among;

/// Adds a side of the chosen mailboxes: $17 the batch, $18 how many items it has already.
macro_rules! add {
    ($side:literal) => {
        concat!(
            "INSERT INTO batch_items (batch_id, position, mailbox_id, name, address, direction, lane, state, cause, problem)
             SELECT $17, $18 + ROW_NUMBER() OVER (ORDER BY m.address, m.id), m.id, m.name, m.address, '",
            $side,
            "', COALESCE(k.provider_id, m.",
            $side,
            "_host, ''), 'waiting', '', '' FROM mailboxes m LEFT JOIN tokens k ON k.id = m.",
            $side,
            "_token_id WHERE m.",
            $side,
            "_protocol IS NOT NULL AND ",
            among!(),
            " AND ",
            filtered!()
        )
    };
}

/// Binds a choice to the first 16 parameters.
pub(super) fn bind_chosen<'q>(query: Query<'q>, chosen: &'q Chosen) -> Query<'q> {
    bind_filter(query, &chosen.filter).bind(chosen.list())
}

macro_rules! batch {
    ($rest:literal) => {
        concat!(
            "SELECT id, which, what, parallel, note, state, user_id, started_by, started_at, finished_at, mailboxes, total, passed, failed, skipped, paused_seconds
             FROM batches ",
            $rest
        )
    };
}

/// The columns of an item.
macro_rules! item_rows {
    ($rest:literal) => {
        concat!(
            "SELECT i.batch_id AS batch_id, i.position AS position, i.mailbox_id AS mailbox_id, i.name AS name, i.address AS address,
             i.direction AS direction, i.lane AS lane, i.state AS state, i.run_id AS run_id, i.cause AS cause, i.problem AS problem,
             i.finished_at AS finished_at, i.tries AS tries FROM batch_items i ",
            $rest
        )
    };
}
pub(super) use item_rows;

impl Store {
    /// What a choice comes to, by what shares a limit.
    pub async fn chosen_lanes(&self, chosen: &Chosen) -> StoreResult<Vec<Lane>> {
        let sql = concat!(
            "SELECT COUNT(m.incoming_protocol) AS incoming, COUNT(m.outgoing_protocol) AS outgoing, COUNT(*) AS mailboxes,
             COALESCE(k.provider_id, m.incoming_host, m.outgoing_host, '') AS lane
             FROM mailboxes m LEFT JOIN tokens k ON k.id = COALESCE(m.incoming_token_id, m.outgoing_token_id) WHERE ",
            among!(),
            " AND ",
            filtered!(),
            " GROUP BY 4"
        );
        let rows = bind_chosen(sqlx::query(sql), chosen).fetch_all(self.pool()).await?;
        rows.iter().map(lane).collect()
    }

    /// The same for the items of a batch that failed and whose mailboxes are still there.
    pub async fn failed_lanes(&self, batch: &BatchId) -> StoreResult<Vec<Lane>> {
        let rows = sqlx::query(
            "SELECT COUNT(CASE WHEN i.direction = 'incoming' THEN 1 END) AS incoming, COUNT(CASE WHEN i.direction = 'outgoing' THEN 1 END) AS outgoing,
             COUNT(DISTINCT i.mailbox_id) AS mailboxes FROM batch_items i JOIN mailboxes m ON m.id = i.mailbox_id
             WHERE i.batch_id = $1 AND i.state = 'failed' GROUP BY i.lane",
        )
        .bind(batch.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(lane).collect()
    }

    /// How long the last tests of this kind took, in seconds, and how many those were.
    pub async fn recent_seconds(&self, direction: Direction) -> StoreResult<(i64, i64)> {
        let row = sqlx::query(
            "SELECT CAST(COALESCE(SUM(took), 0) AS BIGINT) AS took, COUNT(*) AS n FROM (
                 SELECT finished_at - started_at AS took FROM runs WHERE outcome IN ('passed', 'failed') AND direction = $1 AND draft = 0
                 ORDER BY started_at DESC, id DESC LIMIT 100) AS last",
        )
        .bind(direction.as_str())
        .fetch_one(self.pool())
        .await?;
        Ok((row.int("took")?, row.int("n")?))
    }

    /// A batch.
    pub async fn batch(&self, id: &BatchId) -> StoreResult<Option<Batch>> {
        let row = sqlx::query(batch!("WHERE id = $1"))
            .bind(id.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(batch).transpose()
    }

    /// The newest batches; those older than one, by its start and id.
    pub async fn batches(&self, after: Option<&(Timestamp, BatchId)>, limit: i64) -> StoreResult<Vec<Batch>> {
        let (at, id) = after.map_or((i64::MAX, ""), |(at, id)| (at.0, id.as_str()));
        let rows = sqlx::query(batch!(
            "WHERE (started_at, id) < ($1, $2) ORDER BY started_at DESC, id DESC LIMIT $3"
        ))
        .bind(at)
        .bind(id)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(batch).collect()
    }

    /// Batches of which something waits or runs, the oldest first.
    pub async fn open_batches(&self) -> StoreResult<Vec<Batch>> {
        let rows = sqlx::query(batch!("WHERE finished_at IS NULL ORDER BY started_at, id"))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(batch).collect()
    }

    /// How many items of a batch run now.
    pub async fn running_items(&self, id: &BatchId) -> StoreResult<i64> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM batch_items WHERE batch_id = $1 AND state = 'running'")
                .bind(id.as_str())
                .fetch_one(self.pool())
                .await?,
        )
    }

    /// What items of a batch failed with, most items first.
    pub async fn batch_groups(&self, id: &BatchId, limit: i64) -> StoreResult<Vec<Group>> {
        let rows = sqlx::query(
            "SELECT cause, title, items, run_id, name FROM batch_causes WHERE batch_id = $1 ORDER BY items DESC, cause LIMIT $2",
        )
        .bind(id.as_str())
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(group).collect()
    }

    /// One of them.
    pub async fn batch_group(&self, id: &BatchId, cause: &str) -> StoreResult<Option<Group>> {
        let row = sqlx::query("SELECT cause, title, items, run_id, name FROM batch_causes WHERE batch_id = $1 AND cause = $2")
            .bind(id.as_str())
            .bind(cause)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(group).transpose()
    }

    /// Items of a batch behind a position, so many at most.
    pub async fn batch_items(&self, id: &BatchId, filter: &ItemFilter, after: i64, limit: i64) -> StoreResult<Vec<Item>> {
        let rows = if filter.cause.is_empty() {
            sqlx::query(item_rows!(
                "WHERE i.batch_id = $1 AND i.position > $2 AND ($3 = '' OR i.state = $3) ORDER BY i.position LIMIT $4"
            ))
            .bind(id.as_str())
            .bind(after)
            .bind(filter.state.map_or("", ItemState::as_str))
            .bind(limit)
            .fetch_all(self.pool())
            .await?
        } else {
            sqlx::query(item_rows!(
                "WHERE i.batch_id = $1 AND i.cause = $2 AND i.position > $3 ORDER BY i.position LIMIT $4"
            ))
            .bind(id.as_str())
            .bind(&filter.cause)
            .bind(after)
            .bind(limit)
            .fetch_all(self.pool())
            .await?
        };
        rows.iter().map(item).collect()
    }
}

impl Tx {
    /// Adds a batch that a form started; [`StoreError::Taken`](super::StoreError::Taken) where the form started one before.
    pub async fn insert_batch(&mut self, batch: &Batch, form: Option<&str>) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO batches (id, which, what, parallel, note, state, user_id, started_by, started_at, finished_at, mailboxes, total, passed, failed, skipped, form)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(batch.id.as_str())
        .bind(&batch.which)
        .bind(batch.what.as_str())
        .bind(batch.parallel)
        .bind(&batch.note)
        .bind(batch.state.as_str())
        .bind(batch.user_id.as_ref().map(UserId::as_str))
        .bind(&batch.started_by)
        .bind(batch.started_at.0)
        .bind(batch.finished_at.map(|at| at.0))
        .bind(batch.mailboxes)
        .bind(batch.total)
        .bind(batch.passed)
        .bind(batch.failed)
        .bind(batch.skipped)
        .bind(form)
        .write(self)
        .await?;
        Ok(())
    }

    /// Adds a side of the chosen mailboxes to a batch that has so many items already; says how many there were.
    pub async fn add_batch_items(&mut self, id: &BatchId, chosen: &Chosen, direction: Direction, have: i64) -> StoreResult<i64> {
        let sql = match direction {
            Direction::Incoming => add!("incoming"),
            Direction::Outgoing => add!("outgoing"),
        };
        let query = bind_chosen(sqlx::query(sql), chosen).bind(id.as_str()).bind(have);
        let done = query.write(self).await?;
        Ok(i64::try_from(done).unwrap_or(i64::MAX))
    }

    /// Adds what failed in another batch and is still there; says how many that were.
    pub async fn add_failed_items(&mut self, id: &BatchId, of: &BatchId) -> StoreResult<i64> {
        let done = sqlx::query(
            "INSERT INTO batch_items (batch_id, position, mailbox_id, name, address, direction, lane, state, cause, problem)
             SELECT $1, ROW_NUMBER() OVER (ORDER BY i.position), m.id, m.name, m.address, i.direction, i.lane, 'waiting', '', ''
             FROM batch_items i JOIN mailboxes m ON m.id = i.mailbox_id WHERE i.batch_id = $2 AND i.state = 'failed'",
        )
        .bind(id.as_str())
        .bind(of.as_str())
        .write(self)
        .await?;
        Ok(i64::try_from(done).unwrap_or(i64::MAX))
    }

    /// Sets how many mailboxes and items a batch has.
    pub async fn size_batch(&mut self, id: &BatchId) -> StoreResult<()> {
        sqlx::query(
            "UPDATE batches SET mailboxes = (SELECT COUNT(DISTINCT mailbox_id) FROM batch_items WHERE batch_id = $1),
             total = (SELECT COUNT(*) FROM batch_items WHERE batch_id = $1) WHERE id = $1",
        )
        .bind(id.as_str())
        .write(self)
        .await?;
        Ok(())
    }

    /// Another state for a batch that is in `from` and not over; `false` where it isn't.
    pub async fn turn_batch(&mut self, id: &BatchId, from: &[BatchState], to: BatchState, now: Timestamp) -> StoreResult<bool> {
        for from in from {
            let done = sqlx::query(
                "UPDATE batches SET state = $3, paused_seconds = paused_seconds + COALESCE($4 - paused_at, 0),
                 paused_at = CASE WHEN $3 = 'paused' THEN $4 END WHERE id = $1 AND state = $2 AND finished_at IS NULL",
            )
            .bind(id.as_str())
            .bind(from.as_str())
            .bind(to.as_str())
            .bind(now.0)
            .write(self)
            .await?;
            if done == 1 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn lane(row: &AnyRow) -> StoreResult<Lane> {
    Ok(Lane {
        incoming: row.int("incoming")?,
        outgoing: row.int("outgoing")?,
        mailboxes: row.int("mailboxes")?,
    })
}

fn batch(row: &AnyRow) -> StoreResult<Batch> {
    Ok(Batch {
        id: BatchId(row.text("id")?),
        which: row.text("which")?,
        what: row.word("what", What::parse)?,
        parallel: row.int("parallel")?,
        note: row.text("note")?,
        state: row.word("state", BatchState::parse)?,
        user_id: row.maybe_text("user_id")?.map(UserId),
        started_by: row.text("started_by")?,
        started_at: row.time("started_at")?,
        finished_at: row.maybe_time("finished_at")?,
        mailboxes: row.int("mailboxes")?,
        total: row.int("total")?,
        passed: row.int("passed")?,
        failed: row.int("failed")?,
        skipped: row.int("skipped")?,
        paused_seconds: row.int("paused_seconds")?,
    })
}

fn group(row: &AnyRow) -> StoreResult<Group> {
    Ok(Group {
        cause: row.text("cause")?,
        title: row.text("title")?,
        items: row.int("items")?,
        run: row.maybe_text("run_id")?.map(RunId),
        name: row.text("name")?,
    })
}

pub(super) fn item(row: &AnyRow) -> StoreResult<Item> {
    Ok(Item {
        batch: BatchId(row.text("batch_id")?),
        position: row.int("position")?,
        mailbox: MailboxId(row.text("mailbox_id")?),
        name: row.text("name")?,
        address: row.text("address")?,
        direction: row.word("direction", Direction::parse)?,
        lane: row.text("lane")?,
        state: row.word("state", ItemState::parse)?,
        run: row.maybe_text("run_id")?.map(RunId),
        cause: row.text("cause")?,
        problem: row.text("problem")?,
        finished_at: row.maybe_time("finished_at")?,
        tries: row.int("tries")?,
    })
}
