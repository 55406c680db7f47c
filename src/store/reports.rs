//! Runs of *Test incoming* and *Test outgoing*, with the settings they used.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::report::Direction;
use crate::model::{MailboxId, RunId, Sealed, UserId};
use sqlx::any::AnyRow;

/// A run as it is stored. `report` and `settings` are JSON; `newest` holds senders and subjects, sealed.
#[derive(Debug, Clone)]
pub struct Run {
    /// Id, in its address.
    pub id: RunId,
    /// The mailbox; none for unsaved settings and after the mailbox was deleted.
    pub mailbox_id: Option<MailboxId>,
    /// Its name then.
    pub mailbox_name: String,
    /// Its address then.
    pub address: String,
    /// Which side.
    pub direction: Direction,
    /// `imap` or `smtp`.
    pub protocol: String,
    /// Whether the settings were not saved.
    pub draft: bool,
    /// Name of who started it.
    pub started_by: String,
    /// The person who started it.
    pub user_id: Option<UserId>,
    /// When.
    pub started_at: Timestamp,
    /// When it ended; none while it runs.
    pub finished_at: Option<Timestamp>,
    /// `running`, `passed`, `failed` or `stopped`.
    pub outcome: String,
    /// The step that failed.
    pub failed_step: Option<String>,
    /// Id of its diagnosis.
    pub diagnosis_id: Option<String>,
    /// The settings used, as JSON, without secrets.
    pub settings: String,
    /// Fingerprint of the settings used; another one now means they changed since.
    pub fingerprint: String,
    /// The [`crate::model::report::Report`] as JSON, without senders and subjects.
    pub report: String,
    /// Senders and subjects of the newest and oversized messages, sealed JSON.
    pub newest: Option<Sealed>,
}

/// How many runs of a mailbox are kept, and how many of unsaved settings and deleted mailboxes together?
const KEPT: i64 = 200;
const KEPT_WITHOUT_MAILBOX: i64 = 1000;
/// How many are deleted at once? More than one, so that a backlog ends; few, so that nobody waits.
const PRUNED_AT_ONCE: i64 = 20;

/// Which runs a list shows.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of this mailbox only.
    pub mailbox: Option<MailboxId>,
    /// With this outcome only.
    pub outcome: Option<String>,
    /// Of this direction only.
    pub direction: Option<Direction>,
    /// Started before this run (keyset).
    pub after: Option<(Timestamp, RunId)>,
    /// At most so many.
    pub limit: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, mailbox_id, mailbox_name, address, direction, protocol, draft, started_by, user_id, started_at, finished_at, outcome, ",
            "failed_step, diagnosis_id, settings, fingerprint, report, newest FROM runs ",
            $rest
        )
    };
}

/// The same for lists, without what is long.
macro_rules! brief {
    ($rest:literal) => {
        concat!(
            "SELECT id, mailbox_id, mailbox_name, address, direction, protocol, draft, started_by, user_id, started_at, finished_at, outcome, ",
            "failed_step, diagnosis_id, '' AS settings, fingerprint, '' AS report, CAST(NULL AS TEXT) AS newest FROM runs ",
            $rest
        )
    };
}

impl Store {
    /// A run.
    pub async fn run(&self, id: &RunId) -> StoreResult<Option<Run>> {
        let row = sqlx::query(select!("WHERE id = $1"))
            .bind(id.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(run).transpose()
    }

    /// The newest test of a mailbox that read its messages; checks open the mailbox only.
    pub async fn last_read(&self, mailbox: &MailboxId) -> StoreResult<Option<Run>> {
        let sql = select!(
            "WHERE mailbox_id = $1 AND direction = 'incoming' AND outcome = 'passed' AND draft = 0 AND report LIKE '%\"step\":\"newest\"%'
             ORDER BY started_at DESC, id DESC LIMIT 1"
        );
        let row = sqlx::query(sql).bind(mailbox.as_str()).fetch_optional(self.pool()).await?;
        row.as_ref().map(run).transpose()
    }

    /// Runs, newest first, without settings, reports and messages: `settings` and `report` are empty.
    pub async fn runs(&self, filter: &RunFilter) -> StoreResult<Vec<Run>> {
        let (at, id) = filter.after.as_ref().map_or((i64::MAX, "~"), |(at, id)| (at.0, id.as_str()));
        let outcome = filter.outcome.as_deref().unwrap_or_default();
        let direction = filter.direction.map_or("", Direction::as_str);
        let rows = match &filter.mailbox {
            Some(mailbox) => {
                sqlx::query(brief!(
                    "WHERE mailbox_id = $1 AND (started_at < $2 OR (started_at = $2 AND id < $3)) AND ($4 = '' OR outcome = $4)
                     AND ($5 = '' OR direction = $5) ORDER BY started_at DESC, id DESC LIMIT $6"
                ))
                .bind(mailbox.as_str())
                .bind(at)
                .bind(id)
                .bind(outcome)
                .bind(direction)
                .bind(filter.limit)
                .fetch_all(self.pool())
                .await?
            }
            None => {
                sqlx::query(brief!(
                    "WHERE (started_at < $1 OR (started_at = $1 AND id < $2)) AND ($3 = '' OR outcome = $3)
                     AND ($4 = '' OR direction = $4) ORDER BY started_at DESC, id DESC LIMIT $5"
                ))
                .bind(at)
                .bind(id)
                .bind(outcome)
                .bind(direction)
                .bind(filter.limit)
                .fetch_all(self.pool())
                .await?
            }
        };
        rows.iter().map(run).collect()
    }
}

impl Tx {
    /// Adds a run that starts.
    pub async fn insert_run(&mut self, run: &Run) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO runs (id, mailbox_id, mailbox_name, address, direction, protocol, draft, started_by, user_id, started_at, finished_at, outcome,
             failed_step, diagnosis_id, settings, fingerprint, report, newest)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        )
        .bind(run.id.as_str())
        .bind(run.mailbox_id.as_ref().map(MailboxId::as_str))
        .bind(&run.mailbox_name)
        .bind(&run.address)
        .bind(run.direction.as_str())
        .bind(&run.protocol)
        .bind(i64::from(run.draft))
        .bind(&run.started_by)
        .bind(run.user_id.as_ref().map(UserId::as_str))
        .bind(run.started_at.0)
        .bind(run.finished_at.map(|at| at.0))
        .bind(&run.outcome)
        .bind(run.failed_step.as_deref())
        .bind(run.diagnosis_id.as_deref())
        .bind(&run.settings)
        .bind(&run.fingerprint)
        .bind(&run.report)
        .bind(run.newest.as_ref().map(|sealed| sealed.0.as_str()))
        .write(self)
        .await?;
        Ok(())
    }

    /// Writes how a run ended.
    pub async fn finish_run(&mut self, run: &Run) -> StoreResult<()> {
        sqlx::query(
            "UPDATE runs SET finished_at = $2, outcome = $3, failed_step = $4, diagnosis_id = $5, report = $6, newest = $7 WHERE id = $1",
        )
        .bind(run.id.as_str())
        .bind(run.finished_at.map(|at| at.0))
        .bind(&run.outcome)
        .bind(run.failed_step.as_deref())
        .bind(run.diagnosis_id.as_deref())
        .bind(&run.report)
        .bind(run.newest.as_ref().map(|sealed| sealed.0.as_str()))
        .write(self)
        .await?;
        Ok(())
    }

    /// Deletes some of the oldest runs of a mailbox, or of those without one, where they are too many. What still runs stays, and so does
    /// the result a mailbox shows.
    pub async fn prune_runs(&mut self, mailbox: Option<&MailboxId>) -> StoreResult<u64> {
        let mailbox = mailbox.map(MailboxId::as_str);
        let last_kept = match mailbox {
            Some(mailbox) => {
                sqlx::query("SELECT started_at, id FROM runs WHERE mailbox_id = $1 ORDER BY started_at DESC, id DESC LIMIT 1 OFFSET $2")
                    .bind(mailbox)
                    .bind(KEPT - 1)
            }
            None => {
                sqlx::query("SELECT started_at, id FROM runs WHERE mailbox_id IS NULL ORDER BY started_at DESC, id DESC LIMIT 1 OFFSET $1")
                    .bind(KEPT_WITHOUT_MAILBOX - 1)
            }
        }
        .fetch_optional(&mut ***self)
        .await?;
        let Some(row) = &last_kept else { return Ok(0) };
        let (at, id) = (row.int("started_at")?, row.text("id")?);
        let query = match mailbox {
            Some(mailbox) => sqlx::query(
                "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE mailbox_id = $4 AND outcome <> 'running'
                 AND (started_at < $1 OR (started_at = $1 AND id < $2))
                 AND NOT EXISTS (SELECT 1 FROM mailboxes m WHERE m.id = $4 AND (m.incoming_run = runs.id OR m.outgoing_run = runs.id))
                 ORDER BY started_at, id LIMIT $3)",
            )
            .bind(at)
            .bind(id)
            .bind(PRUNED_AT_ONCE)
            .bind(mailbox),
            None => sqlx::query(
                "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE mailbox_id IS NULL AND outcome <> 'running'
                 AND (started_at < $1 OR (started_at = $1 AND id < $2)) ORDER BY started_at, id LIMIT $3)",
            )
            .bind(at)
            .bind(id)
            .bind(PRUNED_AT_ONCE),
        };
        let done = query.write(self).await?;
        Ok(done)
    }

    /// Deletes so many of the runs that began before a moment, but not what still runs nor the result a mailbox shows; says how many.
    pub async fn prune_old_runs(&mut self, before: Timestamp, most: i64) -> StoreResult<u64> {
        let statement = "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE started_at < $1 AND outcome <> 'running'
             AND NOT EXISTS (SELECT 1 FROM mailboxes m WHERE m.id = runs.mailbox_id AND (m.incoming_run = runs.id OR m.outgoing_run = runs.id))
             ORDER BY started_at, id LIMIT $2)";
        self.prune(&[statement], before.0, most).await
    }
}

fn run(row: &AnyRow) -> StoreResult<Run> {
    Ok(Run {
        id: RunId(row.text("id")?),
        mailbox_id: row.maybe_text("mailbox_id")?.map(MailboxId),
        mailbox_name: row.text("mailbox_name")?,
        address: row.text("address")?,
        direction: row.word("direction", Direction::parse)?,
        protocol: row.text("protocol")?,
        draft: row.flag("draft")?,
        started_by: row.text("started_by")?,
        user_id: row.maybe_text("user_id")?.map(UserId),
        started_at: row.time("started_at")?,
        finished_at: row.maybe_time("finished_at")?,
        outcome: row.text("outcome")?,
        failed_step: row.maybe_text("failed_step")?,
        diagnosis_id: row.maybe_text("diagnosis_id")?,
        settings: row.text("settings")?,
        fingerprint: row.text("fingerprint")?,
        report: row.text("report")?,
        newest: row.maybe_text("newest")?.map(Sealed),
    })
}
