//! What a command answers: yes, no, or why it could not be done; and how that is told (`interfaces.md`, Commands).

use crate::actions::ActionError;
use crate::actions::access_token::AccessError;
use crate::actions::config::ApplyError;
use crate::model::report::Diagnosis;
use crate::store::StoreError;
use std::io::{self, Write};
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done: exit status 0.
    Yes,
    /// It ran, and the answer is no: exit status 1. What is wrong has been printed.
    No,
}

/// Why a command could not be done: one line, and `help:` lines.
#[derive(Debug)]
pub struct Failure {
    /// One line.
    pub message: String,
    /// What to do.
    pub help: Vec<String>,
    /// 1: it ran and the answer is no. 2: wrong use or wrong input.
    pub status: u8,
}

/// What a command returns.
pub type Outcome = Result<Answer, Failure>;

impl Failure {
    /// Wrong use or wrong input: exit status 2.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: Vec::new(),
            status: 2,
        }
    }

    /// It ran, and the answer is no: exit status 1.
    pub fn no(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: Vec::new(),
            status: 1,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// A failure that has been understood: its meaning and every way out.
    pub fn diagnosed(diagnosis: &Diagnosis) -> Self {
        let mut failure = Self::no(format!("{} ({})", diagnosis.title, diagnosis.id)).help(diagnosis.meaning.clone());
        failure.help.extend(diagnosis.remedy.iter().cloned());
        failure
    }

    /// Prints it to standard error, and gives the exit status.
    pub fn report(&self) -> ExitCode {
        let mut out = io::stderr().lock();
        let _ = writeln!(out, "error: {}", one_line(&self.message));
        for help in &self.help {
            let _ = writeln!(out, "help: {}", one_line(help));
        }
        ExitCode::from(self.status)
    }
}

/// Wrong use of the command line, in the form that all errors have. What was asked for with `--help` or `--version` is no error.
pub fn misuse(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let text = error.render().to_string();
    let mut parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut failure = Failure::wrong(parts.next().unwrap_or_default().trim_start_matches("error: "));
    for part in parts.filter(|part| !part.is_empty()) {
        let part = part.trim_start_matches("tip: ").trim_end_matches('.');
        failure = failure.help(part.replacen("Usage: ", "usage: ", 1).replacen("For more", "for more", 1));
    }
    failure.report()
}

/// Nothing from outside starts a line of its own or moves the cursor (INJ-5).
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) {
                ' '
            } else {
                c
            }
        })
        .collect()
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        let mut lines = text.split("\nhelp: ");
        let mut failure = Self::no(lines.next().unwrap_or_default());
        failure.help.extend(lines.map(str::to_owned));
        failure
    }
}

impl From<ActionError> for Failure {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::Store(error) => error.into(),
            ActionError::Fields(problems) => {
                let mut failure = Self::wrong("some values can't be used as they are");
                failure
                    .help
                    .extend(problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)));
                failure
            }
            other => Self::no(other.to_string()),
        }
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Store(text) => Self::no(text),
            other => Self::diagnosed(&other.diagnosis()),
        }
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::File(_) => Self::wrong(error.to_string()),
            ApplyError::Store(error) => error.into(),
            ApplyError::Action(text) => Self::no(text),
        }
    }
}

/// Prints a line to standard output.
pub fn print(text: impl AsRef<str>) -> io::Result<()> {
    let mut line = zeroize::Zeroizing::new(text.as_ref().to_owned());
    line.push('\n');
    print_all(&line)
}

/// Prints to standard output as it stands. A reader that went away (`| head`) has what it wanted: the command ends as it would have.
pub fn print_all(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Says something to a person who waits, beside what the command answers.
pub fn say(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", one_line(text.as_ref()));
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::no(format!("can't write: {error}"))
    }
}

/// Prints one JSON document.
pub fn print_json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::no(error.to_string()))?;
    Ok(print(text)?)
}

/// Prints rows in columns: the first row is the heading.
pub fn print_table(rows: &[Vec<String>]) -> Result<(), Failure> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{:<width$}  ", one_line(cell)));
        }
        print(line.trim_end())?;
    }
    Ok(())
}
