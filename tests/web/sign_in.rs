//! Signing in, and what slows down whoever guesses.

use crate::support::app::{Browser, PASSWORD, Page, TestApp};
use crate::support::logs::Logs;
use axum::http::StatusCode;
use mailgrant::actions::users;
use mailgrant::model::audit::Actor;

const MAIJA: &str = "maija.korhonen@contoso.test";
const OSSI: &str = "ossi.lahti@contoso.test";

async fn attempt(browser: &mut Browser, email: &str, password: &str) -> Page {
    browser.post("/login", &[("email", email), ("password", password)]).await
}

fn from(t: &TestApp, address: &str) -> Browser {
    let mut browser = t.anonymous();
    browser.peer = format!("{address}:1000").parse().unwrap();
    browser
}

#[tokio::test]
async fn unknown_wrong_and_disabled_look_alike_and_cost_one_hash_each() {
    let t = TestApp::start().await;
    users::disable(&t.app, &Actor::command_line(), OSSI).await.unwrap();
    let mut answers = Vec::new();
    for (email, password) in [(MAIJA, "not the password"), ("nobody@contoso.test", PASSWORD), (OSSI, PASSWORD)] {
        let before = t.web.passwords.computed();
        let mut browser = t.anonymous();
        let page = attempt(&mut browser, email, password).await;
        assert_eq!(t.web.passwords.computed() - before, 1, "{email}");
        assert_eq!(page.text(".summary li"), "Email or password is wrong");
        let token = browser.csrf.unwrap();
        answers.push((page.status, page.body.replace(email, "EMAIL").replace(&token, "TOKEN")));
    }
    assert_eq!(answers[0].0, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test]
async fn too_short_and_too_long_passwords_are_not_even_hashed() {
    let t = TestApp::start().await;
    for password in ["short", &"x".repeat(1025)] {
        let page = attempt(&mut t.anonymous(), MAIJA, password).await;
        assert_eq!(page.text(".summary li"), "Email or password is wrong");
    }
    assert_eq!(t.web.passwords.computed(), 0);
}

#[tokio::test]
async fn an_address_has_five_tries_then_one_every_twenty_seconds_also_after_a_restart() {
    let mut t = TestApp::start().await;
    for _ in 0..5 {
        let page = attempt(&mut from(&t, "198.51.100.7"), MAIJA, "guess number one two").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let page = attempt(&mut from(&t, "198.51.100.7"), MAIJA, PASSWORD).await;
    assert_eq!(
        (page.status, page.header("retry-after").as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "20")
    );
    assert_eq!(page.text(".summary li"), "Too many tries. Try again in 20 seconds");
    t.clock.advance(7);
    t = t.restart().await;
    let page = attempt(&mut from(&t, "198.51.100.7"), OSSI, PASSWORD).await;
    assert_eq!(page.text(".summary li"), "Too many tries. Try again in 13 seconds");
    // Another address is not concerned.
    let page = attempt(&mut from(&t, "198.51.100.8"), OSSI, PASSWORD).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    t.clock.advance(13);
    let page = attempt(&mut from(&t, "198.51.100.7"), MAIJA, PASSWORD).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    // The success took everything back.
    for _ in 0..5 {
        let page = attempt(&mut from(&t, "198.51.100.7"), MAIJA, "guess number one two").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn an_account_slows_many_addresses_down_but_never_keeps_its_owner_out() {
    let t = TestApp::start().await;
    // Signed in from here before.
    assert_eq!(
        attempt(&mut from(&t, "192.0.2.1"), MAIJA, PASSWORD).await.status,
        StatusCode::SEE_OTHER
    );
    for i in 0..20 {
        let page = attempt(&mut from(&t, &format!("198.51.100.{i}")), MAIJA, "short").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{i}");
    }
    let mut waits = Vec::new();
    for i in 20..28 {
        let page = attempt(&mut from(&t, &format!("198.51.100.{i}")), MAIJA, "short").await;
        assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS, "{i}");
        let wait: i64 = page.header("retry-after").parse().unwrap();
        waits.push(wait);
        t.clock.advance(wait);
        let page = attempt(&mut from(&t, &format!("203.0.113.{i}")), MAIJA, "short").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{i}");
    }
    assert_eq!(waits, [20, 40, 80, 160, 320, 640, 900, 900]);
    assert_eq!(
        attempt(&mut from(&t, "198.51.100.99"), MAIJA, PASSWORD).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        attempt(&mut from(&t, "192.0.2.1"), MAIJA, PASSWORD).await.status,
        StatusCode::SEE_OTHER
    );
    // A day without a try, and all is forgotten.
    t.clock.advance(86_400);
    assert_eq!(
        attempt(&mut from(&t, "198.51.100.99"), MAIJA, PASSWORD).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn nobody_lies_in_wait_for_the_next_turn_of_an_account() {
    let t = TestApp::start().await;
    for i in 0..20 {
        attempt(&mut from(&t, &format!("198.51.100.{i}")), MAIJA, "short").await;
    }
    // The account waits; one address knocks all the time, and pays for it.
    for _ in 0..100 {
        let page = attempt(&mut from(&t, "203.0.113.7"), MAIJA, "short").await;
        assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    }
    t.clock.advance(20);
    let page = attempt(&mut from(&t, "203.0.113.7"), MAIJA, "short").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "its next turn after 20 seconds");
    t.clock.advance(40);
    for _ in 0..10 {
        attempt(&mut from(&t, "203.0.113.7"), MAIJA, "short").await;
    }
    let page = attempt(&mut from(&t, "192.0.2.9"), MAIJA, PASSWORD).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS, "the guesser had this turn");
    // A reset on the command line gives the owner the next one at once.
    let password = mailgrant::secret::Password::new("xk2-vale-9tr-moss");
    users::reset_password(&t.app, &t.web.passwords, &Actor::command_line(), MAIJA, password)
        .await
        .unwrap();
    let page = attempt(&mut from(&t, "192.0.2.9"), MAIJA, "xk2-vale-9tr-moss").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn forwarded_headers_do_not_help_a_guesser_unless_the_proxy_is_ours() {
    let t = TestApp::start().await;
    for i in 0..6 {
        let mut browser = from(&t, "198.51.100.7");
        browser.headers.push(("x-forwarded-for".into(), format!("10.0.0.{i}")));
        let page = attempt(&mut browser, MAIJA, "guess number one two").await;
        let expected = if i < 5 {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::TOO_MANY_REQUESTS
        };
        assert_eq!(page.status, expected, "{i}");
    }
    let t = TestApp::start_with(&[("MAILGRANT_TRUSTED_PROXIES", "198.51.100.7")]).await;
    for i in 0..6 {
        let mut browser = from(&t, "198.51.100.7");
        browser.headers.push(("x-forwarded-for".into(), format!("203.0.113.{i}")));
        let page = attempt(&mut browser, MAIJA, "guess number one two").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{i}");
    }
}

#[tokio::test]
async fn a_sign_in_makes_a_cheap_hash_dear_and_is_written_down() {
    let t = TestApp::start().await;
    let hash = async || t.app.store.user_by_email(MAIJA).await.unwrap().unwrap().password_hash;
    assert!(hash().await.contains("m=8,"));
    attempt(&mut t.anonymous(), MAIJA, "not the password").await;
    attempt(&mut t.anonymous(), "canary-in-the-wrong-field", PASSWORD).await;
    attempt(&mut t.anonymous(), MAIJA, PASSWORD).await;
    assert!(hash().await.contains("m=19456,t=2,p=1"));
    assert_eq!(attempt(&mut t.anonymous(), MAIJA, PASSWORD).await.status, StatusCode::SEE_OTHER);
    let rows = t.app.store.audit_rows(10).await.unwrap();
    let told: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| (row.action.as_str(), row.target.as_str(), row.outcome.as_str(), row.address.as_str()))
        .collect();
    let maija = "user:maija.korhonen@contoso.test";
    assert_eq!(
        told,
        [
            ("sign_in", maija, "refused", "127.0.0.1"),
            ("sign_in", "user:unknown", "refused", "127.0.0.1"),
            ("sign_in", maija, "ok", "127.0.0.1"),
            ("sign_in", maija, "ok", "127.0.0.1"),
        ]
    );
}

#[tokio::test]
async fn the_way_back_leads_nowhere_else() {
    let t = TestApp::start().await;
    for (next, to) in [
        ("/me?x=1", "/me?x=1"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/login", "/"),
        ("", "/"),
    ] {
        let page = t
            .anonymous()
            .post("/login", &[("email", MAIJA), ("password", PASSWORD), ("next", next)])
            .await;
        assert_eq!(page.location().as_deref(), Some(to), "{next}");
    }
    let page = t.anonymous().get("/me?tab=a&b=c").await;
    assert_eq!(page.location().as_deref(), Some("/login?next=%2Fme%3Ftab%3Da%26b%3Dc"));
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let t = TestApp::start().await;
    let all = t.web.passwords.occupy().unwrap();
    let page = attempt(&mut t.anonymous(), MAIJA, PASSWORD).await;
    assert_eq!(
        (page.status, page.header("retry-after").as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "5")
    );
    drop(all);
    assert_eq!(attempt(&mut t.anonymous(), MAIJA, PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn no_password_reaches_log_page_or_database() {
    let logs = Logs::keep();
    let t = TestApp::start().await;
    let canaries = ["canary-wrong-password-1", "canary-new-password-22", "canary-too-common-33"];
    let mut browser = t.anonymous();
    let mut pages = vec![attempt(&mut browser, MAIJA, canaries[0]).await];
    attempt(&mut browser, MAIJA, PASSWORD).await;
    pages.push(browser.visit("/me").await);
    pages.push(
        browser
            .post("/me/password", &[("current", canaries[0]), ("password", canaries[2])])
            .await,
    );
    pages.push(
        browser
            .post("/me/password", &[("current", PASSWORD), ("password", canaries[1])])
            .await,
    );
    pages.push(browser.visit("/me").await);
    let again = attempt(&mut t.anonymous(), MAIJA, canaries[1]).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    t.app.store.close().await;
    let log = logs.text();
    assert!(log.contains("POST /me/password"), "{log}");
    let mut places = vec![("log".to_owned(), log.into_bytes())];
    places.extend(
        pages
            .into_iter()
            .enumerate()
            .map(|(i, page)| (format!("page {i}"), page.body.into_bytes())),
    );
    for entry in std::fs::read_dir(t.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    for (place, bytes) in places {
        for canary in canaries.iter().chain(&[PASSWORD]) {
            assert!(
                !bytes.windows(canary.len()).any(|window| window == canary.as_bytes()),
                "{canary} in {place}"
            );
        }
    }
}
