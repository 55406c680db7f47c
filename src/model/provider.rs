//! A provider: one app registration at an authorization server.

use super::credential::Credentials;
use super::report::Diagnosis;
use super::template::{self, TemplateKind};
use super::token::{GrantType, Prompt};
use super::{Date, Name, ProviderId, Sealed, words};
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

words!(
    /// How the client proves itself at the token endpoint (RFC 6749, 2.3; OpenID Connect Core, 9).
    ClientAuth {
        /// Id and secret in the form body.
        SecretPost = "secret_post",
        /// Id and secret in an `Authorization: Basic` header, both form-encoded first.
        SecretBasic = "secret_basic",
        /// An assertion signed with the key of a certificate (`private_key_jwt`, RFC 7523).
        Certificate = "certificate",
        /// A public client: the id alone, with PKCE.
        None = "none",
    }
);

words!(
    /// How the assertion of a certificate is signed (RFC 7518, 3.3 and 3.5).
    AssertionAlg {
        /// RSASSA-PSS, the certificate named by its SHA-256 thumbprint (`x5t#S256`): what Microsoft documents today.
        Ps256 = "PS256",
        /// RSASSA-PKCS1-v1_5, the certificate named by its SHA-1 thumbprint (`x5t`): for servers that don't know the other.
        Rs256 = "RS256",
    }
);

#[expect(clippy::derivable_impls, reason = "the macro has no attribute for it")]
impl Default for AssertionAlg {
    fn default() -> Self {
        Self::Ps256
    }
}

words!(
    /// Microsoft's separate clouds; each has hosts of its own.
    Cloud {
        /// The public cloud (also GCC).
        Global = "global",
        /// US Government (GCC High).
        UsGov = "usgov",
        /// US Department of Defense.
        Dod = "dod",
        /// China, run by 21Vianet.
        China = "china",
    }
);

words!(
    /// The publishing status of a Google consent screen; it decides how long sign-ins last.
    ConsentScreen {
        /// Only people of the organisation.
        Internal = "internal",
        /// Published.
        Production = "production",
        /// In testing: every sign-in ends after 7 days.
        Testing = "testing",
    }
);

/// Endpoint addresses. As stored in a provider: what overrides the template (or what discovery returned, for `custom`). As given
/// by [`Provider::endpoints`]: what is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoints {
    /// Base address of the authorization server, without a path (Microsoft, Zoho).
    pub authority: Option<String>,
    /// Base address of Microsoft Graph.
    pub graph_url: Option<String>,
    /// Issuer identifier (RFC 8414, 2).
    pub issuer: Option<String>,
    /// Authorization endpoint.
    pub authorize_url: Option<String>,
    /// Token endpoint.
    pub token_url: Option<String>,
    /// Device authorization endpoint (RFC 8628).
    pub device_authorization_url: Option<String>,
    /// Revocation endpoint (RFC 7009).
    pub revocation_url: Option<String>,
    /// Microsoft's admin consent page.
    pub admin_consent_url: Option<String>,
    /// Userinfo endpoint (OpenID Connect Core, 5.3).
    pub userinfo_url: Option<String>,
    /// Whether the server announced `authorization_response_iss_parameter_supported` (RFC 9207): then `iss` is required.
    pub iss_announced: bool,
    /// When discovery was read, Unix seconds.
    pub discovered_at: Option<i64>,
}

impl Endpoints {
    /// These, with the gaps filled from `defaults`.
    pub fn or(&self, defaults: Self) -> Self {
        let pick = |own: &Option<String>, other: Option<String>| own.clone().filter(|text| !text.is_empty()).or(other);
        Self {
            authority: pick(&self.authority, defaults.authority),
            graph_url: pick(&self.graph_url, defaults.graph_url),
            issuer: pick(&self.issuer, defaults.issuer),
            authorize_url: pick(&self.authorize_url, defaults.authorize_url),
            token_url: pick(&self.token_url, defaults.token_url),
            device_authorization_url: pick(&self.device_authorization_url, defaults.device_authorization_url),
            revocation_url: pick(&self.revocation_url, defaults.revocation_url),
            admin_consent_url: pick(&self.admin_consent_url, defaults.admin_consent_url),
            userinfo_url: pick(&self.userinfo_url, defaults.userinfo_url),
            iss_announced: self.iss_announced || defaults.iss_announced,
            discovered_at: self.discovered_at.or(defaults.discovered_at),
        }
    }
}

/// A client secret at rest and what may be said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSecret {
    /// The sealed value.
    pub sealed: Sealed,
    /// Counts the values this place has held; part of what the seal is bound to.
    pub version: i64,
    /// When it was set, and by whom.
    pub set_at: Timestamp,
    /// The person or command that set it.
    pub set_by: String,
    /// Fingerprint (8 hexadecimal digits of an HMAC) and the last 4 characters, for comparing.
    pub hint: String,
}

/// An app registration at an authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Row id.
    pub id: ProviderId,
    /// Handle.
    pub name: Name,
    /// What it was made from.
    pub template: TemplateKind,
    /// Directory id or domain (Microsoft).
    pub tenant: Option<String>,
    /// Which Microsoft cloud.
    pub cloud: Cloud,
    /// Client identifier (RFC 6749, 2.2).
    pub client_id: String,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// The client secret, sealed.
    pub client_secret: Option<StoredSecret>,
    /// The day the secret or the certificate in use ends.
    pub client_secret_expires: Option<Date>,
    /// The certificate in use, and what it or the secret is about to take over from or to give way to.
    pub credentials: Credentials,
    /// Google's consent screen status.
    pub consent_screen: Option<ConsentScreen>,
    /// What new tokens start with.
    pub grant: GrantType,
    /// Scopes new tokens start with.
    pub scopes: Vec<String>,
    /// Prompt of tokens that have none of their own.
    pub prompt: Prompt,
    /// Whether `login_hint` is sent.
    pub login_hint: bool,
    /// Whether PKCE S256 is sent (RFC 7636); off only for `custom`.
    pub pkce: bool,
    /// Overrides of the template's endpoints.
    pub overrides: Endpoints,
    /// Extra parameters of the authorization request, in order.
    pub extra_authorize_params: Vec<(String, String)>,
    /// A problem of the app itself (its secret refused, the app gone): one for all its tokens. A diagnosis as JSON.
    pub problem: Option<String>,
    /// Since when.
    pub problem_since: Option<Timestamp>,
    /// Counts saves; a form that carries an older one is out of date.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last saved.
    pub updated_at: Timestamp,
}

impl Provider {
    /// Why the provider refuses the app itself, where it does.
    pub fn problem_found(&self) -> Option<Diagnosis> {
        serde_json::from_str(self.problem.as_deref()?).ok()
    }

    /// The addresses in use: the overrides, and the template's for the rest.
    pub fn endpoints(&self) -> Endpoints {
        self.overrides.or(template::endpoints(
            self.template,
            self.cloud,
            self.tenant.as_deref(),
            self.overrides.authority.as_deref(),
        ))
    }

    /// What secrets of this provider are bound to (SEC-2, SEC-8): the token endpoint with its tenant, the issuer, and every other server
    /// that is sent secrets or tokens. When it changes, secrets have to be entered again and grants need a new consent. A further
    /// address on the token endpoint's own server changes nothing: that server has the secrets anyway.
    pub fn destination(&self) -> String {
        let endpoints = self.endpoints();
        let origin = |address: &str| Url::parse(address).map_or_else(|_| address.to_owned(), |url| url.origin().ascii_serialization());
        let token_url = endpoints.token_url.unwrap_or_default();
        let home = origin(&token_url);
        let mut others: Vec<String> = [
            endpoints.revocation_url,
            endpoints.userinfo_url,
            endpoints.device_authorization_url,
            endpoints.graph_url,
        ]
        .iter()
        .flatten()
        .map(|address| origin(address))
        .filter(|other| *other != home)
        .collect();
        others.sort();
        others.dedup();
        [vec![token_url, endpoints.issuer.unwrap_or_default()], others].concat().join(" ")
    }
}
