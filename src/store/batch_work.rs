//! Bulk tests from the side of the work: which items wait, who has them, and how they ended. An item is claimed in the name of an instance;
//! what one had that is gone is found here too.

use super::batches::{item, item_rows};
use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::batch::{Item, ItemState};
use crate::model::report::Direction;
use crate::model::{BatchId, RunId};
use std::collections::HashMap;

/// How an item ended, for its row and the counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// `passed`, `failed` or `skipped`.
    pub state: ItemState,
    /// Its run, where there is one.
    pub run: Option<RunId>,
    /// What it failed with ([`crate::model::batch::Group::cause`]); empty: nothing.
    pub cause: String,
    /// The same in words.
    pub problem: String,
}

impl Store {
    /// The batch that a form started, if it was sent already.
    pub async fn batch_of_form(&self, form: &str) -> StoreResult<Option<BatchId>> {
        let id: Option<String> = sqlx::query_scalar("SELECT id FROM batches WHERE form = $1")
            .bind(form)
            .fetch_optional(self.pool())
            .await?;
        Ok(id.map(BatchId))
    }

    /// The lanes in which items of a batch wait.
    pub async fn waiting_lanes(&self, batch: &BatchId) -> StoreResult<Vec<String>> {
        // From one to the next by the index: thousands wait in each.
        let lanes: Vec<Option<String>> = sqlx::query_scalar(
            "WITH RECURSIVE lanes(lane) AS (
                 SELECT (SELECT MIN(lane) FROM batch_items WHERE batch_id = $1 AND state = 'waiting')
                 UNION ALL
                 SELECT (SELECT MIN(i.lane) FROM batch_items i WHERE i.batch_id = $1 AND i.state = 'waiting' AND i.lane > lanes.lane)
                 FROM lanes WHERE lanes.lane IS NOT NULL)
             SELECT lane FROM lanes WHERE lane IS NOT NULL",
        )
        .bind(batch.as_str())
        .fetch_all(self.pool())
        .await?;
        Ok(lanes.into_iter().flatten().collect())
    }

    /// How many items of open batches run in each lane, whoever runs them.
    pub async fn busy_lanes(&self) -> StoreResult<HashMap<String, i64>> {
        let rows = sqlx::query(
            "SELECT i.lane AS lane, COUNT(*) AS n FROM batches b JOIN batch_items i ON i.batch_id = b.id AND i.state = 'running'
             WHERE b.finished_at IS NULL GROUP BY i.lane",
        )
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok((row.text("lane")?, row.int("n")?))).collect()
    }

    /// The next items of a lane that may begin now.
    pub async fn waiting_items(&self, batch: &BatchId, lane: &str, now: Timestamp, limit: i64) -> StoreResult<Vec<Item>> {
        let rows = sqlx::query(item_rows!(
            "WHERE i.batch_id = $1 AND i.state = 'waiting' AND i.lane = $2 AND i.not_before <= $3 ORDER BY i.position LIMIT $4"
        ))
        .bind(batch.as_str())
        .bind(lane)
        .bind(now.0)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(item).collect()
    }

    /// Items that an instance had which is gone.
    pub async fn orphaned_items(&self) -> StoreResult<Vec<Item>> {
        let rows = sqlx::query(item_rows!(
            "JOIN batches b ON b.id = i.batch_id WHERE b.finished_at IS NULL AND i.state = 'running'
             AND i.owner NOT IN (SELECT id FROM instances) ORDER BY i.batch_id, i.position LIMIT 500"
        ))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(item).collect()
    }
}

impl Tx {
    /// Keeps a batch from being stopped or closed until this transaction ends: whoever does that then sees what it claimed.
    pub async fn hold_batch(&mut self, id: &BatchId) -> StoreResult<()> {
        if self.has_others_beside() {
            sqlx::query("SELECT 1 FROM batches WHERE id = $1 FOR SHARE")
                .bind(id.as_str())
                .write(self)
                .await?;
        }
        Ok(())
    }

    /// Takes a waiting item in the name of an instance; `false` where another was quicker, or the batch rests.
    pub async fn claim_item(&mut self, item: &Item, owner: &str) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE batch_items SET state = 'running', owner = $3 WHERE batch_id = $1 AND position = $2 AND state = 'waiting'
             AND EXISTS (SELECT 1 FROM batches b WHERE b.id = $1 AND b.state = 'running')",
        )
        .bind(item.batch.as_str())
        .bind(item.position)
        .bind(owner)
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Gives an item back that brought nothing: it was tried so often, and rests until `not_before`.
    pub async fn give_back_item(&mut self, item: &Item, owner: &str, tries: i64, not_before: Timestamp) -> StoreResult<()> {
        sqlx::query(
            "UPDATE batch_items SET state = 'waiting', owner = NULL, tries = $4, not_before = $5
             WHERE batch_id = $1 AND position = $2 AND state = 'running' AND owner = $3",
        )
        .bind(item.batch.as_str())
        .bind(item.position)
        .bind(owner)
        .bind(tries)
        .bind(not_before.0)
        .write(self)
        .await?;
        Ok(())
    }

    /// What an instance had that is gone: reading is done once more; a message that may have been sent is not sent twice, so that item ends
    /// as `settled`. `false` where somebody else was quicker.
    pub async fn adopt_item(&mut self, item: &Item, settled: &Settled, now: Timestamp) -> StoreResult<bool> {
        let again = item.direction == Direction::Incoming;
        let done = sqlx::query(
            "UPDATE batch_items SET state = $3, owner = NULL, cause = $4, problem = $5, finished_at = $6
             WHERE batch_id = $1 AND position = $2 AND state = 'running' AND owner NOT IN (SELECT id FROM instances)",
        )
        .bind(item.batch.as_str())
        .bind(item.position)
        .bind(if again { ItemState::Waiting } else { settled.state }.as_str())
        .bind(if again { "" } else { settled.cause.as_str() })
        .bind(if again { "" } else { settled.problem.as_str() })
        .bind((!again).then_some(now.0))
        .write(self)
        .await?;
        let taken = done == 1;
        if taken && !again {
            self.count_item(item, settled).await?;
        }
        Ok(taken)
    }

    /// Writes how an item ended, and counts it. Only who has it may: `false` where somebody else does now.
    pub async fn settle_item(&mut self, item: &Item, owner: &str, settled: &Settled, now: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE batch_items SET state = $4, owner = NULL, run_id = $5, cause = $6, problem = $7, finished_at = $8
             WHERE batch_id = $1 AND position = $2 AND state = 'running' AND owner = $3",
        )
        .bind(item.batch.as_str())
        .bind(item.position)
        .bind(owner)
        .bind(settled.state.as_str())
        .bind(settled.run.as_ref().map(RunId::as_str))
        .bind(&settled.cause)
        .bind(&settled.problem)
        .bind(now.0)
        .write(self)
        .await?;
        if done != 1 {
            return Ok(false);
        }
        self.count_item(item, settled).await?;
        Ok(true)
    }

    async fn count_item(&mut self, item: &Item, settled: &Settled) -> StoreResult<()> {
        let is = |state: ItemState| i64::from(settled.state == state);
        sqlx::query("UPDATE batches SET passed = passed + $2, failed = failed + $3, skipped = skipped + $4 WHERE id = $1")
            .bind(item.batch.as_str())
            .bind(is(ItemState::Passed))
            .bind(is(ItemState::Failed))
            .bind(is(ItemState::Skipped))
            .write(self)
            .await?;
        if settled.cause.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO batch_causes (batch_id, cause, title, items, run_id, name) VALUES ($1, $2, $3, 1, $4, $5)
             ON CONFLICT (batch_id, cause) DO UPDATE SET items = batch_causes.items + 1,
             run_id = COALESCE(excluded.run_id, batch_causes.run_id), name = CASE WHEN excluded.run_id IS NULL THEN batch_causes.name ELSE excluded.name END",
        )
        .bind(item.batch.as_str())
        .bind(&settled.cause)
        .bind(&settled.problem)
        .bind(settled.run.as_ref().map(RunId::as_str))
        .bind(&item.name)
        .write(self)
        .await?;
        Ok(())
    }

    /// Ends a batch of which nothing waits or runs any more; after a stop, of which nothing runs.
    pub async fn close_batch(&mut self, id: &BatchId, now: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE batches SET finished_at = $2, state = CASE state WHEN 'stopped' THEN 'stopped' ELSE 'done' END
             WHERE id = $1 AND finished_at IS NULL AND (passed + failed + skipped >= total
             OR (state = 'stopped' AND NOT EXISTS (SELECT 1 FROM batch_items i WHERE i.batch_id = $1 AND i.state = 'running')))",
        )
        .bind(id.as_str())
        .bind(now.0)
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Deletes some of what belongs to batches that ended before `before`; says how many rows went. The batch goes last.
    pub async fn prune_batches(&mut self, before: Timestamp, most: i64) -> StoreResult<u64> {
        let statements = [
            "DELETE FROM batch_items WHERE (batch_id, position) IN (SELECT i.batch_id, i.position FROM batch_items i
             JOIN batches b ON b.id = i.batch_id WHERE b.finished_at < $1 LIMIT $2)",
            "DELETE FROM batch_causes WHERE (batch_id, cause) IN (SELECT c.batch_id, c.cause FROM batch_causes c
             JOIN batches b ON b.id = c.batch_id WHERE b.finished_at < $1 LIMIT $2)",
            "DELETE FROM batches WHERE id IN (SELECT id FROM batches WHERE finished_at < $1 LIMIT $2)
             AND NOT EXISTS (SELECT 1 FROM batch_items i WHERE i.batch_id = batches.id)
             AND NOT EXISTS (SELECT 1 FROM batch_causes c WHERE c.batch_id = batches.id)",
        ];
        self.prune(&statements, before.0, most).await
    }
}
