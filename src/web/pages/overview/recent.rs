//! What changed lately; the same thing over and over is one line with its number.

use crate::app::App;
use crate::model::audit::{ACTIONS, AuditRow};
use crate::store::StoreResult;
use crate::web::pages::changes::{ChangeLine, Names};

/// How many changes are listed?
const LISTED: usize = 8;
/// How many entries are read for them? More than are listed, for many are folded.
const READ: i64 = 64;
/// What is done to things that have a page, by its noun.
const NOUNS: [&str; 6] = ["mailbox.", "token.", "provider.", "link.", "bundle.", "config."];
/// Of bulk tests their start alone: what they did to each mailbox is in the log.
const BULK: &str = "batch.start";
/// The console renews tokens and checks mailboxes all the time by itself: how they stand, the rest of the page says.
const BY_ITSELF: [&str; 2] = ["mailbox.check", "token.refresh"];

/// A change, and where it leads.
pub(super) struct Change {
    /// Who did what, the last time.
    pub line: ChangeLine,
    /// What kind of thing it was done to.
    pub noun: String,
    /// Its name.
    pub target: String,
    /// Its page; empty where it is gone.
    pub href: String,
    /// How often, among the newest entries.
    pub times: usize,
}

/// The newest changes.
pub(super) async fn changes(app: &App) -> StoreResult<Vec<Change>> {
    let names = Names::load(app).await?;
    let actions: Vec<&str> = ACTIONS
        .iter()
        .map(|(action, _)| *action)
        .filter(|action| *action == BULK || NOUNS.iter().any(|noun| action.starts_with(noun)) && !BY_ITSELF.contains(action))
        .collect();
    let rows = app.store.audit_rows_of_actions(&actions, READ).await?;
    Ok(fold(rows.into_iter().filter_map(|row| change(row, &names))))
}

/// A change of something that has a page; signing in and out is no change.
fn change(row: AuditRow, names: &Names) -> Option<Change> {
    let (noun, name) = row.target.split_once(':')?;
    let pages = match noun {
        "mailbox" => "mailboxes",
        "token" => "tokens",
        "provider" => "providers",
        "batch" => "tests/batches",
        _ => return None,
    };
    if row.outcome == "begun" {
        // What became of it is an entry of its own.
        return None;
    }
    let gone = row.action.ends_with(".delete");
    let (noun, target) = match noun {
        // It has no name but what was tested.
        "batch" => ("bulk test", row.detail.split(": ").next().unwrap_or_default()),
        noun => (noun, name),
    };
    Some(Change {
        noun: noun.to_owned(),
        target: target.to_owned(),
        href: if gone { String::new() } else { format!("/{pages}/{name}") },
        line: names.line(row),
        times: 1,
    })
}

/// One line for what the same one did to the same thing several times, at its newest place.
fn fold(all: impl Iterator<Item = Change>) -> Vec<Change> {
    let mut lines: Vec<Change> = Vec::new();
    for change in all {
        let same = |known: &&mut Change| {
            (&known.line.who, known.line.what, &known.noun, &known.target)
                == (&change.line.who, change.line.what, &change.noun, &change.target)
        };
        match lines.iter_mut().find(same) {
            Some(known) => known.times += 1,
            None => lines.push(change),
        }
    }
    lines.truncate(LISTED);
    lines
}
