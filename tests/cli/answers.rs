//! Exit statuses, the form of errors, and `--json`.

use super::CONTOSO;
use crate::support::command::{Machine, finish};
use std::fs::OpenOptions;

#[test]
fn the_exit_status_tells_no_from_wrong_use() {
    let mut machine = Machine::with(CONTOSO);
    // Where no console answers, whatever else runs on this machine.
    machine.set("MAILGRANT_BASE_URL", "http://localhost:1");
    machine.file("settings.toml", "listn = \"127.0.0.1:1\"\n");
    machine
        .apply("[[token]]\nname = \"fresh\"\nprovider = \"contoso\"\nuser = \"new@contoso.example\"\n")
        .ok();
    for (status, arguments) in [
        (0, &["--help"][..]),
        (0, &["--version"]),
        (0, &["help"]),
        (0, &["help", "token", "get"]),
        (0, &["config", "apply", "--help"]),
        (0, &["config", "export"]),
        (0, &["provider", "list"]),
        (0, &["token", "list"]),
        (0, &["token", "show", "support"]),
        (0, &["mailbox", "list"]),
        (0, &["user", "list"]),
        // It ran, and the answer is no.
        (1, &["token", "get", "fresh"]),
        (1, &["token", "refresh", "fresh"]),
        (1, &["token", "authorize", "fresh"]),
        // Wrong use or wrong input.
        (2, &["tokens"]),
        (2, &["token", "get"]),
        (2, &["token", "get", "support", "secret"]),
        (2, &["token", "get", "support", "--min-lifetime", "-1"]),
        (2, &["token", "get", "nobody"]),
        (2, &["token", "show", "Nobody At All"]),
        (2, &["token", "refresh", "nobody"]),
        (2, &["token", "remove", "nobody"]),
        (2, &["token", "authorize", "nobody"]),
        (2, &["mailbox", "test", "nobody"]),
        (2, &["mailbox", "test", "support", "--incoming", "--outgoing"]),
        (2, &["config", "apply"]),
        (2, &["config", "apply", "none.toml"]),
        (2, &["user", "add", "x@y.example", "--password", "hunter2"]),
        (2, &["--config", "settings.toml", "token", "list"]),
        (2, &["--listen", "nowhere", "token", "list"]),
    ] {
        let ran = machine.run(arguments);
        match status {
            0 => assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{arguments:?}"),
            status => {
                let said = ran.refused(status);
                assert!(
                    said.iter().any(|line| line.starts_with("help: ")) || arguments[0] == "config",
                    "{arguments:?} {said:?}"
                );
                assert_eq!(ran.out, "", "{arguments:?}");
            }
        }
    }
    let help = machine.run(&[]);
    assert_eq!(help.status, 2);
    assert!(help.err.contains("Usage: mailgrant"));
}

#[test]
fn json_is_one_document_and_nothing_else() {
    for machine in [Machine::with(""), Machine::with(CONTOSO)] {
        for arguments in [
            ["provider", "list", "--json"],
            ["token", "list", "--json"],
            ["mailbox", "list", "--json"],
        ] {
            let rows = machine.run(&arguments).ok().json();
            assert!(rows.is_array(), "{arguments:?} {rows}");
        }
        let checks = machine.run(&["doctor", "--json"]);
        assert!(checks.json().is_array());
        assert_eq!(checks.err, "");
    }
}

#[test]
fn a_token_is_shown_with_the_fields_scripts_rely_on() {
    let machine = Machine::with(CONTOSO);
    let shown = machine.run(&["token", "show", "support", "--json"]).ok();
    assert_eq!(
        shown.json(),
        serde_json::json!({
            "name": "support", "provider": "contoso", "grant": "authorization_code", "user": "support@contoso.example",
            "state": "expired",
            "scopes": ["https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send", "offline_access"],
            "granted_scopes": [], "expires_at": null, "refreshed_at": null, "refresh_token": true, "last_error": null
        })
    );
    let list = machine.run(&["token", "list", "--json"]).ok().json();
    assert_eq!(list[0], shown.json());

    machine
        .apply("[[token]]\nname = \"fresh\"\nprovider = \"contoso\"\nuser = \"new@contoso.example\"\n")
        .ok();
    let fresh = machine.run(&["token", "show", "fresh", "--json"]).ok().json();
    assert_eq!((&fresh["state"], &fresh["refresh_token"]), (&"unauthorized".into(), &false.into()));
    let ran = machine.run(&["token", "get", "fresh", "--json"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""), "no token, no document");
}

#[test]
fn a_reader_that_went_away_changes_neither_words_nor_status() {
    let machine = Machine::with(CONTOSO);
    for arguments in [
        &["config", "export"][..],
        &["token", "list"],
        &["token", "list", "--json"],
        &["provider", "list"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = machine.command(arguments);
        command.stdout(writer);
        finish(command, None).ok();
    }
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = machine.command(&["config", "export"]);
    command.stdout(full);
    assert_eq!(
        finish(command, None).refused(1),
        ["error: can't write: No space left on device (os error 28)"],
        "half an export is none"
    );
}

#[test]
fn a_mistyped_data_directory_is_named_and_not_made() {
    let machine = Machine::new();
    for arguments in [&["token", "list"][..], &["mailbox", "test", "support"], &["user", "list"]] {
        let said = machine.run(arguments).refused(2).join("\n");
        assert!(
            said.starts_with("error: there is no console in ") && said.contains("--data-dir"),
            "{said}"
        );
        assert!(!machine.data().exists());
    }
}
