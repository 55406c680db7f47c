//! With a user name and a password (RFC 6749, 4.3): the last resort, for accounts without a second factor.

use super::error::OAuthError;
use super::http::Http;
use super::{Client, TokenResponse, token_request};
use crate::secret::Password;

/// Asks for tokens of `user`. `scopes` go out as they are.
pub async fn with_password(
    http: &Http,
    client: &Client<'_>,
    user: &str,
    password: &Password,
    scopes: &[String],
) -> Result<TokenResponse, OAuthError> {
    let mut form = vec![
        ("grant_type", "password".to_owned()),
        ("username", user.to_owned()),
        ("password", password.expose_secret().to_owned()),
    ];
    if !scopes.is_empty() {
        form.push(("scope", client.join_scopes(scopes)));
    }
    token_request(http, client, form, &[password.expose_secret()]).await
}
