//! What speaks for or against a step, as the console knows it by itself.

use crate::clock::Timestamp;
use crate::model::report::Diagnosis;

/// What speaks for or against a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fact {
    /// It is so.
    Holds(Known),
    /// Somebody outside says so: nothing proves it yet.
    Told(Known),
    /// It isn't so, and somebody has to do something.
    Wrong(Known),
    /// It isn't so.
    Not(String),
    /// Whatever was known, it has to be looked at again.
    Stale(String),
    /// Nothing is known.
    Unknown,
}

/// What a fact rests on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Known {
    pub text: String,
    /// When it came to be known; none: it is so now.
    pub at: Option<Timestamp>,
    pub by: String,
    pub problem: Option<Diagnosis>,
}

pub(super) fn holds(text: impl Into<String>, at: Option<Timestamp>) -> Fact {
    Fact::Holds(Known {
        text: text.into(),
        at,
        ..Known::default()
    })
}

pub(super) fn wrong(text: impl Into<String>, at: Option<Timestamp>, problem: Option<Diagnosis>) -> Fact {
    Fact::Wrong(Known {
        text: text.into(),
        at,
        problem,
        by: String::new(),
    })
}

pub(super) fn not(text: &str) -> Fact {
    Fact::Not(text.to_owned())
}
