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

        let mut tx = store.begin().await.unwrap();
        let (brought, plan, undo) = ("i06", Sealed("v1.plan".into()), Sealed("v1.undo".into()));
        let late = tx.begin_import(brought, &plan, "{}", NOW.plus(86_400), NOW.plus(90_000)).await;
        assert!(!late.unwrap(), "its day is over");
        assert!(!tx.advance_import(brought, 0, 5, "{}", &undo).await.unwrap(), "nothing was begun");
        let begun = tx.begin_import(brought, &plan, "{}", NOW.plus(30), NOW.plus(90_000)).await;
        assert!(begun.unwrap());
        let again = tx.begin_import(brought, &plan, "{}", NOW.plus(30), NOW.plus(90_000)).await;
        assert!(!again.unwrap(), "once");
        assert!(tx.advance_import(brought, 0, 5, "{\"a\":1}", &undo).await.unwrap());
        assert!(
            !tx.advance_import(brought, 0, 5, "{}", &undo).await.unwrap(),
            "a part is written once"
        );
        tx.commit().await.unwrap();
        let begun = store.import(&owner, brought).await.unwrap().unwrap();
        assert_eq!((begun.begun_at, begun.done, begun.applied_at), (Some(NOW.plus(30)), 5, None));
        assert_eq!(begun.sealed, plan, "what is still to be written stays");
        store.delete_import(&owner, brought).await.unwrap();
        let begun = store.import(&owner, brought).await.unwrap();
        assert!(begun.is_some(), "what was begun stays for its report");

        let mut tx = store.begin().await.unwrap();
        tx.finish_import(brought, NOW.plus(31), NOW.plus(90_000)).await.unwrap();
        assert!(
            !tx.advance_import(brought, 5, 6, "{}", &undo).await.unwrap(),
            "nothing after the end"
        );
        tx.commit().await.unwrap();
        let applied = store.import(&owner, brought).await.unwrap().unwrap();
        assert_eq!((applied.applied_at, applied.sealed.0.as_str()), (Some(NOW.plus(31)), ""));
        assert_eq!((applied.report.as_str(), applied.expires_at), ("{\"a\":1}", NOW.plus(90_000)));

        assert_eq!(store.last_part(brought).await.unwrap(), Some((0, undo)));
        let mut tx = store.begin().await.unwrap();
        assert!(tx.take_part(brought, 0, "{}").await.unwrap());
        assert!(!tx.take_part(brought, 0, "{}").await.unwrap(), "once");
        tx.undone_import(brought, NOW.plus(40)).await.unwrap();
        tx.commit().await.unwrap();
        let undone = store.import(&owner, brought).await.unwrap().unwrap();
        assert_eq!((undone.undone_at, undone.sealed.0.as_str()), (Some(NOW.plus(40)), ""));
        assert_eq!(store.last_part(brought).await.unwrap(), None);
    }
}
