//! *Save and check*, and trying a new secret before the old one goes: what can be proved about an app registration without anybody
//! signing in. What can't is listed as proved by the first sign-in.

mod own;

pub use own::{acting, try_key};

use super::place;
use crate::actions::judgement::{of_provider, of_trial};
use crate::actions::{ActionError, settings};
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{Evidence, diagnose};
use crate::model::ProviderId;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::report::{Diagnosis, Outcome};
use crate::model::template::{self, TemplateKind};
use crate::model::token::GrantType;
use crate::oauth::{Client, Credential, DiscoveryError, OAuthError, ServiceKey, authorization, discovery, service_account, token_request};
use crate::secret::Nonce;
use crate::store::StoreResult;
use serde::{Deserialize, Serialize};

/// A step of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckStep {
    /// What was looked at.
    pub title: String,
    /// How that went; a warning: it can't be told.
    pub outcome: Outcome,
    /// One line of evidence.
    pub detail: String,
    /// What a failure means.
    pub diagnosis: Option<Diagnosis>,
    /// What the provider said, secrets removed.
    pub said: String,
}

/// A check of a provider, kept until the next one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// When.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// The version of the provider it was made with.
    pub version: i64,
    /// Its steps in order.
    pub steps: Vec<CheckStep>,
}

impl Check {
    /// Whether a step failed.
    pub fn failed(&self) -> bool {
        self.steps.iter().any(|step| step.outcome == Outcome::Failed)
    }
}

/// What a check can't prove, and what proves it.
pub const fn unproved(grant: GrantType) -> (&'static [&'static str], &'static str) {
    match grant {
        GrantType::AuthorizationCode => (
            &[
                "The redirect address is registered",
                "The permissions are allowed, by an admin where your organisation wants that",
                "The account has a mailbox and may open it this way",
            ],
            "Proved by the first sign-in",
        ),
        GrantType::DeviceCode => (
            &[
                "The app is known, and may get codes for other devices",
                "The permissions are allowed, by an admin where your organisation wants that",
                "The account has a mailbox and may open it this way",
            ],
            "Proved by the first sign-in",
        ),
        GrantType::Password => (
            &[
                "The app is known, and allows public client flows where it has no secret here",
                "An admin has allowed the permissions: nobody is asked at a sign-in of this kind",
                "The account signs in with its password alone, and has a mailbox",
            ],
            "Proved by the first sign-in",
        ),
        GrantType::ClientCredentials => (
            &[
                "The mailboxes are open to the app, by IMAP, POP and SMTP only where Exchange lets it",
                "Mailboxes it has no business with are closed to it",
            ],
            "Proved by tests of mailboxes, and on the token's page",
        ),
        GrantType::JwtBearer => (
            &["The accounts have mailboxes, and IMAP is on for them"],
            "Proved by tests of mailboxes",
        ),
    }
}

/// What became of a client secret when it was tried.
#[derive(Debug, Clone, PartialEq)]
pub enum Trial {
    /// The provider took it.
    Accepted(String),
    /// The provider refuses it, or doesn't know the app.
    Refused(Diagnosis, String),
    /// Its answer proves nothing either way.
    Unclear(String),
    /// There was no usable answer.
    Unreachable(Diagnosis, String),
}

pub(in crate::actions) fn setting(provider: &ProviderId) -> String {
    format!("provider_check.{provider}")
}

/// The last check of a provider.
pub async fn last(app: &App, provider: &ProviderId) -> Result<Option<Check>, ActionError> {
    let stored = app.store.setting(&setting(provider)).await?;
    Ok(stored.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Checks a provider with the secret that is stored, and keeps what came of it.
pub async fn check(app: &App, actor: &Actor, provider: &Provider) -> Result<Check, ActionError> {
    let mut client = place::client(app, provider)?;
    // What is in use is what is asked about.
    client.fallback = None;
    let mut steps = vec![server(app, provider).await];
    let reached = steps[0].outcome != Outcome::Failed;
    if !provider.client_id.is_empty() {
        match (reached, provider.grant, provider.client_auth) {
            // Without a secret only these ways are open to the app: the made-up code of a sign-in would be refused for the lack of one.
            (_, GrantType::Password | GrantType::DeviceCode, ClientAuth::None) => {}
            (false, ..) => steps.push(not_tried(proof_step(provider))),
            (true, GrantType::ClientCredentials, _) => steps.extend(own::steps(app, &client).await),
            (true, ..) => steps.push(secret_step(provider, try_client(app, &client).await)),
        }
    }
    steps.extend(own::key_step(app, provider, reached).await?);
    let check = Check {
        at: app.clock.now(),
        by: actor.name.clone(),
        version: provider.version,
        steps,
    };
    let mut tx = app.store.begin().await?;
    let text = serde_json::to_string(&check).unwrap_or_default();
    tx.put_setting(&setting(&provider.id), &text).await?;
    if !check.failed() && check.steps.iter().any(is_told) {
        super::recovered(app, &mut tx, provider).await?;
    }
    let entry = AuditEntry {
        action: "provider.check",
        target: format!("provider:{}", provider.name),
        detail: check
            .steps
            .iter()
            .map(|s| format!("{}: {}", s.title, s.outcome))
            .collect::<Vec<_>>()
            .join("; "),
        outcome: if check.failed() { "failed" } else { "ok" },
    };
    tx.audit(app.clock.now(), actor, entry).await?;
    tx.commit().await?;
    Ok(check)
}

/// A step that never began.
fn not_tried(title: String) -> CheckStep {
    CheckStep {
        title,
        outcome: Outcome::Skipped,
        detail: "Not tried".to_owned(),
        diagnosis: None,
        said: String::new(),
    }
}

/// Whether a step of a check is about what the app proves itself with.
pub fn is_proof(provider: &Provider, step: &CheckStep) -> bool {
    step.title == proof_step(provider)
}

/// Whether a step tells whether the app is what it says, or its key.
pub fn is_told(step: &CheckStep) -> bool {
    (step.title.starts_with("The app is known") || is_key(step)) && step.outcome == Outcome::Passed
}

/// Whether it is about the key of a service account.
pub fn is_key(step: &CheckStep) -> bool {
    step.title == own::KEY_STEP
}

fn proof_step(provider: &Provider) -> String {
    match provider.client_auth {
        ClientAuth::None => "The app is known".to_owned(),
        ClientAuth::Certificate => "The app is known and its certificate is accepted".to_owned(),
        ClientAuth::SecretPost | ClientAuth::SecretBasic => "The app is known and its secret is accepted".to_owned(),
    }
}

/// Whether the sign-in server is there, and for Microsoft the tenant in this cloud.
pub async fn server(app: &App, provider: &Provider) -> CheckStep {
    let endpoints = provider.endpoints();
    let microsoft = provider.template == TemplateKind::Microsoft;
    let title = if microsoft {
        "The tenant exists in this cloud"
    } else {
        "The sign-in server answers"
    };
    let step = |outcome, detail: String| CheckStep {
        title: title.to_owned(),
        outcome,
        detail,
        diagnosis: None,
        said: String::new(),
    };
    let address = match (microsoft, &endpoints.authorize_url, &endpoints.issuer) {
        // The authorize address names the tenant as it was typed; the issuer may hold a pattern.
        (true, Some(url), _) if url.contains("/oauth2/v2.0/authorize") => {
            url.replace("/oauth2/v2.0/authorize", "/v2.0/.well-known/openid-configuration")
        }
        (false, _, Some(issuer)) => issuer.clone(),
        _ => {
            return step(
                Outcome::Skipped,
                "No issuer is known, so there is no description to read".to_owned(),
            );
        }
    };
    match discovery::discover(&app.http, &address, app.clock.now()).await {
        Ok(found) => step(Outcome::Passed, format!("Described at {}", found.source)),
        // Microsoft's description names the directory id where the address has a domain.
        Err(DiscoveryError::OtherIssuer(issuer)) if microsoft => step(Outcome::Passed, format!("Described as {issuer}")),
        Err(DiscoveryError::Failed(error)) => CheckStep {
            diagnosis: Some(diagnosis_of(app, provider, &error)),
            said: error.evidence(),
            ..step(Outcome::Failed, error.to_string())
        },
        Err(error @ DiscoveryError::NotADescription(_))
            if microsoft && template::at_home(provider.template, endpoints.token_url.as_deref()) =>
        {
            let diagnosis = diagnose(&Evidence::text("AADSTS90002"));
            CheckStep {
                diagnosis: Some(diagnosis),
                ..step(Outcome::Failed, error.to_string())
            }
        }
        // Not every provider publishes one; the token address decides.
        Err(error) => step(Outcome::Warning, error.to_string()),
    }
}

fn secret_step(provider: &Provider, trial: Trial) -> CheckStep {
    let (outcome, detail, diagnosis, said) = match trial {
        Trial::Accepted(detail) => (Outcome::Passed, detail, None, String::new()),
        Trial::Unclear(said) => (
            Outcome::Warning,
            "The answer doesn't tell. The first sign-in proves it".to_owned(),
            None,
            said,
        ),
        Trial::Refused(diagnosis, said) | Trial::Unreachable(diagnosis, said) => {
            (Outcome::Failed, diagnosis.title.clone(), Some(diagnosis), said)
        }
    };
    CheckStep {
        title: proof_step(provider),
        outcome,
        detail,
        diagnosis,
        said,
    }
}

/// Tries what an app proves itself with: the token endpoint is asked to take a made-up code, and what it complains about tells. Microsoft looks at the code
/// first, so there the app's own token is asked for too; it is thrown away.
pub async fn try_client(app: &App, client: &Client<'_>) -> Trial {
    let provider = client.provider;
    let code = Nonce::new(app.random.base64url(32));
    let verifier = Nonce::new(app.random.base64url(32));
    let redirect = match redirect_uri(app, provider).await {
        Ok(redirect) => redirect,
        Err(error) => return Trial::Unclear(error.to_string()),
    };
    let made_up = authorization::exchange(&app.http, client, &code, Some(&verifier), &redirect).await;
    let trial = judge(app, client, made_up.err());
    let microsoft = provider.template == TemplateKind::Microsoft && provider.client_auth != ClientAuth::None;
    let named_tenant = provider
        .tenant
        .as_deref()
        .is_some_and(|t| !["common", "organizations", "consumers"].contains(&t.to_ascii_lowercase().as_str()));
    if matches!(trial, Trial::Accepted(_) | Trial::Unclear(_)) && microsoft && named_tenant {
        let graph = client.endpoints.graph_url.clone().unwrap_or_default();
        let form = vec![
            ("grant_type", "client_credentials".to_owned()),
            ("scope", format!("{graph}/.default")),
        ];
        return match token_request(&app.http, client, form, &[]).await {
            Ok(_) => Trial::Accepted(format!(
                "The app proved itself with its {}",
                provider.proof_noun().trim_start_matches("client ")
            )),
            Err(error) => match judge(app, client, Some(error)) {
                Trial::Accepted(_) | Trial::Unclear(_) | Trial::Unreachable(..) => trial,
                refused => refused,
            },
        };
    }
    trial
}

/// Tries the key of a service account: it asks for a token for itself. What accounts it may act for shows with the first of them.
pub async fn try_service_key(app: &App, provider: &Provider, key: &ServiceKey) -> Trial {
    let client = Client::with(provider, Credential::Public);
    let mail = vec!["https://mail.google.com/".to_owned()];
    let scopes = if provider.scopes.is_empty() { &mail } else { &provider.scopes };
    let error = match service_account::prove(&app.http, &client, key, scopes, app.clock.now()).await {
        Ok(()) => return Trial::Accepted("The key was accepted".to_owned()),
        Err(error) => error,
    };
    let said = error.evidence();
    match &error {
        OAuthError::Refused(refused) => match refused.error.as_str() {
            "invalid_grant" | "invalid_client" => Trial::Refused(diagnosis_of(app, provider, &error), said),
            // The signature counted; what it may do is set at the provider, and shows with the first token.
            "unauthorized_client" | "access_denied" => Trial::Accepted("The key was accepted".to_owned()),
            _ => Trial::Unclear(said),
        },
        OAuthError::Incomplete(_) => Trial::Refused(diagnosis_of(app, provider, &error), said),
        _ => Trial::Unreachable(diagnosis_of(app, provider, &error), said),
    }
}

fn judge(app: &App, client: &Client<'_>, error: Option<OAuthError>) -> Trial {
    let Some(error) = error else {
        return Trial::Unclear("A made-up code was accepted".to_owned());
    };
    let said = error.evidence();
    match &error {
        OAuthError::Refused(refused) => match refused.error.as_str() {
            "invalid_grant" | "invalid_code" => Trial::Accepted("Only the made-up code was refused".to_owned()),
            "invalid_client" | "unauthorized_client" | "deleted_client" | "disabled_client" | "invalid_client_secret" => {
                Trial::Refused(of_trial(app, client, &error), said)
            }
            _ => {
                let diagnosis = of_trial(app, client, &error);
                // Microsoft files a tenant or app it doesn't know under other words too.
                if ["entra-700016-app-not-found", "entra-90002-tenant-not-found"].contains(&diagnosis.id.as_str()) {
                    Trial::Refused(diagnosis, said)
                } else {
                    Trial::Unclear(said)
                }
            }
        },
        OAuthError::Incomplete(_) => Trial::Refused(of_trial(app, client, &error), said),
        _ => Trial::Unreachable(of_trial(app, client, &error), said),
    }
}

/// The cause of a failed exchange with a provider, from all that is known of it.
pub fn diagnosis_of(app: &App, provider: &Provider, error: &OAuthError) -> Diagnosis {
    of_provider(app, provider, None, None, error)
}

/// Where a provider sends the browser back to: one address for each, from the public address alone (OAUTH-4, OAUTH-5).
pub async fn redirect_uri(app: &App, provider: &Provider) -> StoreResult<String> {
    settings::url(app, &format!("/oauth/callback/{}", provider.name)).await
}
