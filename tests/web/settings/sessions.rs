//! How long sessions last: open ones go by the new times, and none comes back.

use super::{filled, pairs};
use crate::support::app::TestApp;
use axum::http::StatusCode;

#[tokio::test]
async fn open_sessions_go_by_the_new_times() {
    let t = TestApp::start().await;
    let mut other = t.operator();
    assert_eq!(other.get("/me").await.status, StatusCode::OK);
    let fields = filled(&t, "/settings/sign-in", &[("idle_minutes", "10")]).await;
    t.admin().submit("/settings/sign-in", &pairs(&fields)).await;
    t.clock.advance(9 * 60);
    assert_eq!(other.get("/me").await.status, StatusCode::OK);
    t.clock.advance(11 * 60);
    assert_eq!(other.get("/me").await.status, StatusCode::SEE_OTHER, "idle for longer than chosen");
    let t = TestApp::start().await;
    let mut other = t.operator();
    let fields = filled(&t, "/settings/sign-in", &[("idle_minutes", "120"), ("longest_hours", "1")]).await;
    t.admin().submit("/settings/sign-in", &pairs(&fields)).await;
    t.clock.advance(50 * 60);
    assert_eq!(other.get("/me").await.status, StatusCode::OK, "longer idle than by default");
    t.clock.advance(15 * 60);
    assert_eq!(
        other.get("/me").await.status,
        StatusCode::SEE_OTHER,
        "longer than a session may last"
    );
}

/// Sessions end by the limits of their time: whoever lets others last longer must not open again what was left open yesterday.
#[tokio::test]
async fn longer_times_bring_no_ended_session_back() {
    for (change, used) in [
        (&[("idle_minutes", "600")][..], 0),
        (&[("longest_hours", "48")][..], 25),
        (&[("idle_minutes", "600"), ("longest_hours", "48")][..], 0),
    ] {
        let t = TestApp::start().await;
        let mut left = t.operator();
        let mut kept = t.viewer();
        // One is used every half hour until its twelve hours are over, or not at all.
        for _ in 0..used {
            t.clock.advance(29 * 60);
            left.get("/me").await;
        }
        t.clock.advance(31 * 60);
        assert_eq!(left.get("/me").await.status, StatusCode::SEE_OTHER, "{change:?}: it ended");
        // Somebody else signs in, and then the times are changed.
        let admin = t.app.store.users().await.unwrap().remove(0);
        kept.cookies
            .insert(t.web.cookies.session.to_owned(), t.session_for(&admin.id).await);
        let mut changer = t.browser_with(&t.session_for(&admin.id).await);
        let mut fields = changer.get("/settings/sign-in").await.form("/settings/sign-in");
        for (name, value) in change {
            fields.iter_mut().find(|(field, _)| field == name).unwrap().1 = (*value).to_owned();
        }
        changer.post_raw("/settings/sign-in", &pairs(&fields)).await;
        assert_eq!(left.get("/me").await.status, StatusCode::SEE_OTHER, "{change:?}: ended is ended");
        assert_eq!(kept.get("/me").await.status, StatusCode::OK, "{change:?}: what was open stays open");
        assert_eq!(changer.get("/me").await.status, StatusCode::OK, "{change:?}");
        assert_eq!(t.count("SELECT COUNT(*) FROM sessions").await, 2, "{change:?}: ended rows are gone");
    }
}
