//! What the console measures of itself: counted as it happens, and written in the text format that Prometheus reads (its exposition
//! format 0.0.4).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0];
/// The same for messages that mailboxes send to themselves.
const TRIP_BUCKETS: [f64; BUCKETS.len()] = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];
/// At how many providers are renewals counted? Those at others are counted as `other`.
const MOST_PROVIDERS: usize = 200;

/// How old may what was gathered be, when somebody asks again?
const FRESH: Duration = Duration::from_secs(5);
/// How long may gathering take, the wait for somebody else's included?
const LONGEST: Duration = Duration::from_secs(10);
/// How renewals end.
const RENEWALS: [&str; 5] = ["ok", "transient", "needs_sign_in", "app", "other"];

/// Counters of this process. They begin at zero with it.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counted>);

/// What was gathered last, and when by the clock's running time: it costs queries, so whoever asks meanwhile gets the same.
#[derive(Debug, Default)]
pub struct Gathered(tokio::sync::Mutex<Option<(Duration, String)>>);

impl Gathered {
    /// What was gathered a moment ago, else what `gather` brings: one at a time. None where it takes too long.
    pub async fn text<E>(
        &self,
        running: impl Fn() -> Duration,
        gather: impl Future<Output = Result<String, E>>,
    ) -> Option<Result<String, E>> {
        let work = async {
            let mut kept = self.0.lock().await;
            if let Some((at, text)) = &*kept
                && running().saturating_sub(*at) < FRESH
            {
                return Ok(text.clone());
            }
            let text = gather.await?;
            *kept = Some((running(), text.clone()));
            Ok(text)
        };
        tokio::time::timeout(LONGEST, work).await.ok()
    }
}

#[derive(Debug)]
struct Counted {
    checks: BTreeMap<&'static str, u64>,
    check_seconds: Histogram,
    renewals: BTreeMap<String, BTreeMap<&'static str, u64>>,
    renewal_seconds: Histogram,
    round_trips: BTreeMap<&'static str, u64>,
    round_trip_seconds: Histogram,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            checks: BTreeMap::new(),
            check_seconds: Histogram::of(BUCKETS),
            renewals: BTreeMap::new(),
            renewal_seconds: Histogram::of(BUCKETS),
            round_trips: BTreeMap::new(),
            round_trip_seconds: Histogram::of(TRIP_BUCKETS),
        }
    }
}

#[derive(Debug)]
struct Histogram {
    bounds: [f64; BUCKETS.len()],
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    fn of(bounds: [f64; BUCKETS.len()]) -> Self {
        Self {
            bounds,
            buckets: [0; BUCKETS.len()],
            count: 0,
            sum: 0.0,
        }
    }

    fn write(&self, text: &mut Exposition, name: &str, help: &str) {
        text.family(name, "histogram", help);
        for (bound, count) in self.bounds.iter().zip(self.buckets) {
            text.part("_bucket", &[("le", &bound.to_string())], count as f64);
        }
        text.part("_bucket", &[("le", "+Inf")], self.count as f64);
        text.part("_sum", &[], self.sum);
        text.part("_count", &[], self.count as f64);
    }

    fn add(&mut self, seconds: f64) {
        for (bucket, bound) in self.buckets.iter_mut().zip(self.bounds) {
            if seconds <= bound {
                *bucket += 1;
            }
        }
        self.count += 1;
        self.sum += seconds;
    }
}

impl Counters {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A check on schedule ended: `passed`, `failed` or `skipped`.
    pub fn checked(&self, result: &'static str, took: Duration) {
        let mut counted = self.lock();
        *counted.checks.entry(result).or_default() += 1;
        counted.check_seconds.add(took.as_secs_f64());
    }

    /// A renewal of a token ended: `ok`, `transient`, `needs_sign_in`, `app` or `other`.
    pub fn renewed(&self, provider: &str, result: &'static str, took: Duration) {
        let mut counted = self.lock();
        counted.renewal_seconds.add(took.as_secs_f64());
        let known = counted.renewals.contains_key(provider) || counted.renewals.len() < MOST_PROVIDERS;
        let name = if known { provider } else { "other" };
        *counted.renewals.entry(name.to_owned()).or_default().entry(result).or_default() += 1;
    }

    /// A message of a mailbox to itself came to its end: `arrived` with the seconds it took, `lost` or `refused`.
    pub fn round_trip(&self, result: &'static str, seconds: Option<i64>) {
        let mut counted = self.lock();
        *counted.round_trips.entry(result).or_default() += 1;
        if let Some(seconds) = seconds {
            counted.round_trip_seconds.add(seconds as f64);
        }
    }

    /// Writes them; with zeros for what has not happened yet, also at these providers: what is not there can't be seen to stand still.
    pub fn write(&self, text: &mut Exposition, providers: &[&str]) {
        let mut counted = self.lock();
        for result in ["passed", "failed", "skipped"] {
            counted.checks.entry(result).or_default();
        }
        for result in ["arrived", "lost", "refused"] {
            counted.round_trips.entry(result).or_default();
        }
        text.family("mailgrant_checks_total", "counter", "Checks on schedule that ended, by result.");
        for (result, count) in &counted.checks {
            text.sample(&[("result", result)], *count as f64);
        }
        text.family(
            "mailgrant_renewals_total",
            "counter",
            "Renewals of tokens that ended, by provider and result.",
        );
        let counted_at = counted.renewals.keys().map(String::as_str);
        let names: BTreeSet<&str> = counted_at.chain(providers.iter().copied().take(MOST_PROVIDERS)).collect();
        for provider in names {
            let renewals = counted.renewals.get(provider);
            for result in RENEWALS {
                let count = renewals.and_then(|renewals| renewals.get(result)).copied().unwrap_or(0);
                text.sample(&[("provider", provider), ("result", result)], count as f64);
            }
        }
        counted.check_seconds.write(
            text,
            "mailgrant_check_duration_seconds",
            "How long checks took, both sides together.",
        );
        counted.renewal_seconds.write(
            text,
            "mailgrant_renewal_duration_seconds",
            "How long renewals of tokens took, from the request to the answer that is kept.",
        );
        text.family(
            "mailgrant_round_trips_total",
            "counter",
            "Messages of mailboxes to themselves that came to their end, by result.",
        );
        for (result, count) in &counted.round_trips {
            text.sample(&[("result", result)], *count as f64);
        }
        counted.round_trip_seconds.write(
            text,
            "mailgrant_round_trip_seconds",
            "After how long messages of mailboxes to themselves were there.",
        );
    }
}

/// Text in the exposition format, as it grows.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    name: String,
}

impl Exposition {
    /// Begins a metric: `gauge`, `counter` or `histogram`. The samples after it are its own.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        name.clone_into(&mut self.name);
    }

    /// Adds a sample. Label values may be anything.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.part("", labels, value);
    }

    /// Adds a sample of a part of the metric, like `_sum`.
    fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (number, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let begin = if number == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{begin}{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn what_is_counted_is_written_as_prometheus_reads_it() {
        let counters = Counters::default();
        counters.checked("passed", Duration::from_millis(300));
        counters.checked("failed", Duration::from_secs(20));
        counters.renewed("con\"to\nso\\", "ok", Duration::from_millis(700));
        counters.renewed("con\"to\nso\\", "ok", Duration::from_millis(700));
        let mut text = Exposition::default();
        counters.write(&mut text, &["quiet"]);
        let text = text.into_text();
        for line in [
            "# TYPE mailgrant_checks_total counter",
            "mailgrant_checks_total{result=\"passed\"} 1",
            "mailgrant_renewals_total{provider=\"con\\\"to\\nso\\\\\",result=\"ok\"} 2",
            "mailgrant_renewals_total{provider=\"quiet\",result=\"ok\"} 0",
            "mailgrant_checks_total{result=\"skipped\"} 0",
            "mailgrant_round_trips_total{result=\"lost\"} 0",
            "mailgrant_check_duration_seconds_bucket{le=\"0.25\"} 0",
            "mailgrant_check_duration_seconds_bucket{le=\"0.5\"} 1",
            "mailgrant_check_duration_seconds_bucket{le=\"30\"} 2",
            "mailgrant_check_duration_seconds_bucket{le=\"+Inf\"} 2",
            "mailgrant_check_duration_seconds_sum 20.3",
            "mailgrant_check_duration_seconds_count 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn names_without_end_are_counted_together() {
        let counters = Counters::default();
        for number in 0..5000 {
            counters.renewed(&format!("p{number}"), "ok", Duration::ZERO);
        }
        assert!(counters.lock().renewals.len() <= MOST_PROVIDERS + 1);
        let all: u64 = counters.lock().renewals.values().flat_map(BTreeMap::values).sum();
        assert_eq!(all, 5000);
    }

    /// The zeros of many providers must not take the place of the one that renews.
    #[test]
    fn a_provider_that_renews_is_counted_whatever_others_there_are() {
        let counters = Counters::default();
        let others: Vec<String> = (0..500).map(|number| format!("p{number}")).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        for _ in 0..2 {
            counters.write(&mut Exposition::default(), &others);
        }
        counters.renewed("microsoft", "ok", Duration::ZERO);
        let mut text = Exposition::default();
        counters.write(&mut text, &others);
        let text = text.text;
        assert!(
            text.contains("mailgrant_renewals_total{provider=\"microsoft\",result=\"ok\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("mailgrant_renewals_total{provider=\"p0\",result=\"ok\"} 0\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_at_once_gets_what_one_gathering_brings() {
        let (gathered, running) = (Gathered::default(), AtomicU64::new(0));
        let now = || Duration::from_secs(running.load(Ordering::Relaxed));
        let (made, at_once, most) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let gather = async || {
            most.fetch_max(at_once.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
            at_once.fetch_sub(1, Ordering::Relaxed);
            Ok::<_, ()>(made.fetch_add(1, Ordering::Relaxed).to_string())
        };
        let answers = futures_util::future::join_all((0..20).map(|_| gathered.text(now, gather()))).await;
        assert!(answers.iter().all(|answer| *answer == Some(Ok("0".to_owned()))), "{answers:?}");
        running.store(4, Ordering::Relaxed);
        assert_eq!(gathered.text(now, gather()).await, Some(Ok("0".to_owned())));
        running.store(5, Ordering::Relaxed);
        assert_eq!(
            gathered.text(now, gather()).await,
            Some(Ok("1".to_owned())),
            "later it is gathered anew"
        );
        assert_eq!(most.load(Ordering::Relaxed), 1);
        // One that hangs is given up, and holds nobody up after that.
        running.store(60, Ordering::Relaxed);
        assert_eq!(gathered.text(now, std::future::pending::<Result<String, ()>>()).await, None);
        assert_eq!(gathered.text(now, gather()).await, Some(Ok("2".to_owned())));
    }
}
