//! What the console knows of a failure, put together for the diagnosis: settings, token and provider beside the other side's words.

use super::{access_token, place, settings};
use crate::app::App;
use crate::diagnosis::case::{Aim, Case, Held, Provider as Facts};
use crate::diagnosis::ways::Scene;
use crate::diagnosis::{Evidence, judge};
use crate::model::Date;
use crate::model::bundle::without_secrets;
use crate::model::lint::is_guid;
use crate::model::mailbox::{Auth, Mailbox, Side};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::report::{Diagnosis, Direction, Outcome, Report, Stage};
use crate::model::template::TemplateKind;
use crate::model::token::{Grant, GrantType, Token};
use crate::oauth::{Client, Credential, OAuthError};
use crate::probe::Failure;
use crate::store::StoreResult;

const DAY: i64 = 86_400;
/// How much of what a provider said is kept with its diagnosis, in characters?
const SAID: usize = 4_000;

/// What a test knows besides its steps, filled in as it goes.
#[derive(Default)]
pub struct Known {
    /// The access token in use.
    pub held: Option<Held>,
    /// The provider it is from.
    pub provider: Option<Facts>,
    /// By how many seconds this server's clock is ahead of the provider's.
    pub clock_ahead: Option<i64>,
}

/// The cause of a refusal at a provider, or of its silence. `token` and `grant` where it was about one.
pub fn of_provider(app: &App, provider: &Provider, token: Option<&Token>, grant: Option<&Grant>, error: &OAuthError) -> Diagnosis {
    of_answer(app, provider, facts(app, provider, token, grant), error)
}

/// The cause of a refusal of what an app proves itself with, which may not be what is stored.
pub fn of_trial(app: &App, client: &Client<'_>, error: &OAuthError) -> Diagnosis {
    let provider = client.provider;
    let mut facts = facts(app, provider, None, None);
    if let Credential::SecretPost(secret) | Credential::SecretBasic(secret) = &client.credential {
        let stored = place::open_client_secret(app, provider).ok().flatten();
        facts.secret_is_id = is_guid(secret.expose_secret());
        // The date is the stored one's.
        let is_stored = stored.is_some_and(|stored| stored.expose_secret() == secret.expose_secret());
        facts.secret_ended_days = facts.secret_ended_days.filter(|_| is_stored);
    }
    of_answer(app, provider, facts, error)
}

fn of_answer(app: &App, provider: &Provider, facts: Facts, error: &OAuthError) -> Diagnosis {
    let said = error.evidence();
    let mut diagnosis = judge(&Case {
        evidence: Evidence {
            own_id: error.own_id(),
            text: &said,
        },
        step: Some(Stage::Token),
        provider: Some(facts),
        clock_ahead: clock_ahead(app, provider),
        ..Case::default()
    });
    // Known secrets are out of it; a provider may say others.
    let shown = without_secrets(&said).plain();
    diagnosis.said = shown.chars().take(SAID).collect();
    diagnosis
}

/// The cause of a failure at this step of a test of this side.
pub fn of_test(failure: &Failure, report: &Report, mailbox: &Mailbox, side: &Side, direction: Direction, known: Known) -> Diagnosis {
    let passed = report
        .steps
        .iter()
        .filter(|step| matches!(step.outcome, Outcome::Passed | Outcome::Warning));
    judge(&Case {
        evidence: Evidence {
            own_id: failure.own_id,
            text: &failure.evidence,
        },
        step: report.failed_step().map(|step| step.step),
        passed: passed.map(|step| step.step).collect(),
        transient: failure.transient,
        side: Some(aim(mailbox, side, direction)),
        token: known.held,
        provider: known.provider,
        clock_ahead: known.clock_ahead,
    })
}

/// What is known of a provider, and of the sign-in of one of its tokens.
pub fn facts(app: &App, provider: &Provider, token: Option<&Token>, grant: Option<&Grant>) -> Facts {
    let now = app.clock.now();
    let days = |since| now.since(since).div_euclid(DAY);
    let has_secret = matches!(provider.client_auth, ClientAuth::SecretPost | ClientAuth::SecretBasic);
    let secret = place::open_client_secret(app, provider).ok().flatten().filter(|_| has_secret);
    Facts {
        template: provider.template,
        label: provider.template.template().short,
        cloud: provider.cloud,
        tenant: provider.tenant.clone(),
        client_id: provider.client_id.clone(),
        client_auth: provider.client_auth,
        consent_screen: provider.consent_screen,
        secret_is_id: secret.is_some_and(|secret| is_guid(secret.expose_secret())),
        secret_ended_days: provider
            .client_secret_expires
            .map(|end| -end.days_after(Date::of(now, &app.settings.zone()))),
        scopes: token.map_or(&provider.scopes, |token| &token.scopes).clone(),
        signed_in_days: grant.and_then(|grant| grant.authorized_at).map(days),
        used_days: grant.and_then(|grant| grant.refreshed_at.max(grant.authorized_at)).map(days),
    }
}

/// By how many seconds this server's clock is ahead of the provider's, where the provider has said what time it is.
pub fn clock_ahead(app: &App, provider: &Provider) -> Option<i64> {
    let address = url::Url::parse(provider.endpoints().token_url.as_deref()?).ok()?;
    app.http.clock_ahead(address.host_str()?, app.clock.now())
}

/// How many redirect addresses are named where no provider is meant?
const MOST_REDIRECTS: usize = 20;

/// What is known around a failure that is about no record in particular: this console, and where providers send people back to.
pub async fn scene_of_console(app: &App) -> StoreResult<Scene> {
    let mut redirects = Vec::new();
    for provider in app.store.providers().await?.into_iter().take(MOST_REDIRECTS) {
        let address = settings::url(app, &format!("/oauth/callback/{}", provider.name)).await?;
        redirects.push((provider.name.to_string(), address));
    }
    Ok(Scene {
        redirects,
        console: settings::url(app, "/").await?,
        ..Scene::default()
    })
}

/// What is known around a provider, for the ways out of a failure.
pub async fn scene_of_provider(app: &App, provider: &Provider) -> StoreResult<Scene> {
    let token_url = provider.endpoints().token_url.unwrap_or_default();
    let token_url = url::Url::parse(&token_url).ok();
    let port = token_url.as_ref().and_then(url::Url::port_or_known_default);
    let host = token_url.and_then(|url| url.host_str().map(str::to_owned));
    let service = app.store.service_account(&provider.id).await?;
    let certificate = provider.credentials.certificate.as_ref().map(|certificate| &certificate.facts);
    Ok(Scene {
        provider: Some(provider.name.to_string()),
        template: Some(provider.template),
        client_auth: Some(provider.client_auth),
        tenant: provider.tenant.clone().unwrap_or_default(),
        client_id: provider.client_id.clone(),
        service_client: service.map(|stored| stored.account.client_id).unwrap_or_default(),
        app_name: format!("Mailgrant {}", provider.name),
        redirect: settings::url(app, &format!("/oauth/callback/{}", provider.name)).await?,
        consent_redirect: match provider.template {
            TemplateKind::Microsoft => settings::url(app, &format!("/oauth/admin-consent/{}", provider.name)).await?,
            _ => String::new(),
        },
        thumbprints: certificate.map_or_else(Vec::new, |facts| {
            vec![("SHA-1", facts.sha1.clone()), ("SHA-256", facts.sha256.clone())]
        }),
        scopes: provider.scopes.clone(),
        provider_host: host.unwrap_or_default(),
        provider_port: port.unwrap_or(443),
        console: settings::url(app, "/").await?,
        ..Scene::default()
    })
}

/// What is known around a token.
pub async fn scene_of_token(app: &App, token: &Token, provider: &Provider) -> StoreResult<Scene> {
    let grant = app.store.grant(&token.id).await?;
    let identity = grant.as_ref().map(|grant| grant.identity.account().to_owned());
    let app_only = token.grant == GrantType::ClientCredentials;
    let object_id = grant.as_ref().filter(|_| app_only).and_then(|grant| {
        let read = access_token::read_claims(app, token, provider, grant);
        read.into_iter().filter_map(|read| read.claims?.object_id).next()
    });
    Ok(Scene {
        token: Some(token.name.to_string()),
        grant: Some(token.grant),
        account: match identity.filter(|account| !account.is_empty() && !app_only) {
            Some(account) => account,
            None => token.user.clone().unwrap_or_default(),
        },
        object_id: object_id.unwrap_or_default(),
        scopes: token.scopes.clone(),
        ..scene_of_provider(app, provider).await?
    })
}

/// What is known around a side of a mailbox.
pub async fn scene_of_mailbox(app: &App, mailbox: &Mailbox, direction: Direction) -> StoreResult<Scene> {
    let side = match direction {
        Direction::Incoming => mailbox.incoming.as_ref(),
        Direction::Outgoing => mailbox.outgoing.as_ref(),
    };
    let token = match side.map(|side| &side.auth) {
        Some(Auth::OAuth2 { token_id, .. }) => app.store.token_by_id(token_id).await?,
        _ => None,
    };
    let provider = match &token {
        Some(token) => app.store.provider_by_id(&token.provider_id).await?,
        None => None,
    };
    let mut scene = match (&token, &provider) {
        (Some(token), Some(provider)) => scene_of_token(app, token, provider).await?,
        _ => Scene {
            console: settings::url(app, "/").await?,
            ..Scene::default()
        },
    };
    scene.mailbox = Some(mailbox.name.to_string());
    scene.direction = Some(direction);
    mailbox.address.clone_into(&mut scene.address);
    mailbox.sender().clone_into(&mut scene.sender);
    if let Some(side) = side {
        let aim = aim(mailbox, side, direction);
        (scene.host, scene.port, scene.user_name) = (aim.host, aim.port, aim.user_name);
        (scene.protocol, scene.security) = (Some(aim.protocol), Some(aim.security));
    }
    Ok(scene)
}

/// What is tried at a side.
pub fn aim(mailbox: &Mailbox, side: &Side, direction: Direction) -> Aim {
    let protocol = side.server.protocol();
    let (host, port, security) = match side.server.endpoint() {
        Some(endpoint) => (endpoint.host.clone(), endpoint.port, endpoint.security),
        None => (String::new(), protocol.ports().0, crate::model::mailbox::Security::Tls),
    };
    Aim {
        protocol,
        direction,
        host,
        port,
        security,
        password: matches!(side.auth, Auth::Password { .. }),
        address: mailbox.address.clone(),
        user_name: mailbox.login(side).to_owned(),
    }
}
