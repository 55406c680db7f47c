//! What was taken out of a pasted text that came back to be mended ([`crate::web::kept`]). Each person has one such text.

use crate::model::import::cut::Cut;
use crate::store::StoreResult;
use crate::web::guard::CurrentUser;
use crate::web::{WebState, kept};
use zeroize::Zeroizing;

/// Which kept texts these are.
const KIND: &str = "import";

/// Keeps what was taken out; the id that finds it again, empty if that is nothing. What this person had here before goes.
pub(super) async fn keep(web: &WebState, user: &CurrentUser, cut: &mut Cut) -> String {
    let pieces = std::mem::take(&mut cut.kept);
    if pieces.is_empty() {
        return String::new();
    }
    forget(web, user).await;
    let pieces: Vec<&str> = pieces.iter().map(|piece| piece.as_str()).collect();
    let text = Zeroizing::new(serde_json::to_string(&pieces).unwrap_or_default());
    kept::keep(&web.app, &user.user().id, KIND, &text).await
}

/// What was kept for this person's text, by number.
pub(super) async fn of(web: &WebState, user: &CurrentUser, id: &str) -> StoreResult<Vec<Zeroizing<String>>> {
    let text = kept::of(&web.app, &user.user().id, KIND, id).await?;
    let pieces: Vec<String> = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    Ok(pieces.into_iter().map(Zeroizing::new).collect())
}

/// Lets go of what this person had here.
pub(super) async fn forget(web: &WebState, user: &CurrentUser) {
    kept::forget(&web.app, &user.user().id, KIND, None).await;
}
