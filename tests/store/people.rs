//! People, sessions, waiting forms and counted tries, on both engines.

use crate::support::databases::{NOW, databases};
use mailgrant::auth::throttle;
use mailgrant::clock::{Clock, MockClock};
use mailgrant::model::UserId;
use mailgrant::model::user::{Role, Theme, User};
use mailgrant::random::SeededRandom;
use mailgrant::store::sessions::{DraftRow, Sessions};
use mailgrant::store::{Store, StoreError};
use mailgrant::vault::sha256;
use std::sync::Arc;
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};

fn user(id: &str, role: Role) -> User {
    User {
        id: UserId(id.into()),
        email: format!("{id}@contoso.test"),
        name: id.to_uppercase(),
        role,
        password_hash: "hash".into(),
        disabled: false,
        theme: Theme::System,
        time_zone: String::new(),
        created_at: NOW,
        last_seen_at: None,
    }
}

async fn insert(store: &Store, user: &User) {
    let mut tx = store.begin().await.unwrap();
    tx.insert_user(user).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn people_are_stored_found_and_changed() {
    for database in databases().await {
        let store = &database.store;
        assert!(!store.has_users().await.unwrap());
        let (ann, bob) = (user("ann", Role::Admin), user("bob", Role::Viewer));
        insert(store, &ann).await;
        insert(store, &bob).await;
        assert!(store.has_users().await.unwrap());
        assert_eq!(store.user_by_email("ann@contoso.test").await.unwrap().as_ref(), Some(&ann));
        assert_eq!(store.user_by_email("ANN@contoso.test").await.unwrap(), None);
        assert_eq!(store.users().await.unwrap(), [ann.clone(), bob.clone()]);

        let mut tx = store.begin().await.unwrap();
        let again = User {
            id: UserId("other".into()),
            ..ann.clone()
        };
        assert!(matches!(tx.insert_user(&again).await, Err(StoreError::Taken)));
        drop(tx);

        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.count_users().await.unwrap(), 2);
        assert_eq!(tx.count_other_admins(&ann.id).await.unwrap(), 0);
        assert_eq!(tx.count_other_admins(&bob.id).await.unwrap(), 1);
        tx.set_user_profile(&bob.id, "Robert", Theme::Dark, "Europe/Helsinki")
            .await
            .unwrap();
        tx.set_user_seen(&bob.id, NOW.plus(9)).await.unwrap();
        tx.set_user_disabled(&bob.id, true).await.unwrap();
        tx.set_password_hash(&bob.id, "second").await.unwrap();
        // A stronger hash of the first password must not undo the change to another.
        tx.rehash_password(&bob.id, "hash", "stronger first").await.unwrap();
        tx.commit().await.unwrap();
        let changed = store.user_by_email("bob@contoso.test").await.unwrap().unwrap();
        let expected = User {
            name: "Robert".into(),
            theme: Theme::Dark,
            time_zone: "Europe/Helsinki".into(),
            last_seen_at: Some(NOW.plus(9)),
            disabled: true,
            password_hash: "second".into(),
            ..bob
        };
        assert_eq!(changed, expected);
        assert_eq!(store.names_with(&[Role::Admin, Role::Viewer], 3).await.unwrap(), ["ANN"]);
        assert!(store.names_with(&[], 3).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_last_two_admins_cannot_both_go_at_once() {
    for database in databases().await {
        let store = &database.store;
        let (ann, bob) = (user("ann", Role::Admin), user("bob", Role::Admin));
        insert(store, &ann).await;
        insert(store, &bob).await;
        let go = async |id: &UserId| {
            let mut tx = store.begin().await.unwrap();
            if tx.count_other_admins(id).await.unwrap() == 0 {
                return false;
            }
            tokio::task::yield_now().await;
            tx.set_user_disabled(id, true).await.unwrap();
            tx.commit().await.unwrap();
            true
        };
        let (first, second) = tokio::join!(go(&ann.id), go(&bob.id));
        assert!(first ^ second, "{:?}", store.engine());
    }
}

fn record(user: &str) -> Record {
    Record {
        id: Id(7),
        data: [("user".to_owned(), user.into()), ("flash".to_owned(), "x".into())].into(),
        expiry_date: time::OffsetDateTime::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn a_session_that_was_ended_does_not_come_back() {
    for database in databases().await {
        let store = &database.store;
        insert(store, &user("ann", Role::Admin)).await;
        let clock = MockClock::at(NOW);
        let sessions = Sessions::new(store.clone(), Arc::new(clock.clone()), Arc::new(SeededRandom::new(3)));
        let mut nobody = record("ann");
        nobody.data.remove("user");
        assert!(sessions.create(&mut nobody).await.is_err());

        let mut mine = record("ann");
        sessions.create(&mut mine).await.unwrap();
        assert_ne!(mine.id, Id(7), "the id is made here, whatever was wanted");
        assert_eq!(sessions.load(&mine.id).await.unwrap().unwrap().data, mine.data);
        mine.data.remove("flash");
        sessions.save(&mine).await.unwrap();
        assert!(!sessions.load(&mine.id).await.unwrap().unwrap().data.contains_key("flash"));

        let hash = sha256(&mine.id.to_string());
        let (row, owner) = store.session_with_user(&hash).await.unwrap().unwrap();
        assert_eq!((owner.id.as_str(), row.created_at, row.ends()), ("ann", NOW, NOW.plus(1800)));
        clock.advance(100);
        store.touch_session(&row, clock.now()).await.unwrap();
        let (row, owner) = store.session_with_user(&hash).await.unwrap().unwrap();
        assert_eq!((row.ends(), owner.last_seen_at), (NOW.plus(1900), Some(NOW.plus(100))));
        assert_eq!(store.sessions_of(&owner.id).await.unwrap().len(), 1);

        sessions.delete(&mine.id).await.unwrap();
        sessions.save(&mine).await.unwrap();
        store.touch_session(&row, clock.now()).await.unwrap();
        assert!(sessions.load(&mine.id).await.unwrap().is_none());
        assert!(store.session_with_user(&hash).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn sessions_end_by_person_and_are_swept_away_later() {
    for database in databases().await {
        let store = &database.store;
        for name in ["ann", "bob"] {
            insert(store, &user(name, Role::Admin)).await;
        }
        let sessions = Sessions::new(store.clone(), Arc::new(MockClock::at(NOW)), Arc::new(SeededRandom::new(3)));
        let mut hashes = Vec::new();
        for name in ["ann", "ann", "ann", "bob"] {
            let mut one = record(name);
            sessions.create(&mut one).await.unwrap();
            hashes.push(sha256(&one.id.to_string()));
        }
        let (ann, bob) = (UserId("ann".into()), UserId("bob".into()));
        let mut tx = store.begin().await.unwrap();
        assert!(!tx.delete_session(&ann, &hashes[3]).await.unwrap(), "somebody else's");
        assert!(tx.delete_session(&ann, &hashes[0]).await.unwrap());
        assert_eq!(tx.delete_sessions_of(&ann, Some(&hashes[1])).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(store.sessions_of(&ann).await.unwrap().len(), 1);
        // One that lives longer than it may be idle was written under another limit, or by a clock that was ahead.
        let raise = "UPDATE sessions SET expires_at = expires_at + 86400";
        sqlx::query(raise).execute(store.raw_pool()).await.unwrap();
        store.clean_sessions(NOW).await.unwrap();
        assert_eq!(store.sessions_of(&bob).await.unwrap()[0].ends(), NOW.plus(1800));
        // The row of an ended session is kept a day: it says whose a late form is.
        store.clean_sessions(NOW.plus(1800 + 86_400)).await.unwrap();
        assert_eq!(store.sessions_of(&bob).await.unwrap().len(), 1);
        store.clean_sessions(NOW.plus(1801 + 86_400)).await.unwrap();
        assert!(store.sessions_of(&bob).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_waiting_form_is_had_once_and_replaced_by_a_newer_one() {
    for database in databases().await {
        let store = &database.store;
        let draft = |id: &str, path: &str| DraftRow {
            id: id.into(),
            user_id: UserId("ann".into()),
            path: path.into(),
            sealed: "sealed".into(),
            expires_at: NOW.plus(60),
        };
        for (id, path) in [("1", "/a"), ("2", "/b"), ("3", "/a")] {
            store.insert_draft(&draft(id, path)).await.unwrap();
        }
        assert_eq!(store.draft("1").await.unwrap(), None);
        assert_eq!(store.draft("2").await.unwrap(), Some(draft("2", "/b")));
        assert_eq!(store.take_draft("3").await.unwrap(), Some(draft("3", "/a")));
        assert_eq!(store.take_draft("3").await.unwrap(), None);
        store.clean_sessions(NOW.plus(61)).await.unwrap();
        assert_eq!(store.draft("2").await.unwrap(), None);
    }
}

#[tokio::test]
async fn tries_are_counted_before_they_are_looked_at() {
    for database in databases().await {
        let store = &database.store;
        let take = async |email: &str, address: &str, at: i64| {
            let mut tx = store.begin().await.unwrap();
            let taken = throttle::take(&mut tx, email, address, NOW.plus(at)).await.unwrap();
            tx.commit().await.unwrap();
            taken
        };
        for _ in 0..5 {
            assert!(take("ann@contoso.test", "2001:db8::1", 0).await.is_ok());
        }
        assert_eq!(
            take("ann@contoso.test", "2001:db8::2", 0).await.unwrap_err(),
            20,
            "{:?}",
            store.engine()
        );
        let buckets = take("ann@contoso.test", "2001:db8::2", 20).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        throttle::succeeded(&mut tx, &buckets, NOW.plus(20)).await.unwrap();
        tx.commit().await.unwrap();
        assert!(take("ann@contoso.test", "2001:db8::3", 20).await.is_ok());
        // Counts go after a day; that the account is known there goes after thirty.
        store.clean_sessions(NOW.plus(86_400 + 21)).await.unwrap();
        let left = "SELECT COUNT(*) FROM throttles";
        let count: i64 = sqlx::query_scalar(left).fetch_one(store.raw_pool()).await.unwrap();
        assert_eq!(count, 1);
        store.clean_sessions(NOW.plus(30 * 86_400 + 21)).await.unwrap();
        let count: i64 = sqlx::query_scalar(left).fetch_one(store.raw_pool()).await.unwrap();
        assert_eq!(count, 0);
    }
}

#[tokio::test]
async fn a_clock_that_went_back_neither_frees_nor_locks() {
    for database in databases().await {
        let store = &database.store;
        let mut waits = Vec::new();
        for at in [0, 0, 0, 0, 0, -3600, -3600] {
            let mut tx = store.begin().await.unwrap();
            waits.push(
                throttle::take(&mut tx, "ann@contoso.test", "192.0.2.1", NOW.plus(at))
                    .await
                    .unwrap()
                    .err(),
            );
            tx.commit().await.unwrap();
        }
        assert_eq!(waits, [None, None, None, None, None, Some(20), Some(20)]);
    }
}

#[tokio::test]
async fn what_needs_attention_is_counted() {
    for database in databases().await {
        let counts = database.store.attention(NOW).await.unwrap();
        assert_eq!((counts.mailboxes, counts.providers, counts.tokens), (0, 0, 0));
    }
}
