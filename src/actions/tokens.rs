//! Creates, edits and deletes outbound tokens, brings refresh tokens along from other programs, and logs out.

pub mod again;
pub mod check;
mod log_out;

pub use check::{TokenEdit, TokenInput, check_token, lint};
pub(super) use log_out::give_back;
pub use log_out::{LoggedOut, Told, log_out};

use super::access_token::{AccessError, NewGrant, Pressed, press_renew, store_first_grant};
use super::{ActionError, FieldProblem, place};
use crate::app::App;
use crate::model::TokenId;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::provider::Provider;
use crate::model::token::{Grant, GrantState, GrantType, StoredPassword, Token, TokenEvent, TokenEventKind};
use crate::secret::{Password, RefreshToken};
use crate::store::{StoreError, Tx};

/// The token that results from an edit.
pub fn build(app: &App, edit: &TokenEdit, current: Option<&Token>) -> Token {
    let now = app.clock.now();
    Token {
        id: current.map_or_else(|| TokenId(app.new_id()), |current| current.id.clone()),
        name: edit.name.clone(),
        provider_id: edit.provider_id.clone(),
        provider: edit.provider.clone(),
        grant: edit.grant,
        user: edit.user.clone(),
        scopes: edit.scopes.clone(),
        prompt: edit.prompt,
        shared: edit.shared,
        version: current.map_or(1, |current| current.version),
        created_at: current.map_or(now, |current| current.created_at),
        updated_at: now,
    }
}

/// Adds a token, with the refresh token it brings along.
pub async fn create(app: &App, actor: &Actor, edit: TokenEdit, provider: &Provider) -> Result<Token, ActionError> {
    let token = build(app, &edit, None);
    let mut tx = app.store.begin().await?;
    match insert(app, &mut tx, actor, &token).await {
        Ok(()) => {}
        Err(StoreError::Taken) => {
            return Err(ActionError::Fields(vec![FieldProblem {
                field: "name",
                message: format!("Name {} is already used by another token", token.name),
            }]));
        }
        Err(error) => return Err(error.into()),
    }
    if let Some(password) = &edit.password {
        set_password(app, &mut tx, actor, &token, provider, password).await?;
    }
    if let Some(refresh_token) = &edit.refresh_token {
        import(app, &mut tx, actor, &token, provider, refresh_token).await?;
    }
    tx.commit().await?;
    Ok(token)
}

/// Writes a new token, its audit entry and the first line of its history. [`StoreError::Taken`] when the name is.
pub async fn insert(app: &App, tx: &mut Tx, actor: &Actor, token: &Token) -> Result<(), StoreError> {
    tx.insert_token(token).await?;
    event(app, tx, &token.id, TokenEventKind::Changed, &actor.name, "Added.".to_owned()).await?;
    let detail = format!(
        "provider {}, account {}, permissions {}",
        token.provider,
        token.user.as_deref().unwrap_or_default(),
        token.scopes.join(" ")
    );
    audit(app, tx, actor, "token.create", token, detail, "ok").await
}

/// Saves an edit of the token that was read as `current`; [`StoreError::Stale`] if somebody saved it since.
pub async fn update(app: &App, actor: &Actor, current: &Token, edit: TokenEdit, provider: &Provider) -> Result<Token, ActionError> {
    let token = build(app, &edit, Some(current));
    let mut tx = app.store.begin().await?;
    let (token, _) = save(app, &mut tx, actor, current, token).await?;
    if let Some(password) = &edit.password {
        set_password(app, &mut tx, actor, &token, provider, password).await?;
    }
    if let Some(refresh_token) = &edit.refresh_token {
        bring_along(app, &mut tx, actor, &token, provider, refresh_token, edit.forget).await?;
    }
    tx.commit().await?;
    Ok(token)
}

/// Writes what differs between two states of a token, if anything does, and says what. A token set of another account or provider
/// goes: the new account has to sign in.
pub async fn save(app: &App, tx: &mut Tx, actor: &Actor, old: &Token, mut new: Token) -> Result<(Token, Vec<String>), StoreError> {
    let changes = changes(old, &new);
    if changes.is_empty() {
        return Ok((old.clone(), changes));
    }
    tx.update_token(&new).await?;
    new.version += 1;
    let detail = changes.join("; ");
    event(
        app,
        tx,
        &new.id,
        TokenEventKind::Changed,
        &actor.name,
        format!("Changed: {detail}."),
    )
    .await?;
    if new.grant != GrantType::Password {
        tx.drop_token_password(&new.id).await?;
    }
    // What nobody signed in for is got anew, as it is asked for now.
    let got_alone = !old.grant.needs_person() && (old.grant != new.grant || old.scopes != new.scopes);
    if got_alone {
        tx.delete_grant(&new.id).await?;
    }
    if let Some(grant) = tx.grant(&new.id).await?
        && (old.provider_id != new.provider_id
            || old.grant.needs_person() != new.grant.needs_person()
            || !check::is_account(&grant, old.user.as_deref(), new.user.as_deref()))
    {
        tx.delete_grant(&new.id).await?;
        let text = format!("The sign-in of {} was forgotten with this change.", grant.identity.account());
        if old.grant.needs_person() {
            event(app, tx, &new.id, TokenEventKind::Removed, &actor.name, text).await?;
        }
    }
    let matters = (&old.provider_id, &old.user, &old.scopes, old.shared, old.grant)
        != (&new.provider_id, &new.user, &new.scopes, new.shared, new.grant);
    if matters {
        tx.reset_mailboxes_of_token(&new.id, app.clock.now()).await?;
    }
    audit(app, tx, actor, "token.update", &new, detail, "ok").await?;
    Ok((new, changes))
}

pub(super) fn changes(old: &Token, new: &Token) -> Vec<String> {
    let mut changes = Vec::new();
    let mut compare = |label: &str, old: &str, new: &str| {
        if old != new {
            let show = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
            changes.push(format!("{label}: {} → {}", show(old), show(new)));
        }
    };
    let prompt = |token: &Token| {
        token
            .prompt
            .map_or_else(|| "the provider's".to_owned(), |prompt| prompt.to_string())
    };
    let shared = |token: &Token| if token.shared { "yes" } else { "no" };
    compare("provider", old.provider.as_str(), new.provider.as_str());
    compare("grant", old.grant.as_str(), new.grant.as_str());
    compare(
        "account",
        old.user.as_deref().unwrap_or_default(),
        new.user.as_deref().unwrap_or_default(),
    );
    compare("permissions", &old.scopes.join(" "), &new.scopes.join(" "));
    compare("prompt", &prompt(old), &prompt(new));
    compare("may open shared mailboxes", shared(old), shared(new));
    changes
}

/// *Get token*, pressed by a person: a token that nobody signs in for is asked for now, also where the provider refused it last.
pub async fn get(app: &App, actor: &Actor, token: &Token) -> Result<Pressed, AccessError> {
    let pressed = press_renew(app, token).await;
    let (detail, outcome) = match &pressed {
        Ok(Pressed::Renewed(_)) => (String::new(), "ok"),
        Ok(Pressed::JustNow(_)) => return pressed,
        Err(error) => (error.diagnosis().title, "failed"),
    };
    let entry = AuditEntry {
        action: "token.get",
        target: format!("token:{}", token.name),
        detail,
        outcome,
    };
    app.store.audit(app.clock.now(), actor, entry).await?;
    pressed
}

/// Whether a password is stored that may go to where the provider is now.
pub async fn has_password(app: &App, token: &Token, provider: &Provider) -> Result<bool, StoreError> {
    let stored = app.store.token_password(&token.id).await?;
    Ok(stored.is_some_and(|stored| stored.sealed.is_some() && stored.destination == provider.destination()))
}

/// Whether a password is another than the stored one, or goes elsewhere.
pub(super) fn is_new_password(app: &App, token: &Token, provider: &Provider, old: Option<&StoredPassword>, password: &Password) -> bool {
    let destination = provider.destination();
    !old.is_some_and(|old| {
        let place = place::token_password(&token.id, old.version, &destination);
        let text = old.sealed.as_ref().and_then(|sealed| app.vault.open(&place, sealed).ok());
        old.destination == destination && text.is_some_and(|text| text.as_str() == password.expose_secret())
    })
}

/// Seals the password of a token for where its provider is; what was refused with an older one is tried again. Says whether it is news.
pub async fn set_password(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    token: &Token,
    provider: &Provider,
    password: &Password,
) -> Result<bool, StoreError> {
    let destination = provider.destination();
    let old = tx.token_password(&token.id).await?;
    if !is_new_password(app, token, provider, old.as_ref(), password) {
        return Ok(false);
    }
    let version = old.map_or(1, |old| old.version + 1);
    let sealed = app
        .vault
        .seal(&place::token_password(&token.id, version, &destination), password.expose_secret());
    let new = StoredPassword {
        sealed: Some(sealed),
        version,
        destination,
        set_at: app.clock.now(),
        set_by: actor.name.clone(),
    };
    tx.set_token_password(&token.id, &new).await?;
    if let Some(mut grant) = tx.grant(&token.id).await?
        && (grant.state != GrantState::Active || !place::is_current(&grant, provider))
    {
        if place::is_current(&grant, provider) {
            (grant.state, grant.retry_at, grant.failures) = (GrantState::Failing, None, 0);
            let generation = grant.generation;
            tx.update_grant(&grant, generation, None).await?;
        } else {
            tx.delete_grant(&token.id).await?;
        }
    }
    tx.reset_mailboxes_of_token(&token.id, app.clock.now()).await?;
    event(app, tx, &token.id, TokenEventKind::Changed, &actor.name, "Password set.".to_owned()).await?;
    audit(app, tx, actor, "token.password", token, "password set".to_owned(), "ok").await?;
    Ok(true)
}

/// Stores a refresh token of another program, unless a sign-in is stored that still counts: that one may have been renewed since, and
/// the one in a file would then be the older. `replace` takes it all the same. Says whether it was taken.
pub async fn bring_along(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    token: &Token,
    provider: &Provider,
    refresh_token: &RefreshToken,
    replace: bool,
) -> Result<bool, StoreError> {
    if let Some(grant) = tx.grant(&token.id).await?
        && !replace
        && !is_wanted(app, &grant, provider, refresh_token)
    {
        return Ok(false);
    }
    import(app, tx, actor, token, provider, refresh_token).await?;
    Ok(true)
}

/// Whether a refresh token that is brought along would take the place of what is stored.
pub(super) fn is_wanted(app: &App, grant: &Grant, provider: &Provider, refresh_token: &RefreshToken) -> bool {
    let counts = grant.state != GrantState::Revoked && place::is_current(grant, provider);
    !counts && !is_stored(app, grant, refresh_token)
}

fn is_stored(app: &App, grant: &Grant, refresh_token: &RefreshToken) -> bool {
    [&grant.rt_current, &grant.rt_previous]
        .into_iter()
        .flatten()
        .any(|(sealed, version)| {
            let place = place::refresh_token(&grant.token_id, *version, &grant.destination);
            app.vault
                .open(&place, sealed)
                .is_ok_and(|text| text.as_str() == refresh_token.expose_secret())
        })
}

/// Stores a refresh token that another program got. Who it belongs to shows at the first renewal.
async fn import(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    token: &Token,
    provider: &Provider,
    refresh_token: &RefreshToken,
) -> Result<(), StoreError> {
    let by = &actor.name;
    store_first_grant(app, tx, token, provider, NewGrant::Imported { refresh_token, by }).await?;
    tx.reset_mailboxes_of_token(&token.id, app.clock.now()).await?;
    audit(app, tx, actor, "token.import", token, "refresh token set".to_owned(), "ok").await
}

/// Deletes a token with everything it holds; [`StoreError::InUse`] while mailboxes use it. Log out first where the provider is to know.
pub async fn delete(app: &App, actor: &Actor, token: &Token) -> Result<(), ActionError> {
    let mut tx = app.store.begin().await?;
    tx.delete_token(&token.id).await?;
    audit(app, &mut tx, actor, "token.delete", token, String::new(), "ok").await?;
    tx.commit().await?;
    Ok(())
}

/// Adds a line to a token's history.
pub(super) async fn event(
    app: &App,
    tx: &mut Tx,
    token: &TokenId,
    kind: TokenEventKind,
    actor: &str,
    text: String,
) -> Result<(), StoreError> {
    let event = TokenEvent {
        kind,
        actor: actor.to_owned(),
        text,
        at: app.clock.now(),
    };
    tx.add_token_event(app.new_id(), token, &event).await
}

/// Adds an audit entry about a token.
pub(super) async fn audit(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    action: &'static str,
    token: &Token,
    detail: String,
    outcome: &'static str,
) -> Result<(), StoreError> {
    let entry = AuditEntry {
        action,
        target: format!("token:{}", token.name),
        detail,
        outcome,
    };
    tx.audit(app.clock.now(), actor, entry).await
}
