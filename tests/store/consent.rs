//! Admin consents and the links about a provider, on both engines.

use super::records::provider;
use crate::support::databases::{NOW, databases};
use mailgrant::model::consent::{Consent, LinkKind, ProviderLink};
use mailgrant::model::{Sealed, UserId};
use mailgrant::store::StoreError;

fn link(id: &str, kind: LinkKind) -> ProviderLink {
    ProviderLink {
        id: id.into(),
        code_hash: format!("hash of {id}"),
        kind,
        provider_id: provider().id,
        app: "app".into(),
        created_by: "Maija".into(),
        created_at: NOW,
        expires_at: NOW.plus(60),
        opened_at: None,
        used_at: None,
        withdrawn: false,
        tries: 0,
    }
}

fn consent(id: &str) -> Consent {
    Consent {
        id: id.into(),
        state_hash: Some(format!("state of {id}")),
        provider_id: provider().id,
        app: "app".into(),
        user_id: Some(UserId("u".into())),
        session_hash: Some("session".into()),
        flow_hash: Some("flow".into()),
        link_id: None,
        scopes: vec!["a".into(), "b".into()],
        sealed: Sealed("v1.url".into()),
        started_by: "Maija".into(),
        started_at: NOW,
        expires_at: NOW.plus(600),
        outcome: String::new(),
        detail: String::new(),
        finished_at: None,
    }
}

#[tokio::test]
async fn a_link_is_used_once_and_only_while_it_may_be() {
    for database in databases().await {
        let store = &database.store;
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&provider()).await.unwrap();
        for (id, kind) in [("a", LinkKind::Consent), ("b", LinkKind::Secret), ("c", LinkKind::Secret)] {
            tx.insert_provider_link(&link(id, kind)).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(
            store.provider_link_by_code("hash of a").await.unwrap(),
            Some(link("a", LinkKind::Consent))
        );
        assert_eq!(store.provider_link_by_code("hash of x").await.unwrap(), None);
        let mut tx = store.begin().await.unwrap();
        tx.mark_provider_link_opened("a", NOW.plus(1)).await.unwrap();
        tx.mark_provider_link_opened("a", NOW.plus(2)).await.unwrap();
        assert!(tx.try_provider_link("a", 2).await.unwrap() && tx.try_provider_link("a", 2).await.unwrap());
        assert!(!tx.try_provider_link("a", 2).await.unwrap(), "worn out");
        assert!(tx.use_provider_link("a", NOW.plus(3)).await.unwrap());
        assert!(!tx.use_provider_link("a", NOW.plus(4)).await.unwrap(), "once");
        assert!(!tx.withdraw_provider_link("a").await.unwrap(), "too late to take it back");
        assert!(tx.withdraw_provider_link("b").await.unwrap());
        assert!(!tx.use_provider_link("b", NOW).await.unwrap() && !tx.try_provider_link("b", 2).await.unwrap());
        assert!(!tx.use_provider_link("c", NOW.plus(61)).await.unwrap(), "over");
        tx.commit().await.unwrap();
        let used = store.provider_link("a").await.unwrap().unwrap();
        assert_eq!(
            (used.opened_at, used.used_at, used.tries),
            (Some(NOW.plus(1)), Some(NOW.plus(3)), 2)
        );
        let links = store.provider_links_of(&provider().id, LinkKind::Secret).await.unwrap();
        assert_eq!(links.iter().map(|link| link.id.as_str()).collect::<Vec<_>>(), ["c", "b"]);
        let mut tx = store.begin().await.unwrap();
        tx.delete_provider(&provider().id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.provider_link("a").await.unwrap(), None, "links go with their provider");
    }
}

#[tokio::test]
async fn a_consent_is_taken_once_and_kept_when_it_ended() {
    for database in databases().await {
        let store = &database.store;
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&provider()).await.unwrap();
        for id in ["open", "done"] {
            tx.insert_consent(&consent(id)).await.unwrap();
        }
        // Those nobody was sent away for have no state.
        for id in ["told", "told again"] {
            let told = Consent {
                state_hash: None,
                outcome: "told".into(),
                finished_at: Some(NOW.plus(9)),
                ..consent(id)
            };
            tx.insert_consent(&told).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(store.consent_by_state("state of done").await.unwrap(), Some(consent("done")));
        assert_eq!(store.consent("open").await.unwrap(), Some(consent("open")));
        let mut tx = store.begin().await.unwrap();
        let twin = Consent {
            state_hash: Some("state of open".into()),
            ..consent("another")
        };
        assert!(matches!(tx.insert_consent(&twin).await, Err(StoreError::Taken)));
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.finish_consent("done", "working", NOW.plus(10)).await.unwrap());
        assert!(!tx.finish_consent("done", "working", NOW.plus(11)).await.unwrap(), "one return");
        tx.amend_consent("done", "granted", "{}").await.unwrap();
        assert_eq!(tx.delete_old_consents(NOW.plus(601)).await.unwrap(), 1, "what ended stays");
        tx.commit().await.unwrap();
        let kept = store.consents_of(&provider().id, "app").await.unwrap();
        assert_eq!(kept.len(), 3);
        assert_eq!((kept[0].id.as_str(), kept[0].outcome.as_str()), ("done", "granted"));
        assert!(store.consents_of(&provider().id, "another app").await.unwrap().is_empty());
        assert_eq!(store.last_sign_in(&provider().id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_waited_for_consent_is_tried_again_and_what_ended_for_another_reason_is_not() {
    use super::records::{grant, token};
    use mailgrant::model::token::GrantState;
    for database in databases().await {
        let store = &database.store;
        let told = |id: &str| serde_json::to_string(&mailgrant::diagnosis::by_id(id).unwrap()).unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&provider()).await.unwrap();
        tx.insert_token(&token()).await.unwrap();
        tx.commit().await.unwrap();
        for (why, expected) in [
            ("entra-65001-consent-missing", GrantState::Failing),
            ("entra-50173-grant-revoked", GrantState::Revoked),
        ] {
            let mut waits = grant();
            (waits.state, waits.last_error) = (GrantState::Revoked, Some(told(why)));
            let mut tx = store.begin().await.unwrap();
            tx.replace_grant(&waits).await.unwrap();
            tx.retry_unconsented(&provider().id).await.unwrap();
            tx.commit().await.unwrap();
            let now = store.grant(&token().id).await.unwrap().unwrap();
            assert_eq!((now.state, now.rt_current), (expected, waits.rt_current), "{why}");
        }
    }
}
