//! Thousands of mailboxes that fail at once: one message, written down some at a time.

use super::sink::House;
use crate::support::records;
use mailgrant::actions::mailboxes::{self, check_mailbox};
use mailgrant::model::audit::Actor;
use mailgrant::worker::notices;

const MAILBOXES: i64 = 3000;
/// More than this is not written in one go: everybody else waits meanwhile.
const TOGETHER: i64 = 400;

/// So many mailboxes that all fail with the same, at the same server.
async fn outage(house: &House) {
    let mut input = records::mailbox("box-0", Some(1143), None, "a password");
    input.enabled = true;
    let edit = check_mailbox(&input, &house.app.gate).unwrap();
    mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let pool = house.app.store.raw_pool();
    let columns: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_table_info('mailboxes') WHERE name NOT IN ('id', 'name', 'address')")
            .fetch_all(pool)
            .await
            .unwrap();
    let columns = columns.join(", ");
    house
        .sql(format!(
            "INSERT INTO mailboxes (id, name, address, {columns})
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MAILBOXES} - 1)
             SELECT 'id-' || i, 'box-' || i, 'box-' || i || '@contoso.test', {columns} FROM n CROSS JOIN mailboxes"
        ))
        .await;
    house
        .sql(format!(
            "UPDATE mailboxes SET incoming_outcome = 'failed', incoming_problem = 'The password is refused', state = 0, failed_checks = 2,
             failing_since = {}, next_check_at = 9999999999",
            house.now()
        ))
        .await;
}

async fn written(house: &House) -> i64 {
    let pool = house.app.store.raw_pool();
    sqlx::query_scalar("SELECT COUNT(*) FROM notice_members")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// A process that dies in the middle has written all but the last few; the next one goes on, and tells it once.
#[tokio::test]
async fn an_outage_of_thousands_is_written_some_at_a_time_and_told_once_whoever_dies() {
    let house = House::new().await;
    let hook = house.hook().await;
    outage(&house).await;
    for end in [1000, 2000] {
        house
            .sql(format!(
                "CREATE TRIGGER dies_{end} BEFORE INSERT ON notice_members WHEN (SELECT COUNT(*) FROM notice_members) >= {end}
                 BEGIN SELECT RAISE(ABORT, 'it dies here'); END"
            ))
            .await;
        house.clock.advance(60);
        notices::tick(&house.app).await.unwrap_err();
        let there = written(&house).await;
        assert!(
            (end - TOGETHER..=end).contains(&there),
            "{there} of {end} were written when it died"
        );
        house.sql(format!("DROP TRIGGER dies_{end}")).await;
    }
    house.after(60).await;
    assert_eq!(written(&house).await, MAILBOXES);
    for _ in 0..3 {
        house.after(3600).await;
    }
    let told: Vec<String> = hook.take().iter().map(|call| call.subject()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("3000 mailboxes can't be read since 08:"), "{told:?}");
    let notices: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM notices")
        .fetch_one(house.app.store.raw_pool())
        .await
        .unwrap();
    assert_eq!(notices, 1);
}

/// Who asks for the writer while it is written gets it before it is all there.
#[tokio::test]
async fn others_write_while_an_outage_is_written_down() {
    let house = House::new().await;
    outage(&house).await;
    let (app, store) = (house.app.clone(), house.app.store.clone());
    let looking = tokio::spawn(async move { notices::tick(&app).await });
    let mut between = 0;
    while !looking.is_finished() {
        let mut tx = store.begin().await.unwrap();
        tx.put_setting("time_zone", "").await.unwrap();
        let there: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM notice_members")
            .fetch_one(&mut **tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        between += i64::from(there > 0 && there < MAILBOXES);
        tokio::task::yield_now().await;
    }
    looking.await.unwrap().unwrap();
    assert_eq!(written(&house).await, MAILBOXES);
    // It asks again as soon as it has had its turn, and turns are fair: between any two parts there is one.
    assert!(between >= MAILBOXES / TOGETHER, "only {between} writers got in between");
}
