//! Admin consent (`ux.md`, 6.9): somebody who may allows the app for their organisation, once. They go to the provider's page from here
//! or through a link `/c/{code}`, and come back to `/oauth/admin-consent/{provider}`. What comes back is a claim of their browser: it
//! is shown and changes no token. The proof is the app's own token, or the next sign-in.

mod finish;
mod outcome;
mod standing;
mod wanted;

pub use finish::{Evidence, Returned, finish};
pub use outcome::Outcome;
pub use standing::{Standing, check, standing};
pub use wanted::{Wanted, all_scopes, plain, wanted};

use super::{place, provider_links, settings};
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::consent::{self as model, Consent, ProviderLink};
use crate::model::provider::Provider;
use crate::model::{Sealed, UserId};
use crate::oauth::{Client, OAuthError, admin_consent};
use crate::secret::Nonce;
use crate::store::{StoreError, StoreResult, Tx};
use crate::vault::sha256;

/// How long may it take, in seconds? As long as a sign-in.
pub const LIFETIME: i64 = 10 * 60;
/// For how long are those kept that nobody came back from, in seconds?
const KEPT: i64 = 7 * 86_400;
/// How many random octets are in a state?
const STATE_OCTETS: usize = 32;

/// Whether this provider has a page where admins consent for everybody.
pub fn is_known(provider: &Provider) -> bool {
    provider.endpoints().admin_consent_url.is_some()
}

/// Where a provider sends an admin back to: registered there beside the redirect address.
pub async fn return_uri(app: &App, provider: &Provider) -> StoreResult<String> {
    settings::url(app, &format!("/oauth/admin-consent/{}", provider.name)).await
}

/// Where a consent has to come back.
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
    Link(&'a ProviderLink),
}

/// Why nobody can be sent to the provider.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The provider's record lacks something.
    #[error(transparent)]
    OAuth(#[from] OAuthError),
    /// The link was started too often, or can't be used any more.
    #[error("this link can't be used any more")]
    LinkWornOut,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A consent that can go to the provider.
#[derive(Debug)]
pub struct Begun {
    /// The attempt.
    pub consent: Consent,
    /// The value of the flow cookie (OAUTH-2).
    pub flow: Nonce,
}

/// Begins a consent: ten minutes, one return, one browser.
pub async fn begin(app: &App, actor: &Actor, provider: &Provider, mode: Mode<'_>) -> Result<Begun, BeginError> {
    let now = app.clock.now();
    let wanted = wanted(app, provider).await?;
    let state = Nonce::new(app.random.base64url(STATE_OCTETS));
    let flow = Nonce::new(app.random.base64url(STATE_OCTETS));
    let client = Client::new(provider, None);
    let url = admin_consent::address(&client, &wanted.scopes, &return_uri(app, provider).await?, &state)?;
    let mut consent = row(app, actor, provider);
    consent.sealed = app.vault.seal(&place::consent(&consent.id, &consent.app), &url);
    consent.state_hash = Some(sha256(state.expose_secret()));
    consent.flow_hash = Some(sha256(flow.expose_secret()));
    consent.scopes = wanted.permissions;
    consent.expires_at = now.plus(LIFETIME);
    match mode {
        Mode::Browser { user, session_hash } => {
            (consent.user_id, consent.session_hash) = (Some(user.clone()), Some(session_hash.to_owned()));
        }
        Mode::Link(link) => consent.link_id = Some(link.id.clone()),
    }
    let mut tx = app.store.begin().await?;
    tx.delete_old_consents(now.plus(-KEPT)).await?;
    if let Mode::Link(link) = mode
        && !tx.try_provider_link(&link.id, provider_links::TRIES).await?
    {
        return Err(BeginError::LinkWornOut);
    }
    tx.insert_consent(&consent).await?;
    audit(app, &mut tx, actor, "provider.consent.begin", provider, String::new(), "ok").await?;
    tx.commit().await?;
    Ok(Begun { consent, flow })
}

/// A consent of now, without anything that is on its way.
fn row(app: &App, actor: &Actor, provider: &Provider) -> Consent {
    let now = app.clock.now();
    Consent {
        id: app.new_id(),
        state_hash: None,
        provider_id: provider.id.clone(),
        app: model::app(provider),
        user_id: None,
        session_hash: None,
        flow_hash: None,
        link_id: None,
        scopes: Vec::new(),
        sealed: Sealed(String::new()),
        started_by: actor.name.clone(),
        started_at: now,
        expires_at: now,
        outcome: String::new(),
        detail: String::new(),
        finished_at: None,
    }
}

/// The address at the provider, for the page before leaving. None once the provider is another app or goes elsewhere.
pub fn leave_url(app: &App, provider: &Provider, consent: &Consent) -> Option<String> {
    let place = place::consent(&consent.id, &consent.app);
    let is_same = consent.app == model::app(provider);
    let text = app.vault.open(&place, &consent.sealed).ok().filter(|_| is_same)?;
    Some(text.as_str().to_owned())
}

async fn audit(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    action: &'static str,
    provider: &Provider,
    detail: String,
    outcome: &'static str,
) -> StoreResult<()> {
    let entry = AuditEntry {
        action,
        target: format!("provider:{}", provider.name),
        detail,
        outcome,
    };
    tx.audit(app.clock.now(), actor, entry).await
}
