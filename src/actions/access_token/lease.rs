//! Who renews a grant: a name in the row that tells whether its owner still lives, so that the claim of a dead process can be taken over
//! at once instead of after its end.
//!
//! Two things tell. A locked file in the data directory, which the kernel lets go of with the process: that holds across containers and
//! restarts of the machine. And the process id with its start time, for processes of this host that use another data directory.

use super::renew::MAX_LEASE;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::token::Grant;
use crate::random::Random;
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// The claims of one process: `host/pid namespace/boot id/pid/start/random`.
pub struct Owner {
    text: String,
    /// Locked as long as this lives; none where the disk takes no file.
    lock: Option<(File, PathBuf)>,
}

impl Owner {
    /// A name nobody else has. Its lock file lies in `directory`.
    pub fn new(directory: &Path, random: &dyn Random) -> Self {
        let pid = std::process::id();
        let start = start_of(pid).unwrap_or_default();
        let (nonce, lock) = lock(directory, random);
        Self {
            text: format!("{}/{pid}/{start}/{nonce}", place()),
            lock,
        }
    }

    /// The text in the row.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.lock {
            let _ = fs::remove_file(path);
        }
    }
}

/// A fresh random part, and its file where one can be made.
fn lock(directory: &Path, random: &dyn Random) -> (String, Option<(File, PathBuf)>) {
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    let mut nonce = random.id();
    for _ in 0..3 {
        // Locked before it has its name: whoever finds it there finds it locked.
        let (beside, path) = (directory.join(format!(".{nonce}")), directory.join(&nonce));
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|file| {
                let named = file
                    .try_lock()
                    .map_err(std::io::Error::from)
                    .and_then(|()| fs::hard_link(&beside, &path));
                let _ = fs::remove_file(&beside);
                named.map(|()| file)
            });
        match made {
            Ok(file) => return (nonce, Some((file, path))),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => nonce = random.id(),
            Err(_) => break,
        }
    }
    (nonce, None)
}

/// Where the lock files of a data directory lie.
pub fn directory(app: &App) -> PathBuf {
    app.config.data_dir.join("leases")
}

/// Whether the owner of a claim is known to be dead.
pub fn is_dead(directory: &Path, owner: &str) -> bool {
    let Some((rest, nonce)) = owner.rsplit_once('/') else {
        return false;
    };
    if is_nonce(nonce)
        && let Ok(file) = File::open(directory.join(nonce))
    {
        return !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    }
    let Some((pid, start)) = rest
        .strip_prefix(&place())
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    pid.parse()
        .is_ok_and(|pid: u32| start_of(pid).is_none_or(|now| !start.is_empty() && now != start))
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Removes the lock files of dead processes that no unanswered attempt names.
pub fn sweep(directory: &Path, unanswered: &[Grant]) {
    let named: HashSet<&str> = unanswered
        .iter()
        .filter_map(|grant| grant.lease_owner.as_deref()?.rsplit_once('/'))
        .map(|(_, nonce)| nonce)
        .collect();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_nonce(&name) && !named.contains(&*name) && is_dead(directory, &format!("/{name}")) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Host, process namespace and boot: within one of these a process id means something.
fn place() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().replace('/', "_");
    let namespace = fs::read_link("/proc/self/ns/pid")
        .map(|link| link.display().to_string().replace('/', "_"))
        .unwrap_or_default();
    format!(
        "{}/{namespace}/{}",
        read("/proc/sys/kernel/hostname"),
        read("/proc/sys/kernel/random/boot_id")
    )
}

/// When a process started, in clock ticks since boot (field 22 of `/proc/<pid>/stat`); none if there is no such process, or only what
/// its parent has not collected yet.
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name, in brackets, and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18).map(str::to_owned)).flatten()
}

/// Whether an attempt was sent and will not be answered any more: its process died or its claim ran out. The provider may have rotated,
/// so it is asked again at once.
pub(super) fn is_abandoned(app: &App, grant: &Grant, now: Timestamp) -> bool {
    let Some(owner) = grant.lease_owner.as_deref().filter(|_| grant.outcome == super::outcome::SENT) else {
        return false;
    };
    grant.lease_until.is_none_or(|until| until <= now) || is_dead(&directory(app), owner)
}

/// Watches the claim of somebody else. The wall clocks of two machines differ and jump, so a claim that stood unchanged for its whole
/// length has ended, whatever its date says.
#[derive(Default)]
pub(super) struct Watch(Option<(String, Instant)>);

impl Watch {
    /// Whose claim may be taken over; `Ok(None)`: nobody has one. `Err`: somebody holds it.
    pub fn may_claim(&mut self, app: &App, grant: &Grant, now: Timestamp) -> Result<Option<String>, ()> {
        let Some(owner) = &grant.lease_owner else { return Ok(None) };
        let ours = owner == app.flights.owner(app).as_str();
        if ours || grant.lease_until.is_none_or(|until| until <= now) || is_dead(&directory(app), owner) {
            return Ok(Some(owner.clone()));
        }
        let attempt = grant.attempt_id.as_deref().unwrap_or_default();
        match &self.0 {
            Some((seen, since)) if seen == attempt => {
                if since.elapsed() >= Duration::from_secs(MAX_LEASE.unsigned_abs()) {
                    return Ok(Some(owner.clone()));
                }
            }
            _ => self.0 = Some((attempt.to_owned(), Instant::now())),
        }
        Err(())
    }
}

/// Whether somebody who lives, as far as can be known here, holds the claim of this owner until then.
pub fn is_held(app: &App, owner: Option<&str>, until: Option<Timestamp>, now: Timestamp) -> bool {
    owner.is_some_and(|owner| until.is_some_and(|until| until > now) && !is_dead(&directory(app), owner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{SeededRandom, SystemRandom};

    #[test]
    fn the_claim_of_a_dead_process_is_known_by_its_number() {
        let nowhere = Path::new("/nonexistent");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = start_of(child.id()).unwrap();
        let theirs = format!("{}/{}/{start}/00", place(), child.id());
        assert!(!is_dead(nowhere, &theirs));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_dead(nowhere, &theirs));
        let reused = format!("{}/{}/1/00", place(), std::process::id());
        assert!(is_dead(nowhere, &reused), "the number was given to another process");
        let elsewhere = theirs.replacen(place().split('/').next().unwrap(), "other-host", 1);
        for unknown in [elsewhere.as_str(), "", "nonsense", "a/b/c/d/e/f"] {
            assert!(!is_dead(nowhere, unknown), "{unknown}: it may live somewhere else");
        }
    }

    #[test]
    fn the_lock_file_tells_where_numbers_cannot() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (SeededRandom::new(1), SeededRandom::new(1));
        let owner = Owner::new(directory.path(), &one);
        let other = Owner::new(directory.path(), &two);
        let nonce = |owner: &Owner| owner.as_str().rsplit_once('/').unwrap().1.to_owned();
        assert_ne!(nonce(&owner), nonce(&other), "one stream of randomness, and yet two names");
        let elsewhere = format!("other-host/ns/boot/1/1/{}", nonce(&owner));
        assert!(!is_dead(directory.path(), &elsewhere));

        // What a kill leaves behind: the file without its lock.
        fs::write(directory.path().join("abcdef"), "").unwrap();
        let killed = format!("{}/{}/{}/abcdef", place(), std::process::id(), "1");
        assert!(is_dead(directory.path(), &killed));
        sweep(directory.path(), &[]);
        assert!(!directory.path().join("abcdef").exists());
        assert!(!is_dead(directory.path(), &elsewhere), "the living keep theirs");
        drop((owner, other));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "an orderly end leaves nothing");
        let nowhere = Owner::new(Path::new("/proc/nowhere"), &SystemRandom);
        assert!(!is_dead(Path::new("/proc/nowhere"), nowhere.as_str()));
    }
}
