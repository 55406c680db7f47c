//! What stands behind "too many" and "too large": the limit by name, and how long the other side wants to be left alone.

use super::case::Case;
use crate::clock::Timestamp;
use crate::model::limits::{Service, behind};
use crate::model::report::Compared;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// No server asks for more: a wait beyond a day is nonsense.
const LONGEST_MS: f64 = 86_400_000.0;

/// The limits that an entry of the catalogue stands for, side by side with the wait that was asked for.
pub(super) fn named(id: &str, case: &Case<'_>) -> Option<Compared> {
    let side = case.side.as_ref();
    let service = side.and_then(|side| match side.host.is_empty() {
        true => Some(Service::Exchange),
        false => Service::of_host(&side.host),
    });
    let limits = behind(id, service, side.map(|side| side.protocol));
    let first = limits.first()?;
    let values: Vec<String> = limits.iter().map(|limit| format!("{}: {}", limit.name, limit.value)).collect();
    Some(Compared {
        expected_label: format!("{} allows", first.service.label()),
        expected: values.join("; "),
        found_label: "Asked to wait".to_owned(),
        found: wait(case.evidence.text).unwrap_or_else(|| "it doesn't say how long".to_owned()),
    })
}

/// How long a text asks to wait, in words; a moment as it stands there.
fn wait(text: &str) -> Option<String> {
    // Of a long text the beginning is enough: that is where the answer's head and its message are.
    let lower: String = text.chars().take(8192).collect::<String>().to_ascii_lowercase();
    let after = |mark: &str| lower.split_once(mark).map(|(_, rest)| rest.trim_start_matches([':', ' ', '"']));
    let number = |rest: &str| {
        let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        digits.parse::<f64>().ok()
    };
    let ms = after("backoff time").and_then(number);
    let ms = ms.or_else(|| after("retry-after").and_then(number).map(|seconds| seconds * 1000.0));
    if let Some(ms) = ms.filter(|ms| ms.is_finite() && *ms > 0.0 && *ms <= LONGEST_MS) {
        return Some(words(ms));
    }
    let moment = after("retry after ")?
        .split(['"', ' ', '\n', '\r'])
        .next()?
        .trim_end_matches(['.', ',']);
    let moment = OffsetDateTime::parse(&moment.to_ascii_uppercase(), &Rfc3339).ok()?;
    Some(Timestamp(moment.unix_timestamp()).to_rfc3339())
}

fn words(ms: f64) -> String {
    let seconds = (ms / 1000.0).ceil();
    if seconds < 2.0 {
        "1 second".to_owned()
    } else if seconds < 120.0 {
        format!("{seconds} seconds")
    } else {
        format!("{} minutes", (seconds / 60.0).ceil())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::case::Aim;
    use crate::diagnosis::{Evidence, judge};
    use crate::model::mailbox::{Protocol, Security};
    use crate::model::report::Stage;

    fn compared(text: &str, protocol: Protocol, host: &str) -> Option<(String, String)> {
        let diagnosis = judge(&Case {
            evidence: Evidence::text(text),
            step: Some(Stage::Auth),
            side: Some(Aim::sample(protocol, host, 587, Security::Tls, "a@b.test")),
            ..Case::default()
        });
        let found = diagnosis
            .grounds?
            .compared
            .into_iter()
            .find(|one| one.found_label == "Asked to wait")?;
        Some((format!("{} {}", found.expected_label, found.expected), found.found))
    }

    #[test]
    fn whoever_is_slowed_down_hears_the_limit_and_how_long_to_wait() {
        let smtp = "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information.";
        let (limit, wait) = compared(smtp, Protocol::Smtp, "smtp.office365.com").unwrap();
        assert_eq!(
            limit,
            "Exchange Online allows Messages: 30 a minute; Connections that send at once: 3 for each mailbox"
        );
        assert_eq!(wait, "it doesn't say how long");
        let graph = "HTTP/1.1 429 Too Many Requests\nRetry-After: 10\n\n{\"error\":{\"code\":\"ApplicationThrottled\",\"message\":\"x\"}}";
        let (limit, wait) = compared(graph, Protocol::Graph, "").unwrap();
        assert!(limit.contains("Requests at once: 4 for each mailbox"), "{limit}");
        assert_eq!(wait, "10 seconds");
        let imap = "A12 BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds";
        assert_eq!(compared(imap, Protocol::Imap, "outlook.office365.com").unwrap().1, "5 minutes");
    }

    #[test]
    fn a_wait_is_read_however_it_is_said_and_nonsense_is_not() {
        for (text, words) in [
            ("Retry-After: 2.5", Some("3 seconds")),
            ("retry-after: 0.2", Some("1 second")),
            ("Retry-After: 3600", Some("60 minutes")),
            ("Retry-After: 999999999", None),
            ("Retry-After: soon", None),
            (
                "User-rate limit exceeded. Retry after 2026-11-20T09:00:00.000Z\",\"errors\"",
                Some("2026-11-20T09:00:00Z"),
            ),
            ("nothing of the kind", None),
        ] {
            assert_eq!(wait(text).as_deref(), words, "{text}");
        }
    }

    #[test]
    fn what_is_no_limit_names_none() {
        assert_eq!(
            compared("A1 NO AUTHENTICATE failed.", Protocol::Imap, "outlook.office365.com"),
            None
        );
        // The text says too large, and nobody knows what this server takes.
        let large = "552 5.3.4 Message size exceeds fixed maximum message size";
        assert_eq!(compared(large, Protocol::Smtp, "smtp.example.com"), None);
        assert!(compared(large, Protocol::Smtp, "smtp.gmail.com").unwrap().0.contains("25 MB"));
    }
}
