//! The samples of the demo work, so nothing warns of them.

use super::console::Demo;
use mailgrant::actions::{ahead, providers, tokens};

#[tokio::test]
async fn a_healthy_console_warns_of_nothing() {
    let demo = Demo::start().await;
    let (app, store) = (&demo.app, &demo.app.store);
    let mailboxes = store.mailboxes().await.unwrap();
    assert!(mailboxes.len() > 5);
    for mailbox in mailboxes {
        assert_eq!(ahead::of_mailbox(app, &mailbox).await.unwrap(), [], "{}", mailbox.name);
        assert!(store.changes_of(&mailbox.id).await.unwrap().is_empty(), "{}", mailbox.name);
    }
    for provider in store.providers().await.unwrap() {
        let mut warnings = providers::lint(app, &provider).await.unwrap();
        // The sandbox itself speaks plain HTTP on this machine, and that is said for good reason.
        warnings.retain(|warning| warning.field != "token_url");
        assert_eq!(warnings, [], "{}", provider.name);
        for token in store.tokens_of(&provider.id).await.unwrap() {
            assert_eq!(tokens::lint(&token, &provider), [], "{}", token.name);
        }
    }
}
