//! A run as its page shows it, running or ended: words and marks for what the report says (`ux.md` 6.5 and 6.6).

pub use super::verdict::numbers;
use super::verdict::{Verdict, extras, verdict};
use crate::actions::mailboxes::Change;
use crate::actions::probe::{Progress, Settings, running_step, stored_settings};
use crate::clock::Timestamp;
use crate::diagnosis::ways::Scene;
use crate::model::mailbox::Protocol;
use crate::model::report::{Direction, Line, Outcome, Report, Stage, Step};
use crate::model::user::Permission;
use crate::store::reports::Run;
use crate::web::guard::CurrentUser;
use crate::web::pages::diagnosis::{Again, DiagnosisView, as_of_run};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// One row of the steps.
#[derive(Debug, Clone)]
pub struct StepView {
    /// Makes its id on the page.
    pub key: &'static str,
    /// Its mark.
    pub kind: &'static str,
    /// `now`, `wait`, `fail` or empty.
    pub css: &'static str,
    /// Title.
    pub title: String,
    /// Its state for those who don't see the mark.
    pub state: &'static str,
    /// How long it took.
    pub took: String,
    /// The line of evidence.
    pub what: String,
    /// Whether it is ours and tells times (the others may quote a server).
    pub timed: bool,
    /// The conversation.
    pub talk: Vec<Line>,
    /// Whether the conversation is unfolded.
    pub open: bool,
}

/// An older run of the same side.
#[derive(Debug, Clone)]
pub struct LastRun {
    /// Its address.
    pub id: String,
    /// Mark.
    pub kind: &'static str,
    /// Word.
    pub words: &'static str,
    /// `Test incoming` or `Test outgoing`.
    pub what: &'static str,
    /// At which step, where it failed.
    pub step: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
}

/// A run.
#[derive(Debug, Clone)]
pub struct RunView {
    /// Id.
    pub id: String,
    /// Which side.
    pub direction: Direction,
    /// Name of the mailbox then.
    pub mailbox: String,
    /// Its address then.
    pub address: String,
    /// Whether the settings were not saved.
    pub draft: bool,
    /// `IMAP`, `POP`, `SMTP` or `Microsoft Graph`.
    pub protocol: &'static str,
    /// Server, without the rest of the endpoint.
    pub host: String,
    /// Name of the token, where there is one.
    pub token: String,
    /// Whether it goes on.
    pub running: bool,
    /// The title of the page, the result first.
    pub page_title: String,
    /// Heading of the panel of steps.
    pub heading: String,
    /// The one line for screen readers.
    pub status: String,
    /// Steps done, as the progress bar has it.
    pub value: String,
    /// How many there are.
    pub total: usize,
    /// `3.4 s so far`, `in 4.0 s`.
    pub elapsed: String,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Who started it.
    pub by: String,
    /// Its steps.
    pub steps: Vec<StepView>,
    /// Whether it ended as it should.
    pub passed: bool,
    /// How it ended.
    pub verdict: Option<Verdict>,
    /// Why it failed and what to do about it; the page shows it in place of the verdict.
    pub diagnosis: Option<DiagnosisView>,
    /// Whether there are senders and subjects to show.
    pub has_messages: bool,
    /// What changed since: label, then, now.
    pub changes: Vec<Change>,
    /// Older results.
    pub last: Vec<LastRun>,
    /// What was moved of its messages, in sentences.
    pub moved: Vec<String>,
}

impl RunView {
    /// `Test incoming` or `Test outgoing`.
    pub fn what(&self) -> &'static str {
        what(self.direction)
    }

    /// The same inside a sentence.
    pub fn kind_words(&self) -> &'static str {
        match self.direction {
            Direction::Incoming => "incoming",
            Direction::Outgoing => "outgoing",
        }
    }

    /// A run that goes on in this process.
    pub fn live(run: &Run, settings: &Settings, planned: &[Stage], progress: &Progress, began: Instant) -> Self {
        let report = &progress.report;
        let mut view = Self::new(run, settings);
        let current = running_step(planned, report).filter(|_| !progress.waiting);
        let done = report.steps.len();
        view.running = true;
        view.total = planned.len();
        view.steps = report.steps.iter().map(step).collect();
        for stage in &planned[done.min(planned.len())..] {
            let running = current == Some(*stage);
            view.steps.push(StepView {
                key: stage.as_str(),
                kind: if running { "run" } else { "todo" },
                css: if running { "now" } else { "wait" },
                title: stage.title().to_owned(),
                state: if running { "running" } else { "not started" },
                took: if running {
                    took(progress.step_began.elapsed())
                } else {
                    String::new()
                },
                what: if running { waiting_words(*stage).to_owned() } else { String::new() },
                timed: false,
                talk: Vec::new(),
                open: false,
            });
        }
        view.elapsed = format!("{} so far", took(began.elapsed()));
        (view.heading, view.status) = match current {
            None if progress.waiting => ("Waiting for its turn".to_owned(), "Waiting for its turn".to_owned()),
            None => ("Nearly done".to_owned(), "Nearly done".to_owned()),
            Some(stage) => (
                format!("Running, step {} of {}", done + 1, planned.len()),
                format!("Step {} of {}: {}", done + 1, planned.len(), stage.title().to_lowercase()),
            ),
        };
        view.value = match current {
            Some(_) => format!("{done}.5"),
            None => done.to_string(),
        };
        view.page_title = format!("Testing {}, {}", view.kind_words(), view.address);
        view
    }

    /// A run that goes on in another process, or one whose end was never stored.
    pub fn elsewhere(run: &Run, settings: &Settings) -> Self {
        let mut view = Self::new(run, settings);
        view.running = true;
        view.heading = "Running".to_owned();
        view.status = "Running, started by another process".to_owned();
        view.page_title = format!("Testing {}, {}", view.kind_words(), view.address);
        view
    }

    /// A run that ended.
    pub fn ended(run: &Run, settings: &Settings, report: Option<&Report>) -> Self {
        let mut view = Self::new(run, settings);
        view.finished_at = run.finished_at;
        view.has_messages = run.newest.is_some();
        if let Some(report) = report {
            view.total = report.steps.len();
            view.steps = shown_steps(report);
            view.elapsed = format!("in {}", took(Duration::from_millis(report.duration_ms)));
        }
        let verdict = verdict(run, report, &view);
        let word = outcome_words(&run.outcome);
        view.heading = "Steps".to_owned();
        view.status = verdict.title.clone();
        view.page_title = format!("{word}: test {}, {}", view.kind_words(), view.address);
        view.passed = run.outcome == "passed";
        view.verdict = Some(verdict);
        view
    }

    /// With why it failed, for this person. `scene` is what is known around it now, `again` how to test once more.
    pub async fn explain(&mut self, user: &CurrentUser, run: &Run, mut scene: Scene, again: Option<Again>) {
        let report: Option<Report> = serde_json::from_str(&run.report).ok();
        let Some((report, found)) = report.as_ref().and_then(|report| Some((report, report.diagnosis.as_ref()?))) else {
            return;
        };
        if run.outcome != "failed" {
            return;
        }
        as_of_run(&mut scene, &stored_settings(run), report);
        if !user.may(Permission::LogRead) {
            scene.said.clear();
        }
        // Two sides may stand on one page.
        let key = if self.draft {
            format!("verdict-{}", self.direction)
        } else {
            "verdict".to_owned()
        };
        let mut view = DiagnosisView::new(user, &key, found, &scene).await;
        view.facts.extend(extras(report, &self.host));
        if let Some(again) = again {
            view = view.again(user, Permission::MailboxTest, again);
        }
        self.diagnosis = Some(view);
    }

    fn new(run: &Run, settings: &Settings) -> Self {
        let incoming = run.direction == Direction::Incoming;
        let protocol = Protocol::parse(&run.protocol).map_or("mail", Protocol::label);
        let server = settings.get(if incoming { "Incoming server" } else { "Outgoing server" });
        let sign_in = settings.get(if incoming { "Incoming sign-in" } else { "Outgoing sign-in" });
        Self {
            id: run.id.to_string(),
            direction: run.direction,
            mailbox: run.mailbox_name.clone(),
            address: run.address.clone(),
            draft: run.draft,
            protocol,
            host: match server.and_then(|server| server.rsplit_once(':')) {
                Some((host, _)) => host.to_owned(),
                None => protocol.to_owned(),
            },
            token: sign_in.and_then(|text| text.strip_prefix("token ")).unwrap_or_default().to_owned(),
            running: false,
            page_title: String::new(),
            heading: String::new(),
            status: String::new(),
            value: String::new(),
            total: 0,
            elapsed: String::new(),
            finished_at: None,
            by: run.started_by.clone(),
            steps: Vec::new(),
            passed: false,
            verdict: None,
            diagnosis: None,
            has_messages: false,
            changes: Vec::new(),
            last: Vec::new(),
            moved: Vec::new(),
        }
    }
}

/// `Test incoming` or `Test outgoing`.
pub fn what(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => "Test incoming",
        Direction::Outgoing => "Test outgoing",
    }
}

/// `412 ms`, `3.1 s`, `2 min 5 s`.
pub fn took(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// The word for how a run ended.
pub fn outcome_words(outcome: &str) -> &'static str {
    match outcome {
        "passed" => "Passed",
        "failed" => "Failed",
        "running" => "Running",
        _ => "Stopped",
    }
}

/// Its mark.
pub fn outcome_kind(outcome: &str) -> &'static str {
    match outcome {
        "passed" => "ok",
        "failed" => "bad",
        "running" => "run",
        _ => "skip",
    }
}

fn waiting_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Token => "Waiting for the provider",
        Stage::Arrived => "Waiting for the message",
        _ => "Waiting for the server",
    }
}

fn step(step: &Step) -> StepView {
    let (kind, css, state) = match step.outcome {
        Outcome::Passed => ("ok", "", "passed"),
        Outcome::Warning => ("warn", "", "passed with a warning"),
        Outcome::Failed => ("bad", "fail", "failed"),
        Outcome::Skipped => ("skip", "wait", "not tried"),
    };
    let mut what = step.detail.clone();
    if step.facts.get("slow") == Some(&Value::Bool(true)) {
        what.push_str(if what.is_empty() { "slow" } else { "; slow" });
    }
    let skipped = step.outcome == Outcome::Skipped;
    StepView {
        key: step.step.as_str(),
        kind,
        css,
        title: step.step.title().to_owned(),
        state,
        took: if skipped {
            String::new()
        } else {
            took(Duration::from_millis(step.duration_ms))
        },
        what: if skipped { "Not tried".to_owned() } else { what },
        timed: matches!(step.step, Stage::Tls | Stage::Newest) && step.outcome != Outcome::Failed,
        talk: step.transcript.clone(),
        open: step.outcome == Outcome::Failed,
    }
}

/// The steps of a run that ended; those that were not tried share one row where they follow each other.
fn shown_steps(report: &Report) -> Vec<StepView> {
    let mut views: Vec<StepView> = Vec::new();
    for one in &report.steps {
        let view = step(one);
        match views.last_mut() {
            Some(last) if last.kind == "skip" && view.kind == "skip" => {
                let mut title = view.title;
                if let Some(first) = title.get(..1) {
                    title.replace_range(..1, &first.to_lowercase());
                }
                last.title = format!("{}, {title}", last.title);
            }
            _ => views.push(view),
        }
    }
    views
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (ms, words) in [
            (0, "0 ms"),
            (412, "412 ms"),
            (3140, "3.1 s"),
            (59_990, "59.9 s"),
            (125_000, "2 min 5 s"),
        ] {
            assert_eq!(took(Duration::from_millis(ms)), words);
        }
    }
}
