//! What the class of a code, or the step, says where nobody knows the text: RFC 5321 and 3463 for SMTP, RFC 9051 and 1939 for IMAP and
//! POP, RFC 9110 for Graph's HTTP, RFC 6749 for providers, Entra's numbers, TLS and the operating system.

use super::Finding;
use crate::diagnosis::judge::Seen;
use crate::diagnosis::own;
use crate::model::mailbox::Protocol;
use crate::model::report::Stage;

/// What the step alone says, where nobody knows the text.
pub(super) fn by_step(seen: &Seen<'_>) -> Option<Finding> {
    if let Some(Stage::Greeting) = seen.case.step
        && seen.first().is_none()
        && seen.signals.is_refusal()
    {
        return Some(Finding::likely(own::TURNED_AWAY).because("the words aren't known here; it came in place of a greeting"));
    }
    let later = seen.signals.smtp_status().is_some_and(|(code, _)| code < 500);
    if seen.first().is_some() || later || seen.case.transient {
        return None;
    }
    let said_no = seen.signals.is_refusal() || seen.signals.smtp_status().is_some();
    let id = match seen.case.step? {
        Stage::MailFrom => own::SENDER_REFUSED,
        Stage::RcptTo => own::RECIPIENT_REFUSED,
        Stage::Data => own::MESSAGE_REFUSED,
        Stage::Send if seen.signals.http_status().is_none() => own::MESSAGE_REFUSED,
        Stage::Auth if said_no => own::SIGN_IN_REFUSED,
        Stage::Select | Stage::Unread | Stage::Newest | Stage::Junk if seen.signals.is_refusal() => own::FOLDER_REFUSED,
        _ => return None,
    };
    Some(Finding::likely(id).because("the words aren't known here; the step at which they came is"))
}

/// What the class of a code says.
pub(in crate::diagnosis) fn by_class(seen: &Seen<'_>) -> Option<Finding> {
    [entra, http, smtp, provider, tls, system].iter().find_map(|class| class(seen))
}

fn entra(seen: &Seen<'_>) -> Option<Finding> {
    let code = seen.signals.codes().first()?;
    let why = format!("Microsoft gave the number {code}, which isn't in the catalogue");
    Some(Finding::guess(own::ENTRA_OTHER).because(why))
}

/// Graph's answer by its HTTP status.
fn http(seen: &Seen<'_>) -> Option<Finding> {
    let graph = seen.case.side.as_ref().is_some_and(|side| side.protocol == Protocol::Graph);
    let status = seen.signals.http_status().filter(|_| graph)?;
    let id = match status {
        401 => "graph-invalid-token-other",
        403 => "graph-access-denied",
        404 => "graph-resource-not-found",
        429 => "graph-throttled",
        500..600 => "graph-service-unavailable",
        _ if seen.case.step == Some(Stage::Send) => own::MESSAGE_REFUSED,
        _ => return None,
    };
    Some(Finding::guess(id).because(format!(
        "the code in the answer isn't in the catalogue; the HTTP status {status} is known"
    )))
}

fn smtp(seen: &Seen<'_>) -> Option<Finding> {
    let (code, status) = seen.signals.smtp_status()?;
    let at_the_start = |prefix: &str| status.as_deref().is_some_and(|status| status.starts_with(prefix));
    let id = match code {
        400..500 => own::SMTP_LATER,
        _ if at_the_start("5.1.") || code == 553 => own::SMTP_ADDRESS,
        _ if at_the_start("5.2.") => own::SMTP_MAILBOX,
        _ if at_the_start("5.7.") || matches!(code, 530 | 534 | 535 | 538) => own::SMTP_POLICY,
        500..600 => own::SMTP_REFUSED,
        _ => return None,
    };
    let said = status.map_or_else(|| code.to_string(), |status| format!("{code} {status}"));
    Some(Finding::guess(id).because(format!("the text isn't in the catalogue; the class of the code {said} is known")))
}

/// An error of a token endpoint, or in the address it sent somebody back to.
fn provider(seen: &Seen<'_>) -> Option<Finding> {
    let is_answer = seen
        .signals
        .has_any(&["\"error\":\"", "\"error\": \"", "error_description=", "\"error_description\""]);
    is_answer.then(|| {
        Finding::guess(own::PROVIDER_OTHER).because("it has the form of a provider's refusal, and its words aren't in the catalogue")
    })
}

fn tls(seen: &Seen<'_>) -> Option<Finding> {
    const WORDS: [&str; 7] = [
        "invalid peer certificate",
        "received fatal alert",
        "peer misbehaved",
        "certificate verify failed",
        "certificate_verify_failed",
        "sslhandshakeexception",
        "ssl alert number",
    ];
    let found = seen.signals.has_any(&WORDS) || seen.first().is_none() && seen.case.step == Some(Stage::Tls);
    found.then(|| Finding::guess(own::TLS_OTHER).because("it is about encryption, and the reason isn't in the catalogue"))
}

fn system(seen: &Seen<'_>) -> Option<Finding> {
    let found = seen.signals.has_any(&[
        "(os error ",
        "[errno ",
        "tcp connect error",
        "socketexception",
        "sqlstate[hy000] [2002]",
    ]);
    found.then(|| {
        Finding::guess(own::NETWORK_OTHER)
            .because("it is an error of the operating system's network, and its number isn't in the catalogue")
    })
}
