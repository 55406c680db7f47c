//! From the entries of a file to what would be stored: everything wrong is found before anything is written.

mod mailbox;
mod provider;

use super::{ApplyError, Sources};
use crate::actions::FieldProblem;
use crate::actions::tokens::{self, TokenInput, check_token};
use crate::app::App;
use crate::model::audit::Actor;
use crate::model::config_file::{ConfigFile, Entry, Problem, SecretSource};
use crate::model::mailbox::Mailbox;
use crate::model::provider::Provider;
use crate::model::token::Token;
use crate::model::{Name, ProviderId, TokenId};
use crate::oauth::ServiceKey;
use crate::secret::{KeyFile, Password, RefreshToken};
use mailbox::plan_mailbox;
use provider::plan_provider;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use zeroize::Zeroizing;

/// How long may a file with a secret be?
const LONGEST_SECRET: u64 = 65_536;

/// Everything the file asks for, checked against what is stored.
#[derive(Default)]
pub(in crate::actions) struct Plan {
    pub providers: Vec<(Option<Provider>, Provider)>,
    pub tokens: Vec<(Option<Token>, Token, Option<RefreshToken>)>,
    pub mailboxes: Vec<(Option<Mailbox>, Mailbox)>,
    /// Keys of service accounts that the file brings along.
    pub service_accounts: Vec<(ProviderId, ServiceKey, KeyFile)>,
    /// Passwords of tokens that the file brings along.
    pub passwords: Vec<(TokenId, Password)>,
}

pub(in crate::actions) async fn plan(app: &App, actor: &Actor, file: &ConfigFile, sources: &Sources<'_>) -> Result<Plan, ApplyError> {
    let mut problems = file.problems.clone();
    for entries in [&file.providers, &file.tokens, &file.mailboxes] {
        problems.extend(doubled(entries));
    }
    let mut plan = Plan::default();
    for entry in file.providers.iter().filter(|entry| !entry.faulty) {
        match plan_provider(app, actor, entry, file.secrets_later, sources).await? {
            Ok((current, provider, account)) => {
                plan.service_accounts
                    .extend(account.map(|(key, file)| (provider.id.clone(), key, file)));
                plan.providers.push((current, provider));
            }
            Err(found) => problems.extend(found),
        }
    }
    // A broken provider would make every token below it look broken too.
    let broken: Vec<&str> = names(&file.providers)
        .filter(|name| !plan.providers.iter().any(|(_, p)| p.name.as_str() == *name))
        .collect();
    for entry in file.tokens.iter().filter(|entry| !entry.faulty) {
        if entry.text("provider").is_some_and(|provider| broken.contains(&provider)) {
            continue;
        }
        match plan_token(app, entry, &plan, sources).await? {
            Ok((current, token, refresh_token, password)) => {
                plan.passwords.extend(password.map(|password| (token.id.clone(), password)));
                plan.tokens.push((current, token, refresh_token));
            }
            Err(found) => problems.extend(found),
        }
    }
    let stored = app.store.tokens().await?.into_iter();
    let stored: HashMap<Name, Token> = stored
        .chain(plan.tokens.iter().map(|(_, token, _)| token.clone()))
        .map(|token| (token.name.clone(), token))
        .collect();
    let planned: HashSet<&str> = plan.tokens.iter().map(|(_, token, _)| token.name.as_str()).collect();
    let failed: HashSet<&str> = names(&file.tokens).filter(|name| !planned.contains(name)).collect();
    for entry in file.mailboxes.iter().filter(|entry| !entry.faulty) {
        if ["incoming.token", "outgoing.token"]
            .iter()
            .any(|key| entry.text(key).is_some_and(|token| failed.contains(token)))
        {
            continue;
        }
        match plan_mailbox(app, actor, entry, &stored, sources).await? {
            Ok(planned) => plan.mailboxes.push(planned),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        return Ok(plan);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(ApplyError::File(problems))
}

fn names(entries: &[Entry]) -> impl Iterator<Item = &str> {
    entries.iter().filter_map(|entry| entry.text("name"))
}

fn doubled(entries: &[Entry]) -> Vec<Problem> {
    let mut seen = HashMap::new();
    let mut problems = Vec::new();
    for entry in entries {
        if let Some(name) = entry.text("name")
            && let Some(first) = seen.insert(name, entry.line_of("name"))
        {
            problems.push(Problem::new(entry.line_of("name"), format!("name \"{name}\" is used already in line {first}")).about("name"));
        }
    }
    problems
}

/// A token as it is and as it would be, with what it brings along.
type PlannedToken = (Option<Token>, Token, Option<RefreshToken>, Option<Password>);

type Planned<T> = Result<T, Vec<Problem>>;

/// The name of an entry; without one nothing else about it can be checked.
fn entry_name(entry: &Entry) -> Planned<Name> {
    let text = entry.text("name").unwrap_or_default();
    Name::parse(text).map_err(|error| {
        let message = if text.is_empty() {
            "name is missing".to_owned()
        } else {
            error.to_string()
        };
        vec![Problem::new(entry.line_of("name"), message).about("name")]
    })
}

/// What is wrong with an entry, with what is wrong with its name.
fn with_name(mut problems: Vec<Problem>, named: Planned<Name>) -> Vec<Problem> {
    if let Err(of_name) = named {
        problems.retain(|problem| problem.key != "name");
        problems.splice(..0, of_name);
    }
    problems
}

fn at_lines(entry: &Entry, problems: Vec<FieldProblem>) -> Vec<Problem> {
    problems
        .into_iter()
        .map(|problem| {
            let message = problem.message.replace(
                "tick the box below",
                "log out and remove the token first, or give the new one another name",
            );
            Problem::new(entry.line_of(problem.field), message).about(problem.field)
        })
        .collect()
}

/// What is wrong with an entry: a secret that can't be had, and what the rules say of the rest. Where the secret is the trouble already,
/// the rules needn't say that it is missing.
fn both(entry: &Entry, secrets: Vec<Problem>, found: Vec<FieldProblem>) -> Vec<Problem> {
    let mut problems = at_lines(entry, found);
    problems.retain(|problem| !secrets.iter().any(|secret| secret.line == problem.line));
    problems.extend(secrets);
    problems
}

/// The value of a secret, wherever the file says it is. A line break at its end is forgiven; nothing of it gets into a problem.
fn secret(entry: &Entry, key: &str, sources: &Sources<'_>) -> Planned<Option<Zeroizing<String>>> {
    let problem = |message: String| vec![Problem::new(entry.line_of(key), message).about(key)];
    let text = match entry.secret(key).map_err(|problem| vec![problem.about(key)])? {
        None => return Ok(None),
        Some(SecretSource::Inline) => Zeroizing::new(entry.text(key).unwrap_or_default().to_owned()),
        Some(SecretSource::Env(name)) => Zeroizing::new(
            (sources.env)(name).ok_or_else(|| problem(format!("{key}_env: the environment has no variable {}", name.escape_default())))?,
        ),
        Some(SecretSource::File(path)) => {
            let path = sources.directory.join(path);
            let shown = path.display().to_string();
            let unreadable = |error: std::io::Error| problem(format!("{key}_file: {shown} can't be read: {error}"));
            let file = std::fs::File::open(&path).map_err(unreadable)?;
            let meta = file.metadata().map_err(unreadable)?;
            if meta.is_file() && meta.len() > LONGEST_SECRET {
                return Err(problem(format!("{key}_file: {shown} is longer than 64 KiB")));
            }
            if meta.is_file() && meta.mode() & 0o077 != 0 {
                tracing::warn!(file = %shown, "A file with a secret can be read by others (mode {:o})", meta.mode() & 0o7777);
            }
            let mut text = Zeroizing::new(String::new());
            file.take(LONGEST_SECRET).read_to_string(&mut text).map_err(unreadable)?;
            text
        }
    };
    let text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if text.is_empty() {
        return Err(problem(format!("{key} is empty: leave it out to keep the stored one")));
    }
    Ok(Some(text))
}

async fn plan_token(app: &App, entry: &Entry, plan: &Plan, sources: &Sources<'_>) -> Result<Planned<PlannedToken>, ApplyError> {
    let named = entry_name(entry);
    let current = match &named {
        Ok(name) => app.store.token(name).await?,
        Err(_) => None,
    };
    let provider_name = entry
        .text("provider")
        .map(str::to_owned)
        .or_else(|| current.as_ref().map(|token| token.provider.to_string()));
    let Some(provider_name) = provider_name else {
        let missing = Problem::new(entry.line, "provider is missing: name the provider this token is got from");
        return Ok(Err(with_name(vec![missing.about("provider")], named)));
    };
    let planned = plan
        .providers
        .iter()
        .find(|(_, provider)| provider.name.as_str() == provider_name)
        .map(|(_, provider)| provider.clone());
    let provider = match (planned, Name::parse(&provider_name)) {
        (Some(provider), _) => Some(provider),
        (None, Ok(name)) => app.store.provider(&name).await?,
        (None, Err(_)) => None,
    };
    let Some(provider) = provider else {
        let message = format!("there is no provider \"{}\", here or in the file", provider_name.escape_default());
        let unknown = Problem::new(entry.line_of("provider"), message).about("provider");
        return Ok(Err(with_name(vec![unknown], named)));
    };
    let grant = match &current {
        Some(token) => app.store.grant(&token.id).await?,
        None => None,
    };
    let mut input = current.as_ref().map(TokenInput::of).unwrap_or_default();
    input.name = named.as_ref().map(Name::to_string).unwrap_or_default();
    if let Some(text) = entry.text("grant") {
        text.clone_into(&mut input.grant);
    }
    if let Some(text) = entry.text("user") {
        text.clone_into(&mut input.user);
    }
    if let Some(scopes) = entry.list("scopes") {
        input.scopes = Some(scopes.join("\n"));
    }
    if let Some(prompt) = entry.text("prompt") {
        input.prompt = Some(prompt.to_owned());
    }
    input.shared = entry.flag("shared").unwrap_or(input.shared);
    let mut secrets = match secret(entry, "refresh_token", sources) {
        Ok(secret) => {
            input.refresh_token = secret.map(|text| RefreshToken::new(text.as_str()));
            Vec::new()
        }
        Err(problems) => problems,
    };
    match secret(entry, "password", sources) {
        Ok(secret) => input.password = secret.map(|text| Password::new(text.as_str())),
        Err(problems) => secrets.extend(problems),
    }
    if let Some(current) = &current {
        input.has_password = tokens::has_password(app, current, &provider).await?;
    }
    let current_grant = current.as_ref().map(|token| (token, grant.as_ref()));
    match check_token(&input, &provider, current_grant) {
        Ok(edit) if secrets.is_empty() && named.is_ok() => {
            let token = tokens::build(app, &edit, current.as_ref());
            Ok(Ok((current, token, edit.refresh_token, edit.password)))
        }
        Ok(_) => Ok(Err(with_name(secrets, named))),
        Err(problems) => Ok(Err(with_name(both(entry, secrets, problems), named))),
    }
}
