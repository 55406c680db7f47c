use crate::support::databases::{NOW, databases};
use mailgrant::clock::Timestamp;
use mailgrant::model::mailbox::{Auth, Endpoint, Mailbox, MailboxState, Pause, Protocol, Security, Server, Side, SideState};
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::{MailboxId, Name, RunId, Sealed};
use mailgrant::store::causes::MailboxProblem;
use mailgrant::store::mailboxes::{MailboxFilter, MailboxSort, Page};
use mailgrant::store::{Store, StoreError};

pub fn mailbox(i: usize) -> Mailbox {
    let side = |protocol: Protocol, port| Side {
        server: protocol.at(Endpoint {
            host: "mail.example".into(),
            port,
            security: Security::Tls,
        }),
        auth: Auth::Password {
            password: Some((Sealed("v1.x".into()), 4)),
        },
        username: None,
    };
    Mailbox {
        id: MailboxId(format!("{i:032}")),
        name: Name::parse(&format!("m{i}")).unwrap(),
        address: format!("m{:04}@example.com", 9999 - i),
        display_name: format!("Büro {i} 100%"),
        enabled: true,
        paused: None,
        tags: vec!["all".into(), if i.is_multiple_of(2) { "even".into() } else { "odd".into() }],
        incoming: Some(side(Protocol::Imap, 993)),
        folder: "INBOX".into(),
        outgoing: (!i.is_multiple_of(3)).then(|| side(Protocol::Smtp, 465)),
        from: None,
        bcc: vec!["a@example.com".into()],
        round_trip_hours: 0,
        state: MailboxState::from_rank((i % 5) as i64),
        incoming_state: SideState::default(),
        outgoing_state: SideState::default(),
        checked_at: Timestamp(i as i64 / 2),
        failing_since: None,
        changed_at: NOW,
        version: 1,
        created_at: NOW.plus(i as i64),
    }
}

async fn fill(store: &Store, count: usize) {
    let mut tx = store.begin().await.unwrap();
    for i in 0..count {
        tx.insert_mailbox(&mailbox(i)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_mailbox_comes_back_as_it_was_stored() {
    for database in databases().await {
        let store = &database.store;
        let mut stored = mailbox(1);
        stored.paused = Some(Pause {
            by: "Ossi".into(),
            at: NOW,
            reason: "holiday".into(),
        });
        stored.incoming_state = SideState {
            outcome: Some(Outcome::Failed),
            problem: Some("x".into()),
            run: Some(RunId("r".into())),
            tested_at: Some(NOW),
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_mailbox(&stored).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.mailbox(&stored.name).await.unwrap().unwrap(), stored);
        assert_eq!(store.mailboxes_with_address("M9998@Example.com").await.unwrap(), ["m1"]);

        let mut changed = stored.clone();
        changed.outgoing = None;
        changed.tags = vec!["new".into()];
        let mut tx = store.begin().await.unwrap();
        tx.update_mailbox(&changed).await.unwrap();
        assert!(
            matches!(tx.update_mailbox(&changed).await, Err(StoreError::Stale)),
            "an older form must not win"
        );
        tx.commit().await.unwrap();
        changed.version = 2;
        assert_eq!(store.mailbox_by_id(&stored.id).await.unwrap().unwrap(), changed);
        assert_eq!(store.tags().await.unwrap(), [("new".to_owned(), 1)]);

        let mut tx = store.begin().await.unwrap();
        assert!(matches!(
            tx.insert_mailbox(&Mailbox {
                id: MailboxId("other".into()),
                ..changed.clone()
            })
            .await,
            Err(StoreError::Taken)
        ));
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        tx.delete_mailbox(&changed.id).await.unwrap();
        tx.commit().await.unwrap();
        assert!(store.mailbox(&changed.name).await.unwrap().is_none());
        assert!(store.tags().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_a_side_speaks_comes_back_with_or_without_a_server() {
    for database in databases().await {
        let store = &database.store;
        let mut stored = mailbox(1);
        let endpoint = Endpoint {
            host: "pop.example".into(),
            port: 110,
            security: Security::Starttls,
        };
        stored.incoming.as_mut().unwrap().server = Server::Pop3(endpoint);
        stored.outgoing.as_mut().unwrap().server = Server::Graph;
        let mut tx = store.begin().await.unwrap();
        tx.insert_mailbox(&stored).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.mailbox(&stored.name).await.unwrap().unwrap(), stored);

        let mut changed = stored.clone();
        changed.incoming.as_mut().unwrap().server = Server::Graph;
        let mut tx = store.begin().await.unwrap();
        tx.update_mailbox(&changed).await.unwrap();
        tx.commit().await.unwrap();
        changed.version = 2;
        assert_eq!(store.mailbox(&stored.name).await.unwrap().unwrap(), changed);
        let (rows, _) = store
            .mailbox_page(&MailboxFilter::default(), MailboxSort::Added, true, &Page::First, 5)
            .await
            .unwrap();
        assert_eq!(
            (rows[0].incoming.as_deref(), rows[0].outgoing.as_deref()),
            (Some("graph"), Some("graph"))
        );
    }
}

#[tokio::test]
async fn every_order_pages_through_all_rows_forwards_and_backwards() {
    for database in databases().await {
        let store = &database.store;
        fill(store, 23).await;
        for (sort, _) in MailboxSort::ALL {
            for descending in [false, true] {
                let filter = MailboxFilter::default();
                let mut forwards = Vec::new();
                let mut page = Page::First;
                loop {
                    let (rows, more) = store.mailbox_page(&filter, sort, descending, &page, 5).await.unwrap();
                    page = Page::After(rows.last().unwrap().key(sort));
                    forwards.extend(rows);
                    if !more {
                        break;
                    }
                }
                let ids: Vec<_> = forwards.iter().map(|row| row.id.clone()).collect();
                let mut unique = ids.clone();
                unique.sort();
                unique.dedup();
                assert_eq!((ids.len(), unique.len()), (23, 23), "{sort:?} {descending}");
                let keys: Vec<_> = forwards
                    .iter()
                    .map(|row| row.key(sort))
                    .map(|key| (key.number, key.address, key.id))
                    .collect();
                assert!(
                    keys.windows(2)
                        .all(|pair| if descending { pair[0] > pair[1] } else { pair[0] < pair[1] }),
                    "{sort:?} {descending}"
                );

                let (last, more) = store.mailbox_page(&filter, sort, descending, &Page::Last, 5).await.unwrap();
                assert!(more);
                assert_eq!(last.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), ids[18..]);
                let (before, _) = store
                    .mailbox_page(&filter, sort, descending, &Page::Before(last[0].key(sort)), 5)
                    .await
                    .unwrap();
                assert_eq!(before.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), ids[13..18]);
            }
        }
    }
}

#[tokio::test]
async fn filters_narrow_the_list_and_its_count_alike() {
    for database in databases().await {
        let store = &database.store;
        fill(store, 20).await;
        let filter = |change: fn(&mut MailboxFilter)| {
            let mut filter = MailboxFilter::default();
            change(&mut filter);
            filter
        };
        for (filter, wanted) in [
            (filter(|f| f.text = "BÜRO 7".into()), 1),
            (filter(|f| f.text = "100%".into()), 20),
            (filter(|f| f.text = "_".into()), 0),
            (filter(|f| f.text = "m9990@".into()), 1),
            (filter(|f| f.state = Some(MailboxState::Paused.rank())), 4),
            (filter(|f| f.tag = "odd".into()), 10),
            (filter(|f| f.auth = "password".into()), 20),
            (filter(|f| f.auth = "oauth2".into()), 0),
            (filter(|f| f.provider = "nobody".into()), 0),
            (filter(|f| f.enabled = Some(false)), 0),
        ] {
            assert_eq!(store.count_mailboxes(&filter, 10_001).await.unwrap(), wanted, "{filter:?}");
            let (rows, _) = store
                .mailbox_page(&filter, MailboxSort::State, false, &Page::First, 50)
                .await
                .unwrap();
            assert_eq!(rows.len() as i64, wanted, "{filter:?}");
        }
        assert_eq!(store.count_mailboxes(&MailboxFilter::default(), 7).await.unwrap(), 7);
        let states = store.mailbox_states().await.unwrap();
        assert_eq!(states, MailboxState::ALL.map(|state| (state, 4)));
    }
}

#[tokio::test]
async fn a_result_counts_only_for_the_settings_it_was_made_with() {
    for database in databases().await {
        let store = &database.store;
        let mut stored = mailbox(1);
        stored.state = MailboxState::NotTested;
        let mut tx = store.begin().await.unwrap();
        tx.insert_mailbox(&stored).await.unwrap();
        let passed = SideState {
            outcome: Some(Outcome::Passed),
            run: Some(RunId("r1".into())),
            tested_at: Some(NOW),
            problem: None,
        };
        let failed = SideState {
            outcome: Some(Outcome::Failed),
            run: Some(RunId("r2".into())),
            tested_at: Some(NOW),
            problem: Some("Broken".into()),
        };
        assert!(
            tx.record_side(&stored.id, stored.changed_at, Direction::Incoming, passed.clone(), NOW)
                .await
                .unwrap()
        );
        assert!(
            !tx.record_side(&stored.id, stored.changed_at.plus(-1), Direction::Outgoing, failed.clone(), NOW)
                .await
                .unwrap()
        );
        assert!(
            tx.record_side(&stored.id, stored.changed_at, Direction::Outgoing, failed, NOW.plus(5))
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
        let read = store.mailbox(&stored.name).await.unwrap().unwrap();
        assert_eq!(
            (read.state, read.failing_since, read.incoming_state),
            (MailboxState::Partly, Some(NOW.plus(5)), passed)
        );
        assert_eq!(
            store.mailbox_problems(5).await.unwrap(),
            [MailboxProblem {
                title: "Broken".to_owned(),
                mailboxes: 1,
                partly: true,
                since: Some(NOW.plus(5)),
                run: Some(RunId("r2".into())),
                diagnosis: None,
                name: "m1".to_owned(),
            }]
        );
    }
}
