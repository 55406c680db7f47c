//! The cards of a new provider, each from the empty form through its mistakes to a token that the sandbox hands out.

mod google;
mod microsoft;
mod slips;

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
use mailgrant::model::provider::Provider;
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::token::Token;
use mailgrant::sandbox::{HOST, House, MICROSOFT_APP, TENANT};
use std::path::PathBuf;

const NEW: &str = "/providers/new";
const CLIENT: &str = "11112222-bbbb-3333-cccc-4444dddd5555";

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
