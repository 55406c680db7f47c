//! Coming back from the provider: once, in the browser that left, in time, with what was asked for.

use super::super::providers::{make_provider, send};
use super::{SUPPORT, begin, come_back, grant, house, no_canary, row, signed_in};
use crate::support::app::TestApp;
use crate::support::databases::NOW;
use crate::support::provider::{Provider, parameter};
use axum::body::Body;
use axum::http::{Method, StatusCode};

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
