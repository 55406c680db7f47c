//! A message is moved at Dovecot, and no other.

use super::{Bench, report};
use crate::support::rig::IMAP_SCOPE;
use mailgrant::mail::imap::Moved;
use mailgrant::model::mailbox::Security;
use mailgrant::model::report::{Direction, MessageSummary, Spot};
use mailgrant::probe::{self, ImapTarget, Steps};
use serde_json::json;

async fn moves(bench: &Bench, target: &ImapTarget, message: &MessageSummary, to: &str) -> Moved {
    let (mut steps, _watcher) = Steps::start(report(Direction::Incoming), Vec::new());
    let moved = probe::imap_moves(&bench.connector, target, message, to, &mut steps).await;
    let (report, failure) = steps.finish();
    moved.unwrap_or_else(|_| panic!("{failure:?} {report:?}"))
}

#[tokio::test]
async fn dovecot_moves_the_one_message_that_is_meant() {
    let Some(bench) = Bench::get() else { return };
    bench.put_mail(json!({ "count": 1, "folder": "Junk", "subject": "First" })).await;
    bench.put_mail(json!({ "count": 1, "folder": "Junk", "subject": "Second" })).await;
    bench.put_mail(json!({ "count": 1, "folder": "Junk", "subject": "Third" })).await;
    let login = bench.token(IMAP_SCOPE, 43).await;
    let target = bench.imap(bench.endpoint("localhost", "imaps", Security::Tls), login);
    let junk = async || bench.read(&target).await.2.unwrap().in_junk;
    let before = junk().await;
    assert_eq!(before.len(), 3, "{before:?}");
    let second = before.iter().find(|message| message.subject == "Second").unwrap();
    // What the server has given other numbers since is left alone, and so is what has another Message-ID.
    let mut other = second.clone();
    if let Some(Spot::Imap { validity, .. }) = &mut other.spot {
        *validity += 1;
    }
    assert_eq!(moves(&bench, &target, &other, "INBOX").await, Moved::Renumbered);
    let mut other = second.clone();
    if let Some(Spot::Imap { message_id, .. }) = &mut other.spot {
        *message_id = "<another@rig.test>".to_owned();
    }
    assert_eq!(moves(&bench, &target, &other, "INBOX").await, Moved::Gone);
    assert_eq!(moves(&bench, &target, second, "Nowhere\" x").await, Moved::NoFolder);
    assert_eq!(junk().await.len(), 3);
    assert_eq!(moves(&bench, &target, second, "INBOX").await, Moved::Done);
    let subjects = |list: &[MessageSummary]| {
        let mut all: Vec<String> = list.iter().map(|message| message.subject.clone()).collect();
        all.sort();
        all
    };
    let after = bench.read(&target).await.2.unwrap();
    assert_eq!(
        (subjects(&after.in_junk), subjects(&after.newest)),
        (vec!["First".into(), "Third".into()], vec!["Second".into()])
    );
    assert_eq!(moves(&bench, &target, second, "INBOX").await, Moved::Gone);
    assert_eq!(junk().await.len(), 2);
}
