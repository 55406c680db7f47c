//! What an import would do, entry by entry. Nothing is written.

use super::{TransferError, count, nowhere};
use crate::actions::config::plan::{Plan, plan};
use crate::actions::config::{ApplyError, What};
use crate::actions::providers::service_account;
use crate::actions::{mailboxes, providers, tokens};
use crate::app::App;
use crate::model::audit::Actor;
use crate::model::config_file::{ConfigFile, Problem, Value};
use crate::model::import::{Document, Fault, Format, numbers};
use crate::model::mailbox::Mailbox;
use crate::model::provider::Provider;
use crate::model::token::Token;
use crate::model::{Name, words};
use crate::secret::RefreshToken;
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

/// An entry and what would become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `provider`, `token` or `mailbox`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Whom or what it is about: an address, an account, a product.
    pub about: String,
    /// What would become of it.
    pub what: What,
    /// What differs, before → after.
    pub changes: Vec<String>,
    /// Whether it stays as it is, by choice.
    pub skipped: bool,
    /// The name it would have had, where it gets a new one.
    pub renamed_from: Option<String>,
}

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

    /// How many entries would be written.
    pub fn size(&self) -> usize {
        self.plan.providers.len() + self.plan.tokens.len() + self.plan.mailboxes.len()
    }
}

/// Looks at what was brought along as things are now.
pub async fn survey(app: &App, actor: &Actor, document: &Document, existing: Existing) -> Result<Survey, TransferError> {
    let mut faults = document.faults.clone();
    let mut file = document.file.clone();
    let told = |problems: Vec<Problem>| problems.into_iter().map(|problem| document.fault_of(problem));
    let (mut plan, problems) = Box::pin(what_fits(app, actor, &mut file)).await?;
    faults.extend(told(problems));
    let mut rows = rows(app, &plan).await?;
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
            rows = self::rows(app, &plan).await?;
            rows.extend(skipped.into_iter().map(|row| Row { skipped: true, ..row }));
        }
        Existing::Add => {
            let renamed = rename(app, &mut file, &differ).await?;
            let problems;
            (plan, problems) = Box::pin(what_fits(app, actor, &mut file)).await?;
            faults.extend(told(problems));
            rows = self::rows(app, &plan).await?;
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
        digest: digest(&rows, &plan, existing, faulty, &destinations(app, &plan).await?),
        rows,
        faults,
        faulty,
        left_out: document.left_out.clone(),
        notes: document.notes.clone(),
        plan,
        file,
    })
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

async fn rows(app: &App, plan: &Plan) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::with_capacity(plan.providers.len() + plan.tokens.len() + plan.mailboxes.len());
    for (old, new) in &plan.providers {
        let mut changes = old.as_ref().map(|old| providers::changes(old, new));
        let account = plan.service_accounts.iter().find(|(of, ..)| *of == new.id);
        if let (Some(changes), Some((_, _, file))) = (&mut changes, account) {
            let stored = app.store.service_account(&new.id).await?;
            if service_account::is_news(app, new, stored.as_ref(), file) {
                changes.push(set_or_changed("service account key", stored.is_some()));
            }
        }
        rows.push(row("provider", &new.name, new.template.label().to_owned(), changes));
    }
    for (old, new, refresh_token) in &plan.tokens {
        let mut changes = old.as_ref().map(|old| tokens::changes(old, new));
        let password = plan.passwords.iter().find(|(of, _)| *of == new.id);
        if let (Some(changes), Some((_, password))) = (&mut changes, password)
            && let Some(provider) = provider_of(app, plan, new).await?
        {
            let stored = app.store.token_password(&new.id).await?;
            if tokens::is_new_password(app, new, &provider, stored.as_ref(), password) {
                changes.push(set_or_changed("password", stored.is_some_and(|stored| stored.sealed.is_some())));
            }
        }
        if let (Some(changes), Some(refresh_token)) = (&mut changes, refresh_token)
            && brings_along(app, plan, new, refresh_token).await?
        {
            changes.push("refresh token changed".to_owned());
        }
        rows.push(row("token", &new.name, new.user.clone().unwrap_or_default(), changes));
    }
    for (old, new) in &plan.mailboxes {
        let changes = old.as_ref().map(|old| mailbox_changes(old, new));
        rows.push(row("mailbox", &new.name, new.address.clone(), changes));
    }
    Ok(rows)
}

fn row(kind: &'static str, name: &Name, about: String, changes: Option<Vec<String>>) -> Row {
    Row {
        kind,
        name: name.to_string(),
        about,
        what: match &changes {
            None => What::Created,
            Some(changes) if changes.is_empty() => What::Unchanged,
            Some(_) => What::Updated,
        },
        changes: changes.unwrap_or_default(),
        skipped: false,
        renamed_from: None,
    }
}

fn set_or_changed(what: &str, was_there: bool) -> String {
    format!("{what} {}", if was_there { "changed" } else { "set" })
}

async fn provider_of(app: &App, plan: &Plan, token: &Token) -> Result<Option<Provider>, StoreError> {
    let planned = plan
        .providers
        .iter()
        .map(|(_, provider)| provider)
        .find(|provider| provider.id == token.provider_id);
    match planned {
        Some(provider) => Ok(Some(provider.clone())),
        None => app.store.provider_by_id(&token.provider_id).await,
    }
}

async fn brings_along(app: &App, plan: &Plan, token: &Token, refresh_token: &RefreshToken) -> Result<bool, StoreError> {
    let provider = provider_of(app, plan, token).await?;
    let grant = app.store.grant(&token.id).await?;
    Ok(match (grant, provider) {
        (Some(grant), Some(provider)) => tokens::is_wanted(app, &grant, &provider, refresh_token),
        _ => true,
    })
}

fn mailbox_changes(old: &Mailbox, new: &Mailbox) -> Vec<String> {
    let password = |text: &str| text.starts_with("password, set");
    let show = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    mailboxes::changes(&mailboxes::describe(old), &mailboxes::describe(new))
        .into_iter()
        .map(|(label, old, new)| match password(&old) && password(&new) {
            true => format!("{label}: password changed"),
            false => format!("{label}: {} → {}", show(old), show(new)),
        })
        .collect()
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

fn digest(rows: &[Row], plan: &Plan, existing: Existing, faulty: usize, towards: &HashMap<String, String>) -> String {
    let mut text = format!("{existing} {faulty}\n");
    for row in rows {
        let _ = writeln!(text, "{} {} {:?} {} {:?}", row.kind, row.name, row.what, row.skipped, row.changes);
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
