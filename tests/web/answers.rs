//! What every answer has: headers, error pages with a way out, static files that stay what they are.

use crate::support::app::{Browser, TestApp};
use crate::support::logs::Logs;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use mailgrant::web::headers::CONTENT_SECURITY_POLICY;
use mailgrant::web::routes::{Access, Routes};
use mailgrant::web::{assets, router_of};

#[tokio::test]
async fn every_answer_has_the_headers() {
    for (url, hsts) in [("http://localhost:8080", ""), ("https://console.example", "max-age=31536000")] {
        let t = TestApp::start_with(&[("MAILGRANT_BASE_URL", url)]).await;
        let css = assets::asset("app.css");
        for (method, path) in [
            ("GET", "/me"),
            ("GET", "/login"),
            ("GET", "/nothing"),
            ("GET", css.as_str()),
            ("GET", "/static/x/app.css"),
            ("GET", "/health/live"),
            ("TRACE", "/me"),
            ("POST", "/me/profile"),
        ] {
            let mut browser = t.admin();
            let page = browser
                .send(Method::from_bytes(method.as_bytes()).unwrap(), path, &[], Body::empty())
                .await;
            for (name, value) in [
                ("content-security-policy", CONTENT_SECURITY_POLICY),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("strict-transport-security", hsts),
                ("server", ""),
                ("access-control-allow-origin", ""),
            ] {
                assert_eq!(page.header(name), value, "{method} {path} {name}");
            }
            assert!(page.header("permissions-policy").contains("camera=()"));
            assert_eq!(page.header("x-request-id").len(), 16);
            let expected = if path == css {
                "public, max-age=31536000, immutable"
            } else {
                "no-store"
            };
            assert_eq!(page.header("cache-control"), expected, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn static_files_are_served_under_their_hash_and_nowhere_else() {
    let t = TestApp::start().await;
    for (name, kind) in [
        ("app.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("icons.svg", "image/svg+xml"),
        ("fonts/plex-sans-400.woff2", "font/woff2"),
    ] {
        let page = t.anonymous().get(assets::asset(name)).await;
        assert_eq!(
            (page.status, page.header("content-type").as_str()),
            (StatusCode::OK, kind),
            "{name}"
        );
        assert!(page.header("set-cookie").is_empty());
    }
    let css = assets::asset("app.css");
    for path in [
        css.replace("app.css", "../Cargo.toml"),
        css.replace("app.css", "none.css"),
        "/static/0/app.css".into(),
        format!("{css}/x"),
    ] {
        assert_eq!(t.anonymous().get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    // No deception of a cache in front: a page's address with a file's ending is no page.
    assert_eq!(t.admin().get("/me/x.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_hold_nothing_inline() {
    let t = TestApp::start().await;
    for (path, mut browser) in [("/me", t.admin()), ("/login", t.anonymous()), ("/nothing", t.admin())] {
        let page = browser.get(path).await;
        for css in [
            "style",
            "[style]",
            "script:not([src])",
            "[onclick]",
            "[onload]",
            "[onsubmit]",
            "iframe",
            "base",
        ] {
            assert!(!page.has(css), "{path} has {css}");
        }
        let html = scraper::Html::parse_document(&page.body);
        for element in html.select(&scraper::Selector::parse("[src], link[href], use[href]").unwrap()) {
            let to = element.attr("src").or(element.attr("href")).unwrap();
            assert!(to.starts_with("/static/"), "{path}: {to}");
        }
    }
}

#[tokio::test]
async fn what_is_missing_has_a_page_with_a_way_out() {
    let t = TestApp::start().await;
    let page = t.admin().get("/nothing").await;
    assert_eq!(
        (page.status, page.text("h1").as_str()),
        (StatusCode::NOT_FOUND, "There's no page here")
    );
    assert_eq!(page.attribute("main a", "href").unwrap(), "/");
    assert_eq!(page.text("output"), page.header("x-request-id"));
    assert!(!page.body.contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn whoever_may_not_learns_who_may() {
    let t = TestApp::start().await;
    let page = t.viewer().get("/setup/address").await;
    assert_eq!(
        (page.status, page.text("h1").as_str()),
        (StatusCode::FORBIDDEN, "You can't do this")
    );
    assert_eq!(
        page.text(".head p"),
        "Only people with permission to change settings can do this. Ask Maija Korhonen."
    );
    t.add_user(mailgrant::model::user::Role::Admin, "Pekka <b>Virtanen</b>").await;
    let page = t.viewer().get("/setup/address").await;
    assert!(page.text(".head p").ends_with("Ask Maija Korhonen or Pekka <b>Virtanen</b>."));
    assert!(!page.has(".head b"));
}

#[tokio::test]
async fn a_panic_becomes_a_page_with_a_reference_and_nothing_else() {
    let logs = Logs::keep();
    let t = TestApp::start().await;
    async fn boom() {
        panic!("canary in a panic");
    }
    let mut browser: Browser = t.admin();
    browser.set_router(router_of(Routes::new().get("/boom", Access::SignedIn, boom), t.web.clone()));
    let page = browser.get("/boom").await;
    assert_eq!(
        (page.status, page.text("h1").as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side")
    );
    assert!(!page.body.contains("canary"));
    assert_eq!(page.text("output"), page.header("x-request-id"));
    let text = logs.text();
    assert!(text.contains(&page.header("x-request-id")), "{text}");
    assert_eq!(browser.get("/boom").await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_nul_character_is_refused_before_a_database_chokes_on_it() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    for path in ["/mailboxes?q=a%00b", "/tests/%00", "/tokens?q=%00"] {
        assert_eq!(admin.get(path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    let mut stranger = t.anonymous();
    let page = stranger.post("/login", &[("email", "a\0b"), ("password", "x")]).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.words().contains("It holds a NUL character."), "{}", page.words());
}

#[tokio::test]
async fn being_asked_twice_at_once_is_no_reason_to_be_unready() {
    let t = TestApp::start().await;
    let asking = (0..32).map(|_| {
        let mut browser = t.anonymous();
        tokio::spawn(async move { browser.get("/health/ready").await.status })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), StatusCode::OK);
    }
    let left = std::fs::read_dir(t.data_dir()).unwrap();
    assert!(
        left.map(Result::unwrap)
            .all(|file| !file.file_name().to_string_lossy().starts_with("ready"))
    );
}

#[tokio::test]
async fn a_page_that_never_comes_is_given_up_after_half_a_minute() {
    let t = TestApp::start().await;
    let mut browser = t.anonymous();
    // A path that needs no database: its threads know nothing of a clock that stands still.
    let routes = Routes::new().get("/health/stuck", Access::Public, std::future::pending::<String>);
    browser.set_router(router_of(routes, t.web.clone()));
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let page = browser.get("/health/stuck").await;
    assert_eq!(
        (page.status, page.header("retry-after").as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "5")
    );
    assert_eq!(begun.elapsed().as_secs(), 30);
    tokio::time::resume();
}

#[tokio::test]
async fn error_pages_need_no_database() {
    let t = TestApp::start().await;
    let mut browser = t.admin();
    assert_eq!(browser.get("/health/ready").await.status, StatusCode::OK);
    t.app.store.close().await;
    for path in ["/me", "/login", "/nothing"] {
        let page = browser.get(path).await;
        assert!(page.status.is_server_error(), "{path}");
        assert!(
            page.has("main a.primary") && page.text("output") == page.header("x-request-id"),
            "{path}"
        );
    }
    assert_eq!(browser.get(assets::asset("app.css")).await.status, StatusCode::OK);
    assert_eq!(browser.get("/health/live").await.status, StatusCode::OK);
    let page = browser.get("/health/ready").await;
    assert_eq!(
        (page.status, page.body.as_str()),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"failing":["database"],"status":"unavailable"}"#
        )
    );
}

#[tokio::test]
async fn the_host_a_request_names_has_no_influence() {
    let t = TestApp::start_with(&[("MAILGRANT_BASE_URL", "https://console.example")]).await;
    let mut browser = t.admin();
    browser.host = "evil.example".into();
    let page = browser.get("/me").await;
    // The note says where the console is; nothing leads to where the request pretends to be.
    assert!(page.text(".flash").contains("https://console.example"));
    assert!(!page.body.contains("evil.example"));
    let mut browser = t.anonymous();
    browser.host = "evil.example".into();
    for path in ["/me", "/", "/login"] {
        let page = browser.get(path).await;
        assert!(!page.location().unwrap_or_default().contains("evil"), "{path}");
    }
}

#[tokio::test]
async fn whoever_signs_in_under_another_name_of_this_machine_is_sent_to_the_right_one() {
    let t = TestApp::start_with(&[("MAILGRANT_BASE_URL", "http://localhost:8080")]).await;
    let mut browser = t.anonymous();
    browser.host = "127.0.0.1:8080".into();
    let page = browser.get("/login?next=%2Fme").await;
    assert_eq!(page.location().as_deref(), Some("http://localhost:8080/login?next=%2Fme"));
    for host in ["evil.example:8080", "127.0.0.1:9999", "localhost:8080"] {
        browser.host = host.into();
        assert_eq!(browser.get("/login").await.status, StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn the_address_asked_for_is_logged_as_its_pattern() {
    let logs = Logs::keep();
    let t = TestApp::start().await;
    t.admin().get("/me?code=canary-code&state=canary-state").await;
    t.admin().post("/me/sessions/canary-path/end", &[]).await;
    let text = logs.text();
    assert!(text.contains("path=\"/me\"") && text.contains("/me/sessions/{id}/end"), "{text}");
    assert!(!text.contains("canary"), "{text}");
}
