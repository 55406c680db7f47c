//! Where each sealed value of providers, grants and sign-ins lives in the vault (SEC-2): row, version, and where it may be sent.

use super::ActionError;
use crate::app::App;
use crate::model::credential::{Held, StoredCertificate};
use crate::model::provider::{AssertionAlg, ClientAuth, Provider};
use crate::model::template::TemplateKind;
use crate::model::token::Grant;
use crate::model::{ProviderId, TokenId};
use crate::oauth::{Client, Credential, Fallback, KeyedCertificate, Signer};
use crate::secret::{ClientSecret, PrivateKey};
use crate::vault::{Place, VaultError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// The client secret of a provider.
pub fn client_secret<'a>(provider: &'a ProviderId, version: i64, destination: &'a str) -> Place<'a> {
    Place {
        table: "providers",
        column: "client_secret",
        row: provider.as_str(),
        version,
        destination,
    }
}

/// A refresh token of a grant, current or previous: it moves from one to the other without being sealed anew.
pub fn refresh_token<'a>(token: &'a TokenId, version: i64, destination: &'a str) -> Place<'a> {
    Place {
        table: "grants",
        column: "refresh_token",
        row: token.as_str(),
        version,
        destination,
    }
}

/// The access token of a grant.
pub fn access_token<'a>(token: &'a TokenId, version: i64, destination: &'a str) -> Place<'a> {
    Place {
        table: "grants",
        column: "access_token",
        row: token.as_str(),
        version,
        destination,
    }
}

/// The access token of a grant for another resource than its own.
pub fn other_token<'a>(token: &'a TokenId, version: i64, destination: &'a str) -> Place<'a> {
    Place {
        table: "grants",
        column: "others",
        row: token.as_str(),
        version,
        destination,
    }
}

/// State, nonce, verifier and address of a sign-in on its way.
pub fn authorization<'a>(id: &'a str, destination: &'a str) -> Place<'a> {
    Place {
        table: "authorizations",
        column: "sealed",
        row: id,
        version: 1,
        destination,
    }
}

/// The address an admin is sent to for consent, with its state.
pub fn consent<'a>(id: &'a str, app: &'a str) -> Place<'a> {
    Place {
        table: "consents",
        column: "sealed",
        row: id,
        version: 1,
        destination: app,
    }
}

/// The client secret, opened for the destination the provider has now; none if none is stored.
pub fn open_client_secret(app: &App, provider: &Provider) -> Result<Option<ClientSecret>, VaultError> {
    let Some(stored) = &provider.client_secret else {
        return Ok(None);
    };
    let destination = provider.destination();
    let place = client_secret(&provider.id, stored.version, &destination);
    let text = app.vault.open(&place, &stored.sealed)?;
    Ok(Some(ClientSecret::new(text.as_str())))
}

/// The private key of a certificate of a provider, in use or not: it moves from one to the other without being sealed anew.
pub fn private_key<'a>(provider: &'a ProviderId, version: i64, destination: &'a str) -> Place<'a> {
    Place {
        table: "providers",
        column: "certificate",
        row: provider.as_str(),
        version,
        destination,
    }
}

/// A certificate with its private key, opened for the destination the provider has now.
pub fn open_certificate(app: &App, provider: &Provider, stored: &StoredCertificate) -> Result<KeyedCertificate, VaultError> {
    let destination = provider.destination();
    let text = app
        .vault
        .open(&private_key(&provider.id, stored.version, &destination), &stored.sealed)?;
    Ok(KeyedCertificate {
        certificate: STANDARD.decode(&stored.public).map_err(|_| VaultError::Form)?,
        key: PrivateKey::new(text.as_str()),
        facts: stored.facts.clone(),
    })
}

/// What signs with this certificate.
pub fn signer(app: &App, provider: &Provider, certificate: &KeyedCertificate, alg: AssertionAlg) -> Credential {
    let (clock, random) = (Arc::clone(&app.clock), Arc::clone(&app.random));
    let signer = Signer::new(&certificate.key, &certificate.certificate, alg, clock, random);
    let named = signer.map(|signer| match provider.template {
        // It goes by the thumbprint, and looks for no key of that name.
        TemplateKind::Microsoft => signer,
        _ => signer.naming(certificate.facts.key_id.clone()),
    });
    named.map_or(Credential::Missing, Credential::Certificate)
}

/// A stored credential, able to prove the app.
pub fn credential(app: &App, provider: &Provider, held: &Held) -> Result<Credential, VaultError> {
    match held {
        Held::Secret { auth, secret, .. } => {
            let destination = provider.destination();
            let place = client_secret(&provider.id, secret.version, &destination);
            let text = app.vault.open(&place, &secret.sealed)?;
            Ok(Credential::secret(*auth, Some(ClientSecret::new(text.as_str()))))
        }
        Held::Certificate { alg, certificate } => {
            let opened = open_certificate(app, provider, certificate)?;
            Ok(signer(app, provider, &opened, *alg))
        }
    }
}

/// The provider's app, able to prove itself with whatever is stored for that, opened for the destination the provider has now.
pub fn client<'a>(app: &App, provider: &'a Provider) -> Result<Client<'a>, ActionError> {
    let used = match (provider.client_auth, provider.held()) {
        (ClientAuth::None, _) => Credential::Public,
        (_, None) => Credential::Missing,
        (_, Some(held)) => credential(app, provider, &held)?,
    };
    let mut client = Client::with(provider, used);
    let now = app.clock.now();
    if let Some(fallback) = provider.credentials.fallback.as_ref().filter(|fallback| fallback.counts(now)) {
        // One that doesn't open is none; the one in use is not held up by it.
        let opened = credential(app, provider, &fallback.held).ok();
        client.fallback = opened.filter(|found| !found.is_missing()).map(Fallback::new);
    }
    Ok(client)
}

/// The password of a token.
pub fn token_password<'a>(token: &'a TokenId, version: i64, destination: &'a str) -> Place<'a> {
    Place {
        table: "token_passwords",
        column: "sealed",
        row: token.as_str(),
        version,
        destination,
    }
}

/// The key file of a provider's service account.
pub fn service_account<'a>(provider: &'a ProviderId, version: i64, destination: &'a str) -> Place<'a> {
    Place {
        table: "service_accounts",
        column: "sealed",
        row: provider.as_str(),
        version,
        destination,
    }
}

/// Whether a grant was stored for where the provider is now; if not, it can't be opened and a new sign-in is needed (SEC-8).
pub fn is_current(grant: &Grant, provider: &Provider) -> bool {
    grant.destination == provider.destination()
}
