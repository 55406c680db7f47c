//! `GET /tokens`: the list with its filters, all of them in the address.

use super::verdict::missing_words;
use crate::clock::Timestamp;
use crate::model::idle;
use crate::model::scopes::missing_scopes;
use crate::model::token::TokenState;
use crate::store::token_list::{TokenFilter, TokenRow};
use crate::store::{Store, StoreResult};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::providers::{form::short_scope, refused_words, state_kind};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

/// Rows of a page.
const ROWS: usize = 50;
/// Rows that are looked at in one go where the database can't filter.
const CHUNK: i64 = 500;
/// Tokens are counted exactly up to here.
const COUNTED: i64 = 10_000;

/// Filters and place, as the address has them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Find {
    q: String,
    state: String,
    provider: String,
    missing: String,
    ends: String,
    after: String,
    before: String,
}

impl Find {
    fn filter(&self) -> TokenFilter {
        TokenFilter {
            text: self.q.clone(),
            state: TokenState::parse(&self.state),
            provider: self.provider.clone(),
        }
    }

    fn is_empty(&self) -> bool {
        [&self.q, &self.state, &self.provider, &self.missing, &self.ends]
            .iter()
            .all(|text| text.is_empty())
    }

    /// The filters with another place.
    fn at(&self, place: Option<(&str, &str)>) -> String {
        let fields = [
            ("q", self.q.as_str()),
            ("state", &self.state),
            ("provider", &self.provider),
            ("missing", &self.missing),
            ("ends", &self.ends),
        ];
        let kept = fields.into_iter().chain(place).filter(|(_, value)| !value.is_empty());
        let query = serde_urlencoded::to_string(kept.collect::<Vec<_>>()).unwrap_or_default();
        if query.is_empty() {
            "/tokens".to_owned()
        } else {
            format!("/tokens?{query}")
        }
    }
}

/// The list of a provider's tokens that are in a state.
pub fn of_provider(provider: &str, state: TokenState) -> String {
    let find = Find {
        provider: provider.to_owned(),
        state: state.to_string(),
        ..Find::default()
    };
    find.at(None)
}

/// A row as it is shown.
struct Line {
    row: TokenRow,
    kind: &'static str,
    words: &'static str,
    missing: String,
    lapse: Option<Timestamp>,
}

impl Line {
    fn of(row: TokenRow) -> Self {
        let (kind, words, missing) = in_a_row(&row);
        let names: Vec<&str> = missing.iter().map(|scope| short_scope(scope)).collect();
        let stored =
            row.grant.needs_person() && !matches!(row.state, TokenState::Unauthorized | TokenState::Revoked | TokenState::Authorizing);
        Self {
            missing: names.join(", "),
            lapse: idle::profile(row.template, row.consent_screen)
                .filter(|_| stored)
                .and_then(|profile| profile.lapses_at(row.authorized_at, row.refreshed_at)),
            kind,
            words,
            row,
        }
    }
}

/// Mark and words of a row's state, and the permissions it lacks, for lists.
pub(in crate::web::pages) fn in_a_row(row: &TokenRow) -> (&'static str, &'static str, Vec<String>) {
    let granted = matches!(row.state, TokenState::Active | TokenState::Expired) && !row.granted_scopes.is_empty();
    let missing = if granted {
        missing_scopes(row.template, &row.scopes, &row.granted_scopes)
    } else {
        Vec::new()
    };
    let (kind, words) = match state_kind(row.state) {
        ("ok", _) if !missing.is_empty() => ("warn", missing_words(row.template, row.cloud, &missing)),
        _ if row.state == TokenState::Unauthorized && !row.grant.needs_person() => ("todo", "No token yet"),
        (kind, _) if row.state == TokenState::Revoked && !row.grant.needs_person() => (kind, refused_words(row.grant)),
        other => other,
    };
    (kind, words, missing)
}

#[derive(Template)]
#[template(path = "tokens/index.html")]
struct IndexPage {
    layout: Layout,
    find: Find,
    filtered: bool,
    lines: Vec<Line>,
    states: Vec<(String, String)>,
    providers: Vec<(String, String)>,
    ends: [(&'static str, &'static str); 4],
    count: String,
    first: String,
    previous: String,
    next: String,
    only_provider: Option<String>,
}

/// `GET /tokens`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(find): Query<Find>) -> Result<Response, PageError> {
    let now = web.app.clock.now();
    let days: Option<i64> = find.ends.parse().ok();
    let passes = |line: &Line| {
        (find.missing.is_empty() || !line.missing.is_empty())
            && days.is_none_or(|days| line.lapse.is_some_and(|end| end.since(now) <= days * 86_400))
    };
    let (lines, more) = page(&web.app.store, &find, &passes, now).await?;
    let backwards = !find.before.is_empty();
    let (first, last) = (lines.first(), lines.last());
    let name = |line: &Line| line.row.name.to_string();
    let previous = if backwards { more } else { !find.after.is_empty() };
    let next = backwards || more;
    let providers = web.app.store.providers().await?;
    let exact = find.missing.is_empty() && find.ends.is_empty();
    let count = if exact {
        match web.app.store.count_tokens(&find.filter(), COUNTED + 1, now).await? {
            1 => "1 token".to_owned(),
            count if count > COUNTED => format!("more than {COUNTED} tokens"),
            count => format!("{count} tokens"),
        }
    } else {
        format!("{} on this page", lines.len())
    };
    let all = |words: &str| (String::new(), words.to_owned());
    IndexPage {
        layout: user.layout(Section::Tokens, "Tokens").await,
        filtered: !find.is_empty(),
        first: if previous { find.at(None) } else { String::new() },
        previous: first
            .filter(|_| previous)
            .map(|line| find.at(Some(("before", &name(line)))))
            .unwrap_or_default(),
        next: last
            .filter(|_| next)
            .map(|line| find.at(Some(("after", &name(line)))))
            .unwrap_or_default(),
        lines,
        states: std::iter::once(all("Any state"))
            .chain(
                TokenState::ALL
                    .iter()
                    .map(|state| (state.to_string(), state_kind(*state).1.to_owned())),
            )
            .collect(),
        only_provider: providers.first().map(|provider| provider.name.to_string()),
        providers: std::iter::once(all("Any provider"))
            .chain(
                providers
                    .iter()
                    .map(|provider| (provider.name.to_string(), provider.name.to_string())),
            )
            .collect(),
        ends: [
            ("", "Any time"),
            ("7", "Within 7 days"),
            ("14", "Within 14 days"),
            ("30", "Within 30 days"),
        ],
        count,
        find,
    }
    .show()
}

/// A page of rows, and whether there are more on its far side. What the database can't filter is looked through here.
async fn page(store: &Store, find: &Find, passes: &(dyn Fn(&Line) -> bool + Sync), now: Timestamp) -> StoreResult<(Vec<Line>, bool)> {
    let filter = find.filter();
    let backwards = !find.before.is_empty();
    let mut place = if backwards { find.before.clone() } else { find.after.clone() };
    let mut lines: Vec<Line> = Vec::new();
    loop {
        let chunk = if backwards {
            store.tokens_before(&filter, &place, CHUNK, now).await?
        } else {
            store.tokens_after(&filter, &place, CHUNK, now).await?
        };
        let end = i64::try_from(chunk.len()).unwrap_or(0) < CHUNK;
        let edge = if backwards { chunk.first() } else { chunk.last() };
        if let Some(edge) = edge {
            place = edge.name.to_string();
        }
        let mut found: Vec<Line> = chunk.into_iter().map(Line::of).filter(|line| passes(line)).collect();
        if backwards {
            found.append(&mut lines);
        } else {
            lines.append(&mut found);
        }
        if backwards {
            lines = found;
        }
        if end || lines.len() > ROWS {
            break;
        }
    }
    let more = lines.len() > ROWS;
    if more && backwards {
        lines.drain(..lines.len() - ROWS);
    }
    lines.truncate(ROWS);
    Ok((lines, more))
}
