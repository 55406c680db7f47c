//! Files that can't be applied: everything wrong is named at once, with its line, and nothing of the file is stored.

use super::CONTOSO;
use crate::support::command::Machine;

/// Applies it after [`CONTOSO`], sees it refused and nothing written, and returns what was said.
#[track_caller]
fn refused(machine: &Machine, text: &str) -> Vec<String> {
    let before = machine.stored();
    let ran = machine.apply(text);
    assert_eq!(ran.out, "");
    let said = ran.refused(2).into_iter().map(|line| line.replace("standard input:", "")).collect();
    assert!(machine.stored() == before, "something was written");
    said
}

/// The one thing wrong with a file.
#[track_caller]
fn problem(machine: &Machine, text: &str) -> String {
    refused(machine, text).join(" | ").trim_start_matches("error: ").to_owned()
}

#[test]
fn everything_wrong_is_told_at_once_with_its_line() {
    let machine = Machine::with(CONTOSO);
    let text = r#"
[[provider]]
name = "fabrikam"
template = "custom"
client_id = "x"
client_secret_env = "NOT_SET"
authorize_url = "http://login.fabrikam.example/authorize"
token_url = "https://user:pass@login.fabrikam.example/token"

[[provider]]
name = "typo"
templat = "google"

[[token]]
name = "sales"
provider = "nowhere"
user = "sales@contoso.example"

[[token]]
name = "hr"
provider = "contoso"
user = "hr@contoso.example"
scopes = 3
shared = "yes"

[[token]]
name = "of-typo"
provider = "typo"

[[mailbox]]
name = "hr"
address = "nobody"
[mailbox.incoming]
host = "https://imap.example.com/"
port = 0
token = "missing"

[[mailbox]]
name = "hr"
address = "hr@contoso.example"
[mailbox.incoming]
host = "outlook.office365.com"
token = "missing"
"#;
    let said = refused(&machine, text).join("\n");
    let expected = "\
error: 6: client_secret_env: the environment has no variable NOT_SET
error: 7: Authorize address must start with https://. http:// is for this machine only
error: 8: Token address can't be used: it has a user name or password in it
error: 12: unknown key \"templat\" in [[provider]]
help: did you mean \"template\"?
error: 16: there is no provider \"nowhere\", here or in the file
error: 23: scopes must be a list of texts, like [\"a\", \"b\"]
error: 24: shared must be true or false
error: 32: Enter an email address like support@example.com
error: 34: Enter a server name without https:// or a path
error: 35: Port must be between 1 and 65535
error: 36: There is no token called missing
error: 39: name \"hr\" is used already in line 31
error: 43: There is no token called missing";
    assert_eq!(said, expected);
}

#[test]
fn a_mistyped_key_names_the_nearest_known_one() {
    let machine = Machine::with("");
    for (text, said) in [
        (
            "[[providers]]\nname = \"a\"\n",
            "1: unknown key \"providers\" | help: did you mean \"provider\"?",
        ),
        (
            "[[provider]]\nclient_secret_fil = \"x\"\n",
            "2: unknown key \"client_secret_fil\" in [[provider]] | help: did you mean \"client_secret_file\"?",
        ),
        (
            "\n[[token]]\nrefreshtoken = \"x\"\n",
            "3: unknown key \"refreshtoken\" in [[token]] | help: did you mean \"refresh_token\"?",
        ),
        (
            "[[mailbox]]\ntag = []\n",
            "2: unknown key \"tag\" in [[mailbox]] | help: did you mean \"tags\"?",
        ),
        (
            "[[mailbox]]\n[mailbox.incoming]\nfoldr = \"x\"\n",
            "3: unknown key \"foldr\" in [[mailbox]] incoming | help: did you mean \"folder\"?",
        ),
        (
            "[[mailbox]]\n[mailbox.outgoing]\nfrm = \"x\"\n",
            "3: unknown key \"frm\" in [[mailbox]] outgoing | help: did you mean \"from\"?",
        ),
        (
            "[token]\nname = \"x\"\n",
            "1: write [[token]] with two brackets, once for every token",
        ),
    ] {
        assert_eq!(problem(&machine, text), said);
    }
}

#[test]
fn one_wrong_entry_at_the_end_keeps_everything_before_it_out() {
    let machine = Machine::with(CONTOSO);
    let changed = CONTOSO
        .replace("Contoso Support", "Contoso Help")
        .replace("2099-05-01", "2098-05-01");
    let more = "\n[[provider]]\nname = \"google\"\ntemplate = \"google\"\nclient_id = \"1-a.apps.googleusercontent.com\"\n\
                client_secret = \"GOCSPX-canary\"\n\n[[mailbox]]\nname = \"last\"\naddress = \"last@contoso.example\"\n";
    assert_eq!(
        problem(&machine, &format!("{changed}{more}")),
        "37: Choose how to read or to send mail: a mailbox needs one of them"
    );
    assert!(!machine.export(&[]).contains("google"));
}

#[test]
fn no_value_smuggles_in_a_line_of_its_own() {
    let machine = Machine::with(CONTOSO);
    let provider = |key: &str| format!("[[provider]]\nname = \"contoso\"\n{key} = \"a\\r\\nBcc: x@y.example\"\n");
    let token = |key: &str| format!("[[token]]\nname = \"support\"\n{key} = \"a\\r\\nBcc: x@y.example\"\n");
    let mailbox = |key: &str| format!("[[mailbox]]\nname = \"support\"\n{key} = \"a\\r\\nBcc: x@y.example\"\n");
    let named = |table: &str| format!("[[{table}]]\nname = \"a\\r\\nBcc: x\"\n");
    for text in [
        named("provider"),
        named("token"),
        named("mailbox"),
        provider("tenant"),
        provider("client_id"),
        provider("client_secret"),
        provider("issuer"),
        provider("token_url"),
        provider("extra_authorize_params.nonce2"),
        token("user"),
        token("refresh_token"),
        mailbox("address"),
        mailbox("display_name"),
        mailbox("tags"),
        mailbox("incoming.host"),
        mailbox("incoming.username"),
        mailbox("incoming.folder"),
        mailbox("incoming.token"),
        mailbox("outgoing.from"),
        mailbox("outgoing.bcc"),
        mailbox("outgoing.password"),
    ] {
        let line = if text.contains("\nname = \"a") {
            "error: 2: "
        } else {
            "error: 3: "
        };
        let said = refused(&machine, &text);
        assert!(said.iter().any(|said| said.starts_with(line)), "{text}{said:?}");
    }
}

#[test]
fn a_network_that_is_not_allowed_names_the_setting_to_add() {
    let mailbox = |host: &str| {
        format!("[[mailbox]]\nname = \"m\"\naddress = \"m@x.example\"\n[mailbox.incoming]\nhost = \"{host}\"\nauth = \"password\"\n")
    };
    for (host, setting) in [
        ("10.1.2.3", "private"),
        ("192.168.0.9", "private"),
        ("fd12::1", "private"),
        ("127.0.0.1", "loopback"),
        ("localhost", "loopback"),
        ("100.64.0.1", "100.64.0.1/32"),
    ] {
        let mut machine = Machine::with("");
        assert_eq!(
            problem(&machine, &mailbox(host)),
            format!(
                "5: {host} is in a network that is not allowed. If it is right, add {setting} to the setting allow_networks (MAILGRANT_ALLOW_NETWORKS)"
            )
        );
        machine.set("MAILGRANT_ALLOW_NETWORKS", setting);
        assert_eq!(machine.apply(&mailbox(host)).ok().out, "mailbox m created\n", "{host}");
    }
    let mut machine = Machine::with("");
    machine.set("MAILGRANT_ALLOW_NETWORKS", "loopback,private");
    let said = problem(&machine, &mailbox("169.254.169.254"));
    assert!(said.contains("never allowed") && !said.contains("allow_networks"), "{said}");
}

#[test]
fn clear_text_is_for_this_machine_and_only_where_that_is_allowed() {
    let provider = |url: &str| {
        format!(
            "[[provider]]\nname = \"p\"\ntemplate = \"custom\"\nclient_id = \"c\"\nclient_secret = \"s\"\n\
             authorize_url = \"https://login.example.com/a\"\ntoken_url = \"{url}\"\n"
        )
    };
    let mailbox = |host: &str| {
        format!(
            "[[mailbox]]\nname = \"m\"\naddress = \"m@x.example\"\n[mailbox.outgoing]\nhost = \"{host}\"\nport = 2525\n\
             security = \"none\"\nauth = \"none\"\n"
        )
    };
    let mut machine = Machine::with("");
    assert_eq!(
        problem(&machine, &provider("http://127.0.0.1:4444/token")),
        "7: Token address may start with http:// only where the setting allow_networks has loopback"
    );
    assert_eq!(
        problem(&machine, &provider("http://login.example.com/token")),
        "7: Token address must start with https://. http:// is for this machine only"
    );
    assert_eq!(
        problem(&machine, &mailbox("mail.example.com")),
        "7: Unencrypted mail is allowed to this machine only"
    );
    assert!(problem(&machine, &mailbox("127.0.0.1")).contains("add loopback to the setting allow_networks"));
    machine.set("MAILGRANT_ALLOW_NETWORKS", "loopback, private");
    machine.apply(&provider("http://127.0.0.1:4444/token")).ok();
    machine.apply(&mailbox("127.0.0.1")).ok();
    assert_eq!(
        problem(&machine, &mailbox("10.0.0.1")),
        "7: Unencrypted mail is allowed to this machine only"
    );
}

#[test]
fn a_password_without_a_use_is_named_with_its_line() {
    let machine = Machine::with(CONTOSO);
    assert_eq!(
        problem(&machine, "[[token]]\nname = \"support\"\npassword = \"x\"\n"),
        "3: Only a token that is got with a password has one. Leave it out"
    );
}

#[test]
fn a_token_opens_its_own_mailbox_only_unless_it_is_shared() {
    let machine = Machine::with(CONTOSO);
    let hr = "[[mailbox]]\nname = \"hr\"\naddress = \"hr@contoso.example\"\n[mailbox.incoming]\nhost = \"outlook.office365.com\"\ntoken = \"support\"\n";
    assert_eq!(
        problem(&machine, hr),
        "6: Token belongs to support@contoso.example and this mailbox is hr@contoso.example. Choose another, or allow this token for shared mailboxes"
    );
    let shared = format!("[[token]]\nname = \"support\"\nshared = true\n{hr}");
    assert_eq!(machine.apply(&shared).ok().out, "token support updated\nmailbox hr created\n");
}

#[test]
fn the_account_of_a_signed_in_token_is_not_swapped_by_a_file() {
    let machine = Machine::with(CONTOSO);
    assert_eq!(
        problem(&machine, "[[token]]\nname = \"support\"\nuser = \"hr@contoso.example\"\n"),
        "3: An account is signed in. With another account that sign-in is forgotten: log out and remove the token first, or give the new one another name"
    );
}

#[test]
fn what_is_no_file_of_ours_is_refused_without_being_quoted() {
    let machine = Machine::with(CONTOSO);
    let said = refused(&machine, "[[provider]]\nclient_secret = \"canary-secret\nname = \"x\"\n").join("\n");
    assert!(said.starts_with("error: 2: not TOML: ") && !said.contains("canary"), "{said}");
    let said = refused(&machine, "[[provider]]\nclient_secret = \"canary\"\nclient_secret = \"canary\"\n").join("\n");
    assert!(said.starts_with("error: 3: not TOML: ") && !said.contains("canary"), "{said}");

    let before = machine.stored();
    machine.file("latin1.toml", b"[[token]]\nname = \"gr\xfc\xdfe\"\n");
    machine.file("huge.toml", vec![b'#'; (16 << 20) + 1]);
    for (file, said) in [
        (
            "latin1.toml",
            "error: latin1.toml can't be read: stream did not contain valid UTF-8",
        ),
        ("huge.toml", "error: huge.toml is longer than 16 MiB"),
        (
            "none.toml",
            "error: none.toml can't be read: No such file or directory (os error 2)",
        ),
        ("data", "error: data can't be read: Is a directory (os error 21)"),
    ] {
        for command in ["apply", "check"] {
            assert_eq!(machine.run(&["config", command, file]).refused(2), [said]);
        }
    }
    assert!(machine.stored() == before);
}
