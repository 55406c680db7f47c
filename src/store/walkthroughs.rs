//! Walkthroughs that were started, and what is known of their steps.

use super::{Columns, Store, StoreError, StoreResult, Tx, Write};
use crate::model::walkthrough::{StepRow, StepState, Walkthrough};
use crate::model::{MailboxId, ProviderId, TokenId};
use sqlx::any::AnyRow;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, template, name, address, account, provider_id, token_id, mailbox_id, started_by, started_at, touched_by, touched_at, ",
            "finished_at, version FROM walkthroughs ",
            $rest
        )
    };
}

/// The tokens of a provider (`$1`) that somebody signs in for.
macro_rules! of_people {
    () => {
        "(SELECT id FROM tokens WHERE provider_id = $1 AND grant_type NOT IN ('client_credentials', 'jwt_bearer'))"
    };
}

const STEPS: &str = "SELECT step, state, evidence, problem, changed_at, changed_by, held_at, sent_to, link_id FROM walkthrough_steps \
                     WHERE walkthrough_id = $1 ORDER BY step";

impl Store {
    /// A walkthrough by its id.
    pub async fn walkthrough(&self, id: &str) -> StoreResult<Option<Walkthrough>> {
        let row = sqlx::query(select!("WHERE id = $1")).bind(id).fetch_optional(self.pool()).await?;
        row.as_ref().map(walkthrough).transpose()
    }

    /// Those that are finished, or those that aren't; the last touched first, at most `limit`.
    pub async fn walkthroughs(&self, finished: bool, limit: i64) -> StoreResult<Vec<Walkthrough>> {
        let query = if finished {
            sqlx::query(select!("WHERE finished_at IS NOT NULL ORDER BY touched_at DESC, id DESC LIMIT $1"))
        } else {
            sqlx::query(select!("WHERE finished_at IS NULL ORDER BY touched_at DESC, id DESC LIMIT $1"))
        };
        let rows = query.bind(limit).fetch_all(self.pool()).await?;
        rows.iter().map(walkthrough).collect()
    }

    /// The tokens of people at a provider: how many hold a sign-in, and how many mailboxes use one.
    pub async fn people_at(&self, provider: &ProviderId) -> StoreResult<(i64, i64)> {
        let signed_in = sqlx::query_scalar(concat!("SELECT COUNT(*) FROM grants WHERE token_id IN ", of_people!()));
        let used = sqlx::query_scalar(concat!(
            "SELECT COUNT(*) FROM mailboxes WHERE incoming_token_id IN ",
            of_people!(),
            " OR outgoing_token_id IN ",
            of_people!()
        ));
        Ok((
            signed_in.bind(provider.as_str()).fetch_one(self.pool()).await?,
            used.bind(provider.as_str()).fetch_one(self.pool()).await?,
        ))
    }

    /// What is known of the steps of a walkthrough.
    pub async fn walkthrough_steps(&self, id: &str) -> StoreResult<Vec<StepRow>> {
        let rows = sqlx::query(STEPS).bind(id).fetch_all(self.pool()).await?;
        rows.iter().map(step).collect()
    }
}

impl Tx {
    /// A walkthrough by its id, within this transaction.
    pub async fn walkthrough(&mut self, id: &str) -> StoreResult<Option<Walkthrough>> {
        let row = sqlx::query(select!("WHERE id = $1")).bind(id).fetch_optional(&mut ***self).await?;
        row.as_ref().map(walkthrough).transpose()
    }

    /// What is known of the steps of a walkthrough, within this transaction.
    pub async fn walkthrough_steps(&mut self, id: &str) -> StoreResult<Vec<StepRow>> {
        let rows = sqlx::query(STEPS).bind(id).fetch_all(&mut ***self).await?;
        rows.iter().map(step).collect()
    }

    /// Adds a walkthrough.
    pub async fn insert_walkthrough(&mut self, w: &Walkthrough) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO walkthroughs (id, template, name, address, account, provider_id, token_id, mailbox_id, started_by, started_at,
             touched_by, touched_at, finished_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(&w.id)
        .bind(&w.template)
        .bind(&w.name)
        .bind(&w.address)
        .bind(&w.account)
        .bind(w.provider_id.as_ref().map(ProviderId::as_str))
        .bind(w.token_id.as_ref().map(TokenId::as_str))
        .bind(w.mailbox_id.as_ref().map(MailboxId::as_str))
        .bind(&w.started_by)
        .bind(w.started_at.0)
        .bind(&w.touched_by)
        .bind(w.touched_at.0)
        .bind(w.finished_at.map(|at| at.0))
        .bind(w.version)
        .write(self)
        .await?;
        Ok(())
    }

    /// Saves what a walkthrough is about and when it was touched; its version counts on. [`StoreError::Stale`] if somebody saved it since.
    pub async fn update_walkthrough(&mut self, w: &Walkthrough) -> StoreResult<()> {
        let done = sqlx::query(
            "UPDATE walkthroughs SET provider_id = $3, token_id = $4, mailbox_id = $5, touched_by = $6, touched_at = $7, finished_at = $8,
             version = version + 1 WHERE id = $1 AND version = $2",
        )
        .bind(&w.id)
        .bind(w.version)
        .bind(w.provider_id.as_ref().map(ProviderId::as_str))
        .bind(w.token_id.as_ref().map(TokenId::as_str))
        .bind(w.mailbox_id.as_ref().map(MailboxId::as_str))
        .bind(&w.touched_by)
        .bind(w.touched_at.0)
        .bind(w.finished_at.map(|at| at.0))
        .write(self)
        .await?;
        if done == 0 {
            return Err(StoreError::Stale);
        }
        Ok(())
    }

    /// Stores what is known of a step in place of what was.
    pub async fn put_walkthrough_step(&mut self, id: &str, s: &StepRow) -> StoreResult<()> {
        let problem = s.problem.as_ref().map(super::to_json).unwrap_or_default();
        sqlx::query(
            "INSERT INTO walkthrough_steps (walkthrough_id, step, state, evidence, problem, changed_at, changed_by, held_at, sent_to, link_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (walkthrough_id, step) DO UPDATE SET state = excluded.state, evidence = excluded.evidence,
             problem = excluded.problem, changed_at = excluded.changed_at, changed_by = excluded.changed_by, held_at = excluded.held_at,
             sent_to = excluded.sent_to, link_id = excluded.link_id",
        )
        .bind(id)
        .bind(&s.step)
        .bind(s.state.as_str())
        .bind(&s.evidence)
        .bind(problem)
        .bind(s.changed_at.0)
        .bind(&s.changed_by)
        .bind(s.held_at.map(|at| at.0))
        .bind(&s.sent_to)
        .bind(&s.link_id)
        .write(self)
        .await?;
        Ok(())
    }

    /// Deletes a walkthrough with what is known of its steps; says whether there was one.
    pub async fn delete_walkthrough(&mut self, id: &str) -> StoreResult<bool> {
        let done = sqlx::query("DELETE FROM walkthroughs WHERE id = $1").bind(id).write(self).await?;
        Ok(done == 1)
    }
}

fn walkthrough(row: &AnyRow) -> StoreResult<Walkthrough> {
    Ok(Walkthrough {
        id: row.text("id")?,
        template: row.text("template")?,
        name: row.text("name")?,
        address: row.text("address")?,
        account: row.text("account")?,
        provider_id: row.maybe_text("provider_id")?.map(ProviderId),
        token_id: row.maybe_text("token_id")?.map(TokenId),
        mailbox_id: row.maybe_text("mailbox_id")?.map(MailboxId),
        started_by: row.text("started_by")?,
        started_at: row.time("started_at")?,
        touched_by: row.text("touched_by")?,
        touched_at: row.time("touched_at")?,
        finished_at: row.maybe_time("finished_at")?,
        version: row.int("version")?,
    })
}

fn step(row: &AnyRow) -> StoreResult<StepRow> {
    let problem = row.text("problem")?;
    Ok(StepRow {
        step: row.text("step")?,
        state: row.word("state", StepState::parse)?,
        evidence: row.text("evidence")?,
        problem: serde_json::from_str(&problem).ok(),
        changed_at: row.time("changed_at")?,
        changed_by: row.text("changed_by")?,
        held_at: row.maybe_time("held_at")?,
        sent_to: row.text("sent_to")?,
        link_id: row.text("link_id")?,
    })
}
