//! What a new entry would be, line by line, for the preview. Secrets only as that they came along.

use crate::actions::mailboxes;
use crate::model::Name;
use crate::model::mailbox::Mailbox;
use crate::model::provider::{ClientAuth, Cloud, Provider};
use crate::model::token::Token;

/// Lines of label and value; what is empty says nothing.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, label: &str, value: &str) {
        if !value.is_empty() {
            self.0.push(format!("{label}: {value}"));
        }
    }
}

/// What a provider still waits for, as a sentence.
pub(super) fn waiting(provider: &Provider) -> Option<String> {
    let by_secret = matches!(provider.client_auth, ClientAuth::SecretPost | ClientAuth::SecretBasic);
    let waits = by_secret && provider.client_secret.is_none() && !provider.client_id.is_empty();
    waits.then(|| {
        "No client secret came along, so it waits for that: enter it on the provider's page, or send somebody a link for it".to_owned()
    })
}

pub(super) fn of_provider(provider: &Provider, service_account: Option<&str>) -> Vec<String> {
    let mut lines = Lines::default();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    lines.add("Template", provider.template.label());
    lines.add("Tenant", &text(&provider.tenant));
    if provider.cloud != Cloud::Global {
        lines.add("Cloud", provider.cloud.as_str());
    }
    lines.add("Client ID", &provider.client_id);
    if !provider.client_id.is_empty() {
        let proof = match provider.client_auth {
            ClientAuth::SecretPost | ClientAuth::SecretBasic if provider.client_secret.is_some() => "came along".to_owned(),
            ClientAuth::SecretPost | ClientAuth::SecretBasic => "still to be entered".to_owned(),
            ClientAuth::Certificate | ClientAuth::None => String::new(),
        };
        lines.add("Client secret", &proof);
    }
    if let Some(certificate) = &provider.credentials.certificate {
        lines.add("Certificate", &certificate.facts.sha1);
    }
    if provider.client_auth == ClientAuth::None {
        lines.add("Client secret", "none needed");
    }
    lines.add(
        "Ends on",
        &provider.client_secret_expires.map(|date| date.to_string()).unwrap_or_default(),
    );
    lines.add("Service account", service_account.unwrap_or_default());
    lines.add("Grant", provider.grant.as_str());
    lines.add("Permissions of new tokens", &provider.scopes.join(" "));
    let endpoints = provider.endpoints();
    lines.add("Issuer", &text(&endpoints.issuer));
    lines.add("Authorize address", &text(&endpoints.authorize_url));
    lines.add("Token address", &text(&endpoints.token_url));
    // Where else a token or a secret goes, as far as the file says so itself.
    let own = &provider.overrides;
    lines.add("Sign-in service", &text(&own.authority));
    lines.add("Graph address", &text(&own.graph_url));
    lines.add("Revoke address", &text(&own.revocation_url));
    lines.add("Device address", &text(&own.device_authorization_url));
    lines.add("Address for who signed in", &text(&own.userinfo_url));
    lines.add("Consent address", &text(&own.admin_consent_url));
    if !provider.pkce {
        lines.add("PKCE", "off");
    }
    let more: Vec<String> = provider
        .extra_authorize_params
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    lines.add("Extra parameters", &more.join(" "));
    lines.0
}

pub(super) fn of_token(token: &Token, has_refresh_token: bool, has_password: bool) -> Vec<String> {
    let mut lines = Lines::default();
    lines.add("Provider", token.provider.as_str());
    lines.add("Grant", token.grant.as_str());
    lines.add("Account", token.user.as_deref().unwrap_or_default());
    lines.add("Permissions", &token.scopes.join(" "));
    lines.add("Prompt", token.prompt.map_or("", |prompt| prompt.as_str()));
    if token.shared {
        lines.add("May open shared mailboxes", "yes");
    }
    if has_password {
        lines.add("Password", "came along");
    }
    if has_refresh_token {
        lines.add("Refresh token", "came along");
    } else if token.grant.needs_person() {
        lines.add("Sign-in", "still needed");
    }
    lines.0
}

/// `provider_of` knows which provider a token is of.
pub(super) fn of_mailbox<'a>(mailbox: &Mailbox, provider_of: &dyn Fn(&Name) -> Option<&'a str>) -> Vec<String> {
    let mut lines = Lines::default();
    for (label, value) in mailboxes::describe(mailbox) {
        let value = match value.strip_prefix("token ").and_then(|name| Name::parse(name).ok()) {
            Some(token) => match provider_of(&token) {
                Some(provider) => format!("{value} of provider {provider}"),
                None => value,
            },
            None if value.starts_with("password, set") => "password, which came along".to_owned(),
            None => value,
        };
        // New ones arrive turned off, as the page says.
        if label != "Turned on" {
            lines.add(label, &value);
        }
    }
    lines.0
}
