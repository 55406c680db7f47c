//! The table of what is known: which texts and codes stand for which cause, what it means, what to do.
//!
//! It is data (`catalogue.json`), part of the program. The order of its entries counts: special ones stand before general ones.

use super::family::Family;
use super::signal::{Needle, Signals};
use crate::model::report::{Diagnosis, FixWhere};
use serde::Deserialize;
use std::{collections::HashMap, sync::OnceLock};

const FILE: &str = include_str!("catalogue.json");

/// One cause.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its id, as reports show it.
    pub id: String,
    /// Whose words it recognises: `entra`, `google`, `imap`, `smtp`, `graph`, `oauth`, `network`, `tls`; `console` for our own findings.
    pub source: String,
    /// What kind of cause it is.
    pub family: Family,
    /// Whether its text stands for several causes, so that what is known besides decides.
    #[serde(default)]
    pub general: bool,
    /// Texts and codes that stand for it; none for findings that are known by their id alone.
    #[serde(rename = "match")]
    pub matches: Vec<String>,
    /// Pieces of its text as people cut them off. They count where no whole text stands for one cause alone.
    #[serde(default)]
    pub cut: Vec<String>,
    /// What a server really says; empty where there is no text to recognise.
    pub example: String,
    /// The verdict in a few words.
    pub title: String,
    /// What it means.
    pub meaning: String,
    /// What to do, most likely first.
    pub remedy: Vec<String>,
    /// Who can.
    pub fix_where: FixWhere,
    /// Whether trying again may help without a change.
    pub retryable: bool,
    /// Where the provider explains it; empty for our own findings.
    pub url: String,
}

impl Entry {
    /// The entry as a report carries it.
    pub fn diagnosis(&self) -> Diagnosis {
        Diagnosis {
            id: self.id.clone(),
            title: self.title.clone(),
            meaning: self.meaning.clone(),
            remedy: self.remedy.clone(),
            fix_where: self.fix_where,
            retryable: self.retryable,
            url: self.url.clone(),
            grounds: None,
            said: String::new(),
            ways: Vec::new(),
        }
    }
}

/// The table with what is needed to search it quickly.
struct Catalogue {
    entries: Vec<Entry>,
    needles: Vec<Vec<Needle>>,
    cut: Vec<Vec<Needle>>,
    by_id: HashMap<String, usize>,
}

/// The table, read once. A file that can't be read gives an empty table; a test keeps that from happening.
fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let entries: Vec<Entry> = serde_json::from_str(FILE).unwrap_or_default();
        let prepared = |texts: fn(&Entry) -> &Vec<String>| {
            let all = entries.iter().map(texts);
            all.map(|texts| texts.iter().map(|text| Needle::new(text)).collect()).collect()
        };
        let (needles, cut) = (prepared(|entry| &entry.matches), prepared(|entry| &entry.cut));
        let by_id = entries.iter().enumerate().map(|(at, entry)| (entry.id.clone(), at)).collect();
        Catalogue {
            entries,
            needles,
            cut,
            by_id,
        }
    })
}

/// Every entry, in the order of the file.
pub fn entries() -> &'static [Entry] {
    &catalogue().entries
}

/// The entry of an id.
pub fn entry(id: &str) -> Option<&'static Entry> {
    let catalogue = catalogue();
    catalogue.by_id.get(id).and_then(|at| catalogue.entries.get(*at))
}

/// The first entry that something in the text stands for.
pub fn recognise(signals: &Signals) -> Option<&'static Entry> {
    recognise_all(signals).next()
}

/// Every entry that something in the text stands for, special ones before general ones.
///
/// Where no whole text stands for one cause alone, pieces of such texts are looked for too: those that do go first, the others last.
pub fn recognise_all(signals: &Signals) -> impl Iterator<Item = &'static Entry> {
    let catalogue = catalogue();
    let found = |needles: &'static [Vec<Needle>]| {
        let known = catalogue.entries.iter().zip(needles);
        known.filter_map(|(entry, needles)| needles.iter().any(|needle| signals.has(needle)).then_some(entry))
    };
    let whole: Vec<_> = found(&catalogue.needles).collect();
    let decided = whole.iter().any(|entry| !entry.general);
    let pieces = found(&catalogue.cut).filter(|entry| !decided && !whole.iter().any(|whole| whole.id == entry.id));
    let (general, special): (Vec<_>, Vec<_>) = pieces.partition(|entry| entry.general);
    special.into_iter().chain(whole).chain(general)
}

/// The texts and codes of an entry that the text holds, whole ones first.
pub fn hits(entry: &'static Entry, signals: &Signals) -> impl Iterator<Item = &'static String> {
    let catalogue = catalogue();
    let at = catalogue.by_id.get(&entry.id);
    let needles = |all: &'static [Vec<Needle>]| at.and_then(|at| all.get(*at)).into_iter().flatten();
    let whole = entry.matches.iter().zip(needles(&catalogue.needles));
    let pieces = entry.cut.iter().zip(needles(&catalogue.cut));
    whole.chain(pieces).filter(|(_, needle)| signals.has(needle)).map(|(text, _)| text)
}

/// The longest code that is told beside a moment.
const CODE_LENGTH: usize = 40;
/// How many words has it at most? `AUTHENTICATE failed` is one that people look for.
const CODE_WORDS: usize = 3;

/// The code people look an entry up by: the one that stands in what was said, or the only one it has.
pub fn code(id: &str, said: &str) -> Option<String> {
    let entry = entry(id)?;
    let signals = Signals::read(said);
    let told = || hits(entry, &signals).find(|text| entry.matches.contains(text));
    let text = match entry.matches.as_slice() {
        [only] => only,
        // Entra numbers what it says in words too.
        _ if entry.source == "entra" && !entry.matches.iter().any(|text| text.starts_with("AADSTS")) => {
            return signals.codes().first().map(|number| format!("AADSTS{number}"));
        }
        _ => told()?,
    };
    let code = text.trim_matches(['"', ':', ' ']);
    // A piece of a sentence is none.
    let is_code = !code.is_empty() && code.chars().count() <= CODE_LENGTH && code.split(' ').count() <= CODE_WORDS;
    is_code.then(|| code.to_owned())
}

/// Whether a text of the entry is there in whole, and not only a piece of it.
pub fn is_whole(entry: &'static Entry, signals: &Signals) -> bool {
    hits(entry, signals).next().is_some_and(|text| entry.matches.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_one_that_was_said_or_the_only_one() {
        assert_eq!(code("entra-7000222-secret-expired", ""), Some("AADSTS7000222".to_owned()));
        let several = entries().iter().find(|entry| entry.matches.len() > 1).unwrap();
        assert_eq!(code(&several.id, ""), None, "which of them isn't known");
        let told = code("graph-throttled", r#"{"error":{"code":"ApplicationThrottled"}}"#);
        assert_eq!(told.as_deref(), Some("ApplicationThrottled"));
        let two = code("entra-7000222-secret-expired", "AADSTS4000000001: no. AADSTS7000222: expired");
        assert_eq!(two.as_deref(), Some("AADSTS7000222"), "its own, whatever else is said");
        assert_eq!(code("console-mailbox-off", "AADSTS7000222"), None);
        assert_eq!(code("nobody-knows", "x"), None);
    }

    #[test]
    fn the_file_can_be_read() {
        let read: Result<Vec<Entry>, _> = serde_json::from_str(FILE);
        assert!(read.is_ok_and(|entries| entries.len() > 214));
    }
}
