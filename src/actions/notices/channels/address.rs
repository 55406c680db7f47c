//! The whole address of the webhook. Whoever knows it may post there at many services, so it is sealed as its secret is; what is readable
//! names its server, and whether it is the same as another one ([`crate::model::notices::marked`]).

use super::secret_place;
use crate::app::App;
use crate::model::notices::marked;
use crate::store::deliveries::StoredChannels;
use crate::store::{StoreError, StoreResult};
use crate::vault::{Place, VaultError};
use zeroize::Zeroizing;

/// What the seal of the address is bound to: what of it is readable.
fn place(version: i64, mark: &str) -> Place<'_> {
    Place {
        table: "notice_channels",
        column: "webhook_address",
        row: "1",
        version,
        destination: mark,
    }
}

/// The version of both seals.
fn version(stored: &StoredChannels) -> i64 {
    stored.channels.secret_set.as_ref().map_or(0, |set| set.version)
}

/// The whole address; empty where there is no webhook.
pub fn address(app: &App, stored: &StoredChannels) -> Result<Zeroizing<String>, VaultError> {
    match &stored.webhook_address {
        Some(sealed) => app.vault.open(&place(version(stored), &stored.channels.webhook), sealed),
        // From before it was sealed.
        None => Ok(Zeroizing::new(stored.channels.webhook.clone())),
    }
}

/// Seals the address of the webhook as it is marked in `stored`.
pub(super) fn seal(app: &App, stored: &mut StoredChannels, address: &str) {
    let is_set = !stored.channels.webhook.is_empty();
    stored.webhook_address = is_set.then(|| app.vault.seal(&place(version(stored), &stored.channels.webhook), address));
}

/// Whom to tell, and how. An address from before addresses were sealed is sealed first.
pub async fn sealed_channels(app: &App) -> StoreResult<StoredChannels> {
    let stored = app.store.notice_channels().await?;
    if stored.channels.webhook.is_empty() || stored.webhook_address.is_some() {
        return Ok(stored);
    }
    let plain = stored.channels.webhook.clone();
    let mut after = stored.clone();
    after.channels.webhook = marked(&plain);
    after.webhook_secret = match &stored.webhook_secret {
        // One that can't be opened is told where it is used.
        Some(sealed) => match app.vault.open(&secret_place(version(&stored), &plain), sealed) {
            Ok(secret) => Some(app.vault.seal(&secret_place(version(&stored), &after.channels.webhook), &secret)),
            Err(error) => {
                tracing::error!(%error, "The secret of the webhook can't be opened");
                stored.webhook_secret.clone()
            }
        },
        None => None,
    };
    seal(app, &mut after, &plain);
    let mut tx = app.store.begin().await?;
    match tx.seal_notice_channels(&after).await {
        Ok(()) => tx.commit().await?,
        // Somebody else was quicker.
        Err(StoreError::Stale) => return app.store.notice_channels().await,
        Err(error) => return Err(error),
    }
    Ok(after)
}
