//! What messages of mailboxes to themselves and the weekly look found, as causes.

use super::{Cause, Hits};
use crate::actions::findings::{self, FindingPlace};
use crate::app::App;
use crate::model::round_trip::{Outcome, Trouble};
use crate::store::StoreResult;
use crate::web::pages::mailboxes::list::{ListQuery, counted, grouped};
use crate::web::routes;

/// Messages of mailboxes to themselves that came late, never, or could not be sent.
pub(super) async fn round_trips(app: &App) -> StoreResult<Vec<Cause>> {
    let troubles = app.store.round_trip_troubles(app.clock.now()).await?;
    Ok(troubles.into_iter().map(round_trip).collect())
}

fn round_trip(trouble: Trouble) -> Cause {
    let mailbox = routes::mailbox(&trouble.name);
    let list = trouble.words();
    let href = match trouble.mailboxes {
        1 => mailbox.clone(),
        _ if list.is_empty() => String::new(),
        _ => ListQuery::problem(&list).address(&[]),
    };
    let text = match trouble.outcome {
        Outcome::Arrived => "The last message to itself was there, but late.".to_owned(),
        Outcome::Lost => "The last message to itself never came.".to_owned(),
        Outcome::Sent => "The server took the last message to itself more than 5 minutes ago; it isn't there yet.".to_owned(),
        Outcome::Begun => {
            "The connection ended while the last message to itself was handed over. It is looked for, and no second one is sent before that is known."
                .to_owned()
        }
        Outcome::Refused => trouble.problem,
    };
    let words = match trouble.mailboxes {
        1 => format!("1 mailbox, {}", trouble.name),
        count => format!("{} mailboxes, {} among them", grouped(count), trouble.name),
    };
    Cause {
        kind: "warn",
        title: trouble.outcome.trouble().to_owned(),
        text,
        hits: Some(Hits {
            count: trouble.mailboxes,
            lead: "Hits",
            words,
            href,
        }),
        since: Some(trouble.since),
        href: format!("{mailbox}#round-trips"),
        button: "See the messages".to_owned(),
        ..Cause::default()
    }
}

/// What the weekly look found, all mailboxes in one row.
pub(super) async fn weekly(app: &App) -> StoreResult<Option<Cause>> {
    let (found, _) = findings::page(app, &FindingPlace::First, 1).await?;
    let Some(first) = found.first() else {
        return Ok(None);
    };
    let sums = findings::sums(app).await?;
    let mailboxes = |count: i64| counted(count, "mailbox", "mailboxes");
    let messages = |count: i64| counted(count, "message", "messages");
    let junk_words = format!(
        "{} came into {} of {} within {} days.",
        messages(sums.junk),
        if sums.junky == 1 { "the junk folder" } else { "the junk folders" },
        mailboxes(sums.junky),
        first.junk_days
    );
    let (title, text) = if sums.large == 0 {
        let has = if sums.junky == 1 { "has" } else { "have" };
        (format!("{} {has} new mail in the junk folder", mailboxes(sums.junky)), junk_words)
    } else {
        let holds = if sums.large == 1 { "holds" } else { "hold" };
        let title = format!("{} {holds} messages over {} MB", mailboxes(sums.large), first.limit_mb);
        let text = format!("{} in all; programs that fetch mail may stop at them.", messages(sums.oversized));
        (title, if sums.junky == 0 { text } else { format!("{text} {junk_words}") })
    };
    Ok(Some(Cause {
        kind: "warn",
        title,
        text,
        since: sums.since,
        href: "/findings".to_owned(),
        button: "Show them".to_owned(),
        ..Cause::default()
    }))
}
