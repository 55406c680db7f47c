//! `/transfer`: bring settings along, and take them away (`ux.md`, 6.15).

mod export;
mod import;
mod kept;
mod preview;
mod report;
mod work;

use crate::clock::Timestamp;
use crate::model::import::Format;
use crate::model::user::Permission;
use crate::store::imports::ImportRow;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::routes::{Access, Routes};
use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The section's page.
const TRANSFER: &str = "/transfer";

/// The routes of this section. Bringing along takes more than one permission: see `may_import`.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    let change = Access::Permission(Permission::MailboxEdit);
    Routes::new()
        .get("/transfer", view, index)
        .get("/transfer/mailboxes.csv", view, template)
        .get("/transfer/import", change, import::new)
        .post("/transfer/import", change, import::receive)
        .get("/transfer/import/{id}", change, report::show)
        .post("/transfer/import/{id}/apply", change, preview::apply)
        .post("/transfer/import/{id}/go-on", change, report::go_on)
        .post("/transfer/import/{id}/drop", change, report::drop_it)
        .post("/transfer/import/{id}/undo", change, report::undo)
        .get("/transfer/export", view, export::new)
        .post("/transfer/export", view, export::make)
}

/// Whoever brings settings along changes providers, tokens and mailboxes.
async fn may_import(user: &CurrentUser) -> Result<(), PageError> {
    user.require(Permission::ProviderEdit).await?;
    user.require(Permission::TokenEdit).await
}

/// An import of the last day.
struct Line {
    id: String,
    what: String,
    at: Timestamp,
}

impl Line {
    fn of(row: ImportRow) -> Self {
        let what = match (row.begun_at, row.applied_at, row.undone_at) {
            (_, _, Some(_)) => "Undone".to_owned(),
            (_, Some(_), None) => "Imported".to_owned(),
            (Some(_), None, None) => "Not finished".to_owned(),
            (None, None, None) => {
                let format = Format::parse(&row.report).map_or("", Format::label);
                format!("Preview, {format}")
            }
        };
        Self {
            what,
            at: row.applied_at.or(row.begun_at).unwrap_or(row.created_at),
            id: row.id,
        }
    }
}

#[derive(Template)]
#[template(path = "transfer/index.html")]
struct IndexPage {
    layout: Layout,
    imports: Vec<Line>,
}

/// `GET /transfer`.
pub async fn index(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let rows = web.app.store.imports_of(&user.user().id, web.app.clock.now()).await?;
    let layout = user.layout(Section::Transfer, "Import and export").await;
    let imports = rows.into_iter().map(Line::of).collect();
    IndexPage { layout, imports }.show()
}

/// `GET /transfer/mailboxes.csv`: the template.
pub async fn template() -> Response {
    file("mailboxes.csv", "text/csv; charset=utf-8", crate::actions::transfer::template_csv())
}

/// A file to keep.
fn file(name: &str, kind: &'static str, text: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    (
        [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)],
        text,
    )
        .into_response()
}
