//! Another public address.

use crate::support::app::TestApp;
use axum::http::StatusCode;
use mailgrant::model::audit::Actor;

#[tokio::test]
async fn another_address_is_confirmed_after_the_providers_are_named() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.get("/settings/general/address?to=http://mail.example.com").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text(".summary li").starts_with("Base URL must be like https://"));
    let page = admin.get("/settings/general/address?to=https://mail.example.com").await;
    assert!(page.text("h1").contains("https://mail.example.com"));
    let change = "/settings/general/address";
    let page = admin
        .post(change, &[("to", "https://mail.example.com"), ("confirm", "example.com")])
        .await;
    assert_eq!(page.text(".summary li"), "Type mail.example.com to confirm");
    let before = t.app.config.base_url.clone();
    assert_eq!(mailgrant::actions::settings::base_url(&t.app).await.unwrap(), before);
    let page = admin
        .post(change, &[("to", "https://mail.example.com"), ("confirm", " Mail.Example.com ")])
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let now = mailgrant::actions::settings::base_url(&t.app).await.unwrap();
    assert_eq!(now.as_str(), "https://mail.example.com/");
    let set = TestApp::start_with(&[("MAILGRANT_BASE_URL", "http://localhost:8080")]).await;
    let page = set.admin().get(change).await;
    assert_eq!(page.status, StatusCode::CONFLICT, "what is set outside is changed there");
}

/// At a plain address browsers don't say where a form comes from, so only its own address counts: whoever changes that from there must know
/// that this page can't change it back.
#[tokio::test]
async fn whoever_leaves_a_plain_address_is_told_that_its_forms_count_no_more() {
    for (from, expected) in [("http://intranet:8080", true), ("http://localhost:8080", false)] {
        let t = TestApp::start_with(&[("MAILGRANT_INSECURE_HTTP", "true")]).await;
        mailgrant::actions::settings::set_base_url(&t.app, &Actor::console(), from)
            .await
            .unwrap()
            .unwrap();
        let t = t.restart().await;
        let mut admin = t.browser_with(&t.session_for(&t.app.store.users().await.unwrap()[0].id).await);
        let page = admin.get("/settings/general/address?to=https://mail.example.com").await;
        assert_eq!(
            page.words().contains("don\u{2019}t count any more"),
            expected,
            "{from}: {}",
            page.words()
        );
    }
}

/// Cookies are named at the start: until the console is started again after a change between http and https, people may be signed out at
/// any time, and whoever made the change has long forgotten the sentence on the page before.
#[tokio::test]
async fn until_it_is_started_again_a_line_says_so_on_every_page() {
    let t = TestApp::start().await;
    let line = async |t: &TestApp| t.admin().get("/mailboxes").await.text(".note.warn");
    assert!(!line(&t).await.contains("Start it again"));
    let fields = [("to", "https://mail.contoso.test"), ("confirm", "mail.contoso.test")];
    let answer = t.admin().post("/settings/general/address", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.words());
    let told = line(&t).await;
    assert!(
        told.contains("starts with https:// now") && told.contains("Start it again"),
        "{told}"
    );
    assert!(!t.viewer().get("/mailboxes").await.text(".note.warn").contains("Start it again"));
    let t = t.restart().await;
    let mut admin = t.browser_with(&t.session_for(&t.app.store.users().await.unwrap()[0].id).await);
    assert!(!admin.get("/mailboxes").await.words().contains("Start it again"));
}
