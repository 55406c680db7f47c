//! What becomes of a provider's tokens when its secrets go to another server (SEC-8).

use crate::model::provider::Provider;
use crate::model::token::GrantType;
use crate::store::StoreError;
use crate::web::WebState;

/// The tokens of a provider that hold something which is not taken to a new destination.
pub(super) struct Moving {
    /// Those that somebody signed in for.
    pub people: i64,
    /// Those with a stored password.
    pub passwords: i64,
    /// Those that the app or a service account gets by itself.
    pub own: i64,
}

impl Moving {
    /// Counts them; none where there are none.
    pub async fn of(web: &WebState, provider: &Provider) -> Result<Option<Self>, StoreError> {
        let mut moving = Self {
            people: 0,
            passwords: 0,
            own: 0,
        };
        for token in web.app.store.tokens_of(&provider.id).await? {
            match token.grant {
                GrantType::Password => moving.passwords += 1,
                GrantType::ClientCredentials | GrantType::JwtBearer => moving.own += 1,
                GrantType::AuthorizationCode | GrantType::DeviceCode => {
                    moving.people += i64::from(web.app.store.grant(&token.id).await?.is_some());
                }
            }
        }
        Ok((moving.people + moving.passwords + moving.own > 0).then_some(moving))
    }

    /// What becomes of them, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let some = |count: i64, one: &str, more: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {more}")),
        };
        [
            some(
                self.people,
                "signed-in token of this provider needs a new sign-in afterwards, and the mailboxes that use it stop until then.",
                "signed-in tokens of this provider need a new sign-in afterwards, and the mailboxes that use them stop until then.",
            ),
            some(
                self.passwords,
                "token needs its password again: enter it on the token's form.",
                "tokens need their passwords again: enter them on each token's form.",
            ),
            some(
                self.own,
                "token needs no sign-in: it is got anew with the secret, certificate or key you enter for the new addresses.",
                "tokens need no sign-in: they are got anew with the secret, certificate or key you enter for the new addresses.",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
