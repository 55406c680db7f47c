//! *Explain an error*: from a pasted text to its cause and to who shows it now; and nothing of the text stays.

use crate::probe::imap_server::Imapd;
use crate::support::app::{Browser, Page, TestApp};
use axum::http::{Method, StatusCode};
use mailgrant::diagnosis::LONGEST;
use std::time::{Duration, Instant};

/// Sends a text as the page does.
async fn paste(browser: &mut Browser, text: &str) -> Page {
    let csrf = browser
        .get("/explain")
        .await
        .attribute("form[action='/explain'] input[name=csrf_token]", "value")
        .unwrap();
    let part = |name: &str, value: &str| format!("--paste\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let body = format!("{}{}--paste--\r\n", part("csrf_token", &csrf), part("text", text));
    let kind = [("content-type", "multipart/form-data; boundary=paste")];
    browser.send(Method::POST, "/explain", &kind, body.into()).await
}

const MISCONFIGURED: &str = "User is authenticated but not connected.";

#[tokio::test]
async fn a_code_and_a_text_are_explained_and_who_shows_it_is_named() {
    let t = TestApp::start().await;
    let imapd = Imapd::default().on("EXAMINE", &format!("{{t}} BAD {MISCONFIGURED}"));
    let server = imapd.start(None).await;
    for name in ["hr", "it"] {
        t.add_mailbox(name, Some(server.port), None).await;
    }
    let tested = t.operator().submit("/mailboxes/hr/test/incoming", &[("defaults", "1")]).await;
    let mut viewer = t.viewer();
    let page = viewer.get("/explain").await;
    assert!(page.has("textarea#text") && !page.has("#answer"), "{}", page.words());
    let page = viewer.post("/explain", &[("text", MISCONFIGURED)]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        tested.words().contains(&page.text("#answer h2")),
        "as the test says it: {}",
        page.text("#answer h2")
    );
    assert!(page.has("#answer .fixes li"), "{}", page.words());
    assert_eq!(page.text("#now li"), "hr@contoso.test mailbox");
    assert_eq!(page.attribute("#now a", "href").as_deref(), Some("/mailboxes/hr"));
    let page = viewer
        .post("/explain", &[("text", "AADSTS50011: The redirect URI specified does not match")])
        .await;
    assert!(
        page.text("title").contains("explain an error") && page.text("#now").contains("No mailbox, token or provider"),
        "{}",
        page.words()
    );
    let page = viewer.get("/explain?text=AADSTS7000222").await;
    assert!(page.text("#answer h2").to_lowercase().contains("secret"), "{}", page.words());
}

#[tokio::test]
async fn prose_is_not_known_and_says_what_to_do() {
    let t = TestApp::start().await;
    let page = t
        .viewer()
        .post(
            "/explain",
            &[("text", "Good morning, the mail does not arrive any more since Tuesday.")],
        )
        .await;
    assert_eq!(page.text("#answer h2"), "We don't know this one", "{}", page.words());
    assert!(page.words().contains("Paste the whole error"), "{}", page.words());
    assert!(!page.has("#now"));
}

#[tokio::test]
async fn nothing_of_a_pasted_text_stays_anywhere() {
    const SECRET: &str = "EwBoA8l6BAAUcanary7p9QDpi0123456789abcdefCanary";
    let t = TestApp::start().await;
    let text = format!(
        "AADSTS50011 Bearer {SECRET}\nSubject: canary-subject\nSet-Cookie: canary-cookie\n{{\"client_secret\":\"canary-client\",\"password\":\"canary-pass\"}}\n\
         https://x.example/cb?code=canary-code-of-a-sign-in&state=1"
    );
    let mut viewer = t.viewer();
    let page = viewer.post("/explain", &[("text", &text)]).await;
    assert!(page.text("#pasted mark").lines().count() >= 5, "{}", page.text("#pasted"));
    assert!(!page.body.to_lowercase().contains("canary"), "{}", page.text("#pasted"));
    assert!(page.text("#pasted").contains("AADSTS50011"));
    // A long text is read to its end; what is shown of it is its beginning.
    let long = format!("{text}\n{}\nAADSTS50011", "x ".repeat(24_000));
    let page = viewer.post("/explain", &[("text", &long)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    assert!(page.text("#pasted").contains("The rest was read too") && !page.body.to_lowercase().contains("canary"));
    // Too long: it says so, and shows what was typed without secrets.
    let page = paste(&mut viewer, &format!("{text}\n{}", "x ".repeat(LONGEST / 2))).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.text(".summary a").starts_with("Code or text must be 1 MiB or less"),
        "{}",
        page.words()
    );
    assert!(page.text("#text").contains("AADSTS50011") && !page.body.to_lowercase().contains("canary"));
    assert_eq!(
        viewer.post("/explain", &[("text", "  ")]).await.text(".summary a"),
        "Enter a code or text"
    );
    // Neither is it kept for somebody whose session ended meanwhile.
    let mut late = t.viewer();
    late.get("/explain").await;
    t.clock.advance(30 * 86_400);
    let page = late.post("/explain", &[("text", &text)]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(t.count("SELECT COUNT(*) FROM drafts").await, 0);
    let audit = format!("{:?}", t.app.store.audit_rows(50).await.unwrap());
    assert!(!audit.contains("canary"), "{audit}");
    t.app.store.close().await;
    for entry in std::fs::read_dir(t.data_dir()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("canary-"), "it is in a file");
    }
}

/// Texts of the longest size that ask the most of whoever reads them; a person waits for none of them, and the console goes on meanwhile.
#[tokio::test]
async fn a_text_of_the_longest_size_is_explained_in_time() {
    let t = TestApp::start().await;
    let mut viewer = t.viewer();
    for (name, unit) in [
        ("letters", "a"),
        ("codes", "AADSTS50011 "),
        ("tags", "<div><script>"),
        ("open tags", "<a href=\"<"),
        ("entities", "&amp;#38;"),
        ("escapes", "%2525"),
        ("braces", "{\"error\":{\"a\":["),
        ("replies", "550 5.7.1 no\r\n550-"),
        ("secrets", "Bearer eyJhbGciOi.eyJzdWIi.c2ln client_secret="),
        ("boxes", "a@b.test, "),
        ("blank lines", "\n"),
    ] {
        let text = unit.repeat((LONGEST - 20) / unit.len()) + "AADSTS7000222";
        let began = Instant::now();
        let page = paste(&mut viewer, &text).await;
        assert_eq!(page.status, StatusCode::OK, "{name}: {}", page.words());
        let took = began.elapsed();
        println!("{name}: {} ms", took.as_millis());
        assert!(took < Duration::from_secs(25), "{name} took {took:?}");
    }
}
