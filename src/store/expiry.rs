//! What ends by itself: sign-ins and one-time links. The ends of secrets and certificates stand in the rows of providers.

use super::{Columns, Store, StoreResult, name};
use crate::clock::Timestamp;
use crate::model::Name;
use crate::model::consent::LinkKind;
use crate::model::provider::ConsentScreen;
use crate::model::template::TemplateKind;

/// A sign-in that somebody will have to make anew, unless it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInRow {
    /// Its token's handle.
    pub token: Name,
    /// Who signed in; empty where nobody in particular has to.
    pub account: String,
    /// Its provider's handle.
    pub provider: Name,
    /// What the provider is made from.
    pub template: TemplateKind,
    /// Google's consent screen.
    pub consent_screen: Option<ConsentScreen>,
    /// When somebody signed in.
    pub authorized_at: Option<Timestamp>,
    /// When it was last used.
    pub refreshed_at: Option<Timestamp>,
    /// How many mailboxes use it.
    pub mailboxes: i64,
}

/// A one-time link that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// What it is for; none: somebody signs in.
    pub kind: Option<LinkKind>,
    /// The handle of what it is about: a provider, or the token somebody signs in for.
    pub about: Name,
    /// The account that is to sign in, where that is what it is for.
    pub account: String,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}

impl Store {
    /// Sign-ins that may end: all that were not used since `unused_since`, and those of apps that Google has in testing.
    pub async fn ending_sign_ins(&self, unused_since: Timestamp) -> StoreResult<Vec<SignInRow>> {
        let rows = sqlx::query(
            "SELECT t.name AS token, COALESCE(t.account, '') AS account, p.name AS provider, p.template AS template,
                    p.consent_screen AS consent_screen, g.authorized_at AS authorized_at, g.refreshed_at AS refreshed_at,
                    (SELECT COUNT(*) FROM mailboxes m WHERE m.incoming_token_id = t.id OR m.outgoing_token_id = t.id) AS mailboxes
             FROM grants g JOIN tokens t ON t.id = g.token_id JOIN providers p ON p.id = t.provider_id
             WHERE g.state <> 'revoked' AND g.rt_current IS NOT NULL AND t.grant_type IN ('authorization_code', 'device_code')
               AND (p.consent_screen = 'testing' OR COALESCE(g.refreshed_at, g.authorized_at, 0) < $1)
             ORDER BY t.name",
        )
        .bind(unused_since.0)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(SignInRow {
                    token: name(row, "token")?,
                    account: row.text("account")?,
                    provider: name(row, "provider")?,
                    template: row.word("template", TemplateKind::parse)?,
                    consent_screen: row.maybe_text("consent_screen")?.as_deref().and_then(ConsentScreen::parse),
                    authorized_at: row.maybe_time("authorized_at")?,
                    refreshed_at: row.maybe_time("refreshed_at")?,
                    mailboxes: row.int("mailboxes")?,
                })
            })
            .collect()
    }

    /// One-time links that still work at `now` and end before `until`: of tokens and of providers.
    pub async fn ending_links(&self, now: Timestamp, until: Timestamp) -> StoreResult<Vec<LinkRow>> {
        let rows = sqlx::query(
            "SELECT '' AS kind, t.name AS about, COALESCE(t.account, '') AS account, l.expires_at AS expires_at, l.created_by AS created_by
             FROM links l JOIN tokens t ON t.id = l.token_id
             WHERE l.used_at IS NULL AND l.withdrawn = 0 AND l.expires_at > $1 AND l.expires_at <= $2
             UNION ALL
             SELECT l.kind AS kind, p.name AS about, '' AS account, l.expires_at AS expires_at, l.created_by AS created_by
             FROM provider_links l JOIN providers p ON p.id = l.provider_id
             WHERE l.used_at IS NULL AND l.withdrawn = 0 AND l.expires_at > $1 AND l.expires_at <= $2",
        )
        .bind(now.0)
        .bind(until.0)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(LinkRow {
                    kind: LinkKind::parse(&row.text("kind")?),
                    about: name(row, "about")?,
                    account: row.text("account")?,
                    expires_at: row.time("expires_at")?,
                    created_by: row.text("created_by")?,
                })
            })
            .collect()
    }
}
