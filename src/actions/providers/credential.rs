//! Replaces what an app proves itself with, a client secret or a certificate in any mix. The new one is proved at the provider before the
//! old one goes, and the old one may stay as fallback for a while. Every step is one write of one row, so whatever stops the program in
//! between leaves a credential that works: first a certificate waits beside the one in use, then it takes its place.

use super::trial::{self, Trial};
use super::{Saved, audit, save, seal};
use crate::actions::{ActionError, place};
use crate::app::App;
use crate::model::credential::{Fallback, StoredCertificate};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::report::Diagnosis;
use crate::model::{Date, ProviderId, audit::Actor};
use crate::oauth::{Client, KeyedCertificate};
use crate::secret::ClientSecret;
use crate::store::{StoreError, StoreResult};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tracing::warn;

/// How often is it written down that a fallback was needed, in seconds?
const NOTE_EVERY: i64 = 86_400;

/// What is to take over.
#[derive(Debug, Clone)]
pub enum New {
    /// A client secret and the day it ends, checked with [`super::check_secret`].
    Secret(ClientSecret, Option<Date>),
    /// A certificate.
    Certificate(KeyedCertificate),
    /// The certificate that waits already.
    Waiting,
}

/// On what terms.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms {
    /// The last day on which the old one still counts; none: it goes at once.
    pub keep_until: Option<Date>,
    /// Also if the provider's answer proves nothing.
    pub even_untried: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Replaced {
    /// It is in use. `proved`: the provider has taken it.
    Done {
        /// The provider as it is now.
        saved: Box<Saved>,
        /// Whether the provider has taken it.
        proved: bool,
    },
    /// The provider refuses it; the old one stays in use. A certificate goes on waiting.
    Refused(Diagnosis, String),
    /// It couldn't be tried, or the answer doesn't tell; the old one stays in use. A certificate goes on waiting.
    Unclear(String),
}

/// Puts a new credential in the place of the one in use, after the provider has taken it. Where there is none in use there is nothing to
/// lose, and it is taken over without that. [`StoreError::Stale`] if somebody saved the provider meanwhile.
pub async fn replace(app: &App, actor: &Actor, current: &Provider, new: New, terms: Terms) -> Result<Replaced, ActionError> {
    let in_use = current.held().is_some() || current.client_auth == ClientAuth::None;
    let (current, candidate) = match new {
        New::Secret(secret, expires) => (current.clone(), with_secret(app, actor, current, &secret, expires)),
        New::Certificate(certificate) if in_use => {
            let waits = propose(app, actor, current, &certificate).await?;
            let candidate = with_waiting(&waits)?;
            (waits, candidate)
        }
        New::Certificate(certificate) => {
            let waits = waiting(app, actor, current, &certificate);
            (current.clone(), with_waiting(&waits)?)
        }
        New::Waiting => (current.clone(), with_waiting(current)?),
    };
    let held = candidate.held().ok_or(StoreError::Stale)?;
    let client = Client::with(&candidate, place::credential(app, &candidate, &held)?);
    let trial = trial::try_client(app, &client).await;
    let proved = matches!(trial, Trial::Accepted(_));
    match trial {
        Trial::Refused(diagnosis, said) if in_use => return Ok(Replaced::Refused(diagnosis, said)),
        Trial::Unclear(said) | Trial::Unreachable(_, said) if in_use && !terms.even_untried => return Ok(Replaced::Unclear(said)),
        _ => {}
    }
    let mut candidate = candidate;
    candidate.credentials.fallback = terms.keep_until.and_then(|until| {
        let held = current.held()?;
        let used_at = None;
        Some(Fallback { until, held, used_at })
    });
    let saved = write(app, actor, &current, candidate).await?;
    Ok(Replaced::Done {
        saved: Box::new(saved),
        proved,
    })
}

/// The provider with a new credential in use, to be tried before it is saved; the one in use now is dropped from it. Writes nothing.
pub fn candidate(app: &App, actor: &Actor, current: &Provider, new: &New) -> Result<Provider, StoreError> {
    let mut new = match new {
        New::Secret(secret, expires) => with_secret(app, actor, current, secret, *expires),
        New::Certificate(certificate) => with_waiting(&waiting(app, actor, current, certificate))?,
        New::Waiting => with_waiting(current)?,
    };
    new.updated_at = app.clock.now();
    Ok(new)
}

/// Takes a certificate in: it waits where another credential is in use, and is in use where none is.
pub async fn add(app: &App, actor: &Actor, current: &Provider, certificate: &KeyedCertificate) -> Result<Provider, ActionError> {
    if current.held().is_some() || current.client_auth == ClientAuth::None {
        return propose(app, actor, current, certificate).await;
    }
    let new = with_waiting(&waiting(app, actor, current, certificate))?;
    Ok(write(app, actor, current, new).await?.provider)
}

/// Puts a certificate beside the credential in use, where it waits until the provider knows it.
pub async fn propose(app: &App, actor: &Actor, current: &Provider, certificate: &KeyedCertificate) -> Result<Provider, ActionError> {
    let new = waiting(app, actor, current, certificate);
    Ok(write(app, actor, current, new).await?.provider)
}

/// Forgets the certificate that waits.
pub async fn discard(app: &App, actor: &Actor, current: &Provider) -> Result<Saved, ActionError> {
    let mut new = current.clone();
    new.credentials.next = None;
    write(app, actor, current, new).await
}

/// Forgets the credential that was in use before.
pub async fn drop_fallback(app: &App, actor: &Actor, current: &Provider) -> Result<Saved, ActionError> {
    if current.rests_on_fallback(app.clock.now()) {
        let message = "What was in use before is what the provider takes now, so it can't be forgotten. Replace what is in use first";
        return Err(ActionError::field("fallback", message));
    }
    let mut new = current.clone();
    new.credentials.fallback = None;
    write(app, actor, current, new).await
}

/// Forgets credentials that were kept as fallback and count no more: their seals go with them (SEC-13).
pub async fn forget_outdated(app: &App) -> Result<(), ActionError> {
    let now = app.clock.now();
    for provider in app.store.providers().await? {
        if provider.credentials.fallback.as_ref().is_none_or(|fallback| fallback.counts(now)) {
            continue;
        }
        match drop_fallback(app, &Actor::console(), &provider).await {
            // Somebody saves it just now: the next time.
            Ok(_) | Err(ActionError::Store(StoreError::Stale)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes down, at most once a day, that the provider refuses the credential in use and took the one before it.
pub async fn note_fallback(app: &App, provider: &ProviderId) {
    if let Err(error) = note(app, provider).await {
        warn!(%error, "That a provider took the credential before the one in use could not be written down");
    }
}

async fn note(app: &App, provider: &ProviderId) -> StoreResult<()> {
    let now = app.clock.now();
    let Some(provider) = app.store.provider_by_id(provider).await? else {
        return Ok(());
    };
    let Some(fallback) = &provider.credentials.fallback else {
        return Ok(());
    };
    if fallback.used_at.is_some_and(|at| now.since(at) < NOTE_EVERY) {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    if tx.note_fallback(&provider.id, fallback, now).await? {
        let detail = format!(
            "the {} in use is refused; the {} before it works",
            provider.proof_noun(),
            fallback.held.noun()
        );
        audit(app, &mut tx, &Actor::console(), "provider.fallback", &provider, detail).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn write(app: &App, actor: &Actor, current: &Provider, mut new: Provider) -> Result<Saved, ActionError> {
    new.updated_at = app.clock.now();
    let mut tx = app.store.begin().await?;
    let saved = save(app, &mut tx, actor, current, new).await?;
    tx.commit().await?;
    Ok(saved)
}

/// The provider with a secret in use, nothing else.
fn with_secret(app: &App, actor: &Actor, current: &Provider, secret: &ClientSecret, expires: Option<Date>) -> Provider {
    let mut new = current.clone();
    if !super::is_stored(app, Some(current), current, secret) {
        new.client_secret = Some(seal(app, actor, current, secret));
    }
    if current.client_auth == ClientAuth::Certificate || current.client_auth == ClientAuth::None {
        new.client_auth = match current.template.template().client_auth {
            auth @ (ClientAuth::SecretPost | ClientAuth::SecretBasic) => auth,
            ClientAuth::Certificate | ClientAuth::None => ClientAuth::SecretPost,
        };
    }
    new.client_secret_expires = expires;
    new.credentials.certificate = None;
    new
}

/// The provider with a certificate that waits.
fn waiting(app: &App, actor: &Actor, current: &Provider, certificate: &KeyedCertificate) -> Provider {
    let mut new = current.clone();
    new.credentials.next = Some(seal_certificate(app, actor, current, certificate));
    new
}

/// The provider with the certificate in use that waits.
fn with_waiting(current: &Provider) -> Result<Provider, StoreError> {
    let next = current.credentials.next.clone().ok_or(StoreError::Stale)?;
    let mut new = current.clone();
    new.client_auth = ClientAuth::Certificate;
    new.client_secret = None;
    new.client_secret_expires = next.facts.end_date();
    new.credentials.certificate = Some(next);
    new.credentials.next = None;
    Ok(new)
}

/// Seals the private key of a certificate for where its assertions go.
pub(super) fn seal_certificate(app: &App, actor: &Actor, provider: &Provider, certificate: &KeyedCertificate) -> StoredCertificate {
    let version = super::next_version(provider);
    let destination = provider.destination();
    let sealed = app.vault.seal(
        &place::private_key(&provider.id, version, &destination),
        certificate.key.expose_secret(),
    );
    StoredCertificate {
        public: STANDARD.encode(&certificate.certificate),
        sealed,
        version,
        set_at: app.clock.now(),
        set_by: actor.name.clone(),
        facts: certificate.facts.clone(),
    }
}
