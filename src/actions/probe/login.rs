//! What a side signs in with, and where that may be sent.

use super::work::Findings;
use super::{Order, ProbeError, target};
use crate::actions::access_token::{How, access_token, access_token_for, not_granted, once_more, side_scopes};
use crate::actions::judgement;
use crate::actions::mailboxes::password_place;
use crate::app::App;
use crate::diagnosis::case::Held;
use crate::diagnosis::own;
use crate::mail::Login;
use crate::model::mailbox::{Auth, Endpoint, Mailbox, Side};
use crate::model::provider::Provider;
use crate::model::report::Direction;
use crate::model::template::mail_servers;
use crate::model::token::{Grant, GrantType, Token};
use crate::oauth::Claims;
use crate::probe::{Done, Failure, judge};
use crate::secret::Password;
use crate::store::StoreError;

/// Refuses a test that would send a stored token to a server nobody has saved (SEC-8): known are the servers of the token's provider,
/// and those of saved mailboxes with the same token. Passwords are bound to their server already.
pub(super) async fn check_servers(app: &App, order: &Order, with_arrival: bool) -> Result<(), ProbeError> {
    let mut directions = vec![order.direction];
    if with_arrival {
        directions.push(Direction::Incoming);
    }
    for direction in directions {
        if let Some(side) = super::side(&order.mailbox, direction)
            && let Auth::OAuth2 { token_id, .. } = &side.auth
            && let Some(token) = app.store.token_by_id(token_id).await?
            // Graph is where the token's own provider has it.
            && let Some(endpoint) = side.server.endpoint()
            && !is_known(app, &token, endpoint).await?
        {
            return Err(ProbeError::UnknownServer(direction));
        }
    }
    Ok(())
}

async fn is_known(app: &App, token: &Token, endpoint: &Endpoint) -> Result<bool, StoreError> {
    let destination = endpoint.destination();
    let is_it = |other: &Endpoint| other.destination() == destination;
    if let Some(provider) = app.store.provider_by_id(&token.provider_id).await? {
        let servers = mail_servers(
            provider.template,
            provider.cloud,
            provider.tenant.as_deref(),
            provider.overrides.authority.as_deref(),
        );
        if servers.is_some_and(|servers| [&servers.imap, &servers.pop, &servers.smtp].into_iter().any(is_it)) {
            return Ok(true);
        }
    }
    let saved = app.store.mailboxes_of_token(&token.id).await?;
    let uses = |side: &Side| matches!(&side.auth, Auth::OAuth2 { token_id, .. } if *token_id == token.id);
    Ok(saved
        .iter()
        .flat_map(|mailbox| [&mailbox.incoming, &mailbox.outgoing])
        .flatten()
        .any(|side| uses(side) && side.server.endpoint().is_some_and(is_it)))
}

/// The login of a side that signs in without a token.
pub(super) fn password(app: &App, mailbox: &Mailbox, direction: Direction, side: &Side) -> Result<Login, Failure> {
    let stored = match &side.auth {
        Auth::None => return Ok(Login::None),
        Auth::Password { password } => password,
        Auth::OAuth2 { .. } => &None,
    };
    let Some((sealed, version)) = stored else {
        return Err(failure(own::PASSWORD_MISSING, "no password is stored for this sign-in"));
    };
    let destination = side.server.destination();
    let place = password_place(direction, &mailbox.id, *version, &destination);
    match app.vault.open(&place, sealed) {
        Ok(text) => Ok(Login::Password {
            user: mailbox.login(side).to_owned(),
            password: Password::new(text.as_str()),
        }),
        Err(error) => {
            tracing::error!(mailbox.name = %mailbox.name, %error, "The password of mailbox {} can't be opened", mailbox.name);
            Err(failure(own::DAMAGED, "the stored password can't be opened"))
        }
    }
}

fn failure(own_id: &'static str, detail: &str) -> Failure {
    Failure {
        own_id: Some(own_id),
        detail: detail.to_owned(),
        ..Failure::default()
    }
}

/// The login of a side, whatever it signs in with.
pub(super) async fn any(app: &App, mailbox: &Mailbox, direction: Direction, side: &Side) -> Result<Login, Failure> {
    match &side.auth {
        Auth::OAuth2 { .. } => Ok(token(app, mailbox, direction, side, &mut Findings::default()).await?.into_value()),
        _ => password(app, mailbox, direction, side),
    }
}

/// The step `token`: a valid access token, and what can be told about it.
pub(super) async fn token(
    app: &App,
    mailbox: &Mailbox,
    direction: Direction,
    side: &Side,
    findings: &mut Findings,
) -> Result<Done<Login>, Failure> {
    let Auth::OAuth2 { token_id, token: name } = &side.auth else {
        return Err(failure(own::NOT_AUTHORIZED, "this side has no token"));
    };
    let unavailable = |error: StoreError| {
        tracing::error!(token.name = %name, %error, "The token {name} can't be read");
        failure(own::UNKNOWN, "the token can't be read from the database")
    };
    let Some(token) = app.store.token_by_id(token_id).await.map_err(unavailable)? else {
        return Err(failure(own::NOT_AUTHORIZED, "the token was deleted"));
    };
    let provider = app.store.provider_by_id(&token.provider_id).await.map_err(unavailable)?;
    let needed = provider
        .as_ref()
        .map(|provider| side_scopes(&token, provider, direction, side.server.protocol()))
        .unwrap_or_default();
    // Every run is somebody's, who may have had something mended before it.
    once_more(app, &token).await.map_err(unavailable)?;
    let access = match &provider {
        Some(provider) => access_token_for(app, &token, provider, &needed).await,
        None => access_token(app, &token, None).await,
    };
    let access = match access {
        Ok(access) => access,
        Err(error) => {
            let detail = format!("no access token can be had: {error}");
            findings.token = Some(error.diagnosis());
            return Err(Failure {
                detail,
                transient: error.is_transient(),
                ..Failure::default()
            });
        }
    };
    let grant = app.store.grant(token_id).await.map_err(unavailable)?;
    let granted = access.scopes.clone();
    let missing = match (&provider, &grant) {
        (Some(provider), Some(grant)) => not_granted(provider, &needed, grant),
        _ => Vec::new(),
    };
    let account = grant.as_ref().map(|grant| grant.identity.account().to_owned()).unwrap_or_default();
    let claims = Claims::of(&access.access_token).unwrap_or_default();
    let refreshed = access.how == How::Refreshed;
    if let Some(provider) = &provider {
        let mut held = held(app, mailbox, direction, side, (&token, provider, grant.as_ref()), &claims);
        held.missing
            .extend(missing.iter().filter(|_| held.missing.is_empty()).cloned().collect::<Vec<_>>());
        (held.expires_in, held.renewed) = (Some(access.expires_in), refreshed);
        if held.permissions.is_empty() {
            held.permissions.clone_from(&granted);
        }
        findings.known.held = Some(held);
        findings.known.provider = Some(judgement::facts(app, provider, Some(&token), grant.as_ref()));
        findings.known.clock_ahead = judgement::clock_ahead(app, provider);
    }
    let (audience, scopes) = (claims.audience.join(" "), claims.permissions().join(" "));

    let seconds = access.expires_in;
    let mut detail = vec![
        if refreshed { "refreshed" } else { "cached" }.to_owned(),
        format!("expires in {}", minutes(seconds)),
    ];
    if !audience.is_empty() {
        detail.push(format!("for {audience}"));
    }
    if !needed.is_empty() && !granted.is_empty() {
        let found = needed.len() - missing.len();
        detail.push(format!("{found} of {} permissions", needed.len()));
    }
    let login = Login::OAuth2 {
        user: mailbox.login(side).to_owned(),
        token: access.access_token,
    };
    let mut done = Done::new(login, detail.join("; "))
        .fact("expires_in", seconds)
        .fact("refreshed", refreshed)
        .fact("account", account)
        .fact("granted", granted)
        .fact("missing", missing.clone());
    for (name, claim) in [("aud", audience), ("scp", scopes)] {
        if !claim.is_empty() {
            done = done.fact(name, claim);
        }
    }
    Ok(if missing.is_empty() { done } else { done.warn() })
}

/// What the token says of itself, and of whom it was got, for the diagnosis.
fn held(
    app: &App,
    mailbox: &Mailbox,
    direction: Direction,
    side: &Side,
    (token, provider, grant): (&Token, &Provider, Option<&Grant>),
    claims: &Claims,
) -> Held {
    let expected = target::expected(token, provider, mailbox.login(side));
    let readable = !claims.audience.is_empty() || !claims.permissions().is_empty();
    let judged = readable.then(|| judge(claims, &expected, side.server.protocol(), direction, app.clock.now()));
    let account = grant.map(|grant| grant.identity.account()).filter(|account| !account.is_empty());
    let account = account
        .map(str::to_owned)
        .or_else(|| claims.user.clone())
        .or_else(|| token.user.clone());
    Held {
        grant: Some(token.grant),
        account: account.filter(|_| token.grant != GrantType::ClientCredentials),
        shared: token.shared,
        audience: claims.audience.join(" "),
        other_audience: judged.as_ref().is_some_and(|judged| judged.other_audience),
        permissions: claims.permissions().to_vec(),
        missing: judged.and_then(|judged| judged.missing).into_iter().collect(),
        expires_in: None,
        renewed: false,
        object_id: claims.object_id.clone(),
    }
}

fn minutes(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    }
}
