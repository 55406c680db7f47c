//! Ways that are dead, on the pages: with their cause in words, and one link to where they are mended.

use super::{PATH, save};
use crate::support::app::{Browser, Page, TestApp};
use crate::worker::sink::Hook;
use mailgrant::web::{WebState, router};
use mailgrant::worker::{instances, notices};

/// A browser of this role whose frame counts anew: counts are kept for some seconds.
async fn fresh(t: &TestApp, role: &str) -> Browser {
    let mut browser = t.signed_in(role);
    browser.set_router(router(WebState::new(t.app.clone()).await.unwrap()));
    browser
}

/// What the banners of a page say.
fn banners(page: &Page) -> String {
    page.text(".note.flash.warn")
}

async fn open_notice(t: &TestApp, event: &str, cause: &str) {
    let sql = format!(
        "INSERT INTO notices (id, event, cause, state, opened_at, closed_at, words)
         VALUES ('{cause}', '{event}', '{cause}', 'told', 1795246000, NULL, '{{\"since\":1795245600}}')"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(t.app.store.raw_pool()).await.unwrap();
}

#[tokio::test]
async fn a_dead_way_is_told_on_every_page_since_when_with_one_link() {
    let t = TestApp::start().await;
    assert!(!banners(&fresh(&t, "viewer").await.get("/mailboxes").await).contains("Notifications can't be mailed"));
    open_notice(&t, "notices.mail_dead", "mail").await;
    open_notice(&t, "notices.webhook_dead", "webhook").await;
    let page = fresh(&t, "admin").await.get("/mailboxes").await;
    let told = banners(&page);
    for expected in [
        "Notifications can't be mailed since 07:20 today, 40 minutes ago.",
        "The webhook gets no notifications since 07:20 today, 40 minutes ago.",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(
        page.attribute(".note.flash.warn time", "datetime").as_deref(),
        Some("2026-11-21T07:20:00Z")
    );
    assert_eq!(page.body.matches("<p>The webhook gets no notifications").count(), 1);
    assert_eq!(page.attribute(".note.flash.warn a", "href").as_deref(), Some(PATH));
    // Whoever can't mend the webhook has nothing to do about it.
    let page = fresh(&t, "viewer").await.get("/mailboxes").await;
    assert!(banners(&page).contains("can't be mailed") && !banners(&page).contains("webhook"));
}

/// Whoever has just chosen another way isn't told to choose another way, but how to see whether this one works.
#[tokio::test]
async fn a_way_that_was_changed_is_to_be_tried_and_not_to_be_changed_again() {
    let t = TestApp::start().await;
    let mut fallback = [
        ("recipients", "ann@contoso.test"),
        ("host", "127.0.0.1"),
        ("port", "1"),
        ("from", "mg@contoso.test"),
    ];
    save(&t, &fallback).await;
    let page = t.admin().submit("/settings/notifications/test/mail", &[]).await;
    assert!(page.words().contains("didn't get through"), "{}", page.words());
    t.clock.advance(600);
    let note = async || fresh(&t, "admin").await.get(PATH).await.text(".note.warn");
    let before = note().await;
    assert!(
        before.contains("can't be mailed") && before.contains("Choose another mailbox that sends"),
        "{before}"
    );
    fallback[2] = ("port", "2");
    save(&t, &fallback).await;
    let after = note().await;
    assert!(
        after.contains("Send a test: if it arrives, this is over.") && !after.contains("Choose another"),
        "{after}"
    );
    instances::tick(&t.app).await.unwrap();
    notices::tick(&t.app).await.unwrap();
    let cause = fresh(&t, "admin").await.get("/").await.text(".todo li");
    assert!(!cause.contains("Choose another mailbox"), "{cause}");
}

#[tokio::test]
async fn a_webhook_that_is_off_is_a_cause_on_the_overview_and_told_with_its_fix_where_it_is_set() {
    let t = TestApp::start().await;
    let hook = Hook::start().await;
    save(&t, &[("webhook", &hook.url)]).await;
    hook.answers(410, "gone");
    let mut admin = t.admin();
    let page = admin.submit("/settings/notifications/test/webhook", &[]).await;
    assert!(page.text(".diagnosis").contains("The webhook is gone"), "{}", page.words());
    instances::tick(&t.app).await.unwrap();
    notices::tick(&t.app).await.unwrap();
    let page = fresh(&t, "admin").await.get("/").await;
    assert!(
        page.text(".todo h3").contains("The webhook gets no notifications"),
        "{}",
        page.words()
    );
    assert!(page.text(".todo li").contains("It answered with HTTP 410"), "{}", page.words());
    assert_eq!(page.attribute(".todo .btn", "href").as_deref(), Some(PATH));
    assert!(!banners(&page).contains("webhook"), "once a page");
    let page = fresh(&t, "admin").await.get(PATH).await;
    let note = page.text(".note.warn");
    assert!(
        note.contains("The webhook is turned off.") && note.contains("turn this one on again") && note.contains("just now"),
        "{note}"
    );
    assert_eq!(banners(&page), "", "this page says it with its cause");
    // Changed, it counts as dead until something got through.
    hook.answers(204, "");
    save(&t, &[("webhook", &hook.url), ("turn_on", "1")]).await;
    let page = t.admin().get(PATH).await;
    assert!(page.text(".note.warn").contains("Send a test to the webhook"), "{}", page.words());
    admin.submit("/settings/notifications/test/webhook", &[]).await;
    let page = t.admin().get(PATH).await;
    assert!(!page.has(".note.warn"), "{}", page.words());
}

#[tokio::test]
async fn a_webhook_that_cant_be_reached_is_told_in_words_and_not_in_the_systems_numbers() {
    let t = TestApp::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut admin = t.admin();
    for (address, title, fix) in [
        (
            format!("http://127.0.0.1:{port}/x"),
            "Nothing answers at the webhook's address",
            "whether it is up",
        ),
        (
            "https://nobody-has-this-name.invalid/x".to_owned(),
            "The webhook's server name isn't found",
            "typing error in the address",
        ),
    ] {
        save(&t, &[("webhook", &address)]).await;
        t.clock.advance(1);
        let page = admin.submit("/settings/notifications/test/webhook", &[]).await;
        assert!(page.text(".diagnosis").contains(title), "{title}: {}", page.words());
        assert!(page.text(".diagnosis").contains(fix), "{fix}: {}", page.words());
        let open = page.attribute("#tested li a", "href").unwrap();
        for page in [page, admin.get(&open).await] {
            assert!(!page.body.contains("os error"), "{}", page.words());
        }
    }
}
