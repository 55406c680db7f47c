//! Messages of mailboxes to themselves, and what the weekly look found: on the mailbox's page, on the overview, on a page of its own.

use super::providers::send;
use crate::support::app::TestApp;
use axum::http::StatusCode;
use mailgrant::clock::Clock;
use mailgrant::model::mailbox::Mailbox;
use mailgrant::model::round_trip::{Outcome, RoundTrip};
use mailgrant::store::findings::Finding;

async fn found(t: &TestApp, mailbox: &Mailbox, oversized: i64, junk: Option<i64>) {
    let found = Finding {
        name: mailbox.name.to_string(),
        address: mailbox.address.clone(),
        found_at: t.clock.now(),
        messages: 1234,
        junk,
        junk_days: 7,
        oversized,
        limit_mb: 25,
    };
    let mut tx = t.app.store.begin().await.unwrap();
    tx.put_finding(&mailbox.id, &found).await.unwrap();
    tx.commit().await.unwrap();
}

async fn execute(t: &TestApp, sql: &'static str) {
    sqlx::query(sql).execute(t.app.store.raw_pool()).await.unwrap();
}

#[tokio::test]
async fn what_the_weekly_look_found_is_one_row_however_many_mailboxes() {
    let t = TestApp::start().await;
    assert_eq!(t.viewer().get("/findings").await.text(".empty h2"), "Nothing was found");
    let mut all = Vec::new();
    for name in ["a", "b", "c", "d"] {
        all.push(t.add_mailbox(name, Some(1143), None).await);
    }
    execute(&t, "UPDATE mailboxes SET enabled = 1").await;
    found(&t, &all[3], 0, Some(12)).await;
    let title = async || t.viewer().get("/").await.text(".todo h3");
    assert_eq!(title().await, "1 mailbox has new mail in the junk folder");
    for (mailbox, large) in all.iter().zip([1, 2, 2]) {
        found(&t, mailbox, large, None).await;
    }
    let page = t.viewer().get("/").await;
    assert_eq!(page.text(".todo h3"), "3 mailboxes hold messages over 25 MB");
    let text = page.text(".todo p");
    assert!(
        text.contains("5 messages in all") && text.contains("12 messages came into the junk folder of 1 mailbox within 7 days"),
        "{text}"
    );
    let page = t.viewer().get(&page.attribute(".todo .btn", "href").unwrap()).await;
    assert_eq!(page.text("tbody tr").lines().count(), 4);
    assert!(page.text("tbody tr:first-child").contains("2 over 25 MB"), "{}", page.text("tbody"));
    let page = t.viewer().get("/mailboxes/d").await;
    assert!(
        page.text("#weekly").contains("Over 25 MB0") && page.text("#weekly").contains("Junk, last 7 days12"),
        "{}",
        page.text("#weekly")
    );
    // What is turned off, and what is old, is nobody's task.
    execute(&t, "UPDATE mailboxes SET enabled = 0").await;
    assert_eq!(title().await, "");
    execute(&t, "UPDATE mailboxes SET enabled = 1").await;
    execute(&t, "UPDATE findings SET found_at = found_at - 9 * 86400").await;
    assert_eq!(title().await, "");
}

#[tokio::test]
async fn more_findings_than_a_page_has_are_each_on_one() {
    let t = TestApp::start().await;
    for number in 0..3 {
        t.add_mailbox(&format!("m{number}"), Some(1143), None).await;
    }
    execute(
        &t,
        "INSERT INTO mailboxes (id, name, address, display_name, enabled, tags, bcc, state, changed_at, version, created_at)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
         SELECT 'id' || i, 'box-' || i, 'box-' || i || '@contoso.test', '', 1, '[]', '[]', 3, 1, 1, 1 FROM n",
    )
    .await;
    // Many hold the same, and some have no junk folder at all.
    execute(
        &t,
        "INSERT INTO findings (mailbox_id, found_at, messages, junk, junk_days, oversized, limit_mb)
         SELECT id, 1795248000, 9, CASE WHEN LENGTH(name) = 5 THEN NULL ELSE 2 END, 7, LENGTH(name) - 4, 25 FROM mailboxes WHERE name LIKE 'box-%'",
    )
    .await;
    let mut viewer = t.viewer();
    let names = |page: &crate::support::page::Page| {
        page.text("tbody tr td:first-child a")
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (mut all, mut pages) = (Vec::new(), Vec::new());
    let mut page = viewer.get("/findings").await;
    assert_eq!(page.text(".pager span"), "1–50 of 120");
    loop {
        all.extend(names(&page));
        pages.push(names(&page));
        let Some(next) = page.attribute(".pager a[rel=next]", "href") else {
            break;
        };
        page = viewer.get(&next).await;
    }
    assert_eq!(page.text(".pager span"), "101–120 of 120");
    all.sort();
    all.dedup();
    assert_eq!((all.len(), pages.len()), (120, 3));
    page = viewer.get(&page.attribute(".pager a[rel=prev]", "href").unwrap()).await;
    assert_eq!(
        (names(&page), page.text(".pager span")),
        (pages[1].clone(), "51–100 of 120".to_owned())
    );
    page = viewer.get(&page.attribute(".pager a[rel=prev]", "href").unwrap()).await;
    assert_eq!(names(&page), pages[0]);
    assert!(!page.has(".pager a[rel=prev]"));
    let overview = t.viewer().get("/").await;
    assert!(
        overview.text(".todo h3").contains("120 mailboxes hold messages over 25 MB"),
        "{}",
        overview.text(".todo h3")
    );
    assert!(
        overview.text(".todo p").contains("252 messages in all"),
        "{}",
        overview.text(".todo p")
    );
}

#[tokio::test]
async fn a_mailbox_that_sends_to_itself_shows_its_delays_and_a_late_one_is_told() {
    let t = TestApp::start().await;
    let mailbox = t.add_mailbox("support", Some(1143), Some(1025)).await;
    assert!(
        !t.viewer().get("/mailboxes/support").await.has("#round-trips"),
        "nobody wants it here"
    );
    let mut admin = t.admin();
    let form = admin.get("/mailboxes/support/edit").await;
    assert!(form.text("#round_trip_hours-h").contains("The messages stay"));
    let wrong = send(
        &mut admin,
        &form,
        "/mailboxes/support/edit",
        &[("round_trip_hours", "6"), ("incoming", "pop3"), ("act", "save")],
    )
    .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text("#round_trip_hours-e").contains("IMAP"), "{}", wrong.words());
    assert!(wrong.has("#round_trip_hours option[value='6'][selected]"), "what was chosen stays");
    let saved = send(
        &mut admin,
        &form,
        "/mailboxes/support/edit",
        &[("round_trip_hours", "6"), ("act", "save")],
    )
    .await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.words());
    execute(&t, "UPDATE mailboxes SET enabled = 1").await;
    let panel = async || t.viewer().get("/mailboxes/support").await.text("#round-trips");
    assert!(panel().await.contains("None was sent yet"), "{}", panel().await);

    let now = t.clock.now();
    for (number, outcome, seconds) in [
        (3, Outcome::Arrived, Some(4)),
        (2, Outcome::Arrived, Some(48)),
        (1, Outcome::Lost, None),
    ] {
        let mut tx = t.app.store.begin().await.unwrap();
        sqlx::query("UPDATE mailboxes SET round_trip_owner = 'x'")
            .execute(&mut **tx)
            .await
            .unwrap();
        let trip = RoundTrip {
            id: format!("t{number}"),
            mailbox_id: mailbox.id.clone(),
            message_id: format!("<{number}@contoso.test>"),
            sent_at: now.plus(-number * 6 * 3600),
            outcome,
            seconds,
            place: "inbox".into(),
            problem: String::new(),
        };
        assert!(tx.begin_round_trip(&trip, "x").await.unwrap());
        tx.note_round_trip(&trip).await.unwrap();
        tx.commit().await.unwrap();
    }
    let page = t.viewer().get("/mailboxes/support").await;
    assert_eq!(
        page.attribute("#round-trips svg[role=img]", "aria-label").as_deref(),
        Some("2 of 3 messages arrived, the slowest after 48 s")
    );
    assert!(page.text("#round-trips").contains("every 6 hours"));
    assert_eq!(
        page.text("#round-trips tbody .state"),
        "Never came\nThere after 48 s\nThere after 4 s"
    );
    assert_eq!(page.text("#round-trips .note"), "Never came.");
    let overview = t.viewer().get("/").await;
    assert_eq!(overview.text(".todo h3"), "Mail doesn't arrive");
    assert_eq!(
        overview.attribute(".todo .btn", "href").as_deref(),
        Some("/mailboxes/support#round-trips")
    );
    assert!(overview.has(".todo .m-warn"));
    // Turned off, it is no news any more.
    let form = admin.get("/mailboxes/support/edit").await;
    send(
        &mut admin,
        &form,
        "/mailboxes/support/edit",
        &[("round_trip_hours", "0"), ("act", "save")],
    )
    .await;
    assert_eq!(t.viewer().get("/").await.text(".todo h3"), "");
}

#[tokio::test]
async fn a_test_starts_with_the_limits_people_chose() {
    let t = TestApp::start().await;
    t.add_mailbox("support", Some(1143), None).await;
    let mut tx = t.app.store.begin().await.unwrap();
    tx.put_setting("checks.largest_message_mb", "10").await.unwrap();
    tx.put_setting("checks.junk_days", "3").await.unwrap();
    tx.commit().await.unwrap();
    let page = t.admin().get("/mailboxes/support/test/incoming").await;
    assert_eq!(page.attribute("input[name=oversized]", "value").as_deref(), Some("10"));
    assert_eq!(page.attribute("input[name=junk_days]", "value").as_deref(), Some("3"));
}
