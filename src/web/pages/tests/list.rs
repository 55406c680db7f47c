//! `GET /tests`: the list of runs.

use super::view::{outcome_kind, outcome_words, took, what};
use crate::diagnosis::by_id;
use crate::model::RunId;
use crate::model::report::{Direction, Stage};
use crate::store::reports::{Run, RunFilter};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::batches::BatchRow;
use crate::web::pages::records::address;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

/// How many runs on a page of the list?
const ROWS: i64 = 50;
/// Of how many mailboxes with the same address?
const SAME: i64 = 20;
/// How many bulk tests above it?
const BATCHES: usize = 10;

/// What the list of runs shows.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RunsQuery {
    mailbox: String,
    outcome: String,
    direction: String,
    after: String,
}

/// A row of the list.
struct RunRow {
    run: Run,
    kind: &'static str,
    words: &'static str,
    what: &'static str,
    step: String,
    problem: String,
    took: String,
}

impl RunRow {
    /// Whether its mailbox had a name: unsaved settings may have none.
    fn named(&self) -> bool {
        !self.run.mailbox_name.is_empty()
    }
}

#[derive(Template)]
#[template(path = "tests/list.html")]
struct ListPage {
    layout: Layout,
    query: RunsQuery,
    filtered: bool,
    rows: Vec<RunRow>,
    /// The newest bulk tests, above the first page.
    batches: Vec<BatchRow>,
    /// Whether there are more of them than here.
    more_batches: bool,
    next: String,
    first: String,
}

/// `GET /tests`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(query): Query<RunsQuery>) -> Result<Response, PageError> {
    let app = &web.app;
    let known = ["running", "passed", "failed", "stopped"].contains(&query.outcome.as_str());
    let mut filter = RunFilter {
        mailbox: None,
        outcome: known.then(|| query.outcome.clone()),
        direction: Direction::parse(&query.direction),
        after: read_after(&query.after),
        limit: ROWS + 1,
    };
    let mut runs = match query.mailbox.trim() {
        "" => app.store.runs(&filter).await?,
        called => {
            let mut runs = Vec::new();
            for id in app.store.mailboxes_called(called, SAME).await? {
                filter.mailbox = Some(id);
                runs.extend(app.store.runs(&filter).await?);
            }
            runs.sort_by(|a, b| (b.started_at, b.id.as_str()).cmp(&(a.started_at, a.id.as_str())));
            runs
        }
    };
    let more = i64::try_from(runs.len()).unwrap_or(i64::MAX) > ROWS;
    runs.truncate(usize::try_from(ROWS).unwrap_or(50));
    let next = match runs.last() {
        Some(last) if more => list_address(&query, Some(last)),
        _ => String::new(),
    };
    let filtered = filter.outcome.is_some() || filter.direction.is_some() || !query.mailbox.trim().is_empty();
    let mut batches = match filtered || filter.after.is_some() {
        true => Vec::new(),
        false => BatchRow::newest(app, BATCHES + 1).await?,
    };
    let more_batches = batches.len() > BATCHES;
    batches.truncate(BATCHES);
    ListPage {
        layout: user.layout(Section::Tests, "Tests").await,
        filtered,
        batches,
        more_batches,
        rows: runs.into_iter().map(run_row).collect(),
        next,
        first: match query.after.as_str() {
            "" => String::new(),
            _ => list_address(&query, None),
        },
        query,
    }
    .show()
}

fn run_row(run: Run) -> RunRow {
    let seconds = run
        .finished_at
        .map(|at| at.since(run.started_at))
        .and_then(|s| u64::try_from(s).ok());
    RunRow {
        kind: outcome_kind(&run.outcome),
        words: outcome_words(&run.outcome),
        what: what(run.direction),
        step: run
            .failed_step
            .as_deref()
            .and_then(Stage::parse)
            .map(|stage| stage.title().to_owned())
            .unwrap_or_default(),
        problem: run
            .diagnosis_id
            .as_deref()
            .and_then(by_id)
            .map(|diagnosis| diagnosis.title)
            .unwrap_or_default(),
        took: match seconds {
            Some(0) => "under 1 s".to_owned(),
            Some(seconds @ 1..60) => format!("{seconds} s"),
            Some(seconds) => took(std::time::Duration::from_secs(seconds)),
            None => String::new(),
        },
        run,
    }
}

fn read_after(text: &str) -> Option<(crate::clock::Timestamp, RunId)> {
    let (at, id) = text.split_once('.')?;
    Some((crate::clock::Timestamp(at.parse().ok()?), RunId(id.to_owned())))
}

/// The list with this filter, from the run after `last` on; without one from its beginning.
fn list_address(query: &RunsQuery, last: Option<&Run>) -> String {
    let after = last.map(|last| format!("{}.{}", last.started_at.0, last.id)).unwrap_or_default();
    let filter = [
        ("mailbox", query.mailbox.as_str()),
        ("outcome", &query.outcome),
        ("direction", &query.direction),
        ("after", &after),
    ];
    address("/tests", &filter, &[])
}
