//! Signing in at another device (RFC 8628): the attempt lies in the database, so that neither a closed browser nor a restart ends it, and
//! whoever takes its turn there asks the provider. What comes of it goes the way of every sign-in.

mod codes;
mod late;
mod room;

pub use codes::{Codes, codes};

use super::conclude::{Flow, Yield};
use super::{BeginError, Outcome};
use crate::actions::access_token::other_needed;
use crate::actions::place;
use crate::actions::providers::trial::diagnosis_of;
use crate::actions::tokens::audit;
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{Evidence as Clue, diagnose, own};
use crate::model::UserId;
use crate::model::audit::Actor;
use crate::model::provider::Provider;
use crate::model::scopes;
use crate::model::token::{Authorization, Device, Prompt, Token};
use crate::oauth::OAuthError;
use crate::oauth::device::{self, DeviceCode, Polled};
use crate::store::StoreError;
use codes::{open, to_text};
use late::{Came, hand_back};
use room::room_beside;
use std::time::Duration;
use zeroize::Zeroizing;

/// How often is looked whether somebody's turn has come?
const LOOK: Duration = Duration::from_secs(1);
/// How long is a turn somebody's own, in seconds? Longer than a question can take, with a second credential and with who signed in: what
/// was asked twice is refused, and the sign-in with it.
const TURN: i64 = 90;
/// By how much does "slow down" lengthen the pause (RFC 8628, 3.5), in seconds?
const SLOWER: i64 = 5;
/// Longest pause after questions without an answer, in seconds.
const LONGEST_PAUSE: i64 = 60;

/// A device sign-in that was asked for.
#[derive(Debug)]
pub struct Started {
    /// The attempt; ended already where the provider gave no code.
    pub attempt: Authorization,
    /// Whether it began just now: while one waits, no other begins.
    pub is_new: bool,
}

/// Begins a device sign-in, or finds the one that waits already.
pub async fn start(app: &App, actor: &Actor, user: Option<&UserId>, token: &Token, provider: &Provider) -> Result<Started, BeginError> {
    if let Some(attempt) = waiting(app, token).await? {
        return Ok(Started { attempt, is_new: false });
    }
    let (all, own) = app.store.open_devices(user, app.clock.now()).await?;
    room_beside(all, own)?;
    let code = match ask_for_code(app, token, provider).await? {
        Ok(code) => code,
        Err(outcome) => {
            let attempt = attempt_of(app, actor, user, token, provider, None);
            let attempt = not_begun(app, actor, token, attempt, &outcome).await?;
            return Ok(Started { attempt, is_new: true });
        }
    };
    let attempt = attempt_of(app, actor, user, token, provider, Some(&code));
    match insert(app, actor, token, &attempt, code.pause).await {
        Ok(()) => Ok(Started { attempt, is_new: true }),
        // Somebody else was quicker: theirs counts, and this code is never typed in.
        Err(BeginError::Store(StoreError::Taken)) => match waiting(app, token).await? {
            Some(attempt) => Ok(Started { attempt, is_new: false }),
            None => Err(StoreError::Taken.into()),
        },
        Err(error) => Err(error),
    }
}

/// A pair of codes, or why there is none. An error: the provider's record lacks something, and nothing was sent.
async fn ask_for_code(app: &App, token: &Token, provider: &Provider) -> Result<Result<DeviceCode, Outcome>, BeginError> {
    let failed = |diagnosis, said| Ok(Err(Outcome::ExchangeFailed { diagnosis, said }));
    let client = match place::client(app, provider) {
        Ok(client) => client,
        Err(error) => return failed(diagnose(&Clue::own(own::DAMAGED)), error.to_string()),
    };
    // As with a page: what the mailboxes need of another resource is allowed in the same sign-in.
    let mut asked = token.scopes.clone();
    asked.extend(other_needed(token, provider, &app.store.mailboxes_of_token(&token.id).await?));
    match device::begin(&app.http, &client, &scopes::with_identity(provider.template, &asked)).await {
        Ok(code) => Ok(Ok(code)),
        Err(error @ (OAuthError::Incomplete(_) | OAuthError::Address { .. })) => Err(error.into()),
        Err(error) => failed(diagnosis_of(app, provider, &error), error.evidence()),
    }
}

fn attempt_of(
    app: &App,
    actor: &Actor,
    user: Option<&UserId>,
    token: &Token,
    provider: &Provider,
    code: Option<&DeviceCode>,
) -> Authorization {
    let (id, now) = (app.new_id(), app.clock.now());
    let kept = Zeroizing::new(code.map(to_text).unwrap_or_default());
    Authorization {
        sealed: app.vault.seal(&place::authorization(&id, &provider.destination()), &kept),
        // No hash of a state: nothing that comes back can belong to it.
        state_hash: format!("device {id}"),
        id,
        token_id: token.id.clone(),
        provider_id: provider.id.clone(),
        user_id: user.cloned(),
        session_hash: None,
        flow_hash: None,
        link_id: None,
        redirect_uri: String::new(),
        issuer: provider.endpoints().issuer,
        prompt: Prompt::Unsent,
        started_by: actor.name.clone(),
        started_at: now,
        expires_at: now.plus(code.map_or(0, |code| code.expires_in)),
        outcome: String::new(),
        detail: String::new(),
        finished_at: None,
    }
}

async fn insert(app: &App, actor: &Actor, token: &Token, attempt: &Authorization, pause: i64) -> Result<(), BeginError> {
    let mut tx = app.store.begin().await?;
    tx.delete_old_authorizations(attempt.started_at.plus(-super::KEPT)).await?;
    tx.insert_authorization(attempt).await?;
    tx.insert_device(&Device {
        token_id: token.id.clone(),
        attempt_id: attempt.id.clone(),
        token_version: token.version,
        pause,
        failures: 0,
        next_at: attempt.started_at.plus(pause),
    })
    .await?;
    audit(app, &mut tx, actor, "token.authorize.begin", token, "device code".to_owned(), "ok").await?;
    // The provider was asked meanwhile, and so may others have been. One counts at a time.
    let (all, own) = tx.open_devices(attempt.user_id.as_ref(), attempt.started_at).await?;
    room_beside(all - 1, own - 1)?;
    Ok(tx.commit().await?)
}

/// The provider gave no code: an attempt that is over, so that its page says why.
async fn not_begun(
    app: &App,
    actor: &Actor,
    token: &Token,
    mut attempt: Authorization,
    outcome: &Outcome,
) -> Result<Authorization, StoreError> {
    attempt.outcome = outcome.word().to_owned();
    attempt.detail = outcome.to_json();
    attempt.finished_at = Some(attempt.started_at);
    let mut tx = app.store.begin().await?;
    tx.insert_authorization(&attempt).await?;
    let text = outcome.history(&actor.name).unwrap_or_default();
    audit(app, &mut tx, actor, "token.authorize.begin", token, text, "refused").await?;
    tx.commit().await?;
    Ok(attempt)
}

/// The device sign-in that waits for somebody. One that is over, or belongs to what the token was before, is ended on the way.
pub async fn waiting(app: &App, token: &Token) -> Result<Option<Authorization>, StoreError> {
    let Some(device) = app.store.device(&token.id).await? else {
        return Ok(None);
    };
    let Some(attempt) = app.store.authorization(&device.attempt_id).await? else {
        return Ok(None);
    };
    let over = if attempt.expires_at <= app.clock.now() {
        Outcome::CodeExpired
    } else if device.token_version != token.version || attempt.provider_id != token.provider_id {
        Outcome::Changed
    } else {
        return Ok(Some(attempt).filter(|attempt| attempt.outcome.is_empty()));
    };
    if let Some(flow) = flow(app, attempt, false).await?
        && flow.claim().await?
    {
        flow.end(&over).await?;
    }
    Ok(None)
}

/// The attempt with all it is about; none where the token or provider is gone.
async fn flow(app: &App, attempt: Authorization, tests: bool) -> Result<Option<Flow>, StoreError> {
    let token = app.store.token_by_id(&attempt.token_id).await?;
    let provider = app.store.provider_by_id(&attempt.provider_id).await?;
    let (Some(token), Some(provider)) = (token, provider) else {
        return Ok(None);
    };
    let actor = Actor {
        name: attempt.started_by.clone(),
        ..Actor::console()
    };
    Ok(Some(Flow {
        app: app.clone(),
        actor,
        provider,
        token,
        attempt,
        tests,
    }))
}

/// Asks the provider about every sign-in whose turn has come, until the console stops.
pub async fn watch(app: App) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            _ = looks.tick() => {}
        }
        match take_turns(&app, None).await {
            Ok(devices) => {
                for device in devices {
                    let asking = app.clone();
                    app.tasks.spawn(async move { ask(&asking, device, true).await });
                }
            }
            Err(error) => tracing::warn!(error = %error, "Device sign-ins could not be looked up: {error}"),
        }
    }
}

/// Asks the provider about this sign-in if its turn has come: for a command that waits for it, perhaps beside no console at all.
pub async fn ask_about(app: &App, attempt: &str) -> Result<(), StoreError> {
    for device in take_turns(app, Some(attempt)).await? {
        // The command ends with the sign-in, and a test would end with it.
        ask(app, device, false).await;
    }
    Ok(())
}

/// Takes the turns that have come, all or one's; no other process asks about these now.
async fn take_turns(app: &App, only: Option<&str>) -> Result<Vec<Device>, StoreError> {
    let now = app.clock.now();
    let mut taken = Vec::new();
    let due = app.store.due_devices(now).await?;
    for device in due.into_iter().filter(|device| only.is_none_or(|only| device.attempt_id == only)) {
        let mut tx = app.store.begin().await?;
        if tx.take_turn(&device, now.plus(TURN)).await? {
            tx.commit().await?;
            taken.push(device);
        }
    }
    Ok(taken)
}

async fn ask(app: &App, device: Device, tests: bool) {
    let attempt = device.attempt_id.clone();
    if let Err(error) = Box::pin(question(app, device, tests)).await {
        tracing::error!(error = %error, attempt, "A device sign-in could not be asked about: {error}");
    }
}

/// One question, and what follows from its answer.
async fn question(app: &App, device: Device, tests: bool) -> Result<(), crate::actions::ActionError> {
    let attempt = app.store.authorization(&device.attempt_id).await?;
    let flow = match attempt.filter(|attempt| attempt.outcome.is_empty()) {
        Some(attempt) => flow(app, attempt, tests).await?,
        None => None,
    };
    let Some(flow) = flow else {
        let mut tx = app.store.begin().await?;
        tx.delete_device(&device.attempt_id).await?;
        return Ok(tx.commit().await?);
    };
    let now = app.clock.now();
    let over = match put(&flow, &device, now).await {
        Asked::Later { pause, failures } => return later(&flow, device, pause, failures).await,
        Asked::Over(outcome) => outcome,
        Asked::Answered { found, came } => {
            if !flow.claim().await? {
                // Stopped while the provider was being asked: nobody waits for what came.
                return hand_back(&flow, &came).await;
            }
            Box::pin(flow.conclude(found.map(|found| *found))).await?;
            return Ok(());
        }
    };
    if flow.claim().await? {
        flow.end(&over).await?;
    }
    Ok(())
}

/// What a question led to.
enum Asked {
    /// Ask again, with this pause.
    Later { pause: i64, failures: i64 },
    /// Nothing to wait for any more.
    Over(Outcome),
    /// Somebody signed in.
    Answered {
        /// What that is worth.
        found: Result<Box<Yield>, Outcome>,
        /// What came.
        came: Came,
    },
}

async fn put(flow: &Flow, device: &Device, now: Timestamp) -> Asked {
    let (app, provider) = (&flow.app, &flow.provider);
    if flow.attempt.expires_at <= now {
        return Asked::Over(Outcome::CodeExpired);
    }
    if device.token_version != flow.token.version || flow.token.provider_id != provider.id {
        return Asked::Over(Outcome::Changed);
    }
    // A provider that goes elsewhere since: nothing is sent anywhere.
    let Ok((secret, _)) = open(app, provider, &flow.attempt) else {
        return Asked::Over(Outcome::Changed);
    };
    let client = match flow.client() {
        Ok(client) => client,
        Err(outcome) => return Asked::Over(*outcome),
    };
    match device::poll(&app.http, &client, &secret).await {
        Polled::SignedIn(tokens) => Asked::Answered {
            came: Came {
                refresh: tokens.refresh_token.clone(),
                access: tokens.access_token.clone(),
            },
            found: flow.weigh(&client, *tokens, None).await.map(Box::new),
        },
        Polled::Pending => Asked::Later {
            pause: device.pause,
            failures: 0,
        },
        Polled::SlowDown => Asked::Later {
            pause: device.pause.saturating_add(SLOWER),
            failures: 0,
        },
        Polled::NoAnswer(error) => {
            tracing::warn!(token.name = %flow.token.name, error = %error, "A device sign-in of token {} was asked about in vain: {error}", flow.token.name);
            Asked::Later {
                pause: device.pause,
                failures: device.failures.saturating_add(1),
            }
        }
        Polled::Expired => Asked::Over(Outcome::CodeExpired),
        Polled::Declined(error) => {
            let said = error.evidence();
            Asked::Over(Outcome::Declined {
                diagnosis: diagnose(&Clue::text(&said)),
                said,
            })
        }
        Polled::Refused(error) => Asked::Over(flow.refused(&error).await),
    }
}

/// The next turn: after the pause, counted from now, and longer the more questions stayed without an answer; at the end at the latest, when
/// it is not asked any more.
async fn later(flow: &Flow, device: Device, pause: i64, failures: i64) -> Result<(), crate::actions::ActionError> {
    let wait = match failures {
        0 => pause,
        n => pause.saturating_mul(1 << n.min(6)).min(LONGEST_PAUSE.max(pause)),
    };
    let mut tx = flow.app.store.begin().await?;
    tx.update_device(&Device {
        pause,
        failures,
        next_at: flow.app.clock.now().plus(wait).min(flow.attempt.expires_at),
        ..device
    })
    .await?;
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_turn_outlasts_its_question() {
        let call = crate::oauth::Limits::default().total;
        assert!(super::TURN > (crate::oauth::FALL_BACK_WITHIN + 2 * call).as_secs().cast_signed() + 20);
    }
}
