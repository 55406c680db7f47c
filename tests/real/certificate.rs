//! The OpenID provider, which is another implementation, verifies the assertions we make.

use crate::support::certificates::{DER, FILE};
use crate::support::databases::config;
use crate::support::rig::{IMAP_SCOPE, Rig};
use mailgrant::actions::config::{Sources, apply, parse};
use mailgrant::actions::place;
use mailgrant::actions::providers::trial::{self, Trial};
use mailgrant::app::App;
use mailgrant::clock::SystemClock;
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::provider::Provider;
use mailgrant::oauth::{certificate, refresh, revoke};
use mailgrant::random::SystemRandom;
use mailgrant::secret::RefreshToken;
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;

async fn provider(rig: &Rig, directory: &TempDir, client: &str, alg: &str) -> (App, Provider) {
    std::fs::write(directory.path().join("client.pem"), FILE).unwrap();
    let mut settings = config(&directory.path().join(alg), &[("MAILGRANT_ALLOW_NETWORKS", "loopback")]);
    settings.extra_ca_file = Some(rig.ca_file.clone());
    let app = App::open(settings, Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap();
    let sources = Sources {
        directory: directory.path().to_path_buf(),
        env: &|_| None,
    };
    let file = parse(&format!(
        "[[provider]]\nname = \"rig\"\ntemplate = \"custom\"\nissuer = \"{}\"\nclient_id = \"{client}\"\nclient_auth = \"certificate\"\n\
         certificate_file = \"client.pem\"\nassertion_alg = \"{alg}\"\nscopes = [\"{IMAP_SCOPE}\"]\n",
        rig.issuer
    ))
    .unwrap();
    apply(&app, &Actor::console(), &file, &sources, false).await.unwrap();
    let found = app.store.provider(&Name::parse("rig").unwrap()).await.unwrap().unwrap();
    (app, found)
}

#[tokio::test]
async fn the_openid_provider_takes_what_is_signed_with_the_certificate_and_nothing_else() {
    let Some(rig) = Rig::get() else { return };
    rig.mark("openid-provider");
    let directory = TempDir::new().unwrap();
    for (alg, other) in [("PS256", "RS256"), ("RS256", "PS256")] {
        let jwks: Value = serde_json::from_str(&certificate::jwks(DER, alg).unwrap()).unwrap();
        let client = rig
            .register_client(json!({
                "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": alg, "jwks": jwks,
            }))
            .await;
        let (app, mut provider) = provider(rig, &directory, &client, alg).await;
        let opened = place::client(&app, &provider).unwrap();
        let trial = trial::try_client(&app, &opened).await;
        assert!(matches!(trial, Trial::Accepted(_)), "{alg}: {trial:?}");

        let scope = format!("openid offline_access {IMAP_SCOPE}");
        let minted = rig.mint_grant(&client, &rig.fresh_address(), &scope).await;
        let old = RefreshToken::new(minted.refresh_token.unwrap());
        let response = refresh::refresh(&app.http, &opened, &old, &[]).await.unwrap();
        let token = response.access_token.expose_secret();
        assert!(rig.is_active(token).await);
        let last = rig.requests(&client).await.pop().unwrap();
        assert_eq!((last.client_auth.as_deref(), last.ok), (Some("private_key_jwt"), true));
        let new = response.refresh_token.as_ref();
        revoke::revoke(&app.http, &opened, new, Some(&response.access_token)).await.unwrap();
        assert!(!rig.is_active(token).await, "the revocation endpoint takes it too");

        provider.credentials.alg = mailgrant::model::provider::AssertionAlg::parse(other).unwrap();
        let trial = trial::try_client(&app, &place::client(&app, &provider).unwrap()).await;
        assert!(matches!(trial, Trial::Refused(..)), "{alg} as {other}: {trial:?}");
    }
}
