//! Bulk tests: every mailbox once, whatever becomes of the process, the provider beside it or the person who holds it; and what failed
//! grouped by its cause.

use super::checks::{House, add, silent};
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::smtp_server::Smtpd;
use crate::support::consoles::Pair;
use crate::support::records;
use mailgrant::actions::batches::{self, BatchError, Which, Wish, survey};
use mailgrant::actions::mailboxes::{self, check_mailbox};
use mailgrant::app::App;
use mailgrant::model::audit::Actor;
use mailgrant::model::batch::{Batch, BatchState, Command, ItemState, What};
use mailgrant::model::mailbox::MailboxState;
use mailgrant::model::{BatchId, UserId};
use mailgrant::store::batches::{Chosen, ItemFilter};
use mailgrant::store::mailboxes::MailboxFilter;
use mailgrant::worker::batches::{busy, tick};
use mailgrant::worker::cleanup::{self, Grown};
use mailgrant::worker::instances;
use std::time::Duration;

pub fn wish(what: What) -> Wish {
    Wish {
        which: Which::Chosen(Box::default()),
        words: "All mailboxes".into(),
        what,
        parallel: 8,
        note: String::new(),
    }
}

pub async fn start(app: &App, what: What) -> BatchId {
    let user = UserId("u".into());
    batches::start(app, &Actor::console(), &user, wish(what), None).await.unwrap()
}

pub async fn stored(app: &App, id: &BatchId) -> Batch {
    app.store.batch(id).await.unwrap().unwrap()
}

/// Passes of these consoles until nothing of the batch is left.
pub async fn pass(apps: &[&App], id: &BatchId) -> Batch {
    for _ in 0..4000 {
        for app in apps {
            tick(app).await.unwrap();
        }
        let batch = stored(apps[0], id).await;
        if !batch.is_open() {
            return batch;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the batch never ends: {:?}", stored(apps[0], id).await);
}

/// Passes until so many items run.
async fn until_running(app: &App, id: &BatchId, wanted: i64) {
    for _ in 0..1000 {
        tick(app).await.unwrap();
        if app.store.running_items(id).await.unwrap() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never {wanted} at once");
}

#[tokio::test]
async fn every_mailbox_is_tested_once_and_one_cause_is_one_group() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mut good = Vec::new();
    for number in 0..20 {
        good.push(house.mailbox(&format!("g{number}"), &server, PASSWORD).await);
    }
    for number in 0..41 {
        house.mailbox(&format!("b{number}"), &server, "not the password").await;
    }
    let found = survey(&house.app, &Which::Chosen(Box::default()), What::Both, 8).await.unwrap();
    assert_eq!(
        (found.mailboxes, found.tests, found.seconds),
        (61, 61, 31),
        "four seconds each, eight at once"
    );
    let id = start(&house.app, What::Both).await;
    let batch = pass(&[&house.app], &id).await;
    assert_eq!(
        (batch.mailboxes, batch.total, batch.passed, batch.failed, batch.state),
        (61, 61, 20, 41, BatchState::Done)
    );
    assert_eq!(server.connections(), 61, "each once");
    let groups = house.app.store.batch_groups(&id, 10).await.unwrap();
    assert_eq!(groups.iter().map(|group| group.items).collect::<Vec<_>>(), [41]);
    let filter = ItemFilter {
        cause: groups[0].cause.clone(),
        ..ItemFilter::default()
    };
    let items = house.app.store.batch_items(&id, &filter, 0, 100).await.unwrap();
    assert!(items.len() == 41 && items.iter().all(|item| item.name.starts_with('b') && item.run.is_some()));
    // What the list shows follows, and each has a run to read.
    assert_eq!(house.stored(&good[0]).await.state, MailboxState::Working);
    assert_eq!(house.runs(&good[0]).await, 1);
    // The failed ones again are exactly those.
    let again = Wish {
        which: Which::FailedOf(id.clone()),
        ..wish(What::Both)
    };
    let again = batches::start(&house.app, &Actor::console(), &UserId("u".into()), again, None)
        .await
        .unwrap();
    let batch = pass(&[&house.app], &again).await;
    assert_eq!((batch.total, batch.failed), (41, 41));
    // Who pressed, and for each mailbox that it was tested in their name.
    let told: Vec<_> = house.app.store.audit_rows(200).await.unwrap();
    let times = |action: &str| told.iter().filter(|row| row.action == action).count();
    assert_eq!((times("batch.start"), times("batch.test")), (2, 61 + 41));
    // Old ones go, with all that is theirs.
    house.clock.advance(91 * 86_400);
    cleanup::prune(&house.app, Grown::Batches).await.unwrap();
    for sql in [
        "SELECT COUNT(*) FROM batches",
        "SELECT COUNT(*) FROM batch_items",
        "SELECT COUNT(*) FROM batch_causes",
    ] {
        let left: i64 = sqlx::query_scalar(sql).fetch_one(house.app.store.raw_pool()).await.unwrap();
        assert_eq!(left, 0, "{sql}");
    }
}

#[tokio::test]
async fn a_choice_means_the_mailboxes_it_says_and_an_empty_one_starts_nothing() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let one = house.mailbox("one", &server, PASSWORD).await;
    house.mailbox("two", &server, PASSWORD).await;
    mailboxes::pause(&house.app, &Actor::console(), &one.name, "").await.unwrap();
    let of = async |chosen: Chosen| {
        let which = Which::Chosen(Box::new(chosen));
        survey(&house.app, &which, What::Incoming, 8).await.unwrap().mailboxes
    };
    let on = MailboxFilter {
        enabled: Some(true),
        ..MailboxFilter::default()
    };
    let chosen = |filter: &MailboxFilter, ids| Chosen {
        filter: filter.clone(),
        ids,
    };
    assert_eq!(of(chosen(&on, vec![])).await, 1);
    assert_eq!(of(Chosen::default()).await, 2);
    assert_eq!(of(chosen(&MailboxFilter::default(), vec![one.id.clone()])).await, 1);
    assert_eq!(of(chosen(&on, vec![one.id.clone()])).await, 0);
    let nobody = batches::start(&house.app, &Actor::console(), &UserId("u".into()), wish(What::Outgoing), None).await;
    assert!(matches!(nobody, Err(BatchError::Nobody)), "{nobody:?}");
    assert!(
        house.app.store.batches(None, 5).await.unwrap().is_empty(),
        "and leaves nothing behind"
    );
}

#[tokio::test]
async fn a_server_that_hangs_delays_no_mailbox_of_another_and_stopping_ends_what_runs() {
    let house = House::new().await;
    let (hangs, works) = (silent().await, Imapd::default().start(None).await);
    for number in 0..20 {
        house.mailbox(&format!("a{number:02}"), &hangs, PASSWORD).await;
    }
    for number in 0..5 {
        add(&house.app, &format!("b{number}"), ("localhost", &works), PASSWORD).await;
    }
    let id = start(&house.app, What::Incoming).await;
    let began = std::time::Instant::now();
    while stored(&house.app, &id).await.passed < 5 {
        tick(&house.app).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", stored(&house.app, &id).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(hangs.open(), 8, "as many as one server may have at once");
    batches::turn(&house.app, &Actor::console(), &id, Command::Stop).await.unwrap();
    let batch = pass(&[&house.app], &id).await;
    assert_eq!((batch.state, batch.passed, batch.failed), (BatchState::Stopped, 5, 0));
    assert_eq!((busy(&house.app), hangs.connections()), (0, 8), "nothing more begins");
    let left = ItemFilter {
        state: Some(ItemState::Waiting),
        ..ItemFilter::default()
    };
    assert_eq!(house.app.store.batch_items(&id, &left, 0, 100).await.unwrap().len(), 20);
    let turned = batches::turn(&house.app, &Actor::console(), &id, Command::GoOn).await;
    assert!(matches!(turned, Err(BatchError::Moved)), "what was stopped stays so");
}

#[tokio::test]
async fn a_batch_that_is_held_begins_nothing_and_goes_on_after_a_restart() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    for number in 0..20 {
        house.mailbox(&format!("m{number:02}"), &server, PASSWORD).await;
    }
    let id = start(&house.app, What::Incoming).await;
    until_running(&house.app, &id, 8).await;
    batches::turn(&house.app, &Actor::console(), &id, Command::Pause).await.unwrap();
    for _ in 0..200 {
        tick(&house.app).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let batch = stored(&house.app, &id).await;
    assert_eq!(
        (batch.state, batch.passed, server.connections()),
        (BatchState::Paused, 8, 8),
        "what ran came to its end"
    );
    // The process that held it is gone; another finds it as it was.
    instances::leave(&house.app).await.unwrap();
    instances::tick(&house.app).await.unwrap();
    batches::turn(&house.app, &Actor::console(), &id, Command::GoOn).await.unwrap();
    let batch = pass(&[&house.app], &id).await;
    assert_eq!((batch.passed, server.connections()), (20, 20), "and nobody was asked twice");
    let told: Vec<_> = house.app.store.audit_rows(100).await.unwrap();
    let (tests, turns): (Vec<_>, Vec<_>) = told
        .iter()
        .map(|row| row.action.as_str())
        .filter(|action| action.starts_with("batch."))
        .partition(|action| *action == "batch.test");
    assert_eq!(turns, ["batch.go_on", "batch.pause", "batch.start"]);
    assert_eq!(tests.len(), 20, "one for each mailbox, also where another process went on");
}

/// A message whose fate nobody knows is not sent once more; reading is done again.
#[tokio::test]
async fn what_a_dead_process_had_is_read_again_and_not_sent_twice() {
    let house = House::new().await;
    let (imap, smtp) = (Imapd::default().start(None).await, Smtpd::default().start(None).await);
    // Apart, or a message would be waited for where it never arrives.
    for number in 0..3 {
        for (name, incoming, outgoing) in [("r", Some(imap.port), None), ("s", None, Some(smtp.port))] {
            let input = records::mailbox(&format!("{name}{number}"), incoming, outgoing, PASSWORD);
            let edit = check_mailbox(&input, &house.app.gate).unwrap();
            mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
        }
    }
    let id = start(&house.app, What::Both).await;
    let all = house.app.store.batch_items(&id, &ItemFilter::default(), 0, 10).await.unwrap();
    assert_eq!(all.len(), 6);
    let mut tx = house.app.store.begin().await.unwrap();
    for item in [&all[0], &all[3]] {
        assert!(tx.claim_item(item, "a process that was killed").await.unwrap());
    }
    tx.commit().await.unwrap();
    let batch = pass(&[&house.app], &id).await;
    assert_eq!((batch.total, batch.over()), (6, 6), "{batch:?}");
    let after = house.app.store.batch_items(&id, &ItemFilter::default(), 0, 10).await.unwrap();
    assert_eq!(after[0].state, ItemState::Passed, "{:?}", after[0]);
    assert_eq!((after[3].state, &after[3].run), (ItemState::Failed, &None), "{:?}", after[3]);
    let sent = smtp
        .heard()
        .iter()
        .filter(|line| line.to_uppercase().starts_with("MAIL FROM"))
        .count();
    assert_eq!(sent, 2, "the third may have been sent by the dead");
    assert!(after[3].problem.starts_with("We can't know whether"), "{}", after[3].problem);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_consoles_divide_a_batch_and_count_together() {
    for Pair { first, second, url, .. } in &Pair::on_each().await {
        let server = Imapd::default().start(None).await;
        for number in 0..60 {
            add(first, &format!("m{number}"), ("127.0.0.1", &server), PASSWORD).await;
        }
        let id = start(first, What::Incoming).await;
        // One of them dies in the middle: what it had is the other's.
        until_running(first, &id, 8).await;
        assert_eq!(busy(first), 8);
        for _ in 0..20 {
            tick(second).await.unwrap();
        }
        assert!(server.connections() <= 8, "one limit for both");
        let batch = pass(&[first, second], &id).await;
        assert_eq!((batch.passed, batch.failed, batch.total), (60, 0, 60), "{url:?}");
        assert_eq!(server.connections(), 60, "each once");
    }
}
