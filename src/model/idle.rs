//! How long providers keep a sign-in: unused, or at all. Data, part of the program (`idle.toml`), each line with its source and the day
//! it was looked up. A sign-in that is renewed by itself ([`super::due`]) lapses only where renewing fails.

use super::Date;
use super::provider::{ConsentScreen, Provider};
use super::template::TemplateKind;
use super::token::{Grant, GrantState};
use super::words;
use crate::clock::Timestamp;
use serde::Deserialize;
use std::sync::OnceLock;

const FILE: &str = include_str!("idle.toml");
const HOUR: i64 = 3600;

words!(
    /// From when on the time counts.
    From {
        /// The last renewal: using it keeps it.
        Use = "use",
        /// The sign-in: nothing keeps it.
        SignIn = "sign_in",
    }
);

/// How long a provider keeps a sign-in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its id.
    pub id: String,
    /// Whose providers.
    pub template: TemplateKind,
    /// Only with this consent screen; none: with any, unless another profile names it.
    pub consent_screen: Option<ConsentScreen>,
    /// Only where the provider has refused the sign-in for this reason.
    pub refusal: Option<String>,
    /// How many days.
    days: Option<i64>,
    /// How many hours, where it is less than a day or two.
    hours: Option<i64>,
    /// From when on.
    pub from: From,
    /// The rule in a sentence or two, with what to do.
    pub text: String,
    /// Where it is written.
    pub source: String,
    /// The day it was looked up.
    pub as_of: Date,
}

impl Profile {
    /// How long, in seconds.
    pub fn seconds(&self) -> i64 {
        self.hours.unwrap_or_else(|| self.days.unwrap_or(0) * 24) * HOUR
    }

    /// The same in days.
    pub fn days(&self) -> i64 {
        self.seconds() / (24 * HOUR)
    }

    /// When a sign-in lapses that was made and last used then; none where that is not known.
    pub fn lapses_at(&self, authorized_at: Option<Timestamp>, refreshed_at: Option<Timestamp>) -> Option<Timestamp> {
        let from = match self.from {
            From::Use => refreshed_at.max(authorized_at)?,
            From::SignIn => authorized_at?,
        };
        Some(from.plus(self.seconds()))
    }
}

/// How old a key should get that has no end of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyAge {
    /// In days.
    pub days: i64,
    /// Where it is written.
    pub source: String,
    /// The day it was looked up.
    pub as_of: Date,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Vec<Profile>,
    service_account_key: KeyAge,
}

/// A file that can't be read gives none; a test keeps that from happening.
fn file() -> Option<&'static File> {
    static READ: OnceLock<Option<File>> = OnceLock::new();
    READ.get_or_init(|| toml::from_str(FILE).ok()).as_ref()
}

/// All that is known.
pub fn all() -> &'static [Profile] {
    file().map_or(&[], |file| &file.profile)
}

/// How old the key of a service account should get.
pub fn service_account_key() -> Option<&'static KeyAge> {
    file().map(|file| &file.service_account_key)
}

/// What is known of sign-ins at providers of this kind, with this consent screen; the narrower one counts.
pub fn profile(template: TemplateKind, screen: Option<ConsentScreen>) -> Option<&'static Profile> {
    let of = |profile: &&Profile| profile.template == template && profile.refusal.is_none();
    let named = all().iter().filter(of).find(|p| screen.is_some() && p.consent_screen == screen);
    named.or_else(|| all().iter().filter(of).find(|p| p.consent_screen.is_none()))
}

/// When a sign-in lapses unless it is used, or ends for good, and by which rule. None: the provider's rule is not known, it has ended, or
/// nothing lasts of it.
pub fn lapses_at(grant: &Grant, provider: &Provider) -> Option<(Timestamp, &'static Profile)> {
    let refused = |profile: &&Profile| {
        let id = profile.refusal.as_deref().filter(|_| profile.template == provider.template);
        let told = grant.last_error.as_deref().unwrap_or_default();
        id.is_some_and(|id| told.starts_with(&format!("{{\"id\":\"{id}\"")))
    };
    let profile = all()
        .iter()
        .find(refused)
        .or_else(|| profile(provider.template, provider.consent_screen))?;
    if grant.rt_current.is_none() || (grant.state == GrantState::Revoked && profile.refusal.is_none()) {
        return None;
    }
    Some((profile.lapses_at(grant.authorized_at, grant.refreshed_at)?, profile))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::by_id;
    use crate::model::due::KEEP_ALIVE;
    use std::collections::HashSet;

    #[test]
    fn every_profile_says_where_it_is_written_and_renewing_stays_well_inside_it() {
        assert!(file().is_some(), "the file can't be read: {:?}", toml::from_str::<File>(FILE).err());
        let mut ids = HashSet::new();
        for profile in all() {
            assert!(ids.insert(&profile.id), "{} twice", profile.id);
            assert!(
                profile.source.starts_with("https://") && profile.text.ends_with('.'),
                "{}",
                profile.id
            );
            assert!(profile.days.is_some() != profile.hours.is_some(), "{}", profile.id);
            assert!(
                profile.from == From::SignIn || KEEP_ALIVE * 4 <= profile.seconds(),
                "{}",
                profile.id
            );
            assert!(profile.refusal.as_deref().is_none_or(|id| by_id(id).is_some()), "{}", profile.id);
        }
        let days = |kind, screen| profile(kind, screen).map(Profile::days);
        assert_eq!(days(TemplateKind::Microsoft, None), Some(90));
        assert_eq!(days(TemplateKind::Google, Some(ConsentScreen::Production)), Some(180));
        assert_eq!(days(TemplateKind::Google, Some(ConsentScreen::Testing)), Some(7));
        for unknown in [
            TemplateKind::Yahoo,
            TemplateKind::Zoho,
            TemplateKind::Fastmail,
            TemplateKind::Custom,
        ] {
            assert_eq!(days(unknown, None), None);
        }
        assert_eq!(service_account_key().unwrap().days, 90);
    }
}
