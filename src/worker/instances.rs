//! Which processes serve this database. Each says every few seconds that it lives. The clocks of two machines differ and jump, so nobody
//! compares times: an instance is dead when its count of beats stood still for twenty seconds of the observer's own time, or at once
//! where its process is known to be gone.

use crate::actions::access_token::lease;
use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::store::StoreResult;
use crate::store::instances::Instance;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often does an instance say that it lives?
pub const EVERY: Duration = Duration::from_secs(5);
/// How long may it keep still?
const DEAD_AFTER: Duration = Duration::from_secs(20);
/// After how long without a look does it start anew?
const BLIND: Duration = Duration::from_secs(12);

/// What was seen of the instances: the count of beats, and since when it has stood there.
#[derive(Default)]
pub(super) struct Seen {
    beats: Mutex<HashMap<String, (i64, Instant)>>,
    /// When the list was last read.
    read: Mutex<Option<Instant>>,
    started: OnceLock<Timestamp>,
}

impl Seen {
    /// Notes what was read; answers with those whose count has not moved for too long.
    fn still(&self, instances: &[Instance], now: Instant) -> Vec<Instance> {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.read.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        if last.is_some_and(|last| now.duration_since(last) > BLIND) {
            // Whoever looked away for so long, or got no answer from the database, has not seen the others stand still.
            beats.clear();
        }
        beats.retain(|id, _| instances.iter().any(|instance| instance.id == *id));
        let is_still = |instance: &&Instance| match beats.get(&instance.id) {
            Some((beat, since)) if *beat == instance.beat => now.duration_since(*since) >= DEAD_AFTER,
            _ => {
                beats.insert(instance.id.clone(), (instance.beat, now));
                false
            }
        };
        instances.iter().filter(is_still).cloned().collect()
    }
}

/// Says that this instance lives, and takes those away that don't.
pub async fn tick(app: &App) -> StoreResult<()> {
    let own = app.flights.owner(app).as_str();
    let now = app.clock.now();
    let instance = Instance {
        id: own.to_owned(),
        host: host(own).to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: *app.workers.seen().started.get_or_init(|| now),
        seen_at: now,
        beat: 0,
    };
    app.store.beat(&instance).await?;
    // What was changed at another instance counts here too.
    settings::take_over(app).await?;
    let all = app.store.instances().await?;
    let mut dead = app.workers.seen().still(&all, Instant::now());
    let directory = lease::directory(app);
    dead.extend(all.iter().filter(|instance| lease::is_dead(&directory, &instance.id)).cloned());
    for gone in dead.iter().filter(|instance| instance.id != own) {
        if app.store.remove_instance(&gone.id, gone.beat).await? {
            tracing::warn!(host = %gone.host, "An instance on {} stopped without a word; its work is taken over", gone.host);
        }
    }
    let mut living: Vec<&str> = all.iter().map(|instance| instance.id.as_str()).collect();
    living.retain(|id| *id == own || dead.iter().all(|gone| gone.id != *id));
    living.sort_unstable();
    let before = app.workers.share().1;
    app.workers
        .note_share(living.iter().position(|id| *id == own).unwrap_or(0), living.len());
    if app.workers.share().1 < before {
        app.workers.wake();
    }
    Ok(())
}

/// Takes this instance away, so that the others need not wait: for an orderly stop.
pub async fn leave(app: &App) -> StoreResult<()> {
    let own = app.flights.owner(app).as_str();
    for instance in app.store.instances().await? {
        if instance.id == own {
            app.store.remove_instance(own, instance.beat).await?;
        }
    }
    Ok(())
}

/// The name of the machine in the name of an instance.
fn host(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: &str, beat: i64) -> Instance {
        Instance {
            id: id.into(),
            host: "h".into(),
            version: "1".into(),
            started_at: Timestamp(0),
            seen_at: Timestamp(0),
            beat,
        }
    }

    #[test]
    fn who_keeps_still_for_twenty_seconds_is_dead_and_who_goes_on_is_not() {
        let (seen, start) = (Seen::default(), Instant::now());
        let at = |seconds: u64, beats: [i64; 2]| {
            let now = start + Duration::from_secs(seconds);
            let found = seen.still(&[instance("a", beats[0]), instance("b", beats[1])], now);
            found.into_iter().map(|instance| instance.id).collect::<Vec<_>>()
        };
        assert!(at(0, [1, 7]).is_empty(), "first seen");
        assert!(at(10, [2, 7]).is_empty());
        assert!(at(19, [5, 7]).is_empty());
        assert_eq!(at(21, [5, 7]), ["b"]);
        assert_eq!(at(30, [6, 7]), ["b"], "a went on");
        assert!(at(39, [6, 8]).is_empty(), "b is back");
        assert_eq!(at(50, [6, 8]), ["a"], "and a has stood since 30");
        assert!(
            at(90, [6, 8]).is_empty(),
            "who looked away for long has not seen anybody stand still"
        );
        assert!(at(100, [6, 8]).is_empty());
        assert_eq!(at(110, [6, 9]), ["a"]);
    }
}
