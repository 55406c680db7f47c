//! Settings of the instance that are kept in the database. What is set from outside wins.

use super::FieldProblem;
use crate::app::App;
use crate::config::check_base_url;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::notices::Local;
use crate::model::settings::{Group, INSTANCE_NAME, Kind, Number, SESSION_IDLE, SESSION_LONGEST, TIME_ZONE};
use crate::store::StoreResult;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use url::Url;

/// Name of the setting.
const BASE_URL: &str = "base_url";
/// Setting: when settings were saved last. Whoever saves some writes it first, so that two don't save at once.
const SAVED: &str = "settings.saved";

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

/// The public address that setup stored, unless it is set from outside.
pub async fn stored_base_url(app: &App) -> StoreResult<Option<Url>> {
    if app.config.base_url_set {
        return Ok(None);
    }
    Ok(app.store.setting(BASE_URL).await?.and_then(|text| Url::parse(&text).ok()))
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

/// What is asked for with every page: it is read when the console starts, when it changes here, and every few seconds in case it
/// changed at another instance. Cheap to clone.
#[derive(Clone, Default)]
pub struct InForce(Arc<RwLock<(String, String)>>);

impl InForce {
    /// The instance's name; empty where it has none.
    pub fn instance_name(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The chosen time zone by its IANA name; empty for the server's.
    pub fn time_zone(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// The console's time zone: the chosen one, else the server's.
    pub fn zone(&self) -> TimeZone {
        Local::named(&self.time_zone()).zone().clone()
    }
}

/// The console's time zone, as it is stored now: the chosen one, else the server's.
pub async fn zone(app: &App) -> StoreResult<TimeZone> {
    let name = app.store.setting(TIME_ZONE).await?.unwrap_or_default();
    Ok(Local::named(&name).zone().clone())
}

/// Reads what [`InForce`] and the sessions go by.
pub async fn take_over(app: &App) -> StoreResult<()> {
    let name = app.store.setting(INSTANCE_NAME).await?.unwrap_or_default();
    let zone = app.store.setting(TIME_ZONE).await?.unwrap_or_default();
    let idle = number(app, &SESSION_IDLE).await?.saturating_mul(60);
    let longest = number(app, &SESSION_LONGEST).await?.saturating_mul(3600);
    app.store.session_limits().set(idle, longest);
    *app.settings.0.write().unwrap_or_else(PoisonError::into_inner) = (name, zone);
    Ok(())
}

/// A setting somebody wants to change: what stood in their form when they opened it, and what they want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The value in force when the form was made.
    pub was: String,
    /// What was typed; none: the default, whatever it will be.
    pub typed: Option<String>,
}

/// Changes the settings of a group, all or none. `wishes` are by key; what is not among them stays, and so does what was left as it
/// stood. Says what changed, in words, or what is wrong. What somebody else changed meanwhile is not overwritten unseen.
pub async fn change(
    app: &App,
    actor: &Actor,
    group: &Group,
    wishes: &BTreeMap<&'static str, Wish>,
) -> StoreResult<Result<Vec<String>, Vec<FieldProblem>>> {
    let now = app.clock.now();
    let (mut problems, mut changed) = (Vec::new(), Vec::new());
    let mut tx = app.store.begin().await?;
    // Whoever else saves waits here, and then sees what this one wrote.
    tx.put_setting(SAVED, &now.0.to_string()).await?;
    // By the limits that counted until now; in a change of both, for both.
    let longest = SESSION_LONGEST.of(tx.setting(SESSION_LONGEST.key).await?.as_deref());
    for field in group.fields {
        let Some(wish) = wishes.get(field.key) else { continue };
        let typed = wish.typed.clone().unwrap_or_else(|| field.default());
        let value = match field.read(&typed) {
            Ok(value) => value,
            Err(message) => {
                problems.push(FieldProblem {
                    field: field.name(),
                    message,
                });
                continue;
            }
        };
        let before = field.in_force(tx.setting(field.key).await?.as_deref());
        if value == wish.was || value == before {
            continue;
        }
        if before != wish.was {
            let message = format!(
                "Somebody changed this to {} meanwhile. Save again to put yours in its place",
                field.words(&before)
            );
            problems.push(FieldProblem {
                field: field.name(),
                message,
            });
            continue;
        }
        match wish.typed {
            None => tx.remove_setting(field.key).await?,
            Some(_) if value.is_empty() && matches!(field.kind, Kind::Free(..)) => tx.remove_setting(field.key).await?,
            Some(_) => tx.put_setting(field.key, &value).await?,
        }
        if field.key == SESSION_IDLE.key || field.key == SESSION_LONGEST.key {
            tx.delete_ended_sessions(now, longest.saturating_mul(3600)).await?;
        }
        if field.key == SESSION_IDLE.key {
            let minutes = SESSION_IDLE.of(Some(&value)) - SESSION_IDLE.of(Some(&before));
            tx.move_session_ends(minutes.saturating_mul(60)).await?;
        }
        let entry = AuditEntry {
            action: "settings.change",
            target: format!("setting:{}", field.key),
            detail: format!("{} → {}", field.words(&before), field.words(&value)),
            outcome: "ok",
        };
        tx.audit(now, actor, entry).await?;
        changed.push(format!("{}: {}", field.label.trim_end_matches(" (optional)"), field.words(&value)));
    }
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    tx.commit().await?;
    take_over(app).await?;
    Ok(Ok(changed))
}
