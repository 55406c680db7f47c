//! Signing in at the provider: every way it can end, and that only the right one changes what is stored.

mod returns;

use super::providers::{make_provider, send};
use crate::support::app::{Browser, Page, TestApp};
use crate::support::databases::NOW;
use crate::support::provider::{Lie, Provider, parameter};
use axum::http::StatusCode;
use mailgrant::model::Name;
use mailgrant::model::token::{Grant, Token};
use serde_json::json;
use sqlx::{Column, Row, TypeInfo};

/// The account every token of these tests is for.
pub const SUPPORT: &str = "support@contoso.test";

/// A console with provider `rig`, which is the simulator, and token `support`.
pub async fn house() -> (TestApp, Provider) {
    let t = TestApp::start().await;
    let provider = Provider::start(NOW).await;
    make_provider(&t, &provider).await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/new").await;
    let page = send(&mut admin, &page, "/tokens/new", &[("user", SUPPORT), ("act", "save")]).await;
    assert_eq!(page.location().as_deref(), Some("/tokens/support"), "{}", page.words());
    (t, provider)
}

pub async fn token(t: &TestApp) -> Token {
    t.app.store.token(&Name::parse("support").unwrap()).await.unwrap().unwrap()
}

pub async fn grant(t: &TestApp) -> Option<Grant> {
    t.app.store.grant(&token(t).await.id).await.unwrap()
}

/// The stored row to the last byte.
pub async fn row(t: &TestApp) -> String {
    let rows = sqlx::query("SELECT * FROM grants").fetch_all(t.app.store.raw_pool()).await.unwrap();
    let mut text = String::new();
    for row in rows {
        for column in row.columns() {
            let at = column.ordinal();
            let value = match column.type_info().name() {
                "TEXT" => row.try_get::<Option<String>, _>(at).unwrap(),
                _ => row.try_get::<Option<i64>, _>(at).ok().flatten().map(|n| n.to_string()),
            };
            text.push_str(&format!("{}={value:?};", column.name()));
        }
    }
    text
}

/// *Get authorization token*: the page before leaving, and the address at the provider.
pub async fn begin(browser: &mut Browser, fields: &[(&str, &str)]) -> (String, String) {
    let page = browser.post("/tokens/support/authorize", fields).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let path = page.location().unwrap();
    let page = browser.get(&path).await;
    (path, page.attribute("a#continue", "href").unwrap())
}

/// The browser comes back to this address; what it is shown in the end.
pub async fn come_back(browser: &mut Browser, address: &str) -> Page {
    let path = address.strip_prefix("http://127.0.0.1:8080").unwrap();
    let page = browser.get(path).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let to = page.location().unwrap();
    assert!(!to.contains("code") && !to.contains("state") && to.starts_with('/'), "{to}");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-store");
    browser.follow(page).await
}

/// Signs in as the right account, so that there is something to lose.
pub async fn signed_in(t: &TestApp, provider: &Provider) -> String {
    let mut admin = t.admin();
    let (_, leave) = begin(&mut admin, &[]).await;
    let page = come_back(&mut admin, &provider.sign_in(&leave, SUPPORT)).await;
    assert_eq!(page.text(".flash"), format!("{SUPPORT} is signed in."), "{}", page.words());
    row(t).await
}

fn no_canary(page: &Page) {
    assert!(!page.body.contains("canary-"), "{}", page.body);
}

#[tokio::test]
async fn the_right_account_is_stored_and_told() {
    let (t, provider) = house().await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/support").await;
    assert_eq!(page.text(".verdict h2"), "Nobody has signed in yet");
    let (path, leave) = begin(&mut admin, &[]).await;
    let page = admin.get(&path).await;
    assert_eq!(page.text("h1"), "Sign in as support@contoso.test");
    assert!(page.text(".leave").contains("Not as yourself."));
    assert_eq!(page.text("a#continue"), "Continue to the provider");
    for (name, value) in [
        ("response_type", "code"),
        ("login_hint", SUPPORT),
        ("prompt", "consent"),
        ("scope", "mail.read mail.send offline_access openid email profile"),
        ("redirect_uri", "http://127.0.0.1:8080/oauth/callback/rig"),
    ] {
        assert_eq!(parameter(&leave, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(parameter(&leave, "response_mode"), None);
    let cookie = admin.cookies.keys().find(|name| name.starts_with("flow-")).cloned();
    assert!(cookie.is_some(), "{:?}", admin.cookies.keys());
    let waiting = admin.get("/tokens/support").await;
    assert_eq!(waiting.text(".verdict h2"), "Sign-in started just now");

    let page = come_back(&mut admin, &provider.sign_in(&leave, "Support@Contoso.test")).await;
    assert_eq!(page.text(".verdict h2"), "Works");
    no_canary(&page);
    assert!(
        !admin.cookies.keys().any(|name| name.starts_with("flow-")),
        "the flow cookie is gone"
    );
    let stored = grant(&t).await.unwrap();
    assert_eq!(stored.identity.account(), "Support@Contoso.test");
    assert_eq!(stored.authorized_by.as_deref(), Some("Maija Korhonen"));
    let token = token(&t).await;
    let handed = mailgrant::actions::access_token::access_token(&t.app, &token, None).await.unwrap();
    assert!(handed.access_token.expose_secret().starts_with("canary-access-"));
    let audit = format!("{:?}", t.app.store.audit_rows(20).await.unwrap());
    assert!(audit.contains("signed_in: Support@Contoso.test signed in.") && !audit.contains("canary-"));
}

#[tokio::test]
async fn a_different_account_changes_nothing_and_is_told_with_both_names() {
    let (t, provider) = house().await;
    let before = signed_in(&t, &provider).await;
    let mut admin = t.admin();
    // A prompt for once; for another provider than Microsoft consent is no reason to be kind.
    for prompt in ["login", "consent"] {
        let (_, leave) = begin(&mut admin, &[("prompt", prompt)]).await;
        assert_eq!(parameter(&leave, "prompt").as_deref(), Some(prompt));
        let page = come_back(&mut admin, &provider.sign_in(&leave, "maija.korhonen@contoso.test")).await;
        assert_eq!(page.text("h1"), "You signed in as maija.korhonen@contoso.test");
        assert!(
            page.text(".verdict")
                .contains("This token is for support@contoso.test, so we kept the old one.")
        );
        let again = page.form("/tokens/support/authorize");
        assert!(again.contains(&("prompt".to_owned(), "select_account".to_owned())), "{again:?}");
        assert_eq!(page.text(".btn.primary"), "Choose the account again");
        let shared = page.attribute("a[href*='shared=1']", "href").unwrap();
        assert_eq!(shared, "/tokens/support/edit?user=maija.korhonen%40contoso.test&shared=1");
        no_canary(&page);
        assert_eq!(row(&t).await, before);
        let preset = admin.get("/tokens/support").await.attribute("#prompt option[selected]", "value");
        assert_eq!(
            preset.as_deref(),
            Some("select_account"),
            "the provider would hand the same account back"
        );
    }
    let stored = token(&t).await;
    assert_eq!(stored.prompt, None, "a prompt for once is not stored");
    let page = admin.get("/tokens/support").await;
    let history = page.text(".feed");
    assert!(
        history.contains("Maija Korhonen came back as maija.korhonen@contoso.test, expected support@contoso.test. Token unchanged."),
        "{history}"
    );
    let audit = format!("{:?}", t.app.store.audit_rows(3).await.unwrap());
    assert!(audit.contains("different_account") && audit.contains("maija.korhonen@contoso.test") && audit.contains(SUPPORT));
    // Shared widens mailboxes, never who may sign in.
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_token(&Token { shared: true, ..stored }).await.unwrap();
    tx.commit().await.unwrap();
    let (_, leave) = begin(&mut admin, &[]).await;
    come_back(&mut admin, &provider.sign_in(&leave, "hr@contoso.test")).await;
    assert_eq!(row(&t).await, before);
}

#[tokio::test]
async fn coming_back_without_a_sign_in_changes_nothing() {
    let (t, provider) = house().await;
    let before = signed_in(&t, &provider).await;
    let mut admin = t.admin();
    for (parameters, heading, primary) in [
        (vec![("error", "access_denied")], "You came back without signing in", "Try again"),
        (
            vec![
                ("error", "access_denied"),
                ("error_description", "AADSTS90094: an admin must <b>allow</b> it"),
            ],
            "Your organisation lets only admins allow apps",
            "Try again",
        ),
        (
            vec![("error", "login_required")],
            "The provider would have had to ask something",
            "Choose the account",
        ),
        (
            vec![("error", "invalid_scope"), ("error_description", "mail.send")],
            "A requested permission isn't allowed or doesn't exist",
            "Change its permissions",
        ),
    ] {
        let (_, leave) = begin(&mut admin, &[]).await;
        let mut all = parameters.clone();
        all.push(("iss", &provider.url));
        let page = come_back(&mut admin, &provider.back(&leave, &all)).await;
        if heading != "A requested permission isn't allowed or doesn't exist" {
            assert_eq!(page.text("h1"), heading);
        } else {
            assert!(
                !page.text("h1").is_empty() && page.text("pre").contains("invalid_scope"),
                "{}",
                page.words()
            );
        }
        assert_eq!(page.text(".btn.primary"), primary);
        assert!(!page.body.contains("<b>allow</b>"), "a stranger's words are escaped");
        assert_eq!(row(&t).await, before, "{heading}");
    }
    assert_eq!(provider.exchanges(), 1);
}

#[tokio::test]
async fn what_the_provider_answers_instead_of_tokens_is_named_and_loses_nothing() {
    let (t, provider) = house().await;
    let before = signed_in(&t, &provider).await;
    let mut admin = t.admin();
    let refused = |error: &str| Lie::Refuses(200, json!({"error": error, "error_description": "no"}));
    for lie in [
        Lie::WebPage,
        Lie::Redirects,
        Lie::BrokenToken,
        refused("invalid_grant"),
        refused("server_error"),
        Lie::Refuses(503, json!({})),
        Lie::Claim("iss", json!("https://evil.example")),
        Lie::Claim("aud", json!("another app")),
        Lie::Claim("nonce", json!("of another sign-in")),
        Lie::Claim("exp", json!(1)),
        Lie::Claim("email_verified", json!(false)),
        Lie::Claim("sub", json!("")),
        Lie::NoIdToken,
        Lie::NoRefreshToken,
    ] {
        provider.lies(std::slice::from_ref(&lie));
        let (_, leave) = begin(&mut admin, &[]).await;
        let page = come_back(&mut admin, &provider.sign_in(&leave, SUPPORT)).await;
        assert!(page.has(".verdict") && page.text("h1") != SUPPORT, "{lie:?}: {}", page.words());
        if lie == Lie::NoRefreshToken {
            assert_eq!(page.text("h1"), "The provider didn't allow staying signed in");
            assert_eq!(page.text(".btn.primary"), "Ask for consent again");
        }
        no_canary(&page);
        assert_eq!(row(&t).await, before, "{lie:?}");
    }
}

#[tokio::test]
async fn a_secret_the_provider_refuses_is_one_problem_of_the_provider() {
    let (t, provider) = house().await;
    let before = signed_in(&t, &provider).await;
    provider.takes_secret("another one");
    let mut admin = t.admin();
    let (_, leave) = begin(&mut admin, &[]).await;
    let page = come_back(&mut admin, &provider.sign_in(&leave, SUPPORT)).await;
    no_canary(&page);
    assert_eq!(
        page.text("a.btn.primary[href='/providers/rig/secret']"),
        "Replace secret",
        "what helps comes first: {}",
        page.words()
    );
    assert_eq!(row(&t).await, before);
    let mut operator = t.operator();
    let (_, leave) = begin(&mut operator, &[]).await;
    let page = come_back(&mut operator, &provider.sign_in(&leave, SUPPORT)).await;
    assert!(!page.has("a[href='/providers/rig/secret']"), "not for those who may not");
    let page = admin.get("/providers/rig").await;
    assert!(page.has(".verdict .m-bad"), "{}", page.words());
    let page = admin.get("/tokens/support").await;
    assert!(page.text("#diagnosis").contains("a problem of provider rig"), "{}", page.words());
}

#[tokio::test]
async fn a_missing_permission_is_stored_unless_the_older_sign_in_allows_more() {
    let (t, provider) = house().await;
    provider.lies(&[Lie::Without("mail.send")]);
    let mut admin = t.admin();
    let (_, leave) = begin(&mut admin, &[]).await;
    let page = come_back(&mut admin, &provider.sign_in(&leave, SUPPORT)).await;
    assert_eq!(page.text("h1"), "Signed in, but permissions are missing");
    assert_eq!(page.text(".verdict li"), "mail.send");
    assert_eq!(page.text(".btn.primary"), "Ask for consent again");
    assert!(grant(&t).await.is_some());
    let page = admin.get("/tokens/support").await;
    assert_eq!(page.text(".verdict h2"), "Works, but permissions are missing");
    assert_eq!(
        page.attribute("select#prompt option[selected]", "value").as_deref(),
        Some("consent")
    );
    assert!(page.text("table").contains("mail.sendNo"), "{}", page.text("table"));

    provider.lies(&[]);
    let full = signed_in(&t, &provider).await;
    provider.lies(&[Lie::Without("mail.send")]);
    let (_, leave) = begin(&mut admin, &[]).await;
    let page = come_back(&mut admin, &provider.sign_in(&leave, SUPPORT)).await;
    assert!(
        page.text(".verdict").contains("the older sign-in allows more, so that one stays"),
        "{}",
        page.words()
    );
    assert_eq!(row(&t).await, full);
}

#[tokio::test]
async fn a_provider_or_token_that_changed_meanwhile_gets_nothing() {
    let (t, provider) = house().await;
    let mut admin = t.admin();
    // The provider is aimed elsewhere while somebody signs in.
    let (_, leave) = begin(&mut admin, &[]).await;
    let address = provider.sign_in(&leave, SUPPORT);
    let mut moved = t.app.store.provider(&Name::parse("rig").unwrap()).await.unwrap().unwrap();
    let original = moved.clone();
    moved.overrides.token_url = Some(format!("{}/other/token", provider.url));
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_provider(&moved).await.unwrap();
    tx.commit().await.unwrap();
    let page = come_back(&mut admin, &address).await;
    assert_eq!(page.text("h1"), "This sign-in is too old");
    assert_eq!((provider.exchanges(), grant(&t).await), (0, None));
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_provider(&mailgrant::model::provider::Provider { version: 2, ..original })
        .await
        .unwrap();
    tx.commit().await.unwrap();
    // The account of the token is changed while somebody signs in: the new one counts.
    let (_, leave) = begin(&mut admin, &[]).await;
    let changed = token(&t).await;
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_token(&Token {
        user: Some("hr@contoso.test".into()),
        ..changed
    })
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let page = come_back(&mut admin, &provider.sign_in(&leave, SUPPORT)).await;
    assert_eq!(page.text("h1"), format!("You signed in as {SUPPORT}"));
    assert_eq!(grant(&t).await, None);
}

#[tokio::test]
async fn a_name_that_changed_at_the_provider_is_recognised_by_the_unchangeable_id() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    let mut admin = t.admin();
    provider.lies(&[Lie::Claim("sub", json!(format!("sub-{SUPPORT}")))]);
    let (_, leave) = begin(&mut admin, &[]).await;
    let page = come_back(&mut admin, &provider.sign_in(&leave, "helpdesk@contoso.test")).await;
    assert_eq!(page.text(".flash"), "helpdesk@contoso.test is signed in.", "{}", page.words());
}

#[tokio::test]
async fn operators_may_sign_in_and_viewers_may_only_look() {
    let (t, provider) = house().await;
    let mut viewer = t.viewer();
    let page = viewer.get("/tokens/support").await;
    assert!(page.words().contains("Only people with permission to start sign-ins"));
    assert_eq!(viewer.post("/tokens/support/authorize", &[]).await.status, StatusCode::FORBIDDEN);
    let mut operator = t.operator();
    let (_, leave) = begin(&mut operator, &[]).await;
    let page = come_back(&mut operator, &provider.sign_in(&leave, "else@contoso.test")).await;
    assert!(
        page.has("form[action$=authorize]") && !page.has("a[href*=edit]"),
        "an operator changes no account"
    );
    let (_, leave) = begin(&mut operator, &[]).await;
    let page = come_back(&mut operator, &provider.sign_in(&leave, SUPPORT)).await;
    assert_eq!(page.text(".flash"), format!("{SUPPORT} is signed in."));
}
