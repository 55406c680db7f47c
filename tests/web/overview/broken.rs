//! The overview while the console itself is broken: checks stand still, a block can't be read, the audit log was changed.

use crate::support::app::TestApp;
use axum::http::StatusCode;
use mailgrant::clock::Clock;
use mailgrant::model::report::Outcome;
use mailgrant::store::checks::CountKind;
use mailgrant::store::turns::Turn;

/// A frozen console must never look green, and what was checked is told with its numbers.
#[tokio::test]
async fn checks_that_stand_still_win_over_everything_and_bars_say_how_they_ended() {
    let t = TestApp::start().await;
    let now = t.clock.now();
    let mailbox = t.add_mailbox("support", Some(1143), None).await;
    t.note(&mailbox, Outcome::Passed, None).await;
    let mut tx = t.app.store.begin().await.unwrap();
    sqlx::query("UPDATE mailboxes SET enabled = 1").execute(&mut **tx).await.unwrap();
    tx.plan_turn(Turn::Check, &mailbox.id, now.plus(60)).await.unwrap();
    for (ago, passed, times) in [(0, true, 3), (3 * 3600, true, 4), (5 * 3600, false, 1)] {
        let counts = if passed { (times, 0) } else { (0, times) };
        let (at, id) = (now.plus(-ago), mailbox.id.as_str());
        tx.count_checks(CountKind::ProviderHour, "", at, counts).await.unwrap();
        tx.count_checks(CountKind::MailboxDay, id, at, counts).await.unwrap();
    }
    tx.commit().await.unwrap();
    let page = t.admin().get("/").await;
    let text = page.words();
    assert!(text.contains("Next check 08:01 today."), "{text}");
    assert!(
        text.contains("With a password") && text.contains("87.5%") && text.contains("1 failure"),
        "{text}"
    );
    let bars = |page: &str, css: &str| {
        scraper::Html::parse_document(page)
            .select(&scraper::Selector::parse(css).unwrap())
            .count()
    };
    assert_eq!(bars(&page.body, ".hist .bars rect"), 24);
    let label = page.attribute(".hist .bars svg", "aria-label");
    assert_eq!(label.as_deref(), Some("1 of 8 checks failed, in 1 of 24 hours"));
    let shown = t.admin().get("/mailboxes/support").await;
    assert_eq!(bars(&shown.body, ".bars rect"), 30);

    for (late, still) in [(2 * 15 * 60, false), (2 * 15 * 60 + 1, true)] {
        let mut tx = t.app.store.begin().await.unwrap();
        sqlx::query("UPDATE mailboxes SET next_check_at = $1")
            .bind(now.plus(-late).0)
            .execute(&mut **tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let heading = t.admin().get("/").await.text("h1");
        assert!(
            !heading.is_empty() && heading.starts_with("Not checked") == still,
            "{late}: {heading}"
        );
    }
    let page = t.admin().get("/").await;
    assert_eq!(page.text("h1"), "Not checked since 08:00 today");
    assert!(page.words().contains("no process makes them"));

    // One that is late because its server hangs is no reason to say that nobody checks.
    let other = t.add_mailbox("hr", Some(1143), None).await;
    sqlx::query("UPDATE mailboxes SET enabled = 1, next_check_at = $2 WHERE id = $1")
        .bind(other.id.as_str())
        .bind(now.plus(-60).0)
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    let heading = t.admin().get("/").await.text("h1");
    assert!(!heading.is_empty() && !heading.starts_with("Not checked"), "{heading}");
}

/// One block that can't be read takes nothing else with it, and nothing is called fine that was not looked at.
#[tokio::test]
async fn a_block_that_cant_be_read_says_so_and_the_rest_stays() {
    let t = TestApp::start().await;
    let mailbox = t.add_mailbox("support", Some(1143), None).await;
    t.note(&mailbox, Outcome::Passed, None).await;
    assert_eq!(t.viewer().get("/").await.text("h1"), "Everything works");
    for (table, block) in [
        ("check_counts", "the check history"),
        ("audit", "the recent changes"),
        ("links", "what expires next"),
    ] {
        let rename = |from: &str, to: &str| format!("ALTER TABLE {from} RENAME TO {to}");
        let execute = async |sql: String| {
            let mut tx = t.app.store.begin().await.unwrap();
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut **tx).await.unwrap();
            tx.commit().await.unwrap();
        };
        let away = format!("{table}_away");
        execute(rename(table, &away)).await;
        let page = t.viewer().get("/").await;
        execute(rename(&away, table)).await;
        assert_eq!(page.status, StatusCode::OK);
        let note = page.text("main .note.bad");
        assert!(note.contains(&format!("Couldn't read {block}.")), "{block}: {note}");
        let reference = page.header("x-request-id");
        assert!(note.contains(&reference), "{note} without {reference}");
        assert!(page.text("#o-states").contains("1 of 1 working"), "{}", page.text("#o-states"));
        assert_eq!(page.text("h1") == "Everything works", block != "what expires next", "{block}");
    }
}

/// What the worker found when it looked through the audit log stands where people look first.
#[tokio::test]
async fn a_broken_audit_log_is_told_before_anything_that_fails() {
    let t = TestApp::start().await;
    let failing = t.add_mailbox("hr", Some(1143), None).await;
    t.note(&failing, Outcome::Failed, Some("It is broken")).await;
    mailgrant::worker::audit::look(&t.app).await.unwrap();
    assert_eq!(t.viewer().get("/").await.text(".todo h3"), "It is broken");
    sqlx::query("DROP TRIGGER audit_no_update")
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    let mut tx = t.app.store.begin().await.unwrap();
    sqlx::query("UPDATE audit SET detail = 'nothing happened' WHERE sequence = 1")
        .execute(&mut **tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    mailgrant::worker::audit::look(&t.app).await.unwrap();
    let page = t.viewer().get("/").await;
    assert_eq!(page.text(".todo h3"), "The audit log was changed\nIt is broken");
    assert!(
        page.text(".todo li:first-child").contains("entry 1"),
        "{}",
        page.text(".todo li:first-child")
    );
    assert_eq!(page.attribute(".todo li:first-child .btn", "href").as_deref(), Some("/audit"));
}
