//! A token that can't do what the mailbox wants of it is not taken without a word, and the word is said once: in the form where the token is
//! chosen, and on the page of what was saved.

use crate::support::app::TestApp;
use crate::support::records;
use crate::web::providers::send;
use mailgrant::model::provider::Provider;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{Grant, Token};

const OUTLOOK: &[&str] = &[
    "https://outlook.office.com/IMAP.AccessAsUser.All",
    "https://outlook.office.com/SMTP.Send",
    "offline_access",
];
const GRAPH: &[&str] = &[
    "https://graph.microsoft.com/Mail.ReadWrite",
    "https://graph.microsoft.com/Mail.Send",
    "offline_access",
];
const MAIL: &[&str] = &["https://mail.google.com/"];

/// A console with the token `support`, which asks for these permissions; they are granted where somebody has signed in.
async fn with_token(template: TemplateKind, scopes: &[&str], signed_in: bool) -> TestApp {
    let t = TestApp::start().await;
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let mut tx = t.app.store.begin().await.unwrap();
    let provider = Provider {
        template,
        ..records::provider()
    };
    tx.insert_provider(&provider).await.unwrap();
    let token = Token {
        scopes: scopes.clone(),
        ..records::token()
    };
    tx.insert_token(&token).await.unwrap();
    if signed_in {
        let grant = Grant {
            granted_scopes: scopes,
            ..records::grant()
        };
        tx.replace_grant(&grant).await.unwrap();
    }
    tx.commit().await.unwrap();
    t
}

#[tokio::test]
async fn a_token_that_cannot_do_it_is_warned_of_once_with_what_to_do() {
    use TemplateKind::{Google, Microsoft};
    let lacks = "Signed in, but the token lacks a permission.";
    // Whose token, what it asks for, whether somebody has signed in, what reads; then what is said, and the button.
    for (template, scopes, signed_in, incoming, said, button) in [
        (
            Microsoft,
            OUTLOOK,
            true,
            "graph",
            "Microsoft Graph needs: https://graph.microsoft.com/Mail.Read",
            "Get authorization token",
        ),
        (
            Microsoft,
            GRAPH,
            true,
            "imap",
            "IMAP needs: https://outlook.office.com/IMAP.AccessAsUser.All.",
            "Get authorization token",
        ),
        (
            Microsoft,
            GRAPH,
            true,
            "pop3",
            "POP needs: https://outlook.office.com/POP.AccessAsUser.All.",
            "Get authorization token",
        ),
        (
            Microsoft,
            OUTLOOK,
            true,
            "pop3",
            "POP needs: https://outlook.office.com/POP.AccessAsUser.All.",
            "Add https://outlook.office.com/POP.AccessAsUser.All",
        ),
        (
            Microsoft,
            OUTLOOK,
            false,
            "pop3",
            "POP needs: https://outlook.office.com/POP.AccessAsUser.All.",
            "Add https://outlook.office.com/POP.AccessAsUser.All",
        ),
        (
            Google,
            MAIL,
            false,
            "graph",
            "Microsoft Graph takes tokens of Microsoft 365 only",
            "",
        ),
        (Microsoft, OUTLOOK, true, "imap", "", ""),
        (Microsoft, GRAPH, true, "graph", "", ""),
        // The first sign-in asks for what another service needs too.
        (Microsoft, GRAPH, false, "imap", "", ""),
        (Microsoft, OUTLOOK, false, "graph", "", ""),
    ] {
        let t = with_token(template, scopes, signed_in).await;
        let mut admin = t.admin();
        let page = admin.get("/mailboxes/new?address=support@contoso.test&with=hand").await;
        let over = [
            ("incoming", incoming),
            ("incoming_host", "outlook.office365.com"),
            ("incoming_port", if incoming == "pop3" { "995" } else { "993" }),
            ("incoming_security", "tls"),
            ("outgoing", "none"),
            ("auth", "oauth2"),
            ("token", "support"),
            ("act", "save"),
        ];
        let page = send(&mut admin, &page, "/mailboxes/new", &over).await;
        assert_eq!(page.location().as_deref(), Some("/mailboxes/support"), "{}", page.words());
        let saved = admin.follow(page).await;
        assert!(
            saved
                .text(".flash")
                .starts_with("support@contoso.test saved. Not tested since the change.")
        );
        let form = admin.get("/mailboxes/support/edit").await;
        for (page, note) in [(&saved, ".note.warn"), (&form, ".sign-in .note.warn")] {
            let told = page.text(note);
            assert!(told.contains(said), "{incoming}: {told}");
            // A note is a line: two would be two.
            assert_eq!(told.lines().count(), usize::from(!said.is_empty()), "{incoming}: {told}");
            assert_eq!(page.text(&format!("{note} .btn")), button, "{incoming}");
            assert_eq!(
                page.words().matches("lacks a permission").count(),
                usize::from(told.contains("lacks a permission"))
            );
        }
        assert!(
            said.is_empty() || template == Google || saved.text(".note.warn").starts_with(lacks),
            "{}",
            saved.text(".note.warn")
        );
        assert_eq!(
            form.text(".note.warn"),
            form.text(".sign-in .note.warn"),
            "nowhere else in the form"
        );
    }
}
