//! From what was typed to what may be saved: the rules of a provider (`ux.md`, 6.7), the same for the form and for `config apply`.

mod addresses;
mod input;
mod proof;

pub use input::{ProviderEdit, ProviderInput, SecretEdit, secret_expires};

use crate::actions::{FieldProblem, Problems};
use crate::app::App;
use crate::model::Name;
use crate::model::lint::{self, TenantUse};
use crate::model::mailbox::Protocol;
use crate::model::provider::{AssertionAlg, ClientAuth, Cloud, ConsentScreen, Endpoints, Provider};
use crate::model::scopes;
use crate::model::template::{self, TemplateKind};
use crate::model::token::{GrantType, Prompt};
use addresses::{address, differing, issuer};
use proof::{check_certificate, check_expiry, check_secret, check_service_account};

/// How long may an id, a tenant or the value of a parameter be?
const LONGEST: usize = 512;
/// How many extra parameters?
const MOST_PARAMETERS: usize = 20;

/// Checks a provider against all rules at once. `current` is the stored one that is to be changed; its secret may stay only while the
/// destination does (SEC-8).
pub fn check_provider(app: &App, input: &ProviderInput, current: Option<&Provider>) -> Result<ProviderEdit, Vec<FieldProblem>> {
    let mut problems = Problems::default();
    let name = match current {
        Some(current) if input.name.trim().is_empty() => Some(current.name.clone()),
        _ => problems.take("name", Name::parse(&clean(&input.name))),
    };
    if let (Some(current), Some(name)) = (current, &name)
        && current.name != *name
    {
        problems.add("name", "Name can't be changed once it is chosen");
    }
    let Some(kind) = TemplateKind::parse(&clean(&input.template)) else {
        problems.add("template", "Choose what you are connecting");
        return Err(problems.into_vec());
    };
    let template = kind.template();

    let cloud = word(&mut problems, "cloud", &input.cloud, Cloud::Global, Cloud::parse);
    let tenant = clean(&input.tenant);
    let authority = address(&mut problems, &app.gate, "authority", input.endpoints.authority.as_deref());
    let given = Endpoints {
        authority,
        graph_url: address(&mut problems, &app.gate, "graph_url", input.endpoints.graph_url.as_deref()),
        issuer: issuer(&mut problems, input.endpoints.issuer.as_deref()),
        authorize_url: address(&mut problems, &app.gate, "authorize_url", input.endpoints.authorize_url.as_deref()),
        token_url: address(&mut problems, &app.gate, "token_url", input.endpoints.token_url.as_deref()),
        device_authorization_url: address(
            &mut problems,
            &app.gate,
            "device_authorization_url",
            input.endpoints.device_authorization_url.as_deref(),
        ),
        revocation_url: address(
            &mut problems,
            &app.gate,
            "revocation_url",
            input.endpoints.revocation_url.as_deref(),
        ),
        admin_consent_url: address(
            &mut problems,
            &app.gate,
            "admin_consent_url",
            input.endpoints.admin_consent_url.as_deref(),
        ),
        userinfo_url: address(&mut problems, &app.gate, "userinfo_url", input.endpoints.userinfo_url.as_deref()),
        iss_announced: input.endpoints.iss_announced,
        discovered_at: input.endpoints.discovered_at,
    };
    let grant = match clean(&input.grant).as_str() {
        "" => GrantType::AuthorizationCode,
        word => problems.take("grant", kind.grant(word)).unwrap_or(GrantType::AuthorizationCode),
    };
    let tenant_given = Some(tenant.as_str()).filter(|tenant| !tenant.is_empty());
    let defaults = template::endpoints(kind, cloud, tenant_given, given.authority.as_deref());
    let home = template::endpoints(kind, cloud, tenant_given, None);
    let used = given.or(defaults.clone());
    let at_home = template::at_home(kind, used.token_url.as_deref());
    check_tenant(&mut problems, kind, cloud, &tenant, &given, grant);
    if used.authorize_url.is_none() && !problems.has("authorize_url") {
        problems.add("authorize_url", "Enter the authorize address, or read it from the issuer");
    }
    if used.token_url.is_none() && !problems.has("token_url") {
        problems.add("token_url", "Enter the token address, or read it from the issuer");
    }

    // Ids and secrets have the provider's shape at the provider's own hosts; a stand-in has shapes of its own.
    let shape = if at_home { kind } else { TemplateKind::Custom };
    let client_id = clean(&input.client_id);
    let destination_changes = current.is_some_and(|current| moves(input, current));
    let service_account = check_service_account(&mut problems, input, kind, grant, destination_changes);
    // A service account proves itself: people who sign in need the client besides.
    let acts = grant == GrantType::JwtBearer || service_account.is_some() || input.has_service_account;
    let no_client = client_id.is_empty() && acts;
    if !no_client {
        problems.note(
            "client_id",
            lint::client_id(shape, &client_id).or_else(|| too_long("Client ID", &client_id)),
        );
    }
    let client_auth = word(
        &mut problems,
        "client_auth",
        &input.client_auth,
        template.client_auth,
        ClientAuth::parse,
    );
    let overrides = differing(given, &defaults, &home);
    let secret = if no_client && input.client_secret.is_none() {
        SecretEdit::Keep
    } else {
        check_secret(&mut problems, input, current, client_auth, shape, &client_id, destination_changes)
    };
    let expires = check_expiry(&mut problems, app, input, current, client_auth);
    let certificate = check_certificate(&mut problems, app, input, current, client_auth);
    let alg = word(
        &mut problems,
        "assertion_alg",
        &input.assertion_alg,
        AssertionAlg::default(),
        AssertionAlg::parse,
    );

    let consent_screen = match clean(&input.consent_screen).as_str() {
        "" => None,
        _ if kind != TemplateKind::Google => {
            problems.add("consent_screen", "Only Google has a consent screen to choose. Leave it out");
            None
        }
        text => {
            let screen = ConsentScreen::parse(text);
            if screen.is_none() {
                problems.add("consent_screen", "Consent screen must be internal, production or testing");
            }
            screen
        }
    };
    if grant == GrantType::ClientCredentials && client_auth == ClientAuth::None {
        problems.add(
            "client_auth",
            "An app that proves nothing gets no token of its own. Choose a client secret or a certificate",
        );
    }
    let scopes = match input.scopes.as_deref() {
        None if grant == GrantType::ClientCredentials && kind == TemplateKind::Microsoft => {
            Some(vec![template::app_only_scope(cloud, Protocol::Imap)])
        }
        None => Some(template::scopes_of(kind, cloud, &["imap", "smtp"])),
        Some(text) => check_scopes(&mut problems, kind, cloud, text),
    };
    let prompt = match input.prompt.as_deref() {
        None => Some(template.prompt),
        Some(text) => check_prompt(&mut problems, text),
    };
    let pkce = input.pkce.unwrap_or(true);
    if !pkce && kind != TemplateKind::Custom {
        problems.add("pkce", "PKCE can be turned off for another OAuth provider only");
    }
    let extra_authorize_params = match &input.extra_authorize_params {
        None => template
            .extra_authorize_params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        Some(pairs) => check_parameters(&mut problems, pairs),
    };
    match (name, scopes, prompt) {
        (Some(name), Some(scopes), Some(prompt)) => {
            problems.check()?;
            Ok(ProviderEdit {
                name,
                template: kind,
                tenant: tenant_given.map(str::to_owned),
                cloud,
                client_id,
                client_auth,
                secret,
                service_account,
                client_secret_expires: expires,
                certificate,
                assertion_alg: alg,
                consent_screen,
                grant,
                scopes,
                prompt,
                login_hint: input.login_hint.unwrap_or(true),
                pkce,
                overrides,
                extra_authorize_params,
            })
        }
        _ => Err(problems.into_vec()),
    }
}

/// Whether saving this would send secrets elsewhere than they go now (SEC-8, [`Provider::destination`]).
pub fn moves(input: &ProviderInput, current: &Provider) -> bool {
    let text = |value: &Option<String>| value.as_deref().map(clean).filter(|text| !text.is_empty());
    let given = Endpoints {
        authority: text(&input.endpoints.authority),
        graph_url: text(&input.endpoints.graph_url),
        issuer: text(&input.endpoints.issuer),
        token_url: text(&input.endpoints.token_url),
        device_authorization_url: text(&input.endpoints.device_authorization_url),
        revocation_url: text(&input.endpoints.revocation_url),
        userinfo_url: text(&input.endpoints.userinfo_url),
        ..Endpoints::default()
    };
    let moved = Provider {
        template: TemplateKind::parse(&clean(&input.template)).unwrap_or(current.template),
        tenant: Some(clean(&input.tenant)).filter(|tenant| !tenant.is_empty()),
        cloud: Cloud::parse(&clean(&input.cloud)).unwrap_or(Cloud::Global),
        overrides: given,
        ..current.clone()
    };
    moved.destination() != current.destination()
}

/// A pasted text without blanks, line breaks and quotes around it.
pub fn clean(text: &str) -> String {
    let text = text.trim();
    for (open, close) in [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’')] {
        if let Some(inner) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
            && !inner.contains([open, close])
        {
            return inner.trim().to_owned();
        }
    }
    text.to_owned()
}

/// Scopes as pasted, taken apart and checked against each other.
pub(in crate::actions) fn check_scopes(problems: &mut Problems, kind: TemplateKind, cloud: Cloud, text: &str) -> Option<Vec<String>> {
    let scopes = problems.take("scopes", scopes::parse_scopes(text))?;
    match scopes::conflict(kind, cloud, &scopes) {
        Some(conflict) => {
            problems.add("scopes", conflict);
            None
        }
        None => Some(scopes),
    }
}

/// A prompt by its word; empty: none is sent.
pub(in crate::actions) fn check_prompt(problems: &mut Problems, text: &str) -> Option<Prompt> {
    let prompt = Prompt::parse(&clean(text));
    if prompt.is_none() {
        problems.add(
            "prompt",
            "Prompt must be select_account, consent, login or none, or empty to send none",
        );
    }
    prompt
}

fn word<T: Copy + std::fmt::Display>(
    problems: &mut Problems,
    field: &'static str,
    text: &str,
    default: T,
    parse: fn(&str) -> Option<T>,
) -> T {
    match clean(text).as_str() {
        "" => default,
        text => parse(text).unwrap_or_else(|| {
            let label = match field {
                "cloud" => "Cloud must be global, usgov, dod or china",
                "assertion_alg" => "Assertions are signed with PS256 or RS256",
                _ => "How the client proves itself must be secret_post, secret_basic, certificate or none",
            };
            problems.add(field, label);
            default
        }),
    }
}

fn too_long(label: &str, text: &str) -> Option<String> {
    (text.len() > LONGEST).then(|| format!("{label} must be {LONGEST} characters or fewer"))
}

fn check_tenant(problems: &mut Problems, kind: TemplateKind, cloud: Cloud, tenant: &str, given: &Endpoints, grant: GrantType) {
    if kind != TemplateKind::Microsoft {
        if kind == TemplateKind::Google && grant == GrantType::JwtBearer {
            if !tenant.is_empty() && !lint::is_domain(tenant) {
                problems.add("tenant", "Domain must be the one of your Workspace, like contoso.com");
            }
        } else if !tenant.is_empty() {
            problems.add("tenant", "Only Microsoft has a directory (tenant) ID. Leave it out");
        }
        if cloud != Cloud::Global {
            problems.add("cloud", "Only Microsoft has separate clouds. Leave it out");
        }
        return;
    }
    // With all addresses given there is nothing left to build from it.
    let built = given.authorize_url.is_none() || given.token_url.is_none() || given.issuer.is_none();
    if built || !tenant.is_empty() {
        let used_for = match grant {
            GrantType::ClientCredentials => TenantUse::AppOnly,
            GrantType::Password => TenantUse::Password,
            GrantType::AuthorizationCode | GrantType::DeviceCode | GrantType::JwtBearer => TenantUse::SignIn,
        };
        problems.note("tenant", lint::tenant(tenant, used_for));
    }
}

fn check_parameters(problems: &mut Problems, pairs: &[(String, String)]) -> Vec<(String, String)> {
    let mut taken: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs {
        let (name, value) = (clean(name), clean(value));
        if name.is_empty() && value.is_empty() {
            continue;
        }
        let problem = lint::extra_parameter(&name).or_else(|| {
            if taken.iter().any(|(other, _)| *other == name) {
                Some(format!("Parameter {name} is there twice"))
            } else if value.chars().any(char::is_control) || value.len() > LONGEST {
                Some(format!("Value of {name} must be one line of {LONGEST} characters or fewer"))
            } else {
                None
            }
        });
        match problem {
            Some(problem) => problems.add("extra_authorize_params", problem),
            None => taken.push((name, value)),
        }
    }
    if taken.len() > MOST_PARAMETERS {
        problems.add(
            "extra_authorize_params",
            format!("Extra parameters must be {MOST_PARAMETERS} or fewer"),
        );
    }
    taken
}
