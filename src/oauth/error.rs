//! What went wrong with a provider, and what that means for the token that is stored (OAUTH-11): only few answers mean that a person
//! must act, a few that the app itself is broken, and everything else is transient and never destroys a token.

use crate::gate::GateError;
use crate::secret::RefreshToken;
use std::time::Duration;

/// What a failure means for the stored token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A person must sign in or consent again.
    UserMustAct,
    /// The provider refuses the app itself: one problem of the app, not one of each token.
    AppBroken,
    /// Anything else: tried again, nothing is lost.
    Transient,
}

/// A failed exchange with a provider. Holds no secret: texts of the provider are masked before they get here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OAuthError {
    /// No answer came, or only a part of one. Whether the request arrived is not known.
    #[error(transparent)]
    Unreachable(Unreachable),
    /// The gate let nothing through, so nothing was sent.
    #[error(transparent)]
    Destination(GateError),
    /// Plain http to another machine, or to this one where that isn't allowed; nothing was sent.
    #[error(
        "http:// to {host} is refused; it is for this machine only, where the setting allow_networks (MAILGRANT_ALLOW_NETWORKS) has loopback"
    )]
    Plain {
        /// Whom we would have asked.
        host: String,
    },
    /// The address can't be used, so nothing was sent.
    #[error("{url} can't be used: {why}")]
    Address {
        /// The address, without its query.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The provider said no, in the form RFC 6749, 5.2, gives it.
    #[error(transparent)]
    Refused(Box<Refused>),
    /// The answer is none we can use.
    #[error(transparent)]
    Malformed(Malformed),
    /// The provider's record lacks something, so nothing was sent.
    #[error("{0}")]
    Incomplete(Incomplete),
}

/// No answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} was not reached: {reason}")]
pub struct Unreachable {
    /// Whom we asked.
    pub host: String,
    /// At which point it ended.
    pub how: Unreached,
    /// The words of the operating system, the TLS library or the name service.
    pub reason: String,
}

/// At which point it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreached {
    /// The name has no address, or the name service has trouble.
    Name,
    /// No connection.
    Connection,
    /// A connection, but no TLS we trust.
    Tls,
    /// A connection to something that doesn't speak TLS.
    NotTls,
    /// No complete answer in time.
    Timeout,
    /// The connection ended before the answer did.
    Lost,
}

/// The provider said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} refused with HTTP {status}: {error}{}", codes(.error_codes))]
pub struct Refused {
    /// Who.
    pub host: String,
    /// HTTP status; 200 happens.
    pub status: u16,
    /// `error`: a word of RFC 6749 or the provider's own.
    pub error: String,
    /// `error_description`, at most 2,000 characters.
    pub description: String,
    /// Microsoft's numbers: 700082 for AADSTS700082.
    pub error_codes: Vec<u64>,
    /// `suberror` (Microsoft) or `error_subtype` (Google).
    pub suberror: Option<String>,
    /// Microsoft's trace id, for its support.
    pub trace_id: Option<String>,
    /// Microsoft's correlation id, for its support.
    pub correlation_id: Option<String>,
    /// Address of an explanation; shown as text only.
    pub error_uri: Option<String>,
    /// The whole document as it came, secrets removed, at most 8 KiB.
    pub document: String,
    /// How long to wait.
    pub retry_after: Option<Duration>,
}

fn codes(codes: &[u64]) -> String {
    codes.iter().map(|code| format!(" AADSTS{code}")).collect()
}

/// The answer is none we can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} answered with HTTP {status}: {kind}")]
pub struct Malformed {
    /// Who.
    pub host: String,
    /// HTTP status; 0 where there was none.
    pub status: u16,
    /// What is wrong with it.
    pub kind: MalformedKind,
    /// How long to wait.
    pub retry_after: Option<Duration>,
    /// The refresh token it brought all the same: the one it replaces may be used up.
    pub salvage: Option<Salvage>,
}

/// A refresh token out of an answer that is of no other use.
#[derive(Debug, Clone)]
pub struct Salvage(pub RefreshToken);

impl PartialEq for Salvage {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Salvage {}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKind {
    /// HTML.
    #[error("a web page instead of JSON (captive portal or proxy?)")]
    Html,
    /// Nothing.
    #[error("an empty body")]
    Empty,
    /// A redirect; never followed.
    #[error("a redirect to {0}, which was not followed")]
    Redirect(String),
    /// More than we read.
    #[error("more than 256 KiB")]
    TooBig,
    /// More header fields than we read.
    #[error("too many header fields")]
    TooManyHeaders,
    /// Not HTTP at all.
    #[error("something that is not HTTP")]
    NotHttp,
    /// Neither JSON nor a web page.
    #[error("something that is not a JSON object")]
    NotJson,
    /// Nested beyond reason.
    #[error("JSON that nests too deep")]
    TooDeep,
    /// An error status without the document that explains it.
    #[error("no OAuth error document")]
    NoDocument,
    /// A member of the answer is missing or can't be used.
    #[error("{0} {1}")]
    Member(&'static str, &'static str),
}

/// What the provider's record lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// No client secret is stored, and this client needs one.
    #[error("no client secret is stored")]
    Secret,
    /// No client id.
    #[error("the provider has no client id")]
    ClientId,
    /// No token endpoint.
    #[error("the provider has no token address")]
    TokenUrl,
    /// No authorization endpoint.
    #[error("the provider has no authorize address")]
    AuthorizeUrl,
    /// No device authorization endpoint.
    #[error("the provider has no device address")]
    DeviceUrl,
}

impl From<GateError> for OAuthError {
    fn from(error: GateError) -> Self {
        Self::from_gate("", error)
    }
}

impl OAuthError {
    /// A name without address is an unreachable provider; a forbidden destination is not.
    pub(super) fn from_gate(host: &str, error: GateError) -> Self {
        match &error {
            GateError::NotFound { host: name } | GateError::NameServer { host: name } | GateError::Timeout { host: name } => {
                Self::Unreachable(Unreachable {
                    host: if host.is_empty() { name.clone() } else { host.to_owned() },
                    how: Unreached::Name,
                    reason: error.to_string(),
                })
            }
            GateError::Forbidden { .. } | GateError::Outside { .. } | GateError::PortForbidden { .. } => Self::Destination(error),
        }
    }

    pub(super) fn address(url: &str, why: impl Into<String>) -> Self {
        Self::Address {
            url: url.split(['?', '#']).next().unwrap_or_default().chars().take(200).collect(),
            why: why.into(),
        }
    }

    /// What it means for the stored token (OAUTH-11).
    pub fn class(&self) -> Class {
        match self {
            Self::Refused(refused) => refused.class(),
            Self::Incomplete(_) => Class::AppBroken,
            Self::Unreachable(_) | Self::Destination(_) | Self::Plain { .. } | Self::Address { .. } | Self::Malformed(_) => {
                Class::Transient
            }
        }
    }

    /// Whether the provider refused what the app proves itself with, and so did nothing else.
    pub fn is_of_the_client(&self) -> bool {
        matches!(self, Self::Refused(refused) if ["invalid_client", "invalid_client_secret"].contains(&refused.error.as_str()))
    }

    /// Whether it is tried again without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        self.class() == Class::Transient
    }

    /// Whether the provider may have acted on the request although no usable answer came (`security.md`, section 3, step 5).
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Unreachable(unreachable) => matches!(unreachable.how, Unreached::Timeout | Unreached::Lost),
            Self::Malformed(malformed) => malformed.status < 300 || malformed.status >= 500,
            _ => false,
        }
    }

    /// Whether it is the server that can't answer anybody now, rather than this one request that failed.
    pub fn is_of_the_server(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Malformed(malformed) => malformed.status >= 500,
            Self::Refused(refused) => refused.status == 429 || refused.status >= 500,
            _ => false,
        }
    }

    /// The refresh token that an otherwise useless answer brought, if it is another than the one that was `used`.
    pub fn refresh_token(&self, used: &RefreshToken) -> Option<&RefreshToken> {
        match self {
            Self::Malformed(Malformed {
                salvage: Some(Salvage(new)),
                ..
            }) => Some(new).filter(|new| new.expose_secret() != used.expose_secret()),
            _ => None,
        }
    }

    /// How long the provider wants to be left alone, at most an hour.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refused) => refused.retry_after,
            Self::Malformed(malformed) => malformed.retry_after,
            _ => None,
        }
    }

    /// The catalogue's id where we know the cause without a text; else the [`evidence`](Self::evidence) tells.
    pub fn own_id(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable(Unreachable { how: Unreached::Lost, .. }) => Some("console-provider-unreachable"),
            // The catalogue's words for names are about mail servers.
            Self::Unreachable(Unreachable { how: Unreached::Name, .. }) => Some("console-provider-name"),
            Self::Unreachable(_) | Self::Refused(_) => None,
            Self::Incomplete(Incomplete::Secret) => Some("console-secret-missing"),
            Self::Incomplete(_) => None,
            Self::Destination(GateError::PortForbidden { .. }) => Some("console-port-refused"),
            Self::Destination(_) => Some("console-destination-refused"),
            Self::Plain { .. } => Some("console-plain-refused"),
            Self::Address { .. } => None,
            Self::Malformed(malformed) if malformed.status == 429 || malformed.status >= 500 => Some("console-provider-busy"),
            Self::Malformed(malformed) => Some(match malformed.kind {
                MalformedKind::Html => "console-provider-html",
                MalformedKind::Empty => "console-provider-empty",
                MalformedKind::Redirect(_) => "console-provider-redirect",
                _ => "console-provider-malformed",
            }),
        }
    }

    /// The text to recognise the cause by, and to show: the provider's document, or the words of the system. No secrets.
    pub fn evidence(&self) -> String {
        match self {
            Self::Unreachable(unreachable) => unreachable.reason.clone(),
            Self::Refused(refused) => refused.document.clone(),
            other => other.to_string(),
        }
    }
}

/// Words that ask for a person.
const USER_MUST_ACT: [&str; 4] = ["invalid_grant", "interaction_required", "consent_required", "login_required"];
/// Words that are about the app. The last two are Google's for a client that was deleted or turned off.
const APP_BROKEN: [&str; 4] = ["invalid_client", "unauthorized_client", "deleted_client", "disabled_client"];
/// Microsoft's number for a client secret that has run out.
const SECRET_EXPIRED: u64 = 7_000_222;

impl Refused {
    /// Microsoft says its numbers may change and `error` is for control flow; an expired secret is the one exception, because
    /// several words go with it.
    fn class(&self) -> Class {
        let error = self.error.as_str();
        if self.error_codes.contains(&SECRET_EXPIRED) || APP_BROKEN.contains(&error) {
            Class::AppBroken
        } else if USER_MUST_ACT.contains(&error) {
            Class::UserMustAct
        } else {
            Class::Transient
        }
    }

    /// Whether this word decides the class.
    pub(super) fn is_known(error: &str) -> bool {
        USER_MUST_ACT.contains(&error) || APP_BROKEN.contains(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: &str, codes: &[u64]) -> OAuthError {
        OAuthError::Refused(Box::new(Refused {
            host: "login.example".into(),
            status: 400,
            error: error.into(),
            description: String::new(),
            error_codes: codes.to_vec(),
            suberror: None,
            trace_id: None,
            correlation_id: None,
            error_uri: None,
            document: String::new(),
            retry_after: None,
        }))
    }

    #[test]
    fn only_four_words_ask_for_a_person() {
        for word in ["invalid_grant", "interaction_required", "consent_required", "login_required"] {
            assert_eq!(refused(word, &[]).class(), Class::UserMustAct, "{word}");
        }
        for word in ["invalid_client", "unauthorized_client"] {
            assert_eq!(refused(word, &[]).class(), Class::AppBroken, "{word}");
        }
        for word in [
            "invalid_request",
            "invalid_scope",
            "unsupported_grant_type",
            "temporarily_unavailable",
            "server_error",
            "access_denied",
            "slow_down",
            "invalid_code",
            "",
            "INVALID_GRANT",
        ] {
            assert_eq!(refused(word, &[]).class(), Class::Transient, "{word}");
        }
        assert_eq!(refused("invalid_request", &[7_000_222]).class(), Class::AppBroken, "expired secret");
    }

    #[test]
    fn an_error_names_the_provider_and_the_code() {
        assert_eq!(
            refused("invalid_grant", &[700_082]).to_string(),
            "login.example refused with HTTP 400: invalid_grant AADSTS700082"
        );
    }
}
