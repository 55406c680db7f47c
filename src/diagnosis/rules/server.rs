//! Rules about the server that was asked: its name, its port, what it speaks.

use super::Finding;
use crate::config::edits;
use crate::diagnosis::case::Aim;
use crate::diagnosis::family::Family;
use crate::diagnosis::judge::Seen;
use crate::diagnosis::own;
use crate::diagnosis::rules::token::is_microsoft_host as is_microsoft;
use crate::model::mailbox::{Protocol, Security};
use crate::model::provider::Cloud;
use crate::model::report::Stage;
use crate::model::template::{TemplateKind, mail_servers};

/// Ports that begin in plain text, and those that begin with TLS.
const PLAIN_PORTS: [u16; 4] = [25, 110, 143, 587];
const TLS_PORTS: [u16; 3] = [465, 993, 995];

/// Hosts people mean when they mistype.
const KNOWN_HOSTS: [&str; 15] = [
    "outlook.office365.com",
    "smtp.office365.com",
    "outlook.office365.us",
    "smtp.office365.us",
    "imap-mail.outlook.com",
    "smtp-mail.outlook.com",
    "imap.gmail.com",
    "pop.gmail.com",
    "smtp.gmail.com",
    "imap.mail.yahoo.com",
    "smtp.mail.yahoo.com",
    "imap.zoho.com",
    "smtp.zoho.com",
    "imap.fastmail.com",
    "smtp.fastmail.com",
];

/// Servers that are spelt nearly like one of those, and are meant.
const NEIGHBOURS: [&str; 6] = [
    "imap.mail.com",
    "pop.mail.com",
    "smtp.mail.com",
    "imap.email.com",
    "smtp.email.com",
    "pop.mail.yahoo.com",
];

/// The known host that this one is nearly, where it isn't one itself.
pub fn near(host: &str) -> Option<&'static str> {
    if KNOWN_HOSTS.contains(&host) || NEIGHBOURS.contains(&host) {
        return None;
    }
    let near = KNOWN_HOSTS.iter().map(|known| (edits(host, known), *known));
    near.filter(|(distance, _)| *distance <= 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn mail_side<'a>(seen: &'a Seen<'_>) -> Option<&'a Aim> {
    seen.case.side.as_ref().filter(|side| side.protocol != Protocol::Graph)
}

/// Where both kinds of port are named.
fn usual(side: &Aim) -> String {
    let (tls, starttls) = side.protocol.ports();
    format!("{tls} with TLS from the start, or {starttls} with STARTTLS")
}

/// TLS from the start on a port that begins in plain text.
pub(super) fn tls_on_a_starttls_port(seen: &Seen<'_>) -> Option<Finding> {
    let side = mail_side(seen)?;
    let failed = seen.case.step == Some(Stage::Tls) && (seen.is_of(&[Family::Tls, Family::Network]) || seen.first().is_none());
    if side.security != Security::Tls || !failed {
        return None;
    }
    let plain = seen.is_any(&["tls-plaintext-port"]);
    let finding = match (PLAIN_PORTS.contains(&side.port), plain) {
        (true, true) => Finding::certain(own::TLS_ON_STARTTLS_PORT),
        (true, false) if seen.is_open() => Finding::likely(own::TLS_ON_STARTTLS_PORT),
        (false, true) => Finding::likely(own::TLS_ON_STARTTLS_PORT),
        _ => return None,
    };
    Some(
        finding
            .compare(
                ("Usual", &usual(side)),
                ("Set", &format!("port {} with TLS from the start", side.port)),
            )
            .because("what came back to the first encrypted word isn't encryption"),
    )
}

/// Plain text first on a port that begins with TLS: the server waits for us.
pub(super) fn starttls_on_a_tls_port(seen: &Seen<'_>) -> Option<Finding> {
    let side = mail_side(seen)?;
    let silent = matches!(seen.case.step, Some(Stage::Greeting)) && seen.is_open();
    (side.security != Security::Tls && TLS_PORTS.contains(&side.port) && silent).then(|| {
        Finding::certain(own::STARTTLS_ON_TLS_PORT)
            .compare(
                ("Usual", &usual(side)),
                ("Set", &format!("port {} with {}", side.port, words(side.security))),
            )
            .because("a server on this port says nothing before the encryption, and it said nothing")
    })
}

const fn words(security: Security) -> &'static str {
    match security {
        Security::Tls => "TLS from the start",
        Security::Starttls => "STARTTLS",
        Security::None => "no encryption",
    }
}

/// A greeting in another language.
pub(super) fn other_protocol(seen: &Seen<'_>) -> Option<Finding> {
    let side = mail_side(seen)?;
    if seen.case.step != Some(Stage::Greeting) || !seen.is_open() {
        return None;
    }
    let text = seen.case.evidence.text.trim_start();
    let found = match text.as_bytes() {
        [b'*', b' ', ..] => "IMAP",
        [b'+', b'O', b'K', ..] => "POP",
        [b'2' | b'5', b'2' | b'5', b'0' | b'4', b' ' | b'-', ..] => "SMTP",
        [b'H', b'T', b'T', b'P', b'/', ..] => "a web server",
        [b'S', b'S', b'H', b'-', ..] => "SSH",
        _ => return None,
    };
    (found != side.protocol.label()).then(|| {
        Finding::certain(own::OTHER_PROTOCOL)
            .compare(("Expected", side.protocol.label()), ("Answered", found))
            .because(format!("the first line on port {} is that of {found}", side.port))
    })
}

/// A name that is nearly a known one.
pub(super) fn mistyped_host(seen: &Seen<'_>) -> Option<Finding> {
    let side = mail_side(seen)?;
    if !seen.is_any(&["network-dns-not-found"]) {
        return None;
    }
    let known = near(&side.host)?;
    Some(
        Finding::likely(own::HOST_MISTYPED)
            .compare(("Perhaps meant", known), ("Set", &side.host))
            .because("nobody has a server of this name, and a known one is spelt nearly the same"),
    )
}

/// Port 25, which most networks close.
pub(super) fn port_25(seen: &Seen<'_>) -> Option<Finding> {
    let side = mail_side(seen)?;
    let closed = seen.is_any(&["network-timeout", "network-refused", "console-deadline"]) && seen.case.step == Some(Stage::Tcp);
    (side.port == 25 && closed).then(|| {
        Finding::likely(own::PORT_25)
            .compare(("Usual", &usual(side)), ("Set", "port 25"))
            .because("port 25 is for mail between servers, and most networks let nobody out there")
    })
}

/// Another protocol's port.
pub(super) fn unusual_port(seen: &Seen<'_>) -> Option<Finding> {
    let side = mail_side(seen)?;
    let (tls, starttls) = side.protocol.ports();
    let other = Protocol::ALL.iter().any(|protocol| {
        *protocol != side.protocol && *protocol != Protocol::Graph && [protocol.ports().0, protocol.ports().1].contains(&side.port)
    });
    let closed = seen.is_any(&["network-timeout", "network-refused", "console-deadline"]) && seen.case.step == Some(Stage::Tcp);
    if [tls, starttls].contains(&side.port) || !closed || !other {
        return None;
    }
    Some(
        Finding::likely(own::PORT_UNUSUAL)
            .compare(("Usual", &usual(side)), ("Set", &format!("port {}", side.port)))
            .because("nothing answers there, and the port is known for another protocol"),
    )
}

/// A server of the right provider that speaks something else, where the provider has a server of its own for each. Microsoft hasn't: its
/// names lead to the same machines.
pub(super) fn host_of_another_protocol(seen: &Seen<'_>) -> Option<Finding> {
    let side = mail_side(seen)?;
    let closed = seen.is_any(&["network-timeout", "network-refused", "console-deadline"]) && seen.case.step == Some(Stage::Tcp);
    let meant = host_meant(side).filter(|_| closed)?;
    Some(
        Finding::likely(own::OTHER_PROTOCOL)
            .compare((&format!("For {}", side.protocol.label()), &meant), ("Set", &side.host))
            .because("the provider has a server of its own for each protocol, and this one is for another"),
    )
}

/// The server of the same provider for the protocol of a side, where the one that is set is for another.
fn host_meant(side: &Aim) -> Option<String> {
    let kinds = [TemplateKind::Google, TemplateKind::Yahoo, TemplateKind::Fastmail];
    kinds.iter().find_map(|kind| {
        let servers = mail_servers(*kind, Cloud::Global, None, None)?;
        let right = servers.server(side.protocol).host().to_owned();
        let others = [&servers.imap, &servers.pop, &servers.smtp];
        let is_other = right != side.host && others.iter().any(|server| server.host == side.host);
        is_other.then_some(right)
    })
}

/// A password that was refused in words that say no more.
pub(super) fn password_refused(seen: &Seen<'_>) -> Option<Finding> {
    let side = mail_side(seen)?;
    let generic = ["imap-authenticationfailed-generic", "pop-gmail-auth", "smtp-auth-failed-generic"];
    // Words that Exchange Online made known, and others say too.
    let of_exchange = [
        "imap-exchange-login-failed",
        "imap-exchange-authenticate-failed",
        "pop-exchange-auth-failure",
        "smtp-exchange-auth-unsuccessful",
    ];
    let elsewhere = !is_microsoft(&side.host) && seen.is_any(&of_exchange);
    let open = seen.first().is_none() || seen.is_any(&generic) || elsewhere;
    (side.password && seen.case.step == Some(Stage::Auth) && open)
        .then(|| Finding::likely(own::PASSWORD_REFUSED).because("the sign-in is by password, and the server says no more than no"))
}

/// A connection that was taken, and then nothing: other programs call that a timeout too.
pub(super) fn no_greeting(seen: &Seen<'_>) -> Option<Finding> {
    let said = seen.hits.iter().any(|hit| hit.id == own::NO_GREETING);
    (said && seen.is_any(&["network-timeout"]))
        .then(|| Finding::likely(own::NO_GREETING).because("the connection was taken, and no greeting came within the time"))
}

/// A server that says what it offers only to those who have signed in.
pub(super) fn after_login_only(seen: &Seen<'_>) -> Option<Finding> {
    let side = mail_side(seen)?;
    if !matches!(seen.case.step, Some(Stage::Capability | Stage::Ehlo)) || !seen.is_open() {
        return None;
    }
    let words = [
        "log in",
        "login",
        "logged in",
        "sign in",
        "authenticate",
        "authentication required",
        "not authenticated",
        "invalid state",
    ];
    let refused = seen.signals.is_refusal() || seen.signals.smtp_status().is_some();
    let wants_sign_in = refused && seen.signals.has_any(&words);
    let silent = seen.case.evidence.own_id == Some(own::DEADLINE) && side.protocol != Protocol::Smtp && seen.case.passed(Stage::Greeting);
    let why = match (wants_sign_in, silent) {
        (true, _) => "it was asked what it offers, and wants a sign-in first",
        (false, true) => "it greeted at once, and then left the question of what it offers without an answer",
        _ => return None,
    };
    Some(Finding::likely(own::AFTER_LOGIN_ONLY).because(why))
}

/// Hosts of Microsoft Graph in all its clouds.
const GRAPH_HOSTS: [&str; 4] = [
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "microsoftgraph.chinacloudapi.cn",
];

/// Graph's address as that of a mail server.
pub(super) fn graph_host(seen: &Seen<'_>) -> Option<Finding> {
    let side = mail_side(seen)?;
    GRAPH_HOSTS.iter().any(|host| side.host.eq_ignore_ascii_case(host)).then(|| {
        Finding::certain(own::GRAPH_HOST)
            .compare(("Protocol", side.protocol.label()), ("Server", &side.host))
            .because("the server's name is that of Microsoft Graph")
    })
}
