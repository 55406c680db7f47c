//! What reports and pages say of a token.

use super::lives;
use crate::clock::Timestamp;
use crate::model::provider::Provider;
use crate::model::scopes;
use crate::model::token::{Grant, GrantState, Token, TokenState};

/// The state of a token: what is stored, what time has done to it, and whether someone is signing in right now.
pub fn state(grant: Option<&Grant>, authorizing: bool, now: Timestamp) -> TokenState {
    match grant {
        None if authorizing => TokenState::Authorizing,
        None => TokenState::Unauthorized,
        Some(grant) => match grant.state {
            GrantState::Revoked if authorizing => TokenState::Authorizing,
            GrantState::Revoked => TokenState::Revoked,
            GrantState::Failing => TokenState::Failing,
            // Without a way to renew it, a token that ran out needs a person.
            GrantState::Active if !lives(grant, now) && grant.rt_current.is_none() => TokenState::Revoked,
            GrantState::Active if !lives(grant, now) => TokenState::Expired,
            GrantState::Active => TokenState::Active,
        },
    }
}

/// Scopes the token asks for and was not granted. `offline_access` counts as granted when a refresh token came; of a grant that was
/// brought along nothing is known until its first renewal.
pub fn missing_scopes(token: &Token, provider: &Provider, grant: &Grant) -> Vec<String> {
    if grant.granted_scopes.is_empty() {
        return Vec::new();
    }
    scopes::missing_scopes(provider.template, &token.scopes, &grant.granted_scopes)
        .into_iter()
        .filter(|scope| scope != "offline_access" || grant.rt_current.is_none())
        .collect()
}
