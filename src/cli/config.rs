//! `mailgrant config check|apply|export`.

use super::answer::{Answer, Failure, Outcome, one_line, print, print_all};
use crate::actions::config::{ApplyError, Change, Sources, What, apply, export, parse};
use crate::app::App;
use crate::model::audit::Actor;
use crate::model::config_file::Problem;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How long may a configuration file be?
const LONGEST: u64 = 16 << 20;

/// What to do with the configuration file.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check a configuration file against what is stored; changes nothing
    Check {
        /// The file; - for standard input
        file: PathBuf,
    },
    /// Apply a configuration file: all of it, or nothing
    Apply {
        /// The file; - for standard input
        file: PathBuf,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Print what is stored, in the same format
    Export {
        /// With client secrets, refresh tokens and passwords: the output then opens every mailbox in it
        #[arg(long)]
        with_secrets: bool,
    },
}

impl Command {
    /// Whether it only says what would be done.
    pub fn changes_nothing(&self) -> bool {
        matches!(self, Self::Check { .. } | Self::Apply { dry_run: true, .. })
    }
}

/// Runs the command.
pub async fn run(app: &App, command: Command) -> Outcome {
    match command {
        Command::Check { file } => read_and_apply(app, &file, true, "would be ").await,
        Command::Apply { file, dry_run: true } => read_and_apply(app, &file, true, "would be ").await,
        Command::Apply { file, dry_run: false } => read_and_apply(app, &file, false, "").await,
        Command::Export { with_secrets } => {
            let text = export(app, &Actor::command_line(), with_secrets)
                .await
                .map_err(|error| Failure::no(error.to_string()))?;
            print_all(&text)?;
            Ok(Answer::Yes)
        }
    }
}

async fn read_and_apply(app: &App, path: &Path, dry_run: bool, would: &str) -> Outcome {
    let shown = if path.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let text = read(path, &shown)?;
    let env = |name: &str| std::env::var(name).ok();
    let directory = path
        .parent()
        .filter(|_| path.as_os_str() != "-")
        .map_or_else(PathBuf::new, Path::to_path_buf);
    let applied = match parse(&text) {
        Ok(file) => apply(app, &Actor::command_line(), &file, &Sources { directory, env: &env }, dry_run).await,
        Err(error) => Err(error),
    };
    match applied {
        Ok(changes) => {
            for change in &changes {
                print(format!("{} {} {would}{}", change.kind, change.name, word(change)))?;
                if !change.note.is_empty() {
                    print(format!("  {}", change.note))?;
                }
            }
            if changes.is_empty() {
                print("nothing in the file")?;
            }
            Ok(Answer::Yes)
        }
        Err(ApplyError::File(problems)) => Err(problems_of(&shown, &problems)),
        Err(other) => Err(other.into()),
    }
}

fn word(change: &Change) -> &'static str {
    match change.what {
        What::Created => "created",
        What::Updated => "updated",
        What::Unchanged => "unchanged",
    }
}

/// Every problem with its line; the last one becomes the failure, so that each is one `error:` line.
fn problems_of(file: &str, problems: &[Problem]) -> Failure {
    let failure = |problem: &Problem| {
        let failure = Failure::wrong(format!("{file}:{}: {}", problem.line, problem.message));
        problem.help.iter().fold(failure, |failure, help| failure.help(help.clone()))
    };
    let (last, rest) = problems.split_last().map_or((None, problems), |(last, rest)| (Some(last), rest));
    for problem in rest {
        let _ = failure(problem).report();
    }
    match last {
        Some(last) => failure(last).help("nothing was changed"),
        None => Failure::wrong(format!("{file} can't be used")),
    }
}

fn read(path: &Path, shown: &str) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| Failure::wrong(format!("{} can't be read: {error}", one_line(shown)));
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .map_err(unreadable)?
            .take(LONGEST + 1)
            .read_to_string(&mut text)
    };
    let length = read.map_err(unreadable)?;
    if length as u64 > LONGEST {
        return Err(Failure::wrong(format!("{} is longer than {} MiB", one_line(shown), LONGEST >> 20)));
    }
    Ok(text)
}
