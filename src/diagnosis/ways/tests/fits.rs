//! Ways fit the cause, what was ruled out, and whoever they are for.

use super::*;
use crate::diagnosis::case::{Aim, Case, Held, Provider};
use crate::diagnosis::{Evidence, judge};
use crate::model::provider::Cloud;

fn scenes() -> Vec<Scene> {
    [person(), robot(), Scene::default()].into_iter().chain(others()).collect()
}

#[test]
fn every_placeholder_that_is_left_in_a_command_is_explained() {
    let mut left = BTreeSet::new();
    for entry in entries() {
        for scene in scenes() {
            for way in ways(&entry.diagnosis(), &scene) {
                for place in places(&way.command) {
                    let named = format!("<{place}>: ");
                    assert!(way.text.contains(&named), "{}: <{place}> isn't explained: {way:?}", entry.id);
                    assert!(
                        way.request.is_empty() || way.request.contains(&named) || !way.request.contains(&way.command),
                        "{way:?}"
                    );
                    left.insert(place.to_owned());
                }
            }
        }
    }
    for place in [
        "group of the policy",
        "scope of the role",
        "enterprise object id",
        "mailbox",
        "mark",
    ] {
        assert!(left.contains(place), "{place}: {left:?}");
    }
}

/// An app that Exchange keeps out of a mailbox by Graph; with these roles in its token.
fn kept_out(text: &str, roles: &[&str]) -> Vec<Way> {
    let case = Case {
        evidence: Evidence::text(text),
        step: Some(Stage::Inbox),
        passed: vec![Stage::Token, Stage::Claims],
        side: Some(Aim::sample(Protocol::Graph, "", 443, Security::Tls, "hr@contoso.example")),
        token: Some(Held {
            grant: Some(GrantType::ClientCredentials),
            audience: "https://graph.microsoft.com".to_owned(),
            permissions: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..Held::default()
        }),
        provider: Some(Provider {
            template: TemplateKind::Microsoft,
            label: "Microsoft",
            cloud: Cloud::Global,
            tenant: None,
            client_id: person().client_id,
            client_auth: ClientAuth::Certificate,
            consent_screen: None,
            secret_is_id: false,
            secret_ended_days: None,
            scopes: Vec::new(),
            signed_in_days: None,
            used_days: None,
        }),
        ..Case::default()
    };
    let scene = Scene {
        protocol: Some(Protocol::Graph),
        host: String::new(),
        ..robot()
    };
    ways(&judge(&case), &scene)
}

#[test]
fn a_permission_that_is_in_the_token_is_not_asked_for_again() {
    let denied = entries()
        .iter()
        .find(|entry| entry.id == "graph-access-denied")
        .unwrap()
        .example
        .as_str();
    let policy = entries()
        .iter()
        .find(|entry| entry.id == "graph-access-policy")
        .unwrap()
        .example
        .as_str();
    for text in [denied, policy] {
        let ways = kept_out(text, &["Mail.ReadWrite"]);
        assert!(
            ways.iter().all(|way| !way.title.contains("Grant the application permission")),
            "{ways:?}"
        );
        let group = &ways[0];
        assert!(
            group
                .command
                .starts_with("Get-ApplicationAccessPolicy | Where-Object AppId -eq 11112222-"),
            "{group:?}"
        );
        assert!(
            group
                .command
                .contains("Add-DistributionGroupMember -Identity <group of the policy> -Member 'hr@contoso.example'")
        );
        let scope = &ways[1];
        // By its id: nobody knows what the app is called in Exchange.
        assert!(
            scope.command.contains("-Identity 11112222-bbbb-3333-cccc-4444dddd5555 -Resource"),
            "{scope:?}"
        );
        assert!(scope.command.contains("-CustomAttribute1 'mailgrant-hr'"), "{scope:?}");
    }
    let missing = kept_out(denied, &[]);
    let grant = missing.iter().find(|way| way.title == "Grant the application permission").unwrap();
    assert!(
        grant.request.contains("Mail.ReadWrite (Microsoft Graph, application permission)"),
        "{}",
        grant.request
    );
    assert!(!grant.request.contains("- Permissions: https://"), "{}", grant.request);
}

#[test]
fn without_a_provider_the_most_common_way_comes_first() {
    for id in ["imap-exchange-authenticated-not-connected", "imap-exchange-authenticate-failed"] {
        let ways = ways(&by_id(id).unwrap(), &Scene::default());
        assert_eq!(ways[0].who, FixWhere::User, "{id}: {:?}", ways[0]);
        assert!(ways[0].command.is_empty(), "{id}");
        let app = ways.iter().position(|way| way.command.contains("New-ServicePrincipal")).unwrap();
        assert!(app > 1, "{id}: {app}");
        assert!(ways.iter().all(|way| !way.command.contains("PopEnabled")), "{id}: POP wasn't asked");
    }
}

#[test]
fn no_request_speaks_to_somebody_with_an_account_here() {
    for entry in entries() {
        for scene in scenes() {
            for way in ways(&entry.diagnosis(), &scene) {
                let asked = way.request.split("What would fix it:").nth(1).unwrap_or_default();
                for ours in [
                    "Send an admin",
                    "put it in",
                    "Enter both here",
                    "the token's form",
                    "Get a new token",
                    "Choose that account",
                ] {
                    let by_plan = groups().iter().any(|group| group.ids.contains(&entry.id));
                    assert!(!by_plan || !asked.contains(ours), "{}: {ours}: {asked}", entry.id);
                }
            }
        }
    }
}

#[test]
fn programs_are_told_the_same_ways() {
    let told = told_to_programs(&by_id("entra-7000222-secret-expired").unwrap(), &person());
    let fix = told[0].fix.as_ref().unwrap();
    assert_eq!(
        (fix.words.as_str(), fix.path.as_str()),
        ("Replace secret", "/providers/contoso/secret")
    );
    assert_eq!(told[0].who, FixWhere::Portal);
    // What is sent by a form has its page named.
    let told = told_to_programs(&by_id("entra-50076-mfa-required").unwrap(), &person());
    assert_eq!(told[0].fix.as_ref().unwrap().path, "/tokens/hr");
}
