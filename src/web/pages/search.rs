//! The search of every page (`ux.md` section 5): mailboxes, tokens, providers, people, test runs and error codes.
//!
//! Its form posts: what is typed there may be a whole error text, with a token or a name in it, and an address ends in the browser's
//! history and in the logs of proxies. A word goes on to `GET /search?q=`; a text is explained at once and stands in no address.

use super::explain::{answered, is_known};
use crate::actions::mailboxes::trimmed;
use crate::model::bundle::without_secrets;
use crate::model::user::Permission;
use crate::store::mailboxes::{MailboxFilter, MailboxSort, Page as ListPage};
use crate::store::token_list::TokenFilter;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::routes::{self, Access, EXPLAIN, Routes, SEARCH};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// How many hits of a kind are shown?
const HITS: usize = 20;
/// How many characters are looked for as a name? What is longer is a text of an error.
const NAME: usize = 80;
/// How long is a code? An error that is longer is a text.
const CODE: usize = 24;
/// How many characters of a run's number have to be known?
const RUN: usize = 6;

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    Routes::new().get(SEARCH, view, show).post(SEARCH, view, ask)
}

/// What is looked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SearchQuery {
    q: String,
}

/// Something that was found.
struct Hit {
    /// Where it is; empty: nowhere of its own.
    href: String,
    words: String,
    more: String,
}

/// Hits of a kind.
struct Hits {
    title: &'static str,
    list: Vec<Hit>,
    /// Where all of them are, if there are more.
    all: Option<String>,
}

#[derive(Template)]
#[template(path = "search/index.html")]
struct SearchPage {
    layout: Layout,
    q: String,
    hits: Vec<Hits>,
    /// Where the error is explained.
    explain: Option<String>,
}

/// Whether a text is a word to look for, or a code: what may stand in an address.
fn is_word(text: &str) -> bool {
    let count = text.chars().count();
    count <= NAME && !text.contains(['\n', '\r']) && without_secrets(text).removed() == 0 && (count <= CODE || !is_known(text))
}

/// `POST /search`: on to the address of a word; a text of an error is explained here.
pub async fn ask(State(web): State<WebState>, user: CurrentUser, CsrfForm(query): CsrfForm<SearchQuery>) -> Result<Response, PageError> {
    let wanted = trimmed(&query.q);
    if !is_word(wanted) {
        return answered(&web, &user, wanted).await;
    }
    let query = serde_urlencoded::to_string([("q", wanted)]).unwrap_or_default();
    Ok(Redirect::to(&format!("{SEARCH}?{query}")).into_response())
}

/// `GET /search?q=`. A single hit is opened, an error is explained.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Query(query): Query<SearchQuery>) -> Result<Response, PageError> {
    let wanted = trimmed(&query.q);
    // Somebody typed it into the address. It goes no further than this page.
    if !is_word(wanted) {
        return answered(&web, &user, wanted).await;
    }
    let mut hits = if wanted.is_empty() {
        Vec::new()
    } else {
        found(&web, &user, wanted).await?
    };
    hits.retain(|hits| !hits.list.is_empty());
    let text = serde_urlencoded::to_string([("text", wanted)]).unwrap_or_default();
    let explain = (!wanted.is_empty() && is_known(wanted)).then(|| format!("{EXPLAIN}?{text}"));
    let single = match hits.as_slice() {
        [] => explain.clone(),
        [only] if only.list.len() == 1 && explain.is_none() => Some(only.list[0].href.clone()),
        _ => None,
    };
    if let Some(href) = single.filter(|href| !href.is_empty()) {
        return Ok(Redirect::to(&href).into_response());
    }
    let title = if wanted.is_empty() {
        "Search".to_owned()
    } else {
        format!("{wanted}: search")
    };
    SearchPage {
        layout: user.layout(Section::Search, &title).await,
        q: wanted.to_owned(),
        hits,
        explain,
    }
    .show()
}

fn all_of(path: &str, text: &str, list: &[Hit], more: bool) -> Option<String> {
    let query = serde_urlencoded::to_string([("q", text)]).unwrap_or_default();
    (more && !list.is_empty()).then(|| format!("{path}?{query}"))
}

/// Whether somebody looks for the page of dates.
fn is_of_dates(text: &str) -> bool {
    text.len() >= 4
        && ["expiry dates calendar", "what expires next"]
            .iter()
            .any(|words| words.contains(text))
}

async fn found(web: &WebState, user: &CurrentUser, wanted: &str) -> Result<Vec<Hits>, PageError> {
    let (app, store) = (&web.app, &web.app.store);
    let text = wanted.to_lowercase();
    let filter = MailboxFilter {
        text: wanted.to_owned(),
        ..MailboxFilter::default()
    };
    let (rows, more) = store
        .mailbox_page(&filter, MailboxSort::Address, false, &ListPage::First, HITS)
        .await?;
    let list: Vec<Hit> = rows
        .into_iter()
        .map(|row| Hit {
            href: routes::mailbox(&row.name),
            more: [row.name, row.display_name].join(" ").trim().to_owned(),
            words: row.address,
        })
        .collect();
    let mailboxes = Hits {
        title: "Mailboxes",
        all: all_of("/mailboxes", wanted, &list, more),
        list,
    };
    let filter = TokenFilter {
        text: wanted.to_owned(),
        ..TokenFilter::default()
    };
    let limit = i64::try_from(HITS).unwrap_or(i64::MAX);
    let mut rows = store.tokens_after(&filter, "", limit + 1, app.clock.now()).await?;
    let more = rows.len() > HITS;
    rows.truncate(HITS);
    let list: Vec<Hit> = rows
        .into_iter()
        .map(|row| Hit {
            href: routes::token(row.name.as_str()),
            words: row.account.unwrap_or_else(|| row.name.to_string()),
            more: format!("{} at {}", row.name, row.provider),
        })
        .collect();
    let tokens = Hits {
        title: "Tokens",
        all: all_of("/tokens", wanted, &list, more),
        list,
    };
    let fits = |texts: &[&str]| texts.iter().any(|part| part.to_lowercase().contains(&text));
    let list = store.providers().await?.into_iter().filter(|provider| {
        let tenant = provider.tenant.as_deref().unwrap_or_default();
        fits(&[provider.name.as_str(), &provider.client_id, tenant])
    });
    let providers = Hits {
        title: "Providers",
        list: list
            .take(HITS)
            .map(|provider| Hit {
                href: routes::provider(provider.name.as_str()),
                words: provider.name.to_string(),
                more: provider.template.label().to_owned(),
            })
            .collect(),
        all: None,
    };
    let id = text.len() >= RUN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let runs = if id {
        store.runs_beginning(&text, limit).await?
    } else {
        Vec::new()
    };
    let runs = Hits {
        title: "Tests",
        list: runs
            .into_iter()
            .map(|(id, address)| Hit {
                href: routes::run(id.as_str()),
                words: id.to_string(),
                more: address,
            })
            .collect(),
        all: None,
    };
    let people = if user.may(Permission::PeopleManage) {
        store.users().await?
    } else {
        Vec::new()
    };
    let people = Hits {
        title: "People",
        list: people
            .into_iter()
            .filter(|person| fits(&[&person.name, &person.email]))
            .take(HITS)
            .map(|person| Hit {
                href: String::new(),
                words: person.name,
                more: format!("{}, {}", person.email, person.role),
            })
            .collect(),
        all: None,
    };
    let dates = Hits {
        title: "Pages",
        list: if is_of_dates(&text) {
            vec![Hit {
                href: routes::EXPIRY.to_owned(),
                words: "What expires next".to_owned(),
                more: "Every date, as a table and a calendar file".to_owned(),
            }]
        } else {
            Vec::new()
        },
        all: None,
    };
    Ok(vec![mailboxes, tokens, providers, runs, people, dates])
}
