//! Nothing typed is lost to an expired session.

use super::providers::send;
use crate::support::app::{PASSWORD, TestApp};
use axum::http::StatusCode;

const TYPED: [(&str, &str); 3] = [
    ("name", "Typed for a long time"),
    ("theme", "dark"),
    ("time_zone", "Europe/Helsinki"),
];
const MAIJA: &str = "maija.korhonen@contoso.test";
const OSSI: &str = "ossi.lahti@contoso.test";

#[tokio::test]
async fn a_form_sent_after_the_session_ended_comes_back_filled() {
    let t = TestApp::start().await;
    let mut browser = t.admin();
    browser.get("/me").await;
    t.clock.advance(31 * 60);
    let page = browser.post("/me/profile", &TYPED).await;
    assert_eq!(
        (page.status, page.location().unwrap().as_str()),
        (StatusCode::SEE_OTHER, "/login?next=%2Fme")
    );
    let page = browser.follow(page).await;
    assert_eq!(
        page.text(".head p"),
        "Your session ended. Sign in and everything you typed comes back."
    );
    assert_eq!(page.attribute("input[name=next]", "value").unwrap(), "/me");
    // A mistake at the sign-in does not lose it either.
    let next = ("next", "/me");
    let page = browser
        .post("/login", &[("email", MAIJA), ("password", "not it, not at all"), next])
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = browser.submit("/login", &[("email", MAIJA), ("password", PASSWORD), next]).await;
    assert_eq!(page.attribute("input[name=name]", "value").unwrap(), TYPED[0].1);
    assert_eq!(page.attribute("select[name=theme] option[selected]", "value").unwrap(), "dark");
    assert!(page.text(".flash").starts_with("Nothing is saved yet."));
    let stored = t.app.store.user_by_email(MAIJA).await.unwrap().unwrap();
    assert_eq!(stored.name, "Maija Korhonen");
    // Once: a reload shows what is stored.
    assert_eq!(
        browser.get("/me").await.attribute("input[name=name]", "value").unwrap(),
        "Maija Korhonen"
    );
    assert!(browser.cookies.keys().all(|name| name != "draft"));
    assert_eq!(t.count("SELECT COUNT(*) FROM drafts").await, 0);
}

#[tokio::test]
async fn a_token_form_says_which_secret_has_to_be_typed_again() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let mut browser = t.admin();
    let page = browser.get("/tokens/new?provider=contoso").await;
    t.clock.advance(31 * 60);
    let over = [
        ("user", "hr@contoso.test"),
        ("refresh_token", "canary-brought-along"),
        ("act", "save"),
    ];
    let page = send(&mut browser, &page, "/tokens/new", &over).await;
    let page = browser.follow(page).await;
    let next = page.attribute("input[name=next]", "value").unwrap();
    let page = browser
        .submit("/login", &[("email", MAIJA), ("password", PASSWORD), ("next", &next)])
        .await;
    assert_eq!(page.attribute("input[name=user]", "value").as_deref(), Some("hr@contoso.test"));
    assert!(
        page.words()
            .contains("The refresh token you typed isn't shown again, and not kept."),
        "{}",
        page.words()
    );
    assert!(!page.body.contains("canary-brought-along"));
}

#[tokio::test]
async fn somebody_elses_sign_in_destroys_what_was_typed() {
    let t = TestApp::start().await;
    let mut browser = t.admin();
    browser.get("/me").await;
    t.clock.advance(31 * 60);
    let page = browser.post("/me/profile", &TYPED).await;
    browser.follow(page).await;
    let page = browser
        .submit("/login", &[("email", OSSI), ("password", PASSWORD), ("next", "/me")])
        .await;
    assert!(!page.words().contains("Typed for a long time"));
    assert_eq!(t.count("SELECT COUNT(*) FROM drafts").await, 0);
    assert!(!browser.get("/me").await.words().contains("Typed for a long time"));
}

#[tokio::test]
async fn what_waits_can_be_read_only_with_the_browsers_cookie_and_not_for_long() {
    let t = TestApp::start().await;
    let mut browser = t.admin();
    browser.get("/me").await;
    t.clock.advance(31 * 60);
    let page = browser.post("/me/profile", &TYPED).await;
    let cookie = page
        .headers
        .get_all("set-cookie")
        .iter()
        .find(|value| value.as_bytes().starts_with(b"draft="))
        .unwrap();
    let cookie = cookie.to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("Max-Age=1800"), "{cookie}");
    let sealed: String = sqlx::query_scalar("SELECT sealed FROM drafts")
        .fetch_one(t.app.store.raw_pool())
        .await
        .unwrap();
    assert!(!sealed.contains("Typed"));
    let (id, key) = browser.cookies["draft"].split_once('.').unwrap();
    assert!(!sealed.contains(key));
    // Another key opens nothing.
    let other = format!("{id}.{}", "A".repeat(key.len()));
    let mut thief = t.anonymous();
    thief.cookies.insert("draft".into(), other);
    let page = thief
        .submit("/login", &[("email", MAIJA), ("password", PASSWORD), ("next", "/me")])
        .await;
    assert_eq!(page.attribute("input[name=name]", "value").unwrap(), "Maija Korhonen");
    // Nor does the right one after half an hour.
    let mut browser = t.admin();
    t.clock.advance(31 * 60);
    browser.get("/me").await;
    let mut late = t.browser_with(&t.session_for(&t.app.store.user_by_email(MAIJA).await.unwrap().unwrap().id).await);
    late.get("/me").await;
    t.clock.advance(31 * 60);
    let page = late.post("/me/profile", &TYPED).await;
    late.follow(page).await;
    t.clock.advance(31 * 60);
    let page = late
        .submit("/login", &[("email", MAIJA), ("password", PASSWORD), ("next", "/me")])
        .await;
    assert_eq!(page.attribute("input[name=name]", "value").unwrap(), "Maija Korhonen");
}

#[tokio::test]
async fn a_form_from_before_a_new_sign_in_is_shown_again_instead_of_saved() {
    let t = TestApp::start().await;
    let mut browser = t.admin();
    browser.get("/me").await;
    let old = browser.csrf.clone().unwrap();
    // In another tab: signed out, and in again.
    browser.post("/logout", &[]).await;
    browser.get("/login").await;
    browser
        .submit("/login", &[("email", MAIJA), ("password", PASSWORD), ("next", "/me")])
        .await;
    let mut fields = TYPED.to_vec();
    fields.push(("csrf_token", &old));
    let page = browser.post_raw("/me/profile", &fields).await;
    let page = browser.follow(page).await;
    assert_eq!(page.attribute("input[name=name]", "value").unwrap(), TYPED[0].1);
    assert!(page.text(".flash").contains("Nothing is saved yet."));
    let stored = t.app.store.user_by_email(MAIJA).await.unwrap().unwrap();
    assert_eq!(stored.name, "Maija Korhonen");
}

#[tokio::test]
async fn strangers_leave_no_drafts() {
    let t = TestApp::start().await;
    let mut stranger = t.anonymous();
    stranger.get("/login").await;
    let mut fields = TYPED.to_vec();
    fields.push(("csrf_token", "x"));
    let page = stranger.post_raw("/me/profile", &fields).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    // With a good token there is no session all the same.
    assert_eq!(stranger.post("/me/profile", &TYPED).await.status, StatusCode::SEE_OTHER);
    assert_eq!(t.count("SELECT COUNT(*) FROM drafts").await, 0);
}

/// A browser that was closed has no session cookie any more, its restored tab still has what was typed.
#[tokio::test]
async fn a_form_of_a_browser_that_was_closed_comes_back_filled() {
    let t = TestApp::start().await;
    let mut browser = t.anonymous();
    let sign_in = [("email", MAIJA), ("password", PASSWORD), ("next", "/me")];
    browser.submit("/login", &sign_in).await;
    let token = browser.csrf.clone().unwrap();
    browser.cookies.remove("session").unwrap();
    let mut fields = TYPED.to_vec();
    fields.push(("csrf_token", &token));
    // Nothing from elsewhere is kept.
    let own = std::mem::replace(&mut browser.headers, vec![("sec-fetch-site".into(), "cross-site".into())]);
    assert_eq!(browser.post_raw("/me/profile", &fields).await.status, StatusCode::FORBIDDEN);
    browser.headers = own;
    // Nor for somebody whose mark was made up.
    let mark = browser.cookies["owner"].clone();
    let forged = format!("{}.{}", mark.split_once('.').unwrap().0, "A".repeat(43));
    browser.cookies.insert("owner".into(), forged);
    assert_eq!(browser.post_raw("/me/profile", &fields).await.status, StatusCode::FORBIDDEN);
    assert_eq!(t.count("SELECT COUNT(*) FROM drafts").await, 0);
    browser.cookies.insert("owner".into(), mark);
    let page = browser.post_raw("/me/profile", &fields).await;
    assert_eq!(page.location().as_deref(), Some("/login?next=%2Fme"), "{}", page.words());
    let page = browser.follow(page).await;
    assert!(page.words().contains("everything you typed comes back"), "{}", page.words());
    let page = browser.submit("/login", &sign_in).await;
    assert_eq!(page.attribute("input[name=name]", "value").unwrap(), TYPED[0].1);
}

#[tokio::test]
async fn signing_out_lets_go_of_what_was_kept_and_says_no_more_than_that() {
    let t = TestApp::start().await;
    let mut browser = t.admin();
    browser.get("/me").await;
    t.clock.advance(31 * 60);
    browser.post("/me/profile", &TYPED).await;
    browser.get("/login").await;
    // Signed in, but not back to the form.
    browser.submit("/login", &[("email", MAIJA), ("password", PASSWORD)]).await;
    assert!(browser.cookies.contains_key("draft"));
    let page = browser.submit("/logout", &[]).await;
    assert_eq!(page.text(".head p"), "You are signed out.");
    assert!(browser.cookies.keys().all(|name| name != "draft" && name != "owner"));
    assert_eq!(t.count("SELECT COUNT(*) FROM drafts").await, 0);
}

/// Two hundred ticks are work as well, and the sign-in page says that everything comes back.
#[tokio::test]
async fn what_was_ticked_in_the_list_comes_back() {
    let t = TestApp::start().await;
    for name in ["hr", "it", "post"] {
        t.add_mailbox(name, Some(1143), None).await;
    }
    let mut browser = t.admin();
    let page = browser.get("/mailboxes?sort=address").await;
    let id = page.attribute("tbody tr:nth-child(2) input[name=id]", "value").unwrap();
    t.clock.advance(31 * 60);
    let back = page.attribute("input[name=back]", "value").unwrap();
    let fields = [
        ("id", id.as_str()),
        ("tag", "helpdesk"),
        ("act", "add-tag"),
        ("back", &back),
        ("q", ""),
    ];
    let page = browser.post("/bulk", &fields).await;
    let page = browser.follow(page).await;
    assert!(page.words().contains("everything you typed comes back"), "{}", page.words());
    let next = page.attribute("input[name=next]", "value").unwrap();
    let page = browser
        .submit("/login", &[("email", MAIJA), ("password", PASSWORD), ("next", &next)])
        .await;
    assert!(page.text(".flash").starts_with("Nothing is saved yet."), "{}", page.words());
    let ticked: Vec<String> = page
        .form("/bulk")
        .into_iter()
        .filter(|(name, _)| name == "id")
        .map(|(_, id)| id)
        .collect();
    assert_eq!(ticked, [id]);
    assert_eq!(page.attribute("#bulk-tag", "value").as_deref(), Some("helpdesk"));
    assert_eq!(t.count("SELECT COUNT(*) FROM mailbox_tags").await, 0);
    let page = browser.get("/mailboxes").await;
    assert!(
        !page.has("input[name=id][checked]") && page.attribute("#bulk-tag", "value").as_deref() == Some(""),
        "once"
    );
}

/// *Select all* of a filtered list must not come back as all there are.
#[tokio::test]
async fn all_of_a_filter_comes_back_as_all_of_that_filter() {
    let t = TestApp::start().await;
    for name in ["hr", "it", "post"] {
        t.add_mailbox(name, Some(1143), None).await;
    }
    let mut browser = t.admin();
    let page = browser.get("/mailboxes?q=hr").await;
    let back = page.attribute("form[action='/bulk'] input[name=back]", "value").unwrap();
    let q = page.attribute("form[action='/bulk'] input[name=q]", "value").unwrap();
    let mut fields = vec![
        ("all", "1"),
        ("tag", ""),
        ("act", "add-tag"),
        ("back", back.as_str()),
        ("q", q.as_str()),
    ];
    let page = browser.post("/bulk", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    // The address of that page is the form's own.
    browser.headers.push(("referer".into(), format!("{}/bulk", browser.origin)));
    t.clock.advance(31 * 60);
    fields[1] = ("tag", "helpdesk");
    let page = browser.post("/bulk", &fields).await;
    let page = browser.follow(page).await;
    let next = page.attribute("input[name=next]", "value").unwrap();
    let page = browser
        .submit("/login", &[("email", MAIJA), ("password", PASSWORD), ("next", &next)])
        .await;
    let page = if page.location().is_some() {
        browser.follow(page).await
    } else {
        page
    };
    assert_eq!(
        page.attribute("#bulk-tag", "value").as_deref(),
        Some("helpdesk"),
        "{}",
        page.words()
    );
    assert!(
        page.text("tbody").contains("hr@") && !page.text("tbody").contains("it@"),
        "{}",
        page.words()
    );
    let fields = page.form("/bulk");
    assert!(fields.contains(&("q".to_owned(), q)), "{fields:?}");
    assert!(page.has("input[name=all][checked]"), "{}", page.words());
}
