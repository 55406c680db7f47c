//! Every way leads somewhere, with its values or a placeholder for each that isn't known.

use super::*;
use crate::diagnosis::by_id;
use crate::diagnosis::catalogue::entries;
use crate::model::mailbox::{Protocol, Security};
use crate::model::provider::ClientAuth;
use crate::model::report::{Direction, Stage};
use crate::model::template::TemplateKind;
use std::collections::{BTreeSet, HashSet};

/// The table of `ux.md` 6.6, by what stands for each of its rows here.
const TABLE: &[&str] = &[
    "IMAP: User is authenticated but not connected",
    "SMTP 535 5.7.139: SmtpClientAuthentication is disabled",
    "SMTP 535 5.7.3, 5.7.8: the token lacks the permission",
    "550 5.7.60, SendAsDenied",
    "432 4.3.2, 4.5.127, Graph 429",
    "AADSTS50011",
    "AADSTS65001, 90094, 90008",
    "AADSTS7000215",
    "AADSTS7000222",
    "AADSTS7000218",
    "AADSTS700016, 90002",
    "AADSTS50020, 50178, personal account",
    "AADSTS50173, 50133, 70043, 700082 invalid_grant",
    "AADSTS50076, 50079, 53003",
    "AADSTS700027, certificate errors",
    "Graph 403, ErrorAccessDenied with app-only",
    "Graph 403, an access policy",
    "Graph MailboxNotEnabledForRESTAPI, ErrorInvalidUser, ErrorItemNotFound",
    "IMAP app-only: NO AUTHENTICATE failed",
    "Google invalid_grant",
    "Google unauthorized_client (service account)",
    "Google 534 5.7.9, application-specific password",
    "TLS: name mismatch",
    "TLS: unknown issuer",
    "TLS: the certificate ended, or an old version",
    "DNS none, refused, timed out, proxy 407",
    "Clock off by more than 2 minutes",
];

/// Somebody's token, everything known.
fn person() -> Scene {
    Scene {
        mailbox: Some("hr".to_owned()),
        token: Some("hr".to_owned()),
        provider: Some("contoso".to_owned()),
        direction: Some(Direction::Outgoing),
        step: Some(Stage::Auth),
        protocol: Some(Protocol::Smtp),
        host: "smtp.ofice365.com".to_owned(),
        port: 465,
        security: Some(Security::Tls),
        address: "hr@contoso.example".to_owned(),
        sender: "o'brien@contoso.example".to_owned(),
        user_name: "hr".to_owned(),
        account: "maija@contoso.example".to_owned(),
        grant: Some(GrantType::AuthorizationCode),
        template: Some(TemplateKind::Microsoft),
        client_auth: Some(ClientAuth::SecretPost),
        tenant: "contoso.example".to_owned(),
        client_id: "11112222-bbbb-3333-cccc-4444dddd5555".to_owned(),
        service_client: "117".to_owned(),
        object_id: String::new(),
        app_name: "Mailgrant contoso".to_owned(),
        redirect: "https://mail.example/oauth/callback/contoso".to_owned(),
        consent_redirect: "https://mail.example/oauth/admin-consent/contoso".to_owned(),
        thumbprints: vec![("SHA-1", "AB12".to_owned()), ("SHA-256", "CD34".to_owned())],
        scopes: vec!["https://outlook.office.com/SMTP.Send".to_owned()],
        redirects: Vec::new(),
        provider_host: "login.microsoftonline.com".to_owned(),
        provider_port: 443,
        console: "https://mail.example/".to_owned(),
        said: "535 5.7.3 Authentication unsuccessful".to_owned(),
    }
}

/// The app's own token.
fn robot() -> Scene {
    Scene {
        account: String::new(),
        grant: Some(GrantType::ClientCredentials),
        object_id: "99998888-bbbb-3333-cccc-4444dddd5555".to_owned(),
        direction: Some(Direction::Incoming),
        protocol: Some(Protocol::Imap),
        ..person()
    }
}

/// Own mailbox and a password or a device.
fn others() -> Vec<Scene> {
    let own = Scene {
        account: person().address,
        sender: person().address,
        direction: Some(Direction::Incoming),
        protocol: Some(Protocol::Pop3),
        ..person()
    };
    let device = Scene {
        grant: Some(GrantType::DeviceCode),
        protocol: Some(Protocol::Imap),
        ..own.clone()
    };
    let password = Scene {
        grant: Some(GrantType::Password),
        ..own.clone()
    };
    vec![
        own,
        device,
        password,
        Scene {
            client_auth: Some(ClientAuth::Certificate),
            ..robot()
        },
    ]
}

#[test]
fn the_file_can_be_read_and_every_entry_is_there_once() {
    let read: Result<Vec<Group>, _> = serde_json::from_str(FILE);
    assert!(read.is_ok(), "{read:?}");
    let mut ids = HashSet::new();
    for id in groups().iter().flat_map(|group| &group.ids) {
        assert!(ids.insert(id), "{id} twice");
        assert!(by_id(id).is_some(), "{id} isn't in the catalogue");
    }
}

#[test]
fn every_row_of_the_table_has_a_first_fix() {
    for row in TABLE {
        let group = groups().iter().find(|group| group.row == *row);
        let group = group.unwrap_or_else(|| panic!("{row}: no ways"));
        for id in &group.ids {
            let diagnosis = by_id(id).unwrap();
            for scene in [person(), robot()].into_iter().chain(others()) {
                let ways = ways(&diagnosis, &scene);
                let first = ways.first().unwrap_or_else(|| panic!("{row}: nothing to do"));
                let waits = first.title.starts_with("Wait");
                assert!(
                    waits || !first.acts.is_empty() || !first.command.is_empty() || !first.values.is_empty() || !first.request.is_empty(),
                    "{row}, {id}: {first:?}"
                );
            }
        }
        println!("{row}: {}", group.ways[0].title);
    }
}

#[test]
fn every_act_and_every_line_is_offered_and_every_act_leads_somewhere() {
    let scenes: Vec<Scene> = [person(), robot()].into_iter().chain(others()).collect();
    let mut offered: BTreeSet<Act> = BTreeSet::new();
    for entry in entries() {
        for scene in &scenes {
            for way in ways(&entry.diagnosis(), scene) {
                offered.extend(&way.acts);
                for act in &way.acts {
                    let lead = act.lead(scene).unwrap();
                    assert!(lead.href.starts_with('/') && !lead.words.is_empty(), "{}: {lead:?}", entry.id);
                }
            }
        }
    }
    let missing: Vec<_> = Act::ALL.iter().filter(|act| !offered.contains(act)).collect();
    assert!(missing.is_empty(), "never offered: {missing:?}");
}

#[test]
fn with_nothing_known_every_entry_has_ways_with_placeholders_and_no_button() {
    for entry in entries() {
        let ways = ways(&entry.diagnosis(), &Scene::default());
        assert!(!ways.is_empty(), "{}", entry.id);
        for way in ways {
            assert!(
                way.acts.is_empty() && !(way.title.is_empty() && way.text.is_empty()),
                "{}: {way:?}",
                entry.id
            );
        }
    }
    let ways = ways(&by_id("console-smtp-off").unwrap(), &Scene::default());
    assert!(
        ways[0].command.starts_with("Set-CASMailbox -Identity <mailbox> "),
        "{}",
        ways[0].command
    );
}

#[test]
fn commands_and_requests_hold_every_value_and_nothing_breaks_out() {
    let ways_of = |id: &str, scene: &Scene| ways(&by_id(id).unwrap(), scene);
    let send_as = &ways_of("console-send-as", &person())[0];
    assert_eq!(
        send_as.command.lines().next(),
        Some(
            "Add-RecipientPermission -Identity 'o''brien@contoso.example' -Trustee 'maija@contoso.example' -AccessRights SendAs -Confirm:$false"
        )
    );
    assert!(send_as.request.contains(&send_as.command) && send_as.request.contains("535 5.7.3"));
    let principal = &ways_of("console-service-principal", &robot())[0];
    assert_eq!(
        principal.command,
        "New-ServicePrincipal -AppId 11112222-bbbb-3333-cccc-4444dddd5555 -ObjectId 99998888-bbbb-3333-cccc-4444dddd5555 -DisplayName \
         'Mailgrant contoso'\n\
         Add-MailboxPermission -Identity 'hr@contoso.example' -User 99998888-bbbb-3333-cccc-4444dddd5555 -AccessRights FullAccess"
    );
    let unknown = Scene {
        object_id: String::new(),
        ..robot()
    };
    assert!(
        ways_of("console-service-principal", &unknown)[0]
            .command
            .contains("-User <enterprise object id> ")
    );
    let redirect = &ways_of("entra-50011-redirect-mismatch", &person())[0];
    assert!(
        redirect
            .request
            .contains("- Redirect address: https://mail.example/oauth/callback/contoso")
    );
    assert!(redirect.request.contains("- Directory (tenant) ID: contoso.example"));
    let firewall = &ways_of("network-timeout", &person())[0];
    for value in [
        "outgoing",
        "- From: mail.example",
        "- To host: smtp.ofice365.com",
        "- To port: TCP 465",
    ] {
        assert!(firewall.request.contains(value), "{value}: {}", firewall.request);
    }
    // At the first step it is the provider that isn't reached.
    let token = Scene {
        step: Some(Stage::Token),
        ..person()
    };
    assert!(
        ways_of("console-provider-unreachable", &token)[0]
            .command
            .contains("nc -vz login.microsoftonline.com 443")
    );
    let hosts = &ways_of("console-host-mistyped", &person())[0];
    assert_eq!(hosts.acts[0].lead(&person()).unwrap().words, "Use smtp.office365.com");
}

#[test]
fn the_prompt_is_the_one_that_helps() {
    let prompt = |id: &str, scene: &Scene| {
        let lead = ways(&by_id(id).unwrap(), scene)[0].acts[0].lead(scene).unwrap();
        lead.fields.and_then(|fields| fields.first().map(|(_, prompt)| prompt.clone()))
    };
    let own = &others()[0];
    for (id, expected) in [
        ("entra-50020-foreign-user", "select_account"),
        ("console-permission-missing", "consent"),
        ("entra-50076-mfa-required", "login"),
        ("google-invalid-grant-revoked", "consent"),
        ("console-not-authorized", "select_account"),
    ] {
        assert_eq!(prompt(id, own).as_deref(), Some(expected), "{id}");
    }
    let google = Scene {
        template: Some(TemplateKind::Google),
        ..own.clone()
    };
    assert_eq!(
        prompt("entra-50076-mfa-required", &google).as_deref(),
        Some("select_account"),
        "Google knows no prompt login"
    );
}

mod fits;
