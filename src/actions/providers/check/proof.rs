//! What a provider proves itself with: client secret, certificate, the key of a service account.

use super::{ProviderInput, SecretEdit, clean, too_long};
use crate::actions::Problems;
use crate::app::App;
use crate::model::Date;
use crate::model::lint;
use crate::model::provider::{ClientAuth, Provider};
use crate::model::template::TemplateKind;
use crate::model::token::GrantType;
use crate::oauth::{KeyedCertificate, ServiceKey};
use crate::secret::{ClientSecret, KeyFile};

/// The key file of a service account, read; the stored one may stay only while the destination does (SEC-8).
pub(super) fn check_service_account(
    problems: &mut Problems,
    input: &ProviderInput,
    kind: TemplateKind,
    grant: GrantType,
    destination_changes: bool,
) -> Option<(ServiceKey, KeyFile)> {
    let given = input
        .service_account
        .as_ref()
        .filter(|file| !file.expose_secret().trim().is_empty());
    let Some(file) = given else {
        if input.has_service_account && destination_changes {
            problems.add("service_account", "Paste the key JSON again: it goes to another address now");
        } else if grant == GrantType::JwtBearer && !input.has_service_account && !input.secret_later {
            problems.add("service_account", "Paste the key JSON of the service account, or choose its file");
        }
        return None;
    };
    if kind != TemplateKind::Google {
        problems.add(
            "service_account",
            "Only Google has service accounts of this kind. Leave the key JSON out",
        );
        return None;
    }
    let key = problems.take("service_account", ServiceKey::read(file.expose_secret()))?;
    Some((key, file.clone()))
}

pub(super) fn check_secret(
    problems: &mut Problems,
    input: &ProviderInput,
    current: Option<&Provider>,
    client_auth: ClientAuth,
    shape: TemplateKind,
    client_id: &str,
    destination_changes: bool,
) -> SecretEdit {
    if matches!(client_auth, ClientAuth::None | ClientAuth::Certificate) {
        return SecretEdit::Remove;
    }
    let given = input
        .client_secret
        .as_ref()
        .map(|secret| ClientSecret::new(clean(secret.expose_secret())))
        .filter(|secret| !secret.expose_secret().is_empty());
    let stored = current.is_some_and(|current| current.client_secret.is_some());
    match given {
        Some(secret) => {
            let text = secret.expose_secret();
            let problem = lint::client_secret(shape, client_id, text).map(str::to_owned);
            problems.note("client_secret", problem.or_else(|| too_long("Client secret", text)));
            SecretEdit::Set(secret)
        }
        None if stored && destination_changes => {
            problems.add(
                "client_secret",
                "Enter the client secret again: with this change it goes to another server",
            );
            SecretEdit::Keep
        }
        None if stored || input.secret_later => SecretEdit::Keep,
        None => {
            problems.note("client_secret", lint::client_secret(shape, client_id, ""));
            SecretEdit::Keep
        }
    }
}

pub(super) fn check_certificate(
    problems: &mut Problems,
    app: &App,
    input: &ProviderInput,
    current: Option<&Provider>,
    client_auth: ClientAuth,
) -> Option<KeyedCertificate> {
    match (&input.certificate, client_auth) {
        (Some(pem), ClientAuth::Certificate) => problems.take(
            "certificate",
            KeyedCertificate::read_pem(pem.expose_secret().as_bytes(), app.clock.now()),
        ),
        (Some(_), _) => {
            problems.add(
                "certificate",
                "A certificate is of use with client authentication certificate only. Leave it out",
            );
            None
        }
        // Without a moment in which neither works.
        (None, ClientAuth::Certificate) if current.is_some_and(|current| current.client_secret.is_some()) => {
            problems.add(
                "client_auth",
                "Put the certificate in first: choose Use a certificate on the provider's page. The secret works until then",
            );
            None
        }
        (None, _) => None,
    }
}

pub(super) fn check_expiry(
    problems: &mut Problems,
    app: &App,
    input: &ProviderInput,
    current: Option<&Provider>,
    client_auth: ClientAuth,
) -> Option<Date> {
    let text = clean(&input.client_secret_expires);
    if text.is_empty() || matches!(client_auth, ClientAuth::None | ClientAuth::Certificate) {
        return None;
    }
    let date = Date::parse(&text);
    // A date that is stored already may have gone by; saving something else must still be possible.
    let known = current
        .and_then(|current| current.client_secret_expires)
        .is_some_and(|known| Some(known) == date);
    if !known && date.is_none_or(|date| date.days_from(app.clock.now()) <= 0) {
        problems.add("client_secret_expires", EXPIRY_RULE);
        return None;
    }
    date
}

/// What the field for a secret's end says when it is wrong.
pub(in crate::actions::providers) const EXPIRY_RULE: &str = "Secret expires on must be a date after today, like 2027-11-20";
