//! Connection tests against Dovecot and Postfix, with tokens of the real provider.

mod moving;
mod pop;

use crate::support::rig::{IMAP_SCOPE, POP_SCOPE, Rig, SMTP_SCOPE, fresh};
use mailgrant::clock::Timestamp;
use mailgrant::diagnosis::{Evidence, diagnose};
use mailgrant::gate::{AllowNetwork, Gate};
use mailgrant::mail::pop3::{self, Pop3};
use mailgrant::mail::record::{Protocol, Recorder};
use mailgrant::mail::stream::{Recorded, Wire};
use mailgrant::mail::{Connector, Login};
use mailgrant::model::Name;
use mailgrant::model::mailbox::{Endpoint, Security};
use mailgrant::model::report::{Direction, Outcome, Report, Stage};
use mailgrant::probe::{self, Failure, Found, ImapTarget, Pop3Target, SmtpTarget, Steps};
use mailgrant::secret::{AccessToken, Password};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// The rig, a mailbox nobody else uses, and a connector that trusts the rig's authority.
struct Bench {
    rig: &'static Rig,
    address: String,
    connector: Connector,
}

impl Bench {
    /// None where the rig does not run; `tests/run` checks that these tests did.
    fn get() -> Option<Self> {
        let rig = Rig::get()?;
        let gate = Gate::new(vec![AllowNetwork::Loopback], Vec::new());
        Some(Self {
            address: rig.fresh_address(),
            connector: Connector::new(gate, Some(&rig.ca_pem())).unwrap(),
            rig,
        })
    }

    /// An access token of so many characters for the mailbox.
    async fn token(&self, scope: &str, length: usize) -> Login {
        let client = self.rig.register_client(json!({ "token_length": length })).await;
        let minted = self.rig.mint_grant(&client, &self.address, scope).await;
        Login::OAuth2 {
            user: self.address.clone(),
            token: AccessToken::new(minted.access_token),
        }
    }

    async fn put_mail(&self, mail: Value) {
        self.rig.put_mail(&self.address, mail).await;
    }

    fn endpoint(&self, host: &str, port: &str, security: Security) -> Endpoint {
        Endpoint {
            host: host.to_owned(),
            port: self.rig.port(port),
            security,
        }
    }

    fn imap(&self, endpoint: Endpoint, login: Login) -> ImapTarget {
        ImapTarget {
            endpoint,
            login,
            folder: "INBOX".to_owned(),
            newest: 5,
            oversized_over: 1_000_000,
            junk_days: 7,
        }
    }

    fn pop3(&self, endpoint: Endpoint, login: Login) -> Pop3Target {
        Pop3Target {
            endpoint,
            login,
            newest: 5,
            oversized_over: 1_000_000,
        }
    }

    async fn read_pop(&self, target: &Pop3Target) -> (Report, Option<Failure>, Option<Found>) {
        let (mut steps, _watcher) = Steps::start(report(Direction::Incoming), Vec::new());
        let found = probe::pop3(&self.connector, target, &mut steps).await.ok();
        let (report, failure) = steps.finish();
        (report, failure, found)
    }

    fn smtp(&self, endpoint: Endpoint, login: Login) -> SmtpTarget {
        SmtpTarget {
            endpoint,
            login,
            from: self.address.clone(),
            to: self.address.clone(),
            bcc: Vec::new(),
            subject: "Test 7F3K from Mailgrant".to_owned(),
            message_id: format!("<{}@mailgrant.test>", fresh()),
            login_only: false,
            hello_name: "mailgrant.test".to_owned(),
        }
    }

    async fn read(&self, target: &ImapTarget) -> (Report, Option<Failure>, Option<Found>) {
        let (mut steps, _watcher) = Steps::start(report(Direction::Incoming), Vec::new());
        let found = probe::imap(&self.connector, target, &mut steps).await.ok();
        let (report, failure) = steps.finish();
        (report, failure, found)
    }

    async fn send(&self, target: &SmtpTarget, arrived: Option<&ImapTarget>) -> (Report, Option<Failure>) {
        let (mut steps, _watcher) = Steps::start(report(Direction::Outgoing), Vec::new());
        let sent = probe::smtp(&self.connector, target, &mut steps).await;
        if let (Ok(()), Some(incoming)) = (sent, arrived) {
            let wait = Duration::from_secs(30);
            let _ = probe::arrived(&self.connector, incoming, &target.message_id, wait, &mut steps).await;
        }
        steps.finish()
    }

    /// The files of the mailbox; their names carry the flags of the messages.
    fn files(&self) -> BTreeSet<String> {
        let mut files = BTreeSet::new();
        for folder in ["cur", "new", ".Junk/cur", ".Junk/new"] {
            let directory = self.rig.maildir(&self.address, folder);
            for file in std::fs::read_dir(directory).into_iter().flatten() {
                files.insert(file.unwrap().file_name().into_string().unwrap());
            }
        }
        files
    }
}

fn report(direction: Direction) -> Report {
    #[expect(clippy::disallowed_methods, reason = "the mail store of the rig lives in real time")]
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let now = Timestamp(i64::try_from(now).unwrap());
    Report::start(Name::parse("real").unwrap(), direction, "mail", now)
}

fn detail(report: &Report, stage: Stage) -> &str {
    &report.steps.iter().find(|step| step.step == stage).unwrap().detail
}

fn cause(failure: Option<Failure>) -> String {
    let failure = failure.expect("it passed");
    let evidence = Evidence {
        own_id: failure.own_id,
        text: &failure.evidence,
    };
    diagnose(&evidence).id
}

#[tokio::test]
async fn dovecot_is_read_over_tls_and_starttls_with_both_mechanisms_and_long_tokens() {
    let Some(bench) = Bench::get() else { return };
    bench.put_mail(json!({ "count": 1, "subject": "Grüße", "size": 2_000_000 })).await;
    bench.put_mail(json!({ "count": 2, "seen": true })).await;
    bench.put_mail(json!({ "count": 3, "folder": "Junk" })).await;
    let before = bench.files();
    let (short, long) = (bench.token(IMAP_SCOPE, 43).await, bench.token(IMAP_SCOPE, 4000).await);
    for (host, port, security, mechanism) in [
        ("localhost", "imaps", Security::Tls, "OAUTHBEARER"),
        (bench.rig.starttls_host.as_str(), "imap", Security::Starttls, "OAUTHBEARER"),
        ("localhost", "imaps_xoauth2", Security::Tls, "XOAUTH2"),
        (bench.rig.starttls_host.as_str(), "imap_xoauth2", Security::Starttls, "XOAUTH2"),
    ] {
        for login in [&short, &long] {
            let (report, failure, found) = bench.read(&bench.imap(bench.endpoint(host, port, security), login.clone())).await;
            assert_eq!(failure, None, "{report:?}");
            assert_eq!(detail(&report, Stage::Auth), format!("{mechanism} as {}", bench.address));
            assert!(detail(&report, Stage::Tls).starts_with("TLS 1.3, localhost"));
            let found = found.unwrap();
            assert_eq!(
                (found.messages, found.unread, found.junk, found.junk_unread),
                (3, Some(1), Some(3), Some(3))
            );
            assert_eq!(found.newest.len(), 3);
            assert_eq!(found.oversized.len(), 1);
            assert_eq!(detail(&report, Stage::Junk), "3 in Junk, 3 unread, 3 in the last 7 days");
        }
    }
    assert_eq!(bench.files(), before, "a test must not mark or move anything");
    bench.rig.mark("dovecot");
}

#[tokio::test]
async fn an_empty_mailbox_and_a_password_are_fine() {
    let Some(bench) = Bench::get() else { return };
    let login = bench.token(IMAP_SCOPE, 43).await;
    let (report, failure, _) = bench
        .read(&bench.imap(bench.endpoint("localhost", "imaps", Security::Tls), login))
        .await;
    assert_eq!(failure, None, "{report:?}");
    assert_eq!(detail(&report, Stage::Unread), "0, that's fine");

    let password = Login::Password {
        user: bench.rig.user("plain").to_owned(),
        password: Password::new(bench.rig.plain_password.as_str()),
    };
    let (report, failure, _) = bench
        .read(&bench.imap(bench.endpoint("localhost", "imaps", Security::Tls), password))
        .await;
    assert_eq!(failure, None, "{report:?}");
}

#[tokio::test]
async fn what_dovecot_refuses_is_named() {
    let Some(bench) = Bench::get() else { return };
    let tls = || bench.endpoint("localhost", "imaps", Security::Tls);

    // A token for sending only.
    let (_, failure, _) = bench.read(&bench.imap(tls(), bench.token(SMTP_SCOPE, 43).await)).await;
    let failure = failure.unwrap();
    assert!(
        failure.evidence.contains("\"status\""),
        "the document behind the refusal is kept: {failure:?}"
    );
    assert_eq!(cause(Some(failure)), "imap-authenticationfailed-generic");

    // A token that nobody issued.
    let stranger = Login::OAuth2 {
        user: bench.address.clone(),
        token: AccessToken::new("x".repeat(43)),
    };
    let (report, failure, _) = bench.read(&bench.imap(tls(), stranger)).await;
    assert_eq!(report.failed_step().unwrap().step, Stage::Auth);
    assert_eq!(cause(failure), "imap-authenticationfailed-generic");

    // Somebody else's mailbox.
    let login = match bench.token(IMAP_SCOPE, 43).await {
        Login::OAuth2 { token, .. } => Login::OAuth2 {
            user: "hr@bench.test".to_owned(),
            token,
        },
        other => other,
    };
    let (report, _, _) = bench.read(&bench.imap(tls(), login)).await;
    assert_eq!(report.failed_step().unwrap().step, Stage::Auth);

    // A token that is accepted, for a mailbox that is gone.
    let mut gone = Bench::get().unwrap();
    gone.address = bench.rig.user("gone").to_owned();
    let (report, failure, _) = gone.read(&gone.imap(tls(), gone.token(IMAP_SCOPE, 43).await)).await;
    assert_eq!(report.failed_step().unwrap().step, Stage::Auth, "{report:?}");
    assert_eq!(cause(failure), "network-closed-early");

    // A folder that isn't there.
    let mut target = bench.imap(tls(), bench.token(IMAP_SCOPE, 43).await);
    target.folder = "Entwürfe".to_owned();
    let (_, failure, _) = bench.read(&target).await;
    assert_eq!(cause(failure), "console-folder-missing");
}

#[tokio::test]
async fn bad_certificates_of_real_servers_are_named() {
    let Some(bench) = Bench::get() else { return };
    for (host, id) in [
        (&bench.rig.expired_host, "tls-cert-expired"),
        (&bench.rig.wrong_name_host, "tls-cert-hostname"),
    ] {
        let target = bench.imap(bench.endpoint(host, "imaps", Security::Tls), bench.token(IMAP_SCOPE, 43).await);
        let (report, failure, _) = bench.read(&target).await;
        assert_eq!(report.failed_step().unwrap().step, Stage::Tls);
        assert_eq!(cause(failure), id);
    }
}

#[tokio::test]
async fn postfix_takes_a_message_and_it_arrives() {
    let Some(bench) = Bench::get() else { return };
    let incoming = bench.imap(
        bench.endpoint("localhost", "imaps", Security::Tls),
        bench.token(IMAP_SCOPE, 4000).await,
    );
    for (port, security, length, mechanism) in [
        ("submissions", Security::Tls, 43, "OAUTHBEARER"),
        ("submission", Security::Starttls, 4000, "OAUTHBEARER"),
        ("submissions_xoauth2", Security::Tls, 4000, "XOAUTH2"),
        ("submission_xoauth2", Security::Starttls, 43, "XOAUTH2"),
    ] {
        let target = bench.smtp(bench.endpoint("localhost", port, security), bench.token(SMTP_SCOPE, length).await);
        let (report, failure) = bench.send(&target, Some(&incoming)).await;
        assert_eq!(failure, None, "{report:?}");
        assert_eq!(detail(&report, Stage::Auth), format!("{mechanism} as {}", bench.address));
        assert!(detail(&report, Stage::Data).contains("queued as"));
        assert!(detail(&report, Stage::Arrived).starts_with("in the inbox after "));
        assert!(report.steps.iter().all(|step| step.outcome == Outcome::Passed), "{report:?}");
    }
    assert_eq!(bench.files().len(), 4, "one message a test");
    bench.rig.mark("postfix");
}

#[tokio::test]
async fn what_postfix_refuses_is_named() {
    let Some(bench) = Bench::get() else { return };
    let tls = || bench.endpoint("localhost", "submissions", Security::Tls);

    let (report, failure) = bench.send(&bench.smtp(tls(), bench.token(IMAP_SCOPE, 43).await), None).await;
    assert_eq!(report.failed_step().unwrap().step, Stage::Auth);
    let failure = failure.unwrap();
    assert!(
        failure.evidence.starts_with("535 5.7.8 ") && failure.evidence.contains("\"status\""),
        "{failure:?}"
    );
    assert_eq!(cause(Some(failure)), "smtp-auth-failed-generic");

    let mut foreign = bench.smtp(tls(), bench.token(SMTP_SCOPE, 43).await);
    foreign.from = "hr@bench.test".to_owned();
    let (report, _) = bench.send(&foreign, None).await;
    assert!(report.failed_step().unwrap().detail.starts_with("553 5.7.1 "), "{report:?}");

    let mut nobody = bench.smtp(tls(), bench.token(SMTP_SCOPE, 43).await);
    nobody.to = "nobody@bench.test".to_owned();
    let (report, _) = bench.send(&nobody, None).await;
    assert_eq!(report.failed_step().unwrap().step, Stage::RcptTo);

    let relay = bench.smtp(bench.endpoint("127.0.0.1", "smtp_open", Security::None), Login::None);
    let (report, failure) = bench.send(&relay, None).await;
    assert_eq!(failure, None, "{report:?}");
}
