//! What tokens are got with that nobody signs in for: passwords, and the keys of service accounts. Sealed, each with where it goes.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::model::token::{ServiceAccount, StoredPassword, StoredServiceAccount};
use crate::model::{ProviderId, Sealed, TokenId};
use sqlx::any::AnyRow;

macro_rules! select_password {
    () => {
        "SELECT sealed, version, destination, set_at, set_by FROM token_passwords WHERE token_id = $1"
    };
}

macro_rules! select_account {
    () => {
        "SELECT sealed, version, destination, client_email, client_id, key_id, set_at, set_by FROM service_accounts WHERE provider_id = $1"
    };
}

impl Store {
    /// The password of a token; its `sealed` is none if it was taken away.
    pub async fn token_password(&self, token: &TokenId) -> StoreResult<Option<StoredPassword>> {
        let row = sqlx::query(select_password!())
            .bind(token.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(password).transpose()
    }

    /// The service account of a provider.
    pub async fn service_account(&self, provider: &ProviderId) -> StoreResult<Option<StoredServiceAccount>> {
        let row = sqlx::query(select_account!())
            .bind(provider.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(account).transpose()
    }
}

impl Tx {
    /// The password of a token as it stands within the transaction.
    pub async fn token_password(&mut self, token: &TokenId) -> StoreResult<Option<StoredPassword>> {
        let row = sqlx::query(select_password!())
            .bind(token.as_str())
            .fetch_optional(&mut ***self)
            .await?;
        row.as_ref().map(password).transpose()
    }

    /// Sets a token's password in place of any older one.
    pub async fn set_token_password(&mut self, token: &TokenId, new: &StoredPassword) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO token_passwords (token_id, sealed, version, destination, set_at, set_by) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (token_id) DO UPDATE SET sealed = $2, version = $3, destination = $4, set_at = $5, set_by = $6",
        )
        .bind(token.as_str())
        .bind(new.sealed.as_ref().map(|sealed| sealed.0.as_str()))
        .bind(new.version)
        .bind(new.destination.as_str())
        .bind(new.set_at.0)
        .bind(new.set_by.as_str())
        .write(self)
        .await?;
        Ok(())
    }

    /// Takes a token's password away, if there is one. Its version stays taken.
    pub async fn drop_token_password(&mut self, token: &TokenId) -> StoreResult<()> {
        sqlx::query("UPDATE token_passwords SET sealed = NULL WHERE token_id = $1")
            .bind(token.as_str())
            .write(self)
            .await?;
        Ok(())
    }

    /// The service account of a provider as it stands within the transaction.
    pub async fn service_account(&mut self, provider: &ProviderId) -> StoreResult<Option<StoredServiceAccount>> {
        let row = sqlx::query(select_account!())
            .bind(provider.as_str())
            .fetch_optional(&mut ***self)
            .await?;
        row.as_ref().map(account).transpose()
    }

    /// Takes a provider's service account away, if there is one.
    pub async fn delete_service_account(&mut self, provider: &ProviderId) -> StoreResult<()> {
        sqlx::query("DELETE FROM service_accounts WHERE provider_id = $1")
            .bind(provider.as_str())
            .write(self)
            .await?;
        Ok(())
    }

    /// Sets a provider's service account in place of any older one.
    pub async fn set_service_account(&mut self, provider: &ProviderId, new: &StoredServiceAccount) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO service_accounts (provider_id, sealed, version, destination, client_email, client_id, key_id, set_at, set_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (provider_id) DO UPDATE SET sealed = $2, version = $3, destination = $4, client_email = $5, client_id = $6, key_id = $7,
             set_at = $8, set_by = $9",
        )
        .bind(provider.as_str())
        .bind(new.sealed.0.as_str())
        .bind(new.version)
        .bind(new.destination.as_str())
        .bind(new.account.client_email.as_str())
        .bind(new.account.client_id.as_str())
        .bind(new.account.key_id.as_str())
        .bind(new.set_at.0)
        .bind(new.set_by.as_str())
        .write(self)
        .await?;
        Ok(())
    }
}

fn password(row: &AnyRow) -> StoreResult<StoredPassword> {
    Ok(StoredPassword {
        sealed: row.maybe_text("sealed")?.map(Sealed),
        version: row.int("version")?,
        destination: row.text("destination")?,
        set_at: row.time("set_at")?,
        set_by: row.text("set_by")?,
    })
}

fn account(row: &AnyRow) -> StoreResult<StoredServiceAccount> {
    Ok(StoredServiceAccount {
        sealed: Sealed(row.text("sealed")?),
        version: row.int("version")?,
        destination: row.text("destination")?,
        account: ServiceAccount {
            client_email: row.text("client_email")?,
            client_id: row.text("client_id")?,
            key_id: row.text("key_id")?,
        },
        set_at: row.time("set_at")?,
        set_by: row.text("set_by")?,
    })
}
