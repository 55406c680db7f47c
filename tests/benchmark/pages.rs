//! The list of mailboxes, signed in, against a bare handler that lists 50 rows.

use crate::console::Console;
use crate::load::{Answer, Round, Target, get, in_turns};
use crate::process::Process;
use crate::report::Table;
use crate::roles;
use crate::seed::Database;
use anyhow::{Result, ensure};
use std::sync::Arc;
use std::time::Duration;

/// Numbers of mailboxes.
pub const SIZES: [usize; 3] = [100, MIDDLE, LARGE];
/// The one the ratio is about.
pub const MIDDLE: usize = 10_000;
const LARGE: usize = 100_000;
const FIRST: &str = "/mailboxes";
const LAST: &str = "/mailboxes?page=last";

const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_millis(1000);
/// The least part of the bare server's rate.
const AIM: f64 = 0.35;
/// How much slower may a page be with ten times the mailboxes, and the last page than the first?
const GROWTH: f64 = 1.3;

/// Servers that run as long as the targets are used.
struct Servers(Vec<Console>, Vec<Process>);

pub fn measure(databases: &[Database], table: &mut Table) -> Result<()> {
    eprintln!("lists of mailboxes");
    let mut servers = Servers(Vec::new(), Vec::new());
    let mut targets = Vec::new();
    for database in databases {
        let console = Console::start(&database.data)?;
        let cookie = console.sign_in()?;
        for path in [FIRST, LAST] {
            let page = console.page(path, &cookie)?;
            let rows = rows(&page);
            ensure!(rows == 50, "{path} of {} mailboxes shows {rows} rows", database.mailboxes);
            table.note(
                format!("{path} of {}: bytes of HTML", database.mailboxes),
                page.body.len().to_string(),
            );
            targets.push(Target {
                address: console.address,
                process: console.process.id(),
                requests: Arc::new(vec![get(console.address, path, &cookie)]),
            });
        }
        let (bare, address) = roles::start(roles::LIST, &database.bare)?;
        targets.push(Target {
            address,
            process: bare.id(),
            requests: Arc::new(vec![get(address, "/", "")]),
        });
        servers.0.push(console);
        servers.1.push(bare);
    }
    let found = in_turns(&targets, ROUNDS, TIME)?;
    let at = |size: usize| -> Option<&[Round]> {
        let place = databases.iter().position(|database| database.mailboxes == size)?;
        found.chunks(3).nth(place)
    };
    for (database, rounds) in databases.iter().zip(found.chunks(3)) {
        for (name, round) in ["first page", "last page", "bare list of 50"].iter().zip(rounds) {
            table.note(format!("{name} of {}", database.mailboxes), round.to_string());
        }
    }
    if let (Some([first, last, bare]), Some([far_first, far_last, _])) = (at(MIDDLE), at(LARGE)) {
        table.at_least("first page / bare list at 10,000, by rate", first.rate / bare.rate, AIM);
        table.at_least("last page / bare list at 10,000, by rate", last.rate / bare.rate, AIM);
        table.at_most("p50 at 100,000 / p50 at 10,000, first page", far_first.p50 / first.p50, GROWTH, "");
        table.at_most("p50 at 100,000 / p50 at 10,000, last page", far_last.p50 / last.p50, GROWTH, "");
        table.at_most(
            "p50 of the last page / the first at 100,000",
            far_last.p50 / far_first.p50,
            GROWTH,
            "",
        );
    }
    Ok(())
}

/// Rows of the page's table, however each looks.
fn rows(page: &Answer) -> usize {
    let text = String::from_utf8_lossy(&page.body);
    let body = text.split_once("<tbody").and_then(|(_, rest)| rest.split_once("</tbody>"));
    body.map_or(0, |(body, _)| body.matches("<tr").count())
}
