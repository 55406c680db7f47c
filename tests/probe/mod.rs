//! Connection tests against servers of our own: good ones, odd ones, and ones that mean harm.

mod graph;
pub mod graph_server;
mod hostile;
mod imap;
pub mod imap_server;
mod pop3;
pub mod pop3_server;
pub mod server;
mod smtp;
pub mod smtp_server;
mod tls;

use imap_server::{PASSWORD, TOKEN};
use mailgrant::clock::Timestamp;
use mailgrant::diagnosis::{Evidence, diagnose};
use mailgrant::gate::{AllowNetwork, Gate};
use mailgrant::mail::{Connector, Login};
use mailgrant::model::Name;
use mailgrant::model::mailbox::{Endpoint, Protocol, Security};
use mailgrant::model::report::{Direction, Outcome, Report, Stage, Step};
use mailgrant::probe::{self, Failure, Found, ImapTarget, Plan, Pop3Target, SmtpTarget, Steps};
use mailgrant::secret::{AccessToken, Password};
use server::{Authority, Server};
use std::time::Duration;

/// The moment every test starts at: 2026-11-21T08:14:02Z.
const NOW: Timestamp = Timestamp(1_795_248_842);

/// An authority, and a connector that trusts it and may go to this machine.
struct Lab {
    authority: Authority,
    connector: Connector,
    allowance: Duration,
}

/// What a test came to.
struct Run {
    report: Report,
    failure: Option<Failure>,
    found: Option<Found>,
}

impl Lab {
    fn new() -> Self {
        let authority = Authority::new();
        let gate = Gate::new(vec![AllowNetwork::Loopback], Vec::new());
        let connector = Connector::new(gate, Some(authority.pem().as_bytes())).unwrap();
        Self {
            authority,
            connector,
            allowance: Duration::from_secs(10),
        }
    }

    /// One that gives servers little time.
    fn impatient() -> Self {
        let mut lab = Self::new();
        lab.allowance = Duration::from_millis(400);
        lab
    }

    fn identity(&self) -> Option<server::Identity> {
        Some(self.authority.identity(|_| {}))
    }

    async fn incoming(&self, server: &Server, security: Security) -> Run {
        self.read(&imap_target(server, security)).await
    }

    async fn read(&self, target: &ImapTarget) -> Run {
        let planned = probe::planned(plan(Direction::Incoming, Protocol::Imap, target.endpoint.security));
        let (mut steps, _watcher) = self.steps(Direction::Incoming, planned);
        let found = probe::imap(&self.connector, target, &mut steps).await.ok();
        let (report, failure) = steps.finish();
        Run { report, failure, found }
    }

    async fn outgoing(&self, server: &Server, security: Security) -> Run {
        self.send(&smtp_target(server, security)).await
    }

    async fn send(&self, target: &SmtpTarget) -> Run {
        let planned = probe::planned(Plan {
            login_only: target.login_only,
            ..plan(Direction::Outgoing, Protocol::Smtp, target.endpoint.security)
        });
        let (mut steps, _watcher) = self.steps(Direction::Outgoing, planned);
        let _ = probe::smtp(&self.connector, target, &mut steps).await;
        let (report, failure) = steps.finish();
        Run {
            report,
            failure,
            found: None,
        }
    }

    async fn pop(&self, server: &Server, security: Security) -> Run {
        self.read_pop(&pop3_target(server, security)).await
    }

    async fn read_pop(&self, target: &Pop3Target) -> Run {
        let planned = probe::planned(plan(Direction::Incoming, Protocol::Pop3, target.endpoint.security));
        let (mut steps, _watcher) = self.steps(Direction::Incoming, planned);
        let found = probe::pop3(&self.connector, target, &mut steps).await.ok();
        let (report, failure) = steps.finish();
        Run { report, failure, found }
    }

    fn steps(&self, direction: Direction, planned: Vec<Stage>) -> (Steps, tokio::sync::watch::Receiver<Report>) {
        let protocol = if direction == Direction::Incoming { "imap" } else { "smtp" };
        let report = Report::start(Name::parse("support").unwrap(), direction, protocol, NOW);
        let (steps, watcher) = Steps::start(report, planned);
        (steps.allow(self.allowance), watcher)
    }
}

impl Run {
    /// Every step with its outcome: `dns tcp tls greeting! auth-`, `!` failed, `?` warning, `-` skipped.
    fn line(&self) -> String {
        let each = self.report.steps.iter().map(|step| {
            let mark = match step.outcome {
                Outcome::Passed => "",
                Outcome::Warning => "?",
                Outcome::Failed => "!",
                Outcome::Skipped => "-",
            };
            format!("{}{mark}", step.step)
        });
        each.collect::<Vec<_>>().join(" ")
    }

    fn step(&self, stage: Stage) -> &Step {
        self.report.steps.iter().find(|step| step.step == stage).unwrap()
    }

    /// The stage that failed, its line, and the cause the catalogue names.
    fn failed(&self) -> (Stage, &str, String) {
        let step = self.report.failed_step().unwrap_or_else(|| panic!("passed: {}", self.line()));
        let failure = self.failure.as_ref().unwrap();
        let evidence = Evidence {
            own_id: failure.own_id,
            text: &failure.evidence,
        };
        (step.step, &step.detail, diagnose(&evidence).id)
    }

    fn cause(&self) -> String {
        self.failed().2
    }

    /// The whole report and what goes to the diagnosis, as text; it must not hold a secret.
    fn everything(&self) -> String {
        let text = format!("{} {:?}", serde_json::to_string(&self.report).unwrap(), self.failure);
        for secret in [TOKEN, PASSWORD] {
            assert!(!text.contains(secret), "{text}");
        }
        text
    }
}

fn plan(direction: Direction, protocol: Protocol, security: Security) -> Plan {
    Plan {
        direction,
        protocol,
        security,
        oauth: false,
        arrived: false,
        login_only: false,
        short: false,
    }
}

fn pop3_target(server: &Server, security: Security) -> Pop3Target {
    Pop3Target {
        endpoint: endpoint(server, security),
        login: with_token(TOKEN),
        newest: 5,
        oversized_over: 25_000_000,
    }
}

fn endpoint(server: &Server, security: Security) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".to_owned(),
        port: server.port,
        security,
    }
}

fn with_token(token: &str) -> Login {
    Login::OAuth2 {
        user: "support@contoso.test".to_owned(),
        token: AccessToken::new(token),
    }
}

fn with_password(password: &str) -> Login {
    Login::Password {
        user: "support@contoso.test".to_owned(),
        password: Password::new(password),
    }
}

fn imap_target(server: &Server, security: Security) -> ImapTarget {
    ImapTarget {
        endpoint: endpoint(server, security),
        login: with_token(TOKEN),
        folder: "INBOX".to_owned(),
        newest: 5,
        oversized_over: 25_000_000,
        junk_days: 7,
    }
}

fn smtp_target(server: &Server, security: Security) -> SmtpTarget {
    SmtpTarget {
        endpoint: endpoint(server, security),
        login: with_token(TOKEN),
        from: "support@contoso.test".to_owned(),
        to: "support@contoso.test".to_owned(),
        bcc: vec!["archive@contoso.test".to_owned()],
        subject: "Test 7F3K from Mailgrant".to_owned(),
        message_id: "<7f3k@mailgrant.test>".to_owned(),
        login_only: false,
        hello_name: "mailgrant.test".to_owned(),
    }
}

/// Tests run in tasks of their own, so that leaving the page does not stop them.
#[tokio::test]
async fn tests_can_run_in_tasks_of_their_own() {
    let lab = Lab::new();
    let server = imap_server::Imapd::default().start(lab.identity()).await;
    let target = imap_target(&server, Security::Tls);
    let outgoing = smtp_target(&server, Security::Tls);
    let (mut steps, mut watcher) = lab.steps(Direction::Incoming, Vec::new());
    let connector = lab.connector.clone();
    let task = tokio::spawn(async move {
        let read = probe::imap(&connector, &target, &mut steps).await;
        let sent = probe::smtp(&connector, &outgoing, &mut steps).await;
        let _ = probe::arrived(&connector, &target, "<x@x.test>", Duration::from_secs(1), &mut steps).await;
        (read, sent, steps.finish())
    });
    let mut seen = 0;
    while watcher.changed().await.is_ok() {
        let steps = watcher.borrow_and_update().steps.len();
        assert!(steps >= seen, "reports only grow");
        seen = steps;
    }
    let (read, sent, (report, _)) = task.await.unwrap();
    assert!(read.is_ok() && sent.is_err(), "{report:?}");
    assert_eq!(report.failed_step().unwrap().step, Stage::Greeting);
}
