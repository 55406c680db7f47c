//! A run as its page shows it, running or ended: words and marks for what the report says (`ux.md` 6.5 and 6.6).

use crate::actions::mailboxes::Change;
use crate::actions::probe::{Progress, Settings, running_step};
use crate::clock::Timestamp;
use crate::diagnosis::own;
use crate::model::mailbox::Protocol;
use crate::model::report::{Diagnosis, Direction, FixWhere, Line, Outcome, Report, Stage, Step};
use crate::store::reports::Run;
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

/// The panel above the steps of a run that ended.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// `ok`, `bad`, `warn` or `off`.
    pub kind: &'static str,
    /// The sentence.
    pub title: String,
    /// Two lines about it.
    pub text: String,
    /// What was found, side by side: what decides a failure, or the numbers of a success.
    pub facts: Vec<(String, String)>,
    /// What to do, most likely first.
    pub fixes: Vec<String>,
    /// Who can.
    pub who: &'static str,
    /// What can be done here: address and words.
    pub here: Option<(String, &'static str)>,
    /// What it is not.
    pub ruled_out: String,
    /// Where the provider explains it.
    pub url: String,
    /// Whether it may go away by itself.
    pub retryable: bool,
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
    /// Whether there are senders and subjects to show.
    pub has_messages: bool,
    /// What changed since: label, then, now.
    pub changes: Vec<Change>,
    /// Older results.
    pub last: Vec<LastRun>,
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
        let verdict = verdict(run, settings, report, &view);
        let word = outcome_words(&run.outcome);
        view.heading = "Steps".to_owned();
        view.status = verdict.title.clone();
        view.page_title = format!("{word}: test {}, {}", view.kind_words(), view.address);
        view.passed = run.outcome == "passed";
        view.verdict = Some(verdict);
        view
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
            has_messages: false,
            changes: Vec::new(),
            last: Vec::new(),
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

/// A fact of a step.
fn fact<'a>(report: &'a Report, stage: Stage, name: &str) -> Option<&'a Value> {
    report.steps.iter().find(|step| step.step == stage)?.facts.get(name)
}

fn list(value: Option<&Value>) -> Vec<&str> {
    value
        .and_then(Value::as_array)
        .map(|items| items.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

fn verdict(run: &Run, settings: &Settings, report: Option<&Report>, view: &RunView) -> Verdict {
    let plain = |kind, title: String, text: &str| Verdict {
        kind,
        title,
        text: text.to_owned(),
        facts: Vec::new(),
        fixes: Vec::new(),
        who: "",
        here: None,
        ruled_out: String::new(),
        url: String::new(),
        retryable: false,
    };
    let address = &view.address;
    match (run.outcome.as_str(), report) {
        ("passed", Some(report)) => match run.direction {
            Direction::Incoming => Verdict {
                facts: numbers(report),
                ..plain(
                    "ok",
                    format!("{address} can be read"),
                    "The test read only. Nothing in the mailbox was changed.",
                )
            },
            Direction::Outgoing => sent(report, plain("ok", format!("{address} can send"), "")),
        },
        ("failed", Some(report)) => match &report.diagnosis {
            Some(diagnosis) => failed(diagnosis, settings, report, view),
            None => plain("bad", "The test failed".to_owned(), ""),
        },
        ("failed", None) => plain("bad", "The test failed".to_owned(), "Its report can't be read."),
        _ => plain(
            "off",
            "Stopped before the end".to_owned(),
            "Somebody stopped this test, or the console was stopped. It says nothing about the mailbox.",
        ),
    }
}

/// What a passed *Test incoming* found. A time is left as it stands in the report, for the page to write in the reader's zone.
pub fn numbers(report: &Report) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let number = |name: &str| report.facts.get(name).and_then(Value::as_u64);
    if let (Some(unread), Some(messages)) = (number("unread"), number("messages")) {
        let text = if unread == 0 {
            "0, that's fine".to_owned()
        } else {
            format!("{unread} of {messages}")
        };
        facts.push(("Unread".to_owned(), text));
    } else if let Some(messages) = number("messages") {
        facts.push(("Messages".to_owned(), messages.to_string()));
    }
    let newest = fact(report, Stage::Newest, "newest_at").and_then(Value::as_str);
    facts.push(("Newest message".to_owned(), newest.unwrap_or("none").to_owned()));
    let junk = match (fact(report, Stage::Junk, "recent").and_then(Value::as_u64), number("junk")) {
        (Some(recent), _) => {
            let days = fact(report, Stage::Junk, "days").and_then(Value::as_u64).unwrap_or(7);
            Some((format!("Junk in {days} days"), recent.to_string()))
        }
        (None, Some(junk)) => Some(("Junk".to_owned(), junk.to_string())),
        (None, None) => None,
    };
    facts.extend(junk);
    if let Some(oversized) = fact(report, Stage::Newest, "oversized").and_then(Value::as_u64) {
        facts.push(("Oversized".to_owned(), oversized.to_string()));
    }
    facts
}

/// What a passed *Test outgoing* did.
fn sent(report: &Report, mut verdict: Verdict) -> Verdict {
    let to = fact(report, Stage::RcptTo, "to").or_else(|| fact(report, Stage::Send, "to"));
    let to = to.and_then(Value::as_str);
    let Some(to) = to else {
        verdict.text = "Only the sign-in was tested. Nothing was sent.".to_owned();
        return verdict;
    };
    verdict.text = "A test message was accepted by the server.".to_owned();
    verdict.facts.push(("Sent to".to_owned(), to.to_owned()));
    let arrived = report.steps.iter().find(|step| step.step == Stage::Arrived);
    if let Some(step) = arrived {
        verdict.facts.push(("Arrived".to_owned(), step.detail.clone()));
        if fact(report, Stage::Arrived, "place").and_then(Value::as_str) == Some("junk") {
            verdict.kind = "warn";
            verdict.text = "The message was delivered, but it landed in the junk folder.".to_owned();
        }
    }
    if let Some(id) = fact(report, Stage::Data, "queue_id").and_then(Value::as_str) {
        verdict.facts.push(("Number at the server".to_owned(), id.to_owned()));
    }
    verdict
}

/// Why a test failed, and what to do.
fn failed(diagnosis: &Diagnosis, settings: &Settings, report: &Report, view: &RunView) -> Verdict {
    Verdict {
        kind: "bad",
        title: diagnosis.title.clone(),
        text: diagnosis.meaning.clone(),
        facts: compared(settings, report, view),
        fixes: diagnosis.remedy.clone(),
        who: who(diagnosis.fix_where),
        here: here(&diagnosis.id, view),
        ruled_out: ruled_out(report),
        url: diagnosis.url.clone(),
        retryable: diagnosis.retryable,
    }
}

/// Who can fix it.
fn who(place: FixWhere) -> &'static str {
    match place {
        FixWhere::Portal => "Entra or Google admin",
        FixWhere::Exchange => "Exchange admin",
        FixWhere::Console => "you",
        FixWhere::Network => "network",
        FixWhere::User => "the mailbox's user",
    }
}

/// The button that leads to where it can be fixed here.
fn here(id: &str, view: &RunView) -> Option<(String, &'static str)> {
    let mailbox = || (!view.draft).then(|| (format!("/mailboxes/{}/edit", view.mailbox), "Edit mailbox"));
    let token = || (!view.token.is_empty()).then(|| format!("/tokens/{}", view.token));
    let settings = [
        own::PASSWORD_MISSING,
        own::PASSWORD_REFUSED,
        own::DAMAGED,
        own::FOLDER_MISSING,
        own::PORT_REFUSED,
        own::NOT_A_MAIL_SERVER,
        own::MECHANISM_NOT_OFFERED,
        own::STARTTLS_MISSING,
    ];
    // Before anybody signs in, only the server's name, port and encryption can be wrong.
    let reaches = [
        Stage::Dns,
        Stage::Tcp,
        Stage::Tls,
        Stage::Greeting,
        Stage::Capability,
        Stage::Ehlo,
        Stage::Starttls,
    ];
    let is_at = |stages: &[Stage]| {
        view.steps
            .iter()
            .any(|step| step.css == "fail" && stages.iter().any(|stage| stage.as_str() == step.key))
    };
    // Who signs in was right; what is sent and to whom is the mailbox's affair.
    let sends = [Stage::MailFrom, Stage::RcptTo, Stage::Data];
    match id {
        own::NOT_AUTHORIZED => Some((token()?, "Get authorization token")),
        own::NEEDS_SIGN_IN | own::SCOPE_MISSING | own::DESTINATION_CHANGED => Some((token()?, "Sign in again")),
        _ if is_at(&reaches) || is_at(&sends) || settings.contains(&id) => mailbox(),
        _ => token().map(|token| (token, "Open the token")),
    }
}

/// Expected and found, where the report has both.
fn compared(settings: &Settings, report: &Report, view: &RunView) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let incoming = view.direction == Direction::Incoming;
    let login = settings.get(if incoming { "Incoming user name" } else { "Outgoing user name" });
    let account = fact(report, Stage::Token, "account")
        .and_then(Value::as_str)
        .filter(|account| !account.is_empty());
    if let (Some(account), Some(login)) = (account, login)
        && !account.eq_ignore_ascii_case(login)
    {
        facts.push(("Token belongs to".to_owned(), account.to_owned()));
        facts.push(("Mailbox asked for".to_owned(), login.to_owned()));
    }
    let missing = list(fact(report, Stage::Token, "missing"));
    if !missing.is_empty() {
        facts.push(("Permission needed".to_owned(), missing.join(" ")));
        facts.push(("Granted".to_owned(), list(fact(report, Stage::Token, "granted")).join(" ")));
    }
    if let Some(step) = report.failed_step() {
        for (name, label) in [
            ("request_id", "Microsoft's number for the request"),
            ("client_request_id", "Our number for it"),
        ] {
            if let Some(id) = step.facts.get(name).and_then(Value::as_str) {
                facts.push((label.to_owned(), id.to_owned()));
            }
        }
    }
    let tls_failed = report.failed_step().is_some_and(|step| step.step == Stage::Tls);
    if tls_failed && let Some(until) = fact(report, Stage::Tls, "not_after").and_then(Value::as_str) {
        facts.push(("Server asked for".to_owned(), view.host.clone()));
        let names = list(fact(report, Stage::Tls, "names")).join(", ");
        facts.push((
            "Certificate is for".to_owned(),
            format!("{names}, until {}", &until.get(..10).unwrap_or(until)),
        ));
    }
    facts
}

/// What the steps that passed rule out.
fn ruled_out(report: &Report) -> String {
    let passed = |stage: Stage| {
        report
            .steps
            .iter()
            .any(|step| step.step == stage && matches!(step.outcome, Outcome::Passed | Outcome::Warning))
    };
    let permissions = fact(report, Stage::Token, "missing")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty)
        && !list(fact(report, Stage::Token, "granted")).is_empty();
    let causes = [
        (passed(Stage::Dns) && passed(Stage::Tcp), "network"),
        (passed(Stage::Tls), "TLS"),
        (passed(Stage::Token), "expired token"),
        (passed(Stage::Token) && permissions, "missing permission"),
        (passed(Stage::Auth), "wrong sign-in"),
    ];
    let out: Vec<&str> = causes.iter().filter(|(out, _)| *out).map(|(_, cause)| *cause).collect();
    out.join(", ")
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
