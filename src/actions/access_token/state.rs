//! What reports and pages say of a token.

use super::lives;
use crate::clock::Timestamp;
use crate::model::mailbox::{Auth, Mailbox, Protocol};
use crate::model::provider::Provider;
use crate::model::report::Direction;
use crate::model::scopes;
use crate::model::template::needed_scopes;
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

/// Scopes a token needs: those it asks for, and those that the mailboxes using it can't do without.
pub fn required_scopes(token: &Token, provider: &Provider, mailboxes: &[Mailbox]) -> Vec<String> {
    let mut required = token.scopes.clone();
    let sides = mailboxes
        .iter()
        .flat_map(|mailbox| [(Direction::Incoming, &mailbox.incoming), (Direction::Outgoing, &mailbox.outgoing)]);
    for (direction, side) in sides {
        if let Some(side) = side
            && matches!(&side.auth, Auth::OAuth2 { token_id, .. } if *token_id == token.id)
        {
            let needed = side_scopes(provider, direction, side.server.protocol());
            required.extend(scopes::missing_scopes(provider.template, &needed, &required));
        }
    }
    required
}

/// Scopes that one side of a mailbox can't do without at this provider; none where only the provider's people know.
pub fn side_scopes(provider: &Provider, direction: Direction, protocol: Protocol) -> Vec<String> {
    needed_scopes(provider.template, provider.cloud, direction, protocol)
}

/// Scopes the token asks for and was not granted.
pub fn missing_scopes(token: &Token, provider: &Provider, grant: &Grant) -> Vec<String> {
    not_granted(provider, &token.scopes, grant)
}

/// Which of these scopes were not granted. `offline_access` counts as granted when a refresh token came; of a grant that was brought
/// along nothing is known until its first renewal.
pub fn not_granted(provider: &Provider, required: &[String], grant: &Grant) -> Vec<String> {
    if grant.granted_scopes.is_empty() {
        return Vec::new();
    }
    scopes::missing_scopes(provider.template, required, &grant.granted_scopes)
        .into_iter()
        .filter(|scope| scope != "offline_access" || grant.rt_current.is_none())
        .collect()
}
