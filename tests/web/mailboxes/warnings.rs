//! A token that is for another service than the mailbox wants of it is not taken without a word.

use crate::support::app::TestApp;
use crate::web::providers::send;
use mailgrant::model::Name;
use mailgrant::model::token::Token;

async fn with_scopes(scopes: &[&str]) -> TestApp {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let token = t.app.store.token(&Name::parse("support").unwrap()).await.unwrap().unwrap();
    let mut tx = t.app.store.begin().await.unwrap();
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    tx.update_token(&Token { scopes, ..token }).await.unwrap();
    tx.commit().await.unwrap();
    t
}

#[tokio::test]
async fn a_token_for_another_service_is_warned_of_with_what_to_do() {
    let outlook = [
        "https://outlook.office.com/IMAP.AccessAsUser.All",
        "https://outlook.office.com/SMTP.Send",
        "offline_access",
    ];
    let graph = [
        "https://graph.microsoft.com/Mail.ReadWrite",
        "https://graph.microsoft.com/Mail.Send",
        "offline_access",
    ];
    let servers = [
        ("incoming_host", "outlook.office365.com"),
        ("incoming_port", "993"),
        ("incoming_security", "tls"),
    ];
    for (scopes, incoming, said) in [
        (
            &outlook[..],
            "graph",
            "Token support is for IMAP, POP and SMTP; Microsoft Graph needs Mail.Read",
        ),
        (
            &graph,
            "imap",
            "Token support is for Microsoft Graph; IMAP needs IMAP.AccessAsUser.All besides",
        ),
        (&graph, "pop3", "POP needs POP.AccessAsUser.All besides"),
        (
            &outlook,
            "pop3",
            "Token support doesn't ask for POP.AccessAsUser.All, which POP needs",
        ),
        (&outlook, "imap", ""),
        (&graph, "graph", ""),
    ] {
        let t = with_scopes(scopes).await;
        let mut admin = t.admin();
        let page = admin.get("/mailboxes/new?address=support@contoso.test&with=hand").await;
        let mut over = vec![
            ("incoming", incoming),
            ("outgoing", "none"),
            ("auth", "oauth2"),
            ("token", "support"),
            ("act", "save"),
        ];
        over.extend(servers);
        if incoming == "pop3" {
            over.retain(|(name, _)| *name != "incoming_port");
            over.push(("incoming_port", "995"));
        }
        let page = send(&mut admin, &page, "/mailboxes/new", &over).await;
        assert_eq!(page.location().as_deref(), Some("/mailboxes/support"), "{}", page.words());
        let flash = admin.follow(page).await.text(".flash");
        let form = admin.get("/mailboxes/support/edit").await;
        assert!(flash.contains(said), "{incoming}: {flash}");
        assert_eq!(
            form.has(".sign-in .note.warn"),
            !said.is_empty(),
            "{incoming}: {}",
            form.text(".sign-in .note.warn")
        );
        assert!(
            form.text(".sign-in .note.warn").contains(said),
            "{}",
            form.text(".sign-in .note.warn")
        );
    }
}
