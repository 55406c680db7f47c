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
use std::collections::HashMap;

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
    /// What is still to be done for it once it is here; mostly empty.
    pub note: &'static str,
    /// Whether it stays as it is, by choice.
    pub skipped: bool,
    /// The name it would have had, where it gets a new one.
    pub renamed_from: Option<String>,
}

/// The rows of a plan, in its order.
pub(super) async fn rows(app: &App, plan: &Plan) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::with_capacity(plan.providers.len() + plan.tokens.len() + plan.mailboxes.len());
    for (old, new) in &plan.providers {
        let account = plan.service_accounts.iter().find(|(of, ..)| *of == new.id);
        let mut row = row("provider", &new.name, new.template.label().to_owned());
        row.note = values::waiting(new);
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
            None => row.values = values::of_mailbox(new, &|token| of_tokens.get(token).map(Name::as_str)),
            Some(old) => row.changes = mailbox_changes(old, new),
        }
        rows.push(fate(row, old.is_none()));
    }
    Ok(rows)
}

fn row(kind: &'static str, name: &Name, about: String) -> Row {
    Row {
        kind,
        name: name.to_string(),
        about,
        what: What::Unchanged,
        changes: Vec::new(),
        values: Vec::new(),
        note: "",
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
