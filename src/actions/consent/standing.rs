//! How the consent of a provider's app stands: looked up, told, and remembered.

use super::finish::prove;
use super::wanted::lacking;
use super::{Outcome, audit, row, wanted};
use crate::actions::access_token::read_claims;
use crate::actions::{ActionError, place};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::audit::Actor;
use crate::model::consent::{self as model, Consent};
use crate::model::provider::Provider;
use crate::model::token::{GrantState, GrantType};
use crate::store::StoreResult;

/// How many of the app's own tokens are looked into?
const SOME: usize = 10;

/// *It's already granted*, and *Check now*: the app's own token tells, or else only that somebody says so is noted.
pub async fn check(app: &App, actor: &Actor, provider: &Provider) -> Result<Outcome, ActionError> {
    let wanted = wanted(app, provider).await?;
    let outcome = if wanted.app_only {
        prove(app, provider, &wanted, None).await?
    } else {
        Outcome::Told
    };
    let mut consent = row(app, actor, provider);
    consent.scopes = wanted.permissions;
    outcome.word().clone_into(&mut consent.outcome);
    consent.detail = outcome.to_json();
    consent.finished_at = Some(app.clock.now());
    let mut tx = app.store.begin().await?;
    tx.insert_consent(&consent).await?;
    let detail = format!("{}: {}", outcome.word(), outcome.sentence());
    audit(app, &mut tx, actor, "provider.consent.check", provider, detail, "ok").await?;
    tx.commit().await?;
    Ok(outcome)
}

/// How the consent of a provider's app stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The newest that says what the app may do.
    pub result: Option<(Consent, Outcome)>,
    /// A newer one that changed nothing.
    pub tried: Option<(Consent, Outcome)>,
    /// When somebody signed in after it: the proof where people sign in.
    pub proved_at: Option<Timestamp>,
    /// When somebody last signed in, whether or not an admin was asked.
    pub signed_in: Option<Timestamp>,
    /// The permissions in the app's own tokens as they are stored, where they are all that is needed and nothing newer is known.
    pub held: Option<(Vec<String>, Timestamp)>,
}

/// How the consent of a provider's app stands.
pub async fn standing(app: &App, provider: &Provider) -> StoreResult<Standing> {
    let rows = app.store.consents_of(&provider.id, &model::app(provider)).await?;
    let mut result = None;
    let mut tried = None;
    for consent in rows {
        let Some(outcome) = Outcome::of(&consent).filter(|outcome| *outcome != Outcome::Working) else {
            continue;
        };
        if outcome.is_result() {
            result = Some((consent, outcome));
            break;
        }
        tried = tried.or(Some((consent, outcome)));
    }
    let since = result.as_ref().and_then(|(consent, _)| consent.finished_at);
    let signed_in = app.store.last_sign_in(&provider.id).await?;
    let held = held(app, provider).await?;
    Ok(Standing {
        proved_at: signed_in.filter(|at| since.is_some_and(|since| *at >= since)),
        signed_in,
        held: held.filter(|(_, at)| since.is_none_or(|since| since < *at)),
        result,
        tried,
    })
}

/// What the app's own tokens say it may do, and since when that is known, if it is all that its mailboxes need.
async fn held(app: &App, provider: &Provider) -> StoreResult<Option<(Vec<String>, Timestamp)>> {
    let wanted = wanted(app, provider).await?;
    if !wanted.app_only {
        return Ok(None);
    }
    let (mut roles, mut newest) = (Vec::new(), None);
    let tokens = app.store.tokens_of(&provider.id).await?;
    for token in tokens.iter().filter(|token| token.grant == GrantType::ClientCredentials).take(SOME) {
        let grant = app.store.grant(&token.id).await?;
        let Some(grant) = grant.filter(|grant| grant.state == GrantState::Active && place::is_current(grant, provider)) else {
            continue;
        };
        for read in read_claims(app, token, provider, &grant) {
            if let Some(claims) = read.claims {
                roles.extend(claims.roles);
                newest = newest.max(Some(read.issued_at));
            }
        }
    }
    roles.sort();
    roles.dedup();
    Ok(newest
        .map(|at| (roles, at))
        .filter(|(roles, _)| lacking(&wanted.needed, roles).is_empty()))
}
