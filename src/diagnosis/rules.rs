//! What the circumstances say where a text leaves the cause open. Each rule is a function that looks at the case and names a cause, or
//! doesn't; the first one counts, the others are what may be wrong besides.

mod class;
mod provider;
pub(super) mod server;
mod token;

use super::catalogue::entry;
use super::family::Family;
use super::judge::Seen;
use super::own;
use crate::model::report::{Compared, Confidence, Stage};

pub(in crate::diagnosis) use class::by_class;

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
    provider::single_tenant,
    provider::offline_access_missing,
    provider::consent_screen_in_testing,
    provider::unused,
    server::graph_host,
    server::tls_on_a_starttls_port,
    server::starttls_on_a_tls_port,
    server::other_protocol,
    server::no_greeting,
    server::after_login_only,
    server::mistyped_host,
    server::port_25,
    server::unusual_port,
    token::refused_by_document,
    server::host_of_another_protocol,
    token::delegate,
    token::app_unknown_to_exchange,
    token::app_kept_out,
    token::turned_off,
    token::no_mailbox,
    server::password_refused,
    class::by_step,
];

/// What the rules say, the most decisive first.
pub(super) fn all(seen: &Seen<'_>) -> Vec<Finding> {
    RULES.iter().filter_map(|rule| rule(seen)).collect()
}

/// A refusal as somebody imagines it before anything is tried: at which step, what the console would notice, and the rules that are sure
/// enough to speak then. Whoever may still be let in, such as a delegate or an app that Exchange knows, is left alone.
pub(super) struct Imagined {
    /// The step.
    pub step: Stage,
    /// What would be noticed, an id of the catalogue; none: nothing that decides.
    pub noticed: Option<&'static str>,
    rules: &'static [Rule],
}

impl Imagined {
    /// What its rules say.
    pub fn findings(&self, seen: &Seen<'_>) -> Vec<Finding> {
        self.rules.iter().filter_map(|rule| rule(seen)).collect()
    }
}

/// Every refusal that settings can be judged by.
pub(super) const IMAGINED: &[Imagined] = &[
    Imagined {
        step: Stage::Auth,
        noticed: None,
        rules: &[
            token::other_provider,
            token::missing_permission,
            token::other_account,
            token::user_name,
        ],
    },
    Imagined {
        step: Stage::Tls,
        noticed: None,
        rules: &[server::tls_on_a_starttls_port],
    },
    Imagined {
        step: Stage::Greeting,
        noticed: None,
        rules: &[server::starttls_on_a_tls_port],
    },
    Imagined {
        step: Stage::Dns,
        noticed: Some("network-dns-not-found"),
        rules: &[server::mistyped_host],
    },
    Imagined {
        step: Stage::Tcp,
        noticed: Some("network-timeout"),
        rules: &[server::port_25, server::unusual_port, server::host_of_another_protocol],
    },
    Imagined {
        step: Stage::Token,
        noticed: Some("oauth-invalid-client"),
        rules: &[provider::secret_is_id, provider::secret_ended],
    },
    Imagined {
        step: Stage::Token,
        noticed: Some("oauth-invalid-scope"),
        rules: &[provider::two_services],
    },
    Imagined {
        step: Stage::Token,
        noticed: Some(own::NO_REFRESH_TOKEN),
        rules: &[provider::offline_access_missing],
    },
];
