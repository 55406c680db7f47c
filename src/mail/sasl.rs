//! SASL messages: PLAIN (RFC 4616), XOAUTH2 (Google's), OAUTHBEARER (RFC 7628), which of them to use, and the documents servers
//! give as the reason when a token is refused.

use super::error::MailError;
use super::{Login, checked};
use crate::model::mailbox::Endpoint;
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Servers are not careful about padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How we sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// A token, as Google and Microsoft began it.
    XOAuth2,
    /// A token, as the standard has it.
    OAuthBearer,
    /// A name and a password in one message.
    Plain,
    /// A name and a password in two: AUTH LOGIN of SMTP, the LOGIN command of IMAP.
    Login,
}

impl Mechanism {
    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The best mechanism for this sign-in among those the server offers. A token is never sent as a password (TLS-4).
    pub fn choose(login: &Login, host: &str, offered: &[String]) -> Result<Self, MailError> {
        let order: &[Self] = match login {
            Login::OAuth2 { .. } if is_microsoft(host) => &[Self::XOAuth2, Self::OAuthBearer],
            Login::OAuth2 { .. } => &[Self::OAuthBearer, Self::XOAuth2],
            Login::Password { .. } => &[Self::Plain, Self::Login],
            Login::None => return Err(MailError::NoLogin),
        };
        let offers = |mechanism: &Self| offered.iter().any(|name| name.eq_ignore_ascii_case(mechanism.as_str()));
        order.iter().copied().find(offers).ok_or_else(|| MailError::MechanismMissing {
            wanted: match login {
                Login::Password { .. } => "AUTH=PLAIN",
                _ => "AUTH=XOAUTH2",
            },
            offered: if offered.is_empty() {
                "no AUTH mechanism".to_owned()
            } else {
                offered.join(" ")
            },
        })
    }

    /// What answers an error document, so that the server goes on to its refusal.
    pub fn dummy(self) -> &'static [u8] {
        match self {
            Self::OAuthBearer => b"\x01",
            _ => b"",
        }
    }

    /// The message that signs in. Nothing that could break out of it gets in (INJ-2).
    pub fn message(self, login: &Login, endpoint: &Endpoint) -> Result<Zeroizing<Vec<u8>>, MailError> {
        let message = match (self, login) {
            (Self::XOAuth2, Login::OAuth2 { user, token }) => {
                let (user, token) = (checked("user name", user)?, bearer(token.expose_secret())?);
                format!("user={user}\x01auth=Bearer {token}\x01\x01")
            }
            (Self::OAuthBearer, Login::OAuth2 { user, token }) => {
                let (user, token) = (checked("user name", user)?, bearer(token.expose_secret())?);
                let user = user.replace('=', "=3D").replace(',', "=2C");
                let (host, port) = (checked("server name", &endpoint.host)?, endpoint.port);
                format!("n,a={user},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01")
            }
            (Self::Plain, Login::Password { user, password }) => {
                let user = checked("user name", user)?;
                let password = checked("password", password.expose_secret())?;
                format!("\0{user}\0{password}")
            }
            _ => return Err(MailError::NoLogin),
        };
        Ok(Zeroizing::new(message.into_bytes()))
    }
}

/// The token, if it is made of what tokens are made of (RFC 6750, 2.1).
fn bearer(token: &str) -> Result<&str, MailError> {
    if !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(token)
    } else {
        Err(MailError::Unsendable { what: "access token" })
    }
}

/// The document inside a challenge: JSON in base64, or whatever came.
pub fn document(challenge: &str) -> String {
    LENIENT
        .decode(challenge.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| challenge.trim().to_owned())
}

/// Whether the server is one of Microsoft's, which know XOAUTH2 only.
pub fn is_microsoft(host: &str) -> bool {
    const DOMAINS: [&str; 8] = [
        "office365.com",
        "office.com",
        "outlook.com",
        "office365.us",
        "outlook.us",
        "outlook.cn",
        "hotmail.com",
        "live.com",
    ];
    let host = host.to_ascii_lowercase();
    DOMAINS
        .iter()
        .any(|domain| host.strip_suffix(domain).is_some_and(|head| head.is_empty() || head.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mailbox::Security;
    use crate::secret::{AccessToken, Password};
    use base64::engine::general_purpose::STANDARD;

    fn endpoint() -> Endpoint {
        Endpoint {
            host: "imap.gmail.com".to_owned(),
            port: 993,
            security: Security::Tls,
        }
    }

    fn token(user: &str, token: &str) -> Login {
        Login::OAuth2 {
            user: user.to_owned(),
            token: AccessToken::new(token),
        }
    }

    fn offered(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn messages_are_those_of_the_specifications() {
        let login = token("support@contoso.com", "EXAMPLE.ACCESS.TOKEN");
        assert_eq!(
            STANDARD.encode(Mechanism::XOAuth2.message(&login, &endpoint()).unwrap()),
            "dXNlcj1zdXBwb3J0QGNvbnRvc28uY29tAWF1dGg9QmVhcmVyIEVYQU1QTEUuQUNDRVNTLlRPS0VOAQE="
        );
        assert_eq!(
            STANDARD.encode(Mechanism::OAuthBearer.message(&login, &endpoint()).unwrap()),
            "bixhPXN1cHBvcnRAY29udG9zby5jb20sAWhvc3Q9aW1hcC5nbWFpbC5jb20BcG9ydD05OTMBYXV0aD1CZWFyZXIgRVhBTVBMRS5BQ0NFU1MuVE9LRU4BAQ=="
        );
        let odd = Mechanism::OAuthBearer.message(&token("a,b=c@x.test", "t"), &endpoint()).unwrap();
        assert!(odd.starts_with(b"n,a=a=2Cb=3Dc@x.test,\x01"));
        let password = Login::Password {
            user: "tim".to_owned(),
            password: Password::new("tanstaaftanstaaf"),
        };
        assert_eq!(
            **Mechanism::Plain.message(&password, &endpoint()).unwrap(),
            *b"\0tim\0tanstaaftanstaaf"
        );
    }

    #[test]
    fn nothing_breaks_out_of_a_message() {
        for user in ["a\r\nA1 LOGOUT", "a\x01auth=Bearer x", "a\0b", "a\nb", ""] {
            for mechanism in [Mechanism::XOAuth2, Mechanism::OAuthBearer] {
                assert!(mechanism.message(&token(user, "t"), &endpoint()).is_err(), "{user:?}");
            }
        }
        for bad in ["t\r\n", "t t", "t\x01", "", "tö"] {
            assert!(Mechanism::XOAuth2.message(&token("a", bad), &endpoint()).is_err(), "{bad:?}");
        }
        let password = Login::Password {
            user: "a".to_owned(),
            password: Password::new("x\0y"),
        };
        assert!(Mechanism::Plain.message(&password, &endpoint()).is_err());
    }

    #[test]
    fn the_mechanism_follows_what_the_server_offers() {
        let login = token("a@x.test", "t");
        let choose = |host: &str, names: &str| Mechanism::choose(&login, host, &offered(names));
        assert_eq!(choose("outlook.office365.com", "PLAIN XOAUTH2").unwrap(), Mechanism::XOAuth2);
        assert_eq!(choose("smtp.office365.com", "OAUTHBEARER xoauth2").unwrap(), Mechanism::XOAuth2);
        assert_eq!(
            choose("imap.gmail.com", "XOAUTH2 OAUTHBEARER PLAIN").unwrap(),
            Mechanism::OAuthBearer
        );
        assert_eq!(choose("imap.corp.test", "XOAUTH2").unwrap(), Mechanism::XOAuth2);
        let error = choose("imap.corp.test", "PLAIN LOGIN").unwrap_err();
        assert_eq!(error.own_id(), Some("console-mechanism-not-offered"));
        assert_eq!(error.to_string(), "AUTH=XOAUTH2 not offered; it offers: PLAIN LOGIN");
        assert!(!is_microsoft("notoffice365.com") && is_microsoft("partner.outlook.cn"));
    }

    #[test]
    fn documents_are_read_whatever_their_padding() {
        let json = r#"{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}"#;
        let coded = STANDARD.encode(json);
        assert_eq!(document(&coded), json);
        assert_eq!(document(coded.trim_end_matches('=')), json);
        assert_eq!(document("not base64!"), "not base64!");
    }
}
