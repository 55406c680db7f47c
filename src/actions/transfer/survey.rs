//! What an import would do, entry by entry. Nothing is written.

use super::rows::{Here, Row, rows};
use super::{TransferError, count, nowhere};
use crate::actions::config::plan::{Plan, plan};
use crate::actions::config::{ApplyError, What};
use crate::app::App;
use crate::model::audit::Actor;
use crate::model::config_file::{ConfigFile, Problem, Value};
use crate::model::import::{Document, Fault, Format, numbers};
use crate::model::{Name, words};
use crate::store::StoreError;
use crate::vault::sha256;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

words!(
    /// What becomes of an entry that is here already and differs.
    Existing {
        /// It stays as it is.
        Skip = "skip",
        /// It becomes as it was brought along.
        Change = "change",
        /// What was brought along comes beside it, under a new name.
        Add = "add",
    }
);

/// What an import would do.
pub struct Survey {
    /// What it was written in.
    pub format: Format,
    /// Its entries that can be taken.
    pub rows: Vec<Row>,
    /// What is wrong with the others.
    pub faults: Vec<Fault>,
    /// How many the others are.
    pub faulty: usize,
    /// What has no place here.
    pub left_out: Vec<Fault>,
    /// What should be known about how it was read.
    pub notes: Vec<Fault>,
    /// Tells whether what was shown is what would be done.
    pub digest: String,
    pub(super) plan: Plan,
    /// The entries of the plan, in its order.
    pub(super) file: ConfigFile,
}

impl Survey {
    /// How many entries of one fate there are; those that are skipped count as changed.
    pub fn count(&self, what: What) -> usize {
        self.rows.iter().filter(|row| row.what == what).count()
    }

    /// Whether applying it would change anything.
    pub fn changes_something(&self) -> bool {
        self.rows.iter().any(|row| row.what != What::Unchanged && !row.skipped)
    }

    /// Whether anything stays as it is by choice.
    pub fn skips(&self) -> bool {
        self.rows.iter().any(|row| row.skipped)
    }

    /// How many entries would be written.
    pub fn size(&self) -> usize {
        self.plan.providers.len() + self.plan.tokens.len() + self.plan.mailboxes.len()
    }
}

/// Looks at what was brought along as things are now.
pub async fn survey(app: &App, actor: &Actor, document: &Document, existing: Existing) -> Result<Survey, TransferError> {
    let mut faults = document.faults.clone();
    faults.extend(also_wrong(app, actor, document).await?);
    let mut file = document.file.clone();
    let mut here = Here::load(app).await?;
    meet(document.format, &mut file, &mut here);
    let told = |problems: Vec<Problem>| problems.into_iter().map(|problem| document.fault_of(problem));
    let (mut plan, problems) = Box::pin(what_fits(app, actor, &mut file)).await?;
    faults.extend(told(problems));
    let mut rows = rows(app, &plan, &here).await?;
    let differ: HashSet<(&'static str, String)> = rows
        .iter()
        .filter(|row| row.what == What::Updated)
        .map(|row| (row.kind, row.name.clone()))
        .collect();
    match existing {
        Existing::Change => {}
        _ if differ.is_empty() => {}
        Existing::Skip => {
            for (kind, entries) in file.kinds_mut() {
                entries.retain(|entry| {
                    !entry
                        .text("name")
                        .is_some_and(|name| differ.contains(&(kind, name.trim().to_owned())))
                });
            }
            let skipped: Vec<Row> = rows.extract_if(.., |row| row.what == What::Updated).collect();
            let problems;
            (plan, problems) = Box::pin(what_fits(app, actor, &mut file)).await?;
            faults.extend(told(problems));
            rows = super::rows::rows(app, &plan, &here).await?;
            rows.extend(skipped.into_iter().map(|row| Row { skipped: true, ..row }));
        }
        Existing::Add => {
            let renamed = rename(app, &mut file, &differ).await?;
            let problems;
            (plan, problems) = Box::pin(what_fits(app, actor, &mut file)).await?;
            faults.extend(told(problems));
            rows = super::rows::rows(app, &plan, &here).await?;
            for row in &mut rows {
                row.renamed_from = renamed.get(&(row.kind, row.name.clone())).cloned();
            }
        }
    }
    arrive_paused(&mut plan);
    let faulty = document.faulty + count(&document.file) - rows.len();
    faults.sort_by_key(|fault| fault.place.line);
    faults.dedup();
    Ok(Survey {
        format: document.format,
        digest: digest(&rows, &plan, faulty, &destinations(app, &plan).await?),
        rows,
        faults,
        faulty,
        left_out: document.left_out.clone(),
        notes: document.notes.clone(),
        plan,
        file,
    })
}

/// A row without a name is about the mailbox that has its address here, whatever that is called.
fn meet(format: Format, file: &mut ConfigFile, here: &mut Here) {
    if format != Format::Csv {
        return;
    }
    for entry in &mut file.mailboxes {
        // A name that the address suggests stands where the address does.
        let is_suggested = entry.line_of("name") == entry.line_of("address");
        let (Some(suggested), Some(address), true) = (entry.text("name"), entry.text("address"), is_suggested) else {
            continue;
        };
        let [name] = here.with_address(address) else { continue };
        if name != suggested {
            let name = name.clone();
            if let Some(field) = entry.fields.get_mut("name") {
                field.value = Value::Text(name.clone());
            }
            here.met.insert(name);
        }
    }
}

/// What else is wrong with entries that could not be read whole: all of it is told at once.
async fn also_wrong(app: &App, actor: &Actor, document: &Document) -> Result<Vec<Fault>, ApplyError> {
    if count(&document.broken) == 0 {
        return Ok(Vec::new());
    }
    let mut file = document.file.clone();
    file.secrets_later = true;
    for ((_, entries), (_, broken)) in file.kinds_mut().into_iter().zip(document.broken.kinds()) {
        entries.extend(broken.iter().cloned());
    }
    match Box::pin(plan(app, actor, &file, &nowhere())).await {
        Err(ApplyError::File(problems)) => Ok(document.not_told(problems)),
        other => other.map(|_| Vec::new()),
    }
}

/// People turn on what they brought along when they have tested it.
pub(super) fn arrive_paused(plan: &mut Plan) {
    for (old, new) in &mut plan.mailboxes {
        if old.is_none() {
            new.enabled = false;
            new.paused = None;
            new.state = new.derive_state();
        }
    }
}

/// Plans what can be taken; entries that can't go out of `file`, and why comes beside the plan. What needs one of them goes the same way.
pub(super) async fn what_fits(app: &App, actor: &Actor, file: &mut ConfigFile) -> Result<(Plan, Vec<Problem>), ApplyError> {
    let mut told = Vec::new();
    // The preview says which providers wait.
    file.secrets_later = true;
    loop {
        let problems = match Box::pin(plan(app, actor, file, &nowhere())).await {
            Err(ApplyError::File(problems)) => problems,
            other => return Ok((other?, told)),
        };
        let wrong: HashSet<usize> = problems.iter().map(|problem| problem.line).collect();
        let before = count(file);
        for (_, entries) in file.kinds_mut() {
            entries.retain(|entry| !numbers(entry).iter().any(|number| wrong.contains(number)));
        }
        told.extend(problems);
        if count(file) == before {
            // A problem of no entry: nothing can be taken.
            return Ok((Plan::default(), told));
        }
    }
}

/// Gives entries that differ from what is here a free name, also where others of the file name them.
async fn rename(
    app: &App,
    file: &mut ConfigFile,
    differ: &HashSet<(&'static str, String)>,
) -> Result<HashMap<(&'static str, String), String>, StoreError> {
    let mut taken: HashMap<&'static str, HashSet<String>> = HashMap::new();
    for (kind, entries) in file.kinds() {
        let names = entries
            .iter()
            .filter_map(|entry| entry.text("name"))
            .map(|name| name.trim().to_owned());
        taken.insert(kind, names.collect());
    }
    let mut new_names: HashMap<(&'static str, String), String> = HashMap::new();
    for (kind, name) in differ {
        let mut number = 2;
        let stem: String = name.chars().take(58).collect();
        let stem = stem.trim_end_matches(['.', '_', '-']);
        let new = loop {
            let candidate = format!("{stem}-{number}");
            number += 1;
            let in_file = taken.get(kind).is_some_and(|names| names.contains(&candidate));
            if !in_file && !is_here(app, kind, &candidate).await? {
                break candidate;
            }
        };
        if let Some(names) = taken.get_mut(kind) {
            names.insert(new.clone());
        }
        new_names.insert((*kind, name.clone()), new);
    }
    for (kind, entries) in file.kinds_mut() {
        for entry in entries {
            let references = [
                ("name", kind),
                ("provider", "provider"),
                ("incoming.token", "token"),
                ("outgoing.token", "token"),
            ];
            for (key, of) in references {
                let new = entry.text(key).and_then(|text| new_names.get(&(of, text.trim().to_owned())));
                if let Some(new) = new.cloned()
                    && let Some(field) = entry.fields.get_mut(key)
                {
                    field.value = Value::Text(new);
                }
            }
        }
    }
    Ok(new_names.into_iter().map(|((kind, old), new)| ((kind, new), old)).collect())
}

async fn is_here(app: &App, kind: &str, name: &str) -> Result<bool, StoreError> {
    let Ok(name) = Name::parse(name) else { return Ok(false) };
    Ok(match kind {
        "provider" => app.store.provider(&name).await?.is_some(),
        "token" => app.store.token(&name).await?.is_some(),
        _ => app.store.mailbox(&name).await?.is_some(),
    })
}

/// Where the secrets of each planned token go, by its name (SEC-8): to its provider as the plan leaves it.
pub(super) async fn destinations(app: &App, plan: &Plan) -> Result<HashMap<String, String>, StoreError> {
    let mut providers: HashMap<String, String> = HashMap::new();
    if !plan.tokens.is_empty() {
        let stored = app.store.providers().await?;
        providers.extend(stored.iter().map(|provider| (provider.name.to_string(), provider.destination())));
    }
    providers.extend(plan.providers.iter().map(|(_, new)| (new.name.to_string(), new.destination())));
    let of = |name: &Name| providers.get(name.as_str()).cloned().unwrap_or_default();
    Ok(plan
        .tokens
        .iter()
        .map(|(_, new, _)| (new.name.to_string(), of(&new.provider)))
        .collect())
}

/// Two choices with the same effect here have the same digest.
fn digest(rows: &[Row], plan: &Plan, faulty: usize, towards: &HashMap<String, String>) -> String {
    let mut text = format!("{faulty}\n");
    for row in rows {
        let _ = writeln!(
            text,
            "{} {} {:?} {} {:?} {:?}",
            row.kind, row.name, row.what, row.skipped, row.changes, row.values
        );
    }
    for (old, new) in &plan.providers {
        let _ = writeln!(text, "{:?} {}", old.as_ref().map(|old| old.version), new.destination());
    }
    for (old, new, _) in &plan.tokens {
        let there = towards.get(new.name.as_str());
        let _ = writeln!(
            text,
            "{:?} {} {:?} {there:?}",
            old.as_ref().map(|old| old.version),
            new.provider,
            new.scopes
        );
    }
    for (old, _) in &plan.mailboxes {
        let _ = writeln!(text, "{:?}", old.as_ref().map(|old| old.version));
    }
    sha256(&text)
}
