//! A `[[provider]]` of the file, as it would be stored.

use super::super::{ApplyError, Sources};
use super::{Planned, at_lines, both, entry_name, secret, with_name};
use crate::actions::ActionError;
use crate::actions::providers::{self, ProviderInput, check_provider};
use crate::app::App;
use crate::model::Name;
use crate::model::audit::Actor;
use crate::model::config_file::{Entry, Problem};
use crate::model::provider::{ClientAuth, Provider};
use crate::oauth::ServiceKey;
use crate::secret::{ClientSecret, KeyFile, PrivateKey};

/// A provider as it is and as it would be, with the service account it brings along.
pub(super) type PlannedProvider = (Option<Provider>, Provider, Option<(ServiceKey, KeyFile)>);

pub(super) async fn plan_provider(
    app: &App,
    actor: &Actor,
    entry: &Entry,
    secrets_later: bool,
    sources: &Sources<'_>,
) -> Result<Planned<PlannedProvider>, ApplyError> {
    let named = entry_name(entry);
    let current = match &named {
        Ok(name) => app.store.provider(name).await?,
        Err(_) => None,
    };
    let mut input = current.as_ref().map(ProviderInput::of).unwrap_or_default();
    input.name = named.as_ref().map(Name::to_string).unwrap_or_default();
    let take = |key: &str, into: &mut String| {
        if let Some(text) = entry.text(key) {
            text.clone_into(into);
        }
    };
    take("template", &mut input.template);
    take("tenant", &mut input.tenant);
    take("cloud", &mut input.cloud);
    take("client_id", &mut input.client_id);
    take("client_auth", &mut input.client_auth);
    take("client_secret_expires", &mut input.client_secret_expires);
    take("assertion_alg", &mut input.assertion_alg);
    take("consent_screen", &mut input.consent_screen);
    take("grant", &mut input.grant);
    if let Some(scopes) = entry.list("scopes") {
        input.scopes = Some(scopes.join("\n"));
    }
    if let Some(prompt) = entry.text("prompt") {
        input.prompt = Some(prompt.to_owned());
    }
    input.login_hint = entry.flag("login_hint").or(input.login_hint);
    input.pkce = entry.flag("pkce").or(input.pkce);
    if let Some(pairs) = entry.pairs("extra_authorize_params") {
        input.extra_authorize_params = Some(pairs.to_vec());
    }
    let before = input.endpoints.clone();
    let take = |key: &str, into: &mut Option<String>| {
        if let Some(text) = entry.text(key) {
            *into = Some(text.to_owned()).filter(|text| !text.is_empty());
        }
    };
    take("authority", &mut input.endpoints.authority);
    take("graph_url", &mut input.endpoints.graph_url);
    take("issuer", &mut input.endpoints.issuer);
    take("authorize_url", &mut input.endpoints.authorize_url);
    take("token_url", &mut input.endpoints.token_url);
    take("device_authorization_url", &mut input.endpoints.device_authorization_url);
    take("revocation_url", &mut input.endpoints.revocation_url);
    take("admin_consent_url", &mut input.endpoints.admin_consent_url);
    take("userinfo_url", &mut input.endpoints.userinfo_url);
    if let Some(required) = entry.flag("iss_required") {
        input.endpoints.iss_announced = required;
    }
    if before.issuer != input.endpoints.issuer && entry.text("token_url").is_none() {
        // The addresses of another issuer are not this one's.
        let issuer = input.endpoints.issuer.take();
        input.endpoints = crate::model::provider::Endpoints {
            issuer,
            authority: input.endpoints.authority.take(),
            ..Default::default()
        };
    }
    let mut secrets = Vec::new();
    match secret(entry, "client_secret", sources) {
        Ok(secret) => input.client_secret = secret.map(|text| ClientSecret::new(text.as_str())),
        Err(problems) => secrets.extend(problems),
    }
    match secret(entry, "certificate", sources) {
        Ok(pem) => input.certificate = pem.map(|text| PrivateKey::new(text.as_str())),
        Err(problems) => secrets.extend(problems),
    }
    match secret(entry, "service_account", sources) {
        Ok(secret) => input.service_account = secret.map(|text| KeyFile::new(text.as_str())),
        Err(problems) => secrets.extend(problems),
    }
    if let Some(current) = &current {
        // One that waits for its secret goes on waiting.
        let by_secret = matches!(current.client_auth, ClientAuth::SecretPost | ClientAuth::SecretBasic);
        input.secret_later = by_secret && current.client_secret.is_none() && !current.client_id.is_empty();
        input.has_service_account = app.store.service_account(&current.id).await?.is_some();
    }
    input.secret_later |= secrets_later;
    if let Err(problem) = providers::complete(app, &mut input, current.as_ref()).await {
        return Ok(Err(with_name(both(entry, secrets, vec![problem]), named)));
    }
    let edit = match check_provider(app, &input, current.as_ref()) {
        Ok(edit) if secrets.is_empty() && named.is_ok() => edit,
        Ok(_) => return Ok(Err(with_name(secrets, named))),
        Err(problems) => return Ok(Err(with_name(both(entry, secrets, problems), named))),
    };
    let account = edit.service_account.clone();
    match providers::build(app, actor, edit, current.as_ref()) {
        Ok(provider) if provider.client_auth == ClientAuth::Certificate && provider.credentials.certificate.is_none() => {
            let line = entry.line_of("client_auth");
            let text = match current.is_some_and(|current| current.credentials.certificate.is_some()) {
                true => "give certificate or certificate_file again: with this change its assertions go to another server",
                false => {
                    "certificate is missing: name a PEM file with certificate and private key as certificate_file, or give the PEM itself as certificate"
                }
            };
            Ok(Err(vec![Problem::new(line, text).about("certificate")]))
        }
        Ok(provider) => Ok(Ok((current, provider, account))),
        Err(ActionError::Fields(problems)) => Ok(Err(at_lines(entry, problems))),
        Err(error) => Err(error.into()),
    }
}
