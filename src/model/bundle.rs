//! A support bundle: one text with settings, steps, conversation and versions that can be given to a stranger (`ux.md` 6.6).
//!
//! Records go in, and a text comes out in which everything that was removed is marked. Secrets never get this far; what others said is
//! looked through once more all the same ([`remove`]), and on request every name gets a stand-in ([`names`]).

mod encoded;
pub mod names;
pub mod remove;

use super::report::Line;
use crate::mask::Masks;
use names::{Known, Names};
use remove::{CLOSE, OPEN};

/// A value of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// In our own words, without any name in it.
    Ours(String),
    /// A name, an address, or what somebody else said.
    Said(String),
}

/// What a line of a bundle is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A label and its value.
    Pair(&'static str, Value),
    /// A line by itself, so many blanks further in.
    Words(usize, Value),
    /// A conversation, so many blanks further in.
    Talk(usize, Vec<Line>),
}

/// A part with its heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// Lines.
    pub rows: Vec<Row>,
}

impl Section {
    /// Without any line yet.
    pub fn new(title: &'static str) -> Self {
        Self { title, rows: Vec::new() }
    }

    /// Adds a label with a value of ours; nothing where the value is empty.
    pub fn ours(&mut self, label: &'static str, value: impl Into<String>) {
        self.pair(label, Value::Ours(value.into()));
    }

    /// Adds a label with a name or what somebody said; nothing where that is empty.
    pub fn said(&mut self, label: &'static str, value: impl Into<String>) {
        self.pair(label, Value::Said(value.into()));
    }

    fn pair(&mut self, label: &'static str, value: Value) {
        let (Value::Ours(text) | Value::Said(text)) = &value;
        if !text.trim().is_empty() {
            self.rows.push(Row::Pair(label, value));
        }
    }
}

/// The records of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    /// What it says.
    pub sections: Vec<Section>,
    /// Every name that is known, for stand-ins: addresses before hosts, so that hosts find their domains.
    pub names: Vec<Known>,
}

/// A piece of the finished text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it stands in place of what was removed.
    pub removed: bool,
}

/// The finished text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// As it is copied and downloaded.
    pub fn plain(&self) -> String {
        self.0.replace([OPEN, CLOSE], "")
    }

    /// In pieces, so that what was removed can be marked.
    pub fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (number, part) in self.0.split([OPEN, CLOSE]).enumerate().filter(|(_, part)| !part.is_empty()) {
            pieces.push(Piece {
                text: part.to_owned(),
                removed: number % 2 == 1,
            });
        }
        pieces
    }

    /// How many things were removed.
    pub fn removed(&self) -> usize {
        self.0.matches(OPEN).count()
    }
}

/// A text of somebody without secrets, what was removed marked.
pub fn without_secrets(text: &str) -> Text {
    let lines: Vec<&str> = text.lines().collect();
    Text(remove::secrets(&lines).join("\n"))
}

/// What a server said without what looks secret, and without these texts, also where they are spread over several lines.
pub(crate) fn said_without_secrets(lines: &[&str], private: &Masks) -> Vec<String> {
    let whole: Vec<(usize, &str)> = lines.iter().map(|line| (remove::own(line), *line)).collect();
    let known = private.apply_all(&whole, "[hidden]");
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let clean = remove::secrets(&known);
    clean.iter().map(|line| line.replace([OPEN, CLOSE], "")).collect()
}

/// Width of the labels.
const LABEL: usize = 22;

impl Bundle {
    /// The text; with `hide_names` every name has a stand-in, the same one throughout.
    pub fn render(&self, hide_names: bool) -> Text {
        let mut cleaner = Cleaner::new(hide_names.then_some(&self.names));
        let mut out = String::new();
        for (number, section) in self.sections.iter().enumerate() {
            if number > 0 {
                out.push('\n');
            }
            out.push_str(&format!("{}\n{}\n", section.title, "-".repeat(section.title.len())));
            for row in &section.rows {
                match row {
                    Row::Pair(label, value) => out.push_str(&format!("{:LABEL$} {}\n", format!("{label}:"), cleaner.value(value))),
                    Row::Words(indent, value) => out.push_str(&format!("{}{}\n", " ".repeat(*indent), cleaner.value(value))),
                    Row::Talk(indent, lines) => cleaner.talk(&mut out, *indent, lines),
                }
            }
        }
        Text(out)
    }
}

/// Cleans what was said.
struct Cleaner {
    names: Option<(Names, Masks)>,
}

impl Cleaner {
    fn new(known: Option<&Vec<Known>>) -> Self {
        let names = known.map(|known| {
            let mut masks = Masks::default();
            for one in known.iter().filter(|one| one.is_distinctive()) {
                for form in [one.text.clone(), one.text.to_lowercase(), one.text.to_uppercase()] {
                    masks.add(&form);
                }
            }
            (Names::new(known), masks)
        });
        Self { names }
    }

    fn value(&mut self, value: &Value) -> String {
        match value {
            Value::Ours(text) => text.replace([OPEN, CLOSE, '\n', '\r'], " "),
            Value::Said(text) => {
                let lines: Vec<&str> = text.lines().collect();
                self.clean(&lines).join(" ")
            }
        }
    }

    /// What each side said is looked at as a whole: a server may spread things over several lines.
    fn talk(&mut self, out: &mut String, indent: usize, lines: &[Line]) {
        let theirs: Vec<&str> = lines
            .iter()
            .filter(|line| line.from == 'S')
            .map(|line| line.text.as_str())
            .collect();
        let mut theirs = self.clean(&theirs).into_iter();
        for line in lines {
            let text = match line.from {
                'S' => theirs.next().unwrap_or_default(),
                _ => self.clean(&[&line.text]).concat(),
            };
            out.push_str(&format!("{}{} {text}\n", " ".repeat(indent), line.from));
        }
    }

    fn clean(&mut self, lines: &[&str]) -> Vec<String> {
        let lines = remove::secrets(lines);
        let Some((names, masks)) = &mut self.names else {
            return lines;
        };
        let named: Vec<String> = lines.iter().map(|line| names.apply(line)).collect();
        let whole: Vec<(usize, &str)> = named.iter().map(|line| (remove::own(line), line.as_str())).collect();
        masks.apply_all(&whole, &remove::mark("name removed"))
    }
}

#[cfg(test)]
mod tests;
