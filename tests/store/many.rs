//! Work on many mailboxes, and lists of it, on both engines.

use super::mailboxes::mailbox;
use crate::support::databases::{NOW, databases};
use mailgrant::model::batch::{Batch, BatchState, What};
use mailgrant::model::round_trip::{Outcome, RoundTrip, Trouble};
use mailgrant::model::{BatchId, UserId};
use mailgrant::store::batches::Chosen;
use mailgrant::store::bulk::BulkAct;
use mailgrant::store::mailboxes::{MailboxFilter, MailboxSort, Page};
use mailgrant::store::turns::Turn;

/// The link from the overview leads to those whose message to itself came to this end, and to no others.
#[tokio::test]
async fn the_trouble_of_messages_to_themselves_filters_the_list() {
    for database in databases().await {
        let store = &database.store;
        let ends = [
            (Outcome::Refused, "The recipient was refused", None),
            (Outcome::Lost, "", None),
            (Outcome::Arrived, "", Some(4000)),
            (Outcome::Arrived, "", Some(4)),
        ];
        for (number, (outcome, problem, seconds)) in ends.into_iter().enumerate() {
            let mut one = mailbox(number);
            one.round_trip_hours = 1;
            let trip = RoundTrip {
                id: format!("trip-{number}"),
                mailbox_id: one.id.clone(),
                message_id: "<1@example.com>".to_owned(),
                sent_at: NOW,
                outcome: Outcome::Begun,
                seconds: None,
                place: String::new(),
                problem: String::new(),
            };
            let mut tx = store.begin().await.unwrap();
            tx.insert_mailbox(&one).await.unwrap();
            tx.plan_turn(Turn::RoundTrip, &one.id, NOW).await.unwrap();
            sqlx::query("UPDATE mailboxes SET round_trip_owner = 'me'")
                .execute(&mut **tx)
                .await
                .unwrap();
            assert!(tx.begin_round_trip(&trip, "me").await.unwrap());
            let ended = RoundTrip {
                outcome,
                problem: problem.to_owned(),
                seconds,
                ..trip
            };
            tx.note_round_trip(&ended).await.unwrap();
            tx.commit().await.unwrap();
        }
        for (outcome, problem, found) in [
            (Outcome::Refused, "The recipient was refused", vec!["m0"]),
            (Outcome::Refused, "Something else", vec![]),
            (Outcome::Lost, "", vec!["m1"]),
            (Outcome::Arrived, "", vec!["m2"]),
        ] {
            let trouble = Trouble {
                outcome,
                problem: problem.to_owned(),
                mailboxes: 1,
                name: String::new(),
                since: NOW,
            };
            let filter = MailboxFilter {
                problem: trouble.words(),
                ..MailboxFilter::default()
            };
            let page = store.mailbox_page(&filter, MailboxSort::State, false, &Page::First, 50);
            let names: Vec<String> = page.await.unwrap().0.iter().map(|row| row.name.to_string()).collect();
            assert_eq!(names, found, "{}", trouble.words());
        }
    }
}

#[tokio::test]
async fn bulk_tests_page_through_all_of_them_those_of_one_second_too() {
    for database in databases().await {
        let store = &database.store;
        let mut tx = store.begin().await.unwrap();
        for number in 0..7 {
            let batch = Batch {
                id: BatchId(format!("batch-{number}")),
                which: "all".to_owned(),
                what: What::Both,
                parallel: 1,
                note: String::new(),
                state: BatchState::Done,
                user_id: None,
                started_by: "Maija".to_owned(),
                started_at: NOW.plus(number / 3),
                finished_at: Some(NOW),
                mailboxes: 0,
                total: 0,
                passed: 0,
                failed: 0,
                skipped: 0,
                paused_seconds: 0,
            };
            tx.insert_batch(&batch, None).await.unwrap();
        }
        tx.commit().await.unwrap();
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = store.batches(after.as_ref(), 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.started_at, last.id.clone()));
            all.extend(page.into_iter().map(|batch| batch.id.0));
        }
        let newest_first: Vec<String> = (0..7).rev().map(|number| format!("batch-{number}")).collect();
        assert_eq!(all, newest_first);
    }
}

/// A console that was off for a week goes on with what it had begun.
#[tokio::test]
async fn an_act_that_is_not_through_is_kept_however_old_it_is() {
    for database in databases().await {
        let store = &database.store;
        let act = |id: &str| BulkAct {
            id: id.to_owned(),
            act: "pause".to_owned(),
            tag: String::new(),
            user_id: UserId("maija".to_owned()),
            actor: "{}".to_owned(),
            undo_actor: None,
            started_at: NOW,
            finished_at: None,
            undone_at: None,
            mailboxes: 0,
            changed: 0,
            undone: 0,
            kept: 0,
            unread: 0,
        };
        let mut tx = store.begin().await.unwrap();
        for number in 0..3 {
            tx.insert_mailbox(&mailbox(number)).await.unwrap();
        }
        for id in ["begun", "through"] {
            let chosen = Chosen {
                filter: MailboxFilter::default(),
                ids: Vec::new(),
            };
            assert_eq!(tx.insert_bulk_act(&act(id), &chosen, "me").await.unwrap(), 3);
        }
        tx.finish_bulk_act("through", NOW).await.unwrap();
        tx.commit().await.unwrap();
        for _ in 0..3 {
            let mut tx = store.begin().await.unwrap();
            tx.prune_bulk_acts(NOW.plus(8 * 86_400), 500).await.unwrap();
            tx.commit().await.unwrap();
        }
        assert_eq!(store.bulk_left("begun", 10).await.unwrap().len(), 3);
        assert!(store.bulk_act("begun").await.unwrap().is_some());
        assert!(store.bulk_act("through").await.unwrap().is_none());
        assert!(store.bulk_left("through", 10).await.unwrap().is_empty());
    }
}
