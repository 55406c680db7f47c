//! Before anybody signed in: ports, names, certificates, clocks, and servers that speak another way.

use super::score::Score;
use super::set_up::{mail, own_server};
use mailgrant::model::mailbox::Protocol::{Imap, Pop3, Smtp};
use mailgrant::model::mailbox::Security::{self, Starttls, Tls};
use mailgrant::model::report::Stage;

const NOT_TLS: &str = "received corrupt message of type InvalidContentType (first record does not look like a TLS handshake)";
const OWN: &str = "mail.contoso.example";

pub fn add_to(score: &mut Score) {
    ports(score);
    names(score);
    certificates(score);
    other_ways(score);
}

fn ports(score: &mut Score) {
    for (protocol, port) in [(Smtp, 587), (Smtp, 25), (Imap, 143), (Pop3, 110)] {
        mail(protocol, (OWN, port, Tls), Stage::Tls, NOT_TLS).is("console-tls-on-starttls-port", score);
    }
    mail(Imap, (OWN, 1430, Tls), Stage::Tls, NOT_TLS).is("console-tls-on-starttls-port", score);
    mail(Smtp, (OWN, 587, Tls), Stage::Tls, "Connection reset by peer (os error 104)").is("console-tls-on-starttls-port", score);
    for (protocol, port, security) in [
        (Imap, 993, Starttls),
        (Smtp, 465, Starttls),
        (Pop3, 995, Starttls),
        (Imap, 993, Security::None),
    ] {
        mail(
            protocol,
            (OWN, port, security),
            Stage::Greeting,
            "no greeting; a port that starts with TLS stays silent",
        )
        .noticed("console-no-greeting")
        .is("console-starttls-on-tls-port", score);
    }
    mail(Smtp, (OWN, 143, Starttls), Stage::Greeting, "* OK IMAP4rev1 ready").is("console-other-protocol", score);
    mail(
        Imap,
        (OWN, 587, Starttls),
        Stage::Greeting,
        "220 mail.contoso.example ESMTP Postfix",
    )
    .is("console-other-protocol", score);
    mail(Imap, (OWN, 995, Tls), Stage::Greeting, "+OK Dovecot ready.").is("console-other-protocol", score);
    mail(Imap, (OWN, 443, Tls), Stage::Greeting, "HTTP/1.1 400 Bad Request").is("console-other-protocol", score);
    mail(Smtp, (OWN, 22, Starttls), Stage::Greeting, "SSH-2.0-OpenSSH_9.2").is("console-other-protocol", score);
    mail(
        Smtp,
        (OWN, 25, Starttls),
        Stage::Tcp,
        "connection timed out after 15 s (os error 110)",
    )
    .is("console-port-25", score);
    mail(
        Smtp,
        (OWN, 25, Starttls),
        Stage::Tcp,
        "tcp connect error: 192.0.2.1:25: Connection refused (os error 111)",
    )
    .is("console-port-25", score);
    mail(
        Imap,
        (OWN, 587, Starttls),
        Stage::Tcp,
        "tcp connect error: 192.0.2.1:587: Connection refused (os error 111)",
    )
    .is("console-port-unusual", score);
    mail(Smtp, (OWN, 993, Tls), Stage::Tcp, "connection timed out after 15 s (os error 110)").is("console-port-unusual", score);
    mail(
        Imap,
        (OWN, 993, Tls),
        Stage::Tcp,
        "tcp connect error: 192.0.2.1:993: Connection refused (os error 111)",
    )
    .is("network-refused", score);
    mail(Imap, (OWN, 993, Tls), Stage::Tcp, "connection timed out after 15 s (os error 110)").is("network-timeout", score);
    mail(
        Imap,
        (OWN, 993, Tls),
        Stage::Tcp,
        "tcp connect error: 192.0.2.1:993: Network is unreachable (os error 101)",
    )
    .is("network-unreachable", score);
    mail(
        Imap,
        (OWN, 993, Tls),
        Stage::Tcp,
        "tcp connect error: 192.0.2.1:993: Cannot assign requested address (os error 99)",
    )
    .is("console-network-other", score);
}

fn names(score: &mut Score) {
    let unknown = "name or service not known";
    for host in [
        "outlook.ofice365.com",
        "outlook.office356.com",
        "smtp.ofice365.com",
        "imap.gmial.com",
    ] {
        let host: &'static str = host;
        mail(Imap, (host, 993, Tls), Stage::Dns, unknown).is("console-host-mistyped", score);
    }
    mail(Imap, ("mail.fabrikam.example", 993, Tls), Stage::Dns, unknown).is("network-dns-not-found", score);
    mail(
        Imap,
        (OWN, 993, Tls),
        Stage::Dns,
        "mail.contoso.example: temporary failure in name resolution",
    )
    .is("network-dns-temporary", score);
    // Mail settings with Graph's address.
    mail(
        Imap,
        ("graph.microsoft.com", 993, Tls),
        Stage::Tcp,
        "connection timed out after 15 s (os error 110)",
    )
    .is("console-graph-host", score);
    mail(
        Smtp,
        ("graph.microsoft.us", 587, Starttls),
        Stage::Tcp,
        "tcp connect error: Connection refused (os error 111)",
    )
    .is("console-graph-host", score);
    mail(Imap, ("graph.microsoft.com", 443, Tls), Stage::Greeting, "HTTP/1.1 400 Bad Request").is("console-graph-host", score);
}

fn certificates(score: &mut Score) {
    let tls = |text| mail(Imap, (OWN, 993, Tls), Stage::Tls, text);
    let expired = "invalid peer certificate: certificate expired: verification time 1795248842 (UNIX), but certificate is not valid after 1795000000 (248842 seconds ago)";
    tls(expired).is("tls-cert-expired", score);
    tls(expired).clock(2).is("tls-cert-expired", score);
    tls(expired).clock(3 * 86_400).is("console-clock", score);
    let early = "invalid peer certificate: certificate not valid yet: verification time 1700000000 (UNIX), but certificate is not valid before 1790000000 (90000000 seconds in future)";
    tls(early).is("tls-cert-not-yet-valid", score);
    tls(early).clock(-90_000_000).is("console-clock", score);
    tls("invalid peer certificate: certificate not valid for name \"mail.contoso.example\"; certificate is only valid for DnsName(\"*.hosting.example\")").is("tls-cert-hostname", score);
    tls("invalid peer certificate: UnknownIssuer").is("tls-cert-unknown-issuer", score);
    tls("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))").is("tls-cert-self-signed-ca", score);
    tls("invalid peer certificate: Revoked").is("tls-cert-revoked", score);
    tls("invalid peer certificate: BadSignature").is("console-tls-other", score);
    tls("invalid peer certificate: UnhandledCriticalExtension").is("console-tls-other", score);
    tls("received fatal alert: InternalError").is("console-tls-other", score);
    tls("received fatal alert: ProtocolVersion").is("tls-protocol-version", score);
    tls("peer is incompatible: Tls12NotOffered").is("tls-protocol-version", score);
    tls("received fatal alert: HandshakeFailure").is("tls-handshake-failure", score);
    tls("unexpected end of file: tls handshake eof").is("network-closed-early", score);
    mail(Imap, ("192.0.2.7", 993, Tls), Stage::Tls, "invalid peer certificate: certificate not valid for name \"192.0.2.7\"; certificate is only valid for DnsName(\"mail.contoso.example\")")
        .is("tls-cert-hostname", score);
    mail(Smtp, (OWN, 587, Starttls), Stage::Tls, "invalid peer certificate: UnknownIssuer").is("tls-cert-unknown-issuer", score);
}

fn other_ways(score: &mut Score) {
    let asked = |text| own_server(Imap, Stage::Capability, text);
    asked("S1 NO Please login first").is("console-after-login-only", score);
    asked("S1 BAD Command received in Invalid state, sign in before").is("console-after-login-only", score);
    asked("not finished in time; the whole conversation may take 15 s")
        .noticed("console-deadline")
        .passing()
        .is("console-after-login-only", score);
    own_server(Pop3, Stage::Capability, "-ERR Not authenticated").is("console-after-login-only", score);
    own_server(Smtp, Stage::Ehlo, "not finished in time; the whole conversation may take 15 s")
        .noticed("console-deadline")
        .breaks()
        .is("console-deadline", score);
    mail(
        Imap,
        (OWN, 143, Starttls),
        Stage::Starttls,
        "STARTTLS not advertised; it offers: IMAP4rev1",
    )
    .noticed("console-starttls-missing")
    .is("console-starttls-missing", score);
    own_server(Imap, Stage::Auth, "AUTH=XOAUTH2 not offered; it offers: PLAIN LOGIN")
        .noticed("console-mechanism-not-offered")
        .is("console-mechanism-not-offered", score);
    own_server(Imap, Stage::Greeting, "it answers, but not as an IMAP server")
        .noticed("console-not-a-mail-server")
        .is("console-not-a-mail-server", score);
    own_server(Imap, Stage::Select, "the connection broke: Connection reset by peer (os error 104)")
        .breaks()
        .is("network-reset", score);
    own_server(Smtp, Stage::Data, "the message was handed over and no answer came")
        .noticed("console-send-unknown")
        .is("console-send-unknown", score);
    own_server(Imap, Stage::Select, "A3 NO [NONEXISTENT] no")
        .noticed("console-folder-missing")
        .is("console-folder-missing", score);
    own_server(Imap, Stage::Capability, "more than 64 KiB in one line")
        .noticed("console-too-much-data")
        .is("console-too-much-data", score);
}
