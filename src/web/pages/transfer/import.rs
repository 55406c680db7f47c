//! `/transfer/import`: what is brought along comes in here.

use super::{TRANSFER, may_import};
use crate::actions::transfer::{self, ReadError};
use crate::model::config_file::mailbox_keys;
use crate::model::import::Fault;
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use zeroize::Zeroizing;

/// Where the form posts to.
const PATH: &str = "/transfer/import";
/// How many problems a page lists.
const SHOWN: usize = 200;

/// What was brought along.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ImportForm {
    text: String,
}

#[derive(Template)]
#[template(path = "transfer/import.html")]
struct ImportPage {
    layout: Layout,
    errors: FieldErrors,
    text: String,
    faults: Vec<Fault>,
    columns: Vec<&'static str>,
}

async fn page(user: &CurrentUser, text: String, errors: FieldErrors, faults: Vec<Fault>) -> Result<Response, PageError> {
    let layout = user.layout(Section::Transfer, "Import").await.crumb("Import and export", TRANSFER);
    let wrong = !errors.is_empty();
    let page = ImportPage {
        layout: if wrong { layout.error() } else { layout },
        errors,
        text,
        faults,
        columns: mailbox_keys().collect(),
    };
    if wrong { page.refused() } else { page.show() }
}

/// `GET /transfer/import`.
pub async fn new(user: CurrentUser) -> Result<Response, PageError> {
    may_import(&user).await?;
    let form: ImportForm = match user.take_draft(PATH).await {
        Some(fields) => refill(&fields).await.unwrap_or_default(),
        None => ImportForm::default(),
    };
    page(&user, form.text, FieldErrors::default(), Vec::new()).await
}

/// `POST /transfer/import`.
pub async fn receive(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<ImportForm>) -> Result<Response, PageError> {
    may_import(&user).await?;
    let text = Zeroizing::new(form.text.clone());
    match transfer::receive(&web.app, &user.user().id, text, user.may(Permission::SecretSet)).await {
        Ok(id) => Ok(Redirect::to(&format!("{PATH}/{id}")).into_response()),
        Err(ReadError::Secrets) => {
            user.require(Permission::SecretSet).await?;
            Err(PageError::NotFound)
        }
        Err(ReadError::Store(error)) => Err(error.into()),
        Err(ReadError::Faults(mut faults)) => {
            let mut errors = FieldErrors::default();
            errors.add("text", refusal(&faults));
            faults.truncate(SHOWN);
            page(&user, form.text, errors, faults).await
        }
    }
}

/// The first problem, for the field.
fn refusal(faults: &[Fault]) -> String {
    let first = faults.first().map(|fault| fault.message.clone()).unwrap_or_default();
    match (faults.first().map(|fault| fault.place.line), faults.len()) {
        (Some(line), 1) => format!("Line {line}: {first}"),
        (_, n) => format!("{n} lines can't be read. They are listed below"),
    }
}
