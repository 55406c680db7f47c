//! Passwords that were typed into a form which came back ([`crate::web::kept`]).

use super::MailboxForm;
use crate::secret::Password;
use crate::store::StoreResult;
use crate::web::guard::CurrentUser;
use crate::web::{WebState, kept};
use zeroize::Zeroizing;

/// Which kept texts these are.
const KIND: &str = "mailbox";

/// What was typed.
#[derive(Clone, Default)]
pub struct Passwords {
    pub password: Option<Password>,
    pub outgoing_password: Option<Password>,
}

/// Keeps what is in the form, together with what was kept for it before; the id that finds it again, empty if there is nothing.
pub(super) async fn keep(web: &WebState, user: &CurrentUser, form: &MailboxForm) -> StoreResult<String> {
    let before = of(web, user, &form.kept).await?;
    let typed = |text: &str, before: Option<Password>| match text {
        "" => before,
        text => Some(Password::new(text)),
    };
    let password = typed(&form.password, before.password);
    let outgoing = typed(&form.outgoing_password, before.outgoing_password);
    forget(web, user, &form.kept).await;
    if password.is_none() && outgoing.is_none() {
        return Ok(String::new());
    }
    let both = [&password, &outgoing].map(|one| one.as_ref().map(Password::expose_secret));
    let text = Zeroizing::new(serde_json::to_string(&both).unwrap_or_default());
    Ok(kept::keep(&web.app, &user.user().id, KIND, &text).await)
}

/// What was kept for this person's form.
pub(super) async fn of(web: &WebState, user: &CurrentUser, id: &str) -> StoreResult<Passwords> {
    let Some(text) = kept::of(&web.app, &user.user().id, KIND, id).await? else {
        return Ok(Passwords::default());
    };
    let [password, outgoing_password]: [Option<String>; 2] = serde_json::from_str(&text).unwrap_or_default();
    Ok(Passwords {
        password: password.map(Password::new),
        outgoing_password: outgoing_password.map(Password::new),
    })
}

/// Lets it go.
pub(super) async fn forget(web: &WebState, user: &CurrentUser, id: &str) {
    kept::forget(&web.app, &user.user().id, KIND, Some(id)).await;
}
