//! Secrets of the configuration file: where they come from, when they stay, when they are wanted again.

use super::CONTOSO;
use crate::support::command::{Machine, chmod};

/// A provider of this name whose secret is given by `line`.
fn provider(name: &str, line: &str) -> String {
    format!("[[provider]]\nname = \"{name}\"\ntemplate = \"google\"\nclient_id = \"1-a.apps.googleusercontent.com\"\n{line}\n")
}

/// The lines of an export that begin with this key.
fn exported(machine: &Machine, key: &str) -> Vec<String> {
    let export = machine.export(&["--with-secrets"]);
    let lines = export.lines().filter_map(|line| line.strip_prefix(&format!("{key} = ")));
    lines.map(|line| line.trim_matches('"').to_owned()).collect()
}

#[test]
fn secrets_come_from_the_file_from_files_beside_it_and_from_the_environment() {
    let mut machine = Machine::new();
    machine.set("SECRET_OF_C", "GOCSPX-canary-c\n");
    machine.file("conf/secrets/b", "GOCSPX-canary-b\r\n");
    let text = [
        provider("a", "client_secret = \"GOCSPX-canary-a\""),
        provider("b", "client_secret_file = \"secrets/b\""),
        provider("c", "client_secret_env = \"SECRET_OF_C\""),
    ]
    .concat();
    let sides = "[[mailbox]]\nname = \"m\"\naddress = \"m@x.example\"\n\
                 [mailbox.incoming]\nhost = \"imap.example.com\"\nauth = \"password\"\npassword_file = \"secrets/b\"\n\
                 [mailbox.outgoing]\nhost = \"smtp.example.com\"\nauth = \"password\"\npassword_env = \"SECRET_OF_C\"\n\
                 [[token]]\nname = \"t\"\nprovider = \"a\"\nuser = \"t@x.example\"\nrefresh_token_file = \"secrets/b\"\n";
    machine.file("conf/mailgrant.toml", text + sides);
    // Files are looked for beside the configuration file, wherever the command runs.
    machine.run(&["config", "apply", "conf/mailgrant.toml"]).ok();
    assert_eq!(
        exported(&machine, "client_secret"),
        ["GOCSPX-canary-a", "GOCSPX-canary-b", "GOCSPX-canary-c"]
    );
    assert_eq!(exported(&machine, "password"), ["GOCSPX-canary-b", "GOCSPX-canary-c"]);
    assert_eq!(exported(&machine, "refresh_token"), ["GOCSPX-canary-b"]);
    // From standard input they are looked for where the command runs.
    let text = provider("d", "client_secret_file = \"conf/secrets/b\"");
    machine.apply(&text).ok();
}

#[test]
fn a_secret_that_the_file_replaces_stands_by_and_the_output_says_that_the_new_one_was_not_tried() {
    let machine = Machine::with(&provider("a", "client_secret = \"GOCSPX-canary-a\""));
    let again = machine.apply(&provider("a", "client_secret = \"GOCSPX-canary-a\"")).ok();
    assert!(!again.out.contains("tried"), "{}", again.out);
    let other = machine.apply(&provider("a", "client_secret = \"GOCSPX-canary-b\"")).ok();
    assert!(
        other
            .out
            .contains("the new client secret was not tried at the provider; the client secret before it stays as fallback until 2"),
        "{}",
        other.out
    );
    assert!(!other.out.contains("canary"));
    assert_eq!(exported(&machine, "client_secret"), ["GOCSPX-canary-b"]);
    let same = machine.apply(&provider("a", "client_secret = \"GOCSPX-canary-b\"")).ok();
    assert!(
        same.out.contains("provider a unchanged") && !same.out.contains("tried"),
        "{}",
        same.out
    );
}

#[test]
fn a_secret_that_cannot_be_had_is_named_with_its_line_and_never_shown() {
    let mut machine = Machine::with(CONTOSO);
    machine.set("EMPTY", "");
    machine.set("BLANK", "\n");
    machine.file("empty", "\n");
    machine.file("long", "canary".repeat(20_000));
    machine.file("binary", b"canary\xff\xfe");
    machine.file("folder/x", "");
    let before = machine.stored();
    let name = "[[provider]]\nname = \"contoso\"\n";
    for (line, said) in [
        (
            "client_secret = \"\"",
            "3: client_secret is empty: leave it out to keep the stored one",
        ),
        (
            "client_secret_env = \"EMPTY\"",
            "3: client_secret is empty: leave it out to keep the stored one",
        ),
        (
            "client_secret_env = \"BLANK\"",
            "3: client_secret is empty: leave it out to keep the stored one",
        ),
        (
            "client_secret_file = \"empty\"",
            "3: client_secret is empty: leave it out to keep the stored one",
        ),
        (
            "client_secret_env = \"NOT_SET\"",
            "3: client_secret_env: the environment has no variable NOT_SET",
        ),
        (
            "client_secret_file = \"none\"",
            "3: client_secret_file: none can't be read: No such file or directory (os error 2)",
        ),
        (
            "client_secret_file = \"folder\"",
            "3: client_secret_file: folder can't be read: Is a directory (os error 21)",
        ),
        ("client_secret_file = \"long\"", "3: client_secret_file: long is longer than 64 KiB"),
        (
            "client_secret_file = \"binary\"",
            "3: client_secret_file: binary can't be read: stream did not contain valid UTF-8",
        ),
        (
            "client_secret = \"canary\"\nclient_secret_env = \"EMPTY\"",
            "3: client_secret is given more than once: keep one of client_secret, client_secret_file and client_secret_env",
        ),
        ("client_secret = 5", "3: client_secret must be a text in quotes"),
    ] {
        let ran = machine.apply(&format!("{name}{line}\n"));
        assert_eq!(ran.refused(2), [format!("error: standard input:{said}")]);
    }
    let token = "[[token]]\nname = \"support\"\nrefresh_token_env = \"EMPTY\"\n";
    assert!(machine.apply(token).refused(2)[0].ends_with(":3: refresh_token is empty: leave it out to keep the stored one"));
    let password = "[[mailbox]]\nname = \"support\"\n[mailbox.outgoing]\npassword_file = \"empty\"\n";
    assert!(machine.apply(password).refused(2)[0].contains(":4: outgoing.password is empty: "));
    assert!(machine.stored() == before);
}

#[test]
fn a_file_with_a_secret_that_others_can_read_is_taken_with_a_warning() {
    let machine = Machine::new();
    let file = machine.file("secret", "GOCSPX-canary\n");
    let text = provider("a", "client_secret_file = \"secret\"");
    machine.apply(&text).ok();
    chmod(&file, 0o644);
    let ran = machine.apply(&text);
    assert_eq!((ran.status, ran.out.as_str()), (0, "provider a unchanged\n"));
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    assert!(
        ran.err
            .contains("WARN A file with a secret can be read by others (mode 644) file=\"secret\""),
        "{ran:?}"
    );
}

#[test]
fn a_secret_left_out_keeps_the_stored_one_while_it_goes_where_it_went() {
    let machine = Machine::with(CONTOSO);
    let without: String = CONTOSO
        .lines()
        .filter(|line| !line.contains("canary"))
        .map(|line| format!("{line}\n"))
        .collect();
    let before = machine.stored();
    let said = machine.apply(&without).ok().out;
    assert!(said.lines().all(|line| line.ends_with(" unchanged")), "{said}");
    assert!(machine.stored() == before);

    let secrets = machine.export(&["--with-secrets"]);
    let renamed = without
        .replace("Contoso Support", "Contoso Help")
        .replace("2099-05-01", "2098-05-01")
        .replace("11112222-", "99992222-");
    machine.apply(&renamed).ok();
    let expected = secrets
        .replace("Contoso Support", "Contoso Help")
        .replace("2099-05-01", "2098-05-01")
        .replace("11112222-", "99992222-");
    assert_eq!(machine.export(&["--with-secrets"]), expected);
}

#[test]
fn a_secret_is_wanted_again_when_it_would_go_elsewhere() {
    let machine = Machine::with(CONTOSO);
    let provider = "[[provider]]\nname = \"contoso\"\n";
    let outgoing = "[[mailbox]]\nname = \"support\"\n[mailbox.outgoing]\n";
    let client_secret = "Enter the client secret again: with this change it goes to another server";
    let password = "Enter the password again, because the server it is sent to changes";
    let before = machine.stored();
    for (entry, line, wanted, at) in [
        (provider, "tenant = \"fabrikam.onmicrosoft.com\"", client_secret, 1),
        (provider, "cloud = \"usgov\"", client_secret, 1),
        (provider, "authority = \"https://login.attacker.example\"", client_secret, 1),
        (provider, "token_url = \"https://login.attacker.example/token\"", client_secret, 1),
        (provider, "issuer = \"https://login.attacker.example\"", client_secret, 1),
        (outgoing, "host = \"smtp.attacker.example\"", password, 1),
        (outgoing, "port = 2525", password, 1),
        (outgoing, "port = 465\nsecurity = \"tls\"", password, 1),
    ] {
        let said = machine.apply(&format!("{entry}{line}\n"));
        assert_eq!(said.refused(2), [format!("error: standard input:{at}: {wanted}")], "{line}");
        assert!(machine.stored() == before, "{line}");
    }
    // Given again it goes where it is told to go, and a token set of the old place needs a new sign-in.
    let moved = format!(
        "{provider}tenant = \"fabrikam.onmicrosoft.com\"\nclient_secret = \"canary8Q~other\"\n{outgoing}host = \"smtp2.contoso.example\"\npassword = \"canary-2\"\n"
    );
    assert_eq!(
        machine.apply(&moved).ok().out,
        "provider contoso updated\n  the new client secret was not tried at the provider\nmailbox support updated\n"
    );
    assert_eq!(exported(&machine, "password"), ["canary-2"]);
    let token = machine.run(&["token", "show", "support", "--json"]).ok().json();
    assert_eq!(
        (&token["state"], &token["last_error"]["id"]),
        (&"revoked".into(), &"console-destination-changed".into())
    );
}

#[test]
fn a_refresh_token_is_taken_once_and_never_over_a_sign_in_that_counts() {
    let machine = Machine::with(CONTOSO);
    let other = CONTOSO.replace("canary-refresh-token", "canary-stale-token");
    let before = machine.stored();
    let said = machine.apply(&other).ok().out;
    assert!(said.contains("token support unchanged"), "{said}");
    assert!(machine.stored() == before, "the one in the file may be older than the stored one");
}

#[test]
fn a_certificate_comes_from_a_file_stays_when_left_out_and_goes_out_with_secrets_only() {
    let machine = Machine::new();
    machine.file("client.pem", crate::support::certificates::FILE);
    machine.file("public.pem", include_str!("../data/certificates/cert.pem"));
    let provider = "[[provider]]\nname = \"litware\"\ntemplate = \"microsoft\"\ntenant = \"litware.onmicrosoft.com\"\n\
                    client_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\nclient_auth = \"certificate\"\n";
    for (more, said) in [
        (
            "",
            "6: certificate is missing: name a PEM file with certificate and private key as certificate_file, or give the PEM itself as certificate",
        ),
        (
            "certificate_file = \"public.pem\"",
            "7: Certificate has no private key. Upload the PFX, or the PEM with both parts",
        ),
        (
            "certificate_file = \"none.pem\"",
            "7: certificate_file: none.pem can't be read: No such file or directory (os error 2)",
        ),
        (
            "certificate_file = \"client.pem\"\nassertion_alg = \"ES256\"",
            "8: Assertions are signed with PS256 or RS256",
        ),
    ] {
        let ran = machine.apply(&format!("{provider}{more}\n"));
        assert_eq!(ran.refused(2), [format!("error: standard input:{said}")]);
    }
    let text = format!("{provider}certificate_file = \"client.pem\"\nassertion_alg = \"RS256\"\n");
    machine.apply(&text).ok();
    for again in [&text, provider] {
        let ran = machine.apply(again);
        assert_eq!((ran.status, ran.out.as_str()), (0, "provider litware unchanged\n"), "{ran:?}");
    }
    let without = machine.export(&[]);
    assert!(
        !without.contains("PRIVATE") && without.contains("assertion_alg = \"RS256\""),
        "{without}"
    );
    let with = machine.export(&["--with-secrets"]);
    assert!(with.contains("BEGIN PRIVATE KEY"), "{with}");
    let ran = machine.apply(&with);
    assert_eq!((ran.status, ran.out.as_str()), (0, "provider litware unchanged\n"), "{ran:?}");
    // Its assertions would go to another server: it is wanted again (SEC-8).
    let ran = machine.apply(&provider.replace("litware.on", "other.on"));
    assert_eq!(
        ran.refused(2),
        ["error: standard input:6: give certificate or certificate_file again: with this change its assertions go to another server"]
    );
}
