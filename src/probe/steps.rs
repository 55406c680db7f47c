//! A test that is running: times each stage, keeps what was said during it, streams the report and stops at the first failure.

use super::stages;
use crate::mail::MailError;
use crate::mail::record::Recorder;
use crate::model::report::{Outcome, Report, Stage, Step};
use futures_util::FutureExt;
use serde_json::{Map, Value};
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long may the whole conversation take? The token and the arrival have their own limits.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// From when on is a step slow?
const SLOW: Duration = Duration::from_secs(5);

/// What a stage found.
#[derive(Debug)]
pub struct Done<T> {
    pub(super) value: T,
    pub(super) detail: String,
    pub(super) facts: Map<String, Value>,
    pub(super) warning: bool,
}

impl<T> Done<T> {
    /// A value for the next stage, and a line of evidence for people.
    pub fn new(value: T, detail: impl Into<String>) -> Self {
        Self {
            value,
            detail: detail.into(),
            facts: Map::new(),
            warning: false,
        }
    }

    /// With something measured.
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// The same with another value.
    pub(super) fn with<U>(self, value: U) -> Done<U> {
        Done {
            value,
            detail: self.detail,
            facts: self.facts,
            warning: self.warning,
        }
    }

    /// The value alone, for a stage within another.
    pub fn into_value(self) -> T {
        self.value
    }

    /// With something about it that needs attention.
    pub fn warn(mut self) -> Self {
        self.warning = true;
        self
    }
}

/// Why a stage failed: what a diagnosis needs, and a line for people.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Failure {
    /// Our own name for it, where we know more than the other side's text says.
    pub own_id: Option<&'static str>,
    /// What the other side said, for the catalogue of causes.
    pub evidence: String,
    /// The line of evidence on the page.
    pub detail: String,
    /// What was measured all the same.
    pub facts: Map<String, Value>,
    /// Whether trying again may help without a change.
    pub transient: bool,
    /// Whether the server said no to this sign-in or mailbox, and not that it has trouble.
    pub refused: bool,
}

impl From<MailError> for Failure {
    fn from(error: MailError) -> Self {
        let facts = match &error {
            MailError::Tls(tls) => tls.certificate.as_ref().map(stages::certificate_facts).unwrap_or_default(),
            MailError::Graph(refused) => stages::refusal_facts(refused),
            _ => Map::new(),
        };
        Self {
            own_id: error.own_id(),
            evidence: error.evidence(),
            detail: error.to_string(),
            facts,
            transient: error.is_transient(),
            refused: match &error {
                MailError::Refused { .. } => !error.is_transient(),
                MailError::Graph(refused) => refused.status == 403 && !error.is_transient(),
                _ => false,
            },
        }
    }
}

/// A stage failed, now or before; [`Steps::finish`] says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the test stopped")]
pub struct Stopped;

/// A test that is running.
pub struct Steps {
    report: watch::Sender<Report>,
    planned: Vec<Stage>,
    begun: Instant,
    allowance: Duration,
    slow: Duration,
    deadline: Option<Instant>,
    recorder: Option<Recorder>,
    running: Option<(Stage, Instant)>,
    failure: Option<Failure>,
}

impl Steps {
    /// Starts a test. The receiver sees the report grow, step by step.
    pub fn start(report: Report, planned: Vec<Stage>) -> (Self, watch::Receiver<Report>) {
        let (report, watcher) = watch::channel(report);
        let steps = Self {
            report,
            planned,
            begun: Instant::now(),
            allowance: DEADLINE,
            slow: SLOW,
            deadline: None,
            recorder: None,
            running: None,
            failure: None,
        };
        (steps, watcher)
    }

    /// With another limit for the whole conversation.
    pub fn allow(mut self, allowance: Duration) -> Self {
        self.allowance = allowance;
        self
    }

    /// Takes the transcripts of the following stages from here.
    pub(crate) fn listen(&mut self, recorder: &Recorder) {
        self.recorder = Some(recorder.clone());
    }

    /// Adds to what the test found.
    pub fn fact(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        self.report.send_modify(|report| {
            report.facts.insert(name.to_owned(), value);
        });
    }

    /// When the test started, by the clock of the report.
    pub(crate) fn started_at(&self) -> String {
        self.report.borrow().started_at.clone()
    }

    /// Runs a stage, unless one failed before. Its time counts towards the deadline, except for the token and the arrival, which
    /// limit themselves.
    pub async fn run<T, E: Into<Failure>>(&mut self, stage: Stage, work: impl Future<Output = Result<Done<T>, E>>) -> Result<T, Stopped> {
        if self.failure.is_some() {
            return Err(Stopped);
        }
        let begun = Instant::now();
        self.running = Some((stage, begun));
        // A parser that panics on what a stranger sends fails the step and nothing else.
        let work = AssertUnwindSafe(work).catch_unwind();
        let result = match stage {
            Stage::Token | Stage::Arrived => work.await,
            _ => {
                let deadline = *self.deadline.get_or_insert(begun + self.allowance);
                match tokio::time::timeout_at(deadline, work).await {
                    Ok(result) => result,
                    Err(_) => return self.fail(stage, begun, self.too_late(stage, begun)),
                }
            }
        };
        match result {
            Ok(Ok(done)) => Ok(self.pass(stage, begun, done)),
            Ok(Err(failure)) => self.fail(stage, begun, failure.into()),
            Err(_) => {
                let failure = Failure {
                    own_id: Some("console-protocol-error"),
                    detail: "the reply can't be understood".to_owned(),
                    ..Failure::default()
                };
                self.fail(stage, begun, failure)
            }
        }
    }

    fn pass<T>(&mut self, stage: Stage, begun: Instant, done: Done<T>) -> T {
        let took = begun.elapsed();
        let (mut facts, mut outcome) = (done.facts, Outcome::Passed);
        // Waiting for a message to arrive is waiting by intent.
        if took > self.slow && stage != Stage::Arrived {
            facts.insert("slow".to_owned(), Value::Bool(true));
            outcome = Outcome::Warning;
        }
        if done.warning {
            outcome = Outcome::Warning;
        }
        self.push(stage, outcome, took, done.detail, facts);
        done.value
    }

    fn fail<T>(&mut self, stage: Stage, begun: Instant, failure: Failure) -> Result<T, Stopped> {
        let (detail, facts) = (failure.detail.clone(), failure.facts.clone());
        self.push(stage, Outcome::Failed, begun.elapsed(), detail, facts);
        self.failure = Some(failure);
        Err(Stopped)
    }

    fn push(&mut self, stage: Stage, outcome: Outcome, took: Duration, detail: String, facts: Map<String, Value>) {
        self.running = None;
        let transcript = self.recorder.as_ref().map(Recorder::take).unwrap_or_default();
        // Evidence quotes the server too.
        let masked = |text: &str| {
            self.recorder
                .as_ref()
                .map_or_else(|| text.to_owned(), |recorder| recorder.masked(text))
        };
        let detail = masked(&detail);
        let facts = facts.into_iter().map(|(name, value)| (name, each_text(value, &masked))).collect();
        let total = milliseconds(self.begun.elapsed());
        self.report.send_modify(|report| {
            report.duration_ms = total;
            if outcome == Outcome::Failed {
                report.outcome = Outcome::Failed;
            }
            report.steps.push(Step {
                step: stage,
                outcome,
                duration_ms: milliseconds(took),
                detail,
                facts,
                transcript,
            });
        });
    }

    fn handed_over(&self, stage: Stage) -> bool {
        matches!(stage, Stage::Data | Stage::Send) && self.recorder.as_ref().is_some_and(Recorder::handed_over)
    }

    /// What it means that the time is over in this stage.
    fn too_late(&self, stage: Stage, begun: Instant) -> Failure {
        let seconds = self.allowance.as_secs();
        let error = match stage {
            Stage::Tcp => MailError::ConnectTimeout {
                seconds: begun.elapsed().as_secs(),
            },
            Stage::Greeting => MailError::NoGreeting,
            _ if self.handed_over(stage) => MailError::SendUnknown {
                why: format!("no answer within the {seconds} s that the whole conversation may take"),
            },
            _ => MailError::Deadline { seconds },
        };
        error.into()
    }

    /// Ends the test: what was planned and not reached is listed as skipped. A stage that was given up in the middle, because
    /// somebody stopped the test, failed.
    pub fn finish(mut self) -> (Report, Option<Failure>) {
        if let Some((stage, begun)) = self.running {
            let failure = if self.handed_over(stage) {
                MailError::SendUnknown {
                    why: "the test was stopped".to_owned(),
                }
                .into()
            } else {
                Failure {
                    own_id: Some("console-stopped"),
                    detail: "stopped".to_owned(),
                    transient: true,
                    ..Failure::default()
                }
            };
            let _: Result<(), Stopped> = self.fail(stage, begun, failure);
        }
        let planned = std::mem::take(&mut self.planned);
        let total = milliseconds(self.begun.elapsed());
        self.report.send_modify(|report| {
            report.duration_ms = total;
            for stage in planned {
                if report.steps.iter().all(|step| step.step != stage) {
                    report.steps.push(Step {
                        step: stage,
                        outcome: Outcome::Skipped,
                        duration_ms: 0,
                        detail: String::new(),
                        facts: Map::new(),
                        transcript: Vec::new(),
                    });
                }
            }
        });
        let report = self.report.borrow().clone();
        (report, self.failure)
    }
}

/// A value with every text in it changed.
pub(crate) fn each_text(value: Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(&text).into(),
        Value::Array(values) => values.into_iter().map(|value| each_text(value, change)).collect(),
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (change(&name), each_text(value, change)));
            Value::Object(members.collect())
        }
        other => other,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
