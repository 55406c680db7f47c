//! The pair of codes of a sign-in at another device, as it is kept.

use crate::actions::place;
use crate::app::App;
use crate::model::provider::Provider;
use crate::model::token::Authorization;
use crate::oauth::DeviceCode;
use crate::secret::Nonce;
use crate::vault::VaultError;

/// What a person needs to sign in elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes {
    /// What to type in.
    pub user_code: String,
    /// Where.
    pub address: String,
    /// The same with the code filled in.
    pub complete: Option<String>,
}

/// One line each; none of them can hold a line break.
pub(super) fn to_text(code: &DeviceCode) -> String {
    let complete = code.complete.as_deref().unwrap_or_default();
    let secret = code.device_code.expose_secret();
    format!("{secret}\n{}\n{}\n{complete}", code.user_code, code.verification_uri)
}

/// What to ask with, and what the person needs.
pub(super) fn open(app: &App, provider: &Provider, attempt: &Authorization) -> Result<(Nonce, Codes), VaultError> {
    let place_of = provider.destination();
    let text = app.vault.open(&place::authorization(&attempt.id, &place_of), &attempt.sealed)?;
    let mut lines = text.split('\n');
    let (Some(secret), Some(user_code), Some(address), Some(complete)) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
        return Err(VaultError::Form);
    };
    let codes = Codes {
        user_code: user_code.to_owned(),
        address: address.to_owned(),
        complete: Some(complete.to_owned()).filter(|complete| !complete.is_empty()),
    };
    Ok((Nonce::new(secret), codes))
}

/// What the person needs for a sign-in that waits. None once the provider goes elsewhere.
pub fn codes(app: &App, provider: &Provider, attempt: &Authorization) -> Option<Codes> {
    open(app, provider, attempt).ok().map(|(_, codes)| codes)
}
