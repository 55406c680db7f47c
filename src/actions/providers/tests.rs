//! The rules of providers, and what saving one does.

use super::*;
use crate::actions::mailboxes::tests::{House, house};
use crate::model::Name;
use crate::model::provider::Endpoints;

const CANARY: &str = "canary8Q~secret-of-the-app-wxyz";

fn input() -> ProviderInput {
    ProviderInput {
        name: "contoso".into(),
        template: "microsoft".into(),
        tenant: "contoso.onmicrosoft.com".into(),
        client_id: "11112222-bbbb-3333-cccc-4444dddd5555".into(),
        client_secret: Some(ClientSecret::new(CANARY)),
        ..ProviderInput::default()
    }
}

fn problems(house: &House, input: &ProviderInput, current: Option<&Provider>) -> Vec<(&'static str, String)> {
    match check_provider(&house.app, input, current) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| (problem.field, problem.message)).collect(),
    }
}

async fn made(house: &House) -> Provider {
    let edit = check_provider(&house.app, &input(), None).unwrap();
    create(&house.app, &Actor::console(), edit).await.unwrap()
}

#[tokio::test]
async fn mistakes_are_named_at_their_fields_all_at_once() {
    let house = house().await;
    let wrong = ProviderInput {
        name: "Contoso\r\nX".into(),
        client_id: "11112222-bbbb-3333-cccc-4444dddd555".into(),
        client_secret: Some(ClientSecret::new("aaaa0000-bb11-2222-33cc-444444dddddd")),
        client_secret_expires: "2020-01-01".into(),
        prompt: Some("always".into()),
        pkce: Some(false),
        scopes: Some("https://outlook.office.com/SMTP.Send, https://graph.microsoft.com/Mail.Send".into()),
        extra_authorize_params: Some(vec![("state".into(), "x".into())]),
        endpoints: Endpoints {
            revocation_url: Some("http://login.example/revoke".into()),
            ..Endpoints::default()
        },
        ..input()
    };
    let found = problems(&house, &wrong, None);
    for (field, message) in [
        ("name", "Name can have a–z, 0–9, dot, hyphen and underscore"),
        (
            "client_id",
            "Application (client) ID is 36 characters with four hyphens. This one has 35",
        ),
        (
            "client_secret",
            "Client secret looks like the secret's ID. Paste the Value column instead",
        ),
        (
            "client_secret_expires",
            "Secret expires on must be a date after today, like 2027-11-20",
        ),
        ("scopes", "IMAP and Graph permissions can't share one token. Make two"),
        (
            "prompt",
            "Prompt must be select_account, consent, login or none, or empty to send none",
        ),
        ("pkce", "PKCE can be turned off for another OAuth provider only"),
        ("extra_authorize_params", "Parameter state is set by the console itself"),
        (
            "revocation_url",
            "Revoke address must start with https://. http:// is for this machine only",
        ),
    ] {
        assert!(found.contains(&(field, message.to_owned())), "{field}: {found:#?}");
    }
}

#[tokio::test]
async fn pasted_values_lose_what_came_along_with_them() {
    let house = house().await;
    let pasted = ProviderInput {
        client_id: " \"11112222-bbbb-3333-cccc-4444dddd5555\"\r\n".into(),
        client_secret: Some(ClientSecret::new(format!("\t{CANARY}\n"))),
        ..input()
    };
    let provider = create(&house.app, &Actor::console(), check_provider(&house.app, &pasted, None).unwrap())
        .await
        .unwrap();
    assert_eq!(provider.client_id, "11112222-bbbb-3333-cccc-4444dddd5555");
    let secret = place::open_client_secret(&house.app, &provider).unwrap().unwrap();
    assert_eq!(secret.expose_secret(), CANARY);
}

#[tokio::test]
async fn the_templates_addresses_are_not_pinned_by_a_form_that_shows_them() {
    let house = house().await;
    let provider = made(&house).await;
    let shown = ProviderInput {
        endpoints: provider.endpoints(),
        ..ProviderInput::of(&provider)
    };
    let edit = check_provider(&house.app, &shown, Some(&provider)).unwrap();
    assert_eq!(edit.overrides, Endpoints::default());
    let saved = update(&house.app, &Actor::console(), &provider, edit).await.unwrap();
    assert!(saved.changes.is_empty(), "{:?}", saved.changes);
}

#[tokio::test]
async fn a_new_destination_wants_the_secret_again_and_the_old_one_never_goes_there() {
    let house = house().await;
    let provider = made(&house).await;
    let moved = ProviderInput {
        tenant: "fabrikam.onmicrosoft.com".into(),
        ..ProviderInput::of(&provider)
    };
    assert_eq!(
        problems(&house, &moved, Some(&provider)),
        [(
            "client_secret",
            "Enter the client secret again: with this change it goes to another server".to_owned()
        )]
    );
    let again = ProviderInput {
        client_secret: Some(ClientSecret::new(CANARY)),
        ..moved
    };
    let edit = check_provider(&house.app, &again, Some(&provider)).unwrap();
    let saved = update(&house.app, &Actor::console(), &provider, edit).await.unwrap();
    assert!(saved.moved);
    // A row that was aimed elsewhere behind our back doesn't open.
    let mut aimed = saved.provider;
    aimed.overrides.token_url = Some("https://evil.example/token".into());
    assert!(place::open_client_secret(&house.app, &aimed).is_err());
}

#[tokio::test]
async fn an_address_on_another_server_that_would_be_sent_secrets_wants_the_secret_again() {
    let house = house().await;
    let provider = made(&house).await;
    let at = |field: &str, address: &str| {
        let mut input = ProviderInput::of(&provider);
        let place = match field {
            "graph_url" => &mut input.endpoints.graph_url,
            "device_authorization_url" => &mut input.endpoints.device_authorization_url,
            "revocation_url" => &mut input.endpoints.revocation_url,
            _ => &mut input.endpoints.userinfo_url,
        };
        *place = Some(address.to_owned());
        input
    };
    for field in ["graph_url", "device_authorization_url", "revocation_url", "userinfo_url"] {
        let elsewhere = at(field, "https://evil.example/x");
        let found = problems(&house, &elsewhere, Some(&provider));
        assert!(matches!(&found[..], [("client_secret", _)]), "{field}: {found:?}");
        let home = at(field, "https://login.microsoftonline.com/x");
        if field != "graph_url" {
            assert!(check_provider(&house.app, &home, Some(&provider)).is_ok(), "{field}");
        }
    }
}

#[tokio::test]
async fn a_provider_without_pkce_carries_a_warning() {
    let house = house().await;
    let mut provider = made(&house).await;
    let is_about_pkce = |warnings: Vec<Warning>| warnings.iter().any(|warning| warning.field == "pkce");
    assert!(!is_about_pkce(lint(&house.app, &provider).await.unwrap()));
    provider.pkce = false;
    assert!(is_about_pkce(lint(&house.app, &provider).await.unwrap()));
}

#[tokio::test]
async fn the_same_secret_again_changes_nothing_and_is_nowhere_to_be_read() {
    let house = house().await;
    let provider = made(&house).await;
    let edit = check_provider(&house.app, &input(), Some(&provider)).unwrap();
    let saved = update(&house.app, &Actor::console(), &provider, edit).await.unwrap();
    assert!(saved.changes.is_empty(), "{:?}", saved.changes);
    let stored = house.app.store.provider(&Name::parse("contoso").unwrap()).await.unwrap().unwrap();
    assert_eq!(stored.version, 1);
    let rows = format!("{:?} {:?}", house.app.store.audit_rows(10).await.unwrap(), stored);
    assert!(!rows.contains("canary") && rows.contains("wxyz"), "{rows}");
}

#[tokio::test]
async fn who_saves_second_is_told_and_nothing_is_lost() {
    let house = house().await;
    let provider = made(&house).await;
    let with_prompt = |prompt: &str| {
        let input = ProviderInput {
            prompt: Some(prompt.into()),
            ..ProviderInput::of(&provider)
        };
        check_provider(&house.app, &input, Some(&provider)).unwrap()
    };
    let first = with_prompt("consent");
    let second = with_prompt("login");
    update(&house.app, &Actor::console(), &provider, first).await.unwrap();
    let late = update(&house.app, &Actor::console(), &provider, second).await;
    assert!(matches!(late, Err(ActionError::Store(StoreError::Stale))));
}

#[tokio::test]
async fn http_is_for_this_machine_where_the_settings_allow_it() {
    let house = house().await;
    let custom = ProviderInput {
        name: "rig".into(),
        template: "custom".into(),
        client_id: "console".into(),
        client_secret: Some(ClientSecret::new("secret")),
        endpoints: Endpoints {
            issuer: Some("http://127.0.0.1:9".into()),
            authorize_url: Some("http://127.0.0.1:9/auth".into()),
            token_url: Some("http://127.0.0.1:9/token".into()),
            ..Endpoints::default()
        },
        ..ProviderInput::default()
    };
    let found = problems(&house, &custom, None);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].1.contains("allow_networks"), "{found:?}");
}
