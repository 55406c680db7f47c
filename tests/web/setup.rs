//! First run: whoever can read the log may claim the console, and nobody else.

use crate::support::app::{Browser, TestApp};
use crate::support::logs::Logs;
use axum::http::StatusCode;
use mailgrant::actions::setup;

const ADMIN: [(&str, &str); 3] = [
    ("name", "Maija Korhonen"),
    ("email", " Maija@Contoso.Test"),
    ("password", "xk2-vale-9tr-moss"),
];

async fn prove(browser: &mut Browser, logs: &Logs) {
    browser.visit("/").await;
    let code = logs.setup_code().unwrap();
    let page = browser.post("/setup", &[("code", &code)]).await;
    assert_eq!(page.location().as_deref(), Some("/setup/admin"));
    browser.visit("/setup/admin").await;
}

#[tokio::test]
async fn from_the_code_to_the_first_provider() {
    let logs = Logs::keep();
    let t = TestApp::fresh().await;
    let mut browser = t.anonymous();
    let page = browser.visit("/").await;
    assert_eq!(page.text("h1"), "Prove it's yours");
    // Typed in small letters and without hyphens.
    let code = logs.setup_code().unwrap().to_lowercase().replace('-', " ");
    let page = browser.submit("/setup", &[("code", &code)]).await;
    assert_eq!(page.text("h1"), "First admin");
    let page = browser
        .submit("/setup/admin", &[("name", ""), ("email", "maija"), ("password", "password1234")])
        .await;
    assert_eq!(
        page.text(".summary li"),
        "Enter your name\nEnter an email address like name@example.com\nPassword is one of the most common ones"
    );
    assert!(!page.body.contains("password1234"));
    let page = browser.submit("/setup/admin", &ADMIN).await;
    assert_eq!(page.text("h1"), "Address");
    // Entra's form refuses http://127.0.0.1, so the name is proposed.
    assert_eq!(page.attribute("#base_url", "value").unwrap(), "http://localhost:8080");
    let page = browser.post("/setup/address", &[("base_url", "http://console.example.com")]).await;
    assert!(page.text(".summary li").starts_with("Base URL must start with https://"));
    let page = browser.submit("/setup/address", &[("base_url", "http://localhost:8080/")]).await;
    assert_eq!(page.text("h1"), "Keys");
    assert!(page.text("main").contains("master.key"));
    let page = browser.get("/setup/done").await;
    assert_eq!(page.text("h1"), "Let's connect the first mailbox");
    // The browser came by another name: from here on everything leads to the chosen one.
    assert_eq!(
        page.attribute(".choice", "href").unwrap(),
        "http://localhost:8080/walkthroughs/new?template=microsoft-certificate"
    );
    assert_eq!(t.web.url("/oauth/callback/x"), "http://localhost:8080/oauth/callback/x");
    let user = t.app.store.user_by_email("maija@contoso.test").await.unwrap().unwrap();
    assert_eq!((user.role.as_str(), user.name.as_str()), ("admin", "Maija Korhonen"));
    // Afterwards there is no setup: at once for the code, an hour later for the rest.
    for path in ["/setup", "/setup/admin"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for _ in 0..3 {
        t.clock.advance(1201);
        browser.get("/me").await;
    }
    for path in ["/setup/address", "/setup/keys", "/setup/done"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let t = t.restart().await;
    assert_eq!(t.web.base_url().as_str(), "http://localhost:8080/");
}

#[tokio::test]
async fn an_address_from_outside_is_shown_and_not_changed() {
    let logs = Logs::keep();
    let t = TestApp::fresh_with(&[("MAILGRANT_BASE_URL", "https://console.example")]).await;
    let mut browser = t.anonymous();
    prove(&mut browser, &logs).await;
    let page = browser.submit("/setup/admin", &ADMIN).await;
    assert_eq!(page.text("output#base_url"), "https://console.example");
    assert!(!page.has("input[name=base_url]"));
    browser.submit("/setup/address", &[("base_url", "https://evil.example")]).await;
    assert_eq!(t.web.base_url().as_str(), "https://console.example/");
}

#[tokio::test]
async fn a_code_dies_after_five_wrong_tries_an_hour_or_its_use() {
    let logs = Logs::keep();
    let t = TestApp::fresh().await;
    let mut browser = t.anonymous();
    browser.visit("/setup").await;
    let first = logs.setup_code().unwrap();
    browser.visit("/setup").await;
    assert_eq!(logs.setup_code().unwrap(), first, "a code that lives is not replaced by looking");
    for _ in 0..5 {
        let page = browser.post("/setup", &[("code", "AAAA-BBBB-CCCC")]).await;
        assert_eq!(
            page.text(".summary li"),
            "Setup code doesn't match. Look for the newest one in the log"
        );
        assert_eq!(
            page.attribute("input[name=code]", "value").as_deref(),
            Some("AAAA-BBBB-CCCC"),
            "one wrong letter is mended, not typed anew"
        );
    }
    let second = logs.setup_code().unwrap();
    assert_ne!(first, second);
    // Nobody makes it print codes faster than they can be read.
    let page = browser.post("/setup", &[("code", &first)]).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(logs.setup_code().unwrap(), second);
    t.clock.advance(20);
    assert_eq!(
        browser.post("/setup", &[("code", &first)]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    t.clock.advance(3600);
    assert_eq!(
        browser.post("/setup", &[("code", &second)]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let third = logs.setup_code().unwrap();
    assert_ne!(second, third);
    t.clock.advance(3600);
    browser.visit("/setup").await;
    let fourth = logs.setup_code().unwrap();
    assert_ne!(third, fourth);
    assert_eq!(browser.post("/setup", &[("code", &fourth)]).await.status, StatusCode::SEE_OTHER);
    // Used: another browser cannot use it again, nor go on where this one is.
    let mut other = t.anonymous();
    other.visit("/setup").await;
    assert_eq!(
        other.post("/setup", &[("code", &fourth)]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(other.get("/setup/admin").await.location().as_deref(), Some("/setup"));
    assert_eq!(other.post("/setup/admin", &ADMIN).await.location().as_deref(), Some("/setup"));
    assert!(setup::is_open(&t.app).await.unwrap());
}

#[tokio::test]
async fn the_database_does_not_hold_the_code() {
    let logs = Logs::keep();
    let t = TestApp::fresh().await;
    t.anonymous().visit("/setup").await;
    let code = logs.setup_code().unwrap();
    let stored = t.app.store.setting("setup.code").await.unwrap().unwrap();
    assert!(!stored.contains(&code) && !stored.contains(&code.replace('-', "")));
}

#[tokio::test]
async fn a_cookie_planted_before_is_worth_nothing_after_the_code() {
    let logs = Logs::keep();
    let t = TestApp::fresh().await;
    let mut attacker = t.anonymous();
    attacker.visit("/setup").await;
    let mut owner = t.anonymous();
    owner.cookies = attacker.cookies.clone();
    prove(&mut owner, &logs).await;
    assert_eq!(attacker.get("/setup/admin").await.location().as_deref(), Some("/setup"));
    assert_eq!(
        owner.post("/setup/admin", &ADMIN).await.location().as_deref(),
        Some("/setup/address")
    );
}

#[tokio::test]
async fn two_browsers_cannot_both_make_the_first_account() {
    let logs = Logs::keep();
    let t = TestApp::fresh().await;
    let mut one = t.anonymous();
    prove(&mut one, &logs).await;
    one.visit("/setup").await;
    let mut same = one.clone();
    let mut other = ADMIN;
    other[1] = ("email", "other@contoso.test");
    let (first, second) = tokio::join!(one.post("/setup/admin", &ADMIN), same.post("/setup/admin", &other));
    let mut statuses = [first.status, second.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::NOT_FOUND]);
    assert_eq!(t.count("SELECT COUNT(*) FROM users").await, 1);
}
