//! People: made, turned off, their passwords and what they may change about themselves. The last admin stays (ROLE-3).

use crate::app::App;
use crate::auth::password::{Passwords, check_new};
use crate::auth::throttle;
use crate::model::UserId;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::user::{Role, Theme, User};
use crate::secret::Password;
use crate::store::StoreError;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// What was typed can't be taken: the field, and a sentence for it.
    #[error("{1}")]
    Field(&'static str, String),
    /// Nobody has this address.
    #[error("there is no account for {0}")]
    Unknown(String),
    /// It would leave nobody who can manage the console.
    #[error("{0} is the last admin; make someone else admin first")]
    LastAdmin(String),
    /// There are accounts already, so this is not the first.
    #[error("there is an account already")]
    NotFirst,
    /// Too many tries at the own password: seconds to wait.
    #[error("too many tries; try again in {0} seconds")]
    Wait(i64),
    /// Too many passwords are being worked on.
    #[error("too many passwords are being worked on; try again in a moment")]
    Busy,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account to make.
pub struct NewUser<'a> {
    /// Address, as typed.
    pub email: &'a str,
    /// Name, as typed; empty: made from the address.
    pub name: &'a str,
    /// Role; none: admin for the first account, viewer after that.
    pub role: Option<Role>,
    /// Password.
    pub password: Password,
    /// Refuse if there is an account already.
    pub first: bool,
}

/// The address in the form accounts have it: lower case, one `@`, a dot behind it or a name of this machine.
pub fn parse_email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.split_once('@')?;
    let fine = |part: &str| {
        !part.is_empty() && !part.contains('@') && part.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '<' && c != '>')
    };
    (fine(local) && fine(domain) && text.len() <= 254 && !domain.starts_with('.') && !domain.ends_with('.')).then_some(text)
}

fn parse_name(text: &str) -> Result<String, UserError> {
    let text = text.trim();
    match text {
        "" => Err(UserError::Field("name", "Enter your name".into())),
        _ if text.chars().count() > 100 => Err(UserError::Field("name", "Name must be 100 characters or fewer".into())),
        _ if text.chars().any(char::is_control) => {
            Err(UserError::Field("name", "Name can't have line breaks or control characters".into()))
        }
        _ => Ok(text.to_owned()),
    }
}

fn audit(action: &'static str, email: &str, detail: impl Into<String>) -> AuditEntry {
    AuditEntry {
        action,
        target: format!("user:{email}"),
        detail: detail.into(),
        outcome: "ok",
    }
}

/// Makes an account.
pub async fn create(app: &App, passwords: &Passwords, actor: &Actor, new: NewUser<'_>) -> Result<User, UserError> {
    let email = parse_email(new.email).ok_or_else(|| UserError::Field("email", "Enter an email address like name@example.com".into()))?;
    let name = match new.name.trim() {
        "" => email.split('@').next().unwrap_or_default().to_owned(),
        name => parse_name(name)?,
    };
    check_new(&new.password, &email, &name).map_err(|problem| UserError::Field("password", problem.to_string()))?;
    let password_hash = passwords.hash(new.password).await.map_err(|_| UserError::Busy)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let count = tx.count_users().await?;
    if new.first && count > 0 {
        return Err(UserError::NotFirst);
    }
    let user = User {
        id: UserId(app.new_id()),
        email,
        name,
        role: new.role.unwrap_or(if count == 0 { Role::Admin } else { Role::Viewer }),
        password_hash,
        disabled: false,
        theme: Theme::System,
        time_zone: String::new(),
        created_at: now,
        last_seen_at: None,
    };
    match tx.insert_user(&user).await {
        Err(StoreError::Taken) => return Err(UserError::Field("email", format!("{} has an account already", user.email))),
        other => other?,
    }
    tx.audit(now, actor, audit("user.create", &user.email, format!("role {}", user.role)))
        .await?;
    tx.commit().await?;
    Ok(user)
}

/// Lets somebody in no more; their sessions are over.
pub async fn disable(app: &App, actor: &Actor, email: &str) -> Result<User, UserError> {
    let user = find(app, email).await?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if user.role == Role::Admin && !user.disabled && tx.count_other_admins(&user.id).await? == 0 {
        return Err(UserError::LastAdmin(user.email));
    }
    tx.set_user_disabled(&user.id, true).await?;
    tx.delete_sessions_of(&user.id, None).await?;
    tx.audit(now, actor, audit("user.disable", &user.email, "")).await?;
    tx.commit().await?;
    Ok(user)
}

/// Sets a password from the command line, which needs file access (AUTH-11); lets a disabled account in again and ends its sessions.
pub async fn reset_password(app: &App, passwords: &Passwords, actor: &Actor, email: &str, password: Password) -> Result<User, UserError> {
    let user = find(app, email).await?;
    check_new(&password, &user.email, &user.name).map_err(|problem| UserError::Field("password", problem.to_string()))?;
    let hash = passwords.hash(password).await.map_err(|_| UserError::Busy)?;
    let mut tx = app.store.begin().await?;
    tx.set_password_hash(&user.id, &hash).await?;
    tx.set_user_disabled(&user.id, false).await?;
    tx.delete_sessions_of(&user.id, None).await?;
    throttle::forgive(&mut tx, &user.email).await?;
    let detail = if user.disabled { "turned on again" } else { "" };
    tx.audit(app.clock.now(), actor, audit("user.reset_password", &user.email, detail))
        .await?;
    tx.commit().await?;
    Ok(user)
}

/// Changes the own password; needs the current one, and ends every other session (AUTH-10).
pub async fn change_password(
    app: &App,
    passwords: &Passwords,
    actor: &Actor,
    user: &User,
    session_hash: &str,
    current: Password,
    new: Password,
) -> Result<u64, UserError> {
    confirm(app, passwords, actor, user, current, "user.change_password").await?;
    check_new(&new, &user.email, &user.name).map_err(|problem| UserError::Field("password", problem.to_string()))?;
    let hash = passwords.hash(new).await.map_err(|_| UserError::Busy)?;
    let mut tx = app.store.begin().await?;
    tx.set_password_hash(&user.id, &hash).await?;
    let ended = tx.delete_sessions_of(&user.id, Some(session_hash)).await?;
    let detail = format!("{ended} other sessions ended");
    tx.audit(app.clock.now(), actor, audit("user.change_password", &user.email, detail))
        .await?;
    tx.commit().await?;
    Ok(ended)
}

/// Asks for the own password again before `action`; tries are counted as those of a sign-in, a wrong one is in the audit.
pub async fn confirm(
    app: &App,
    passwords: &Passwords,
    actor: &Actor,
    user: &User,
    current: Password,
    action: &'static str,
) -> Result<(), UserError> {
    let mut tx = app.store.begin().await?;
    let counted = throttle::take_own(&mut tx, &user.id, app.clock.now()).await?;
    tx.commit().await?;
    counted.map_err(UserError::Wait)?;
    let known = crate::auth::password::length_fits(&current)
        && passwords
            .check(current, Some(&user.password_hash))
            .await
            .map_err(|_| UserError::Busy)?
            .right;
    if known {
        return Ok(());
    }
    let entry = AuditEntry {
        outcome: "refused",
        ..audit(action, &user.email, "")
    };
    app.store.audit(app.clock.now(), actor, entry).await?;
    Err(UserError::Field("current", "Current password is wrong".into()))
}

/// Changes what a person may change about themselves.
pub async fn change_profile(app: &App, actor: &Actor, user: &User, name: &str, theme: Theme, time_zone: &str) -> Result<(), UserError> {
    let name = parse_name(name)?;
    let mut tx = app.store.begin().await?;
    tx.set_user_profile(&user.id, &name, theme, time_zone).await?;
    let detail = format!("name {name}, theme {theme}, time zone {time_zone}");
    tx.audit(app.clock.now(), actor, audit("user.change", &user.email, detail)).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends one of the own sessions, or all but this one. Says how many ended.
pub async fn end_sessions(app: &App, actor: &Actor, user: &User, which: EndSessions<'_>) -> Result<u64, UserError> {
    let mut tx = app.store.begin().await?;
    let ended = match which {
        EndSessions::One(id_hash) => u64::from(tx.delete_session(&user.id, id_hash).await?),
        EndSessions::AllBut(id_hash) => tx.delete_sessions_of(&user.id, Some(id_hash)).await?,
    };
    if ended > 0 {
        tx.audit(
            app.clock.now(),
            actor,
            audit("session.end", &user.email, format!("{ended} sessions")),
        )
        .await?;
    }
    tx.commit().await?;
    Ok(ended)
}

/// Which sessions to end.
#[derive(Debug, Clone, Copy)]
pub enum EndSessions<'a> {
    /// The one with this hash.
    One(&'a str),
    /// All but the one with this hash.
    AllBut(&'a str),
}

async fn find(app: &App, email: &str) -> Result<User, UserError> {
    let email = email.trim().to_lowercase();
    app.store.user_by_email(&email).await?.ok_or(UserError::Unknown(email))
}
