//! A table of mailboxes: a header row, then a mailbox a row. Columns are the keys of `[[mailbox]]`.

use super::csv;
use super::{Document, Fault, Format, fault, shown};
use crate::config::nearest;
use crate::model::Name;
use crate::model::config_file::{Entry, Field, Value, is_secret, mailbox_keys, mailbox_value};
use std::collections::BTreeMap;

/// Other names of columns, as they compare.
const ALSO: [(&str, &str); 7] = [
    ("email", "address"),
    ("emailaddress", "address"),
    ("mail", "address"),
    ("mailbox", "address"),
    ("folder", "incoming.folder"),
    ("from", "outgoing.from"),
    ("bcc", "outgoing.bcc"),
];

/// The separators spreadsheets use.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

fn comparable(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase()
}

/// The key a column stands for.
fn key_of(column: &str) -> Option<&'static str> {
    let column = comparable(column);
    let own = mailbox_keys().find(|key| comparable(key) == column);
    own.or_else(|| ALSO.iter().find(|(other, _)| *other == column).map(|(_, key)| *key))
}

fn header(line: &str, separator: char) -> Vec<String> {
    let rows = csv::rows(line, separator).unwrap_or_default();
    rows.into_iter().next().map(|(_, cells)| cells).unwrap_or_default()
}

fn separator(line: &str) -> Option<char> {
    let known = |separator: &char| header(line, *separator).iter().filter(|column| key_of(column).is_some()).count();
    SEPARATORS.into_iter().max_by_key(known).filter(|separator| known(separator) > 0)
}

/// Whether a line is the header of such a table: it has the column with the addresses, or several others.
pub(super) fn is_header(line: &str) -> bool {
    let Some(separator) = separator(line) else { return false };
    let columns = header(line, separator);
    let keys: Vec<_> = columns.iter().filter_map(|column| key_of(column)).collect();
    keys.contains(&"address") || keys.len() > 1
}

/// Of the first row: whether no column of it can hold a secret, and whether all of its cells may be names of columns.
pub(super) fn columns(line: &str) -> (bool, bool) {
    let names = separator(line).map(|separator| header(line, separator)).unwrap_or_default();
    let is_harmless = |name: &String| name.trim().is_empty() || key_of(name).is_some_and(|key| !is_secret(key));
    let fits = |c: char| c.is_ascii_alphabetic() || " ._-".contains(c);
    let is_name = |name: &String| key_of(name).is_some() || (name.len() <= 40 && name.chars().all(fits));
    (!names.is_empty() && names.iter().all(is_harmless), names.iter().all(is_name))
}

pub(super) fn read(text: &str) -> Result<Document, Vec<Fault>> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let separator = separator(first).unwrap_or(',');
    let rows = csv::rows(text, separator).map_err(|fault| vec![fault])?;
    let mut rows = rows.into_iter();
    let (top, names) = rows.next().unwrap_or_default();
    let mut document = Document::new(Format::Csv);
    let columns: Vec<Option<&'static str>> = names.iter().map(|name| key_of(name)).collect();
    let known: Vec<&str> = mailbox_keys().collect();
    for (at, name) in names.iter().enumerate() {
        match columns[at] {
            None if name.trim().is_empty() => {}
            None => {
                let near = nearest(&shown(name.trim()), &known).map(|near| format!(" Did you mean {near}?"));
                document.leave_out(top, name, format!("There is no such column.{}", near.unwrap_or_default()));
            }
            Some(key) if columns[..at].contains(&Some(key)) => {
                return Err(vec![fault(
                    top,
                    name,
                    format!("Two columns are {key}"),
                    Some("Take one of them out"),
                )]);
            }
            Some(_) => {}
        }
    }
    if !columns.contains(&Some("address")) {
        let help = "Begin with a row of column names. The template on this page has them all";
        return Err(vec![fault(top, "", "The column address is missing", Some(help))]);
    }
    for (line, cells) in rows {
        row(&mut document, line, &cells, &names, &columns);
    }
    Ok(document)
}

fn row(document: &mut Document, line: usize, cells: &[String], names: &[String], columns: &[Option<&'static str>]) {
    let before = document.faults.len();
    let mut fields = BTreeMap::new();
    let is_shifted = cells.iter().skip(columns.len()).any(|cell| !cell.trim().is_empty());
    if is_shifted {
        let message = format!("This row has {} cells, and the header has {}", cells.len(), columns.len());
        document.fault(line, "", message, Some("A cell with a separator in it stands in quotes"));
    }
    for ((cell, key), name) in cells.iter().zip(columns).zip(names) {
        let Some(key) = key else { continue };
        let text = if is_secret(key) { cell.as_str() } else { csv::meant(cell.trim()) };
        // An empty cell says nothing, so what is stored stays.
        if text.is_empty() {
            continue;
        }
        match mailbox_value(key, text) {
            Ok(value) => {
                let line = document.mark(line, name.trim());
                fields.insert((*key).to_owned(), Field { line, value });
            }
            Err(wanted) => document.fault(line, name.trim(), format!("{key} must be {wanted}"), None),
        }
    }
    if is_shifted {
        // Its cells are in other columns than they are meant for, so they say nothing.
        fields.clear();
    }
    let entry = Entry {
        line: document.mark(line, ""),
        faulty: document.faults.len() > before,
        fields,
    };
    document.file.mailboxes.push(completed(entry));
}

/// What a row needn't say: the name that its address suggests, and that a password is meant where one stands.
fn completed(mut entry: Entry) -> Entry {
    if entry.text("name").is_none()
        && let Some(name) = entry.text("address").and_then(Name::suggest)
    {
        let line = entry.line_of("address");
        let value = Value::Text(name.to_string());
        entry.fields.insert("name".to_owned(), Field { line, value });
    }
    for side in ["incoming", "outgoing"] {
        let (auth, password) = (format!("{side}.auth"), format!("{side}.password"));
        if entry.text(&auth).is_none()
            && let Some(field) = entry.fields.get(&password)
        {
            let line = field.line;
            let value = Value::Text("password".to_owned());
            entry.fields.insert(auth, Field { line, value });
        }
    }
    entry
}
