//! Creates, edits and deletes outbound tokens, brings refresh tokens along from other programs, and logs out: the token set is deleted
//! here and, where the provider has a call for it, revoked there (OAUTH-16).

pub mod check;

pub use check::{TokenEdit, TokenInput, check_token, lint};

use super::access_token::{AccessError, NewGrant, Pressed, press_renew, store_first_grant};
use super::{ActionError, FieldProblem, place};
use crate::actions::providers::trial::diagnosis_of;
use crate::app::App;
use crate::model::TokenId;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::Pause;
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::token::{Grant, GrantState, GrantType, StoredPassword, Token, TokenEvent, TokenEventKind};
use crate::oauth::{Revocation, revoke};
use crate::secret::{AccessToken, Password, RefreshToken};
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
    let is_same = |old: &StoredPassword| {
        let place = place::token_password(&token.id, old.version, &destination);
        let text = old.sealed.as_ref().and_then(|sealed| app.vault.open(&place, sealed).ok());
        old.destination == destination && text.is_some_and(|text| text.as_str() == password.expose_secret())
    };
    if old.as_ref().is_some_and(is_same) {
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

/// What the provider made of a sign-out.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It took the token back.
    Revoked,
    /// It has no call for that.
    NotOffered,
    /// There was nothing stored to take back, or it can't be opened any more.
    Nothing,
    /// The call failed; here the token is gone all the same.
    Failed(Diagnosis, String),
}

/// *Log out and remove*, done.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedOut {
    /// What the provider made of it.
    pub told: Told,
    /// Mailboxes that were paused.
    pub paused: usize,
}

/// How often is a provider told of one sign-out? Once more, if a renewal was quicker.
const MOST_TOLD: u32 = 2;

/// Deletes what a token yielded, here and at the provider. The token itself stays, to be signed in again.
pub async fn log_out(app: &App, actor: &Actor, token: &Token, provider: &Provider, pause: bool) -> Result<LoggedOut, ActionError> {
    let mut tries = 0;
    let (told, mut tx) = loop {
        let grant = app.store.grant(&token.id).await?;
        let told = match &grant {
            Some(grant) => tell(app, provider, grant).await,
            None => Told::Nothing,
        };
        let mut tx = app.store.begin().await?;
        let deleted = tx.delete_grant(&token.id).await?;
        let known = grant.map(|grant| (grant.generation, grant.rt_current.map(|(sealed, _)| sealed)));
        tries += 1;
        // Renewed while the provider was told: the new refresh token has to go as well.
        if deleted.is_none() || deleted == known || tries == MOST_TOLD {
            break (told, tx);
        }
    };
    let now = app.clock.now();
    let paused = if pause {
        pause_mailboxes(app, &mut tx, actor, token).await?
    } else {
        0
    };
    tx.reset_mailboxes_of_token(&token.id, now).await?;
    let (text, outcome) = match &told {
        Told::Revoked => ("Logged out and removed. The provider took the token back.".to_owned(), "ok"),
        Told::NotOffered => (
            "Logged out and removed here. The provider has no call to take it back.".to_owned(),
            "ok",
        ),
        Told::Nothing => ("Removed.".to_owned(), "ok"),
        Told::Failed(diagnosis, _) => (
            format!("Removed here. The provider didn't take the token back: {}.", diagnosis.title),
            "failed",
        ),
    };
    event(app, &mut tx, &token.id, TokenEventKind::Removed, &actor.name, text.clone()).await?;
    audit(app, &mut tx, actor, "token.remove", token, text, outcome).await?;
    tx.commit().await?;
    Ok(LoggedOut { told, paused })
}

/// Gives a token set back that a renewal brought after its sign-in was deleted here: nobody else knows of it.
pub(super) async fn give_back(app: &App, token: &Token, provider: &Provider, grant: &Grant) -> Result<(), StoreError> {
    let (text, outcome) = match tell(app, provider, grant).await {
        Told::Revoked => ("The provider took it back".to_owned(), "ok"),
        Told::NotOffered => ("The provider has no call to take it back".to_owned(), "ok"),
        Told::Nothing => ("It can't be opened any more".to_owned(), "failed"),
        Told::Failed(diagnosis, _) => (format!("The provider didn't take it back: {}", diagnosis.title), "failed"),
    };
    let text = format!("A renewal ended after the sign-in was removed, and what it brought was thrown away. {text}.");
    let console = Actor::console();
    let mut tx = app.store.begin().await?;
    if app.store.token_by_id(&token.id).await?.is_some() {
        event(app, &mut tx, &token.id, TokenEventKind::Removed, &console.name, text.clone()).await?;
    }
    audit(app, &mut tx, &console, "token.remove", token, text, outcome).await?;
    tx.commit().await
}

async fn tell(app: &App, provider: &Provider, grant: &Grant) -> Told {
    let destination = provider.destination();
    let open = |sealed: &Option<(crate::model::Sealed, i64)>, access: bool| {
        let (sealed, version) = sealed.as_ref()?;
        let place = if access {
            place::access_token(&grant.token_id, *version, &destination)
        } else {
            place::refresh_token(&grant.token_id, *version, &destination)
        };
        app.vault.open(&place, sealed).ok()
    };
    let refresh = open(&grant.rt_current, false).map(|text| RefreshToken::new(text.as_str()));
    let access = open(&grant.access_token, true).map(|text| AccessToken::new(text.as_str()));
    if refresh.is_none() && access.is_none() {
        return Told::Nothing;
    }
    let Ok(client) = place::client(app, provider) else {
        return Told::Nothing;
    };
    match revoke::revoke(&app.http, &client, refresh.as_ref(), access.as_ref()).await {
        Ok(Revocation::Revoked) => Told::Revoked,
        Ok(Revocation::NotOffered) => Told::NotOffered,
        Err(error) => Told::Failed(diagnosis_of(&error), error.evidence()),
    }
}

async fn pause_mailboxes(app: &App, tx: &mut Tx, actor: &Actor, token: &Token) -> Result<usize, StoreError> {
    let mut paused = 0;
    for mailbox in app.store.mailboxes_of_token(&token.id).await? {
        // Read again inside the transaction, so that nobody's save is lost.
        let Some(mut mailbox) = tx.mailbox_by_id(&mailbox.id).await?.filter(|mailbox| mailbox.enabled) else {
            continue;
        };
        mailbox.enabled = false;
        mailbox.paused = Some(Pause {
            by: actor.name.clone(),
            at: app.clock.now(),
            reason: format!("token {} was logged out and removed", token.name),
        });
        mailbox.state = mailbox.derive_state();
        tx.update_mailbox(&mailbox).await?;
        let entry = AuditEntry {
            action: "mailbox.pause",
            target: format!("mailbox:{}", mailbox.name),
            detail: format!("token {} was logged out and removed", token.name),
            outcome: "ok",
        };
        tx.audit(app.clock.now(), actor, entry).await?;
        paused += 1;
    }
    Ok(paused)
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
