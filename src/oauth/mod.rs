//! The OAuth 2.0 client (RFC 6749). Here: whom we speak as, and the one token-endpoint call every grant uses.
//!
//! [`http`] carries every request behind the outbound gate and with hard limits; [`response`] takes an answer for what it is, however
//! odd; [`error`] says what a failure means for the token that is stored. Nothing here stores anything: callers do, before they hand
//! a token out.

pub mod admin_consent;
pub mod assertion;
pub mod authorization;
pub mod callback;
pub mod certificate;
pub mod claims;
mod client_auth;
pub mod client_credentials;
pub mod credential;
pub mod device;
pub mod discovery;
pub mod error;
mod exchange;
pub mod http;
pub mod identity;
mod mask;
pub mod password;
pub mod refresh;
pub mod response;
pub mod revoke;
pub mod service_account;

pub use admin_consent::ConsentParams;
pub use assertion::Signer;
pub use authorization::{AuthorizationRequest, FlowSecrets, SignIn};
pub use callback::{CallbackError, CallbackParams, Declined};
pub use certificate::KeyedCertificate;
pub use claims::Claims;
pub use credential::{Credential, Fallback};
pub use device::{DeviceCode, Polled};
pub use discovery::{Discovery, DiscoveryError};
pub use error::{Class, OAuthError};
pub use exchange::Exchange;
pub use http::{Heard, Http, Limits};
pub use identity::{IdentityError, Match, SignedIn};
pub use response::TokenResponse;
pub use revoke::Revocation;
pub use service_account::ServiceKey;

use crate::model::provider::{Endpoints, Provider};
use crate::model::template::TemplateKind;
use crate::secret::ClientSecret;
use error::Incomplete;
use mask::Mask;
use std::time::Duration;
use tokio::time::Instant;

/// Whom we speak as: an app registration with what it proves itself with.
#[derive(Debug, Clone)]
pub struct Client<'a> {
    /// The app registration.
    pub provider: &'a Provider,
    /// Its addresses, template and overrides taken together.
    pub endpoints: Endpoints,
    /// What it proves itself with.
    pub credential: Credential,
    /// What it proves itself with if the provider refuses that.
    pub fallback: Option<Fallback>,
}

impl<'a> Client<'a> {
    /// Speaks as this provider's app, at the addresses in use, with a secret that is sent as the provider's record says.
    pub fn new(provider: &'a Provider, secret: Option<ClientSecret>) -> Self {
        Self::with(provider, Credential::secret(provider.client_auth, secret))
    }

    /// Speaks as this provider's app, at the addresses in use, and proves itself in this way.
    pub fn with(provider: &'a Provider, credential: Credential) -> Self {
        Self {
            provider,
            endpoints: provider.endpoints(),
            credential,
            fallback: None,
        }
    }

    /// Whether the provider refused the credential in use and took the one before it.
    pub fn fell_back(&self) -> bool {
        self.fallback.as_ref().is_some_and(Fallback::is_used)
    }

    /// The credential to send.
    fn proof(&self) -> &Credential {
        match &self.fallback {
            Some(fallback) if fallback.is_used() => &fallback.credential,
            _ => &self.credential,
        }
    }

    /// Which template the provider is made from.
    pub fn kind(&self) -> TemplateKind {
        self.provider.template
    }

    /// Scopes as this provider wants them on the wire.
    pub fn join_scopes(&self, scopes: &[String]) -> String {
        scopes.join(&self.kind().template().scope_separator.to_string())
    }

    fn token_url(&self) -> Result<&str, OAuthError> {
        self.endpoints
            .token_url
            .as_deref()
            .ok_or(OAuthError::Incomplete(Incomplete::TokenUrl))
    }
}

/// How quickly must a refusal have come for the other credential to be tried? Whoever asks holds a claim that runs out.
pub(crate) const FALL_BACK_WITHIN: Duration = Duration::from_secs(8);

/// Asks the token endpoint (RFC 6749, 3.2): adds the client's proof to the form, sends it once, and reads the answer. `secret` are
/// the values in the form that must never be seen again in a text of the provider.
///
/// A client that is refused has changed nothing at the provider, so where a second credential still counts the same is asked with that.
pub async fn token_request(
    http: &Http,
    client: &Client<'_>,
    form: Vec<(&'static str, String)>,
    secret: &[&str],
) -> Result<TokenResponse, OAuthError> {
    let began = Instant::now();
    let answer = token_request_once(http, client, form.clone(), secret).await;
    let Some(fallback) = client.fallback.as_ref().filter(|fallback| !fallback.is_used()) else {
        return answer;
    };
    if !matches!(&answer, Err(error) if error.is_of_the_client()) || began.elapsed() > FALL_BACK_WITHIN {
        return answer;
    }
    fallback.set_used(true);
    let again = token_request_once(http, client, form, secret).await;
    if matches!(&again, Err(error) if error.is_of_the_client()) {
        // Refused as well: what the one in use got is what has to be mended.
        fallback.set_used(false);
        return answer;
    }
    again
}

async fn token_request_once(
    http: &Http,
    client: &Client<'_>,
    mut form: Vec<(&'static str, String)>,
    secret: &[&str],
) -> Result<TokenResponse, OAuthError> {
    let proof = client_auth::prove(client, &mut form)?;
    send(http, client, form, proof, secret).await
}

/// Sends a form to the token endpoint as it is, once, and reads the answer.
async fn send(
    http: &Http,
    client: &Client<'_>,
    form: Vec<(&'static str, String)>,
    proof: Option<::http::HeaderValue>,
    secret: &[&str],
) -> Result<TokenResponse, OAuthError> {
    let url = client.token_url()?.to_owned();
    let mask = Mask::new(secret.iter().copied(), client);
    let exchange = http.post_form(&url, &form, proof).await?;
    response::read(&exchange, &mask)
}
