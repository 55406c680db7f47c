//! `mailgrant diagnose`: whatever people have at hand when something fails, in; cause and remedy out. Nothing of it comes back.

use crate::support::command::{Machine, Ran, finish};
use mailgrant::diagnosis::catalogue::entries;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

fn data(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/errors").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn diagnose(text: &str) -> Ran {
    Machine::new().run_with(&["diagnose", "--json"], text)
}

fn piped(bytes: &[u8]) -> Ran {
    let machine = Machine::new();
    let mut command = machine.command(&["diagnose"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(bytes);
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What the file is about, and by what it is recognised first.
const FILES: [(&str, &str, &str); 17] = [
    ("entra_page.html", "entra-50011-redirect-mismatch", "AADSTS50011"),
    ("entra_form_post.html", "entra-53003-ca-blocked", "AADSTS53003"),
    ("entra_address.txt", "entra-65004-user-declined", "AADSTS65004"),
    ("google_page.html", "google-redirect-uri-mismatch", "redirect_uri_mismatch"),
    ("google_testing.html", "google-access-denied-testing", "access_denied"),
    ("google_address.txt", "google-admin-policy-enforced", "admin_policy_enforced"),
    ("postfix.log", "smtp-exchange-auth-disabled-mailbox", "535 5.7.139"),
    ("python.txt", "smtp-gmail-bad-credentials", "535 5.7.8"),
    ("python_imap.txt", "imap-exchange-authenticate-failed", "error: AUTHENTICATE failed"),
    (
        "java.txt",
        "imap-exchange-authenticate-failed",
        "AuthenticationFailedException: AUTHENTICATE failed",
    ),
    ("java_tls.txt", "tls-cert-unknown-issuer", "PKIX path building failed"),
    ("php.txt", "smtp-exchange-auth-unsuccessful", "535 5.7.3"),
    ("json.log", "entra-700082-refresh-inactive", "AADSTS700082"),
    ("node.txt", "tls-cert-hostname", "ERR_TLS_CERT_ALTNAME_INVALID"),
    ("dotnet.txt", "smtp-exchange-conditional-access", "535 5.7.139"),
    ("graph.txt", "graph-access-denied", "ErrorAccessDenied"),
    ("windows.txt", "entra-7000222-secret-expired", "AADSTS7000222"),
];

#[test]
fn pages_logs_and_traces_are_explained_as_they_were_copied() {
    for (name, id, sign) in FILES {
        let ran = if name == "windows.txt" {
            // As PowerShell writes what a command said.
            let text = "Invoke-RestMethod : AADSTS7000222: The provided client secret keys are expired.\r\n";
            let units = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes);
            let ran = piped(&units.collect::<Vec<_>>());
            assert!(ran.out.contains(id) && ran.out.contains(sign), "{ran:?}");
            continue;
        } else {
            diagnose(&data(name)).ok()
        };
        let found = ran.json();
        assert_eq!(
            (found["id"].as_str(), found["recognised"][0].as_str()),
            (Some(id), Some(sign)),
            "{name}: {found}"
        );
        for canary in ["4711", "canary", "contoso.example", "dXNlcj1"] {
            assert!(!ran.out.contains(canary), "{name}: {canary} in {}", ran.out);
        }
    }
}

#[test]
fn every_known_example_is_explained() {
    // As many as there are, in one process each, would be slow; the function behind the command is asked, and the command for a few.
    let known: Vec<_> = entries().iter().filter(|entry| !entry.example.is_empty()).collect();
    assert!(known.len() >= 214);
    let missed: Vec<_> = known
        .iter()
        .map(|entry| (&entry.id, mailgrant::diagnosis::explain(&entry.example)))
        .filter(|(id, found)| found.diagnosis.id != **id || found.recognised.is_empty())
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
    for entry in known.iter().step_by(40) {
        assert_eq!(diagnose(&entry.example).ok().json()["id"], entry.id.as_str());
    }
    // The examples that were agreed on lie beside the repository, where it is built.
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let agreed = ["../shared", "../../shared"].map(|place| beside.join(place).join("knowledge/errors.json"));
    if let Some(text) = agreed.iter().find_map(|path| std::fs::read_to_string(path).ok()) {
        let agreed: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(agreed.len(), 214);
        for entry in agreed {
            let example = entry["example"].as_str().unwrap();
            assert_eq!(
                mailgrant::diagnosis::explain(example).diagnosis.id,
                entry["id"].as_str().unwrap(),
                "{example}"
            );
        }
    }
}

#[test]
fn what_people_write_to_each_other_is_no_error() {
    let ran = Machine::new().run_with(&["diagnose"], &data("prose.txt"));
    assert_eq!((ran.status, ran.err.as_str()), (1, ""), "{ran:?}");
    assert!(ran.out.starts_with("We don't know this one"), "{ran:?}");
    let found = diagnose(&data("prose.txt"));
    assert_eq!((found.status, found.json()["id"].as_str()), (1, Some("console-unknown")));
    assert_eq!(found.json()["recognised"], serde_json::json!([]));
}

#[test]
fn an_answer_has_cause_remedy_person_and_source() {
    let ran = Machine::new()
        .run_with(&["diagnose"], "AADSTS7000222: The provided client secret keys are expired.")
        .ok();
    for part in [
        "Client secret has expired (entra-7000222-secret-expired)\n",
        "Recognised: AADSTS7000222\n",
        "Who can fix it: Entra or Google admin\n  1. ",
        "\n  2. ",
        "\nHow sure: certain; ",
        "\nSource: https://login.microsoftonline.com/error?code=7000222\n",
    ] {
        assert!(ran.out.contains(part), "{part:?} {}", ran.out);
    }
    // Neither settings nor a data directory is touched.
    let mut machine = Machine::new();
    machine.set("MAILGRANT_LISTEN", "nowhere");
    machine.run_with(&["diagnose"], "invalid_grant").ok();
    assert!(!machine.data().exists());
}

#[test]
fn what_is_no_text_is_refused_and_nothing_of_it_is_shown() {
    let machine = Machine::new();
    for (input, said) in [
        ("", "nothing came on standard input"),
        (" \r\n\t\n", "nothing came on standard input"),
    ] {
        let lines = machine.run_with(&["diagnose"], input);
        assert_eq!(lines.refused(2)[0], format!("error: {said}"));
    }
    let long = "x".repeat(1024 * 1024 + 1);
    assert_eq!(
        machine.run_with(&["diagnose"], &long).refused(2)[0],
        "error: the text is longer than 1024 KiB"
    );
    machine
        .run_with(&["diagnose"], &(long[..1024 * 1024 - 20].to_owned() + "\nAADSTS50011: x"))
        .ok();
    for bytes in [
        &b"\x7fELF\x02\x01\x01\0\0\0canary"[..],
        b"\x89PNG\r\n\x1a\n\0\0canary",
        &[0xc3, 0x28, 0xa0, 0xa1, 0xff, 0xfe],
    ] {
        let ran = piped(bytes);
        assert_eq!(ran.refused(2)[0], "error: what came on standard input isn't text");
        assert!(!format!("{ran:?}").contains("canary"));
    }
    // A log in an old encoding is text.
    assert_eq!(
        piped(b"Fehler: Verbindung abgelehnt f\xfcr M\xfcller: 535 5.7.3 Authentication unsuccessful").status,
        0
    );
    machine
        .run_with(&["diagnose", "AADSTS50011: a whole text, with \"marks\""], "")
        .refused(2);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = machine.command(&["diagnose"]);
    command.stdout(writer);
    finish(command, Some("invalid_grant")).ok();
}

#[test]
fn a_code_may_stand_on_the_command_line_and_a_text_may_not() {
    let machine = Machine::new();
    for (code, id) in [
        (&["AADSTS50011"][..], "entra-50011-redirect-mismatch"),
        (&["7000222"], "entra-7000222-secret-expired"),
        (&["535", "5.7.139"], "smtp-exchange-refused-7139"),
    ] {
        let ran = machine.run_with(&[&["diagnose", "--json"], code].concat(), "").ok();
        assert_eq!(ran.json()["id"], id);
    }
    let ran = machine.run_with(
        &[
            "diagnose",
            "canary: a whole text, with whatever stands in it, is nothing for a command line",
        ],
        "",
    );
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(
        ran.err.contains("help: give a whole text on standard input") && !ran.err.contains("canary"),
        "{ran:?}"
    );
}

#[test]
fn the_ways_stand_beside_the_diagnosis_and_change_nothing_of_it() {
    let found = diagnose("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.")
        .ok()
        .json();
    for known in ["id", "title", "meaning", "remedy", "fix_where", "retryable", "url"] {
        assert!(!found[known].is_null(), "{known}: {found}");
    }
    let first = &found["ways"][0];
    assert_eq!(first["who"], "exchange");
    assert!(
        first["command"]
            .as_str()
            .unwrap()
            .starts_with("Set-CASMailbox -Identity <mailbox> "),
        "{first}"
    );
    assert!(first["text"].as_str().unwrap().contains("<mailbox>: "), "{first}");
    assert!(first["fix"].is_null() && first["title"].is_string());
    assert!(Machine::new().run_with(&["diagnose", "--json"], "Good morning.").json()["ways"].is_null());
}
