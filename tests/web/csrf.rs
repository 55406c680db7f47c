//! No form passes that a page of ours did not send.

use crate::support::app::{Browser, Page, TestApp};
use axum::body::Body;
use axum::http::{Method, StatusCode};

/// Changes the admin's name, if it passes.
const FORM: [(&str, &str); 3] = [("name", "Changed"), ("theme", "dark"), ("time_zone", "")];

async fn name(t: &TestApp) -> String {
    t.app
        .store
        .user_by_email("maija.korhonen@contoso.test")
        .await
        .unwrap()
        .unwrap()
        .name
}

/// A browser whose page and token are there, and which says nothing about where it comes from.
async fn plain(t: &TestApp) -> Browser {
    let mut browser = t.admin();
    browser.get("/me").await;
    browser.headers.clear();
    browser
}

#[tokio::test]
async fn a_form_needs_the_token_of_its_own_session() {
    let t = TestApp::start().await;
    let mut theirs = t.operator();
    theirs.get("/me").await;
    let theirs = theirs.csrf.unwrap();
    let mut visitor = t.anonymous();
    visitor.get("/login").await;
    let visitor = visitor.csrf.unwrap();
    for token in [None, Some(""), Some("x"), Some(theirs.as_str()), Some(visitor.as_str())] {
        let mut browser = plain(&t).await;
        let mut fields = FORM.to_vec();
        fields.extend(token.map(|token| ("csrf_token", token)));
        let page = browser.post_raw("/me/profile", &fields).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{token:?}");
        assert_eq!(page.text("h1"), "This form is from an earlier visit");
    }
    assert_eq!(name(&t).await, "Maija Korhonen");
    let mut browser = plain(&t).await;
    assert_eq!(browser.post("/me/profile", &FORM).await.status, StatusCode::SEE_OTHER);
    assert_eq!(name(&t).await, "Changed");
}

#[tokio::test]
async fn the_token_alone_is_not_enough_where_the_browser_says_it_comes_from_elsewhere() {
    let t = TestApp::start().await;
    let own = t.web.base_url().origin().ascii_serialization();
    let cases: [&[(&str, &str)]; 8] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-site"), ("origin", &own)],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "http://127.0.0.1:8081")],
        &[("origin", "https://127.0.0.1:8080")],
    ];
    for headers in cases {
        let mut browser = plain(&t).await;
        browser.headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let page = browser.post("/me/profile", &FORM).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert_eq!(page.text("h1"), "This form didn't come from this console");
    }
    assert_eq!(name(&t).await, "Maija Korhonen");
    for headers in [("sec-fetch-site", "same-origin"), ("origin", own.as_str())] {
        let mut browser = plain(&t).await;
        browser.headers = vec![(headers.0.to_owned(), headers.1.to_owned())];
        assert_eq!(
            browser.post("/me/profile", &FORM).await.status,
            StatusCode::SEE_OTHER,
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn signing_in_needs_the_token_of_the_visitor() {
    let t = TestApp::start().await;
    let (mut one, mut other) = (t.anonymous(), t.anonymous());
    one.get("/login").await;
    other.get("/login").await;
    other.csrf = one.csrf.clone();
    other.headers.clear();
    let fields = [
        ("email", "maija.korhonen@contoso.test"),
        ("password", crate::support::app::PASSWORD),
    ];
    assert_eq!(other.post("/login", &fields).await.status, StatusCode::FORBIDDEN);
    assert_eq!(one.post("/login", &fields).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_script_may_send_the_token_in_a_header() {
    let t = TestApp::start().await;
    let mut browser = plain(&t).await;
    let token = browser.csrf.clone().unwrap();
    let body = serde_urlencoded::to_string(FORM).unwrap();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-csrf-token", token.as_str()),
    ];
    let page = browser.send(Method::POST, "/me/profile", &headers, Body::from(body)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

async fn send(t: &TestApp, headers: &[(&str, &str)], body: String) -> Page {
    let mut browser = plain(t).await;
    let token = browser.csrf.clone().unwrap();
    let mut all = vec![("x-csrf-token", token.as_str())];
    all.extend_from_slice(headers);
    browser.send(Method::POST, "/me/profile", &all, Body::from(body)).await
}

#[tokio::test]
async fn only_plain_forms_of_a_bounded_size_are_read() {
    let t = TestApp::start().await;
    const FORM_TYPE: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    let many = |count: usize| (0..count).map(|i| format!("f{i}=x")).collect::<Vec<_>>().join("&");
    for (headers, body, status) in [
        (
            vec![("content-type", "application/json")],
            "{}".to_owned(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            vec![("content-type", "text/plain")],
            "name=x".to_owned(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (vec![], "name=x".to_owned(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            vec![FORM_TYPE, ("content-encoding", "gzip")],
            "name=x".to_owned(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            vec![FORM_TYPE],
            format!("name={}", "x".repeat(64 * 1024)),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (
            vec![FORM_TYPE, ("content-length", "99999999")],
            "name=x".to_owned(),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (vec![FORM_TYPE], many(201), StatusCode::PAYLOAD_TOO_LARGE),
        // Read, and then refused by the form itself.
        (vec![FORM_TYPE], many(200), StatusCode::UNPROCESSABLE_ENTITY),
        // The ticks of a page of 200 rows are one field with as many values.
        (
            vec![FORM_TYPE],
            vec!["id=0123456789abcdef"; 205].join("&"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (vec![FORM_TYPE], vec!["id=x"; 513].join("&"), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let page = send(&t, &headers, body).await;
        assert_eq!(page.status, status, "{headers:?}");
    }
    assert_eq!(name(&t).await, "Maija Korhonen");
}

#[tokio::test]
async fn other_methods_are_refused() {
    let t = TestApp::start().await;
    for method in ["TRACE", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "BREW"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        for path in ["/me", "/nothing", "/static/x/app.css", "/health/live"] {
            let page = t.admin().send(method.clone(), path, &[], Body::empty()).await;
            assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert!(page.header("allow").starts_with("GET"), "{method} {path}");
        }
    }
    // The paths that look at no token take no forms either.
    for path in [
        &mailgrant::web::assets::asset("app.css"),
        "/static/x/app.css",
        "/health/live",
        "/health/ready",
    ] {
        let page = t.anonymous().post_raw(path, &[("x", "y")]).await;
        assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    assert_eq!(t.admin().post("/me", &[]).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(t.admin().get("/me/password").await.status, StatusCode::METHOD_NOT_ALLOWED);
}
