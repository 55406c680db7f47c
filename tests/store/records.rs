use crate::support::databases::{NOW, databases};
use mailgrant::model::provider::{ClientAuth, Cloud, ConsentScreen, Endpoints, Provider, StoredSecret};
use mailgrant::model::report::Direction;
use mailgrant::model::scopes::Resource;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{
    Authorization, Device, Grant, GrantState, GrantType, Identity, Link, OtherToken, Prompt, Token, TokenEvent, TokenEventKind,
};
use mailgrant::model::{Date, Name, ProviderId, RunId, Sealed, TokenId};
use mailgrant::store::reports::{Run, RunFilter};
use mailgrant::store::{Store, StoreError, Tx};

pub(super) fn provider() -> Provider {
    Provider {
        id: ProviderId("p1".into()),
        name: Name::parse("contoso").unwrap(),
        template: TemplateKind::Microsoft,
        tenant: Some("contoso.example".into()),
        cloud: Cloud::Global,
        client_id: "id".into(),
        client_auth: ClientAuth::SecretPost,
        client_secret: Some(StoredSecret {
            sealed: Sealed("v1.s".into()),
            version: 3,
            set_at: NOW,
            set_by: "Maija".into(),
            hint: "abcd".into(),
        }),
        client_secret_expires: Date::parse("2027-05-01"),
        credentials: Default::default(),
        consent_screen: Some(ConsentScreen::Testing),
        grant: GrantType::AuthorizationCode,
        scopes: vec!["a".into(), "b".into()],
        prompt: Prompt::SelectAccount,
        login_hint: true,
        pkce: true,
        overrides: Endpoints {
            token_url: Some("https://login.example/token".into()),
            iss_announced: true,
            ..Endpoints::default()
        },
        extra_authorize_params: vec![("z".into(), "1".into()), ("a".into(), "2".into())],
        problem: None,
        problem_since: None,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub(super) fn token() -> Token {
    Token {
        id: TokenId("t1".into()),
        name: Name::parse("support").unwrap(),
        provider_id: ProviderId("p1".into()),
        provider: Name::parse("contoso").unwrap(),
        grant: GrantType::AuthorizationCode,
        user: Some("support@contoso.example".into()),
        scopes: vec!["offline_access".into()],
        prompt: Some(Prompt::Unsent),
        shared: true,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub(super) fn grant() -> Grant {
    Grant {
        token_id: TokenId("t1".into()),
        state: GrantState::Active,
        generation: 1,
        rt_current: Some((Sealed("v1.rt".into()), 1)),
        rt_current_proven: false,
        rt_previous: None,
        rt_rotated_at: None,
        access_token: Some((Sealed("v1.at".into()), 1)),
        others: vec![OtherToken {
            resource: Resource::Graph,
            sealed: "v1.other".into(),
            version: 1,
            issued_at: NOW,
            expires_at: NOW.plus(3600),
            scopes: vec!["Mail.Send".into()],
        }],
        token_type: "Bearer".into(),
        issued_at: Some(NOW),
        expires_at: Some(NOW.plus(3600)),
        granted_scopes: vec!["x".into()],
        identity: Identity {
            sub: "s".into(),
            tid: Some("t".into()),
            ..Identity::default()
        },
        destination: "https://login.example/token ".into(),
        authorized_at: Some(NOW),
        authorized_by: Some("Maija".into()),
        refreshed_at: None,
        lease_owner: None,
        lease_until: None,
        attempt_id: None,
        attempt_started: None,
        outcome: "ok".into(),
        failures: 0,
        retry_at: None,
        last_error: None,
        last_error_at: None,
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
        assert_eq!(tx.abandon_runs(NOW.plus(1), NOW.plus(100)).await.unwrap(), 1);
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
