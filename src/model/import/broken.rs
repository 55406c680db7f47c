//! Entries that can't be taken as they stand: what can be read of them is kept, so that all that is wrong with them is told at once.

use super::{Document, Fault, MOST_FAULTS, Place, numbers, shown};
use crate::model::config_file::{ConfigFile, Entry, Problem};
use std::collections::{BTreeSet, HashMap, HashSet};

impl Document {
    /// Takes out what an import must not do and what stands there twice.
    pub(super) fn tidy(mut self) -> Self {
        let mut file = std::mem::take(&mut self.file);
        for ((_, entries), (_, broken)) in file.kinds_mut().into_iter().zip(self.broken.kinds_mut()) {
            let mut seen: HashMap<String, usize> = HashMap::new();
            for entry in std::mem::take(entries) {
                let found = refusals(&self.places, &entry, &seen);
                if !entry.faulty && found.is_empty() {
                    let line = place_of(&self.places, entry.line_of("name")).line;
                    seen.extend(entry.text("name").map(|name| (name.trim().to_owned(), line)));
                    entries.push(entry);
                    continue;
                }
                self.faulty += 1;
                self.faults.extend(found);
                broken.extend(readable(entry));
            }
        }
        self.file = file;
        self.faults.sort_by_key(|fault| fault.place.line);
        self.faults.truncate(MOST_FAULTS);
        self.left_out.truncate(MOST_FAULTS);
        self
    }

    /// Of problems of [`Self::broken`], what is not told yet: a value that can't be read is told already, and not as missing too.
    pub fn not_told(&self, problems: Vec<Problem>) -> Vec<Fault> {
        let all = [&self.file, &self.broken].map(ConfigFile::kinds);
        let entries = || all.iter().flatten().flat_map(|(_, entries)| entries.iter());
        let begins: BTreeSet<usize> = entries().map(|entry| self.place(entry.line).line).collect();
        let own: HashSet<usize> = self
            .broken
            .kinds()
            .iter()
            .flat_map(|(_, entries)| entries.iter())
            .flat_map(numbers)
            .collect();
        let known = |fault: &Fault| {
            let key = fault.place.key.trim_end_matches("_file").trim_end_matches("_env");
            (begin(&begins, fault.place.line), key.to_owned())
        };
        let told: HashSet<(usize, String)> = self.faults.iter().map(known).collect();
        let is_new = |line: usize, key: &str| !told.contains(&(begin(&begins, line), key.to_owned()));
        let mut new = Vec::new();
        for problem in problems.into_iter().filter(|problem| own.contains(&problem.line)) {
            let key = problem.key.clone();
            let fault = self.fault_of(problem);
            if is_new(fault.place.line, &key) && is_new(fault.place.line, &fault.place.key) {
                new.push(fault);
            }
        }
        new
    }
}

/// The line in which the entry of a line begins.
fn begin(begins: &BTreeSet<usize>, line: usize) -> usize {
    begins.range(..=line).next_back().copied().unwrap_or_default()
}

fn place_of(places: &[Place], number: usize) -> Place {
    number.checked_sub(1).and_then(|at| places.get(at)).cloned().unwrap_or_default()
}

/// What an import must not do, and what stands there twice.
fn refusals(places: &[Place], entry: &Entry, seen: &HashMap<String, usize>) -> Vec<Fault> {
    let place = |number: usize| place_of(places, number);
    // Whoever may import may not read the server's files and environment by it.
    let elsewhere = entry
        .fields
        .iter()
        .filter(|(key, _)| key.ends_with("_file") || key.ends_with("_env"));
    let mut found: Vec<Fault> = elsewhere
        .map(|(key, field)| {
            let own = key.trim_end_matches("_file").trim_end_matches("_env");
            let own = own.rsplit('.').next().unwrap_or_default();
            let help = match key.ends_with("_file") {
                true => format!("Put what is in the file here, as {own} = \"\"\"…\"\"\", or use mailgrant config apply on the server"),
                false => format!("Put the value itself here, as {own} = \"…\", or use mailgrant config apply on the server"),
            };
            Fault {
                place: place(field.line),
                message: format!("{key} names something on the server, and an import can't look there"),
                help: Some(help),
            }
        })
        .collect();
    if let Some(name) = entry.text("name").map(str::trim) {
        let place = place(entry.line_of("name"));
        found.extend(seen.get(name).map(|first| Fault {
            message: format!("\"{}\" stands in line {first} already", shown(name)),
            place,
            help: Some("Keep one of them, or give this one a name of its own".to_owned()),
        }));
    }
    found
}

/// What can be looked at of an entry that stays out; none if that is nothing. Nothing of the server is, and nobody is asked for it.
fn readable(mut entry: Entry) -> Option<Entry> {
    entry.fields.retain(|key, _| !key.ends_with("_file") && !key.ends_with("_env"));
    let asks = entry.fields.contains_key("issuer");
    entry.faulty = false;
    (!entry.fields.is_empty() && !asks).then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::super::read;

    #[test]
    fn of_what_stays_out_nothing_on_the_server_is_named_and_nobody_has_to_be_asked() {
        let text = "[[provider]]\nname = \"a\"\nissuer = \"https://login.example.net\"\npkce = 5\n\n[[provider]]\nname = \"b\"\n\
                    client_secret_file = \"/etc/hostname\"\ncertificate_env = \"PATH\"\n";
        let document = read(text).unwrap_or_else(|faults| panic!("{faults:?}"));
        let names: Vec<_> = document.broken.providers.iter().filter_map(|entry| entry.text("name")).collect();
        assert_eq!((document.faulty, names), (2, vec!["b"]));
        let keys: Vec<_> = document.broken.providers[0].fields.keys().collect();
        assert_eq!(keys, ["name"]);
    }
}
