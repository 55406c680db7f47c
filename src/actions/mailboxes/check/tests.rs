use super::*;

fn side(protocol: &str, port: &str, security: &str) -> SideInput {
    SideInput {
        protocol: protocol.into(),
        host: "mail.example.com".into(),
        port: port.into(),
        security: security.into(),
        auth: "oauth2".into(),
        token: "support".into(),
        ..SideInput::default()
    }
}

fn input() -> MailboxInput {
    MailboxInput {
        address: "support@example.com".into(),
        incoming: Some(side("imap", "", "")),
        outgoing: Some(side("smtp", "", "")),
        ..MailboxInput::default()
    }
}

fn gate(networks: &[&str]) -> Gate {
    Gate::new(networks.iter().map(|net| net.parse().unwrap()).collect(), vec![])
}

/// The problems as `field: message`.
fn problems(input: &MailboxInput) -> Vec<String> {
    match check_mailbox(input, &gate(&[])) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|p| format!("{}: {}", p.field, p.message)).collect(),
    }
}

#[test]
fn the_least_that_is_needed_gets_the_usual_rest() {
    let edit = check_mailbox(&input(), &gate(&[])).unwrap();
    let server = |side: &Option<SideEdit>| side.as_ref().map(|s| s.server.destination()).unwrap();
    assert_eq!((edit.name.as_str(), edit.folder.as_str()), ("support", "INBOX"));
    assert_eq!(server(&edit.incoming), "mail.example.com:993/tls");
    assert_eq!(server(&edit.outgoing), "mail.example.com:587/starttls");
}

#[test]
fn pop_has_its_own_ports_and_graph_has_no_server() {
    let mut input = input();
    input.incoming = Some(side("pop3", "", ""));
    input.outgoing = Some(SideInput {
        host: String::new(),
        ..side("graph", "", "")
    });
    let edit = check_mailbox(&input, &gate(&[])).unwrap();
    assert_eq!(edit.incoming.unwrap().server.destination(), "mail.example.com:995/tls");
    assert_eq!(edit.outgoing.unwrap().server, Server::Graph);
    input.incoming = Some(side("pop3", "", "starttls"));
    let edit = check_mailbox(&input, &gate(&[])).unwrap();
    assert_eq!(edit.incoming.unwrap().server.destination(), "mail.example.com:110/starttls");
}

#[test]
fn every_rule_names_its_field() {
    type Change = fn(&mut MailboxInput);
    let cases: &[(Change, &str)] = &[
        (
            |i| i.address = "support".into(),
            "address: Enter an email address like support@example.com",
        ),
        (
            |i| i.name = "Support Desk".into(),
            "name: Name can have a–z, 0–9, dot, hyphen and underscore",
        ),
        (
            |i| i.display_name = "Support\r\nBcc: x@y.z".into(),
            "display_name: Display name can't have line breaks or control characters",
        ),
        (|i| i.tags = vec!["a b".into()], "tags: A tag can have letters, digits, - and _"),
        (
            |i| (i.incoming, i.outgoing) = (None, None),
            "incoming.protocol: Choose how to read or to send mail: a mailbox needs one of them",
        ),
        (
            |i| i.incoming.as_mut().unwrap().host = "https://x.example/".into(),
            "incoming.host: Enter a server name without https:// or a path",
        ),
        (
            |i| i.incoming.as_mut().unwrap().host = "localhost:993".into(),
            "incoming.host: Put the port into Port, and the server's name alone here",
        ),
        (
            |i| i.outgoing.as_mut().unwrap().host = String::new(),
            "outgoing.host: Enter a server name, like smtp.example.com",
        ),
        (
            |i| i.incoming.as_mut().unwrap().port = "70000".into(),
            "incoming.port: Port must be between 1 and 65535",
        ),
        (
            |i| i.incoming = Some(side("imap", "993", "starttls")),
            "incoming.port: Port 993 expects TLS from the start. Choose that, or port 143 for STARTTLS",
        ),
        (
            |i| i.incoming = Some(side("imap", "143", "tls")),
            "incoming.port: Port 143 expects STARTTLS. Choose that, or port 993 for TLS from the start",
        ),
        (
            |i| i.outgoing = Some(side("smtp", "465", "starttls")),
            "outgoing.port: Port 465 expects TLS from the start. Choose that, or port 587 for STARTTLS",
        ),
        (
            |i| i.incoming = Some(side("imap", "143", "none")),
            "incoming.security: Unencrypted mail is allowed to this machine only",
        ),
        (
            |i| i.incoming.as_mut().unwrap().host = "10.1.2.3".into(),
            "incoming.host: 10.1.2.3 is in a network that is not allowed. If it is right, add private to the setting allow_networks (MAILGRANT_ALLOW_NETWORKS)",
        ),
        (
            |i| i.incoming.as_mut().unwrap().host = "localhost".into(),
            "incoming.host: localhost is in a network that is not allowed. If it is right, add loopback to the setting allow_networks (MAILGRANT_ALLOW_NETWORKS)",
        ),
        (
            |i| i.incoming = Some(side("smtp", "", "")),
            "incoming.protocol: Read mail with must be Microsoft Graph, IMAP or POP",
        ),
        (
            |i| i.outgoing = Some(side("pop3", "", "")),
            "outgoing.protocol: Send mail with must be Microsoft Graph or SMTP",
        ),
        (
            |i| i.incoming = Some(side("pop3", "993", "")),
            "incoming.port: Port 993 is for IMAP. Choose that, or port 995 for POP",
        ),
        (
            |i| i.incoming = Some(side("pop3", "995", "starttls")),
            "incoming.port: Port 995 expects TLS from the start. Choose that, or port 110 for STARTTLS",
        ),
        (
            |i| {
                i.outgoing = Some(SideInput {
                    auth: "none".into(),
                    ..side("graph", "", "")
                });
            },
            "outgoing.auth: Microsoft Graph takes a token only",
        ),
        (
            |i| i.incoming.as_mut().unwrap().token = String::new(),
            "incoming.token: Choose a token",
        ),
        (
            |i| i.incoming.as_mut().unwrap().auth = "none".into(),
            "incoming.auth: Reading mail needs a sign-in; only sending can do without",
        ),
        (
            |i| i.incoming.as_mut().unwrap().username = "a\u{1}b".into(),
            "incoming.username: User name can't have line breaks or control characters",
        ),
        (
            |i| i.folder = "IN\r\nBOX".into(),
            "incoming.folder: Folder can't have line breaks or control characters",
        ),
        (
            |i| i.bcc = vec!["a@b.example".into(), "nobody".into()],
            "outgoing.bcc: Enter email addresses separated by commas",
        ),
        (
            |i| i.from = "me".into(),
            "outgoing.from: Enter an email address like support@example.com",
        ),
    ];
    for (change, expected) in cases {
        let mut input = input();
        change(&mut input);
        assert_eq!(problems(&input), [*expected]);
    }
}

#[test]
fn clear_text_stays_on_this_machine_where_that_is_allowed() {
    let mut input = input();
    for host in ["localhost", "127.0.0.1", "::1"] {
        input.incoming = Some(SideInput {
            host: host.into(),
            ..side("imap", "1143", "none")
        });
        assert!(check_mailbox(&input, &gate(&["loopback"])).is_ok(), "{host}");
        assert!(check_mailbox(&input, &gate(&[])).is_err(), "{host}");
    }
    input.incoming = Some(SideInput {
        host: "10.0.0.1".into(),
        ..side("imap", "143", "none")
    });
    let problems = check_mailbox(&input, &gate(&["private"])).unwrap_err();
    assert_eq!(problems[0].message, "Unencrypted mail is allowed to this machine only");
}

#[test]
fn pasted_values_lose_their_quotes_and_blanks() {
    assert_eq!(trimmed(" \"imap.example.com\"\r\n"), "imap.example.com");
    assert_eq!(split_list("a@b.c, \"d@e.f\";\n"), ["a@b.c", "d@e.f"]);
}
