//! The panel above the steps of a run that ended: what came of it, and what to do about it (`ux.md` 6.6).

use super::view::RunView;
use crate::actions::probe::Settings;
use crate::diagnosis::own;
use crate::model::report::{Diagnosis, Direction, FixWhere, Outcome, Report, Stage};
use crate::store::reports::Run;
use serde_json::Value;

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

pub(super) fn verdict(run: &Run, settings: &Settings, report: Option<&Report>, view: &RunView) -> Verdict {
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
