//! What differs between two states of a provider, in words: for the audit, and for `config apply`.

use crate::model::Date;
use crate::model::credential::{Fallback, StoredCertificate};
use crate::model::provider::Provider;

/// What differs, in words; secrets only as "changed".
pub(in crate::actions) fn changes(old: &Provider, new: &Provider) -> Vec<String> {
    let show = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let mut changes = Vec::new();
    let mut compare = |label: &str, old: &str, new: &str| {
        if old != new {
            changes.push(format!("{label}: {} → {}", show(old), show(new)));
        }
    };
    let pairs = |provider: &Provider| {
        let pairs: Vec<_> = provider.extra_authorize_params.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join("&")
    };
    let flag = |on: bool| if on { "on" } else { "off" };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (before, after) = (old.endpoints(), new.endpoints());
    compare("template", old.template.as_str(), new.template.as_str());
    compare("tenant", &text(&old.tenant), &text(&new.tenant));
    compare("cloud", old.cloud.as_str(), new.cloud.as_str());
    compare("client ID", &old.client_id, &new.client_id);
    compare("client authentication", old.client_auth.as_str(), new.client_auth.as_str());
    let date = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
    compare(
        "secret expires on",
        &date(old.client_secret_expires),
        &date(new.client_secret_expires),
    );
    let screen = |provider: &Provider| provider.consent_screen.map(|screen| screen.to_string()).unwrap_or_default();
    compare("consent screen", &screen(old), &screen(new));
    compare("permissions of new tokens", &old.scopes.join(" "), &new.scopes.join(" "));
    compare("prompt", old.prompt.as_str(), new.prompt.as_str());
    compare("login hint", flag(old.login_hint), flag(new.login_hint));
    compare("PKCE", flag(old.pkce), flag(new.pkce));
    compare("extra parameters", &pairs(old), &pairs(new));
    compare("issuer", &text(&before.issuer), &text(&after.issuer));
    compare("authorize address", &text(&before.authorize_url), &text(&after.authorize_url));
    compare("assertions signed with", old.credentials.alg.as_str(), new.credentials.alg.as_str());
    let thumbprint = |stored: &Option<StoredCertificate>| stored.as_ref().map(|c| c.facts.sha1.clone()).unwrap_or_default();
    let credentials = (&old.credentials, &new.credentials);
    compare(
        "certificate",
        &thumbprint(&credentials.0.certificate),
        &thumbprint(&credentials.1.certificate),
    );
    compare(
        "certificate that waits",
        &thumbprint(&credentials.0.next),
        &thumbprint(&credentials.1.next),
    );
    let kept = |fallback: &Option<Fallback>| {
        let words = fallback
            .as_ref()
            .map(|kept| format!("the {} before, until {}", kept.held.noun(), kept.until));
        words.unwrap_or_default()
    };
    compare("fallback", &kept(&credentials.0.fallback), &kept(&credentials.1.fallback));
    compare("token address", &text(&before.token_url), &text(&after.token_url));
    compare("revoke address", &text(&before.revocation_url), &text(&after.revocation_url));
    compare("user info address", &text(&before.userinfo_url), &text(&after.userinfo_url));
    if changes.is_empty() && old.overrides != new.overrides {
        changes.push("addresses changed".to_owned());
    }
    let version = |provider: &Provider| provider.client_secret.as_ref().map(|secret| secret.version);
    match (version(old), version(new)) {
        (before, after) if before == after => {}
        (_, None) => changes.push("secret removed".to_owned()),
        (None, _) => changes.push("secret set".to_owned()),
        _ => changes.push("secret changed".to_owned()),
    }
    changes
}
