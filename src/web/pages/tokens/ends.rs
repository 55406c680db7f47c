//! When a sign-in ends, and what keeps its renewal waiting.

use crate::app::App;
use crate::clock::Timestamp;
use crate::model::idle::{From, lapses_at};
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::token::Grant;

/// When the provider ends the sign-in: for good, or unless it is used.
pub(super) struct Lapse {
    pub at: Timestamp,
    pub for_good: bool,
}

impl Lapse {
    /// None where the provider's rule is not known, or nothing lasts.
    pub fn of(grant: &Grant, provider: &Provider) -> Option<Self> {
        let (at, profile) = lapses_at(grant, provider)?;
        Some(Self {
            at,
            for_good: profile.from == From::SignIn,
        })
    }
}

/// What a provider said last that doesn't answer, and when it is asked again.
pub(super) fn heard(app: &App, provider: &Provider) -> Option<(Box<Diagnosis>, Timestamp)> {
    let (found, left) = app.flights.heard(&provider.id, app.clock.running())?;
    let left = i64::try_from(left.as_secs()).unwrap_or(0);
    Some((found, app.clock.now().plus(left + 1)))
}
