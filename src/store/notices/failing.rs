//! What fails for a reason of its own: sides of mailboxes, and sign-ins that have ended.

use crate::clock::Timestamp;
use crate::store::{Columns, Store, StoreResult};

/// A side of a mailbox that fails for a reason of its own, as the overview has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingSide {
    /// The mailbox's row id.
    pub id: String,
    /// Its handle.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Whether it is the side that sends.
    pub sends: bool,
    /// Title of the diagnosis.
    pub title: String,
    /// Id of the diagnosis.
    pub diagnosis: String,
    /// The step that failed.
    pub step: String,
    /// Its run.
    pub run: String,
    /// Its server; empty for Graph.
    pub host: String,
    /// The provider of its token; empty: none.
    pub provider: String,
    /// Since when the mailbox fails.
    pub since: Option<Timestamp>,
    /// How many checks in a row have failed.
    pub failed_checks: i64,
}

/// A token whose sign-in has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedToken {
    /// Row id.
    pub id: String,
    /// Handle.
    pub name: String,
    /// Who must sign in; empty where that is nobody in particular.
    pub account: String,
    /// Its provider's row id.
    pub provider_id: String,
    /// Its provider's handle.
    pub provider: String,
    /// Whether somebody has to sign in.
    pub needs_person: bool,
    /// Why: a diagnosis as JSON.
    pub last_error: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When it was last renewed, or somebody signed in.
    pub worked_at: Option<Timestamp>,
    /// How many mailboxes use it.
    pub mailboxes: i64,
}

/// A side that fails for a reason of its own: not because its provider refuses the app or its sign-in has ended, which are causes
/// themselves. A side with the same title as the other one is counted once.
macro_rules! failing {
    ($side:literal, $sends:literal, $more:literal) => {
        concat!(
            "SELECT m.id AS id, m.name AS name, m.address AS address, ",
            $sends,
            " AS sends, m.",
            $side,
            "_problem AS title, COALESCE(r.diagnosis_id, '') AS diagnosis, COALESCE(r.failed_step, '') AS step, COALESCE(m.",
            $side,
            "_run, '') AS run, COALESCE(m.",
            $side,
            "_host, '') AS host, COALESCE(t.provider_id, '') AS provider, m.failing_since AS since, m.failed_checks AS failed_checks
             FROM mailboxes m LEFT JOIN runs r ON r.id = m.",
            $side,
            "_run LEFT JOIN tokens t ON t.id = m.",
            $side,
            "_token_id LEFT JOIN providers p ON p.id = t.provider_id LEFT JOIN grants g ON g.token_id = t.id
             WHERE m.enabled = 1 AND m.",
            $side,
            "_outcome = 'failed' AND m.",
            $side,
            "_problem IS NOT NULL AND NOT (COALESCE(r.failed_step, '') = 'token' AND (p.problem IS NOT NULL OR COALESCE(g.state, '') = 'revoked'
                 OR (g.token_id IS NULL AND t.grant_type IN ('authorization_code', 'device_code'))))",
            $more
        )
    };
}

impl Store {
    /// Every side that fails for a reason of its own.
    pub async fn failing_sides(&self) -> StoreResult<Vec<FailingSide>> {
        let sql = concat!(
            failing!("incoming", "0", ""),
            " UNION ALL ",
            failing!(
                "outgoing",
                "1",
                " AND NOT (m.incoming_outcome = 'failed' AND COALESCE(m.incoming_problem, '') = m.outgoing_problem)"
            ),
            " ORDER BY name, sends"
        );
        let rows = sqlx::query(sql).fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                Ok(FailingSide {
                    id: row.text("id")?,
                    name: row.text("name")?,
                    address: row.text("address")?,
                    sends: row.flag("sends")?,
                    title: row.text("title")?,
                    diagnosis: row.text("diagnosis")?,
                    step: row.text("step")?,
                    run: row.text("run")?,
                    host: row.text("host")?,
                    provider: row.text("provider")?,
                    since: row.maybe_time("since")?,
                    failed_checks: row.int("failed_checks")?,
                })
            })
            .collect()
    }

    /// Tokens whose sign-in has ended: id, handle, account, provider's id and handle, diagnosis, since when, mailboxes.
    pub async fn ended_tokens(&self) -> StoreResult<Vec<EndedToken>> {
        let rows = sqlx::query(
            "SELECT t.id AS id, t.name AS name, COALESCE(t.account, '') AS account, p.id AS provider_id, p.name AS provider,
                    t.grant_type AS grant_type, g.last_error AS last_error, g.last_error_at AS since,
                    CASE WHEN COALESCE(g.refreshed_at, 0) > COALESCE(g.authorized_at, 0) THEN g.refreshed_at ELSE g.authorized_at END AS worked_at,
                    (SELECT COUNT(*) FROM mailboxes m WHERE m.incoming_token_id = t.id OR m.outgoing_token_id = t.id) AS mailboxes
             FROM grants g JOIN tokens t ON t.id = g.token_id JOIN providers p ON p.id = t.provider_id
             WHERE g.state = 'revoked' ORDER BY t.name",
        )
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(EndedToken {
                    id: row.text("id")?,
                    name: row.text("name")?,
                    account: row.text("account")?,
                    provider_id: row.text("provider_id")?,
                    provider: row.text("provider")?,
                    needs_person: ["authorization_code", "device_code"].contains(&row.text("grant_type")?.as_str()),
                    last_error: row.maybe_text("last_error")?,
                    since: row.maybe_time("since")?,
                    worked_at: row.maybe_time("worked_at")?,
                    mailboxes: row.int("mailboxes")?,
                })
            })
            .collect()
    }
}
