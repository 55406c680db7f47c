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
}

#[tokio::test]
async fn the_text_of_an_error_is_explained_and_gets_into_no_address() {
    let t = TestApp::start().await;
    t.add_mailbox("hr", Some(1), None).await;
    let mut viewer = t.viewer();
    let page = viewer.get("/").await;
    assert_eq!(page.attribute(".top form.find", "method").as_deref(), Some("post"));
    // A word goes on to its address, and a single hit is opened from there.
    for (word, leads) in [("hr", "/search?q=hr"), ("535 5.7.139", "/search?q=535+5.7.139")] {
        let page = viewer.post("/search", &[("q", word)]).await;
        assert_eq!(page.location().as_deref(), Some(leads), "{}", page.words());
    }
    let page = viewer.submit("/search", &[("q", "hr")]).await;
    assert_eq!(page.text("h1"), "hr@contoso.test", "{}", page.words());

    let secret = "canaryCanary0123456789abc";
    for text in [
        format!("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Bearer {secret}"),
        "AADSTS50034: The user account canary@contoso.test does not exist".to_owned(),
        format!("Bearer {secret}"),
        format!(
            "Good morning, {} {secret} doesn't get any mail since Tuesday, and nobody knows why that is",
            "canary"
        ),
    ] {
        let typed = viewer.post("/search", &[("q", &text)]).await;
        assert_eq!((typed.status, typed.location()), (StatusCode::OK, None), "{}", typed.words());
        assert!(
            typed.has("#answer") && typed.has("form[action='/explain'] textarea"),
            "{}",
            typed.words()
        );
        // The same where somebody wrote it into the address: nothing on the page leads on with it.
        let query = serde_urlencoded::to_string([("q", &text)]).unwrap();
        let page = viewer.get(format!("/search?{query}")).await;
        assert_eq!((page.status, page.location()), (StatusCode::OK, None), "{}", page.words());
        assert_eq!(page.text("#pasted"), typed.text("#pasted"));
        for page in [typed, page] {
            assert!(
                !page.body.contains("canaryCanary") || !text.contains("Bearer"),
                "{}",
                page.text("#pasted")
            );
            assert!(!page.text("title").contains("canary"), "{}", page.text("title"));
            for name in ["href", "action", "value", "src"] {
                let found = page.attribute(&format!("[{name}*=canary]"), name);
                assert_eq!(found, None, "{name}");
            }
        }
    }
    // Nothing of it is kept for somebody whose session ended meanwhile.
    t.clock.advance(30 * 86_400);
    let page = viewer
        .post(
            "/search",
            &[("q", "AADSTS50034: The user account canary@contoso.test does not exist")],
        )
        .await;
    assert_eq!(
        (page.status, t.count("SELECT COUNT(*) FROM drafts").await),
        (StatusCode::SEE_OTHER, 0)
    );
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
