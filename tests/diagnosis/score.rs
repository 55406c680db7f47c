//! Who was right how often.

use mailgrant::diagnosis::entry;
use mailgrant::diagnosis::family::Family;
use mailgrant::model::report::{Confidence, Diagnosis};
use std::collections::BTreeMap;

/// Expected and named, by part of the table.
#[derive(Default)]
pub struct Score {
    part: String,
    parts: BTreeMap<String, (usize, usize)>,
    misses: Vec<String>,
    blamed: Vec<String>,
}

impl Score {
    /// What follows belongs to this part.
    pub fn part(&mut self, name: &str) {
        name.clone_into(&mut self.part);
    }

    /// A provoked failure: `expected` is what is wrong (`a|b` where chance decides between two names for it), `not` what it can't be by
    /// what is known.
    pub fn add(&mut self, what: &str, expected: &str, found: &Diagnosis, not: &[Family]) {
        for id in expected.split('|') {
            assert!(entry(id).is_some(), "{what}: the catalogue has no {id}");
        }
        let (right, all) = self.parts.entry(self.part.clone()).or_default();
        *all += 1;
        if expected.split('|').any(|id| id == found.id) {
            *right += 1;
        } else {
            self.misses
                .push(format!("{}: {what}\n    expected {expected}, named {}", self.part, found.id));
        }
        let family = |id: &str| entry(id).map(|entry| entry.family);
        let grounds = found.grounds.as_deref();
        let also = grounds.map(|grounds| grounds.also.as_slice()).unwrap_or_default();
        let named = std::iter::once(found.id.as_str()).chain(also.iter().map(|also| also.id.as_str()));
        for id in named {
            let Some(family) = family(id) else { continue };
            let said = grounds.is_some_and(|grounds| grounds.ruled_out.iter().any(|out| Some(out.as_str()) == family.ruled_out()));
            if not.contains(&family) || said {
                self.blamed
                    .push(format!("{}: {what}\n    {id} was blamed, and {family} is ruled out", self.part));
            }
        }
        // Whoever guesses says so.
        if found.id == "console-unknown" && grounds.is_some_and(|grounds| grounds.confidence != Confidence::Guess) {
            self.blamed.push(format!("{what}: sure of nothing"));
        }
    }

    /// How many there are.
    pub fn all(&self) -> usize {
        self.parts.values().map(|(_, all)| all).sum()
    }

    /// Prints the score and the misses; fails below 97 of 100 in any part, or where something was blamed that was ruled out.
    pub fn end(self, at_least: usize) {
        let percent =
            |right: usize, all: usize| 100.0 * f64::from(u32::try_from(right).unwrap()) / f64::from(u32::try_from(all.max(1)).unwrap());
        for (part, (right, all)) in &self.parts {
            println!("{part:<40} {right:>5} of {all:<5} {:>6.1} %", percent(*right, *all));
        }
        let right: usize = self.parts.values().map(|(right, _)| right).sum();
        println!(
            "{:<40} {right:>5} of {:<5} {:>6.1} %",
            "all",
            self.all(),
            percent(right, self.all())
        );
        println!("blamed although ruled out: {}", self.blamed.len());
        for miss in &self.misses {
            println!("miss: {miss}");
        }
        for blamed in &self.blamed {
            println!("blamed: {blamed}");
        }
        assert!(self.blamed.is_empty(), "something was blamed that was ruled out");
        for (part, (right, all)) in &self.parts {
            assert!(right * 100 >= all * 97, "{part}: below 97 of 100");
        }
        assert!(self.all() >= at_least, "only {} failures", self.all());
    }
}
