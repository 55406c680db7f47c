//! Notices that really arrive: through Postfix into Dovecot's mailboxes, sent by a mailbox and by the fallback server; and at a webhook
//! whose signature another implementation checks.

use crate::support::databases::{NOW, config};
use crate::support::rig::Rig;
use crate::worker::sink::{Hook, all, looked_and_sent, save};
use mailgrant::actions::mailboxes::{self, MailboxInput, SideInput, check_mailbox};
use mailgrant::actions::notices::channels::ChannelsInput;
use mailgrant::actions::notices::consented;
use mailgrant::app::App;
use mailgrant::clock::MockClock;
use mailgrant::model::audit::Actor;
use mailgrant::random::SystemRandom;
use mailgrant::secret::Password;
use mailgrant::worker::instances;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Node's own crypto, as a receiver would use it.
const CHECK: &str = r#"
const { createHmac, timingSafeEqual } = require('node:crypto');
const { secret, id, timestamp, signature, body } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
const ours = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest();
const theirs = Buffer.from(signature.split(',')[1], 'base64');
process.exit(signature.startsWith('v1,') && ours.length === theirs.length && timingSafeEqual(ours, theirs) ? 0 : 1);
"#;

fn node_agrees(document: &serde_json::Value) -> bool {
    let mut child = Command::new("node").args(["-e", CHECK]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(document.to_string().as_bytes()).unwrap();
    child.wait().unwrap().success()
}

async fn happens(app: &App, what: &str) {
    let mut tx = app.store.begin().await.unwrap();
    consented(app, &mut tx, "Maija", what, format!("/tokens/{what}")).await.unwrap();
    tx.commit().await.unwrap();
    looked_and_sent(app).await;
}

/// The messages in a mailbox, once there are so many.
async fn mails(rig: &Rig, address: &str, count: usize) -> Vec<String> {
    for _ in 0..300 {
        let files = std::fs::read_dir(rig.maildir(address, "new")).into_iter().flatten();
        let found: Vec<String> = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing arrived at {address}");
}

#[tokio::test]
async fn mails_and_webhooks_arrive_and_the_signature_is_what_others_expect() {
    let Some(rig) = Rig::get() else { return };
    let dir = TempDir::new().unwrap();
    let ca = rig.ca_file.to_str().unwrap();
    let settings = [("MAILGRANT_ALLOW_NETWORKS", "loopback"), ("MAILGRANT_EXTRA_CA_FILE", ca)];
    let clock = MockClock::at(NOW);
    let app = App::open(config(&dir.path().join("data"), &settings), Arc::new(clock), Arc::new(SystemRandom))
        .await
        .unwrap();
    instances::tick(&app).await.unwrap();
    let (plain, hook) = (rig.user("plain").to_owned(), Hook::start().await);
    let (ann, bob) = (rig.fresh_address(), rig.fresh_address());
    let outgoing = SideInput {
        protocol: "smtp".into(),
        host: "localhost".into(),
        port: rig.port("submissions").to_string(),
        security: "tls".into(),
        auth: "password".into(),
        password: Some(Password::new(rig.plain_password.as_str())),
        ..SideInput::default()
    };
    let mailbox = MailboxInput {
        name: "plain".into(),
        address: plain.clone(),
        outgoing: Some(outgoing),
        ..MailboxInput::default()
    };
    let edit = check_mailbox(&mailbox, &app.gate).unwrap();
    mailboxes::create(&app, &Actor::console(), edit).await.unwrap();
    let mut input = ChannelsInput {
        recipients: format!("{ann}, {bob}"),
        mailbox: "plain".into(),
        webhook: hook.url.clone(),
        ..all()
    };
    let secret = save(&app, &input).await.unwrap();
    happens(&app, "größer").await;
    for address in [&ann, &bob] {
        let got = mails(rig, address, 1).await;
        assert!(
            got[0].contains("Auto-Submitted: auto-generated") && got[0].contains(&format!("To: {address}")),
            "{}",
            got[0]
        );
        assert!(got[0].contains(&format!("From: {plain}")), "{}", got[0]);
        assert!(
            got[0].contains("Subject: ") && got[0].contains("=?utf-8?"),
            "what isn't ASCII is encoded: {}",
            got[0]
        );
    }

    // The same over STARTTLS, by the fallback server: its own user name and password, no mailbox.
    input.mailbox = String::new();
    input.host = "127.0.0.1".into();
    input.port = rig.port("submission").to_string();
    input.security = "starttls".into();
    input.user = plain.clone();
    input.from = plain.clone();
    input.password = Some(Password::new(rig.plain_password.as_str()));
    save(&app, &input).await;
    happens(&app, "second").await;
    let got = mails(rig, &ann, 2).await;
    assert!(got.iter().any(|mail| mail.contains("Subject: Consent given for second")), "{got:?}");

    let calls = hook.take();
    assert_eq!(calls.len(), 2);
    for call in calls {
        let mut document = serde_json::json!({
            "secret": secret, "id": call.id, "timestamp": call.timestamp, "signature": call.signature, "body": call.body,
        });
        assert!(node_agrees(&document), "{call:?}");
        document["body"] = format!("{} ", call.body).into();
        assert!(!node_agrees(&document), "a changed body is found out");
    }
    rig.mark("postfix");
    rig.mark("dovecot");
}
