//! The service account of a provider: its key file is sealed for where the provider is, and said of it is only whose key it is.

use super::trial::{self, Trial};
use crate::actions::{ActionError, place};
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::token::{GrantType, StoredServiceAccount};
use crate::oauth::ServiceKey;
use crate::secret::KeyFile;
use crate::store::imports::EntryId;
use crate::store::{StoreError, Tx};
use crate::vault::VaultError;

/// The stored key file, opened for the destination the provider has now; none if none is stored.
pub async fn open(app: &App, provider: &Provider) -> Result<Option<KeyFile>, OpenError> {
    let Some(stored) = app.store.service_account(&provider.id).await? else {
        return Ok(None);
    };
    let destination = provider.destination();
    let place = place::service_account(&provider.id, stored.version, &destination);
    Ok(Some(KeyFile::new(app.vault.open(&place, &stored.sealed)?.as_str())))
}

/// Why a key file can't be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It can't be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Whether a key file is another than the stored one, or goes elsewhere.
pub(in crate::actions) fn is_news(app: &App, provider: &Provider, old: Option<&StoredServiceAccount>, file: &KeyFile) -> bool {
    let destination = provider.destination();
    !old.is_some_and(|old| {
        let place = place::service_account(&provider.id, old.version, &destination);
        let text = app.vault.open(&place, &old.sealed);
        old.destination == destination && text.is_ok_and(|text| text.as_str() == file.expose_secret())
    })
}

/// Stores a key file in place of any older one; its tokens are got anew. Says whether it is news.
pub async fn set(app: &App, tx: &mut Tx, actor: &Actor, provider: &Provider, key: &ServiceKey, file: &KeyFile) -> Result<bool, StoreError> {
    let (now, destination) = (app.clock.now(), provider.destination());
    let old = tx.service_account(&provider.id).await?;
    if !is_news(app, provider, old.as_ref(), file) {
        return Ok(false);
    }
    let version = old.map_or(1, |old| old.version + 1);
    let place = place::service_account(&provider.id, version, &destination);
    let new = StoredServiceAccount {
        sealed: app.vault.seal(&place, file.expose_secret()),
        version,
        account: key.account.clone(),
        set_at: now,
        set_by: actor.name.clone(),
        destination: destination.clone(),
    };
    tx.set_service_account(&provider.id, &new).await?;
    tx.set_provider_problem(&provider.id, None, now).await?;
    tx.retry_grants_of(&provider.id).await?;
    tx.reset_mailboxes_of_provider(&provider.id, now).await?;
    for token in app.store.tokens_of(&provider.id).await? {
        if token.grant == GrantType::JwtBearer {
            tx.delete_grant(&token.id).await?;
        }
    }
    let entry = AuditEntry {
        action: "provider.service_account",
        target: format!("provider:{}", provider.name),
        detail: format!("key {} of {} set", key.account.key_id, key.account.client_email),
        outcome: "ok",
    };
    tx.audit(now, actor, entry).await?;
    Ok(true)
}

/// What came of putting another key in.
#[derive(Debug, Clone)]
pub enum Replaced {
    /// It is stored. `proved`: the account the provider let it act for.
    Done {
        /// The account; none: it wasn't tried, or the answer didn't tell.
        proved: Option<String>,
    },
    /// The provider refuses it; nothing changed.
    Refused(Diagnosis, String),
    /// It couldn't be tried, or the answer doesn't tell; nothing changed.
    Unclear(String),
}

/// Puts a key in the place of the stored one, after the provider has taken it for the account of a token. Where no token hangs on the
/// stored one there is nothing to lose, and nobody to try it with. `even_untried`: also if the provider's answer proves nothing.
pub async fn replace(
    app: &App,
    actor: &Actor,
    provider: &Provider,
    key: &ServiceKey,
    file: &KeyFile,
    even_untried: bool,
) -> Result<Replaced, ActionError> {
    let key_before = app.store.service_account(&provider.id).await?.map(|stored| stored.version);
    let in_use = key_before.is_some();
    let mut proved = None;
    if let Some(token) = trial::acting(app, provider).await? {
        match trial::try_key(app, provider, key, &token).await {
            Trial::Accepted(_) => proved = token.user,
            Trial::Refused(diagnosis, said) if in_use => return Ok(Replaced::Refused(diagnosis, said)),
            Trial::Unclear(said) | Trial::Unreachable(_, said) if in_use && !even_untried => return Ok(Replaced::Unclear(said)),
            _ => {}
        }
    }
    let mut tx = app.store.begin().await?;
    unchanged(&mut tx, provider, key_before).await?;
    set(app, &mut tx, actor, provider, key, file).await?;
    tx.commit().await?;
    Ok(Replaced::Done { proved })
}

/// Whether provider and key are still those that were read before the trial, which takes a while: else [`StoreError::Stale`].
pub async fn unchanged(tx: &mut Tx, provider: &Provider, key: Option<i64>) -> Result<(), StoreError> {
    let now = tx.version_of(EntryId::Provider(&provider.id)).await?;
    let stored = tx.service_account(&provider.id).await?.map(|stored| stored.version);
    if now == Some(provider.version) && stored == key {
        Ok(())
    } else {
        Err(StoreError::Stale)
    }
}
