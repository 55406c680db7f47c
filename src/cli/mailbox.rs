//! `mailgrant mailbox list|test`.

use super::answer::{Answer, Failure, Outcome, print, print_json, print_table};
use crate::actions::judgement::scene_of_mailbox;
use crate::actions::probe::{Ended, Options, Order, ProbeError, passed, run_to_end, side};
use crate::app::App;
use crate::diagnosis::ways::told_to_programs;
use crate::model::Name;
use crate::model::audit::Actor;
use crate::model::mailbox::{Auth, Mailbox, Side, check_address};
use crate::model::report::{Direction, Outcome as StepOutcome, Report};
use serde::Serialize;

/// What to do with mailboxes.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the mailboxes
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Test a mailbox; without a direction, every side there is
    Test {
        /// Its name
        name: String,
        /// Only reading
        #[arg(long, conflicts_with = "outgoing")]
        incoming: bool,
        /// Only sending; sends a test message
        #[arg(long)]
        outgoing: bool,
        /// Where the test message goes; without it to the mailbox itself
        #[arg(long, value_name = "ADDRESS", conflicts_with = "incoming")]
        to: Option<String>,
        /// Only sign in to send; nothing is sent
        #[arg(long, conflicts_with = "incoming")]
        login_only: bool,
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub async fn run(app: &App, command: Command) -> Outcome {
    match command {
        Command::List { json } => list(app, json).await,
        Command::Test {
            name,
            incoming,
            outgoing,
            to,
            login_only,
            json,
        } => {
            let direction = match (incoming, outgoing) {
                (true, _) => Some(Direction::Incoming),
                (_, true) => Some(Direction::Outgoing),
                _ => None,
            };
            test(app, &name, direction, to, login_only, json).await
        }
    }
}

#[derive(Serialize)]
struct ListedSide<'a> {
    protocol: &'static str,
    /// Null for Graph, like the two below.
    host: Option<&'a str>,
    port: Option<u16>,
    security: Option<&'static str>,
    auth: &'static str,
    token: Option<&'a str>,
    outcome: Option<StepOutcome>,
    problem: Option<&'a str>,
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    address: &'a str,
    display_name: &'a str,
    enabled: bool,
    state: &'static str,
    tags: &'a [String],
    checked_at: Option<String>,
    incoming: Option<ListedSide<'a>>,
    outgoing: Option<ListedSide<'a>>,
}

fn listed_side(mailbox: &Mailbox, direction: Direction) -> Option<ListedSide<'_>> {
    let side: &Side = side(mailbox, direction)?;
    let state = match direction {
        Direction::Incoming => &mailbox.incoming_state,
        Direction::Outgoing => &mailbox.outgoing_state,
    };
    let endpoint = side.server.endpoint();
    Some(ListedSide {
        protocol: side.server.protocol().as_str(),
        host: endpoint.map(|endpoint| endpoint.host.as_str()),
        port: endpoint.map(|endpoint| endpoint.port),
        security: endpoint.map(|endpoint| endpoint.security.as_str()),
        auth: side.auth.kind().as_str(),
        token: match &side.auth {
            Auth::OAuth2 { token, .. } => Some(token.as_str()),
            _ => None,
        },
        outcome: state.outcome,
        problem: state.problem.as_deref(),
    })
}

async fn list(app: &App, json: bool) -> Outcome {
    let mailboxes = app.store.mailboxes().await?;
    if json {
        let listed: Vec<Listed<'_>> = mailboxes
            .iter()
            .map(|mailbox| Listed {
                name: mailbox.name.as_str(),
                address: &mailbox.address,
                display_name: &mailbox.display_name,
                enabled: mailbox.enabled,
                state: mailbox.state.as_str(),
                tags: &mailbox.tags,
                checked_at: (mailbox.checked_at.0 > 0).then(|| mailbox.checked_at.to_rfc3339()),
                incoming: listed_side(mailbox, Direction::Incoming),
                outgoing: listed_side(mailbox, Direction::Outgoing),
            })
            .collect();
        print_json(&listed)?;
        return Ok(Answer::Yes);
    }
    let heading = ["NAME", "ADDRESS", "STATE", "INCOMING", "OUTGOING", "TAGS"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let server = |mailbox: &Mailbox, direction| {
        listed_side(mailbox, direction).map_or("-".to_owned(), |side| match (side.host, side.port) {
            (Some(host), Some(port)) => format!("{} {host}:{port}", side.protocol),
            _ => side.protocol.to_owned(),
        })
    };
    for mailbox in &mailboxes {
        rows.push(vec![
            mailbox.name.to_string(),
            mailbox.address.clone(),
            mailbox.state.as_str().to_owned(),
            server(mailbox, Direction::Incoming),
            server(mailbox, Direction::Outgoing),
            mailbox.tags.join(","),
        ]);
    }
    print_table(&rows)?;
    Ok(Answer::Yes)
}

async fn find(app: &App, name: &str) -> Result<Mailbox, Failure> {
    let missing = || Failure::wrong(format!("there is no mailbox \"{name}\"")).help("mailgrant mailbox list shows their names");
    let parsed = Name::parse(name).map_err(|_| missing())?;
    app.store.mailbox(&parsed).await?.ok_or_else(missing)
}

async fn test(app: &App, name: &str, direction: Option<Direction>, to: Option<String>, login_only: bool, json: bool) -> Outcome {
    let mailbox = find(app, name).await?;
    let to = match to {
        Some(text) => {
            let bad = || Failure::wrong(format!("\"{text}\" is not an email address")).help("write it like support@example.com");
            Some(check_address(&text).ok_or_else(bad)?)
        }
        None => None,
    };
    let options = Options {
        to,
        login_only,
        ..Options::chosen(app).await?
    };
    let directions: Vec<Direction> = match direction {
        Some(direction) => vec![direction],
        None => Direction::ALL
            .iter()
            .copied()
            .filter(|direction| side(&mailbox, *direction).is_some())
            .collect(),
    };
    let mut reports = Vec::new();
    for direction in directions {
        let order = Order {
            mailbox: mailbox.clone(),
            draft: false,
            direction,
            options: options.clone(),
            user: None,
        };
        let ended = run_to_end(app, &Actor::command_line(), order).await.map_err(refused)?;
        if !json {
            tell(&ended)?;
        }
        let mut report = ended.whole_report();
        if let Some(diagnosis) = &mut report.diagnosis {
            let mut scene = scene_of_mailbox(app, &mailbox, direction).await?;
            scene.step = ended.report.failed_step().map(|step| step.step);
            diagnosis.ways = told_to_programs(diagnosis, &scene);
        }
        reports.push(report);
    }
    if json {
        match (direction, reports.as_slice()) {
            (Some(_), [report]) => print_json(report)?,
            (_, reports) => print_json(&reports)?,
        }
    }
    Ok(if reports.iter().all(passed) { Answer::Yes } else { Answer::No })
}

fn refused(error: ProbeError) -> Failure {
    match error {
        ProbeError::NoSide(_) => Failure::wrong(error.to_string()),
        ProbeError::Store(error) => error.into(),
        other => Failure::no(other.to_string()),
    }
}

/// The report for people.
fn tell(ended: &Ended) -> Result<(), Failure> {
    let report: &Report = &ended.report;
    let seconds = report.duration_ms / 1000;
    let (row, outcome) = (&ended.run, report.outcome);
    print(format!(
        "test {} of {}: {outcome} in {seconds}.{} s",
        row.direction,
        row.address,
        report.duration_ms % 1000 / 100
    ))?;
    for step in &report.steps {
        let line = format!(
            "  {:<10} {:<8} {:>6} ms  {}",
            step.step.to_string(),
            step.outcome.to_string(),
            step.duration_ms,
            step.detail
        );
        print(super::answer::one_line(line.trim_end()))?;
    }
    if let Some(diagnosis) = &report.diagnosis {
        print(format!("{} ({})", diagnosis.title, diagnosis.id))?;
        print(format!("  {}", diagnosis.meaning))?;
        for remedy in &diagnosis.remedy {
            print(format!("  - {remedy}"))?;
        }
    }
    Ok(())
}
