//! The audit log in pages.

use super::audit_row;
use crate::clock::Timestamp;
use crate::model::audit::AuditRow;
use crate::store::slices::{COUNTED, Found, LOOKED, Numbered, Part, Place, Slice, merged, narrowed, planned_anew};
use crate::store::{Columns, Store, StoreResult};

/// Which entries a page shows. Empty text and none: not filtered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// From this second on.
    pub from: Option<Timestamp>,
    /// Before this second.
    pub until: Option<Timestamp>,
    /// Only by this actor ([`crate::model::audit::Actor::id`]).
    pub actor: String,
    /// Only this action.
    pub action: String,
    /// Only on one of these (`noun:name`).
    pub targets: Vec<String>,
    /// Only from this client address.
    pub address: String,
}

/// Which index answers.
#[derive(Clone, Copy)]
enum Index<'a> {
    All,
    Target(&'a str),
    Actor(&'a str),
    Address(&'a str),
    Action(&'a str),
}

/// A statement for each index and direction. $1 is what the index is asked for, $2 and $3 the least number and the one beyond the last.
macro_rules! indexed {
    ($index:expr, $upwards:expr, $statement:ident) => {
        match ($index, $upwards) {
            (Index::All, false) => $statement!("$1 = $1", "DESC"),
            (Index::All, true) => $statement!("$1 = $1", "ASC"),
            (Index::Target(_), false) => $statement!("target = $1", "DESC"),
            (Index::Target(_), true) => $statement!("target = $1", "ASC"),
            (Index::Actor(_), false) => $statement!("actor = $1", "DESC"),
            (Index::Actor(_), true) => $statement!("actor = $1", "ASC"),
            (Index::Address(_), false) => $statement!("address = $1", "DESC"),
            (Index::Address(_), true) => $statement!("address = $1", "ASC"),
            (Index::Action(_), false) => $statement!("action = $1", "DESC"),
            (Index::Action(_), true) => $statement!("action = $1", "ASC"),
        }
    };
}

/// The number of the last row that is looked at; $4 is how many are looked at before it.
macro_rules! end {
    ($index:literal, $order:literal) => {
        concat!(
            "SELECT sequence FROM audit WHERE ",
            $index,
            " AND sequence >= $2 AND sequence < $3 ORDER BY sequence ",
            $order,
            " LIMIT 1 OFFSET $4"
        )
    };
}

/// What no index answers; parameters $4 to $8. The plus keeps the times from being taken for an index: the numbers say as much.
macro_rules! rest {
    () => {
        "($4 = '' OR actor = $4) AND ($5 = '' OR action = $5) AND ($6 = '' OR address = $6) AND +at >= $7 AND +at < $8"
    };
}

/// The rows of a page; $9 is their number.
macro_rules! rows {
    ($index:literal, $order:literal) => {
        concat!(
            "SELECT sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash FROM audit WHERE ",
            $index,
            " AND sequence >= $2 AND sequence < $3 AND ",
            rest!(),
            " ORDER BY sequence ",
            $order,
            " LIMIT $9"
        )
    };
}

/// How many rows an index holds, up to $4; no row has to be read for it.
macro_rules! held {
    ($index:literal, $order:literal) => {
        concat!(
            "SELECT COUNT(*) FROM (SELECT sequence FROM audit WHERE ",
            $index,
            " AND sequence >= $2 AND sequence < $3 ORDER BY sequence ",
            $order,
            " LIMIT $4) AS held"
        )
    };
}

/// How many rows are looked at, and how many of them are found; $9 is the most that are looked at.
macro_rules! count {
    ($index:literal, $order:literal) => {
        concat!(
            "SELECT COUNT(*) AS looked, COALESCE(SUM(CASE WHEN ",
            rest!(),
            " THEN 1 ELSE 0 END), 0) AS found FROM (SELECT at, actor, action, address FROM audit WHERE ",
            $index,
            " AND sequence >= $2 AND sequence < $3 ORDER BY sequence ",
            $order,
            " LIMIT $9) AS looked_at"
        )
    };
}

impl AuditFilter {
    /// The indexes that find everything, each row once: the one that usually holds least.
    fn indexes(&self) -> Vec<Index<'_>> {
        if !self.targets.is_empty() {
            self.targets.iter().map(|target| Index::Target(target)).collect()
        } else if !self.actor.is_empty() {
            vec![Index::Actor(&self.actor)]
        } else if !self.address.is_empty() {
            vec![Index::Address(&self.address)]
        } else if !self.action.is_empty() {
            vec![Index::Action(&self.action)]
        } else {
            vec![Index::All]
        }
    }

    /// Whether there is more to a row than its index says.
    fn has_rest(&self) -> bool {
        let asked = [
            !self.targets.is_empty(),
            !self.actor.is_empty(),
            !self.address.is_empty(),
            !self.action.is_empty(),
        ];
        asked.iter().filter(|asked| **asked).count() > 1
    }
}

impl Index<'_> {
    fn asked(&self) -> &str {
        match self {
            Self::All => "",
            Self::Target(text) | Self::Actor(text) | Self::Address(text) | Self::Action(text) => text,
        }
    }
}

impl Numbered for AuditRow {
    fn number(&self) -> i64 {
        self.sequence
    }
}

/// Binds what [`rest`] wants.
macro_rules! bound {
    ($query:expr, $filter:expr) => {
        $query
            .bind($filter.actor.clone())
            .bind($filter.action.clone())
            .bind($filter.address.clone())
            .bind($filter.from.map_or(i64::MIN, |at| at.0))
            .bind($filter.until.map_or(i64::MAX, |at| at.0))
    };
}

impl Store {
    /// One page, newest first.
    pub async fn audit_page(&self, filter: &AuditFilter, place: Place, limit: usize) -> StoreResult<Slice<AuditRow>> {
        let (least, beyond, upwards) = place.within(self.audit_range(filter).await?);
        let mut parts = Vec::new();
        for index in filter.indexes() {
            let reached: Option<i64> = if filter.has_rest() {
                planned_anew!(sqlx::query_scalar(indexed!(index, upwards, end)))
                    .bind(index.asked())
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
                .bind(index.asked())
                .bind(least)
                .bind(beyond);
            let rows = bound!(query, filter)
                .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
                .fetch_all(self.pool())
                .await?;
            let rows = rows.iter().map(audit_row).collect::<StoreResult<Vec<_>>>()?;
            parts.push(Part { rows, reached });
        }
        Ok(merged(parts, upwards, limit))
    }

    /// How many entries a filter finds.
    pub async fn count_audit(&self, filter: &AuditFilter) -> StoreResult<Found> {
        let (least, beyond) = self.audit_range(filter).await?;
        let mut all = Found { rows: 0, exact: true };
        for index in filter.indexes() {
            if !filter.has_rest() && filter.from.is_none() && filter.until.is_none() {
                let held: i64 = planned_anew!(sqlx::query_scalar(indexed!(index, false, held)))
                    .bind(index.asked())
                    .bind(least)
                    .bind(beyond)
                    .bind(COUNTED)
                    .fetch_one(self.pool())
                    .await?;
                all.rows += held;
                all.exact &= held < COUNTED;
                continue;
            }
            let query = planned_anew!(sqlx::query(indexed!(index, false, count)))
                .bind(index.asked())
                .bind(least)
                .bind(beyond);
            let row = bound!(query, filter).bind(COUNTED).fetch_one(self.pool()).await?;
            all.rows += row.int("found")?;
            all.exact &= row.int("looked")? < COUNTED;
        }
        Ok(all)
    }

    /// The numbers between which the entries of a time lie. Numbers follow the time but where a clock was turned: so the least of many that
    /// come first by their time, and the last of many that come last.
    async fn audit_range(&self, filter: &AuditFilter) -> StoreResult<(i64, i64)> {
        let least = match filter.from {
            None => Some(i64::MIN),
            Some(from) => {
                sqlx::query_scalar(
                    "SELECT MIN(sequence) FROM (SELECT sequence FROM audit WHERE at >= $1 ORDER BY at, sequence LIMIT 20000) AS early",
                )
                .bind(from.0)
                .fetch_one(self.pool())
                .await?
            }
        };
        let last = match filter.until {
            None => Some(i64::MAX),
            Some(until) => sqlx::query_scalar(
                "SELECT MAX(sequence) FROM (SELECT sequence FROM audit WHERE at < $1 ORDER BY at DESC, sequence DESC LIMIT 20000) AS late",
            )
            .bind(until.0)
            .fetch_one(self.pool())
            .await?,
        };
        Ok(match (least, last) {
            (Some(least), Some(last)) => (least, last.saturating_add(1)),
            _ => (0, 0),
        })
    }

    /// When the oldest entry is from.
    pub async fn oldest_audit(&self) -> StoreResult<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("SELECT at FROM audit ORDER BY sequence LIMIT 1")
            .fetch_optional(self.pool())
            .await?;
        Ok(at.map(Timestamp))
    }
}
