//! What stored access tokens say about themselves, for the page of their token. The tokens themselves go nowhere.

use super::place;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::Sealed;
use crate::model::provider::Provider;
use crate::model::scopes::{self, Resource};
use crate::model::token::{Grant, Token};
use crate::oauth::Claims;
use crate::secret::AccessToken;

/// A stored access token, read.
#[derive(Debug, Clone)]
pub struct ReadToken {
    /// For which of Microsoft's resources it was got; none where a provider has but one.
    pub resource: Option<Resource>,
    /// What it says; none: it is opaque.
    pub claims: Option<Claims>,
    /// When it was got.
    pub issued_at: Timestamp,
}

/// The access tokens of a grant, its own first. One that can't be opened is left out: using it will tell.
pub fn read_claims(app: &App, token: &Token, provider: &Provider, grant: &Grant) -> Vec<ReadToken> {
    let read = |sealed: &Sealed, place| {
        app.vault
            .open(&place, sealed)
            .ok()
            .map(|text| Claims::of(&AccessToken::new(text.as_str())))
    };
    let own = grant
        .access_token
        .as_ref()
        .zip(grant.issued_at)
        .and_then(|((sealed, version), issued_at)| {
            let claims = read(sealed, place::access_token(&token.id, *version, &grant.destination))?;
            let resource = scopes::resource_of(provider.template, &token.scopes);
            Some(ReadToken {
                resource,
                claims,
                issued_at,
            })
        });
    let others = grant.others.iter().filter_map(|other| {
        let place = place::other_token(&token.id, other.version, &grant.destination);
        let claims = read(&Sealed(other.sealed.clone()), place)?;
        Some(ReadToken {
            resource: Some(other.resource),
            claims,
            issued_at: other.issued_at,
        })
    });
    own.into_iter().chain(others).collect()
}
