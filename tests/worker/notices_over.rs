//! What is over before its message got through: nobody gets an alarm after the all-clear.

use super::notices::{fail, mailboxes, work};
use super::notices_send::by_mail;
use super::sink::{Hook, House, save};
use crate::probe::smtp_server::Smtpd;
use mailgrant::model::notices::{Delivery, DeliveryState};

const HOUR: i64 = 3600;

fn of<'a>(all: &'a [Delivery], words: &str) -> Vec<&'a Delivery> {
    all.iter().filter(|one| one.subject.contains(words)).collect()
}

#[tokio::test]
async fn an_alarm_that_waited_does_not_come_after_the_all_clear() {
    for house in House::on_each().await {
        let (bad, good) = (Smtpd::default().on("MAIL", "451 4.3.0 later"), Smtpd::default());
        let mails = good.messages.clone();
        let (bad, good, hook) = (bad.start(None).await, good.start(None).await, Hook::start().await);
        hook.answers(503, "starting");
        let mut input = by_mail(bad.port);
        (input.recipients, input.webhook) = ("ann@contoso.test".into(), hook.url.clone());
        save(&house.app, &input).await;
        mailboxes(&house, 2).await;
        for (number, title) in [(0, "One"), (1, "Two")] {
            fail(&house, &format!("name = 'box-{number}'"), title, "auth", 2).await;
        }
        house.after(10).await;
        assert_eq!(hook.take().len(), 2);
        assert!(house.states().await.iter().all(|(_, state)| state == "waiting"));

        // Both ways work again, and so does the first mailbox: that is told at once.
        hook.answers(204, "");
        input.port = good.port.to_string();
        save(&house.app, &input).await;
        work(&house, "name = 'box-0'").await;
        house.after(10).await;
        house.after(HOUR).await;
        let told: Vec<String> = hook.take().iter().map(|call| call.subject()).collect();
        let expected = [
            "box-0@contoso.test can be read again",
            "box-1@contoso.test can't be read since 08:00",
        ];
        assert_eq!(told, expected, "and not the other one");
        let mails = mails.lock().unwrap().clone();
        assert_eq!(mails.len(), 2, "{mails:?}");
        assert!(
            !mails.iter().any(|mail| mail.contains("Subject: box-0@contoso.test can't")),
            "{mails:?}"
        );
        let all = house.app.store.deliveries(None, None, 100).await.unwrap();
        let late = of(&all, "box-0@contoso.test can't");
        assert_eq!(late.len(), 2, "by mail and by webhook: {all:#?}");
        for one in late {
            assert_eq!(one.state, DeliveryState::Dropped);
            assert_eq!(
                one.why,
                "It is over: box-0@contoso.test can be read again, so it isn't sent any more."
            );
        }
    }
}

/// Ten messages that told of it could not be mailed, and it is over when they can: what goes out is that it is over, at once, and there is
/// room for what comes next.
#[tokio::test]
async fn a_storm_that_is_over_before_it_could_be_mailed_is_not_mailed_any_more() {
    let house = House::new().await;
    let (bad, good) = (Smtpd::default().on("MAIL", "451 4.3.0 later"), Smtpd::default());
    let mails = good.messages.clone();
    let (bad, good) = (bad.start(None).await, good.start(None).await);
    let mut input = by_mail(bad.port);
    input.recipients = "ann@contoso.test".into();
    save(&house.app, &input).await;
    mailboxes(&house, 12).await;
    for number in 0..12 {
        fail(&house, &format!("name = 'box-{number}'"), &format!("Cause {number}"), "auth", 2).await;
    }
    house.after(10).await;
    house.after(400).await;
    work(&house, "1 = 1").await;
    input.port = good.port.to_string();
    save(&house.app, &input).await;
    for _ in 0..3 {
        house.after(10).await;
    }
    let told = mails.lock().unwrap().clone();
    assert!(
        !told
            .iter()
            .any(|mail| mail.contains("can't be read since") && !mail.contains("It was: ")),
        "{told:?}"
    );
    let all = told.concat();
    for number in 0..12 {
        assert!(
            all.contains(&format!("box-{number}@contoso.test can be read again")),
            "{number}: {all}"
        );
    }
    assert!(told.len() <= 10, "{}", told.len());
}

/// Who gets no all-clear by mail, because none was wished there, must not miss the alarm because others heard that it is over.
#[tokio::test]
async fn an_alarm_is_left_out_only_for_whoever_hears_of_the_end() {
    let house = House::new().await;
    let (later, hook) = (
        Smtpd::default().on("MAIL", "451 4.3.0 later").start(None).await,
        Hook::start().await,
    );
    let good = Smtpd::default();
    let mails = good.messages.clone();
    let good = good.start(None).await;
    let mut input = by_mail(later.port);
    (input.recipients, input.webhook) = ("ann@contoso.test".into(), hook.url.clone());
    input.mail_events.retain(|event| event != "recovered");
    save(&house.app, &input).await;
    mailboxes(&house, 1).await;
    fail(&house, "1 = 1", "One", "auth", 2).await;
    house.after(10).await;
    work(&house, "1 = 1").await;
    input.port = good.port.to_string();
    save(&house.app, &input).await;
    house.after(10).await;
    house.after(HOUR).await;
    assert_eq!(hook.take().len(), 2);
    assert!(mails.lock().unwrap().concat().contains("Subject: box-0@contoso.test can't"));
}

/// What came up at night, and didn't get through in the morning.
#[tokio::test]
async fn a_message_of_several_is_left_out_only_when_all_of_them_are_over() {
    for (over, expected) in [("name = 'box-0'", DeliveryState::Delivered), ("1 = 1", DeliveryState::Dropped)] {
        let house = House::new().await;
        let hook = house.quiet_hook("22:00", "06:00").await;
        mailboxes(&house, 2).await;
        // It is 08:00; 23:00 is in the quiet hours.
        house.clock.advance(15 * HOUR);
        for (number, title) in [(0, "One"), (1, "Two")] {
            fail(&house, &format!("name = 'box-{number}'"), title, "auth", 2).await;
        }
        house.after(60).await;
        hook.answers(503, "starting");
        house.after(7 * HOUR).await;
        assert_eq!(hook.take()[0].kind(), "summary");
        hook.answers(204, "");
        work(&house, over).await;
        house.after(10).await;
        house.after(HOUR).await;
        let all = house.app.store.deliveries(None, None, 100).await.unwrap();
        let both = of(&all, "2 notices");
        assert_eq!(both[0].state, expected, "{all:#?}");
        if expected == DeliveryState::Dropped {
            assert!(
                both[0].why.ends_with("can be read again, and 1 more, so it isn't sent any more."),
                "{}",
                both[0].why
            );
        }
    }
}
