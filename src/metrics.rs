//! What the console measures of itself: counted as it happens, and written in the text format that Prometheus reads (its exposition
//! format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0];
/// How many different label values are counted at most under one name? What comes after is counted as `other`.
const MOST_SERIES: usize = 1000;

/// Counters of this process. They begin at zero with it.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    checks: BTreeMap<&'static str, u64>,
    check_seconds: Histogram,
    renewals: BTreeMap<(String, &'static str), u64>,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        for (bucket, bound) in self.buckets.iter_mut().zip(BUCKETS) {
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
    pub fn renewed(&self, provider: &str, result: &'static str) {
        let mut counted = self.lock();
        let known = counted.renewals.keys().any(|(name, _)| name == provider);
        let name = if known || counted.renewals.len() < MOST_SERIES {
            provider
        } else {
            "other"
        };
        *counted.renewals.entry((name.to_owned(), result)).or_default() += 1;
    }

    /// Writes them.
    pub fn write(&self, text: &mut Exposition) {
        let counted = self.lock();
        text.family("mailgrant_checks_total", "counter", "Checks on schedule that ended, by result.");
        for (result, count) in &counted.checks {
            text.sample(&[("result", result)], *count as f64);
        }
        text.family(
            "mailgrant_renewals_total",
            "counter",
            "Renewals of tokens that ended, by provider and result.",
        );
        for ((provider, result), count) in &counted.renewals {
            text.sample(&[("provider", provider), ("result", result)], *count as f64);
        }
        text.family(
            "mailgrant_check_duration_seconds",
            "histogram",
            "How long checks took, both sides together.",
        );
        let seconds = &counted.check_seconds;
        for (bound, count) in BUCKETS.iter().zip(seconds.buckets) {
            text.part("_bucket", &[("le", &bound.to_string())], count as f64);
        }
        text.part("_bucket", &[("le", "+Inf")], seconds.count as f64);
        text.part("_sum", &[], seconds.sum);
        text.part("_count", &[], seconds.count as f64);
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

    #[test]
    fn what_is_counted_is_written_as_prometheus_reads_it() {
        let counters = Counters::default();
        counters.checked("passed", Duration::from_millis(300));
        counters.checked("failed", Duration::from_secs(20));
        counters.renewed("con\"to\nso\\", "ok");
        counters.renewed("con\"to\nso\\", "ok");
        let mut text = Exposition::default();
        counters.write(&mut text);
        let text = text.into_text();
        for line in [
            "# TYPE mailgrant_checks_total counter",
            "mailgrant_checks_total{result=\"passed\"} 1",
            "mailgrant_renewals_total{provider=\"con\\\"to\\nso\\\\\",result=\"ok\"} 2",
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
            counters.renewed(&format!("p{number}"), "ok");
        }
        assert!(counters.lock().renewals.len() <= MOST_SERIES + 1);
        assert_eq!(counters.lock().renewals.values().sum::<u64>(), 5000);
    }
}
