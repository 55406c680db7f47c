//! Mailgrant against the sandbox's device flow: a code on a page, somebody at another device, and what comes of it.

mod room;

use super::{GOOGLE_APP, IMAP, MICROSOFT_APP, OPEN_APP, Play, SMTP, SUPPORT, TENANT, apply};
use crate::support::app::{Browser, Page, TestApp};
use crate::support::databases::NOW;
use axum::http::StatusCode;
use mailgrant::actions::authorize::device::ask_about;
use mailgrant::clock::{Clock, MockClock, Timestamp};
use mailgrant::model::Name;
use mailgrant::model::token::{Authorization, Device, Grant, Token};
use mailgrant::sandbox::Fault;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A console with tokens that are got at another device, and the provider.
struct House {
    t: TestApp,
    play: Play,
    clock: MockClock,
    _ca: TempDir,
}

impl House {
    async fn start() -> Self {
        let clock = MockClock::at(NOW);
        let play = Play::start_at(&clock).await;
        let directory = TempDir::new().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, play.sandbox.ca_pem()).unwrap();
        let t = TestApp::start_with(&[("MAILGRANT_EXTRA_CA_FILE", ca.to_str().unwrap())]).await;
        let house = Self {
            t,
            play,
            clock,
            _ca: directory,
        };
        let url = house.play.sandbox.url();
        house
            .apply(&format!(
                "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"{TENANT}\"\nauthority = \"{url}\"\n\
                 client_id = \"{}\"\nclient_auth = \"none\"\ngrant = \"device_code\"\nscopes = [\"offline_access\", \"{IMAP}\", \"{SMTP}\"]\n\
                 [[provider]]\nname = \"tailspin\"\ntemplate = \"custom\"\nissuer = \"{url}\"\nauthorize_url = \"{url}/authorize\"\n\
                 token_url = \"{url}/token\"\ndevice_authorization_url = \"{url}/device_authorization\"\nclient_id = \"{}\"\n\
                 client_auth = \"secret_basic\"\nclient_secret = \"{}\"\nscopes = [\"offline_access\", \"mail\"]\n\
                 [[provider]]\nname = \"fabrikam\"\ntemplate = \"custom\"\nissuer = \"{url}/google\"\nauthorize_url = \"{url}/google/o/oauth2/v2/auth\"\n\
                 token_url = \"{url}/google/token\"\ndevice_authorization_url = \"{url}/google/device/code\"\nclient_id = \"{}\"\n\
                 client_auth = \"secret_post\"\nclient_secret = \"{}\"\nscopes = [\"https://mail.google.com/\"]\n\
                 [[provider]]\nname = \"without\"\ntemplate = \"custom\"\nissuer = \"{url}\"\nauthorize_url = \"{url}/authorize\"\n\
                 token_url = \"{url}/token\"\nclient_id = \"x\"\nclient_auth = \"none\"\nscopes = [\"mail\"]\n\
                 [[token]]\nname = \"support\"\nprovider = \"contoso\"\nuser = \"{SUPPORT}\"\n\
                 [[token]]\nname = \"post\"\nprovider = \"tailspin\"\ngrant = \"device_code\"\nuser = \"post@tailspin.test\"\n\
                 [[token]]\nname = \"help\"\nprovider = \"fabrikam\"\ngrant = \"device_code\"\nuser = \"help@fabrikam.test\"\n\
                 [[token]]\nname = \"nowhere\"\nprovider = \"without\"\ngrant = \"device_code\"\nuser = \"a@b.test\"\n",
                MICROSOFT_APP.0, OPEN_APP.0, OPEN_APP.1, GOOGLE_APP.0, GOOGLE_APP.1
            ))
            .await;
        house
    }

    async fn apply(&self, text: &str) {
        apply(&self.t.app, text).await.unwrap();
    }

    async fn token(&self, name: &str) -> Token {
        self.t.app.store.token(&Name::parse(name).unwrap()).await.unwrap().unwrap()
    }

    async fn grant(&self, name: &str) -> Option<Grant> {
        self.t.app.store.grant(&self.token(name).await.id).await.unwrap()
    }

    async fn attempt(&self, name: &str) -> Authorization {
        let id = self.token(name).await.id;
        self.t.app.store.latest_authorization(&id).await.unwrap().unwrap()
    }

    async fn waits(&self, name: &str) -> Option<Device> {
        self.t.app.store.device(&self.token(name).await.id).await.unwrap()
    }

    /// *Get authorization token*: the page it leads to.
    async fn begin(&self, browser: &mut Browser, name: &str) -> Page {
        let page = browser.get(format!("/tokens/{name}")).await;
        assert!(
            page.has(&format!("form[action='/tokens/{name}/authorize'] button")),
            "{}",
            page.words()
        );
        assert!(!page.has("select[name=prompt]"), "a device is sent no prompt");
        browser.submit(format!("/tokens/{name}/authorize"), &[]).await
    }

    /// Somebody at another device types the code in, and decides.
    async fn decide(&self, page: &Page, account: &str, decision: &str) {
        let address = page.attribute(".device a", "href").unwrap();
        assert_eq!(address, format!("{}/devicelogin", self.play.sandbox.url()));
        let code = page.text("#code");
        let form = [("code", code.as_str()), ("account", account), ("decision", decision)];
        let said = self
            .play
            .http
            .post(&address)
            .form(&form)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(said.contains("this page can be closed"), "{said}");
    }

    /// So many seconds later the console asks, if it is time.
    async fn later(&self, name: &str, seconds: i64) {
        self.t.clock.advance(seconds);
        self.clock.advance(seconds);
        ask_about(&self.t.app, &self.attempt(name).await.id).await.unwrap();
    }

    /// Through the whole of it, as the right account.
    async fn sign_in(&self, name: &str, account: &str) {
        let page = self.begin(&mut self.t.admin(), name).await;
        self.decide(&page, account, "allow").await;
        self.later(name, 5).await;
        assert_eq!(self.attempt(name).await.outcome, "signed_in");
    }
}

#[tokio::test]
async fn a_code_on_the_page_and_the_right_account_at_another_device_make_a_token_that_renews_itself() {
    let house = House::start().await;
    let mut admin = house.t.admin();
    let page = house.begin(&mut admin, "support").await;
    assert_eq!(
        page.text(".verdict h2"),
        format!("Waiting for {SUPPORT} to sign in at another device")
    );
    assert_eq!(page.text("#code").len(), 9, "{}", page.words());
    assert!(page.has("button[data-copy=code]") && page.has("[data-wait]"));
    assert!(
        page.words().contains(&format!("sign in as {SUPPORT}, not as yourself")),
        "{}",
        page.words()
    );
    assert!(page.text("#left").contains("in 15 minutes"), "{}", page.text("#left"));
    // Nobody else needs the code.
    let seen = house.t.viewer().get("/tokens/support").await;
    assert!(!seen.has("#code") && !seen.body.contains(&page.text("#code")), "{}", seen.words());

    house.later("support", 5).await;
    assert_eq!(house.attempt("support").await.outcome, "", "nobody has decided");
    // Pressed again: the same code.
    let again = admin.submit("/tokens/support/authorize", &[]).await;
    assert_eq!(again.text("#code"), page.text("#code"));
    house.decide(&page, SUPPORT, "allow").await;
    house.later("support", 4).await;
    assert_eq!(house.attempt("support").await.outcome, "", "not asked before its turn");
    house.later("support", 1).await;
    let page = admin.get("/tokens/support").await;
    assert_eq!(page.text(".verdict h2"), "Works");
    assert!(!page.has("[data-wait]"));
    assert_eq!(house.waits("support").await, None);
    let stored = house.grant("support").await.unwrap();
    assert_eq!(
        (stored.identity.account(), stored.authorized_by.as_deref()),
        (SUPPORT, Some("Maija Korhonen"))
    );
    let token = house.token("support").await;
    mailgrant::actions::access_token::refresh_now(&house.t.app, &token).await.unwrap();

    // With a secret in the header, and an address that has the code in it.
    let page = house.begin(&mut admin, "post").await;
    let links: Vec<String> = page.text(".device a").lines().map(str::to_owned).collect();
    assert_eq!(links[1], "with the code filled in");
    house.decide(&page, "post@tailspin.test", "allow").await;
    house.later("post", 5).await;
    assert_eq!(house.attempt("post").await.outcome, "signed_in");
}

#[tokio::test]
async fn nobody_else_no_refusal_and_no_end_changes_what_is_stored() {
    let house = House::start().await;
    house.sign_in("support", SUPPORT).await;
    let before = house.grant("support").await.unwrap();
    let mut admin = house.t.admin();
    for (who, decision, outcome, heading) in [
        ("sales@contoso.test", "allow", "different_account", "sales@contoso.test"),
        (SUPPORT, "deny", "declined", "The person declined the device sign-in"),
        ("", "", "code_expired", "The code ran out"),
    ] {
        house.clock.advance(60);
        house.t.clock.advance(60);
        let page = house.begin(&mut admin, "support").await;
        assert_eq!(page.text(".verdict h2"), "Works", "the old one goes on meanwhile");
        if decision.is_empty() {
            house.later("support", 899).await;
            house.later("support", 5).await;
        } else {
            house.decide(&page, who, decision).await;
            house.later("support", 5).await;
        }
        let attempt = house.attempt("support").await;
        assert_eq!(attempt.outcome, outcome);
        assert_eq!(house.grant("support").await.unwrap(), before, "{outcome}");
        assert_eq!(house.waits("support").await, None);
        let page = admin.get("/tokens/support").await;
        assert!(page.text(".note").contains(heading), "{outcome}: {}", page.words());
        let page = admin.get(format!("/tokens/support/authorize/{}", attempt.id)).await;
        assert!(page.text("h1").contains(heading), "{outcome}: {}", page.words());
        assert!(
            page.words().contains("Get a new code") && !page.has("form[action$='/links']"),
            "{}",
            page.words()
        );
    }
    let audit = format!("{:?}", house.t.app.store.audit_rows(30).await.unwrap());
    assert!(audit.contains("different_account: Somebody came back as sales@contoso.test"));
}

#[tokio::test]
async fn stop_and_every_change_of_the_token_end_it() {
    let house = House::start().await;
    let mut admin = house.t.admin();
    let page = house.begin(&mut admin, "support").await;
    let attempt = house.attempt("support").await;
    let stopped = admin.submit(format!("/tokens/support/authorize/{}/cancel", attempt.id), &[]).await;
    assert!(!stopped.has("#code"), "{}", stopped.words());
    house.decide(&page, SUPPORT, "allow").await;
    house.later("support", 5).await;
    assert_eq!(
        (house.attempt("support").await.outcome.as_str(), house.grant("support").await),
        ("withdrawn", None)
    );

    let page = house.begin(&mut admin, "support").await;
    house.decide(&page, SUPPORT, "allow").await;
    house
        .apply("[[token]]\nname = \"support\"\nprovider = \"contoso\"\nuser = \"info@contoso.test\"\n")
        .await;
    house.later("support", 5).await;
    assert_eq!(
        (house.attempt("support").await.outcome.as_str(), house.grant("support").await),
        ("changed", None)
    );

    let page = house.begin(&mut admin, "post").await;
    house.decide(&page, "post@tailspin.test", "allow").await;
    house
        .apply(&format!(
            "[[provider]]\nname = \"tailspin\"\ntemplate = \"custom\"\ntoken_url = \"https://elsewhere.example/token\"\nclient_secret = \"{}\"\n",
            OPEN_APP.1
        ))
        .await;
    house.later("post", 5).await;
    assert_eq!(
        (house.attempt("post").await.outcome.as_str(), house.grant("post").await),
        ("changed", None)
    );
}

/// A token endpoint that holds its answers back until it is told to give them.
async fn held_back(address: &str) -> (String, Arc<Notify>, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (there, heard, told) = (address.to_owned(), Arc::clone(&asked), Arc::clone(&go));
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            let mut there = TcpStream::connect(&there).await.unwrap();
            let (heard, told) = (Arc::clone(&heard), Arc::clone(&told));
            tokio::spawn(async move {
                heard.notify_one();
                told.notified().await;
                let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
            });
        }
    });
    (url, asked, go)
}

#[tokio::test]
async fn what_comes_for_a_sign_in_that_was_stopped_is_given_back_to_the_provider() {
    let house = House::start().await;
    let sandbox = house.play.sandbox.url().to_owned();
    let (url, asked, go) = held_back(sandbox.strip_prefix("http://").unwrap()).await;
    house
        .apply(&format!(
            "[[provider]]\nname = \"tailspin\"\ntemplate = \"custom\"\ntoken_url = \"{url}/token\"\n\
             revocation_url = \"{sandbox}/revoke\"\nclient_secret = \"{}\"\n",
            OPEN_APP.1
        ))
        .await;
    let mut admin = house.t.admin();
    let page = house.begin(&mut admin, "post").await;
    house.decide(&page, "post@tailspin.test", "allow").await;
    let attempt = house.attempt("post").await;
    let stop = async {
        asked.notified().await;
        admin.submit(format!("/tokens/post/authorize/{}/cancel", attempt.id), &[]).await;
        go.notify_one();
    };
    tokio::join!(house.later("post", 5), stop);
    assert_eq!(
        (house.attempt("post").await.outcome.as_str(), house.grant("post").await),
        ("withdrawn", None)
    );
    let page = house.t.admin().get("/tokens/post").await;
    assert!(
        page.words()
            .contains("after this sign-in was stopped, and what came was thrown away. The provider took it back."),
        "{}",
        page.words()
    );
    let rows = house.t.app.store.audit_rows(10).await.unwrap();
    assert!(
        rows.iter().any(|row| row.action == "token.authorize.late" && row.outcome == "ok"),
        "{rows:?}"
    );
}

#[tokio::test]
async fn slow_down_lengthens_every_pause_and_silence_is_waited_out() {
    let house = House::start().await;
    let page = house.begin(&mut house.t.admin(), "support").await;
    let due = async || {
        let device = house.waits("support").await.unwrap();
        let now = Timestamp(device.next_at.0 - house.attempt("support").await.started_at.0);
        (now.0, device.pause, device.failures)
    };
    assert_eq!(due().await, (5, 5, 0));
    house.later("support", 5).await;
    assert_eq!(due().await, (10, 5, 0));
    // The provider's clock is slower: that is too soon.
    house.clock.advance(-3);
    house.later("support", 5).await;
    assert_eq!(due().await, (20, 10, 0));
    house.clock.advance(3);
    for (fault, next) in [(Fault::TokenUnavailable, (40, 10, 1)), (Fault::TokenHtml, (80, 10, 2))] {
        house.play.sandbox.faults().set(&[fault]);
        let wait = house.waits("support").await.unwrap().next_at.since(house.t.clock.now());
        house.later("support", wait).await;
        assert_eq!(due().await, next, "{fault}");
    }
    house.play.sandbox.faults().set(&[]);
    house.decide(&page, SUPPORT, "allow").await;
    house.later("support", 40).await;
    assert_eq!(house.attempt("support").await.outcome, "signed_in");
}

#[tokio::test]
async fn a_restart_while_somebody_is_expected_loses_nothing() {
    let mut house = House::start().await;
    let page = house.begin(&mut house.t.admin(), "support").await;
    house.t = house.t.restart().await;
    let seen = house.t.admin().get("/tokens/support").await;
    assert_eq!(seen.text("#code"), page.text("#code"));
    house.decide(&page, SUPPORT, "allow").await;
    house.later("support", 5).await;
    assert_eq!(house.attempt("support").await.outcome, "signed_in");
}

#[tokio::test]
async fn a_provider_that_gives_no_code_says_why() {
    let house = House::start().await;
    let mut admin = house.t.admin();
    let page = house.begin(&mut admin, "help").await;
    assert_eq!(page.text("h1"), "Google doesn't allow Gmail with a device code");
    assert!(page.text("pre").contains("Invalid device flow scope"), "{}", page.words());
    assert_eq!(house.waits("help").await, None);
    let page = house.begin(&mut admin, "nowhere").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.words().contains("the provider has no device address"), "{}", page.words());

    // The app isn't a public one: Microsoft says so when it is asked for the token.
    let mut app = house.play.sandbox.client(MICROSOFT_APP.0).unwrap();
    app.is_public = false;
    house.play.sandbox.set_client(app);
    house.begin(&mut admin, "support").await;
    house.later("support", 5).await;
    let attempt = house.attempt("support").await;
    assert_eq!(attempt.outcome, "exchange_failed");
    let page = admin.get(format!("/tokens/support/authorize/{}", attempt.id)).await;
    assert!(page.words().contains("Allow public client flows"), "{}", page.words());
}
