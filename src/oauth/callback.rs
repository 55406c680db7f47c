//! What comes back from a sign-in (RFC 6749, 4.1.2): taken apart, and checked for mix-ups by `iss` (RFC 9207). The redirect address, one
//! per provider, is the other guard.

use super::response::shortened;
use crate::model::lint;
use crate::model::provider::Endpoints;
use crate::secret::Nonce;

/// Longest query of a return that is looked at.
const LONGEST_QUERY: usize = 16 * 1024;
/// Longest `error_description` that is kept, in characters (OAUTH-7).
const LONGEST_DESCRIPTION: usize = 300;

/// What a browser brought back to the redirect address.
#[derive(Debug, Clone, Default)]
pub struct CallbackParams {
    /// The authorization code.
    pub code: Option<Nonce>,
    /// `state`, to look the attempt up by.
    pub state: Option<Nonce>,
    /// The error, if that is what it is: printable ASCII, at most 100 characters.
    pub error: Option<String>,
    /// Its description, one line of at most 300 characters. Text of strangers: escape it.
    pub error_description: Option<String>,
    /// Address of an explanation; show it as text only.
    pub error_uri: Option<String>,
    /// Who says so (RFC 9207).
    pub iss: Option<String>,
    /// Zoho: the server of the data centre the account lives in.
    pub accounts_server: Option<String>,
}

/// Why a return can't be used. Nothing was exchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// A parameter came twice (RFC 6749, 3.1).
    #[error("parameter {0} came twice")]
    Doubled(&'static str),
    /// Longer than any return is.
    #[error("the return is too long")]
    TooLong,
    /// Neither a code nor an error.
    #[error("the return has neither a code nor an error")]
    Nothing,
    /// No `state`.
    #[error("the return has no state")]
    NoState,
    /// Another issuer answered: a mix-up.
    #[error("the answer is from another issuer than the one asked")]
    IssuerDiffers,
    /// The server announced `iss` and the return lacks it.
    #[error("the answer doesn't name its issuer")]
    IssuerMissing,
    /// Zoho: the account lives in another data centre than the provider is set to.
    #[error("the account lives in another data centre: {0}")]
    OtherDataCentre(String),
}

impl CallbackError {
    /// The catalogue's id.
    pub fn own_id(&self) -> &'static str {
        match self {
            Self::IssuerDiffers | Self::IssuerMissing | Self::OtherDataCentre(_) => "console-issuer-mismatch",
            Self::Doubled(_) | Self::TooLong | Self::Nothing | Self::NoState => "console-state-mismatch",
        }
    }
}

/// What an error in a return means for the person who comes back with it (`ux.md`, 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declined {
    /// They, or whoever could have, said no.
    Cancelled,
    /// The organisation lets only admins allow apps.
    AdminApproval,
    /// `prompt=none`, and a page would have been needed.
    PageNeeded,
    /// Anything else: diagnose it.
    Other,
}

impl CallbackParams {
    /// Takes a query string apart. A parameter that comes twice is refused: each side might read another one.
    pub fn parse(query: &str) -> Result<Self, CallbackError> {
        if query.len() > LONGEST_QUERY {
            return Err(CallbackError::TooLong);
        }
        const NAMES: [&str; 7] = ["code", "state", "error", "error_description", "error_uri", "iss", "accounts-server"];
        let mut seen: [Option<String>; NAMES.len()] = Default::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let Some(at) = NAMES.iter().position(|known| *known == name) else {
                continue;
            };
            if seen[at].replace(value.into_owned()).is_some() {
                return Err(CallbackError::Doubled(NAMES[at]));
            }
        }
        let mut take = |name: &str| {
            NAMES
                .iter()
                .position(|n| *n == name)
                .and_then(|at| seen[at].take())
                .filter(|v| !v.is_empty())
        };
        let params = Self {
            code: take("code").map(Nonce::new),
            state: take("state").map(Nonce::new),
            error: take("error").map(|e| e.chars().filter(|c| matches!(c, ' '..='~')).take(100).collect()),
            error_description: take("error_description").map(|d| shortened(&d, LONGEST_DESCRIPTION)),
            error_uri: take("error_uri").map(|u| shortened(&u, LONGEST_DESCRIPTION)),
            iss: take("iss"),
            accounts_server: take("accounts-server"),
        };
        if params.state.is_none() {
            Err(CallbackError::NoState)
        } else if params.code.is_none() && params.error.is_none() {
            Err(CallbackError::Nothing)
        } else {
            Ok(params)
        }
    }

    /// Whether the answer is from the issuer that was asked: compared when named, required when announced, for errors too (OAUTH-4).
    pub fn check_issuer(&self, endpoints: &Endpoints) -> Result<(), CallbackError> {
        match (&self.iss, &endpoints.issuer) {
            (Some(told), Some(expected)) if !same_issuer(expected, told) => return Err(CallbackError::IssuerDiffers),
            (None, _) if endpoints.iss_announced => return Err(CallbackError::IssuerMissing),
            // No issuer configured: the redirect address, one per provider, has to do.
            _ => {}
        }
        match (&self.accounts_server, &endpoints.authority) {
            (Some(told), Some(expected)) if told.trim_end_matches('/') != expected.trim_end_matches('/') => {
                Err(CallbackError::OtherDataCentre(shortened(told, 100)))
            }
            _ => Ok(()),
        }
    }

    /// What the error means, if it is one. `silent`: the provider was asked to show no page.
    pub fn declined(&self, silent: bool) -> Option<Declined> {
        let error = self.error.as_deref()?;
        let description = self.error_description.as_deref().unwrap_or_default();
        let says = |numbers: &[&str]| numbers.iter().any(|n| description.starts_with(&format!("AADSTS{n}:")));
        Some(match error {
            _ if says(&["65004"]) => Declined::Cancelled,
            _ if says(&["90094", "90095"]) => Declined::AdminApproval,
            "admin_policy_enforced" => Declined::AdminApproval,
            "access_denied" if !description.contains("AADSTS") => Declined::Cancelled,
            // With a page shown, Microsoft's number says what stood in the way.
            "consent_required" | "interaction_required" | "login_required" | "account_selection_required"
                if silent || !description.contains("AADSTS") =>
            {
                Declined::PageNeeded
            }
            // They could have consented on the page and may not have.
            _ if says(&["65001"]) => Declined::AdminApproval,
            _ => Declined::Other,
        })
    }

    /// The error as one text, to recognise the cause by.
    pub fn evidence(&self) -> String {
        let error = self.error.as_deref().unwrap_or_default();
        let description = self.error_description.as_deref().unwrap_or_default();
        format!("error={error} {description}").trim_end().to_owned()
    }
}

/// Whether an issuer is the expected one: equal to the letter, or a directory id in the place Microsoft's pattern leaves for it.
pub fn same_issuer(expected: &str, told: &str) -> bool {
    match expected.split_once("{tenantid}") {
        None => told == expected,
        Some((before, after)) => told
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(lint::is_guid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> CallbackParams {
        CallbackParams::parse(query).unwrap()
    }

    #[test]
    fn a_parameter_that_comes_twice_is_refused() {
        for (query, name) in [
            ("code=a&state=s&code=b", "code"),
            ("code=a&state=s&state=t", "state"),
            ("code=a&state=s&iss=x&iss=y", "iss"),
            ("error=a&state=s&error=", "error"),
        ] {
            assert_eq!(CallbackParams::parse(query).unwrap_err(), CallbackError::Doubled(name), "{query}");
        }
        assert!(CallbackParams::parse("code=a&state=s&session_state=1&session_state=2").is_ok());
    }

    #[test]
    fn a_return_has_a_state_and_says_something() {
        assert_eq!(CallbackParams::parse("code=a").unwrap_err(), CallbackError::NoState);
        assert_eq!(CallbackParams::parse("state=a&code=").unwrap_err(), CallbackError::Nothing);
        assert_eq!(CallbackParams::parse(&"x".repeat(20_000)).unwrap_err(), CallbackError::TooLong);
    }

    #[test]
    fn a_strangers_words_are_one_short_line() {
        let description: String = url::form_urlencoded::byte_serialize("ä\r\n<b>".repeat(200).as_bytes()).collect();
        let params = parse(&format!("state=s&error=acc%0aess_d%c3%a9&error_description={description}"));
        assert_eq!(params.error.as_deref(), Some("access_d"));
        let description = params.error_description.unwrap();
        assert_eq!(description.chars().count(), 300);
        assert!(!description.contains(['\r', '\n']));
    }

    #[test]
    fn another_issuer_is_a_mix_up_and_a_promised_one_may_not_be_missing() {
        let expected = |issuer: &str, announced| Endpoints {
            issuer: Some(issuer.to_owned()),
            iss_announced: announced,
            ..Endpoints::default()
        };
        let honest = "https://login.example";
        let from = |iss: &str| parse(&format!("state=s&code=c{iss}"));
        assert_eq!(
            from("&iss=https%3A%2F%2Flogin.example").check_issuer(&expected(honest, true)),
            Ok(())
        );
        assert_eq!(from("").check_issuer(&expected(honest, false)), Ok(()));
        assert_eq!(from("").check_issuer(&expected(honest, true)), Err(CallbackError::IssuerMissing));
        for iss in ["https://evil.example", "https://login.example/", "HTTPS://login.example"] {
            let encoded: String = url::form_urlencoded::byte_serialize(iss.as_bytes()).collect();
            let answer = from(&format!("&iss={encoded}")).check_issuer(&expected(honest, false));
            assert_eq!(answer, Err(CallbackError::IssuerDiffers), "{iss}");
        }
        let error = parse("state=s&error=access_denied&iss=https%3A%2F%2Fevil.example");
        assert_eq!(error.check_issuer(&expected(honest, false)), Err(CallbackError::IssuerDiffers));
    }

    #[test]
    fn microsofts_pattern_takes_a_directory_id_and_nothing_else() {
        let pattern = "https://login.microsoftonline.com/{tenantid}/v2.0";
        assert!(same_issuer(
            pattern,
            "https://login.microsoftonline.com/11112222-bbbb-3333-cccc-4444dddd5555/v2.0"
        ));
        for other in [
            "https://login.microsoftonline.com/evil/../x/v2.0",
            "https://login.microsoftonline.com.evil.example/11112222-bbbb-3333-cccc-4444dddd5555/v2.0",
            "https://login.microsoftonline.com//v2.0",
            pattern,
        ] {
            assert!(!same_issuer(pattern, other), "{other}");
        }
    }

    #[test]
    fn zohos_other_data_centre_gets_no_code() {
        let endpoints = Endpoints {
            authority: Some("https://accounts.zoho.com".into()),
            ..Endpoints::default()
        };
        let from = |server: &str| parse(&format!("state=s&code=c&location=eu&accounts-server={server}")).check_issuer(&endpoints);
        assert_eq!(from("https%3A%2F%2Faccounts.zoho.com"), Ok(()));
        assert_eq!(
            from("https%3A%2F%2Faccounts.zoho.eu"),
            Err(CallbackError::OtherDataCentre("https://accounts.zoho.eu".into()))
        );
    }

    #[test]
    fn coming_back_without_a_sign_in_is_told_apart() {
        let means = |query: &str| parse(&format!("state=s&{query}")).declined(false);
        assert_eq!(means("code=c"), None);
        assert_eq!(means("error=access_denied"), Some(Declined::Cancelled));
        assert_eq!(
            means("error=access_denied&error_description=AADSTS65004%3A+User+declined"),
            Some(Declined::Cancelled)
        );
        assert_eq!(
            means("error=access_denied&error_description=AADSTS90094%3A+admin"),
            Some(Declined::AdminApproval)
        );
        assert_eq!(
            means("error=consent_required&error_description=AADSTS65004%3A+User+declined"),
            Some(Declined::Cancelled)
        );
        assert_eq!(
            means("error=interaction_required&error_description=AADSTS53003%3A+blocked"),
            Some(Declined::Other)
        );
        assert_eq!(means("error=login_required"), Some(Declined::PageNeeded));
        assert_eq!(means("error=server_error"), Some(Declined::Other));
    }
}
