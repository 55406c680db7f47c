//! How a renewal ended, as it is written down: the new token set in the words of the grant's row. Why there is none says
//! `failure`. Nothing here ever throws a token away.

use super::failure::{Failure, minutes, stored};
use crate::actions::judgement::of_provider;
use crate::actions::{place, providers, tokens};
use crate::app::App;
use crate::model::audit::Actor;
use crate::model::provider::Provider;
use crate::model::scopes::Resource;
use crate::model::token::{Grant, GrantState, Identity, OtherToken, Token, TokenEventKind};
use crate::oauth::{OAuthError, TokenResponse};
use crate::secret::RefreshToken;
use crate::store::{StoreResult, Tx};
use tracing::{info, warn};

/// How many lines about successful renewals does a token's history keep?
const RENEWALS_KEPT: i64 = 30;

/// Outcome of an attempt whose answer is not known.
pub(super) const SENT: &str = "sent";
/// It brought a token set.
const OK: &str = "ok";
/// The provider answered, and refused or was no use.
pub(super) const FAILED: &str = "failed";
/// No answer came, though the provider may have acted.
pub(super) const UNKNOWN: &str = "unknown";
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
pub(super) fn salvaged(
    app: &App,
    (token, provider): (&Token, &Provider),
    grant: &Grant,
    error: &OAuthError,
    refresh_token: &RefreshToken,
) -> Grant {
    let generation = grant.generation + 1;
    let found = of_provider(app, provider, Some(token), Some(grant), error);
    let mut new = Failure::of(error, false, found).applied_to(app, grant);
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
    let old = tx.grant(&token.id).await?;
    if !tx.update_grant(new, renewal.was, None).await? {
        let gone = tx.grant(&token.id).await?.is_none();
        drop(tx);
        warn!(token.name = %token.name, "A renewal came too late: token {} was replaced meanwhile", token.name);
        if gone {
            let (app, renewal) = (app.clone(), renewal.clone());
            app.tasks.clone().spawn(async move {
                let Renewal {
                    token, provider, grant, ..
                } = &renewal;
                if let Err(error) = tokens::give_back(&app, token, provider, grant).await {
                    warn!(token.name = %token.name, %error, "What became of token {} could not be written down", token.name);
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
        if let Some(over) = old.as_ref().and_then(stored) {
            tx.forget_failures_of_token(&token.id, &over.id).await?;
        }
    } else if let Some(found) = stored(new) {
        let (kind, outcome) = match new.state {
            GrantState::Revoked => (TokenEventKind::Revoked, "refused"),
            _ => (TokenEventKind::Failed, "failed"),
        };
        event(&mut tx, app, token, kind, format!("{}.", found.title)).await?;
        audit(&mut tx, app, token, format!("{}: {}", found.id, found.title), outcome).await?;
    }
    let provider = &renewal.provider;
    let mended = providers::recovered(app, &mut tx, provider).await?;
    tx.commit().await?;
    let recovered = old.is_some_and(|old| old.last_error.is_some() && old.state != GrantState::Active);
    if new.state == GrantState::Active && recovered {
        info!(area = "token", token.name = %token.name, "Token {} is renewed again", token.name);
    }
    if mended {
        info!(area = "provider", provider.name = %provider.name, "Provider {} works again", provider.name);
    }
    Ok(Written::Stored)
}

pub(super) async fn event(tx: &mut Tx, app: &App, token: &Token, kind: TokenEventKind, text: String) -> StoreResult<()> {
    tokens::event(app, tx, &token.id, kind, &Actor::console().name, text).await
}

pub(super) async fn audit(tx: &mut Tx, app: &App, token: &Token, detail: String, outcome: &'static str) -> StoreResult<()> {
    tokens::audit(app, tx, &Actor::console(), "token.refresh", token, detail, outcome).await
}
