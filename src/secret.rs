//! Newtypes for everything that must never be printed: no `Debug` of the content, no `Display`, no `Serialize`, wiped on drop.
//!
//! The only way to the content is [`expose_secret`](AccessToken::expose_secret), a name one can search for.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Takes the text over; the caller's copy is its own affair.
            pub fn new(text: impl Into<String>) -> Self {
                Self(SecretString::from(text.into()))
            }

            /// The content, for the one place that sends it.
            pub fn expose_secret(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

secret!(
    /// An OAuth 2.0 access token (RFC 6749, 1.4).
    AccessToken
);
secret!(
    /// An OAuth 2.0 refresh token (RFC 6749, 1.5).
    RefreshToken
);
secret!(
    /// A client secret of an app registration (RFC 6749, 2.3.1).
    ClientSecret
);
secret!(
    /// The private key of a certificate, PKCS#8 in PEM.
    PrivateKey
);
secret!(
    /// The key file of a service account, as its provider hands it out.
    KeyFile
);
secret!(
    /// A password: of a mailbox at its server, or of a person at this console.
    Password
);
secret!(
    /// An authorization code, a PKCE verifier, a nonce, a session id or a setup code: short-lived, and still nobody's business.
    Nonce
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_only_the_name_of_its_type() {
        let secret = AccessToken::new("canary-ey.J.x");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "AccessToken Some(AccessToken)");
        assert_eq!(secret.expose_secret(), "canary-ey.J.x");
    }
}
