//! `mailgrant provider list`.

use super::answer::{Answer, Outcome, print, print_json, print_table};
use crate::actions::settings;
use crate::app::App;
use serde::Serialize;

/// What to do with providers.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the providers
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Row {
    name: String,
    template: &'static str,
    tenant: Option<String>,
    client_id: String,
    client_auth: &'static str,
    client_secret: bool,
    client_secret_expires: Option<String>,
    redirect_uri: String,
    tokens: i64,
    mailboxes: i64,
    problem: Option<serde_json::Value>,
}

/// Runs the command.
pub async fn run(app: &App, command: Command) -> Outcome {
    let Command::List { json } = command;
    let usage = app.store.provider_usage().await?;
    let callback = settings::url(app, "/oauth/callback/").await?;
    let rows: Vec<Row> = app
        .store
        .providers()
        .await?
        .into_iter()
        .map(|provider| {
            let (tokens, mailboxes) = usage
                .iter()
                .find(|usage| usage.provider == provider.id)
                .map_or((0, 0), |usage| (usage.tokens, usage.mailboxes));
            Row {
                redirect_uri: format!("{callback}{}", provider.name),
                name: provider.name.to_string(),
                template: provider.template.as_str(),
                tenant: provider.tenant,
                client_id: provider.client_id,
                client_auth: provider.client_auth.as_str(),
                client_secret: provider.client_secret.is_some(),
                client_secret_expires: provider.client_secret_expires.map(|date| date.to_string()),
                tokens,
                mailboxes,
                problem: provider.problem.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            }
        })
        .collect();
    if json {
        print_json(&rows)?;
    } else if rows.is_empty() {
        print("no providers yet")?;
    } else {
        let mut table = vec![
            ["NAME", "KIND", "TENANT", "CLIENT", "SECRET ENDS", "TOKENS", "MAILBOXES", "STATE"]
                .map(str::to_owned)
                .to_vec(),
        ];
        table.extend(rows.into_iter().map(|row| {
            vec![
                row.name,
                row.template.to_owned(),
                row.tenant.unwrap_or_else(|| "-".into()),
                row.client_id,
                row.client_secret_expires.unwrap_or_else(|| "-".into()),
                row.tokens.to_string(),
                row.mailboxes.to_string(),
                if row.problem.is_some() { "problem" } else { "ok" }.to_owned(),
            ]
        }));
        print_table(&table)?;
    }
    Ok(Answer::Yes)
}
