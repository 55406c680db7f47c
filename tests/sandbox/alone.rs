//! Tokens that nobody signs in for, against the sandbox: the app itself, a service account, a password; both directions, every protocol
//! the provider allows.

use super::console::Demo;
use super::{SUPPORT, apply};
use mailgrant::actions::access_token::{AccessError, How, access_token, refresh_now};
use mailgrant::actions::config::export;
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::token::{GrantState, Token};
use mailgrant::sandbox::{HOST, House};

impl Demo {
    async fn apply(&self, text: &str) -> Result<(), String> {
        apply(&self.app, text).await
    }

    async fn token(&self, name: &str) -> Token {
        self.app.store.token(&Name::parse(name).unwrap()).await.unwrap().unwrap()
    }

    /// A mailbox of this address, opened with a token; `kind`: incoming and outgoing protocol.
    async fn mailbox(&self, name: &str, address: &str, house: House, token: &str, kind: (&str, &str)) {
        let ports = self.sandbox.ports(house);
        let server = |port| format!("host = \"{HOST}\"\nport = {port}\nsecurity = \"tls\"\n");
        let incoming = match kind.0 {
            "imap" => server(ports.imaps),
            "pop3" => server(ports.pop3s),
            _ => String::new(),
        };
        let outgoing = if kind.1 == "smtp" {
            server(ports.submissions)
        } else {
            String::new()
        };
        let text = format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\n[mailbox.incoming]\nprotocol = \"{}\"\n{incoming}token = \"{token}\"\n\
             [mailbox.outgoing]\nprotocol = \"{}\"\n{outgoing}token = \"{token}\"\n",
            kind.0, kind.1
        );
        self.apply(&text).await.unwrap();
    }

    async fn passes(&self, name: &str) {
        for direction in [Direction::Incoming, Direction::Outgoing] {
            let report = self.test(name, direction).await;
            assert_ne!(report.outcome, Outcome::Failed, "{name} {direction:?}: {report:?}");
        }
    }
}

#[tokio::test]
async fn the_app_itself_opens_what_exchange_lets_it_and_nothing_else() {
    let demo = Demo::start().await;
    demo.passes("orders-app").await;
    demo.passes("orders-app-graph").await;
    let grant = demo.app.store.grant(&demo.token("contoso-app").await.id).await.unwrap().unwrap();
    assert_eq!(grant.others.len(), 1, "one token, two resources");
    assert!(grant.rt_current.is_none());
    // One field, another mailbox: the same token.
    demo.mailbox("info-app", "info@contoso.test", House::Microsoft, "contoso-app", ("pop3", "smtp"))
        .await;
    demo.passes("info-app").await;
    demo.mailbox("ceo", "ceo@contoso.test", House::Microsoft, "contoso-app", ("imap", "smtp"))
        .await;
    assert_ne!(demo.fails_at("ceo", Direction::Incoming).await, "", "not allowed to this app");
}

#[tokio::test]
async fn a_service_account_acts_for_one_account_over_each_protocol() {
    let demo = Demo::start().await;
    demo.passes("billing-service").await;
    demo.mailbox(
        "billing-pop",
        "billing@fabrikam.test",
        House::Google,
        "billing-service",
        ("pop3", "smtp"),
    )
    .await;
    demo.passes("billing-pop").await;
    // The key is for accounts of its domain: one it may not act for is the token's trouble, and nobody has to sign in.
    let wrong = "[[token]]\nname = \"nobody\"\nprovider = \"fabrikam-service\"\ngrant = \"jwt_bearer\"\nuser = \"nobody@fabrikam.test\"\n";
    demo.apply(wrong).await.unwrap();
    let token = demo.token("nobody").await;
    let error = access_token(&demo.app, &token, None).await.unwrap_err();
    assert!(matches!(error, AccessError::Transient { .. }), "{error:?}");
    let grant = demo.app.store.grant(&token.id).await.unwrap().unwrap();
    assert_eq!(grant.state, GrantState::Failing);
}

const ROPC: &str = "[[token]]\nname = \"old\"\nprovider = \"contoso\"\ngrant = \"password\"\nuser = \"support@contoso.test\"\n";

#[tokio::test]
async fn a_password_gets_tokens_and_a_refused_one_is_not_tried_again() {
    let demo = Demo::start().await;
    let password = demo.sandbox.person(SUPPORT).unwrap().password;
    let missing = demo.apply(ROPC).await.unwrap_err();
    assert!(missing.contains("Enter the password"), "{missing}");
    demo.apply(&format!("{ROPC}password = \"canary-wrong\"\n")).await.unwrap();
    let token = demo.token("old").await;
    for _ in 0..2 {
        let error = access_token(&demo.app, &token, None).await.unwrap_err();
        assert!(matches!(error, AccessError::NeedsSignIn(_)), "{error:?}");
    }
    let grant = demo.app.store.grant(&token.id).await.unwrap().unwrap();
    assert_eq!(
        (grant.state, grant.failures),
        (GrantState::Revoked, 0),
        "asked once: accounts get locked"
    );

    demo.apply(&format!("{ROPC}password = \"{password}\"\n")).await.unwrap();
    demo.mailbox("old", SUPPORT, House::Microsoft, "old", ("imap", "smtp")).await;
    demo.passes("old").await;
    demo.mailbox("old-pop", SUPPORT, House::Microsoft, "old", ("pop3", "smtp")).await;
    let grant = demo.app.store.grant(&token.id).await.unwrap().unwrap();
    assert_eq!(grant.identity.account(), SUPPORT);
    assert!(grant.rt_current.is_some(), "offline_access was asked for");

    // The refresh token ends; the password still stands.
    demo.sandbox.revoke(Some(SUPPORT));
    let handed = refresh_now(&demo.app, &token).await.unwrap();
    assert_eq!(handed.how, How::Refreshed);
}

#[tokio::test]
async fn passwords_and_keys_leave_only_with_an_export_that_asks_for_secrets() {
    let demo = Demo::start().await;
    let password = demo.sandbox.person(SUPPORT).unwrap().password;
    demo.apply(&format!("{ROPC}password = \"{password}\"\n")).await.unwrap();
    let plain = export(&demo.app, &Actor::console(), false).await.unwrap();
    assert!(!plain.contains("PRIVATE KEY") && !plain.contains("password ="));
    let whole = export(&demo.app, &Actor::console(), true).await.unwrap();
    assert!(whole.contains("BEGIN PRIVATE KEY") && whole.contains(&format!("password = \"{password}\"")));
    // What was exported can be applied again, and changes nothing.
    demo.apply(&whole).await.unwrap();
    demo.passes("billing-service").await;
}

#[tokio::test]
async fn moving_from_a_sign_in_to_the_app_and_back_loses_nothing() {
    let demo = Demo::start().await;
    let signed_in = demo.token("support").await;
    demo.passes("info").await;
    let before = demo.app.store.grant(&signed_in.id).await.unwrap().unwrap();
    demo.mailbox("info", "info@contoso.test", House::Microsoft, "contoso-app", ("imap", "smtp"))
        .await;
    demo.passes("info").await;
    assert_eq!(
        demo.app.store.grant(&signed_in.id).await.unwrap().unwrap(),
        before,
        "the sign-in is as it was"
    );
    demo.mailbox("info", "info@contoso.test", House::Microsoft, "support", ("imap", "smtp"))
        .await;
    demo.passes("info").await;
    assert_eq!(
        demo.app.store.grant(&signed_in.id).await.unwrap().unwrap().rt_current,
        before.rt_current
    );
}
