//! Imports at work: written or undone, waited for or in the background.

use super::report::over;
use crate::actions::transfer::{MANY, Report, TransferError};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::Flash;
use axum::response::Response;

/// Back to the import at `to`, with why nothing was done; what the page itself can't say is an error.
pub(super) async fn back(user: &CurrentUser, to: &str, error: TransferError) -> Result<Response, PageError> {
    match error {
        TransferError::Store(error) => Err(error.into()),
        TransferError::Gone => Err(over()),
        other => user.redirect_with(to, Flash::bad(&format!("{other}. Nothing was changed."))).await,
    }
}

/// How many entries were imported, as a sentence.
pub(super) fn imported(report: &Report) -> String {
    match report.created.len() + report.updated.len() {
        0 => "Nothing had to be changed.".to_owned(),
        1 => "1 entry was imported.".to_owned(),
        n => format!("{n} entries were imported."),
    }
}

/// What came of some work on an import, or the answer where nobody waits for that.
pub(super) type Ran = Result<Result<Report, TransferError>, Response>;

/// Takes an import off the list of those under way, at the latest when it is dropped.
struct Ended(Option<(WebState, String)>);

impl Ended {
    async fn with(mut self, failed: Option<&str>) {
        if let Some((web, of)) = self.0.take() {
            web.imports.end(&web.app, &of, failed).await;
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some((web, of)) = self.0.take() {
            let silent = "It stopped without saying why. The log of the console has more.";
            tokio::spawn(async move { web.imports.end(&web.app, &of, Some(silent)).await });
        }
    }
}

/// Works on an import. A small one is waited for; a big one goes on by itself, and its page at `to` says how far it is.
pub(super) async fn run(
    web: &WebState,
    user: &CurrentUser,
    id: &str,
    to: &str,
    total: usize,
    is_undo: bool,
    work: impl Future<Output = Result<Report, TransferError>> + Send + 'static,
) -> Result<Ran, PageError> {
    let many = total > MANY;
    let (here, of) = (web.clone(), id.to_owned());
    let (told, begun) = tokio::sync::oneshot::channel();
    // Begun here and not by whoever asked: they may be gone in the middle of that, and it would be under way for ever.
    let task = web.app.tasks.spawn(async move {
        let taken = here.imports.begin(&here.app, &of, total, is_undo).await;
        let is_ours = matches!(taken, Ok(true));
        let _ = told.send(taken);
        if !is_ours {
            return None;
        }
        // Also where it ends in a way nobody thought of.
        let lists = here.lists.clone();
        let ended = Ended(Some((here, of)));
        let result = work.await;
        // What the filters of the list offer is another now.
        lists.forget();
        // Where nobody waits for the end, the page asks for the reason.
        let failed = result.as_ref().err().filter(|_| many).map(|error| {
            tracing::warn!(error = %error, "An import stopped: {error}");
            error.to_string()
        });
        ended.with(failed.as_deref()).await;
        Some(result)
    });
    if !begun.await.map_err(PageError::internal)?? {
        let flash = Flash::info("This import is under way already.");
        return Ok(Err(user.redirect_with(to, flash).await?));
    }
    if many {
        let text = if is_undo {
            "The import is being undone."
        } else {
            "The import is under way."
        };
        return Ok(Err(user.redirect_with(to, Flash::info(text)).await?));
    }
    let result = task.await.map_err(PageError::internal)?;
    Ok(Ok(result.unwrap_or(Err(TransferError::Gone))))
}
