//! What ends by itself: sign-ins and one-time links, in keyset pages by the moment they end. The ends of secrets and certificates stand in
//! the rows of providers.

use super::{Columns, Store, StoreResult, name};
use crate::clock::Timestamp;
use crate::model::consent::LinkKind;
use crate::model::provider::ConsentScreen;
use crate::model::template::TemplateKind;
use crate::model::{Name, ProviderId};
use sqlx::any::AnyRow;

/// Sign-ins that end by the same rule of their provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whose providers.
    pub template: TemplateKind,
    /// Only with this consent screen.
    pub consent_screen: Option<ConsentScreen>,
    /// Consent screens that have a rule of their own, each between commas: `,testing,`.
    pub but: String,
    /// How long they are kept, in seconds.
    pub seconds: i64,
    /// Where it counts from the last use: only those last used before. None: it counts from the sign-in.
    pub unused_since: Option<Timestamp>,
}

/// A part of a list that is in the order of moments and, of the same moment, of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// Only before this moment.
    pub until: Timestamp,
    /// Upwards: from this moment on. Downwards: up to it.
    pub at: Timestamp,
    /// Of that moment only what comes after this text (downwards: before it).
    pub text: String,
    /// Whether it is read downwards, the last first.
    pub down: bool,
    /// At most so many.
    pub limit: i64,
}

/// A sign-in that somebody will have to make anew, unless it is used; or several of one provider as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInRow {
    /// Its token's handle; of several, any of theirs.
    pub token: Name,
    /// Who signed in; empty where nobody in particular has to.
    pub account: String,
    /// Its provider's handle.
    pub provider: Name,
    /// When it ends; of several, the first.
    pub at: Timestamp,
    /// When somebody signed in.
    pub authorized_at: Option<Timestamp>,
    /// When it was last used.
    pub refreshed_at: Option<Timestamp>,
    /// How many mailboxes use it, with those that are turned off.
    pub mailboxes: i64,
    /// How many of them are turned off.
    pub turned_off: i64,
    /// How many sign-ins this stands for.
    pub count: i64,
}

/// A one-time link that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// Row id.
    pub id: String,
    /// What it is for; none: somebody signs in.
    pub kind: Option<LinkKind>,
    /// The handle of what it is about: a provider, or the token somebody signs in for.
    pub about: Name,
    /// The account that is to sign in, where that is what it is for.
    pub account: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it works.
    pub expires_at: Timestamp,
}

/// Since when a provider has the key of a service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its provider.
    pub provider: ProviderId,
    /// The account.
    pub client_email: String,
    /// Since when.
    pub set_at: Timestamp,
}

/// When a sign-in was last used, as the index of them has it.
macro_rules! used_at {
    () => {
        "CASE WHEN COALESCE(g.refreshed_at, 0) > COALESCE(g.authorized_at, 0) THEN g.refreshed_at ELSE g.authorized_at END"
    };
}

/// The sign-ins of a rule ($1 to $5) that end before $6. Where their time counts from the last use, few are unused, and they are found first:
/// engines keep to the order of a `CROSS JOIN` or know better. Else those of the few providers of the rule are.
macro_rules! sign_ins {
    (used) => {
        sign_ins!(
            used_at!(),
            "grants g CROSS JOIN tokens t CROSS JOIN providers p WHERE t.id = g.token_id AND p.id = t.provider_id"
        )
    };
    (made) => {
        sign_ins!(
            "g.authorized_at",
            "providers p CROSS JOIN tokens t CROSS JOIN grants g WHERE t.provider_id = p.id AND g.token_id = t.id"
        )
    };
    ($since:expr, $from:literal) => {
        concat!(
            "SELECT * FROM (SELECT t.id AS id, t.name AS token, COALESCE(t.account, '') AS account, p.name AS provider,
                    g.authorized_at AS authorized_at, g.refreshed_at AS refreshed_at, ",
            $since,
            " + $1 AS at FROM ",
            $from,
            " AND p.template = $2 AND ($3 = '' OR p.consent_screen = $3) AND $4 NOT LIKE '%,' || COALESCE(p.consent_screen, '-') || ',%'
               AND g.state <> 'revoked' AND g.rt_current IS NOT NULL AND t.grant_type IN ('authorization_code', 'device_code')
               AND ",
            $since,
            " < $5) AS all_of_rule WHERE at < $6"
        )
    };
}

/// Those with what hangs on them.
macro_rules! with_mailboxes {
    ($($from:tt)*) => {
        concat!(
            "SELECT s.token AS token, s.account AS account, s.provider AS provider, s.at AS at, s.authorized_at AS authorized_at,
                    s.refreshed_at AS refreshed_at, 1 AS n,
                    (SELECT COUNT(*) FROM mailboxes m WHERE m.incoming_token_id = s.id OR m.outgoing_token_id = s.id) AS mailboxes,
                    (SELECT COUNT(CASE WHEN m.enabled = 0 THEN 1 END) FROM mailboxes m WHERE m.incoming_token_id = s.id OR m.outgoing_token_id = s.id) AS turned_off
             FROM (",
            $($from)*,
            ") AS s"
        )
    };
}

/// What is asked of the sign-ins of a rule.
struct Asked {
    /// A page of them, the first one first: $7 and $8 are where it begins, $9 how many.
    up: &'static str,
    /// The same downwards.
    down: &'static str,
    /// Those of a provider as one.
    grouped: &'static str,
    /// How many, up to $7.
    counted: &'static str,
}

macro_rules! asked {
    ($which:ident) => {
        Asked {
            up: concat!(
                with_mailboxes!(concat!(
                    sign_ins!($which),
                    " AND at >= $7 AND (at > $7 OR token > $8) ORDER BY at, token LIMIT $9"
                )),
                " ORDER BY at, token"
            ),
            down: concat!(
                with_mailboxes!(concat!(
                    sign_ins!($which),
                    " AND at <= $7 AND (at < $7 OR token < $8) ORDER BY at DESC, token DESC LIMIT $9"
                )),
                " ORDER BY at DESC, token DESC"
            ),
            grouped: concat!(
                "SELECT provider, COUNT(*) AS n, MIN(token) AS token, MIN(account) AS account, MIN(at) AS at, MIN(authorized_at) AS authorized_at,
                        MIN(refreshed_at) AS refreshed_at, CAST(SUM(mailboxes) AS BIGINT) AS mailboxes, CAST(SUM(turned_off) AS BIGINT) AS turned_off
                 FROM (",
                with_mailboxes!(sign_ins!($which)),
                ") AS with_mailboxes GROUP BY provider ORDER BY provider"
            ),
            counted: concat!("SELECT COUNT(*) AS n FROM (", sign_ins!($which), " LIMIT $7) AS capped"),
        }
    };
}

const USED: Asked = asked!(used);
const MADE: Asked = asked!(made);

/// One-time links of tokens and of providers that still work at $1 and end before $2.
macro_rules! links {
    ($rest:literal) => {
        concat!(
            "SELECT * FROM (
                 SELECT l.id AS id, '' AS kind, t.name AS about, COALESCE(t.account, '') AS account, l.created_at AS created_at, l.expires_at AS at
                 FROM links l JOIN tokens t ON t.id = l.token_id WHERE l.used_at IS NULL AND l.withdrawn = 0
                 UNION ALL
                 SELECT l.id AS id, l.kind AS kind, p.name AS about, '' AS account, l.created_at AS created_at, l.expires_at AS at
                 FROM provider_links l JOIN providers p ON p.id = l.provider_id WHERE l.used_at IS NULL AND l.withdrawn = 0
             ) AS open_links WHERE at > $1 AND at < $2",
            $rest
        )
    };
}

const LINKS_UP: &str = links!(" AND at >= $3 AND (at > $3 OR id > $4) ORDER BY at, id LIMIT $5");
const LINKS_DOWN: &str = links!(" AND at <= $3 AND (at < $3 OR id < $4) ORDER BY at DESC, id DESC LIMIT $5");
const LINKS_COUNTED: &str = concat!("SELECT COUNT(*) AS n FROM (", links!(" LIMIT $3"), ") AS capped");

impl Store {
    /// Sign-ins that end by a rule, in the order of their ends.
    pub async fn ending_sign_ins(&self, rule: &Rule, range: &Range) -> StoreResult<Vec<SignInRow>> {
        let asked = asked(rule);
        let sql = if range.down { asked.down } else { asked.up };
        let rows = bound(sqlx::query(sql), rule, range.until)
            .bind(range.at.0)
            .bind(range.text.as_str())
            .bind(range.limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(sign_in).collect()
    }

    /// The same, those of a provider as one row: what ends before `until`.
    pub async fn ending_sign_ins_of_providers(&self, rule: &Rule, until: Timestamp) -> StoreResult<Vec<SignInRow>> {
        let query = bound(sqlx::query(asked(rule).grouped), rule, until);
        let rows = query.fetch_all(self.pool()).await?;
        rows.iter().map(sign_in).collect()
    }

    /// How many sign-ins end by a rule before `until`; counts no further than `most`.
    pub async fn count_ending_sign_ins(&self, rule: &Rule, until: Timestamp, most: i64) -> StoreResult<i64> {
        let query = bound(sqlx::query(asked(rule).counted), rule, until).bind(most);
        query.fetch_one(self.pool()).await?.int("n")
    }

    /// One-time links that still work at `now`, of tokens and of providers, in the order of their ends.
    pub async fn ending_links(&self, now: Timestamp, range: &Range) -> StoreResult<Vec<LinkRow>> {
        let rows = sqlx::query(if range.down { LINKS_DOWN } else { LINKS_UP })
            .bind(now.0)
            .bind(range.until.0)
            .bind(range.at.0)
            .bind(range.text.as_str())
            .bind(range.limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(LinkRow {
                    id: row.text("id")?,
                    kind: LinkKind::parse(&row.text("kind")?),
                    about: name(row, "about")?,
                    account: row.text("account")?,
                    created_at: row.time("created_at")?,
                    expires_at: row.time("at")?,
                })
            })
            .collect()
    }

    /// How many of them end before `until`; counts no further than `most`.
    pub async fn count_ending_links(&self, now: Timestamp, until: Timestamp, most: i64) -> StoreResult<i64> {
        let query = sqlx::query(LINKS_COUNTED).bind(now.0).bind(until.0).bind(most);
        query.fetch_one(self.pool()).await?.int("n")
    }

    /// Since when providers have keys of service accounts.
    pub async fn service_account_keys(&self) -> StoreResult<Vec<KeyRow>> {
        let rows = sqlx::query("SELECT provider_id, client_email, set_at FROM service_accounts")
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(KeyRow {
                    provider: ProviderId(row.text("provider_id")?),
                    client_email: row.text("client_email")?,
                    set_at: row.time("set_at")?,
                })
            })
            .collect()
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn asked(rule: &Rule) -> &'static Asked {
    if rule.unused_since.is_some() { &USED } else { &MADE }
}

fn bound<'q>(query: Query<'q>, rule: &'q Rule, until: Timestamp) -> Query<'q> {
    query
        .bind(rule.seconds)
        .bind(rule.template.as_str())
        .bind(rule.consent_screen.map_or("", ConsentScreen::as_str))
        .bind(rule.but.as_str())
        .bind(rule.unused_since.map_or(i64::MAX, |since| since.0))
        .bind(until.0)
}

fn sign_in(row: &AnyRow) -> StoreResult<SignInRow> {
    Ok(SignInRow {
        token: name(row, "token")?,
        account: row.text("account")?,
        provider: name(row, "provider")?,
        at: row.time("at")?,
        authorized_at: row.maybe_time("authorized_at")?,
        refreshed_at: row.maybe_time("refreshed_at")?,
        mailboxes: row.int("mailboxes")?,
        turned_off: row.int("turned_off")?,
        count: row.int("n")?,
    })
}
