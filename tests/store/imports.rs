//! What people bring along.

use crate::support::databases::{NOW, databases};
use mailgrant::model::{Sealed, UserId};
use mailgrant::store::imports::ImportRow;

fn row(number: i64) -> ImportRow {
    ImportRow {
        id: format!("i{number:02}"),
        user_id: UserId("u1".into()),
        sealed: Sealed("v1.brought".into()),
        created_at: NOW.plus(number),
        expires_at: NOW.plus(86_400),
        begun_at: None,
        done: 0,
        applied_at: None,
        undone_at: None,
        report: "{}".into(),
    }
}

#[tokio::test]
async fn an_import_is_its_owners_is_applied_once_and_undone_once() {
    for database in databases().await {
        let store = &database.store;
        let (owner, other) = (UserId("u1".into()), UserId("u2".into()));
        for number in 0..25 {
            store.insert_import(&row(number)).await.unwrap();
        }
        let waiting = store.imports_of(&owner, NOW).await.unwrap();
        assert_eq!(waiting.len(), 20, "the oldest of too many went");
        assert_eq!(store.import(&owner, "i04").await.unwrap(), None);
        assert_eq!(store.import(&owner, "i05").await.unwrap(), Some(row(5)));
        assert_eq!(store.import(&other, "i05").await.unwrap(), None, "nobody else sees it");
        assert!(store.imports_of(&other, NOW).await.unwrap().is_empty());
        store.delete_import(&other, "i05").await.unwrap();
        assert!(store.import(&owner, "i05").await.unwrap().is_some(), "nor throws it away");
        store.delete_import(&owner, "i05").await.unwrap();
        assert_eq!(store.import(&owner, "i05").await.unwrap(), None);

        let (work, undo) = (Sealed("v1.work".into()), Sealed("v1.undo".into()));
        let (begun, late) = (NOW.plus(30), NOW.plus(90_000));
        let mut tx = store.begin().await.unwrap();
        assert!(!tx.undone_import("i06", NOW).await.unwrap(), "nothing was written");
        assert!(!tx.advance_import("i06", 0, 200, "{}", &undo).await.unwrap(), "nor begun");
        assert!(
            !tx.begin_import("i06", &work, "{}", NOW.plus(86_400), late).await.unwrap(),
            "its day is over"
        );
        assert!(tx.begin_import("i06", &work, "{}", begun, late).await.unwrap());
        assert!(!tx.begin_import("i06", &work, "{}", begun, late).await.unwrap(), "once");
        assert!(tx.advance_import("i06", 0, 200, "{\"a\":1}", &undo).await.unwrap());
        assert!(!tx.advance_import("i06", 0, 200, "{}", &undo).await.unwrap(), "each part once");
        tx.commit().await.unwrap();
        let part = store.import(&owner, "i06").await.unwrap().unwrap();
        assert_eq!((part.begun_at, part.done, part.applied_at), (Some(begun), 200, None));
        assert_eq!((part.report.as_str(), part.expires_at, &part.sealed), ("{\"a\":1}", late, &work));
        store.delete_import(&owner, "i06").await.unwrap();
        assert!(
            store.import(&owner, "i06").await.unwrap().is_some(),
            "what was begun stays for its report"
        );

        let mut tx = store.begin().await.unwrap();
        assert!(tx.advance_import("i06", 200, 300, "{}", &undo).await.unwrap());
        tx.finish_import("i06", NOW.plus(40), late).await.unwrap();
        assert!(
            !tx.advance_import("i06", 300, 400, "{}", &undo).await.unwrap(),
            "all of it is written"
        );
        tx.commit().await.unwrap();
        let applied = store.import(&owner, "i06").await.unwrap().unwrap();
        assert_eq!((applied.applied_at, applied.sealed.0.as_str()), (Some(NOW.plus(40)), ""));

        assert_eq!(store.last_part("i06").await.unwrap(), Some((200, undo.clone())));
        let mut tx = store.begin().await.unwrap();
        assert!(tx.take_part("i06", 200, "{}").await.unwrap());
        assert!(!tx.take_part("i06", 200, "{}").await.unwrap(), "once");
        tx.commit().await.unwrap();
        assert_eq!(store.last_part("i06").await.unwrap(), Some((0, undo)));
        let mut tx = store.begin().await.unwrap();
        assert!(tx.undone_import("i06", NOW.plus(50)).await.unwrap());
        assert!(!tx.undone_import("i06", NOW.plus(50)).await.unwrap(), "once");
        tx.commit().await.unwrap();
        let undone = store.import(&owner, "i06").await.unwrap().unwrap();
        assert_eq!(undone.undone_at, Some(NOW.plus(50)));
    }
}
