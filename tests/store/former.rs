//! The tokens mailboxes had before.

use super::mailboxes::mailbox;
use super::records::{provider, token};
use crate::support::databases::{NOW, databases};
use mailgrant::model::TokenId;
use mailgrant::model::mailbox::{Auth, Endpoint, Security, Server, Side};
use mailgrant::model::report::Direction;
use mailgrant::model::token::Token;
use mailgrant::store::former::FormerSide;

fn former(token: &Token, direction: Direction, server: Server, since: i64) -> FormerSide {
    FormerSide {
        mailbox_id: mailbox(1).id,
        direction,
        side: Side {
            server,
            auth: Auth::OAuth2 {
                token_id: token.id.clone(),
                token: token.name.clone(),
            },
            username: Some("maija@contoso.test".into()),
        },
        folder: "Päivystys".into(),
        since: NOW.plus(since),
    }
}

#[tokio::test]
async fn what_a_side_was_set_to_comes_back_and_goes_with_its_token_and_its_mailbox() {
    for database in databases().await {
        let store = &database.store;
        let imap = Server::Imap(Endpoint {
            host: "mail.example".into(),
            port: 143,
            security: Security::Starttls,
        });
        let other = Token {
            id: TokenId("other".into()),
            name: mailgrant::model::Name::parse("other").unwrap(),
            ..token()
        };
        let incoming = former(&token(), Direction::Incoming, imap.clone(), 0);
        let outgoing = former(&other, Direction::Outgoing, Server::Graph, 5);
        let fill = async || {
            let mut tx = store.begin().await.unwrap();
            for former in [&incoming, &outgoing] {
                tx.note_former(former).await.unwrap();
            }
            tx.commit().await.unwrap();
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&provider()).await.unwrap();
        for token in [token(), other.clone()] {
            tx.insert_token(&token).await.unwrap();
        }
        tx.insert_mailbox(&mailbox(1)).await.unwrap();
        tx.commit().await.unwrap();
        fill().await;
        fill().await;
        let id = mailbox(1).id;
        let both = [outgoing.clone(), incoming.clone()];
        assert_eq!(store.former_sides(&id).await.unwrap(), both, "the latest first, each once");
        let had = store.mailboxes_formerly_of_token(&token().id).await.unwrap();
        assert_eq!(had.iter().map(|one| &one.id).collect::<Vec<_>>(), [&id]);

        let mut tx = store.begin().await.unwrap();
        tx.forget_former(&id, Direction::Outgoing, &token().id).await.unwrap();
        tx.forget_former(&id, Direction::Outgoing, &other.id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.former_sides(&id).await.unwrap(), std::slice::from_ref(&incoming));

        fill().await;
        let mut tx = store.begin().await.unwrap();
        tx.delete_token(&token().id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.former_sides(&id).await.unwrap(), std::slice::from_ref(&outgoing));

        let mut tx = store.begin().await.unwrap();
        tx.delete_mailbox(&id).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.forget_former_token(&other.id).await.unwrap(), 0, "it went with the mailbox");
        tx.delete_token(&other.id).await.unwrap();
        tx.commit().await.unwrap();
    }
}
