//! Mailboxes: the list with its pages and filters, the form that keeps what was typed, and what can be done to a mailbox.

mod form;
mod kept;
mod list;
mod warnings;

use crate::probe::imap_server::PASSWORD;
use crate::support::app::{Browser, Page, TestApp};
use crate::support::records;
use axum::http::StatusCode;
use mailgrant::actions::mailboxes::{check_mailbox, create};
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::{Mailbox, MailboxState, SideState};
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::token::Token;

impl TestApp {
    /// A mailbox as it is stored.
    pub async fn mailbox(&self, name: &str) -> Mailbox {
        let name = Name::parse(name).unwrap();
        self.app.store.mailbox(&name).await.unwrap().unwrap()
    }

    /// A mailbox with a password at these servers of this machine, made past the form.
    pub async fn add_mailbox(&self, name: &str, incoming: Option<u16>, outgoing: Option<u16>) -> Mailbox {
        let input = records::mailbox(name, incoming, outgoing, PASSWORD);
        let edit = check_mailbox(&input, &self.app.gate).unwrap();
        create(&self.app, &Actor::console(), edit).await.unwrap()
    }

    /// Notes how the incoming side did.
    pub async fn note(&self, mailbox: &Mailbox, outcome: Outcome, problem: Option<&str>) {
        let side = SideState {
            outcome: Some(outcome),
            problem: problem.map(str::to_owned),
            ..SideState::default()
        };
        let now = self.app.clock.now();
        let mut tx = self.app.store.begin().await.unwrap();
        let noted = tx
            .record_side(&mailbox.id, mailbox.changed_at, Direction::Incoming, side, now)
            .await;
        assert!(noted.unwrap());
        tx.commit().await.unwrap();
    }

    /// A Microsoft provider `contoso` and a token `support` of support@contoso.test that nobody has signed in for.
    pub async fn add_token(&self, shared: bool) {
        let token = Token {
            shared,
            ..records::token()
        };
        let mut tx = self.app.store.begin().await.unwrap();
        tx.insert_provider(&records::provider()).await.unwrap();
        tx.insert_token(&token).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// The fields of the whole form for a mailbox of this name, as somebody types them.
fn fields<'a>(address: &'a str, port: &'a str, over: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("address", address),
        ("name", ""),
        ("incoming", "imap"),
        ("incoming_host", "127.0.0.1"),
        ("incoming_port", port),
        ("incoming_security", "none"),
        ("folder", "INBOX"),
        ("outgoing", "none"),
        ("auth", "password"),
        ("password", PASSWORD),
        ("act", "save"),
    ];
    all.retain(|(name, _)| !over.iter().any(|(other, _)| other == name));
    all.extend_from_slice(over);
    all
}

/// The address a link of the pager leads to.
fn link(page: &Page, words: &str) -> Option<String> {
    let html = scraper::Html::parse_document(&page.body);
    let links = scraper::Selector::parse(".pager a").unwrap();
    html.select(&links)
        .find(|link| link.text().collect::<String>() == words)
        .and_then(|link| link.attr("href").map(str::to_owned))
}

#[tokio::test]
async fn names_from_outside_are_text_and_nothing_else() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let nasty = "\"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}";
    let over = [("display_name", nasty), ("tags", "überwacht"), ("act", "save")];
    let page = admin.post("/mailboxes/new", &fields("hr@contoso.test", "1143", &over)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    for path in [
        "/mailboxes",
        "/mailboxes/hr",
        "/mailboxes/hr/edit",
        "/mailboxes?q=%22%3E%3Cscript%3E",
        "/mailboxes?tag=%3Cb%3E",
        "/",
    ] {
        let page = admin.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.body.contains("<script>alert") && !page.body.contains("<img src=x"), "{path}");
        assert!(!page.has("main script, main img"), "{path}");
    }
    assert!(admin.get("/mailboxes/hr").await.words().contains("<script>alert(1)</script>"));
}

#[tokio::test]
async fn pausing_turning_on_and_deleting_say_what_they_do() {
    let t = TestApp::start().await;
    t.add_mailbox("hr", Some(1143), None).await;
    let mut admin = t.admin();
    let page = admin.submit("/mailboxes/hr/turn-on", &[]).await;
    assert!(page.text(".flash").contains("is turned on"), "{}", page.words());
    let page = admin
        .submit("/mailboxes/hr/pause", &[("reason", "Moving to <b>another</b> server")])
        .await;
    assert!(page.words().contains("Paused by Maija Korhonen"), "{}", page.words());
    assert!(page.words().contains("Moving to <b>another</b> server"));
    assert_eq!(t.mailbox("hr").await.state, MailboxState::Paused);

    let page = admin.get("/mailboxes/hr/delete").await;
    assert!(page.words().contains("No mail at the provider is touched"));
    let page = admin.post("/mailboxes/hr/delete", &[("confirm", "hr")]).await;
    assert_eq!(page.text(".summary a"), "Type hr@contoso.test to confirm");
    let page = admin.submit("/mailboxes/hr/delete", &[("confirm", " HR@contoso.test ")]).await;
    assert!(page.text(".flash").contains("hr@contoso.test was deleted."), "{}", page.words());
    assert_eq!(admin.get("/mailboxes/hr").await.status, StatusCode::NOT_FOUND);
    let audit = format!("{:?}", t.app.store.audit_rows(10).await.unwrap());
    for action in ["mailbox.create", "mailbox.turn_on", "mailbox.pause", "mailbox.delete"] {
        assert!(audit.contains(action), "{action} is not in the audit");
    }
}

#[tokio::test]
async fn people_who_may_not_change_mailboxes_see_them_without_the_buttons() {
    let t = TestApp::start().await;
    t.add_mailbox("hr", Some(1143), None).await;
    let buttons = |page: &Page| -> Vec<String> { page.text("main .acts a, main .acts button").lines().map(str::to_owned).collect() };
    let shown = async |mut browser: Browser| (browser.get("/mailboxes").await, browser.get("/mailboxes/hr").await);
    let (list, page) = shown(t.viewer()).await;
    assert!(buttons(&page).is_empty(), "{:?}", buttons(&page));
    assert!(!list.has("a[href='/mailboxes/new']") && !list.has("tbody a[href*='/test/']"));
    let (list, page) = shown(t.operator()).await;
    assert_eq!(buttons(&page), ["Test incoming"]);
    assert!(!list.has("a[href='/mailboxes/new']") && list.has("tbody a[href*='/test/']"));
    let (_, page) = shown(t.admin()).await;
    assert_eq!(buttons(&page), ["Test incoming", "Edit", "Turn on", "Duplicate", "Delete…"]);
    let page = t.operator().get("/mailboxes/hr/edit").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}
