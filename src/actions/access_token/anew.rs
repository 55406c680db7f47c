//! Tokens that nobody signs in for: got anew each time, by the app itself, with a stored password, or by a service account. There is
//! nothing to lose here, and all the rest of the protocol stays: one asks at a time, and the answer is durable before anyone has it.

use super::AccessError;
use super::failure::{self, Failure};
use super::first::blank;
use crate::actions::place;
use crate::app::App;
use crate::diagnosis::family::Family;
use crate::diagnosis::{self, own};
use crate::model::provider::Provider;
use crate::model::scopes;
use crate::model::token::{Grant, GrantState, GrantType, Token};
use crate::oauth::client_credentials::client_credentials;
use crate::oauth::password::with_password;
use crate::oauth::service_account::acting_for;
use crate::oauth::{Class, Client, OAuthError, ServiceKey, TokenResponse};
use crate::secret::Password;
use crate::store::StoreResult;

/// With what a token is got anew.
pub(super) enum Own {
    /// The app's own proof.
    App,
    /// Somebody's name and password.
    Password(String, Password),
    /// A service account's key, for this account.
    Account(Box<ServiceKey>, String),
}

/// The grant of a token, begun if it is one that nobody signs in for.
pub(super) async fn grant_of(app: &App, token: &Token) -> Result<Grant, AccessError> {
    let missing = || AccessError::own(AccessError::NotAuthorized, own::NOT_AUTHORIZED);
    if let Some(grant) = app.store.grant(&token.id).await? {
        return Ok(grant);
    }
    if token.grant.needs_person() {
        return Err(missing());
    }
    let provider = app.store.provider_by_id(&token.provider_id).await?.ok_or_else(missing)?;
    let mut tx = app.store.begin().await?;
    tx.begin_grant(&blank(&token.id, 0, &provider.destination(), app.clock.now()))
        .await?;
    tx.commit().await?;
    app.store.grant(&token.id).await?.ok_or_else(missing)
}

/// Lets a token be tried once more, though the provider has refused it: a person asks for it. One that somebody signed in for only where
/// an admin may have mended it meanwhile, and the sign-in is still here; an ended sign-in stays ended.
pub(super) async fn once_more(app: &App, token: &Token, mut grant: Grant) -> StoreResult<Grant> {
    let refused = grant.state != GrantState::Active;
    let may = if token.grant.needs_person() {
        grant.state == GrantState::Revoked && grant.rt_current.is_some() && is_an_admins_affair(&grant)
    } else {
        refused
    };
    if !may {
        return Ok(grant);
    }
    (grant.state, grant.retry_at) = (GrantState::Failing, None);
    let mut tx = app.store.begin().await?;
    let generation = grant.generation;
    tx.update_grant(&grant, generation, grant.attempt_id.as_deref()).await?;
    tx.commit().await?;
    Ok(grant)
}

/// Whether the last refusal was for a rule or a consent of the organisation, or for an account that was turned off there: nobody has to sign
/// in anew once that is mended.
fn is_an_admins_affair(grant: &Grant) -> bool {
    let found = failure::stored(grant).and_then(|found| diagnosis::entry(&found.id));
    found.is_some_and(|entry| matches!(entry.family, Family::Policy | Family::Consent | Family::Disabled))
}

/// What the token is got with, opened; none if somebody has to sign in for it.
pub(super) async fn prepare(app: &App, token: &Token, provider: &Provider) -> Result<Option<Own>, Failure> {
    let busy = |_| Failure::here(Class::Transient, own::DATABASE_BUSY);
    let destination = provider.destination();
    let user = token.user.clone().unwrap_or_default();
    match token.grant {
        GrantType::AuthorizationCode | GrantType::DeviceCode => Ok(None),
        GrantType::ClientCredentials => Ok(Some(Own::App)),
        GrantType::Password => {
            let stored = app.store.token_password(&token.id).await.map_err(busy)?;
            let Some((stored, sealed)) = stored.and_then(|stored| stored.sealed.clone().map(|sealed| (stored, sealed))) else {
                return Err(Failure::here(Class::UserMustAct, own::PASSWORD_MISSING));
            };
            if stored.destination != destination {
                return Err(Failure::here(Class::UserMustAct, own::DESTINATION_CHANGED));
            }
            let place = place::token_password(&token.id, stored.version, &destination);
            let text = app
                .vault
                .open(&place, &sealed)
                .map_err(|_| Failure::here(Class::UserMustAct, own::DAMAGED))?;
            Ok(Some(Own::Password(user, Password::new(text.as_str()))))
        }
        GrantType::JwtBearer => {
            let stored = app.store.service_account(&provider.id).await.map_err(busy)?;
            let Some(stored) = stored else {
                return Err(Failure::here(Class::AppBroken, own::KEY_MISSING));
            };
            if stored.destination != destination {
                return Err(Failure::here(Class::AppBroken, own::DESTINATION_CHANGED));
            }
            let place = place::service_account(&provider.id, stored.version, &destination);
            let text = app.vault.open(&place, &stored.sealed).ok();
            let key = text.and_then(|text| ServiceKey::read(&text).ok());
            let key = key.ok_or_else(|| Failure::here(Class::AppBroken, own::DAMAGED))?;
            Ok(Some(Own::Account(Box::new(key), user)))
        }
    }
}

impl Own {
    /// Whether the app has to prove itself besides.
    pub fn needs_client(&self) -> bool {
        !matches!(self, Self::Account(..))
    }

    /// The scopes to ask for where the token asks for these.
    pub fn scopes(&self, provider: &Provider, wanted: &[String]) -> Vec<String> {
        match self {
            Self::Password(..) => scopes::with_identity(provider.template, wanted),
            Self::App | Self::Account(..) => scopes::normalize_order(provider.template, wanted),
        }
    }

    /// Asks the provider.
    pub async fn ask(&self, app: &App, client: &Client<'_>, scopes: &[String]) -> Result<TokenResponse, OAuthError> {
        match self {
            Self::App => client_credentials(&app.http, client, scopes).await,
            Self::Password(user, password) => with_password(&app.http, client, user, password, scopes).await,
            Self::Account(key, user) => acting_for(&app.http, client, key, user, scopes, app.clock.now()).await,
        }
    }

    /// What a refusal means here: a refused password needs a person; what an app or a service account may do only an admin can mend, and
    /// nobody has to sign in once that is done.
    pub fn judged(&self, failure: Failure) -> Failure {
        match self {
            Self::Password(..) => failure,
            Self::App | Self::Account(..) => failure.without_person(),
        }
    }
}
