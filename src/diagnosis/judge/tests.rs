//! Each rule has the circumstances in which it decides, and those in which it keeps silent.

mod servers;

use super::*;
use crate::diagnosis::Evidence;
use crate::diagnosis::case::{Aim, Held, Provider};
use crate::model::mailbox::{Protocol, Security};
use crate::model::provider::{ClientAuth, Cloud, ConsentScreen};
use crate::model::template::TemplateKind;
use crate::model::token::GrantType;

const MAILBOX: &str = "hr@contoso.example";
const AUTHENTICATE: &str = "a1 NO AUTHENTICATE failed.";
const NOT_CONNECTED: &str = "a4 BAD User is authenticated but not connected.";

fn aim(protocol: Protocol) -> Aim {
    let (host, port, security) = match protocol {
        Protocol::Imap => ("outlook.office365.com", 993, Security::Tls),
        Protocol::Pop3 => ("outlook.office365.com", 995, Security::Tls),
        Protocol::Smtp => ("smtp.office365.com", 587, Security::Starttls),
        Protocol::Graph => ("", 443, Security::Tls),
    };
    Aim::sample(protocol, host, port, security, MAILBOX)
}

/// A token of the mailbox's own, for the right service and with the right permission.
fn held() -> Held {
    Held {
        grant: Some(GrantType::AuthorizationCode),
        account: Some(MAILBOX.to_owned()),
        audience: "https://outlook.office.com".to_owned(),
        permissions: vec!["IMAP.AccessAsUser.All".to_owned()],
        expires_in: Some(3000),
        ..Held::default()
    }
}

fn app_held() -> Held {
    Held {
        grant: Some(GrantType::ClientCredentials),
        account: None,
        permissions: vec!["IMAP.AccessAsApp".to_owned()],
        object_id: Some("0b1c".to_owned()),
        ..held()
    }
}

fn app(template: TemplateKind) -> Provider {
    Provider {
        template,
        label: template.template().short,
        cloud: Cloud::Global,
        tenant: Some("contoso.example".to_owned()),
        client_id: "app-1".to_owned(),
        client_auth: ClientAuth::SecretPost,
        consent_screen: None,
        secret_is_id: false,
        secret_ended_days: None,
        scopes: vec!["offline_access".to_owned()],
        signed_in_days: Some(30),
        used_days: Some(0),
    }
}

/// A failure at this step of this protocol, with everything before it passed.
fn case(protocol: Protocol, step: Stage, text: &str) -> Case<'_> {
    let before = [
        Stage::Token,
        Stage::Dns,
        Stage::Tcp,
        Stage::Tls,
        Stage::Greeting,
        Stage::Capability,
        Stage::Ehlo,
        Stage::Auth,
    ];
    Case {
        evidence: Evidence::text(text),
        step: Some(step),
        passed: before.into_iter().take_while(|stage| *stage != step).collect(),
        side: Some(aim(protocol)),
        token: Some(held()),
        provider: Some(app(TemplateKind::Microsoft)),
        ..Case::default()
    }
}

/// A refusal of the token endpoint.
fn at_the_provider(template: TemplateKind, text: &str) -> Case<'_> {
    Case {
        provider: Some(app(template)),
        step: Some(Stage::Token),
        evidence: Evidence::text(text),
        ..Case::default()
    }
}

fn id(case: &Case<'_>) -> String {
    judge(case).id
}

fn with<'a>(mut case: Case<'a>, change: impl FnOnce(&mut Case<'a>)) -> Case<'a> {
    change(&mut case);
    case
}

fn token(case: Case<'_>, change: impl FnOnce(&mut Held)) -> Case<'_> {
    with(case, |case| change(case.token.as_mut().unwrap()))
}

fn side(case: Case<'_>, change: impl FnOnce(&mut Aim)) -> Case<'_> {
    with(case, |case| change(case.side.as_mut().unwrap()))
}

fn provider(case: Case<'_>, change: impl FnOnce(&mut Provider)) -> Case<'_> {
    with(case, |case| change(case.provider.as_mut().unwrap()))
}

#[test]
fn the_token_decides_what_a_general_text_leaves_open() {
    let imap = || case(Protocol::Imap, Stage::Auth, AUTHENTICATE);
    let smtp = || {
        case(
            Protocol::Smtp,
            Stage::Auth,
            "535 5.7.3 Authentication unsuccessful [AM0PR01.EURPRD01.PROD.OUTLOOK.COM]",
        )
    };
    let graph = || {
        case(
            Protocol::Graph,
            Stage::Inbox,
            r#"{"error":{"code":"ErrorAccessDenied","message":"Access is denied."}}"#,
        )
    };
    let cases = [
        (
            token(imap(), |t| {
                (t.other_audience, t.audience) = (true, "https://graph.microsoft.com".to_owned())
            }),
            own::AUDIENCE_GRAPH,
        ),
        (
            token(imap(), |t| t.missing = vec!["IMAP.AccessAsUser.All".to_owned()]),
            own::PERMISSION_MISSING,
        ),
        (
            token(imap(), |t| {
                (t.account, t.permissions) = (Some("maija@contoso.example".to_owned()), Vec::new())
            }),
            own::OTHER_ACCOUNT,
        ),
        (side(imap(), |s| s.user_name = "hr".to_owned()), own::USER_NAME),
        (token(imap(), |t| t.expires_in = Some(-5)), "imap-exchange-token-expired-session"),
        (
            token(imap(), |t| (t.shared, t.account) = (true, Some("maija@contoso.example".to_owned()))),
            own::FULL_ACCESS,
        ),
        (imap(), own::IMAP_OFF),
        (
            case(
                Protocol::Pop3,
                Stage::Auth,
                "-ERR Authentication failure: unknown user name or bad password.",
            ),
            own::POP_OFF,
        ),
        (smtp(), own::SMTP_OFF),
        (token(smtp(), |t| t.missing = vec!["SMTP.Send".to_owned()]), own::PERMISSION_MISSING),
        (
            token(smtp(), |t| (t.shared, t.account) = (true, Some("maija@contoso.example".to_owned()))),
            own::SEND_AS,
        ),
        (with(imap(), |c| c.token = Some(app_held())), own::SERVICE_PRINCIPAL),
        (with(smtp(), |c| c.token = Some(app_held())), own::SERVICE_PRINCIPAL),
        (
            with(imap(), |c| {
                c.token = Some(Held {
                    missing: vec!["IMAP.AccessAsApp".to_owned()],
                    ..app_held()
                })
            }),
            own::ROLE_MISSING,
        ),
        (with(graph(), |c| c.token = Some(app_held())), "graph-access-policy"),
        (
            with(graph(), |c| {
                c.token = Some(Held {
                    permissions: Vec::new(),
                    ..app_held()
                })
            }),
            own::ROLE_MISSING,
        ),
        (case(Protocol::Imap, Stage::Select, NOT_CONNECTED), own::NO_LICENCE),
        (
            token(case(Protocol::Imap, Stage::Select, NOT_CONNECTED), |t| {
                t.account = Some("maija@contoso.example".to_owned())
            }),
            own::OTHER_ACCOUNT,
        ),
        (
            side(provider(imap(), |p| p.template = TemplateKind::Google), |s| {
                s.host = "outlook.office365.com".to_owned()
            }),
            own::OTHER_PROVIDER,
        ),
    ];
    for (case, expected) in &cases {
        assert_eq!(id(case), *expected, "{case:?}");
    }
}

#[test]
fn a_text_that_stands_for_one_cause_is_not_overruled() {
    let disabled = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled";
    let found = judge(&token(case(Protocol::Smtp, Stage::Auth, disabled), |t| {
        t.missing = vec!["SMTP.Send".to_owned()]
    }));
    assert_eq!(found.id, "smtp-exchange-auth-disabled-tenant");
    let grounds = found.grounds.unwrap();
    assert_eq!(grounds.confidence, Confidence::Certain);
    assert_eq!(
        grounds.also.iter().map(|also| also.id.as_str()).collect::<Vec<_>>(),
        [own::PERMISSION_MISSING],
        "the second fault is told too"
    );
}

#[test]
fn a_server_in_trouble_says_nothing_about_the_token() {
    let busy = with(case(Protocol::Imap, Stage::Auth, "a1 NO [UNAVAILABLE] try later"), |c| {
        c.transient = true
    });
    let busy = token(busy, |t| t.account = Some("maija@contoso.example".to_owned()));
    assert_ne!(id(&busy), own::OTHER_ACCOUNT);
}

#[test]
fn the_provider_decides_what_its_own_texts_leave_open() {
    let grant = r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#;
    let client = r#"{"error":"invalid_client"}"#;
    let secret = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}"#;
    let (google, microsoft) = (TemplateKind::Google, TemplateKind::Microsoft);
    let testing = |days| {
        provider(at_the_provider(google, grant), |p| {
            (p.consent_screen, p.signed_in_days) = (Some(ConsentScreen::Testing), Some(days));
        })
    };
    let cases = [
        (testing(7), own::GOOGLE_TESTING),
        (testing(2), "google-invalid-grant-revoked"),
        (
            provider(at_the_provider(google, grant), |p| p.signed_in_days = Some(7)),
            own::GOOGLE_TESTING,
        ),
        (
            provider(at_the_provider(google, grant), |p| {
                p.consent_screen = Some(ConsentScreen::Production)
            }),
            "google-invalid-grant-revoked",
        ),
        (provider(at_the_provider(google, grant), |p| p.used_days = Some(200)), own::UNUSED),
        (
            provider(at_the_provider(microsoft, r#"{"error":"invalid_grant"}"#), |p| {
                p.used_days = Some(95)
            }),
            "entra-700082-refresh-inactive",
        ),
        (at_the_provider(microsoft, r#"{"error":"invalid_grant"}"#), "oauth-invalid-grant"),
        (
            provider(at_the_provider(microsoft, secret), |p| p.secret_is_id = true),
            own::SECRET_IS_ID,
        ),
        (
            provider(at_the_provider(microsoft, secret), |p| p.secret_ended_days = Some(3)),
            "entra-7000222-secret-expired",
        ),
        (at_the_provider(microsoft, secret), "entra-7000215-secret-wrong"),
        (
            provider(at_the_provider(TemplateKind::Custom, client), |p| p.client_auth = ClientAuth::None),
            own::PUBLIC_CLIENT,
        ),
        (at_the_provider(TemplateKind::Custom, client), "oauth-invalid-client"),
    ];
    for (case, expected) in &cases {
        assert_eq!(id(case), *expected, "{case:?}");
    }
    let lasting = |scopes: &[&str]| {
        let mut case = at_the_provider(microsoft, "");
        case.evidence = Evidence::own(own::NO_REFRESH_TOKEN);
        case.provider.as_mut().unwrap().scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        id(&case)
    };
    assert_eq!(lasting(&["https://outlook.office.com/SMTP.Send"]), own::OFFLINE_ACCESS);
    assert_eq!(
        lasting(&["offline_access", "https://outlook.office.com/SMTP.Send"]),
        own::NO_REFRESH_TOKEN
    );
}

#[test]
fn a_wrong_clock_is_blamed_only_where_time_matters() {
    let late = |text| with(at_the_provider(TemplateKind::Microsoft, text), |c| c.clock_ahead = Some(900));
    assert_eq!(
        id(&late("AADSTS700024: Client assertion is not within its valid time range.")),
        own::CLOCK
    );
    assert_eq!(
        id(&late("AADSTS7000222: The provided client secret keys are expired.")),
        "entra-7000222-secret-expired"
    );
    let right = with(late("AADSTS700024: Client assertion is not within its valid time range."), |c| {
        c.clock_ahead = Some(3)
    });
    assert_eq!(
        id(&right),
        "entra-700024-assertion-time",
        "the clock agrees, so it isn't blamed by measure"
    );
}

#[test]
fn what_is_blamed_is_not_ruled_out_and_the_reverse() {
    let found = judge(&token(case(Protocol::Imap, Stage::Auth, AUTHENTICATE), |t| {
        t.account = Some("maija@contoso.example".to_owned());
        t.renewed = true;
    }));
    let grounds = found.grounds.unwrap();
    assert_eq!(
        grounds.ruled_out,
        [
            "network",
            "encryption",
            "client secret",
            "ended sign-in",
            "expired token",
            "token for another service",
            "missing permission"
        ]
    );
    assert_eq!(
        (grounds.compared[0].expected.as_str(), grounds.compared[0].found.as_str()),
        (MAILBOX, "maija@contoso.example")
    );
    let first = judge(&case(Protocol::Imap, Stage::Dns, "Temporary failure in name resolution"))
        .grounds
        .unwrap();
    assert!(
        !first.ruled_out.iter().any(|out| out == "network" || out == "encryption"),
        "nothing was reached: {first:?}"
    );
}

#[test]
fn a_remedy_names_the_values_at_hand() {
    let mut known = case(Protocol::Imap, Stage::Auth, AUTHENTICATE);
    known.token = Some(app_held());
    let remedy = judge(&known).remedy.join("\n");
    assert!(remedy.contains("New-ServicePrincipal -AppId app-1 -ObjectId 0b1c"), "{remedy}");
    assert!(
        remedy.contains("Add-MailboxPermission -Identity hr@contoso.example -User 0b1c"),
        "{remedy}"
    );
}

#[test]
fn every_example_keeps_its_cause_when_nothing_else_is_known() {
    for known in catalogue::entries().iter().filter(|entry| !entry.example.is_empty()) {
        assert_eq!(
            judge(&Case {
                evidence: Evidence::text(&known.example),
                ..Case::default()
            })
            .id,
            known.id,
            "{}",
            known.example
        );
    }
}
