//! `mailgrant token list|show|get|authorize|refresh|remove`.

mod device;

use super::answer::{Answer, Failure, Outcome, print, print_json, print_table, say};
use super::stop::StopSignals;
use crate::actions::access_token::{self, Handed, Pressed, access_token, refresh_now};
use crate::actions::judgement::scene_of_token;
use crate::actions::tokens::{self, Told, log_out};
use crate::actions::{authorize, links, settings};
use crate::app::App;
use crate::diagnosis::ways::told_to_programs;
use crate::model::Name;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::token::{Grant, GrantType, Token};
use serde::Serialize;
use std::time::Duration;

/// How long is a sign-in link of the command line good for, in seconds?
const LINK_LIFE: i64 = 3600;
/// How often do we look whether somebody signed in?
const LOOK: Duration = Duration::from_millis(500);

/// What to do with tokens.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the tokens
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one token; never a secret
    Show {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a valid access token and nothing else
    Get {
        /// Its name
        name: String,
        /// How many seconds it must still live
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=86_400))]
        min_lifetime: Option<i64>,
        /// Print JSON, with its end and scope
        #[arg(long)]
        json: bool,
    },
    /// Print a sign-in link, or the code for another device, and wait until somebody signed in. A link needs a running console
    Authorize {
        /// Its name
        name: String,
    },
    /// Renew now
    Refresh {
        /// Its name
        name: String,
    },
    /// Log out and remove: delete what is stored, and revoke it where the provider has a call for that
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Serialize)]
struct Shown {
    name: String,
    provider: String,
    grant: &'static str,
    user: Option<String>,
    state: &'static str,
    scopes: Vec<String>,
    granted_scopes: Vec<String>,
    expires_at: Option<String>,
    refreshed_at: Option<String>,
    refresh_token: bool,
    last_error: Option<Diagnosis>,
}

#[derive(Serialize)]
struct Got<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_at: String,
    expires_in: i64,
    scope: String,
    user: Option<&'a str>,
}

/// Runs the command.
pub async fn run(app: &App, command: Command) -> Outcome {
    match command {
        Command::List { json } => list(app, json).await,
        Command::Show { name, json } => show(app, &name, json).await,
        Command::Get { name, min_lifetime, json } => get(app, &name, min_lifetime, json).await,
        Command::Authorize { name } => Box::pin(authorize(app, &name)).await,
        Command::Refresh { name } => refresh(app, &name).await,
        Command::Remove { name } => remove(app, &name).await,
    }
}

async fn find(app: &App, name: &str) -> Result<Token, Failure> {
    let missing = || Failure::wrong(format!("there is no token \"{name}\"")).help("mailgrant token list shows their names");
    let parsed = Name::parse(name).map_err(|_| missing())?;
    app.store.token(&parsed).await?.ok_or_else(missing)
}

async fn provider_of(app: &App, token: &Token) -> Result<Provider, Failure> {
    app.store
        .provider_by_id(&token.provider_id)
        .await?
        .ok_or_else(|| Failure::no(format!("the provider of token {} is gone", token.name)))
}

fn shown(token: Token, grant: Option<&Grant>, authorizing: bool, app: &App) -> Shown {
    let state = access_token::state(token.grant, grant, authorizing, app.clock.now());
    Shown {
        name: token.name.to_string(),
        provider: token.provider.to_string(),
        grant: token.grant.as_str(),
        user: token.user,
        state: state.as_str(),
        scopes: token.scopes,
        granted_scopes: grant.map(|grant| grant.granted_scopes.clone()).unwrap_or_default(),
        expires_at: grant.and_then(|grant| grant.expires_at).map(|at| at.to_rfc3339()),
        refreshed_at: grant.and_then(|grant| grant.refreshed_at).map(|at| at.to_rfc3339()),
        refresh_token: grant.is_some_and(|grant| grant.rt_current.is_some()),
        last_error: grant
            .and_then(|grant| grant.last_error.as_deref())
            .and_then(|text| serde_json::from_str(text).ok()),
    }
}

async fn list(app: &App, json: bool) -> Outcome {
    let grants = app.store.grants().await?;
    let authorizing = app.store.authorizing_tokens(app.clock.now()).await?;
    let rows: Vec<Shown> = app
        .store
        .tokens()
        .await?
        .into_iter()
        .map(|token| {
            let grant = grants.iter().find(|grant| grant.token_id == token.id);
            let authorizing = authorizing.contains(&token.id);
            shown(token, grant, authorizing, app)
        })
        .collect();
    if json {
        print_json(&rows)?;
    } else if rows.is_empty() {
        print("no tokens yet")?;
    } else {
        let mut table = vec![
            ["NAME", "PROVIDER", "ACCOUNT", "STATE", "EXPIRES", "LAST PROBLEM"]
                .map(str::to_owned)
                .to_vec(),
        ];
        table.extend(rows.into_iter().map(|row| {
            vec![
                row.name,
                row.provider,
                row.user.unwrap_or_else(|| "-".into()),
                row.state.to_owned(),
                row.expires_at.unwrap_or_else(|| "-".into()),
                row.last_error.map_or_else(|| "-".into(), |problem| problem.title),
            ]
        }));
        print_table(&table)?;
    }
    Ok(Answer::Yes)
}

async fn show(app: &App, name: &str, json: bool) -> Outcome {
    let token = find(app, name).await?;
    let grant = app.store.grant(&token.id).await?;
    let authorizing = app.store.authorizing_tokens(app.clock.now()).await?.contains(&token.id);
    let mut shown = shown(token.clone(), grant.as_ref(), authorizing, app);
    if let Some(problem) = &mut shown.last_error {
        let provider = provider_of(app, &token).await?;
        problem.ways = told_to_programs(problem, &scene_of_token(app, &token, &provider).await?);
    }
    if json {
        print_json(&shown)?;
        return Ok(Answer::Yes);
    }
    let mut rows = vec![
        vec!["name".to_owned(), shown.name],
        vec!["provider".into(), shown.provider],
        vec!["grant".into(), shown.grant.into()],
        vec!["account".into(), shown.user.unwrap_or_else(|| "-".into())],
        vec!["state".into(), shown.state.into()],
        vec!["scopes".into(), shown.scopes.join(" ")],
        vec!["granted".into(), shown.granted_scopes.join(" ")],
        vec!["access token expires".into(), shown.expires_at.unwrap_or_else(|| "-".into())],
        vec!["renewed".into(), shown.refreshed_at.unwrap_or_else(|| "-".into())],
        vec!["refresh token".into(), if shown.refresh_token { "stored" } else { "none" }.into()],
    ];
    if let Some(problem) = shown.last_error {
        rows.push(vec!["problem".into(), format!("{} ({})", problem.title, problem.id)]);
        rows.extend(problem.remedy.into_iter().map(|step| vec!["to do".into(), step]));
    }
    print_table(&rows)?;
    Ok(Answer::Yes)
}

async fn get(app: &App, name: &str, min_lifetime: Option<i64>, json: bool) -> Outcome {
    let token = find(app, name).await?;
    let handed = access_token(app, &token, min_lifetime).await?;
    // Durable before the token leaves (AUD-1).
    handed_out(app, &token).await?;
    print_handed(&handed, json)
}

async fn handed_out(app: &App, token: &Token) -> Result<(), Failure> {
    let entry = AuditEntry {
        action: "token.hand_out",
        target: format!("token:{}", token.name),
        detail: String::new(),
        outcome: "ok",
    };
    Ok(app.store.audit(app.clock.now(), &Actor::command_line(), entry).await?)
}

fn print_handed(handed: &Handed, json: bool) -> Outcome {
    if json {
        print_json(&Got {
            access_token: handed.access_token.expose_secret(),
            token_type: &handed.token_type,
            expires_at: handed.expires_at.to_rfc3339(),
            expires_in: handed.expires_in,
            scope: handed.scopes.join(" "),
            user: handed.user.as_deref(),
        })?;
    } else {
        print(handed.access_token.expose_secret())?;
    }
    Ok(Answer::Yes)
}

async fn refresh(app: &App, name: &str) -> Outcome {
    let token = find(app, name).await?;
    let handed = refresh_now(app, &token).await?;
    print(format!(
        "renewed; expires {} (in {} s)",
        handed.expires_at.to_rfc3339(),
        handed.expires_in
    ))?;
    Ok(Answer::Yes)
}

async fn remove(app: &App, name: &str) -> Outcome {
    let token = find(app, name).await?;
    let provider = provider_of(app, &token).await?;
    let done = log_out(app, &Actor::command_line(), &token, &provider, true).await?;
    print(match done.told {
        Told::Nothing => "nothing was stored".to_owned(),
        Told::Revoked => "removed here and revoked at the provider".to_owned(),
        Told::NotOffered => {
            "removed here; the provider has no call to revoke it: remove the app in the account's own settings there".to_owned()
        }
        Told::Failed(diagnosis, _) => format!("removed here; telling the provider failed: {}", diagnosis.title),
    })?;
    if done.paused > 0 {
        print(format!("{} mailboxes that used it are paused", done.paused))?;
    }
    Ok(Answer::Yes)
}

async fn authorize(app: &App, name: &str) -> Outcome {
    let token = find(app, name).await?;
    if token.grant == GrantType::DeviceCode {
        return device::authorize(app, &token, &provider_of(app, &token).await?).await;
    }
    if !token.grant.needs_person() {
        // Nobody has to sign in, so nobody has to be waited for.
        let pressed = tokens::get(app, &Actor::command_line(), &token).await?;
        print(match pressed {
            Pressed::Renewed(handed) => format!("got; expires {} (in {} s)", handed.expires_at.to_rfc3339(), handed.expires_in),
            Pressed::JustNow(_) => "got less than half a minute ago; nothing was asked for".to_owned(),
        })?;
        return Ok(Answer::Yes);
    }
    if !console_runs(app).await {
        return Err(
            Failure::no("no console answers at the public address, and the sign-in has to come back to one")
                .help("start it with: mailgrant serve")
                .help(format!("its address is {} (MAILGRANT_BASE_URL)", settings::base_url(app).await?)),
        );
    }
    let provider = provider_of(app, &token).await?;
    let prompt = token.prompt.unwrap_or(provider.prompt);
    let mut stop = StopSignals::catch()?;
    let link = links::create(app, &Actor::command_line(), &token, prompt, LINK_LIFE).await?;
    say(format!(
        "Open this link and sign in as {}. It works once, for an hour:",
        token.user.as_deref().unwrap_or("the account")
    ));
    print(link.url.expose_secret())?;
    let mut told = String::new();
    loop {
        let stopped = tokio::select! {
            () = tokio::time::sleep(LOOK) => false,
            () = stop.received() => true,
        };
        if stopped {
            // Nobody waits for it any more, and it may stand where others read it.
            links::withdraw(app, &Actor::command_line(), &token, &link.link).await?;
        }
        let Some(now) = app.store.link(&link.link.id).await? else {
            return Err(Failure::no("the link was deleted: the token is gone"));
        };
        let came = authorize::Outcome::read(&now.outcome, &now.detail);
        let words = came.as_ref().and_then(|came| came.history("Somebody")).unwrap_or_default();
        match links::state(&now, app.clock.now()) {
            links::LinkState::Used => {
                // Without some of the permissions, perhaps.
                if matches!(came, Some(authorize::Outcome::SignedInMissing { .. })) {
                    say(words);
                }
                print(format!("signed in as {}", token.user.as_deref().unwrap_or("the account")))?;
                return Ok(Answer::Yes);
            }
            links::LinkState::Withdrawn if stopped => {
                return Err(
                    Failure::no("stopped before anybody signed in").help("the link no longer works: run the command again for another")
                );
            }
            links::LinkState::Withdrawn => return Err(Failure::no("the link was withdrawn in the console")),
            links::LinkState::Ended => return Err(Failure::no("nobody signed in within an hour").help("run the command again")),
            links::LinkState::Ready if now.detail != told => {
                say(format!("{words} The link still works."));
                told = now.detail;
            }
            links::LinkState::Ready => {}
        }
    }
}

/// Whether a console answers on the listen address: without one the return from the provider leads nowhere.
async fn console_runs(app: &App) -> bool {
    let mut address = app.config.listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    let connect = tokio::time::timeout(Duration::from_secs(2), tokio::net::TcpStream::connect(address));
    matches!(connect.await, Ok(Ok(_))) || serve_lock_is_held(app)
}

/// Another way to know: a console of this data directory holds its lock.
fn serve_lock_is_held(app: &App) -> bool {
    std::fs::OpenOptions::new()
        .read(true)
        .open(app.config.data_dir.join("serve.lock"))
        .is_ok_and(|file| file.try_lock().is_err())
}
