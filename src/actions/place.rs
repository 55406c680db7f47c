//! Where each sealed value of providers, grants and sign-ins lives in the vault (SEC-2): row, version, and where it may be sent.

use super::ActionError;
use crate::app::App;
use crate::model::provider::{ClientAuth, Provider};
use crate::model::token::Grant;
use crate::model::{ProviderId, TokenId};
use crate::oauth::{Client, Credential};
use crate::secret::ClientSecret;
use crate::vault::{Place, VaultError};

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

/// The provider's app, able to prove itself with whatever is stored for that, opened for the destination the provider has now.
pub fn client<'a>(app: &App, provider: &'a Provider) -> Result<Client<'a>, ActionError> {
    let credential = match provider.client_auth {
        ClientAuth::None => Credential::Public,
        auth @ (ClientAuth::SecretPost | ClientAuth::SecretBasic) => Credential::secret(auth, open_client_secret(app, provider)?),
        ClientAuth::Certificate => Credential::Missing,
    };
    Ok(Client::with(provider, credential))
}

/// Whether a grant was stored for where the provider is now; if not, it can't be opened and a new sign-in is needed (SEC-8).
pub fn is_current(grant: &Grant, provider: &Provider) -> bool {
    grant.destination == provider.destination()
}
