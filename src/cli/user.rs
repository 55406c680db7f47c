//! `mailgrant user`: accounts of the console, for whoever has the data directory.

use super::answer::{Answer, Failure, Outcome, print, print_table, say};
use crate::actions::users::{self, NewUser, UserError};
use crate::app::App;
use crate::auth::password::Passwords;
use crate::model::audit::Actor;
use crate::model::user::{Role, User};
use crate::secret::Password;
use std::io::{BufRead, IsTerminal};
use std::sync::Arc;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add an account; the first one is an admin
    Add {
        /// Address they sign in with
        email: String,
        /// admin, operator or viewer [default: admin for the first account, viewer after that]
        #[arg(long, value_parser = role)]
        role: Option<Role>,
        /// What others see [default: from the address]
        #[arg(long, default_value = "")]
        name: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// List the accounts
    List,
    /// Let somebody in no more; their sessions end at once
    Disable {
        /// Their address
        email: String,
    },
    /// Set a password; a disabled account is let in again
    ResetPassword {
        /// Their address
        email: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "not one of admin, operator, viewer".to_owned())
}

/// Does it.
pub async fn run(app: &App, command: Command) -> Outcome {
    let actor = Actor::command_line();
    let passwords = Passwords::new(Arc::clone(&app.random));
    match command {
        Command::Add {
            email,
            role,
            name,
            password_stdin,
        } => {
            let new = NewUser {
                email: &email,
                name: &name,
                role,
                password: password(password_stdin)?,
                first: false,
            };
            let user = users::create(app, &passwords, &actor, new).await?;
            print(format!("Added {} as {}", user.email, user.role))?;
            let admin = |user: &User| user.role == Role::Admin && !user.disabled;
            if !app.store.users().await?.iter().any(admin) {
                say("nobody is an admin here yet");
                say("help: mailgrant user add EMAIL --role admin");
            }
        }
        Command::List => list(app).await?,
        Command::Disable { email } => {
            let user = users::disable(app, &actor, &email).await?;
            print(format!("{} can't sign in any more", user.email))?;
        }
        Command::ResetPassword { email, password_stdin } => {
            let password = password(password_stdin)?;
            let user = users::reset_password(app, &passwords, &actor, &email, password).await?;
            print(format!("The password of {} is set; their sessions ended", user.email))?;
        }
    }
    Ok(Answer::Yes)
}

async fn list(app: &App) -> Result<(), Failure> {
    let mut rows = vec![["EMAIL", "NAME", "ROLE", "STATE", "LAST SEEN"].map(str::to_owned).to_vec()];
    for user in app.store.users().await? {
        rows.push(vec![
            user.email,
            user.name,
            user.role.to_string(),
            if user.disabled { "disabled" } else { "on" }.to_owned(),
            user.last_seen_at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339()),
        ]);
    }
    print_table(&rows)
}

fn password(from_stdin: bool) -> Result<Password, Failure> {
    if from_stdin {
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| Failure::wrong(format!("standard input can't be read: {error}")))?;
        let text = line.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(Failure::wrong("no password on standard input"));
        }
        return Ok(Password::new(text));
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            Failure::wrong("there is no terminal to ask for the password").help("send it to standard input and add --password-stdin")
        );
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map(Password::new)
            .map_err(|error| Failure::wrong(format!("the password can't be read: {error}")))
    };
    let (first, second) = (ask("Password: ")?, ask("The same again: ")?);
    if first.expose_secret() != second.expose_secret() {
        return Err(Failure::wrong("the two passwords are not the same"));
    }
    Ok(first)
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Store(error) => error.into(),
            UserError::Field(_, text) => Self::wrong(text),
            UserError::Unknown(_) => Self::wrong(error.to_string()).help("mailgrant user list shows the accounts there are"),
            other => Self::no(other.to_string()),
        }
    }
}
