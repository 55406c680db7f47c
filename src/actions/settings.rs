//! Settings of the instance that are kept in the database. What is set from outside wins.

use crate::app::App;
use crate::config::check_base_url;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::settings::Number;
use crate::store::StoreResult;
use url::Url;

/// Name of the setting.
const BASE_URL: &str = "base_url";

/// The public address: from file or environment, else as setup stored it, else by the listen address (OAUTH-5).
pub async fn base_url(app: &App) -> StoreResult<Url> {
    if app.config.base_url_set {
        return Ok(app.config.base_url.clone());
    }
    let stored = app.store.setting(BASE_URL).await?;
    Ok(stored
        .and_then(|text| Url::parse(&text).ok())
        .unwrap_or_else(|| app.config.base_url.clone()))
}

/// An address below the public one: `path` starts with a slash.
pub async fn url(app: &App, path: &str) -> StoreResult<String> {
    Ok(format!("{}{path}", base_url(app).await?.as_str().trim_end_matches('/')))
}

/// Whether somebody chose the public address; else it is a guess from the listen address.
pub async fn base_url_is_chosen(app: &App) -> StoreResult<bool> {
    Ok(app.config.base_url_set || app.store.setting(BASE_URL).await?.is_some())
}

/// Stores the public address; a sentence where it can't be used.
pub async fn set_base_url(app: &App, actor: &Actor, text: &str) -> StoreResult<Result<Url, String>> {
    let url = match check_base_url(text.to_owned(), app.config.insecure_http) {
        Ok(url) => url,
        Err(error) if text.starts_with("http://") && error.message.contains("plain http") => {
            return Ok(Err(
                "Base URL must start with https://, unless it is this machine like http://localhost:8080".into(),
            ));
        }
        Err(_) => return Ok(Err("Base URL must be like https://mail-console.example.com, without a path".into())),
    };
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.put_setting(BASE_URL, url.as_str()).await?;
    let entry = AuditEntry {
        action: "settings.change",
        target: "setting:base_url".into(),
        detail: url.to_string(),
        outcome: "ok",
    };
    tx.audit(now, actor, entry).await?;
    tx.commit().await?;
    Ok(Ok(url))
}

/// What counts for a setting that is a number: as it was chosen, else its default.
pub async fn number(app: &App, setting: &Number) -> StoreResult<i64> {
    Ok(setting.of(app.store.setting(setting.key).await?.as_deref()))
}
