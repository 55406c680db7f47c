//! Begins and finishes a sign-in for a token (OAUTH-1 to OAUTH-7; `ux.md`, section 7). A sign-in that isn't by the expected account, in
//! the same browser, in time and for the first time leaves what is stored byte for byte as it was.
//!
//! Here: beginning and taking back. `callback` takes what comes back from the provider; `conclude` is what every kind of sign-in goes
//! through once the provider has handed out tokens.

mod callback;
mod conclude;
pub mod device;
mod outcome;

pub use callback::{Attempt, Evidence, Returned, finish};
pub use outcome::Outcome;

use super::access_token::other_needed;
use super::providers::trial::redirect_uri;
use super::tokens::audit;
use super::{ActionError, place};
use crate::app::App;
use crate::model::UserId;
use crate::model::audit::Actor;
use crate::model::provider::Provider;
use crate::model::token::{Authorization, Link, Prompt, Token};
use crate::oauth::authorization;
use crate::oauth::{Client, FlowSecrets, OAuthError, SignIn};
use crate::secret::Nonce;
use crate::store::StoreError;
use crate::vault::{VaultError, sha256};

/// How long may a sign-in take, in seconds?
pub const LIFETIME: i64 = 10 * 60;
/// How often may a sign-in link be started?
const LINK_STARTS: i64 = 20;
/// For how long are ended sign-ins kept, in seconds?
const KEPT: i64 = 7 * 86_400;

/// Where a sign-in has to come back.
#[derive(Debug, Clone, Copy)]
pub enum Mode<'a> {
    /// In the session and browser it was started in.
    Browser {
        /// The person.
        user: &'a UserId,
        /// SHA-256 of their session's id.
        session_hash: &'a str,
    },
    /// In the browser that opened the link.
    Link(&'a Link),
}

/// Why a sign-in can't begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The provider's record lacks something.
    #[error(transparent)]
    OAuth(#[from] OAuthError),
    /// This sign-in link was started too often (OAUTH-15).
    #[error("this link was started {LINK_STARTS} times")]
    LinkWornOut,
    /// Too many sign-ins wait at other devices.
    #[error("{0}")]
    TooManyOpen(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A sign-in that can go to the provider.
#[derive(Debug)]
pub struct Begun {
    /// The attempt.
    pub authorization: Authorization,
    /// The value of the flow cookie (OAUTH-2).
    pub flow: Nonce,
}

/// Begins a sign-in: ten minutes, one return, one browser. `prompt` is for this once.
pub async fn begin(
    app: &App,
    actor: &Actor,
    token: &Token,
    provider: &Provider,
    prompt: Option<Prompt>,
    mode: Mode<'_>,
) -> Result<Begun, BeginError> {
    let now = app.clock.now();
    let prompt = prompt.or(token.prompt).unwrap_or(provider.prompt);
    let redirect_uri = redirect_uri(app, provider).await?;
    // The first scope decides whom the token is for; what else the mailboxes need is allowed in the same sign-in.
    let mut scopes = token.scopes.clone();
    scopes.extend(other_needed(token, provider, &app.store.mailboxes_of_token(&token.id).await?));
    let sign_in = SignIn {
        redirect_uri: &redirect_uri,
        scopes: &scopes,
        prompt,
        login_hint: token.user.as_deref(),
    };
    let client = Client::new(provider, None);
    let request = authorization::begin(&client, &sign_in, &*app.random)?;
    let id = app.new_id();
    let flow = Nonce::new(app.random.base64url(32));
    let kept = format!("{}\n{}", request.secrets().to_text().as_str(), request.url);
    let (user_id, session_hash, link_id) = match mode {
        Mode::Browser { user, session_hash } => (Some(user.clone()), Some(session_hash.to_owned()), None),
        Mode::Link(link) => (None, None, Some(link.id.clone())),
    };
    let authorization = Authorization {
        sealed: app.vault.seal(&place::authorization(&id, &provider.destination()), &kept),
        id,
        state_hash: sha256(request.state.expose_secret()),
        token_id: token.id.clone(),
        provider_id: provider.id.clone(),
        user_id,
        session_hash,
        flow_hash: Some(sha256(flow.expose_secret())),
        link_id,
        redirect_uri,
        issuer: client.endpoints.issuer.clone(),
        prompt,
        started_by: actor.name.clone(),
        started_at: now,
        expires_at: now.plus(LIFETIME),
        outcome: String::new(),
        detail: String::new(),
        finished_at: None,
    };
    let mut tx = app.store.begin().await?;
    tx.delete_old_authorizations(now.plus(-KEPT)).await?;
    if let Some(link) = &authorization.link_id
        && tx.count_authorizations_of_link(&token.id, link).await? >= LINK_STARTS
    {
        return Err(BeginError::LinkWornOut);
    }
    tx.insert_authorization(&authorization).await?;
    let detail = format!("prompt {}", if prompt == Prompt::Unsent { "not sent" } else { prompt.as_str() });
    audit(app, &mut tx, actor, "token.authorize.begin", token, detail, "ok").await?;
    tx.commit().await?;
    Ok(Begun { authorization, flow })
}

/// What an open attempt keeps sealed: its secrets, and the address at the provider.
fn kept(app: &App, provider: &Provider, attempt: &Authorization) -> Result<(FlowSecrets, String), VaultError> {
    let text = app
        .vault
        .open(&place::authorization(&attempt.id, &provider.destination()), &attempt.sealed)?;
    let (secrets, url) = text.split_once('\n').ok_or(VaultError::Form)?;
    Ok((FlowSecrets::parse(secrets).ok_or(VaultError::Form)?, url.to_owned()))
}

/// The address at the provider, for the page before leaving. None once the provider goes elsewhere.
pub fn leave_url(app: &App, provider: &Provider, attempt: &Authorization) -> Option<String> {
    kept(app, provider, attempt).ok().map(|(_, url)| url)
}

/// Takes an open sign-in back. Says whether it still was open.
pub async fn cancel(app: &App, actor: &Actor, token: &Token, attempt: &Authorization) -> Result<bool, ActionError> {
    let mut tx = app.store.begin().await?;
    let outcome = Outcome::Withdrawn;
    let was_open = tx
        .finish_authorization(&attempt.id, outcome.word(), &outcome.to_json(), app.clock.now())
        .await?;
    if was_open {
        audit(app, &mut tx, actor, "token.authorize.cancel", token, String::new(), "ok").await?;
    }
    tx.commit().await?;
    Ok(was_open)
}
