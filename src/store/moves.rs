//! Messages of a run that somebody moved, or tried to.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::RunId;
use crate::model::words;
use sqlx::any::AnyRow;

words!(
    /// What became of a message that was to be moved, where it can't be moved again just so.
    Fate {
        /// It is in the other folder.
        Done = "done",
        /// It is in both folders.
        Copied = "copied",
        /// It wasn't there any more.
        Gone = "gone",
        /// Nobody knows.
        Unknown = "unknown",
    }
);

/// After how many seconds is a move that nobody ended one that nobody knows the end of?
const STALE: i64 = 300;

/// A message of a run that somebody moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedMessage {
    /// The list of the run it is in: `junk`, `oversized`.
    pub list: String,
    /// Its place in that list, from 0.
    pub place: i64,
    /// Where it goes, in words.
    pub folder: String,
    /// What became of it; none while it is tried.
    pub fate: Option<Fate>,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl MovedMessage {
    /// Whether somebody may be at it just now.
    pub fn is_under_way(&self, now: Timestamp) -> bool {
        self.fate.is_none() && now.since(self.at) < STALE
    }
}

impl Store {
    /// What was moved of a run's messages.
    pub async fn moved_messages(&self, run: &RunId) -> StoreResult<Vec<MovedMessage>> {
        let rows =
            sqlx::query("SELECT list, place, folder, outcome, moved_by, at FROM moved_messages WHERE run_id = $1 ORDER BY list, place")
                .bind(run.as_str())
                .fetch_all(self.pool())
                .await?;
        rows.iter().map(moved).collect()
    }
}

fn moved(row: &AnyRow) -> StoreResult<MovedMessage> {
    Ok(MovedMessage {
        list: row.text("list")?,
        place: row.int("place")?,
        folder: row.text("folder")?,
        fate: Fate::parse(&row.text("outcome")?),
        by: row.text("moved_by")?,
        at: row.time("at")?,
    })
}

impl Tx {
    /// What became of a message when somebody tried to move it before.
    pub async fn moved_message(&mut self, run: &RunId, list: &str, place: i64) -> StoreResult<Option<MovedMessage>> {
        let row = sqlx::query(
            "SELECT list, place, folder, outcome, moved_by, at FROM moved_messages WHERE run_id = $1 AND list = $2 AND place = $3",
        )
        .bind(run.as_str())
        .bind(list)
        .bind(place)
        .fetch_optional(&mut ***self)
        .await?;
        row.as_ref().map(moved).transpose()
    }

    /// Writes down that a message is about to be moved; `false` where it was moved already, or somebody is at it.
    pub async fn begin_move(&mut self, run: &RunId, moved: &MovedMessage) -> StoreResult<bool> {
        let done = sqlx::query(
            "INSERT INTO moved_messages (run_id, list, place, folder, outcome, moved_by, at) VALUES ($1, $2, $3, $4, '', $5, $6)
             ON CONFLICT (run_id, list, place) DO UPDATE SET folder = excluded.folder, outcome = '', moved_by = excluded.moved_by, at = excluded.at
             WHERE moved_messages.outcome NOT IN ('', 'done') OR (moved_messages.outcome = '' AND moved_messages.at <= $7)",
        )
        .bind(run.as_str())
        .bind(moved.list.as_str())
        .bind(moved.place)
        .bind(moved.folder.as_str())
        .bind(moved.by.as_str())
        .bind(moved.at.0)
        .bind(moved.at.plus(-STALE).0)
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Writes down what became of it.
    pub async fn end_move(&mut self, run: &RunId, moved: &MovedMessage, fate: Fate) -> StoreResult<()> {
        sqlx::query("UPDATE moved_messages SET outcome = $4 WHERE run_id = $1 AND list = $2 AND place = $3 AND outcome = '' AND at = $5")
            .bind(run.as_str())
            .bind(moved.list.as_str())
            .bind(moved.place)
            .bind(fate.as_str())
            .bind(moved.at.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Nothing was changed: it is as it was `before`, and can be moved again.
    pub async fn take_back_move(&mut self, run: &RunId, moved: &MovedMessage, before: Option<&MovedMessage>) -> StoreResult<()> {
        let query = match before {
            None => sqlx::query("DELETE FROM moved_messages WHERE run_id = $1 AND list = $2 AND place = $3 AND outcome = '' AND at = $4"),
            Some(_) => sqlx::query(
                "UPDATE moved_messages SET folder = $5, outcome = $6, moved_by = $7, at = $8
                 WHERE run_id = $1 AND list = $2 AND place = $3 AND outcome = '' AND at = $4",
            ),
        };
        let mut query = query
            .bind(run.as_str())
            .bind(moved.list.as_str())
            .bind(moved.place)
            .bind(moved.at.0);
        if let Some(before) = before {
            let fate = before.fate.map_or("", Fate::as_str);
            query = query
                .bind(before.folder.as_str())
                .bind(fate)
                .bind(before.by.as_str())
                .bind(before.at.0);
        }
        query.write(self).await?;
        Ok(())
    }
}
