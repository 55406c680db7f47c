//! The weekly look: each mailbox once in the hours before the report, with its numbers and nobody's subjects.

use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::server::Server;
use crate::support::databases::{NOW, console};
use crate::support::records;
use mailgrant::actions::findings::{Finding, FindingPlace, next_report, page};
use mailgrant::actions::mailboxes::{self, MailboxInput, check_mailbox};
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock};
use mailgrant::model::audit::Actor;
use mailgrant::store::turns::Turn;
use mailgrant::worker::{findings, instances, turns};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const HOUR: i64 = 3600;

async fn house() -> (App, MockClock, TempDir) {
    let dir = TempDir::new().unwrap();
    let clock = MockClock::at(NOW);
    let app = console(&dir.path().join("data"), None, Arc::new(clock.clone())).await;
    instances::tick(&app).await.unwrap();
    set(&app, "time_zone", "UTC").await;
    (app, clock, dir)
}

async fn set(app: &App, key: &str, value: &str) {
    let mut tx = app.store.begin().await.unwrap();
    tx.put_setting(key, value).await.unwrap();
    tx.commit().await.unwrap();
}

async fn add(app: &App, name: &str, server: &Server) {
    let input = MailboxInput {
        enabled: true,
        ..records::mailbox(name, Some(server.port), None, PASSWORD)
    };
    let edit = check_mailbox(&input, &app.gate).unwrap();
    mailboxes::create(app, &Actor::console(), edit).await.unwrap();
}

async fn pass(app: &App) {
    for _ in 0..2000 {
        findings::tick(app).await.unwrap();
        if turns::busy(app, Turn::Finding) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the look never ends");
}

/// All that the look found.
pub async fn all_found(app: &App) -> Vec<Finding> {
    page(app, &FindingPlace::First, 100).await.unwrap().0
}

#[tokio::test]
async fn every_mailbox_is_looked_through_once_before_the_report_and_its_numbers_are_kept() {
    let (app, clock, _dir) = house().await;
    let server = Imapd::default().start(None).await;
    add(&app, "support", &server).await;
    add(&app, "hr", &server).await;
    let report = next_report(&app, clock.now()).await.unwrap().unwrap();
    assert_eq!(report.to_rfc3339(), "2026-11-23T08:00:00Z", "Monday at eight");
    pass(&app).await;
    clock.advance(report.since(clock.now()) - 8 * HOUR - 60);
    pass(&app).await;
    assert_eq!((server.connections(), all_found(&app).await.len()), (0, 0), "not before its hours");
    for _ in 0..16 {
        clock.advance(HOUR / 2);
        pass(&app).await;
    }
    assert!(clock.now() < report);
    let found = all_found(&app).await;
    assert_eq!((server.connections(), found.len()), (2, 2), "each once: {:?}", server.heard());
    let names: Vec<_> = found
        .iter()
        .map(|found| (found.name.as_str(), found.oversized, found.limit_mb, found.junk, found.junk_days))
        .collect();
    assert_eq!(names, [("hr", 1, 25, Some(1), 7), ("support", 1, 25, Some(1), 7)]);
    let all: String = sqlx::query_scalar("SELECT COALESCE(GROUP_CONCAT(report), '') FROM runs")
        .fetch_one(app.store.raw_pool())
        .await
        .unwrap();
    assert_eq!(all, "", "nothing else is kept of it");
    clock.advance(6 * 24 * HOUR);
    pass(&app).await;
    assert_eq!(server.connections(), 2, "the next look is before the next report");
    clock.advance(26 * HOUR);
    pass(&app).await;
    assert_eq!(server.connections(), 4);
    // What is a week old and a day says nothing any more.
    set(&app, "checks.weekly_day", "0").await;
    clock.advance(9 * 24 * HOUR);
    pass(&app).await;
    assert_eq!((server.connections(), all_found(&app).await.len()), (4, 0), "turned off");
}

#[tokio::test]
async fn what_people_chose_is_what_is_looked_for() {
    let (app, clock, _dir) = house().await;
    set(&app, "checks.largest_message_mb", "10").await;
    set(&app, "checks.junk_days", "3").await;
    let server = Imapd::default().start(None).await;
    add(&app, "support", &server).await;
    pass(&app).await;
    clock.advance(2 * 24 * HOUR);
    pass(&app).await;
    let heard = server.heard().join("\n");
    assert!(
        heard.contains("UID SEARCH LARGER 10000000") && heard.contains("SINCE 20-Nov-2026"),
        "{heard}"
    );
    let found = all_found(&app).await;
    assert_eq!((found[0].limit_mb, found[0].junk_days), (10, 3));
    assert!(!heard.contains("FETCH 1:"), "nobody reads the newest for it");
}
