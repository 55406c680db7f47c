//! How a renewal ended, as it is written down: the new token set, or why there is none. Nothing here ever throws a token away.

use super::AccessError;
use crate::actions::{place, tokens};
use crate::app::App;
use crate::diagnosis::{self, Evidence, own};
use crate::model::audit::{Actor, AuditEntry};
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::scopes::Resource;
use crate::model::token::{Grant, GrantState, Identity, OtherToken, Token, TokenEventKind};
use crate::oauth::{Class, OAuthError, TokenResponse};
use crate::secret::RefreshToken;
use crate::store::{StoreResult, Tx};
use tracing::{info, warn};

/// The longest pause between two tries, in seconds, unless the provider asks for more.
const LONGEST_PAUSE: i64 = 900;
/// How many lines about successful renewals does a token's history keep?
const RENEWALS_KEPT: i64 = 30;

/// Outcome of an attempt whose answer is not known.
pub(super) const SENT: &str = "sent";
/// It brought a token set.
const OK: &str = "ok";
/// The provider answered, and refused or was no use.
const FAILED: &str = "failed";
/// No answer came, though the provider may have acted.
const UNKNOWN: &str = "unknown";
/// The provider refuses the app itself, or its secret is missing here.
pub(super) const APP: &str = "app";
/// Nothing was sent: something here speaks against it. Looked at anew each time, for it may be mended.
pub(super) const REFUSED: &str = "refused";

/// What a renewal brought, beside the grant it renews.
pub(super) struct Brought<'a> {
    /// The answer.
    pub response: &'a TokenResponse,
    /// The scopes that were asked for.
    pub sent: &'a [String],
    /// Whether the refresh token in the answer is another than the one that was used.
    pub rotated: bool,
    /// Whether no refresh token was used at all: what came stands alone.
    pub anew: bool,
    /// Whether the previous refresh token was used, not the current one.
    pub used_previous: bool,
    /// Who the answer says it is for, where that is news.
    pub identity: Option<Identity>,
    /// The other resource that the access token is for.
    pub resource: Option<Resource>,
}

/// The grant after a successful renewal (section 3, step 4 and 8).
pub(super) fn renewed(app: &App, token: &Token, grant: &Grant, brought: &Brought<'_>) -> Grant {
    let now = app.clock.now();
    let generation = grant.generation + 1;
    let mut new = grant.clone();
    let used = if brought.used_previous {
        &grant.rt_previous
    } else {
        &grant.rt_current
    };
    match brought.response.refresh_token.as_ref().filter(|_| brought.rotated) {
        Some(refresh_token) => {
            let place = place::refresh_token(&token.id, generation, &grant.destination);
            let sealed = app.vault.seal(&place, refresh_token.expose_secret());
            // The one that just worked is kept until its successor has worked too.
            new.rt_previous = used.clone().filter(|_| !brought.anew);
            new.rt_current = Some((sealed, generation));
            new.rt_current_proven = false;
            new.rt_rotated_at = Some(now);
        }
        None if brought.anew => {
            (new.rt_current, new.rt_previous, new.rt_current_proven) = (None, None, false);
        }
        None => {
            new.rt_current = used.clone();
            new.rt_previous = None;
            new.rt_current_proven = true;
        }
    }
    let (access, expires_at) = (&brought.response.access_token, now.plus(brought.response.expires_in));
    new.others
        .retain(|other| other.expires_at > now && Some(other.resource) != brought.resource);
    if let Some(resource) = brought.resource {
        let place = place::other_token(&token.id, generation, &grant.destination);
        new.others.push(OtherToken {
            resource,
            sealed: app.vault.seal(&place, access.expose_secret()).0,
            version: generation,
            issued_at: now,
            expires_at,
            scopes: brought.response.granted(brought.sent),
        });
    } else {
        let place = place::access_token(&token.id, generation, &grant.destination);
        new.access_token = Some((app.vault.seal(&place, access.expose_secret()), generation));
        new.token_type = brought.response.token_type.clone();
        new.issued_at = Some(now);
        new.expires_at = Some(expires_at);
        if brought.response.scopes.is_some() || grant.granted_scopes.is_empty() {
            new.granted_scopes = brought.response.granted(brought.sent);
        }
    }
    if let Some(identity) = &brought.identity {
        new.identity = identity.clone();
    }
    new.generation = generation;
    new.state = GrantState::Active;
    new.refreshed_at = Some(now);
    new.lease_owner = None;
    new.lease_until = None;
    new.outcome = OK.into();
    new.failures = 0;
    new.retry_at = None;
    new.last_error = None;
    new.last_error_at = None;
    new
}

/// The grant after an answer whose access token can't be used, though it brought the refresh token that counts from now on.
pub(super) fn salvaged(app: &App, token: &Token, grant: &Grant, error: &OAuthError, refresh_token: &RefreshToken) -> Grant {
    let generation = grant.generation + 1;
    let mut new = Failure::of(error, false).applied_to(app, grant);
    let place = place::refresh_token(&token.id, generation, &grant.destination);
    let sealed = app.vault.seal(&place, refresh_token.expose_secret());
    new.rt_previous = grant.rt_current.clone();
    new.rt_current = Some((sealed, generation));
    new.rt_current_proven = false;
    new.rt_rotated_at = Some(app.clock.now());
    new.generation = generation;
    new
}

/// A new token set on its way into the database.
#[derive(Clone)]
pub(super) struct Renewal {
    /// Whose it is.
    pub token: Token,
    /// Who gave it.
    pub provider: Provider,
    /// The grant with it.
    pub grant: Grant,
    /// The generation it follows.
    pub was: i64,
}

/// What became of it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It is stored, durably.
    Stored,
    /// The grant was replaced or deleted meanwhile; what stands there counts.
    Superseded,
}

/// Stores a new token set, durably when this returns. Only the generation decides: an answer that comes after the claim ran out is as
/// good as any, and the refresh token in it may be the only one left.
pub(super) async fn write(app: &App, renewal: &Renewal) -> StoreResult<Written> {
    let (token, new, now) = (&renewal.token, &renewal.grant, app.clock.now());
    let mut tx = app.store.begin().await?;
    if !tx.update_grant(new, renewal.was, None).await? {
        let gone = tx.grant(&token.id).await?.is_none();
        drop(tx);
        warn!(token.id = %token.id, "A renewal came too late: token {} was replaced meanwhile", token.name);
        if gone {
            let (app, renewal) = (app.clone(), renewal.clone());
            app.tasks.clone().spawn(async move {
                let Renewal {
                    token, provider, grant, ..
                } = &renewal;
                if let Err(error) = tokens::give_back(&app, token, provider, grant).await {
                    warn!(token.id = %token.id, %error, "What became of token {} could not be written down", token.name);
                }
            });
        }
        return Ok(Written::Superseded);
    }
    if new.state == GrantState::Active {
        let lifetime = new.expires_at.map_or(0, |end| end.since(new.issued_at.unwrap_or(now)));
        event(
            &mut tx,
            app,
            token,
            TokenEventKind::Renewed,
            format!("Valid for {}.", minutes(lifetime)),
        )
        .await?;
        tx.prune_token_events(&token.id, TokenEventKind::Renewed, RENEWALS_KEPT).await?;
        audit(&mut tx, app, token, format!("generation {}", new.generation), "ok").await?;
    } else if let Some(found) = stored(new) {
        let (kind, outcome) = match new.state {
            GrantState::Revoked => (TokenEventKind::Revoked, "refused"),
            _ => (TokenEventKind::Failed, "failed"),
        };
        event(&mut tx, app, token, kind, format!("{}.", found.title)).await?;
        audit(&mut tx, app, token, format!("{}: {}", found.id, found.title), outcome).await?;
    }
    let provider = &renewal.provider;
    if tx.set_provider_problem(&provider.id, None, now).await? {
        // The app works again: nobody has to wait for the end of a pause.
        tx.retry_grants_of(&provider.id).await?;
        let entry = AuditEntry {
            action: "provider.recovered",
            target: format!("provider:{}", provider.name),
            detail: String::new(),
            outcome: "ok",
        };
        tx.audit(now, &Actor::console(), entry).await?;
    }
    tx.commit().await?;
    Ok(Written::Stored)
}

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
    pub fn of(error: &OAuthError, unknown: bool) -> Self {
        let (own_id, text) = (error.own_id(), error.evidence());
        let class = error.class();
        Self {
            class,
            found: Box::new(diagnosis::diagnose(&Evidence { own_id, text: &text })),
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
    fn applied_to(&self, app: &App, grant: &Grant) -> Grant {
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
    info!(token.id = %token.id, diagnosis = %failure.found.id, "Renewing token {} failed: {}", token.name, failure.found.title);
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
        warn!(token.id = %token.id, %error, "Why token {} was not renewed could not be written down", token.name);
    }
    failure.told(new.retry_at)
}

/// Gives the claim back after an attempt for another resource that failed: the sign-in stands as it stood, and so do its tokens.
pub(super) async fn failed_other(app: &App, token: &Token, grant: &Grant, failure: Failure) -> AccessError {
    info!(token.id = %token.id, diagnosis = %failure.found.id, "No second access token of token {}: {}", token.name, failure.found.title);
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
        warn!(token.id = %token.id, %error, "Why token {} got no second access token could not be written down", token.name);
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
        warn!(token.id = %token.id, %error, "Why token {} can't be renewed could not be written down", token.name);
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
    let news = old.last_error != new.last_error || old.state != new.state;
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

async fn event(tx: &mut Tx, app: &App, token: &Token, kind: TokenEventKind, text: String) -> StoreResult<()> {
    tokens::event(app, tx, &token.id, kind, &Actor::console().name, text).await
}

async fn audit(tx: &mut Tx, app: &App, token: &Token, detail: String, outcome: &'static str) -> StoreResult<()> {
    tokens::audit(app, tx, &Actor::console(), "token.refresh", token, detail, outcome).await
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

fn minutes(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds / 60),
    }
}
