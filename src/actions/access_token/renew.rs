//! The renewal itself: decide, claim durably, call once, store durably. Every way it can end leaves a refresh token that works, as far
//! as the provider allows.

use super::outcome::{self, Attempt};
use super::{AccessError, Handed, How, Wanted, hand, lease, recovery};
use crate::actions::place;
use crate::app::App;
use crate::diagnosis::{self, Evidence, own};
use crate::model::Sealed;
use crate::model::provider::{ClientAuth, Provider};
use crate::model::token::{Grant, GrantState, Token};
use crate::oauth::{Class, Client, OAuthError, TokenResponse, refresh};
use crate::secret::RefreshToken;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long does a claim hold, in seconds? Longer than the two calls it may have to cover.
const LEASE: i64 = 60;
/// How long do we wait for another process that renews?
const WAIT: Duration = Duration::from_secs(65);
/// How often do we look whether it is done?
const LOOK: Duration = Duration::from_millis(100);
/// How long after a lost answer do we ask again? Providers that rotate forgive for a short while only.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn renew(app: &App, token: &Token, wanted: Wanted) -> Result<Handed, AccessError> {
    let patience = Instant::now() + WAIT;
    loop {
        recovery::take_in_one(app, token).await;
        let Some(grant) = app.store.grant(&token.id).await? else {
            return Err(AccessError::own(AccessError::NotAuthorized, own::NOT_AUTHORIZED));
        };
        let now = app.clock.now();
        if wanted.is_met(&grant, now) {
            return hand(app, token, &grant, How::Refreshed);
        }
        if grant.state == GrantState::Revoked {
            return Err(super::last_error(&grant));
        }
        let held = grant
            .lease_owner
            .as_deref()
            .filter(|_| grant.lease_until.is_some_and(|until| until > now && until.since(now) <= LEASE));
        let stale = held.filter(|owner| lease::is_dead(owner)).map(str::to_owned);
        if held.is_some() && stale.is_none() {
            if Instant::now() > patience {
                let diagnosis = Box::new(diagnosis::diagnose(&Evidence::own(own::PROVIDER_UNREACHABLE)));
                return Err(AccessError::Transient {
                    diagnosis,
                    retry_at: grant.lease_until,
                });
            }
            sleep(LOOK).await;
            continue;
        }
        let Some(provider) = app.store.provider_by_id(&token.provider_id).await? else {
            return Err(AccessError::own(AccessError::NotAuthorized, own::NOT_AUTHORIZED));
        };
        let prepared = match prepare(app, token, &grant, &provider) {
            Ok(prepared) => prepared,
            Err(error) => {
                outcome::refuse(app, token, &grant, &error).await;
                return Err(error);
            }
        };
        let attempt = Attempt {
            id: app.new_id(),
            generation: grant.generation,
        };
        let owner = app.flights.owner();
        // From here on a crash is noticed: the row says "sent". If this can't be written nothing is sent (DUR-4).
        let claimed = app
            .store
            .claim_grant(
                &token.id,
                grant.generation,
                owner.as_str(),
                stale.as_deref(),
                &attempt.id,
                now,
                now.plus(LEASE),
            )
            .await?;
        if !claimed {
            sleep(LOOK).await;
            continue;
        }
        return call(app, token, &provider, grant, attempt, prepared).await;
    }
}

/// What a call needs, opened.
struct Prepared<'a> {
    client: Client<'a>,
    current: RefreshToken,
}

fn prepare<'a>(app: &App, token: &Token, grant: &Grant, provider: &'a Provider) -> Result<Prepared<'a>, AccessError> {
    if !place::is_current(grant, provider) {
        return Err(AccessError::own(AccessError::NeedsSignIn, own::DESTINATION_CHANGED));
    }
    let Some(current) = &grant.rt_current else {
        return Err(AccessError::own(AccessError::NeedsSignIn, own::NO_REFRESH_TOKEN));
    };
    let current = open(app, token, grant, current)?;
    let client = place::open_client_secret(app, provider).map_err(|_| AccessError::own(AccessError::AppProblem, own::DAMAGED))?;
    if client.is_none() && provider.client_auth != ClientAuth::None {
        return Err(AccessError::own(AccessError::AppProblem, own::SECRET_MISSING));
    }
    Ok(Prepared {
        client: Client::new(provider, client),
        current,
    })
}

fn open(app: &App, token: &Token, grant: &Grant, (sealed, version): &(Sealed, i64)) -> Result<RefreshToken, AccessError> {
    let place = place::refresh_token(&token.id, *version, &grant.destination);
    let text = app
        .vault
        .open(&place, sealed)
        .map_err(|_| AccessError::own(AccessError::Damaged, own::DAMAGED))?;
    Ok(RefreshToken::new(text.as_str()))
}

async fn call(
    app: &App,
    token: &Token,
    provider: &Provider,
    grant: Grant,
    attempt: Attempt,
    prepared: Prepared<'_>,
) -> Result<Handed, AccessError> {
    let scopes = refresh::scopes_to_send(provider.template, &token.scopes, &grant.granted_scopes);
    let ask = async |with: &RefreshToken| -> Result<TokenResponse, OAuthError> {
        refresh::refresh(&app.http, &prepared.client, with, &scopes).await
    };
    let mut answer = ask(&prepared.current).await;
    if matches!(&answer, Err(error) if error.outcome_unknown()) {
        // The provider may have rotated: within its grace the same token gives a new one.
        sleep(AGAIN).await;
        answer = ask(&prepared.current).await;
    }
    let mut used_previous = false;
    let ended = matches!(&answer, Err(OAuthError::Refused(_))) && matches!(&answer, Err(error) if error.class() == Class::UserMustAct);
    if ended
        && !grant.rt_current_proven
        && provider.template.template().refresh.may_try_previous()
        && let Some(previous) = &grant.rt_previous
        && let Ok(previous) = open(app, token, &grant, previous)
    {
        // The current one never worked and old ones stay alive here: once.
        let again = ask(&previous).await;
        if again.is_ok() {
            (answer, used_previous) = (again, true);
        }
    }
    match answer {
        Ok(response) => {
            let new = outcome::renewed(app, token, &grant, &response, used_previous);
            outcome::store(app, token, provider, &attempt, new.clone(), &response).await?;
            hand(app, token, &new, How::Refreshed)
        }
        Err(error) => Err(outcome::failed(app, token, provider, grant, &attempt, &error).await),
    }
}
