//! What hangs on providers.

use super::mailboxes::mailbox;
use crate::support::databases::{NOW, databases};
use crate::support::records;
use mailgrant::model::mailbox::{Auth, Mailbox};
use mailgrant::model::provider::Provider;
use mailgrant::model::token::{Grant, Token};
use mailgrant::model::{Name, ProviderId, TokenId};
use mailgrant::store::{Store, Tx};

async fn add_provider(tx: &mut Tx, id: &str) {
    let provider = Provider {
        id: ProviderId(id.into()),
        name: Name::parse(id).unwrap(),
        ..records::provider()
    };
    tx.insert_provider(&provider).await.unwrap();
}

async fn add_token(tx: &mut Tx, id: &str, provider: &str) {
    let token = Token {
        id: TokenId(id.into()),
        name: Name::parse(id).unwrap(),
        provider_id: ProviderId(provider.into()),
        provider: Name::parse(provider).unwrap(),
        ..records::token()
    };
    tx.insert_token(&token).await.unwrap();
}

/// A mailbox that is read with one token and sends with another; none: there is no such side.
fn used(number: usize, incoming: Option<&str>, outgoing: Option<&str>, enabled: bool) -> Mailbox {
    // The second of these has both sides.
    let mut one = mailbox(number * 3 + 1);
    let oauth = |token: &str| Auth::OAuth2 {
        token_id: TokenId(token.into()),
        token: Name::parse(token).unwrap(),
    };
    for (side, token) in [(&mut one.incoming, incoming), (&mut one.outgoing, outgoing)] {
        match (token, side.as_mut()) {
            (Some(token), Some(side)) => side.auth = oauth(token),
            _ => *side = None,
        }
    }
    one.enabled = enabled;
    one
}

async fn usage(store: &Store) -> Vec<(String, i64, i64, i64)> {
    let usage = store.provider_usage().await.unwrap();
    let mut all: Vec<_> = usage
        .into_iter()
        .map(|one| (one.provider.to_string(), one.tokens, one.mailboxes, one.turned_off))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_mailbox_counts_once_for_each_provider_that_it_has_a_token_of() {
    for database in databases().await {
        let store = &database.store;
        let mut tx = store.begin().await.unwrap();
        for id in ["contoso", "google", "unused"] {
            add_provider(&mut tx, id).await;
        }
        for (id, provider) in [("c1", "contoso"), ("c2", "contoso"), ("g1", "google")] {
            add_token(&mut tx, id, provider).await;
        }
        let counted = |contoso: i64, google: i64, off: (i64, i64)| {
            vec![
                ("contoso".to_owned(), 2, contoso, off.0),
                ("google".to_owned(), 1, google, off.1),
                ("unused".to_owned(), 0, 0, 0),
            ]
        };
        tx.insert_mailbox(&mailbox(100)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(usage(store).await, counted(0, 0, (0, 0)), "one with a password hangs on none");
        let cases = [
            (
                (Some("c1"), Some("c1")),
                true,
                counted(1, 0, (0, 0)),
                "the same token on both sides",
            ),
            ((Some("c1"), Some("c2")), true, counted(2, 0, (0, 0)), "two tokens of one provider"),
            ((Some("c1"), Some("g1")), true, counted(3, 1, (0, 0)), "tokens of two providers"),
            ((None, Some("g1")), true, counted(3, 2, (0, 0)), "one that only sends"),
            ((Some("c2"), None), true, counted(4, 2, (0, 0)), "one that is only read"),
            ((Some("g1"), Some("c2")), false, counted(5, 3, (1, 1)), "two providers, turned off"),
        ];
        for (number, ((incoming, outgoing), enabled, expected, why)) in cases.into_iter().enumerate() {
            let mut tx = store.begin().await.unwrap();
            tx.insert_mailbox(&used(number, incoming, outgoing, enabled)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(usage(store).await, expected, "{why}");
        }
    }
}

#[tokio::test]
async fn a_provider_succeeded_when_it_last_gave_a_token_to_anybody() {
    for database in databases().await {
        let store = &database.store;
        let mut tx = store.begin().await.unwrap();
        for id in ["contoso", "google"] {
            add_provider(&mut tx, id).await;
        }
        for (id, refreshed_at) in [("c1", None), ("c2", Some(NOW.plus(60)))] {
            add_token(&mut tx, id, "contoso").await;
            let grant = Grant {
                token_id: TokenId(id.into()),
                refreshed_at,
                ..records::grant()
            };
            tx.replace_grant(&grant).await.unwrap();
        }
        tx.commit().await.unwrap();
        let (contoso, google) = (ProviderId("contoso".into()), ProviderId("google".into()));
        assert_eq!(store.provider_successes().await.unwrap(), [(contoso.clone(), NOW.plus(60))]);
        assert_eq!(store.provider_succeeded_at(&contoso).await.unwrap(), Some(NOW.plus(60)));
        assert_eq!(store.provider_succeeded_at(&google).await.unwrap(), None);
    }
}

/// Several renewals fail together after a secret has expired: that is one alarm.
#[tokio::test]
async fn one_problem_of_an_app_is_news_once_however_many_find_it() {
    for database in databases().await {
        let store = &database.store;
        let mut tx = store.begin().await.unwrap();
        add_provider(&mut tx, "microsoft").await;
        tx.commit().await.unwrap();
        let id = ProviderId("microsoft".into());
        for (problem, expected) in [(Some(r#"{"id":"aadsts7000222"}"#), 1), (None, 1), (None, 0)] {
            let finds = (0..6).map(|_| async {
                let mut tx = store.begin().await.unwrap();
                let news = tx.set_provider_problem(&id, problem, NOW).await.unwrap();
                // What else a renewal writes.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                tx.commit().await.unwrap();
                news
            });
            let news = futures_util::future::join_all(finds).await;
            assert_eq!(news.iter().filter(|news| **news).count(), expected, "{problem:?}");
        }
    }
}
