//! What providers allow and what they turn off: shown where it matters, and nowhere else.

use crate::support::app::TestApp;
use crate::support::records;
use mailgrant::actions::mailboxes::{MailboxInput, SideInput, check_mailbox, create};
use mailgrant::model::audit::Actor;
use mailgrant::model::proof::{Proof, ProofOutcome};
use mailgrant::model::report::Outcome;
use mailgrant::model::token::Token;
use mailgrant::model::user::Role;
use mailgrant::secret::Password;

/// Seconds of a day.
const DAY: i64 = 86_400;

impl TestApp {
    /// A mailbox with these sides, made past the form and without anybody being connected to.
    async fn add_sides(&self, name: &str, incoming: Option<SideInput>, outgoing: Option<SideInput>) {
        let input = MailboxInput {
            incoming,
            outgoing,
            ..records::mailbox(name, None, None, "")
        };
        let edit = check_mailbox(&input, &self.app.gate).unwrap();
        create(&self.app, &Actor::console(), edit).await.unwrap();
    }
}

fn side(protocol: &str, host: &str, security: &str, auth: &str) -> SideInput {
    SideInput {
        protocol: protocol.into(),
        host: host.into(),
        security: security.into(),
        auth: auth.into(),
        token: if auth == "oauth2" { "support".into() } else { String::new() },
        username: if auth == "oauth2" {
            "support@contoso.test".into()
        } else {
            String::new()
        },
        password: (auth == "password").then(|| Password::new("canary")),
        ..SideInput::default()
    }
}

#[tokio::test]
async fn one_dated_change_is_one_item_and_marks_only_what_it_touches() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    for name in ["hr", "sales"] {
        t.add_sides(name, None, Some(side("smtp", "smtp.office365.com", "starttls", "password")))
            .await;
    }
    t.add_sides(
        "support",
        Some(side("imap", "outlook.office365.com", "tls", "oauth2")),
        Some(side("smtp", "smtp.office365.com", "starttls", "oauth2")),
    )
    .await;
    let title = "Exchange Online turns passwords off for sending by SMTP";

    let page = t.viewer().get("/mailboxes/hr").await;
    let days = page.text("#change-smtp-passwords .verdict p");
    assert!(days.starts_with("From 31 Dec 2026, in 40 days: off in existing tenants"), "{days}");
    assert_eq!(page.text("#change-smtp-passwords h2"), title);
    assert!(page.text("#change-smtp-passwords .hint").contains("looked up on 21 Nov 2026"));
    let healthy = t.viewer().get("/mailboxes/support").await;
    assert!(!healthy.has("[id^=change-]"), "{}", healthy.words());

    let list = t.viewer().get("/mailboxes").await;
    let marks = list.text("tbody td .state.warn");
    assert_eq!(
        marks,
        "Passwords for SMTP turned off: from 31 Dec 2026\nPasswords for SMTP turned off: from 31 Dec 2026"
    );
    assert!(list.text("#change").contains(title));
    let touched = t.viewer().get("/mailboxes?change=smtp-passwords").await;
    assert_eq!(touched.text("tbody b"), "hr@contoso.test\nsales@contoso.test");
    assert!(touched.text("caption").contains(title), "{}", touched.text("caption"));
    let none = t.viewer().get("/mailboxes?change=ews").await;
    assert!(
        none.text("h2")
            .starts_with("No mailbox matches touched by: Exchange Web Services end"),
        "{}",
        none.text("h2")
    );

    let overview = t.viewer().get("/").await;
    let titles = overview.text(".todo h3");
    assert_eq!(titles.lines().filter(|line| *line == title).count(), 1, "{titles}");
    assert!(
        overview.text(".todo").contains("Touches 2 mailboxes."),
        "{}",
        overview.text(".todo")
    );
    assert!(overview.has(".todo a[href='/mailboxes?change=smtp-passwords']"));
    let provider = t.viewer().get("/providers/contoso").await;
    assert!(!provider.has("[id^=change-]"), "it isn't about the app");
}

#[tokio::test]
async fn a_day_that_has_passed_says_so() {
    let t = TestApp::start().await;
    t.add_sides("hr", None, Some(side("smtp", "smtp.office365.com", "starttls", "password")))
        .await;
    t.clock.advance(40 * DAY);
    let mut admin = t.browser_with(&t.add_user(Role::Admin, "Late Again").await);
    let page = admin.get("/mailboxes/hr").await;
    assert!(
        page.text("#change-smtp-passwords p")
            .starts_with("Since 31 Dec 2026: off in existing tenants"),
        "{}",
        page.words()
    );
    let list = admin.get("/mailboxes").await;
    assert_eq!(
        list.text("tbody td .state.warn"),
        "Passwords for SMTP turned off: since 31 Dec 2026"
    );
    let overview = admin.get("/").await;
    assert!(
        overview.text(".todo li").contains("Since 31 Dec 2026"),
        "{}",
        overview.text(".todo li")
    );
}

#[tokio::test]
async fn what_still_works_after_a_change_is_left_alone() {
    let t = TestApp::start().await;
    t.add_sides("hr", Some(side("imap", "imap.gmail.com", "tls", "password")), None)
        .await;
    let page = t.admin().get("/mailboxes/hr").await;
    assert!(page.has("#change-google-passwords"));
    let edit = t.admin().get("/mailboxes/hr/edit").await;
    assert!(edit.text(".sign-in .note").contains("app password"), "{}", edit.text(".sign-in"));
    // An app password: it works, so nothing is wrong with it.
    t.note(&t.mailbox("hr").await, Outcome::Passed, None).await;
    let page = t.admin().get("/mailboxes/hr").await;
    assert!(page.has("#change-google-passwords"), "the result has no time, so it proves nothing");
    let now = t.app.clock.now();
    let mailbox = t.mailbox("hr").await;
    let mut state = mailbox.incoming_state.clone();
    state.tested_at = Some(now);
    let mut tx = t.app.store.begin().await.unwrap();
    let direction = mailgrant::model::report::Direction::Incoming;
    assert!(
        tx.record_side(&mailbox.id, mailbox.changed_at, direction, state, now)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    for path in ["/mailboxes/hr", "/mailboxes/hr/edit", "/mailboxes"] {
        let page = t.admin().get(path).await;
        assert!(
            !page.has("[id^=change-]") && !page.has(".note.warn") && !page.has("td .state.warn"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn changes_about_the_app_stand_on_its_page() {
    let t = TestApp::start().await;
    let mut tx = t.app.store.begin().await.unwrap();
    tx.insert_provider(&records::provider()).await.unwrap();
    let token = Token {
        scopes: vec!["https://outlook.office365.com/EWS.AccessAsUser.All".into()],
        ..records::token()
    };
    tx.insert_token(&token).await.unwrap();
    tx.commit().await.unwrap();
    t.add_sides("hr", Some(side("graph", "", "", "oauth2")), None).await;
    for path in ["/providers/contoso", "/mailboxes/hr"] {
        let page = t.viewer().get(path).await;
        let days = page.text("#change-ews .verdict p");
        assert!(
            days.contains("Since 1 Oct 2026: blocked") && days.contains("From 1 Apr 2027, in 131 days"),
            "{path}: {days}"
        );
        assert!(!page.has("#change-application-access-policies"));
    }
    let proof = Proof {
        id: "p".into(),
        token_id: token.id.clone(),
        address: "ceo@contoso.test".into(),
        outcome: ProofOutcome::Refused,
        detail: "ErrorAccessDenied: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.".into(),
        at: t.app.clock.now(),
        by: "Maija".into(),
    };
    let mut tx = t.app.store.begin().await.unwrap();
    tx.insert_proof(&proof).await.unwrap();
    tx.commit().await.unwrap();
    for path in ["/providers/contoso", "/mailboxes/hr"] {
        let page = t.viewer().get(path).await;
        assert!(
            page.text("#change-application-access-policies").contains("RBAC for Applications"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn limits_stand_at_the_side_they_bind_and_in_the_form() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    t.add_sides(
        "support",
        Some(side("imap", "outlook.office365.com", "tls", "oauth2")),
        Some(side("smtp", "smtp.office365.com", "starttls", "oauth2")),
    )
    .await;
    let page = t.viewer().get("/mailboxes/support").await;
    let outgoing = page.text("[aria-labelledby=outgoing-h] details");
    for words in [
        "Limits of Exchange Online",
        "30 a minute",
        "10,000 in 24 hours",
        "3 for each mailbox",
        "1,000",
        "35 MB",
        "Source",
    ] {
        assert!(outgoing.contains(words), "{words}: {outgoing}");
    }
    let incoming = page.text("[aria-labelledby=incoming-h] details");
    assert!(
        incoming.contains("about 20 for each mailbox") && !incoming.contains("30 a minute"),
        "{incoming}"
    );
    t.add_sides("own", Some(side("imap", "mail.example.com", "tls", "password")), None)
        .await;
    assert!(!t.viewer().get("/mailboxes/own").await.has("[aria-labelledby=incoming-h] details"));

    let form = t.admin().get("/mailboxes/support/edit").await.words();
    assert!(
        form.contains("With Exchange Online: 30 messages a minute, 10,000 recipients a day"),
        "{form}"
    );
    assert!(form.contains("With Exchange Online: 4 requests at once"), "{form}");
    t.add_sides("gmail", None, Some(side("smtp", "smtp.gmail.com", "starttls", "password")))
        .await;
    let form = t.admin().get("/mailboxes/gmail/edit").await.words();
    assert!(form.contains("With Gmail: 2,000 messages a day"), "{form}");
}
