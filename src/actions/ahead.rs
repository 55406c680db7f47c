//! What is bound to fail, told before anybody tries: the settings of a mailbox or a provider put together for the diagnosis. It never
//! keeps anything from being saved.

use super::access_token::{not_granted, other_needed, side_scopes};
use super::judgement;
use crate::app::App;
use crate::diagnosis::ahead::{About, Ahead, ahead};
use crate::diagnosis::case::{Case, Held};
use crate::diagnosis::ways::act::Fix;
use crate::diagnosis::{entry, own};
use crate::model::mailbox::{Auth, Mailbox, Protocol, Side, SideState};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::report::{Direction, Outcome};
use crate::model::scopes::{missing_scopes, resource_of};
use crate::model::template::{TemplateKind, purposes};
use crate::model::token::{Grant, GrantType, Token};
use crate::model::{ProviderId, TokenId};
use crate::store::StoreResult;

/// A warning about a mailbox, with the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warned {
    /// The field it is about: `incoming.host`, `outgoing.token`; the same names as problems have.
    pub field: &'static str,
    /// In a line, as the diagnosis would say it.
    pub title: String,
    /// What is there and what should be.
    pub text: String,
    /// What the form puts in for it, and at which side; none where it isn't a value that helps.
    pub fix: Option<(Fix, Direction)>,
    /// Where it is mended otherwise: an address of the console.
    pub href: String,
    /// What the button says.
    pub button: String,
}

/// Tokens and providers that come along with a mailbox and aren't stored yet. They count before what is stored.
#[derive(Default)]
pub struct Coming<'a> {
    /// New or changed tokens.
    pub tokens: Vec<&'a Token>,
    /// New or changed providers.
    pub providers: Vec<&'a Provider>,
}

impl Coming<'_> {
    async fn token(&self, app: &App, id: &TokenId) -> StoreResult<Option<Token>> {
        match self.tokens.iter().find(|token| token.id == *id) {
            Some(token) => Ok(Some((*token).clone())),
            None => app.store.token_by_id(id).await,
        }
    }

    /// The provider of this id, whether it comes along or is stored.
    pub async fn provider(&self, app: &App, id: &ProviderId) -> StoreResult<Option<Provider>> {
        match self.providers.iter().find(|provider| provider.id == *id) {
            Some(provider) => Ok(Some((*provider).clone())),
            None => app.store.provider_by_id(id).await,
        }
    }
}

/// What is bound to fail about a mailbox, stored or not. A side that passed a test with its settings has shown that it works.
pub async fn of_mailbox(app: &App, mailbox: &Mailbox) -> StoreResult<Vec<Warned>> {
    with(app, mailbox, &Coming::default()).await
}

/// The same for a mailbox with which something else comes along.
pub async fn with(app: &App, mailbox: &Mailbox, coming: &Coming<'_>) -> StoreResult<Vec<Warned>> {
    let mut found: Vec<Warned> = Vec::new();
    for (direction, side, state) in [
        (Direction::Incoming, &mailbox.incoming, &mailbox.incoming_state),
        (Direction::Outgoing, &mailbox.outgoing, &mailbox.outgoing_state),
    ] {
        let Some(side) = side.as_ref().filter(|_| !works(state)) else {
            continue;
        };
        for warned in of_side(app, mailbox, side, direction, coming).await? {
            // What both sides share is said once.
            if !found.iter().any(|known| known.title == warned.title && known.text == warned.text) {
                found.push(warned);
            }
        }
    }
    Ok(found)
}

fn works(state: &SideState) -> bool {
    matches!(state.outcome, Some(Outcome::Passed | Outcome::Warning))
}

async fn of_side(app: &App, mailbox: &Mailbox, side: &Side, direction: Direction, coming: &Coming<'_>) -> StoreResult<Vec<Warned>> {
    let mut case = Case {
        side: Some(judgement::aim(mailbox, side, direction)),
        ..Case::default()
    };
    let protocol = side.server.protocol();
    let mut used: Option<(Token, Provider)> = None;
    if let Auth::OAuth2 { token_id, .. } = &side.auth
        && let Some(token) = coming.token(app, token_id).await?
        && let Some(provider) = coming.provider(app, &token.provider_id).await?
    {
        if protocol == Protocol::Graph && !matches!(provider.template, TemplateKind::Microsoft | TemplateKind::Custom) {
            return Ok(Vec::from_iter(graph_of_others(&token, &provider, direction)));
        }
        let grant = app.store.grant(&token.id).await?;
        case.token = Some(held(&token, &provider, grant.as_ref(), mailbox, direction, protocol));
        case.provider = Some(judgement::facts(app, &provider, Some(&token), grant.as_ref()));
        used = Some((token, provider));
    }
    let is_meant = |one: &Ahead| used.as_ref().is_none_or(|(token, provider)| is_meant(one, token, provider));
    let warned = ahead(&case).into_iter().filter(is_meant).map(|one| {
        let (href, button) = match (&used, one.about) {
            (Some((_, provider)), About::Secret) => (format!("/providers/{}", provider.name), "Open the provider".to_owned()),
            (Some((token, provider)), About::Scopes | About::Token) => of_token(token, provider, &one, direction, protocol),
            _ => (String::new(), one.button.clone()),
        };
        Warned {
            field: field(one.about, direction),
            title: one.title.to_owned(),
            text: one.text(),
            fix: one.fix.map(|fix| (fix, direction)),
            href,
            button,
        }
    });
    Ok(warned.collect())
}

/// Graph asked with a token of somebody else than Microsoft: no server's name tells whose it is.
fn graph_of_others(token: &Token, provider: &Provider, direction: Direction) -> Option<Warned> {
    Some(Warned {
        field: field(About::Token, direction),
        title: entry(own::OTHER_PROVIDER)?.title.clone(),
        text: format!(
            "Token {} is from {}, and Microsoft Graph takes tokens of Microsoft 365 only. Choose another token, or IMAP and SMTP.",
            token.name,
            provider.template.short_name()
        ),
        fix: None,
        href: String::new(),
        button: String::new(),
    })
}

/// Whether a finding about the app or its sign-ins holds for the way this token is got.
fn is_meant(one: &Ahead, token: &Token, provider: &Provider) -> bool {
    match one.about {
        About::Secret => provider.client_auth != ClientAuth::None && token.grant != GrantType::JwtBearer,
        About::Scopes => token.grant.needs_person(),
        _ => true,
    }
}

/// Where a token is mended: with the permission ticked that it lacks, or on its page.
fn of_token(token: &Token, provider: &Provider, one: &Ahead, direction: Direction, protocol: Protocol) -> (String, String) {
    let edit = format!("/tokens/{}/edit", token.name);
    match one.id {
        own::PERMISSION_MISSING => {
            let needed = side_scopes(token, provider, direction, protocol);
            let kind = provider.template;
            // What another service needs, the next sign-in asks for by itself.
            let asked = missing_scopes(kind, &needed, &token.scopes).is_empty()
                || resource_of(kind, &token.scopes).is_some_and(|own| resource_of(kind, &needed).is_some_and(|other| own != other));
            let key = match protocol {
                Protocol::Imap => "imap",
                Protocol::Pop3 => "pop",
                Protocol::Smtp => "smtp",
                Protocol::Graph => "graph",
            };
            let known = purposes(provider.template, provider.cloud).iter().any(|purpose| purpose.key == key);
            match (asked, known) {
                (false, true) => (format!("{edit}?add={key}"), format!("Add {}", needed.join(" "))),
                (false, false) => (edit, "Edit the token".to_owned()),
                (true, _) => (format!("/tokens/{}", token.name), "Get authorization token".to_owned()),
            }
        }
        own::OFFLINE_ACCESS => (format!("{edit}?add=offline_access"), "Add offline_access".to_owned()),
        own::OTHER_ACCOUNT => (format!("{edit}?shared=1"), "Allow it for shared mailboxes".to_owned()),
        _ => (edit, "Edit the token".to_owned()),
    }
}

/// What a token will be like, by what it asks for and by what was granted.
fn held(token: &Token, provider: &Provider, grant: Option<&Grant>, mailbox: &Mailbox, direction: Direction, protocol: Protocol) -> Held {
    let needed = side_scopes(token, provider, direction, protocol);
    let known = grant.filter(|grant| !grant.granted_scopes.is_empty());
    let granted: Vec<String> = known.map_or_else(Vec::new, |grant| {
        let others = grant.others.iter().flat_map(|other| &other.scopes);
        grant.granted_scopes.iter().chain(others).cloned().collect()
    });
    let mut asked = token.scopes.clone();
    // A sign-in asks for what the mailboxes need of another service too.
    asked.extend(other_needed(token, provider, std::slice::from_ref(mailbox)));
    let missing = match known {
        // The app's own token is got for each service as it is needed.
        Some(grant) if token.grant == GrantType::ClientCredentials => not_granted(provider, &needed, grant),
        _ => {
            let has = if known.is_some() { &granted } else { &asked };
            // Graph has permissions of their own for what others share.
            let shared = has
                .iter()
                .filter_map(|scope| scope.strip_suffix(".Shared"))
                .filter(|_| token.shared);
            let has: Vec<String> = has.iter().cloned().chain(shared.map(str::to_owned)).collect();
            missing_scopes(provider.template, &needed, &has)
        }
    };
    let names = grant.map(|grant| &grant.identity);
    let names = names
        .into_iter()
        .flat_map(|identity| [&identity.username, &identity.email])
        .flatten();
    let is_own = names.into_iter().any(|name| name.eq_ignore_ascii_case(&mailbox.address));
    Held {
        grant: Some(token.grant),
        account: if is_own {
            Some(mailbox.address.clone())
        } else {
            token.user.clone()
        },
        shared: token.shared,
        permissions: if known.is_some() { granted } else { token.scopes.clone() },
        missing,
        ..Held::default()
    }
}

const fn field(about: About, direction: Direction) -> &'static str {
    match (about, direction) {
        (About::Host, Direction::Incoming) => "incoming.host",
        (About::Host, Direction::Outgoing) => "outgoing.host",
        (About::Port, Direction::Incoming) => "incoming.port",
        (About::Port, Direction::Outgoing) => "outgoing.port",
        (About::Security, Direction::Incoming) => "incoming.security",
        (About::Security, Direction::Outgoing) => "outgoing.security",
        (About::UserName, Direction::Incoming) => "incoming.username",
        (About::UserName, Direction::Outgoing) => "outgoing.username",
        (_, Direction::Incoming) => "incoming.token",
        (_, Direction::Outgoing) => "outgoing.token",
    }
}

/// What is bound to fail about a token of this provider, whatever mailbox it is for: title and text.
pub fn of_token_alone(app: &App, token: &Token, provider: &Provider) -> Vec<(String, String)> {
    let case = Case {
        provider: Some(judgement::facts(app, provider, Some(token), None)),
        ..Case::default()
    };
    let found = ahead(&case).into_iter().filter(|one| is_meant(one, token, provider));
    found.map(|one| (one.title.to_owned(), one.text())).collect()
}

/// What is bound to fail about a provider itself: its stored secret, what it asks for.
pub fn of_provider(app: &App, provider: &Provider) -> Vec<Ahead> {
    let case = Case {
        provider: Some(judgement::facts(app, provider, None, None)),
        ..Case::default()
    };
    let mut found = ahead(&case);
    found.retain(|one| one.about != About::Secret || provider.client_auth != ClientAuth::None);
    found
}
