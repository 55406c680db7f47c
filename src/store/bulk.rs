//! Acts on many mailboxes at once: what was done, which mailboxes are left, and what it changed, so that it can be undone. An act is in
//! the hands of one instance; what one had that is gone is found here.

use super::batches::{Chosen, among, bind_chosen};
use super::changes::touched;
use super::mailbox_list::filtered;
use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::{MailboxId, UserId};
use sqlx::any::AnyRow;

/// An act on many mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkAct {
    /// Id, in its address.
    pub id: String,
    /// `turn-on`, `pause`, `add-tag` or `remove-tag`.
    pub act: String,
    /// The tag, where it is about one.
    pub tag: String,
    /// Who did it: they alone may undo it.
    pub user_id: UserId,
    /// The same for the audit, as JSON.
    pub actor: String,
    /// Who wants it undone, for the audit, as JSON; none: nobody.
    pub undo_actor: Option<String>,
    /// When.
    pub started_at: Timestamp,
    /// When it was through; none: it goes on.
    pub finished_at: Option<Timestamp>,
    /// When it was undone.
    pub undone_at: Option<Timestamp>,
    /// How many mailboxes were meant.
    pub mailboxes: i64,
    /// How many of them it changed so far.
    pub changed: i64,
    /// How many of those were made as they were.
    pub undone: i64,
    /// How many of those were left, because somebody changed them since.
    pub kept: i64,
    /// How many could not be read.
    pub unread: i64,
}

impl BulkAct {
    /// Whether it is being undone now.
    pub fn is_being_undone(&self) -> bool {
        self.undo_actor.is_some() && self.undone_at.is_none()
    }

    /// Whether anything of it is still to be done.
    pub fn is_open(&self) -> bool {
        self.finished_at.is_none() || self.is_being_undone()
    }
}

/// How the mailboxes of a piece of work came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BulkCounts {
    /// Changed.
    pub changed: i64,
    /// Made as they were.
    pub undone: i64,
    /// Left, because somebody changed them since.
    pub kept: i64,
    /// Not readable.
    pub unread: i64,
}

impl Store {
    /// An act.
    pub async fn bulk_act(&self, id: &str) -> StoreResult<Option<BulkAct>> {
        let row = sqlx::query(
            "SELECT id, act, tag, user_id, actor, undo_actor, started_at, finished_at, undone_at, mailboxes, changed, undone, kept, unread
             FROM bulk_acts WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(self.pool())
        .await?;
        row.as_ref().map(act).transpose()
    }

    /// Acts that are to be done or undone further and that `owner` has, or nobody, or an instance that is gone; each with whoever had it.
    pub async fn left_bulk_acts(&self, owner: &str) -> StoreResult<Vec<(String, String)>> {
        let rows = sqlx::query(
            "SELECT id, COALESCE(owner, '') AS owner FROM bulk_acts
             WHERE (finished_at IS NULL OR (undo_actor IS NOT NULL AND undone_at IS NULL))
             AND (owner IS NULL OR owner = $1 OR owner NOT IN (SELECT id FROM instances)) ORDER BY started_at, id",
        )
        .bind(owner)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok((row.text("id")?, row.text("owner")?))).collect()
    }

    /// Mailboxes an act has not looked at yet, in the order of their ids.
    pub async fn bulk_left(&self, id: &str, limit: i64) -> StoreResult<Vec<MailboxId>> {
        let rows = sqlx::query("SELECT mailbox_id FROM bulk_left WHERE act_id = $1 ORDER BY mailbox_id LIMIT $2")
            .bind(id)
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok(MailboxId(row.text("mailbox_id")?))).collect()
    }

    /// How many mailboxes of an act are left.
    pub async fn count_bulk_left(&self, id: &str) -> StoreResult<i64> {
        let row = sqlx::query("SELECT COUNT(*) AS n FROM bulk_left WHERE act_id = $1").bind(id);
        row.fetch_one(self.pool()).await?.int("n")
    }

    /// What an act changed and is not undone yet: the mailbox, and what it was before.
    pub async fn bulk_changed(&self, id: &str, limit: i64) -> StoreResult<Vec<(MailboxId, String)>> {
        let rows = sqlx::query("SELECT mailbox_id, before FROM bulk_changed WHERE act_id = $1 ORDER BY mailbox_id LIMIT $2")
            .bind(id)
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| Ok((MailboxId(row.text("mailbox_id")?), row.text("before")?)))
            .collect()
    }
}

impl Tx {
    /// Adds an act that begins on the chosen mailboxes, in the hands of `owner`; says how many they are.
    pub async fn insert_bulk_act(&mut self, act: &BulkAct, chosen: &Chosen, owner: &str) -> StoreResult<i64> {
        let sql = concat!(
            "INSERT INTO bulk_left (act_id, mailbox_id) SELECT $17, m.id FROM mailboxes m WHERE ",
            among!(),
            " AND ",
            filtered!()
        );
        let query = bind_chosen(sqlx::query(sql), chosen).bind(&act.id);
        let done = query.write(self).await?;
        let mailboxes = i64::try_from(done).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO bulk_acts (id, act, tag, user_id, actor, owner, started_at, mailboxes, changed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)",
        )
        .bind(&act.id)
        .bind(&act.act)
        .bind(&act.tag)
        .bind(act.user_id.as_str())
        .bind(&act.actor)
        .bind(owner)
        .bind(act.started_at.0)
        .bind(mailboxes)
        .write(self)
        .await?;
        Ok(mailboxes)
    }

    /// Takes an act over from `from`; `false` where somebody else was quicker.
    pub async fn take_bulk_act(&mut self, id: &str, from: &str, owner: &str) -> StoreResult<bool> {
        let done = sqlx::query("UPDATE bulk_acts SET owner = $3 WHERE id = $1 AND COALESCE(owner, '') = $2")
            .bind(id)
            .bind(from)
            .bind(owner)
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// Takes a mailbox out of what is left of an act; `false` where somebody else has done it.
    pub async fn take_bulk_left(&mut self, id: &str, mailbox: &MailboxId) -> StoreResult<bool> {
        let done = sqlx::query("DELETE FROM bulk_left WHERE act_id = $1 AND mailbox_id = $2")
            .bind(id)
            .bind(mailbox.as_str())
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// Leaves everything alone that an act has not looked at yet.
    pub async fn drop_bulk_left(&mut self, id: &str) -> StoreResult<()> {
        sqlx::query("DELETE FROM bulk_left WHERE act_id = $1").bind(id).write(self).await?;
        Ok(())
    }

    /// Counts how some mailboxes of an act came out.
    pub async fn count_bulk(&mut self, id: &str, counts: BulkCounts) -> StoreResult<()> {
        sqlx::query(
            "UPDATE bulk_acts SET changed = changed + $2, undone = undone + $3, kept = kept + $4, unread = unread + $5 WHERE id = $1",
        )
        .bind(id)
        .bind(counts.changed)
        .bind(counts.undone)
        .bind(counts.kept)
        .bind(counts.unread)
        .write(self)
        .await?;
        Ok(())
    }

    /// Notes that an act changed a mailbox, and what it was before.
    pub async fn note_bulk_change(&mut self, id: &str, mailbox: &MailboxId, before: &str) -> StoreResult<()> {
        sqlx::query("INSERT INTO bulk_changed (act_id, mailbox_id, before) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(mailbox.as_str())
            .bind(before)
            .write(self)
            .await?;
        Ok(())
    }

    /// Forgets a change that is undone; `false` where somebody else has done it.
    pub async fn drop_bulk_change(&mut self, id: &str, mailbox: &MailboxId) -> StoreResult<bool> {
        let done = sqlx::query("DELETE FROM bulk_changed WHERE act_id = $1 AND mailbox_id = $2")
            .bind(id)
            .bind(mailbox.as_str())
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// Notes that an act is through.
    pub async fn finish_bulk_act(&mut self, id: &str, now: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE bulk_acts SET finished_at = $2 WHERE id = $1 AND finished_at IS NULL")
            .bind(id)
            .bind(now.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Notes that an act is to be undone, in the hands of `owner`; `false` where it goes on, has changed another number of mailboxes than
    /// `changed`, or is undone already.
    pub async fn want_bulk_undone(&mut self, id: &str, changed: i64, actor: &str, owner: &str) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE bulk_acts SET undo_actor = $3, owner = $4 WHERE id = $1 AND changed = $2 AND finished_at IS NOT NULL AND undo_actor IS NULL",
        )
        .bind(id)
        .bind(changed)
        .bind(actor)
        .bind(owner)
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Notes that an act is undone.
    pub async fn finish_bulk_undo(&mut self, id: &str, now: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE bulk_acts SET undone_at = $2 WHERE id = $1 AND undone_at IS NULL")
            .bind(id)
            .bind(now.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Deletes some of what belongs to acts that are through and began before `before`; says how many rows went. The act goes last.
    pub async fn prune_bulk_acts(&mut self, before: Timestamp, most: i64) -> StoreResult<u64> {
        let statements = [
            "DELETE FROM bulk_changed WHERE (act_id, mailbox_id) IN (SELECT c.act_id, c.mailbox_id FROM bulk_changed c
             JOIN bulk_acts a ON a.id = c.act_id WHERE a.started_at < $1 AND a.finished_at IS NOT NULL LIMIT $2)",
            "DELETE FROM bulk_left WHERE (act_id, mailbox_id) IN (SELECT l.act_id, l.mailbox_id FROM bulk_left l
             JOIN bulk_acts a ON a.id = l.act_id WHERE a.started_at < $1 AND a.finished_at IS NOT NULL LIMIT $2)",
            "DELETE FROM bulk_acts WHERE id IN (SELECT id FROM bulk_acts WHERE started_at < $1 AND finished_at IS NOT NULL LIMIT $2)
             AND NOT EXISTS (SELECT 1 FROM bulk_changed c WHERE c.act_id = bulk_acts.id)
             AND NOT EXISTS (SELECT 1 FROM bulk_left l WHERE l.act_id = bulk_acts.id)",
        ];
        self.prune(&statements, before.0, most).await
    }
}

fn act(row: &AnyRow) -> StoreResult<BulkAct> {
    Ok(BulkAct {
        id: row.text("id")?,
        act: row.text("act")?,
        tag: row.text("tag")?,
        user_id: UserId(row.text("user_id")?),
        actor: row.text("actor")?,
        undo_actor: row.maybe_text("undo_actor")?,
        started_at: row.time("started_at")?,
        finished_at: row.maybe_time("finished_at")?,
        undone_at: row.maybe_time("undone_at")?,
        mailboxes: row.int("mailboxes")?,
        changed: row.int("changed")?,
        undone: row.int("undone")?,
        kept: row.int("kept")?,
        unread: row.int("unread")?,
    })
}
