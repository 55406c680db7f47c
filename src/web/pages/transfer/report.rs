//! `/transfer/import/{id}`: the preview, while it waits; how far it is, while it is written or undone; then what became of it.

use super::{TRANSFER, may_import};
use crate::actions::config::What;
use crate::actions::transfer::{self, Existing, KEPT, Left, MANY, Progress, Report, Row, Running, Survey, TransferError};
use crate::clock::Timestamp;
use crate::model::user::Permission;
use crate::store::imports::ImportRow;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::mailboxes::list::ListQuery;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

/// How many entries of a kind a page lists.
const SHOWN: usize = 200;

/// What an address may say.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Choice {
    existing: String,
    digest: String,
}

impl Choice {
    fn existing(&self) -> Existing {
        Existing::parse(&self.existing).unwrap_or(Existing::Skip)
    }
}

fn address(id: &str) -> String {
    format!("/transfer/import/{id}")
}

fn over() -> PageError {
    PageError::Missing("This import is over, or it was never here. A preview waits for 24 hours, for whoever made it.".to_owned())
}

async fn find(web: &WebState, user: &CurrentUser, id: &str) -> Result<ImportRow, PageError> {
    let row = web.app.store.import(&user.user().id, id).await?;
    row.filter(|row| web.app.clock.now() < row.expires_at).ok_or_else(over)
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

#[derive(Template)]
#[template(path = "transfer/running.html")]
struct RunningPage {
    layout: Layout,
    id: String,
    progress: Progress,
}

#[derive(Template)]
#[template(path = "transfer/report.html")]
struct ReportPage {
    layout: Layout,
    id: String,
    report: Report,
    /// How many entries are written, and how many were to be, where it was interrupted.
    interrupted: Option<(usize, usize)>,
    mailboxes: Vec<String>,
    /// How many mailboxes there are, and where their list is.
    mailbox_count: usize,
    list: String,
    tokens: Vec<String>,
    others: Vec<(String, String)>,
    more: usize,
    undone: Option<Timestamp>,
    until: Timestamp,
    can_undo: bool,
}

impl ReportPage {
    fn left(&self, all: &[Left]) -> (Vec<Left>, usize) {
        (all.iter().take(SHOWN).cloned().collect(), all.len().saturating_sub(SHOWN))
    }
}

/// `GET /transfer/import/{id}`.
pub async fn show(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    Query(choice): Query<Choice>,
) -> Result<Response, PageError> {
    may_import(&user).await?;
    let row = find(&web, &user, &id).await?;
    let layout = |title: &'static str| async { user.layout(Section::Transfer, title).await.crumb("Import and export", TRANSFER) };
    let mut failed = None;
    if let Some(progress) = web.imports.look(&id) {
        if progress.failed.is_none() {
            let layout = layout(if progress.is_undo { "Undoing the import" } else { "Importing" }).await;
            return RunningPage { layout, id, progress }.show();
        }
        failed = progress.failed;
    }
    if let Some(begun_at) = row.begun_at {
        let is_whole = row.applied_at.is_some();
        let mut layout = layout(if is_whole {
            "What was imported"
        } else {
            "The import was interrupted"
        })
        .await;
        if let Some(text) = failed {
            layout.flash = Some(Flash::bad(&format!("It stopped: {text}.")));
        }
        return report(layout, row, begun_at);
    }
    let document = transfer::waiting(&web.app, &row).map_err(told)?;
    let existing = choice.existing();
    let survey = Box::pin(transfer::survey(&web.app, &user.actor(), &document, existing))
        .await
        .map_err(told)?;
    let mut layout = layout("Preview of the import").await;
    if let Some(text) = failed {
        layout.flash = Some(Flash::bad(&format!("{text}. Nothing was changed.")));
    }
    let mut shown = survey.rows.clone();
    shown.sort_by_key(Row::rank);
    shown.truncate(SHOWN);
    PreviewPage {
        layout,
        id,
        existing: existing.as_str(),
        until: row.expires_at,
        more: survey.rows.len() - shown.len(),
        faults_more: survey.faults.len().saturating_sub(SHOWN),
        left_out_more: survey.left_out.len().saturating_sub(SHOWN),
        shown,
        survey,
    }
    .show()
}

fn report(layout: Layout, row: ImportRow, begun_at: Timestamp) -> Result<Response, PageError> {
    let report: Report = serde_json::from_str(&row.report).unwrap_or_default();
    let of = |kind: &str| {
        let all = report.created.iter().chain(&report.updated).filter(|(k, _)| k == kind);
        all.map(|(_, name)| name.clone()).collect::<Vec<_>>()
    };
    let (mut mailboxes, mut tokens, mut providers) = (of("mailbox"), of("token"), of("provider"));
    let all = mailboxes.len() + tokens.len() + providers.len();
    let mailbox_count = mailboxes.len();
    for names in [&mut mailboxes, &mut tokens, &mut providers] {
        names.truncate(SHOWN);
    }
    let done = usize::try_from(row.done).unwrap_or_default();
    ReportPage {
        layout,
        list: ListQuery::imported(&row.id).address(&[]),
        interrupted: (row.applied_at.is_none() && row.undone_at.is_none() && report.undone == 0).then_some((done, report.total)),
        id: row.id,
        more: all - mailboxes.len() - tokens.len() - providers.len(),
        mailboxes,
        mailbox_count,
        tokens,
        others: providers.into_iter().map(|name| ("provider".to_owned(), name)).collect(),
        undone: row.undone_at,
        until: row.applied_at.unwrap_or(begun_at).plus(KEPT),
        can_undo: row.undone_at.is_none() && all > 0,
        report,
    }
    .show()
}

fn told(error: TransferError) -> PageError {
    match error {
        TransferError::Store(error) => error.into(),
        TransferError::Gone => over(),
        other => PageError::Conflict(format!("{other}. Nothing was changed.")),
    }
}

/// Back to the import, with why nothing was done; what the page itself can't say is an error.
async fn back(user: &CurrentUser, id: &str, existing: Existing, error: TransferError) -> Result<Response, PageError> {
    match error {
        TransferError::Store(error) => Err(error.into()),
        TransferError::Gone => Err(over()),
        other => {
            let to = match other {
                TransferError::Moved => format!("{}?existing={existing}", address(id)),
                _ => address(id),
            };
            user.redirect_with(&to, Flash::bad(&format!("{other}. Nothing was changed."))).await
        }
    }
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
        Err(error) => return back(&user, &id, existing, error).await,
    };
    if document.has_secrets() {
        user.require(Permission::SecretSet).await?;
    }
    let total = document.len();
    drop(document);
    let (app, imports, actor) = (web.app.clone(), web.imports.clone(), user.actor());
    let work = async move {
        let progress = |done| imports.note(&row.id, done);
        Box::pin(transfer::apply(&app, &actor, &row, existing, &choice.digest, &progress)).await
    };
    let report = match run(&web, &user, &id, total, false, work).await? {
        Ok(report) => report,
        Err(answer) => return Ok(answer),
    };
    match report {
        Ok(report) => user.redirect(&address(&id), &imported(&report)).await,
        Err(error) => back(&user, &id, existing, error).await,
    }
}

fn imported(report: &Report) -> String {
    match report.created.len() + report.updated.len() {
        0 => "Nothing had to be changed.".to_owned(),
        1 => "1 entry was imported.".to_owned(),
        n => format!("{n} entries were imported."),
    }
}

/// What came of some work on an import, or the answer where nobody waits for that.
type Ran = Result<Result<Report, TransferError>, Response>;

/// Takes an import off the list of those under way, at the latest when it is dropped.
struct Ended(Option<(Arc<Running>, String)>);

impl Ended {
    fn with(mut self, failed: Option<String>) {
        if let Some((imports, of)) = self.0.take() {
            imports.end(&of, failed);
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some((imports, of)) = self.0.take() {
            imports.end(
                &of,
                Some("It stopped without saying why. The log of the console has more.".to_owned()),
            );
        }
    }
}

/// Works on an import. A small one is waited for; a big one goes on by itself, and its page says how far it is.
async fn run(
    web: &WebState,
    user: &CurrentUser,
    id: &str,
    total: usize,
    is_undo: bool,
    work: impl Future<Output = Result<Report, TransferError>> + Send + 'static,
) -> Result<Ran, PageError> {
    if !web.imports.begin(id, total, is_undo) {
        let flash = Flash::info("This import is under way already.");
        return Ok(Err(user.redirect_with(&address(id), flash).await?));
    }
    let many = total > MANY;
    let (imports, of) = (web.imports.clone(), id.to_owned());
    let task = web.app.tasks.spawn(async move {
        // Also where it ends in a way nobody thought of: else it would be under way for ever.
        let ended = Ended(Some((imports, of)));
        let result = work.await;
        // Where nobody waits for the end, the page asks for the reason.
        let failed = result.as_ref().err().filter(|_| many).map(|error| {
            tracing::warn!(error = %error, "An import stopped: {error}");
            error.to_string()
        });
        ended.with(failed);
        result
    });
    if many {
        let text = if is_undo {
            "The import is being undone."
        } else {
            "The import is under way."
        };
        return Ok(Err(user.redirect_with(&address(id), Flash::info(text)).await?));
    }
    Ok(Ok(task.await.map_err(PageError::internal)?))
}

/// `POST /transfer/import/{id}/go-on`: writes what an interrupted import has left.
pub async fn go_on(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    may_import(&user).await?;
    user.require(Permission::SecretSet).await?;
    let row = find(&web, &user, &id).await?;
    let report: Report = serde_json::from_str(&row.report).unwrap_or_default();
    let (app, imports, actor) = (web.app.clone(), web.imports.clone(), user.actor());
    let work = async move {
        let progress = |done| imports.note(&row.id, done);
        Box::pin(transfer::go_on(&app, &actor, &row, &progress)).await
    };
    match run(&web, &user, &id, report.total, false, work).await? {
        Err(answer) => Ok(answer),
        Ok(Ok(report)) => user.redirect(&address(&id), &imported(&report)).await,
        Ok(Err(error)) => back(&user, &id, Existing::Skip, error).await,
    }
}

/// `POST /transfer/import/{id}/drop`.
pub async fn drop_it(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    may_import(&user).await?;
    let row = find(&web, &user, &id).await?;
    web.app.store.delete_import(&user.user().id, &row.id).await?;
    user.redirect(TRANSFER, "The preview was thrown away. Nothing was imported.").await
}

/// `POST /transfer/import/{id}/undo`.
pub async fn undo(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    may_import(&user).await?;
    user.require(Permission::SecretSet).await?;
    let row = find(&web, &user, &id).await?;
    let report: Report = serde_json::from_str(&row.report).unwrap_or_default();
    let total = report.created.len() + report.updated.len();
    let (app, imports, actor) = (web.app.clone(), web.imports.clone(), user.actor());
    let work = async move {
        let progress = |done| imports.note(&row.id, done);
        Box::pin(transfer::undo(&app, &actor, &row, &progress)).await
    };
    match run(&web, &user, &id, total, true, work).await? {
        Err(answer) => Ok(answer),
        Ok(Ok(report)) => {
            let text = match report.kept.len() {
                0 => "The import was undone.".to_owned(),
                1 => "The import was undone but for 1 entry. It is named below.".to_owned(),
                n => format!("The import was undone but for {n} entries. They are named below."),
            };
            user.redirect(&address(&id), &text).await
        }
        Ok(Err(error)) => back(&user, &id, Existing::Skip, error).await,
    }
}
