//! Files that are applied: twice is once, what is not named stays, and what is exported is applied again.

use super::CONTOSO;
use crate::support::command::Machine;

#[test]
fn applying_twice_changes_nothing_the_second_time() {
    let machine = Machine::new();
    let file = machine.file("mailgrant.toml", CONTOSO);
    let file = file.to_str().unwrap();
    assert_eq!(
        machine.run(&["config", "apply", file]).ok().out,
        "provider contoso created\ntoken support created\nmailbox support created\n"
    );
    let before = machine.stored();
    for (arguments, said) in [
        (&["config", "apply", file][..], ""),
        (&["config", "apply", "--dry-run", file], "would be "),
        (&["config", "check", file], "would be "),
    ] {
        assert_eq!(
            machine.run(arguments).ok().out,
            format!("provider contoso {said}unchanged\ntoken support {said}unchanged\nmailbox support {said}unchanged\n")
        );
        assert!(
            machine.stored() == before,
            "not a row may be added, to the audit log neither: {arguments:?}"
        );
    }
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let machine = Machine::with(CONTOSO);
    let before = machine.stored();
    let changed = CONTOSO
        .replace("Contoso Support", "Contoso Help")
        .replace("canary8Q~client-secret", "another8Q~client-secret");
    let more = "\n[[token]]\nname = \"hr\"\nprovider = \"contoso\"\nuser = \"hr@contoso.example\"\n";
    for arguments in [["config", "apply", "--dry-run", "-"].as_slice(), &["config", "check", "-"]] {
        let out = machine.run_with(arguments, &format!("{changed}{more}")).ok().out;
        let (notes, entries): (Vec<&str>, Vec<&str>) = out.lines().partition(|line| line.starts_with("  "));
        assert!(notes.len() == 1 && notes[0].contains("was not tried at the provider"), "{out}");
        assert_eq!(
            entries.join("\n") + "\n",
            "provider contoso would be updated\ntoken support would be unchanged\ntoken hr would be created\nmailbox support would be updated\n"
        );
        assert!(machine.stored() == before);
    }
    let wrong = machine.run_with(&["config", "check", "-"], "[[token]]\nname = \"x\"\n");
    assert_eq!(
        wrong.refused(2),
        ["error: standard input:1: provider is missing: name the provider this token is got from"]
    );
}

#[test]
fn a_check_on_a_machine_without_a_console_leaves_nothing_behind() {
    let mut machine = Machine::new();
    machine.set("TMPDIR", machine.home().to_path_buf());
    for arguments in [["config", "check", "-"].as_slice(), &["config", "apply", "--dry-run", "-"]] {
        assert_eq!(
            machine.run_with(arguments, CONTOSO).ok().out,
            "provider contoso would be created\ntoken support would be created\nmailbox support would be created\n"
        );
        machine.run_with(arguments, "[[token]]\n").refused(2);
    }
    assert_eq!(std::fs::read_dir(machine.home()).unwrap().count(), 0);
}

#[test]
fn what_the_file_does_not_name_stays() {
    let machine = Machine::with(CONTOSO);
    let before = machine.export(&["--with-secrets"]);
    let text = "[[mailbox]]\nname = \"support\"\ntags = [\"vip\"]\nenabled = false\n";
    assert_eq!(machine.apply(text).ok().out, "mailbox support updated\n");
    let expected = before
        .replace("tags = [\"helpdesk\"]", "tags = [\"vip\"]")
        .replace("enabled = true", "enabled = false");
    assert_eq!(machine.export(&["--with-secrets"]), expected);
    assert_eq!(machine.apply("").ok().out, "nothing in the file\n");
    assert_eq!(machine.export(&["--with-secrets"]), expected);
}

#[test]
fn an_export_with_secrets_makes_the_same_console_elsewhere() {
    let google = r#"
[[provider]]
name = "google"
template = "google"
client_id = "12345-abc.apps.googleusercontent.com"
client_secret = "GOCSPX-canary-secret"
consent_screen = "internal"
prompt = ""
login_hint = false
[provider.extra_authorize_params]
hd = "contoso.example"
access_type = "offline"

[[provider]]
name = "own"
template = "custom"
client_id = "public"
client_auth = "none"
issuer = "https://login.example.com"
authorize_url = "https://login.example.com/a"
token_url = "https://login.example.com/t"
pkce = false
scopes = ["openid, offline_access\nhttps://mail.example.com/all"]

[[token]]
name = "maija"
provider = "google"
user = "maija@contoso.example"
prompt = "consent"
shared = true
scopes = ["https://mail.google.com/"]

[[mailbox]]
name = "shared"
address = "shared@contoso.example"
enabled = false
tags = ["b", "a"]
round_trip_hours = 6
[mailbox.incoming]
host = "imap.gmail.com"
token = "maija"
username = "maija@contoso.example"
folder = "Anfragen/Übersicht \"neu\""
[mailbox.outgoing]
host = "smtp.gmail.com"
port = 465
security = "tls"
token = "maija"
from = "Shared@contoso.example"
"#;
    let first = Machine::with(&format!("{CONTOSO}{google}"));
    let export = first.export(&["--with-secrets"]);
    assert!(export.contains("round_trip_hours = 6\n"), "{export}");
    let second = Machine::with(&export);
    assert_eq!(second.export(&["--with-secrets"]), export);
    assert_eq!(second.export(&[]), first.export(&[]));

    // On the machine it came from it changes nothing, with secrets or without.
    for more in [&["--with-secrets"][..], &[]] {
        let text = first.export(more);
        let before = first.stored();
        let said = first.apply(&text).ok().out;
        assert!(said.lines().all(|line| line.ends_with(" unchanged")), "{said}");
        assert!(first.stored() == before);
    }
    // Without secrets it says at which line one is wanted.
    let third = Machine::new();
    let said = third.apply(&first.export(&[])).refused(2).join("\n");
    assert_eq!(
        said,
        "error: standard input:1: Enter the client secret\nerror: standard input:17: Enter the client secret"
    );
}

#[test]
fn a_message_to_itself_has_its_hours_and_needs_both_sides() {
    let machine = Machine::with(CONTOSO);
    let apply = |more: &str| machine.apply(&format!("[[mailbox]]\nname = \"support\"\n{more}"));
    for (more, said) in [
        (
            "round_trip_hours = 5\n",
            "error: standard input:3: Send a message to itself must be 0 (not at all), 1, 6 or 24 hours",
        ),
        ("round_trip_hours = true\n", "error: standard input:3: "),
        (
            "round_trip_hours = 6\n[mailbox.incoming]\nprotocol = \"pop3\"\nhost = \"outlook.office365.com\"\n",
            "error: standard input:3: A message to itself is sent with SMTP and looked for with IMAP. Choose these, or leave it off",
        ),
    ] {
        let ran = apply(more);
        let refused = ran.refused(2);
        assert!(refused.len() == 1 && refused[0].starts_with(said), "{refused:?}");
    }
    assert_eq!(apply("round_trip_hours = 24\n").ok().out, "mailbox support updated\n");
    assert!(machine.export(&[]).contains("round_trip_hours = 24"));
    assert_eq!(apply("tags = [\"x\"]\n").ok().out, "mailbox support updated\n");
    assert!(machine.export(&[]).contains("round_trip_hours = 24"), "what is not named stays");
    apply("round_trip_hours = 0\n").ok();
    assert!(!machine.export(&[]).contains("round_trip_hours"));
}

#[test]
fn an_export_holds_secrets_only_when_asked() {
    let machine = Machine::with(CONTOSO);
    let without = machine.export(&[]);
    assert!(!without.contains("canary") && !without.contains("client_secret = "), "{without}");
    let with = machine.export(&["--with-secrets"]);
    for secret in ["canary8Q~client-secret", "canary-refresh-token", "canary-mailbox-password"] {
        assert!(with.contains(secret), "{secret}");
    }
    assert_eq!(audit(&machine, "config.export"), ["with secrets", "without secrets"]);
}

#[test]
fn the_audit_log_says_what_was_applied_and_by_whom() {
    let machine = Machine::with(CONTOSO);
    machine.apply("[[mailbox]]\nname = \"support\"\ntags = []\n").ok();
    assert_eq!(
        audit(&machine, "config.apply"),
        ["0 created, 1 updated, 0 unchanged", "3 created, 0 updated, 0 unchanged"]
    );
}

/// The details of the audit entries of an action, newest first.
fn audit(machine: &Machine, action: &'static str) -> Vec<String> {
    let url = format!("sqlite://{}/mailgrant.db", machine.data().display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&url).await.unwrap();
        let sql = "SELECT detail FROM audit WHERE action = $1 ORDER BY sequence DESC";
        let rows = sqlx::query_scalar(sql).bind(action).fetch_all(&pool).await.unwrap();
        pool.close().await;
        rows
    })
}

#[test]
fn pop_and_graph_come_back_out_of_the_file_as_they_went_in() {
    let more = r#"
[[mailbox]]
name = "graph"
address = "support@contoso.example"
[mailbox.incoming]
protocol = "graph"
token = "support"
folder = "Tickets"
[mailbox.outgoing]
protocol = "graph"
token = "support"

[[mailbox]]
name = "pop"
address = "support@contoso.example"
[mailbox.incoming]
protocol = "pop3"
host = "outlook.office365.com"
token = "support"
"#;
    let machine = Machine::with(&format!("{CONTOSO}{more}"));
    let export = machine.export(&[]);
    let (_, mailboxes) = export.split_once("name = \"graph\"").unwrap();
    assert!(
        mailboxes.contains("protocol = \"graph\"") && mailboxes.contains("folder = \"Tickets\""),
        "{mailboxes}"
    );
    let (graph, rest) = mailboxes.split_once("name = \"pop\"").unwrap();
    let (pop, _) = rest.split_once("[[mailbox]]").unwrap();
    assert!(!graph.contains("host =") && !graph.contains("port ="), "{graph}");
    for line in ["protocol = \"pop3\"", "port = 995", "security = \"tls\""] {
        assert!(pop.contains(line), "{pop}");
    }
    assert!(!pop.contains("folder"), "{pop}");
    let listed = machine.run(&["mailbox", "list", "--json"]).ok().json();
    let find = |name: &str| listed.as_array().unwrap().iter().find(|mailbox| mailbox["name"] == name).unwrap();
    assert_eq!(find("graph")["incoming"]["protocol"], "graph");
    assert!(find("graph")["incoming"]["host"].is_null());
    assert_eq!(find("pop")["incoming"]["port"], 995);

    // Another protocol in the file brings its own server and port along.
    let changed = more.replace("protocol = \"pop3\"", "protocol = \"imap\"");
    machine.apply(&format!("{CONTOSO}{changed}")).ok();
    let listed = machine.run(&["mailbox", "list", "--json"]).ok().json();
    let pop = listed.as_array().unwrap().iter().find(|mailbox| mailbox["name"] == "pop").unwrap();
    assert_eq!(
        (&pop["incoming"]["protocol"], &pop["incoming"]["port"]),
        (&"imap".into(), &993.into())
    );
    let wrong = more.replace("protocol = \"pop3\"", "protocol = \"smtp\"");
    let said = machine.apply(&format!("{CONTOSO}{wrong}")).refused(2).join("\n");
    assert!(said.contains("Read mail with must be Microsoft Graph, IMAP or POP"), "{said}");
}
