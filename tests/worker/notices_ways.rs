//! The ways messages take: one that is dead is told by the other, one that was removed gets nothing more, and one that hangs holds nobody up.

use super::notices_send::{by_mail, happens, times};
use super::sink::{Hook, House, all, save, sent};
use crate::probe::smtp_server::Smtpd;
use crate::support::databases::new_postgres;
use mailgrant::actions::notices::channels::ChannelsInput;
use mailgrant::clock::Timestamp;
use mailgrant::model::notices::{Channel, Delivery, Event};
use mailgrant::worker::{deliveries, notices};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

const HOUR: i64 = 3600;

/// A console that tells Ann by mail, and a webhook.
struct Both {
    house: House,
    mails: Arc<Mutex<Vec<String>>>,
    hook: Hook,
    input: ChannelsInput,
    _server: crate::probe::server::Server,
}

impl Both {
    async fn new() -> Self {
        let house = House::new().await;
        let smtpd = Smtpd::default();
        let mails = smtpd.messages.clone();
        let (server, hook) = (smtpd.start(None).await, Hook::start().await);
        let mut input = by_mail(server.port);
        (input.recipients, input.webhook) = ("ann@contoso.test".into(), hook.url.clone());
        save(&house.app, &input).await;
        Self {
            house,
            mails,
            hook,
            input,
            _server: server,
        }
    }

    /// Subjects of the mails since the last time somebody asked, but for what happened.
    fn told(&self) -> Vec<String> {
        let mails = std::mem::take(&mut *self.mails.lock().unwrap());
        let subjects = mails
            .iter()
            .filter_map(|mail| mail.lines().find_map(|line| line.strip_prefix("Subject: ")));
        subjects
            .filter(|subject| !subject.starts_with("Consent"))
            .map(str::to_owned)
            .collect()
    }

    async fn is_dead(&self) -> bool {
        let now = Timestamp(self.house.now());
        self.house.app.store.attention(now).await.unwrap().webhook_dead.is_some()
    }
}

#[tokio::test]
async fn a_dead_webhook_is_told_once_by_mail_and_so_is_that_it_works_again() {
    let both = Both::new().await;
    let house = &both.house;
    both.hook.answers(503, "starting");
    happens(house, "one").await;
    house.after(10).await;
    house.after(60).await;
    assert!(both.told().is_empty() && !both.is_dead().await, "its server may be starting anew");
    let since = house.now() - 60;
    for _ in 0..12 {
        house.after(600).await;
    }
    assert_eq!(both.told(), ["The webhook gets no notifications"]);
    assert_eq!(
        house.app.store.attention(Timestamp(house.now())).await.unwrap().webhook_dead,
        Some(Timestamp(since)),
        "since it failed first"
    );
    let one = house.app.store.deliveries(None, None, 50).await.unwrap();
    let told = one.iter().find(|one| one.event == Event::WebhookDead).unwrap();
    for expected in [
        "Whoever reads what http://127.0.0.1:",
        "Cause: The webhook's server has trouble.",
        "What to do: Look at the log of the server there.",
        "/settings/notifications",
    ] {
        assert!(told.content.contains(expected), "{expected}: {}", told.content);
    }
    assert!(!told.content.contains("canary-path"), "{}", told.content);

    both.hook.answers(204, "");
    both.hook.take();
    for _ in 0..4 {
        house.after(6 * HOUR).await;
    }
    let mut posted: Vec<String> = both.hook.take().iter().map(|call| call.kind()).collect();
    posted.sort();
    assert_eq!(posted, ["consent.given", "recovered"], "and what waited arrives");
    assert_eq!(both.told(), ["The webhook gets notifications again"]);
    assert!(!both.is_dead().await);
}

#[tokio::test]
async fn a_webhook_that_failed_once_is_not_dead() {
    let both = Both::new().await;
    both.hook.answers(500, "");
    happens(&both.house, "one").await;
    both.house.after(10).await;
    both.hook.answers(204, "");
    for _ in 0..5 {
        both.house.after(600).await;
    }
    assert!(both.told().is_empty());
}

/// What was turned off is told at once, and is over when something got through, not when somebody pressed save.
#[tokio::test]
async fn a_webhook_that_was_turned_off_is_told_until_it_got_something() {
    let mut both = Both::new().await;
    both.hook.answers(410, "gone");
    happens(&both.house, "one").await;
    both.house.after(10).await;
    both.house.after(15).await;
    assert_eq!(both.told(), ["The webhook gets no notifications"]);
    both.hook.answers(204, "");
    both.hook.take();
    both.input.turn_on = true;
    save(&both.house.app, &both.input).await;
    for _ in 0..4 {
        both.house.after(600).await;
    }
    assert!(both.told().is_empty() && both.is_dead().await, "nobody knows whether it works");
    happens(&both.house, "two").await;
    both.house.after(10).await;
    both.house.after(15).await;
    assert_eq!(both.told(), ["The webhook gets notifications again"]);
    assert_eq!(both.hook.take().len(), 2, "the message, and that it works again");
    assert!(!both.is_dead().await);
}

#[tokio::test]
async fn a_dead_webhook_that_is_removed_is_no_longer_told_and_did_not_recover() {
    let mut both = Both::new().await;
    both.hook.answers(410, "gone");
    happens(&both.house, "one").await;
    both.house.after(10).await;
    both.house.after(15).await;
    assert_eq!(both.told().len(), 1);
    both.input.webhook = String::new();
    save(&both.house.app, &both.input).await;
    both.house.after(15).await;
    assert!(!both.is_dead().await);
    assert!(both.told().is_empty(), "nothing gets notifications again");
}

/// Whoever chose what is mailed before this could be told is told it as well; whoever has nothing mailed is not.
#[tokio::test]
async fn a_console_from_before_tells_a_dead_webhook_by_mail() {
    let mut houses = vec![House::new().await];
    match new_postgres().await {
        Some(url) => houses.push(House::on(Some(url)).await),
        None => eprintln!("PostgreSQL not tried: start with tests/run"),
    }
    let migration = include_str!("../../migrations/0022_given_up.sql");
    let update = migration.split(';').find(|part| part.contains("UPDATE")).unwrap();
    for house in houses {
        for (chosen, told) in [
            (
                vec!["mailbox.failing", "recovered"],
                vec![Event::WebhookDead, Event::Failing, Event::Recovered],
            ),
            (vec![], vec![]),
        ] {
            let input = ChannelsInput {
                mail_events: chosen.into_iter().map(str::to_owned).collect(),
                ..all()
            };
            save(&house.app, &input).await;
            house.sql(update).await;
            assert_eq!(house.app.store.notice_channels().await.unwrap().channels.mail_events, told);
        }
    }
}

async fn rows(house: &House) -> Vec<Delivery> {
    house.app.store.deliveries(None, None, 100).await.unwrap()
}

#[tokio::test]
async fn who_was_removed_gets_no_mail_that_still_waited() {
    let house = House::new().await;
    let busy = Smtpd::default().on("MAIL", "451 4.3.0 later").start(None).await;
    save(&house.app, &by_mail(busy.port)).await;
    happens(&house, "one").await;
    house.after(10).await;
    assert_eq!(times(&house.states().await, "waiting"), 2);
    let good = Smtpd::default();
    let mails = good.messages.clone();
    let good = good.start(None).await;
    let mut input = by_mail(good.port);
    // Written in another way it is the same person.
    input.recipients = "Ann@contoso.test".into();
    save(&house.app, &input).await;
    let all = rows(&house).await;
    let bob = all.iter().find(|one| one.recipient == "bob@contoso.test").unwrap();
    assert_eq!((bob.state.as_str(), bob.why.as_str()), ("dropped", "The recipient was removed."));
    // It was on its way into the table while somebody saved.
    happens(&house, "two").await;
    notices::tick(&house.app).await.unwrap();
    house
        .sql("UPDATE deliveries SET recipient = 'bob@contoso.test' WHERE subject LIKE '%two'")
        .await;
    for _ in 0..3 {
        house.after(600).await;
    }
    let mut got = mails.lock().unwrap().clone();
    got.retain(|mail| mail.contains("Subject: Consent"));
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(got[0].contains("To: ann@contoso.test"), "{got:?}");
    let all = rows(&house).await;
    let late = all.iter().find(|one| one.subject.ends_with("two")).unwrap();
    assert_eq!((late.state.as_str(), late.why.as_str()), ("dropped", "The recipient was removed."));
}

#[tokio::test]
async fn what_waits_for_a_webhook_goes_to_the_one_that_took_its_place_and_is_dropped_where_none_did() {
    let house = House::new().await;
    let (old, new) = (Hook::start().await, Hook::start().await);
    old.answers(503, "");
    let mut input = ChannelsInput {
        webhook: old.url.clone(),
        ..all()
    };
    save(&house.app, &input).await;
    happens(&house, "one").await;
    house.after(10).await;
    old.take();
    input.webhook = new.url.clone();
    save(&house.app, &input).await;
    assert!(new.url.starts_with(&rows(&house).await[0].recipient));
    new.answers(503, "");
    house.after(600).await;
    assert_eq!((old.take().len(), new.take().len()), (0, 1));
    input.webhook = String::new();
    save(&house.app, &input).await;
    let one = rows(&house).await.remove(0);
    assert_eq!((one.state.as_str(), one.why.as_str()), ("dropped", "The webhook was removed."));
    house.after(HOUR).await;
    assert!(new.take().is_empty());
}

/// Not by the clock: the mail server says nothing at all, and everything else goes on to its end.
#[tokio::test]
async fn a_mail_server_that_hangs_keeps_nothing_else_waiting() {
    let house = House::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = Hook::start().await;
    let mut input = by_mail(listener.local_addr().unwrap().port());
    input.webhook = hook.url.clone();
    save(&house.app, &input).await;
    happens(&house, "one").await;
    notices::tick(&house.app).await.unwrap();
    let app = house.app.clone();
    let mailing = tokio::spawn(async move { deliveries::tick(&app, Channel::Mail).await });
    let hangs = listener.accept().await.unwrap();
    happens(&house, "two").await;
    let rest = async {
        notices::tick(&house.app).await.unwrap();
        deliveries::tick(&house.app, Channel::Webhook).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(10), rest)
        .await
        .expect("it waits for the mail server");
    let mut told: Vec<String> = hook.take().iter().map(|call| call.subject()).collect();
    told.sort();
    assert_eq!(told, ["Consent given for one", "Consent given for two"]);
    assert!(!mailing.is_finished(), "the mail server still says nothing");
    mailing.abort();
    drop(hangs);
}

#[tokio::test]
async fn several_instances_that_send_at_once_send_each_message_once() {
    for house in House::on_each().await {
        let smtpd = Smtpd::default();
        let mails = smtpd.messages.clone();
        let (server, hook) = (smtpd.start(None).await, Hook::start().await);
        let mut input = by_mail(server.port);
        input.webhook = hook.url.clone();
        save(&house.app, &input).await;
        for number in 0..9 {
            happens(&house, &format!("token-{number}")).await;
        }
        notices::tick(&house.app).await.unwrap();
        let other = house.another().await;
        tokio::join!(sent(&house.app), sent(&other));
        sent(&house.app).await;
        let got = mails.lock().unwrap().clone();
        let ids: BTreeSet<&str> = got
            .iter()
            .filter_map(|mail| mail.lines().find(|line| line.starts_with("Message-ID: ")))
            .collect();
        assert_eq!((got.len(), ids.len()), (18, 18));
        let posted: BTreeSet<String> = hook.take().into_iter().map(|call| call.id).collect();
        assert_eq!(posted.len(), 9);
        assert_eq!(times(&house.states().await, "delivered"), 27);
    }
}
