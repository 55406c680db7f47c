//! An import that is written: part by part, so that everybody else's changes come through in between, and so that after a kill it is
//! known what was written, that can go on, and that can be undone.

use super::before::Undo;
use super::survey::{Existing, arrive_paused, destinations, survey, what_fits};
use super::{KEPT, Left, MANY, Report, TransferError, count, open, sealed, waiting};
use crate::actions::config::plan::Plan;
use crate::actions::config::{Change, What, write};
use crate::app::App;
use crate::model::Name;
use crate::model::audit::Actor;
use crate::model::config_file::{ConfigFile, Entry};
use crate::model::import::numbers;
use crate::store::StoreError;
use crate::store::imports::ImportRow;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// How often is a part planned again, when others are faster?
const TRIES: usize = 5;

/// What is to be written, and what was here of it when the person said so.
#[derive(Serialize, Deserialize)]
struct Work {
    file: ConfigFile,
    /// Of each entry, in the order of the file: the version it had; none if it is new.
    seen: Vec<Option<i64>>,
    /// Of each token, by its name: where its secrets go.
    #[serde(default)]
    towards: HashMap<String, String>,
}

/// Applies an import as it was shown: `digest` is that of the survey the person saw. Up to [`MANY`] entries are written all or nothing;
/// more in parts of that size, and `progress` hears how many are done.
pub async fn apply(
    app: &App,
    actor: &Actor,
    row: &ImportRow,
    existing: Existing,
    digest: &str,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Report, TransferError> {
    let document = waiting(app, row)?;
    let survey = Box::pin(survey(app, actor, &document, existing)).await?;
    drop(document);
    if survey.digest != digest {
        return Err(TransferError::Moved);
    }
    let versions = versions(&survey.plan);
    let mut report = Report {
        skipped: survey.rows.iter().filter(|row| row.skipped).count(),
        faulty: survey.faulty,
        ..Report::default()
    };
    let mut work = Work {
        file: ConfigFile::default(),
        seen: Vec::new(),
        towards: destinations(app, &survey.plan).await?,
    };
    // The rows stand in the order of the plan, and what is left as it is behind them.
    let mut planned = survey.rows.iter().zip(versions);
    for ((_, entries), (_, into)) in survey.file.kinds().into_iter().zip(work.file.kinds_mut()) {
        for (entry, (row, version)) in entries.iter().zip(&mut planned) {
            if row.what == What::Unchanged {
                report.unchanged += 1;
            } else {
                into.push(entry.clone());
                work.seen.push(version);
            }
        }
    }
    report.total = count(&work.file);
    let now = app.clock.now();
    let text = serde_json::to_string(&report).unwrap_or_default();
    let sealed = sealed(app, &row.id, &row.user_id, 2, &work);
    let mut tx = app.store.begin().await?;
    if !tx.begin_import(&row.id, &sealed, &text, now, now.plus(KEPT)).await? {
        return Err(TransferError::Applied);
    }
    if report.total == 0 {
        tx.finish_import(&row.id, now, now.plus(KEPT)).await?;
    }
    tx.commit().await?;
    Box::pin(all(app, actor, row, 0, &work, report, progress)).await
}

/// Goes on with an import that was interrupted.
pub async fn go_on(app: &App, actor: &Actor, row: &ImportRow, progress: &(dyn Fn(usize) + Sync)) -> Result<Report, TransferError> {
    match (row.begun_at, row.applied_at, row.undone_at) {
        (Some(_), None, None) => {}
        (_, _, Some(_)) => return Err(TransferError::Undone),
        (_, Some(_), _) => return Err(TransferError::Applied),
        (None, None, None) => return Err(TransferError::Gone),
    }
    let work: Work = open(app, row, 2)?;
    let report: Report = serde_json::from_str(&row.report).unwrap_or_default();
    if report.undone > 0 {
        return Err(TransferError::Undone);
    }
    let done = usize::try_from(row.done).unwrap_or_default();
    Box::pin(all(app, actor, row, done, &work, report, progress)).await
}

async fn all(
    app: &App,
    actor: &Actor,
    row: &ImportRow,
    mut done: usize,
    work: &Work,
    mut report: Report,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Report, TransferError> {
    let mut tries = 0;
    while done < work.seen.len() {
        progress(done);
        if app.stopping.is_cancelled() {
            return Err(TransferError::Stopping);
        }
        match Box::pin(part(app, actor, row, done, work, report.clone())).await {
            Ok(after) => {
                report = after;
                done += MANY;
                tries = 0;
            }
            Err(TransferError::Moved) if tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// The next entries, with the versions they had.
fn slice(work: &Work, done: usize) -> (ConfigFile, HashMap<(&'static str, String), Option<i64>>) {
    let (mut file, mut seen, mut at) = (ConfigFile::default(), HashMap::new(), 0);
    for ((kind, entries), (_, into)) in work.file.kinds().into_iter().zip(file.kinds_mut()) {
        for entry in entries {
            if (done..done + MANY).contains(&at) {
                seen.insert((kind, name_of(entry)), work.seen.get(at).copied().flatten());
                into.push(entry.clone());
            }
            at += 1;
        }
    }
    (file, seen)
}

fn name_of(entry: &Entry) -> String {
    entry.text("name").unwrap_or_default().trim().to_owned()
}

/// Writes the next entries, each as it was seen, and how to undo that, in one transaction.
async fn part(app: &App, actor: &Actor, row: &ImportRow, done: usize, work: &Work, mut report: Report) -> Result<Report, TransferError> {
    let (mut file, seen) = slice(work, done);
    let asked = file.clone();
    let (mut plan, problems) = Box::pin(what_fits(app, actor, &mut file)).await?;
    let mut missed = |kind: &str, name: String, why: &str| {
        report.missed.push(Left {
            kind: kind.to_owned(),
            name,
            why: why.to_owned(),
        });
    };
    for ((kind, all), (_, fit)) in asked.kinds().into_iter().zip(file.kinds()) {
        let fit: HashSet<String> = fit.iter().map(name_of).collect();
        for entry in all.iter().filter(|entry| !fit.contains(&name_of(entry))) {
            let own = numbers(entry);
            let why = problems.iter().find(|problem| own.contains(&problem.line));
            missed(
                kind,
                name_of(entry),
                why.map_or("What it needs is not here", |problem| &problem.message),
            );
        }
    }
    let mut as_seen = |kind: &'static str, name: &Name, version: Option<i64>| {
        let is_same = seen.get(&(kind, name.to_string())).is_none_or(|seen| *seen == version);
        if !is_same {
            missed(kind, name.to_string(), "Somebody changed it meanwhile");
        }
        is_same
    };
    plan.providers
        .retain(|(old, new)| as_seen("provider", &new.name, old.as_ref().map(|old| old.version)));
    let towards = destinations(app, &plan).await?;
    plan.tokens.retain(|(old, new, _)| {
        let name = new.name.as_str();
        // A provider that moved since takes what was brought for another address nowhere (SEC-8).
        let moved = work.towards.get(name) != towards.get(name);
        as_seen(
            "token",
            &new.name,
            if moved { Some(-1) } else { old.as_ref().map(|old| old.version) },
        )
    });
    plan.mailboxes
        .retain(|(old, new)| as_seen("mailbox", &new.name, old.as_ref().map(|old| old.version)));
    arrive_paused(&mut plan);
    let mut undo = Undo::before(app, &plan).await?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let changes = match Box::pin(write(app, &mut tx, actor, &plan, &|_| {})).await {
        Err(StoreError::Stale | StoreError::Taken | StoreError::InUse) => return Err(TransferError::Moved),
        other => other?,
    };
    undo.after(&mut tx, &plan, &changes).await?;
    let of_mailboxes = changes.iter().filter(|change| change.kind == "mailbox");
    for ((_, mailbox), change) in plan.mailboxes.iter().zip(of_mailboxes) {
        if change.what != What::Unchanged {
            tx.note_imported(&row.id, &mailbox.id, now).await?;
        }
    }
    for Change { kind, name, what, .. } in changes {
        match what {
            What::Created => report.created.push((kind.to_owned(), name)),
            What::Updated => report.updated.push((kind.to_owned(), name)),
            What::Unchanged => report.unchanged += 1,
        }
    }
    let after = (done + MANY).min(work.seen.len());
    let text = serde_json::to_string(&report).unwrap_or_default();
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let undo = undo.sealed(app, row, number(done));
    if !tx.advance_import(&row.id, number(done), number(after), &text, &undo).await? {
        return Err(TransferError::Elsewhere);
    }
    if after == work.seen.len() {
        tx.finish_import(&row.id, now, now.plus(KEPT)).await?;
    }
    tx.commit().await?;
    Ok(report)
}

fn versions(plan: &Plan) -> Vec<Option<i64>> {
    let providers = plan.providers.iter().map(|(old, _)| old.as_ref().map(|old| old.version));
    let tokens = plan.tokens.iter().map(|(old, ..)| old.as_ref().map(|old| old.version));
    let mailboxes = plan.mailboxes.iter().map(|(old, _)| old.as_ref().map(|old| old.version));
    providers.chain(tokens).chain(mailboxes).collect()
}
