//! Messages of a run that somebody moved, or tried to.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::RunId;
use crate::model::words;

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
        rows.iter()
            .map(|row| {
                Ok(MovedMessage {
                    list: row.text("list")?,
                    place: row.int("place")?,
                    folder: row.text("folder")?,
                    fate: Fate::parse(&row.text("outcome")?),
                    by: row.text("moved_by")?,
                    at: row.time("at")?,
                })
            })
            .collect()
    }
}

impl Tx {
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

    /// Writes down what became of it; none: nothing was changed, and it can be moved again.
    pub async fn end_move(&mut self, run: &RunId, moved: &MovedMessage, fate: Option<Fate>) -> StoreResult<()> {
        let sql = match fate {
            Some(_) => "UPDATE moved_messages SET outcome = $4 WHERE run_id = $1 AND list = $2 AND place = $3 AND outcome = '' AND at = $5",
            None => "DELETE FROM moved_messages WHERE run_id = $1 AND list = $2 AND place = $3 AND outcome = '' AND $4 = '' AND at = $5",
        };
        sqlx::query(sql)
            .bind(run.as_str())
            .bind(moved.list.as_str())
            .bind(moved.place)
            .bind(fate.map_or("", Fate::as_str))
            .bind(moved.at.0)
            .write(self)
            .await?;
        Ok(())
    }
}
