//! What people bring along, read into the shape of the configuration file: our TOML, a CSV of mailboxes, key=value settings of other
//! products. Only shapes are known here; what the values mean is checked by the actions, with the same rules as the forms.

mod broken;
pub mod csv;
pub mod cut;
mod file;
mod keys;
mod looks;
mod properties;
mod provider_of;
mod settings;
mod side;
mod table;

pub use file::Brought;

use super::config_file::{self, ConfigFile, Entry, Problem};
use super::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// How long may what is brought along be? In octets.
pub const LONGEST: usize = 1 << 20;
/// How many providers, tokens and mailboxes may it have?
pub const MOST: usize = 10_000;
/// How many problems are told?
const MOST_FAULTS: usize = 1000;

words!(
    /// What it is written in.
    Format {
        /// The file of `config apply`.
        Toml = "toml",
        /// A table of mailboxes.
        Csv = "csv",
        /// Settings of another product.
        Settings = "settings",
    }
);

impl Format {
    /// What people call it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Toml => "Mailgrant configuration (TOML)",
            Self::Csv => "Table of mailboxes (CSV)",
            Self::Settings => "Settings of another product (key=value)",
        }
    }
}

/// Where something stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Line, from 1; 0: the whole of it.
    pub line: usize,
    /// Key or column, as it is written there; empty: the whole entry.
    pub key: String,
}

/// Something that can't be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// The way out, where it isn't obvious.
    pub help: Option<String>,
}

/// What was brought along, read. The lines of its entries and fields are numbers of `places`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Document {
    /// What it was written in.
    pub format: Format,
    /// Its entries without those that could not be read.
    pub file: ConfigFile,
    /// Entries that could not be read, and how many that are.
    pub faults: Vec<Fault>,
    /// See [`Self::faults`].
    pub faulty: usize,
    /// Those of them of which something could be read: to see what else is wrong with them.
    #[serde(default)]
    pub broken: ConfigFile,
    /// What is understood as not for Mailgrant, or not understood: each with its reason.
    pub left_out: Vec<Fault>,
    /// What should be known about how it was read.
    #[serde(default)]
    pub notes: Vec<Fault>,
    places: Vec<Place>,
}

impl Document {
    fn new(format: Format) -> Self {
        Self {
            format,
            file: ConfigFile::default(),
            faults: Vec::new(),
            faulty: 0,
            broken: ConfigFile::default(),
            left_out: Vec::new(),
            notes: Vec::new(),
            places: Vec::new(),
        }
    }

    /// The number of a place.
    fn mark(&mut self, line: usize, key: &str) -> usize {
        let key = shown(key);
        self.places.push(Place { line, key });
        self.places.len()
    }

    fn fault(&mut self, line: usize, key: &str, message: impl Into<String>, help: Option<&str>) {
        self.faults.push(fault(line, key, message, help));
    }

    fn leave_out(&mut self, line: usize, key: &str, why: impl Into<String>) {
        self.left_out.push(fault(line, key, why, None));
    }

    /// The place of a number.
    pub fn place(&self, number: usize) -> Place {
        number
            .checked_sub(1)
            .and_then(|at| self.places.get(at))
            .cloned()
            .unwrap_or_default()
    }

    /// A problem of an entry, with the place it belongs to.
    pub fn fault_of(&self, problem: Problem) -> Fault {
        let mut place = self.place(problem.line);
        if place.key.is_empty() {
            place.key = shown(&problem.key);
        }
        Fault {
            place,
            message: problem.message,
            help: problem.help,
        }
    }

    /// How many entries it has, those that can't be read included.
    pub fn len(&self) -> usize {
        self.file.providers.len() + self.file.tokens.len() + self.file.mailboxes.len() + self.faulty
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether any of it is a secret.
    pub fn has_secrets(&self) -> bool {
        let mut entries = self.file.kinds().into_iter().flat_map(|(_, entries)| entries);
        entries.any(|entry| entry.fields.keys().any(|key| config_file::holds_secret(key)))
    }
}

fn fault(line: usize, key: &str, message: impl Into<String>, help: Option<&str>) -> Fault {
    Fault {
        place: Place { line, key: shown(key) },
        message: message.into(),
        help: help.map(str::to_owned),
    }
}

/// A key as it may be shown: short, and without anything that isn't a character.
fn shown(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// Reads what was brought along, whatever it is. An error is what leaves nothing to look at.
pub fn read(text: &str) -> Result<Document, Vec<Fault>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Old spreadsheets end lines with a carriage return alone.
    let lines = (text.contains('\r') && !text.contains('\n')).then(|| Zeroizing::new(text.replace('\r', "\n")));
    let text = lines.as_ref().map_or(text, |lines| lines.as_str());
    // Some say first what parts their cells. That shows by itself.
    let text = match text.get(..4) {
        Some(start) if start.eq_ignore_ascii_case("sep=") => text.find('\n').map_or(text, |at| &text[at..]),
        _ => text,
    };
    if text.len() > LONGEST {
        return Err(vec![fault(1, "", "This is longer than 1 MiB. Bring it in several parts", None)]);
    }
    if text.trim().is_empty() {
        return Err(vec![fault(1, "", "There's nothing in it", None)]);
    }
    let document = match recognise(text) {
        Format::Toml => toml(text)?,
        Format::Csv => table::read(text)?,
        Format::Settings => match looks::by_text(text) {
            Some(what) => return Err(vec![looks::told(what)]),
            None => settings::read(text)?,
        },
    };
    let document = document.tidy();
    if document.len() > MOST {
        let message = format!("It has {} entries, and {MOST} are the most at once", document.len());
        return Err(vec![fault(1, "", message, Some("Bring it in several parts"))]);
    }
    if document.is_empty() && document.faults.is_empty() {
        let none = fault(1, "", "There's no provider, token or mailbox in it", None);
        return Err([none].into_iter().chain(document.left_out).collect());
    }
    Ok(document)
}

fn recognise(text: &str) -> Format {
    let tables = ["provider", "token", "mailbox"];
    // [mailbox] with one bracket is the usual slip, and told as that; [mailbox.support] is a block of settings.
    let is_table = |line: &str| {
        let name = line.trim().strip_prefix('[').map(|rest| rest.strip_prefix('[').unwrap_or(rest));
        let name = name.and_then(|rest| rest.split_once(']')).map(|(name, _)| name.trim());
        name.is_some_and(|name| tables.contains(&name))
    };
    if text.lines().any(is_table) {
        return Format::Toml;
    }
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // A semicolon begins a comment of settings as well as an empty cell.
    let is_comment = first.starts_with(['#', '!']) || first.starts_with("; ");
    if !is_comment && table::is_header(first) {
        Format::Csv
    } else {
        Format::Settings
    }
}

fn toml(text: &str) -> Result<Document, Vec<Fault>> {
    let told = |problem: Problem| Fault {
        place: Place {
            line: problem.line,
            key: shown(&problem.key),
        },
        message: problem.message,
        help: problem.help,
    };
    let mut file = config_file::parse(text).map_err(|problems| problems.into_iter().map(told).collect::<Vec<_>>())?;
    let mut document = Document::new(Format::Toml);
    document.faults = std::mem::take(&mut file.problems).into_iter().map(told).collect();
    for entry in file.kinds_mut().into_iter().flat_map(|(_, entries)| entries) {
        entry.line = document.mark(entry.line, "");
        for (key, field) in &mut entry.fields {
            field.line = document.mark(field.line, key);
        }
    }
    document.file = file;
    Ok(document)
}

/// The numbers of an entry: its own and those of its fields.
pub fn numbers(entry: &Entry) -> BTreeSet<usize> {
    entry.fields.values().map(|field| field.line).chain([entry.line]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Random, SeededRandom};

    const SEEDS: [&str; 3] = [
        "[[provider]]\nname = \"a\"\nclient_secret = \"canary\"\n[[token]]\nname = \"t\"\nscopes = [\"x\"]\n[[mailbox]]\naddress = \"a@b.example\"\n[mailbox.incoming]\nport = 1\n",
        "address;incoming.host;incoming.password;tags\r\n\"a@b.example\";h;\"ca\"\"nary\";'=x\r\nb@c.example;;;\r\n",
        "mail.store.user=a@b.example\nmail.oauth.client.id=\\u0061\nmail.oauth.token.endpoint=https://login.microsoftonline.com/t/token\n\
         mail.oauth.scopes=a,\\\n b\n[x]\nmailbox.y.mail.store.host:h\n",
    ];

    /// What breaks readers: quotes, escapes, brackets, line ends, what isn't ASCII, very many of one thing.
    const NASTY: [&str; 18] = [
        "\"", "'", "\\", "\\u", "\\uD83D", "[", "[[", "]", "=", ":", "\0", "\r", "\n", "\u{feff}", "😀", "{", "\"\"\"", ",",
    ];

    #[test]
    fn nothing_that_comes_in_stops_the_reader() {
        let random: &dyn Random = &SeededRandom::new(7);
        let mut bytes = [0; 4];
        let mut pick = |most: usize| {
            random.fill(&mut bytes);
            u32::from_le_bytes(bytes) as usize % most.max(1)
        };
        for round in 0..3000 {
            let mut text: Vec<char> = SEEDS[round % SEEDS.len()].chars().collect();
            for _ in 0..=pick(4) {
                let at = pick(text.len() + 1).min(text.len());
                match pick(3) {
                    0 => text.truncate(at),
                    1 => drop(text.splice(at..at, NASTY[pick(NASTY.len())].chars())),
                    _ => drop(text.splice(at..at, NASTY[pick(NASTY.len())].repeat(50).chars())),
                }
            }
            let text: String = text.into_iter().collect();
            if let Err(faults) = read(&text) {
                assert!(!faults.is_empty(), "{text:?}");
                assert!(faults.iter().all(|fault| !format!("{fault:?}").contains("canary")), "{text:?}");
            }
        }
    }

    #[test]
    fn deep_and_long_things_are_refused_in_words() {
        let deep = format!("[[mailbox]]\nname = {}", "[".repeat(100_000));
        let rows = format!("address\n{}", "a@b.example\n".repeat(MOST + 1));
        for (text, told) in [
            (deep, "not TOML"),
            ("x".repeat(LONGEST + 1), "longer than 1 MiB"),
            (rows, "10000 are the most"),
        ] {
            let told_all = match read(&text) {
                Err(faults) => faults,
                Ok(document) => document.faults,
            };
            assert!(
                told_all.iter().any(|fault| fault.message.contains(told)),
                "{told}: {:?}",
                told_all.first()
            );
        }
    }
}
