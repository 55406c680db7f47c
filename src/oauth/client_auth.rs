//! How the client proves itself (RFC 6749, 2.3; RFC 7617 for the header; RFC 7523, 2.2 for the assertion): secret in the body, secret in
//! the header, an assertion in the body, or not at all.

use super::error::{Incomplete, OAuthError};
use super::{Client, Credential, assertion};
use crate::secret::ClientSecret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// Adds the proof to the form, or returns the header that is it.
pub(super) fn prove(client: &Client<'_>, form: &mut Vec<(&'static str, String)>) -> Result<Option<HeaderValue>, OAuthError> {
    let id = client.provider.client_id.as_str();
    if id.is_empty() {
        return Err(OAuthError::Incomplete(Incomplete::ClientId));
    }
    if !matches!(client.proof(), Credential::SecretBasic(_)) {
        form.push(("client_id", id.to_owned()));
    }
    match client.proof() {
        Credential::Public => {}
        Credential::SecretPost(secret) => form.push(("client_secret", secret.expose_secret().to_owned())),
        Credential::SecretBasic(secret) => return basic(id, secret).map(Some),
        // The token address is who it is for, also where another address is asked: it names the server (RFC 7523, 3).
        Credential::Certificate(signer) => {
            form.push(("client_assertion_type", assertion::TYPE.to_owned()));
            form.push(("client_assertion", signer.sign(id, client.token_url()?)?));
        }
        Credential::Missing => return Err(OAuthError::Incomplete(Incomplete::Secret)),
    }
    Ok(None)
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
