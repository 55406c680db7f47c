//! What an admin is asked to allow, and what the app's own token says of it.

use crate::actions::providers::credential;
use crate::actions::providers::trial::diagnosis_of;
use crate::actions::{ActionError, place};
use crate::app::App;
use crate::diagnosis::{Evidence, diagnose};
use crate::model::mailbox::Protocol;
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::scopes::{self, Resource};
use crate::model::template::app_only_scope;
use crate::model::token::{GrantType, Token};
use crate::oauth::{Claims, token_request};
use crate::store::StoreResult;

/// Exchange Online, as app-only tokens name it.
const EXCHANGE: &str = "https://outlook.office365.com/.default";

/// How many of an app's own tokens are looked at? Most apps have one.
const OWN_TOKENS: i64 = 100;

/// What the app itself needs for mail by Microsoft Graph, and by Exchange's own protocols.
const GRAPH_ROLES: [&str; 2] = ["Mail.ReadWrite", "Mail.Send"];
const EXCHANGE_ROLES: [&str; 3] = ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"];

/// What an admin is asked to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The app acts by itself: what it may do stands in its own token.
    pub app_only: bool,
    /// What is sent along as `scope`.
    pub scopes: Vec<String>,
    /// What has to come of it: permissions of people, or roles of the app.
    pub permissions: Vec<String>,
    /// Beside an app's own roles: what people who sign in through the same app allow. Empty where nobody does.
    pub people: Vec<String>,
    /// Which of the app's roles its own token has to hold. Not those that are asked for in case a mailbox wants them one day.
    pub(super) needed: Vec<String>,
    /// The scopes of the app's own tokens to look into, one for each resource.
    tokens: Vec<String>,
}

/// What the tokens of a provider need an admin to allow.
pub async fn wanted(app: &App, provider: &Provider) -> StoreResult<Wanted> {
    let kinds = app.store.kinds_of_tokens(&provider.id).await?;
    let is_own = |grant: GrantType| grant == GrantType::ClientCredentials;
    if !is_own(provider.grant) && !kinds.iter().any(|(grant, _)| is_own(*grant)) {
        let all = each_once(provider.scopes.iter().chain(kinds.iter().flat_map(|(_, scopes)| scopes)));
        return Ok(Wanted {
            app_only: false,
            scopes: scopes::with_identity(provider.template, &all),
            permissions: all,
            people: Vec::new(),
            needed: Vec::new(),
            tokens: Vec::new(),
        });
    }
    let signs_in = kinds.iter().filter(|(grant, _)| !is_own(*grant)).flat_map(|(_, scopes)| scopes);
    let of_people = provider.scopes.iter().filter(|_| !is_own(provider.grant)).chain(signs_in);
    let people = each_once(of_people.filter(|scope| !scope.ends_with("/.default")));
    let own = kinds.iter().filter(|(grant, _)| is_own(*grant)).flat_map(|(_, scopes)| scopes);
    let mut defaults = each_once(provider.scopes.iter().chain(own).filter(|scope| scope.ends_with("/.default")));
    let resource = |scope: &String| scopes::resource_of(provider.template, std::slice::from_ref(scope));
    let mut roles: Vec<&str> = Vec::new();
    let own = [GrantType::ClientCredentials; 2];
    for token in app.store.some_tokens_of(&provider.id, own, "", OWN_TOKENS).await? {
        for (protocol, incoming) in app.store.protocols_of_token(&token.id).await? {
            roles.push(role(protocol, incoming));
            // One token serves both resources, so its own scope names one of them only.
            let scope = app_only_scope(provider.cloud, protocol);
            if !defaults.iter().any(|known| resource(known) == resource(&scope)) {
                defaults.push(scope);
            }
        }
    }
    if defaults.is_empty() {
        defaults.push(EXCHANGE.to_owned());
    }
    // Where no mailbox says what it needs: what the provider's card names.
    let open = roles.is_empty();
    if open {
        for default in &defaults {
            roles.extend(if resource(default) == Some(Resource::Graph) {
                &GRAPH_ROLES[..]
            } else {
                &EXCHANGE_ROLES
            });
        }
    }
    roles.sort_unstable();
    roles.dedup();
    let needs = |name: &&&str| !open || **name != role(Protocol::Pop3, true);
    Ok(Wanted {
        app_only: true,
        needed: roles.iter().filter(needs).map(|role| (*role).to_owned()).collect(),
        // One address stands for everything the app's registration lists.
        scopes: defaults[..1].to_vec(),
        permissions: roles.into_iter().map(str::to_owned).collect(),
        people,
        tokens: defaults,
    })
}

/// The scopes of a provider and its tokens, each once.
pub fn all_scopes(provider: &Provider, tokens: &[Token]) -> Vec<String> {
    each_once(provider.scopes.iter().chain(tokens.iter().flat_map(|token| &token.scopes)))
}

fn each_once<'a>(scopes: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for scope in scopes {
        if !all.contains(scope) {
            all.push(scope.clone());
        }
    }
    all
}

const fn role(protocol: Protocol, incoming: bool) -> &'static str {
    match (protocol, incoming) {
        (Protocol::Imap, _) => "IMAP.AccessAsApp",
        (Protocol::Pop3, _) => "POP.AccessAsApp",
        (Protocol::Smtp, _) => "SMTP.SendAsApp",
        (Protocol::Graph, true) => "Mail.ReadWrite",
        (Protocol::Graph, false) => "Mail.Send",
    }
}

/// What a permission lets the app do, in plain words; empty for one nobody here knows.
pub fn plain(permission: &str) -> &'static str {
    let name = permission.rsplit('/').next().unwrap_or(permission);
    match name {
        "IMAP.AccessAsUser.All" => "Read and sort the mail of whoever signs in, with IMAP",
        "POP.AccessAsUser.All" => "Read the mail of whoever signs in, with POP",
        "SMTP.Send" => "Send mail as whoever signs in, with SMTP",
        "IMAP.AccessAsApp" => "Read and sort mail with IMAP, in the mailboxes that Exchange opens for the app",
        "POP.AccessAsApp" => "Read mail with POP, in the mailboxes that Exchange opens for the app",
        "SMTP.SendAsApp" => "Send mail with SMTP, as the mailboxes that Exchange opens for the app",
        "Mail.Read" | "Mail.ReadBasic" => "Read mail with Microsoft Graph",
        "Mail.ReadWrite" => "Read and sort mail with Microsoft Graph",
        "Mail.Send" => "Send mail with Microsoft Graph",
        "Mail.Read.Shared" => "Read shared mailboxes with Microsoft Graph",
        "Mail.ReadWrite.Shared" => "Read and sort shared mailboxes with Microsoft Graph",
        "Mail.Send.Shared" => "Send from shared mailboxes with Microsoft Graph",
        "User.Read" => "See the profile of whoever signs in",
        "offline_access" => "Stay signed in, without asking each hour",
        "openid" | "email" | "profile" => "See who signed in",
        _ => "",
    }
}

/// What became of looking into the app's own token.
pub(super) enum Look {
    /// The permissions in it.
    Roles(Vec<String>),
    /// It couldn't be got, or not be read.
    Dark(Diagnosis, String),
}

/// Gets the app's own token, looks at the permissions in it, and throws it away.
pub(super) async fn look(app: &App, provider: &Provider, wanted: &Wanted) -> Result<Look, ActionError> {
    let client = place::client(app, provider)?;
    let mut roles: Vec<String> = Vec::new();
    for scope in wanted.tokens.iter().take(3) {
        let form = vec![("grant_type", "client_credentials".to_owned()), ("scope", scope.clone())];
        let answer = token_request(&app.http, &client, form, &[]).await;
        if client.fell_back() {
            credential::note_fallback(app, &provider.id).await;
        }
        match answer {
            Ok(response) => match Claims::of(&response.access_token) {
                Some(claims) => roles.extend(claims.roles),
                None => {
                    let said = "The token doesn't say what it may do.".to_owned();
                    return Ok(Look::Dark(diagnose(&Evidence::text(&said)), said));
                }
            },
            Err(error) => return Ok(Look::Dark(diagnosis_of(app, provider, &error), error.evidence())),
        }
    }
    roles.sort();
    roles.dedup();
    Ok(Look::Roles(roles))
}

/// Which of the roles that are needed are not held.
pub(super) fn lacking(needed: &[String], held: &[String]) -> Vec<String> {
    needed.iter().filter(|role| !held.contains(role)).cloned().collect()
}
