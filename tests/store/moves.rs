//! Messages of a run that were moved: one at a time, and never twice.

use crate::support::databases::{NOW, databases};
use mailgrant::model::RunId;
use mailgrant::store::moves::{Fate, MovedMessage};

const RUN: &str =
    "INSERT INTO runs (id, mailbox_name, address, direction, protocol, started_by, started_at, outcome, settings, fingerprint, report)
    VALUES ('run', 'm', 'm@contoso.test', 'incoming', 'imap', 'Maija', 1, 'passed', '', '', '')";

#[tokio::test]
async fn a_message_is_moved_by_one_and_once_and_a_move_without_an_end_can_be_tried_again() {
    for database in databases().await {
        let store = &database.store;
        sqlx::query(RUN).execute(store.raw_pool()).await.unwrap();
        let run = RunId("run".to_owned());
        let moved = |seconds: i64| MovedMessage {
            list: "junk".to_owned(),
            place: 1,
            folder: "the inbox".to_owned(),
            fate: None,
            by: "Maija".to_owned(),
            at: NOW.plus(seconds),
        };
        let begins = async |seconds: i64| {
            let mut tx = store.begin().await.unwrap();
            let begun = tx.begin_move(&run, &moved(seconds)).await.unwrap();
            tx.commit().await.unwrap();
            begun
        };
        let ends = async |seconds: i64, fate: Option<Fate>| {
            let mut tx = store.begin().await.unwrap();
            match fate {
                Some(fate) => tx.end_move(&run, &moved(seconds), fate).await.unwrap(),
                None => tx.take_back_move(&run, &moved(seconds), None).await.unwrap(),
            }
            tx.commit().await.unwrap();
        };
        assert!(begins(0).await);
        assert!(!begins(10).await, "somebody is at it");
        assert!(begins(400).await, "nobody ended it");
        ends(0, Some(Fate::Gone)).await;
        assert_eq!(
            store.moved_messages(&run).await.unwrap(),
            [moved(400)],
            "the end of the first says nothing of the second"
        );
        ends(400, None).await;
        assert!(
            store.moved_messages(&run).await.unwrap().is_empty(),
            "nothing was changed, so it is offered again"
        );
        assert!(begins(500).await);
        ends(500, Some(Fate::Unknown)).await;
        assert!(begins(501).await, "what isn't known can be tried");
        // The mailbox could not be opened this time: where the message may be is known as before.
        let mut tx = store.begin().await.unwrap();
        let before = MovedMessage {
            fate: Some(Fate::Unknown),
            ..moved(500)
        };
        tx.take_back_move(&run, &moved(501), Some(&before)).await.unwrap();
        assert_eq!(tx.moved_message(&run, "junk", 1).await.unwrap(), Some(before));
        tx.commit().await.unwrap();
        assert!(begins(501).await);
        ends(501, Some(Fate::Done)).await;
        assert!(!begins(9000).await, "what was moved is not moved again");
        let all = store.moved_messages(&run).await.unwrap();
        assert_eq!((all.len(), all[0].fate), (1, Some(Fate::Done)));
        sqlx::query("DELETE FROM runs").execute(store.raw_pool()).await.unwrap();
        assert!(store.moved_messages(&run).await.unwrap().is_empty(), "it goes with its run");
    }
}
