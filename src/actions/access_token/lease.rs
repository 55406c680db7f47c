//! Who renews a grant: a name that tells whether its owner still lives, so that the claim of a dead process on this host can be taken
//! over at once.

use crate::random::Random;
use std::sync::Arc;

/// The claims of this process: `host/pid namespace/boot id/pid/start/random`.
#[derive(Debug, Clone)]
pub struct Owner(Arc<str>);

impl Owner {
    /// A name for this process. Two made in one process differ.
    pub fn new(random: &dyn Random) -> Self {
        let pid = std::process::id();
        let start = start_of(pid).unwrap_or_default();
        Self(format!("{}/{pid}/{start}/{}", place(), &random.id()[..8]).into())
    }

    /// The text in the row.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the owner of a claim is known to be dead: a process of this host, boot and namespace that is no more.
pub fn is_dead(owner: &str) -> bool {
    let Some(rest) = owner.strip_prefix(&format!("{}/", place())) else {
        return false;
    };
    let mut parts = rest.split('/');
    let (Some(pid), Some(start)) = (parts.next().and_then(|pid| pid.parse().ok()), parts.next()) else {
        return false;
    };
    start_of(pid).is_none_or(|now| now != start)
}

fn place() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().replace('/', "_");
    let namespace = std::fs::read_link("/proc/self/ns/pid")
        .map(|link| link.display().to_string())
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
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name, in brackets, and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18).map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn a_claim_outlives_its_process_only_elsewhere() {
        let mine = Owner::new(&SystemRandom);
        assert!(!is_dead(mine.as_str()));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = start_of(child.id()).unwrap();
        let theirs = format!("{}/{}/{start}/x", place(), child.id());
        assert!(!is_dead(&theirs));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_dead(&theirs));
        assert!(
            is_dead(&format!("{}/{}/1/x", place(), std::process::id())),
            "the number was given to another process"
        );
        assert!(
            !is_dead(&theirs.replacen(place().split('/').next().unwrap(), "other-host", 1)),
            "another host may live"
        );
    }
}
