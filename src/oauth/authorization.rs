//! Authorization code with PKCE (RFC 6749, 4.1; RFC 7636; OpenID Connect Core, 3.1): the address to send a person to
//! and the exchange of the code that comes back from there (see [`super::callback`]).

use super::error::{Incomplete, OAuthError};
use super::http::{Http, check_url};
use super::{Client, TokenResponse, token_request};
use crate::model::lint;
use crate::model::scopes;
use crate::model::template::TemplateKind;
use crate::model::token::Prompt;
use crate::random::Random;
use crate::secret::Nonce;
use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use std::borrow::Cow;
use std::fmt;
use zeroize::Zeroizing;

/// Random octets of `state`, nonce and verifier each: 256 bits, 43 characters.
const RANDOM_OCTETS: usize = 32;

/// What a sign-in asks for.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    /// Where the provider sends the browser back to.
    pub redirect_uri: &'a str,
    /// The token's scopes; `openid`, `email` and `profile` are added.
    pub scopes: &'a [String],
    /// The prompt of this attempt.
    pub prompt: Prompt,
    /// Who is expected to sign in; sent only where the provider's record says so.
    pub login_hint: Option<&'a str>,
}

/// A sign-in that can begin: where to send the browser, and what has to be kept until it returns. Its `Debug` shows neither.
#[derive(Clone)]
pub struct AuthorizationRequest {
    /// The address to open. Holds `state` and nonce, so it is not for logs.
    pub url: String,
    /// `state`: single use, the proof that the return belongs to this attempt.
    pub state: Nonce,
    /// The nonce the ID token has to carry.
    pub nonce: Nonce,
    /// The PKCE verifier; none for a `custom` provider that has PKCE turned off.
    pub verifier: Option<Nonce>,
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationRequest")
    }
}

/// What has to be kept, sealed, until the browser returns.
#[derive(Debug, Clone)]
pub struct FlowSecrets {
    /// `state`.
    pub state: Nonce,
    /// Nonce.
    pub nonce: Nonce,
    /// PKCE verifier.
    pub verifier: Option<Nonce>,
}

impl FlowSecrets {
    /// One text to seal.
    pub fn to_text(&self) -> Zeroizing<String> {
        let verifier = self.verifier.as_ref().map_or("", Nonce::expose_secret);
        Zeroizing::new(format!("{}.{}.{verifier}", self.state.expose_secret(), self.nonce.expose_secret()))
    }

    /// Reads the opened text back.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (state, nonce, verifier) = (parts.next()?, parts.next()?, parts.next()?);
        (parts.next().is_none() && !state.is_empty() && !nonce.is_empty()).then(|| Self {
            state: Nonce::new(state),
            nonce: Nonce::new(nonce),
            verifier: (!verifier.is_empty()).then(|| Nonce::new(verifier)),
        })
    }
}

impl AuthorizationRequest {
    /// What has to be kept.
    pub fn secrets(&self) -> FlowSecrets {
        FlowSecrets {
            state: self.state.clone(),
            nonce: self.nonce.clone(),
            verifier: self.verifier.clone(),
        }
    }
}

/// Builds the address of a sign-in. The answer comes as query parameters, which is the default and therefore not asked for.
pub fn begin(client: &Client<'_>, sign_in: &SignIn<'_>, random: &dyn Random) -> Result<AuthorizationRequest, OAuthError> {
    let provider = client.provider;
    if provider.client_id.is_empty() {
        return Err(OAuthError::Incomplete(Incomplete::ClientId));
    }
    let address = client.endpoints.authorize_url.as_deref();
    let address = address.ok_or(OAuthError::Incomplete(Incomplete::AuthorizeUrl))?;
    let authorize = check_url(address).map_err(|why| OAuthError::address(address, why))?;
    let redirect =
        RedirectUrl::new(sign_in.redirect_uri.to_owned()).map_err(|e| OAuthError::address(sign_in.redirect_uri, e.to_string()))?;

    let state = random.base64url(RANDOM_OCTETS);
    let nonce = random.base64url(RANDOM_OCTETS);
    // Off only for a provider nobody knows (OAUTH-3); sent as well where discovery doesn't announce it.
    let wants_pkce = provider.pkce || provider.template != TemplateKind::Custom;
    let verifier = wants_pkce.then(|| PkceCodeVerifier::new(random.base64url(RANDOM_OCTETS)));

    let app = BasicClient::new(ClientId::new(provider.client_id.clone())).set_auth_uri(AuthUrl::from_url(authorize));
    let scopes = client.join_scopes(&scopes::with_identity(provider.template, sign_in.scopes));
    let mut request = app
        .authorize_url(|| CsrfToken::new(state.clone()))
        .set_redirect_uri(Cow::Owned(redirect))
        // One text, already joined: not every provider separates scopes by blanks.
        .add_scope(Scope::new(scopes))
        .add_extra_param("nonce", nonce.clone());
    if let Some(verifier) = &verifier {
        request = request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(verifier));
    }
    if sign_in.prompt != Prompt::Unsent {
        request = request.add_extra_param("prompt", sign_in.prompt.as_str());
    }
    if let Some(hint) = sign_in.login_hint.filter(|hint| provider.login_hint && !hint.is_empty()) {
        request = request.add_extra_param("login_hint", hint);
    }
    for (name, value) in &provider.extra_authorize_params {
        // A form refuses these; a record made otherwise must not get round the checks either.
        if lint::extra_parameter(name).is_none() {
            request = request.add_extra_param(name.as_str(), value.as_str());
        }
    }
    let (url, _) = request.url();
    Ok(AuthorizationRequest {
        url: url.into(),
        state: Nonce::new(state),
        nonce: Nonce::new(nonce),
        verifier: verifier.map(|v| Nonce::new(v.into_secret())),
    })
}

/// Exchanges a code for tokens (RFC 6749, 4.1.3). The ID token, if one came, is in the answer: see [`super::identity`].
pub async fn exchange(
    http: &Http,
    client: &Client<'_>,
    code: &Nonce,
    verifier: Option<&Nonce>,
    redirect_uri: &str,
) -> Result<TokenResponse, OAuthError> {
    let mut form = vec![
        ("grant_type", "authorization_code".to_owned()),
        ("code", code.expose_secret().to_owned()),
        ("redirect_uri", redirect_uri.to_owned()),
    ];
    let mut secret = vec![code.expose_secret()];
    if let Some(verifier) = verifier {
        form.push(("code_verifier", verifier.expose_secret().to_owned()));
        secret.push(verifier.expose_secret());
    }
    token_request(http, client, form, &secret).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        let kept = FlowSecrets {
            state: Nonce::new("s-1"),
            nonce: Nonce::new("n_2"),
            verifier: None,
        };
        let back = FlowSecrets::parse(&kept.to_text()).unwrap();
        assert_eq!((back.state.expose_secret(), back.nonce.expose_secret()), ("s-1", "n_2"));
        assert!(back.verifier.is_none());
        assert!(FlowSecrets::parse("a.b").is_none() && FlowSecrets::parse("a.b.c.d").is_none());
    }
}
