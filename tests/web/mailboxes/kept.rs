//! What was typed is never lost: not to a mistake, a sign-in, somebody else's change or a test.

use super::super::providers::{send, typed};
use super::fields;
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::smtp_server::Smtpd;
use crate::support::app::TestApp;
use axum::http::StatusCode;
use mailgrant::model::report::Outcome;

#[tokio::test]
async fn a_password_that_was_typed_is_kept_for_the_next_try_without_being_shown() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.post("/mailboxes/new", &fields("hr@contoso.test", "0", &[])).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.words().contains("The password you typed is kept") && !page.body.contains(PASSWORD));
    let form = typed(&page, "/mailboxes/new", &[("incoming_port", "1143"), ("act", "save")]);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // Somebody else with the number of that form gets nothing.
    let other_session = t.add_user(mailgrant::model::user::Role::Admin, "Other Admin").await;
    let mut other = t.browser_with(&other_session);
    let page = other.post("/mailboxes/new", &form).await;
    assert_eq!(page.text(".summary a"), "Enter the password");
    let page = admin.post("/mailboxes/new", &form).await;
    assert_eq!(page.location().as_deref(), Some("/mailboxes/hr"), "{}", page.words());
    assert_eq!(
        t.count("SELECT COUNT(*) FROM mailboxes WHERE incoming_password IS NOT NULL").await,
        1
    );
}

#[tokio::test]
async fn two_people_at_once_choose_field_by_field() {
    let t = TestApp::start().await;
    t.add_mailbox("hr", Some(1143), None).await;
    let (mut one, mut two) = (t.admin(), t.admin());
    let (first, second) = (one.get("/mailboxes/hr/edit").await, two.get("/mailboxes/hr/edit").await);
    let over = [("display_name", "People"), ("tags", "a"), ("act", "save")];
    let page = send(&mut one, &first, "/mailboxes/hr/edit", &over).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let over = [("display_name", "Human resources"), ("folder", "Tickets"), ("act", "save")];
    let page = send(&mut two, &second, "/mailboxes/hr/edit", &over).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(
        page.text("h1").starts_with("Maija Korhonen changed this just now"),
        "{}",
        page.words()
    );
    assert_eq!(page.text("tbody th"), "Display name\nTags\nFolder");
    assert_eq!(t.mailbox("hr").await.display_name, "People", "nothing is overwritten");
    // Theirs for the tags, yours for the rest.
    let page = send(&mut two, &page, "/mailboxes/hr/edit", &[("tags", "a")]).await;
    assert_eq!(page.location().as_deref(), Some("/mailboxes/hr"), "{}", page.words());
    let merged = t.mailbox("hr").await;
    assert_eq!(
        (merged.display_name.as_str(), merged.folder.as_str(), merged.tags.join(",").as_str()),
        ("Human resources", "Tickets", "a")
    );
}

#[tokio::test]
async fn a_form_survives_getting_a_token_meanwhile() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let sent = fields("hr@contoso.test", "1143", &[("act", "token"), ("tags", "kept")]);
    let page = admin.post("/mailboxes/new", &sent).await;
    assert_eq!(page.location().as_deref(), Some("/tokens/new?user=hr%40contoso.test"));
    let page = admin.follow(page).await;
    let back = page.attribute(".flash a", "href").unwrap();
    let page = admin.get(&back).await;
    assert_eq!(page.attribute("#tags", "value").as_deref(), Some("kept"));
    assert!(page.words().contains("Nothing is saved yet"));
    assert!(
        page.words().contains("The password you typed is kept"),
        "the password is lost: {}",
        page.words()
    );
}

/// Or the settings of one address are saved for another.
#[tokio::test]
async fn a_form_that_was_left_takes_no_other_address_over() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let leave = fields("first@contoso.test", "1143", &[("act", "token"), ("tags", "kept")]);
    admin.post("/mailboxes/new", &leave).await;
    let page = admin.get("/mailboxes/new?address=second@contoso.test&with=hand").await;
    assert_eq!(page.attribute("#address", "value").as_deref(), Some("second@contoso.test"));
    assert_eq!(page.attribute("#tags", "value").as_deref(), Some(""));
    // Without an address the page asks for one, and offers the form.
    let page = admin.get("/mailboxes/new").await;
    assert_eq!(page.attribute("#address", "value").as_deref(), Some(""));
    assert!(page.words().contains("It is for first@contoso.test"), "{}", page.words());
    let page = admin.get("/mailboxes/new?address=first@contoso.test").await;
    assert_eq!(
        page.attribute("#tags", "value").as_deref(),
        Some("kept"),
        "its own address brings it back"
    );
    assert_eq!(page.attribute(".head .acts a", "href").as_deref(), Some("/mailboxes/new"));
    // Start afresh forgets it.
    admin.post("/mailboxes/new", &leave).await;
    let page = admin.submit("/mailboxes/new", &[("act", "afresh")]).await;
    assert!(!page.words().contains("first@contoso.test"), "{}", page.words());
    assert_eq!(t.count("SELECT COUNT(*) FROM drafts").await, 0);
}

/// The page promises that everything typed comes back; the password is part of it.
#[tokio::test]
async fn the_password_comes_back_too_after_the_session_ended() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    // The page of the form has no address of its own once it was refused.
    admin.get("/mailboxes/new").await;
    t.clock.advance(31 * 60);
    let page = admin.post("/mailboxes/new", &fields("hr@contoso.test", "1143", &[])).await;
    let page = admin.follow(page).await;
    let next = page.attribute("input[name=next]", "value").unwrap();
    let sign_in = [
        ("email", "maija.korhonen@contoso.test"),
        ("password", crate::support::app::PASSWORD),
        ("next", &next),
    ];
    let page = admin.submit("/login", &sign_in).await;
    assert_eq!(
        page.attribute("#address", "value").as_deref(),
        Some("hr@contoso.test"),
        "{}",
        page.words()
    );
    assert!(page.words().contains("The password you typed is kept") && !page.body.contains(PASSWORD));
    let page = send(&mut admin, &page, "/mailboxes/new", &[("act", "save")]).await;
    assert_eq!(page.location().as_deref(), Some("/mailboxes/hr"), "{}", page.words());
}

/// On a phone the heads of the columns are gone: nobody could tell whose value is whose.
#[tokio::test]
async fn each_cell_of_a_conflict_says_whose_it_is() {
    let t = TestApp::start().await;
    t.add_mailbox("hr", Some(1143), None).await;
    let (mut one, mut two) = (t.admin(), t.admin());
    let (first, second) = (one.get("/mailboxes/hr/edit").await, two.get("/mailboxes/hr/edit").await);
    send(&mut one, &first, "/mailboxes/hr/edit", &[("tags", "a"), ("act", "save")]).await;
    let page = send(&mut two, &second, "/mailboxes/hr/edit", &[("tags", "b"), ("act", "save")]).await;
    assert_eq!(page.text("td[data-l^=Theirs]"), "a");
    assert_eq!(page.text("td[data-l^=Yours]"), "b");
}

#[tokio::test]
async fn settings_are_tested_without_being_saved_and_the_form_comes_back_as_it_was() {
    let t = TestApp::start().await;
    let server = Imapd::default().start(None).await;
    let smtpd = Smtpd::default();
    let messages = std::sync::Arc::clone(&smtpd.messages);
    let smtp = smtpd.start(None).await;
    let (port, smtp_port) = (server.port.to_string(), smtp.port.to_string());
    let over = [
        ("act", "test"),
        ("tags", "kept"),
        ("outgoing", "smtp"),
        ("outgoing_host", "127.0.0.1"),
        ("outgoing_port", smtp_port.as_str()),
        ("outgoing_security", "none"),
    ];
    let mut admin = t.admin();
    let page = admin.post("/mailboxes/new", &fields("hr@contoso.test", &port, &over)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    assert_eq!(page.text(".results h2"), "hr@contoso.test can be read\nhr@contoso.test can send");
    assert_eq!(page.attribute("#tags", "value").as_deref(), Some("kept"));
    assert!(!page.body.contains(PASSWORD));
    assert!(messages.lock().unwrap().is_empty(), "a draft sends nothing");
    assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 0);
    assert_eq!(t.count("SELECT COUNT(*) FROM runs WHERE draft = 1 AND mailbox_id IS NULL").await, 2);
    // What was tested is saved with the password that was typed for it.
    let page = send(&mut admin, &page, "/mailboxes/new", &[("act", "save_test")]).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text("#verdict h2"), "hr@contoso.test can be read", "{}", page.words());
    assert_eq!(t.mailbox("hr").await.incoming_state.outcome, Some(Outcome::Passed));
}

#[tokio::test]
async fn a_draft_never_takes_a_stored_secret_elsewhere() {
    let t = TestApp::start().await;
    let (saved, other) = (Imapd::default().start(None).await, Imapd::default().start(None).await);
    t.add_mailbox("hr", Some(saved.port), None).await;
    let mut admin = t.admin();
    let page = admin.get("/mailboxes/hr/edit").await;
    let port = other.port.to_string();
    let page = send(
        &mut admin,
        &page,
        "/mailboxes/hr/edit",
        &[("incoming_port", &port), ("act", "test")],
    )
    .await;
    assert_eq!(
        page.text(".summary a"),
        "Enter the password again, because the server it is sent to changes"
    );
    // A stored token goes to no server that nobody has saved.
    t.add_token(false).await;
    let over = [("auth", "oauth2"), ("token", "support"), ("act", "test")];
    let page = admin.post("/mailboxes/new", &fields("support@contoso.test", &port, &over)).await;
    assert!(
        page.text(".flash")
            .contains("A stored token isn't sent to a server that nobody has saved"),
        "{}",
        page.words()
    );
    assert_eq!(other.connections(), 0);
}
