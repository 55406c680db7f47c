//! The cards of a new provider, each from the empty form through its mistakes to a token that the sandbox hands out.

use super::providers::{send, typed};
use crate::sandbox::Play;
use crate::support::app::{Browser, Page, TestApp};
use crate::support::databases::NOW;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use mailgrant::actions::access_token::access_token;
use mailgrant::actions::config::{Sources, apply, parse};
use mailgrant::actions::probe::{self, Options, Order};
use mailgrant::clock::MockClock;
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::provider::{ClientAuth, Provider};
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::token::{GrantType, Token};
use mailgrant::sandbox::{AppCertificate, GOOGLE_APP, HOST, House, MICROSOFT_APP, TENANT};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use std::path::PathBuf;

const NEW: &str = "/providers/new";
const CLIENT: &str = "11112222-bbbb-3333-cccc-4444dddd5555";
const GMAIL: &str = "https://mail.google.com/";
const ROBOT: &str = "mail-console@sandbox.iam.gserviceaccount.com";

/// A console that trusts a sandbox beside it.
struct World {
    t: TestApp,
    play: Play,
    _ca: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let play = Play::start_at(&MockClock::at(NOW)).await;
        let directory = tempfile::TempDir::new().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, play.sandbox.ca_pem()).unwrap();
        let t = TestApp::start_with(&[("MAILGRANT_EXTRA_CA_FILE", ca.to_str().unwrap())]).await;
        Self { t, play, _ca: directory }
    }

    async fn provider(&self, name: &str) -> Provider {
        self.t.app.store.provider(&Name::parse(name).unwrap()).await.unwrap().unwrap()
    }

    async fn token(&self, name: &str) -> Token {
        self.t.app.store.token(&Name::parse(name).unwrap()).await.unwrap().unwrap()
    }

    /// The fields that lead a Google provider to the sandbox.
    fn at_google(&self) -> Vec<(&'static str, String)> {
        let url = self.play.sandbox.url();
        vec![
            ("issuer", format!("{url}/google")),
            ("authorize_url", format!("{url}/google/o/oauth2/v2/auth")),
            ("token_url", format!("{url}/google/token")),
            ("revocation_url", format!("{url}/google/revoke")),
            ("userinfo_url", format!("{url}/google/userinfo")),
        ]
    }

    /// A token comes from the sandbox, and opens this mailbox.
    async fn opens(&self, token: &str, house: House, address: &str) {
        let handed = access_token(&self.t.app, &self.token(token).await, None).await.unwrap();
        assert!(!handed.access_token.expose_secret().is_empty());
        let port = self.play.sandbox.ports(house).imaps;
        let text = format!(
            "[[mailbox]]\nname = \"box\"\naddress = \"{address}\"\n[mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{HOST}\"\nport = {port}\n\
             security = \"tls\"\ntoken = \"{token}\"\n"
        );
        let sources = Sources {
            directory: PathBuf::new(),
            env: &|_| None,
        };
        let app = &self.t.app;
        apply(app, &Actor::console(), &parse(&text).unwrap(), &sources, false)
            .await
            .unwrap();
        let order = Order {
            mailbox: app.store.mailbox(&Name::parse("box").unwrap()).await.unwrap().unwrap(),
            draft: false,
            direction: Direction::Incoming,
            options: Options::default(),
            user: None,
        };
        let report = probe::run_to_end(app, &Actor::console(), order).await.unwrap().report.clone();
        assert_ne!(report.outcome, Outcome::Failed, "{report:?}");
    }

    /// Nothing of these texts is on a page about the provider, nor in the audit log.
    async fn tells_nothing_of(&self, name: &str, secrets: &[&str]) {
        let mut admin = self.t.admin();
        let mut told = format!("{:?}", self.t.app.store.audit_rows(100).await.unwrap());
        for page in ["", "/edit", "/key", "/certificate", "/secret"] {
            told.push_str(&admin.get(format!("/providers/{name}{page}")).await.body);
        }
        for secret in secrets {
            assert!(!told.contains(secret), "{secret:.20} is told");
        }
    }
}

/// Sends a form with files as a browser does.
async fn send_files(browser: &mut Browser, page: &Page, action: &str, over: &[(&str, &str)], files: &[(&str, &[u8])]) -> Page {
    let mut fields = typed(page, action, over);
    fields.retain(|(name, _)| !files.iter().any(|(file, _)| file == name));
    fields.push(("csrf_token".to_owned(), browser.csrf.clone().unwrap()));
    let mut body = Vec::new();
    for (name, value) in &fields {
        let part = format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    for (name, content) in files {
        let head = format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--X--\r\n");
    let headers = [("content-type", "multipart/form-data; boundary=X")];
    browser.send(Method::POST, action, &headers, Body::from(body)).await
}

fn borrowed<'a>(owned: &'a [(&'static str, String)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all: Vec<(&str, &str)> = owned.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.extend_from_slice(more);
    all
}

#[track_caller]
fn refused(page: &Page, field: &str, said: &str) {
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.words());
    assert!(
        page.text(&format!("#{field}-e")).contains(said),
        "{field} {said}: {}",
        page.text(".summary")
    );
    assert!(page.text(".summary li").contains(said), "{}", page.text(".summary"));
    assert!(page.has(&format!("#{field}")), "the summary leads to {field}");
}

#[tokio::test]
async fn without_script_each_card_brings_its_own_form_and_keeps_what_was_typed() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let mut page = admin.get(NEW).await;
    assert_eq!(
        page.text(".opt em"),
        "Best for many mailboxes\nLast resort\nBest for many mailboxes"
    );
    for (card, heading, grant, there, not_there) in [
        (
            "microsoft-certificate",
            "Microsoft 365, app-only, certificate",
            "client_credentials",
            "#certificate #file",
            "#client_secret",
        ),
        (
            "microsoft-secret",
            "Microsoft 365, app-only, client secret",
            "client_credentials",
            "#client_secret_expires",
            "#redirect",
        ),
        (
            "microsoft-password",
            "Microsoft 365, username and password",
            "password",
            "#last_resort",
            "#make_token",
        ),
        (
            "google-service",
            "Google, service account",
            "jwt_bearer",
            "#first_account",
            "#client_secret",
        ),
        (
            "microsoft",
            "Microsoft 365, user sign-in",
            "authorization_code",
            "#consent_return",
            "#make_token",
        ),
        (
            "google",
            "Google, user sign-in",
            "authorization_code",
            "#client_json_file",
            "#tenant",
        ),
    ] {
        let over = [
            ("card", card),
            ("tenant", "litware.test"),
            ("client_id", CLIENT),
            ("act", "template"),
        ];
        page = send(&mut admin, &page, NEW, &over).await;
        assert_eq!((page.text("#fh").as_str(), page.status), (heading, StatusCode::OK));
        assert!(page.text("details .hint code").contains(grant), "{card}");
        assert!(page.has(there) && !page.has(not_there), "{card}");
        assert!(page.text("aside .how li").lines().count() >= 4 && !page.text("aside [aria-labelledby=nx] p").is_empty());
        if card.starts_with("microsoft") {
            assert_eq!(page.attribute("#tenant", "value").as_deref(), Some("litware.test"));
            assert_eq!(page.attribute("#client_id", "value").as_deref(), Some(CLIENT));
        }
        // An address leads to the same.
        assert_eq!(admin.get(format!("{NEW}?card={card}")).await.text("#fh"), heading);
    }
}

#[tokio::test]
async fn a_certificate_made_on_the_card_is_given_to_microsoft_and_then_the_app_gets_its_token() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let page = admin.get("/providers/new?card=microsoft-certificate").await;
    assert!(
        page.text(".note.warn")
            .contains("Can open every mailbox of the tenant. Limit it in Exchange")
    );
    let mistakes = [
        ("name", "litware"),
        ("tenant", "common"),
        ("client_id", &CLIENT[1..]),
        ("lasts", "9"),
        ("act", "check"),
    ];
    let page = send(&mut admin, &page, NEW, &mistakes).await;
    refused(
        &page,
        "tenant",
        "Tenant \"common\" can't be used for app-only. Enter your directory ID",
    );
    refused(&page, "client_id", "This one has 35");
    refused(&page, "lasts", "Choose how long the certificate lasts");
    assert!(world.t.app.store.providers().await.unwrap().is_empty());
    let url = world.play.sandbox.url();
    let over = [
        ("tenant", TENANT),
        ("authority", url),
        ("client_id", MICROSOFT_APP.0),
        ("lasts", "365"),
        ("app_resource", "outlook"),
    ];
    let page = send_files(&mut admin, &page, NEW, &over, &[("file", b"")]).await;
    assert_eq!(
        page.location().as_deref(),
        Some("/providers/litware/certificate"),
        "{}",
        page.words()
    );
    let page = admin.follow(page).await;
    assert!(
        page.text(".flash")
            .contains("Provider litware and its token saved. Now give the public half"),
        "{}",
        page.text(".flash")
    );
    let stored = world.provider("litware").await;
    let certificate = stored.credentials.certificate.clone().unwrap();
    assert_eq!(page.text("#current-sha1"), certificate.facts.sha1);
    assert_eq!(
        (stored.client_auth, stored.grant),
        (ClientAuth::Certificate, GrantType::ClientCredentials)
    );
    assert_eq!(stored.scopes, ["https://outlook.office365.com/.default"]);
    let token = world.token("litware").await;
    assert_eq!((token.grant, token.user.as_deref()), (GrantType::ClientCredentials, None));

    // Microsoft doesn't know it yet; once it does, the check lists what the app may do.
    let page = admin.submit("/providers/litware/check", &[]).await;
    let page = if page.status.is_success() {
        page
    } else {
        admin.get("/providers/litware").await
    };
    assert!(page.text(".step.fail").contains("its certificate is accepted"), "{}", page.words());
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &certificate.public).unwrap();
    let mut client = world.play.sandbox.client(MICROSOFT_APP.0).unwrap();
    client.certificates.push(AppCertificate::from_der(&der).unwrap());
    world.play.sandbox.set_client(client);
    admin.submit("/providers/litware/check", &[]).await;
    let page = admin.get("/providers/litware").await;
    let steps = page.text(".steps");
    assert!(steps.contains("The app got a token of its own with its certificate"), "{steps}");
    assert!(
        steps.contains("What the app may do") && steps.contains("IMAP.AccessAsApp"),
        "{steps}"
    );
    assert!(page.text("h1").contains("litware") && page.text(".head p").contains("app-only, certificate"));
    assert!(page.text("#c-exchange").contains(MICROSOFT_APP.0), "{}", page.text("#c-exchange"));
    world.opens("litware", House::Microsoft, "orders@contoso.test").await;
    world.tells_nothing_of("litware", &["PRIVATE KEY"]).await;
}

#[tokio::test]
async fn each_mistake_with_a_certificate_on_the_card_is_told_at_its_field() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let url = world.play.sandbox.url();
    let over = [
        ("name", "litware"),
        ("tenant", TENANT),
        ("authority", url),
        ("client_id", MICROSOFT_APP.0),
        ("certificate_how", "upload"),
        ("passphrase", "canary-passphrase"),
        ("make_token", "on"),
        ("act", "save"),
    ];
    let data = |name: &str| std::fs::read(format!("{}/tests/data/certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2024, 5, 3), rcgen::date_time_ymd(2025, 5, 3));
    let ended = format!("{}{}", params.self_signed(&pair).unwrap().pem(), pair.serialize_pem());
    for (file, field, said) in [
        (
            data("cert.cer"),
            "file",
            "Certificate has no private key. Upload the PFX, or the PEM with both parts",
        ),
        (data("modern.pfx"), "passphrase", "Passphrase doesn't open this file"),
        (ended.into_bytes(), "file", "Certificate ended on 3 May 2025"),
        (b"hello".to_vec(), "file", "This is no certificate file"),
        (Vec::new(), "file", "Choose a file"),
    ] {
        let page = admin.get("/providers/new?card=microsoft-certificate").await;
        let page = send_files(&mut admin, &page, NEW, &over, &[("file", &file)]).await;
        refused(&page, field, said);
        assert_eq!(page.attribute("#client_id", "value").as_deref(), Some(MICROSOFT_APP.0));
        assert!(page.has("input[name=certificate_how][value=upload][checked]"));
        assert!(!page.body.contains("canary") && !page.body.contains("PRIVATE"));
    }
    assert!(world.t.app.store.providers().await.unwrap().is_empty());
    let page = admin.get("/providers/new?card=microsoft-certificate").await;
    let mut right = over;
    right[5] = ("passphrase", "opensesame");
    let page = send_files(&mut admin, &page, NEW, &right, &[("file", &data("modern.pfx"))]).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Provider litware and its token saved. Not checked.");
    let ends = world.provider("litware").await.client_secret_expires;
    assert!(ends.is_some() && page.has("#current-sha1"));
}

#[tokio::test]
async fn an_app_with_a_secret_is_saved_checked_and_given_its_token_in_one_go() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let page = admin.get("/providers/new?card=microsoft-secret").await;
    let mistakes = [
        ("name", "litware"),
        ("tenant", "organizations"),
        ("client_id", CLIENT),
        ("client_secret", "99990000-ffff-1111-aaaa-2222bbbb3333"),
        ("client_secret_expires", "2025-01-01"),
        ("act", "check"),
    ];
    let page = send(&mut admin, &page, NEW, &mistakes).await;
    refused(&page, "tenant", "Tenant \"organizations\" can't be used for app-only");
    refused(&page, "client_secret", "looks like the secret's ID. Paste the Value column instead");
    refused(&page, "client_secret_expires", "must be a date after today, like 2027-11-20");
    assert!(!page.body.contains("99990000"));

    let url = world.play.sandbox.url();
    let over = [
        ("tenant", TENANT),
        ("authority", url),
        ("client_id", MICROSOFT_APP.0),
        ("client_secret", MICROSOFT_APP.1),
        ("client_secret_expires", "2027-11-20"),
        ("app_resource", "outlook"),
        ("act", "check"),
    ];
    let page = send(&mut admin, &page, NEW, &over).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Provider litware and its token saved and checked.");
    let steps = page.text(".steps");
    assert!(
        steps.contains("The app got a token of its own with its secret") && steps.contains("SMTP.SendAsApp"),
        "{steps}"
    );
    assert!(!page.has("#redirect"), "nobody comes back to it");
    world.opens("litware", House::Microsoft, "orders@contoso.test").await;
    world.tells_nothing_of("litware", &[MICROSOFT_APP.1]).await;
    // Both or none: a token of that name is in the way.
    let sources = Sources {
        directory: PathBuf::new(),
        env: &|_| None,
    };
    let text = "[[token]]\nname = \"taken\"\nprovider = \"litware\"\ngrant = \"client_credentials\"\n";
    apply(&world.t.app, &Actor::console(), &parse(text).unwrap(), &sources, false)
        .await
        .unwrap();
    let page = admin.get("/providers/new?card=microsoft-secret").await;
    let mut again = over.to_vec();
    again[6] = ("act", "save");
    again.extend([("name", "taken"), ("make_token", "on")]);
    let page = send(&mut admin, &page, NEW, &again).await;
    refused(
        &page,
        "name",
        "already used by a token. Choose another, or untick Make the token too",
    );
    assert_eq!(world.t.app.store.providers().await.unwrap().len(), 1);
    // Without the tick it can be saved.
    let mut fields = typed(&page, NEW, &again);
    fields.retain(|(name, _)| name != "make_token");
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let page = admin.post(NEW, &fields).await;
    assert_eq!(page.location().as_deref(), Some("/providers/taken"), "{}", page.words());

    // A wrong secret is told by the check.
    let page = admin.get("/providers/new?card=microsoft-secret").await;
    let mut wrong = over.to_vec();
    wrong.push(("name", "wrong"));
    wrong[3] = ("client_secret", "canary-wrong");
    let page = send(&mut admin, &page, NEW, &wrong).await;
    let page = admin.follow(page).await;
    assert!(page.text(".step.fail").contains("its secret is accepted"), "{}", page.words());
}

#[tokio::test]
async fn a_password_is_the_last_resort_and_proved_by_its_first_sign_in() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let page = admin.get("/providers/new?card=microsoft-password").await;
    assert!(page.text(".note.warn").contains("Allow public client flows"));
    let url = world.play.sandbox.url();
    let over = [
        ("name", "old"),
        ("tenant", TENANT),
        ("authority", url),
        ("client_id", MICROSOFT_APP.0),
        ("act", "check"),
    ];
    let page = send(&mut admin, &page, NEW, &over).await;
    refused(
        &page,
        "last_resort",
        "Tick \u{201c}I know this is the last resort\u{201d}, or choose another card",
    );
    let page = send(
        &mut admin,
        &page,
        NEW,
        &[("tenant", "common"), ("last_resort", "on"), ("act", "check")],
    )
    .await;
    refused(&page, "tenant", "Tenant \"common\" can't be used for user name and password");
    let page = send(&mut admin, &page, NEW, &[("tenant", TENANT), ("act", "check")]).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Provider old saved and checked.", "{}", page.words());
    let steps = page.text(".steps");
    assert!(
        steps.contains("allows public client flows") && steps.contains("Proved by the first sign-in"),
        "{steps}"
    );

    let page = admin.get("/tokens/new?provider=old").await;
    assert!(page.has("input[name=grant][value=password][checked]"), "{}", page.words());
    assert!(
        page.text("#grant")
            .contains("The app itself can't be chosen: The app has neither a secret nor a certificate")
    );
    let password = world.play.sandbox.person("support@contoso.test").unwrap().password;
    let token = [
        ("user", "support@contoso.test"),
        ("password", password.as_str()),
        ("last_resort", "on"),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/tokens/new", &token).await;
    assert_eq!(page.location().as_deref(), Some("/tokens/support"), "{}", page.words());
    world.opens("support", House::Microsoft, "support@contoso.test").await;
    world.tells_nothing_of("old", &[password.as_str()]).await;
}

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

    // It can be edited without the key, and the token's form offers the service account alone.
    let page = admin.get("/providers/fabrikam/edit").await;
    let page = send(&mut admin, &page, "/providers/fabrikam/edit", &[("domain", ""), ("act", "save")]).await;
    assert_eq!(page.location().as_deref(), Some("/providers/fabrikam"), "{}", page.words());
    assert_eq!(world.provider("fabrikam").await.tenant, None);
    let page = admin.get("/tokens/new?provider=fabrikam").await;
    assert!(page.has("input[type=hidden][name=grant][value=jwt_bearer]"), "{}", page.words());
    assert!(
        page.text("#grant")
            .contains("Someone signs in can't be chosen: This provider has no client ID")
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
        assert!(page.text(".panel.bad").contains("What the provider said"), "{}", page.words());
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

#[tokio::test]
async fn a_token_is_offered_only_the_ways_that_can_work() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let url = world.play.sandbox.url();
    for (name, tenant, there, missing) in [
        ("named", TENANT, "client_credentials", ""),
        (
            "anybody",
            "organizations",
            "password",
            "The app itself can't be chosen: It needs the directory ID",
        ),
    ] {
        let page = admin.get("/providers/new?card=microsoft").await;
        let over = [
            ("name", name),
            ("tenant", tenant),
            ("authority", url),
            ("client_id", MICROSOFT_APP.0),
            ("client_secret", MICROSOFT_APP.1),
            ("act", "save"),
        ];
        let page = send(&mut admin, &page, NEW, &over).await;
        assert_eq!(page.location().unwrap(), format!("/providers/{name}"), "{}", page.words());
        let page = admin.get(format!("/tokens/new?provider={name}")).await;
        assert!(page.has(&format!("input[name=grant][value={there}]")), "{}", page.words());
        assert!(page.text("#grant").contains(missing), "{}", page.text("#grant"));
    }
    let page = admin.get("/tokens/new?provider=anybody").await;
    assert!(!page.has("input[name=grant][value=client_credentials]"));
    // Somebody else enters the secret: until then the app can't prove itself.
    let page = admin.get("/providers/new?card=microsoft-secret").await;
    let over = [
        ("name", "later"),
        ("tenant", TENANT),
        ("authority", url),
        ("client_id", MICROSOFT_APP.0),
        ("secret_later", "yes"),
        ("act", "check"),
    ];
    let page = send(&mut admin, &page, NEW, &over).await;
    assert_eq!(page.location().as_deref(), Some("/providers/later/request"), "{}", page.words());
    let page = admin.get("/tokens/new?provider=later").await;
    assert!(
        page.text("#grant").contains("The app's secret isn't here yet"),
        "{}",
        page.text("#grant")
    );
    // Yahoo, Zoho and Fastmail know one way.
    for which in ["yahoo", "zoho", "fastmail"] {
        let page = admin.get(format!("/providers/new?template={which}")).await;
        let over = [
            ("name", which),
            ("client_id", "abc"),
            ("client_secret", "canary-secret"),
            ("act", "save"),
        ];
        let page = send(&mut admin, &page, NEW, &over).await;
        assert_eq!(page.location().unwrap(), format!("/providers/{which}"), "{}", page.words());
        let page = admin.get(format!("/tokens/new?provider={which}")).await;
        assert_eq!(page.attribute("input[name=grant]", "value").as_deref(), Some("authorization_code"));
        assert!(page.text("#grant").contains("Someone signs in"));
    }
}
