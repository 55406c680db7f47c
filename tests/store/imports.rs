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

        let mut tx = store.begin().await.unwrap();
        assert!(!tx.undo_import("i06", NOW).await.unwrap(), "nothing was applied");
        assert!(!tx.take_import("i06", NOW.plus(86_400)).await.unwrap(), "its day is over");
        assert!(tx.take_import("i06", NOW.plus(30)).await.unwrap());
        assert!(!tx.take_import("i06", NOW.plus(30)).await.unwrap(), "once");
        tx.finish_import("i06", &Sealed("v1.undo".into()), "{\"a\":1}", NOW.plus(90_000))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let applied = store.import(&owner, "i06").await.unwrap().unwrap();
        assert_eq!((applied.applied_at, applied.sealed.0.as_str()), (Some(NOW.plus(30)), "v1.undo"));
        assert_eq!((applied.report.as_str(), applied.expires_at), ("{\"a\":1}", NOW.plus(90_000)));
        store.delete_import(&owner, "i06").await.unwrap();
        assert!(
            store.import(&owner, "i06").await.unwrap().is_some(),
            "what was applied stays for its report"
        );

        let mut tx = store.begin().await.unwrap();
        assert!(!tx.undo_import("i06", NOW.plus(90_000)).await.unwrap(), "too late");
        assert!(tx.undo_import("i06", NOW.plus(40)).await.unwrap());
        assert!(!tx.undo_import("i06", NOW.plus(40)).await.unwrap(), "once");
        tx.commit().await.unwrap();
        let undone = store.import(&owner, "i06").await.unwrap().unwrap();
        assert_eq!((undone.undone_at, undone.sealed.0.as_str()), (Some(NOW.plus(40)), ""));
    }
}
