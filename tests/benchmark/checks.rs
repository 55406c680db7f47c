//! 10,000 mailboxes at one provider, each with a token of its own, checked by a console while people look at its pages; the mail servers
//! take 300 ms for each command. `MAILGRANT_BENCH_MINUTES` says for how long, 20 by default: longer than an interval.

use crate::console::{Console, add_admin};
use crate::load::{Connection, get};
use crate::process::{cpu_time, resident};
use crate::report::Table;
use crate::{seed, slow_imap};
use anyhow::{Context, Result, ensure};
use mailgrant::app::App;
use mailgrant::clock::{Clock, SystemClock};
use mailgrant::model::mailbox::Security;
use mailgrant::model::settings::CHECK_INTERVAL;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many mailboxes, and as many tokens?
const MAILBOXES: usize = 10_000;
/// How long do the servers think about each command?
const THINKS: Duration = Duration::from_millis(300);
/// The pages people look at, one after the other.
const PAGES: [&str; 4] = ["/", "/mailboxes", "/tokens", "/tests"];
/// How long does a person rest between two pages?
const RESTS: Duration = Duration::from_millis(250);
/// Bars: how late a check may begin, how long a page may take, and how much memory there is.
const LATE: f64 = 30.0;
const PAGE: f64 = 200.0;
const MEMORY: f64 = 200.0;

#[tokio::main]
pub async fn measure(data: &Path, table: &mut Table) -> Result<()> {
    let minutes: u64 = match std::env::var("MAILGRANT_BENCH_MINUTES") {
        Ok(text) => text.parse()?,
        Err(_) => 20,
    };
    let imap = slow_imap::start(THINKS).await?;
    let smtp = slow_imap::start_smtp(THINKS).await?;
    let app = seed::open(data).await?;
    seed::fill_for_checks(&app, MAILBOXES, (imap, smtp, Security::None)).await?;
    spread(&app).await?;
    add_admin(data)?;
    eprintln!("{MAILBOXES} mailboxes, checked for {minutes} minutes");

    let console = Console::start_with(data, &[("MAILGRANT_ALLOW_NETWORKS", "loopback")])?;
    let cookie = console.sign_in()?;
    let (address, process) = (console.address, console.process.id());
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let people = tokio::task::spawn_blocking(move || look(address, &cookie, end));
    let began = (Instant::now(), cpu_time(process)?, SystemClock.now());
    let (mut latest, mut most) = (0_i64, 0_u64);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = SystemClock.now();
        let oldest = lowest(&app).await?;
        latest = latest.max(now.since(oldest));
        most = most.max(resident(process)?);
        eprint!("\r  {} s late at worst, {} MiB ", latest, most / 1024);
    }
    eprintln!();
    let times = people.await??;
    let (took, cpu) = (began.0.elapsed().as_secs_f64(), (cpu_time(process)? - began.1).as_secs_f64());
    let done: i64 =
        sqlx::query_scalar("SELECT CAST(COALESCE(SUM(passed + failed), 0) AS BIGINT) FROM check_counts WHERE kind = 'mailbox-day'")
            .fetch_one(app.store.raw_pool())
            .await?;
    let failed: i64 = sqlx::query_scalar("SELECT CAST(COALESCE(SUM(failed), 0) AS BIGINT) FROM check_counts WHERE kind = 'mailbox-day'")
        .fetch_one(app.store.raw_pool())
        .await?;
    ensure!(done > 0, "nothing was checked");
    table.note("checks done, failed ones", format!("{done}, {failed}"));
    table.note(
        "checks a second, of those due",
        format!(
            "{:.1} of {:.1}",
            done as f64 / took,
            MAILBOXES as f64 / (CHECK_INTERVAL.default * 60) as f64
        ),
    );
    table.at_most("a check begins late by at most", latest as f64, LATE, " s");
    table.note("CPU of the console", format!("{:.0} % of one core", cpu / took * 100.0));
    for (page, mut times) in PAGES.iter().zip(times) {
        times.sort_unstable();
        let at = |part: f64| times[((times.len() as f64 * part) as usize).min(times.len() - 1)].as_secs_f64() * 1000.0;
        table.note(
            format!("{page}: p50, max of {}", times.len()),
            format!("{:.0} ms, {:.0} ms", at(0.5), at(1.0)),
        );
        table.at_most(&format!("{page}: p95"), at(0.95), PAGE, " ms");
    }
    table.at_most("memory of the console at most", most as f64 / 1024.0, MEMORY, " MiB");
    table.note(
        "database",
        format!(
            "{:.1} MiB",
            std::fs::metadata(data.join("mailgrant.db"))?.len() as f64 / 1_048_576.0
        ),
    );
    app.store.close().await;
    Ok(())
}

/// What is planned for years from now is planned anew, over the interval that begins now; first checks of new mailboxes would begin after
/// half an interval only, and nothing would be measured until then.
async fn spread(app: &App) -> Result<()> {
    sqlx::query("UPDATE mailboxes SET next_check_at = $1")
        .bind(app.clock.now().plus(10 * 365 * 86_400).0)
        .execute(app.store.raw_pool())
        .await?;
    Ok(())
}

/// When the check was due that waits longest and has not begun; now where none waits.
async fn lowest(app: &App) -> Result<mailgrant::clock::Timestamp> {
    let now = app.clock.now();
    let oldest: Option<i64> = sqlx::query_scalar(
        "SELECT MIN(next_check_at) FROM mailboxes WHERE enabled = 1 AND next_check_at > 0 AND check_owner IS NULL AND next_check_at <= $1",
    )
    .bind(now.0)
    .fetch_one(app.store.raw_pool())
    .await?;
    Ok(oldest.map_or(now, mailgrant::clock::Timestamp))
}

/// Looks at each page in turn; how long each took.
fn look(address: std::net::SocketAddr, cookie: &str, end: Instant) -> Result<[Vec<Duration>; 4]> {
    let mut times = [const { Vec::new() }; 4];
    let mut connection = Connection::open(address)?;
    while Instant::now() < end {
        for (page, times) in PAGES.iter().zip(&mut times) {
            let began = Instant::now();
            let answer = connection.send(&get(address, page, cookie)).context(*page)?;
            times.push(began.elapsed());
            ensure!(answer.status == 200, "{page} was answered with {}", answer.status);
            std::thread::sleep(RESTS);
        }
    }
    Ok(times)
}
