//! The preview of an import: what it would do, and the form that has it done. What is imported is what was shown last.

use super::may_import;
use super::report::{SHOWN, address, find, told};
use super::work::{back, imported, run};
use crate::actions::config::What;
use crate::actions::transfer::{self, Existing, Row, Survey};
use crate::clock::Timestamp;
use crate::model::user::Permission;
use crate::store::imports::ImportRow;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// With how many new entries are the values of each open?
const FEW: usize = 5;

/// What an address may say, and the form of a preview.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Choice {
    existing: String,
    /// The choice the preview was made with.
    shown: String,
    digest: String,
    /// Which button: `show` makes the preview anew.
    act: String,
}

impl Choice {
    pub(super) fn existing(&self) -> Existing {
        Existing::parse(&self.existing).unwrap_or(Existing::Skip)
    }
}

/// What a choice is called on the page.
fn label(existing: Existing) -> &'static str {
    match existing {
        Existing::Skip => "Skip",
        Existing::Change => "Change it",
        Existing::Add => "Add as new",
    }
}

#[derive(Template)]
#[template(path = "transfer/preview.html")]
struct PreviewPage {
    layout: Layout,
    id: String,
    existing: &'static str,
    until: Timestamp,
    survey: Survey,
    shown: Vec<Row>,
    /// Whether so few are new that the values of each are open.
    is_few: bool,
    more: usize,
    faults_more: usize,
    left_out_more: usize,
}

impl PreviewPage {
    fn counts(&self) -> [usize; 4] {
        let count = |what| self.survey.count(what);
        [
            count(What::Created),
            count(What::Updated),
            count(What::Unchanged),
            self.survey.faulty,
        ]
    }

    /// How many entries would be written.
    fn size(&self) -> usize {
        let written = |row: &&Row| row.what != What::Unchanged && !row.skipped;
        self.survey.rows.iter().filter(written).count()
    }
}

impl Row {
    fn word(&self) -> &'static str {
        match (self.what, self.skipped) {
            (_, true) => "Left as it is",
            (What::Created, _) => "New",
            (What::Updated, _) => "Changed",
            (What::Unchanged, _) => "The same",
        }
    }

    fn rank(&self) -> u8 {
        match self.what {
            What::Updated => 0,
            What::Created => 1,
            What::Unchanged => 2,
        }
    }
}

/// The preview as things are now. `failed`: why importing it in the background came to nothing.
pub(super) async fn show(
    web: &WebState,
    user: &CurrentUser,
    mut layout: Layout,
    row: ImportRow,
    existing: Existing,
    failed: Option<String>,
) -> Result<Response, PageError> {
    let document = transfer::waiting(&web.app, &row).map_err(told)?;
    let survey = Box::pin(transfer::survey(&web.app, &user.actor(), &document, existing))
        .await
        .map_err(told)?;
    if let Some(text) = failed {
        layout.flash = Some(Flash::bad(&format!("{text}. Nothing was changed.")));
    }
    let mut shown = survey.rows.clone();
    shown.sort_by_key(Row::rank);
    shown.truncate(SHOWN);
    survey.warn(&web.app, &mut shown).await?;
    PreviewPage {
        layout,
        id: row.id,
        existing: existing.as_str(),
        until: row.expires_at,
        more: survey.rows.len() - shown.len(),
        faults_more: survey.faults.len().saturating_sub(SHOWN),
        left_out_more: survey.left_out.len().saturating_sub(SHOWN),
        is_few: survey.count(What::Created) <= FEW,
        shown,
        survey,
    }
    .show()
}

/// The address of a preview made with a choice.
fn preview_of(id: &str, existing: Existing) -> String {
    format!("{}?existing={existing}", address(id))
}

/// `POST /transfer/import/{id}/apply`.
pub async fn apply(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    CsrfForm(choice): CsrfForm<Choice>,
) -> Result<Response, PageError> {
    may_import(&user).await?;
    let row = find(&web, &user, &id).await?;
    let existing = choice.existing();
    let document = match transfer::waiting(&web.app, &row) {
        Ok(document) => document,
        Err(error) => return back(&user, &preview_of(&id, existing), error).await,
    };
    if document.has_secrets() {
        user.require(Permission::SecretSet).await?;
    }
    if choice.act == "show" {
        return Ok(Redirect::to(&preview_of(&id, existing)).into_response());
    }
    // Whoever chose otherwise after the preview was made sees what that does, unless it does the same.
    if choice.existing != choice.shown {
        let survey = Box::pin(transfer::survey(&web.app, &user.actor(), &document, existing))
            .await
            .map_err(told)?;
        if survey.digest != choice.digest {
            let text = format!(
                "You chose “{}” after this preview was made, so here is what that does. Nothing is imported yet.",
                label(existing)
            );
            return user.redirect_with(&preview_of(&id, existing), Flash::info(&text)).await;
        }
    }
    let total = document.len();
    drop(document);
    let (app, imports, actor) = (web.app.clone(), web.imports.clone(), user.actor());
    let work = async move {
        let progress = |done| imports.note(&row.id, done);
        Box::pin(transfer::apply(&app, &actor, &row, existing, &choice.digest, &progress)).await
    };
    let report = match run(&web, &user, &id, &preview_of(&id, existing), total, false, work).await? {
        Ok(report) => report,
        Err(answer) => return Ok(answer),
    };
    match report {
        Ok(report) => user.redirect(&address(&id), &imported(&report)).await,
        Err(error) => back(&user, &preview_of(&id, existing), error).await,
    }
}
