//! Audit entries: append only, gapless, each bound to the one before by an HMAC (AUD-1 to AUD-3).

mod chain;
mod pages;

pub use chain::{Held, Trim};
pub use pages::AuditFilter;

use super::{Columns, Engine, Store, StoreError, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::audit::{Actor, AuditEntry, AuditRow};
use crate::random::hex;
use aws_lc_rs::hmac;
use sqlx::any::AnyRow;

/// Characters of a detail that are kept.
const DETAIL_LIMIT: usize = 1000;

/// What keeps SQLite from deleting entries.
const DELETE_GUARD: &str =
    "CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit entries are append only'); END";

/// Entries after a number, oldest first.
const COLUMNS_FROM: &str = "SELECT sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash
     FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2";

impl Tx {
    /// Appends an entry when the transaction is committed, and with it. The head of the log is what every writer waits for, so it is taken
    /// last, after all rows: whoever has it waits for nobody.
    pub async fn audit(&mut self, now: Timestamp, actor: &Actor, entry: AuditEntry) -> StoreResult<()> {
        if self.audit_key.is_none() {
            return Err(StoreError::Unusable("the audit key is not loaded".into()));
        }
        self.entries.push(AuditRow {
            sequence: 0,
            at: now,
            actor: actor.id.clone(),
            action: entry.action.to_owned(),
            target: entry.target,
            detail: entry.detail.chars().take(DETAIL_LIMIT).collect(),
            outcome: entry.outcome.to_owned(),
            address: actor.address.clone(),
            request_id: actor.request_id.clone(),
            session: actor.session.clone(),
            hash: String::new(),
        });
        Ok(())
    }

    /// Waits until nobody else is between this and the commit: for who has written something and then looks at what others wrote at the
    /// same moment. Only reads and the commit may follow, for it is the lock that is taken last (PostgreSQL).
    pub(super) async fn alone(&mut self) -> StoreResult<()> {
        if self.has_others_beside() {
            sqlx::query("UPDATE audit_head SET sequence = sequence WHERE id = 1")
                .write(self)
                .await?;
        }
        Ok(())
    }

    /// Writes the entries of this transaction behind the newest one.
    pub(super) async fn append_entries(&mut self) -> StoreResult<()> {
        let entries = std::mem::take(&mut self.entries);
        let (Some(key), false) = (self.audit_key.clone(), entries.is_empty()) else {
            return Ok(());
        };
        let number = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        // The update takes the head's row lock, so that two writers cannot take one number (PostgreSQL).
        let head = sqlx::query("UPDATE audit_head SET sequence = sequence + $1 WHERE id = 1 RETURNING sequence, hash")
            .bind(number)
            .fetch_one(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        let (first, mut previous) = (head.int("sequence")? - number + 1, head.text("hash")?);
        for (sequence, mut row) in (first..).zip(entries) {
            row.sequence = sequence;
            row.hash = link(&key, &previous, &row);
            sqlx::query(
                "INSERT INTO audit (sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(row.sequence)
            .bind(row.at.0)
            .bind(&row.actor)
            .bind(&row.action)
            .bind(&row.target)
            .bind(&row.detail)
            .bind(&row.outcome)
            .bind(&row.address)
            .bind(&row.request_id)
            .bind(&row.session)
            .bind(&row.hash)
            .write(self)
            .await
            .map_err(|error| match error {
                StoreError::Taken => StoreError::Unusable(format!(
                    "the audit log has an entry {sequence} that the console didn't write; mailgrant audit verify says more"
                )),
                other => other,
            })?;
            previous = row.hash;
        }
        sqlx::query("UPDATE audit_head SET hash = $1 WHERE id = 1")
            .bind(previous)
            .write(self)
            .await?;
        Ok(())
    }
}

impl Store {
    /// Appends an entry by itself: for refusals and for what is handed out without any other change.
    pub async fn audit(&self, now: Timestamp, actor: &Actor, entry: AuditEntry) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        tx.audit(now, actor, entry).await?;
        tx.commit().await
    }

    /// The newest entries, newest first.
    pub async fn audit_rows(&self, limit: i64) -> StoreResult<Vec<AuditRow>> {
        let rows = sqlx::query(
            "SELECT sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash FROM audit ORDER BY sequence DESC LIMIT $1",
        )
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(audit_row).collect()
    }

    /// The newest entries of some actions, newest first: the newest of each from its index, however many there are of others.
    pub async fn audit_rows_of_actions(&self, actions: &[&str], limit: i64) -> StoreResult<Vec<AuditRow>> {
        // What was ever done is found by leaps through the index of actions.
        let rows = sqlx::query(
            "WITH RECURSIVE done(action) AS (
                 SELECT MIN(action) FROM audit
                 UNION ALL
                 SELECT (SELECT MIN(a.action) FROM audit a WHERE a.action > done.action) FROM done WHERE done.action IS NOT NULL
             ), wanted AS (
                 SELECT d.action AS action, (SELECT a.sequence FROM audit a WHERE a.action = d.action ORDER BY a.sequence DESC LIMIT 1 OFFSET $2) AS oldest
                 FROM done d WHERE $1 LIKE '%,' || d.action || ',%'
             )
             SELECT a.sequence, a.at, a.actor, a.action, a.target, a.detail, a.outcome, a.address, a.request_id, a.session, a.hash
             FROM wanted w CROSS JOIN audit a WHERE a.action = w.action AND a.sequence > COALESCE(w.oldest, 0) ORDER BY a.sequence DESC LIMIT $2",
        )
        .bind(format!(",{},", actions.join(",")))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(audit_row).collect()
    }

    /// The newest entries about one thing, `mailbox:support`, newest first.
    pub async fn audit_rows_of(&self, target: &str, limit: i64) -> StoreResult<Vec<AuditRow>> {
        let rows = sqlx::query(
            "SELECT sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash FROM audit
             WHERE target = $1 ORDER BY sequence DESC LIMIT $2",
        )
        .bind(target)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(audit_row).collect()
    }

    /// Makes the engine refuse changes of audit rows. Not a migration, because the text differs by engine.
    pub(super) async fn protect_audit(&self) -> StoreResult<()> {
        let statements: &[&'static str] = match self.engine {
            Engine::Sqlite => &[
                "CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit entries are append only'); END",
                DELETE_GUARD,
            ],
            Engine::Postgres => &[
                "CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''audit entries are append only''; END'",
                "CREATE OR REPLACE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only()",
            ],
        };
        if self.engine == Engine::Sqlite {
            for statement in statements {
                sqlx::query(*statement).execute(self.pool()).await.map_err(StoreError::from_write)?;
            }
            return Ok(());
        }
        // One at a time: PostgreSQL refuses the second of two that replace a function at once, and a console would not start.
        let mut tx = self.begin().await?;
        tx.alone().await?;
        for statement in statements {
            sqlx::query(*statement).write(&mut tx).await?;
        }
        tx.commit().await
    }
}

fn link(key: &hmac::Key, previous: &str, row: &AuditRow) -> String {
    let (sequence, at) = (row.sequence.to_string(), row.at.0.to_string());
    let mut context = hmac::Context::with_key(key);
    let mut parts = vec![
        previous,
        &sequence,
        &at,
        &row.actor,
        &row.action,
        &row.target,
        &row.detail,
        &row.outcome,
        &row.address,
        &row.request_id,
    ];
    // Rows from before sessions were noted have none, and keep their hash.
    if !row.session.is_empty() {
        parts.push(&row.session);
    }
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    hex(context.sign().as_ref())
}

fn audit_row(row: &AnyRow) -> StoreResult<AuditRow> {
    Ok(AuditRow {
        sequence: row.int("sequence")?,
        at: row.time("at")?,
        actor: row.text("actor")?,
        action: row.text("action")?,
        target: row.text("target")?,
        detail: row.text("detail")?,
        outcome: row.text("outcome")?,
        address: row.text("address")?,
        request_id: row.text("request_id")?,
        session: row.text("session")?,
        hash: row.text("hash")?,
    })
}
