//! Revocation (RFC 7009): telling the provider that a sign-in is over. Deleting what is stored here happens anyway.

use super::error::{MalformedKind, OAuthError};
use super::http::Http;
use super::mask::Mask;
use super::response::document;
use super::{Client, client_auth};
use crate::secret::{AccessToken, RefreshToken};

/// What came of telling the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The provider took it back, or it was over already.
    Revoked,
    /// The provider has no such call; Microsoft has none.
    NotOffered,
}

/// Revokes the refresh token, which ends the grant, and then the access token, which some servers would let live on.
pub async fn revoke(
    http: &Http,
    client: &Client<'_>,
    refresh: Option<&RefreshToken>,
    access: Option<&AccessToken>,
) -> Result<Revocation, OAuthError> {
    let Some(url) = client.endpoints.revocation_url.clone() else {
        return Ok(Revocation::NotOffered);
    };
    let tokens = [
        (refresh.map(RefreshToken::expose_secret), "refresh_token"),
        (access.map(AccessToken::expose_secret), "access_token"),
    ];
    for (token, kind) in tokens {
        if let Some(token) = token {
            revoke_one(http, client, &url, token, kind).await?;
        }
    }
    Ok(Revocation::Revoked)
}

async fn revoke_one(http: &Http, client: &Client<'_>, url: &str, token: &str, kind: &str) -> Result<(), OAuthError> {
    let mut form = vec![("token", token.to_owned()), ("token_type_hint", kind.to_owned())];
    let proof = client_auth::prove(client, &mut form)?;
    let mask = Mask::new([token], client);
    let exchange = http.post_form(url, &form, proof).await?;
    match document(&exchange, &mask) {
        Ok(_) => Ok(()),
        Err(OAuthError::Refused(refused)) if is_over(&refused.error, kind) => Ok(()),
        Err(OAuthError::Malformed(answer)) if (200..300).contains(&answer.status) && answer.kind != MalformedKind::Html => {
            // 2.2: the status alone counts. A web page under 200 is somebody else's answer, though.
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Words for a token that is dead already (Google's), or that can't be revoked by itself: its refresh token was, just before.
fn is_over(error: &str, kind: &str) -> bool {
    error == "invalid_token" || (error == "unsupported_token_type" && kind == "access_token")
}
