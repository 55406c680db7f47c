//! The panel above the steps of a run that ended well or was stopped, and what a failed one adds to its diagnosis (`ux.md` 6.6).

use super::view::RunView;
use crate::model::report::{Direction, Report, Stage};
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
    /// What was found, side by side.
    pub facts: Vec<(String, String)>,
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

pub(super) fn verdict(run: &Run, report: Option<&Report>, view: &RunView) -> Verdict {
    let plain = |kind, title: String, text: &str| Verdict {
        kind,
        title,
        text: text.to_owned(),
        facts: Vec::new(),
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
            Some(diagnosis) => plain("bad", diagnosis.title.clone(), &diagnosis.meaning),
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
    if report.steps.iter().any(|step| step.step == Stage::Newest) {
        let newest = fact(report, Stage::Newest, "newest_at").and_then(Value::as_str);
        facts.push(("Newest message".to_owned(), newest.unwrap_or("none").to_owned()));
    }
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

/// What a failed step tells besides what decides its diagnosis.
pub(super) fn extras(report: &Report, host: &str) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let Some(step) = report.failed_step() else {
        return facts;
    };
    for (name, label) in [
        ("request_id", "Microsoft's number for the request"),
        ("client_request_id", "Our number for it"),
    ] {
        if let Some(id) = step.facts.get(name).and_then(Value::as_str) {
            facts.push((label.to_owned(), id.to_owned()));
        }
    }
    if let Some(wait) = step.facts.get("retry_after").and_then(Value::as_u64) {
        facts.push(("Asked to wait".to_owned(), format!("{wait} seconds")));
    }
    if step.step == Stage::Tls
        && let Some(until) = fact(report, Stage::Tls, "not_after").and_then(Value::as_str)
    {
        facts.push(("Server asked for".to_owned(), host.to_owned()));
        let names = list(fact(report, Stage::Tls, "names")).join(", ");
        facts.push((
            "Certificate is for".to_owned(),
            format!("{names}, until {}", &until.get(..10).unwrap_or(until)),
        ));
        if let Some(issuer) = fact(report, Stage::Tls, "issuer").and_then(Value::as_str) {
            facts.push(("Issued by".to_owned(), issuer.to_owned()));
        }
    }
    facts
}
