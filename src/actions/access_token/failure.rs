//! Why a renewal brought no token, as it is written down: once for each change, with one alarm for an app however many tokens find out.
//! Nothing here ever throws a token set away.

use super::AccessError;
use super::outcome::{APP, FAILED, REFUSED, UNKNOWN, audit, event};
use crate::app::App;
use crate::diagnosis::{self, Evidence, own};
use crate::model::audit::{Actor, AuditEntry};
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::scopes::Resource;
use crate::model::token::{Grant, GrantState, Token, TokenEventKind};
use crate::oauth::{Class, OAuthError};
use crate::store::providers::diagnosis_id;
use crate::store::{StoreResult, Tx};
use tracing::{info, warn};

/// The longest pause between two tries, in seconds, unless the provider asks for more.
const LONGEST_PAUSE: i64 = 900;

/// Why a grant was not renewed.
pub(super) struct Failure {
    /// What it means for the token.
    pub class: Class,
    /// The cause.
    pub found: Box<Diagnosis>,
    /// How long the provider wants to be left alone, in seconds.
    pub asked: i64,
    /// The word for the row.
    outcome: &'static str,
}

impl Failure {
    /// What the provider's answer, or its lack, means. `unknown`: it may have acted on one of the requests.
    pub fn of(error: &OAuthError, unknown: bool, found: Diagnosis) -> Self {
        let class = error.class();
        Self {
            class,
            found: Box::new(found),
            asked: error
                .retry_after()
                .map_or(0, |wait| i64::try_from(wait.as_secs()).unwrap_or(i64::MAX)),
            outcome: match class {
                Class::AppBroken => APP,
                Class::Transient if unknown => UNKNOWN,
                _ => FAILED,
            },
        }
    }

    /// Something here speaks against asking the provider: nothing was sent.
    pub fn here(class: Class, id: &'static str) -> Self {
        Self {
            class,
            found: Box::new(diagnosis::diagnose(&Evidence::own(id))),
            asked: 0,
            outcome: if class == Class::AppBroken { APP } else { REFUSED },
        }
    }

    /// The same where nobody can sign in to mend it.
    pub fn without_person(mut self) -> Self {
        if self.class == Class::UserMustAct {
            (self.class, self.outcome) = (Class::Transient, FAILED);
        }
        self
    }

    /// The grant that says so. Tokens stay as they are.
    pub(super) fn applied_to(&self, app: &App, grant: &Grant) -> Grant {
        let now = app.clock.now();
        let mut new = grant.clone();
        new.lease_owner = None;
        new.lease_until = None;
        new.outcome = self.outcome.into();
        new.last_error = serde_json::to_string(&self.found).ok();
        new.last_error_at = Some(now);
        if self.class == Class::UserMustAct {
            (new.state, new.retry_at) = (GrantState::Revoked, None);
        } else {
            new.failures = grant.failures.saturating_add(1);
            new.state = GrantState::Failing;
            new.retry_at = Some(now.plus(pause(app, new.failures).max(self.asked)));
        }
        new
    }

    fn told(self, retry_at: Option<crate::clock::Timestamp>) -> AccessError {
        match self.class {
            _ if self.found.id == own::DAMAGED && self.outcome == REFUSED => AccessError::Damaged(self.found),
            Class::UserMustAct => AccessError::NeedsSignIn(self.found),
            Class::AppBroken => AccessError::AppProblem(self.found),
            Class::Transient => AccessError::Transient {
                diagnosis: self.found,
                retry_at,
            },
        }
    }
}

/// Writes down why an attempt failed, and says so. `grant` is the one that was claimed.
pub(super) async fn failed(app: &App, token: &Token, provider: &Provider, grant: &Grant, failure: Failure) -> AccessError {
    let new = failure.applied_to(app, grant);
    say(token, grant, &new, &failure);
    let attempt = new.attempt_id.as_deref();
    let written = async {
        let mut tx = app.store.begin().await?;
        if tx.update_grant(&new, grant.generation, attempt).await? {
            tell(&mut tx, app, token, provider, grant, &new, &failure).await?;
            tx.commit().await?;
        }
        StoreResult::Ok(())
    };
    if let Err(error) = written.await {
        // The row still says "sent": the next one who asks will try again at once.
        warn!(token.name = %token.name, %error, "Why token {} was not renewed could not be written down", token.name);
    }
    failure.told(new.retry_at)
}

/// Tells the log: once for each cause, for it is asked again and again. What is wrong with an app is told of its provider.
fn say(token: &Token, old: &Grant, new: &Grant, failure: &Failure) {
    let (name, id, title) = (&token.name, &failure.found.id, &failure.found.title);
    let is_known = old.last_error == new.last_error && old.state == new.state;
    if is_known || failure.class == Class::AppBroken {
        info!(token.name = %name, diagnosis = %id, "Renewing token {name} failed: {title}");
    } else {
        warn!(token.name = %name, diagnosis = %id, "Renewing token {name} failed: {title}");
    }
}

/// Gives the claim back after an attempt for another resource that failed: the sign-in stands as it stood, and so do its tokens.
pub(super) async fn failed_other(app: &App, token: &Token, grant: &Grant, failure: Failure) -> AccessError {
    info!(area = "token", token.name = %token.name, diagnosis = %failure.found.id, "No second access token of token {}: {}", token.name, failure.found.title);
    let mut new = grant.clone();
    new.lease_owner = None;
    new.lease_until = None;
    let written = async {
        let mut tx = app.store.begin().await?;
        if tx.update_grant(&new, grant.generation, new.attempt_id.as_deref()).await? {
            let detail = format!("second access token: {}: {}", failure.found.id, failure.found.title);
            audit(&mut tx, app, token, detail, "failed").await?;
            tx.commit().await?;
        }
        StoreResult::Ok(())
    };
    if let Err(error) = written.await {
        warn!(token.name = %token.name, %error, "Why token {} got no second access token could not be written down", token.name);
    }
    failure.told(None)
}

/// Throws away an access token for another resource that can't be opened, and writes that down (SEC-2): the sign-in gets another one.
/// Whether it was done: not where the row has changed since.
pub(super) async fn drop_other(app: &App, token: &Token, grant: &mut Grant, resource: Resource) -> StoreResult<bool> {
    let mut new = grant.clone();
    new.others.retain(|other| other.resource != resource);
    let mut tx = app.store.begin().await?;
    if !tx.update_grant(&new, grant.generation, grant.attempt_id.as_deref()).await? {
        return Ok(false);
    }
    let found = diagnosis::diagnose(&Evidence::own(own::DAMAGED));
    let detail = format!("second access token: {}: {}", found.id, found.title);
    audit(&mut tx, app, token, detail, "failed").await?;
    tx.commit().await?;
    *grant = new;
    Ok(true)
}

/// Writes down what was found before anything was sent, once, and says so.
pub(super) async fn refused(app: &App, token: &Token, provider: &Provider, grant: &Grant, failure: Failure) -> AccessError {
    let mut new = failure.applied_to(app, grant);
    // It costs the provider nothing to look again.
    new.retry_at = None;
    let known = (&new.state, &new.last_error, &new.outcome) == (&grant.state, &grant.last_error, &grant.outcome)
        && (failure.class != Class::AppBroken || provider.problem == new.last_error);
    if !known && let Err(error) = write_refusal(app, token, provider, grant, &new, &failure).await {
        warn!(token.name = %token.name, %error, "Why token {} can't be renewed could not be written down", token.name);
    }
    failure.told(None)
}

async fn write_refusal(app: &App, token: &Token, provider: &Provider, old: &Grant, new: &Grant, failure: &Failure) -> StoreResult<()> {
    let mut tx = app.store.begin().await?;
    if tx.refuse_grant(new, old).await? {
        tell(&mut tx, app, token, provider, old, new, failure).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// History, audit and alarm: once for each change, and one alarm for an app however many tokens find out.
async fn tell(tx: &mut Tx, app: &App, token: &Token, provider: &Provider, old: &Grant, new: &Grant, failure: &Failure) -> StoreResult<()> {
    let now = app.clock.now();
    let detail = format!("{}: {}", failure.found.id, failure.found.title);
    // What a provider said differs each time: its own ids and times are in it.
    let news = diagnosis_id(old.last_error.as_deref()) != diagnosis_id(new.last_error.as_deref()) || old.state != new.state;
    if news {
        let kind = match failure.class {
            Class::UserMustAct => TokenEventKind::Revoked,
            _ => TokenEventKind::Failed,
        };
        event(tx, app, token, kind, format!("{}.", failure.found.title)).await?;
    }
    if failure.class == Class::AppBroken {
        if tx.set_provider_problem(&provider.id, new.last_error.as_deref(), now).await? {
            let entry = AuditEntry {
                action: "provider.problem",
                target: format!("provider:{}", provider.name),
                detail,
                outcome: "failed",
            };
            tx.audit(now, &Actor::console(), entry).await?;
            let (name, id, title) = (&provider.name, &failure.found.id, &failure.found.title);
            warn!(provider.name = %name, diagnosis = %id, "Provider {name} has a problem: {title}");
        }
    } else if news {
        audit(tx, app, token, detail, "failed").await?;
    }
    Ok(())
}

/// The stored reason of a failure.
pub(super) fn stored(grant: &Grant) -> Option<Diagnosis> {
    serde_json::from_str(grant.last_error.as_deref()?).ok()
}

/// Seconds until the next try: 1, 2, 4 … 15 minutes, a fifth more or less.
fn pause(app: &App, failures: i64) -> i64 {
    let steps = u32::try_from(failures.clamp(1, 11) - 1).unwrap_or(0);
    let base = (1_i64 << steps).min(LONGEST_PAUSE);
    let mut byte = [0];
    app.random.fill(&mut byte);
    let jitter = base * (i64::from(byte[0]) - 128) / 640;
    (base + jitter).clamp(1, LONGEST_PAUSE)
}

/// So many seconds, in words.
pub(super) fn minutes(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds / 60),
    }
}
