//! `/transfer/export`: what there is, as a file.

use super::{TRANSFER, file};
use crate::actions::config::{ExportError, Part, export_part};
use crate::actions::transfer::{mailboxes_csv, mailboxes_toml};
use crate::actions::users::{self, UserError};
use crate::model::user::Permission;
use crate::secret::Password;
use crate::web::WebState;
use crate::web::error::{PageError, ask, who_can};
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::mailboxes::list::ListQuery;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

/// What our configuration files are.
const TOML: &str = "application/toml; charset=utf-8";

/// What to export.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ExportForm {
    what: String,
    /// Which mailboxes: the words of a search in their list.
    filter: String,
    /// `csv` or `toml`, for mailboxes.
    format: String,
    secrets: Option<String>,
    password: String,
}

#[derive(Template)]
#[template(path = "transfer/export.html")]
struct ExportPage {
    layout: Layout,
    errors: FieldErrors,
    what: String,
    filter: String,
    format: String,
    secrets: bool,
    email: String,
    /// Who may export secrets, for people who may not.
    refusal: String,
}

async fn page(web: &WebState, user: &CurrentUser, form: &ExportForm, errors: FieldErrors) -> Result<Response, PageError> {
    let layout = user.layout(Section::Transfer, "Export").await.crumb("Import and export", TRANSFER);
    let wrong = !errors.is_empty();
    let refusal = if user.may(Permission::CryptoManage) {
        String::new()
    } else {
        let names = web.app.store.names_with(&[crate::model::user::Role::Admin], 3).await?;
        format!("{} {}", who_can(Permission::CryptoManage), ask(&names))
    };
    let page = ExportPage {
        layout: if wrong { layout.error() } else { layout },
        errors,
        what: if form.what.is_empty() {
            "everything".to_owned()
        } else {
            form.what.clone()
        },
        filter: form.filter.clone(),
        format: if form.format == "toml" { "toml" } else { "csv" }.to_owned(),
        secrets: form.secrets.is_some(),
        email: user.user().email.clone(),
        refusal,
    };
    if wrong { page.refused() } else { page.show() }
}

/// What an address may say.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    what: String,
    filter: String,
}

/// `GET /transfer/export`.
pub async fn new(State(web): State<WebState>, user: CurrentUser, Query(wanted): Query<Wanted>) -> Result<Response, PageError> {
    let form = ExportForm {
        what: wanted.what,
        filter: wanted.filter,
        ..ExportForm::default()
    };
    page(&web, &user, &form, FieldErrors::default()).await
}

/// `POST /transfer/export`. A form, because the audit notes who took what away.
pub async fn make(State(web): State<WebState>, user: CurrentUser, CsrfForm(mut form): CsrfForm<ExportForm>) -> Result<Response, PageError> {
    let password = Password::new(std::mem::take(&mut form.password));
    let secrets = form.secrets.is_some();
    let mut errors = FieldErrors::default();
    if form.what != "mailboxes" && !form.filter.trim().is_empty() {
        errors.add(
            "filter",
            "Only an export of mailboxes has a filter. Choose Mailboxes above, or leave this empty",
        );
    }
    if secrets {
        user.require(Permission::CryptoManage).await?;
        if form.what == "mailboxes" && form.format != "toml" {
            errors.add(
                "secrets",
                "A table never holds secrets. Choose a configuration file, or leave this out",
            );
        }
        if password.expose_secret().is_empty() {
            errors.add("password", "Enter your password: an export with secrets needs it");
        }
    }
    if !errors.is_empty() {
        return page(&web, &user, &form, errors).await;
    }
    if secrets {
        match users::confirm(&web.app, &web.passwords, &user.actor(), user.user(), password, "config.export").await {
            Ok(()) => {}
            Err(UserError::Field(_, _)) => {
                errors.add("password", "Your password is wrong");
                return page(&web, &user, &form, errors).await;
            }
            Err(other) => return Err(other.into()),
        }
    }
    let date = jiff::Timestamp::from_second(web.app.clock.now().0)
        .unwrap_or_default()
        .strftime("%Y-%m-%d")
        .to_string();
    let failed = |error: ExportError| match error {
        ExportError::Store(error) => error.into(),
        other => PageError::internal(other),
    };
    // Two files of one day that differ in this are not to be mistaken for each other.
    let with = if secrets { "-with-secrets" } else { "" };
    if form.what == "mailboxes" {
        let filter = ListQuery::search(&form.filter).filter();
        let name = format!("mailgrant-mailboxes-{date}");
        let made = if form.format == "toml" {
            let text = mailboxes_toml(&web.app, &user.actor(), &filter, secrets).await.map_err(failed)?;
            text.map(|text| file(&format!("{name}{with}.toml"), TOML, text.to_string()))
        } else {
            let text = mailboxes_csv(&web.app, &user.actor(), &filter).await.map_err(failed)?;
            text.map(|text| file(&format!("{name}.csv"), "text/csv; charset=utf-8", text))
        };
        if let Some(made) = made {
            return Ok(made);
        }
        errors.add("filter", "No mailbox matches. Leave it empty for all of them");
        return page(&web, &user, &form, errors).await;
    }
    let (part, name) = match form.what.as_str() {
        "settings" => (Part::Settings, "settings"),
        _ => (Part::Everything, "everything"),
    };
    let made = export_part(&web.app, &user.actor(), part, secrets).await;
    let text = made.map_err(failed)?;
    Ok(file(&format!("mailgrant-{name}{with}-{date}.toml"), TOML, text.to_string()))
}
