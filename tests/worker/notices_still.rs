//! Checks that nobody makes are told, and what only looks so isn't.

use super::notices::mailboxes;
use super::sink::House;
use mailgrant::worker::instances;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// What a checker that stands still looks like: due long ago, for a whole interval; and not what the end of a pause looks like.
#[tokio::test]
async fn a_checker_that_stands_still_is_told_and_a_machine_that_slept_is_not() {
    let house = House::new().await;
    let hook = house.hook().await;
    mailboxes(&house, 1).await;
    house.sql(format!("UPDATE mailboxes SET next_check_at = {}", house.now())).await;
    house.after(DAY).await;
    house.after(60).await;
    assert!(hook.take().is_empty(), "it has only just woken up");
    for _ in 0..14 {
        house.after(60).await;
    }
    assert_eq!(hook.take()[0].subject(), "Mailboxes aren't checked any more");
    house.sql("UPDATE mailboxes SET next_check_at = 9999999999").await;
    house.after(60).await;
    assert_eq!(hook.take()[0].subject(), "Mailboxes are checked again");
}

/// A console that crashes again and again, and one that was stopped for an hour on purpose: only the first is told.
#[tokio::test]
async fn checks_that_stand_still_are_told_however_often_the_console_starts_anew() {
    let mut house = House::new().await;
    let hook = house.hook().await;
    mailboxes(&house, 1).await;
    house.sql(format!("UPDATE mailboxes SET next_check_at = {}", house.now())).await;
    let restart = async |house: &mut House, down: i64| {
        instances::leave(&house.app).await.unwrap();
        house.clock.advance(down);
        house.app = house.another().await;
    };
    // Stopped for an hour; then it runs for a while, and is stopped again. Each time there is much to catch up with.
    for _ in 0..3 {
        restart(&mut house, HOUR).await;
        for _ in 0..10 {
            house.after(60).await;
        }
    }
    assert!(hook.take().is_empty(), "after a pause everything is due at once");
    house.sql(format!("UPDATE mailboxes SET next_check_at = {}", house.now())).await;
    house.after(15).await;
    // Three minutes at a time, and nobody ever checks.
    let mut told = Vec::new();
    for _ in 0..24 {
        restart(&mut house, 20).await;
        for _ in 0..4 {
            house.after(45).await;
        }
        told.extend(hook.take().iter().map(|call| call.subject()));
    }
    assert_eq!(told, ["Mailboxes aren't checked any more"], "once");
    restart(&mut house, 3 * HOUR).await;
    house.after(15).await;
    assert!(hook.take().is_empty(), "neither again nor over, because nobody has checked yet");
    house.sql("UPDATE mailboxes SET next_check_at = 9999999999").await;
    house.after(15).await;
    assert_eq!(hook.take()[0].subject(), "Mailboxes are checked again");
}

/// Mailboxes that wait for a server that hangs are late; the others are checked all the while.
#[tokio::test]
async fn a_server_that_delays_its_own_mailboxes_is_not_told_as_if_nobody_checked() {
    let house = House::new().await;
    let hook = house.hook().await;
    mailboxes(&house, 2).await;
    for _ in 0..120 {
        house
            .sql(format!(
                "UPDATE mailboxes SET next_check_at = {} WHERE name = 'box-1'",
                house.now() - 60
            ))
            .await;
        house.sql("UPDATE mailboxes SET next_check_at = 1 WHERE name = 'box-0'").await;
        house.after(60).await;
    }
    let told: Vec<_> = hook.take().iter().map(|call| call.subject()).collect();
    assert_eq!(told, Vec::<String>::new());
}
