//! Which processes serve a database, and what only one of them does.

use crate::support::databases::{NOW, databases};
use mailgrant::store::instances::Instance;

fn instance(id: &str) -> Instance {
    Instance {
        id: id.into(),
        host: "here".into(),
        version: "1.2.3".into(),
        started_at: NOW,
        seen_at: NOW.plus(5),
        beat: 0,
    }
}

#[tokio::test]
async fn a_duty_stays_with_who_has_it_until_that_one_is_taken_away() {
    for database in databases().await {
        let store = &database.store;
        assert!(!store.take_duty("notices", "a").await.unwrap(), "who is not there takes nothing");
        for id in ["a", "b", "a"] {
            store.beat(&instance(id)).await.unwrap();
        }
        let beats: Vec<_> = store.instances().await.unwrap().into_iter().map(|i| (i.id, i.beat)).collect();
        assert_eq!(beats, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        for _ in 0..2 {
            assert!(store.take_duty("notices", "a").await.unwrap());
            assert!(!store.take_duty("notices", "b").await.unwrap());
        }
        assert!(store.take_duty("reports", "b").await.unwrap(), "another duty is another's");
        assert!(!store.remove_instance("a", 1).await.unwrap(), "it went on since it was looked at");
        assert!(store.remove_instance("a", 2).await.unwrap());
        assert!(store.take_duty("notices", "b").await.unwrap());
        assert!(!store.take_duty("notices", "a").await.unwrap());
    }
}

/// MULTI-3: whoever has a duty and does not come back to it can lose it, and only then.
#[tokio::test]
async fn a_duty_that_stands_still_can_be_taken_and_one_that_goes_on_cannot() {
    for database in databases().await {
        let store = &database.store;
        for id in ["a", "b"] {
            store.beat(&instance(id)).await.unwrap();
        }
        assert!(store.take_duty("audit", "a").await.unwrap());
        let (owner, seen) = store.duty("audit").await.unwrap().unwrap();
        assert_eq!(owner, "a");
        assert!(store.take_duty("audit", "a").await.unwrap());
        assert!(!store.free_duty("audit", "a", seen).await.unwrap(), "it came back to it");
        assert!(!store.take_duty("audit", "b").await.unwrap());
        assert!(store.free_duty("audit", "a", seen + 1).await.unwrap(), "it stands still");
        assert!(store.take_duty("audit", "b").await.unwrap());
        assert!(!store.take_duty("audit", "a").await.unwrap());
        // One whose pass was cut off lets go of all.
        store.free_duties("b").await.unwrap();
        assert!(store.take_duty("audit", "a").await.unwrap());
    }
}

#[tokio::test]
async fn of_many_who_want_a_free_duty_one_gets_it() {
    for database in databases().await {
        let store = &database.store;
        for number in 0..8 {
            store.beat(&instance(&format!("i{number}"))).await.unwrap();
        }
        let tries = (0..8).map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.take_duty("checks", &format!("i{number}")).await.unwrap() })
        });
        let mut took = 0;
        for task in tries.collect::<Vec<_>>() {
            took += usize::from(task.await.unwrap());
        }
        assert_eq!(took, 1);
    }
}
