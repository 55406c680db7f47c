//! Numbers that take long to count: one count at a time for the whole process, and its answer stays for some minutes.

use super::sizes::Size;
use crate::clock::Timestamp;
use crate::store::StoreResult;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// For how many seconds is an answer good?
const FRESH: i64 = 10 * 60;
/// How long does a page wait for a new one? The count goes on by itself, for who asks next.
const WAIT: Duration = Duration::from_secs(5);

/// What the pages of settings count.
#[derive(Clone, Default)]
pub(crate) struct Counted {
    /// How much is kept.
    pub(super) sizes: Arc<Counting<Vec<Size>>>,
    /// How many values are sealed with which data key.
    pub(super) sealed: Arc<Counting<BTreeMap<String, i64>>>,
}

/// The last answer with its time, and who looks for a new one.
pub(super) struct Counting<T> {
    last: Mutex<Option<(Timestamp, T)>>,
    alone: Arc<tokio::sync::Mutex<()>>,
}

impl<T> Default for Counting<T> {
    fn default() -> Self {
        Self {
            last: Mutex::default(),
            alone: Arc::default(),
        }
    }
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Numbers<T> {
    /// Counted then.
    Known(Timestamp, T),
    /// Being counted for the first time.
    UnderWay,
    /// It failed; the log says why.
    Failed,
}

impl<T: Clone + Send + 'static> Counting<T> {
    fn last(&self) -> Option<(Timestamp, T)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last answer while it is good, else that of `count`. While somebody else counts, or where it takes long, an old one has to do.
    /// `stopping` ends a count, which is one of `tasks`.
    pub(super) async fn get<F>(
        self: &Arc<Self>,
        now: Timestamp,
        (tasks, stopping): (&TaskTracker, &CancellationToken),
        count: F,
    ) -> Numbers<T>
    where
        F: Future<Output = StoreResult<T>> + Send + 'static,
    {
        if let Some((at, numbers)) = self.last().filter(|(at, _)| (0..FRESH).contains(&now.since(*at))) {
            return Numbers::Known(at, numbers);
        }
        let mut failed = false;
        if let Ok(alone) = Arc::clone(&self.alone).try_lock_owned() {
            let (own, stopping) = (Arc::clone(self), stopping.clone());
            let counting = tasks.spawn(async move {
                let _alone = alone;
                let counted = tokio::select! {
                    counted = count => counted,
                    () = stopping.cancelled() => return false,
                };
                match counted {
                    Ok(numbers) => *own.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, numbers)),
                    Err(error) => {
                        tracing::warn!(%error, "What a page of settings tells can't be counted: {error}");
                        return true;
                    }
                }
                false
            });
            failed = matches!(tokio::time::timeout(WAIT, counting).await, Ok(Ok(true) | Err(_)));
        }
        match self.last() {
            Some((at, numbers)) => Numbers::Known(at, numbers),
            None if failed => Numbers::Failed,
            None => Numbers::UnderWay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_counts_for_all_and_the_answer_stays_for_some_minutes() {
        let counting = Arc::new(Counting::default());
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let at = |seconds: i64| Timestamp(1_000_000 + seconds);
        let slow = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(7)
        };
        // The first one waits a little; the second one, meanwhile, doesn't count as well.
        assert_eq!(counting.get(at(0), (&tasks, &stopping), slow).await, Numbers::UnderWay);
        assert_eq!(counting.get(at(5), (&tasks, &stopping), async { Ok(8) }).await, Numbers::UnderWay);
        tokio::time::sleep(Duration::from_secs(60)).await;
        // Whoever asks next has the answer of the first, with its time.
        assert_eq!(
            counting.get(at(70), (&tasks, &stopping), async { Ok(8) }).await,
            Numbers::Known(at(0), 7)
        );
        assert_eq!(
            counting.get(at(FRESH), (&tasks, &stopping), async { Ok(9) }).await,
            Numbers::Known(at(FRESH), 9)
        );
        // An old answer is better than none.
        let fails = async { Err(crate::store::StoreError::Stale) };
        assert_eq!(
            counting.get(at(3 * FRESH), (&tasks, &stopping), fails).await,
            Numbers::Known(at(FRESH), 9)
        );
        let fails = async { Err(crate::store::StoreError::Stale) };
        let fresh: Arc<Counting<i64>> = Arc::default();
        assert_eq!(fresh.get(at(0), (&tasks, &stopping), fails).await, Numbers::Failed);
    }
}
