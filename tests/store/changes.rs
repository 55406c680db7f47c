//! Which mailboxes a dated change touches: by their settings, by what was tested, by the token and its newest proof.

use super::mailboxes::mailbox;
use super::records::{provider, token};
use crate::support::databases::{NOW, databases};
use mailgrant::model::mailbox::{Auth, AuthKind, Endpoint, Mailbox, Protocol, Security, Server, Side, SideState};
use mailgrant::model::proof::{Proof, ProofOutcome};
use mailgrant::model::report::Outcome;
use mailgrant::model::retirements::{all, find};
use mailgrant::store::Store;
use mailgrant::store::mailboxes::MailboxFilter;

fn side(protocol: Protocol, auth: AuthKind, host: &str) -> Side {
    Side {
        server: protocol.at(Endpoint {
            host: host.into(),
            port: 993,
            security: Security::Tls,
        }),
        auth: match auth {
            AuthKind::OAuth2 => Auth::OAuth2 {
                token_id: token().id,
                token: token().name,
            },
            AuthKind::Password => Auth::Password { password: None },
            AuthKind::None => Auth::None,
        },
        username: None,
    }
}

async fn touching(store: &Store, mailbox: &Mailbox) -> String {
    let changes = store.changes_of(&mailbox.id).await.unwrap();
    changes.iter().map(|change| change.id.as_str()).collect::<Vec<_>>().join(" ")
}

async fn listed(store: &Store, change: &str) -> Vec<String> {
    let filter = MailboxFilter {
        change: change.into(),
        ..MailboxFilter::default()
    };
    let found = store.mailboxes_filtered(&filter).await.unwrap();
    let count = store.count_mailboxes(&filter, 1000).await.unwrap();
    assert_eq!(usize::try_from(count).unwrap(), found.len());
    found.into_iter().map(|mailbox| mailbox.name.to_string()).collect()
}

#[tokio::test]
async fn the_database_and_the_program_agree_on_what_settings_are_touched() {
    let hosts = all().iter().flat_map(|change| change.hosts.iter().map(String::as_str));
    let hosts: Vec<&str> = hosts
        .chain(["imap.example.com", "smtp.office365.com.example.net", "Outlook.Office365.com"])
        .collect();
    for database in databases().await {
        let store = &database.store;
        let mut stored = Vec::new();
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&provider()).await.unwrap();
        tx.insert_token(&token()).await.unwrap();
        for protocol in [Protocol::Imap, Protocol::Pop3, Protocol::Smtp] {
            for auth in AuthKind::ALL {
                for host in &hosts {
                    let one = Some(side(protocol, *auth, host));
                    let (incoming, outgoing) = if protocol == Protocol::Smtp { (None, one) } else { (one, None) };
                    let made = Mailbox {
                        incoming,
                        outgoing,
                        ..mailbox(stored.len())
                    };
                    tx.insert_mailbox(&made).await.unwrap();
                    stored.push((made, protocol, *auth, *host));
                }
            }
        }
        tx.commit().await.unwrap();
        let mut touched = 0;
        for (made, protocol, auth, host) in &stored {
            let expected: Vec<&str> = all()
                .iter()
                .filter(|change| change.touches(*protocol, *auth, host))
                .map(|change| change.id.as_str())
                .collect();
            touched += expected.len();
            assert_eq!(touching(store, made).await, expected.join(" "), "{protocol} {auth} {host}");
        }
        assert!(touched > 20, "{touched}");
        assert_eq!(listed(store, "").await.len(), stored.len());
        assert!(listed(store, "a-change-of-another-version").await.is_empty());
        let lists: usize = {
            let mut sum = 0;
            for change in all() {
                sum += listed(store, &change.id).await.len();
            }
            sum
        };
        assert_eq!(lists, touched);
    }
}

#[tokio::test]
async fn what_passed_a_test_since_is_not_touched_where_something_still_works() {
    for database in databases().await {
        let store = &database.store;
        let last = find("google-passwords").unwrap().proved_from().unwrap();
        for (number, (outcome, at, ids)) in [
            (None, None, "google-passwords"),
            (Some(Outcome::Failed), Some(NOW), "google-passwords"),
            (Some(Outcome::Passed), Some(last.plus(-1)), "google-passwords"),
            (Some(Outcome::Passed), Some(last), ""),
            (Some(Outcome::Warning), Some(NOW), ""),
        ]
        .into_iter()
        .enumerate()
        {
            let made = Mailbox {
                incoming: Some(side(Protocol::Imap, AuthKind::Password, "imap.gmail.com")),
                outgoing: None,
                incoming_state: SideState {
                    outcome,
                    tested_at: at,
                    ..SideState::default()
                },
                ..mailbox(number)
            };
            let mut tx = store.begin().await.unwrap();
            tx.insert_mailbox(&made).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(touching(store, &made).await, ids, "{outcome:?}");
        }
        // Nothing of what goes on here helps: it ends for all.
        let made = Mailbox {
            incoming: None,
            outgoing: Some(side(Protocol::Smtp, AuthKind::Password, "smtp.office365.com")),
            outgoing_state: SideState {
                outcome: Some(Outcome::Passed),
                tested_at: Some(NOW),
                ..SideState::default()
            },
            ..mailbox(50)
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_mailbox(&made).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(touching(store, &made).await, "smtp-passwords");
    }
}

#[tokio::test]
async fn a_token_and_its_newest_proof_decide_what_settings_leave_open() {
    for database in databases().await {
        let store = &database.store;
        let mut asking = token();
        asking.scopes = vec!["https://outlook.office365.com/EWS.AccessAsUser.All".into()];
        let made = Mailbox {
            incoming: Some(Side {
                server: Server::Graph,
                ..side(Protocol::Imap, AuthKind::OAuth2, "")
            }),
            outgoing: None,
            ..mailbox(1)
        };
        let other = mailbox(2);
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&provider()).await.unwrap();
        tx.insert_token(&asking).await.unwrap();
        tx.insert_mailbox(&made).await.unwrap();
        tx.insert_mailbox(&other).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(touching(store, &made).await, "ews");
        assert_eq!(touching(store, &other).await, "");
        let prove = async |at: i64, detail: &str| {
            let mut tx = store.begin().await.unwrap();
            let proof = Proof {
                id: format!("p{at}"),
                token_id: asking.id.clone(),
                address: "ceo@contoso.test".into(),
                outcome: ProofOutcome::Refused,
                detail: detail.into(),
                at: NOW.plus(at),
                by: "Maija".into(),
            };
            tx.insert_proof(&proof).await.unwrap();
            tx.commit().await.unwrap();
        };
        prove(
            1,
            "ErrorAccessDenied: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.",
        )
        .await;
        assert_eq!(touching(store, &made).await, "ews application-access-policies");
        assert_eq!(listed(store, "application-access-policies").await, ["m1"]);
        prove(2, "ErrorAccessDenied: Access is denied.").await;
        assert_eq!(touching(store, &made).await, "ews", "an older proof speaks of what was before");
    }
}
