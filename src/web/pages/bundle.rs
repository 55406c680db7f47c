//! The support bundle of a test run, a token and a provider: its preview, and copying or downloading it, which is written down.

use super::{batches, providers, tests, tokens};
use crate::actions::bundle::{self, About};
use crate::model::batch::{Batch, Group};
use crate::model::bundle::{Piece, Text};
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::routes::{self, Access, Routes};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// The routes of this section.
pub fn routes() -> Routes {
    let read = Access::Permission(Permission::LogRead);
    Routes::new()
        .get("/tests/{run}/bundle", read, of_run)
        .post("/tests/{run}/bundle", read, take_of_run)
        .get("/tokens/{name}/bundle", read, of_token)
        .post("/tokens/{name}/bundle", read, take_of_token)
        .get("/providers/{name}/bundle", read, of_provider)
        .post("/providers/{name}/bundle", read, take_of_provider)
        .get("/tests/batches/{id}/bundle", read, of_batch)
        .post("/tests/batches/{id}/bundle", read, take_of_batch)
}

/// What the forms ask for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// `hidden`: with stand-ins.
    names: String,
    /// `copy` or `download`.
    act: String,
}

impl Wish {
    fn hides_names(&self) -> bool {
        self.names == "hidden"
    }
}

#[derive(Template)]
#[template(path = "bundle/preview.html")]
struct PreviewPage {
    layout: Layout,
    of: String,
    back: String,
    path: String,
    hide_names: bool,
    removed: usize,
    pieces: Vec<Piece>,
}

/// What a bundle is of, in words, and the page it belongs to.
struct Place {
    section: Section,
    of: String,
    back: String,
}

impl Place {
    fn of(about: About<'_>) -> Self {
        let (section, of, back) = match about {
            About::Run(run) => {
                let what = tests::view::what(run.direction);
                (Section::Tests, format!("{what}, {}", run.address), routes::run(run.id.as_str()))
            }
            About::Token(token) => (Section::Tokens, token.name.to_string(), routes::token(token.name.as_str())),
            About::Provider(provider) => {
                let name = provider.name.to_string();
                (Section::Providers, name.clone(), routes::provider(&name))
            }
            About::Batch((batch, _)) => (Section::Tests, "bulk test".to_owned(), routes::batch(batch.id.as_str())),
        };
        Self { section, of, back }
    }
}

async fn text(web: &WebState, about: About<'_>, wish: &Wish) -> Result<Text, PageError> {
    if let About::Run(run) = about
        && run.outcome == "running"
    {
        return Err(PageError::Conflict(
            "This test is still running. Its bundle is there when it has ended.".to_owned(),
        ));
    }
    Ok(bundle::gather(&web.app, about).await?.render(wish.hides_names()))
}

async fn preview(web: &WebState, user: &CurrentUser, about: About<'_>, wish: &Wish) -> Result<Response, PageError> {
    let text = text(web, about, wish).await?;
    let place = Place::of(about);
    let layout = user.layout(place.section, "Support bundle").await;
    PreviewPage {
        layout: layout.crumb(&place.of, &place.back),
        of: place.of,
        path: format!("{}/bundle", place.back),
        back: place.back,
        hide_names: wish.hides_names(),
        removed: text.removed(),
        pieces: text.pieces(),
    }
    .show()
}

async fn take(web: &WebState, user: &CurrentUser, about: About<'_>, wish: &Wish) -> Result<Response, PageError> {
    if wish.act == "preview" {
        let names = if wish.hides_names() { "?names=hidden" } else { "" };
        return Ok(Redirect::to(&format!("{}/bundle{names}", Place::of(about).back)).into_response());
    }
    let text = text(web, about, wish).await?;
    let copied = wish.act == "copy";
    let how = if copied { "copied" } else { "downloaded" };
    bundle::note(&web.app, &user.actor(), about, how, wish.hides_names()).await?;
    let kind = (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned());
    let name = format!("attachment; filename=\"{}\"", about.file_name());
    Ok(([kind, (header::CONTENT_DISPOSITION, name)], text.plain()).into_response())
}

/// `GET /tests/{run}/bundle`.
pub async fn of_run(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    Query(wish): Query<Wish>,
) -> Result<Response, PageError> {
    let run = tests::find(&web.app, &id).await?;
    preview(&web, &user, About::Run(&run), &wish).await
}

/// `POST` of the same.
pub async fn take_of_run(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    CsrfForm(wish): CsrfForm<Wish>,
) -> Result<Response, PageError> {
    let run = tests::find(&web.app, &id).await?;
    take(&web, &user, About::Run(&run), &wish).await
}

/// `GET /tokens/{name}/bundle`.
pub async fn of_token(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    Query(wish): Query<Wish>,
) -> Result<Response, PageError> {
    let (token, _) = tokens::find(&web.app, &name).await?;
    preview(&web, &user, About::Token(&token), &wish).await
}

/// `POST` of the same.
pub async fn take_of_token(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(wish): CsrfForm<Wish>,
) -> Result<Response, PageError> {
    let (token, _) = tokens::find(&web.app, &name).await?;
    take(&web, &user, About::Token(&token), &wish).await
}

/// `GET /providers/{name}/bundle`.
pub async fn of_provider(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    Query(wish): Query<Wish>,
) -> Result<Response, PageError> {
    let provider = providers::find(&web.app, &name).await?;
    preview(&web, &user, About::Provider(&provider), &wish).await
}

/// `POST` of the same.
pub async fn take_of_provider(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(wish): CsrfForm<Wish>,
) -> Result<Response, PageError> {
    let provider = providers::find(&web.app, &name).await?;
    take(&web, &user, About::Provider(&provider), &wish).await
}

/// How many causes does a bundle name?
const CAUSES: i64 = 100;

async fn batch(web: &WebState, id: &str) -> Result<(Batch, Vec<Group>), PageError> {
    let batch = batches::find(&web.app, id).await?;
    let groups = web.app.store.batch_groups(&batch.id, CAUSES).await?;
    Ok((batch, groups))
}

/// `GET /tests/batches/{id}/bundle`.
pub async fn of_batch(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    Query(wish): Query<Wish>,
) -> Result<Response, PageError> {
    let found = batch(&web, &id).await?;
    preview(&web, &user, About::Batch(&found), &wish).await
}

/// `POST` of the same.
pub async fn take_of_batch(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    CsrfForm(wish): CsrfForm<Wish>,
) -> Result<Response, PageError> {
    let found = batch(&web, &id).await?;
    take(&web, &user, About::Batch(&found), &wish).await
}
