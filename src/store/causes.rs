//! What mailboxes fail with, by cause; and which failures are over because a token came after all.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::mailbox::MailboxState;
use crate::model::{ProviderId, RunId, TokenId};

/// What some mailboxes fail with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxProblem {
    /// Title of the diagnosis.
    pub title: String,
    /// How many mailboxes fail with it, in either direction.
    pub mailboxes: i64,
    /// Whether each of them has a side that works.
    pub partly: bool,
    /// Since when the first of them fails.
    pub since: Option<Timestamp>,
    /// Its newest run.
    pub run: Option<RunId>,
    /// What that run came to: an entry of the catalogue.
    pub diagnosis: Option<String>,
    /// The mailbox of that run, by its handle.
    pub name: String,
}

/// A side that fails for a reason of its own: not for want of a token that the provider refuses the app, that has ended, or that nobody
/// has signed in for yet. Those are causes themselves.
macro_rules! failing {
    ($side:literal) => {
        concat!(
            "SELECT m.name AS name, m.state AS state, m.",
            $side,
            "_problem AS problem, m.failing_since AS since, m.",
            $side,
            "_run AS run, COALESCE(m.",
            $side,
            "_tested_at, 0) AS tested_at FROM mailboxes m WHERE m.state IN (0, 1) AND m.",
            $side,
            "_problem IS NOT NULL AND NOT EXISTS (SELECT 1 FROM runs r JOIN tokens t ON t.id = m.",
            $side,
            "_token_id JOIN providers p ON p.id = t.provider_id LEFT JOIN grants g ON g.token_id = t.id WHERE r.id = m.",
            $side,
            "_run AND r.failed_step = 'token' AND (p.problem IS NOT NULL OR g.state = 'revoked'
                OR (g.token_id IS NULL AND t.grant_type IN ('authorization_code', 'device_code'))))"
        )
    };
}

/// Forgets the result of a side whose test failed for want of a token: $1 is the token's id, $2 the provider's of all its tokens, one of
/// them empty; $3 the diagnosis that is over.
macro_rules! forget {
    ($side:literal) => {
        concat!(
            "UPDATE mailboxes SET ",
            $side,
            "_outcome = '', ",
            $side,
            "_problem = NULL WHERE ",
            $side,
            "_outcome = 'failed' AND ",
            $side,
            "_token_id IN (SELECT id FROM tokens WHERE id = $1 OR provider_id = $2) AND ",
            $side,
            "_run IN (SELECT r.id FROM runs r WHERE r.id = mailboxes.",
            $side,
            "_run AND r.failed_step = 'token' AND r.diagnosis_id = $3)"
        )
    };
}

impl Store {
    /// What mailboxes fail with that isn't told of their token or its provider, most mailboxes first.
    pub async fn mailbox_problems(&self, limit: i64) -> StoreResult<Vec<MailboxProblem>> {
        let rows = sqlx::query(concat!(
            "SELECT problem, n, worst, since, run, (SELECT r.diagnosis_id FROM runs r WHERE r.id = run) AS diagnosis, name FROM (
                 SELECT problem, run, name, MIN(state) OVER (PARTITION BY problem) AS worst, COUNT(*) OVER (PARTITION BY problem) AS n, MIN(since) OVER (PARTITION BY problem) AS since,
                        ROW_NUMBER() OVER (PARTITION BY problem ORDER BY tested_at DESC, name) AS place
                 FROM (",
            failing!("incoming"),
            " UNION ALL ",
            failing!("outgoing"),
            " AND COALESCE(m.incoming_problem, '') <> m.outgoing_problem) AS sides) AS causes
             WHERE place = 1 ORDER BY n DESC, problem LIMIT $1"
        ))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(MailboxProblem {
                    title: row.text("problem")?,
                    mailboxes: row.int("n")?,
                    partly: row.int("worst")? == MailboxState::Partly.rank(),
                    since: row.maybe_time("since")?,
                    run: row.maybe_text("run")?.map(RunId),
                    diagnosis: row.maybe_text("diagnosis")?,
                    name: row.text("name")?,
                })
            })
            .collect()
    }
}

impl Tx {
    /// A token came, so what tests of its mailboxes failed with for want of it is over: they aren't tested since. `diagnosis` is the id
    /// of what was wrong. Their runs stay readable.
    pub async fn forget_failures_of_token(&mut self, token: &TokenId, diagnosis: &str) -> StoreResult<()> {
        self.forget_failures(token.as_str(), "", diagnosis).await
    }

    /// The provider takes the app again: the same for all its tokens.
    pub async fn forget_failures_of_provider(&mut self, provider: &ProviderId, diagnosis: &str) -> StoreResult<()> {
        self.forget_failures("", provider.as_str(), diagnosis).await
    }

    async fn forget_failures(&mut self, token: &str, provider: &str, diagnosis: &str) -> StoreResult<()> {
        let mut forgotten = 0;
        for sql in [forget!("incoming"), forget!("outgoing")] {
            let query = sqlx::query(sql).bind(token).bind(provider).bind(diagnosis);
            let done = query.write(self).await?;
            forgotten += done;
        }
        if forgotten == 0 {
            return Ok(());
        }
        // As `Mailbox::derive_state` has it; a paused mailbox stays paused.
        sqlx::query(
            "UPDATE mailboxes SET state = CASE
                 WHEN incoming_outcome = 'failed' AND (outgoing_outcome = 'failed' OR outgoing_protocol IS NULL) THEN 0
                 WHEN outgoing_outcome = 'failed' AND incoming_protocol IS NULL THEN 0
                 WHEN incoming_outcome = 'failed' OR outgoing_outcome = 'failed' THEN 1
                 ELSE 2 END,
             failing_since = CASE WHEN incoming_outcome = 'failed' OR outgoing_outcome = 'failed' THEN failing_since ELSE NULL END
             WHERE state IN (0, 1) AND (incoming_token_id IN (SELECT id FROM tokens WHERE id = $1 OR provider_id = $2)
                                        OR outgoing_token_id IN (SELECT id FROM tokens WHERE id = $1 OR provider_id = $2))",
        )
        .bind(token)
        .bind(provider)
        .write(self)
        .await?;
        Ok(())
    }
}
