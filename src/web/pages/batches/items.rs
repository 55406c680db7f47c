//! The mailboxes of a bulk test: a group of them, or all, in pages; and the whole as a file.

use super::find;
use super::view::tests_words;
use crate::model::audit::AuditEntry;
use crate::model::batch::{Item, ItemState};
use crate::model::{Name, ProviderId, TokenId};
use crate::store::batches::ItemFilter;
use crate::store::slices::Place;
use crate::store::{Store, StoreResult};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, Nothing};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::records::{FILE_STEP, FileForm, address, csv_line, download};
use crate::web::pages::tests::view::what;
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How many items on a page?
const ROWS: i64 = 50;

/// Which items.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ItemsQuery {
    state: String,
    cause: String,
    after: String,
}

#[derive(Template)]
#[template(path = "batches/items.html")]
struct ItemsPage {
    layout: Layout,
    path: String,
    heading: String,
    /// Of which bulk test, in words.
    which: String,
    rows: Vec<Item>,
    next: String,
    first: String,
}

impl ItemsPage {
    fn kind(&self, item: &Item) -> &'static str {
        match item.state {
            ItemState::Waiting => "todo",
            ItemState::Running => "run",
            ItemState::Passed => "ok",
            ItemState::Failed => "bad",
            ItemState::Skipped => "skip",
        }
    }

    fn words(&self, item: &Item) -> &'static str {
        words(item.state)
    }

    fn what(&self, item: &Item) -> &'static str {
        what(item.direction)
    }
}

fn words(state: ItemState) -> &'static str {
    match state {
        ItemState::Waiting => "Not tested",
        ItemState::Running => "Running",
        ItemState::Passed => "Passed",
        ItemState::Failed => "Failed",
        ItemState::Skipped => "Gone since",
    }
}

/// `GET /tests/batches/{id}/mailboxes`.
pub async fn index(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    Query(query): Query<ItemsQuery>,
) -> Result<Response, PageError> {
    let app = &web.app;
    let batch = find(app, &id).await?;
    let filter = ItemFilter {
        state: ItemState::parse(&query.state),
        cause: query.cause.clone(),
    };
    let heading = match (filter.cause.is_empty(), filter.state) {
        (false, _) => match app.store.batch_group(&batch.id, &filter.cause).await? {
            Some(group) => format!("{}: {}", tests_words(group.items), group.title),
            None => return Err(PageError::Missing("Nothing of this bulk test failed with that.".to_owned())),
        },
        (true, Some(state)) => words(state).to_owned(),
        (true, None) => "All tests".to_owned(),
    };
    let after = query.after.parse().unwrap_or(0);
    let mut rows = app.store.batch_items(&batch.id, &filter, after, ROWS + 1).await?;
    if rows.is_empty() && after > 0 {
        // What was there is gone, or is of another bulk test.
        let kept = [("state", query.state.as_str()), ("cause", query.cause.as_str())];
        let first = address(&format!("{}/mailboxes", routes::batch(&id)), &kept, &[]);
        return Ok(Redirect::to(&first).into_response());
    }
    let more = rows.len() > usize::try_from(ROWS).unwrap_or(50);
    rows.truncate(usize::try_from(ROWS).unwrap_or(50));
    let path = routes::batch(&id);
    let here = format!("{path}/mailboxes");
    let kept = [("state", query.state.as_str()), ("cause", query.cause.as_str())];
    let last = rows.last().map(|item| item.position.to_string()).unwrap_or_default();
    let layout = user.layout(Section::Tests, &heading).await;
    ItemsPage {
        layout: layout.crumb("Tests", "/tests").crumb("Bulk test", &path),
        next: if more {
            address(&here, &kept, &[("after", &last)])
        } else {
            String::new()
        },
        first: if after > 0 { address(&here, &kept, &[]) } else { String::new() },
        heading,
        which: batch.which,
        rows,
        path,
    }
    .show()
}

/// `POST /tests/batches/{id}/export`: a table. A form, because the audit notes who took what away.
pub async fn export(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    _: CsrfForm<Nothing>,
) -> Result<Response, PageError> {
    let batch = find(&web.app, &id).await?;
    let now = web.app.clock.now();
    let entry = AuditEntry {
        action: "batch.export",
        target: format!("batch:{}", batch.id),
        detail: String::new(),
        outcome: "ok",
    };
    web.app.store.audit(now, &user.actor(), entry).await?;
    let head = csv_line(&["mailbox", "address", "test", "result", "problem", "cause", "ended", "run"]);
    let store = web.app.store.clone();
    Ok(download("bulk-test", FileForm::default().format(), now, head, move |place| {
        let (store, id) = (store.clone(), batch.id.clone());
        async move {
            let after = match place {
                Place::NewerThan(position) => position,
                _ => 0,
            };
            let limit = i64::try_from(FILE_STEP).unwrap_or(500);
            let rows = store.batch_items(&id, &ItemFilter::default(), after, limit).await?;
            let next = rows
                .last()
                .filter(|_| rows.len() == FILE_STEP)
                .map(|item| Place::NewerThan(item.position));
            let causes = causes(&store, &rows).await?;
            Ok((rows.iter().map(|item| line(item, &causes)).collect(), next))
        }
    }))
}

/// What items failed with, as people know it: the names of providers and tokens in place of their ids.
async fn causes(store: &Store, items: &[Item]) -> StoreResult<BTreeMap<String, String>> {
    let mut causes = BTreeMap::new();
    for item in items {
        if item.cause.is_empty() || causes.contains_key(&item.cause) {
            continue;
        }
        let named = |noun: &str, name: Option<Name>| match name {
            Some(name) => format!("{noun} {name}"),
            None => format!("a {noun} that is gone"),
        };
        let words = match item.cause.split_once(':') {
            Some(("provider", id)) => {
                let found = store.provider_by_id(&ProviderId(id.to_owned())).await?;
                named("provider", found.map(|provider| provider.name))
            }
            Some(("token", id)) => named("token", store.token_by_id(&TokenId(id.to_owned())).await?.map(|token| token.name)),
            Some((_, words)) => words.to_owned(),
            None => item.cause.clone(),
        };
        causes.insert(item.cause.clone(), words);
    }
    Ok(causes)
}

fn line(item: &Item, causes: &BTreeMap<String, String>) -> String {
    let state = match item.state {
        ItemState::Waiting => "not tested",
        state => state.as_str(),
    };
    let ended = item.finished_at.map(crate::clock::Timestamp::to_rfc3339).unwrap_or_default();
    let run = item.run.as_ref().map(ToString::to_string).unwrap_or_default();
    let direction = item.direction.as_str();
    csv_line(&[
        &item.name,
        &item.address,
        direction,
        state,
        &item.problem,
        causes.get(&item.cause).map_or("", String::as_str),
        &ended,
        &run,
    ])
}
