//! The OAuth client against servers that answer as no standard foresees.

mod certificate;
mod discovery;
mod identity;
mod secrets;
mod server;
mod sign_in;
mod token_endpoint;
mod transport;

use crate::support::records;
use mailgrant::clock::Timestamp;
use mailgrant::gate::{AllowNetwork, Gate};
use mailgrant::model::provider::Provider;
use mailgrant::oauth::{Client, Http, Limits};
use mailgrant::secret::ClientSecret;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

/// The moment of every test.
const NOW: Timestamp = Timestamp(1_795_248_842);

/// Trusts these certificates and nobody else.
fn tls(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn limits() -> Limits {
    Limits {
        connect: Duration::from_millis(500),
        total: Duration::from_millis(1500),
        ..Limits::default()
    }
}

/// May speak to this machine.
fn http() -> Http {
    Http::new(
        Gate::new(vec![AllowNetwork::Loopback], vec![]),
        tls(RootCertStore::empty()),
        limits(),
    )
}

/// An app registration of the kind `custom` at `base`.
fn provider(base: &str) -> Provider {
    let mut provider = Provider {
        client_id: "mailgrant-app".into(),
        ..records::provider_at(base)
    };
    provider.overrides.userinfo_url = Some(format!("{base}/userinfo"));
    provider
}

/// Speaks as that app, with a secret.
fn client(provider: &Provider) -> Client<'_> {
    Client::new(provider, Some(ClientSecret::new("canary-client-secret")))
}

fn list(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|s| (*s).to_owned()).collect()
}
