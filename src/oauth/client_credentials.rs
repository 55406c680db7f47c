//! The app itself (RFC 6749, 4.4): no person, no refresh token; a new access token is asked for with the app's own proof.

use super::error::OAuthError;
use super::http::Http;
use super::{Client, TokenResponse, token_request};

/// Asks for an access token of the app's own. `scopes` go out as they are.
pub async fn client_credentials(http: &Http, client: &Client<'_>, scopes: &[String]) -> Result<TokenResponse, OAuthError> {
    let mut form = vec![("grant_type", "client_credentials".to_owned())];
    if !scopes.is_empty() {
        form.push(("scope", client.join_scopes(scopes)));
    }
    token_request(http, client, form, &[]).await
}
