//! What a full or locked database may not cost: a token set that it doesn't take is kept, sealed, in `<data-dir>/recovery/` until it
//! does (`security.md`, section 3, step 4). As long as it is not in the database nobody renews the grant: the refresh token in the row
//! is an old one.

use super::ballast;
use super::outcome::{self, Renewal, Written};
use super::{AccessError, Handed, How, Wanted, hand};
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::own;
use crate::model::token::{Grant, GrantState, Identity, OtherToken, Token};
use crate::model::{Sealed, TokenId};
use crate::store::StoreError;
use crate::vault::Place;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{error, info, warn};

/// How long do we go on trying once the process is asked to stop, while a token set lasts nowhere yet?
const LAST_TRIES: u32 = 20;

/// A token set the database did not take yet.
pub(super) struct Unsaved {
    renewal: Renewal,
    /// Whether the recovery folder has it: only then may anyone be answered.
    kept: bool,
}

/// A token set as it is kept. Its sealed values are those of the row, and it is sealed as a whole besides.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Which sign-in it belongs to: another one has made it worthless.
    authorized_at: Option<Timestamp>,
    active: bool,
    rt_current: Option<(String, i64)>,
    rt_previous: Option<(String, i64)>,
    proven: bool,
    rotated_at: Option<Timestamp>,
    access_token: Option<(String, i64)>,
    #[serde(default)]
    others: Vec<OtherToken>,
    token_type: String,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    granted_scopes: Vec<String>,
    identity: Identity,
    last_error: Option<String>,
}

impl Kept {
    fn of(grant: &Grant) -> Self {
        let sealed = |value: &Option<(Sealed, i64)>| value.as_ref().map(|(sealed, version)| (sealed.0.clone(), *version));
        Self {
            authorized_at: grant.authorized_at,
            active: grant.state != GrantState::Revoked,
            rt_current: sealed(&grant.rt_current),
            rt_previous: sealed(&grant.rt_previous),
            proven: grant.rt_current_proven,
            rotated_at: grant.rt_rotated_at,
            access_token: sealed(&grant.access_token),
            others: grant.others.clone(),
            token_type: grant.token_type.clone(),
            issued_at: grant.issued_at,
            expires_at: grant.expires_at,
            granted_scopes: grant.granted_scopes.clone(),
            identity: grant.identity.clone(),
            last_error: grant.last_error.clone(),
        }
    }

    /// The row with it.
    fn into_grant(self, row: &Grant, generation: i64) -> Grant {
        let sealed = |value: Option<(String, i64)>| value.map(|(text, version)| (Sealed(text), version));
        Grant {
            generation,
            state: if self.active { GrantState::Active } else { GrantState::Revoked },
            rt_current: sealed(self.rt_current),
            rt_previous: sealed(self.rt_previous),
            rt_current_proven: self.proven,
            rt_rotated_at: self.rotated_at,
            access_token: sealed(self.access_token),
            others: self.others,
            token_type: self.token_type,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            granted_scopes: self.granted_scopes,
            identity: self.identity,
            refreshed_at: self.issued_at,
            lease_owner: None,
            lease_until: None,
            outcome: "ok".into(),
            failures: 0,
            retry_at: None,
            last_error: self.last_error,
            last_error_at: None,
            ..row.clone()
        }
    }
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

/// Makes a new token set last; only then may anyone be answered. `Err` if it lasts nowhere yet. What the database does not take is tried
/// again until it does.
pub(super) async fn store(app: &App, renewal: Renewal) -> Result<Written, AccessError> {
    let problem = match outcome::write(app, &renewal).await {
        Ok(written) => return Ok(written),
        Err(problem) => problem,
    };
    ballast::drop(app);
    if let Ok(written) = outcome::write(app, &renewal).await {
        ballast::make(app);
        return Ok(written);
    }
    let (id, name) = (renewal.token.id.clone(), renewal.token.name.clone());
    error!(token.name = %name, error = %problem, "The database does not take the renewed token {name}; it goes to the recovery folder");
    let kept = keep(app, &renewal.grant).is_ok();
    app.flights.unsaved().insert(id.clone(), Unsaved { renewal, kept });
    let (app, tasks) = (app.clone(), app.tasks.clone());
    tasks.spawn(async move { save(&app, &id).await });
    if kept {
        Ok(Written::Stored)
    } else {
        error!(token.name = %name, "The recovery folder takes no file either; nobody is given the renewed token {name} before one of the two does");
        Err(AccessError::from(problem))
    }
}

/// Tries until the token set is in the database. A stop waits only while it lasts nowhere.
async fn save(app: &App, id: &TokenId) {
    let mut pause = Duration::from_millis(500);
    let mut last_tries = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = app.stopping.cancelled(), if last_tries == 0 => {}
        }
        if save_once(app, id).await {
            return;
        }
        let kept = app.flights.unsaved().get(id).is_none_or(|unsaved| unsaved.kept);
        pause = (pause * 2).min(Duration::from_secs(60));
        if app.stopping.is_cancelled() {
            last_tries += 1;
            if kept || last_tries > LAST_TRIES {
                return;
            }
            pause = Duration::from_millis(500);
        }
    }
}

/// One try. Says whether there is nothing left to do.
async fn save_once(app: &App, id: &TokenId) -> bool {
    let Some((renewal, kept)) = app.flights.unsaved().get(id).map(|unsaved| (unsaved.renewal.clone(), unsaved.kept)) else {
        return true;
    };
    match outcome::write(app, &renewal).await {
        Ok(_) => {
            app.flights.unsaved().remove(id);
            let _ = fs::remove_file(path(app, id, renewal.grant.generation));
            ballast::make(app);
            info!(token.id = %id, "The renewed token {} that waited is in the database now", renewal.token.name);
            true
        }
        Err(_) if kept => false,
        Err(_) => {
            if keep(app, &renewal.grant).is_ok()
                && let Some(unsaved) = app.flights.unsaved().get_mut(id)
            {
                unsaved.kept = true;
            }
            false
        }
    }
}

/// Keeps a token set: written beside, synced, moved into place, the folder synced.
fn keep(app: &App, grant: &Grant) -> io::Result<()> {
    let text = serde_json::to_string(&Kept::of(grant)).map_err(io::Error::other)?;
    let text = app.vault.seal(&place(&grant.token_id, grant.generation, &grant.destination), &text);
    let directory = directory(app);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let target = path(app, &grant.token_id, grant.generation);
    let beside = target.with_extension(format!("{}.new", grant.generation));
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

/// Before a grant is renewed: what is kept of it goes into the database first. An answer means that it is still waiting, and then the
/// row must not be renewed; the kept token is handed out if it will do.
pub(super) async fn pending(app: &App, token: &Token, wanted: &Wanted) -> Option<Result<Handed, AccessError>> {
    let waiting = if save_once(app, &token.id).await {
        from_folder(app, &token.id).await?
    } else {
        let unsaved = app.flights.unsaved();
        let unsaved = unsaved.get(&token.id)?;
        (unsaved.kept).then(|| unsaved.renewal.grant.clone())
    };
    let busy = AccessError::own(AccessError::Busy, own::DATABASE_BUSY);
    Some(match waiting {
        Some(grant) if wanted.is_met(&grant, app.clock.now()) => hand(app, token, &grant, How::Refreshed, wanted),
        _ => Err(busy),
    })
}

/// Takes the files of one token in. `None`: nothing waits any more.
async fn from_folder(app: &App, id: &TokenId) -> Option<Option<Grant>> {
    let prefix = format!("{id}.");
    let mut waiting = None;
    for file in files(app) {
        if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            && let Some(grant) = take_in(app, &file).await
        {
            waiting = Some(grant);
        }
    }
    waiting
}

/// Takes everything in that the folder holds.
pub(super) async fn take_in_all(app: &App) {
    for file in files(app) {
        take_in(app, &file).await;
    }
}

/// Puts a kept token set into the database. `Some`: it has to wait, and this is what it holds.
async fn take_in(app: &App, file: &Path) -> Option<Option<Grant>> {
    let name = file.file_name()?.to_string_lossy().into_owned();
    let (id, generation) = name.split_once('.')?;
    let (id, generation) = (TokenId(id.to_owned()), generation.parse::<i64>().ok()?);
    match store_kept(app, &id, generation, file).await {
        Ok(taken) => {
            if taken {
                info!(area = "token", token.id = %id, "A token set from the recovery folder is in the database now");
            }
            let _ = fs::remove_file(file);
            None
        }
        Err((problem, grant)) => {
            warn!(token.id = %id, error = %problem, "A token set in the recovery folder has to wait");
            Some(grant)
        }
    }
}

/// Stores a kept token set if it follows what the row has. `false`: there is a newer one, or the sign-in is gone, or the file is damaged
/// (then it is moved aside).
async fn store_kept(app: &App, id: &TokenId, generation: i64, file: &Path) -> Result<bool, (StoreError, Option<Grant>)> {
    let Some(row) = app.store.grant(id).await.map_err(|error| (error, None))? else {
        return Ok(false);
    };
    if row.generation >= generation {
        return Ok(false);
    }
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        // Another process was quicker.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err((StoreError::Busy(error.to_string()), None)),
    };
    let kept = app.vault.open(&place(id, generation, &row.destination), &Sealed(text)).ok();
    let Some(kept) = kept.and_then(|text| serde_json::from_str::<Kept>(&text).ok()) else {
        error!(token.id = %id, "A file in the recovery folder can't be opened; it is moved aside");
        let _ = fs::rename(file, file.with_extension(format!("{generation}.damaged")));
        return Ok(false);
    };
    if kept.authorized_at != row.authorized_at {
        return Ok(false);
    }
    let grant = kept.into_grant(&row, generation);
    let stored = async {
        let Some(token) = app.store.token_by_id(id).await? else {
            return Ok(false);
        };
        let Some(provider) = app.store.provider_by_id(&token.provider_id).await? else {
            return Ok(false);
        };
        let renewal = Renewal {
            token,
            provider,
            grant: grant.clone(),
            was: row.generation,
        };
        Ok(outcome::write(app, &renewal).await? == Written::Stored)
    };
    stored.await.map_err(|error| (error, Some(grant)))
}

fn files(app: &App) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory(app)).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
