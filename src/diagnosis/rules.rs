//! What the circumstances say where a text leaves the cause open. Each rule is a function that looks at the case and names a cause, or
//! doesn't; the first one counts, the others are what may be wrong besides.

mod provider;
pub(super) mod server;
mod token;

use super::catalogue::entry;
use super::family::Family;
use super::judge::Seen;
use super::own;
use crate::model::report::{Compared, Confidence};

/// From how many seconds on is a clock wrong?
pub(super) const CLOCK_LIMIT: i64 = 120;

/// A cause with what speaks for it.
#[derive(Debug)]
pub(super) struct Finding {
    /// Entry of the catalogue.
    pub id: &'static str,
    /// How sure.
    pub confidence: Confidence,
    /// The facts that decide it.
    pub compared: Vec<Compared>,
    /// What speaks for it.
    pub why: Vec<String>,
}

impl Finding {
    pub const fn new(id: &'static str, confidence: Confidence) -> Self {
        Self {
            id,
            confidence,
            compared: Vec::new(),
            why: Vec::new(),
        }
    }

    pub const fn certain(id: &'static str) -> Self {
        Self::new(id, Confidence::Certain)
    }

    pub const fn likely(id: &'static str) -> Self {
        Self::new(id, Confidence::Likely)
    }

    pub const fn guess(id: &'static str) -> Self {
        Self::new(id, Confidence::Guess)
    }

    /// Adds a sentence, without its full stop.
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds expected and found.
    pub fn compare(mut self, expected: (&str, &str), found: (&str, &str)) -> Self {
        self.compared.push(Compared {
            expected_label: expected.0.to_owned(),
            expected: expected.1.to_owned(),
            found_label: found.0.to_owned(),
            found: found.1.to_owned(),
        });
        self
    }

    /// What kind of cause it is.
    pub fn family(&self) -> Family {
        entry(self.id).map_or(Family::Console, |entry| entry.family)
    }
}

type Rule = fn(&Seen<'_>) -> Option<Finding>;

/// Every rule, the most decisive first.
const RULES: &[Rule] = &[
    provider::clock,
    token::other_provider,
    token::other_audience,
    token::missing_permission,
    token::other_account,
    token::user_name,
    token::ended,
    provider::secret_is_id,
    provider::secret_ended,
    provider::public_client,
    provider::two_services,
    provider::offline_access_missing,
    provider::consent_screen_in_testing,
    provider::unused,
    server::tls_on_a_starttls_port,
    server::starttls_on_a_tls_port,
    server::other_protocol,
    server::mistyped_host,
    server::port_25,
    server::unusual_port,
    token::delegate,
    token::app_unknown_to_exchange,
    token::app_kept_out,
    token::turned_off,
    token::no_mailbox,
    server::password_refused,
    server::by_step,
];

/// What the rules say, the most decisive first.
pub(super) fn all(seen: &Seen<'_>) -> Vec<Finding> {
    RULES.iter().filter_map(|rule| rule(seen)).collect()
}

/// What the class of a code says where nobody knows its text: RFC 5321 and 3463 for SMTP, RFC 5530 for IMAP, Entra's numbers.
pub(super) fn by_class(seen: &Seen<'_>) -> Option<Finding> {
    if let Some(code) = seen.signals.codes().first() {
        let why = format!("Microsoft gave the number {code}, which isn't in the catalogue");
        return Some(Finding::guess(own::ENTRA_OTHER).because(why));
    }
    let (code, status) = seen.signals.smtp_status()?;
    let at_the_start = |prefix: &str| status.as_deref().is_some_and(|status| status.starts_with(prefix));
    let id = match code {
        400..500 => own::SMTP_LATER,
        _ if at_the_start("5.1.") || code == 553 => own::SMTP_ADDRESS,
        _ if at_the_start("5.2.") => own::SMTP_MAILBOX,
        _ if at_the_start("5.7.") || matches!(code, 530 | 534 | 535 | 538) => own::SMTP_POLICY,
        500..600 => own::SMTP_REFUSED,
        _ => return None,
    };
    let said = status.map_or_else(|| code.to_string(), |status| format!("{code} {status}"));
    Some(Finding::guess(id).because(format!("the text isn't in the catalogue; the class of the code {said} is known")))
}
