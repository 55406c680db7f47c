//! `/transfer/import`: what is brought along comes in here, as a file or pasted.

use super::{TRANSFER, kept, may_import};
use crate::actions::transfer::{self, ReadError};
use crate::model::config_file::mailbox_keys;
use crate::model::import::{Brought, Fault, cut};
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::upload::Upload;
use askama::Template;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use zeroize::Zeroizing;

/// Where the form posts to.
const PATH: &str = "/transfer/import";
/// How many problems a page lists.
const SHOWN: usize = 200;

/// What was pasted.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ImportForm {
    text: String,
    /// Finds what was taken out of it when it came back.
    kept: String,
}

/// The form as it came, with a file or without any.
pub struct Sent {
    form: ImportForm,
    upload: Option<Upload>,
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        if request.extensions().get::<Upload>().is_none() {
            let CsrfForm(form) = CsrfForm::from_request(request, state).await?;
            return Ok(Self { form, upload: None });
        }
        let upload = Upload::from_request_parts(&mut request.into_parts().0, state).await?;
        let form = ImportForm {
            text: upload.text("text").to_owned(),
            kept: upload.text("kept").to_owned(),
        };
        Ok(Self {
            form,
            upload: Some(upload),
        })
    }
}

#[derive(Template)]
#[template(path = "transfer/import.html")]
struct ImportPage {
    layout: Layout,
    errors: FieldErrors,
    text: String,
    kept: String,
    faults: Vec<Fault>,
    columns: Vec<&'static str>,
}

/// The page, with `text` as it may be shown.
async fn page(web: &WebState, user: &CurrentUser, text: &str, errors: FieldErrors, faults: Vec<Fault>) -> Result<Response, PageError> {
    let layout = user.layout(Section::Transfer, "Import").await.crumb("Import and export", TRANSFER);
    let wrong = !errors.is_empty();
    let mut cut = cut::cut(text);
    let page = ImportPage {
        layout: if wrong { layout.error() } else { layout },
        errors,
        kept: kept::keep(web, user, &mut cut).await,
        text: cut.shown,
        faults,
        columns: mailbox_keys().collect(),
    };
    if wrong { page.refused() } else { page.show() }
}

/// `GET /transfer/import`.
pub async fn new(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    may_import(&user).await?;
    let form: ImportForm = match user.take_draft(PATH).await {
        Some(fields) => refill(&fields).await.unwrap_or_default(),
        None => ImportForm::default(),
    };
    let (text, _) = whole(&web, &user, &form).await?;
    page(&web, &user, &text, FieldErrors::default(), Vec::new()).await
}

/// The text with what was taken out of it when it came back.
async fn whole(web: &WebState, user: &CurrentUser, form: &ImportForm) -> Result<(Zeroizing<String>, Option<Fault>), PageError> {
    let pieces = kept::of(web, user, &form.kept).await?;
    Ok(cut::whole(&form.text, &pieces))
}

/// `POST /transfer/import`.
pub async fn receive(State(web): State<WebState>, user: CurrentUser, sent: Sent) -> Result<Response, PageError> {
    may_import(&user).await?;
    let refused = |field: &'static str, message: String| {
        let mut errors = FieldErrors::default();
        errors.add(field, message);
        errors
    };
    let (text, lost) = whole(&web, &user, &sent.form).await?;
    if let Some(fault) = lost {
        let message = format!("Line {}: {}", fault.place.line, fault.message);
        return page(&web, &user, &text, refused("text", message), Vec::new()).await;
    }
    let file = sent.upload.as_ref().and_then(|upload| upload.chosen("file"));
    let field = if file.is_some() { "file" } else { "text" };
    let brought = match file {
        Some(_) if !text.trim().is_empty() => Err("Choose a file or paste the text, not both".to_owned()),
        Some(file) => Brought::file(file),
        None => Ok(Brought::pasted(text.clone())),
    };
    let brought = match brought {
        Ok(brought) => brought,
        Err(message) => return page(&web, &user, &text, refused(field, message), Vec::new()).await,
    };
    match transfer::receive(&web.app, &user.user().id, brought, user.may(Permission::SecretSet)).await {
        Ok(id) => {
            kept::forget(&web, &user).await;
            Ok(Redirect::to(&format!("{PATH}/{id}")).into_response())
        }
        Err(ReadError::Secrets) => {
            user.require(Permission::SecretSet).await?;
            Err(PageError::NotFound)
        }
        Err(ReadError::Store(error)) => Err(error.into()),
        Err(ReadError::Faults(mut faults)) => {
            let errors = refused(field, refusal(&faults));
            faults.truncate(SHOWN);
            page(&web, &user, &text, errors, faults).await
        }
    }
}

/// The first problem, for the field.
fn refusal(faults: &[Fault]) -> String {
    let message = |fault: &Fault| match &fault.help {
        Some(help) => format!("{}. {help}", fault.message),
        None => fault.message.clone(),
    };
    let first = faults.first().map(message).unwrap_or_default();
    match (faults.first().map(|fault| fault.place.line), faults.len()) {
        (Some(0), _) => first,
        (Some(line), 1) => format!("Line {line}: {first}"),
        (_, n) => format!("{n} lines can't be read. They are listed below"),
    }
}
