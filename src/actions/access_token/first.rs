//! The first token set of a token: after a sign-in, or brought along from another program.

use crate::actions::{place, tokens};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::TokenId;
use crate::model::provider::Provider;
use crate::model::token::{Grant, GrantState, Identity, Token, TokenEventKind};
use crate::oauth::TokenResponse;
use crate::secret::RefreshToken;
use crate::store::{StoreResult, Tx};

/// Where a first token set comes from.
pub enum NewGrant<'a> {
    /// Someone signed in.
    SignedIn {
        /// What the provider answered.
        response: &'a TokenResponse,
        /// Who it was.
        identity: &'a Identity,
        /// Who started it.
        by: &'a str,
    },
    /// A refresh token of another program. Its access token comes with the first renewal.
    Imported {
        /// The refresh token.
        refresh_token: &'a RefreshToken,
        /// Who brought it.
        by: &'a str,
    },
}

/// A grant with nothing in it yet.
pub(crate) fn blank(token: &TokenId, generation: i64, destination: &str, now: Timestamp) -> Grant {
    Grant {
        token_id: token.clone(),
        state: GrantState::Active,
        generation,
        rt_current: None,
        rt_current_proven: false,
        rt_previous: None,
        rt_rotated_at: None,
        access_token: None,
        others: Vec::new(),
        token_type: "Bearer".into(),
        issued_at: None,
        expires_at: None,
        granted_scopes: Vec::new(),
        identity: Identity::default(),
        destination: destination.to_owned(),
        authorized_at: Some(now),
        authorized_by: None,
        refreshed_at: None,
        lease_owner: None,
        lease_until: None,
        attempt_id: None,
        attempt_started: None,
        outcome: String::new(),
        failures: 0,
        retry_at: None,
        last_error: None,
        last_error_at: None,
    }
}

/// Stores a first token set in place of any older one. A sign-in that brought no refresh token keeps none: the old one belongs to
/// another grant. The caller adds audit and history in the same transaction; an import adds its own history line.
pub async fn store_first_grant(app: &App, tx: &mut Tx, token: &Token, provider: &Provider, new: NewGrant<'_>) -> StoreResult<Grant> {
    let now = app.clock.now();
    let destination = provider.destination();
    // Never a generation again that was used before: an older sealed value must not open in the new row.
    let generation = tx.grant(&token.id).await?.map_or(1, |old| old.generation + 1);
    let seal_refresh = |text: &str| {
        (
            app.vault.seal(&place::refresh_token(&token.id, generation, &destination), text),
            generation,
        )
    };
    let mut grant = blank(&token.id, generation, &destination, now);
    match new {
        NewGrant::SignedIn { response, identity, by } => {
            let access = app.vault.seal(
                &place::access_token(&token.id, generation, &destination),
                response.access_token.expose_secret(),
            );
            grant.rt_current = response.refresh_token.as_ref().map(|refresh| seal_refresh(refresh.expose_secret()));
            grant.access_token = Some((access, generation));
            grant.token_type = response.token_type.clone();
            grant.issued_at = Some(now);
            grant.expires_at = Some(now.plus(response.expires_in));
            grant.granted_scopes = response.granted(&token.scopes);
            grant.identity = identity.clone();
            grant.authorized_by = Some(by.to_owned());
        }
        NewGrant::Imported { refresh_token, by } => {
            grant.rt_current = Some(seal_refresh(refresh_token.expose_secret()));
            grant.authorized_by = Some(by.to_owned());
        }
    }
    tx.replace_grant(&grant).await?;
    if grant.access_token.is_none() {
        let by = grant.authorized_by.as_deref().unwrap_or_default();
        let text = "From another program. It is tried at the first renewal.".to_owned();
        tokens::event(app, tx, &token.id, TokenEventKind::Imported, by, text).await?;
    }
    Ok(grant)
}
