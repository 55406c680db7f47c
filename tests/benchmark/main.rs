//! The benchmark: `cargo bench --bench benchmark`, with `pages`, `tokens`, `tests`, `start` or `checks` behind `--` for one
//! part alone. `checks` takes 20 minutes and runs only where it is named.
//!
//! Every aim is a ratio to something bare that is measured in the same run on the same machine: two servers take turns, round by
//! round, and the medians of the rounds are compared, so that a busy machine disturbs both alike. The servers are processes of their
//! own: the released `mailgrant`, and this program started again in a [`roles`] part.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checks;
mod console;
mod load;
mod pages;
mod process;
mod report;
mod roles;
mod seed;
mod slow_imap;
mod start;
mod tests;
mod tokens;

use anyhow::Result;
use report::Table;
use tempfile::TempDir;

fn main() -> Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if let Some(role) = roles::asked_for() {
        return roles::play(&role);
    }
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|word| word == part);
    let place = TempDir::new()?;
    let mut table = Table::default();

    let parts = ["pages", "tokens", "start"];
    let sizes = if wanted("pages") { &pages::SIZES[..] } else { &[pages::MIDDLE][..] };
    let databases = match parts.into_iter().any(wanted) {
        true => seed::databases(place.path(), sizes)?,
        false => Vec::new(),
    };
    if wanted("pages") || wanted("start") {
        for database in &databases {
            console::add_admin(&database.data)?;
        }
    }
    if wanted("pages") {
        pages::measure(&databases, &mut table)?;
    }
    let middle = databases.iter().find(|database| database.mailboxes == pages::MIDDLE);
    if let Some(middle) = middle.filter(|_| wanted("tokens")) {
        tokens::measure(middle, &mut table)?;
    }
    if let Some(middle) = middle.filter(|_| wanted("start")) {
        start::measure(middle, &mut table)?;
    }
    if wanted("tests") {
        tests::measure(&place.path().join("tests"), &mut table)?;
    }
    if asked.iter().any(|word| word == "checks") {
        checks::measure(&place.path().join("checks"), &mut table)?;
    }
    table.print();
    Ok(())
}
