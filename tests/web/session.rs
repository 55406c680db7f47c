//! Sessions: where they come from, and that they end.

use crate::support::app::{PASSWORD, TestApp};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use mailgrant::actions::users;
use mailgrant::model::audit::Actor;

const MAIJA: &str = "maija.korhonen@contoso.test";

async fn lives(t: &TestApp, session: &str) -> bool {
    t.browser_with(session).get("/me").await.status == StatusCode::OK
}

#[tokio::test]
async fn visitors_make_no_sessions() {
    let t = TestApp::start().await;
    let before = t.count("SELECT COUNT(*) FROM sessions").await;
    let mut visitor = t.anonymous();
    visitor.get("/login").await;
    visitor.get("/me").await;
    visitor
        .post(
            "/login",
            &[("email", "nobody@contoso.test"), ("password", "some password or other")],
        )
        .await;
    visitor.post("/logout", &[]).await;
    assert_eq!(t.count("SELECT COUNT(*) FROM sessions").await, before);
    assert!(!visitor.cookies.contains_key("session"));
}

#[tokio::test]
async fn a_planted_id_never_becomes_a_session() {
    let t = TestApp::start().await;
    let planted = "AAAAAAAAAAAAAAAAAAAAAA";
    for planted in [planted, "garbage", ""] {
        let mut victim = t.anonymous();
        victim.cookies.insert("session".into(), planted.into());
        let page = victim
            .submit("/login", &[("email", MAIJA), ("password", PASSWORD), ("next", "/me")])
            .await;
        assert_eq!(page.text("h1"), "Your account");
        assert_ne!(victim.cookies["session"], planted);
        assert!(!lives(&t, planted).await);
    }
    // Nor does an id that was somebody's session before the sign-in.
    let mut attacker = t.operator();
    let planted = attacker.cookies["session"].clone();
    attacker.get("/me").await;
    let mut victim = t.browser_with(&planted);
    victim.csrf = attacker.csrf.clone();
    victim.post("/logout", &[]).await;
    victim.csrf = None;
    victim.cookies.insert("session".into(), planted.clone());
    victim
        .submit("/login", &[("email", MAIJA), ("password", PASSWORD), ("next", "/me")])
        .await;
    assert!(!lives(&t, &planted).await);
}

#[tokio::test]
async fn the_database_knows_ids_only_as_hashes() {
    let t = TestApp::start().await;
    let id = t.admin().cookies["session"].clone();
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT id_hash, data FROM sessions")
        .fetch_all(t.app.store.raw_pool())
        .await
        .unwrap();
    assert!(rows.iter().any(|(hash, _)| *hash == mailgrant::vault::sha256(&id)));
    assert!(rows.iter().all(|(hash, data)| hash != &id && !data.contains(&id)));
}

#[tokio::test]
async fn a_session_ends_half_an_hour_after_its_last_use_and_twelve_hours_after_it_began() {
    let t = TestApp::start().await;
    let session = t.admin().cookies["session"].clone();
    t.clock.advance(29 * 60);
    assert!(lives(&t, &session).await);
    t.clock.advance(29 * 60);
    assert!(lives(&t, &session).await);
    t.clock.advance(30 * 60);
    assert!(!lives(&t, &session).await);
    let user = t.app.store.user_by_email(MAIJA).await.unwrap().unwrap();
    let session = t.session_for(&user.id).await;
    for _ in 0..35 {
        t.clock.advance(20 * 60);
        assert!(lives(&t, &session).await);
    }
    t.clock.advance(20 * 60);
    assert!(!lives(&t, &session).await);
}

#[tokio::test]
async fn a_page_that_refreshes_itself_does_not_keep_a_session_alive() {
    let t = TestApp::start().await;
    let mut browser = t.admin();
    for _ in 0..3 {
        t.clock.advance(10 * 60 - 1);
        let page = browser.send(Method::GET, "/me", &[("x-refresh", "1")], Body::empty()).await;
        assert_eq!(page.status, StatusCode::OK);
    }
    assert_eq!(
        t.admin()
            .send(Method::GET, "/me", &[("x-refresh", "1")], Body::empty())
            .await
            .header("x-session-left"),
        "3"
    );
    t.clock.advance(3);
    assert_eq!(browser.get("/me").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn using_a_session_is_written_down_once_a_minute_at_most() {
    let t = TestApp::start().await;
    let end = "SELECT MAX(expires_at) FROM sessions";
    let begun = t.count(end).await;
    t.clock.advance(59);
    t.admin().get("/me").await;
    assert_eq!(t.count(end).await, begun);
    t.clock.advance(1);
    t.admin().get("/me").await;
    assert_eq!(t.count(end).await, begun + 60);
}

#[tokio::test]
async fn signing_out_ends_the_session_on_the_server() {
    let t = TestApp::start().await;
    let mut browser = t.admin();
    let session = browser.cookies["session"].clone();
    let page = browser.submit("/logout", &[]).await;
    assert_eq!(page.text(".head p"), "You are signed out.");
    assert!(!browser.cookies.contains_key("session"));
    assert!(!lives(&t, &session).await);
    assert_eq!(browser.get("/logout").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_disabled_persons_sessions_are_dead_at_the_next_request() {
    let t = TestApp::start().await;
    let session = t.operator().cookies["session"].clone();
    assert!(lives(&t, &session).await);
    users::disable(&t.app, &Actor::command_line(), "ossi.lahti@contoso.test")
        .await
        .unwrap();
    assert!(!lives(&t, &session).await);
    // Also when only the flag was set, as another version might.
    let user = t.app.store.user_by_email("ossi.lahti@contoso.test").await.unwrap().unwrap();
    let session = t.session_for(&user.id).await;
    assert!(!lives(&t, &session).await);
}

#[tokio::test]
async fn rights_are_read_at_each_request() {
    let t = TestApp::start().await;
    let mut browser = t.viewer();
    assert_eq!(browser.get("/setup/address").await.status, StatusCode::FORBIDDEN);
    sqlx::query("UPDATE users SET role = 'admin' WHERE role = 'viewer'")
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    assert_eq!(browser.get("/setup/address").await.status, StatusCode::OK);
}

#[tokio::test]
async fn cookies_are_pinned_to_the_host_on_https() {
    let t = TestApp::start_with(&[("MAILGRANT_BASE_URL", "https://console.example")]).await;
    let mut browser = t.anonymous();
    browser.get("/login").await;
    let page = browser.post("/login", &[("email", MAIJA), ("password", PASSWORD)]).await;
    let cookies: Vec<&str> = page
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with("__Host-session=")).unwrap();
    for part in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"] {
        assert!(session.contains(part), "{session}");
    }
    assert!(
        !session.contains("Domain") && !session.contains("Max-Age") && !session.contains("Expires"),
        "{session}"
    );
    let owner = cookies.iter().find(|cookie| cookie.starts_with("__Host-owner=")).unwrap();
    assert!(owner.contains("; HttpOnly") && owner.contains("; Secure"), "{owner}");
    let t = TestApp::start().await;
    let mut browser = t.anonymous();
    let page = browser.post("/login", &[("email", MAIJA), ("password", PASSWORD)]).await;
    for cookie in page.headers.get_all("set-cookie") {
        let cookie = cookie.to_str().unwrap();
        let known = ["session=", "owner="].iter().any(|name| cookie.starts_with(name));
        assert!(known && !cookie.contains("Secure"), "{cookie}");
    }
    assert!(browser.cookies.contains_key("session"));
}
