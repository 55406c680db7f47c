//! `/metrics`: closed unless it is opened, and for those only who are named.

use crate::support::app::TestApp;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use mailgrant::web::pages::metrics;
use tower::ServiceExt;

#[tokio::test]
async fn metrics_are_no_page_for_strangers_nor_for_people() {
    let t = TestApp::start().await;
    for mut browser in [t.anonymous(), t.admin()] {
        let answer = browser.get("/metrics").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(!answer.body.contains("mailgrant_"));
    }
    let elsewhere = TestApp::start_with(&[("MAILGRANT_METRICS_NETWORKS", "10.99.0.0/16")]).await;
    assert_eq!(
        elsewhere.anonymous().get("/metrics").await.status,
        StatusCode::NOT_FOUND,
        "named, but not this one"
    );
}

#[tokio::test]
async fn who_is_named_reads_them_and_they_tell_of_no_person() {
    let t = TestApp::start_with(&[("MAILGRANT_METRICS_NETWORKS", "127.0.0.0/8,192.0.2.0/24,203.0.113.0/24")]).await;
    let answer = t.anonymous().get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    for name in [
        "mailgrant_build_info{version=",
        "mailgrant_checks_due 0",
        "mailgrant_instances 0",
        "# TYPE mailgrant_tokens gauge",
    ] {
        assert!(answer.body.contains(name), "{name} is missing in\n{}", answer.body);
    }
    assert!(!answer.body.contains('@'), "{}", answer.body);

    // An address of its own serves this and nothing else.
    for (path, status) in [
        ("/metrics", StatusCode::OK),
        ("/login", StatusCode::NOT_FOUND),
        ("/", StatusCode::NOT_FOUND),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = metrics::alone(t.app.clone()).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(String::from_utf8_lossy(&body).contains("mailgrant_build_info"), path == "/metrics");
    }
}
