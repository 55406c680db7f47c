//! Causes that are about the console itself: its checks, its certificate, its audit log, and the ways of its notices.

use super::{Group, NAME};
use crate::actions::console_certificate;
use crate::actions::expiry::{Expiring, Kind as ExpiryKind};
use crate::actions::notices::{Dead, dead, still, webhook_dead};
use crate::app::App;
use crate::model::notices::{Channels, Event, Member, MemberKind, Words, clean};
use crate::store::StoreResult;
use crate::store::deliveries::StoredChannels;

/// Keys of the causes that are about the ways of notices.
const MAIL: &str = "mail";
const WEBHOOK: &str = "webhook";
/// Key of the cause that is about the console's own certificate.
const CERTIFICATE: &str = "certificate";
/// What keys of causes that are about the audit log begin with; the entry follows.
const AUDIT: &str = "audit:";

/// What is wrong with the console now.
pub(super) async fn groups(app: &App, stored: &StoredChannels, ending: &[Expiring]) -> StoreResult<Vec<Group>> {
    let hook = stored.channels.webhook_shown();
    let all = [
        checker(app).await?,
        audit(app).await?,
        ending.iter().find_map(certificate),
        dead(app, stored).await?.map(mail_dead),
        webhook_dead(app, stored).await?.map(|found| webhook_is_dead(&hook, found)),
    ];
    Ok(all.into_iter().flatten().collect())
}

/// Keys, or what keys begin with, of causes that are over without anything working again: what they were about isn't set up any more, or
/// is as bad as before in another place.
pub async fn gone(app: &App, channels: &Channels, groups: &[Group]) -> StoreResult<Vec<&'static str>> {
    let all = [
        (MAIL, !channels.mails()),
        (WEBHOOK, channels.webhook.is_empty()),
        (CERTIFICATE, console_certificate::seen(app).await?.is_none()),
        (AUDIT, groups.iter().any(|group| group.event == Event::AuditBroken)),
    ];
    Ok(all.into_iter().filter(|(_, gone)| *gone).map(|(key, _)| key).collect())
}

/// A cause that is about the console, told in `words`.
fn about(event: Event, key: &str, words: Words) -> Group {
    let member = Member {
        kind: MemberKind::Console,
        id: key.to_owned(),
    };
    Group::one(event, key.to_owned(), member, words)
}

/// Checks that are due and that nobody makes.
async fn checker(app: &App) -> StoreResult<Option<Group>> {
    if !still::look(app).await? {
        return Ok(None);
    }
    let words = Words {
        subject: "Mailboxes aren't checked any more".to_owned(),
        text: vec![
            "The console doesn't see any more whether mailboxes work, so nobody is told when one stops.".to_owned(),
            "Cause: checks are due and the console doesn't make them. A part of it stands still.".to_owned(),
            "What to do: Restart the console's service. If that doesn't help, the page below says which part stands still.".to_owned(),
        ],
        path: "/about".to_owned(),
        recovered: "Mailboxes are checked again".to_owned(),
        since: app.store.last_checked().await?,
        ..Words::default()
    };
    Ok(Some(about(Event::CheckerStill, "checks", words)))
}

/// The console's own certificate, once it has ended.
fn certificate(one: &Expiring) -> Option<Group> {
    let words = Words {
        subject: "The certificate of this console has expired".to_owned(),
        text: vec![
            "Browsers warn of the console, and sign-ins at providers can't come back to it.".to_owned(),
            format!("Cause: the one at {} ended on {}.", clean(&one.account, NAME), one.day.words()),
            "What to do: Renew it where https is set up for the console, usually in the web server in front.".to_owned(),
        ],
        path: "/about".to_owned(),
        recovered: "The certificate of this console is good again".to_owned(),
        ..Words::default()
    };
    let has_ended = one.kind == ExpiryKind::ConsoleCertificate && one.ended;
    has_ended.then(|| about(Event::Expired, CERTIFICATE, words))
}

async fn audit(app: &App) -> StoreResult<Option<Group>> {
    let checked = app.store.audit_checked().await?;
    let Some((at, broken)) = checked.and_then(|checked| Some((checked.at, checked.chain.broken?))) else {
        return Ok(None);
    };
    let words = Words {
        subject: format!("The audit log can't be trusted from entry {} on", broken.sequence),
        text: vec![
            "Somebody changed the database past the console, or it was damaged. From that entry on the log may not say what happened."
                .to_owned(),
            format!("Cause: {}.", clean(&broken.what, 300)),
            "What to do: Keep a copy of the database as it is, before anything else. Then compare it with a backup, and run mailgrant audit verify."
                .to_owned(),
        ],
        path: "/audit".to_owned(),
        recovered: "The audit log is intact again".to_owned(),
        since: Some(at),
        ..Words::default()
    };
    Ok(Some(about(Event::AuditBroken, &format!("{AUDIT}{}", broken.sequence), words)))
}

fn mail_dead(found: Dead) -> Group {
    let words = Words {
        subject: "Notifications can't be mailed".to_owned(),
        text: vec![
            "Nobody is told by mail until this is fixed.".to_owned(),
            format!("Cause: {}", clean(&found.why, 400)),
            match found.fix.as_str() {
                "" => "What to do: Choose another mailbox to send through, or set up a fallback server.".to_owned(),
                fix => format!("What to do: {}", clean(fix, 400)),
            },
        ],
        path: "/settings/notifications".to_owned(),
        recovered: "Notifications are mailed again".to_owned(),
        since: Some(found.since),
        ..Words::default()
    };
    about(Event::MailDead, MAIL, words)
}

fn webhook_is_dead(hook: &str, found: Dead) -> Group {
    let mut text = vec![
        format!("Whoever reads what {hook} shows is told nothing until this is fixed."),
        format!("Cause: {}", clean(&found.why, 600)),
    ];
    if !found.fix.is_empty() {
        text.push(format!("What to do: {}", clean(&found.fix, 400)));
    }
    let words = Words {
        subject: "The webhook gets no notifications".to_owned(),
        text,
        path: "/settings/notifications".to_owned(),
        recovered: "The webhook gets notifications again".to_owned(),
        since: Some(found.since),
        ..Words::default()
    };
    about(Event::WebhookDead, WEBHOOK, words)
}
