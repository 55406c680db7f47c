//! How long a start takes, how much memory the idle console holds, and how large the program is.

use crate::console::Console;
use crate::load::median;
use crate::process::resident;
use crate::report::Table;
use crate::seed::Database;
use anyhow::Result;
use std::time::Duration;

const STARTS: usize = 9;
/// Milliseconds from the start of the process until `/health/ready` answers 200.
const START: f64 = 100.0;
/// How long after its start is it idle?
const IDLE: Duration = Duration::from_secs(3);
const MEMORY_MIB: f64 = 30.0;
const BINARY_MIB: f64 = 25.0;

pub fn measure(database: &Database, table: &mut Table) -> Result<()> {
    eprintln!("starts");
    let (mut times, mut memory) = (Vec::new(), 0);
    let cookie = {
        let console = Console::start(&database.data)?;
        let cookie = console.sign_in()?;
        table.note("memory right after a sign-in, MiB", mebibytes(resident(console.process.id())?));
        cookie
    };
    for number in 0..STARTS {
        let console = Console::start(&database.data)?;
        times.push(console.took.as_secs_f64() * 1000.0);
        if number + 1 == STARTS {
            console.page("/mailboxes", &cookie)?;
            std::thread::sleep(IDLE);
            memory = resident(console.process.id())?;
        }
    }
    table.at_most("start until ready at 10,000 mailboxes", median(times.into_iter()), START, " ms");
    table.at_most("memory when idle, after one page", memory as f64 / 1024.0, MEMORY_MIB, " MiB");
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_mailgrant"))?.len();
    table.at_most("size of the program", binary as f64 / 1024.0 / 1024.0, BINARY_MIB, " MiB");
    Ok(())
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1}", kibibytes as f64 / 1024.0)
}
