//! Mailboxes as a table, for spreadsheets and to be brought along elsewhere. It holds no secrets.

use crate::actions::config::mailbox_table;
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::config_file::{is_secret, mailbox_keys};
use crate::model::import::csv::cell;
use crate::store::StoreError;
use toml::{Table, Value};

/// The columns: every key of `[[mailbox]]` that is no secret.
fn columns() -> impl Iterator<Item = &'static str> {
    mailbox_keys().filter(|key| !is_secret(key))
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.map(cell).collect();
    format!("{}\r\n", cells.join(","))
}

/// The mailboxes as CSV.
pub async fn mailboxes_csv(app: &App, actor: &Actor) -> Result<String, StoreError> {
    let mut text = line(columns());
    for mailbox in app.store.mailboxes().await? {
        let table = mailbox_table(app, &mailbox, false).unwrap_or_default();
        let values: Vec<String> = columns().map(|key| value(&table, key)).collect();
        text.push_str(&line(values.iter().map(String::as_str)));
    }
    let entry = AuditEntry {
        action: "config.export",
        target: "configuration".into(),
        detail: "mailboxes as a table, without secrets".into(),
        outcome: "ok",
    };
    app.store.audit(app.clock.now(), actor, entry).await?;
    Ok(text)
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
