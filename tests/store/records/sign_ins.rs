//! Sign-ins on their way, links, and devices that wait.

use super::{provider, token, with_token};
use crate::support::databases::{NOW, databases};
use mailgrant::model::Sealed;
use mailgrant::model::token::{Authorization, Device, Link, Prompt};
use mailgrant::store::StoreError;

#[tokio::test]
async fn an_authorization_ends_once_and_a_link_is_used_once() {
    for database in databases().await {
        let store = &database.store;
        let authorization = Authorization {
            id: "a".into(),
            state_hash: "h".into(),
            token_id: token().id,
            provider_id: provider().id,
            user_id: None,
            session_hash: None,
            flow_hash: Some("f".into()),
            link_id: Some("l".into()),
            redirect_uri: "http://localhost/cb".into(),
            issuer: None,
            prompt: Prompt::Unsent,
            sealed: Sealed("v1.x".into()),
            started_by: "Maija".into(),
            started_at: NOW,
            expires_at: NOW.plus(600),
            outcome: String::new(),
            detail: String::new(),
            finished_at: None,
        };
        let link = Link {
            id: "l".into(),
            code_hash: "c".into(),
            token_id: token().id,
            prompt: Prompt::Login,
            created_by: "Maija".into(),
            created_at: NOW,
            expires_at: NOW.plus(3600),
            opened_at: None,
            used_at: None,
            withdrawn: false,
            outcome: String::new(),
            detail: String::new(),
        };
        let mut tx = with_token(store).await;
        tx.insert_authorization(&authorization).await.unwrap();
        tx.insert_link(&link).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.authorizing_tokens(NOW).await.unwrap(), [token().id]);
        assert!(store.authorizing_tokens(NOW.plus(600)).await.unwrap().is_empty());
        let read = store.authorization_by_state("h").await.unwrap().unwrap();
        assert_eq!(
            (read.flow_hash.as_deref(), read.prompt, read.expires_at),
            (Some("f"), Prompt::Unsent, NOW.plus(600))
        );

        let mut tx = store.begin().await.unwrap();
        assert!(tx.finish_authorization("a", "claimed", "", NOW).await.unwrap());
        assert!(!tx.finish_authorization("a", "again", "", NOW).await.unwrap());
        tx.amend_authorization("a", "signed_in", "{}").await.unwrap();
        tx.mark_link_opened("l", NOW).await.unwrap();
        tx.mark_link_opened("l", NOW.plus(9)).await.unwrap();
        tx.note_link("l", "cancelled", "").await.unwrap();
        assert!(tx.use_link("l", "done", "{}", NOW).await.unwrap());
        assert!(!tx.use_link("l", "done", "{}", NOW).await.unwrap());
        tx.withdraw_link("l").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.latest_authorization(&token().id).await.unwrap().unwrap().outcome, "signed_in");
        assert_eq!(store.authorization("a").await.unwrap().unwrap().finished_at, Some(NOW));
        let read = store.link_by_code("c").await.unwrap().unwrap();
        assert_eq!(
            (read.opened_at, read.used_at, read.withdrawn, read.outcome.as_str()),
            (Some(NOW), Some(NOW), false, "done")
        );
        assert_eq!(store.links_of(&token().id).await.unwrap().len(), 1);
        assert_eq!(store.link("l").await.unwrap().unwrap().prompt, Prompt::Login);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.delete_old_authorizations(NOW.plus(601)).await.unwrap(), 1);
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn one_device_waits_for_a_token_and_each_turn_is_taken_once() {
    for database in databases().await {
        let store = &database.store;
        let attempt = |id: &str| Authorization {
            id: id.into(),
            state_hash: format!("device {id}"),
            token_id: token().id,
            provider_id: provider().id,
            user_id: None,
            session_hash: None,
            flow_hash: None,
            link_id: None,
            redirect_uri: String::new(),
            issuer: None,
            prompt: Prompt::Unsent,
            sealed: Sealed("v1.x".into()),
            started_by: "Maija".into(),
            started_at: NOW,
            expires_at: NOW.plus(900),
            outcome: String::new(),
            detail: String::new(),
            finished_at: None,
        };
        let device = |id: &str| Device {
            token_id: token().id,
            attempt_id: id.into(),
            token_version: 1,
            pause: 5,
            failures: 0,
            next_at: NOW.plus(5),
        };
        let mut tx = with_token(store).await;
        tx.insert_authorization(&attempt("a")).await.unwrap();
        tx.insert_device(&device("a")).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.insert_authorization(&attempt("b")).await.unwrap();
        assert!(matches!(tx.insert_device(&device("b")).await, Err(StoreError::Taken)));
        drop(tx);

        assert!(store.due_devices(NOW.plus(4)).await.unwrap().is_empty());
        let due = store.due_devices(NOW.plus(5)).await.unwrap();
        assert_eq!(due, [device("a")]);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.take_turn(&due[0], NOW.plus(35)).await.unwrap());
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        assert!(!tx.take_turn(&due[0], NOW.plus(35)).await.unwrap(), "another process read the same");
        assert!(store.due_devices(NOW.plus(34)).await.unwrap().is_empty());
        let next = Device {
            pause: 10,
            failures: 1,
            next_at: NOW.plus(20),
            ..device("a")
        };
        tx.update_device(&next).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.device(&token().id).await.unwrap(), Some(next));

        let mut tx = store.begin().await.unwrap();
        assert!(tx.finish_authorization("a", "withdrawn", "{}", NOW).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(store.device(&token().id).await.unwrap(), None, "it ends with its attempt");
    }
}
