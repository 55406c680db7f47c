//! What people bring along: previews, what is written of them part by part, what it takes to undo that, and which mailboxes came by it.

use super::{Columns, Store, StoreError, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::{MailboxId, ProviderId, Sealed, TokenId, UserId};
use sqlx::any::AnyRow;

/// How many previews that wait does one person have? The oldest goes.
const MOST_WAITING: i64 = 20;
/// For how many seconds is it known which mailboxes came in an import?
pub const KNOWN: i64 = 90 * 24 * 3600;

/// An import, from its preview on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Row id.
    pub id: String,
    /// Whose. Nobody else sees it.
    pub user_id: UserId,
    /// What was brought along; once begun, what is to be written. Empty when all of it is.
    pub sealed: Sealed,
    /// When it came.
    pub created_at: Timestamp,
    /// Until when it is kept.
    pub expires_at: Timestamp,
    /// When its first part was begun.
    pub begun_at: Option<Timestamp>,
    /// How many entries are done.
    pub done: i64,
    /// When its last part was written.
    pub applied_at: Option<Timestamp>,
    /// When that was undone.
    pub undone_at: Option<Timestamp>,
    /// What became of it, as JSON without secrets; before it is begun, what it is written in.
    pub report: String,
}

/// Who writes or undoes an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    /// The instance.
    pub owner: String,
    /// How many entries that is.
    pub total: i64,
    /// Whether it is being undone.
    pub is_undo: bool,
}

/// An import as a filter of the list offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Id of the import.
    pub id: String,
    /// When the last of its mailboxes came.
    pub at: Timestamp,
    /// How many mailboxes of it there are.
    pub mailboxes: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, sealed, created_at, expires_at, begun_at, done, applied_at, undone_at, report FROM imports ",
            $rest
        )
    };
}

fn import(row: &AnyRow) -> StoreResult<ImportRow> {
    Ok(ImportRow {
        id: row.text("id")?,
        user_id: UserId(row.text("user_id")?),
        sealed: Sealed(row.text("sealed")?),
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        begun_at: row.maybe_time("begun_at")?,
        done: row.int("done")?,
        applied_at: row.maybe_time("applied_at")?,
        undone_at: row.maybe_time("undone_at")?,
        report: row.text("report")?,
    })
}

impl Store {
    /// An import of a person.
    pub async fn import(&self, user: &UserId, id: &str) -> StoreResult<Option<ImportRow>> {
        let row = sqlx::query(select!("WHERE id = $1 AND user_id = $2"))
            .bind(id)
            .bind(user.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(import).transpose()
    }

    /// The imports of a person, newest first, without what is sealed of them.
    pub async fn imports_of(&self, user: &UserId, now: Timestamp) -> StoreResult<Vec<ImportRow>> {
        let rows = sqlx::query(
            "SELECT id, user_id, '' AS sealed, created_at, expires_at, begun_at, done, applied_at, undone_at,
             CASE WHEN begun_at IS NULL THEN report ELSE '' END AS report
             FROM imports WHERE user_id = $1 AND expires_at > $2 ORDER BY created_at DESC, id DESC LIMIT 20",
        )
        .bind(user.as_str())
        .bind(now.0)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(import).collect()
    }

    /// Keeps an import until it is applied; the oldest of too many goes.
    pub async fn insert_import(&self, row: &ImportRow) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "DELETE FROM imports WHERE user_id = $1 AND begun_at IS NULL AND id NOT IN
             (SELECT id FROM imports WHERE user_id = $1 AND begun_at IS NULL ORDER BY created_at DESC, id DESC LIMIT $2)",
        )
        .bind(row.user_id.as_str())
        .bind(MOST_WAITING - 1)
        .write(&mut tx)
        .await?;
        sqlx::query("INSERT INTO imports (id, user_id, sealed, created_at, expires_at, report) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(&row.id)
            .bind(row.user_id.as_str())
            .bind(&row.sealed.0)
            .bind(row.created_at.0)
            .bind(row.expires_at.0)
            .bind(&row.report)
            .write(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Throws a preview away.
    pub async fn delete_import(&self, user: &UserId, id: &str) -> StoreResult<()> {
        sqlx::query("DELETE FROM imports WHERE id = $1 AND user_id = $2 AND begun_at IS NULL")
            .bind(id)
            .bind(user.as_str())
            .execute(self.pool())
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// The last part of an import that was not undone, with its number; none if there is none.
    pub async fn last_part(&self, id: &str) -> StoreResult<Option<(i64, Sealed)>> {
        let row = sqlx::query("SELECT part, sealed FROM import_parts WHERE import_id = $1 ORDER BY part DESC LIMIT 1")
            .bind(id)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| Ok((row.int("part")?, Sealed(row.text("sealed")?)))).transpose()
    }

    /// Who works on an import, as far as it lives; none where nobody does.
    pub async fn import_at_work(&self, id: &str, own: &str) -> StoreResult<Option<AtWork>> {
        let row = sqlx::query(
            "SELECT owner, owner_total, owner_undo FROM imports
             WHERE id = $1 AND owner IS NOT NULL AND (owner = $2 OR owner IN (SELECT id FROM instances))",
        )
        .bind(id)
        .bind(own)
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            Ok(AtWork {
                owner: row.text("owner")?,
                total: row.int("owner_total")?,
                is_undo: row.flag("owner_undo")?,
            })
        })
        .transpose()
    }

    /// Takes an import up, or undoing it; `false` where another instance that lives is at it.
    pub async fn take_import(&self, id: &str, work: &AtWork) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE imports SET owner = $2, owner_total = $3, owner_undo = $4, failed = NULL
             WHERE id = $1 AND (owner IS NULL OR owner = $2 OR owner NOT IN (SELECT id FROM instances))",
        )
        .bind(id)
        .bind(&work.owner)
        .bind(work.total)
        .bind(i64::from(work.is_undo))
        .write(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(done == 1)
    }

    /// Work on an import ended, with the reason where not all was done.
    pub async fn leave_import(&self, id: &str, owner: &str, failed: Option<&str>) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE imports SET owner = NULL, failed = $3 WHERE id = $1 AND owner = $2")
            .bind(id)
            .bind(owner)
            .bind(failed)
            .write(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Why work on an import stopped the last time; none where it did not. It stays until somebody begins anew.
    pub async fn import_failure(&self, id: &str) -> StoreResult<Option<String>> {
        let failed: Option<Option<String>> = sqlx::query_scalar("SELECT failed FROM imports WHERE id = $1")
            .bind(id)
            .fetch_optional(self.pool())
            .await?;
        Ok(failed.flatten())
    }

    /// Whether an import was undone, whoever made it; false too if it is gone.
    pub async fn is_undone_import(&self, id: &str) -> StoreResult<bool> {
        let row = sqlx::query("SELECT id FROM imports WHERE id = $1 AND undone_at IS NOT NULL")
            .bind(id)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.is_some())
    }

    /// The last imports that brought mailboxes, newest first.
    pub async fn imported(&self) -> StoreResult<Vec<Imported>> {
        let rows = sqlx::query(
            "SELECT import_id, MAX(imported_at) AS at, COUNT(*) AS mailboxes FROM imported_mailboxes
             GROUP BY import_id ORDER BY MAX(imported_at) DESC, import_id LIMIT 20",
        )
        .fetch_all(self.pool())
        .await?;
        let one = |row: &AnyRow| {
            Ok(Imported {
                id: row.text("import_id")?,
                at: row.time("at")?,
                mailboxes: row.int("mailboxes")?,
            })
        };
        rows.iter().map(one).collect()
    }
}

/// One entry as an import left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryId<'a> {
    /// A provider.
    Provider(&'a ProviderId),
    /// A token.
    Token(&'a TokenId),
    /// A mailbox.
    Mailbox(&'a MailboxId),
}

impl Tx {
    /// Begins an import that waits: what is to be written takes the place of what was brought along. False if it was begun before, or
    /// is gone.
    pub async fn begin_import(
        &mut self,
        id: &str,
        sealed: &Sealed,
        report: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE imports SET begun_at = $2, sealed = $3, report = $4, expires_at = $5
             WHERE id = $1 AND begun_at IS NULL AND applied_at IS NULL AND expires_at > $2",
        )
        .bind(id)
        .bind(now.0)
        .bind(&sealed.0)
        .bind(report)
        .bind(expires_at.0)
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Notes that an import is at `done` now and was at `before`, and how to undo what was written since; false if it was elsewhere.
    pub async fn advance_import(&mut self, id: &str, before: i64, done: i64, report: &str, undo: &Sealed) -> StoreResult<bool> {
        let moved = sqlx::query(
            "UPDATE imports SET done = $3, report = $4 WHERE id = $1 AND done = $2 AND begun_at IS NOT NULL AND applied_at IS NULL AND undone_at IS NULL",
        )
        .bind(id)
        .bind(before)
        .bind(done)
        .bind(report)
        .write(self)
        .await?;
        if moved != 1 {
            return Ok(false);
        }
        sqlx::query("INSERT INTO import_parts (import_id, part, sealed) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(before)
            .bind(&undo.0)
            .write(self)
            .await?;
        Ok(true)
    }

    /// All of an import is written: what was to be written is forgotten.
    pub async fn finish_import(&mut self, id: &str, now: Timestamp, expires_at: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE imports SET applied_at = $2, expires_at = $3, sealed = '' WHERE id = $1")
            .bind(id)
            .bind(now.0)
            .bind(expires_at.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Forgets a part of an import that is undone; false if it was before.
    pub async fn take_part(&mut self, id: &str, part: i64, report: &str) -> StoreResult<bool> {
        let done = sqlx::query("DELETE FROM import_parts WHERE import_id = $1 AND part = $2")
            .bind(id)
            .bind(part)
            .write(self)
            .await?;
        sqlx::query("UPDATE imports SET report = $2 WHERE id = $1")
            .bind(id)
            .bind(report)
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// Marks an import as undone, and forgets what was still to be written and which mailboxes came by it; false if it was before, or
    /// was never begun.
    pub async fn undone_import(&mut self, id: &str, now: Timestamp) -> StoreResult<bool> {
        let done =
            sqlx::query("UPDATE imports SET undone_at = $2, sealed = '' WHERE id = $1 AND begun_at IS NOT NULL AND undone_at IS NULL")
                .bind(id)
                .bind(now.0)
                .write(self)
                .await?;
        sqlx::query("DELETE FROM imported_mailboxes WHERE import_id = $1")
            .bind(id)
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// Notes that a mailbox came or changed in an import.
    pub async fn note_imported(&mut self, id: &str, mailbox: &MailboxId, now: Timestamp) -> StoreResult<()> {
        sqlx::query("INSERT INTO imported_mailboxes (import_id, mailbox_id, imported_at) VALUES ($1, $2, $3) ON CONFLICT (import_id, mailbox_id) DO NOTHING")
            .bind(id)
            .bind(mailbox.as_str())
            .bind(now.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// The version of an entry as it stands within the transaction; none if it is gone.
    pub async fn version_of(&mut self, entry: EntryId<'_>) -> StoreResult<Option<i64>> {
        let (sql, id) = match entry {
            EntryId::Provider(id) => ("SELECT version FROM providers WHERE id = $1", id.as_str()),
            EntryId::Token(id) => ("SELECT version FROM tokens WHERE id = $1", id.as_str()),
            EntryId::Mailbox(id) => ("SELECT version FROM mailboxes WHERE id = $1", id.as_str()),
        };
        let row = sqlx::query(sql).bind(id).fetch_optional(&mut ***self).await?;
        row.map(|row| row.int("version")).transpose()
    }

    /// Whether something hangs on an entry: tokens on a provider, mailboxes on a token.
    pub async fn is_used(&mut self, entry: EntryId<'_>) -> StoreResult<bool> {
        let (sql, id) = match entry {
            EntryId::Provider(id) => ("SELECT 1 FROM tokens WHERE provider_id = $1 LIMIT 1", id.as_str()),
            EntryId::Token(id) => (
                "SELECT 1 FROM mailboxes WHERE incoming_token_id = $1 OR outgoing_token_id = $1 LIMIT 1",
                id.as_str(),
            ),
            EntryId::Mailbox(_) => return Ok(false),
        };
        Ok(sqlx::query(sql).bind(id).fetch_optional(&mut ***self).await?.is_some())
    }
}
