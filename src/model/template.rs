//! The provider templates as data: endpoints, defaults, permissions, mail servers and the quirks of Microsoft, Google, Yahoo, Zoho
//! and Fastmail. Everything a form fills in, and everything the OAuth client has to know about a provider, is a line in a table here.

mod endpoints;
mod help;
mod purposes;
mod servers;

pub use endpoints::{CONSUMERS_TENANT, at_home, endpoints};
pub use help::{HelpStep, app_only_steps, password_steps, portal, service_account_steps, steps};
pub use purposes::{Purpose, app_only_scope, lacks, needed_by, needed_scopes, purposes, scopes_of, ticked};
pub use servers::{MailServers, ZOHO_DATA_CENTRES, mail_servers};

use super::provider::ClientAuth;
use super::token::{GrantType, Prompt};
use super::words;

words!(
    /// What a provider is made from.
    TemplateKind {
        /// Microsoft 365 and Outlook.com (Entra ID v2 endpoints).
        Microsoft = "microsoft",
        /// Gmail and Google Workspace.
        Google = "google",
        /// Yahoo Mail.
        Yahoo = "yahoo",
        /// Zoho Mail.
        Zoho = "zoho",
        /// Fastmail.
        Fastmail = "fastmail",
        /// Anything else, by discovery or by hand.
        Custom = "custom",
    }
);

/// What a provider does with a refresh token once a newer one was handed out (`security.md`, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The old one stays good: it may be tried once when the new one is refused.
    Keep,
    /// There is no newer one: the same refresh token stays.
    None,
    /// Not known, so treated as strict: an old one is never sent again, because that looks like theft.
    Unknown,
}

/// How refreshing works at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshProfile {
    /// What becomes of the old refresh token.
    pub rotation: Rotation,
}

impl RefreshProfile {
    /// Whether the previous refresh token may be tried once after `invalid_grant` for one that never worked.
    pub const fn may_try_previous(self) -> bool {
        matches!(self.rotation, Rotation::Keep)
    }
}

/// What a template brings along besides its endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Which one.
    pub kind: TemplateKind,
    /// Name in headings and lists: "Microsoft 365".
    pub label: &'static str,
    /// Name inside sentences: "Continue to Microsoft".
    pub short: &'static str,
    /// What new providers use for [`Provider::prompt`](super::provider::Provider::prompt).
    pub prompt: Prompt,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// How tokens can be got here, the usual one first.
    pub grants: &'static [GrantType],
    /// Extra parameters of the authorization request.
    pub extra_authorize_params: &'static [(&'static str, &'static str)],
    /// What stands between scopes on the wire.
    pub scope_separator: char,
    /// Scopes every token asks for, besides `openid`, `email` and `profile`.
    pub always: &'static [&'static str],
    /// How refreshing works.
    pub refresh: RefreshProfile,
    /// Whether accounts belong to a tenant that has to be the provider's.
    pub checks_tenant: bool,
    /// Where a person takes a sign-in back by hand; empty where the console can do it or no page is known.
    pub revoke_page: &'static str,
}

impl TemplateKind {
    /// The template's data.
    pub const fn template(self) -> &'static Template {
        match self {
            Self::Microsoft => &MICROSOFT,
            Self::Google => &GOOGLE,
            Self::Yahoo => &YAHOO,
            Self::Zoho => &ZOHO,
            Self::Fastmail => &FASTMAIL,
            Self::Custom => &CUSTOM,
        }
    }

    /// Name in headings and lists.
    pub const fn label(self) -> &'static str {
        self.template().label
    }

    /// Name inside sentences.
    pub const fn short_name(self) -> &'static str {
        self.template().short
    }

    /// How tokens can be got here, the usual one first.
    pub fn grants(self) -> Vec<GrantType> {
        self.template().grants.to_vec()
    }

    /// The grant of this word, where tokens can be got that way here; else what to say.
    pub fn grant(self, word: &str) -> Result<GrantType, String> {
        let grants = self.grants();
        let found = GrantType::parse(word).filter(|grant| grants.contains(grant));
        let words: Vec<&str> = grants.iter().map(|grant| grant.as_str()).collect();
        found.ok_or_else(|| format!("How to get it must be {}", super::one_of(&words)))
    }
}

const UNKNOWN: RefreshProfile = RefreshProfile {
    rotation: Rotation::Unknown,
};

const MICROSOFT: Template = Template {
    kind: TemplateKind::Microsoft,
    label: "Microsoft 365",
    short: "Microsoft",
    // Whoever runs the console is often signed in to the browser as themselves.
    prompt: Prompt::SelectAccount,
    client_auth: ClientAuth::SecretPost,
    grants: &[
        GrantType::AuthorizationCode,
        GrantType::ClientCredentials,
        GrantType::Password,
        GrantType::DeviceCode,
    ],
    extra_authorize_params: &[],
    scope_separator: ' ',
    always: &["offline_access"],
    // learn.microsoft.com/entra/identity-platform/refresh-tokens: replaced at every use, the old one is not revoked.
    refresh: RefreshProfile { rotation: Rotation::Keep },
    checks_tenant: true,
    revoke_page: "https://myapps.microsoft.com",
};

const GOOGLE: Template = Template {
    kind: TemplateKind::Google,
    label: "Google",
    short: "Google",
    // Google hands out a refresh token only together with a consent.
    prompt: Prompt::Consent,
    client_auth: ClientAuth::SecretPost,
    grants: &[GrantType::AuthorizationCode, GrantType::JwtBearer],
    extra_authorize_params: &[("access_type", "offline")],
    scope_separator: ' ',
    always: &[],
    // developers.google.com/identity/protocols/oauth2#expiration: no rotation.
    refresh: RefreshProfile { rotation: Rotation::None },
    checks_tenant: false,
    revoke_page: "https://myaccount.google.com/connections",
};

const YAHOO: Template = Template {
    kind: TemplateKind::Yahoo,
    label: "Yahoo",
    short: "Yahoo",
    prompt: Prompt::Unsent,
    client_auth: ClientAuth::SecretPost,
    grants: &[GrantType::AuthorizationCode],
    extra_authorize_params: &[],
    scope_separator: ' ',
    always: &[],
    refresh: UNKNOWN,
    checks_tenant: false,
    revoke_page: "https://login.yahoo.com/account/security",
};

const ZOHO: Template = Template {
    kind: TemplateKind::Zoho,
    label: "Zoho",
    short: "Zoho",
    prompt: Prompt::Consent,
    client_auth: ClientAuth::SecretPost,
    grants: &[GrantType::AuthorizationCode],
    extra_authorize_params: &[("access_type", "offline")],
    scope_separator: ',',
    always: &[],
    refresh: UNKNOWN,
    checks_tenant: false,
    revoke_page: "",
};

const FASTMAIL: Template = Template {
    kind: TemplateKind::Fastmail,
    label: "Fastmail",
    short: "Fastmail",
    prompt: Prompt::Unsent,
    client_auth: ClientAuth::None,
    grants: &[GrantType::AuthorizationCode],
    extra_authorize_params: &[],
    scope_separator: ' ',
    always: &["offline_access"],
    refresh: UNKNOWN,
    checks_tenant: false,
    revoke_page: "",
};

const CUSTOM: Template = Template {
    kind: TemplateKind::Custom,
    label: "Other OAuth provider",
    short: "the provider",
    // OpenID Connect Core, 11: offline_access counts only together with prompt=consent.
    prompt: Prompt::Consent,
    // RFC 6749, 2.3.1: the one way every server has to support.
    client_auth: ClientAuth::SecretBasic,
    grants: &[
        GrantType::AuthorizationCode,
        GrantType::ClientCredentials,
        GrantType::Password,
        GrantType::DeviceCode,
    ],
    extra_authorize_params: &[],
    scope_separator: ' ',
    always: &["offline_access"],
    refresh: UNKNOWN,
    checks_tenant: false,
    revoke_page: "",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_finds_its_own_row() {
        for kind in TemplateKind::ALL {
            assert_eq!(kind.template().kind, *kind);
            assert!(!kind.label().is_empty() && !kind.short_name().is_empty());
        }
    }

    #[test]
    fn only_microsoft_lets_an_old_refresh_token_be_tried_again() {
        let lenient: Vec<_> = TemplateKind::ALL
            .iter()
            .filter(|k| k.template().refresh.may_try_previous())
            .collect();
        assert_eq!(lenient, [&TemplateKind::Microsoft]);
    }
}
