//! The console against the sandbox, where things go wrong: each fault, two at once, and set-ups that don't fit.

use super::score::Score;
use super::set_ups;
use crate::sandbox::console::Demo;
use futures_util::future::join_all;
use mailgrant::diagnosis::family::Family;
use mailgrant::diagnosis::{by_id, own};
use mailgrant::model::report::{Diagnosis, Direction, Report, Stage};
use mailgrant::sandbox::Fault;

use Direction::{Incoming, Outgoing};

/// Exchange over STARTTLS, Gmail over TLS and POP, Graph, an open server, and an app by itself at Exchange.
const SIDES: [(&str, Direction); 11] = [
    ("support", Incoming),
    ("support", Outgoing),
    ("help", Incoming),
    ("help", Outgoing),
    ("billing", Incoming),
    ("orders", Incoming),
    ("orders", Outgoing),
    ("post", Incoming),
    ("post", Outgoing),
    ("orders-app", Incoming),
    ("orders-app", Outgoing),
];

const EVERYWHERE: fn(&'static str) -> [&'static str; 11] = |id| [id; 11];
const SCOPE: &str = "oauth-insufficient-scope";
const LACKS: &str = "console-permission-missing";
const NOT_CONNECTED: &str = "imap-exchange-authenticated-not-connected";
const EXPIRED_SESSION: &str = "imap-exchange-token-expired-session";
/// Which of the two depends on how far our first octets got.
const HUNG_UP: &str = "network-closed-early|network-reset";
const NO_ANSWER: &str = "imap-exchange-server-unavailable";

/// What each side is to be told; empty where the fault does it no harm.
fn expected() -> Vec<(Fault, [&'static str; 11])> {
    let (entra, google, open) = (
        "entra-7000222-secret-expired",
        "google-invalid-client-secret",
        "oauth-invalid-client",
    );
    let wrong = "entra-7000215-secret-wrong";
    let starttls = "console-starttls-missing";
    vec![
        // Only Microsoft tells an expired secret from a wrong one.
        (
            Fault::SecretExpired,
            [entra, entra, google, google, google, entra, entra, open, open, entra, entra],
        ),
        (
            Fault::SecretWrong,
            [wrong, wrong, google, google, google, wrong, wrong, open, open, wrong, wrong],
        ),
        (Fault::TokenHtml, EVERYWHERE("console-provider-html")),
        (Fault::TokenUnavailable, EVERYWHERE("entra-transient")),
        (
            Fault::MissingScope,
            // What an open server wants for itself nobody else knows; its document says so.
            ["", LACKS, LACKS, LACKS, LACKS, "", LACKS, SCOPE, SCOPE, "", ""],
        ),
        (Fault::HangsUp, EVERYWHERE(HUNG_UP)),
        (Fault::CertificateExpired, EVERYWHERE("tls-cert-expired")),
        (Fault::CertificateWrongName, EVERYWHERE("tls-cert-hostname")),
        (Fault::CertificateUnknown, EVERYWHERE("tls-cert-unknown-issuer")),
        (
            Fault::NoStarttls,
            [starttls, starttls, "", "", "", "", "", starttls, starttls, "", ""],
        ),
        (
            Fault::TokenRefused,
            [
                "console-imap-off",
                "console-smtp-off",
                "imap-gmail-invalid-credentials",
                "smtp-gmail-bad-credentials",
                "sasl-token-refused",
                "graph-invalid-token-other",
                "graph-invalid-token-other",
                "sasl-token-refused",
                "sasl-token-refused",
                "console-service-principal",
                "console-service-principal",
            ],
        ),
        (
            // What is sent goes through, and can't be looked for afterwards.
            Fault::MailboxDisabled,
            [
                "console-no-licence",
                NOT_CONNECTED,
                "imap-gmail-imap-disabled",
                "imap-gmail-imap-disabled",
                "pop-gmail-not-enabled",
                "graph-mailbox-not-enabled",
                "graph-mailbox-not-enabled",
                "console-no-licence",
                NOT_CONNECTED,
                "console-service-principal",
                NOT_CONNECTED,
            ],
        ),
        (
            Fault::Throttled,
            [
                "imap-exchange-throttled",
                "smtp-exchange-concurrent-connections",
                "imap-too-many-connections",
                "smtp-gmail-too-many-logins",
                "imap-exchange-throttled",
                "graph-throttled",
                "graph-throttled",
                "imap-exchange-throttled",
                "smtp-exchange-concurrent-connections",
                "imap-exchange-throttled",
                "smtp-exchange-concurrent-connections",
            ],
        ),
        (
            Fault::SessionEnds,
            [
                EXPIRED_SESSION,
                EXPIRED_SESSION,
                EXPIRED_SESSION,
                EXPIRED_SESSION,
                EXPIRED_SESSION,
                "",
                "",
                EXPIRED_SESSION,
                EXPIRED_SESSION,
                EXPIRED_SESSION,
                EXPIRED_SESSION,
            ],
        ),
        (
            Fault::ServerUnavailable,
            [
                NO_ANSWER,
                NO_ANSWER,
                NO_ANSWER,
                NO_ANSWER,
                "",
                "graph-service-unavailable",
                "graph-service-unavailable",
                NO_ANSWER,
                NO_ANSWER,
                NO_ANSWER,
                NO_ANSWER,
            ],
        ),
        (Fault::SmtpAuthOff, auth_off("smtp-exchange-auth-disabled-tenant")),
        (Fault::SmtpAuthOffMailbox, auth_off("smtp-exchange-auth-disabled-mailbox")),
        (
            Fault::SendAsDenied,
            sending([
                "smtp-exchange-sendas-denied",
                "smtp-exchange-send-as-5760",
                "graph-send-as-denied",
                "smtp-exchange-send-as-5760",
                "smtp-exchange-sendas-denied",
            ]),
        ),
        (
            Fault::DailyLimit,
            sending([
                "smtp-exchange-daily-recipients",
                "smtp-gmail-daily-limit",
                "graph-verify-account",
                "smtp-exchange-daily-recipients",
                "smtp-exchange-daily-recipients",
            ]),
        ),
        (
            Fault::TooLarge,
            sending([
                "smtp-message-too-large",
                "smtp-message-too-large",
                "graph-message-too-large",
                "smtp-message-too-large",
                "smtp-message-too-large",
            ]),
        ),
        (
            Fault::DropsInData,
            sending([own::SEND_UNKNOWN, own::SEND_UNKNOWN, "", own::SEND_UNKNOWN, own::SEND_UNKNOWN]),
        ),
        (
            Fault::GraphPolicy,
            ["", "", "", "", "", "graph-access-policy", "graph-access-policy", "", "", "", ""],
        ),
    ]
}

fn sending([exchange, gmail, graph, open, app]: [&'static str; 5]) -> [&'static str; 11] {
    ["", exchange, "", gmail, "", "", graph, "", open, "", app]
}

fn auth_off(exchange: &'static str) -> [&'static str; 11] {
    let other = "smtp-auth-not-offered";
    ["", exchange, "", other, "", "", "", "", other, "", exchange]
}

/// Two at once: whichever comes first on the way is named; behind a general word the one that is known.
const PAIRS: [(Fault, Fault, usize, &str); 22] = [
    (Fault::SecretExpired, Fault::CertificateExpired, 0, "entra-7000222-secret-expired"),
    (Fault::SecretWrong, Fault::SmtpAuthOff, 1, "entra-7000215-secret-wrong"),
    (Fault::TokenHtml, Fault::HangsUp, 2, "console-provider-html"),
    (Fault::TokenUnavailable, Fault::GraphPolicy, 5, "entra-transient"),
    (Fault::CertificateWrongName, Fault::SmtpAuthOff, 1, "tls-cert-hostname"),
    (Fault::CertificateUnknown, Fault::TokenRefused, 2, "tls-cert-unknown-issuer"),
    (Fault::CertificateExpired, Fault::MailboxDisabled, 4, "tls-cert-expired"),
    (Fault::NoStarttls, Fault::TokenRefused, 0, "console-starttls-missing"),
    (Fault::NoStarttls, Fault::CertificateExpired, 1, "console-starttls-missing"),
    (Fault::MissingScope, Fault::TokenRefused, 1, LACKS),
    (Fault::MissingScope, Fault::TokenRefused, 2, LACKS),
    (Fault::MissingScope, Fault::TokenRefused, 4, LACKS),
    (Fault::MissingScope, Fault::SmtpAuthOff, 1, LACKS),
    (Fault::MissingScope, Fault::GraphPolicy, 6, "graph-access-policy"),
    (Fault::MailboxDisabled, Fault::Throttled, 0, "console-no-licence"),
    (Fault::ServerUnavailable, Fault::MailboxDisabled, 0, NO_ANSWER),
    (Fault::Throttled, Fault::MailboxDisabled, 5, "graph-throttled"),
    (Fault::TooLarge, Fault::SendAsDenied, 1, "smtp-message-too-large"),
    (Fault::DailyLimit, Fault::DropsInData, 1, "smtp-exchange-daily-recipients"),
    (Fault::DailyLimit, Fault::Throttled, 3, "smtp-gmail-daily-limit"),
    (
        Fault::SmtpAuthOffMailbox,
        Fault::SendAsDenied,
        1,
        "smtp-exchange-auth-disabled-mailbox",
    ),
    (Fault::HangsUp, Fault::CertificateExpired, 5, HUNG_UP),
];

/// Sign-ins that ended: a console of their own for each, because the sign-in is gone afterwards.
const ENDED: [(Fault, &str, &str); 12] = [
    (Fault::RefreshRevoked, "support", "entra-50173-grant-revoked"),
    (Fault::RefreshRevoked, "help", "google-invalid-grant-revoked"),
    (Fault::RefreshRevoked, "post", "oauth-invalid-grant"),
    (Fault::RefreshRevoked, "orders", "entra-50173-grant-revoked"),
    (Fault::ConsentMissing, "support", "entra-65001-consent-missing"),
    (Fault::ConsentMissing, "help", "google-invalid-grant-revoked"),
    (Fault::ConsentMissing, "post", "oauth-invalid-grant"),
    (Fault::ConsentMissing, "orders", "entra-65001-consent-missing"),
    (Fault::PolicyBlocks, "support", "entra-53003-ca-blocked"),
    (Fault::PolicyBlocks, "help", "google-invalid-rapt"),
    (Fault::PolicyBlocks, "post", "oauth-access-denied"),
    (Fault::PolicyBlocks, "orders", "entra-53003-ca-blocked"),
];

/// What it can't be, by the steps that passed.
fn ruled_out(report: &Report) -> Vec<Family> {
    let passed = |stage| {
        report
            .steps
            .iter()
            .any(|step| step.step == stage && step.outcome.as_str() == "passed")
    };
    let mut out = Vec::new();
    if passed(Stage::Token) {
        out.extend([Family::Secret, Family::SignIn, Family::Consent]);
    }
    if passed(Stage::Tls) {
        out.push(Family::Tls);
    }
    out
}

fn named(report: &Report) -> Diagnosis {
    report.diagnosis.clone().or_else(|| by_id(own::UNKNOWN)).unwrap()
}

pub async fn ask(demo: &Demo, score: &mut Score, faults: &[Fault], sides: &[((&str, Direction), &str)]) {
    demo.choose(faults).await;
    let tests = sides.iter().map(|((name, direction), _)| demo.test(name, *direction));
    for (((name, direction), expected), report) in sides.iter().zip(join_all(tests).await) {
        let what = format!("{faults:?} {name} {direction}");
        if expected.is_empty() {
            assert_eq!(
                report.diagnosis.as_ref().map(|found| &found.id),
                None,
                "{what}: nothing was to fail"
            );
        } else {
            score.add(&what, expected, &named(&report), &ruled_out(&report));
        }
    }
}

#[tokio::test]
async fn causes_are_named_against_the_sandbox() {
    let mut score = Score::default();
    score.part("sandbox, one fault");
    let demo = Demo::start().await;
    for (fault, causes) in expected() {
        let sides: Vec<_> = SIDES.into_iter().zip(causes).collect();
        ask(&demo, &mut score, &[fault], &sides).await;
    }
    ask(
        &demo,
        &mut score,
        &[Fault::Silent],
        &[(SIDES[0], "console-no-greeting"), (SIDES[2], "console-no-greeting")],
    )
    .await;
    score.part("sandbox, two faults");
    for (one, other, side, cause) in PAIRS {
        ask(&demo, &mut score, &[one, other], &[(SIDES[side], cause)]).await;
    }
    score.part("sandbox, sign-ins that ended");
    for faults in ENDED.chunks(4) {
        let demo = Demo::start().await;
        for (fault, name, cause) in faults {
            ask(&demo, &mut score, &[*fault], &[((name, Incoming), cause)]).await;
        }
    }
    score.part("sandbox, set-ups that don't fit");
    demo.choose(&[]).await;
    set_ups::add_to(&demo, &mut score).await;
    score.end(200);
}
