//! A bulk test as its page shows it.

use super::facts::Facts;
use super::kind;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::batch::{Batch, BatchState};
use crate::model::user::Permission;
use crate::store::StoreResult;
use crate::web::guard::CurrentUser;
use crate::web::pages::mailboxes::list::{counted, grouped};
use crate::web::pages::overview::causes::Cause;
use crate::web::pages::records::address;
use crate::web::routes;

/// A batch in the list of tests.
pub(in crate::web::pages) struct BatchRow {
    /// Its page.
    pub href: String,
    /// Mark.
    pub kind: &'static str,
    /// How it stands.
    pub words: String,
    /// Which mailboxes.
    pub which: String,
    /// How many, and what its starter wrote beside it.
    pub more: String,
    /// Which sides.
    pub what: &'static str,
    /// How it came out so far.
    pub result: String,
    /// Who started it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl BatchRow {
    /// The newest batches.
    pub(in crate::web::pages) async fn newest(app: &App, limit: usize) -> StoreResult<Vec<Self>> {
        let all = app.store.batches(None, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
        Ok(all.into_iter().map(Self::of).collect())
    }

    pub(super) fn of(batch: Batch) -> Self {
        Self {
            href: routes::batch(batch.id.as_str()),
            kind: kind(&batch),
            words: state_words(&batch).to_owned(),
            result: format!(
                "{} of {}, {} failed",
                grouped(batch.over()),
                tests_words(batch.total),
                grouped(batch.failed)
            ),
            what: batch.what.label(),
            more: [counted(batch.mailboxes, "mailbox", "mailboxes"), batch.note]
                .into_iter()
                .filter(|words| !words.is_empty())
                .collect::<Vec<_>>()
                .join(": "),
            which: batch.which,
            by: batch.started_by,
            at: batch.started_at,
        }
    }
}

/// A part of the bar, with its number and where it leads.
pub(super) struct Share {
    pub kind: &'static str,
    pub fill: &'static str,
    pub words: &'static str,
    pub count: String,
    pub href: String,
    pub from: String,
    pub width: String,
}

/// Items that failed for one cause.
pub(super) struct GroupRow {
    pub count: String,
    pub cause: Cause,
    /// Its items.
    pub href: String,
    pub words: String,
}

/// A batch.
pub(super) struct BatchView {
    pub batch: Batch,
    pub path: String,
    pub page_title: String,
    pub heading: String,
    /// The one line for screen readers, and the heading of the bar.
    pub status: String,
    pub shares: Vec<Share>,
    /// How long it will take, or took.
    pub time: String,
    pub groups: Vec<GroupRow>,
    /// Whether there are more causes than are shown.
    pub more: bool,
    pub may_test: bool,
    pub may_log: bool,
    pub open: bool,
}

impl BatchView {
    pub async fn of(app: &App, user: &CurrentUser, batch: Batch) -> StoreResult<Self> {
        Ok(Self::shown(app, user, &Facts::of(app, batch).await?))
    }

    /// As this person sees it.
    pub fn shown(app: &App, user: &CurrentUser, facts: &Facts) -> Self {
        let batch = facts.batch.clone();
        let path = routes::batch(batch.id.as_str());
        let list = format!("{path}/mailboxes");
        let groups = facts.groups.iter().map(|(group, cause)| GroupRow {
            count: grouped(group.items),
            cause: cause.clone().for_user(user),
            href: address(&list, &[("cause", &group.cause)], &[]),
            words: tests_words(group.items),
        });
        let heading = format!("Test of {}", mailboxes_words(batch.mailboxes));
        let now = app.clock.now();
        Self {
            status: status(&batch),
            page_title: format!("{}: {}", state_words(&batch), lower(&heading)),
            shares: shares(&batch, facts.running, &list),
            time: time_words(&batch, now),
            more: facts.more,
            groups: groups.collect(),
            heading,
            may_test: user.may(Permission::MailboxTest),
            may_log: user.may(Permission::LogRead),
            open: batch.is_open(),
            path,
            batch,
        }
    }

    /// Whether it is tested now.
    pub fn is_running(&self) -> bool {
        self.open && self.batch.state == BatchState::Running
    }

    /// Whether it is held.
    pub fn is_paused(&self) -> bool {
        self.open && self.batch.state == BatchState::Paused
    }

    /// What it means that it is held or was ended.
    pub fn stands(&self) -> &'static str {
        match (self.batch.state, self.open) {
            (BatchState::Paused, true) => "Paused: what runs now ends, and nothing more begins until you go on. ",
            (BatchState::Stopped, true) => "Stopped: what runs now is ended, and what was waiting stays untested. ",
            (BatchState::Stopped, false) => "Stopped: what was waiting stays untested. ",
            _ => "",
        }
    }

    /// Whether what failed can be tested again.
    pub fn has_failed(&self) -> bool {
        !self.open && self.batch.failed > 0
    }
}

fn lower(text: &str) -> String {
    crate::web::pages::tokens::verdict::lower(text)
}

/// `1 mailbox`, `1,284 mailboxes`.
pub(super) fn mailboxes_words(count: i64) -> String {
    counted(count, "mailbox", "mailboxes")
}

/// `1 test`, `1,284 tests`.
pub(super) fn tests_words(count: i64) -> String {
    counted(count, "test", "tests")
}

/// `less than a minute`, `about 11 minutes`, `about 3 hours`.
pub(super) fn duration_words(seconds: i64) -> String {
    let some = |number: i64, unit: &str| match number {
        1 => format!("about 1 {unit}"),
        number => format!("about {} {unit}s", grouped(number)),
    };
    match seconds {
        ..50 => "less than a minute".to_owned(),
        50..5400 => some((seconds + 30) / 60, "minute"),
        _ => some((seconds + 1800) / 3600, "hour"),
    }
}

fn state_words(batch: &Batch) -> &'static str {
    match (batch.state, batch.is_open()) {
        (BatchState::Running, _) => "Running",
        (BatchState::Paused, _) => "Paused",
        (BatchState::Stopped, true) => "Stopping",
        (BatchState::Stopped, false) => "Stopped",
        (BatchState::Done, _) if batch.failed > 0 => "Failed",
        (BatchState::Done, _) if batch.is_empty_handed() => "Nothing tested",
        (BatchState::Done, _) => "Passed",
    }
}

fn status(batch: &Batch) -> String {
    let (over, total) = (grouped(batch.over()), tests_words(batch.total));
    match batch.state {
        BatchState::Done if batch.passed > 0 && batch.passed == batch.total => match batch.total {
            1 => "The test passed".to_owned(),
            _ => format!("All {total} passed"),
        },
        BatchState::Done if batch.is_empty_handed() => "Nothing was tested: no mailbox of it is here any more".to_owned(),
        BatchState::Done => format!("{} of {total} failed", grouped(batch.failed)),
        _ => format!("{}, {over} of {total} done", state_words(batch)),
    }
}

fn time_words(batch: &Batch, now: Timestamp) -> String {
    let over = batch.over();
    match (batch.finished_at, batch.state) {
        (Some(at), _) => format!("took {}", duration_words(at.since(batch.started_at))),
        (None, BatchState::Running) if over >= 5 => {
            // While it was held nothing was done.
            let worked = now.since(batch.started_at) - batch.paused_seconds;
            let left = worked.max(1) * (batch.total - over) / over;
            format!("{} left", duration_words(left))
        }
        _ => String::new(),
    }
}

fn shares(batch: &Batch, running: i64, list: &str) -> Vec<Share> {
    let waiting = match batch.state {
        BatchState::Stopped => "Not tested",
        _ => "Waiting",
    };
    let parts = [
        ("ok", "f-ok", "Passed", batch.passed, "passed"),
        ("bad", "f-bad", "Failed", batch.failed, "failed"),
        ("skip", "f-off", "Gone since", batch.skipped, "skipped"),
        ("run", "f-run", "Running", running, "running"),
        ("todo", "f-line", waiting, batch.waiting(running), "waiting"),
    ];
    let text = |n: i64| format!("{}.{}", n / 10, n % 10);
    let mut from = 0;
    parts
        .into_iter()
        .filter(|(_, _, _, count, state)| *count > 0 || ["passed", "failed"].contains(state))
        .map(|(kind, fill, words, count, state)| {
            // A few out of many still have to be seen.
            let width = if count == 0 {
                0
            } else {
                (count * 1000 / batch.total.max(1)).max(6)
            };
            let share = Share {
                kind,
                fill,
                words,
                count: grouped(count),
                href: address(list, &[("state", state)], &[]),
                from: text(from.min(994)),
                width: text(width),
            };
            from += width;
            share
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_roughly() {
        for (seconds, words) in [
            (0, "less than a minute"),
            (60, "about 1 minute"),
            (640, "about 11 minutes"),
            (5400, "about 2 hours"),
        ] {
            assert_eq!(duration_words(seconds), words);
        }
    }
}
