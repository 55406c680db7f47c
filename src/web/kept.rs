//! Secrets that were typed into a form which came back: they wait in the database for half an hour, sealed, for whoever typed them, and
//! never go into a page (SEC-6). Whichever instance gets the form next finds them.

use crate::app::App;
use crate::model::UserId;
use crate::store::StoreResult;
use crate::store::kept::KeptRow;
use crate::vault::Place;
use zeroize::Zeroizing;

/// How many seconds are they kept?
const FOR: i64 = 30 * 60;

fn place<'a>(id: &'a str, user: &'a UserId) -> Place<'a> {
    Place {
        table: "kept",
        column: "sealed",
        row: id,
        version: 1,
        destination: user.as_str(),
    }
}

/// Keeps a text; the id that finds it again. Where the database takes nothing it is lost, and the id is empty.
pub(super) async fn keep(app: &App, user: &UserId, kind: &str, text: &str) -> String {
    let id = app.random.base64url(16);
    let row = KeptRow {
        sealed: app.vault.seal(&place(&id, user), text),
        user_id: user.clone(),
        kind: kind.to_owned(),
        expires_at: app.clock.now().plus(FOR),
        id,
    };
    match app.store.keep(&row).await {
        Ok(()) => row.id,
        Err(error) => {
            tracing::warn!(%error, "What was typed could not be kept for a form that came back: {error}");
            String::new()
        }
    }
}

/// What was kept for this person under this id.
pub(super) async fn of(app: &App, user: &UserId, kind: &str, id: &str) -> StoreResult<Option<Zeroizing<String>>> {
    if id.is_empty() {
        return Ok(None);
    }
    let sealed = app.store.kept(user, kind, id, app.clock.now()).await?;
    Ok(sealed.and_then(|sealed| app.vault.open(&place(id, user), &sealed).ok()))
}

/// Lets go of one, or of all of a kind that this person has here.
pub(super) async fn forget(app: &App, user: &UserId, kind: &str, id: Option<&str>) {
    if id == Some("") {
        return;
    }
    // It ends by itself in half an hour.
    let _ = app.store.forget_kept(user, kind, id).await;
}
