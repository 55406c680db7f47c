//! 200 *Test incoming* at once against a server that takes its time, compared with one.

use crate::report::Table;
use crate::{seed, slow_imap};
use anyhow::{Result, ensure};
use mailgrant::actions::mailboxes::{self, MailboxInput, SideInput, check_mailbox};
use mailgrant::actions::probe::{Options, Order, run_to_end};
use mailgrant::app::App;
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::Mailbox;
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::settings::PARALLEL;
use mailgrant::secret::Password;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const TESTS: usize = 200;
/// How long does the server think about each command?
const THINKS: Duration = Duration::from_millis(500);
/// How much longer may all of them take than one?
const AIM: f64 = 1.3;

#[tokio::main]
pub async fn measure(data: &Path, table: &mut Table) -> Result<()> {
    eprintln!("{TESTS} tests at once");
    let port = slow_imap::start(THINKS).await?;
    let app = seed::open(data).await?;
    let mut tx = app.store.begin().await?;
    tx.put_setting(PARALLEL.key, &TESTS.to_string()).await?;
    tx.commit().await?;
    let mut boxes = Vec::new();
    for number in 0..TESTS {
        boxes.push(mailbox(&app, number, port).await?);
    }
    let one = all(&app, &boxes[..1]).await?;
    let many = all(&app, &boxes).await?;
    table.note("one Test incoming, 500 ms a command", format!("{:.2} s", one.as_secs_f64()));
    table.note(format!("{TESTS} of them at once"), format!("{:.2} s", many.as_secs_f64()));
    let ratio = many.as_secs_f64() / one.as_secs_f64();
    table.at_most(&format!("{TESTS} slow tests / one"), ratio, AIM, "");
    app.store.close().await;
    Ok(())
}

async fn mailbox(app: &App, number: usize, port: u16) -> Result<Mailbox> {
    let input = MailboxInput {
        name: format!("box-{number}"),
        address: format!("box-{number}@contoso.test"),
        incoming: Some(SideInput {
            protocol: "imap".into(),
            host: "127.0.0.1".into(),
            port: port.to_string(),
            security: "none".into(),
            auth: "password".into(),
            password: Some(Password::new("long-enough-42")),
            ..SideInput::default()
        }),
        ..MailboxInput::default()
    };
    let edit = check_mailbox(&input, &app.gate).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok(mailboxes::create(app, &Actor::console(), edit).await?)
}

/// Tests them all at once; how long until the last has passed.
async fn all(app: &App, boxes: &[Mailbox]) -> Result<Duration> {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for mailbox in boxes {
        let (app, mailbox) = (app.clone(), mailbox.clone());
        running.spawn(async move {
            let order = Order {
                mailbox,
                draft: false,
                direction: Direction::Incoming,
                options: Options::default(),
                user: None,
            };
            run_to_end(&app, &Actor::console(), order).await
        });
    }
    while let Some(ended) = running.join_next().await {
        let report = &ended??.report;
        ensure!(report.outcome != Outcome::Failed, "a test failed: {report:?}");
    }
    Ok(began.elapsed())
}
