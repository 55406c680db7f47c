//! Test runs that go on: whose they are, how far they are, and whether somebody wants one stopped. Instances that serve one database meet
//! here; what a run found when it ended is in [`super::reports`].

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::report::Direction;
use crate::model::{MailboxId, RunId};

/// A run that goes on, as its row says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoingOn {
    /// Its stages, as JSON; empty where nobody wrote them down.
    pub planned: String,
    /// The report so far, as JSON.
    pub report: String,
    /// When the step under way began, by the clock of whoever runs it; 0: it waits for its turn.
    pub step_at: Timestamp,
}

impl Store {
    /// How far a run is; none where it goes on no more.
    pub async fn going_on(&self, id: &RunId) -> StoreResult<Option<GoingOn>> {
        let row = sqlx::query("SELECT planned, report, step_at FROM runs WHERE id = $1 AND outcome = 'running'")
            .bind(id.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| {
            Ok(GoingOn {
                planned: row.text("planned")?,
                report: row.text("report")?,
                step_at: row.time("step_at")?,
            })
        })
        .transpose()
    }

    /// Writes down how far a run is.
    pub async fn note_progress(&self, id: &RunId, report: &str, step_at: Timestamp) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE runs SET report = $2, step_at = $3 WHERE id = $1 AND outcome = 'running'")
            .bind(id.as_str())
            .bind(report)
            .bind(step_at.0)
            .write(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Whether somebody wants a run stopped.
    pub async fn is_stop_wanted(&self, id: &RunId) -> StoreResult<bool> {
        let wanted: Option<i64> = sqlx::query_scalar("SELECT stop_wanted FROM runs WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(self.pool())
            .await?;
        Ok(wanted.is_some_and(|wanted| wanted != 0))
    }

    /// The run that a form began, if it was sent already.
    pub async fn run_of_form(&self, form: &str) -> StoreResult<Option<RunId>> {
        let id: Option<String> = sqlx::query_scalar("SELECT id FROM runs WHERE form = $1")
            .bind(form)
            .fetch_optional(self.pool())
            .await?;
        Ok(id.map(RunId))
    }

    /// The run of a side of a mailbox that another instance has under way.
    pub async fn run_elsewhere(&self, mailbox: &MailboxId, direction: Direction, owner: &str) -> StoreResult<Option<RunId>> {
        let mut connection = self.pool().acquire().await?;
        elsewhere(&mut connection, mailbox, direction, owner).await
    }

    /// Every run that goes on as far as its row says, with its owner and when it began.
    pub async fn running_runs(&self) -> StoreResult<Vec<(RunId, Option<String>, Timestamp)>> {
        let rows = sqlx::query("SELECT id, owner, started_at FROM runs WHERE outcome = 'running' ORDER BY id")
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| Ok((RunId(row.text("id")?), row.maybe_text("owner")?, row.time("started_at")?)))
            .collect()
    }
}

async fn elsewhere(
    connection: &mut sqlx::AnyConnection,
    mailbox: &MailboxId,
    direction: Direction,
    owner: &str,
) -> StoreResult<Option<RunId>> {
    let id: Option<String> = sqlx::query_scalar(
        "SELECT id FROM runs WHERE mailbox_id = $1 AND direction = $2 AND outcome = 'running' AND owner <> $3
         AND owner IN (SELECT id FROM instances) ORDER BY id LIMIT 1",
    )
    .bind(mailbox.as_str())
    .bind(direction.as_str())
    .bind(owner)
    .fetch_optional(connection)
    .await?;
    Ok(id.map(RunId))
}

impl Tx {
    /// Asks whoever runs it to stop a run; `false` where it goes on no more.
    pub async fn want_stop(&mut self, id: &RunId) -> StoreResult<bool> {
        let done = sqlx::query("UPDATE runs SET stop_wanted = 1 WHERE id = $1 AND outcome = 'running'")
            .bind(id.as_str())
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// Says whose a new run is, what form began it, and its stages as JSON. [`StoreError::Taken`](super::StoreError::Taken) where that form
    /// began one before.
    pub async fn own_run(&mut self, id: &RunId, owner: &str, form: Option<&str>, planned: &str) -> StoreResult<()> {
        sqlx::query("UPDATE runs SET owner = $2, form = $3, planned = $4 WHERE id = $1")
            .bind(id.as_str())
            .bind(owner)
            .bind(form)
            .bind(planned)
            .write(self)
            .await?;
        Ok(())
    }

    /// [`Store::run_elsewhere`] at the end of the transaction that adds one: until it is committed nobody else adds another.
    pub async fn run_elsewhere(&mut self, mailbox: &MailboxId, direction: Direction, owner: &str) -> StoreResult<Option<RunId>> {
        self.alone().await?;
        elsewhere(self, mailbox, direction, owner).await
    }

    /// Ends a run that whoever ran it will not end.
    pub async fn abandon_run(&mut self, id: &RunId, now: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE runs SET outcome = 'stopped', finished_at = $2 WHERE id = $1 AND outcome = 'running'")
            .bind(id.as_str())
            .bind(now.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Ends the runs of an instance that is gone, as of when it was last seen.
    pub(super) async fn abandon_runs_of(&mut self, owner: &str) -> StoreResult<()> {
        sqlx::query(
            "UPDATE runs SET outcome = 'stopped', finished_at = COALESCE((SELECT CASE WHEN i.seen_at < runs.started_at THEN runs.started_at
             ELSE i.seen_at END FROM instances i WHERE i.id = $1), started_at) WHERE outcome = 'running' AND owner = $1",
        )
        .bind(owner)
        .write(self)
        .await?;
        Ok(())
    }
}
