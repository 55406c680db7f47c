//! What kind of thing is wrong: an entry of the catalogue belongs to one family, and whole families can be ruled out.

use crate::model::words;

words!(
    /// A kind of cause.
    Family {
        /// Name lookup, connection, whatever stands between.
        Network = "network",
        /// Encryption and the server's certificate.
        Tls = "tls",
        /// A clock that is wrong.
        Clock = "clock",
        /// The app's own secret, certificate or key.
        Secret = "secret",
        /// The app's registration, its tenant, its addresses.
        App = "app",
        /// Nobody has consented, or somebody refused.
        Consent = "consent",
        /// A rule of the organisation: second factor, managed devices, allowed apps.
        Policy = "policy",
        /// The sign-in no longer counts, or never came about.
        SignIn = "sign_in",
        /// The wrong account.
        Account = "account",
        /// An account that can't be used: locked, switched off, without a mailbox.
        Disabled = "disabled",
        /// A permission the token lacks.
        Permission = "permission",
        /// A token that is for another service.
        Audience = "audience",
        /// An access token that ended or can't be read.
        Token = "token",
        /// A mailbox that isn't there or isn't opened to this identity.
        Mailbox = "mailbox",
        /// A protocol that is turned off.
        ProtocolOff = "protocol_off",
        /// A password where none is taken, or a wrong one.
        Password = "password",
        /// Too much, too fast, too large.
        Limit = "limit",
        /// A sender, a recipient or a message that is refused.
        Message = "message",
        /// Trouble at the other side that passes.
        Outage = "outage",
        /// A mail server that works in another way than the settings say.
        Server = "server",
        /// A request that is wrong in itself.
        Request = "request",
        /// This console.
        Console = "console",
    }
);

impl Family {
    /// How *Ruled out* names it; none for what is never ruled out.
    pub const fn ruled_out(self) -> Option<&'static str> {
        Some(match self {
            Self::Network => "network",
            Self::Tls => "encryption",
            Self::Clock => "clock",
            Self::Secret => "client secret",
            Self::SignIn => "ended sign-in",
            Self::Account => "wrong account",
            Self::Permission => "missing permission",
            Self::Audience => "token for another service",
            Self::Token => "expired token",
            Self::Password => "user name and password",
            _ => return None,
        })
    }
}
