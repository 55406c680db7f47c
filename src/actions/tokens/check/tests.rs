use super::*;
use crate::actions::mailboxes::tests::house;
use crate::actions::providers::{self, ProviderInput, check_provider};
use crate::actions::tokens;
use crate::model::audit::Actor;
use crate::model::token::GrantState;
use crate::secret::ClientSecret;

async fn provider(app: &crate::app::App) -> Provider {
    let input = ProviderInput {
        name: "contoso".into(),
        template: "microsoft".into(),
        tenant: "contoso.onmicrosoft.com".into(),
        client_id: "11112222-bbbb-3333-cccc-4444dddd5555".into(),
        client_secret: Some(ClientSecret::new("canary8Q~secret")),
        ..ProviderInput::default()
    };
    let edit = check_provider(app, &input, None).unwrap();
    providers::create(app, &Actor::console(), edit).await.unwrap()
}

fn input() -> TokenInput {
    TokenInput {
        user: "Support@contoso.example".into(),
        refresh_token: Some(RefreshToken::new("canary-refresh")),
        ..TokenInput::default()
    }
}

#[tokio::test]
async fn an_account_is_wanted_and_scopes_are_taken_apart() {
    let house = house().await;
    let provider = provider(&house.app).await;
    let wrong = TokenInput {
        name: "a\r\nb".into(),
        scopes: Some("https://outlook.office.com/IMAP.AccessAsUser.All,\n User.Read".into()),
        refresh_token: Some(RefreshToken::new("one\ntwo")),
        ..TokenInput::default()
    };
    let found: Vec<_> = check_token(&wrong, &provider, None)
        .unwrap_err()
        .into_iter()
        .map(|p| (p.field, p.message))
        .collect();
    assert!(
        found.contains(&("user", "Enter the account that must sign in".to_owned())),
        "{found:?}"
    );
    assert!(found.contains(&("name", "Name can have a–z, 0–9, dot, hyphen and underscore".to_owned())));
    assert!(found.contains(&("scopes", "IMAP and Graph permissions can't share one token. Make two".to_owned())));
    assert!(found.iter().any(|(field, _)| *field == "refresh_token"));
    let fine = TokenInput {
        scopes: Some("https://outlook.office.com/IMAP.AccessAsUser.All,\r\nhttps://outlook.office.com/SMTP.Send offline_access".into()),
        ..input()
    };
    let edit = check_token(&fine, &provider, None).unwrap();
    assert_eq!((edit.name.as_str(), edit.scopes.len()), ("support", 3));
}

#[tokio::test]
async fn a_refresh_token_in_a_file_never_replaces_a_sign_in_that_counts() {
    let house = house().await;
    let (app, actor) = (&house.app, Actor::console());
    let provider = provider(app).await;
    let token = tokens::create(app, &actor, check_token(&input(), &provider, None).unwrap(), &provider)
        .await
        .unwrap();
    let first = app.store.grant(&token.id).await.unwrap().unwrap();
    let again = RefreshToken::new("canary-from-an-old-file");
    let mut tx = app.store.begin().await.unwrap();
    assert!(
        !tokens::bring_along(app, &mut tx, &actor, &token, &provider, &again, false)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    assert_eq!(app.store.grant(&token.id).await.unwrap().unwrap(), first);

    // The provider ended it: the same one from the file doesn't come back to life, another one is taken.
    let ended = Grant {
        state: GrantState::Revoked,
        ..first.clone()
    };
    let mut tx = app.store.begin().await.unwrap();
    tx.replace_grant(&ended).await.unwrap();
    let same = RefreshToken::new("canary-refresh");
    assert!(
        !tokens::bring_along(app, &mut tx, &actor, &token, &provider, &same, false)
            .await
            .unwrap()
    );
    assert!(
        tokens::bring_along(app, &mut tx, &actor, &token, &provider, &again, false)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let now = app.store.grant(&token.id).await.unwrap().unwrap();
    assert_eq!((now.state, now.generation), (GrantState::Active, first.generation + 1));
    let told = format!("{:?} {now:?}", app.store.audit_rows(20).await.unwrap());
    assert!(!told.contains("canary"));
}

#[tokio::test]
async fn another_account_forgets_the_sign_in_only_when_that_was_ticked() {
    let house = house().await;
    let (app, actor) = (&house.app, Actor::console());
    let provider = provider(app).await;
    let token = tokens::create(app, &actor, check_token(&input(), &provider, None).unwrap(), &provider)
        .await
        .unwrap();
    let grant = app.store.grant(&token.id).await.unwrap();
    let mut other = TokenInput {
        user: "maija@contoso.example".into(),
        ..TokenInput::of(&token)
    };
    let refused = check_token(&other, &provider, Some((&token, grant.as_ref()))).unwrap_err();
    assert_eq!(refused[0].field, "user");
    let case = TokenInput {
        user: "SUPPORT@contoso.example".into(),
        ..TokenInput::of(&token)
    };
    assert!(check_token(&case, &provider, Some((&token, grant.as_ref()))).is_ok());
    other.forget = true;
    let edit = check_token(&other, &provider, Some((&token, grant.as_ref()))).unwrap();
    tokens::update(app, &actor, &token, edit, &provider).await.unwrap();
    assert!(app.store.grant(&token.id).await.unwrap().is_none());
}
