//! What goes wrong next. Tests and the page of the demo turn faults on; each part asks, where it could happen, whether it does.

use crate::model::words;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

words!(
    /// Trouble that can be had.
    Fault {
        /// The app's secret has run out.
        SecretExpired = "secret-expired",
        /// The app's secret is not the one that is stored.
        SecretWrong = "secret-wrong",
        /// The sign-in was taken back.
        RefreshRevoked = "refresh-revoked",
        /// Nobody agreed to what the app asks for.
        ConsentMissing = "consent-missing",
        /// Only an admin may agree.
        AdminConsentNeeded = "admin-consent-needed",
        /// Somebody else than expected signs in.
        WrongAccount = "wrong-account",
        /// The answer of a sign-in has no refresh token.
        NoRefreshToken = "no-refresh-token",
        /// The permission to send is not among those granted.
        MissingScope = "missing-scope",
        /// A policy of the organisation refuses the sign-in.
        PolicyBlocks = "policy-blocks",
        /// The token endpoint answers with a web page.
        TokenHtml = "token-html",
        /// The token endpoint has trouble of its own.
        TokenUnavailable = "token-unavailable",
        /// The servers take a long time.
        Slow = "slow",
        /// The servers take the connection and say nothing.
        Silent = "silent",
        /// The servers hang up before they greet.
        HangsUp = "hangs-up",
        /// The certificate has run out.
        CertificateExpired = "certificate-expired",
        /// The certificate is for another server.
        CertificateWrongName = "certificate-wrong-name",
        /// The certificate is signed by an authority nobody knows.
        CertificateUnknown = "certificate-unknown",
        /// Encryption by STARTTLS is not offered.
        NoStarttls = "no-starttls",
        /// The token is refused at the sign-in.
        TokenRefused = "token-refused",
        /// The mailbox may not be opened with this protocol.
        MailboxDisabled = "mailbox-disabled",
        /// Too many requests.
        Throttled = "throttled",
        /// The token runs out while the folder is opened.
        SessionEnds = "session-ends",
        /// IMAP has trouble of its own.
        ServerUnavailable = "server-unavailable",
        /// The organisation has turned SMTP AUTH off.
        SmtpAuthOff = "smtp-auth-off",
        /// SMTP AUTH is off for this mailbox.
        SmtpAuthOffMailbox = "smtp-auth-off-mailbox",
        /// The account may not send as this address.
        SendAsDenied = "send-as-denied",
        /// The day's limit of recipients is reached.
        DailyLimit = "daily-limit",
        /// The message is larger than the server takes.
        TooLarge = "too-large",
        /// The connection ends in the middle of the message.
        DropsInData = "drops-in-data",
        /// Graph may not be used for this mailbox.
        GraphPolicy = "graph-policy",
    }
);

/// Where a fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// When somebody signs in.
    SignIn,
    /// When a token is fetched or renewed.
    Token,
    /// When a server is connected to.
    Connection,
    /// When mail is read.
    Reading,
    /// When mail is sent.
    Sending,
}

impl Place {
    /// All of them, in the order of a test.
    pub const ALL: [Self; 5] = [Self::SignIn, Self::Token, Self::Connection, Self::Reading, Self::Sending];

    /// A heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::SignIn => "At the next sign-in",
            Self::Token => "When the token is renewed",
            Self::Connection => "At the connection",
            Self::Reading => "When mail is read",
            Self::Sending => "When mail is sent",
        }
    }
}

impl Fault {
    /// Where it shows.
    pub fn place(self) -> Place {
        match self {
            Self::AdminConsentNeeded | Self::WrongAccount | Self::NoRefreshToken => Place::SignIn,
            Self::SecretExpired
            | Self::SecretWrong
            | Self::RefreshRevoked
            | Self::ConsentMissing
            | Self::MissingScope
            | Self::PolicyBlocks
            | Self::TokenHtml
            | Self::TokenUnavailable => Place::Token,
            Self::Slow
            | Self::Silent
            | Self::HangsUp
            | Self::CertificateExpired
            | Self::CertificateWrongName
            | Self::CertificateUnknown
            | Self::NoStarttls => Place::Connection,
            Self::TokenRefused | Self::MailboxDisabled | Self::Throttled | Self::SessionEnds | Self::ServerUnavailable => Place::Reading,
            Self::SmtpAuthOff
            | Self::SmtpAuthOffMailbox
            | Self::SendAsDenied
            | Self::DailyLimit
            | Self::TooLarge
            | Self::DropsInData
            | Self::GraphPolicy => Place::Sending,
        }
    }

    /// What the page calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::SecretExpired => "Client secret has expired",
            Self::SecretWrong => "Client secret is wrong",
            Self::RefreshRevoked => "Sign-in was revoked",
            Self::ConsentMissing => "Consent is missing",
            Self::AdminConsentNeeded => "Admin consent is needed",
            Self::WrongAccount => "Wrong account signs in",
            Self::NoRefreshToken => "No refresh token comes back",
            Self::MissingScope => "Permission to send is missing",
            Self::PolicyBlocks => "Blocked by a policy of the organisation",
            Self::TokenHtml => "Web page instead of an answer",
            Self::TokenUnavailable => "Token service has trouble",
            Self::Slow => "Servers are slow",
            Self::Silent => "Servers stay silent",
            Self::HangsUp => "Servers hang up at once",
            Self::CertificateExpired => "Certificate has expired",
            Self::CertificateWrongName => "Certificate is for another server",
            Self::CertificateUnknown => "Certificate is from an unknown authority",
            Self::NoStarttls => "STARTTLS isn't offered",
            Self::TokenRefused => "Token is refused",
            Self::MailboxDisabled => "Mailbox is closed for this protocol",
            Self::Throttled => "Too many requests",
            Self::SessionEnds => "Token runs out in the middle",
            Self::ServerUnavailable => "Mailbox server is unavailable",
            Self::SmtpAuthOff => "SMTP AUTH is off for the organisation",
            Self::SmtpAuthOffMailbox => "SMTP AUTH is off for the mailbox",
            Self::SendAsDenied => "Not allowed to send as this address",
            Self::DailyLimit => "Daily limit is reached",
            Self::TooLarge => "Message is too large",
            Self::DropsInData => "Connection ends in the middle of the message",
            Self::GraphPolicy => "Graph isn't allowed for this mailbox",
        }
    }

    /// Where a test will show it.
    pub fn shows(self) -> &'static str {
        match self {
            Self::AdminConsentNeeded => "The provider's page says so, and the return comes back refused.",
            Self::WrongAccount => "The sign-in returns for another account than the token is for, and nothing is kept.",
            Self::NoRefreshToken => "The sign-in works, but will end within the hour.",
            Self::SecretExpired
            | Self::SecretWrong
            | Self::RefreshRevoked
            | Self::ConsentMissing
            | Self::PolicyBlocks
            | Self::TokenHtml
            | Self::TokenUnavailable => "Tests fail at the step “token”.",
            Self::MissingScope => "Sending fails at the sign-in of SMTP; reading goes on.",
            Self::Slow => "Tests take their time and warn about it.",
            Self::Silent => "Tests fail at the greeting, after the time limit.",
            Self::HangsUp => "Tests fail at the greeting.",
            Self::CertificateExpired | Self::CertificateWrongName | Self::CertificateUnknown => "Tests fail at the step “tls”.",
            Self::NoStarttls => "Tests over STARTTLS fail there.",
            Self::TokenRefused => "Tests fail at the sign-in.",
            Self::MailboxDisabled => "The sign-in works, opening the folder does not (Gmail refuses the sign-in).",
            Self::Throttled => "Reading fails when the folder is opened, sending at the end, Graph with a waiting time.",
            Self::SessionEnds => "Reading fails when the folder is opened.",
            Self::ServerUnavailable => "Reading fails at the sign-in.",
            Self::SmtpAuthOff | Self::SmtpAuthOffMailbox => "Sending fails at the sign-in.",
            Self::SendAsDenied | Self::DropsInData => "Sending fails after the message.",
            Self::DailyLimit => "Sending fails at the recipient.",
            Self::TooLarge => "Sending fails at the sender.",
            Self::GraphPolicy => "Everything over Graph fails.",
        }
    }
}

/// The faults that are on. All clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<BTreeMap<&'static str, Option<u32>>>>);

impl Faults {
    fn on(&self) -> MutexGuard<'_, BTreeMap<&'static str, Option<u32>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on.
    pub fn turn_on(&self, fault: Fault) {
        self.on().insert(fault.as_str(), None);
    }

    /// So many times.
    pub fn next(&self, fault: Fault, times: u32) {
        self.on().insert(fault.as_str(), Some(times));
    }

    /// Exactly these.
    pub fn set(&self, faults: &[Fault]) {
        *self.on() = faults.iter().map(|fault| (fault.as_str(), None)).collect();
    }

    /// Whether it is on.
    pub fn is_on(&self, fault: Fault) -> bool {
        self.on().contains_key(fault.as_str())
    }

    /// Those that are on.
    pub fn all(&self) -> Vec<Fault> {
        let on = self.on();
        Fault::ALL.iter().copied().filter(|fault| on.contains_key(fault.as_str())).collect()
    }

    /// Whether it happens now; counts.
    pub(super) fn hits(&self, fault: Fault) -> bool {
        let mut on = self.on();
        match on.get_mut(fault.as_str()) {
            None => false,
            Some(None) => true,
            Some(Some(0)) => {
                on.remove(fault.as_str());
                false
            }
            Some(Some(left)) => {
                *left -= 1;
                if *left == 0 {
                    on.remove(fault.as_str());
                }
                true
            }
        }
    }
}
