//! Checks of what needs nobody to sign in: the app's own token, thrown away afterwards, and a request signed by a service account.

use super::{CheckStep, Trial, diagnosis_of, not_tried, secret_step};
use crate::actions::ActionError;
use crate::actions::providers::service_account::{self, OpenError};
use crate::app::App;
use crate::model::provider::Provider;
use crate::model::report::Outcome;
use crate::model::scopes::normalize_order;
use crate::model::token::{GrantType, Token};
use crate::oauth::client_credentials::client_credentials;
use crate::oauth::service_account::acting_for;
use crate::oauth::{Claims, Client, Credential, OAuthError, ServiceKey};
use crate::store::StoreError;

/// What the service account's step is called.
pub(super) const KEY_STEP: &str = "The service account's key is accepted";

/// The app's own token is asked for: that proves the app, and the token names what it may do.
pub(super) async fn steps(app: &App, client: &Client<'_>) -> Vec<CheckStep> {
    let provider = client.provider;
    let scopes = normalize_order(provider.template, &provider.scopes);
    let token = match client_credentials(&app.http, client, &scopes).await {
        Ok(token) => token,
        Err(error) => return vec![secret_step(provider, refused(app, provider, &error))],
    };
    let noun = provider.proof_noun().trim_start_matches("client ");
    let proved = Trial::Accepted(format!("The app got a token of its own with its {noun}"));
    let step = |outcome, detail: String| CheckStep {
        title: "What the app may do".to_owned(),
        outcome,
        detail,
        diagnosis: None,
        said: String::new(),
    };
    let may = match Claims::of(&token.access_token) {
        Some(claims) if !claims.permissions().is_empty() => step(Outcome::Passed, claims.permissions().join(", ")),
        Some(_) => step(
            Outcome::Warning,
            "The token names no permission. That is right where Exchange limits the app by roles of its own; else add application \
             permissions and let an admin consent"
                .to_owned(),
        ),
        None => step(Outcome::Skipped, "The token can't be read. Its provider alone knows".to_owned()),
    };
    vec![secret_step(provider, proved), may]
}

/// What a failed request for a token means, where nothing about it was made up.
fn refused(app: &App, provider: &Provider, error: &OAuthError) -> Trial {
    let (diagnosis, said) = (diagnosis_of(app, provider, error), error.evidence());
    match error {
        OAuthError::Refused(_) | OAuthError::Incomplete(_) => Trial::Refused(diagnosis, said),
        _ => Trial::Unreachable(diagnosis, said),
    }
}

/// The first token of a provider that its service account acts for an account with.
pub async fn acting(app: &App, provider: &Provider) -> Result<Option<Token>, StoreError> {
    let tokens = app.store.tokens_of(&provider.id).await?;
    Ok(tokens
        .into_iter()
        .find(|token| token.grant == GrantType::JwtBearer && token.user.is_some()))
}

/// Tries a service account's key: a signed request for the account of this token.
pub async fn try_key(app: &App, provider: &Provider, key: &ServiceKey, token: &Token) -> Trial {
    let client = Client::with(provider, Credential::Public);
    let user = token.user.as_deref().unwrap_or_default();
    let scopes = normalize_order(provider.template, &token.scopes);
    match acting_for(&app.http, &client, key, user, &scopes, app.clock.now()).await {
        Ok(_) => Trial::Accepted(format!("{} acts for {user}", key.account.client_email)),
        Err(error) => refused(app, provider, &error),
    }
}

/// The step about the stored key; none where none is stored and none is needed.
pub(super) async fn key_step(app: &App, provider: &Provider, reached: bool) -> Result<Option<CheckStep>, ActionError> {
    let file = match service_account::open(app, provider).await {
        Ok(Some(file)) => file,
        Ok(None) if provider.grant == GrantType::JwtBearer => {
            return Ok(Some(CheckStep {
                outcome: Outcome::Failed,
                detail: "No key is stored. Put the key JSON in under Replace key".to_owned(),
                ..not_tried(KEY_STEP.to_owned())
            }));
        }
        Ok(None) => return Ok(None),
        Err(OpenError::Store(error)) => return Err(error.into()),
        Err(OpenError::Vault(_)) => {
            return Ok(Some(CheckStep {
                outcome: Outcome::Failed,
                detail: "The stored key can't be opened for where the provider is now. Put the key JSON in again".to_owned(),
                ..not_tried(KEY_STEP.to_owned())
            }));
        }
    };
    if !reached {
        return Ok(Some(not_tried(KEY_STEP.to_owned())));
    }
    let (Some(token), Ok(key)) = (acting(app, provider).await?, ServiceKey::read(file.expose_secret())) else {
        return Ok(Some(CheckStep {
            detail: "A signed request acts for an account. Add a token for one, then check again".to_owned(),
            ..not_tried(KEY_STEP.to_owned())
        }));
    };
    let trial = try_key(app, provider, &key, &token).await;
    Ok(Some(CheckStep {
        title: KEY_STEP.to_owned(),
        ..secret_step(provider, trial)
    }))
}
