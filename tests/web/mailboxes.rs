//! Mailboxes: the list with its pages and filters, the form that keeps what was typed, and what can be done to a mailbox.

use super::providers::{send, typed};
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::smtp_server::Smtpd;
use crate::support::app::{Browser, Page, TestApp};
use axum::http::StatusCode;
use mailgrant::actions::mailboxes::{MailboxInput, SideInput, check_mailbox, create};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::{Mailbox, MailboxState, SideState};
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::{Name, ProviderId, TokenId};
use mailgrant::secret::Password;

impl TestApp {
    /// A mailbox as it is stored.
    pub async fn mailbox(&self, name: &str) -> Mailbox {
        let name = Name::parse(name).unwrap();
        self.app.store.mailbox(&name).await.unwrap().unwrap()
    }

    /// A mailbox with a password at these servers of this machine, made past the form.
    pub async fn add_mailbox(&self, name: &str, incoming: Option<u16>, outgoing: Option<u16>) -> Mailbox {
        let side = |protocol: &str, port: u16| SideInput {
            protocol: protocol.into(),
            host: "127.0.0.1".into(),
            port: port.to_string(),
            security: "none".into(),
            auth: "password".into(),
            password: Some(Password::new(PASSWORD)),
            ..SideInput::default()
        };
        let input = MailboxInput {
            name: name.into(),
            address: format!("{name}@contoso.test"),
            incoming: incoming.map(|port| side("imap", port)),
            outgoing: outgoing.map(|port| side("smtp", port)),
            ..MailboxInput::default()
        };
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
        use mailgrant::model::provider::{Cloud, Endpoints, Provider};
        use mailgrant::model::template::TemplateKind;
        use mailgrant::model::token::{GrantType, Prompt, Token};
        let (name, now) = (Name::parse("contoso").unwrap(), self.app.clock.now());
        let template = TemplateKind::Microsoft.template();
        let provider = Provider {
            id: ProviderId("p1".into()),
            name: name.clone(),
            template: TemplateKind::Microsoft,
            tenant: Some("contoso.test".into()),
            cloud: Cloud::Global,
            client_id: "client".into(),
            client_auth: template.client_auth,
            client_secret: None,
            client_secret_expires: None,
            credentials: Default::default(),
            consent_screen: None,
            grant: GrantType::AuthorizationCode,
            scopes: vec![],
            prompt: Prompt::SelectAccount,
            login_hint: true,
            pkce: true,
            overrides: Endpoints::default(),
            extra_authorize_params: vec![],
            problem: None,
            problem_since: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let token = Token {
            id: TokenId("t1".into()),
            name: Name::parse("support").unwrap(),
            provider_id: provider.id.clone(),
            provider: name,
            grant: GrantType::AuthorizationCode,
            user: Some("support@contoso.test".into()),
            scopes: vec![],
            prompt: None,
            shared,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.app.store.begin().await.unwrap();
        tx.insert_provider(&provider).await.unwrap();
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

/// The addresses on a page of the list.
fn addresses(page: &Page) -> Vec<String> {
    page.text("tbody td a > b").lines().map(str::to_owned).collect()
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
async fn the_list_pages_first_next_previous_last_and_stays_in_place_while_others_add() {
    let t = TestApp::start().await;
    for n in 0..60 {
        t.add_mailbox(&format!("m{n:03}"), Some(1143), None).await;
    }
    let mut admin = t.admin();
    let first = admin.get("/mailboxes?size=25&sort=address").await;
    let name = |n: usize| format!("m{n:03}@contoso.test");
    let range = |from: usize, to: usize| (from..to).map(name).collect::<Vec<_>>();
    assert_eq!(addresses(&first), range(0, 25));
    assert!(first.words().contains("1–25 of 60"));
    assert_eq!((link(&first, "First"), link(&first, "Previous")), (None, None));
    assert_eq!(first.attribute("th[aria-sort]", "aria-sort").as_deref(), Some("ascending"));

    let second = admin.get(link(&first, "Next").unwrap()).await;
    assert_eq!(addresses(&second), range(25, 50));
    assert!(second.words().contains("26–50 of 60"), "{}", second.words());
    // Others add before and after; the place stays.
    t.add_mailbox("m000a", Some(1143), None).await;
    t.add_mailbox("zz", Some(1143), None).await;
    let third = admin.get(link(&second, "Next").unwrap()).await;
    assert_eq!(addresses(&third)[..10], range(50, 60));
    assert_eq!(link(&third, "Next"), None);
    let back = admin.get(link(&third, "Previous").unwrap()).await;
    assert_eq!(addresses(&back), range(25, 50));
    let start = admin.get(link(&back, "Previous").unwrap()).await;
    assert_eq!(addresses(&start)[..2], ["m000a@contoso.test".to_owned(), name(1)]);
    assert_eq!(addresses(&start).len(), 25);
    let start = admin.get(link(&start, "Previous").unwrap()).await;
    assert_eq!(
        addresses(&start)[..3],
        [name(0), "m000a@contoso.test".to_owned(), name(1)],
        "a whole first page"
    );
    assert_eq!(addresses(&start).len(), 25);
    let last = admin.get(link(&first, "Last").unwrap()).await;
    assert_eq!(addresses(&last).last().unwrap(), "zz@contoso.test");
    assert_eq!(addresses(&last).len(), 25);
    assert_eq!((link(&last, "Next"), link(&last, "Last")), (None, None));
    let first_again = admin.get(link(&last, "First").unwrap()).await;
    assert_eq!(addresses(&first_again).len(), 25);
    // The other way round, and nonsense in the address.
    let reversed = admin.get("/mailboxes?size=25&sort=address&dir=desc").await;
    assert_eq!(addresses(&reversed)[0], "zz@contoso.test");
    assert_eq!(reversed.attribute("th[aria-sort]", "aria-sort").as_deref(), Some("descending"));
    for odd in [
        "?after=x",
        "?before=1.2",
        "?page=99",
        "?size=7",
        "?sort=nothing",
        "?n=-5",
        "?after=0.z.zzzz@zzz&n=abc",
        "?state=odd",
    ] {
        let page = admin.visit(format!("/mailboxes{odd}")).await;
        assert_eq!(page.status, StatusCode::OK, "{odd}");
    }
}

#[tokio::test]
async fn filters_narrow_the_list_and_good_news_is_said() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let (a, b) = (
        t.add_mailbox("alpha", Some(1143), None).await,
        t.add_mailbox("beta", Some(1143), None).await,
    );
    t.note(&b, Outcome::Passed, None).await;
    let page = admin.get("/mailboxes?state=failing").await;
    assert_eq!(page.text("main h2"), "No mailbox is failing");
    t.note(&a, Outcome::Failed, Some("It is broken")).await;
    let page = admin.get("/mailboxes").await;
    assert_eq!(addresses(&page), ["alpha@contoso.test", "beta@contoso.test"], "worst first");
    assert!(
        page.text("tbody tr").contains("Failing It is broken alpha@contoso.test"),
        "{}",
        page.text("tbody tr")
    );
    for (query, found) in [
        ("q=bet", vec!["beta@contoso.test"]),
        ("q=state:failing", vec!["alpha@contoso.test"]),
        ("state=working", vec!["beta@contoso.test"]),
        ("q=state:working+alpha", vec![]),
        ("auth=password", vec!["alpha@contoso.test", "beta@contoso.test"]),
        ("auth=oauth2", vec![]),
        ("on=on", vec![]),
        ("tag=none", vec![]),
        ("q=%25", vec![]),
    ] {
        let page = admin.get(format!("/mailboxes?{query}")).await;
        assert_eq!(addresses(&page), found, "{query}");
    }
    let page = admin.get("/mailboxes?state=failing&tag=helpdesk").await;
    assert_eq!(page.text("main h2"), "No mailbox matches state: failing and tag: helpdesk");
    assert_eq!(page.attribute("main .empty a", "href").as_deref(), Some("/mailboxes"));
    assert_eq!(page.attribute("#state option[selected]", "value").as_deref(), Some("failing"));
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

#[tokio::test]
async fn the_button_that_filters_has_one_word_in_all_lists() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    for list in ["/mailboxes?q=x", "/tests?mailbox=x", "/tokens?q=x"] {
        assert_eq!(admin.get(list).await.text("form.filters button"), "Filter", "{list}");
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
