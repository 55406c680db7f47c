//! Newtypes for everything that must never be printed: no `Debug` of the content, no `Display`, no `Serialize`, wiped on drop.
//!
//! The only way to the content is [`expose_secret`](AccessToken::expose_secret), a name one can search for.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::fmt::Write;
use zeroize::Zeroizing;

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
    /// A password: of a mailbox at its server, or of a person at this console.
    Password
);
secret!(
    /// An authorization code, a PKCE verifier, a nonce, a session id or a setup code: short-lived, and still nobody's business.
    Nonce
);

/// A secret as somebody who throws it back may write it: base64 of something that has it inside, hexadecimal, and with every
/// character percent-encoded. What strangers say is searched for these before any of it is kept.
pub fn disguises(secret: &str) -> Vec<Zeroizing<String>> {
    let mut all = Vec::new();
    for shift in 0..3 {
        let mut bytes = Zeroizing::new(vec![0; shift]);
        bytes.extend_from_slice(secret.as_bytes());
        // Only the digits that the secret alone decides: its neighbours share the first and the last.
        let (from, to) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&*bytes), URL_SAFE_NO_PAD.encode(&*bytes)] {
            let encoded = Zeroizing::new(encoded);
            all.push(Zeroizing::new(encoded.get(from..to).unwrap_or_default().to_owned()));
        }
    }
    for before in ["", "%"] {
        let (mut small, mut large) = (Zeroizing::new(String::new()), Zeroizing::new(String::new()));
        for byte in secret.bytes() {
            let _ = write!(*small, "{before}{byte:02x}");
            let _ = write!(*large, "{before}{byte:02X}");
        }
        all.extend([small, large]);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disguised_secret_is_known() {
        let secret = "canary?>~z";
        let known = disguises(secret);
        for around in ["", "x", "xx"] {
            let text = STANDARD_NO_PAD.encode(format!("{around}{secret}{around}"));
            assert!(known.iter().any(|form| text.contains(form.as_str())), "{text}");
        }
        for text in [
            URL_SAFE_NO_PAD.encode(secret),
            "63616e6172793f3e7e7a".into(),
            "63616E6172793F3E7E7A".into(),
            "%63%61%6e%61%72%79%3f%3e%7e%7a".into(),
        ] {
            assert!(known.iter().any(|form| text.contains(form.as_str())), "{text}");
        }
    }

    #[test]
    fn a_secret_prints_only_the_name_of_its_type() {
        let secret = AccessToken::new("canary-ey.J.x");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "AccessToken Some(AccessToken)");
        assert_eq!(secret.expose_secret(), "canary-ey.J.x");
    }
}
