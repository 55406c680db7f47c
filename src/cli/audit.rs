//! `mailgrant audit verify`: whether the audit log is as it was written, and whether it still holds what an anchor says.

use super::answer::{Answer, Failure, Outcome, one_line, print, print_json};
use crate::app::App;
use crate::model::audit::{Anchor, Break};
use crate::store::audit::Held;
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most of a file with anchors that is read.
const FILE_LIMIT: u64 = 256 * 1024 * 1024;

/// What can be done with the audit log.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Look through the whole chain; exit status 1 where it breaks
    Verify {
        /// Also compare with anchors: a file with lines of the service's log, or - for standard input
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Report {
    intact: bool,
    entries: i64,
    first: i64,
    last: i64,
    head: String,
    broken: Option<Break>,
    anchors: Vec<Compared>,
}

#[derive(Serialize)]
struct Compared {
    sequence: i64,
    hash: String,
    /// `yes`, `no`, or `cut` where retention took the entry.
    held: &'static str,
}

/// Runs it.
pub async fn run(app: &App, command: Command) -> Outcome {
    let Command::Verify { anchor, json } = command;
    let wanted = match anchor {
        Some(file) => {
            let anchors = Anchor::all(&read(&file)?);
            if anchors.is_empty() {
                return Err(Failure::wrong(format!("there is no anchor in {}", file.display()))
                    .help("give lines of the service's log that say \"Audit anchor\""));
            }
            anchors
        }
        None => Vec::new(),
    };
    let chain = app.store.check_audit(Duration::ZERO).await?;
    let mut anchors = Vec::new();
    for anchor in wanted {
        let held = match app.store.holds_anchor(&anchor).await? {
            Held::Yes => "yes",
            Held::Cut => "cut",
            Held::No => "no",
        };
        let Anchor { sequence, hash } = anchor;
        anchors.push(Compared { sequence, hash, held });
    }
    let report = Report {
        intact: chain.broken.is_none() && anchors.iter().all(|anchor| anchor.held != "no"),
        entries: chain.entries(),
        first: chain.first,
        last: chain.last,
        head: chain.head,
        broken: chain.broken,
        anchors,
    };
    if json {
        print_json(&report)?;
    } else {
        tell(&report)?;
    }
    Ok(if report.intact { Answer::Yes } else { Answer::No })
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::wrong(format!("{} can't be read: {error}", file.display()));
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(FILE_LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let open = std::fs::File::open(file).map_err(failed)?;
        open.take(FILE_LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn tell(report: &Report) -> Result<(), Failure> {
    match &report.broken {
        None if report.entries == 0 => print("The chain is intact: no entries yet")?,
        None => print(format!(
            "The chain is intact: {} entries, {} to {}",
            report.entries, report.first, report.last
        ))?,
        Some(broken) => print(format!("The chain breaks at entry {}: {}", broken.sequence, one_line(&broken.what)))?,
    }
    if report.first > 1 {
        print(format!("Entries before {} were cut by retention", report.first))?;
    }
    for anchor in report.anchors.iter().filter(|anchor| anchor.held == "no") {
        let why = if anchor.sequence > report.last {
            "the log ends before it"
        } else {
            "another entry stands there"
        };
        print(format!("Entry {} isn't the one of the anchor: {why}", anchor.sequence))?;
    }
    let count = |held| report.anchors.iter().filter(|anchor| anchor.held == held).count();
    if count("yes") > 0 {
        print(format!("Anchors that the log still holds: {}", count("yes")))?;
    }
    if count("cut") > 0 {
        print(format!("Anchors of entries that retention has cut: {}", count("cut")))?;
    }
    Ok(())
}
