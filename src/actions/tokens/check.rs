//! From what was typed to what may be saved: the rules of a token (`ux.md`, 6.8), the same for the form and for `config apply`.

use crate::actions::providers::Warning;
use crate::actions::providers::check::{check_prompt, check_scopes, clean};
use crate::actions::{FieldProblem, Problems};
use crate::model::lint::{self, TenantUse};
use crate::model::mailbox::{Protocol, check_address};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::scopes::{self, Resource};
use crate::model::template::{TemplateKind, app_only_scope};
use crate::model::token::{Grant, GrantType, Prompt, Token};
use crate::model::{Name, ProviderId};
use crate::secret::{Password, RefreshToken};

/// Longest refresh token that is taken, in octets.
const LONGEST_TOKEN: usize = 64 * 1024;
/// Longest password that is taken, in octets.
const LONGEST_PASSWORD: usize = 1024;

/// A token as text.
#[derive(Debug, Clone, Default)]
pub struct TokenInput {
    /// Handle; empty: made from the account.
    pub name: String,
    /// `authorization_code`; empty: the provider's.
    pub grant: String,
    /// Account that must sign in.
    pub user: String,
    /// Scopes, however they were pasted; none: the provider's.
    pub scopes: Option<String>,
    /// Prompt; none: the provider's. Empty means: send none.
    pub prompt: Option<String>,
    /// Whether it may open mailboxes of other addresses.
    pub shared: bool,
    /// A refresh token of another program.
    pub refresh_token: Option<RefreshToken>,
    /// A new password, for a token that is got with one; none: the stored one stays.
    pub password: Option<Password>,
    /// Whether a password is stored that may go where the provider is now.
    pub has_password: bool,
    /// Whether a stored sign-in may be forgotten, where the change asks for it.
    pub forget: bool,
}

impl TokenInput {
    /// A stored token as text: what an edit starts from.
    pub fn of(token: &Token) -> Self {
        Self {
            name: token.name.to_string(),
            grant: token.grant.to_string(),
            user: token.user.clone().unwrap_or_default(),
            scopes: Some(token.scopes.join("\n")),
            prompt: token.prompt.map(|prompt| prompt.to_string()),
            shared: token.shared,
            refresh_token: None,
            password: None,
            has_password: false,
            forget: false,
        }
    }
}

/// A token, checked.
#[derive(Debug, Clone)]
pub struct TokenEdit {
    /// Handle.
    pub name: Name,
    /// Provider.
    pub provider_id: ProviderId,
    /// Its handle.
    pub provider: Name,
    /// How it is got.
    pub grant: GrantType,
    /// Who must sign in.
    pub user: Option<String>,
    /// Scopes.
    pub scopes: Vec<String>,
    /// Prompt; none: the provider's.
    pub prompt: Option<Prompt>,
    /// Whether it may open mailboxes of other addresses.
    pub shared: bool,
    /// A refresh token of another program.
    pub refresh_token: Option<RefreshToken>,
    /// A new password.
    pub password: Option<Password>,
    /// Whether a stored sign-in may be forgotten.
    pub forget: bool,
}

/// Checks a token of `provider` against all rules at once. `current` is the stored one that is to be changed, with what it yielded.
pub fn check_token(
    input: &TokenInput,
    provider: &Provider,
    current: Option<(&Token, Option<&Grant>)>,
) -> Result<TokenEdit, Vec<FieldProblem>> {
    let mut problems = Problems::default();
    let grant = match clean(&input.grant).as_str() {
        "" => Some(provider.grant),
        word => problems.take("grant", provider.template.grant(word)),
    };
    let way = grant.unwrap_or(GrantType::AuthorizationCode);
    check_way(&mut problems, way, provider);
    let user = match way {
        GrantType::ClientCredentials => no_user(&mut problems, &clean(&input.user)),
        _ => check_user(&mut problems, provider.template, &clean(&input.user)),
    };
    if way == GrantType::JwtBearer {
        check_domain(&mut problems, provider, user.as_deref());
    }
    let typed = clean(&input.name);
    let suggested = match way {
        GrantType::ClientCredentials => Some(provider.name.clone()),
        _ => Name::suggest(&input.user),
    };
    let name = match (current, suggested) {
        (Some((token, _)), _) if typed.is_empty() => Some(token.name.clone()),
        (None, Some(suggested)) if typed.is_empty() => Some(suggested),
        _ => problems.take("name", Name::parse(&typed)),
    };
    if let (Some((token, grant)), Some(name)) = (current, &name) {
        if token.name != *name {
            problems.add("name", "Name can't be changed once it is chosen");
        }
        // What nobody signed in for is got again by itself.
        if let Some(grant) = grant.filter(|_| !input.forget && token.grant.needs_person()) {
            let account = grant.identity.account();
            let who = if account.is_empty() { "An account" } else { account };
            if token.provider_id != provider.id {
                problems.add(
                    "provider",
                    format!(
                        "{who} is signed in at {}. With another provider that sign-in is forgotten: tick the box below",
                        token.provider
                    ),
                );
            } else if !way.needs_person() {
                problems.add(
                    "grant",
                    format!("{who} is signed in. Got another way, that sign-in is forgotten: tick the box below"),
                );
            } else if user.is_some() && !is_account(grant, token.user.as_deref(), user.as_deref()) {
                problems.add(
                    "user",
                    format!("{who} is signed in. With another account that sign-in is forgotten: tick the box below"),
                );
            }
        }
    }
    let scopes = match input.scopes.as_deref() {
        None => Some(provider.scopes.clone()),
        Some(text) => check_scopes(&mut problems, provider.template, provider.cloud, text),
    };
    let scopes = match way {
        GrantType::ClientCredentials => scopes.and_then(|scopes| own_scopes(&mut problems, provider, scopes, input.scopes.is_none())),
        _ => scopes,
    };
    let password = check_password(&mut problems, input, way);
    let prompt = match input.prompt.as_deref() {
        None => Some(None),
        Some(text) => check_prompt(&mut problems, text).map(Some),
    };
    let refresh_token = check_refresh_token(&mut problems, input.refresh_token.as_ref());
    if refresh_token.is_some() && way == GrantType::ClientCredentials {
        problems.add("refresh_token", "A token of the app itself has no refresh token. Leave it out");
    }
    match (name, grant, scopes, prompt) {
        (Some(name), Some(grant), Some(scopes), Some(prompt)) => {
            problems.check()?;
            Ok(TokenEdit {
                name,
                provider_id: provider.id.clone(),
                provider: provider.name.clone(),
                grant,
                user,
                scopes,
                prompt,
                shared: input.shared && way != GrantType::ClientCredentials,
                refresh_token,
                password,
                forget: input.forget,
            })
        }
        _ => Err(problems.into_vec()),
    }
}

/// Whether the provider can be asked in this way at all.
fn check_way(problems: &mut Problems, way: GrantType, provider: &Provider) {
    let used_for = match way {
        GrantType::ClientCredentials => TenantUse::AppOnly,
        GrantType::Password => TenantUse::Password,
        GrantType::AuthorizationCode | GrantType::DeviceCode | GrantType::JwtBearer => TenantUse::SignIn,
    };
    let tenant = provider.tenant.as_deref().unwrap_or_default();
    if provider.template == TemplateKind::Microsoft && used_for != TenantUse::SignIn && !tenant.is_empty() {
        problems.note("grant", lint::tenant(tenant, used_for));
    }
    if way == GrantType::ClientCredentials && provider.client_auth == ClientAuth::None {
        problems.add(
            "grant",
            "An app that proves nothing gets no token of its own. Give the provider a secret or a certificate",
        );
    }
    if way != GrantType::JwtBearer && provider.client_id.is_empty() {
        problems.add(
            "grant",
            "This provider has no client ID, so only its service account can get tokens. Add the client ID for others",
        );
    }
}

/// The app acts for nobody in particular.
fn no_user(problems: &mut Problems, user: &str) -> Option<String> {
    if !user.is_empty() {
        problems.add("user", "A token of the app itself belongs to no account. Leave the account empty");
    }
    None
}

/// The scopes of a token of the app's own. Microsoft takes one only, the resource with `.default`; what is about sign-ins falls away.
/// Where only the provider's scopes for sign-ins are known, the resource they are for is meant.
fn own_scopes(problems: &mut Problems, provider: &Provider, mut scopes: Vec<String>, inherited: bool) -> Option<Vec<String>> {
    scopes.retain(|scope| !scopes::is_protocol(scope));
    if provider.template != TemplateKind::Microsoft {
        return Some(scopes);
    }
    let is_one = matches!(scopes.as_slice(), [one] if one.to_ascii_lowercase().ends_with("/.default"));
    if is_one {
        return Some(scopes);
    }
    let graph = scopes::resource_of(provider.template, &scopes) == Some(Resource::Graph);
    let fitting = app_only_scope(provider.cloud, if graph { Protocol::Graph } else { Protocol::Imap });
    if inherited || scopes.is_empty() {
        return Some(vec![fitting]);
    }
    problems.add(
        "scopes",
        format!(
            "A token of the app itself has one permission, the server with .default: {fitting}. What it allows is granted to the app there"
        ),
    );
    None
}

fn check_password(problems: &mut Problems, input: &TokenInput, way: GrantType) -> Option<Password> {
    let given = input.password.clone().filter(|password| !password.expose_secret().is_empty());
    match (way, &given) {
        (GrantType::Password, None) if !input.has_password => problems.add("password", "Enter the password"),
        (GrantType::Password, Some(password)) if password.expose_secret().len() > LONGEST_PASSWORD => {
            problems.add("password", format!("Password must be {LONGEST_PASSWORD} characters or fewer"));
        }
        (GrantType::Password, Some(password)) if password.expose_secret().chars().any(char::is_control) => {
            problems.add("password", "Password can't have line breaks or control characters");
        }
        (GrantType::Password, _) | (_, None) => {}
        (_, Some(_)) => problems.add("password", "Only a token that is got with a password has one. Leave it out"),
    }
    given
}

/// The account: an address at the providers we know; at others whatever one line without blanks they call it.
fn check_user(problems: &mut Problems, kind: TemplateKind, user: &str) -> Option<String> {
    if user.is_empty() {
        problems.add("user", "Enter the account that must sign in");
        return None;
    }
    if let Some(address) = check_address(user) {
        return Some(address);
    }
    let plain = user.len() <= 320 && !user.chars().any(|c| c.is_control() || c.is_whitespace());
    if kind == TemplateKind::Custom && plain && !user.contains('@') {
        return Some(user.to_owned());
    }
    problems.add("user", "Account that must sign in must be an address like support@example.com");
    None
}

/// A service account acts for accounts of its domain.
fn check_domain(problems: &mut Problems, provider: &Provider, user: Option<&str>) {
    let domain = provider.tenant.as_deref().unwrap_or_default();
    let Some((_, of)) = user.and_then(|user| user.rsplit_once('@')) else {
        return;
    };
    if !domain.is_empty() && !of.eq_ignore_ascii_case(domain) {
        problems.add(
            "user",
            format!(
                "Account is at {of}, and the service account acts for {domain}. Enter an account there, or change the provider's domain"
            ),
        );
    }
}

fn check_refresh_token(problems: &mut Problems, given: Option<&RefreshToken>) -> Option<RefreshToken> {
    let text = clean(given?.expose_secret());
    if text.is_empty() {
        return None;
    }
    if text.len() > LONGEST_TOKEN || !text.bytes().all(|b| b.is_ascii_graphic()) {
        problems.add(
            "refresh_token",
            "Refresh token has a line break, a blank or another character no token has. Copy it again",
        );
        return None;
    }
    Some(RefreshToken::new(text))
}

/// Whether a stored sign-in is also one of the new account: the same name, or the one the provider named.
pub(super) fn is_account(grant: &Grant, old: Option<&str>, new: Option<&str>) -> bool {
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let names = [grant.identity.username.as_deref(), grant.identity.email.as_deref(), Some(old)];
    names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(new))
}

/// What may be saved about a token and still deserves a word.
pub fn lint(token: &Token, provider: &Provider) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if token.grant.needs_person()
        && let Some(text) = scopes::offline_access_missing(provider.template, &token.scopes)
    {
        warnings.push(Warning {
            field: "scopes",
            text: text.to_owned(),
        });
    }
    let identity = ["openid", "email", "profile", "offline_access"];
    if !scopes::is_left_open(token.grant, provider.template) && token.scopes.iter().all(|scope| identity.contains(&scope.as_str())) {
        warnings.push(Warning {
            field: "scopes",
            text: "No permission for mail is asked for".to_owned(),
        });
    }
    warnings
}

#[cfg(test)]
mod tests;
