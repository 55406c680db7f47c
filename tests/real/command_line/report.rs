//! What `interfaces.md` promises of a report.

use serde_json::Value;

pub(super) fn steps(report: &Value) -> &Vec<Value> {
    report["steps"].as_array().unwrap()
}

pub(super) fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let found = steps(report).iter().find(|step| step["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name}: {report:#}"))
}

pub(super) fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Whether a report has the fields, words and order that scripts rely on.
#[track_caller]
pub(super) fn check(report: &Value) {
    let mut fields = keys(report);
    fields.sort_unstable();
    let promised = [
        "diagnosis",
        "direction",
        "duration_ms",
        "facts",
        "mailbox",
        "outcome",
        "protocol",
        "started_at",
        "steps",
    ];
    assert_eq!(fields, promised);
    let incoming = report["direction"] == "incoming";
    assert_eq!(report["protocol"], if incoming { "imap" } else { "smtp" });
    let started = report["started_at"].as_str().unwrap();
    assert!(
        started.parse::<jiff::Timestamp>().is_ok() && started.ends_with('Z') && started.len() == 20,
        "{started}"
    );
    assert!(report["duration_ms"].is_u64() && report["facts"].is_object());
    for step in steps(report) {
        assert!(
            step["duration_ms"].is_u64() && step["detail"].is_string() && step["facts"].is_object(),
            "{step}"
        );
        assert!(
            ["passed", "warning", "failed", "skipped"].contains(&step["outcome"].as_str().unwrap()),
            "{step}"
        );
        if step["outcome"] == "skipped" {
            assert_eq!((&step["duration_ms"], &step["detail"]), (&0.into(), &"".into()));
        }
        assert!(!step["detail"].as_str().unwrap().contains(['\r', '\n']), "{step}");
    }
    let order = if incoming {
        [
            "token",
            "dns",
            "tcp",
            "tls",
            "greeting",
            "capability",
            "auth",
            "select",
            "unread",
            "newest",
            "junk",
        ]
        .as_slice()
    } else {
        &[
            "token",
            "dns",
            "tcp",
            "tls",
            "greeting",
            "ehlo",
            "auth",
            "mail_from",
            "rcpt_to",
            "data",
            "arrived",
        ]
    };
    let names: Vec<&str> = steps(report).iter().map(|step| step["step"].as_str().unwrap()).collect();
    // Where STARTTLS is used tls comes after it.
    let upgraded: Vec<&str> = order
        .iter()
        .filter(|name| **name != "tls")
        .flat_map(|name| {
            if *name == "auth" {
                vec!["starttls", "tls", "auth"]
            } else {
                vec![*name]
            }
        })
        .collect();
    let order = if names.contains(&"starttls") { &upgraded[..] } else { order };
    let mut places = names.iter().map(|name| order.iter().position(|known| known == name));
    assert!(places.all(|place| place.is_some()), "{names:?}");
    assert!(
        names.iter().map(|name| order.iter().position(|known| known == name)).is_sorted(),
        "{names:?}"
    );
    let failed = steps(report).iter().position(|step| step["outcome"] == "failed");
    match failed {
        None => assert_eq!((&report["outcome"], &report["diagnosis"]), (&"passed".into(), &Value::Null)),
        Some(place) => {
            assert_eq!(report["outcome"], "failed");
            assert!(
                steps(report)[place + 1..].iter().all(|step| step["outcome"] == "skipped"),
                "{report:#}"
            );
            let mut fields = keys(&report["diagnosis"]);
            fields.sort_unstable();
            // Why it is thought to be this, what the provider said and the ways out stand beside what the contract names.
            fields.retain(|field| ![&"grounds", &"said", &"ways"].contains(&field));
            assert_eq!(fields, ["fix_where", "id", "meaning", "remedy", "retryable", "title", "url"]);
            let diagnosis = &report["diagnosis"];
            let ways = diagnosis["ways"].as_array().unwrap();
            assert!(!ways.is_empty(), "{report:#}");
            for way in ways {
                let mut fields = keys(way);
                fields.sort_unstable();
                assert_eq!(fields, ["command", "fix", "text", "title", "who"]);
                assert!(way["fix"].is_null() || way["fix"]["path"].as_str().is_some_and(|path| path.starts_with('/')));
            }
            assert!(["portal", "exchange", "console", "network", "user"].contains(&diagnosis["fix_where"].as_str().unwrap()));
            assert!(diagnosis["remedy"].as_array().is_some_and(|steps| !steps.is_empty()) && diagnosis["retryable"].is_boolean());
        }
    }
}

/// The names of the steps.
pub(super) fn names(report: &Value) -> String {
    let names: Vec<&str> = steps(report).iter().map(|step| step["step"].as_str().unwrap()).collect();
    names.join(" ")
}
