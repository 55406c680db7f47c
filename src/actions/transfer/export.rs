//! Mailboxes as a table, for spreadsheets and to be brought along elsewhere, or as a configuration file. A table holds no secrets.

use crate::actions::config::{ExportError, mailbox_table, push};
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::config_file::{is_secret, mailbox_keys};
use crate::model::import::csv::cell;
use crate::store::StoreError;
use crate::store::mailboxes::MailboxFilter;
use toml::{Table, Value};
use zeroize::Zeroizing;

/// The columns: every key of `[[mailbox]]` that is no secret.
fn columns() -> impl Iterator<Item = &'static str> {
    mailbox_keys().filter(|key| !is_secret(key))
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.map(cell).collect();
    format!("{}\r\n", cells.join(","))
}

/// The mailboxes of a filter as CSV; none if it finds none.
pub async fn mailboxes_csv(app: &App, actor: &Actor, filter: &MailboxFilter) -> Result<Option<String>, ExportError> {
    let mailboxes = app.store.mailboxes_filtered(filter).await?;
    if mailboxes.is_empty() {
        return Ok(None);
    }
    let mut text = line(columns());
    for mailbox in &mailboxes {
        let table = mailbox_table(app, mailbox, false)?;
        let values: Vec<String> = columns().map(|key| value(&table, key)).collect();
        text.push_str(&line(values.iter().map(String::as_str)));
    }
    note(app, actor, format!("{} mailboxes as a table, without secrets", mailboxes.len())).await?;
    Ok(Some(text))
}

/// The mailboxes of a filter as a configuration file, `secrets` included if they are wanted; none if it finds none.
pub async fn mailboxes_toml(
    app: &App,
    actor: &Actor,
    filter: &MailboxFilter,
    secrets: bool,
) -> Result<Option<Zeroizing<String>>, ExportError> {
    let mailboxes = app.store.mailboxes_filtered(filter).await?;
    if mailboxes.is_empty() {
        return Ok(None);
    }
    let mut text = Zeroizing::new(String::new());
    for mailbox in &mailboxes {
        push(&mut text, "mailbox", mailbox_table(app, mailbox, secrets)?);
    }
    let with = if secrets { "with secrets" } else { "without secrets" };
    note(app, actor, format!("{} mailboxes, {with}", mailboxes.len())).await?;
    Ok(Some(text))
}

async fn note(app: &App, actor: &Actor, detail: String) -> Result<(), StoreError> {
    let entry = AuditEntry {
        action: "config.export",
        target: "configuration".into(),
        detail,
        outcome: "ok",
    };
    app.store.audit(app.clock.now(), actor, entry).await
}

fn value(table: &Table, key: &str) -> String {
    let found = key.split('.').try_fold(None, |at: Option<&Value>, part| {
        let next = match at {
            None => table.get(part),
            Some(value) => value.get(part),
        };
        next.map(Some)
    });
    match found.flatten() {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(";"),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Boolean(flag)) => flag.to_string(),
        _ => String::new(),
    }
}

/// An empty table with its header and an example, to be filled in.
pub fn template_csv() -> String {
    let example = |key: &str| match key {
        "name" => "support",
        "address" => "support@example.com",
        "display_name" => "Support",
        "enabled" => "false",
        "tags" => "helpdesk",
        "incoming.protocol" => "imap",
        "incoming.host" => "outlook.office365.com",
        "incoming.port" => "993",
        "incoming.security" => "tls",
        "incoming.auth" | "outgoing.auth" => "oauth2",
        "incoming.token" | "outgoing.token" => "support",
        "incoming.folder" => "INBOX",
        "outgoing.protocol" => "smtp",
        "outgoing.host" => "smtp.office365.com",
        "outgoing.port" => "587",
        "outgoing.security" => "starttls",
        _ => "",
    };
    let keys: Vec<&str> = mailbox_keys().collect();
    format!("{}{}", line(keys.iter().copied()), line(keys.iter().map(|key| example(key))))
}
