//! The checks of a walkthrough at the real OpenID provider: the client and its secret, and the redirect address, without anybody signing in.

use crate::support::app::TestApp;
use crate::support::rig::{CLIENT_SECRET, IMAP_SCOPE, Rig};
use mailgrant::actions::config::{Sources, apply, parse};
use mailgrant::actions::walkthroughs::{self, Checked, New, Request};
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::walkthrough::{StepState, template};
use serde_json::json;
use std::path::PathBuf;

const BACK: &str = "http://127.0.0.1:8080/oauth/callback";

#[tokio::test]
async fn the_real_provider_tells_of_the_client_and_of_its_redirect_address() {
    let Some(rig) = Rig::get() else { return };
    let t = TestApp::start_with(&[("MAILGRANT_EXTRA_CA_FILE", rig.ca_file.to_str().unwrap())]).await;
    let user = t.app.store.user_by_email("maija.korhonen@contoso.test").await.unwrap().unwrap().id;
    let client = rig.register_client(json!({ "redirect_uris": [format!("{BACK}/good")] })).await;
    // Each with what its walkthrough finds: the client and its secret, then the redirect address.
    let cases = [
        ("good", client.as_str(), CLIENT_SECRET, [StepState::Done, StepState::Done]),
        ("elsewhere", client.as_str(), CLIENT_SECRET, [StepState::Done, StepState::Problem]),
        ("wrong", client.as_str(), "not the secret", [StepState::Problem, StepState::Problem]),
        (
            "unknown",
            "nobody-knows-this",
            CLIENT_SECRET,
            [StepState::Problem, StepState::Problem],
        ),
    ];
    for (name, client, secret, expected) in cases {
        let text = format!(
            "[[provider]]\nname = \"{name}\"\ntemplate = \"custom\"\nissuer = \"{issuer}\"\nauthorize_url = \"{issuer}/auth\"\n\
             token_url = \"{issuer}/token\"\nclient_id = \"{client}\"\nclient_secret = \"{secret}\"\nclient_auth = \"secret_post\"\n\
             scopes = [\"offline_access\", \"{IMAP_SCOPE}\"]\n",
            issuer = rig.issuer
        );
        let sources = Sources {
            directory: PathBuf::new(),
            env: &|_| None,
        };
        apply(&t.app, &Actor::console(), &parse(&text).unwrap(), &sources, false)
            .await
            .unwrap();
        let provider = t.app.store.provider(&Name::parse(name).unwrap()).await.unwrap().unwrap();
        let new = New {
            address: "support@rig.test".into(),
            provider: Some(provider.id),
            ..New::default()
        };
        let row = walkthroughs::start(&t.app, &Actor::console(), template("other").unwrap(), new)
            .await
            .unwrap();
        let request = Request { user: &user, address: "" };
        for (number, wanted) in expected.into_iter().enumerate() {
            let found = walkthroughs::check_one(&t.app, &Actor::console(), &request, &row.id, number + 1)
                .await
                .unwrap();
            match found {
                Checked::Stands(state, why) => assert_eq!(state, wanted, "{name}, step {}: {why}", number + 1),
                // An unknown client or an address nobody vouched for may be answered with a page of any kind.
                Checked::Untold(why) => assert_eq!(wanted, StepState::Problem, "{name}, step {}: {why}", number + 1),
            }
        }
    }
    rig.mark("openid-provider");
}
