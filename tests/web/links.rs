//! Sign-in links: for people without an account, once, for one account, and nothing else of the console.

use super::authorize::{SUPPORT, begin, come_back, grant, house, signed_in, token};
use crate::support::app::{Browser, Page, TestApp};
use crate::support::provider::parameter;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use mailgrant::model::token::Link;

/// Makes a link as the page does; gives its path.
async fn make(t: &TestApp) -> String {
    let mut admin = t.admin();
    admin.get("/tokens/support").await;
    let page = admin.post("/tokens/support/links", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    page.text("#link").strip_prefix("http://127.0.0.1:8080").unwrap().to_owned()
}

async fn stored(t: &TestApp) -> Link {
    t.app.store.links_of(&token(t).await.id).await.unwrap().remove(0)
}

/// Presses the button of an opened link; the address at the provider.
async fn press(browser: &mut Browser, path: &str) -> String {
    let page = browser.post(path, &[]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let page = browser.follow(page).await;
    page.attribute("a#continue", "href").unwrap()
}

async fn open(browser: &mut Browser, path: &str) -> Page {
    let page = browser.get(path).await;
    assert_eq!(page.status, StatusCode::OK);
    page
}

#[tokio::test]
async fn somebody_without_an_account_signs_in_through_a_link_once() {
    let (t, provider) = house().await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    let page = open(&mut stranger, &path).await;
    assert_eq!(page.text("h1"), format!("Sign in as {SUPPORT}"));
    assert!(
        page.words()
            .contains("Maija Korhonen asks for this, for the mail console at 127.0.0.1."),
        "{}",
        page.words()
    );
    assert!(page.text("li").contains("mail.read"));
    assert!(!page.has("nav") && !page.has("a[href^='/tokens']"), "nothing else of the console");
    let leave = press(&mut stranger, &path).await;
    let page = come_back(&mut stranger, &provider.sign_in(&leave, SUPPORT)).await;
    assert_eq!(page.text("h1"), "Done");
    assert!(page.words().contains("You can close this window.") && !page.body.contains("canary-"));
    assert!(grant(&t).await.is_some());
    assert!(!stranger.cookies.keys().any(|name| name == "session"), "no console session");
    assert_eq!(stranger.get("/tokens").await.status, StatusCode::SEE_OTHER);

    let page = open(&mut stranger, &path).await;
    assert_eq!(page.text("h1"), "This link was used");
    assert!(page.words().contains("If that wasn't you, tell Maija Korhonen."));
    let again = stranger.post(&path, &[]).await;
    assert_eq!(again.text("h1"), "This link was used");
    let page = t.viewer().get("/tokens/support").await;
    assert!(
        page.text("aside").contains("Used made just now by Maija Korhonen"),
        "{}",
        page.text("aside")
    );
    assert!(page.text(".feed").contains("Through a sign-in link."));
    let audit = t.app.store.audit_rows(5).await.unwrap();
    let link = stored(&t).await;
    assert!(
        audit
            .iter()
            .any(|row| row.actor == format!("link:{}", link.id) && row.detail.contains("signed_in"))
    );
}

#[tokio::test]
async fn opening_a_link_uses_nothing_up() {
    let (t, provider) = house().await;
    let path = make(&t).await;
    let mut scanner = t.anonymous();
    scanner.send(Method::HEAD, &path, &[], Body::empty()).await;
    assert_eq!(stored(&t).await.opened_at, None);
    for _ in 0..3 {
        open(&mut scanner, &path).await;
    }
    let link = stored(&t).await;
    assert!(link.opened_at.is_some() && link.used_at.is_none());
    assert_eq!(t.count("SELECT COUNT(*) FROM authorizations").await, 0);
    let page = t.viewer().get("/tokens/support").await;
    assert!(
        page.text(".verdict h2").starts_with(&format!("Waiting for {SUPPORT} since")),
        "{}",
        page.words()
    );
    assert!(page.text(".verdict h2").contains("(link opened just now)"));
    let mut person = t.anonymous();
    open(&mut person, &path).await;
    let leave = press(&mut person, &path).await;
    come_back(&mut person, &provider.sign_in(&leave, SUPPORT)).await;
    assert!(grant(&t).await.is_some());
}

#[tokio::test]
async fn another_account_through_a_link_changes_nothing_and_the_link_stays_good() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    let before = grant(&t).await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    open(&mut stranger, &path).await;
    let leave = press(&mut stranger, &path).await;
    let page = come_back(&mut stranger, &provider.sign_in(&leave, "mallory@contoso.test")).await;
    assert_eq!(page.text("h1"), "You signed in as mallory@contoso.test");
    assert!(page.words().contains("This link is for support@contoso.test, so nothing changed."));
    assert!(!page.has("form") && !page.has("a.btn"), "no overrule behind a link");
    assert_eq!(grant(&t).await, before);
    // Asked for consent only, the provider would take the other account again; and only the browser that pressed the button may come back.
    assert_eq!(parameter(&leave, "prompt").as_deref(), Some("consent"));
    open(&mut stranger, &path).await;
    let leave = press(&mut stranger, &path).await;
    assert_eq!(parameter(&leave, "prompt").as_deref(), Some("select_account"));
    let address = provider.sign_in(&leave, SUPPORT);
    let mut other = t.anonymous();
    assert_eq!(come_back(&mut other, &address).await.text("h1"), "This sign-in is too old");
    let mut admin = t.admin();
    assert_eq!(come_back(&mut admin, &address).await.text("h1"), "This sign-in is too old");
    assert_eq!(grant(&t).await, before);
    assert_eq!(come_back(&mut stranger, &address).await.text("h1"), "Done");
    assert_ne!(grant(&t).await, before);
}

#[tokio::test]
async fn whoever_came_through_a_link_sees_the_cause_and_what_they_can_do_and_nothing_else() {
    let (t, provider) = house().await;
    t.add_mailbox("hr", Some(1), None).await;
    let path = make(&t).await;
    for (said, can) in [
        // Theirs to mend; and one that only the people of the console can.
        (
            "AADSTS50126: Error validating credentials canary-said",
            "Sign in again with the right password",
        ),
        ("AADSTS700016: Application canary-said was not found", "Tell Maija Korhonen"),
    ] {
        let mut stranger = t.anonymous();
        open(&mut stranger, &path).await;
        let leave = press(&mut stranger, &path).await;
        let back = provider.back(
            &leave,
            &[("error", "invalid_grant"), ("error_description", said), ("iss", &provider.url)],
        );
        let page = come_back(&mut stranger, &back).await;
        assert!(page.has(".diagnosis h1") && page.text(".fixes").contains(can), "{}", page.words());
        assert!(
            page.words().contains("Nothing changed. Open the link again to try once more."),
            "{}",
            page.words()
        );
        assert!(
            !page.has("form") && !page.has("a.btn") && !page.has("a[href^='/']"),
            "no way into the console: {}",
            page.words()
        );
        for kept in ["canary-said", "hr@contoso.test", "Who can do it: Entra"] {
            assert!(!page.body.contains(kept), "{kept}: {}", page.words());
        }
    }
}

#[tokio::test]
async fn withdrawn_and_ended_links_do_nothing_also_in_the_middle_of_a_sign_in() {
    let (t, provider) = house().await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    open(&mut stranger, &path).await;
    let leave = press(&mut stranger, &path).await;
    let link = stored(&t).await;
    let mut admin = t.admin();
    admin.get("/tokens/support").await;
    let page = admin.submit(format!("/tokens/support/links/{}/withdraw", link.id), &[]).await;
    assert_eq!(page.text(".flash"), "Sign-in link withdrawn. It doesn't work any more.");
    come_back(&mut stranger, &provider.sign_in(&leave, SUPPORT)).await;
    assert_eq!((grant(&t).await, provider.exchanges()), (None, 0));
    assert_eq!(open(&mut stranger, &path).await.text("h1"), "This link was withdrawn");

    t.clock.advance(1);
    let path = make(&t).await;
    t.clock.advance(72 * 3600 + 1);
    assert_eq!(open(&mut stranger, &path).await.text("h1"), "This link has ended");
    let page = stranger.post(&path, &[]).await;
    assert_eq!(page.text("h1"), "This link has ended");
    assert_eq!(stranger.get("/l/nobody-knows-this-code").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_code_is_kept_hashed_and_shown_once() {
    let (t, _provider) = house().await;
    let path = make(&t).await;
    let code = path.strip_prefix("/l/").unwrap();
    assert!(code.len() >= 32);
    let rows: Vec<String> = sqlx::query_scalar("SELECT code_hash || detail || outcome FROM links")
        .fetch_all(t.app.store.raw_pool())
        .await
        .unwrap();
    assert!(!rows.concat().contains(code));
    let page = t.admin().get("/tokens/support").await;
    assert!(!page.body.contains(code));
    let audit = format!("{:?}", t.app.store.audit_rows(10).await.unwrap());
    assert!(!audit.contains(code));
    assert_eq!(t.viewer().post("/tokens/support/links", &[]).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_link_wears_out_before_it_fills_the_disk() {
    let (t, _provider) = house().await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    open(&mut stranger, &path).await;
    for _ in 0..20 {
        assert_eq!(stranger.post(&path, &[]).await.status, StatusCode::SEE_OTHER);
    }
    let page = stranger.post(&path, &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(
        page.words()
            .contains("This link was started too often. Ask Maija Korhonen for a new one.")
    );
    // Another one does not suffer for it.
    let path = make(&t).await;
    assert_eq!(stranger.post(&path, &[]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_link_made_on_the_page_before_leaving_keeps_the_prompt_chosen_for_this_once() {
    let (t, _provider) = house().await;
    let mut admin = t.admin();
    let (path, _) = begin(&mut admin, &[("prompt", "login")]).await;
    let fields = admin.get(&path).await.form("/tokens/support/links");
    let prompt: Vec<_> = fields
        .iter()
        .filter(|(name, _)| name == "prompt")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let page = admin.post("/tokens/support/links", &prompt).await;
    let path = page.text("#link").strip_prefix("http://127.0.0.1:8080").unwrap().to_owned();
    let mut stranger = t.anonymous();
    open(&mut stranger, &path).await;
    assert_eq!(parameter(&press(&mut stranger, &path).await, "prompt").as_deref(), Some("login"));
}

#[tokio::test]
async fn no_link_is_made_where_nobody_could_sign_in_with_it() {
    use mailgrant::model::token::{GrantType, Token};
    let (t, _provider) = house().await;
    let mut admin = t.admin();
    for (grant, words) in [
        (GrantType::DeviceCode, "its sign-in takes a code at another device"),
        (GrantType::ClientCredentials, "nobody signs in for it"),
    ] {
        let now = Token { grant, ..token(&t).await };
        let mut tx = t.app.store.begin().await.unwrap();
        tx.update_token(&now).await.unwrap();
        tx.commit().await.unwrap();
        let page = admin.post("/tokens/support/links", &[]).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{grant}");
        assert!(page.words().contains(words), "{grant}: {}", page.words());
        assert!(t.app.store.links_of(&now.id).await.unwrap().is_empty());
    }
}
