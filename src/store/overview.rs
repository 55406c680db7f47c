//! What the overview asks for: causes of trouble beyond single mailboxes.

use super::{Columns, Store, StoreResult};
use crate::clock::Timestamp;
use crate::model::consent::LinkKind;
use crate::model::token::GrantType;

/// A token a person has to do something about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingToken {
    /// Its handle.
    pub name: String,
    /// Who must sign in; empty where that is nobody in particular.
    pub account: String,
    /// Its provider's handle.
    pub provider: String,
    /// How it is got: not everything that waits needs somebody to sign in.
    pub grant: GrantType,
    /// Whether somebody had signed in before.
    pub had_grant: bool,
    /// Why: a diagnosis as JSON.
    pub last_error: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How many mailboxes use it, with those that are turned off.
    pub mailboxes: i64,
    /// How many of them are turned off.
    pub turned_off: i64,
}

/// A link that somebody was given and has not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusedLink {
    /// What it is for; none: somebody signs in.
    pub kind: Option<LinkKind>,
    /// The handle of what it is about: a provider, or a token.
    pub about: String,
    /// The account that is to sign in; may be empty.
    pub account: String,
    /// When it was made; of several about the same, the first one.
    pub made_at: Timestamp,
}

impl Store {
    /// Links that still work at `now` and were made before `before`, one for each thing they are about, the oldest first.
    pub async fn unused_links(&self, now: Timestamp, before: Timestamp, limit: i64) -> StoreResult<Vec<UnusedLink>> {
        let rows = sqlx::query(
            "SELECT kind, about, account, MIN(made_at) AS made_at FROM (
                 SELECT '' AS kind, t.name AS about, COALESCE(t.account, '') AS account, l.created_at AS made_at
                 FROM links l JOIN tokens t ON t.id = l.token_id WHERE l.used_at IS NULL AND l.withdrawn = 0 AND l.expires_at > $1
                 UNION ALL
                 SELECT l.kind AS kind, p.name AS about, '' AS account, l.created_at AS made_at
                 FROM provider_links l JOIN providers p ON p.id = l.provider_id WHERE l.used_at IS NULL AND l.withdrawn = 0 AND l.expires_at > $1
             ) AS open_links WHERE made_at < $2 GROUP BY kind, about, account ORDER BY 4, about LIMIT $3",
        )
        .bind(now.0)
        .bind(before.0)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(UnusedLink {
                    kind: LinkKind::parse(&row.text("kind")?),
                    about: row.text("about")?,
                    account: row.text("account")?,
                    made_at: row.time("made_at")?,
                })
            })
            .collect()
    }

    /// Steps of walkthroughs that have waited for somebody since before `before`: the id of the walkthrough, whom the step was sent to, and
    /// since when; the longest first.
    pub async fn waiting_steps(&self, before: Timestamp, limit: i64) -> StoreResult<Vec<(String, String, Timestamp)>> {
        let rows = sqlx::query(
            "SELECT s.walkthrough_id AS id, s.sent_to AS sent_to, s.changed_at AS changed_at
             FROM walkthrough_steps s JOIN walkthroughs w ON w.id = s.walkthrough_id
             WHERE s.state = 'waiting' AND w.finished_at IS NULL AND s.changed_at < $1 ORDER BY s.changed_at, s.walkthrough_id LIMIT $2",
        )
        .bind(before.0)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((row.text("id")?, row.text("sent_to")?, row.time("changed_at")?)))
            .collect()
    }

    /// Tokens whose sign-in has ended, and those that mailboxes use before anybody has signed in; most mailboxes first.
    pub async fn waiting_tokens(&self, limit: i64) -> StoreResult<Vec<WaitingToken>> {
        let rows = sqlx::query(
            "SELECT name, account, provider, grant_type, had_grant, last_error, since, mailboxes, turned_off FROM (
                 SELECT t.name AS name, COALESCE(t.account, '') AS account, p.name AS provider, t.grant_type AS grant_type,
                        w.had_grant AS had_grant, w.last_error AS last_error, w.since AS since,
                        (SELECT COUNT(*) FROM mailboxes m WHERE m.incoming_token_id = t.id OR m.outgoing_token_id = t.id) AS mailboxes,
                        (SELECT COUNT(CASE WHEN m.enabled = 0 THEN 1 END) FROM mailboxes m WHERE m.incoming_token_id = t.id OR m.outgoing_token_id = t.id) AS turned_off
                 FROM (
                     SELECT token_id, 1 AS had_grant, last_error, last_error_at AS since FROM grants WHERE state = 'revoked'
                     UNION ALL
                     SELECT n.id AS token_id, 0 AS had_grant, NULL AS last_error, NULL AS since FROM tokens n
                     WHERE n.grant_type IN ('authorization_code', 'device_code') AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.token_id = n.id)
                 ) AS w JOIN tokens t ON t.id = w.token_id JOIN providers p ON p.id = t.provider_id) AS waiting
             WHERE had_grant = 1 OR mailboxes > 0 ORDER BY had_grant DESC, mailboxes - turned_off DESC, name LIMIT $1",
        )
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(WaitingToken {
                    name: row.text("name")?,
                    account: row.text("account")?,
                    provider: row.text("provider")?,
                    grant: row.word("grant_type", GrantType::parse)?,
                    had_grant: row.int("had_grant")? != 0,
                    last_error: row.maybe_text("last_error")?,
                    since: row.maybe_time("since")?,
                    mailboxes: row.int("mailboxes")?,
                    turned_off: row.int("turned_off")?,
                })
            })
            .collect()
    }

    /// How many mailboxes were never checked.
    pub async fn never_checked(&self) -> StoreResult<i64> {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM mailboxes WHERE checked_at = 0")
            .fetch_one(self.pool())
            .await?)
    }

    /// When any mailbox was last checked; none before the first time.
    pub async fn last_checked(&self) -> StoreResult<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("SELECT MAX(checked_at) FROM mailboxes")
            .fetch_one(self.pool())
            .await?;
        Ok(at.filter(|at| *at > 0).map(Timestamp))
    }
}
