//! Authorization code with PKCE (RFC 6749, 4.1; RFC 7636; OpenID Connect Core, 3.1): the address to send a person to, what may come
//! back from there, and the exchange of the code. Against mix-ups: `iss` (RFC 9207) and one redirect address per provider.

use super::error::{Incomplete, OAuthError};
use super::http::{Http, check_url};
use super::response::shortened;
use super::{Client, TokenResponse, token_request};
use crate::model::lint;
use crate::model::provider::Endpoints;
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
/// Longest query of a return that is looked at.
const LONGEST_QUERY: usize = 16 * 1024;
/// Longest `error_description` that is kept, in characters (OAUTH-7).
const LONGEST_DESCRIPTION: usize = 300;

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

/// What a browser brought back to the redirect address.
#[derive(Debug, Clone, Default)]
pub struct CallbackParams {
    /// The authorization code.
    pub code: Option<Nonce>,
    /// `state`, to look the attempt up by.
    pub state: Option<Nonce>,
    /// The error, if that is what it is: printable ASCII, at most 100 characters.
    pub error: Option<String>,
    /// Its description, one line of at most 300 characters. Text of strangers: escape it.
    pub error_description: Option<String>,
    /// Address of an explanation; show it as text only.
    pub error_uri: Option<String>,
    /// Who says so (RFC 9207).
    pub iss: Option<String>,
    /// Zoho: the server of the data centre the account lives in.
    pub accounts_server: Option<String>,
}

/// Why a return can't be used. Nothing was exchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// A parameter came twice (RFC 6749, 3.1).
    #[error("parameter {0} came twice")]
    Doubled(&'static str),
    /// Longer than any return is.
    #[error("the return is too long")]
    TooLong,
    /// Neither a code nor an error.
    #[error("the return has neither a code nor an error")]
    Nothing,
    /// No `state`.
    #[error("the return has no state")]
    NoState,
    /// Another issuer answered: a mix-up.
    #[error("the answer is from another issuer than the one asked")]
    IssuerDiffers,
    /// The server announced `iss` and the return lacks it.
    #[error("the answer doesn't name its issuer")]
    IssuerMissing,
    /// Zoho: the account lives in another data centre than the provider is set to.
    #[error("the account lives in another data centre: {0}")]
    OtherDataCentre(String),
}

impl CallbackError {
    /// The catalogue's id.
    pub fn own_id(&self) -> &'static str {
        match self {
            Self::IssuerDiffers | Self::IssuerMissing | Self::OtherDataCentre(_) => "console-issuer-mismatch",
            Self::Doubled(_) | Self::TooLong | Self::Nothing | Self::NoState => "console-state-mismatch",
        }
    }
}

/// What an error in a return means for the person who comes back with it (`ux.md`, 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declined {
    /// They, or whoever could have, said no.
    Cancelled,
    /// The organisation lets only admins allow apps.
    AdminApproval,
    /// `prompt=none`, and a page would have been needed.
    PageNeeded,
    /// Anything else: diagnose it.
    Other,
}

impl CallbackParams {
    /// Takes a query string apart. A parameter that comes twice is refused: each side might read another one.
    pub fn parse(query: &str) -> Result<Self, CallbackError> {
        if query.len() > LONGEST_QUERY {
            return Err(CallbackError::TooLong);
        }
        const NAMES: [&str; 7] = ["code", "state", "error", "error_description", "error_uri", "iss", "accounts-server"];
        let mut seen: [Option<String>; NAMES.len()] = Default::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let Some(at) = NAMES.iter().position(|known| *known == name) else {
                continue;
            };
            if seen[at].replace(value.into_owned()).is_some() {
                return Err(CallbackError::Doubled(NAMES[at]));
            }
        }
        let mut take = |name: &str| {
            NAMES
                .iter()
                .position(|n| *n == name)
                .and_then(|at| seen[at].take())
                .filter(|v| !v.is_empty())
        };
        let params = Self {
            code: take("code").map(Nonce::new),
            state: take("state").map(Nonce::new),
            error: take("error").map(|e| e.chars().filter(|c| matches!(c, ' '..='~')).take(100).collect()),
            error_description: take("error_description").map(|d| shortened(&d, LONGEST_DESCRIPTION)),
            error_uri: take("error_uri").map(|u| shortened(&u, LONGEST_DESCRIPTION)),
            iss: take("iss"),
            accounts_server: take("accounts-server"),
        };
        if params.state.is_none() {
            Err(CallbackError::NoState)
        } else if params.code.is_none() && params.error.is_none() {
            Err(CallbackError::Nothing)
        } else {
            Ok(params)
        }
    }

    /// Whether the answer is from the issuer that was asked: compared when named, required when announced, for errors too (OAUTH-4).
    pub fn check_issuer(&self, endpoints: &Endpoints) -> Result<(), CallbackError> {
        match (&self.iss, &endpoints.issuer) {
            (Some(told), Some(expected)) if !same_issuer(expected, told) => return Err(CallbackError::IssuerDiffers),
            (None, _) if endpoints.iss_announced => return Err(CallbackError::IssuerMissing),
            // No issuer configured: the redirect address, one per provider, has to do.
            _ => {}
        }
        match (&self.accounts_server, &endpoints.authority) {
            (Some(told), Some(expected)) if told.trim_end_matches('/') != expected.trim_end_matches('/') => {
                Err(CallbackError::OtherDataCentre(shortened(told, 100)))
            }
            _ => Ok(()),
        }
    }

    /// What the error means, if it is one.
    pub fn declined(&self) -> Option<Declined> {
        let error = self.error.as_deref()?;
        let description = self.error_description.as_deref().unwrap_or_default();
        let says = |numbers: &[&str]| numbers.iter().any(|n| description.starts_with(&format!("AADSTS{n}:")));
        Some(match error {
            _ if says(&["90094", "90095", "65001"]) => Declined::AdminApproval,
            "admin_policy_enforced" => Declined::AdminApproval,
            "access_denied" if says(&["65004"]) || !description.contains("AADSTS") => Declined::Cancelled,
            "consent_required" | "interaction_required" | "login_required" | "account_selection_required" => Declined::PageNeeded,
            _ => Declined::Other,
        })
    }

    /// The error as one text, to recognise the cause by.
    pub fn evidence(&self) -> String {
        let error = self.error.as_deref().unwrap_or_default();
        let description = self.error_description.as_deref().unwrap_or_default();
        format!("error={error} {description}").trim_end().to_owned()
    }
}

/// Whether an issuer is the expected one: equal to the letter, or a directory id in the place Microsoft's pattern leaves for it.
pub fn same_issuer(expected: &str, told: &str) -> bool {
    match expected.split_once("{tenantid}") {
        None => told == expected,
        Some((before, after)) => told
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(lint::is_guid),
    }
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

    fn parse(query: &str) -> CallbackParams {
        CallbackParams::parse(query).unwrap()
    }

    #[test]
    fn a_parameter_that_comes_twice_is_refused() {
        for (query, name) in [
            ("code=a&state=s&code=b", "code"),
            ("code=a&state=s&state=t", "state"),
            ("code=a&state=s&iss=x&iss=y", "iss"),
            ("error=a&state=s&error=", "error"),
        ] {
            assert_eq!(CallbackParams::parse(query).unwrap_err(), CallbackError::Doubled(name), "{query}");
        }
        assert!(CallbackParams::parse("code=a&state=s&session_state=1&session_state=2").is_ok());
    }

    #[test]
    fn a_return_has_a_state_and_says_something() {
        assert_eq!(CallbackParams::parse("code=a").unwrap_err(), CallbackError::NoState);
        assert_eq!(CallbackParams::parse("state=a&code=").unwrap_err(), CallbackError::Nothing);
        assert_eq!(CallbackParams::parse(&"x".repeat(20_000)).unwrap_err(), CallbackError::TooLong);
    }

    #[test]
    fn a_strangers_words_are_one_short_line() {
        let description: String = url::form_urlencoded::byte_serialize("ä\r\n<b>".repeat(200).as_bytes()).collect();
        let params = parse(&format!("state=s&error=acc%0aess_d%c3%a9&error_description={description}"));
        assert_eq!(params.error.as_deref(), Some("access_d"));
        let description = params.error_description.unwrap();
        assert_eq!(description.chars().count(), 300);
        assert!(!description.contains(['\r', '\n']));
    }

    #[test]
    fn another_issuer_is_a_mix_up_and_a_promised_one_may_not_be_missing() {
        let expected = |issuer: &str, announced| Endpoints {
            issuer: Some(issuer.to_owned()),
            iss_announced: announced,
            ..Endpoints::default()
        };
        let honest = "https://login.example";
        let from = |iss: &str| parse(&format!("state=s&code=c{iss}"));
        assert_eq!(
            from("&iss=https%3A%2F%2Flogin.example").check_issuer(&expected(honest, true)),
            Ok(())
        );
        assert_eq!(from("").check_issuer(&expected(honest, false)), Ok(()));
        assert_eq!(from("").check_issuer(&expected(honest, true)), Err(CallbackError::IssuerMissing));
        for iss in ["https://evil.example", "https://login.example/", "HTTPS://login.example"] {
            let encoded: String = url::form_urlencoded::byte_serialize(iss.as_bytes()).collect();
            let answer = from(&format!("&iss={encoded}")).check_issuer(&expected(honest, false));
            assert_eq!(answer, Err(CallbackError::IssuerDiffers), "{iss}");
        }
        let error = parse("state=s&error=access_denied&iss=https%3A%2F%2Fevil.example");
        assert_eq!(error.check_issuer(&expected(honest, false)), Err(CallbackError::IssuerDiffers));
    }

    #[test]
    fn microsofts_pattern_takes_a_directory_id_and_nothing_else() {
        let pattern = "https://login.microsoftonline.com/{tenantid}/v2.0";
        assert!(same_issuer(
            pattern,
            "https://login.microsoftonline.com/11112222-bbbb-3333-cccc-4444dddd5555/v2.0"
        ));
        for other in [
            "https://login.microsoftonline.com/evil/../x/v2.0",
            "https://login.microsoftonline.com.evil.example/11112222-bbbb-3333-cccc-4444dddd5555/v2.0",
            "https://login.microsoftonline.com//v2.0",
            pattern,
        ] {
            assert!(!same_issuer(pattern, other), "{other}");
        }
    }

    #[test]
    fn zohos_other_data_centre_gets_no_code() {
        let endpoints = Endpoints {
            authority: Some("https://accounts.zoho.com".into()),
            ..Endpoints::default()
        };
        let from = |server: &str| parse(&format!("state=s&code=c&location=eu&accounts-server={server}")).check_issuer(&endpoints);
        assert_eq!(from("https%3A%2F%2Faccounts.zoho.com"), Ok(()));
        assert_eq!(
            from("https%3A%2F%2Faccounts.zoho.eu"),
            Err(CallbackError::OtherDataCentre("https://accounts.zoho.eu".into()))
        );
    }

    #[test]
    fn coming_back_without_a_sign_in_is_told_apart() {
        let means = |query: &str| parse(&format!("state=s&{query}")).declined();
        assert_eq!(means("code=c"), None);
        assert_eq!(means("error=access_denied"), Some(Declined::Cancelled));
        assert_eq!(
            means("error=access_denied&error_description=AADSTS65004%3A+User+declined"),
            Some(Declined::Cancelled)
        );
        assert_eq!(
            means("error=access_denied&error_description=AADSTS90094%3A+admin"),
            Some(Declined::AdminApproval)
        );
        assert_eq!(means("error=login_required"), Some(Declined::PageNeeded));
        assert_eq!(means("error=server_error"), Some(Declined::Other));
    }

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
