//! Bulk tests (`ux.md` 6.5): the form before one, its page while it goes on and afterwards, its items, and what can be done with it.

mod events;
mod facts;
mod items;
mod list;
pub mod new;
mod view;

use crate::actions::batches::{self, BatchError, Which, Wish};
use crate::app::App;
use crate::model::BatchId;
use crate::model::batch::{Batch, BatchState, Command};
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, Nothing};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::routes::{self, Access, Routes};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
pub(crate) use facts::Watched;
use serde::Deserialize;
pub(in crate::web::pages) use view::BatchRow;
use view::BatchView;

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    let test = Access::Permission(Permission::MailboxTest);
    Routes::new()
        .get("/tests/new", test, new::new)
        .post("/tests/new", test, new::create)
        .get(routes::BATCHES, view, list::index)
        .get("/tests/batches/{id}", view, show)
        .get("/tests/batches/{id}/events", view, events::events)
        .get("/tests/batches/{id}/mailboxes", view, items::index)
        .post("/tests/batches/{id}/export", view, items::export)
        .post("/tests/batches/{id}/again", test, again)
        .post("/tests/batches/{id}/{turn}", test, turn)
}

/// A batch by the text in its address.
pub async fn find(app: &App, id: &str) -> Result<Batch, PageError> {
    let found = app.store.batch(&BatchId(id.to_owned())).await?;
    found.ok_or_else(|| PageError::Missing("There is no such bulk test. It may be too long ago.".to_owned()))
}

#[derive(Template)]
#[template(path = "batches/show.html")]
struct BatchPage {
    layout: Layout,
    view: BatchView,
    /// Who may test, for somebody who may not.
    cannot: Option<String>,
    once: String,
}

/// The main part of the page, for live pages.
#[derive(Template)]
#[template(path = "batches/main.html")]
struct BatchMain {
    layout: Layout,
    view: BatchView,
    /// Who may test, for somebody who may not.
    cannot: Option<String>,
    once: String,
    /// Whether it stands otherwise than when the page was opened: what was said above it then is old.
    moved: bool,
}

/// `GET /tests/batches/{id}`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    let batch = find(&web.app, &id).await?;
    let view = BatchView::of(&web.app, &user, batch).await?;
    let layout = user.layout(Section::Tests, &view.page_title).await.crumb("Tests", "/tests");
    BatchPage {
        layout,
        view,
        cannot: user.cannot(Permission::MailboxTest).await,
        once: web.app.random.base64url(12),
    }
    .show()
}

/// `POST /tests/batches/{id}/{turn}`: back to the page, which tells how it stands; where it moved on meanwhile with a word about that.
pub async fn turn(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((id, turn)): Path<(String, String)>,
    _: CsrfForm<Nothing>,
) -> Result<Response, PageError> {
    let turn = Command::parse(&turn).ok_or(PageError::NotFound)?;
    let batch = find(&web.app, &id).await?;
    let path = routes::batch(&id);
    match batches::turn(&web.app, &user.actor(), &batch.id, turn).await {
        Ok(()) => Ok(Redirect::to(&path).into_response()),
        Err(BatchError::Store(error)) => Err(error.into()),
        Err(BatchError::Moved | BatchError::Nobody | BatchError::TooMany(_)) => {
            let flash = Flash::info("It moved on meanwhile. Nothing was changed.");
            user.redirect_with(&path, flash).await
        }
    }
}

/// What makes two presses of one button one batch.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Once {
    once: String,
}

/// `POST /tests/batches/{id}/again`: a new batch of what failed.
pub async fn again(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    CsrfForm(form): CsrfForm<Once>,
) -> Result<Response, PageError> {
    let batch = find(&web.app, &id).await?;
    let wish = Wish {
        words: "What failed in a bulk test before".to_owned(),
        what: batch.what,
        parallel: batch.parallel,
        note: batch.note,
        which: Which::FailedOf(batch.id),
    };
    match begin(&web, &user, wish, &form.once).await? {
        Some(response) => Ok(response),
        None => {
            let flash = Flash::info("Nothing failed in it that is still here.");
            user.redirect_with(&routes::batch(&id), flash).await
        }
    }
}

/// Starts a batch and leads to it, once for each form; none where it would be empty.
async fn begin(web: &WebState, user: &CurrentUser, wish: Wish, once: &str) -> Result<Option<Response>, PageError> {
    let app = &web.app;
    let form = format!("batch {} {once}", user.user().id);
    let _starting = app.probes.forms().await;
    let form = (!once.is_empty()).then_some(form.as_str());
    let started = match form {
        Some(form) => app.store.batch_of_form(form).await?,
        None => None,
    };
    let id = match started {
        Some(id) => id.0,
        None => match batches::start(app, &user.actor(), &user.user().id, wish, form).await {
            Ok(id) => id.0,
            Err(BatchError::Nobody | BatchError::Moved) => return Ok(None),
            Err(BatchError::TooMany(open)) => {
                let flash = Flash::bad(&format!(
                    "Not started: {open} bulk tests have not ended yet. Let one end, or stop one that is paused."
                ));
                return Ok(Some(user.redirect_with("/tests", flash).await?));
            }
            Err(BatchError::Store(error)) => return Err(error.into()),
        },
    };
    Ok(Some(Redirect::to(&routes::batch(&id)).into_response()))
}

/// The mark of a batch.
fn kind(batch: &Batch) -> &'static str {
    match batch.state {
        BatchState::Running => "run",
        BatchState::Paused => "off",
        BatchState::Stopped => "skip",
        BatchState::Done if batch.failed > 0 => "bad",
        BatchState::Done if batch.is_empty_handed() => "skip",
        BatchState::Done => "ok",
    }
}
