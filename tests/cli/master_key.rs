//! The master key and the data directory: what is wrong, missing or open to others is refused in one line, and nothing is touched.

use super::CONTOSO;
use crate::support::command::{Machine, Ran, chmod, finish, mode};
use std::process::Command;

const OTHER_KEY: &str = "Y2FuYXJ5LWtleS1jYW5hcnkta2V5LWNhbmFyeS1rZXk=";

/// Refused, with the data directory as it was and nothing of a key in what was said.
#[track_caller]
fn refused(machine: &Machine, change: impl FnOnce(&Machine)) -> String {
    change(machine);
    let before = machine.stored();
    for arguments in [&["token", "list"][..], &["config", "apply", "-"], &["doctor", "--json"], &["serve"]] {
        let ran: Ran = machine.run_with(arguments, CONTOSO);
        let said = ran.refused(1).join("\n");
        assert_eq!(ran.out, "");
        assert!(machine.stored() == before, "{arguments:?}");
        assert!(!said.contains(OTHER_KEY) && !said.contains("canary"), "{said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
    }
    let said = machine.run(&["token", "list"]).err;
    said.replace(machine.data().to_str().unwrap(), "DATA")
        .replace(machine.home().to_str().unwrap(), "HOME")
}

#[test]
fn a_key_that_cannot_be_used_is_refused_and_the_database_stays_as_it_is() {
    let key = |machine: &Machine| machine.data().join("master.key");
    let machine = Machine::with(CONTOSO);
    let good = std::fs::read(key(&machine)).unwrap();
    let said = refused(&machine, |machine| std::fs::write(key(machine), format!("{OTHER_KEY}\n")).unwrap());
    assert_eq!(
        said,
        "error: this master key is not the one the database was made with\n\
         help: use the key this database was made with; nothing was changed\n"
    );
    for text in ["canary", "", "Y2FuYXJ5", "Y2FuYXJ5LWtleS1jYW5hcnkta2V5LWNhbmFyeS1rZXkY2FuYXJ5"] {
        let said = refused(&machine, |machine| std::fs::write(key(machine), text).unwrap());
        assert_eq!(
            said,
            "error: master key in DATA/master.key is not 32 bytes in base64\n\
             help: a key is 32 random bytes in base64, like the one a first start makes\n"
        );
    }
    std::fs::write(key(&machine), &good).unwrap();
    for bits in [0o644, 0o640, 0o604] {
        let said = refused(&machine, |machine| chmod(&key(machine), bits));
        assert_eq!(
            said,
            format!(
                "error: master key file DATA/master.key can be read by others (mode {bits:o})\n\
                 help: chmod 600 the file; if others could read it, change the secrets it protects\n"
            )
        );
    }
    let said = refused(&machine, |machine| std::fs::remove_file(key(machine)).unwrap());
    assert_eq!(
        said,
        "error: master key file DATA/master.key is missing; without it nothing stored can be read\n\
         help: put the key file back, or set MAILGRANT_MASTER_KEY_FILE\n"
    );
    machine.file("data/master.key", good);
    assert!(
        machine.export(&["--with-secrets"]).contains("canary-refresh-token"),
        "all is well with the right key"
    );
}

#[test]
fn a_key_from_outside_is_checked_like_the_one_inside() {
    let mut machine = Machine::with(CONTOSO);
    let good = std::fs::read_to_string(machine.data().join("master.key")).unwrap();
    machine.set("MAILGRANT_MASTER_KEY", OTHER_KEY);
    assert!(refused(&machine, |_| {}).starts_with("error: this master key is not the one"));
    machine.set("MAILGRANT_MASTER_KEY", "canary");
    assert!(refused(&machine, |_| {}).starts_with("error: master key in MAILGRANT_MASTER_KEY is not 32 bytes in base64\n"));
    machine.set("MAILGRANT_MASTER_KEY", good.trim());
    std::fs::remove_file(machine.data().join("master.key")).unwrap();
    machine.export(&["--with-secrets"]);

    machine.set("MAILGRANT_MASTER_KEY_FILE", machine.home().join("key"));
    let both = machine.run(&["token", "list"]);
    assert_eq!(
        both.refused(2),
        ["error: both master_key and master_key_file are set", "help: keep one of them"]
    );
    machine.unset("MAILGRANT_MASTER_KEY");
    assert_eq!(
        refused(&machine, |_| {}),
        "error: master key file HOME/key is missing\nhelp: put the key file back, or correct MAILGRANT_MASTER_KEY_FILE\n"
    );
    machine.file("key", &good);
    machine.export(&["--with-secrets"]);
    chmod(&machine.home().join("key"), 0o644);
    assert!(refused(&machine, |_| {}).starts_with("error: master key file HOME/key can be read by others (mode 644)\n"));
}

#[test]
fn a_lost_or_damaged_database_is_not_replaced_by_an_empty_one() {
    let machine = Machine::with(CONTOSO);
    let database = machine.data().join("mailgrant.db");
    let good = std::fs::read(&database).unwrap();
    let said = refused(&machine, |_| std::fs::remove_file(&database).unwrap());
    assert_eq!(
        said,
        "error: the database DATA/mailgrant.db is missing, though its master key is here; nothing was made\n\
         help: restore the database from a backup, or move DATA/master.key away to start anew\n"
    );
    let said = refused(&machine, |machine| drop(machine.file("data/mailgrant.db", "canary ".repeat(2000))));
    assert!(
        said.contains("file is not a database") && said.contains("restore it from a backup"),
        "{said}"
    );
    machine.file("data/mailgrant.db", good);
    machine.run(&["token", "list"]).ok();
}

#[test]
fn what_holds_secrets_is_for_its_owner_alone_whatever_the_umask() {
    let machine = Machine::new();
    let binary = machine.command(&["config", "apply", "-"]);
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "umask 000; exec \"$@\"", "sh"])
        .arg(binary.get_program())
        .args(binary.get_args())
        .current_dir(machine.home())
        .env_clear()
        .env("MAILGRANT_DATA_DIR", machine.data());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    finish(command, Some(CONTOSO)).ok();
    assert_eq!(mode(&machine.data()), 0o700);
    for name in machine.stored().keys() {
        assert_eq!(mode(&machine.data().join(name)), 0o600, "{name}");
    }

    for (path, bits, said) in [
        (
            machine.data(),
            0o755,
            "error: data directory DATA can be entered by others (mode 755)\nhelp: chmod 700 DATA\n",
        ),
        (
            machine.data().join("mailgrant.db"),
            0o644,
            "error: DATA/mailgrant.db can be read by others (mode 644)\nhelp: chmod 600 DATA/mailgrant.db\n",
        ),
    ] {
        let before = mode(&path);
        assert_eq!(refused(&machine, |_| chmod(&path, bits)), said);
        chmod(&path, before);
    }
    machine.run(&["token", "list"]).ok();
}

#[test]
fn a_settings_file_with_a_secret_in_it_is_for_its_owner_alone() {
    let machine = Machine::with(CONTOSO);
    let key = std::fs::read_to_string(machine.data().join("master.key")).unwrap();
    let with_key = format!("master_key = \"{}\"\n", key.trim());
    let with_password = "database_url = \"postgres://me:canary@127.0.0.1:1/x\"\n".to_owned();
    for text in [with_key, with_password] {
        let path = machine.file("settings.toml", text);
        chmod(&path, 0o640);
        let said = machine.run(&["--config", "settings.toml", "token", "list"]).refused(2).join("\n");
        assert_eq!(
            said,
            "error: settings file settings.toml holds a secret and can be read by others (mode 640)\nhelp: chmod 600 settings.toml"
        );
    }
    // Without one it may be read by everybody.
    let path = machine.file("settings.toml", "log_format = \"text\"\n");
    chmod(&path, 0o644);
    machine.run(&["--config", "settings.toml", "token", "list"]).ok();
}
