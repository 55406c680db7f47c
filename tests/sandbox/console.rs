//! Mailgrant against the sandbox, with the samples of the demo: both directions pass, and each fault fails a test at its step, or shows
//! where it should.

use super::{Play, apply};
use crate::support::databases::config;
use mailgrant::actions::demo::choose_faults;
use mailgrant::actions::probe::{self, Options, Order};
use mailgrant::app::App;
use mailgrant::clock::SystemClock;
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::report::{Direction, Outcome, Report};
use mailgrant::random::SystemRandom;
use mailgrant::sandbox::{Fault, Sandbox};
use std::sync::Arc;
use tempfile::TempDir;

pub struct Demo {
    pub app: App,
    pub sandbox: Sandbox,
    _directory: TempDir,
}

impl Demo {
    pub async fn start() -> Self {
        let sandbox = Play::start().await.sandbox;
        let directory = TempDir::new().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, sandbox.ca_pem()).unwrap();
        let mut config = config(&directory.path().join("data"), &[("MAILGRANT_ALLOW_NETWORKS", "loopback")]);
        (config.extra_ca_file, config.demo) = (Some(ca), true);
        let app = App::open(config, Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap();
        apply(&app, &mailgrant::cli::demo::samples(&sandbox)).await.unwrap();
        Self {
            app,
            sandbox,
            _directory: directory,
        }
    }

    pub async fn choose(&self, faults: &[Fault]) {
        choose_faults(&self.app, &Actor::console(), self.sandbox.faults(), faults)
            .await
            .unwrap();
    }

    pub async fn test(&self, name: &str, direction: Direction) -> Report {
        let mailbox = self.app.store.mailbox(&Name::parse(name).unwrap()).await.unwrap().unwrap();
        let order = Order {
            mailbox,
            draft: false,
            direction,
            options: Options::default(),
            user: None,
        };
        probe::run_to_end(&self.app, &Actor::console(), order).await.unwrap().report.clone()
    }

    /// Where a test failed; empty: it passed.
    pub async fn fails_at(&self, name: &str, direction: Direction) -> String {
        let report = self.test(name, direction).await;
        let failed = report.steps.iter().find(|step| step.outcome == Outcome::Failed);
        assert_eq!(failed.is_none(), report.diagnosis.is_none(), "{report:?}");
        failed.map(|step| step.step.as_str().to_owned()).unwrap_or_default()
    }
}

#[tokio::test]
async fn every_sample_that_is_signed_in_passes_both_ways() {
    let demo = Demo::start().await;
    for name in ["support", "info", "orders", "help", "billing", "post"] {
        for direction in [Direction::Incoming, Direction::Outgoing] {
            assert_eq!(demo.fails_at(name, direction).await, "", "{name} {direction:?}");
        }
    }
    assert_eq!(
        demo.fails_at("sales", Direction::Incoming).await,
        "token",
        "nobody has signed in there yet"
    );
}

#[tokio::test]
async fn each_fault_shows_at_its_step_and_is_over_when_turned_off() {
    let demo = Demo::start().await;
    let sides = [
        ("support", Direction::Incoming),
        ("support", Direction::Outgoing),
        ("help", Direction::Incoming),
        ("help", Direction::Outgoing),
        ("billing", Direction::Incoming),
        ("orders", Direction::Incoming),
        ("orders", Direction::Outgoing),
    ];
    // Where each of them fails: IMAP and SMTP as Exchange has them and as Gmail, Gmail's POP, and Graph.
    let expected: &[(Fault, [&str; 7])] = &[
        (Fault::SecretExpired, ["token"; 7]),
        (Fault::SecretWrong, ["token"; 7]),
        (Fault::TokenHtml, ["token"; 7]),
        (Fault::TokenUnavailable, ["token"; 7]),
        (Fault::MissingScope, ["", "auth", "auth", "auth", "auth", "", "send"]),
        (Fault::HangsUp, ["greeting", "greeting", "tls", "tls", "tls", "tls", "tls"]),
        (Fault::CertificateExpired, ["tls"; 7]),
        (Fault::CertificateWrongName, ["tls"; 7]),
        (Fault::CertificateUnknown, ["tls"; 7]),
        (Fault::NoStarttls, ["starttls", "starttls", "", "", "", "", ""]),
        (Fault::TokenRefused, ["auth", "auth", "auth", "auth", "auth", "inbox", "send"]),
        (
            Fault::MailboxDisabled,
            ["select", "arrived", "auth", "arrived", "auth", "inbox", "send"],
        ),
        (Fault::Throttled, ["select", "data", "auth", "data", "unread", "inbox", "send"]),
        (Fault::SessionEnds, ["select", "arrived", "select", "arrived", "unread", "", ""]),
        (
            Fault::ServerUnavailable,
            ["auth", "arrived", "auth", "arrived", "", "inbox", "send"],
        ),
        (Fault::SmtpAuthOff, ["", "auth", "", "auth", "", "", ""]),
        (Fault::SmtpAuthOffMailbox, ["", "auth", "", "auth", "", "", ""]),
        (Fault::SendAsDenied, ["", "data", "", "data", "", "", "send"]),
        (Fault::DailyLimit, ["", "rcpt_to", "", "rcpt_to", "", "", "send"]),
        (Fault::TooLarge, ["", "mail_from", "", "mail_from", "", "", "send"]),
        (Fault::DropsInData, ["", "data", "", "data", "", "", ""]),
        (Fault::GraphPolicy, ["", "", "", "", "", "inbox", "send"]),
    ];
    let mut wrong = Vec::new();
    for (fault, steps) in expected {
        demo.choose(&[*fault]).await;
        for ((name, direction), step) in sides.iter().zip(steps) {
            let failed = demo.fails_at(name, *direction).await;
            if failed != *step {
                wrong.push(format!("{fault} {name} {direction:?}: at {failed:?}, not {step:?}"));
            }
        }
        demo.choose(&[]).await;
        for name in ["support", "orders"] {
            let failed = demo.fails_at(name, Direction::Incoming).await;
            if !failed.is_empty() {
                wrong.push(format!("after {fault}, {name}: at {failed:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn faults_that_end_a_sign_in_say_so_at_the_token() {
    for fault in [Fault::RefreshRevoked, Fault::ConsentMissing, Fault::PolicyBlocks] {
        let demo = Demo::start().await;
        demo.choose(&[fault]).await;
        for name in ["support", "help", "post"] {
            assert_eq!(demo.fails_at(name, Direction::Incoming).await, "token", "{fault} {name}");
        }
    }
}

#[tokio::test]
async fn slow_servers_are_warned_about_and_silent_ones_given_up() {
    let demo = Demo::start().await;
    demo.choose(&[Fault::Slow]).await;
    let report = demo.test("support", Direction::Incoming).await;
    assert!(report.steps.iter().any(|step| step.outcome == Outcome::Warning), "{report:?}");
    assert_eq!(report.diagnosis, None);
    demo.choose(&[Fault::Silent]).await;
    assert_eq!(demo.fails_at("help", Direction::Incoming).await, "greeting");
}
