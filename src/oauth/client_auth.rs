//! How the client proves itself (RFC 6749, 2.3; RFC 7617 for the header): secret in the body, secret in the header, or not at all.

use super::Client;
use super::error::{Incomplete, OAuthError};
use crate::model::provider::ClientAuth;
use crate::secret::ClientSecret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// Adds the proof to the form, or returns the header that is it. A public client sends its id alone, whatever is stored.
pub(super) fn prove(client: &Client<'_>, form: &mut Vec<(&'static str, String)>) -> Result<Option<HeaderValue>, OAuthError> {
    let id = client.provider.client_id.as_str();
    if id.is_empty() {
        return Err(OAuthError::Incomplete(Incomplete::ClientId));
    }
    match client.provider.client_auth {
        ClientAuth::None => {
            form.push(("client_id", id.to_owned()));
            Ok(None)
        }
        ClientAuth::SecretPost => {
            let secret = secret(client)?;
            form.push(("client_id", id.to_owned()));
            form.push(("client_secret", secret.expose_secret().to_owned()));
            Ok(None)
        }
        ClientAuth::SecretBasic => basic(id, secret(client)?).map(Some),
    }
}

fn secret<'c>(client: &'c Client<'_>) -> Result<&'c ClientSecret, OAuthError> {
    client
        .secret
        .as_ref()
        .filter(|s| !s.expose_secret().is_empty())
        .ok_or(OAuthError::Incomplete(Incomplete::Secret))
}

/// Id and secret are form-encoded before they are joined (RFC 6749, 2.3.1 and appendix B): both may hold a colon.
fn basic(id: &str, secret: &ClientSecret) -> Result<HeaderValue, OAuthError> {
    let mut value = HeaderValue::from_str(&format!("Basic {}", basic_text(id, secret.expose_secret())))
        .map_err(|_| OAuthError::Incomplete(Incomplete::Secret))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What stands after `Basic`.
pub(super) fn basic_text(id: &str, secret: &str) -> String {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    STANDARD.encode(format!("{}:{}", encode(id), encode(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_characters_survive_the_header() {
        let decoded = |id, secret| String::from_utf8(STANDARD.decode(basic_text(id, secret)).unwrap()).unwrap();
        assert_eq!(decoded("app", "abc8Q~x"), "app:abc8Q%7Ex");
        assert_eq!(decoded("a:b", "p%:+ &=ä"), "a%3Ab:p%25%3A%2B+%26%3D%C3%A4");
    }
}
