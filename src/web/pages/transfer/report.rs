//! `/transfer/import/{id}`: the preview, while it waits; how far it is, while it is written or undone; then what became of it.

use super::preview::{self, Choice};
use super::work::{back, imported, run};
use super::{TRANSFER, may_import};
use crate::actions::transfer::{self, KEPT, Left, Progress, Report, TransferError};
use crate::clock::Timestamp;
use crate::model::user::Permission;
use crate::store::imports::ImportRow;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::mailboxes::list::ListQuery;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;

/// How many entries of a kind a page lists.
pub(super) const SHOWN: usize = 200;

pub(super) fn address(id: &str) -> String {
    format!("/transfer/import/{id}")
}

pub(super) fn over() -> PageError {
    PageError::Missing("This import is over, or it was never here. A preview is kept for a while, for whoever made it.".to_owned())
}

pub(super) async fn find(web: &WebState, user: &CurrentUser, id: &str) -> Result<ImportRow, PageError> {
    let row = web.app.store.import(&user.user().id, id).await?;
    row.filter(|row| web.app.clock.now() < row.expires_at).ok_or_else(over)
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
    /// Where what came is tested; empty where no mailbox did.
    test: String,
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
    if let Some(progress) = web.imports.look(&web.app, &row).await? {
        let layout = layout(if progress.is_undo { "Undoing the import" } else { "Importing" }).await;
        return RunningPage { layout, id, progress }.show();
    }
    let failed = web.app.store.import_failure(&id).await?;
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
    Box::pin(preview::show(
        &web,
        &user,
        layout("Preview of the import").await,
        row,
        choice.existing(),
        failed,
    ))
    .await
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
        test: match mailbox_count > 0 && row.undone_at.is_none() {
            true => crate::web::pages::records::address("/tests/new", &[("which", "filter"), ("q", &format!("imported:{}", row.id))], &[]),
            false => String::new(),
        },
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

pub(super) fn told(error: TransferError) -> PageError {
    match error {
        TransferError::Store(error) => error.into(),
        TransferError::Gone => over(),
        other => PageError::Conflict(format!("{other}. Nothing was changed.")),
    }
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
    match run(&web, &user, &id, &address(&id), report.total, false, work).await? {
        Err(answer) => Ok(answer),
        Ok(Ok(report)) => user.redirect(&address(&id), &imported(&report)).await,
        Ok(Err(error)) => back(&user, &address(&id), error).await,
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
    match run(&web, &user, &id, &address(&id), total, true, work).await? {
        Err(answer) => Ok(answer),
        Ok(Ok(report)) => {
            let text = match report.kept.len() {
                0 => "The import was undone.".to_owned(),
                1 => "The import was undone but for 1 entry. It is named below.".to_owned(),
                n => format!("The import was undone but for {n} entries. They are named below."),
            };
            user.redirect(&address(&id), &text).await
        }
        Ok(Err(error)) => back(&user, &address(&id), error).await,
    }
}
