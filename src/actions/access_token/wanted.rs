//! What a renewal is for, and whether what is stored will do.

use crate::clock::Timestamp;
use crate::model::scopes::{self, Resource};
use crate::model::template::TemplateKind;
use crate::model::token::{Grant, OtherToken};
use std::sync::Arc;

/// How long must a token that is handed out still live, in seconds?
const MIN_LIFETIME: i64 = 60;
/// Tokens shorter than this, in seconds, are handed out until a fifth of their life is left.
const SHORT_LIFETIME: i64 = 300;
/// How far may two clocks be apart, in seconds, before the age of a token is taken for unknown?
const SKEW: i64 = 300;
/// How soon may a grant be renewed again, in seconds, while its last token lives? Against loops with odd lifetimes (F6).
pub(super) use crate::model::due::BETWEEN_RENEWALS;

/// What a renewal is for: it is done when the grant has it.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// A token that lives so long (see [`super::access_token`]).
    Lifetime(Option<i64>),
    /// Any generation after this one.
    Newer(i64),
    /// A token for another resource than the grant's own, with these scopes.
    Other(Resource, Arc<[String]>),
}

impl Wanted {
    pub(super) fn is_met(&self, grant: &Grant, now: Timestamp) -> bool {
        match self {
            Self::Lifetime(min_lifetime) => long_enough(grant, *min_lifetime, now),
            Self::Newer(generation) => {
                let for_other = grant.others.iter().any(|other| other.version == grant.generation);
                grant.generation > *generation && !for_other && lives(grant, now)
            }
            Self::Other(resource, wanted) => other(grant, *resource).is_some_and(|other| {
                let (age, left) = (now.since(other.issued_at), other.expires_at.since(now));
                let all = scopes::missing_scopes(TemplateKind::Microsoft, wanted, &other.scopes).is_empty();
                all && age >= -SKEW && left > 0 && (left >= MIN_LIFETIME || age < BETWEEN_RENEWALS)
            }),
        }
    }

    /// Whether there is a token for the other resource that has not run out, however little is left of it.
    pub(super) fn still_lives(&self, grant: &Grant, now: Timestamp) -> bool {
        let Self::Other(resource, wanted) = self else {
            return false;
        };
        other(grant, *resource).is_some_and(|other| {
            let all = scopes::missing_scopes(TemplateKind::Microsoft, wanted, &other.scopes).is_empty();
            all && other.expires_at > now && now.since(other.issued_at) >= -SKEW
        })
    }

    /// The other resource it is for.
    pub(super) fn resource(&self) -> Option<Resource> {
        match self {
            Self::Other(resource, _) => Some(*resource),
            Self::Lifetime(_) | Self::Newer(_) => None,
        }
    }
}

/// The access token for another resource.
pub(super) fn other(grant: &Grant, resource: Resource) -> Option<&OtherToken> {
    grant.others.iter().find(|other| other.resource == resource)
}

pub(super) fn lives(grant: &Grant, now: Timestamp) -> bool {
    grant.access_token.is_some() && grant.expires_at.is_some_and(|end| end > now)
}

/// Whether the stored token will do. If the clock stands well before the moment of issue it has been set back, or was wrong then: how
/// old the token is nobody knows, so a new one is due, which settles it.
pub(super) fn long_enough(grant: &Grant, min_lifetime: Option<i64>, now: Timestamp) -> bool {
    let (Some(_), Some(issued), Some(end)) = (&grant.access_token, grant.issued_at, grant.expires_at) else {
        return false;
    };
    let (age, whole, left) = (now.since(issued), end.since(issued), end.since(now));
    if age < -SKEW {
        return false;
    }
    let short = (whole / 5).min(MIN_LIFETIME);
    let usual = if whole < SHORT_LIFETIME { short } else { MIN_LIFETIME };
    let wanted = min_lifetime.unwrap_or(usual).max(1);
    left >= wanted || (left > 0 && age < BETWEEN_RENEWALS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::access_token::first::blank;
    use crate::model::{Sealed, TokenId};

    fn grant(lifetime: i64) -> Grant {
        let issued = Timestamp(1000);
        Grant {
            access_token: Some((Sealed("x".into()), 1)),
            issued_at: Some(issued),
            expires_at: Some(issued.plus(lifetime)),
            ..blank(&TokenId("t".into()), 1, "", issued)
        }
    }

    #[test]
    fn a_token_is_handed_out_while_it_lives_long_enough() {
        let at = |lifetime, min, now| long_enough(&grant(lifetime), min, Timestamp(now));
        assert!(at(3600, None, 4540) && !at(3600, None, 4541), "60 seconds");
        assert!(at(100, None, 1080) && !at(100, None, 1081), "a fifth of a short life");
        assert!(at(3600, Some(600), 4000) && !at(3600, Some(600), 4001), "as asked");
        assert!(
            at(20, Some(600), 1010),
            "a fresh token that lives shorter than asked is not renewed in a loop"
        );
        assert!(!at(20, Some(600), 1021), "but a dead one is");
        assert!(!at(3600, None, 1_000_000), "a clock that jumped ahead");
        assert!(at(3600, None, 900), "the clocks of two machines differ");
        assert!(!at(3600, None, -90_000), "set back by a day: how old it is nobody knows");
        assert!(
            !at(3600, Some(i64::MAX), 2000) && at(3600, Some(i64::MIN), 2000),
            "odd wishes do no harm"
        );
    }
}
