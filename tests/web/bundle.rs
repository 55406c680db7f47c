//! The support bundle of a test run, a token and a provider: what it says, who may take it, and that taking it is written down. That it
//! holds no secret is `canary::bundle`.

use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::support::app::{Page, TestApp};
use axum::http::StatusCode;

/// A mailbox whose test fails, and the address of that run.
async fn failed(t: &TestApp) -> String {
    let imapd = Imapd::default().on("EXAMINE", "{t} BAD User hr@contoso.test is authenticated but not connected.");
    let server = imapd.start(None).await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let page = t.operator().post("/mailboxes/hr/test/incoming", &[("defaults", "1")]).await;
    page.location().unwrap()
}

fn line<'t>(text: &'t str, label: &str) -> &'t str {
    let line = text.lines().find(|line| line.starts_with(label));
    line.unwrap_or_else(|| panic!("no {label} in\n{text}"))[label.len()..].trim()
}

async fn actions(t: &TestApp, target: &str) -> Vec<(String, String, String)> {
    let rows = t.app.store.audit_rows_of(target, 10).await.unwrap();
    let taken = rows.into_iter().filter(|row| row.action == "bundle.take");
    taken.map(|row| (row.actor, row.target, row.detail)).collect()
}

#[tokio::test]
async fn a_bundle_says_what_a_helper_asks_for() {
    let t = TestApp::start().await;
    let run = failed(&t).await;
    let mut viewer = t.viewer();
    let page = viewer.get(&run).await;
    let panels = page.text("#run-main > section > header h2, #run-main > section .verdict h2");
    assert!(panels.ends_with("Steps\nSupport bundle"), "last of all: {panels}");
    assert!(page.has("#bundle button[value=preview]"), "{}", page.text("#bundle"));
    for (names, address) in [("", format!("{run}/bundle")), ("hidden", format!("{run}/bundle?names=hidden"))] {
        let page = viewer.post(format!("{run}/bundle"), &[("act", "preview"), ("names", names)]).await;
        assert_eq!(page.location(), Some(address), "the tick goes along");
    }
    let page = viewer.get(format!("{run}/bundle")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    let file = viewer.post(format!("{run}/bundle"), &[("act", "download")]).await;
    assert_eq!(file.header("content-type"), "text/plain; charset=utf-8");
    let id = run.strip_prefix("/tests/").unwrap();
    assert_eq!(
        file.header("content-disposition"),
        format!("attachment; filename=\"mailgrant-bundle-{id}.txt\"")
    );
    let text = &file.body;
    assert_eq!(line(text, "Run:"), id);
    assert_eq!(line(text, "Version:"), env!("CARGO_PKG_VERSION"));
    assert!(line(text, "System:").contains("kernel"));
    assert_eq!(line(text, "Proxy:"), "no, the console connects directly");
    assert!(line(text, "Incoming server:").starts_with("127.0.0.1:"), "{text}");
    assert_eq!(line(text, "Outcome:"), "failed");
    assert_eq!(line(text, "Failed at:"), "select");
    assert!(line(text, "Diagnosis:").len() > 5 && line(text, "How sure:").len() > 3, "{text}");
    for part in [
        "Open the inbox (select): failed, ",
        "S A0003 BAD User hr@contoso.test is authenticated but not connected.",
        "ok mailbox.create of mailbox:",
        "hr by console",
        "ossi.lahti@contoso.test",
    ] {
        let loose = part.replace("A0003 ", "");
        assert!(
            text.contains(part) || text.contains(&loose) || part.starts_with('S') && text.contains(&part[8..]),
            "{part}\n{text}"
        );
    }
    assert!(text.lines().count() < 220 && !text.contains(PASSWORD));
    // The preview is that text, word for word.
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let preview = squeeze(&page.text("pre"));
    let without_last_changes = |text: &str| squeeze(text).split(" Last changes").next().unwrap().to_owned();
    assert_eq!(without_last_changes(&preview), without_last_changes(text));
}

#[tokio::test]
async fn names_are_hidden_on_request_the_same_way_throughout() {
    let t = TestApp::start().await;
    let run = failed(&t).await;
    let page = t.viewer().get(format!("{run}/bundle?names=hidden")).await;
    let text = page.text("pre");
    for name in ["hr@contoso", "contoso", "Lahti", "ossi", "Maija"] {
        assert!(!text.to_lowercase().contains(&name.to_lowercase()), "{name}: {text}");
    }
    assert!(
        text.contains("BAD User user1@domain1 is authenticated but not connected."),
        "{text}"
    );
    assert!(page.text("mark").contains("user1@domain1"), "what was replaced is marked");
    assert!(page.has("input[name=names][value=shown]"), "and there is a way back");
}

#[tokio::test]
async fn taking_a_bundle_is_written_down_and_looking_is_not() {
    let t = TestApp::start().await;
    let run = failed(&t).await;
    let mut viewer = t.viewer();
    viewer.get(format!("{run}/bundle")).await;
    assert_eq!(actions(&t, "mailbox:hr").await, []);
    viewer.post(format!("{run}/bundle"), &[("act", "copy"), ("names", "hidden")]).await;
    viewer.post(format!("{run}/bundle"), &[("act", "download")]).await;
    let id = run.strip_prefix("/tests/").unwrap();
    let who = "user:vera.salo@contoso.test".to_owned();
    assert_eq!(
        actions(&t, "mailbox:hr").await,
        [
            (
                who.clone(),
                "mailbox:hr".to_owned(),
                format!("support bundle of run {id} downloaded")
            ),
            (
                who,
                "mailbox:hr".to_owned(),
                format!("support bundle of run {id} copied, names hidden")
            ),
        ]
    );
    for path in ["/tests/none/bundle", "/tokens/none/bundle", "/providers/none/bundle"] {
        assert_eq!(viewer.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(viewer.post(path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_token_and_a_provider_have_a_bundle_of_their_own() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let mut admin = t.admin();
    let told = async |admin: &mut crate::support::app::Browser, path: &str| -> Page { admin.post(path, &[("act", "download")]).await };
    let page = told(&mut admin, "/tokens/support/bundle").await;
    assert!(
        page.header("content-disposition")
            .ends_with("\"mailgrant-bundle-token-support.txt\"")
    );
    assert_eq!(line(&page.body, "Account that must sign in:"), "support@contoso.test");
    assert_eq!(line(&page.body, "State:"), "unauthorized");
    assert!(page.body.contains("Last refusal"), "{}", page.body);
    assert_eq!(actions(&t, "token:support").await.len(), 1);
    let page = told(&mut admin, "/providers/contoso/bundle").await;
    assert_eq!(line(&page.body, "Tenant ID:"), "contoso.test");
    assert_eq!(line(&page.body, "Kind:"), "microsoft");
    let page = admin.post("/providers/contoso/bundle", &[("names", "hidden")]).await;
    assert!(!page.body.contains("contoso"), "{}", page.body);
}
