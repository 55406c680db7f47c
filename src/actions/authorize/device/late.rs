//! Tokens that come for a sign-in nobody waits for any more.

use crate::actions::ActionError;
use crate::actions::authorize::conclude::Flow;
use crate::actions::providers::trial::diagnosis_of;
use crate::actions::tokens::{audit, event};
use crate::model::token::TokenEventKind;
use crate::oauth::{Revocation, revoke};
use crate::secret::{AccessToken, RefreshToken};

/// The tokens of an answer.
pub(super) struct Came {
    pub refresh: Option<RefreshToken>,
    pub access: AccessToken,
}

/// Gives tokens back that came for a sign-in nobody waits for any more, where the provider has a call for that; and notes it.
pub(super) async fn hand_back(flow: &Flow, came: &Came) -> Result<(), ActionError> {
    let app = &flow.app;
    let told = match flow.client() {
        Ok(client) => revoke::revoke(&app.http, &client, came.refresh.as_ref(), Some(&came.access)).await,
        Err(_) => Ok(Revocation::NotOffered),
    };
    let (words, outcome) = match told {
        Ok(Revocation::Revoked) => ("The provider took it back".to_owned(), "ok"),
        Ok(Revocation::NotOffered) => ("The provider has no call to take it back".to_owned(), "ok"),
        Err(error) => (
            format!(
                "The provider didn't take it back: {}",
                diagnosis_of(app, &flow.provider, &error).title
            ),
            "failed",
        ),
    };
    let text = format!("Somebody signed in with the code after this sign-in was stopped, and what came was thrown away. {words}.");
    let mut tx = app.store.begin().await?;
    if app.store.token_by_id(&flow.token.id).await?.is_some() {
        event(
            app,
            &mut tx,
            &flow.token.id,
            TokenEventKind::Removed,
            &flow.actor.name,
            text.clone(),
        )
        .await?;
    }
    audit(app, &mut tx, &flow.actor, "token.authorize.late", &flow.token, text, outcome).await?;
    Ok(tx.commit().await?)
}
