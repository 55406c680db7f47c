//! Every row of the table in `ux.md` 6.6 on its page: the cause, who can fix it, the first way, and that its button leads to the fix.

mod rows;

use crate::support::app::{Page, TestApp};
use mailgrant::actions::config::{Sources, apply, parse};
use mailgrant::actions::probe::{self, settings_of};
use mailgrant::diagnosis::case::{self, Aim, Case, Held};
use mailgrant::diagnosis::{Evidence, entry, judge, own, ways};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::{Mailbox, Security};
use mailgrant::model::provider::{ClientAuth, Cloud};
use mailgrant::model::report::{Line, Outcome, Report, Stage, Step};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::GrantType;
use mailgrant::model::{Name, RunId};
use mailgrant::store::reports::Run;
use rows::{CANARY, CLIENT, First, IN, ROWS, Row, YOU, records, row};

impl TestApp {
    async fn with_records() -> Self {
        let t = Self::start().await;
        let file = parse(&records()).unwrap_or_else(|problems| panic!("{problems:?}"));
        let sources = Sources {
            directory: t.data_dir(),
            env: &|_| None,
        };
        apply(&t.app, &Actor::command_line(), &file, &sources, false).await.unwrap();
        t
    }

    /// A run of this mailbox that failed like this; its id.
    async fn failed_run(&self, row: &Row) -> String {
        let mailbox = self.app.store.mailbox(&Name::parse(row.mailbox).unwrap()).await.unwrap().unwrap();
        let text = entry(row.says).unwrap().example.as_str();
        let case = case(row, &mailbox, text);
        let now = self.app.clock.now();
        let side = probe::side(&mailbox, row.direction).unwrap();
        let mut report = Report::start(mailbox.name.clone(), row.direction, side.server.protocol().as_str(), now);
        report.outcome = Outcome::Failed;
        report.steps.push(Step {
            step: row.step,
            outcome: Outcome::Failed,
            duration_ms: 3,
            detail: "refused".to_owned(),
            facts: serde_json::Map::new(),
            transcript: text
                .lines()
                .map(|line| Line {
                    from: 'S',
                    text: line.to_owned(),
                })
                .collect(),
        });
        report.diagnosis = Some(judge(&case));
        let id = self.app.random.base64url(12);
        let run = Run {
            id: RunId(id.clone()),
            mailbox_id: Some(mailbox.id.clone()),
            mailbox_name: mailbox.name.to_string(),
            address: mailbox.address.clone(),
            direction: row.direction,
            protocol: report.protocol.clone(),
            draft: false,
            started_by: "a test".to_owned(),
            user_id: None,
            started_at: now,
            finished_at: Some(now),
            outcome: "failed".to_owned(),
            failed_step: Some(row.step.to_string()),
            diagnosis_id: report.diagnosis.as_ref().map(|found| found.id.clone()),
            settings: settings_of(&self.app, &mailbox, row.direction).await.unwrap().to_json(),
            fingerprint: String::new(),
            report: serde_json::to_string(&report).unwrap(),
            newest: None,
        };
        let mut tx = self.app.store.begin().await.unwrap();
        tx.insert_run(&run).await.unwrap();
        tx.commit().await.unwrap();
        id
    }
}

fn case<'a>(row: &Row, mailbox: &Mailbox, text: &'a str) -> Case<'a> {
    let side = probe::side(mailbox, row.direction).unwrap();
    let endpoint = side.server.endpoint().unwrap();
    let app = row.mailbox == "app";
    Case {
        evidence: Evidence {
            own_id: row.says.starts_with("console-").then_some(row.says),
            text,
        },
        step: Some(row.step),
        side: Some(Aim {
            protocol: side.server.protocol(),
            direction: row.direction,
            host: endpoint.host.clone(),
            port: endpoint.port,
            security: match row.says {
                own::TLS_ON_STARTTLS_PORT => Security::Tls,
                _ => endpoint.security,
            },
            password: row.mailbox == "old",
            address: mailbox.address.clone(),
            user_name: mailbox.address.clone(),
        }),
        token: Some(Held {
            grant: Some(if app {
                GrantType::ClientCredentials
            } else {
                GrantType::AuthorizationCode
            }),
            account: match row.mailbox {
                "app" => None,
                "hr" => Some("maija@contoso.test".to_owned()),
                _ => Some(mailbox.address.clone()),
            },
            missing: if row.says == "smtp-exchange-auth-unsuccessful" {
                vec!["SMTP.Send".to_owned()]
            } else {
                Vec::new()
            },
            ..Held::default()
        }),
        // Where the text leaves it open, that it is Microsoft's decides.
        provider: app.then(|| case::Provider {
            template: TemplateKind::Microsoft,
            label: "Microsoft",
            cloud: Cloud::Global,
            tenant: None,
            client_id: CLIENT.to_owned(),
            client_auth: ClientAuth::Certificate,
            consent_screen: None,
            secret_is_id: false,
            secret_ended_days: None,
            scopes: Vec::new(),
            signed_in_days: None,
            used_days: None,
        }),
        ..Case::default()
    }
}

/// The text of an element, wherever it is in this way.
fn first(page: &Page, css: &str) -> String {
    page.text(&format!("#verdict .fixes > li:first-child {css}"))
}

#[tokio::test]
async fn every_row_has_its_page_and_its_first_button_leads_to_the_fix() {
    let t = TestApp::with_records().await;
    let mut wrong = Vec::new();
    for row in ROWS {
        let path = format!("/tests/{}", t.failed_run(row).await);
        let mut admin = t.admin();
        let page = admin.get(&path).await;
        let mut expect = |what: &str, holds: bool| {
            if !holds {
                wrong.push(format!("{}: {what}\n{}", row.seen, page.text("#verdict")));
            }
        };
        expect("cause", page.text("#verdict h2") == row.cause);
        expect("who", first(&page, ".who") == format!("Who can do it: {}.", row.who));
        expect("raw reply", page.has("#verdict .talk"));
        expect("why", page.has("#verdict .why li"));
        let again = format!("form[action='/mailboxes/{}/test/{}'] button", row.mailbox, row.direction);
        expect("test again", first(&page, &again) == "I've done this, test again");
        expect("request", row.who == YOU || page.has("#verdict-1-r"));
        expect("no secret", !page.body.contains(CANARY));
        match row.first {
            First::Go(words, href, there) => {
                expect("button", first(&page, "a.btn.primary") == words);
                let at = page.attribute("#verdict .fixes > li:first-child a.btn.primary", "href");
                expect("where it leads", at.as_deref() == Some(href));
                let form = admin.get(href.split('#').next().unwrap()).await;
                if !form.status.is_success() || !form.has(there) {
                    wrong.push(format!("{}: {href} has no {there}\n{}", row.seen, form.words()));
                }
                if href.contains("?fix=") && !form.text(".flash").ends_with("Nothing is saved yet.") {
                    wrong.push(format!("{}: {}", row.seen, form.text(".flash")));
                }
            }
            First::Send(words, action, prompt) => {
                let form = format!("form[action='{action}']");
                let button = first(&page, &format!("{form} button.primary"));
                expect("button", button == words);
                let sent = page.attribute(&format!("#verdict .fixes > li:first-child {form} input[name=prompt]"), "value");
                expect("prompt", sent.as_deref() == Some(prompt));
                let left = admin.submit(action, &[("prompt", prompt)]).await;
                if !left.text("h1").contains("Sign in as") || !left.body.contains(prompt) {
                    wrong.push(format!("{}: {}", row.seen, left.words()));
                }
            }
            First::Command(command) => expect("command", first(&page, "pre").contains(command)),
            First::Value(value) => expect("value", first(&page, ".field").contains(value)),
            First::Request(text) => expect("request", page.text("#verdict-1-r").contains(text)),
            First::Again => expect("again only", !page.has("#verdict .fixes > li:first-child a.btn")),
        }
        println!("{}: {}, {}", row.seen, row.cause, row.who);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let of_table: Vec<&str> = ways::groups().iter().map(|group| group.row.as_str()).collect();
    assert!(ROWS.iter().all(|row| of_table.contains(&row.seen)));
}

#[tokio::test]
async fn whoever_may_not_press_a_button_is_told_who_may() {
    let t = TestApp::with_records().await;
    let secret = t.failed_run(ROWS.iter().find(|row| row.seen == "AADSTS7000222").unwrap()).await;
    let path = format!("/tests/{secret}");
    let page = t.admin().get(&path).await;
    assert!(page.has("#verdict a[href='/providers/contoso/secret']") && !page.text("#verdict").contains("Only people"));
    for role in ["operator", "viewer"] {
        let page = t.signed_in(role).get(&path).await;
        assert!(!page.has("#verdict a[href='/providers/contoso/secret']"), "{role}");
        let said = page.text("#verdict");
        assert!(
            said.contains("Replace secret: Only people with permission to set secrets can do this. Ask "),
            "{role}: {said}"
        );
        assert_eq!(page.has("#verdict form[action$='/test/incoming']"), role == "operator");
    }
}

#[tokio::test]
async fn an_unknown_reply_is_shown_in_full_with_its_step() {
    let t = TestApp::with_records().await;
    let mut row = row("", own::UNKNOWN, "own", IN, Stage::Greeting, "", YOU, First::Again);
    row.says = own::UNKNOWN;
    let id = t.failed_run(&row).await;
    let page = t.admin().get(format!("/tests/{id}")).await;
    assert_eq!(page.text("#verdict h2"), "We don't know this one");
    assert!(
        page.text("#verdict").contains("It failed at the step Greeting."),
        "{}",
        page.text("#verdict")
    );
    assert!(page.text("#verdict h3").contains("What the other side said"));
}

/// The row of this name.
fn seen(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.seen == name).unwrap()
}

#[tokio::test]
async fn a_request_to_somebody_without_an_account_takes_its_link_along() {
    let t = TestApp::with_records().await;
    // What was seen, where the link is made, what the mail asks for, and how the link begins.
    for (name, maker, asked, link) in [
        ("AADSTS7000222", "/providers/contoso/request", "Make a new secret", "/s/"),
        (
            "AADSTS65001, 90094, 90008",
            "/providers/contoso/consent/links",
            "Allow the app for the organisation",
            "/c/",
        ),
        (
            "AADSTS50076, 50079, 53003",
            "/tokens/own/links",
            "Sign in once as own@contoso.test",
            "/l/",
        ),
    ] {
        let path = format!("/tests/{}", t.failed_run(seen(name)).await);
        let mut admin = t.admin();
        let page = admin.get(&path).await;
        let form = format!("#verdict .fixes > li:first-child form[action='{maker}']");
        assert_eq!(
            page.text(&format!("{form} button")),
            "Make a link and put it in the request",
            "{name}: {}",
            page.body
        );
        assert!(
            !page.has("#verdict [data-copy=verdict-1-r]"),
            "{name}: the request without its link is offered too"
        );
        let request = page.attribute(&format!("{form} input[name=request]"), "value").unwrap();
        let made = admin
            .submit(maker, &[("request", request.as_str()), ("prompt", "select_account")])
            .await;
        let words = made.text("#words");
        assert!(words.contains(asked) && words.contains(link), "{name}: {words}");
        assert!(
            words.contains("You need no account here") && words.contains("works once, until"),
            "{name}: {words}"
        );
        assert_eq!(words.matches("Thank you").count(), 1, "{name}: {words}");
        // Nothing in it is for somebody who has an account.
        for ours in ["Send an admin", "put it in", "Replace secret", "Ask for it"] {
            assert!(!words.contains(ours), "{name}: {ours}: {words}");
        }
    }
    // Whoever may make no link keeps the request, and what is posted without one is the page's own text.
    let path = format!("/tests/{}", t.failed_run(seen("AADSTS7000222")).await);
    let page = t.signed_in("viewer").get(&path).await;
    assert!(page.has("#verdict [data-copy=verdict-1-r]") && !page.has("#verdict form[action='/providers/contoso/request']"));
    let made = t.admin().submit("/providers/contoso/request", &[]).await;
    assert!(made.text("#words").starts_with("Our mail console is a program"), "{}", made.words());
}

#[tokio::test]
async fn without_a_provider_the_redirect_addresses_of_the_console_are_told() {
    let t = TestApp::with_records().await;
    let page = t.admin().get("/explain?text=AADSTS50011").await;
    let shown = page.text(".fixes > li:first-child");
    for provider in ["contoso", "litware", "gmail"] {
        assert!(shown.contains(&format!("Redirect address of {provider}")), "{shown}");
        assert!(page.body.contains(&format!("/oauth/callback/{provider}")), "{provider}");
    }
    let page = TestApp::start().await.admin().get("/explain?text=AADSTS50011").await;
    assert!(
        page.body.contains("/oauth/callback/") && page.body.contains("provider name"),
        "{}",
        page.words()
    );
}
