//! Signing in with address and password: counted before it is looked at, and the same to the outside whatever was wrong (AUTH-5).

use crate::app::App;
use crate::auth::password::{Passwords, length_fits};
use crate::auth::throttle;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::user::{Permission, User};
use crate::secret::Password;
use crate::store::StoreResult;

/// A try, and where it comes from.
pub struct Attempt<'a> {
    /// What was typed.
    pub email: &'a str,
    /// What was typed.
    pub password: Password,
    /// Client address.
    pub address: &'a str,
    /// Request id.
    pub request_id: &'a str,
}

/// What came of it.
#[derive(Debug)]
pub enum SignIn {
    /// It is them.
    Done(Box<User>),
    /// It is not, whoever it was meant to be.
    Refused,
    /// Too many tries: seconds to wait.
    Wait(i64),
    /// Too many are signing in at the moment.
    Busy,
}

/// Checks a try and writes it to the audit. The session is the caller's affair.
pub async fn sign_in(app: &App, passwords: &Passwords, attempt: Attempt<'_>) -> StoreResult<SignIn> {
    let now = app.clock.now();
    let email = attempt.email.trim().to_lowercase();
    let mut tx = app.store.begin().await?;
    let counted = throttle::take(&mut tx, &email, attempt.address, now).await?;
    tx.commit().await?;
    let found = app.store.user_by_email(&email).await?;
    let entry = |outcome, detail: &str| AuditEntry {
        action: "sign_in",
        // An unknown address is not written down: it may be a password in the wrong field.
        target: found
            .as_ref()
            .map_or_else(|| "user:unknown".into(), |user| format!("user:{}", user.email)),
        detail: detail.to_owned(),
        outcome,
    };
    let actor = Actor {
        id: found
            .as_ref()
            .map_or_else(|| "nobody".into(), |user| format!("user:{}", user.email)),
        name: found.as_ref().map_or_else(|| "somebody".into(), |user| user.name.clone()),
        address: attempt.address.to_owned(),
        request_id: attempt.request_id.to_owned(),
        session: String::new(),
    };
    let counted = match counted {
        Ok(counted) => counted,
        Err(wait) => {
            // Once a wait has begun, further tries are not worth a row each.
            tracing::warn!("Refused a try to sign in, {wait} s too early");
            if let Some(left_out) = app.strangers.take(now) {
                let detail = sparingly(&format!("too many tries, {wait} s to wait"), left_out);
                app.store.audit(now, &actor, entry("refused", &detail)).await?;
            }
            return Ok(SignIn::Wait(wait));
        }
    };
    let stored = found.as_ref().map(|user| user.password_hash.clone());
    let checked = if length_fits(&attempt.password) {
        match passwords.check(attempt.password.clone(), stored.as_deref()).await {
            Ok(checked) => Some(checked),
            Err(_) => return Ok(SignIn::Busy),
        }
    } else {
        None
    };
    let right = checked.is_some_and(|checked| checked.right);
    let user = match &found {
        Some(user) if right && !user.disabled => user.clone(),
        _ => {
            app.store.audit(now, &actor, entry("refused", "")).await?;
            tracing::warn!("Refused a try to sign in: the address or the password is wrong, or the account is turned off");
            return Ok(SignIn::Refused);
        }
    };
    let stronger = if checked.is_some_and(|checked| checked.outdated) {
        passwords.hash(attempt.password).await.ok()
    } else {
        None
    };
    let mut tx = app.store.begin().await?;
    throttle::succeeded(&mut tx, &counted, now).await?;
    if let (Some(stronger), Some(was)) = (stronger, stored) {
        tx.rehash_password(&user.id, &was, &stronger).await?;
    }
    tx.set_user_seen(&user.id, now).await?;
    tx.audit(now, &actor, entry("ok", "")).await?;
    tx.commit().await?;
    Ok(SignIn::Done(Box::new(user)))
}

/// Writes down that somebody signed out.
pub async fn signed_out(app: &App, actor: &Actor) -> StoreResult<()> {
    let entry = AuditEntry {
        action: "sign_out",
        target: actor.id.clone(),
        detail: String::new(),
        outcome: "ok",
    };
    app.store.audit(app.clock.now(), actor, entry).await
}

/// A detail that says how many others like it were only noted in the log.
fn sparingly(detail: &str, left_out: u64) -> String {
    match left_out {
        0 => detail.to_owned(),
        n => format!("{detail}; {n} more before it are only in the log"),
    }
}

/// Writes down that a one-time link was refused; `target` is what it is for. Whoever has the link can cause this.
pub async fn refused_link(app: &App, actor: &Actor, target: String, why: &str) -> StoreResult<()> {
    refuse_sparingly(app, actor, "link.refuse", target, why).await
}

/// Writes down that a form was refused because no page of ours sent it, or one of an earlier visit. Anybody can cause this.
pub async fn refused_form(app: &App, actor: &Actor, path: &str, why: &str) -> StoreResult<()> {
    refuse_sparingly(app, actor, "form.refuse", format!("page:{path}"), why).await
}

async fn refuse_sparingly(app: &App, actor: &Actor, action: &'static str, target: String, why: &str) -> StoreResult<()> {
    let Some(left_out) = app.strangers.take(app.clock.now()) else {
        return Ok(());
    };
    let entry = AuditEntry {
        action,
        target,
        detail: sparingly(why, left_out),
        outcome: "refused",
    };
    app.store.audit(app.clock.now(), actor, entry).await
}

/// Writes down that somebody was refused for want of a permission; `path` is the route's pattern.
pub async fn refused(app: &App, actor: &Actor, permission: Permission, path: &str) -> StoreResult<()> {
    let entry = AuditEntry {
        action: "access.refuse",
        target: format!("page:{path}"),
        detail: format!("without {permission}"),
        outcome: "refused",
    };
    app.store.audit(app.clock.now(), actor, entry).await
}
