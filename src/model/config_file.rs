//! The TOML of `config apply` and `config export`: read with the line of every value, so that what is wrong names its place.
//!
//! This file only knows shapes: which tables and keys there are and what kind of value each takes. What the values mean is checked by
//! the actions, with the same rules as the forms.

use crate::config::nearest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    Number,
    List,
    /// A table of texts: names and values in order.
    Pairs,
    /// A secret: the key itself, or with `_file` or `_env`.
    Secret,
    /// A table with keys of its own, which are listed with a dot.
    Table,
}

type Keys = &'static [(&'static str, Kind)];

const PROVIDER: Keys = &[
    ("name", Kind::Text),
    ("template", Kind::Text),
    ("tenant", Kind::Text),
    ("cloud", Kind::Text),
    ("client_id", Kind::Text),
    ("client_auth", Kind::Text),
    ("client_secret", Kind::Secret),
    ("client_secret_expires", Kind::Text),
    ("certificate", Kind::Secret),
    ("assertion_alg", Kind::Text),
    ("service_account", Kind::Secret),
    ("consent_screen", Kind::Text),
    ("grant", Kind::Text),
    ("scopes", Kind::List),
    ("prompt", Kind::Text),
    ("login_hint", Kind::Flag),
    ("authority", Kind::Text),
    ("graph_url", Kind::Text),
    ("issuer", Kind::Text),
    ("authorize_url", Kind::Text),
    ("token_url", Kind::Text),
    ("device_authorization_url", Kind::Text),
    ("revocation_url", Kind::Text),
    ("admin_consent_url", Kind::Text),
    ("userinfo_url", Kind::Text),
    ("iss_required", Kind::Flag),
    ("pkce", Kind::Flag),
    ("extra_authorize_params", Kind::Pairs),
];

const TOKEN: Keys = &[
    ("name", Kind::Text),
    ("provider", Kind::Text),
    ("grant", Kind::Text),
    ("user", Kind::Text),
    ("scopes", Kind::List),
    ("prompt", Kind::Text),
    ("password", Kind::Secret),
    ("refresh_token", Kind::Secret),
    ("shared", Kind::Flag),
];

const MAILBOX: Keys = &[
    ("name", Kind::Text),
    ("address", Kind::Text),
    ("display_name", Kind::Text),
    ("enabled", Kind::Flag),
    ("tags", Kind::List),
    ("incoming", Kind::Table),
    ("incoming.protocol", Kind::Text),
    ("incoming.host", Kind::Text),
    ("incoming.port", Kind::Number),
    ("incoming.security", Kind::Text),
    ("incoming.auth", Kind::Text),
    ("incoming.token", Kind::Text),
    ("incoming.username", Kind::Text),
    ("incoming.password", Kind::Secret),
    ("incoming.folder", Kind::Text),
    ("outgoing", Kind::Table),
    ("outgoing.protocol", Kind::Text),
    ("outgoing.host", Kind::Text),
    ("outgoing.port", Kind::Number),
    ("outgoing.security", Kind::Text),
    ("outgoing.auth", Kind::Text),
    ("outgoing.token", Kind::Text),
    ("outgoing.username", Kind::Text),
    ("outgoing.password", Kind::Secret),
    ("outgoing.from", Kind::Text),
    ("outgoing.bcc", Kind::List),
];

/// Something wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
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
            message: message.into(),
            help: None,
        }
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

/// Reads a file. What is wrong inside entries comes with it, so that it can be told together with what the others lack; an error is
/// what leaves no entries to look at.
pub fn parse(text: &str) -> Result<ConfigFile, Vec<Problem>> {
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at);
    let mut reader = Reader {
        breaks: breaks.collect(),
        problems: Vec::new(),
    };
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let line = error.span().map_or(1, |span| reader.line(span.start));
            // The first line only: what follows may quote the file, and the file may hold secrets.
            return Err(vec![Problem::new(
                line,
                format!("not TOML: {}", error.message().lines().next().unwrap_or_default()),
            )]);
        }
    };
    let mut file = ConfigFile::default();
    for (key, value) in document.get_ref() {
        let (keys, entries) = match key.get_ref().as_ref() {
            "provider" => (PROVIDER, &mut file.providers),
            "token" => (TOKEN, &mut file.tokens),
            "mailbox" => (MAILBOX, &mut file.mailboxes),
            other => {
                reader.unknown(key.span().start, other, &["provider", "token", "mailbox"], "");
                continue;
            }
        };
        let Some(array) = value.get_ref().as_array() else {
            let line = reader.line(key.span().start);
            reader.problems.push(Problem::new(
                line,
                format!("write [[{0}]] with two brackets, once for every {0}", key.get_ref()),
            ));
            continue;
        };
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(table) => {
                    let mut entry = Entry {
                        line: reader.line(item.span().start),
                        fields: BTreeMap::new(),
                        faulty: false,
                    };
                    let before = reader.problems.len();
                    reader.table(table, keys, "", key.get_ref(), &mut entry);
                    entry.faulty = reader.problems.len() > before;
                    file.problems.extend(reader.problems.drain(before..));
                    entries.push(entry);
                }
                None => {
                    let line = reader.line(item.span().start);
                    reader.problems.push(Problem::new(
                        line,
                        format!("write [[{0}]] with two brackets, once for every {0}", key.get_ref()),
                    ));
                }
            }
        }
    }
    if reader.problems.is_empty() {
        return Ok(file);
    }
    reader.problems.append(&mut file.problems);
    reader.problems.sort_by_key(|problem| problem.line);
    Err(reader.problems)
}

struct Reader {
    /// Where the lines end.
    breaks: Vec<usize>,
    problems: Vec<Problem>,
}

impl Reader {
    fn line(&self, offset: usize) -> usize {
        self.breaks.partition_point(|at| *at < offset) + 1
    }

    fn unknown(&mut self, offset: usize, key: &str, known: &[&str], place: &str) {
        let help = match nearest(key, known) {
            Some(nearest) => format!("did you mean \"{nearest}\"?"),
            None => format!("known keys: {}", known.join(", ")),
        };
        let key: String = key.chars().take(64).collect();
        self.problems.push(Problem {
            line: self.line(offset),
            message: format!("unknown key \"{}\"{place}", key.escape_default()),
            help: Some(help),
        });
    }

    fn table(&mut self, table: &DeTable<'_>, keys: Keys, prefix: &str, noun: &str, entry: &mut Entry) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let kind = keys.iter().find_map(|(known, kind)| {
                let variant = *kind == Kind::Secret && [format!("{known}_file"), format!("{known}_env")].contains(&name);
                if *known == name {
                    Some(*kind)
                } else if variant {
                    Some(Kind::Text)
                } else {
                    None
                }
            });
            let line = self.line(key.span().start);
            let Some(kind) = kind else {
                let known: Vec<String> = keys
                    .iter()
                    .filter_map(|(known, kind)| Some((known.strip_prefix(prefix)?, *kind)))
                    .filter(|(known, _)| !known.contains('.'))
                    .flat_map(|(known, kind)| {
                        let endings: &[&str] = if kind == Kind::Secret { &["", "_file", "_env"] } else { &[""] };
                        endings.iter().map(move |ending| format!("{known}{ending}"))
                    })
                    .collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let place = format!(
                    " in [[{noun}]]{}",
                    if prefix.is_empty() {
                        String::new()
                    } else {
                        format!(" {}", prefix.trim_end_matches('.'))
                    }
                );
                self.unknown(key.span().start, key.get_ref(), &known, &place);
                continue;
            };
            if kind == Kind::Table {
                match value.get_ref().as_table() {
                    Some(inner) => self.table(inner, keys, &format!("{name}."), noun, entry),
                    None => self
                        .problems
                        .push(Problem::new(line, format!("{name} must be a table, [{noun}.{name}]"))),
                }
                continue;
            }
            match read(value, kind) {
                Ok(value) => {
                    entry.fields.insert(name, Field { line, value });
                }
                Err(wanted) => self.problems.push(Problem::new(line, format!("{name} must be {wanted}"))),
            }
        }
    }
}

/// The keys of a `[[mailbox]]` that have a value, those of its sides with a dot: what columns of a table may be called.
pub fn mailbox_keys() -> impl Iterator<Item = &'static str> {
    let values = MAILBOX.iter().filter(|(_, kind)| *kind != Kind::Table);
    values.map(|(key, _)| *key)
}

/// Whether a key of a `[[mailbox]]` holds a secret.
pub fn is_secret(key: &str) -> bool {
    MAILBOX.iter().any(|(known, kind)| *known == key && *kind == Kind::Secret)
}

/// The value of a `[[mailbox]]` key that was written without TOML around it; what would fit if it doesn't.
pub fn mailbox_value(key: &str, text: &str) -> Result<Value, &'static str> {
    let kind = MAILBOX.iter().find(|(known, _)| *known == key).map(|(_, kind)| *kind);
    match kind {
        Some(Kind::Flag) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Value::Flag(true)),
            "false" | "no" | "off" | "0" => Ok(Value::Flag(false)),
            _ => Err("true or false"),
        },
        Some(Kind::List) => {
            let items = text.split([',', ';', '\n']).map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::List(items.map(str::to_owned).collect()))
        }
        Some(Kind::Number) if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) => Err("a number"),
        _ => Ok(Value::Text(text.to_owned())),
    }
}

fn read(value: &Spanned<DeValue<'_>>, kind: Kind) -> Result<Value, &'static str> {
    let value = value.get_ref();
    let texts = |value: &DeValue<'_>| {
        value.as_array().and_then(|items| {
            items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        })
    };
    match kind {
        Kind::Text | Kind::Secret => match value {
            DeValue::String(text) => Ok(Value::Text(text.to_string())),
            // A date without quotes is meant as it stands.
            DeValue::Datetime(date) => Ok(Value::Text(date.to_string())),
            _ => Err("a text in quotes"),
        },
        Kind::Number => match value {
            DeValue::Integer(number) => Ok(Value::Text(number.as_str().to_owned())),
            _ => Err("a number"),
        },
        Kind::Flag => value.as_bool().map(Value::Flag).ok_or("true or false"),
        Kind::List => match value {
            DeValue::String(text) => Ok(Value::List(vec![text.to_string()])),
            _ => texts(value).map(Value::List).ok_or("a list of texts, like [\"a\", \"b\"]"),
        },
        Kind::Pairs => value
            .as_table()
            .and_then(|table| {
                table
                    .iter()
                    .map(|(key, value)| value.get_ref().as_str().map(|value| (key.get_ref().to_string(), value.to_owned())))
                    .collect()
            })
            .map(Value::Pairs)
            .ok_or("a table of texts"),
        Kind::Table => Err("a table"),
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
