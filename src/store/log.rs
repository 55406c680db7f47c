//! Entries of the system log, in pages.

use super::slices::{COUNTED, Found, LOOKED, Numbered, Part, Place, Slice, containing, merged, narrowed, planned_anew};
use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::log::{Area, Level, LogEntry, first_number};
use sqlx::any::AnyRow;

/// Which entries a page shows. Empty text and none: not filtered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// From this second on.
    pub from: Option<Timestamp>,
    /// Before this second.
    pub until: Option<Timestamp>,
    /// This grave or graver.
    pub level: Option<Level>,
    /// Only this area.
    pub area: Option<Area>,
    /// Only about one of these (`noun:name`).
    pub subjects: Vec<String>,
    /// Only of this run.
    pub run: String,
    /// Part of the message, the subject or the details.
    pub text: String,
}

/// Which index answers: what it holds is in order of the numbers, so the best one needs no sorting.
#[derive(Clone, Copy)]
enum Index<'a> {
    All,
    Run(&'a str),
    Subject(&'a str),
    Area(Area, Level),
}

/// A statement for each index and direction. $1 and $2 are what the index is asked for, $3 and $4 the least number and the one beyond the
/// last.
macro_rules! indexed {
    ($index:expr, $upwards:expr, $statement:ident) => {
        match ($index, $upwards) {
            (Index::All, false) => $statement!("$1 = $1 AND $2 = $2", "DESC"),
            (Index::All, true) => $statement!("$1 = $1 AND $2 = $2", "ASC"),
            (Index::Run(_), false) => $statement!("run_id = $1 AND $2 = $2", "DESC"),
            (Index::Run(_), true) => $statement!("run_id = $1 AND $2 = $2", "ASC"),
            (Index::Subject(_), false) => $statement!("subject = $1 AND $2 = $2", "DESC"),
            (Index::Subject(_), true) => $statement!("subject = $1 AND $2 = $2", "ASC"),
            (Index::Area(..), false) => $statement!("area = $1 AND level = $2", "DESC"),
            (Index::Area(..), true) => $statement!("area = $1 AND level = $2", "ASC"),
        }
    };
}

/// The number of the last row that is looked at; $5 is how many are looked at before it.
macro_rules! end {
    ($index:literal, $order:literal) => {
        concat!(
            "SELECT id FROM log WHERE ",
            $index,
            " AND id >= $3 AND id < $4 ORDER BY id ",
            $order,
            " LIMIT 1 OFFSET $5"
        )
    };
}

/// What no index answers; parameters $5 to $10.
macro_rules! rest {
    () => {
        "($5 = '' OR run_id = $5) AND ($6 = '' OR subject = $6 OR subject = $7) AND ($8 = '' OR area = $8) AND level <= $9
         AND ($10 = '' OR LOWER(message) LIKE $10 ESCAPE '!' OR LOWER(details) LIKE $10 ESCAPE '!' OR subject LIKE $10 ESCAPE '!')"
    };
}

/// The rows of a page; $11 is their number.
macro_rules! rows {
    ($index:literal, $order:literal) => {
        concat!(
            "SELECT id, at, level, area, subject, message, details, run_id FROM log WHERE ",
            $index,
            " AND id >= $3 AND id < $4 AND ",
            rest!(),
            " ORDER BY id ",
            $order,
            " LIMIT $11"
        )
    };
}

/// How many rows an index holds, up to $5; no row has to be read for it.
macro_rules! held {
    ($index:literal, $order:literal) => {
        concat!(
            "SELECT COUNT(*) FROM (SELECT id FROM log WHERE ",
            $index,
            " AND id >= $3 AND id < $4 ORDER BY id ",
            $order,
            " LIMIT $5) AS held"
        )
    };
}

/// How many rows are looked at, and how many of them are found; $11 is the most that are looked at.
macro_rules! count {
    ($index:literal, $order:literal) => {
        concat!(
            "SELECT COUNT(*) AS looked, COALESCE(SUM(CASE WHEN ",
            rest!(),
            " THEN 1 ELSE 0 END), 0) AS found FROM (SELECT level, area, subject, message, details, run_id FROM log WHERE ",
            $index,
            " AND id >= $3 AND id < $4 ORDER BY id ",
            $order,
            " LIMIT $11) AS looked_at"
        )
    };
}

impl LogFilter {
    /// The indexes that find everything, each row once.
    fn indexes(&self) -> Vec<Index<'_>> {
        let all_areas = self.level.is_none_or(|level| level == Level::Info) && self.area.is_none();
        if !self.run.is_empty() {
            vec![Index::Run(&self.run)]
        } else if !self.subjects.is_empty() {
            self.subjects.iter().map(|subject| Index::Subject(subject)).collect()
        } else if all_areas {
            vec![Index::All]
        } else {
            let areas = Area::ALL
                .iter()
                .copied()
                .filter(|area| self.area.is_none_or(|wanted| wanted == *area));
            let levels = || Level::ALL.iter().copied().filter(|level| self.is_grave(*level));
            areas.flat_map(|area| levels().map(move |level| Index::Area(area, level))).collect()
        }
    }

    fn is_grave(&self, level: Level) -> bool {
        level.rank() <= self.level.unwrap_or(Level::Info).rank()
    }

    /// Whether there is more to a row than its index says.
    fn has_rest(&self) -> bool {
        let by_name = !self.run.is_empty() || !self.subjects.is_empty();
        !self.text.trim().is_empty()
            || (!self.run.is_empty() && !self.subjects.is_empty())
            || (by_name && (self.area.is_some() || self.level.is_some()))
    }

    /// The least number, and the one beyond the last.
    fn range(&self) -> (i64, i64) {
        (self.from.map_or(i64::MIN, first_number), self.until.map_or(i64::MAX, first_number))
    }
}

impl Index<'_> {
    fn asked(&self) -> (&str, i64) {
        match self {
            Self::All => ("", 0),
            Self::Run(text) | Self::Subject(text) => (text, 0),
            Self::Area(area, level) => (area.as_str(), level.rank()),
        }
    }
}

impl Numbered for LogEntry {
    fn number(&self) -> i64 {
        self.id
    }
}

/// Binds what [`rest`] wants.
macro_rules! bound {
    ($query:expr, $filter:expr) => {
        $query
            .bind($filter.run.clone())
            .bind($filter.subjects.first().cloned().unwrap_or_default())
            .bind($filter.subjects.get(1).or($filter.subjects.first()).cloned().unwrap_or_default())
            .bind($filter.area.map_or("", Area::as_str))
            .bind($filter.level.unwrap_or(Level::Info).rank())
            .bind(containing(&$filter.text))
    };
}

impl Store {
    /// One page, newest first.
    pub async fn log_page(&self, filter: &LogFilter, place: Place, limit: usize) -> StoreResult<Slice<LogEntry>> {
        let (least, beyond, upwards) = place.within(filter.range());
        let mut parts = Vec::new();
        for index in filter.indexes() {
            let (text, number) = index.asked();
            let reached: Option<i64> = if filter.has_rest() {
                planned_anew!(sqlx::query_scalar(indexed!(index, upwards, end)))
                    .bind(text)
                    .bind(number)
                    .bind(least)
                    .bind(beyond)
                    .bind(LOOKED - 1)
                    .fetch_optional(self.pool())
                    .await?
            } else {
                None
            };
            let (least, beyond) = narrowed((least, beyond), reached, upwards);
            let query = planned_anew!(sqlx::query(indexed!(index, upwards, rows)))
                .bind(text)
                .bind(number)
                .bind(least)
                .bind(beyond);
            let rows = bound!(query, filter)
                .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
                .fetch_all(self.pool())
                .await?;
            let rows = rows.iter().map(entry).collect::<StoreResult<Vec<_>>>()?;
            parts.push(Part { rows, reached });
        }
        Ok(merged(parts, upwards, limit))
    }

    /// How many entries a filter finds; `newer` than the one of this number, where there is one.
    pub async fn count_log(&self, filter: &LogFilter, newer: Option<i64>) -> StoreResult<Found> {
        let (least, beyond, upwards) = newer.map_or(Place::Newest, Place::NewerThan).within(filter.range());
        let mut all = Found { rows: 0, exact: true };
        for index in filter.indexes() {
            let (text, number) = index.asked();
            if !filter.has_rest() {
                let held: i64 = planned_anew!(sqlx::query_scalar(indexed!(index, upwards, held)))
                    .bind(text)
                    .bind(number)
                    .bind(least)
                    .bind(beyond)
                    .bind(COUNTED)
                    .fetch_one(self.pool())
                    .await?;
                all.rows += held;
                all.exact &= held < COUNTED;
                continue;
            }
            let query = planned_anew!(sqlx::query(indexed!(index, upwards, count)))
                .bind(text)
                .bind(number)
                .bind(least)
                .bind(beyond);
            let row = bound!(query, filter).bind(COUNTED).fetch_one(self.pool()).await?;
            all.rows += row.int("found")?;
            all.exact &= row.int("looked")? < COUNTED;
        }
        Ok(all)
    }

    /// When the oldest entry is from.
    pub async fn oldest_log(&self) -> StoreResult<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("SELECT at FROM log ORDER BY id LIMIT 1")
            .fetch_optional(self.pool())
            .await?;
        Ok(at.map(Timestamp))
    }

    /// Adds entries, all or none; says how many: not one whose number is taken.
    pub async fn insert_log(&self, entries: &[LogEntry]) -> StoreResult<u64> {
        let mut tx = self.begin().await?;
        let mut added = 0;
        for entry in entries {
            let done = sqlx::query(
                "INSERT INTO log (id, at, level, area, subject, message, details, run_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(entry.id)
            .bind(entry.at.0)
            .bind(entry.level.rank())
            .bind(entry.area.as_str())
            .bind(&entry.subject)
            .bind(&entry.message)
            .bind(super::to_json(&entry.details))
            .bind(&entry.run)
            .write(&mut tx)
            .await?;
            added += done;
        }
        tx.commit().await?;
        Ok(added)
    }
}

impl Tx {
    /// Deletes so many of the entries before a moment; says how many.
    pub async fn prune_log(&mut self, before: Timestamp, most: i64) -> StoreResult<u64> {
        let statement = "DELETE FROM log WHERE id IN (SELECT id FROM log WHERE id < $1 ORDER BY id LIMIT $2)";
        self.prune(&[statement], first_number(before), most).await
    }
}

fn entry(row: &AnyRow) -> StoreResult<LogEntry> {
    Ok(LogEntry {
        id: row.int("id")?,
        at: row.time("at")?,
        level: Level::from_rank(row.int("level")?),
        area: Area::parse(&row.text("area")?).unwrap_or(Area::Console),
        subject: row.text("subject")?,
        message: row.text("message")?,
        details: serde_json::from_str(&row.text("details")?).unwrap_or_default(),
        run: row.text("run_id")?,
    })
}
