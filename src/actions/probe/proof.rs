//! Proof of least privilege: an app-only token is sent to open a mailbox that it must not open, the same way as it opens its own. It
//! passes only if it is refused. A token that opens nothing at all proves nothing, so one of its own mailboxes must open beside it.

use super::work::Findings;
use super::{login, target};
use crate::app::App;
use crate::mail::Login;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::{Auth, Mailbox, Server, Side, check_address};
use crate::model::proof::{Proof, ProofOutcome};
use crate::model::report::{Direction, Report, Stage};
use crate::model::token::{GrantType, Token};
use crate::model::{TokenId, UserId};
use crate::probe::{Done, Failure, Steps, Stopped, graph_opens, imap_opens, pop3_opens};
use crate::store::StoreError;

/// How many ways are tried: servers that mailboxes of the token are read at.
const MOST_WAYS: usize = 3;

/// Why nothing was tried.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// For the field.
    #[error("{0}")]
    Address(&'static str),
    /// Somebody signed in to it: it opens what that account may open.
    #[error("only app-only tokens are proved this way")]
    NotAppOnly,
    /// The token reads no mailbox, so that there is no way to try.
    #[error("no mailbox is read with this token yet")]
    NoWay,
    /// One person starts too many tests.
    #[error("too many tests; try again in {0} seconds")]
    TooOften(i64),
    /// The process ends.
    #[error("the console is stopping")]
    Stopping,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A mailbox that the token reads, for every server it reads at.
pub fn ways<'a>(token: &TokenId, mailboxes: &'a [Mailbox]) -> Vec<(&'a Mailbox, &'a Side)> {
    let mut found: Vec<(&Mailbox, &Side)> = Vec::new();
    for mailbox in mailboxes {
        let Some(side) = &mailbox.incoming else { continue };
        let uses = matches!(&side.auth, Auth::OAuth2 { token_id, .. } if token_id == token);
        if uses && !found.iter().any(|(_, known)| known.server == side.server) {
            found.push((mailbox, side));
        }
    }
    found.truncate(MOST_WAYS);
    found
}

/// Tries to open the mailbox of `address` with the token, and keeps what came of it.
pub async fn prove(app: &App, actor: &Actor, user: &UserId, token: &Token, address: &str) -> Result<Proof, ProofError> {
    if token.grant != GrantType::ClientCredentials {
        return Err(ProofError::NotAppOnly);
    }
    let address = check_address(address).ok_or(ProofError::Address("Enter an email address like board@example.com"))?;
    let mailboxes = app.store.mailboxes_of_token(&token.id).await?;
    let its_own = |mailbox: &Mailbox| {
        let sides = [&mailbox.incoming, &mailbox.outgoing].into_iter().flatten();
        std::iter::once(mailbox.address.as_str())
            .chain(sides.map(|side| mailbox.login(side)))
            .any(|known| known.eq_ignore_ascii_case(&address))
    };
    if mailboxes.iter().any(its_own) {
        return Err(ProofError::Address(
            "This token is meant to open that mailbox. Enter one it must not open",
        ));
    }
    if ways(&token.id, &mailboxes).is_empty() {
        return Err(ProofError::NoWay);
    }
    app.probes.note_test(user.as_str(), app.clock.now()).map_err(ProofError::TooOften)?;
    // A task of its own: what was tried is written down, also where the browser has left.
    let tasks = app.tasks.clone();
    let (app, actor, token) = (app.clone(), actor.clone(), token.clone());
    let work = tasks.spawn(async move { attempt(&app, &actor, &token, &mailboxes, address).await });
    work.await.map_err(|_| ProofError::Stopping)?
}

async fn attempt(app: &App, actor: &Actor, token: &Token, mailboxes: &[Mailbox], address: String) -> Result<Proof, ProofError> {
    let mut outcome = ProofOutcome::Refused;
    let mut said = Vec::new();
    for (own, side) in ways(&token.id, mailboxes) {
        let (found, words) = Box::pin(try_way(app, own, side, &address)).await;
        said.push(format!("{}: {words}", side.server.protocol().label()));
        outcome = match (outcome, found) {
            (ProofOutcome::Opened, _) | (_, ProofOutcome::Opened) => ProofOutcome::Opened,
            (ProofOutcome::Unclear, _) | (_, ProofOutcome::Unclear) => ProofOutcome::Unclear,
            (ProofOutcome::Refused, ProofOutcome::Refused) => ProofOutcome::Refused,
        };
    }
    let proof = Proof {
        id: app.new_id(),
        token_id: token.id.clone(),
        address,
        outcome,
        detail: said.join("; "),
        at: app.clock.now(),
        by: actor.name.clone(),
    };
    let entry = AuditEntry {
        action: "token.prove",
        target: format!("token:{}", token.name),
        detail: format!("{} must be refused: {}", proof.address, proof.outcome),
        outcome: if outcome == ProofOutcome::Refused { "ok" } else { "failed" },
    };
    let mut tx = app.store.begin().await?;
    tx.insert_proof(&proof).await?;
    tx.audit(proof.at, actor, entry).await?;
    tx.commit().await?;
    Ok(proof)
}

/// The mailbox that must be refused; where it was, one that must open.
async fn try_way(app: &App, own: &Mailbox, side: &Side, address: &str) -> (ProofOutcome, String) {
    let side = Side {
        username: None,
        ..side.clone()
    };
    let other = Mailbox {
        address: address.to_owned(),
        folder: "INBOX".to_owned(),
        ..own.clone()
    };
    match opens(app, &other, &side).await {
        Ok(()) => (ProofOutcome::Opened, "it opened".to_owned()),
        Err(failure) if failure.refused => {
            let kept = own.incoming.as_ref().unwrap_or(&side);
            match opens(app, own, kept).await {
                Ok(()) => (ProofOutcome::Refused, failure.detail),
                Err(own_failure) => {
                    let text = format!("{} doesn't open either: {}", own.address, own_failure.detail);
                    (ProofOutcome::Unclear, text)
                }
            }
        }
        Err(failure) => (ProofOutcome::Unclear, failure.detail),
    }
}

/// Whether a mailbox opens this way. Nothing in it is read.
async fn opens(app: &App, mailbox: &Mailbox, side: &Side) -> Result<(), Failure> {
    let protocol = side.server.protocol().as_str();
    let report = Report::start(mailbox.name.clone(), Direction::Incoming, protocol, app.clock.now());
    let (mut steps, _watcher) = Steps::start(report, Vec::new());
    let _: Result<(), Stopped> = stages(app, mailbox, side, &mut steps).await;
    match steps.finish() {
        (_, None) => Ok(()),
        (_, Some(failure)) => Err(failure),
    }
}

async fn stages(app: &App, mailbox: &Mailbox, side: &Side, steps: &mut Steps) -> Result<(), Stopped> {
    let mut findings = Findings::default();
    let token = Box::pin(login::token(app, mailbox, Direction::Incoming, side, &mut findings));
    let login: Login = steps.run(Stage::Token, token).await?;
    let (connector, options) = (&app.connector, super::Options::default());
    match &side.server {
        Server::Imap(endpoint) => imap_opens(connector, &target::imap(mailbox, endpoint, login, &options), steps).await,
        Server::Pop3(endpoint) => pop3_opens(connector, &target::pop3(endpoint, login, &options), steps).await,
        Server::Graph => match target::graph(app, mailbox, side, login).await {
            Ok(target) => graph_opens(connector, &target, "inbox", steps).await,
            Err(failure) => steps.run(Stage::Claims, async { Err::<Done<()>, Failure>(failure) }).await,
        },
        Server::Smtp(_) => Err(Stopped),
    }
}
