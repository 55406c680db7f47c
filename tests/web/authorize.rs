//! Signing in at the provider: every way it can end, and that only the right one changes what is stored.

use super::providers::{make_provider, send};
use crate::support::app::{Browser, Page, TestApp};
use crate::support::databases::NOW;
use crate::support::provider::{Lie, Provider, parameter};
use axum::body::Body;
use axum::http::{Method, StatusCode};
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
            "Try again",
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
    assert!(
        page.text(".verdict h2").starts_with("The provider has a problem: "),
        "{}",
        page.words()
    );
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
async fn an_answer_of_another_issuer_is_a_mix_up() {
    let (t, provider) = house().await;
    let before = signed_in(&t, &provider).await;
    let mut admin = t.admin();
    for iss in [Some("https://evil.example"), None] {
        let (_, leave) = begin(&mut admin, &[]).await;
        let honest = provider.sign_in(&leave, SUPPORT);
        let code = parameter(&honest, "code").unwrap();
        let mut parameters = vec![("code", code.as_str())];
        parameters.extend(iss.map(|iss| ("iss", iss)));
        let page = come_back(&mut admin, &provider.back(&leave, &parameters)).await;
        assert!(page.has(".verdict .m-bad"), "{}", page.words());
        no_canary(&page);
        assert_eq!(row(&t).await, before);
        // The attempt is over: the honest answer comes too late.
        come_back(&mut admin, &honest).await;
        assert_eq!(row(&t).await, before);
    }
    assert_eq!(provider.exchanges(), 1, "no code went anywhere");
}

#[tokio::test]
async fn a_return_counts_only_in_its_own_browser_session_and_time() {
    let (t, provider) = house().await;
    let before = signed_in(&t, &provider).await;
    let mut admin = t.admin();
    let (path, leave) = begin(&mut admin, &[]).await;
    let address = provider.sign_in(&leave, SUPPORT);

    // Another browser with the same session, a stranger, and another person.
    let mut nobody = t.anonymous();
    let mut operator = t.operator();
    let mut same_person = t.admin();
    for browser in [&mut nobody, &mut operator, &mut same_person] {
        let page = come_back(browser, &address).await;
        assert_eq!(page.text("h1"), "This sign-in is too old");
        assert!(!page.body.contains(SUPPORT), "a stranger learns nothing");
    }
    // The flow cookie alone is not enough, and one for another attempt isn't either.
    let flow: Vec<(String, String)> = admin
        .cookies
        .iter()
        .filter(|(name, _)| name.starts_with("flow-"))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    for browser in [&mut nobody, &mut operator] {
        browser.cookies.extend(flow.clone());
        assert_eq!(come_back(browser, &address).await.text("h1"), "This sign-in is too old");
    }
    let mut forged = admin.clone();
    for (name, _) in &flow {
        forged.cookies.insert(name.clone(), "x".repeat(43));
    }
    assert_eq!(come_back(&mut forged, &address).await.text("h1"), "This sign-in is too old");
    let page = operator.get(&path).await;
    assert_eq!(page.text("h1"), "This sign-in is too old");
    assert!(!page.has("a#continue"), "nobody else goes on with it");
    assert_eq!((provider.exchanges(), row(&t).await), (1, before.clone()));

    // Its own browser may still come back, until its time is over.
    t.clock.advance(601);
    let page = come_back(&mut admin, &address).await;
    assert_eq!(page.text("h1"), "This sign-in is too old");
    assert_eq!((provider.exchanges(), row(&t).await), (1, before.clone()));
    let (_, leave) = begin(&mut admin, &[]).await;
    t.clock.advance(599);
    let page = come_back(&mut admin, &provider.sign_in(&leave, SUPPORT)).await;
    assert_eq!(page.text(".flash"), format!("{SUPPORT} is signed in."));
    assert_ne!(row(&t).await, before);
}

#[tokio::test]
async fn tampered_doubled_and_unknown_returns_are_refused_without_details() {
    let (t, provider) = house().await;
    let before = signed_in(&t, &provider).await;
    let mut admin = t.admin();
    let (_, leave) = begin(&mut admin, &[]).await;
    let address = provider.sign_in(&leave, SUPPORT);
    let state = parameter(&leave, "state").unwrap();
    let mut other = state.clone().into_bytes();
    other[0] = if other[0] == b'A' { b'B' } else { b'A' };
    for bad in [
        address.replace(&state, &String::from_utf8(other).unwrap()),
        format!("{address}&state={state}"),
        format!("{address}&code=another"),
        address.replace("state=", "status="),
        "http://127.0.0.1:8080/oauth/callback/rig".to_owned(),
        "http://127.0.0.1:8080/oauth/callback/rig?code=x&state=y".to_owned(),
        address.replace("/callback/rig", "/callback/nobody"),
        address.replace("/callback/rig", "/callback/New%20One"),
    ] {
        let page = come_back(&mut admin, &bad).await;
        assert_eq!(page.text("h1"), "We didn't start this sign-in", "{bad}");
        assert!(!page.body.contains(SUPPORT));
        assert_eq!((provider.exchanges(), row(&t).await), (1, before.clone()), "{bad}");
    }
    // Looking whether the address is there uses nothing up.
    let path = address.strip_prefix("http://127.0.0.1:8080").unwrap();
    let page = admin.send(Method::HEAD, path, &[], Body::empty()).await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
    let page = come_back(&mut admin, &address).await;
    assert_eq!(page.text(".flash"), format!("{SUPPORT} is signed in."));
}

#[tokio::test]
async fn two_tabs_the_back_button_and_a_double_click_do_no_harm() {
    let (t, provider) = house().await;
    let mut admin = t.admin();
    // A double click makes two attempts; each has its own cookie.
    let (_, first) = begin(&mut admin, &[]).await;
    let (path, second) = begin(&mut admin, &[]).await;
    assert_ne!(parameter(&first, "state"), parameter(&second, "state"));
    let address = provider.sign_in(&second, SUPPORT);
    let (mut tab, mut twin) = (admin.clone(), admin.clone());
    let path_of = |address: &str| address.strip_prefix("http://127.0.0.1:8080").unwrap().to_owned();
    let (one, two) = (path_of(&address), path_of(&address));
    let (a, b) = tokio::join!(tab.get(one), twin.get(two));
    assert_eq!((a.status, b.status), (StatusCode::SEE_OTHER, StatusCode::SEE_OTHER));
    assert_eq!(provider.exchanges(), 1, "one code, one exchange");
    let stored = row(&t).await;
    // Whoever came second sees how it ended.
    let page = admin.get(&path).await;
    assert_eq!(page.text("h1"), format!("{SUPPORT} is signed in"));
    // The return once more, from the history of the browser.
    for browser in [&mut tab, &mut twin, &mut admin] {
        come_back(browser, &address).await;
    }
    assert_eq!((provider.exchanges(), row(&t).await), (1, stored));
    // The other tab goes on and ends well too.
    let page = come_back(&mut admin, &provider.sign_in(&first, SUPPORT)).await;
    assert_eq!(page.text(".flash"), format!("{SUPPORT} is signed in."));
    let page = admin.get("/tokens/support").await;
    assert_eq!(page.text(".verdict h2"), "Works");
}

#[tokio::test]
async fn pressing_the_button_often_does_not_fill_the_browsers_headers() {
    let (t, provider) = house().await;
    let mut admin = t.admin();
    let mut last = String::new();
    for _ in 0..12 {
        t.clock.advance(1);
        last = begin(&mut admin, &[]).await.1;
    }
    let flows = admin.cookies.keys().filter(|name| name.starts_with("flow-")).count();
    assert_eq!(flows, 4);
    let page = come_back(&mut admin, &provider.sign_in(&last, SUPPORT)).await;
    assert_eq!(page.text(".flash"), format!("{SUPPORT} is signed in."));
}

#[tokio::test]
async fn a_cancelled_sign_in_is_over() {
    let (t, provider) = house().await;
    let mut admin = t.admin();
    let (path, leave) = begin(&mut admin, &[]).await;
    let page = admin.submit(format!("{path}/cancel"), &[]).await;
    assert_eq!(page.text(".flash"), "Sign-in cancelled. Nothing changed.");
    come_back(&mut admin, &provider.sign_in(&leave, SUPPORT)).await;
    assert_eq!((provider.exchanges(), grant(&t).await), (0, None));
}

#[tokio::test]
async fn a_sign_in_that_never_came_back_says_so() {
    let (t, _provider) = house().await;
    let mut admin = t.admin();
    let (path, _) = begin(&mut admin, &[]).await;
    t.clock.advance(700);
    let page = admin.get("/tokens/support").await;
    assert_eq!(page.text(".verdict h2"), "Didn't come back");
    assert_eq!(admin.get(&path).await.text("h1"), "This sign-in is too old");
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
async fn the_redirect_address_is_the_configured_one_whatever_a_request_says() {
    let (t, provider) = house().await;
    let mut admin = t.admin();
    admin.get("/tokens/support").await;
    admin.host = "evil.example".into();
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example;proto=https"),
    ] {
        admin.headers.push((name.to_owned(), value.to_owned()));
    }
    let (_, leave) = begin(&mut admin, &[]).await;
    let expected = "http://127.0.0.1:8080/oauth/callback/rig";
    assert_eq!(parameter(&leave, "redirect_uri").as_deref(), Some(expected));
    assert!(provider.sign_in(&leave, SUPPORT).starts_with(expected));
    let page = admin.post("/tokens/support/links", &[]).await;
    assert!(page.text("#link").starts_with("http://127.0.0.1:8080/l/"), "{}", page.words());
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

#[tokio::test]
async fn on_https_the_flow_cookie_is_pinned_to_this_host() {
    let t = TestApp::start_with(&[("MAILGRANT_BASE_URL", "https://console.contoso.test")]).await;
    let provider = Provider::start(NOW).await;
    make_provider(&t, &provider).await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/new").await;
    let page = send(&mut admin, &page, "/tokens/new", &[("user", SUPPORT), ("act", "authorize")]).await;
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("__Host-flow-"), "{cookie}");
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=600", "; Secure"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"));
}

/// PostgreSQL lets two transactions run at once, where SQLite has one writer.
#[tokio::test]
async fn on_postgresql_a_return_is_taken_once_too() {
    let Some(url) = crate::support::databases::new_postgres().await else {
        eprintln!("PostgreSQL not tried: start with tests/run");
        return;
    };
    let t = TestApp::start_with(&[("MAILGRANT_DATABASE_URL", &url)]).await;
    let provider = Provider::start(NOW).await;
    make_provider(&t, &provider).await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/new").await;
    send(&mut admin, &page, "/tokens/new", &[("user", SUPPORT), ("act", "save")]).await;
    for round in 1..=5 {
        let (_, leave) = begin(&mut admin, &[]).await;
        let address = provider.sign_in(&leave, SUPPORT);
        let path = address.strip_prefix("http://127.0.0.1:8080").unwrap();
        let mut tabs = [admin.clone(), admin.clone(), admin.clone()];
        let [a, b, c] = &mut tabs;
        let (a, b, c) = tokio::join!(a.get(path), b.get(path), c.get(path));
        assert!([a, b, c].iter().all(|page| page.status == StatusCode::SEE_OTHER));
        assert_eq!(provider.exchanges(), round);
    }
    let before = grant(&t).await;
    assert!(before.is_some());
    let (_, leave) = begin(&mut admin, &[]).await;
    let page = come_back(&mut admin, &provider.sign_in(&leave, "hr@contoso.test")).await;
    assert_eq!(page.text("h1"), "You signed in as hr@contoso.test");
    assert_eq!(grant(&t).await, before);
    assert!(t.app.store.verify_audit().await.unwrap().is_ok());
}

#[tokio::test]
async fn strangers_who_return_from_nowhere_do_not_fill_the_audit_log() {
    let (t, _provider) = house().await;
    let before = t.count("SELECT COUNT(*) FROM audit").await;
    let mut stranger = t.anonymous();
    for _ in 0..100 {
        stranger.get("/oauth/callback/idp?code=x&state=y").await;
    }
    assert_eq!(t.count("SELECT COUNT(*) FROM audit").await - before, 20);
    t.clock.advance(60);
    stranger.get("/oauth/callback/idp?code=x&state=y").await;
    let row = t.app.store.audit_rows(1).await.unwrap().remove(0);
    assert!(row.detail.contains("80 more before it are only in the log"), "{row:?}");
}
