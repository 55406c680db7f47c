//! Servers that speak another way, and what the class of a code says.

use super::*;

#[test]
fn ports_and_hosts_decide_before_anybody_spoke() {
    let at = |protocol, step, text: &'static str, port: u16, security: Security| {
        let mut case = side(case(protocol, step, text), |s| (s.port, s.security) = (port, security));
        case.passed.retain(|stage| *stage != Stage::Tls || security == Security::Tls);
        case
    };
    let plain = "received corrupt message of type InvalidContentType";
    let cases = [
        (at(Protocol::Smtp, Stage::Tls, plain, 587, Security::Tls), own::TLS_ON_STARTTLS_PORT),
        (
            at(Protocol::Imap, Stage::Tls, plain, 1430, Security::Tls),
            own::TLS_ON_STARTTLS_PORT,
        ),
        (
            at(
                Protocol::Imap,
                Stage::Tls,
                "invalid peer certificate: UnknownIssuer",
                993,
                Security::Tls,
            ),
            "tls-cert-unknown-issuer",
        ),
        (
            at(Protocol::Imap, Stage::Greeting, "timed out", 993, Security::Starttls),
            own::STARTTLS_ON_TLS_PORT,
        ),
        (
            at(Protocol::Smtp, Stage::Greeting, "* OK IMAP4rev1 ready", 143, Security::Starttls),
            own::OTHER_PROTOCOL,
        ),
        (
            at(Protocol::Imap, Stage::Greeting, "HTTP/1.1 400 Bad Request", 993, Security::Tls),
            own::OTHER_PROTOCOL,
        ),
        (at(Protocol::Smtp, Stage::Tcp, "timed out", 25, Security::Starttls), own::PORT_25),
        (
            at(Protocol::Imap, Stage::Tcp, "Connection refused", 587, Security::Starttls),
            own::PORT_UNUSUAL,
        ),
        (
            at(Protocol::Imap, Stage::Tcp, "Connection refused", 993, Security::Tls),
            "network-refused",
        ),
        (
            side(case(Protocol::Imap, Stage::Dns, "Name or service not known"), |s| {
                s.host = "outlook.ofice365.com".to_owned()
            }),
            own::HOST_MISTYPED,
        ),
        (
            side(case(Protocol::Imap, Stage::Dns, "Name or service not known"), |s| {
                s.host = "mail.fabrikam.example".to_owned()
            }),
            "network-dns-not-found",
        ),
    ];
    for (case, expected) in &cases {
        assert_eq!(id(case), *expected, "{case:?}");
    }
}

#[test]
fn a_text_nobody_has_seen_still_finds_its_family() {
    let at = |text: &'static str| {
        judge(&Case {
            evidence: Evidence::text(text),
            ..Case::default()
        })
    };
    for (text, expected) in [
        ("AADSTS9999991: Something new.", own::ENTRA_OTHER),
        ("451 4.9.9 The moon is in the way", own::SMTP_LATER),
        ("550 5.1.99 That address we don't like", own::SMTP_ADDRESS),
        ("552 5.2.99 mailbox says no", own::SMTP_MAILBOX),
        ("550-5.7.999 A rule\r\n550 5.7.999 says no", own::SMTP_POLICY),
        ("554 we don't want you", own::SMTP_REFUSED),
        ("250 2.0.0 fine", own::UNKNOWN),
        ("The meeting is at 4.5.127 o'clock", own::UNKNOWN),
    ] {
        let found = at(text);
        assert_eq!(found.id, expected, "{text}");
        assert_eq!(found.grounds.unwrap().confidence, Confidence::Guess, "{text}");
    }
}

#[test]
fn a_server_that_wants_a_sign_in_first_is_told_from_a_slow_one() {
    let asked = |protocol, step, text| case(protocol, step, text);
    let stuck = |protocol, step| {
        with(asked(protocol, step, ""), |c| {
            c.evidence.own_id = Some(own::DEADLINE);
        })
    };
    for (case, expected) in [
        (
            asked(Protocol::Imap, Stage::Capability, "S1 NO Please login first"),
            own::AFTER_LOGIN_ONLY,
        ),
        (
            asked(Protocol::Pop3, Stage::Capability, "-ERR Not authenticated"),
            own::AFTER_LOGIN_ONLY,
        ),
        (stuck(Protocol::Imap, Stage::Capability), own::AFTER_LOGIN_ONLY),
        (stuck(Protocol::Smtp, Stage::Ehlo), own::DEADLINE),
        (stuck(Protocol::Imap, Stage::Select), own::DEADLINE),
        (asked(Protocol::Imap, Stage::Capability, "S1 BAD What?"), own::UNKNOWN),
    ] {
        assert_eq!(id(&case), expected, "{case:?}");
    }
}

#[test]
fn graphs_address_as_a_mail_server_is_named_whatever_comes_of_it() {
    for (step, text) in [
        (Stage::Tcp, "connection timed out after 15 s (os error 110)"),
        (Stage::Greeting, "HTTP/1.1 400 Bad Request"),
    ] {
        let at = |host: &str| side(case(Protocol::Imap, step, text), |s| s.host = host.to_owned());
        assert_eq!(id(&at("graph.microsoft.com")), own::GRAPH_HOST);
        assert_ne!(id(&at("graph.contoso.example")), own::GRAPH_HOST);
    }
}

#[test]
fn an_app_of_one_organisation_is_suspected_behind_common_only() {
    let refused = r#"{"error":"unauthorized_client","error_description":"The client is not authorized."}"#;
    let at = |tenant: &str| {
        provider(at_the_provider(TemplateKind::Microsoft, refused), |p| {
            p.tenant = Some(tenant.to_owned())
        })
    };
    assert_eq!(id(&at("common")), "entra-50194-not-multitenant");
    assert_eq!(id(&at("contoso.example")), "oauth-unauthorized-client");
    let found = judge(&at("organizations")).grounds.unwrap();
    assert_eq!(
        (found.confidence, found.compared[0].found.as_str()),
        (Confidence::Likely, "organizations")
    );
}

#[test]
fn a_servers_document_decides_where_its_reply_leaves_everything_open() {
    let no = "A2 NO [AUTHENTICATIONFAILED] Authentication failed.";
    let said = |document: &str| format!("{no}\n{document}");
    let at = |text: &str| {
        judge(&Case {
            evidence: Evidence::text(text),
            step: Some(Stage::Auth),
            ..Case::default()
        })
        .id
    };
    assert_eq!(at(&said(r#"{"status":"invalid_token","schemes":"bearer"}"#)), "sasl-token-refused");
    assert_eq!(
        at(&said(r#"{"status":"insufficient_scope","scope":"mail"}"#)),
        "oauth-insufficient-scope"
    );
    assert_eq!(at(no), "imap-authenticationfailed-generic");
}

#[test]
fn where_nobody_knows_the_words_their_class_is_named_with_little_confidence() {
    let at = |protocol, step, text| judge(&token(case(protocol, step, text), |t| t.audience.clear()));
    for (protocol, step, text, expected) in [
        (
            Protocol::Graph,
            Stage::Inbox,
            "HTTP/1.1 429 Too Many\n{\"error\":{\"code\":\"New\"}}",
            "graph-throttled",
        ),
        (
            Protocol::Graph,
            Stage::Inbox,
            "HTTP/1.1 500 Oh\n{\"error\":{\"code\":\"New\"}}",
            "graph-service-unavailable",
        ),
        (Protocol::Graph, Stage::Inbox, "HTTP/1.1 418 Teapot\n{}", own::UNKNOWN),
        (Protocol::Imap, Stage::Tls, "invalid peer certificate: BadEncoding", own::TLS_OTHER),
        (
            Protocol::Imap,
            Stage::Tcp,
            "tcp connect error: odd (os error 99)",
            own::NETWORK_OTHER,
        ),
        (Protocol::Imap, Stage::Token, r#"{"error":"moon_phase"}"#, own::PROVIDER_OTHER),
        (Protocol::Imap, Stage::Token, "the moon is full", own::UNKNOWN),
    ] {
        let found = at(protocol, step, text);
        assert_eq!(found.id, expected, "{text}");
        assert_eq!(found.grounds.unwrap().confidence, Confidence::Guess, "{text}");
    }
    for (protocol, step, text, expected) in [
        (Protocol::Imap, Stage::Auth, "A2 NO not today", own::SIGN_IN_REFUSED),
        (Protocol::Imap, Stage::Select, "A4 NO not today", own::FOLDER_REFUSED),
        (Protocol::Smtp, Stage::RcptTo, "550 5.1.99 no", own::RECIPIENT_REFUSED),
    ] {
        let found = at(protocol, step, text);
        assert_eq!(found.id, expected, "{text}");
        assert_eq!(found.grounds.unwrap().confidence, Confidence::Likely, "{text}");
    }
}

#[test]
fn whose_server_it_is_shows_in_its_words_where_its_name_is_nobodys() {
    let own_host = |case| side(case, |s| s.host = "mail.contoso.example".to_owned());
    let google = |case| provider(case, |p| p.template = TemplateKind::Google);
    let by_password = |case| {
        with(side(case, |s| s.password = true), |c| {
            (c.token, c.provider) = (None, None);
        })
    };
    let gmail = "A2 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)";
    for (case, expected) in [
        (
            google(own_host(case(Protocol::Imap, Stage::Auth, AUTHENTICATE))),
            own::OTHER_PROVIDER,
        ),
        (own_host(case(Protocol::Imap, Stage::Auth, gmail)), own::OTHER_PROVIDER),
        (own_host(case(Protocol::Imap, Stage::Auth, AUTHENTICATE)), own::IMAP_OFF),
        // Other servers say these words too, and without a token there is nobody else's.
        (
            by_password(own_host(case(Protocol::Imap, Stage::Auth, "A1 NO LOGIN failed."))),
            own::PASSWORD_REFUSED,
        ),
        (
            by_password(case(Protocol::Imap, Stage::Auth, "A1 NO LOGIN failed.")),
            "imap-exchange-login-failed",
        ),
    ] {
        assert_eq!(id(&case), expected, "{case:?}");
    }
}

#[test]
fn a_server_that_ends_it_in_place_of_greeting_turned_somebody_away() {
    for (text, expected) in [
        ("* BYE We are closed", own::TURNED_AWAY),
        ("-ERR We are closed", own::TURNED_AWAY),
        ("* BYE Too many connections", "imap-too-many-connections"),
        ("Error: Greeting never received (ETIMEDOUT)", own::NO_GREETING),
    ] {
        let found = with(case(Protocol::Imap, Stage::Greeting, text), |c| c.transient = true);
        assert_eq!(id(&found), expected, "{text}");
    }
}
