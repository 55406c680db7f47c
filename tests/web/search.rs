//! The search of every page: what it finds, for whom, and where a single hit leads.

use crate::support::app::TestApp;
use axum::http::StatusCode;

#[tokio::test]
async fn names_addresses_runs_and_codes_are_found_and_one_hit_is_opened() {
    let t = TestApp::start().await;
    for name in ["hr", "helpdesk"] {
        t.add_mailbox(name, Some(1), None).await;
    }
    t.add_token(false).await;
    let run = t
        .operator()
        .post("/mailboxes/hr/test/incoming", &[("defaults", "1")])
        .await
        .location()
        .unwrap();
    let mut viewer = t.viewer();
    let page = viewer.get("/").await;
    assert_eq!(
        page.attribute(".top form.find", "action").as_deref(),
        Some("/search"),
        "it is on every page"
    );
    for (q, leads) in [
        ("helpdesk", "/mailboxes/helpdesk".to_owned()),
        ("HR@contoso", "/mailboxes/hr".to_owned()),
        ("support@contoso.test", "/tokens/support".to_owned()),
        (&run[7..], run.clone()),
        (&run[7..23], run.clone()),
        ("AADSTS50011", "/explain?text=AADSTS50011".to_owned()),
    ] {
        let page = viewer.get(format!("/search?q={q}")).await;
        assert_eq!(page.location(), Some(leads), "{q}: {}", page.words());
    }
    let page = viewer.get("/search?q=contoso").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.text("section h2"), "Mailboxes\nTokens\nProviders");
    assert_eq!(page.text("section:first-of-type li a"), "helpdesk@contoso.test\nhr@contoso.test");
    for q in ["", "%25", "nobody%20here", "%3Cb%3E", "_"] {
        let page = viewer.get(format!("/search?q={q}")).await;
        assert_eq!(
            (page.status, page.has("section li")),
            (StatusCode::OK, false),
            "{q}: {}",
            page.words()
        );
    }
    // A whole text that was pasted is explained, without what is secret in it.
    let text =
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Bearer canaryCanary0123456789abc";
    let page = viewer
        .get(format!("/search?{}", serde_urlencoded::to_string([("q", text)]).unwrap()))
        .await;
    let leads = page.location().unwrap();
    assert!(
        leads.starts_with("/explain?text=535+5.7.139") && !leads.contains("canary"),
        "{leads}"
    );
    assert_eq!(viewer.get(&leads).await.status, StatusCode::OK);
}

#[tokio::test]
async fn people_are_found_by_those_who_manage_them() {
    let t = TestApp::start().await;
    let page = t.admin().get("/search?q=ossi").await;
    assert_eq!(page.text("section li"), "Ossi Lahti ossi.lahti@contoso.test, operator");
    for mut browser in [t.operator(), t.viewer()] {
        let page = browser.get("/search?q=ossi").await;
        assert_eq!(page.text("h1"), "Nothing found", "{}", page.words());
        assert!(!page.words().contains("ossi.lahti@"));
    }
    let page = t.anonymous().get("/search?q=ossi").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}
