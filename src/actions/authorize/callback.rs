//! What comes back to a provider's redirect address: it counts once, in time, and in the browser it was started in (OAUTH-1).

use super::conclude::{Flow, Yield};
use super::{Outcome, kept};
use crate::actions::{ActionError, links, tokens};
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{Evidence as Clue, diagnose};
use crate::model::audit::{Actor, AuditEntry};
use crate::model::token::{Authorization, Prompt, Token};
use crate::model::{Name, UserId};
use crate::oauth::CallbackParams;
use crate::oauth::authorization;
use crate::oauth::callback::Declined;
use crate::store::StoreError;
use crate::vault::sha256;
use subtle::ConstantTimeEq;

/// What the browser that came back can show for itself.
pub struct Evidence<'a> {
    /// Who is signed in to the console there.
    pub user: Option<&'a UserId>,
    /// SHA-256 of that session's id.
    pub session_hash: Option<&'a str>,
    /// The value of the flow cookie of an attempt.
    pub flow: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// Who acts, and from where.
    pub actor: &'a Actor,
}

/// A return from a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Returned {
    /// How the sign-in ended, or why it isn't looked at.
    pub outcome: Outcome,
    /// The attempt it belongs to, for its own browser only.
    pub attempt: Option<Attempt>,
}

/// The attempt a return belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: String,
    /// Name of the token.
    pub token: Name,
    /// Whether it came through a sign-in link.
    pub link: bool,
}

impl From<Outcome> for Returned {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, attempt: None }
    }
}

/// Finishes a sign-in by what came back to a provider's redirect address. In this order: the attempt is known, open and of this
/// browser; the provider's error; the exchange; who signed in; the permissions; a lasting token; only then anything is stored.
pub async fn finish(app: &App, provider: &Name, query: &str, evidence: &Evidence<'_>) -> Result<Returned, ActionError> {
    let Some(provider) = app.store.provider(provider).await? else {
        return unknown(app, evidence, "no such provider").await;
    };
    let params = match CallbackParams::parse(query) {
        Ok(params) => params,
        Err(error) => return unknown(app, evidence, &error.to_string()).await,
    };
    let state = params.state.as_ref().map(|state| sha256(state.expose_secret())).unwrap_or_default();
    let Some(attempt) = app.store.authorization_by_state(&state).await? else {
        return unknown(app, evidence, "no such sign-in").await;
    };
    let Some(token) = app.store.token_by_id(&attempt.token_id).await? else {
        return unknown(app, evidence, "no such token").await;
    };
    if let Some(why) = other_window(&attempt, evidence) {
        // It stays open: its own browser may still come back.
        let detail = format!("the return came {why}");
        refuse(app, evidence.actor, &token, detail).await?;
        return Ok(Outcome::OtherWindow.into());
    }
    let flow = Flow {
        app: app.clone(),
        actor: actor_of(&attempt, evidence.actor),
        provider,
        token,
        attempt,
        tests: true,
    };
    let attempt = Attempt {
        id: flow.attempt.id.clone(),
        token: flow.token.name.clone(),
        link: flow.attempt.link_id.is_some(),
    };
    // A browser that goes away in the middle must not cost the grant: the code can be used only once.
    let finished = app.tasks.spawn(async move { Box::pin(run(&flow, &params)).await }).await;
    let outcome = finished.map_err(|error| StoreError::Unusable(format!("the sign-in was not finished: {error}")))??;
    Ok(Returned {
        outcome,
        attempt: Some(attempt),
    })
}

/// Behind a link nobody is signed in here; the link itself acts.
fn actor_of(attempt: &Authorization, actor: &Actor) -> Actor {
    match &attempt.link_id {
        None => actor.clone(),
        Some(link) => Actor {
            id: format!("link:{link}"),
            name: "Someone with the sign-in link".to_owned(),
            ..actor.clone()
        },
    }
}

/// Why a return isn't from the browser the attempt belongs to (OAUTH-1).
fn other_window(attempt: &Authorization, evidence: &Evidence<'_>) -> Option<&'static str> {
    let same = |a: &str, b: &str| bool::from(a.as_bytes().ct_eq(b.as_bytes()));
    let flow = (evidence.flow)(&attempt.id).map(|value| sha256(&value));
    match (&flow, &attempt.flow_hash) {
        (Some(told), Some(expected)) if same(told, expected) => {}
        _ => return Some("in another browser"),
    }
    if attempt.link_id.is_some() {
        return None;
    }
    match (evidence.session_hash, &attempt.session_hash) {
        (Some(told), Some(expected)) if same(told, expected) => {}
        _ => return Some("in another session"),
    }
    (evidence.user != attempt.user_id.as_ref()).then_some("with another person signed in")
}

async fn unknown(app: &App, evidence: &Evidence<'_>, why: &str) -> Result<Returned, ActionError> {
    tracing::warn!(reason = why, "Refused a return from a sign-in: {why}");
    // Anybody can cause this, without an account.
    let Some(left_out) = app.strangers.take(app.clock.now()) else {
        return Ok(Outcome::Unknown.into());
    };
    let detail = match left_out {
        0 => why.to_owned(),
        n => format!("{why}; {n} more before it are only in the log"),
    };
    let entry = AuditEntry {
        action: "token.authorize.finish",
        target: String::new(),
        detail,
        outcome: "refused",
    };
    app.store.audit(app.clock.now(), evidence.actor, entry).await?;
    Ok(Outcome::Unknown.into())
}

async fn refuse(app: &App, actor: &Actor, token: &Token, detail: String) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    tokens::audit(app, &mut tx, actor, "token.authorize.finish", token, detail, "refused").await?;
    tx.commit().await
}

async fn run(flow: &Flow, params: &CallbackParams) -> Result<Outcome, ActionError> {
    let now = flow.app.clock.now();
    if !flow.attempt.outcome.is_empty() {
        return Ok(Outcome::Used);
    }
    let mut early = None;
    if now > flow.attempt.expires_at || !link_is_open(flow, now).await? {
        early = Some(Outcome::TooOld);
    } else if flow.attempt.provider_id != flow.provider.id {
        early = Some(Outcome::IssuerMismatch {
            said: format!("the sign-in was sent to another provider than {}", flow.provider.name),
        });
    }
    // The issuer of the answer counts for errors too (OAUTH-4).
    let issuer = params.check_issuer(&flow.provider.endpoints()).err();
    let early = early.or(issuer.map(|error| Outcome::IssuerMismatch { said: error.to_string() }));
    if !flow.claim().await? {
        return Ok(Outcome::Used);
    }
    let reached = match early {
        Some(outcome) => Err(outcome),
        None => look(flow, params).await,
    };
    Box::pin(flow.conclude(reached)).await
}

async fn link_is_open(flow: &Flow, now: Timestamp) -> Result<bool, StoreError> {
    let Some(id) = &flow.attempt.link_id else {
        return Ok(true);
    };
    let link = flow.app.store.link(id).await?;
    Ok(link.is_some_and(|link| links::state(&link, now) == links::LinkState::Ready))
}

/// From the provider's answer to tokens of the right account; everything else is an outcome.
async fn look(flow: &Flow, params: &CallbackParams) -> Result<Yield, Outcome> {
    let said = params.evidence();
    match params.declined(flow.attempt.prompt == Prompt::None) {
        Some(Declined::Cancelled) => return Err(Outcome::Cancelled),
        Some(Declined::AdminApproval) => return Err(Outcome::AdminApproval { said }),
        Some(Declined::PageNeeded) => return Err(Outcome::PageNeeded { said }),
        Some(Declined::Other) => {
            let diagnosis = diagnose(&Clue::text(&said));
            return Err(Outcome::Declined { diagnosis, said });
        }
        None => {}
    }
    let Some(code) = &params.code else {
        return Err(Outcome::TooOld);
    };
    // A provider that goes elsewhere since, or a value that was tampered with: nothing is sent anywhere.
    let Ok((secrets, _)) = kept(&flow.app, &flow.provider, &flow.attempt) else {
        return Err(Outcome::TooOld);
    };
    let client = flow.client().map_err(|outcome| *outcome)?;
    let verifier = secrets.verifier.as_ref();
    let exchanged = authorization::exchange(&flow.app.http, &client, code, verifier, &flow.attempt.redirect_uri).await;
    match exchanged {
        Ok(tokens) => flow.weigh(&client, tokens, Some(&secrets.nonce)).await,
        Err(error) => Err(flow.refused(&error).await),
    }
}
