//! `/findings`: what the weekly look found in mailboxes: messages that are too large, and new ones in junk folders.

use super::pager::{Pages, Range, Stand};
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
const SIZE: usize = 50;
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
    pages: Pages,
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
    let limit = i64::try_from(SIZE).unwrap_or(i64::MAX);
    let (mut rows, mut more) = findings::page(app, &place, limit).await?;
    if matches!(place, FindingPlace::Before(_)) && !more && rows.len() < SIZE {
        // Too near the beginning for a whole page: that is the first one.
        place = FindingPlace::First;
        (rows, more) = findings::page(app, &place, limit).await?;
    }
    if rows.is_empty() && place != FindingPlace::First {
        // What was there is gone.
        return Ok(Redirect::to(FINDINGS).into_response());
    }
    let stand = match place {
        FindingPlace::First => Stand::First,
        FindingPlace::After(_) => Stand::After,
        FindingPlace::Before(_) => Stand::Before,
    };
    let range = Range::of(stand, more, rows.len(), SIZE, &query.n);
    let all = if range.is_all() {
        range.end()
    } else {
        findings::sums(app).await?.mailboxes
    };
    let key = |row: Option<&Finding>| row.map(|row| write_key(&row.key())).unwrap_or_default();
    let ends = (key(rows.first()), key(rows.last()));
    IndexPage {
        layout: user
            .layout(Section::Mailboxes, "Large messages and junk")
            .await
            .crumb("Mailboxes", "/mailboxes"),
        pages: range.pages((&ends.0, &ends.1), &grouped(all), |more| address(FINDINGS, &[], more)),
        report: findings::next_report(app, app.clock.now()).await?,
        rows,
    }
    .show()
}
