//! Microsoft's admin consent (learn.microsoft.com/entra/identity-platform/v2-admin-consent): the address to send an admin to, and what
//! comes back from there. A refusal carries `admin_consent=True` too, so that flag alone says nothing; nor does `tenant` allow anything.

use super::callback::{CallbackError, Declined};
use super::error::{Incomplete, OAuthError};
use super::http::check_url;
use super::response::shortened;
use super::{CallbackParams, Client};
use crate::secret::Nonce;

/// Longest query of a return that is looked at.
const LONGEST_QUERY: usize = 16 * 1024;
/// Longest text of a stranger that is kept, in characters.
const LONGEST_TEXT: usize = 300;
/// Longest list of scopes that is looked at, in octets.
const LONGEST_SCOPES: usize = 8 * 1024;

/// The address of the provider's consent page for admins.
pub fn address(client: &Client<'_>, scopes: &[String], redirect_uri: &str, state: &Nonce) -> Result<String, OAuthError> {
    if client.provider.client_id.is_empty() {
        return Err(OAuthError::Incomplete(Incomplete::ClientId));
    }
    let page = client.endpoints.admin_consent_url.as_deref();
    let page = page.ok_or(OAuthError::Incomplete(Incomplete::AuthorizeUrl))?;
    let mut url = check_url(page).map_err(|why| OAuthError::address(page, why))?;
    // Microsoft takes a directory or `organizations` here, never `common`.
    if let Some(rest) = url.path().strip_prefix("/common/") {
        let path = format!("/organizations/{rest}");
        url.set_path(&path);
    }
    url.query_pairs_mut()
        .append_pair("client_id", &client.provider.client_id)
        .append_pair("scope", &client.join_scopes(scopes))
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("state", state.expose_secret());
    Ok(url.into())
}

/// What a browser brought back to the consent return address.
#[derive(Debug, Clone)]
pub struct ConsentParams {
    /// `state`, to look the attempt up by.
    pub state: Nonce,
    /// The directory the admin says to be of: for words only.
    pub tenant: Option<String>,
    /// What was consented to, as the provider lists it.
    pub scopes: Vec<String>,
    error: Option<CallbackParams>,
    flag: bool,
}

impl ConsentParams {
    /// Takes a query string apart. A parameter that comes twice is refused.
    pub fn parse(query: &str) -> Result<Self, CallbackError> {
        const NAMES: [&str; 6] = ["state", "admin_consent", "tenant", "scope", "error", "error_description"];
        if query.len() > LONGEST_QUERY {
            return Err(CallbackError::TooLong);
        }
        let mut seen: [Option<String>; NAMES.len()] = Default::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if let Some(at) = NAMES.iter().position(|known| *known == name)
                && seen[at].replace(value.into_owned()).is_some()
            {
                return Err(CallbackError::Doubled(NAMES[at]));
            }
        }
        let [state, flag, tenant, scope, error, description] = seen.map(|value| value.filter(|text| !text.is_empty()));
        let state = state.map(Nonce::new).ok_or(CallbackError::NoState)?;
        let error = error.map(|error| CallbackParams {
            error: Some(error.chars().filter(|c| matches!(c, ' '..='~')).take(100).collect()),
            error_description: description.map(|text| shortened(&text, LONGEST_TEXT)),
            ..CallbackParams::default()
        });
        let flag = flag.is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
        if error.is_none() && !flag {
            return Err(CallbackError::Nothing);
        }
        let scope = scope.filter(|scope| scope.len() <= LONGEST_SCOPES).unwrap_or_default();
        Ok(Self {
            state,
            tenant: tenant.map(|tenant| shortened(&tenant, 100)),
            scopes: scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
            error,
            flag,
        })
    }

    /// Why it is no consent; none if it is one.
    pub fn declined(&self) -> Option<Declined> {
        match &self.error {
            Some(error) => error.declined(false).or(Some(Declined::Other)),
            None if self.flag => None,
            None => Some(Declined::Other),
        }
    }

    /// The error as one text, to recognise the cause by.
    pub fn evidence(&self) -> String {
        self.error.as_ref().map(CallbackParams::evidence).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> ConsentParams {
        ConsentParams::parse(query).unwrap()
    }

    #[test]
    fn the_flag_alone_is_no_consent() {
        assert_eq!(parse("state=s&admin_consent=True&tenant=t").declined(), None);
        for (query, means) in [
            ("error=access_denied", Declined::Cancelled),
            (
                "error=access_denied&error_description=AADSTS65004%3A+User+declined",
                Declined::Cancelled,
            ),
            (
                "error=access_denied&error_description=AADSTS90094%3A+admin",
                Declined::AdminApproval,
            ),
            ("error=server_error", Declined::Other),
        ] {
            assert_eq!(
                parse(&format!("state=s&admin_consent=True&{query}")).declined(),
                Some(means),
                "{query}"
            );
        }
        for (query, why) in [
            ("state=s", CallbackError::Nothing),
            ("state=s&admin_consent=False&tenant=t", CallbackError::Nothing),
            ("admin_consent=True", CallbackError::NoState),
            ("state=a&state=b&admin_consent=True", CallbackError::Doubled("state")),
            ("state=a&admin_consent=True&tenant=a&tenant=b", CallbackError::Doubled("tenant")),
        ] {
            assert_eq!(ConsentParams::parse(query).unwrap_err(), why, "{query}");
        }
    }
}
