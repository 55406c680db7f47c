mod sign_ins;

use crate::support::databases::{NOW, databases};
use crate::support::records;
use mailgrant::model::provider::{ClientAuth, ConsentScreen, Endpoints, Provider, StoredSecret};
use mailgrant::model::report::Direction;
use mailgrant::model::scopes::Resource;
use mailgrant::model::token::{Grant, Identity, OtherToken, Prompt, Token, TokenEvent, TokenEventKind};
use mailgrant::model::{Date, ProviderId, RunId, Sealed};
use mailgrant::store::reports::{Run, RunFilter};
use mailgrant::store::{Store, StoreError, Tx};

/// A provider with something in every column.
pub(super) fn provider() -> Provider {
    Provider {
        tenant: Some("contoso.example".into()),
        client_auth: ClientAuth::SecretPost,
        client_secret: Some(StoredSecret {
            sealed: Sealed("v1.s".into()),
            version: 3,
            set_at: NOW,
            set_by: "Maija".into(),
            hint: "abcd".into(),
        }),
        client_secret_expires: Date::parse("2027-05-01"),
        consent_screen: Some(ConsentScreen::Testing),
        scopes: vec!["a".into(), "b".into()],
        overrides: Endpoints {
            token_url: Some("https://login.example/token".into()),
            iss_announced: true,
            ..Endpoints::default()
        },
        extra_authorize_params: vec![("z".into(), "1".into()), ("a".into(), "2".into())],
        ..records::provider()
    }
}

pub(super) fn token() -> Token {
    Token {
        user: Some("support@contoso.example".into()),
        scopes: vec!["offline_access".into()],
        prompt: Some(Prompt::Unsent),
        shared: true,
        ..records::token()
    }
}

pub(super) fn grant() -> Grant {
    Grant {
        others: vec![OtherToken {
            resource: Resource::Graph,
            sealed: "v1.other".into(),
            version: 1,
            issued_at: NOW,
            expires_at: NOW.plus(3600),
            scopes: vec!["Mail.Send".into()],
        }],
        granted_scopes: vec!["x".into()],
        identity: Identity {
            sub: "s".into(),
            tid: Some("t".into()),
            ..Identity::default()
        },
        destination: "https://login.example/token ".into(),
        authorized_by: Some("Maija".into()),
        outcome: "ok".into(),
        ..records::grant()
    }
}

async fn with_token(store: &Store) -> Tx {
    let mut tx = store.begin().await.unwrap();
    tx.insert_provider(&provider()).await.unwrap();
    tx.insert_token(&token()).await.unwrap();
    tx
}

#[tokio::test]
async fn a_provider_comes_back_as_it_was_stored_and_older_forms_do_not_win() {
    for database in databases().await {
        let store = &database.store;
        with_token(store).await.commit().await.unwrap();
        let stored = provider();
        assert_eq!(store.provider(&stored.name).await.unwrap().unwrap(), stored);
        assert_eq!(store.provider_by_id(&stored.id).await.unwrap().unwrap(), stored);
        let usage = store.provider_usage().await.unwrap().remove(0);
        assert_eq!((&usage.provider, usage.tokens, usage.mailboxes), (&stored.id, 1, 0));

        let mut tx = store.begin().await.unwrap();
        let changed = Provider {
            tenant: None,
            client_secret: None,
            updated_at: NOW.plus(9),
            ..stored.clone()
        };
        tx.update_provider(&changed).await.unwrap();
        assert!(matches!(tx.update_provider(&changed).await, Err(StoreError::Stale)));
        assert!(tx.set_provider_problem(&stored.id, Some("{}"), NOW).await.unwrap());
        assert!(!tx.set_provider_problem(&stored.id, Some("{}"), NOW.plus(5)).await.unwrap());
        tx.commit().await.unwrap();
        let read = store.providers().await.unwrap().remove(0);
        assert_eq!((read.version, read.problem_since), (2, Some(NOW)));
        assert_eq!((read.tenant, read.client_secret), (None, None));

        let mut tx = store.begin().await.unwrap();
        assert!(matches!(tx.delete_provider(&stored.id).await, Err(StoreError::InUse)));
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert!(matches!(
            tx.insert_provider(&Provider {
                id: ProviderId("p2".into()),
                ..stored.clone()
            })
            .await,
            Err(StoreError::Taken)
        ));
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.set_provider_problem(&stored.id, None, NOW).await.unwrap());
        tx.delete_token(&token().id).await.unwrap();
        tx.delete_provider(&stored.id).await.unwrap();
        tx.commit().await.unwrap();
        assert!(store.providers().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_token_and_its_grant_come_back_and_a_grant_is_written_only_over_what_was_read() {
    for database in databases().await {
        let store = &database.store;
        let mut tx = with_token(store).await;
        tx.replace_grant(&grant()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.token(&token().name).await.unwrap().unwrap(), token());
        assert_eq!(store.token_by_id(&token().id).await.unwrap().unwrap(), token());
        assert_eq!(store.tokens_of(&provider().id).await.unwrap(), store.tokens().await.unwrap());
        assert_eq!(store.grant(&token().id).await.unwrap().unwrap(), grant());

        assert!(
            store
                .claim_grant(&token().id, 1, "me", None, "a1", NOW, NOW.plus(60))
                .await
                .unwrap()
        );
        assert!(
            !store
                .claim_grant(&token().id, 1, "you", None, "a2", NOW, NOW.plus(60))
                .await
                .unwrap(),
            "one at a time"
        );
        assert!(
            store
                .claim_grant(&token().id, 1, "you", Some("me"), "a2", NOW, NOW.plus(60))
                .await
                .unwrap(),
            "a dead owner is followed"
        );
        assert!(
            store
                .claim_grant(&token().id, 1, "third", None, "a3", NOW.plus(61), NOW.plus(121))
                .await
                .unwrap(),
            "a claim runs out"
        );
        assert!(
            !store
                .claim_grant(&token().id, 2, "third", None, "a4", NOW.plus(200), NOW.plus(300))
                .await
                .unwrap(),
            "another generation"
        );
        assert_eq!(store.unanswered_grants().await.unwrap().len(), 1);

        let next = Grant {
            generation: 2,
            outcome: "ok".into(),
            ..grant()
        };
        let mut tx = store.begin().await.unwrap();
        assert!(
            !tx.update_grant(&next, 1, Some("a1")).await.unwrap(),
            "an attempt that lost its claim"
        );
        assert!(tx.update_grant(&next, 1, Some("a3")).await.unwrap());
        assert!(!tx.update_grant(&next, 1, None).await.unwrap(), "another generation");
        tx.commit().await.unwrap();
        assert_eq!(store.grants().await.unwrap(), [next]);
        assert!(store.unanswered_grants().await.unwrap().is_empty());

        let mut tx = store.begin().await.unwrap();
        let changed = Token {
            user: None,
            prompt: None,
            ..token()
        };
        tx.update_token(&changed).await.unwrap();
        assert!(matches!(tx.update_token(&changed).await, Err(StoreError::Stale)));
        tx.delete_grant(&token().id).await.unwrap();
        tx.commit().await.unwrap();
        assert!(store.grant(&token().id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_history_is_in_the_order_things_happened() {
    for database in databases().await {
        let store = &database.store;
        let mut tx = with_token(store).await;
        for i in 0..5 {
            let event = TokenEvent {
                kind: TokenEventKind::Renewed,
                actor: "the console".into(),
                text: format!("{i}"),
                at: NOW,
            };
            tx.add_token_event(format!("e{}", 9 - i), &token().id, &event).await.unwrap();
        }
        tx.commit().await.unwrap();
        let texts: Vec<_> = store
            .token_events(&token().id, 3)
            .await
            .unwrap()
            .into_iter()
            .map(|event| event.text)
            .collect();
        assert_eq!(texts, ["4", "3", "2"]);
    }
}

#[tokio::test]
async fn runs_are_listed_newest_first_and_a_dead_one_is_ended() {
    for database in databases().await {
        let store = &database.store;
        let run = |i: i64| Run {
            id: RunId(format!("r{i}")),
            mailbox_id: None,
            mailbox_name: "m".into(),
            address: "m@example.com".into(),
            direction: Direction::Incoming,
            protocol: "imap".into(),
            draft: true,
            started_by: "Maija".into(),
            user_id: None,
            started_at: NOW.plus(i / 2),
            finished_at: None,
            outcome: "running".into(),
            failed_step: None,
            diagnosis_id: None,
            settings: "{}".into(),
            fingerprint: "f".into(),
            report: "{}".into(),
            newest: None,
        };
        let mut tx = store.begin().await.unwrap();
        for i in 0..5 {
            tx.insert_run(&run(i)).await.unwrap();
        }
        let done = Run {
            outcome: "failed".into(),
            failed_step: Some("auth".into()),
            finished_at: Some(NOW),
            newest: Some(Sealed("v1.n".into())),
            ..run(0)
        };
        tx.finish_run(&done).await.unwrap();
        for id in ["r0", "r1"] {
            tx.abandon_run(&RunId(id.into()), NOW.plus(100)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let ids = |runs: Vec<Run>| runs.into_iter().map(|run| run.id.0).collect::<Vec<_>>();
        let filter = RunFilter {
            limit: 2,
            ..RunFilter::default()
        };
        assert_eq!(ids(store.runs(&filter).await.unwrap()), ["r4", "r3"]);
        let filter = RunFilter {
            after: Some((NOW.plus(1), RunId("r3".into()))),
            limit: 9,
            ..RunFilter::default()
        };
        assert_eq!(ids(store.runs(&filter).await.unwrap()), ["r2", "r1", "r0"]);
        let filter = RunFilter {
            outcome: Some("failed".into()),
            limit: 9,
            ..RunFilter::default()
        };
        assert_eq!(ids(store.runs(&filter).await.unwrap()), ["r0"]);
        let filter = RunFilter {
            direction: Some(Direction::Outgoing),
            limit: 9,
            ..RunFilter::default()
        };
        assert!(store.runs(&filter).await.unwrap().is_empty());
        assert_eq!(store.run(&RunId("r1".into())).await.unwrap().unwrap().outcome, "stopped");
        assert_eq!(
            store.run(&RunId("r0".into())).await.unwrap().unwrap().newest,
            Some(Sealed("v1.n".into()))
        );
    }
}
