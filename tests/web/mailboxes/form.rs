//! The form: filled in as far as it can be, and every mistake named at its field.

use super::super::providers::send;
use super::fields;
use crate::probe::imap_server::PASSWORD;
use crate::support::app::TestApp;
use axum::http::StatusCode;
use mailgrant::model::Name;
use mailgrant::model::mailbox::MailboxState;

#[tokio::test]
async fn a_mailbox_is_added_from_its_address_on() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.get("/mailboxes").await;
    assert_eq!(page.text("main h2"), "No mailboxes yet");
    let page = admin.get("/mailboxes/new").await;
    assert!(
        page.has("form[method=get] #address") && !page.has("#incoming_host"),
        "first only the address"
    );
    let page = admin.get("/mailboxes/new?address=nonsense").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(page.text(".summary a"), "Enter an email address like support@example.com");
    assert_eq!(page.attribute("#address", "value").as_deref(), Some("nonsense"));

    let page = admin.get("/mailboxes/new?address=hr@nowhere.test").await;
    assert!(page.text(".flash").contains("isn't known here"), "{}", page.words());
    assert_eq!(page.attribute("#name", "value").as_deref(), Some("hr"));
    let over = [
        ("incoming_host", "imap.nowhere.test"),
        ("outgoing", "none"),
        ("auth", "password"),
        ("password", "canary-1"),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/mailboxes/new", &over).await;
    assert_eq!(page.location().as_deref(), Some("/mailboxes/hr"), "{}", page.words());
    let page = admin.follow(page).await;
    assert!(
        page.text(".flash")
            .starts_with("hr@nowhere.test saved. Not tested since the change."),
        "{}",
        page.words()
    );
    assert_eq!(page.attribute(".flash a", "href").as_deref(), Some("/mailboxes/hr/test/incoming"));
    assert_eq!(page.text("h1"), "hr@nowhere.test");
    assert!(page.words().contains("Encrypted, never shown") && !page.body.contains("canary-1"));
    let stored = t.mailbox("hr").await;
    assert_eq!((stored.enabled, stored.state), (false, MailboxState::NotTested));
    // The same address again leads to the one that is there.
    let page = admin.get("/mailboxes/new?address=HR@nowhere.test").await;
    assert_eq!(page.attribute(".found a", "href").as_deref(), Some("/mailboxes/hr"));
}

#[tokio::test]
async fn the_domain_suggests_and_never_decides() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.get("/mailboxes/new?address=ann@gmail.com").await;
    assert!(
        page.text(".verdict")
            .contains("gmail.com is at Google: incoming IMAP at imap.gmail.com"),
        "{}",
        page.words()
    );
    let page = admin.get(page.attribute(".verdict .btn.primary", "href").unwrap()).await;
    assert_eq!(page.attribute("#incoming_host", "value").as_deref(), Some("imap.gmail.com"));
    assert_eq!(page.attribute("#outgoing_port", "value").as_deref(), Some("465"));
    let page = admin.get("/mailboxes/new?address=ann@gmail.com&with=hand").await;
    assert_eq!(page.attribute("#incoming_host", "value").as_deref(), Some(""));

    // A provider whose tenant is the domain, and the token that belongs to the address.
    t.add_token(false).await;
    let page = admin.get("/mailboxes/new?address=support@contoso.test").await;
    assert!(page.text(".verdict").contains("Use provider contoso"), "{}", page.words());
    let page = admin.get(page.attribute(".verdict .btn.primary", "href").unwrap()).await;
    assert_eq!(page.attribute("#token option[selected]", "value").as_deref(), Some("support"));
    assert!(
        page.text("#token")
            .contains("support: support@contoso.test at contoso, nobody has signed in yet")
    );
    let page = send(&mut admin, &page, "/mailboxes/new", &[("act", "save")]).await;
    assert_eq!(page.location().as_deref(), Some("/mailboxes/support"));
    // And then the neighbour at the same domain.
    let page = admin.get("/mailboxes/new?address=info@contoso.test").await;
    assert!(
        page.text(".verdict").contains("support@contoso.test is set up here already"),
        "{}",
        page.words()
    );
}

#[tokio::test]
async fn every_mistake_is_named_at_its_field_and_nothing_typed_is_lost() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    t.add_mailbox("taken", Some(1143), None).await;
    let mut admin = t.admin();
    type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);
    let cases: &[Case] = &[
        (&[("address", "hr")], "address", "Enter an email address like support@example.com"),
        (
            &[("address", "taken@contoso.test")],
            "address",
            "taken@contoso.test is already here",
        ),
        (&[("name", "H R")], "name", "Name can have a–z, 0–9, dot, hyphen and underscore"),
        (&[("name", "taken")], "name", "Name is already used by taken@contoso.test"),
        (
            &[("display_name", "HR\r\nBcc: a@b.c")],
            "display_name",
            "Display name can't have line breaks or control characters",
        ),
        (&[("tags", "a b, c")], "tags", "A tag can have letters, digits, - and _"),
        (
            &[("incoming", "none")],
            "incoming",
            "Choose how to read or to send mail: a mailbox needs one of them",
        ),
        (
            &[("incoming_host", "https://x.test/")],
            "incoming_host",
            "Enter a server name without https:// or a path",
        ),
        (
            &[("incoming_host", "10.1.2.3"), ("incoming_security", "tls")],
            "incoming_host",
            "10.1.2.3 is in a network that is not allowed. If it is right, add private to the setting allow_networks (MAILGRANT_ALLOW_NETWORKS)",
        ),
        (&[("incoming_port", "0")], "incoming_port", "Port must be between 1 and 65535"),
        (
            &[("incoming_port", "993"), ("incoming_security", "starttls")],
            "incoming_port",
            "Port 993 expects TLS from the start. Choose that, or port 143 for STARTTLS",
        ),
        (
            &[("incoming_host", "imap.contoso.test")],
            "incoming_security",
            "Unencrypted mail is allowed to this machine only",
        ),
        (&[("auth", "oauth2")], "token", "Choose a token"),
        (&[("auth", "oauth2"), ("token", "gone")], "token", "There is no token called gone"),
        (
            &[("auth", "oauth2"), ("token", "support")],
            "token",
            "Token belongs to support@contoso.test and this mailbox is hr@contoso.test. Choose another, or allow this token for shared mailboxes",
        ),
        (
            &[("auth", "none")],
            "auth",
            "Reading mail needs a sign-in; only sending can do without",
        ),
        (&[("auth", "")], "auth", "Choose how to sign in"),
        (
            &[("username", "a\u{1}b")],
            "username",
            "User name can't have line breaks or control characters",
        ),
        (&[("password", "")], "password", "Enter the password"),
        (&[("bcc", "a@b.test, nobody")], "bcc", "Enter email addresses separated by commas"),
        (&[("from", "nobody")], "from", "Enter an email address like support@example.com"),
    ];
    for (over, field, message) in cases {
        let sent = fields("hr@contoso.test", "1143", over);
        let page = admin.post("/mailboxes/new", &sent).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{over:?}");
        let links = page.text(".summary a");
        assert!(links.lines().any(|line| line == *message), "{over:?}: {links}");
        assert!(page.text(&format!("#{field}-e")).ends_with(message), "{over:?} is not at {field}");
        assert!(page.text("title").starts_with("Error: "));
        for (name, value) in sent
            .iter()
            .filter(|(name, _)| ["address", "incoming_host", "incoming_port", "folder", "tags", "bcc"].contains(name))
        {
            assert_eq!(
                page.attribute(&format!("#{name}"), "value").as_deref(),
                Some(*value),
                "{name} of {over:?} was lost"
            );
        }
        assert!(!page.body.contains(PASSWORD), "{over:?}: the password came back into the page");
    }
    assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 1);
}

#[tokio::test]
async fn what_the_form_and_what_the_stored_rows_speak_against_is_told_at_once() {
    let t = TestApp::start().await;
    t.add_mailbox("support", Some(1143), None).await;
    t.add_token(false).await;
    let mut admin = t.admin();
    let mistakes = [
        ("name", "support"),
        ("auth", "oauth2"),
        ("token", "support"),
        ("incoming_host", "https://mail.example"),
    ];
    let page = admin.post("/mailboxes/new", &fields("board@contoso.test", "1143", &mistakes)).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = |field: &str| page.text(&format!("#{field}-e"));
    assert!(
        problem("name").contains("Name is already used by support@contoso.test"),
        "{}",
        problem("name")
    );
    assert!(
        problem("token").contains("Token belongs to support@contoso.test"),
        "{}",
        problem("token")
    );
    assert!(
        problem("incoming_host").contains("without https://"),
        "{}",
        problem("incoming_host")
    );
}

#[tokio::test]
async fn changing_the_server_wants_the_password_again() {
    let t = TestApp::start().await;
    t.add_mailbox("hr", Some(1143), None).await;
    let mut admin = t.admin();
    let page = admin.get("/mailboxes/hr/edit").await;
    assert!(page.words().contains("Set, and never shown"));
    let page = send(
        &mut admin,
        &page,
        "/mailboxes/hr/edit",
        &[("incoming_port", "2143"), ("act", "save")],
    )
    .await;
    assert_eq!(
        page.text(".summary a"),
        "Enter the password again, because the server it is sent to changes"
    );
    let page = admin.get("/mailboxes/hr/edit").await;
    let over = [("incoming_port", "2143"), ("password", "new"), ("act", "save")];
    let page = send(&mut admin, &page, "/mailboxes/hr/edit", &over).await;
    assert_eq!(page.location().as_deref(), Some("/mailboxes/hr"), "{}", page.words());
    // Saving it as it is changes nothing and says so.
    let page = admin.get("/mailboxes/hr/edit").await;
    let page = send(&mut admin, &page, "/mailboxes/hr/edit", &[("act", "save")]).await;
    let page = admin.follow(page).await;
    assert!(page.text(".flash").contains("Nothing was changed"), "{}", page.words());
}

#[tokio::test]
async fn a_duplicate_starts_from_the_other_one_without_its_password() {
    let t = TestApp::start().await;
    t.add_mailbox("hr", Some(1143), Some(1587)).await;
    let mut admin = t.admin();
    let page = admin.get("/mailboxes/new?copy=hr").await;
    assert_eq!(page.attribute("#address", "value").as_deref(), Some(""));
    assert_eq!(page.attribute("#incoming_port", "value").as_deref(), Some("1143"));
    let page = send(
        &mut admin,
        &page,
        "/mailboxes/new",
        &[("address", "it@contoso.test"), ("act", "save")],
    )
    .await;
    assert_eq!(page.text(".summary a"), "Enter the password");
}

#[tokio::test]
async fn the_token_of_the_address_is_chosen_already() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let mut admin = t.admin();
    for (address, token) in [("support@contoso.test", "support"), ("hr@contoso.test", "")] {
        let page = admin.get(format!("/mailboxes/new?address={address}&with=hand")).await;
        assert_eq!(
            page.attribute("#token option[selected]", "value").as_deref(),
            Some(token),
            "{}",
            page.words()
        );
    }
}

/// The style sheet hides by these classes what the other way to sign in needs: one choice, one control.
#[tokio::test]
async fn each_way_to_sign_in_has_its_own_fields_and_sending_one_control() {
    let t = TestApp::start().await;
    let page = t.admin().get("/mailboxes/new?address=hr@contoso.test&with=hand").await;
    for (css, expected) in [
        (".sign-in > .if-token #token", "token"),
        (".sign-in > .if-password #password", "password"),
        (".sign-in > .if-separate > .if-token #outgoing_token", "outgoing_token"),
        (".sign-in > .if-separate > .if-password #outgoing_password", "outgoing_password"),
    ] {
        assert_eq!(page.attribute(css, "name").as_deref(), Some(expected), "{css}");
    }
    assert!(!page.body.contains("Sign-in for sending</summary>"));
    assert!(page.text(".if-token .hint").contains("Before it is saved"), "{}", page.words());
}

#[tokio::test]
async fn mail_is_read_by_pop_and_sent_through_graph_where_the_form_says_so() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let mut admin = t.admin();
    let page = admin.get("/mailboxes/new?address=support@contoso.test&with=hand").await;
    let choices = page.text("fieldset label");
    for choice in ["Microsoft Graph", "IMAP", "POP", "SMTP", "Sees the inbox only. No junk count"] {
        assert!(choices.contains(choice), "{choices}");
    }
    let over = [
        ("incoming", "pop3"),
        ("incoming_host", "outlook.office365.com"),
        ("incoming_port", "993"),
        ("incoming_security", "tls"),
        ("outgoing", "graph"),
        ("outgoing_host", ""),
        ("auth", "oauth2"),
        ("token", "support"),
        ("act", "save"),
    ];
    // IMAP's port stays in the field when somebody chooses POP.
    let refused = send(&mut admin, &page, "/mailboxes/new", &over).await;
    assert!(
        refused.words().contains("Port 993 is for IMAP. Choose that, or port 995 for POP"),
        "{}",
        refused.words()
    );
    assert_eq!(refused.attribute("input[name=incoming][checked]", "value").as_deref(), Some("pop3"));
    let saved = send(&mut admin, &refused, "/mailboxes/new", &[("incoming_port", "995"), ("act", "save")]).await;
    assert_eq!(saved.location().as_deref(), Some("/mailboxes/support"), "{}", saved.words());
    let page = admin.get("/mailboxes/support").await;
    assert!(
        page.words().contains("POP at outlook.office365.com, port 995, TLS from the start"),
        "{}",
        page.words()
    );
    let list = admin.get("/mailboxes").await;
    assert!(list.text("tbody").contains("POP") && list.text("tbody").contains("Microsoft Graph"));

    // The form comes back as it was saved, and a test needs nothing but the mailbox.
    let page = admin.get("/mailboxes/support/edit").await;
    assert_eq!(page.attribute("input[name=incoming][checked]", "value").as_deref(), Some("pop3"));
    assert_eq!(page.attribute("input[name=outgoing][checked]", "value").as_deref(), Some("graph"));
    let page = admin.get("/mailboxes/support/test/outgoing").await;
    assert!(
        page.words().contains("Signs in at Microsoft Graph") && !page.has("#wait"),
        "{}",
        page.words()
    );

    // A password is nothing for Graph.
    let page = admin.get("/mailboxes/support/edit").await;
    let refused = send(
        &mut admin,
        &page,
        "/mailboxes/support/edit",
        &[("auth", "password"), ("password", "x"), ("act", "save")],
    )
    .await;
    assert!(
        refused.words().contains("Microsoft Graph takes a token only"),
        "{}",
        refused.words()
    );
}

#[tokio::test]
async fn the_suggestion_follows_what_the_token_is_made_for() {
    use mailgrant::model::token::Token;
    let t = TestApp::start().await;
    t.add_token(false).await;
    let name = Name::parse("support").unwrap();
    let token = t.app.store.token(&name).await.unwrap().unwrap();
    let with = |scopes: &[&str]| Token {
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..token.clone()
    };
    let graph = with(&[
        "https://graph.microsoft.com/Mail.ReadWrite",
        "https://graph.microsoft.com/Mail.Send",
    ]);
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_token(&graph).await.unwrap();
    tx.commit().await.unwrap();
    let mut admin = t.admin();
    let page = admin.get("/mailboxes/new?address=support@contoso.test").await;
    assert!(
        page.text(".verdict").contains("incoming Microsoft Graph, outgoing Microsoft Graph"),
        "{}",
        page.words()
    );
    let page = admin.get(page.attribute(".verdict .btn.primary", "href").unwrap()).await;
    let saved = send(&mut admin, &page, "/mailboxes/new", &[("act", "save")]).await;
    assert_eq!(saved.location().as_deref(), Some("/mailboxes/support"), "{}", saved.words());
    assert_eq!(
        t.mailbox("support").await.incoming.unwrap().server,
        mailgrant::model::mailbox::Server::Graph
    );
}
