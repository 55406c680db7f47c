//! The TOML of `config apply` and `config export`: read with the line of every value, so that what is wrong names its place.
//!
//! This file only knows shapes: which tables and keys there are and what kind of value each takes. What the values mean is checked by
//! the actions, with the same rules as the forms.

mod keys;
mod reader;

pub use keys::{holds_secret, is_plain, is_secret, mailbox_keys, mailbox_value};
pub use reader::parse;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// The key it is about, those of inner tables with a dot; empty where it is about the whole entry.
    #[serde(default)]
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// The way out, where it isn't obvious.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without more help than its message.
    pub fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            key: String::new(),
            message: message.into(),
            help: None,
        }
    }

    /// The same, about a key.
    #[must_use]
    pub fn about(self, key: impl Into<String>) -> Self {
        Self { key: key.into(), ..self }
    }
}

/// A value with its line.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Line, from 1.
    pub line: usize,
    /// The value. May be a secret: no `Debug`.
    pub value: Value,
}

/// A value of the file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// A string, or a number where text is expected.
    Text(String),
    /// A boolean.
    Flag(bool),
    /// A list of strings.
    List(Vec<String>),
    /// A table of strings.
    Pairs(Vec<(String, String)>),
}

/// One `[[provider]]`, `[[token]]` or `[[mailbox]]`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Line of its header.
    pub line: usize,
    /// Its values; keys of inner tables with a dot.
    pub fields: BTreeMap<String, Field>,
    /// Whether something in it could not be read, so that what is left says nothing about what was meant.
    pub faulty: bool,
}

/// Where a secret of the file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretSource<'a> {
    /// It stands in the file. Use and forget.
    Inline,
    /// From this file.
    File(&'a str),
    /// From this environment variable.
    Env(&'a str),
}

impl Entry {
    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.fields.get(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The flag of a key.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.fields.get(key)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// The list of a key.
    pub fn list(&self, key: &str) -> Option<&[String]> {
        match &self.fields.get(key)?.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The pairs of a key.
    pub fn pairs(&self, key: &str) -> Option<&[(String, String)]> {
        match &self.fields.get(key)?.value {
            Value::Pairs(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Whether the entry has an inner table.
    pub fn has_table(&self, table: &str) -> bool {
        let prefix = format!("{table}.");
        self.fields.keys().any(|key| key.starts_with(&prefix))
    }

    /// The line a problem with `key` belongs to: the key's own, or the entry's.
    pub fn line_of(&self, key: &str) -> usize {
        [key, &format!("{key}_file"), &format!("{key}_env")]
            .iter()
            .find_map(|key| self.fields.get(*key))
            .map_or(self.line, |field| field.line)
    }

    /// Where the secret `key` comes from; more than one source is a problem.
    pub fn secret(&self, key: &str) -> Result<Option<SecretSource<'_>>, Problem> {
        let (file, env) = (format!("{key}_file"), format!("{key}_env"));
        let sources: Vec<_> = [
            self.text(key).map(|_| SecretSource::Inline),
            self.text(&file).map(SecretSource::File),
            self.text(&env).map(SecretSource::Env),
        ]
        .into_iter()
        .flatten()
        .collect();
        match sources.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => Err(Problem::new(
                self.line_of(key),
                format!("{key} is given more than once: keep one of {key}, {file} and {env}"),
            )),
        }
    }
}

/// The file, by kind of entry, in order.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct ConfigFile {
    /// `[[provider]]`
    pub providers: Vec<Entry>,
    /// `[[token]]`
    pub tokens: Vec<Entry>,
    /// `[[mailbox]]`
    pub mailboxes: Vec<Entry>,
    /// What is wrong with faulty entries.
    pub problems: Vec<Problem>,
    /// Whether providers may come without their client secret and wait for it.
    #[serde(default)]
    pub secrets_later: bool,
}

impl ConfigFile {
    /// Its entries by kind, in the order in which they need each other.
    pub fn kinds(&self) -> [(&'static str, &Vec<Entry>); 3] {
        [("provider", &self.providers), ("token", &self.tokens), ("mailbox", &self.mailboxes)]
    }

    /// The same, to be changed.
    pub fn kinds_mut(&mut self) -> [(&'static str, &mut Vec<Entry>); 3] {
        [
            ("provider", &mut self.providers),
            ("token", &mut self.tokens),
            ("mailbox", &mut self.mailboxes),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let found = match parse(text) {
            Ok(file) => file.problems,
            Err(problems) => problems,
        };
        found
            .iter()
            .map(|p| {
                format!(
                    "{}: {}{}",
                    p.line,
                    p.message,
                    p.help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default()
                )
            })
            .collect()
    }

    #[test]
    fn a_mistyped_key_names_its_line_and_the_nearest_known_one() {
        let text = "[[provider]]\nname = \"a\"\ntennant = \"x\"\n\n[[mailbox]]\nname = \"m\"\n[mailbox.incoming]\nhostt = \"h\"\n";
        assert_eq!(
            problems(text),
            [
                "3: unknown key \"tennant\" in [[provider]] (did you mean \"tenant\"?)",
                "8: unknown key \"hostt\" in [[mailbox]] incoming (did you mean \"host\"?)"
            ]
        );
        assert_eq!(
            problems("[[mailboxes]]\nname = \"x\"\n"),
            ["1: unknown key \"mailboxes\" (did you mean \"mailbox\"?)"]
        );
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let text = "[[token]]\nname = 5\nscopes = 3\nshared = \"yes\"\nprompt = 7\n";
        assert_eq!(problems(text).len(), 4);
        assert_eq!(
            problems("[token]\nname = \"x\"\n"),
            ["1: write [[token]] with two brackets, once for every token"]
        );
        assert!(problems("a = \"secret-canary\n").iter().all(|line| !line.contains("canary")));
    }

    #[test]
    fn values_keep_their_lines_and_secrets_their_sources() {
        let file = parse("[[provider]]\nname = \"a\"\nclient_secret_env = \"S\"\nclient_secret_expires = 2027-05-01\n[provider.extra_authorize_params]\naccess_type = \"offline\"\n").ok().unwrap();
        let entry = &file.providers[0];
        assert_eq!(entry.secret("client_secret").unwrap(), Some(SecretSource::Env("S")));
        assert_eq!(entry.line_of("client_secret"), 3);
        assert_eq!(entry.text("client_secret_expires"), Some("2027-05-01"));
        assert_eq!(
            entry.pairs("extra_authorize_params").unwrap(),
            [("access_type".to_owned(), "offline".to_owned())]
        );
        let twice = parse("[[token]]\nname = \"t\"\nrefresh_token_file = \"f\"\nrefresh_token = \"x\"\n")
            .ok()
            .unwrap();
        assert!(twice.tokens[0].secret("refresh_token").is_err());
    }
}
