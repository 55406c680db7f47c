//! The renewal itself: decide, claim durably, call once, store durably. Every way it can end leaves a refresh token that works, as far
//! as the provider allows.

use super::anew::{self, Own};
use super::failure::{self, Failure};
use super::outcome::{self, Brought, Renewal, Written};
use super::{AccessError, Handed, How, Wanted, hand, last_error, lease, may_renew_at_all, recovery};
use crate::actions::judgement::of_provider;
use crate::actions::place;
use crate::actions::providers::credential;
use crate::app::App;
use crate::diagnosis::{self, Evidence, own};
use crate::model::Sealed;
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::token::{Grant, GrantState, Identity, Token};
use crate::oauth::error::Incomplete;
use crate::oauth::{Class, Client, Match, OAuthError, TokenResponse, identity, refresh};
use crate::secret::RefreshToken;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

/// How long does a claim hold, in seconds? Longer than the calls it has to cover.
pub(super) const MAX_LEASE: i64 = 60;
/// How long do we wait for another process that renews?
const PATIENCE: Duration = Duration::from_secs(75);
/// How often do we look whether it is done?
const LOOK: Duration = Duration::from_millis(100);
/// How long after a lost answer do we ask again? Providers that rotate forgive for a short while only.
const AGAIN: Duration = Duration::from_millis(500);
/// How late may the last call of a claim begin? It takes at most 20 seconds, and its answer has to be stored.
const LAST_CALL: Duration = Duration::from_secs(35);
/// How far may two clocks be apart, in seconds, before somebody should know?
const SKEW: i64 = 300;

pub(super) async fn renew(app: &App, token: &Token, wanted: Wanted) -> Result<Handed, AccessError> {
    let mut watch = lease::Watch::default();
    let began = Instant::now();
    loop {
        if let Some(waiting) = recovery::pending(app, token, &wanted).await {
            return waiting;
        }
        let Some(mut grant) = app.store.grant(&token.id).await? else {
            return Err(AccessError::own(AccessError::NotAuthorized, own::NOT_AUTHORIZED));
        };
        let now = app.clock.now();
        if wanted.is_met(&grant, now) {
            let handed = hand(app, token, &grant, How::Refreshed, &wanted);
            match (&handed, wanted.resource()) {
                (Err(AccessError::Damaged(_)), Some(resource)) if failure::drop_other(app, token, &mut grant, resource).await? => {}
                _ => return handed,
            }
        }
        if !may_renew_at_all(&grant) {
            return Err(last_error(&grant));
        }
        if began.elapsed() > PATIENCE || (app.stopping.is_cancelled() && began.elapsed() > LOOK) {
            let diagnosis = Box::new(diagnosis::diagnose(&Evidence::own(own::PROVIDER_UNREACHABLE)));
            let retry_at = grant.lease_until;
            return Err(AccessError::Transient { diagnosis, retry_at });
        }
        let Ok(stale) = watch.may_claim(app, &grant, now) else {
            sleep(LOOK).await;
            continue;
        };
        let Some(provider) = app.store.provider_by_id(&token.provider_id).await? else {
            return Err(AccessError::own(AccessError::NotAuthorized, own::NOT_AUTHORIZED));
        };
        let prepared = match prepare(app, token, &grant, &provider).await {
            Ok(prepared) => prepared,
            // Nothing to write down yet: it works until it runs out.
            Err(failure) if failure.found.id == own::NO_REFRESH_TOKEN && super::lives(&grant, now) => {
                return Err(AccessError::NeedsSignIn(failure.found));
            }
            Err(failure) => return Err(failure::refused(app, token, &provider, &grant, failure).await),
        };
        let attempt = app.new_id();
        let owner = app.flights.owner(app).as_str();
        let until = now.plus(MAX_LEASE);
        // From here on a crash is noticed: the row says "sent". If this can't be written nothing is sent (DUR-4).
        let claimed = app
            .store
            .claim_grant(&token.id, grant.generation, owner, stale.as_deref(), &attempt, now, until)
            .await?;
        if !claimed {
            sleep(LOOK).await;
            continue;
        }
        grant.attempt_id = Some(attempt);
        grant.attempt_started = Some(now);
        let began = Instant::now();
        let called = call(app, token, &provider, &grant, &prepared, &wanted).await;
        app.counters.renewed(provider.name.as_str(), result_word(&called), began.elapsed());
        let new = match called {
            Ok(new) => new,
            // What is refused for another resource says nothing about the sign-in: its own renewal will tell.
            Err(failure) if wanted.resource().is_some() => return Err(failure::failed_other(app, token, &grant, failure).await),
            Err(failure) => return Err(failure::failed(app, token, &provider, &grant, failure).await),
        };
        let fell_back = prepared.client.fell_back();
        let renewal = Renewal {
            token: token.clone(),
            provider,
            grant: new.clone(),
            was: grant.generation,
        };
        let written = recovery::store(app, renewal).await?;
        if fell_back {
            credential::note_fallback(app, &token.provider_id).await;
        }
        match written {
            Written::Stored if new.state == GrantState::Active => return hand(app, token, &new, How::Refreshed, &wanted),
            Written::Stored => return Err(last_error(&new)),
            // Somebody signed in, logged out or was quicker: the row says what there is now.
            Written::Superseded => {}
        }
    }
}

/// How a call is counted ([`crate::metrics::Counters::renewed`]).
fn result_word(called: &Result<Grant, Failure>) -> &'static str {
    match called {
        Ok(_) => "ok",
        Err(failure) => match failure.class {
            Class::Transient => "transient",
            Class::UserMustAct => "needs_sign_in",
            Class::AppBroken => "app",
        },
    }
}

/// What a call needs, opened. One of the two last is always there.
struct Prepared<'a> {
    client: Client<'a>,
    current: Option<RefreshToken>,
    own: Option<Own>,
}

async fn prepare<'a>(app: &App, token: &Token, grant: &Grant, provider: &'a Provider) -> Result<Prepared<'a>, Failure> {
    if !place::is_current(grant, provider) {
        return Err(Failure::here(Class::UserMustAct, own::DESTINATION_CHANGED));
    }
    let own = anew::prepare(app, token, provider).await?;
    let current = match &grant.rt_current {
        None => None,
        Some(current) => match open(app, token, grant, current) {
            Ok(current) => Some(current),
            Err(_) if own.is_some() => None,
            Err(failure) => return Err(failure),
        },
    };
    if current.is_none() && own.is_none() {
        return Err(Failure::here(Class::UserMustAct, own::NO_REFRESH_TOKEN));
    }
    let client = place::client(app, provider).map_err(|_| Failure::here(Class::AppBroken, own::DAMAGED))?;
    if client.credential.is_missing() && own.as_ref().is_none_or(Own::needs_client) {
        return Err(Failure::here(Class::AppBroken, own::SECRET_MISSING));
    }
    Ok(Prepared { client, current, own })
}

/// With what a call is made.
#[derive(Clone)]
enum With {
    Refresh(RefreshToken),
    Own,
}

impl With {
    /// The refresh token in an answer that is of no other use.
    fn salvage<'e>(&self, error: &'e OAuthError) -> Option<&'e RefreshToken> {
        match self {
            Self::Refresh(used) => error.refresh_token(used),
            Self::Own => None,
        }
    }

    fn is_refresh(&self) -> bool {
        matches!(self, Self::Refresh(_))
    }
}

fn open(app: &App, token: &Token, grant: &Grant, (sealed, version): &(Sealed, i64)) -> Result<RefreshToken, Failure> {
    let place = place::refresh_token(&token.id, *version, &grant.destination);
    let text = app
        .vault
        .open(&place, sealed)
        .map_err(|_| Failure::here(Class::UserMustAct, own::DAMAGED))?;
    Ok(RefreshToken::new(text.as_str()))
}

/// Asks the provider; the claim is held. What comes back is the grant to store.
async fn call(
    app: &App,
    token: &Token,
    provider: &Provider,
    grant: &Grant,
    prepared: &Prepared<'_>,
    wanted: &Wanted,
) -> Result<Grant, Failure> {
    let began = Instant::now();
    let scopes_for = |with: &With| match (wanted, with, &prepared.own) {
        (Wanted::Other(_, scopes), With::Own, Some(own)) => own.scopes(provider, scopes),
        (_, With::Own, Some(own)) => own.scopes(provider, &token.scopes),
        (Wanted::Other(_, scopes), ..) => refresh::scopes_for_other(provider.template, scopes),
        _ => refresh::scopes_to_send(provider.template, &token.scopes, &grant.granted_scopes),
    };
    let ask = async |with: &With, scopes: &[String]| match (with, &prepared.own) {
        (With::Own, Some(own)) => own.ask(app, &prepared.client, scopes).await,
        (With::Refresh(with), _) => refresh::refresh(&app.http, &prepared.client, with, scopes).await,
        // `prepare` left one of them.
        (With::Own, None) => Err(OAuthError::Incomplete(Incomplete::Secret)),
    };
    let mut used = prepared.current.clone().map_or(With::Own, With::Refresh);
    let mut scopes = scopes_for(&used);
    let mut answer = ask(&used, &scopes).await;
    let unknown = matches!(&answer, Err(error) if error.outcome_unknown() && used.salvage(error).is_none());
    if unknown {
        // The provider may have rotated: within its grace the same token gives a new one.
        sleep(AGAIN).await;
        answer = ask(&used, &scopes).await;
    }
    if let Err(error) = &answer
        && let Some(new) = used.salvage(error)
        && wanted.resource().is_none()
    {
        return Ok(outcome::salvaged(app, (token, provider), grant, error, new));
    }
    let mut used_previous = false;
    if matches!(&answer, Err(error) if is_invalid_grant(error))
        && !grant.rt_current_proven
        && provider.template.template().refresh.may_try_previous()
        && began.elapsed() < LAST_CALL
        && let Some(previous) = &grant.rt_previous
        && let Ok(previous) = open(app, token, grant, previous)
    {
        // The current one never worked, and old ones stay alive here: one try.
        let previous = With::Refresh(previous);
        let again = ask(&previous, &scopes).await;
        used_previous = again.is_ok();
        // What the current one got stands only if the previous one got the like; else it has not been settled yet.
        if !matches!(&again, Err(error) if error.class() == Class::UserMustAct) {
            (answer, used) = (again, previous);
        }
    }
    if matches!(&answer, Err(error) if is_invalid_grant(error))
        && used.is_refresh()
        && prepared.own.is_some()
        && began.elapsed() < LAST_CALL
    {
        // The password still stands where the sign-in it once made has ended.
        (used, used_previous) = (With::Own, false);
        scopes = scopes_for(&used);
        answer = ask(&used, &scopes).await;
    }
    let response = match answer {
        Ok(response) => response,
        Err(error) => {
            let found = of_provider(app, provider, Some(token), Some(grant), &error);
            let failure = Failure::of(&error, unknown || error.outcome_unknown(), found);
            let failure = match &prepared.own {
                Some(own) => own.judged(failure),
                None => failure,
            };
            if error.is_of_the_server() {
                let holds = app.flights.holds();
                holds.note(&provider.id, &failure.found, failure.asked, app.clock.running());
            } else {
                answers(app, provider);
            }
            return Err(failure);
        }
    };
    answers(app, provider);
    compare_clocks(app, provider, &response);
    let rotated = response.refresh_token.as_ref().is_some_and(|new| match &used {
        With::Refresh(used) => new.expose_secret() != used.expose_secret(),
        With::Own => true,
    });
    let who = who(app, token, grant, prepared, &response).await;
    let (identity, problem) = match who {
        Ok(identity) => (identity, None),
        Err(problem) => (None, Some(problem)),
    };
    let brought = Brought {
        response: &response,
        sent: if scopes.is_empty() { &token.scopes } else { &scopes },
        rotated,
        used_previous,
        anew: !used.is_refresh(),
        identity,
        resource: wanted.resource(),
    };
    let mut new = outcome::renewed(app, token, grant, &brought);
    if let Some(problem) = problem {
        // Another account's token is never handed out; its refresh token is kept until the right one has signed in.
        new.state = GrantState::Revoked;
        if !used.is_refresh() {
            new.rt_current = None;
        }
        new.access_token = None;
        new.others.clear();
        new.last_error = serde_json::to_string(&problem).ok();
        new.last_error_at = Some(app.clock.now());
    }
    Ok(new)
}

/// The provider answers. Where it did not before, nobody has to wait for the end of a pause: what failed for that is due again.
fn answers(app: &App, provider: &Provider) {
    let Some(heard) = app.flights.holds().lift(&provider.id) else {
        return;
    };
    info!(provider = %provider.name, "Provider {} answers again", provider.name);
    let (app, provider) = (app.clone(), provider.id.clone());
    // Not here: the answer has to be stored first.
    app.tasks.clone().spawn(async move {
        let again = async {
            let mut tx = app.store.begin().await?;
            tx.retry_grants_that(&provider, &heard.id).await?;
            tx.commit().await
        };
        if let Err(error) = again.await {
            warn!(%error, "What waits for a provider that answers again goes on waiting");
        }
    });
}

fn is_invalid_grant(error: &OAuthError) -> bool {
    matches!(error, OAuthError::Refused(refused) if refused.error == "invalid_grant") && error.class() == Class::UserMustAct
}

/// Who the answer says it is for, as far as it says so by itself: of a grant that was brought along nobody knows before, and of any other
/// it must still be the same (OpenID Connect Core, 12.2). `Err`: somebody else.
async fn who(
    app: &App,
    token: &Token,
    grant: &Grant,
    prepared: &Prepared<'_>,
    response: &TokenResponse,
) -> Result<Option<Identity>, Box<Diagnosis>> {
    if response.id_token.is_none() {
        return Ok(None);
    }
    // Without the user info address nothing is asked: between this answer and its place on the disk there is no time for that.
    let mut client = prepared.client.clone();
    client.endpoints.userinfo_url = None;
    let signed_in = match identity::who(&app.http, &client, response, None, app.clock.now()).await {
        Ok(signed_in) => signed_in,
        Err(error) => {
            debug!(token.id = %token.id, %error, "The ID token that came with the renewal of token {} says nothing", token.name);
            return Ok(None);
        }
    };
    let known = &grant.identity;
    let other = if known.sub.is_empty() {
        let user = token.user.as_deref();
        let found = user.map_or(Match::Same, |user| identity::matches(user, &signed_in, prepared.client.provider));
        found.own_id().filter(|_| found != Match::NotTold)
    } else {
        (known.sub != signed_in.identity.sub).then_some(own::DIFFERENT_ACCOUNT)
    };
    match other {
        Some(id) => Err(Box::new(diagnosis::diagnose(&Evidence::own(id)))),
        None if known.sub.is_empty() => Ok(Some(signed_in.identity)),
        None => Ok(None),
    }
}

/// The provider's clock is a hint at what is wrong with ours (F16).
fn compare_clocks(app: &App, provider: &Provider, response: &TokenResponse) {
    if let Some(theirs) = response.date {
        let apart = app.clock.now().since(theirs);
        if apart.abs() > SKEW {
            warn!(provider.name = %provider.name, seconds = apart, "This server's clock and the one of provider {} differ by {apart} s", provider.name);
        }
    }
}
