//! Runs in the console: the short form, the page of a run while it goes on and afterwards, stopping, senders and subjects, the list.

mod seen;
mod stream;

use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::server::{Peer, Server};
use crate::probe::smtp_server::Smtpd;
use crate::support::app::{Page, TestApp};
use axum::http::StatusCode;
use mailgrant::model::RunId;
use std::sync::Arc;
use std::time::Duration;

/// A server that greets and then waits.
async fn silent() -> Server {
    Server::start(None, |mut peer: Peer| async move {
        peer.say("* OK ready").await?;
        peer.wait().await
    })
    .await
}

/// Waits until something is so.
async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// The steps of a run as its page lists them: `Connect, passed`.
fn steps(page: &Page) -> Vec<String> {
    page.text(".steps .step h3").lines().map(str::to_owned).collect()
}

fn run_of(page: &Page) -> String {
    let location = page.location().unwrap_or_else(|| panic!("no run: {}", page.words()));
    location.strip_prefix("/tests/").unwrap().to_owned()
}

/// Starts a test as a page with script does, and does not wait for its end.
async fn begin(t: &TestApp, name: &str, direction: &str) -> String {
    let path = format!("/mailboxes/{name}/test/{direction}");
    let page = t.operator().post(&path, &[("defaults", "1"), ("script", "1")]).await;
    run_of(&page)
}

#[tokio::test]
async fn without_script_the_answer_waits_until_the_run_has_ended() {
    let t = TestApp::start().await;
    let server = Imapd::default().start(None).await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let mut operator = t.operator();
    let page = operator.get("/mailboxes/hr/test/incoming").await;
    assert!(page.words().contains("Reads only, changes nothing."), "{}", page.words());
    let fields = page.form("/mailboxes/hr/test/incoming");
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let page = operator.post_raw("/mailboxes/hr/test/incoming", &fields).await;
    let run = run_of(&page);
    let page = operator.get(format!("/tests/{run}")).await;
    assert_eq!(page.text("#verdict h2"), "hr@contoso.test can be read", "{}", page.words());
    assert_eq!(
        page.text("#verdict .facts"),
        "Unread2 of 3Newest message08:00 todayJunk in 7 days1Oversized1"
    );
    assert!(page.text("title").starts_with("Passed: test incoming, hr@contoso.test"));
    assert!(!page.has("[data-events]"), "nothing is left to wait for");
    assert_eq!(page.text("main .btn.primary"), "Test again");
    // The same form again, by a second press or the back button: no second test.
    let again = operator.post_raw("/mailboxes/hr/test/incoming", &fields).await;
    assert_eq!(run_of(&again), run);
    assert_eq!(server.connections(), 1);
    // A refused form keeps what was typed.
    let page = operator
        .post(
            "/mailboxes/hr/test/incoming",
            &[("newest", "many"), ("oversized", "25"), ("junk_days", "7")],
        )
        .await;
    assert_eq!(page.text(".summary a"), "Newest messages to read must be between 0 and 50");
    assert_eq!(page.attribute("#newest", "value").as_deref(), Some("many"));
}

#[tokio::test]
async fn a_failed_run_says_what_is_wrong_what_to_do_and_shows_the_reply() {
    let t = TestApp::start().await;
    let imapd = Imapd::default().on("EXAMINE", "{t} BAD User is authenticated but not connected.");
    let server = imapd.start(None).await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let mut operator = t.operator();
    let page = operator.submit("/mailboxes/hr/test/incoming", &[("defaults", "1")]).await;
    assert!(page.text("title").starts_with("Failed: test incoming"), "{}", page.words());
    assert!(page.has("section.panel.bad#verdict"));
    assert!(page.text("#verdict .fixes li").lines().count() >= 1);
    assert!(page.text("#verdict .who").starts_with("Who can do it: "));
    assert_eq!(
        page.text("#verdict footer span").lines().next(),
        Some("Ruled out: network, user name and password.")
    );
    assert!(page.text("#verdict .talk").contains("BAD User is authenticated but not connected."));
    assert_eq!(
        steps(&page),
        [
            "Find the server, passed",
            "Connect, passed",
            "Greeting, passed",
            "Capabilities, passed",
            "Sign in, passed",
            "Open the inbox, failed",
            "Count unread, read the newest, look for oversized messages, count junk, not tried",
        ]
    );
    assert!(
        page.text(".step.fail .talk")
            .contains("BAD User is authenticated but not connected.")
    );
    assert!(page.has(".step.fail details[open]"));
    assert!(!page.body.contains(PASSWORD) && page.text(".talk").contains("EXAMINE"));
    // It is told in the mailbox, in the list and on the overview as well.
    let title = page.text("#verdict h2");
    for path in ["/mailboxes/hr", "/mailboxes", "/", "/tests"] {
        assert!(operator.get(path).await.words().contains(&title), "{path}");
    }
    // Somebody who only looks sees all of it, and can't start anything.
    let run = page.attribute("#again", "action").unwrap();
    assert_eq!(run, "/mailboxes/hr/test/incoming");
    let location = t.count("SELECT COUNT(*) FROM runs").await;
    assert_eq!(location, 1);
    let page = t.viewer().get("/tests").await;
    let page = t.viewer().get(page.attribute("tbody a", "href").unwrap()).await;
    assert!(page.text(".talk").contains("EXAMINE") && !page.has("#again"));
    assert_eq!(t.viewer().get("/mailboxes/hr/test/incoming").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_running_test_shows_how_far_it_is_and_can_be_stopped() {
    let t = TestApp::start().await;
    let server = silent().await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let run = begin(&t, "hr", "incoming").await;
    until("connected", || server.open() == 1).await;
    let live = t.app.probes.live(&RunId(run.clone())).unwrap();
    until("greeted", || live.progress.borrow().report.steps.len() == 3).await;
    let mut operator = t.operator();
    let page = operator.get(format!("/tests/{run}")).await;
    assert_eq!(page.text("#steps-h"), "Running, step 4 of 9");
    assert_eq!(page.text("#status"), "Step 4 of 9: capabilities");
    assert_eq!(page.attribute("progress", "value").as_deref(), Some("3.5"));
    assert_eq!(page.attribute("[data-events]", "data-events"), Some(format!("/tests/{run}/events")));
    assert!(page.has("noscript"), "without script there is a button to look again");
    assert_eq!(
        steps(&page)[..5],
        [
            "Find the server, passed",
            "Connect, passed",
            "Greeting, passed",
            "Capabilities, running",
            "Sign in, not started"
        ]
    );
    let page = t.viewer().post(format!("/tests/{run}/stop"), &[]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let page = operator.submit(format!("/tests/{run}/stop"), &[]).await;
    assert_eq!(page.text("#verdict h2"), "Stopped before the end", "{}", page.words());
    until("disconnected", || server.open() == 0).await;
    let page = operator.submit(format!("/tests/{run}/stop"), &[]).await;
    assert!(page.text(".flash").contains("had ended already"));
    assert!(operator.get("/tests?outcome=stopped").await.words().contains("hr@contoso.test"));
}

/// A stop at another instance takes effect once it is committed: it must not be there without who wanted it.
#[tokio::test]
async fn a_stop_is_wanted_only_together_with_its_entry() {
    let t = TestApp::start().await;
    let server = silent().await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let run = begin(&t, "hr", "incoming").await;
    until("connected", || server.open() == 1).await;
    // Another instance, which has it not under way itself.
    let mut web = t.web.clone();
    web.app.probes = Default::default();
    let mut operator = t.operator();
    operator.set_router(mailgrant::web::router(web));
    let pool = t.app.store.raw_pool();
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON audit WHEN NEW.action = 'mailbox.test_stop' BEGIN SELECT RAISE(ABORT, 'full'); END";
    sqlx::query(trigger).execute(pool).await.unwrap();
    let answer = operator.post(format!("/tests/{run}/stop"), &[]).await;
    assert!(answer.status.is_server_error(), "{}", answer.words());
    assert_eq!(t.count("SELECT COUNT(*) FROM runs WHERE stop_wanted = 1").await, 0);
    sqlx::query("DROP TRIGGER full").execute(pool).await.unwrap();
    operator.post(format!("/tests/{run}/stop"), &[]).await;
    assert_eq!(t.count("SELECT COUNT(*) FROM runs WHERE stop_wanted = 1").await, 1);
    assert_eq!(t.count("SELECT COUNT(*) FROM audit WHERE action = 'mailbox.test_stop'").await, 1);
}

#[tokio::test]
async fn a_test_message_goes_where_the_form_says_and_an_unknown_fate_is_told() {
    let t = TestApp::start().await;
    let smtpd = Smtpd::default();
    let messages = Arc::clone(&smtpd.messages);
    let server = smtpd.start(None).await;
    t.add_mailbox("hr", None, Some(server.port)).await;
    let mut operator = t.operator();
    let page = operator.get("/mailboxes/hr/test/outgoing").await;
    let subject = page.attribute("#subject", "value").unwrap();
    assert!(subject.starts_with("Test ") && subject.ends_with(" from Mailgrant"));
    let fields = [
        ("from", "hr@contoso.test"),
        ("to", "boss@contoso.test"),
        ("subject", subject.as_str()),
    ];
    let page = operator.submit("/mailboxes/hr/test/outgoing", &fields).await;
    assert_eq!(page.text("#verdict h2"), "hr@contoso.test can send", "{}", page.words());
    assert!(
        page.text("#verdict .facts").starts_with("Sent toboss@contoso.test"),
        "{}",
        page.text("#verdict .facts")
    );
    assert!(messages.lock().unwrap()[0].contains(&format!("Subject: {subject}")));
    for (over, message) in [
        (("to", "x"), "Enter an email address like support@example.com"),
        (
            ("subject", "a\r\nBcc: x@y.z"),
            "Subject must be one line of 200 characters or fewer",
        ),
    ] {
        let fields = [("from", "hr@contoso.test"), ("to", "hr@contoso.test"), over];
        let fields: Vec<_> = fields
            .into_iter()
            .filter(|(name, value)| *name != over.0 || *value == over.1)
            .collect();
        let page = operator.post("/mailboxes/hr/test/outgoing", &fields).await;
        assert_eq!(page.text(".summary a"), message);
    }
    assert_eq!(messages.lock().unwrap().len(), 1);

    let lost = Smtpd {
        taken: "close".to_owned(),
        ..Smtpd::default()
    };
    let lost_messages = Arc::clone(&lost.messages);
    let lost = lost.start(None).await;
    t.add_mailbox("it", None, Some(lost.port)).await;
    let page = operator.submit("/mailboxes/it/test/outgoing", &[("defaults", "1")]).await;
    assert_eq!(
        page.text("#verdict h2"),
        "We can't know whether the message was sent",
        "{}",
        page.words()
    );
    assert_eq!(lost_messages.lock().unwrap().len(), 1, "it is not sent a second time");
}

#[tokio::test]
async fn sides_and_runs_that_do_not_exist_are_not_found() {
    let t = TestApp::start().await;
    t.add_mailbox("hr", Some(1143), None).await;
    let mut admin = t.admin();
    let page = admin.get("/mailboxes/hr/test/outgoing").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.words().contains("it has no outgoing side"));
    for path in [
        "/mailboxes/none/test/incoming",
        "/mailboxes/hr/test/sideways",
        "/tests/none",
        "/tests/none/events",
        "/mailboxes/HR",
    ] {
        assert_eq!(admin.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for (path, words) in [
        ("/mailboxes/none", "There is no such mailbox. It may have been deleted."),
        ("/providers/none", "There is no such provider. It may have been deleted."),
        ("/tokens/none", "There is no such token. It may have been deleted."),
        ("/tests/none", "There is no such test run. It may be too long ago."),
    ] {
        let page = admin.get(path).await;
        assert!(page.words().contains(words), "{}", page.words());
    }
    let page = admin.get("/tests").await;
    assert_eq!(page.text("main h2"), "No test has run yet");
    for odd in ["?after=x", "?outcome=odd", "?mailbox=%3Cb%3E", "?after=1.2&direction=incoming"] {
        assert_eq!(admin.get(format!("/tests{odd}")).await.status, StatusCode::OK, "{odd}");
    }
}

#[tokio::test]
async fn the_list_of_runs_filters_and_pages() {
    let t = TestApp::start().await;
    let server = Imapd::default().start(None).await;
    t.add_mailbox("hr", Some(server.port), None).await;
    t.add_mailbox("it", Some(1), None).await;
    t.operator().post("/mailboxes/hr/test/incoming", &[("defaults", "1")]).await;
    t.operator().post("/mailboxes/it/test/incoming", &[("defaults", "1")]).await;
    let mut viewer = t.viewer();
    let rows = |page: &Page| page.text("tbody tr").lines().count();
    assert_eq!(rows(&viewer.get("/tests").await), 2);
    let failed = viewer.get("/tests?outcome=failed").await;
    assert!(
        rows(&failed) == 1 && failed.text("tbody").contains("it@contoso.test"),
        "{}",
        failed.text("tbody")
    );
    assert_eq!(rows(&viewer.get("/tests?mailbox=hr").await), 1);
    // Most people know the address, and not the name; what matches nobody must not look as if everybody's tests matched.
    assert_eq!(rows(&viewer.get("/tests?mailbox=HR@contoso.test").await), 1);
    for nobody in ["else@contoso.test", "HR%20and%20more", "?"] {
        let page = viewer.get(format!("/tests?mailbox={nobody}")).await;
        assert_eq!(page.text("main h2"), "No test matches", "{nobody}");
    }
    assert_eq!(viewer.get("/tests?direction=outgoing").await.text("main h2"), "No test matches");
    let row = t
        .app
        .store
        .runs(&mailgrant::store::reports::RunFilter {
            limit: 1,
            ..Default::default()
        })
        .await
        .unwrap()
        .remove(0);
    let mut tx = t.app.store.begin().await.unwrap();
    for n in 0..60 {
        let copy = mailgrant::store::reports::Run {
            id: RunId(format!("copy{n:03}")),
            report: "{}".into(),
            settings: "[]".into(),
            ..row.clone()
        };
        tx.insert_run(&copy).await.unwrap();
    }
    tx.commit().await.unwrap();
    let page = viewer.get("/tests").await;
    assert_eq!(rows(&page), 50);
    let page = viewer.get(page.attribute(".pager a[rel=next]", "href").unwrap()).await;
    assert_eq!(rows(&page), 12);
    assert!(!page.has(".pager a[rel=next]"));
    let page = viewer.get("/tests?outcome=failed&mailbox=it@contoso.test").await;
    let page = viewer.get(page.attribute(".pager a[rel=next]", "href").unwrap()).await;
    let first = page.attribute(".pager a", "href").unwrap();
    assert_eq!(first, "/tests?mailbox=it%40contoso.test&outcome=failed", "back to the same list");
    // A report that can't be read spoils its own page only, and says so.
    let page = viewer.get("/tests/copy000").await;
    assert_eq!(page.status, StatusCode::OK);
}
