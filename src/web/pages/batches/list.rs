//! `GET /tests/batches`: every bulk test that is kept, newest first.

use super::view::BatchRow;
use crate::clock::Timestamp;
use crate::model::BatchId;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::records::address;
use crate::web::routes::BATCHES;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// Rows of a page.
const ROWS: usize = 50;

/// Which page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BatchesQuery {
    after: String,
}

#[derive(Template)]
#[template(path = "batches/list.html")]
struct ListPage {
    layout: Layout,
    batches: Vec<BatchRow>,
    first: String,
    next: String,
}

/// `GET /tests/batches`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(query): Query<BatchesQuery>) -> Result<Response, PageError> {
    let after = read_key(&query.after);
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut found = web.app.store.batches(after.as_ref(), limit).await?;
    if found.is_empty() && after.is_some() {
        // What was there is gone.
        return Ok(Redirect::to(BATCHES).into_response());
    }
    let more = found.len() > ROWS;
    found.truncate(ROWS);
    let next = found.last().filter(|_| more);
    ListPage {
        layout: user.layout(Section::Tests, "Bulk tests").await.crumb("Tests", "/tests"),
        first: after.map(|_| BATCHES.to_owned()).unwrap_or_default(),
        next: next.map_or_else(String::new, |last| {
            address(BATCHES, &[], &[("after", &format!("{}.{}", last.started_at.0, last.id))])
        }),
        batches: found.into_iter().map(BatchRow::of).collect(),
    }
    .show()
}

/// A place in the list, as it stands in addresses: `seconds.id`.
fn read_key(text: &str) -> Option<(Timestamp, BatchId)> {
    let (at, id) = text.split_once('.')?;
    Some((Timestamp(at.parse().ok()?), BatchId(id.to_owned())))
}
