//! What a full or locked database may not cost: a renewed token set is kept, sealed, in `<data-dir>/recovery/` until the database takes
//! it, and a ballast file gives the disk the little room that one row needs.

use crate::app::App;
use crate::model::token::{Grant, GrantState, Token};
use crate::model::{Sealed, TokenId};
use crate::store::StoreResult;
use crate::vault::Place;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tracing::{error, info, warn};

/// How much room is kept for bad days?
const BALLAST: usize = 1 << 20;
/// How long is a previous refresh token kept at the latest, in seconds?
const PREVIOUS_KEPT: i64 = 86_400;

/// A token set as it is kept. Its sealed values are those of the row, so nothing here is readable.
#[derive(Serialize, Deserialize)]
struct Kept {
    generation: i64,
    rt_current: Option<(String, i64)>,
    rt_previous: Option<(String, i64)>,
    proven: bool,
    access_token: Option<(String, i64)>,
    token_type: String,
    issued_at: Option<i64>,
    expires_at: Option<i64>,
    granted_scopes: Vec<String>,
}

fn directory(app: &App) -> PathBuf {
    app.config.data_dir.join("recovery")
}

fn path(app: &App, token: &TokenId, generation: i64) -> PathBuf {
    directory(app).join(format!("{token}.{generation}"))
}

fn place<'a>(token: &'a TokenId, generation: i64, destination: &'a str) -> Place<'a> {
    Place {
        table: "recovery",
        column: "grant",
        row: token.as_str(),
        version: generation,
        destination,
    }
}

/// Keeps a token set: written beside, synced, moved into place, the folder synced.
pub(super) fn keep(app: &App, token: &Token, grant: &Grant) -> io::Result<()> {
    let sealed = |value: &Option<(Sealed, i64)>| value.as_ref().map(|(sealed, version)| (sealed.0.clone(), *version));
    let kept = Kept {
        generation: grant.generation,
        rt_current: sealed(&grant.rt_current),
        rt_previous: sealed(&grant.rt_previous),
        proven: grant.rt_current_proven,
        access_token: sealed(&grant.access_token),
        token_type: grant.token_type.clone(),
        issued_at: grant.issued_at.map(|at| at.0),
        expires_at: grant.expires_at.map(|at| at.0),
        granted_scopes: grant.granted_scopes.clone(),
    };
    let text = serde_json::to_string(&kept).map_err(io::Error::other)?;
    let text = app.vault.seal(&place(&token.id, grant.generation, &grant.destination), &text);
    let directory = directory(app);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let target = path(app, &token.id, grant.generation);
    let beside = directory.join(format!("{}.{}.new", token.id, grant.generation));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.0.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, &target)?;
    File::open(&directory)?.sync_all()
}

/// Deletes what was kept and is stored now.
pub(super) fn forget(app: &App, token: &Token, generation: i64) {
    let _ = fs::remove_file(path(app, &token.id, generation));
}

/// Takes in what is kept for one token, if anything is: before its row is read for a renewal.
pub(super) async fn take_in_one(app: &App, token: &Token) {
    let directory = directory(app);
    if !directory.exists() {
        return;
    }
    let prefix = format!("{}.", token.id);
    for file in files(&directory) {
        if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)) {
            take_in(app, &file).await;
        }
    }
}

async fn take_in(app: &App, file: &Path) {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((id, generation)) = name
        .split_once('.')
        .and_then(|(id, rest)| Some((TokenId(id.to_owned()), rest.parse::<i64>().ok()?)))
    else {
        return;
    };
    match store(app, &id, generation, file).await {
        Ok(true) => info!(token.id = %id, "A token set from the recovery folder is stored now"),
        Ok(false) => {}
        Err(problem) => {
            warn!(token.id = %id, cause = %problem, "A token set in the recovery folder can't be stored yet");
            return;
        }
    }
    let _ = fs::remove_file(file);
}

/// Stores a kept token set if it follows what the row has. `false`: the row is newer or gone, or the file can't be opened.
async fn store(app: &App, id: &TokenId, generation: i64, file: &Path) -> StoreResult<bool> {
    let Some(grant) = app.store.grant(id).await? else {
        return Ok(false);
    };
    if grant.generation != generation - 1 {
        return Ok(false);
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    let kept = app.vault.open(&place(id, generation, &grant.destination), &Sealed(text)).ok();
    let Some(kept) = kept.and_then(|text| serde_json::from_str::<Kept>(&text).ok()) else {
        error!(token.id = %id, "A file in the recovery folder can't be opened; it is moved aside");
        let _ = fs::rename(file, file.with_extension("damaged"));
        return Ok(false);
    };
    let sealed = |value: Option<(String, i64)>| value.map(|(text, version)| (Sealed(text), version));
    let new = Grant {
        generation,
        state: GrantState::Active,
        rt_current: sealed(kept.rt_current),
        rt_previous: sealed(kept.rt_previous),
        rt_current_proven: kept.proven,
        rt_rotated_at: kept.issued_at.map(crate::clock::Timestamp),
        access_token: sealed(kept.access_token),
        token_type: kept.token_type,
        issued_at: kept.issued_at.map(crate::clock::Timestamp),
        expires_at: kept.expires_at.map(crate::clock::Timestamp),
        granted_scopes: kept.granted_scopes,
        refreshed_at: kept.issued_at.map(crate::clock::Timestamp),
        lease_owner: None,
        lease_until: None,
        outcome: "ok".into(),
        failures: 0,
        retry_at: None,
        last_error: None,
        last_error_at: None,
        ..grant
    };
    let mut tx = app.store.begin().await?;
    let stored = tx.update_grant(&new, generation - 1, None).await?;
    tx.commit().await?;
    Ok(stored)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

/// First thing after a start, before anything is served: takes in what the recovery folder holds, asks again at once for every renewal
/// whose answer is not known (a provider that rotates forgives only for a short while), drops previous refresh tokens that are a day
/// old, and lays in ballast.
pub async fn settle_unanswered(app: &App) -> StoreResult<()> {
    for file in files(&directory(app)) {
        take_in(app, &file).await;
    }
    make_ballast(app);
    let mut renewals = Vec::new();
    for grant in app.store.unanswered_grants().await? {
        let held = grant.lease_owner.as_deref().is_some_and(|owner| !super::lease::is_dead(owner));
        if held && grant.lease_until.is_some_and(|until| until > app.clock.now()) {
            continue;
        }
        if let Some(token) = app.store.token_by_id(&grant.token_id).await? {
            info!(token = %token.name, "The answer to a renewal is not known: asking again");
            let app = app.clone();
            renewals.push(tokio::spawn(async move {
                super::flight::renew(&app, &token, super::Wanted::Newer(grant.generation))
                    .await
                    .map(|_| ())
            }));
        }
    }
    for renewal in renewals {
        let _ = renewal.await;
    }
    let mut tx = app.store.begin().await?;
    tx.drop_previous_refresh_tokens(app.clock.now().plus(-PREVIOUS_KEPT)).await?;
    tx.commit().await
}

/// Gives the ballast up, for the row that has to be written now.
pub(super) fn drop_ballast(app: &App) {
    let _ = fs::remove_file(app.config.data_dir.join("ballast"));
}

/// Lays in ballast, if there is none and the disk has room.
pub(super) fn make_ballast(app: &App) {
    let path = app.config.data_dir.join("ballast");
    if path.exists() {
        return;
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(&vec![0; BALLAST]).and_then(|()| file.sync_all()));
    if made.is_err() {
        let _ = fs::remove_file(&path);
    }
}
