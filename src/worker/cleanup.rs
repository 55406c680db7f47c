//! What nobody needs any more: ended sessions, old forms, counted tries, replaced refresh tokens, credentials that were kept for a while.

use crate::actions::ActionError;
use crate::actions::access_token;
use crate::actions::providers::credential;
use crate::app::App;
use std::time::Duration;

/// How long between two passes?
pub const EVERY: Duration = Duration::from_secs(600);

/// Sweeps. What fails does not keep the rest from being swept; the first failure is told.
pub async fn tick(app: &App) -> Result<(), ActionError> {
    let sessions = app.store.clean_sessions(app.clock.now()).await;
    let tokens = access_token::forget_previous(app).await;
    let credentials = credential::forget_outdated(app).await;
    sessions.and(tokens).map_err(ActionError::from).and(credentials)
}
