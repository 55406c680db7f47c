//! What waits to be told is said above the list of deliveries: how much, until when and why.

use super::{LIST, delivered, save};
use crate::support::app::TestApp;
use crate::worker::sink::Hook;

async fn sql(t: &TestApp, statement: String) {
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
}

/// So many causes that nobody was told of yet.
async fn found(t: &TestApp, count: usize) {
    for number in 0..count {
        let values = format!("('n{number}', 'mailbox.failing', 'c{number}', 'new', 1795248000, NULL, '{{}}')");
        sql(
            t,
            format!("INSERT INTO notices (id, event, cause, state, opened_at, closed_at, words) VALUES {values}"),
        )
        .await;
    }
}

/// What the list says above its rows.
async fn said(t: &TestApp) -> String {
    let page = t.admin().get(LIST).await;
    if page.has("#waits") { page.text("#waits") } else { String::new() }
}

#[tokio::test]
async fn what_waits_after_ten_messages_within_the_hour_is_said_with_its_time() {
    let t = TestApp::start().await;
    let hook = Hook::start().await;
    found(&t, 3).await;
    assert_eq!(said(&t).await, "", "there is nobody to tell it to");
    save(&t, &[("webhook", &hook.url)]).await;
    assert_eq!(said(&t).await, "", "they go out at once");
    for number in 0..10 {
        let id = delivered(&t.app).await;
        // The first at 07:30; it is 08:00.
        let at = 1_795_246_200 + number * 60;
        sql(
            &t,
            format!("UPDATE deliveries SET message = 'm-{number}', created_at = {at} WHERE id = '{id}'"),
        )
        .await;
    }
    assert_eq!(
        said(&t).await,
        "3 notifications wait until 08:30: ten messages went out within the hour."
    );
    sql(&t, "DELETE FROM notices WHERE id <> 'n0'".into()).await;
    let profile = [("name", "Maija Korhonen"), ("theme", "dark"), ("time_zone", "Europe/Helsinki")];
    t.admin().submit("/me/profile", &profile).await;
    assert_eq!(
        said(&t).await,
        "1 notification waits until 10:30: ten messages went out within the hour.",
        "in the zone of who reads"
    );
    // Nobody wants to hear it any more.
    let others = [("webhook", hook.url.as_str()), ("quiet_from", ""), ("quiet_until", "")];
    save(&t, &others).await;
    sql(&t, "UPDATE notices SET event = 'audit.broken'".into()).await;
    assert_eq!(said(&t).await, "");
}

#[tokio::test]
async fn what_waits_for_the_end_of_quiet_hours_is_said_with_its_time() {
    let t = TestApp::start().await;
    let hook = Hook::start().await;
    let quiet = [
        ("webhook", hook.url.as_str()),
        ("quiet_from", "22:00"),
        ("quiet_until", "07:00"),
        // It is 22:00 there.
        ("zone", "Etc/GMT-14"),
    ];
    save(&t, &quiet).await;
    assert_eq!(said(&t).await, "", "nothing waits");
    found(&t, 2).await;
    assert_eq!(said(&t).await, "2 notifications wait for the end of quiet hours at 17:00.");
}
