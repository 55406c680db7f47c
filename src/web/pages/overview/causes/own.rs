//! What is wrong with the console itself, and what waits for somebody else, as causes.

use super::{Cause, LOOKED_FOR_ROWS};
use crate::actions::notices::{dead, webhook_dead};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::consent::LinkKind;
use crate::model::user::Permission;
use crate::store::StoreResult;
use crate::store::overview::UnusedLink;
use crate::web::routes;

/// For how long may somebody else take, in seconds, before it is told?
const PATIENCE: i64 = 3 * 86_400;

/// Nobody checks the mailboxes.
pub(super) fn still(since: Option<Timestamp>) -> Cause {
    Cause {
        kind: "bad",
        title: "Mailboxes aren't checked".to_owned(),
        text: "Checks are due, and no process makes them: what stands here may be old. Start the console anew, and look into its own log."
            .to_owned(),
        since,
        href: "/about".to_owned(),
        button: "Open health".to_owned(),
        ..Cause::default()
    }
}

/// What the console's own records kept a bulk test from.
pub(super) fn records(title: &str) -> Cause {
    Cause {
        kind: "bad",
        title: title.to_owned(),
        text: "This is about the console's database, not about mail. The system log says what went wrong.".to_owned(),
        href: "/log?level=warn".to_owned(),
        button: "Open the log".to_owned(),
        ..Cause::default()
    }
}

/// The chain of the audit log is broken, as the last look through it found.
pub(super) async fn chain(app: &App) -> StoreResult<Option<Cause>> {
    let checked = app.store.audit_checked().await?;
    Ok(checked.and_then(|checked| {
        let broken = checked.chain.broken?;
        Some(Cause {
            kind: "bad",
            title: "The audit log was changed".to_owned(),
            text: format!(
                "Its chain breaks at entry {}: {}. Somebody changed the database past the console. Keep a copy of it before anything else.",
                broken.sequence, broken.what
            ),
            since: Some(checked.at),
            href: "/audit".to_owned(),
            button: "Open the audit log".to_owned(),
            ..Cause::default()
        })
    }))
}

/// Notifications that don't go out one way: whatever else happens is told nobody there.
pub(super) async fn notifications(app: &App) -> StoreResult<Vec<Cause>> {
    let stored = app.store.notice_channels().await?;
    let ways = [
        ("Notifications can't be mailed", dead(app, &stored).await?),
        ("The webhook gets no notifications", webhook_dead(app, &stored).await?),
    ];
    let causes = ways.into_iter().filter_map(|(title, found)| {
        let found = found?;
        Some(Cause {
            kind: "bad",
            title: title.to_owned(),
            text: found.why,
            since: Some(found.since),
            href: "/settings/notifications".to_owned(),
            button: "See the fix".to_owned(),
            ..Cause::default()
        })
    });
    Ok(causes.collect())
}

/// What has waited for somebody without an account here for more than three days.
pub(super) async fn waiting(app: &App) -> StoreResult<Vec<Cause>> {
    let now = app.clock.now();
    let before = now.plus(-PATIENCE);
    let mut causes: Vec<Cause> = app
        .store
        .unused_links(now, before, LOOKED_FOR_ROWS)
        .await?
        .into_iter()
        .map(link)
        .collect();
    for (id, sent_to, since) in app.store.waiting_steps(before, LOOKED_FOR_ROWS).await? {
        let who = if sent_to.is_empty() { "somebody" } else { &sent_to };
        causes.push(Cause {
            kind: "warn",
            title: format!("A setup waits for {who}"),
            text: "A step was sent to them and isn't done yet. Ask them, or go on yourself.".to_owned(),
            since: Some(since),
            href: format!("/walkthroughs/{id}"),
            button: "Open the setup".to_owned(),
            ..Cause::default()
        });
    }
    causes.sort_by_key(|cause| cause.since);
    Ok(causes)
}

fn link(link: UnusedLink) -> Cause {
    let who = if link.account.is_empty() { &link.about } else { &link.account };
    let provider = routes::provider(&link.about);
    let (title, permission, href, open) = match link.kind {
        None => (
            format!("{who} hasn't used their sign-in link"),
            Permission::TokenAuthorize,
            routes::token(&link.about),
            ("Open the token", routes::token(&link.about)),
        ),
        Some(LinkKind::Consent) => (
            format!("Nobody has allowed {} yet", link.about),
            Permission::TokenAuthorize,
            format!("{provider}/consent"),
            ("Open the consent", format!("{provider}/consent")),
        ),
        Some(_) => (
            format!("Nobody has used the link about {} yet", link.about),
            Permission::SecretSet,
            format!("{provider}/request"),
            ("Open the provider", provider),
        ),
    };
    let cause = Cause {
        kind: "warn",
        title,
        text: "Ask them, or send a new link.".to_owned(),
        since: Some(link.made_at),
        ..Cause::default()
    };
    cause.mended(permission, ("Send a new link", href), open)
}
