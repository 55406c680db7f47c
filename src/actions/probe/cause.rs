//! Why a test failed: the catalogue's cause, and where that knows nothing or too little, what the step and the settings say.

use crate::diagnosis::{Evidence, by_id, diagnose, own};
use crate::model::mailbox::{Auth, Side};
use crate::model::report::{Diagnosis, Stage};
use crate::probe::Failure;

/// Entries for servers that say nothing but no.
const GENERIC: [&str; 3] = ["imap-authenticationfailed-generic", "pop-gmail-auth", "smtp-auth-failed-generic"];

/// The cause of a failure at this step of a test of this side.
pub fn cause(failure: &Failure, step: Option<Stage>, side: &Side) -> Diagnosis {
    let mut found = diagnose(&Evidence {
        own_id: failure.own_id,
        text: &failure.evidence,
    });
    let unknown = found.id == own::UNKNOWN;
    let better = match step {
        Some(Stage::Auth) if matches!(side.auth, Auth::Password { .. }) && (unknown || GENERIC.contains(&found.id.as_str())) => {
            Some(own::PASSWORD_REFUSED)
        }
        Some(Stage::MailFrom) if unknown => Some(own::SENDER_REFUSED),
        Some(Stage::RcptTo) if unknown => Some(own::RECIPIENT_REFUSED),
        Some(Stage::Data | Stage::Send) if unknown => Some(own::MESSAGE_REFUSED),
        _ => None,
    };
    if let Some(better) = better.and_then(by_id) {
        found = better;
    }
    if unknown {
        found.retryable = failure.transient;
    }
    let (host, port) = match side.server.endpoint() {
        Some(endpoint) => (endpoint.host.as_str(), endpoint.port.to_string()),
        None => (side.server.protocol().label(), side.server.protocol().ports().0.to_string()),
    };
    for remedy in &mut found.remedy {
        *remedy = remedy.replace("<host>", host).replace("<port>", &port);
    }
    found
}
