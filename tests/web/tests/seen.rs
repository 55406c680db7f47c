//! What a test read: who may see it, how long it is told, and to which settings it belongs.

use super::run_of;
use crate::probe::imap_server::Imapd;
use crate::support::app::{Page, TestApp};
use crate::web::providers::send;
use axum::http::StatusCode;
use mailgrant::actions::probe::{Options, Order, run_to_end};
use mailgrant::model::audit::Actor;
use mailgrant::model::report::Direction;

#[tokio::test]
async fn senders_and_subjects_are_for_those_who_may_see_them_and_looking_is_written_down() {
    let t = TestApp::start().await;
    let server = Imapd::default().start(None).await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let page = t.operator().post("/mailboxes/hr/test/incoming", &[("defaults", "1")]).await;
    let run = run_of(&page);
    let path = format!("/tests/{run}/messages");
    for mut browser in [t.operator(), t.viewer()] {
        let page = browser.get(format!("/tests/{run}")).await;
        assert!(!page.words().contains("Grüße") && !page.has(&format!("a[href='{path}']")));
        assert_eq!(browser.get(&path).await.status, StatusCode::FORBIDDEN);
    }
    let before = t.app.store.audit_rows_of("mailbox:hr", 20).await.unwrap();
    assert!(before.iter().all(|row| row.action != "mailbox.peek"), "{before:?}");
    let mut admin = t.admin();
    let page = admin.get(format!("/tests/{run}")).await;
    assert!(!page.words().contains("Grüße"), "folded until somebody opens it");
    let page = admin.get(page.attribute(&format!("a[href='{path}']"), "href").unwrap()).await;
    assert!(
        page.words().contains("Grüße") && page.words().contains("ann@contoso.test"),
        "{}",
        page.words()
    );
    let peeked = t.app.store.audit_rows_of("mailbox:hr", 5).await.unwrap();
    assert_eq!(peeked[0].action, "mailbox.peek");
    assert_eq!(peeked[0].actor, "user:maija.korhonen@contoso.test");
    assert_eq!(admin.get("/tests/none/messages").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_result_belongs_to_its_settings_and_says_when_they_changed() {
    let t = TestApp::start().await;
    let server = Imapd::default().start(None).await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let mut admin = t.admin();
    let page = admin.submit("/mailboxes/hr/test/incoming", &[("defaults", "1")]).await;
    assert!(!page.has("#changed"));
    let run = page.attribute("#again", "action").map(|_| ()).and(Some(()));
    assert!(run.is_some());
    let list = admin.get("/tests").await;
    let path = list.attribute("tbody a", "href").unwrap();
    let form = admin.get("/mailboxes/hr/edit").await;
    let page = send(&mut admin, &form, "/mailboxes/hr/edit", &[("folder", "Tickets"), ("act", "save")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let page = admin.get(&path).await;
    assert_eq!(page.text("#changed h2"), "Settings changed after this run");
    assert_eq!(page.text("#changed tbody"), "FolderINBOXTickets");
    let page = admin.get("/mailboxes/hr").await;
    for words in ["Not tested, since the change", "The settings have changed since the last test."] {
        assert!(page.words().contains(words), "{}", page.words());
    }
}

/// A check opens the mailbox and reads nothing: what a test read before it is still what we saw last.
#[tokio::test]
async fn what_a_test_read_stays_on_the_page_when_checks_come_after_it() {
    let t = TestApp::start().await;
    let server = Imapd::default().start(None).await;
    let mailbox = t.add_mailbox("hr", Some(server.port), None).await;
    t.operator().submit("/mailboxes/hr/test/incoming", &[("defaults", "1")]).await;
    let seen = |page: Page| {
        page.text("section:has(h2) dl")
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let before = seen(t.viewer().get("/mailboxes/hr").await);
    assert!(before.contains("Newest message"), "{before}");
    t.clock.advance(900);
    let order = Order {
        mailbox: t.app.store.mailbox_by_id(&mailbox.id).await.unwrap().unwrap(),
        draft: false,
        direction: Direction::Incoming,
        options: Options::check(),
        user: None,
    };
    run_to_end(&t.app, &Actor::console(), order).await.unwrap();
    let page = t.viewer().get("/mailboxes/hr").await;
    assert!(page.words().contains("What we saw last"), "{}", page.words());
    assert!(!page.words().contains("Newest message none"), "{}", page.words());
    let lines = |text: &str| text.split("Newest message").count();
    assert_eq!(lines(&seen(page)), lines(&before));
}
