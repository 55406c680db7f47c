//! What came up before there was anybody to tell it to: told once, together, when somebody is set for the first time.

use super::notices::{fail, mailboxes, provider_that_expires, work};
use super::notices_send::happens;
use super::sink::House;
use mailgrant::actions::notices::waits::waits;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

#[tokio::test]
async fn what_is_still_true_when_the_first_way_is_set_is_told_once_in_one_message() {
    for house in House::on_each().await {
        mailboxes(&house, 2).await;
        // In 20 days.
        provider_that_expires(&house, "2026-12-11").await;
        for (number, title) in [(0, "One"), (1, "Two")] {
            fail(&house, &format!("name = 'box-{number}'"), title, "auth", 2).await;
        }
        happens(&house, "support").await;
        house.after(60).await;
        // A week later it ends in 13 days, and one mailbox works again.
        work(&house, "name = 'box-1'").await;
        house.after(7 * DAY).await;
        house.after(60).await;
        let hook = house.hook().await;
        assert_eq!(waits(&house.app).await.unwrap(), None, "it goes out at once");
        house.after(60).await;
        let told = hook.take();
        assert_eq!(told.len(), 1, "{told:#?}");
        let mut subjects: Vec<String> = told[0].json()["data"]["notices"]
            .as_array()
            .expect("several in one")
            .iter()
            .map(|one| one["subject"].as_str().unwrap().to_owned())
            .collect();
        subjects.sort();
        assert_eq!(
            subjects,
            [
                "The client secret of contoso expires in 13 days, 11 Dec 2026",
                "box-0@contoso.test can't be read since 08:00 on 21 Nov",
            ],
            "as it is now, and neither what is over nor what happened and was done with"
        );
        for _ in 0..5 {
            house.after(HOUR).await;
        }
        assert!(hook.take().is_empty(), "once");
        work(&house, "name = 'box-0'").await;
        house.after(60).await;
        assert_eq!(hook.take()[0].subject(), "box-0@contoso.test can be read again");
        house.after(6 * DAY).await;
        house.after(100).await;
        let next = hook.take();
        assert!(next.iter().any(|call| call.subject().contains("expires in 7 days")), "{next:#?}");
    }
}

#[tokio::test]
async fn a_first_way_that_is_set_in_quiet_hours_gets_it_at_their_end() {
    let house = House::new().await;
    mailboxes(&house, 3).await;
    for (number, title) in [(0, "One"), (1, "Two"), (2, "Three")] {
        fail(&house, &format!("name = 'box-{number}'"), title, "auth", 2).await;
    }
    house.after(60).await;
    // It is 08:01; 23:01 is in the quiet hours.
    house.clock.advance(15 * HOUR);
    let hook = house.quiet_hook("22:00", "06:00").await;
    house.after(60).await;
    assert!(hook.take().is_empty(), "they sleep");
    work(&house, "name = 'box-1'").await;
    house.after(HOUR).await;
    house.after(6 * HOUR).await;
    let told = hook.take();
    assert_eq!(told.len(), 1, "together: {told:#?}");
    assert_eq!(told[0].json()["data"]["count"].as_i64(), Some(2), "one works again");
}
