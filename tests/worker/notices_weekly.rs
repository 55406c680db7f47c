//! The weekly report: at its hour by the calendar, once, and with numbers that say of when they are.

use super::notices_days::{mailboxes, sign_ins};
use super::sink::{Hook, House};
use crate::support::records;
use mailgrant::model::Date;
use mailgrant::model::provider::Provider;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

async fn set(house: &House, key: &str, value: &str) {
    let mut tx = house.app.store.begin().await.unwrap();
    tx.put_setting(key, value).await.unwrap();
    tx.commit().await.unwrap();
}

/// The moments, in hours from now on, at which reports came.
async fn reports(house: &House, hook: &Hook, hours: i64) -> Vec<i64> {
    let mut found = Vec::new();
    for hour in 1..=hours {
        house.after(HOUR).await;
        let reports = hook.take().iter().filter(|call| call.kind() == "report.weekly").count();
        found.extend(std::iter::repeat_n(hour, reports));
    }
    found
}

/// A week of 167 or 169 hours has its report at the hour that was chosen.
#[tokio::test]
async fn a_change_of_the_clocks_moves_no_report() {
    let house = House::new().await;
    let hook = house.hook().await;
    set(&house, "time_zone", "Europe/Helsinki").await;
    house.after(0).await;
    // Wednesday, 24 March 2027, 08:00 UTC: summer time begins on Sunday.
    house.clock.advance(123 * DAY);
    house.after(0).await;
    hook.take();
    // Monday at 08:00 there is 05:00 UTC.
    assert_eq!(reports(&house, &hook, 6 * 24).await, [4 * 24 + 21]);
    // Wednesday, 27 October 2027: it ends on Sunday. Monday at 08:00 is 06:00 UTC.
    house.clock.advance(211 * DAY);
    house.after(0).await;
    hook.take();
    assert_eq!(reports(&house, &hook, 6 * 24).await, [4 * 24 + 22]);
}

/// A console that ran once with its clock a month ahead goes on with its reports.
#[tokio::test]
async fn a_clock_that_was_ahead_silences_no_report() {
    let house = House::new().await;
    let hook = house.hook().await;
    set(&house, "time_zone", "UTC").await;
    house.clock.advance(40 * DAY);
    house.after(0).await;
    house.clock.advance(-40 * DAY);
    house.after(0).await;
    hook.take();
    assert_eq!(reports(&house, &hook, 50).await, [48], "Monday at eight");
}

/// A report that is turned on, or moved, comes at its next time; not at once, and not twice on a day.
#[tokio::test]
async fn a_report_that_is_turned_on_or_moved_comes_at_its_next_time() {
    let house = House::new().await;
    let hook = house.hook().await;
    set(&house, "time_zone", "UTC").await;
    house.after(0).await;
    assert_eq!(reports(&house, &hook, 50).await, [48], "Monday at eight");
    set(&house, "checks.weekly_hour", "12").await;
    assert!(reports(&house, &hook, 20).await.is_empty(), "it came this morning");
    set(&house, "checks.weekly_day", "0").await;
    // Until the Tuesday after the next Monday.
    assert!(reports(&house, &hook, 7 * 24).await.is_empty());
    set(&house, "checks.weekly_day", "1").await;
    let told = reports(&house, &hook, 8 * 24).await;
    // It is 06:00 on Tuesday.
    assert_eq!(told, [6 * 24 + 6], "on Monday at twelve");
}

/// Numbers of last week say so.
#[tokio::test]
async fn the_report_says_of_when_a_number_is_and_counts_days_as_people_do() {
    let house = House::new().await;
    let hook = house.hook().await;
    set(&house, "time_zone", "UTC").await;
    mailboxes(&house, 2).await;
    sign_ins(
        &house,
        Provider {
            client_secret_expires: Date::parse("2026-11-24"),
            ..records::provider()
        },
        1,
    )
    .await;
    house.after(0).await;
    // Monday at eight; one was looked through in the night, the other one a week ago.
    let report = house.now() + 2 * DAY;
    for (number, at) in [(0, report - 2 * HOUR), (1, report - 7 * DAY - 2 * HOUR)] {
        house
            .sql(format!(
                "INSERT INTO findings (mailbox_id, found_at, messages, junk, junk_days, oversized, limit_mb)
                 SELECT id, {at}, 10, 3, 7, 0, 25 FROM mailboxes WHERE name = 'box-{number}'"
            ))
            .await;
    }
    house.after(2 * DAY).await;
    let told = hook.take();
    let report = told.iter().find(|call| call.kind() == "report.weekly").expect("a report");
    let text = report.json()["data"]["text"].to_string();
    assert!(text.contains("24 Nov 2026, tomorrow: client secret of contoso"), "{text}");
    assert!(text.contains("box-0@contoso.test: 3 messages in junk within 7 days\\n"), "{text}");
    assert!(
        text.contains("box-1@contoso.test: 3 messages in junk within 7 days (seen on 16 Nov 2026, and not since)"),
        "{text}"
    );
}
