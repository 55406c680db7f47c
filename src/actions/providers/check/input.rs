//! A provider as it was typed, and as it may be saved.

use crate::model::provider::{AssertionAlg, ClientAuth, Cloud, ConsentScreen, Endpoints, Provider};
use crate::model::template::TemplateKind;
use crate::model::token::{GrantType, Prompt};
use crate::model::{Date, Name};
use crate::oauth::{KeyedCertificate, ServiceKey};
use crate::secret::{ClientSecret, KeyFile, PrivateKey};

/// A provider as text. Empty: what the template has.
#[derive(Debug, Clone, Default)]
pub struct ProviderInput {
    /// Handle.
    pub name: String,
    /// `microsoft`, `google`, `yahoo`, `zoho`, `fastmail` or `custom`.
    pub template: String,
    /// Directory id or domain; with a service account of Google, the domain of its accounts.
    pub tenant: String,
    /// `global`, `usgov`, `dod` or `china`.
    pub cloud: String,
    /// Client id.
    pub client_id: String,
    /// `secret_post`, `secret_basic`, `certificate` or `none`.
    pub client_auth: String,
    /// A new client secret; none: the stored one stays.
    pub client_secret: Option<ClientSecret>,
    /// Somebody else enters the secret, or brings the key file, later and through a link: it may be missing.
    pub secret_later: bool,
    /// The key file of a service account; none: the stored one stays.
    pub service_account: Option<KeyFile>,
    /// Whether one is stored.
    pub has_service_account: bool,
    /// The day the secret ends.
    pub client_secret_expires: String,
    /// A new certificate with its private key, in PEM; none: the stored one stays.
    pub certificate: Option<PrivateKey>,
    /// `PS256` or `RS256`.
    pub assertion_alg: String,
    /// `internal`, `production` or `testing`.
    pub consent_screen: String,
    /// Grant of new tokens.
    pub grant: String,
    /// Scopes of new tokens, however they were pasted; none: the template's for reading and sending.
    pub scopes: Option<String>,
    /// Prompt of new tokens; none: the template's. Empty means: send none.
    pub prompt: Option<String>,
    /// Whether `login_hint` is sent; none: yes.
    pub login_hint: Option<bool>,
    /// Whether PKCE is sent; none: yes.
    pub pkce: Option<bool>,
    /// Addresses in place of the template's.
    pub endpoints: Endpoints,
    /// Extra parameters of the authorization request; none: the template's.
    pub extra_authorize_params: Option<Vec<(String, String)>>,
}

impl ProviderInput {
    /// A stored provider as text: what an edit starts from. The secret stays where it is.
    pub fn of(provider: &Provider) -> Self {
        Self {
            name: provider.name.to_string(),
            template: provider.template.to_string(),
            tenant: provider.tenant.clone().unwrap_or_default(),
            cloud: provider.cloud.to_string(),
            client_id: provider.client_id.clone(),
            client_auth: provider.client_auth.to_string(),
            client_secret: None,
            secret_later: false,
            client_secret_expires: secret_expires(provider).map(|date| date.to_string()).unwrap_or_default(),
            certificate: None,
            assertion_alg: provider.credentials.alg.to_string(),
            service_account: None,
            has_service_account: false,
            consent_screen: provider.consent_screen.map(|screen| screen.to_string()).unwrap_or_default(),
            grant: provider.grant.to_string(),
            scopes: Some(provider.scopes.join("\n")),
            prompt: Some(provider.prompt.to_string()),
            login_hint: Some(provider.login_hint),
            pkce: Some(provider.pkce),
            endpoints: provider.overrides.clone(),
            extra_authorize_params: Some(provider.extra_authorize_params.clone()),
        }
    }
}

/// The day the client secret ends, where there is one.
pub fn secret_expires(provider: &Provider) -> Option<Date> {
    provider
        .client_secret_expires
        .filter(|_| provider.client_auth != ClientAuth::Certificate)
}

/// What becomes of the client secret.
#[derive(Debug, Clone)]
pub enum SecretEdit {
    /// The stored one stays.
    Keep,
    /// This one takes its place.
    Set(ClientSecret),
    /// A public client has none.
    Remove,
}

/// A provider, checked.
#[derive(Debug, Clone)]
pub struct ProviderEdit {
    /// Handle.
    pub name: Name,
    /// Template.
    pub template: TemplateKind,
    /// Directory id or domain.
    pub tenant: Option<String>,
    /// Microsoft's cloud.
    pub cloud: Cloud,
    /// Client id.
    pub client_id: String,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// The client secret.
    pub secret: SecretEdit,
    /// The key of a service account, with its file.
    pub service_account: Option<(ServiceKey, KeyFile)>,
    /// The day the secret ends.
    pub client_secret_expires: Option<Date>,
    /// A new certificate; none: the stored one stays.
    pub certificate: Option<KeyedCertificate>,
    /// How assertions are signed.
    pub assertion_alg: AssertionAlg,
    /// Google's consent screen.
    pub consent_screen: Option<ConsentScreen>,
    /// Grant of new tokens.
    pub grant: GrantType,
    /// Scopes of new tokens.
    pub scopes: Vec<String>,
    /// Prompt of new tokens.
    pub prompt: Prompt,
    /// Whether `login_hint` is sent.
    pub login_hint: bool,
    /// Whether PKCE is sent.
    pub pkce: bool,
    /// Addresses that differ from the template's.
    pub overrides: Endpoints,
    /// Extra parameters.
    pub extra_authorize_params: Vec<(String, String)>,
}
