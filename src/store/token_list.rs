//! The list of tokens: what a row says, without opening or even reading a sealed value, in keyset pages by name.

use super::{Columns, Store, StoreResult, name};
use crate::clock::Timestamp;
use crate::model::provider::{Cloud, ConsentScreen};
use crate::model::template::TemplateKind;
use crate::model::token::{GrantType, TokenState};
use crate::model::{Name, TokenId};
use sqlx::any::AnyRow;

/// Which tokens a list shows. Empty text and none: not filtered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// Part of the account or name.
    pub text: String,
    /// Only this state.
    pub state: Option<TokenState>,
    /// Only of this provider (its name).
    pub provider: String,
}

/// A row of the list.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// Row id.
    pub id: TokenId,
    /// Handle.
    pub name: Name,
    /// Who must sign in.
    pub account: Option<String>,
    /// Its provider.
    pub provider: Name,
    /// What the provider is made from.
    pub template: TemplateKind,
    /// The provider's cloud.
    pub cloud: Cloud,
    /// Google's consent screen.
    pub consent_screen: Option<ConsentScreen>,
    /// How it is got.
    pub grant: GrantType,
    /// State.
    pub state: TokenState,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Scopes granted; empty where nothing is known.
    pub granted_scopes: Vec<String>,
    /// When someone signed in.
    pub authorized_at: Option<Timestamp>,
    /// When it was last renewed.
    pub refreshed_at: Option<Timestamp>,
    /// When a failing renewal is tried again.
    pub retry_at: Option<Timestamp>,
    /// Number of mailboxes that use it, with those that are turned off.
    pub mailboxes: i64,
    /// How many of them are turned off.
    pub turned_off: i64,
}

/// The state as [`crate::actions::access_token::state()`] has it; $1 is now.
macro_rules! state {
    () => {
        "CASE WHEN g.state = 'failing' THEN 'failing'
              WHEN g.state = 'active' AND g.access_token IS NOT NULL AND g.expires_at > $1 THEN 'active'
              WHEN g.state = 'active' AND g.rt_current IS NOT NULL THEN 'expired'
              WHEN g.state = 'active' AND t.grant_type IN ('client_credentials', 'password', 'jwt_bearer')
              THEN CASE WHEN g.issued_at IS NULL THEN 'unauthorized' ELSE 'expired' END
              WHEN g.state = 'active' THEN 'revoked'
              WHEN EXISTS (SELECT 1 FROM authorizations a WHERE a.token_id = t.id AND a.outcome = '' AND a.expires_at > $1) THEN 'authorizing'
              WHEN g.state IS NULL THEN 'unauthorized' ELSE 'revoked' END"
    };
}

macro_rules! filtered {
    () => {
        concat!(
            "($2 = '' OR LOWER(COALESCE(t.account, '')) LIKE $2 ESCAPE '!' OR t.name LIKE $2 ESCAPE '!') AND ($3 = '' OR p.name = $3) AND ($4 = '' OR ",
            state!(),
            " = $4)"
        )
    };
}

macro_rules! page {
    ($condition:literal, $order:literal) => {
        concat!(
            "SELECT t.id AS id, t.name AS name, t.account AS account, t.grant_type AS grant_type, p.name AS provider, p.template AS template, p.cloud AS cloud, ",
            "p.consent_screen AS consent_screen, t.scopes AS scopes, COALESCE(g.granted_scopes, '[]') AS granted_scopes, ",
            "g.authorized_at AS authorized_at, g.refreshed_at AS refreshed_at, g.retry_at AS retry_at, ",
            "(SELECT COUNT(*) FROM mailboxes m WHERE m.incoming_token_id = t.id OR m.outgoing_token_id = t.id) AS mailboxes, ",
            "(SELECT COUNT(CASE WHEN m.enabled = 0 THEN 1 END) FROM mailboxes m WHERE m.incoming_token_id = t.id OR m.outgoing_token_id = t.id) AS turned_off, ",
            state!(),
            " AS state FROM tokens t JOIN providers p ON p.id = t.provider_id LEFT JOIN grants g ON g.token_id = t.id WHERE ",
            $condition,
            " AND ",
            filtered!(),
            " ORDER BY ",
            $order,
            " LIMIT $6"
        )
    };
}

impl Store {
    /// The tokens after a name (from the beginning if it is empty), at most `limit`.
    pub async fn tokens_after(&self, filter: &TokenFilter, after: &str, limit: i64, now: Timestamp) -> StoreResult<Vec<TokenRow>> {
        let rows = bind(sqlx::query(page!("t.name > $5", "t.name")), filter, now)
            .bind(after)
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(row).collect()
    }

    /// The tokens before a name, at most `limit`, the nearest ones, in the order of the list.
    pub async fn tokens_before(&self, filter: &TokenFilter, before: &str, limit: i64, now: Timestamp) -> StoreResult<Vec<TokenRow>> {
        let rows = bind(sqlx::query(page!("t.name < $5", "t.name DESC")), filter, now)
            .bind(before)
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter().rev().map(row).collect()
    }

    /// How many tokens pass a filter; counts no further than `most`.
    pub async fn count_tokens(&self, filter: &TokenFilter, most: i64, now: Timestamp) -> StoreResult<i64> {
        let sql = concat!(
            "SELECT COUNT(*) AS n FROM (SELECT 1 FROM tokens t JOIN providers p ON p.id = t.provider_id LEFT JOIN grants g ON g.token_id = t.id WHERE ",
            filtered!(),
            " LIMIT $5) AS capped"
        );
        let counted = bind(sqlx::query(sql), filter, now).bind(most).fetch_one(self.pool()).await?;
        counted.int("n")
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn bind<'q>(query: Query<'q>, filter: &'q TokenFilter, now: Timestamp) -> Query<'q> {
    let text = filter.text.trim().to_lowercase();
    let pattern = if text.is_empty() {
        text
    } else {
        format!("%{}%", text.replace('!', "!!").replace('%', "!%").replace('_', "!_"))
    };
    query
        .bind(now.0)
        .bind(pattern)
        .bind(filter.provider.as_str())
        .bind(filter.state.map_or("", TokenState::as_str))
}

fn row(row: &AnyRow) -> StoreResult<TokenRow> {
    Ok(TokenRow {
        id: TokenId(row.text("id")?),
        name: name(row, "name")?,
        account: row.maybe_text("account")?,
        provider: name(row, "provider")?,
        template: row.word("template", TemplateKind::parse)?,
        cloud: row.word("cloud", Cloud::parse)?,
        consent_screen: row.maybe_text("consent_screen")?.as_deref().and_then(ConsentScreen::parse),
        grant: row.word("grant_type", GrantType::parse)?,
        state: row.word("state", TokenState::parse)?,
        scopes: row.json("scopes")?,
        granted_scopes: row.json("granted_scopes")?,
        authorized_at: row.maybe_time("authorized_at")?,
        refreshed_at: row.maybe_time("refreshed_at")?,
        retry_at: row.maybe_time("retry_at")?,
        mailboxes: row.int("mailboxes")?,
        turned_off: row.int("turned_off")?,
    })
}
