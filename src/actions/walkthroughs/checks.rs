//! *Check now*: one function a kind. Most of them do what leaves a record elsewhere (a check of the provider, a test, a renewal), and the
//! record tells; what leaves none is told here.

use super::facts::of_person;
use super::{ActionError, Walk};
use crate::actions::access_token::press_renew;
use crate::actions::probe::{self, Options, Order, ProofError};
use crate::actions::providers::{service_account, trial};
use crate::actions::{consent, place};
use crate::app::App;
use crate::diagnosis::{Evidence, diagnose};
use crate::model::UserId;
use crate::model::audit::Actor;
use crate::model::mailbox::Mailbox;
use crate::model::provider::Provider;
use crate::model::report::{Diagnosis, Direction, Outcome, Stage};
use crate::model::template::TemplateKind;
use crate::model::token::{GrantType, Prompt, Token};
use crate::model::walkthrough::{Check, Step};
use crate::oauth::authorization::{SignIn, begin, exchange};
use crate::oauth::password::with_password;
use crate::oauth::{Client, Credential, OAuthError, ServiceKey};
use crate::secret::{Nonce, Password};
use std::time::Duration;

/// How long is a message waited for?
const ARRIVES_WITHIN: Duration = Duration::from_secs(15);
/// How much of a page is looked at, in octets?
const PAGE: usize = 64 * 1024;

/// Who asks, and what they typed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The person.
    pub user: &'a UserId,
    /// A mailbox that must stay closed; empty: the one of the last proof.
    pub address: &'a str,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// A record tells.
    Look,
    /// It is so.
    Holds(String),
    /// It isn't so.
    Wrong(Option<Diagnosis>, String),
    /// It can't be told; why.
    Untold(String),
}

fn untold(why: &str) -> Finding {
    Finding::Untold(why.to_owned())
}

/// Checks a step.
pub(super) async fn check(app: &App, actor: &Actor, request: &Request<'_>, walk: &Walk, step: &Step) -> Result<Finding, ActionError> {
    let Some(provider) = &walk.provider else {
        return Ok(match step.check {
            Check::Person => untold("Only a person knows. Choose I've done this"),
            _ => untold("There is no provider here yet"),
        });
    };
    match step.check {
        Check::App if provider.template == TemplateKind::Microsoft => known_app(app, provider).await,
        Check::App | Check::Credential | Check::Replaced => check_provider(app, actor, provider).await,
        Check::ServiceKey => service_key(app, provider).await,
        Check::Redirect => redirect(app, provider).await,
        Check::Consent | Check::Roles if consent::is_known(provider) => consented(app, actor, walk, provider).await,
        Check::Permissions | Check::SignedIn => match &walk.token {
            Some(token) if walk.grant.is_some() => renew(app, token).await,
            _ => Ok(untold("The first sign-in proves it")),
        },
        Check::Delegation => match &walk.token {
            Some(token) => renew(app, token).await,
            None => Ok(untold("A signed request acts for an account. Add the token of one first")),
        },
        Check::Renewed => renewed(app, walk, provider).await,
        Check::MailOn | Check::Incoming | Check::Tests => match &walk.mailbox {
            Some(mailbox) if walk.mailbox_uses_token() => mail(app, actor, request, mailbox, step.check).await,
            _ => Ok(untold("Once the mailbox is here and uses the token, a test proves it")),
        },
        Check::Limit => limit(app, actor, request, walk).await,
        Check::PublicOff => public_off(app, walk, provider).await,
        Check::Person => Ok(untold("Only a person knows. Choose I've done this")),
        _ => Ok(Finding::Look),
    }
}

async fn check_provider(app: &App, actor: &Actor, provider: &Provider) -> Result<Finding, ActionError> {
    match trial::check(app, actor, provider).await {
        Ok(check) => {
            // Whether the sign-in server is there is no part of what is proved, but without it nothing is.
            let broken = check.steps.first().filter(|step| step.outcome == Outcome::Failed);
            Ok(match broken {
                Some(step) => Finding::Wrong(step.diagnosis.clone(), format!("{}: {}", step.title, step.detail)),
                None if check
                    .steps
                    .iter()
                    .all(|step| step.outcome != Outcome::Failed && !trial::is_told(step)) =>
                {
                    untold("The answer doesn't tell. The first sign-in proves it")
                }
                None => Finding::Look,
            })
        }
        Err(ActionError::Vault(_)) => Ok(Finding::Wrong(
            None,
            "What is stored can't be opened for where the provider is now. Put it in again".to_owned(),
        )),
        Err(error) => Err(error),
    }
}

/// Whether the tenant is there and knows the app: a made-up code, and no proof of the app at all. It complains about the app first.
async fn known_app(app: &App, provider: &Provider) -> Result<Finding, ActionError> {
    let server = trial::server(app, provider).await;
    if server.outcome == Outcome::Failed {
        return Ok(Finding::Wrong(server.diagnosis, server.detail));
    }
    let client = Client::with(provider, Credential::Public);
    let (code, verifier) = (Nonce::new(app.random.base64url(32)), Nonce::new(app.random.base64url(32)));
    let back = trial::redirect_uri(app, provider).await?;
    let error = exchange(&app.http, &client, &code, Some(&verifier), &back).await.err();
    Ok(match error {
        None => untold("A made-up code was accepted, so the answer doesn't tell"),
        Some(error) => {
            let diagnosis = trial::diagnosis_of(app, provider, &error);
            let tenant = provider.tenant.as_deref().unwrap_or("common");
            match &error {
                OAuthError::Refused(_) if is_unknown(&diagnosis) => Finding::Wrong(Some(diagnosis.clone()), diagnosis.title),
                OAuthError::Refused(_) => Finding::Holds(format!("Found {} in tenant {tenant}", provider.client_id)),
                _ => Finding::Wrong(Some(diagnosis.clone()), diagnosis.title),
            }
        }
    })
}

fn is_unknown(diagnosis: &Diagnosis) -> bool {
    let ids = [
        "entra-700016-app-not-found",
        "entra-90002-tenant-not-found",
        "entra-900023-tenant-malformed",
    ];
    ids.contains(&diagnosis.id.as_str())
}

/// Whether sign-ins may return here: asked for one that shows no page, the provider sends it back at once, or says why not.
async fn redirect(app: &App, provider: &Provider) -> Result<Finding, ActionError> {
    let back = trial::redirect_uri(app, provider).await?;
    let client = Client::new(provider, None);
    let sign_in = SignIn {
        redirect_uri: &back,
        scopes: &[],
        prompt: Prompt::None,
        login_hint: None,
    };
    let asked = match begin(&client, &sign_in, &*app.random) {
        Ok(request) => app.http.get(&request.url, None).await,
        Err(error) => Err(error),
    };
    let exchange = match asked {
        Ok(exchange) => exchange,
        Err(error) => {
            let diagnosis = trial::diagnosis_of(app, provider, &error);
            return Ok(Finding::Wrong(Some(diagnosis.clone()), diagnosis.title));
        }
    };
    if exchange.leads_to(&back) {
        return Ok(Finding::Holds(format!("{} sends people back to {back}", exchange.host)));
    }
    let text = String::from_utf8_lossy(&exchange.body[..exchange.body.len().min(PAGE)]).into_owned();
    let mismatch = text.contains("redirect_uri") && (400..500).contains(&exchange.status);
    let diagnosis = diagnose(&Evidence::text(&text));
    let known = [
        "entra-50011-redirect-mismatch",
        "entra-500113-no-reply-address",
        "google-redirect-uri-mismatch",
        "entra-700016-app-not-found",
        "google-invalid-client-not-found",
    ];
    Ok(if known.contains(&diagnosis.id.as_str()) {
        Finding::Wrong(Some(diagnosis.clone()), diagnosis.title)
    } else if mismatch {
        Finding::Wrong(None, format!("{} doesn't know {back}", exchange.host))
    } else {
        untold("The answer doesn't tell. The first sign-in proves it")
    })
}

async fn consented(app: &App, actor: &Actor, walk: &Walk, provider: &Provider) -> Result<Finding, ActionError> {
    if walk.wanted_grant() != GrantType::ClientCredentials || !consent::wanted(app, provider).await?.app_only {
        return Ok(untold("Only the next sign-in proves it"));
    }
    match consent::check(app, actor, provider).await {
        Ok(_) => Ok(Finding::Look),
        Err(ActionError::Vault(_)) => Ok(Finding::Wrong(None, "What is stored can't be opened. Put it in again".to_owned())),
        Err(error) => Err(error),
    }
}

async fn service_key(app: &App, provider: &Provider) -> Result<Finding, ActionError> {
    let file = match service_account::open(app, provider).await {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(Finding::Wrong(None, "No key is stored".to_owned())),
        Err(service_account::OpenError::Store(error)) => return Err(error.into()),
        Err(service_account::OpenError::Vault(_)) => {
            return Ok(Finding::Wrong(
                None,
                "The stored key can't be opened. Put the key file in again".to_owned(),
            ));
        }
    };
    let Ok(key) = ServiceKey::read(file.expose_secret()) else {
        return Ok(Finding::Wrong(
            None,
            "The stored key can't be read. Put the key file in again".to_owned(),
        ));
    };
    Ok(match trial::try_service_key(app, provider, &key).await {
        trial::Trial::Accepted(text) => Finding::Holds(text),
        trial::Trial::Refused(diagnosis, _) | trial::Trial::Unreachable(diagnosis, _) => {
            Finding::Wrong(Some(diagnosis.clone()), diagnosis.title)
        }
        trial::Trial::Unclear(_) => untold("The answer doesn't tell. The first token proves it"),
    })
}

async fn renew(app: &App, token: &Token) -> Result<Finding, ActionError> {
    Ok(match press_renew(app, token).await {
        Ok(_) => Finding::Look,
        Err(error) => {
            let diagnosis = error.diagnosis();
            Finding::Wrong(Some(diagnosis.clone()), diagnosis.title)
        }
    })
}

/// A token of the provider is renewed: one that somebody uses, if there is one.
async fn renewed(app: &App, walk: &Walk, provider: &Provider) -> Result<Finding, ActionError> {
    let mut tokens = app.store.tokens_of(&provider.id).await?;
    tokens.sort_by_key(|token| (walk.token.as_ref().is_none_or(|own| own.id != token.id), of_person(token)));
    for token in tokens {
        let Some(grant) = app.store.grant(&token.id).await? else {
            if token.grant.needs_person() {
                continue;
            }
            return Ok(named(renew(app, &token).await?, &token));
        };
        if place::is_current(&grant, provider) {
            return Ok(named(renew(app, &token).await?, &token));
        }
    }
    Ok(untold("No token of this provider is signed in, so there is nothing to renew"))
}

fn named(finding: Finding, token: &Token) -> Finding {
    match finding {
        Finding::Look => Finding::Holds(format!("Token {} is renewed", token.name)),
        other => other,
    }
}

/// Runs the tests of a mailbox: reading; then sending, or for what only has to be turned on the sign-in for that.
async fn mail(app: &App, actor: &Actor, request: &Request<'_>, mailbox: &Mailbox, wanted: Check) -> Result<Finding, ActionError> {
    let mut said = Vec::new();
    for direction in [Direction::Incoming, Direction::Outgoing] {
        let there = probe::side(mailbox, direction).is_some();
        if !there || (wanted == Check::Incoming && direction == Direction::Outgoing) {
            continue;
        }
        let order = Order {
            mailbox: mailbox.clone(),
            draft: false,
            direction,
            options: Options {
                login_only: wanted == Check::MailOn && direction == Direction::Outgoing,
                wait: Some(ARRIVES_WITHIN),
                ..Options::default()
            },
            user: Some(request.user.clone()),
        };
        let ended = match probe::run_to_end(app, actor, order).await {
            Ok(ended) => ended,
            Err(error) => return Ok(Finding::Untold(format!("The test can't run: {error}"))),
        };
        if let Some(diagnosis) = &ended.report.diagnosis {
            let what = if direction == Direction::Incoming { "Reading" } else { "Sending" };
            // Without an access token nobody got as far as the mailbox: that is another step's affair.
            if wanted == Check::MailOn && ended.report.failed_step().is_some_and(|step| step.step == Stage::Token) {
                return Ok(Finding::Untold(format!(
                    "{what} can't be tried before the token works: {}",
                    diagnosis.title
                )));
            }
            return Ok(Finding::Wrong(Some(diagnosis.clone()), format!("{what}: {}", diagnosis.title)));
        }
        said.push(if direction == Direction::Incoming { "read" } else { "sent from" });
    }
    Ok(match wanted {
        Check::MailOn => Finding::Holds(format!("{} can be {}", mailbox.address, said.join(" and "))),
        _ => Finding::Look,
    })
}

async fn limit(app: &App, actor: &Actor, request: &Request<'_>, walk: &Walk) -> Result<Finding, ActionError> {
    let Some(token) = &walk.token else {
        return Ok(untold("There is no token of the app yet"));
    };
    let last = app.store.proofs_of(&token.id, 1).await?.into_iter().next();
    let address = match (request.address.trim(), last) {
        ("", Some(last)) => last.address,
        ("", None) => return Ok(untold("Enter the address of a mailbox that the app must not open")),
        (typed, _) => typed.to_owned(),
    };
    match probe::prove(app, actor, request.user, token, &address).await {
        Ok(proof) if proof.outcome == crate::model::proof::ProofOutcome::Unclear => {
            Ok(Finding::Untold(format!("Not proved: {}", proof.detail)))
        }
        Ok(_) => Ok(Finding::Look),
        Err(ProofError::Address(why)) => Err(ActionError::field("address", why)),
        Err(ProofError::Store(error)) => Err(error.into()),
        Err(error) => Ok(Finding::Untold(format!("It can't be tried: {error}"))),
    }
}

/// Whether somebody could sign in with a name and a password alone: tried for an account that isn't there.
async fn public_off(app: &App, walk: &Walk, provider: &Provider) -> Result<Finding, ActionError> {
    let client = Client::with(provider, Credential::Public);
    let domain = walk.row.address.rsplit_once('@').map_or("example.com", |(_, domain)| domain);
    let user = format!("nobody-{}@{domain}", app.random.id().chars().take(12).collect::<String>());
    let password = Password::new(app.random.base64url(16));
    let scopes = vec!["openid".to_owned()];
    let Err(error) = with_password(&app.http, &client, &user, &password, &scopes).await else {
        return Ok(untold("The answer doesn't tell"));
    };
    let diagnosis = trial::diagnosis_of(app, provider, &error);
    Ok(match &error {
        OAuthError::Refused(_) if diagnosis.id == "entra-7000218-secret-missing" => {
            Finding::Holds("The app isn't allowed without a secret".to_owned())
        }
        OAuthError::Refused(_) if is_unknown(&diagnosis) => Finding::Wrong(Some(diagnosis.clone()), diagnosis.title),
        OAuthError::Refused(_) => Finding::Wrong(
            None,
            "Public client flows are on: the provider looked at a name and a password without asking for a secret".to_owned(),
        ),
        _ => Finding::Untold(diagnosis.title),
    })
}
