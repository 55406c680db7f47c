//! What reports and pages say of a token.

use super::lives;
use crate::clock::Timestamp;
use crate::model::mailbox::{Auth, Mailbox, Protocol};
use crate::model::provider::Provider;
use crate::model::report::Direction;
use crate::model::scopes::{self, Resource};
use crate::model::template::needed_by;
use crate::model::token::{Grant, GrantState, GrantType, Token, TokenState};

/// The state of a token: what is stored, what time has done to it, and whether someone is signing in right now.
pub fn state(way: GrantType, grant: Option<&Grant>, authorizing: bool, now: Timestamp) -> TokenState {
    match grant {
        None if authorizing => TokenState::Authorizing,
        None => TokenState::Unauthorized,
        Some(grant) => match grant.state {
            GrantState::Revoked if authorizing => TokenState::Authorizing,
            GrantState::Revoked => TokenState::Revoked,
            GrantState::Failing => TokenState::Failing,
            // Begun, and no answer yet.
            GrantState::Active if !way.needs_person() && grant.issued_at.is_none() && grant.rt_current.is_none() => {
                TokenState::Unauthorized
            }
            GrantState::Active if !way.needs_person() && !lives(grant, now) => TokenState::Expired,
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
            let needed = side_scopes(token, provider, direction, side.server.protocol());
            required.extend(scopes::missing_scopes(provider.template, &needed, &required));
        }
    }
    required
}

/// Scopes of this token that one side of a mailbox can't do without at its provider; none where only the provider's people know.
pub fn side_scopes(token: &Token, provider: &Provider, direction: Direction, protocol: Protocol) -> Vec<String> {
    needed_by(token.grant, provider.template, provider.cloud, direction, protocol)
}

/// Scopes of another resource than the token's own that the mailboxes using it need: a sign-in asks for them too.
pub fn other_needed(token: &Token, provider: &Provider, mailboxes: &[Mailbox]) -> Vec<String> {
    let kind = provider.template;
    let own = scopes::resource_of(kind, &token.scopes);
    let all = required_scopes(token, provider, mailboxes);
    // Scopes with an address come first on the wire, and the first decides whom the token is for: a bare one of our own would lose.
    let leads = token.scopes.iter().any(|scope| scope.contains("://"));
    let foreign = |scope: &String| {
        let resource = scopes::resource_of(kind, std::slice::from_ref(scope));
        leads && own.is_some() && resource.is_some() && resource != own
    };
    all.into_iter().filter(foreign).collect()
}

/// The scopes to ask for when an access token for another resource is got: what all mailboxes with this token need of it, and this side.
pub(super) fn other_scopes(token: &Token, provider: &Provider, mailboxes: &[Mailbox], resource: Resource, side: &[String]) -> Vec<String> {
    let kind = provider.template;
    if token.grant == GrantType::ClientCredentials {
        return side.to_vec();
    }
    let mut wanted = other_needed(token, provider, mailboxes);
    wanted.retain(|scope| scopes::resource_of(kind, std::slice::from_ref(scope)) == Some(resource));
    wanted.extend(scopes::missing_scopes(kind, side, &wanted));
    wanted
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
    let kind = provider.template;
    let own = scopes::resource_of(kind, &grant.granted_scopes);
    let mut granted = grant.granted_scopes.clone();
    granted.extend(grant.others.iter().flat_map(|other| other.scopes.iter().cloned()));
    // Of another resource nothing is known until its first token is there.
    let known = |scope: &String| {
        let resource = scopes::resource_of(kind, std::slice::from_ref(scope));
        resource.is_none() || own.is_none() || resource == own || grant.others.iter().any(|other| Some(other.resource) == resource)
    };
    scopes::missing_scopes(kind, required, &granted)
        .into_iter()
        .filter(known)
        .filter(|scope| scope != "offline_access" || grant.rt_current.is_none())
        .collect()
}
