//! Secrets stay out of what other processes can see: arguments, environments, standard output and error at every log level.

use super::CONTOSO;
use crate::support::command::Machine;
use std::process::Stdio;

#[test]
fn no_option_takes_a_secret() {
    let machine = Machine::new();
    let mut options = Vec::new();
    let commands: &[&[&str]] = &[
        &[],
        &["serve"],
        &["config", "check"],
        &["config", "apply"],
        &["config", "export"],
        &["provider", "list"],
        &["token", "list"],
        &["token", "show"],
        &["token", "get"],
        &["token", "authorize"],
        &["token", "refresh"],
        &["token", "remove"],
        &["mailbox", "list"],
        &["mailbox", "test"],
        &["user", "add"],
        &["user", "list"],
        &["user", "disable"],
        &["user", "reset-password"],
        &["diagnose"],
        &["doctor"],
    ];
    for command in commands {
        let help = machine.run(&[command, &["--help"][..]].concat()).ok().out;
        options.extend(help.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned));
    }
    options.sort();
    options.dedup();
    options.retain(|option| ["secret", "password", "key", "token"].iter().any(|word| option.contains(word)));
    assert_eq!(options, ["--password-stdin", "--with-secrets"], "neither of them takes a value");
}

#[test]
fn a_running_command_shows_no_secret_to_other_processes() {
    let mut machine = Machine::new();
    machine.set("RUST_LOG", "trace");
    machine.file("secret", "canary8Q~client-secret");
    // It waits for its input, so there is time to look at it.
    let mut child = machine.command(&["config", "apply", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let proc = std::path::PathBuf::from(format!("/proc/{}", child.id()));
    let text = CONTOSO.replace("client_secret = \"canary8Q~client-secret\"", "client_secret_file = \"secret\"");
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), text.as_bytes()).unwrap();
    for _ in 0..200 {
        if machine.data().join("mailgrant.db").exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    for file in ["cmdline", "environ"] {
        // The environment may be closed to everybody but root.
        let seen = match std::fs::read(proc.join(file)) {
            Ok(seen) => String::from_utf8_lossy(&seen).into_owned(),
            Err(error) if file == "environ" && error.kind() == std::io::ErrorKind::PermissionDenied => continue,
            Err(error) => panic!("{file}: {error}"),
        };
        assert!(!seen.is_empty() && !seen.contains("canary"), "{file}: {seen}");
    }
    for task in std::fs::read_dir(proc.join("task")).unwrap() {
        let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        assert_eq!(children, "", "no other program is started, so none inherits the environment");
    }
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn no_secret_is_printed_at_any_log_level() {
    let mut machine = Machine::new();
    machine.set("RUST_LOG", "trace");
    machine.set("MAILGRANT_LOG_FORMAT", "json");
    let wrong = CONTOSO.replace("smtp.contoso.example", "no host");
    let mut said = String::new();
    for (arguments, input) in [
        (&["config", "apply", "-"][..], wrong.as_str()),
        (&["config", "apply", "-"], CONTOSO),
        (&["config", "apply", "-"], CONTOSO),
        (
            &["config", "check", "-"],
            &CONTOSO.replace("canary8Q~client-secret", "canary8Q~other"),
        ),
        (&["config", "export"], ""),
        (&["provider", "list", "--json"], ""),
        (&["token", "list", "--json"], ""),
        (&["token", "show", "support"], ""),
        (&["mailbox", "list", "--json"], ""),
        (
            &["user", "add", "maija@contoso.example", "--password-stdin"],
            "canary-staple-9-horse\n",
        ),
        (&["user", "add", "ossi@contoso.example", "--password-stdin"], "canary\n"),
        (&["user", "list"], ""),
        (&["doctor", "--json"], ""),
    ] {
        let ran = machine.run_with(arguments, input);
        said.push_str(&ran.out);
        said.push_str(&ran.err);
    }
    assert!(
        said.contains("provider contoso created") && said.contains("Added maija@contoso.example"),
        "{said}"
    );
    let line = said.lines().find(|line| line.contains("canary"));
    assert_eq!(line, None);
}
