//! How a renewal ended, written down: the new token set, or why there is none. Nothing here ever throws a token away.

use super::{AccessError, recovery};
use crate::actions::place;
use crate::app::App;
use crate::diagnosis::{self, Evidence, own};
use crate::model::audit::{Actor, AuditEntry};
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::token::{Grant, GrantState, Token, TokenEvent, TokenEventKind};
use crate::oauth::{Class, OAuthError, TokenResponse};
use crate::store::{StoreError, StoreResult, Tx};
use tracing::{error, info, warn};

/// The longest pause between two tries, in seconds, unless the provider asks for more.
const LONGEST_PAUSE: i64 = 900;

/// An attempt as it was claimed.
pub(super) struct Attempt {
    /// Its id in the row.
    pub id: String,
    /// The generation it renews.
    pub generation: i64,
}

/// The grant after a successful renewal (section 3, step 4 and 8).
pub(super) fn renewed(app: &App, token: &Token, grant: &Grant, response: &TokenResponse, used_previous: bool) -> Grant {
    let now = app.clock.now();
    let generation = grant.generation + 1;
    let mut new = grant.clone();
    match &response.refresh_token {
        Some(refresh_token) => {
            let sealed = app.vault.seal(
                &place::refresh_token(&token.id, generation, &grant.destination),
                refresh_token.expose_secret(),
            );
            // The one that just worked is kept until its successor has worked too.
            new.rt_previous = if used_previous {
                grant.rt_previous.clone()
            } else {
                grant.rt_current.clone()
            };
            new.rt_current = Some((sealed, generation));
            new.rt_current_proven = false;
            new.rt_rotated_at = Some(now);
        }
        None => {
            if used_previous {
                new.rt_current = grant.rt_previous.clone();
            }
            new.rt_previous = None;
            new.rt_current_proven = true;
        }
    }
    let access = app.vault.seal(
        &place::access_token(&token.id, generation, &grant.destination),
        response.access_token.expose_secret(),
    );
    new.access_token = Some((access, generation));
    new.token_type = response.token_type.clone();
    new.issued_at = Some(now);
    new.expires_at = Some(now.plus(response.expires_in));
    if response.scopes.is_some() {
        new.granted_scopes = response.granted(&token.scopes);
    }
    new.generation = generation;
    new.state = GrantState::Active;
    new.refreshed_at = Some(now);
    new.lease_owner = None;
    new.lease_until = None;
    new.outcome = "ok".into();
    new.failures = 0;
    new.retry_at = None;
    new.last_error = None;
    new.last_error_at = None;
    new
}

/// Makes a new token set last; only then may anyone be answered. When the database takes no writes it is kept beside it and written
/// later. [`AccessError`] if it lasts nowhere yet (it is still tried again while the program runs).
pub(super) async fn store(
    app: &App,
    token: &Token,
    provider: &Provider,
    attempt: &Attempt,
    new: Grant,
    response: &TokenResponse,
) -> Result<(), AccessError> {
    let first = write(app, token, provider, attempt, &new, response.expires_in).await;
    let problem = match first {
        Ok(()) => return Ok(()),
        Err(problem) => problem,
    };
    recovery::drop_ballast(app);
    if write(app, token, provider, attempt, &new, response.expires_in).await.is_ok() {
        return Ok(());
    }
    error!(token = %token.name, cause = %problem, "A renewed token can't be stored in the database; it is kept in the recovery folder");
    let kept = recovery::keep(app, token, &new);
    let (app, token, provider) = (app.clone(), token.clone(), provider.clone());
    let attempt = Attempt {
        id: attempt.id.clone(),
        generation: attempt.generation,
    };
    let lifetime = response.expires_in;
    app.tasks.clone().spawn(async move {
        for pause in [1, 2, 4, 8, 15, 30].into_iter().chain(std::iter::repeat(60)) {
            tokio::select! {
                () = tokio::time::sleep(std::time::Duration::from_secs(pause)) => {}
                () = app.stopping.cancelled() => break,
            }
            if write(&app, &token, &provider, &attempt, &new, lifetime).await.is_ok() {
                recovery::forget(&app, &token, new.generation);
                recovery::make_ballast(&app);
                info!(token = %token.name, "A renewed token that waited is stored now");
                return;
            }
        }
    });
    match kept {
        Ok(()) => Ok(()),
        Err(problem) => {
            error!(cause = %problem, "A renewed token could not be kept in the recovery folder either");
            Err(AccessError::own(AccessError::Busy, own::DISK_FULL))
        }
    }
}

async fn write(app: &App, token: &Token, provider: &Provider, attempt: &Attempt, new: &Grant, lifetime: i64) -> StoreResult<()> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if !tx.update_grant(new, attempt.generation, Some(&attempt.id)).await? {
        // Somebody signed in meanwhile, or logged out: what they stored stands.
        warn!(token = %token.name, "A renewal came too late: the token was replaced meanwhile");
        return Ok(());
    }
    let text = format!("Valid for {}.", minutes(lifetime));
    event(&mut tx, app, token, TokenEventKind::Renewed, text).await?;
    if tx.set_provider_problem(&provider.id, None, now).await? {
        let entry = AuditEntry {
            action: "provider.recovered",
            target: format!("provider:{}", provider.name),
            detail: String::new(),
            outcome: "ok",
        };
        tx.audit(now, &Actor::console(), entry).await?;
    }
    let entry = AuditEntry {
        action: "token.refresh",
        target: format!("token:{}", token.name),
        detail: format!("generation {}", new.generation),
        outcome: "ok",
    };
    tx.audit(now, &Actor::console(), entry).await?;
    tx.commit().await
}

/// Writes down why a renewal failed, and says so. Tokens stay as they are.
pub(super) async fn failed(
    app: &App,
    token: &Token,
    provider: &Provider,
    grant: Grant,
    attempt: &Attempt,
    error: &OAuthError,
) -> AccessError {
    let now = app.clock.now();
    let found = Box::new(diagnosis::diagnose(&Evidence {
        own_id: error.own_id(),
        text: &error.evidence(),
    }));
    let class = error.class();
    let mut new = grant.clone();
    new.lease_owner = None;
    new.lease_until = None;
    new.failures = grant.failures + 1;
    new.outcome = if error.outcome_unknown() {
        "unknown".into()
    } else {
        "failed".into()
    };
    new.last_error = serde_json::to_string(&found).ok();
    new.last_error_at = Some(now);
    new.attempt_id = Some(attempt.id.clone());
    match class {
        Class::UserMustAct => (new.state, new.retry_at) = (GrantState::Revoked, None),
        _ => (new.state, new.retry_at) = (GrantState::Failing, Some(now.plus(pause(app, new.failures, error)))),
    }
    if let Err(problem) = write_failure(app, token, provider, &grant, &new, attempt, class, &found).await {
        warn!(token = %token.name, cause = %problem, "Why a renewal failed could not be written down");
    }
    info!(token = %token.name, diagnosis = %found.id, "Renewing a token failed");
    match class {
        Class::UserMustAct => AccessError::NeedsSignIn(found),
        Class::AppBroken => AccessError::AppProblem(found),
        Class::Transient => AccessError::Transient {
            diagnosis: found,
            retry_at: new.retry_at,
        },
    }
}

#[expect(clippy::too_many_arguments, reason = "one transaction, told everything")]
async fn write_failure(
    app: &App,
    token: &Token,
    provider: &Provider,
    old: &Grant,
    new: &Grant,
    attempt: &Attempt,
    class: Class,
    found: &Diagnosis,
) -> StoreResult<()> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if !tx.update_grant(new, attempt.generation, Some(&attempt.id)).await? {
        return Ok(());
    }
    let same = old.last_error == new.last_error && old.state == new.state;
    match class {
        Class::AppBroken => {
            // One alarm for the app, however many tokens find out.
            let problem = serde_json::to_string(found).unwrap_or_default();
            if tx.set_provider_problem(&provider.id, Some(&problem), now).await? {
                let entry = AuditEntry {
                    action: "provider.problem",
                    target: format!("provider:{}", provider.name),
                    detail: format!("{}: {}", found.id, found.title),
                    outcome: "failed",
                };
                tx.audit(now, &Actor::console(), entry).await?;
            }
        }
        _ if !same => {
            let kind = if class == Class::UserMustAct {
                TokenEventKind::Revoked
            } else {
                TokenEventKind::Failed
            };
            event(&mut tx, app, token, kind, format!("{}.", found.title)).await?;
            let entry = AuditEntry {
                action: "token.refresh",
                target: format!("token:{}", token.name),
                detail: format!("{}: {}", found.id, found.title),
                outcome: "failed",
            };
            tx.audit(now, &Actor::console(), entry).await?;
        }
        _ => {}
    }
    tx.commit().await
}

/// Writes down what was found before anything was sent: a secret that can't be opened, an address that changed, no refresh token.
pub(super) async fn refuse(app: &App, token: &Token, grant: &Grant, error: &AccessError) {
    let found = error.diagnosis();
    let last_error = serde_json::to_string(&found).ok();
    if grant.last_error == last_error {
        return;
    }
    let now = app.clock.now();
    let mut new = grant.clone();
    new.last_error = last_error;
    new.last_error_at = Some(now);
    match error {
        AccessError::NeedsSignIn(_) | AccessError::Damaged(_) => new.state = GrantState::Revoked,
        _ => (new.state, new.retry_at) = (GrantState::Failing, Some(now)),
    }
    let written = async {
        let mut tx = app.store.begin().await?;
        if tx.update_grant(&new, grant.generation, None).await? {
            event(&mut tx, app, token, TokenEventKind::Failed, format!("{}.", found.title)).await?;
            let entry = AuditEntry {
                action: "token.refresh",
                target: format!("token:{}", token.name),
                detail: format!("{}: {}", found.id, found.title),
                outcome: "failed",
            };
            tx.audit(now, &Actor::console(), entry).await?;
            tx.commit().await?;
        }
        Ok::<_, StoreError>(())
    };
    if let Err(problem) = written.await {
        warn!(token = %token.name, cause = %problem, "Why a token can't be renewed could not be written down");
    }
}

pub(super) async fn event(tx: &mut Tx, app: &App, token: &Token, kind: TokenEventKind, text: String) -> StoreResult<()> {
    let event = TokenEvent {
        kind,
        actor: "the console".into(),
        text,
        at: app.clock.now(),
    };
    tx.add_token_event(app.new_id(), &token.id, &event).await
}

/// Seconds until the next try: 1, 2, 4 … 15 minutes, a fifth more or less, and never sooner than the provider asks for.
fn pause(app: &App, failures: i64, error: &OAuthError) -> i64 {
    let steps = u32::try_from(failures.clamp(1, 11) - 1).unwrap_or(0);
    let base = (1_i64 << steps).min(LONGEST_PAUSE);
    let mut byte = [0];
    app.random.fill(&mut byte);
    let jitter = base * (i64::from(byte[0]) - 128) / 640;
    let asked = error.retry_after().map_or(0, |wait| i64::try_from(wait.as_secs()).unwrap_or(0));
    (base + jitter).clamp(1, LONGEST_PAUSE).max(asked)
}

fn minutes(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds / 60),
    }
}
