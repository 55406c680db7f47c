//! What the catalogue knows, in other words: other ids and hosts, another order, other line breaks, encodings and wrappings.

use super::score::Score;
use mailgrant::diagnosis::case::Case;
use mailgrant::diagnosis::catalogue::entries;
use mailgrant::diagnosis::{Evidence, explain, judge};
use serde_json::Value;

/// A way to word a text anew; none where it can't be worded so.
type Way = fn(&str) -> Option<String>;

const WAYS: [(&str, Way); 18] = [
    ("other trace ids, apps and times", other_ids),
    ("other hosts and addresses", other_hosts),
    ("members in another order", |text| json(text).map(|value| reversed(&value))),
    ("JSON over many lines", |text| {
        json(text).and_then(|value| serde_json::to_string_pretty(&value).ok())
    }),
    ("JSON in a member of JSON", |text| {
        Some(serde_json::json!({"level": "error", "body": text}).to_string())
    }),
    ("JSON in JSON in a log line", |text| {
        let inner = serde_json::json!({"response": text}).to_string();
        Some(format!(
            "2026-11-21T08:14:02Z ERROR request failed {}",
            serde_json::json!({"extra": inner})
        ))
    }),
    ("as Python prints it", python),
    ("lines broken at every blank", |text| Some(text.replace(' ', "\r\n    "))),
    ("lines broken at 72", |text| Some(folded(text, 72))),
    ("all in capitals", |text| Some(text.to_uppercase())),
    ("all in small letters", |text| Some(text.to_lowercase())),
    ("in a web page", |text| {
        Some(format!(
            "<html><head><script>var a='timed out';</script></head><body><h1>Sorry</h1><p>{}</p></body></html>",
            html(text)
        ))
    }),
    ("in a redirect", |text| {
        Some(format!(
            "https://mail.contoso.example/oauth/callback/contoso?state=4711&error_description={}",
            encoded(text)
        ))
    }),
    ("in a redirect of a redirect", |text| {
        let inner = format!("https://mail.contoso.example/back?error_description={}", encoded(text));
        Some(format!("https://login.contoso.example/continue?return={}", encoded(&inner)))
    }),
    ("in a transcript", |text| {
        Some(text.lines().map(|line| format!("S: {line}\r\n")).collect())
    }),
    ("a reply over two lines", two_lines),
    ("in a system's log", |text| {
        let one: String = text.split(['\r', '\n']).collect::<Vec<_>>().join(" ");
        Some(format!(
            "Nov 21 08:14:01 mx1 app[12]: start\nNov 21 08:14:02 mx1 app[12]: warning: said: {one}\nNov 21 08:14:03 mx1 app[12]: done\n"
        ))
    }),
    ("with a typewriter's marks", |text| {
        Some(format!(
            "\u{feff}{}",
            text.replace('\'', "\u{2019}").replace("  ", " \u{a0}").replace(". ", ".\u{a0} ")
        ))
    }),
];

pub fn add_to(score: &mut Score) {
    for (name, way) in WAYS {
        score.part(name);
        for entry in entries().iter().filter(|entry| !entry.example.is_empty()) {
            let Some(text) = way(&entry.example) else { continue };
            // A page is what somebody pastes; nobody's server sends one where an answer is due.
            let found = if name == "in a web page" {
                explain(&text).diagnosis
            } else {
                judge(&Case {
                    evidence: Evidence::text(&text),
                    ..Case::default()
                })
            };
            score.add(&text, &entry.id, &found, &[]);
        }
    }
}

/// Other GUIDs, thumbprints, times and numbers of apps.
fn other_ids(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() || c == '-' {
            word.push(c);
            continue;
        }
        let long = word.len() >= 30 && word.chars().any(|c| c.is_ascii_digit());
        out.extend(word.drain(..).map(|c| match c {
            '0'..='8' if long => char::from(c as u8 + 1),
            'a'..='e' | 'A'..='E' if long => char::from(c as u8 + 1),
            c => c,
        }));
        out.push(c);
    }
    out.pop();
    let out = out
        .replace("2026-11-20", "2027-02-03")
        .replace("08:14:02", "23:59:59")
        .replace("'Contoso'", "'Fabrikam'")
        .replace("(Mail Console)", "(Robot)");
    (out != text).then_some(out)
}

fn other_hosts(text: &str) -> Option<String> {
    let out = text
        .replace("contoso.com", "fabrikam.example")
        .replace("contoso.onmicrosoft.com", "fabrikam.onmicrosoft.example")
        .replace("FR4P281", "AM0PR04")
        .replace("DEUP281", "EURPRD04")
        .replace("mail.example.com", "mx7.fabrikam.example")
        .replace("console.example.net", "mail.fabrikam.example");
    (out != text).then_some(out)
}

/// The JSON document at the end of a text.
fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text.get(text.find('{')?..)?).ok()
}

fn reversed(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let members: Vec<_> = map
                .iter()
                .rev()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), reversed(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

fn python(text: &str) -> Option<String> {
    let smtp = text
        .split_once(' ')
        .filter(|(code, _)| code.len() == 3 && code.parse::<u16>().is_ok() && !text.contains('\n'));
    if let Some((code, words)) = smtp {
        return Some(format!("smtplib.SMTPResponseException: ({code}, b{:?})", words));
    }
    let value = json(text).filter(Value::is_object)?;
    let text = value.to_string();
    (!text.contains('\'')).then(|| format!("raise Refused({})", text.replace('"', "'")))
}

fn folded(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        if column > 0 && column + word.len() > width {
            out.push_str("\r\n ");
            column = 0;
        } else if column > 0 {
            out.push(' ');
        }
        out.push_str(word);
        column += word.len() + 1;
    }
    out
}

fn html(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;");
    text.replace("\r\n", "<br>").replace('\n', "<br/>\n")
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// An SMTP reply of one line, as a server folds it.
fn two_lines(text: &str) -> Option<String> {
    let (head, words) = text.split_once(' ')?;
    let (status, words) = words.split_once(' ')?;
    let is_reply = head.len() == 3 && head.parse::<u16>().is_ok() && status.split('.').count() == 3 && !text.contains('\n');
    let middle = words.match_indices(' ').map(|(at, _)| at).nth(2).filter(|_| is_reply)?;
    let (first, rest) = words.split_at_checked(middle)?;
    Some(format!("{head}-{status} {first}\r\n{head} {status} {}", rest.trim_start()))
}
