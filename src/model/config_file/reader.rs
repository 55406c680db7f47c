//! Reads the file, with the line of every value: what is wrong is told with its place, and as much as possible at once.

use super::keys::{Keys, Kind, MAILBOX, PROVIDER, TOKEN};
use super::{ConfigFile, Entry, Field, Problem, Value};
use crate::config::nearest;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
            key: key.escape_default().to_string(),
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
                        .push(Problem::new(line, format!("{name} must be a table, [{noun}.{name}]")).about(name)),
                }
                continue;
            }
            match read(value, kind) {
                Ok(value) => {
                    entry.fields.insert(name, Field { line, value });
                }
                Err(wanted) => self
                    .problems
                    .push(Problem::new(line, format!("{name} must be {wanted}")).about(name)),
            }
        }
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
