//! `/findings`: what the weekly look found in mailboxes: messages that are too large, and new ones in junk folders.

use super::records::address;
use crate::actions::findings::{self, Finding, FindingKey, FindingPlace};
use crate::clock::Timestamp;
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::mailboxes::list::grouped;
use crate::web::routes::{Access, Routes};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// Rows of a page.
const SIZE: i64 = 50;
const FINDINGS: &str = "/findings";

/// The routes of this section.
pub fn routes() -> Routes {
    Routes::new().get(FINDINGS, Access::Permission(Permission::View), index)
}

/// Which page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FindingsQuery {
    after: String,
    before: String,
    /// The number of the first row, for the words of the page.
    n: String,
}

impl FindingsQuery {
    fn place(&self) -> FindingPlace {
        match (read_key(&self.after), read_key(&self.before)) {
            (Some(key), _) => FindingPlace::After(key),
            (None, Some(key)) => FindingPlace::Before(key),
            (None, None) => FindingPlace::First,
        }
    }
}

fn write_key(key: &FindingKey) -> String {
    format!("{}.{}.{}", key.oversized, key.junk, key.name)
}

fn read_key(text: &str) -> Option<FindingKey> {
    let mut parts = text.splitn(3, '.');
    Some(FindingKey {
        oversized: parts.next()?.parse().ok()?,
        junk: parts.next()?.parse().ok()?,
        name: parts.next()?.to_owned(),
    })
}

#[derive(Template)]
#[template(path = "findings/index.html")]
struct IndexPage {
    layout: Layout,
    rows: Vec<Finding>,
    words: String,
    first: String,
    previous: String,
    next: String,
    report: Option<Timestamp>,
}

impl IndexPage {
    fn number(&self, count: &i64) -> String {
        grouped(*count)
    }
}

/// `GET /findings`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(query): Query<FindingsQuery>) -> Result<Response, PageError> {
    let app = &web.app;
    let mut place = query.place();
    let (mut rows, mut more) = findings::page(app, &place, SIZE).await?;
    let shown = |rows: &[Finding]| i64::try_from(rows.len()).unwrap_or(i64::MAX);
    if matches!(place, FindingPlace::Before(_)) && !more && shown(&rows) < SIZE {
        // Too near the beginning for a whole page: that is the first one.
        place = FindingPlace::First;
        (rows, more) = findings::page(app, &place, SIZE).await?;
    }
    if rows.is_empty() && place != FindingPlace::First {
        // What was there is gone.
        return Ok(Redirect::to(FINDINGS).into_response());
    }
    let (has_previous, has_next) = match place {
        FindingPlace::First => (false, more),
        FindingPlace::After(_) => (true, more),
        FindingPlace::Before(_) => (more, true),
    };
    let start = match (&place, query.n.parse::<i64>()) {
        (FindingPlace::After(_) | FindingPlace::Before(_), Ok(n)) => n.clamp(1, 1_000_000_000),
        _ => 1,
    };
    let end = start + shown(&rows) - 1;
    let all = match place {
        FindingPlace::First if !more => end,
        _ => findings::sums(app).await?.mailboxes,
    };
    let key = |row: Option<&Finding>| row.map(|row| write_key(&row.key())).unwrap_or_default();
    let link = |there: bool, more: &[(&str, &str)]| if there { address(FINDINGS, &[], more) } else { String::new() };
    IndexPage {
        layout: user
            .layout(Section::Mailboxes, "Large messages and junk")
            .await
            .crumb("Mailboxes", "/mailboxes"),
        words: format!("{}–{} of {}", grouped(start), grouped(end), grouped(all)),
        first: link(has_previous, &[]),
        previous: link(
            has_previous,
            &[("before", &key(rows.first())), ("n", &(start - SIZE).max(1).to_string())],
        ),
        next: link(has_next, &[("after", &key(rows.last())), ("n", &(end + 1).to_string())]),
        report: findings::next_report(app, app.clock.now()).await?,
        rows,
    }
    .show()
}
