//! The command tree, exit statuses and `--json` (`interfaces.md`, Commands).

pub mod answer;
pub mod audit;
pub mod config;
pub mod demo;
pub mod diagnose;
pub mod doctor;
pub mod mailbox;
mod passing;
pub mod provider;
pub mod serve;
mod stop;
pub mod token;
pub mod user;

use crate::app::App;
use crate::clock::SystemClock;
use crate::config::{Config, Flags};
use crate::random::SystemRandom;
use answer::{Answer, Failure, Outcome};
use clap::Parser;
use passing::Passing;
use std::process::ExitCode;
use std::sync::Arc;

/// What a command logs unless `RUST_LOG` says otherwise. How long the database took is a matter for whoever runs the console, not for
/// whoever types a command; and how a renewal, a test or a sign-in ended the command says itself.
const FILTER: &str =
    "warn,sqlx::query=error,mailgrant::actions::access_token=error,mailgrant::actions::probe=error,mailgrant::actions::authorize=error";

/// Gets, keeps and hands out OAuth 2.0 tokens for mailboxes
#[derive(Debug, Parser)]
#[command(name = "mailgrant", version, about)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run the console until it is told to stop
    Serve,
    /// Try everything out against the built-in sandbox; nothing outside is contacted and nothing is kept
    Demo,
    /// Accounts of the console
    #[command(subcommand)]
    User(user::Command),
    /// Check, apply or export the configuration file
    #[command(subcommand)]
    Config(config::Command),
    /// Providers: app registrations at authorization servers
    #[command(subcommand)]
    Provider(provider::Command),
    /// Outbound tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Mailboxes, and tests of them
    #[command(subcommand)]
    Mailbox(mailbox::Command),
    /// Explain a server's error text, read from standard input, or a code
    Diagnose {
        /// A code such as AADSTS50011; without one, standard input is read
        code: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The audit log
    #[command(subcommand)]
    Audit(audit::Command),
    /// Is this installation sound?
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Whether this can be the first that is done with a data directory.
    fn may_begin(&self) -> bool {
        matches!(
            self,
            Self::Serve | Self::User(user::Command::Add { .. }) | Self::Config(_) | Self::Doctor { .. }
        )
    }
}

/// Parses the command line, runs the command, and reports what came of it.
pub async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer::misuse(&error),
    };
    match run(cli).await {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(failure) => failure.report(),
    }
}

async fn run(cli: Cli) -> Outcome {
    if matches!(cli.command, Command::Demo) {
        return demo::run(&cli.flags).await;
    }
    if let Command::Diagnose { code, json } = cli.command {
        // It needs neither settings nor a console.
        return diagnose::run(&code, json);
    }
    let mut config = settings(&cli.flags)?;
    if matches!(cli.command, Command::Serve) {
        let queue = crate::telemetry::start_kept(config.log_format, "info");
        let app = open(config).await?;
        return serve::run(&app, queue).await;
    }
    crate::telemetry::start(config.log_format, FILTER);
    // Gone with the last line of this function.
    let passing = match &cli.command {
        Command::Config(command) if command.changes_nothing() => Passing::instead_of(&config)?,
        _ => None,
    };
    if let Some(passing) = &passing {
        config.data_dir = passing.path().to_path_buf();
    }
    if !cli.command.may_begin() && config.database_url.is_none() && !config.data_dir.exists() {
        // A mistyped directory would look like a console with nothing in it, and hold a key that protects nothing.
        return Err(Failure::wrong(format!("there is no console in {}", config.data_dir.display()))
            .help("check --data-dir or MAILGRANT_DATA_DIR; mailgrant serve makes a new one"));
    }
    let app = open(config).await?;
    let outcome = match cli.command {
        // Ran above: they have settings of their own, or none.
        Command::Serve | Command::Demo | Command::Diagnose { .. } => Ok(Answer::Yes),
        Command::User(command) => user::run(&app, command).await,
        Command::Config(command) => config::run(&app, command).await,
        Command::Provider(command) => provider::run(&app, command).await,
        Command::Token(command) => token::run(&app, command).await,
        Command::Mailbox(command) => mailbox::run(&app, command).await,
        Command::Audit(command) => audit::run(&app, command).await,
        Command::Doctor { json } => doctor::run(&app, json).await,
    };
    finish(&app).await;
    outcome
}

/// The settings, from flags, environment and file.
fn settings(flags: &Flags) -> Result<Config, Failure> {
    Config::load(flags, |name| std::env::var(name).ok()).map_err(|error| {
        let failure = Failure::wrong(error.message);
        error.help.into_iter().fold(failure, Failure::help)
    })
}

/// Opens the data directory.
async fn open(config: Config) -> Result<App, Failure> {
    Ok(App::open(config, Arc::new(SystemClock), Arc::new(SystemRandom)).await?)
}

/// Lets renewals under way end, and the database with them.
async fn finish(app: &App) {
    app.stopping.cancel();
    app.tasks.close();
    let _ = tokio::time::timeout(std::time::Duration::from_secs(30), app.tasks.wait()).await;
    app.store.close().await;
}
