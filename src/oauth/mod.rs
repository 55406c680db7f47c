//! The OAuth 2.0 client (RFC 6749). Here: whom we speak as, and the one token-endpoint call every grant uses.
//!
//! [`http`] carries every request behind the outbound gate and with hard limits; [`response`] takes an answer for what it is, however
//! odd; [`error`] says what a failure means for the token that is stored. Nothing here stores anything: callers do, before they hand
//! a token out.

pub mod admin_consent;
pub mod assertion;
pub mod authorization;
pub mod callback;
pub mod claims;
mod client_auth;
pub mod credential;
pub mod device;
pub mod discovery;
pub mod error;
mod exchange;
pub mod http;
pub mod identity;
mod mask;
pub mod refresh;
pub mod response;
pub mod revoke;

pub use admin_consent::ConsentParams;
pub use assertion::Signer;
pub use authorization::{AuthorizationRequest, FlowSecrets, SignIn};
pub use callback::{CallbackError, CallbackParams, Declined};
pub use claims::Claims;
pub use credential::Credential;
pub use device::{DeviceCode, Polled};
pub use discovery::{Discovery, DiscoveryError};
pub use error::{Class, OAuthError};
pub use exchange::Exchange;
pub use http::{Http, Limits};
pub use identity::{IdentityError, Match, SignedIn};
pub use response::TokenResponse;
pub use revoke::Revocation;

use crate::model::provider::{Endpoints, Provider};
use crate::model::template::TemplateKind;
use crate::secret::ClientSecret;
use error::Incomplete;
use mask::Mask;

/// Whom we speak as: an app registration with what it proves itself with.
#[derive(Debug, Clone)]
pub struct Client<'a> {
    /// The app registration.
    pub provider: &'a Provider,
    /// Its addresses, template and overrides taken together.
    pub endpoints: Endpoints,
    /// What it proves itself with.
    pub credential: Credential,
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

/// Asks the token endpoint (RFC 6749, 3.2): adds the client's proof to the form, sends it once, and reads the answer. `secret` are
/// the values in the form that must never be seen again in a text of the provider.
pub async fn token_request(
    http: &Http,
    client: &Client<'_>,
    mut form: Vec<(&'static str, String)>,
    secret: &[&str],
) -> Result<TokenResponse, OAuthError> {
    let url = client.token_url()?.to_owned();
    let proof = client_auth::prove(client, &mut form)?;
    let mask = Mask::new(secret.iter().copied(), client);
    let exchange = http.post_form(&url, &form, proof).await?;
    response::read(&exchange, &mask)
}
