//! Buttons of a failed test that lead to the form of its mailbox: what they put in is right, it is marked, and a person saves it.

use crate::support::app::TestApp;
use crate::support::records;
use mailgrant::actions::judgement::{Known, of_test};
use mailgrant::actions::mailboxes::{MailboxInput, SideInput, check_mailbox, create};
use mailgrant::actions::probe::{self, settings_of};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::Mailbox;
use mailgrant::model::report::{Direction, Outcome, Report, Stage, Step};
use mailgrant::model::{Name, RunId};
use mailgrant::probe::Failure;
use mailgrant::store::reports::Run;
use mailgrant::web::routes;

/// A run of this mailbox that ended at a step, as the console would have judged it; its address.
async fn failed_run(t: &TestApp, mailbox: &Mailbox, direction: Direction, step: Stage, failure: &Failure) -> String {
    let now = t.app.clock.now();
    let side = probe::side(mailbox, direction).unwrap();
    let mut report = Report::start(mailbox.name.clone(), direction, side.server.protocol().as_str(), now);
    report.outcome = Outcome::Failed;
    report.steps.push(Step {
        step,
        outcome: Outcome::Failed,
        duration_ms: 3,
        detail: failure.detail.clone(),
        facts: serde_json::Map::new(),
        transcript: Vec::new(),
    });
    let diagnosis = of_test(failure, &report, mailbox, side, direction, Known::default());
    let run = Run {
        id: RunId(t.app.random.base64url(12)),
        mailbox_id: Some(mailbox.id.clone()),
        mailbox_name: mailbox.name.to_string(),
        address: mailbox.address.clone(),
        direction,
        protocol: report.protocol.clone(),
        draft: false,
        started_by: "a test".to_owned(),
        user_id: None,
        started_at: now,
        finished_at: Some(now),
        outcome: "failed".to_owned(),
        failed_step: Some(step.to_string()),
        diagnosis_id: Some(diagnosis.id.clone()),
        settings: settings_of(&t.app, mailbox, direction).await.unwrap().to_json(),
        fingerprint: String::new(),
        report: serde_json::to_string(&Report {
            diagnosis: Some(diagnosis),
            ..report
        })
        .unwrap(),
        newest: None,
    };
    let mut tx = t.app.store.begin().await.unwrap();
    tx.insert_run(&run).await.unwrap();
    tx.commit().await.unwrap();
    routes::run(run.id.as_str())
}

/// A mailbox with a password at this server, made past the form.
async fn mailbox(t: &TestApp, name: &str, direction: Direction, (host, port, security): (&str, u16, &str)) -> Mailbox {
    let outgoing = direction == Direction::Outgoing;
    let side = |side: SideInput| SideInput {
        host: host.into(),
        port: port.to_string(),
        security: security.into(),
        ..side
    };
    let input = records::mailbox(name, (!outgoing).then_some(port), outgoing.then_some(port), "canary");
    let input = MailboxInput {
        incoming: input.incoming.map(side),
        outgoing: input.outgoing.map(side),
        ..input
    };
    create(&t.app, &Actor::console(), check_mailbox(&input, &t.app.gate).unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_button_puts_the_right_value_in_marks_it_and_a_person_saves_it() {
    let t = TestApp::start().await;
    let (incoming, outgoing) = (Direction::Incoming, Direction::Outgoing);
    let noticed = |id| Failure {
        own_id: Some(id),
        ..Failure::default()
    };
    // Side, server as it is set, the step and what is noticed there; then the button, what stands in the form, and what stood there before.
    for (name, direction, set, step, failure, button, values, before) in [
        (
            "host",
            incoming,
            ("imap.gmial.com", 993, "tls"),
            Stage::Dns,
            noticed("network-dns-not-found"),
            "Use imap.gmail.com",
            ("imap.gmail.com", 993, "tls"),
            &["imap.gmial.com"][..],
        ),
        (
            "starttls",
            outgoing,
            ("mail.contoso.test", 2525, "tls"),
            Stage::Tls,
            noticed("tls-plaintext-port"),
            "Use port 587 with STARTTLS",
            ("mail.contoso.test", 587, "starttls"),
            &["2525", "TLS from the start"],
        ),
    ] {
        let stored = mailbox(&t, name, direction, set).await;
        let mut admin = t.admin();
        let run = failed_run(&t, &stored, direction, step, &failure).await;
        let page = admin.get(&run).await;
        assert!(!page.has("#who-tests"));
        assert_eq!(
            t.viewer().get(&run).await.text("#who-tests"),
            "Test again: Only people with permission to run tests can do this. Ask Maija Korhonen or Ossi Lahti."
        );
        let link = "#verdict .fixes > li:first-child a.btn.primary";
        assert_eq!(page.text(link), button, "{name}: {}", page.text("#verdict"));
        let href = page.attribute(link, "href").unwrap();
        assert!(
            href.starts_with(&format!("/mailboxes/{name}/edit?fix=")) && !href.contains(values.0),
            "{href}"
        );
        let form = admin.get(href.split('#').next().unwrap()).await;
        let at = |field: &str| format!("{direction}_{field}");
        let fields = form.form(&format!("/mailboxes/{name}/edit"));
        let value = |field: &str| {
            fields
                .iter()
                .find(|(known, _)| *known == at(field))
                .map(|(_, value)| value.as_str())
        };
        let port = values.1.to_string();
        assert_eq!(
            (value("host"), value("port"), value("security")),
            (Some(values.0), Some(port.as_str()), Some(values.2)),
            "{name}"
        );
        assert!(
            form.text(".flash").ends_with("Nothing is saved yet."),
            "{name}: {}",
            form.text(".flash")
        );
        let marks: Vec<String> = before.iter().map(|before| format!("Put in for you. Before: {before}.")).collect();
        assert_eq!(form.text(".put-in"), marks.join("\n"), "{name}");
        assert_eq!(t.mailbox(name).await.version, stored.version, "{name}: nothing is saved yet");
        // A password that goes to another server is typed anew.
        let typed = |name: &str| if name == "password" { Some("canary") } else { None };
        let save: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), typed(name).unwrap_or(value)))
            .collect();
        let saved = admin
            .post_raw(format!("/mailboxes/{name}/edit"), &[save, vec![("act", "save")]].concat())
            .await;
        assert_eq!(saved.location(), Some(format!("/mailboxes/{name}")), "{name}: {}", saved.words());
        let page = admin.follow(saved).await;
        assert!(
            !page.has(".note.warn") && !page.has(".put-in"),
            "{name}: {}",
            page.text(".note.warn")
        );
        let now = t.mailbox(name).await;
        let endpoint = probe::side(&now, direction).unwrap().server.endpoint().unwrap().clone();
        let (host, port, security) = (endpoint.host, endpoint.port, endpoint.security.to_string());
        assert_eq!((host.as_str(), port, security.as_str()), values, "{name}");
    }
}

#[tokio::test]
async fn a_token_or_a_sender_of_its_own_comes_from_the_records_and_never_from_the_link() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let input = MailboxInput {
        from: "billing@contoso.test".to_owned(),
        ..records::mailbox("support", Some(41993), Some(41587), "canary")
    };
    create(&t.app, &Actor::console(), check_mailbox(&input, &t.app.gate).unwrap())
        .await
        .unwrap();
    let mut admin = t.admin();
    let checked =
        |page: &crate::support::app::Page, field: &str, value: &str| page.has(&format!("input[name={field}][value={value}][checked]"));

    let form = admin.get("/mailboxes/support/edit?fix=sender&side=outgoing").await;
    assert_eq!(form.attribute("#from", "value").as_deref(), Some(""));
    assert_eq!(form.text(".put-in"), "Put in for you. Before: billing@contoso.test.");

    let form = admin.get("/mailboxes/support/edit?fix=oauth&side=incoming").await;
    assert!(checked(&form, "auth", "oauth2") && form.has("#token option[value=support][selected]"));
    assert_eq!(
        form.text(".flash"),
        "Put in for you: token support in place of the password. Nothing is saved yet."
    );

    // Graph takes no password: sending gets the token, and reading keeps what it has.
    let form = admin.get("/mailboxes/support/edit?fix=graph&side=outgoing").await;
    assert!(checked(&form, "outgoing", "graph") && checked(&form, "incoming", "imap"));
    assert!(checked(&form, "auth", "password") && checked(&form, "outgoing_auth", "oauth2"));
    assert!(form.has("#outgoing_token option[value=support][selected]") && form.has("input[name=separate][checked]"));
    assert_eq!(
        form.text(".put-in").lines().count(),
        4,
        "protocol, separate, kind and token: {}",
        form.text(".put-in")
    );

    // A token that is the mailbox's own already is no way out of its own refusal.
    let with_token = |side: SideInput| SideInput {
        auth: "oauth2".into(),
        token: "support".into(),
        password: None,
        ..side
    };
    let input = MailboxInput {
        name: "refused".into(),
        incoming: records::mailbox("support", Some(41993), None, "").incoming.map(with_token),
        ..records::mailbox("support", None, None, "")
    };
    create(&t.app, &Actor::console(), check_mailbox(&input, &t.app.gate).unwrap())
        .await
        .unwrap();
    let form = admin.get("/mailboxes/refused/edit?fix=token&side=incoming").await;
    assert_eq!(form.attribute("#token option[selected]", "value").as_deref(), Some(""));
    assert!(
        form.text(".flash").starts_with("Put in for you: no token. Choose one"),
        "{}",
        form.text(".flash")
    );
    let name = Name::parse("support").unwrap();
    let stored = t.app.store.mailbox(&name).await.unwrap().unwrap();
    assert_eq!(stored.from.as_deref(), Some("billing@contoso.test"), "nothing was saved");
}
