//! Logs out: the token set is deleted here and, where the provider has a call for it, revoked there (OAUTH-16).

use super::super::{ActionError, place};
use super::{audit, event};
use crate::actions::providers::trial::diagnosis_of;
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::Pause;
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::token::{Grant, Token, TokenEventKind};
use crate::oauth::{Revocation, revoke};
use crate::secret::{AccessToken, RefreshToken};
use crate::store::{StoreError, Tx};

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
    Failed(Box<Diagnosis>, String),
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
pub(in crate::actions) async fn give_back(app: &App, token: &Token, provider: &Provider, grant: &Grant) -> Result<(), StoreError> {
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
        Err(error) => Told::Failed(Box::new(diagnosis_of(app, provider, &error)), error.evidence()),
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
