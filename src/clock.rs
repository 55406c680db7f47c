//! Time, injected: expiry, ages and dates come from a [`Clock`], so that tests can move it. Durations of steps and deadlines
//! use the runtime's monotonic clock instead.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment plus so many seconds; stops at the ends of the range instead of wrapping.
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this moment; negative if `earlier` is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `2026-11-21T08:14:02Z` (RFC 3339, UTC, whole seconds).
    pub fn to_rfc3339(self) -> String {
        use time::format_description::well_known::Rfc3339;
        time::OffsetDateTime::from_unix_timestamp(self.0)
            .ok()
            .and_then(|t| t.format(&Rfc3339).ok())
            .unwrap_or_else(|| self.0.to_string())
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The current moment.
    fn now(&self) -> Timestamp;

    /// How long this clock has run: only ever more, at an even pace, whatever somebody sets [`Clock::now`] to. What goes on by itself is
    /// timed with it.
    fn running(&self) -> Duration;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
        let now = std::time::SystemTime::now();
        Timestamp(
            now.duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX)),
        )
    }

    fn running(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// A clock that stands still until it is told to move. For tests. What it has run is the time it was moved by, and the time that really
/// passed.
#[derive(Debug, Clone)]
pub struct MockClock(Arc<Mock>);

#[derive(Debug)]
struct Mock {
    /// Milliseconds since 1970.
    wall: AtomicI64,
    /// Milliseconds it was moved by.
    moved: AtomicI64,
    started: Instant,
}

impl MockClock {
    /// Stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mock {
            wall: AtomicI64::new(now.0.saturating_mul(1000)),
            moved: AtomicI64::new(0),
            started: Instant::now(),
        }))
    }

    /// Lets so many seconds pass; backwards if negative, as if they had not.
    pub fn advance(&self, seconds: i64) {
        self.advance_millis(seconds.saturating_mul(1000));
    }

    /// The same in milliseconds.
    pub fn advance_millis(&self, millis: i64) {
        self.0.wall.fetch_add(millis, Ordering::SeqCst);
        self.0.moved.fetch_add(millis.max(0), Ordering::SeqCst);
    }

    /// Somebody sets the clock, by so many seconds: no time passes.
    pub fn set_by(&self, seconds: i64) {
        self.0.wall.fetch_add(seconds.saturating_mul(1000), Ordering::SeqCst);
    }
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.wall.load(Ordering::SeqCst).div_euclid(1000))
    }

    fn running(&self) -> Duration {
        let moved = u64::try_from(self.0.moved.load(Ordering::SeqCst)).unwrap_or(0);
        self.0.started.elapsed() + Duration::from_millis(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(Timestamp(1_795_248_842).to_rfc3339(), "2026-11-21T08:14:02Z");
        assert_eq!(Timestamp(i64::MAX).plus(1), Timestamp(i64::MAX));
    }
}
