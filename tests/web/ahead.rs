//! What is bound to fail, told before anybody tries: at the field, with the fix, and on the page of what was saved all the same.

use crate::support::app::TestApp;
use crate::support::records;
use axum::http::StatusCode;
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::token::{GrantType, Token};
use mailgrant::model::{Name, TokenId};

const IMAP: &str = "https://outlook.office.com/IMAP.AccessAsUser.All";
const SMTP: &str = "https://outlook.office.com/SMTP.Send";

fn fields<'a>(over: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("address", "hr@contoso.test"),
        ("name", "hr"),
        ("incoming", "none"),
        ("folder", "INBOX"),
        ("outgoing", "smtp"),
        ("outgoing_host", "mail.contoso.test"),
        ("outgoing_port", "587"),
        ("outgoing_security", "starttls"),
        ("auth", "password"),
        ("password", "canary"),
        ("act", "save"),
    ];
    all.retain(|(name, _)| !over.iter().any(|(other, _)| other == name));
    all.extend_from_slice(over);
    all
}

#[tokio::test]
async fn a_warning_never_keeps_from_saving_and_leads_to_the_fix() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    admin.get("/mailboxes/new?address=hr@contoso.test&with=hand").await;
    let page = admin.post("/mailboxes/new", &fields(&[("outgoing_port", "25")])).await;
    assert_eq!(page.location().as_deref(), Some("/mailboxes/hr"), "{}", page.words());
    let page = admin.get("/mailboxes/hr").await;
    assert!(
        page.text(".note.warn").starts_with("Port 25 is closed on the way."),
        "{}",
        page.text(".note.warn")
    );
    assert_eq!(page.text(".note.warn .btn"), "Use port 587 with STARTTLS");
    let fix = page.attribute(".note.warn .btn", "href").unwrap();
    assert_eq!(fix, "/mailboxes/hr/edit?fix=starttls&side=outgoing", "which proposal, and no value");
    let page = admin.get(&fix).await;
    assert_eq!(
        page.attribute("#outgoing_port", "value").as_deref(),
        Some("587"),
        "looked over by a person"
    );
    assert_eq!(
        page.text(".flash"),
        "Put in for you: port 587 with STARTTLS. Nothing is saved yet.",
        "{}",
        page.text(".flash")
    );
    assert_eq!(
        page.text(".put-in"),
        "Put in for you. Before: 25.",
        "at the field that changed, and at no other"
    );
    assert!(!page.has(".note.warn"), "{}", page.text(".note.warn"));
    // A link that somebody made up puts nothing in: where a token goes isn't decided by an address.
    for made_up in [
        "put=outgoing.host=mail.evil.test",
        "put=outgoing.port=587;outgoing.host=mail.evil.test",
        "fix=mail.evil.test&side=outgoing",
        "fix=host&side=outgoing&host=mail.evil.test",
        "fix=host%3Dmail.evil.test&side=mail.evil.test&outgoing_host=mail.evil.test",
    ] {
        let page = admin.get(format!("/mailboxes/hr/edit?{made_up}")).await;
        assert!(!page.body.contains("evil.test") && !page.has(".flash"), "{made_up}");
        assert!(!page.has(".put-in"), "{made_up}");
        assert_eq!(page.attribute("#outgoing_host", "value").as_deref(), Some("mail.contoso.test"));
    }
    assert!(!t.viewer().get("/mailboxes/hr").await.has(".note.warn .btn"));
    let fixed = fields(&[("version", "1")]);
    let page = admin.post("/mailboxes/hr/edit", &fixed).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    assert!(!admin.get("/mailboxes/hr").await.has(".note.warn"));
}

#[tokio::test]
async fn the_form_says_it_at_the_field_and_puts_the_value_in() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let mut admin = t.admin();
    admin.get("/mailboxes/new?address=hr@contoso.test&with=hand").await;
    let page = admin
        .post(
            "/mailboxes/new",
            &fields(&[("outgoing_host", "smtp.gmial.com"), ("display_name", "Kept"), ("act", "fix:")]),
        )
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    let note = page.text(".note.warn");
    assert!(note.contains("probably mistyped") && note.contains("smtp.gmail.com"), "{note}");
    let act = page.attribute(".note.warn button", "value").unwrap();
    assert_eq!(act, "fix:host:outgoing");
    let page = admin
        .post(
            "/mailboxes/new",
            &fields(&[("outgoing_host", "smtp.gmial.com"), ("display_name", "Kept"), ("act", &act)]),
        )
        .await;
    assert_eq!(page.attribute("#outgoing_host", "value").as_deref(), Some("smtp.gmail.com"));
    assert_eq!(page.attribute("#display_name", "value").as_deref(), Some("Kept"));
    assert_eq!(page.text(".put-in"), "Put in for you. Before: smtp.gmial.com.");
    assert!(!page.text(".note.warn").contains("mistyped"));
    assert!(!page.body.contains("canary"), "a password never goes back into a page");
    assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 0, "nothing was saved yet");
    // Only settings of servers can be put in by an address.
    let page = admin
        .get("/mailboxes/new?address=hr@contoso.test&with=hand&fix=sender&put=address=evil@x.test")
        .await;
    assert_eq!(page.attribute("#address", "value").as_deref(), Some("hr@contoso.test"));
}

#[tokio::test]
async fn a_permission_that_sending_needs_is_missed_before_the_first_message() {
    let t = TestApp::start().await;
    let mut tx = t.app.store.begin().await.unwrap();
    tx.insert_provider(&records::provider()).await.unwrap();
    let token = Token {
        scopes: vec![IMAP.into(), "offline_access".into()],
        ..records::token()
    };
    tx.insert_token(&token).await.unwrap();
    tx.commit().await.unwrap();
    let mut admin = t.admin();
    admin.get("/mailboxes/new?address=support@contoso.test&with=hand").await;
    let over = [
        ("address", "support@contoso.test"),
        ("name", "box"),
        ("outgoing_host", "smtp.office365.com"),
        ("auth", "oauth2"),
        ("token", "support"),
        ("password", ""),
    ];
    let page = admin.post("/mailboxes/new", &fields(&over)).await;
    assert_eq!(page.location().as_deref(), Some("/mailboxes/box"), "{}", page.words());
    let page = admin.get("/mailboxes/box").await;
    let note = page.text(".note.warn");
    assert!(note.contains("the token lacks a permission") && note.contains(SMTP), "{note}");
    let fix = page.attribute(".note.warn .btn", "href").unwrap();
    assert_eq!(fix, "/tokens/support/edit?add=smtp");
    let page = admin.get(&fix).await;
    assert!(
        page.has("input[name=purposes][value=smtp][checked]"),
        "ticked, and saved by a person"
    );
    let scopes = serde_json::to_string(&[IMAP, SMTP, "offline_access"]).unwrap();
    sqlx::query("UPDATE tokens SET scopes = $1")
        .bind(scopes)
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    let page = admin.get("/mailboxes/box").await;
    assert!(!page.has(".note.warn"), "true no longer: {}", page.text(".note.warn"));
}

#[tokio::test]
async fn what_passed_a_test_is_not_doubted() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    admin.get("/mailboxes/new?address=hr@contoso.test&with=hand").await;
    admin.post("/mailboxes/new", &fields(&[("outgoing_port", "25")])).await;
    let mailbox = t.mailbox("hr").await;
    let now = t.app.clock.now();
    let state = mailgrant::model::mailbox::SideState {
        outcome: Some(Outcome::Passed),
        tested_at: Some(now),
        ..Default::default()
    };
    let mut tx = t.app.store.begin().await.unwrap();
    assert!(
        tx.record_side(&mailbox.id, mailbox.changed_at, Direction::Outgoing, state, now)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    for path in ["/mailboxes/hr", "/mailboxes/hr/edit"] {
        let page = admin.get(path).await;
        assert!(!page.has(".note.warn"), "{path}: {}", page.text(".note.warn"));
    }
}

#[tokio::test]
async fn changed_permissions_say_whom_they_ask_again_and_whom_not() {
    let t = TestApp::start().await;
    let mut tx = t.app.store.begin().await.unwrap();
    let provider = mailgrant::model::provider::Provider {
        scopes: vec![IMAP.into(), SMTP.into(), "offline_access".into()],
        ..records::provider()
    };
    tx.insert_provider(&provider).await.unwrap();
    let person = Token {
        scopes: vec![IMAP.into(), "offline_access".into()],
        ..records::token()
    };
    let app = Token {
        id: TokenId("t2".into()),
        name: Name::parse("the-app").unwrap(),
        grant: GrantType::ClientCredentials,
        user: None,
        scopes: vec!["https://outlook.office365.com/.default".into()],
        ..records::token()
    };
    tx.insert_token(&person).await.unwrap();
    tx.insert_token(&app).await.unwrap();
    let grant = mailgrant::model::token::Grant {
        granted_scopes: vec![IMAP.into()],
        ..records::grant()
    };
    tx.replace_grant(&grant).await.unwrap();
    tx.commit().await.unwrap();
    let mut admin = t.admin();
    // Before saving.
    for path in ["/providers/contoso/edit", "/providers/contoso"] {
        let words = admin.get(path).await.words();
        assert!(
            words.contains("If they are to ask for more, these need a consent again: support"),
            "{path}: {words}"
        );
        assert!(
            words.contains("These need no consent again, because nobody signs in for them: the-app"),
            "{path}: {words}"
        );
    }
    assert!(
        admin
            .get("/providers/contoso")
            .await
            .words()
            .contains("Ask for something else: support.")
    );
    let words = admin.get("/tokens/support/edit").await.words();
    assert!(words.contains("More permissions than now need a new consent"), "{words}");
    let words = admin.get("/tokens/the-app/edit").await.words();
    assert!(words.contains("needs nobody's sign-in and no consent"), "{words}");
    // And afterwards.
    let page = admin.get("/tokens/support/edit").await;
    let version = page.attribute("input[name=version]", "value").unwrap();
    let saved = [
        ("provider", "contoso"),
        ("name", "support"),
        ("grant", "authorization_code"),
        ("user", "support@contoso.test"),
        ("purposes", "imap"),
        ("purposes", "smtp"),
        ("prompt", "provider"),
        ("version", version.as_str()),
        ("act", "save"),
    ];
    let page = admin.submit("/tokens/support/edit", &saved).await;
    assert!(page.text(".flash").contains("SMTP.Send needs a new consent"), "{}", page.words());
    assert!(page.text(".verdict h2").contains("can't send"), "{}", page.text(".verdict h2"));
    assert!(
        admin
            .get("/providers/contoso")
            .await
            .words()
            .contains("Wait for a consent to what they ask for: support.")
    );
}
