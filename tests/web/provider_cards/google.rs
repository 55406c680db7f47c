//! Google's cards: service accounts and their keys, and clients from their file.

use super::super::providers::send;
use super::{NEW, World, borrowed, refused, send_files};
use axum::http::StatusCode;
use mailgrant::actions::config::{Sources, apply, export, parse};
use mailgrant::model::audit::Actor;
use mailgrant::sandbox::{GOOGLE_APP, House};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

const GMAIL: &str = "https://mail.google.com/";
const ROBOT: &str = "mail-console@sandbox.iam.gserviceaccount.com";

/// Key files that are none, and what is said of each.
fn broken_keys(good: &str) -> Vec<(String, &'static str)> {
    let with = |name: &str, value: Value| {
        let mut file: Value = serde_json::from_str(good).unwrap();
        file[name] = value;
        file.to_string()
    };
    let pem = |label: &str| json!(format!("-----BEGIN {label}-----\nY2FuYXJ5\n-----END {label}-----\n"));
    let mut without: Value = serde_json::from_str(good).unwrap();
    without.as_object_mut().unwrap().remove("private_key");
    vec![
        (String::new(), "Paste the key JSON of the service account, or choose its file"),
        (good[..good.len() / 2].to_owned(), "Key JSON can't be read. Paste the whole file"),
        (
            json!({"web": {"client_id": "1", "client_secret": "canary"}}).to_string(),
            "This is the JSON of an OAuth client, for people who sign in",
        ),
        (without.to_string(), "Key JSON has no private_key"),
        (with("private_key", pem("PRIVATE KEY")), "is damaged, or no RSA key"),
        (with("private_key", pem("RSA PRIVATE KEY")), "is damaged, or no RSA key"),
        (with("type", json!("authorized_user")), "is of type authorized_user"),
        (with("type", json!("external_account")), "isn't the key of a service account"),
        (with("client_email", json!("")), "lacks client_email, client_id or private_key_id"),
        (with("project_id", json!("x".repeat(17_000))), "longer than a key file is"),
    ]
}

#[tokio::test]
async fn a_service_accounts_key_is_taken_in_checked_for_the_first_account_and_never_told() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let good = world.play.sandbox.add_service_account(ROBOT, &[GMAIL]).unwrap();
    let at = world.at_google();
    let over = borrowed(
        &at,
        &[
            ("name", "fabrikam"),
            ("first_account", "billing@fabrikam.test"),
            ("domain", "fabrikam.test"),
            ("act", "check"),
        ],
    );
    for (file, said) in broken_keys(&good) {
        let page = admin.get("/providers/new?card=google-service").await;
        assert_eq!(page.text("#delegated"), GMAIL);
        let mut pasted = over.clone();
        pasted.push(("service_account", &file));
        let page = send(&mut admin, &page, NEW, &pasted).await;
        refused(&page, "service_account", said);
        assert_eq!(page.text(".summary li").lines().count(), 1, "{}", page.text(".summary"));
        assert!(!page.body.contains("Y2FuYXJ5") && !page.body.contains("canary") && !page.body.contains("PRIVATE"));
        assert_eq!(page.attribute("#first_account", "value").as_deref(), Some("billing@fabrikam.test"));
        // The same as a file.
        let page = send_files(&mut admin, &page, NEW, &over, &[("service_account_file", file.as_bytes())]).await;
        refused(&page, "service_account", said);
    }
    for (field, value, said) in [
        ("first_account", "", "Enter the first account, or untick Make the token too"),
        ("first_account", "billing", "First account must be an address like"),
        (
            "first_account",
            "billing@contoso.test",
            "Account is at contoso.test, and the service account acts for fabrikam.test",
        ),
        ("domain", "fabrikam", "Domain must be the one of your Workspace"),
    ] {
        let page = admin.get("/providers/new?card=google-service").await;
        let mut wrong: Vec<(&str, &str)> = over.iter().copied().filter(|(name, _)| *name != field).collect();
        wrong.extend([(field, value), ("service_account", good.as_str())]);
        let page = send(&mut admin, &page, NEW, &wrong).await;
        refused(&page, if field == "domain" { "tenant" } else { field }, said);
    }
    assert!(world.t.app.store.providers().await.unwrap().is_empty());

    let page = admin.get("/providers/new?card=google-service").await;
    let page = send_files(&mut admin, &page, NEW, &over, &[("service_account_file", good.as_bytes())]).await;
    let page = admin.follow(page).await;
    assert_eq!(
        page.text(".flash"),
        "Provider fabrikam and its token saved and checked.",
        "{}",
        page.words()
    );
    let steps = page.text(".steps");
    assert!(steps.contains(&format!("{ROBOT} acts for billing@fabrikam.test")), "{steps}");
    assert_eq!(page.text("#sa-scopes"), GMAIL);
    let file: Value = serde_json::from_str(&good).unwrap();
    assert_eq!(page.text("#sa-client"), file["client_id"].as_str().unwrap());
    let facts = page.text("[aria-labelledby=sa]");
    assert!(
        facts.contains(ROBOT) && facts.contains(file["private_key_id"].as_str().unwrap()),
        "{facts}"
    );
    assert!(facts.contains("less than a day"), "{facts}");
    assert!(page.text(".head p").contains("Google, service account, domain fabrikam.test"));
    world.opens("fabrikam", House::Google, "billing@fabrikam.test").await;
    let key = file["private_key"].as_str().unwrap().lines().nth(1).unwrap().to_owned();
    world.tells_nothing_of("fabrikam", &["PRIVATE KEY", &key]).await;
    // What is exported with secrets can be applied again, domain and key included, and changes nothing.
    let (app, console) = (&world.t.app, Actor::console());
    let exported = export(app, &console, true).await.unwrap();
    assert!(exported.contains("tenant = \"fabrikam.test\"") && exported.contains("BEGIN PRIVATE KEY"));
    let before = world.provider("fabrikam").await;
    let sources = Sources {
        directory: std::path::PathBuf::new(),
        env: &|_| None,
    };
    apply(app, &console, &parse(&exported).unwrap(), &sources, false).await.unwrap();
    assert_eq!(world.provider("fabrikam").await, before);

    // It can be edited without the key, and the token's form offers the service account alone.
    let page = admin.get("/providers/fabrikam/edit").await;
    let page = send(&mut admin, &page, "/providers/fabrikam/edit", &[("domain", ""), ("act", "save")]).await;
    assert_eq!(page.location().as_deref(), Some("/providers/fabrikam"), "{}", page.words());
    assert_eq!(world.provider("fabrikam").await.tenant, None);
    let page = admin.get("/tokens/new?provider=fabrikam").await;
    assert!(page.has("input[type=hidden][name=grant][value=jwt_bearer]"), "{}", page.words());
    assert!(
        page.text("#grant")
            .contains("Someone signs in can't be chosen: This provider has a service account only")
    );
}

#[tokio::test]
async fn another_key_takes_over_only_when_google_takes_it() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let old = world.play.sandbox.add_service_account(ROBOT, &[GMAIL]).unwrap();
    let at = world.at_google();
    let over = borrowed(
        &at,
        &[
            ("name", "fabrikam"),
            ("first_account", "billing@fabrikam.test"),
            ("service_account", old.as_str()),
            ("act", "save"),
        ],
    );
    let page = admin.get("/providers/new?card=google-service").await;
    let page = send(&mut admin, &page, NEW, &over).await;
    assert_eq!(page.location().as_deref(), Some("/providers/fabrikam"), "{}", page.words());
    let key_id = async || {
        let provider = world.provider("fabrikam").await;
        world
            .t
            .app
            .store
            .service_account(&provider.id)
            .await
            .unwrap()
            .unwrap()
            .account
            .key_id
    };
    let first = key_id().await;
    // Only people who may set secrets.
    assert_eq!(
        world.t.operator().get("/providers/fabrikam/key").await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(world.t.viewer().get("/providers/fabrikam/key").await.status, StatusCode::FORBIDDEN);
    let page = admin.get("/providers/fabrikam/key").await;
    let page = send(&mut admin, &page, "/providers/fabrikam/key", &[]).await;
    refused(&page, "service_account", "Paste the key JSON");
    // One that Google doesn't know: nothing changes, ticked or not.
    let strange: Value = serde_json::from_str(&old).unwrap();
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut file = strange.clone();
    file["private_key"] = json!(pair.serialize_pem());
    file["private_key_id"] = json!("another");
    for tick in ["", "yes"] {
        let fields = [("service_account", &*file.to_string()), ("untried", tick)].map(|(name, value)| (name, value.to_owned()));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = send(&mut admin, &page, "/providers/fabrikam/key", &fields).await;
        refused(&page, "service_account", "Key was refused by the provider. The old one stays");
        assert!(page.text(".panel.bad").contains("What the other side said"), "{}", page.words());
        assert!(!page.body.contains("PRIVATE"));
    }
    assert_eq!(key_id().await, first);
    // A new one of the same account, as a file.
    let new = world.play.sandbox.add_service_account(ROBOT, &[GMAIL]).unwrap();
    let page = admin.get("/providers/fabrikam/key").await;
    let page = send_files(
        &mut admin,
        &page,
        "/providers/fabrikam/key",
        &[],
        &[("service_account_file", new.as_bytes())],
    )
    .await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Key of fabrikam stored. It acts for billing@fabrikam.test.");
    assert_ne!(key_id().await, first);
    world.opens("fabrikam", House::Google, "billing@fabrikam.test").await;
    let rows = format!("{:?}", world.t.app.store.audit_rows(50).await.unwrap());
    assert!(rows.contains("provider.service_account") && !rows.contains("PRIVATE"));
    // Nobody answers: it stays, unless that is ticked.
    world.play.sandbox.stop().await;
    let page = admin.get("/providers/fabrikam/key").await;
    let page = send(&mut admin, &page, "/providers/fabrikam/key", &[("service_account", &old)]).await;
    refused(
        &page,
        "service_account",
        "Key couldn't be tried, so the old one stays. Tick the box below",
    );
    let over = [("service_account", old.as_str()), ("untried", "yes")];
    let page = send(&mut admin, &page, "/providers/fabrikam/key", &over).await;
    assert_eq!(page.location().as_deref(), Some("/providers/fabrikam"), "{}", page.words());
    assert_eq!(key_id().await, first);
}

#[tokio::test]
async fn google_clients_come_from_their_file_and_people_and_a_key_can_share_a_provider() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let at = world.at_google();
    let over = borrowed(&at, &[("name", "shared"), ("consent_screen", "internal"), ("act", "save")]);
    for (file, said) in [
        (r#"{"installed":{"client_id":"1"}}"#, "Client JSON is of a desktop app"),
        (r#"{"type":"service_account"}"#, "This is the key of a service account"),
        ("{", "Client JSON can't be read"),
    ] {
        let page = admin.get("/providers/new?card=google").await;
        let page = send_files(&mut admin, &page, NEW, &over, &[("client_json_file", file.as_bytes())]).await;
        refused(&page, "client_json", said);
    }
    let file = json!({"web": {"client_id": GOOGLE_APP.0, "client_secret": GOOGLE_APP.1}}).to_string();
    let page = admin.get("/providers/new?card=google").await;
    let page = send_files(&mut admin, &page, NEW, &over, &[("client_json_file", file.as_bytes())]).await;
    assert_eq!(page.location().as_deref(), Some("/providers/shared"), "{}", page.words());
    assert_eq!(world.provider("shared").await.client_id, GOOGLE_APP.0);

    // Without a key the token's form says where one goes; with it, it can be chosen.
    let page = admin.get("/tokens/new?provider=shared").await;
    assert!(
        page.text("#grant")
            .contains("Service account can't be chosen: No key of a service account is stored")
    );
    let link = page.attribute("#grant a", "href").unwrap();
    assert_eq!(link, "/providers/shared/key");
    let page = admin.get(&link).await;
    let key = world.play.sandbox.add_service_account(ROBOT, &[GMAIL]).unwrap();
    let page = send(&mut admin, &page, &link, &[("service_account", &key)]).await;
    assert_eq!(page.location().as_deref(), Some("/providers/shared"), "{}", page.words());
    let page = admin.get("/tokens/new?provider=shared").await;
    assert!(page.has("input[name=grant][value=jwt_bearer]") && !page.text("#grant").contains("can't be chosen"));
    let over = [("grant", "jwt_bearer"), ("user", "billing@fabrikam.test"), ("act", "save")];
    let page = send(&mut admin, &page, "/tokens/new", &over).await;
    assert_eq!(page.location().as_deref(), Some("/tokens/billing"), "{}", page.words());
    world.opens("billing", House::Google, "billing@fabrikam.test").await;
    world.tells_nothing_of("shared", &[GOOGLE_APP.1, "PRIVATE KEY"]).await;
}
