//! `mailgrant token authorize` for a token that is got at another device: prints address and code, and waits. Needs no console: where none
//! asks the provider, this does.

use super::LOOK;
use crate::actions::authorize::{self, BeginError, Outcome, device};
use crate::app::App;
use crate::cli::answer::{Answer, Failure, Outcome as Answered, print, say};
use crate::cli::stop::StopSignals;
use crate::model::audit::Actor;
use crate::model::provider::Provider;
use crate::model::token::{Authorization, Token};

/// Begins a sign-in, or joins the one that waits already, until it is over.
pub(super) async fn authorize(app: &App, token: &Token, provider: &Provider) -> Answered {
    let account = token.user.as_deref().unwrap_or("the account");
    let mut stop = StopSignals::catch()?;
    let started = match device::start(app, &Actor::command_line(), None, token, provider).await {
        Ok(started) => started,
        Err(BeginError::OAuth(error)) => return Err(Failure::no(format!("the sign-in can't begin: {error}"))),
        Err(BeginError::Store(error)) => return Err(error.into()),
        Err(error @ (BeginError::LinkWornOut | BeginError::TooManyOpen(_))) => return Err(Failure::no(error.to_string())),
    };
    let attempt = started.attempt;
    if let Some(outcome) = Outcome::read(&attempt.outcome, &attempt.detail) {
        return ended(&outcome, account);
    }
    let Some(codes) = device::codes(app, provider, &attempt) else {
        return Err(Failure::no("the provider was changed; run the command again"));
    };
    if !started.is_new {
        say(format!("{} started this sign-in; it still waits.", attempt.started_by));
    }
    say(format!(
        "On any phone or computer open this address, enter the code, and sign in as {account}, before {}:",
        attempt.expires_at.to_rfc3339()
    ));
    print(&codes.address)?;
    print(&codes.user_code)?;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.received() => return stopped(app, token, &attempt, started.is_new).await,
        }
        device::ask_about(app, &attempt.id).await?;
        let Some(now) = app.store.authorization(&attempt.id).await? else {
            return Err(Failure::no("the token is gone"));
        };
        match Outcome::read(&now.outcome, &now.detail) {
            None | Some(Outcome::Working) => {}
            Some(outcome) => return ended(&outcome, account),
        }
    }
}

/// Nobody waits for it any more here; one that was started in the console goes on there.
async fn stopped(app: &App, token: &Token, attempt: &Authorization, is_ours: bool) -> Answered {
    let failure = Failure::no("stopped before anybody signed in");
    if !is_ours {
        return Err(failure.help("the sign-in was started elsewhere and goes on where the console runs"));
    }
    authorize::cancel(app, &Actor::command_line(), token, attempt).await?;
    Err(failure.help("the code no longer works here: run the command again for another"))
}

fn ended(outcome: &Outcome, account: &str) -> Answered {
    let words = outcome.history("Somebody").unwrap_or_default();
    match outcome {
        Outcome::SignedIn { .. } => {}
        Outcome::SignedInMissing { stored: true, .. } => say(words),
        Outcome::Withdrawn => return Err(Failure::no("the sign-in was stopped in the console")),
        Outcome::Declined { diagnosis, .. } | Outcome::ExchangeFailed { diagnosis, .. } | Outcome::NoIdentity { diagnosis, .. } => {
            let failure = Failure::no(words.trim_end_matches('.').to_owned());
            return Err(diagnosis.remedy.iter().fold(failure, Failure::help));
        }
        _ => return Err(Failure::no(words.trim_end_matches('.').to_owned()).help("run the command again for another code")),
    }
    print(format!("signed in as {account}"))?;
    Ok(Answer::Yes)
}
