//! Creates, edits and deletes providers, and replaces what they prove themselves with. A secret is sealed for the destination it may be sent to; when
//! that changes it is wanted again, and grants of the old destination need a new sign-in (SEC-8).

mod changes;
pub mod check;
mod create;
pub mod credential;
pub mod lint;
pub mod service_account;
pub mod trial;

pub(in crate::actions) use changes::changes;
pub use check::{ProviderEdit, ProviderInput, SecretEdit, check_provider};
pub use create::{create, create_with, insert};
pub use lint::{Warning, lint};

use super::{ActionError, FieldProblem, place};
use crate::app::App;
use crate::diagnosis::{self, Evidence, own};
use crate::model::audit::{Actor, AuditEntry};
use crate::model::credential::{Credentials, Held};
use crate::model::provider::{ClientAuth, Provider, StoredSecret};
use crate::model::template::TemplateKind;
use crate::model::token::{Grant, GrantState, TokenEvent, TokenEventKind};
use crate::model::{Date, ProviderId};
use crate::oauth::{Discovery, discovery};
use crate::secret::ClientSecret;
use crate::store::{StoreError, StoreResult, Tx};

/// What saving a provider changed.
#[derive(Debug, Clone)]
pub struct Saved {
    /// As it is stored now.
    pub provider: Provider,
    /// What changed, in words; empty if nothing did, and then nothing was written.
    pub changes: Vec<String>,
    /// Whether secrets go elsewhere now, so that every token of it needs a new sign-in.
    pub moved: bool,
    /// Mailboxes that count as not tested since.
    pub mailboxes: u64,
}

/// The provider that results from an edit, its secret sealed for where it goes.
pub fn build(app: &App, actor: &Actor, edit: ProviderEdit, current: Option<&Provider>) -> Result<Provider, ActionError> {
    let now = app.clock.now();
    let mut provider = Provider {
        id: current.map_or_else(|| ProviderId(app.new_id()), |current| current.id.clone()),
        name: edit.name,
        template: edit.template,
        tenant: edit.tenant,
        cloud: edit.cloud,
        client_id: edit.client_id,
        client_auth: edit.client_auth,
        client_secret: None,
        client_secret_expires: edit.client_secret_expires,
        credentials: Credentials::default(),
        consent_screen: edit.consent_screen,
        grant: edit.grant,
        scopes: edit.scopes,
        prompt: edit.prompt,
        login_hint: edit.login_hint,
        pkce: edit.pkce,
        overrides: edit.overrides,
        extra_authorize_params: edit.extra_authorize_params,
        problem: current.and_then(|current| current.problem.clone()),
        problem_since: current.and_then(|current| current.problem_since),
        version: current.map_or(1, |current| current.version),
        created_at: current.map_or(now, |current| current.created_at),
        updated_at: now,
    };
    let stored = current.and_then(|current| current.client_secret.clone());
    // What was sealed for another destination doesn't open any more (SEC-8).
    let kept = current.filter(|current| current.destination() == provider.destination());
    provider.credentials = kept.map(|current| current.credentials.clone()).unwrap_or_default();
    provider.credentials.alg = edit.assertion_alg;
    provider.client_secret.clone_from(&stored);
    provider.client_secret = match edit.secret {
        SecretEdit::Keep => stored,
        SecretEdit::Remove => None,
        // The same one again, as a configuration file brings it each time, is no change.
        SecretEdit::Set(secret) if is_stored(app, current, &provider, &secret) => stored,
        SecretEdit::Set(secret) => Some(seal(app, actor, &provider, &secret)),
    };
    if let Some(certificate) = edit.certificate {
        let stored = provider.credentials.certificate.as_ref();
        if stored.is_none_or(|stored| stored.facts.sha256 != certificate.facts.sha256) {
            provider.credentials.certificate = Some(credential::seal_certificate(app, actor, &provider, &certificate));
        }
    }
    if provider.client_auth == ClientAuth::Certificate {
        let in_use = provider.credentials.certificate.as_ref();
        provider.client_secret_expires = in_use.and_then(|certificate| certificate.facts.end_date());
    } else {
        provider.credentials.certificate = None;
    }
    Ok(provider)
}

fn is_stored(app: &App, current: Option<&Provider>, new: &Provider, secret: &ClientSecret) -> bool {
    current.is_some_and(|current| {
        current.destination() == new.destination()
            && place::open_client_secret(app, current)
                .ok()
                .flatten()
                .is_some_and(|stored| stored.expose_secret() == secret.expose_secret())
    })
}

fn seal(app: &App, actor: &Actor, provider: &Provider, secret: &ClientSecret) -> StoredSecret {
    let version = next_version(provider);
    let destination = provider.destination();
    let sealed = app
        .vault
        .seal(&place::client_secret(&provider.id, version, &destination), secret.expose_secret());
    StoredSecret {
        sealed,
        version,
        set_at: app.clock.now(),
        set_by: actor.name.clone(),
        hint: app.vault.hint(secret.expose_secret()),
    }
}

/// A version that no sealed value of this provider has, or had for where its secrets go: a seal with an older one never opens again.
fn next_version(provider: &Provider) -> i64 {
    let credentials = &provider.credentials;
    let fallback = credentials.fallback.as_ref().map(|fallback| match &fallback.held {
        Held::Secret { secret, .. } => secret.version,
        Held::Certificate { certificate, .. } => certificate.version,
    });
    let certificates = [&credentials.certificate, &credentials.next];
    let versions = certificates
        .into_iter()
        .flatten()
        .map(|stored| stored.version)
        .chain(provider.client_secret.as_ref().map(|stored| stored.version))
        .chain(fallback);
    versions.max().unwrap_or(0).max(provider.version) + 1
}

/// Saves an edit of the provider that was read as `current`; [`StoreError::Stale`] if somebody saved it since.
pub async fn update(app: &App, actor: &Actor, current: &Provider, edit: ProviderEdit) -> Result<Saved, ActionError> {
    let account = edit.service_account.clone();
    let provider = build(app, actor, edit, Some(current))?;
    let mut tx = app.store.begin().await?;
    let saved = save(app, &mut tx, actor, current, provider).await?;
    if let Some((key, file)) = &account {
        service_account::set(app, &mut tx, actor, &saved.provider, key, file).await?;
    }
    tx.commit().await?;
    Ok(saved)
}

/// The provider takes the app again: its problem is over, what failed because of it is tried again at once, and tests that failed for
/// want of its tokens say nothing any more. Says whether it had one.
pub(in crate::actions) async fn recovered(app: &App, tx: &mut Tx, provider: &Provider) -> StoreResult<bool> {
    let now = app.clock.now();
    if !tx.set_provider_problem(&provider.id, None, now).await? {
        return Ok(false);
    }
    tx.retry_grants_of(&provider.id).await?;
    if let Some(over) = provider.problem_found() {
        tx.forget_failures_of_provider(&provider.id, &over.id).await?;
    }
    let entry = AuditEntry {
        action: "provider.recovered",
        target: format!("provider:{}", provider.name),
        detail: String::new(),
        outcome: "ok",
    };
    tx.audit(now, &Actor::console(), entry).await?;
    Ok(true)
}

/// Writes what differs between two states of a provider, with everything that follows from it: the audit entry, a line in the history
/// of its tokens, mailboxes that are not tested since, and a second chance for what failed because of the app.
pub async fn save(app: &App, tx: &mut Tx, actor: &Actor, old: &Provider, mut new: Provider) -> Result<Saved, StoreError> {
    let now = app.clock.now();
    let changes = changes(old, &new);
    let moved = old.destination() != new.destination();
    if changes.is_empty() {
        return Ok(Saved {
            provider: old.clone(),
            changes,
            moved: false,
            mailboxes: 0,
        });
    }
    let connection = moved
        || (&old.client_id, old.held(), old.client_auth, &old.overrides) != (&new.client_id, new.held(), new.client_auth, &new.overrides);
    if connection {
        new.problem = None;
        new.problem_since = None;
    }
    tx.update_provider(&new).await?;
    new.version += 1;
    let detail = changes.join("; ");
    let mut mailboxes = 0;
    if connection {
        mailboxes = tx.reset_mailboxes_of_provider(&new.id, now).await?;
        tx.retry_grants_of(&new.id).await?;
        let end = if moved {
            ". Secrets go to another server now, so a new sign-in is needed"
        } else {
            ""
        };
        for token in app.store.tokens_of(&new.id).await? {
            let event = TokenEvent {
                kind: TokenEventKind::Changed,
                actor: actor.name.clone(),
                text: format!("Provider {} changed: {detail}{end}.", new.name),
                at: now,
            };
            tx.add_token_event(app.new_id(), &token.id, &event).await?;
            if let Some(grant) = tx.grant(&token.id).await? {
                if moved && !token.grant.needs_person() {
                    // Got anew where the provider is now, once what it takes was entered for there.
                    tx.delete_grant(&token.id).await?;
                    continue;
                }
                follow(app, tx, &new, grant).await?;
            }
        }
    }
    audit(app, tx, actor, "provider.update", &new, detail).await?;
    Ok(Saved {
        provider: new,
        changes,
        moved,
        mailboxes,
    })
}

/// A grant of another destination waits for a new sign-in; back at its own one it counts again.
async fn follow(app: &App, tx: &mut Tx, provider: &Provider, mut grant: Grant) -> Result<(), StoreError> {
    let error = serde_json::to_string(&diagnosis::diagnose(&Evidence::own(own::DESTINATION_CHANGED))).unwrap_or_default();
    let waits = grant.state == GrantState::Revoked && grant.last_error.as_deref() == Some(error.as_str());
    match place::is_current(&grant, provider) {
        false if grant.state != GrantState::Revoked => {
            grant.state = GrantState::Revoked;
            grant.last_error = Some(error);
            grant.last_error_at = Some(app.clock.now());
        }
        true if waits => {
            grant.state = GrantState::Active;
            grant.last_error = None;
            grant.last_error_at = None;
        }
        _ => return Ok(()),
    }
    let generation = grant.generation;
    tx.update_grant(&grant, generation, None).await?;
    Ok(())
}

/// Checks a new secret and its end date as the form *Replace secret* has them.
pub fn check_secret(
    app: &App,
    provider: &Provider,
    secret: &ClientSecret,
    expires: &str,
) -> Result<(ClientSecret, Option<Date>), Vec<FieldProblem>> {
    let mut input = ProviderInput::of(provider);
    input.client_secret = Some(secret.clone());
    if provider.client_auth == ClientAuth::Certificate {
        input.client_auth = ClientAuth::SecretPost.to_string();
    }
    expires.clone_into(&mut input.client_secret_expires);
    let only = |problem: &FieldProblem| ["client_secret", "client_secret_expires"].contains(&problem.field);
    let cleaned = ClientSecret::new(check::clean(secret.expose_secret()));
    if cleaned.expose_secret().is_empty() {
        return Err(vec![FieldProblem {
            field: "client_secret",
            message: "Enter the client secret".to_owned(),
        }]);
    }
    // The stored rest may be older than today's rules; it isn't what is being saved here.
    match check_provider(app, &input, Some(provider)) {
        Ok(edit) => Ok((cleaned, edit.client_secret_expires)),
        Err(problems) if problems.iter().any(only) => Err(problems.into_iter().filter(only).collect()),
        Err(_) => Ok((cleaned, Date::parse(&check::clean(expires)))),
    }
}

/// Deletes a provider; [`StoreError::InUse`] while tokens hang on it.
pub async fn delete(app: &App, actor: &Actor, provider: &Provider) -> Result<(), ActionError> {
    let mut tx = app.store.begin().await?;
    tx.delete_provider(&provider.id).await?;
    tx.remove_setting(&trial::setting(&provider.id)).await?;
    audit(app, &mut tx, actor, "provider.delete", provider, String::new()).await?;
    tx.commit().await?;
    Ok(())
}

/// Fills the addresses of a `custom` provider in from its issuer's description, where the input has an issuer and lacks them. A stored
/// description of the same issuer counts as read: it is read again only when a person asks for it.
pub async fn complete(app: &App, input: &mut ProviderInput, current: Option<&Provider>) -> Result<Option<Discovery>, FieldProblem> {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    let wanted = TemplateKind::parse(input.template.trim()) == Some(TemplateKind::Custom)
        && given(&input.endpoints.issuer)
        && !(given(&input.endpoints.authorize_url) && given(&input.endpoints.token_url));
    let Some(issuer) = input.endpoints.issuer.clone().filter(|_| wanted) else {
        return Ok(None);
    };
    let stored = current.filter(|current| current.overrides.issuer.as_deref() == Some(check::clean(&issuer).as_str()));
    if let Some(stored) = stored.filter(|stored| stored.overrides.discovered_at.is_some()) {
        input.endpoints = input.endpoints.or(stored.overrides.clone());
        return Ok(None);
    }
    let found = discover(app, &issuer).await?;
    // What was typed by hand goes before what was read.
    let issuer = found.endpoints.issuer.clone();
    input.endpoints = input.endpoints.or(found.endpoints.clone());
    input.endpoints.issuer = issuer;
    Ok(Some(found))
}

/// Reads the description of an issuer; a failure is the problem of the field *Issuer or discovery address*.
pub async fn discover(app: &App, address: &str) -> Result<Discovery, FieldProblem> {
    let address = check::clean(address);
    discovery::discover(&app.http, &address, app.clock.now())
        .await
        .map_err(|error| FieldProblem {
            field: "issuer",
            message: error.to_string(),
        })
}

async fn audit(app: &App, tx: &mut Tx, actor: &Actor, action: &'static str, provider: &Provider, detail: String) -> Result<(), StoreError> {
    let entry = AuditEntry {
        action,
        target: format!("provider:{}", provider.name),
        detail,
        outcome: "ok",
    };
    tx.audit(app.clock.now(), actor, entry).await
}

#[cfg(test)]
mod tests;
