//! The rows of a preview: each entry, what would become of it, and what of it can be shown.

use super::values;
use crate::actions::config::What;
use crate::actions::config::plan::Plan;
use crate::actions::providers::service_account;
use crate::actions::{mailboxes, providers, tokens};
use crate::app::App;
use crate::model::Name;
use crate::model::mailbox::Mailbox;
use crate::model::provider::Provider;
use crate::model::token::Token;
use crate::secret::RefreshToken;
use crate::store::StoreError;
use std::collections::{HashMap, HashSet};

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
    /// What a new one would be, line by line, without its secrets.
    pub values: Vec<String>,
    /// What to know about it, sentences without their full stop: what is still to be done for it, which one here it is about.
    pub notes: Vec<String>,
    /// What is bound to fail with it; filled in for those that are shown ([`Survey::warn`](super::Survey::warn)).
    pub warnings: Vec<String>,
    /// Whether it stays as it is, by choice.
    pub skipped: bool,
    /// The name it would have had, where it gets a new one.
    pub renamed_from: Option<String>,
}

/// Who has which address here: names by the address in small letters.
pub(super) struct Here {
    names: HashMap<String, Vec<String>>,
    /// Names of mailboxes that a row without a name was found to be about.
    pub(super) met: HashSet<String>,
}

impl Here {
    pub(super) async fn load(app: &App) -> Result<Self, StoreError> {
        let mut names: HashMap<String, Vec<String>> = HashMap::new();
        for (name, address) in app.store.mailbox_addresses().await? {
            names.entry(address.to_lowercase()).or_default().push(name);
        }
        let met = HashSet::new();
        Ok(Self { names, met })
    }

    pub(super) fn with_address(&self, address: &str) -> &[String] {
        self.names.get(&address.trim().to_lowercase()).map_or(&[], Vec::as_slice)
    }
}

/// The rows of a plan, in its order.
pub(super) async fn rows(app: &App, plan: &Plan, here: &Here) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::with_capacity(plan.providers.len() + plan.tokens.len() + plan.mailboxes.len());
    for (old, new) in &plan.providers {
        let account = plan.service_accounts.iter().find(|(of, ..)| *of == new.id);
        let mut row = row("provider", &new.name, new.template.label().to_owned());
        row.notes.extend(values::waiting(new));
        match old {
            None => row.values = values::of_provider(new, account.map(|(_, key, _)| key.account.client_email.as_str())),
            Some(old) => {
                row.changes = providers::changes(old, new);
                if let Some((_, _, file)) = account {
                    let stored = app.store.service_account(&new.id).await?;
                    if service_account::is_news(app, new, stored.as_ref(), file) {
                        row.changes.push(set_or_changed("service account key", stored.is_some()));
                    }
                }
            }
        }
        rows.push(fate(row, old.is_none()));
    }
    for (old, new, refresh_token) in &plan.tokens {
        let password = plan.passwords.iter().find(|(of, _)| *of == new.id).map(|(_, password)| password);
        let mut row = row("token", &new.name, new.user.clone().unwrap_or_default());
        match old {
            None => row.values = values::of_token(new, refresh_token.is_some(), password.is_some()),
            Some(old) => {
                row.changes = tokens::changes(old, new);
                if let Some(password) = password
                    && let Some(provider) = provider_of(app, plan, new).await?
                {
                    let stored = app.store.token_password(&new.id).await?;
                    if tokens::is_new_password(app, new, &provider, stored.as_ref(), password) {
                        let was_there = stored.is_some_and(|stored| stored.sealed.is_some());
                        row.changes.push(set_or_changed("password", was_there));
                    }
                }
                if let Some(refresh_token) = refresh_token
                    && brings_along(app, plan, new, refresh_token).await?
                {
                    row.changes.push("refresh token changed".to_owned());
                }
            }
        }
        rows.push(fate(row, old.is_none()));
    }
    let mut of_tokens: HashMap<Name, Name> = HashMap::new();
    if plan.mailboxes.iter().any(|(old, _)| old.is_none()) {
        let stored = app.store.tokens().await?;
        of_tokens.extend(stored.into_iter().map(|token| (token.name, token.provider)));
        let planned = plan.tokens.iter().map(|(_, new, _)| (new.name.clone(), new.provider.clone()));
        of_tokens.extend(planned);
    }
    for (old, new) in &plan.mailboxes {
        let mut row = row("mailbox", &new.name, new.address.clone());
        match old {
            None => {
                row.values = values::of_mailbox(new, &|token| of_tokens.get(token).map(Name::as_str));
                let others = here.with_address(&new.address).join(" and ");
                if !others.is_empty() {
                    row.notes.push(format!(
                        "{} is here already, as mailbox {others}. This one comes beside it",
                        new.address
                    ));
                }
            }
            Some(old) => {
                row.changes = mailbox_changes(old, new);
                row.notes.extend(which(old, new, &here.met));
            }
        }
        rows.push(fate(row, old.is_none()));
    }
    Ok(rows)
}

/// Which mailbox it is about, where that doesn't go without saying.
fn which(old: &Mailbox, new: &Mailbox, met: &HashSet<String>) -> Option<String> {
    let (name, address) = (&new.name, &new.address);
    if met.contains(name.as_str()) {
        return Some(format!(
            "The row has no name. It is about mailbox {name}, which has this address here"
        ));
    }
    let is_other = !old.address.eq_ignore_ascii_case(address);
    is_other.then(|| {
        format!(
            "This is mailbox {name}, which has the address {} here. To add {address} beside it, give it another name",
            old.address
        )
    })
}

fn row(kind: &'static str, name: &Name, about: String) -> Row {
    Row {
        kind,
        name: name.to_string(),
        about,
        what: What::Unchanged,
        changes: Vec::new(),
        values: Vec::new(),
        notes: Vec::new(),
        warnings: Vec::new(),
        skipped: false,
        renamed_from: None,
    }
}

fn fate(row: Row, is_new: bool) -> Row {
    let what = match row.changes.is_empty() {
        _ if is_new => What::Created,
        true => What::Unchanged,
        false => What::Updated,
    };
    Row { what, ..row }
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
