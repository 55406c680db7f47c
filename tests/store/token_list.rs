use super::records::{grant, provider, token};
use crate::support::databases::{NOW, databases};
use mailgrant::actions::access_token::state;
use mailgrant::model::token::{Authorization, Grant, GrantState, GrantType, Prompt, Token, TokenState};
use mailgrant::model::{Name, ProviderId, Sealed, TokenId};
use mailgrant::store::token_list::TokenFilter;

fn open_attempt(token: &TokenId) -> Authorization {
    Authorization {
        id: format!("a-{token}"),
        state_hash: format!("s-{token}"),
        token_id: token.clone(),
        provider_id: ProviderId("p1".into()),
        user_id: None,
        session_hash: None,
        flow_hash: None,
        link_id: None,
        redirect_uri: String::new(),
        issuer: None,
        prompt: Prompt::Unsent,
        sealed: Sealed("v1.x".into()),
        started_by: "Maija".into(),
        started_at: NOW,
        expires_at: NOW.plus(600),
        outcome: String::new(),
        detail: String::new(),
        finished_at: None,
    }
}

#[tokio::test]
async fn the_list_and_the_page_of_a_token_say_the_same_state() {
    let with = |state, life: i64, refresh: bool, access: bool| {
        Some(Grant {
            state,
            expires_at: access.then(|| NOW.plus(life)),
            rt_current: grant().rt_current.filter(|_| refresh),
            access_token: grant().access_token.filter(|_| access),
            ..grant()
        })
    };
    let mut cases = vec![None];
    for stored in [GrantState::Active, GrantState::Failing, GrantState::Revoked] {
        for (life, refresh, access) in [
            (60, true, true),
            (0, true, true),
            (60, false, true),
            (0, false, true),
            (0, true, false),
        ] {
            cases.push(with(stored, life, refresh, access));
        }
    }
    for database in databases().await {
        let store = &database.store;
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&provider()).await.unwrap();
        let mut expected = Vec::new();
        for (number, grant) in cases.iter().enumerate() {
            for (authorizing, way) in [
                (false, GrantType::AuthorizationCode),
                (true, GrantType::AuthorizationCode),
                (false, GrantType::ClientCredentials),
            ] {
                let id = TokenId(format!("t{number:02}{}{way}", u8::from(authorizing)));
                tx.insert_token(&Token {
                    id: id.clone(),
                    name: Name::parse(&id.as_str().replace('_', "-")).unwrap(),
                    grant: way,
                    ..token()
                })
                .await
                .unwrap();
                let grant = grant.clone().map(|grant| Grant {
                    token_id: id.clone(),
                    ..grant
                });
                if let Some(grant) = &grant {
                    tx.replace_grant(grant).await.unwrap();
                }
                if authorizing {
                    tx.insert_authorization(&open_attempt(&id)).await.unwrap();
                }
                expected.push((id, state(way, grant.as_ref(), authorizing, NOW)));
            }
        }
        tx.commit().await.unwrap();
        expected.sort_by(|(a, _): &(TokenId, TokenState), (b, _)| a.as_str().cmp(b.as_str()));
        let all = store.tokens_after(&TokenFilter::default(), "", 200, NOW).await.unwrap();
        let told: Vec<_> = all.into_iter().map(|row| (row.id, row.state)).collect();
        assert_eq!(told, expected);
        for wanted in TokenState::ALL {
            let filter = TokenFilter {
                state: Some(*wanted),
                ..TokenFilter::default()
            };
            let count = store.count_tokens(&filter, 1000, NOW).await.unwrap();
            assert_eq!(
                count,
                expected.iter().filter(|(_, state)| state == wanted).count() as i64,
                "{wanted}"
            );
        }
    }
}

#[tokio::test]
async fn pages_of_tokens_lead_on_and_back_and_filters_hold_strange_text() {
    for database in databases().await {
        let store = &database.store;
        let mut tx = store.begin().await.unwrap();
        tx.insert_provider(&provider()).await.unwrap();
        for number in 0..25 {
            tx.insert_token(&Token {
                id: TokenId(format!("t{number}")),
                name: Name::parse(&format!("n{number:02}")).unwrap(),
                user: Some(format!("User{number}%_!@contoso.example")),
                ..token()
            })
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        let everything = TokenFilter::default();
        let names =
            |rows: Vec<mailgrant::store::token_list::TokenRow>| rows.into_iter().map(|row| row.name.to_string()).collect::<Vec<_>>();
        assert_eq!(
            names(store.tokens_after(&everything, "n09", 3, NOW).await.unwrap()),
            ["n10", "n11", "n12"]
        );
        assert_eq!(
            names(store.tokens_before(&everything, "n10", 3, NOW).await.unwrap()),
            ["n07", "n08", "n09"]
        );
        for (text, count) in [("user1%_!@", 1), ("%", 25), ("USER2", 6), ("n03", 1), ("x'; DROP", 0)] {
            let filter = TokenFilter {
                text: text.into(),
                ..TokenFilter::default()
            };
            assert_eq!(store.count_tokens(&filter, 100, NOW).await.unwrap(), count, "{text}");
        }
        let other = TokenFilter {
            provider: "fabrikam".into(),
            ..TokenFilter::default()
        };
        assert_eq!(store.count_tokens(&other, 100, NOW).await.unwrap(), 0);
    }
}
