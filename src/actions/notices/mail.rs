//! A notice by mail: through the mailbox that was chosen, and where that fails through the fallback server.

use super::dead;
use super::send::{Attempt, Ended};
use super::webhook::problem;
use crate::actions::probe::{Fate, Mail, Sent, deliver, deliver_through};
use crate::actions::{checks, settings};
use crate::app::App;
use crate::diagnosis::{Evidence, diagnose, own};
use crate::mail::Login;
use crate::model::MailboxId;
use crate::model::mailbox::Auth;
use crate::model::notices::{Channels, Delivery, Event, Fallback};
use crate::model::report::{Diagnosis, Direction, Report, Stage};
use crate::probe::{Handing, Letter};
use crate::secret::Password;
use crate::store::deliveries::StoredChannels;
use crate::store::{StoreError, StoreResult, to_json};

/// Characters of a conversation that are kept.
const KEPT: usize = 4096;

/// Sends it once.
pub(super) async fn attempt(app: &App, stored: &StoredChannels, one: &Delivery, owner: &str) -> StoreResult<Attempt> {
    let mail = Mail {
        to: one.recipient.clone(),
        subject: one.subject.clone(),
        letter: Letter {
            text: one.content.clone(),
            message_id: message_id(app, one).await?,
            handing: handing(app, one, owner),
        },
    };
    let channels = &stored.channels;
    let mut last: Option<(Sent, String)> = None;
    let mut unreadable = None;
    let left = is_left(app, channels, one).await?;
    if !channels.mailbox.is_empty() && !left {
        match through_mailbox(app, &channels.mailbox, mail.clone()).await {
            Ok(sent) => last = sent,
            // A row that can't be read is a mailbox that can't send.
            Err(StoreError::Row(column, why)) => {
                tracing::error!(
                    area = "console",
                    "The mailbox that sends notifications can't be used: its {column} can't be read: {why}"
                );
                unreadable = Some(column);
            }
            Err(error) => return Err(error),
        }
    }
    // What may have been sent isn't sent once more some other way.
    let is_open = last.as_ref().is_none_or(|(sent, _)| sent.fate == Fate::NotSent);
    if let Some(fallback) = channels.fallback.as_ref().filter(|_| is_open) {
        let via = format!("the server {}", fallback.host);
        if last.is_some() && !still_here(app, one, owner).await? {
            // Whoever has it now writes down how it ends.
            return Ok(Attempt {
                ended: Ended::Again(0),
                via,
                ..Attempt::default()
            });
        }
        match login(app, stored, fallback) {
            Some(login) => last = Some((deliver_through(app, &fallback.endpoint(), login, &fallback.from, &mail).await?, via)),
            None if last.is_none() => {
                return Ok(Attempt {
                    ended: Ended::Again(0),
                    via,
                    problem: Some(to_json(&diagnose(&Evidence::own(own::DAMAGED)))),
                    ..Attempt::default()
                });
            }
            None => {}
        }
    }
    if let Some(column) = unreadable.filter(|_| last.is_none()) {
        dead::mail_fails(app, dead::UNREADABLE.to_owned()).await?;
        return Ok(Attempt {
            ended: Ended::Again(0),
            via: "the mailbox".to_owned(),
            problem: Some(to_json(&unreadable_mailbox(column))),
            ..Attempt::default()
        });
    }
    if left && last.is_none() {
        let why = "Its server refused the password of the mailbox that sends.";
        dead::mail_fails(app, why.to_owned()).await?;
        return Ok(Attempt {
            // Nobody signs in meanwhile, so it is no harm to look whether that is over.
            ended: Ended::Again(0),
            via: "the mailbox".to_owned(),
            reply: format!("{why} Signing in again and again would lock the account, so nothing is sent through it for a while."),
            ..Attempt::default()
        });
    }
    let Some((sent, via)) = last else {
        dead::mail_fails(app, "There is nothing left to send through.".to_owned()).await?;
        return Ok(Attempt {
            ended: Ended::Again(0),
            via: "nothing".to_owned(),
            reply: "There is nothing to send through: the mailbox is gone or sends no mail, and there is no fallback server.".to_owned(),
            ..Attempt::default()
        });
    };
    let step = sent.report.failed_step().map(|step| step.step);
    let of_recipient = step == Some(Stage::RcptTo) && channels.recipients.len() > 1;
    if sent.fate == Fate::NotSent && !of_recipient {
        let title = sent.problem.as_ref().map_or("It failed", |problem| problem.title.as_str());
        dead::mail_fails(app, format!("Sending through {via} failed: {title}.")).await?;
    }
    let (request, reply) = conversation(&sent.report);
    let ended = match sent.fate {
        Fate::Delivered => Ended::Delivered,
        Fate::Unknown => Ended::Unknown,
        Fate::NotSent if sent.refused && matches!(step, Some(Stage::RcptTo | Stage::Data)) => Ended::Refused,
        Fate::NotSent => Ended::Again(0),
    };
    let problem = match step {
        Some(Stage::RcptTo) if ended == Ended::Refused => Some(refused_recipient(&one.recipient)),
        _ => sent.problem,
    };
    Ok(Attempt {
        ended,
        via,
        request,
        reply,
        problem: problem.as_ref().map(to_json),
    })
}

/// What it means that a server takes nothing for one of those who are to be told. The catalogue speaks of a mailbox that is tested.
fn refused_recipient(recipient: &str) -> Diagnosis {
    problem(
        "console-recipient",
        &format!("Mail for {recipient} isn't taken"),
        "The server said no to this recipient for good: the address is mistyped or doesn't exist any more, or the server passes nothing on to it from here."
            .to_owned(),
        "Compare the address under Recipients with that of the person, and correct it or take it out.",
        false,
    )
}

/// Whether the mailbox that was chosen signs in with a password: whoever tries that often locks its account.
pub(super) async fn signs_in_with_password(app: &App, stored: &StoredChannels) -> StoreResult<bool> {
    let mailbox = match app.store.mailbox_by_id(&MailboxId(stored.channels.mailbox.clone())).await {
        // Nobody signs in to one that can't be read.
        Err(StoreError::Row(..)) => None,
        read => read?,
    };
    let side = mailbox.and_then(|mailbox| mailbox.outgoing);
    Ok(side.is_some_and(|side| matches!(side.auth, Auth::Password { .. })))
}

/// Whether nothing is sent through the mailbox that was chosen for a while, because its password was refused. Who sends a test wants to
/// know now: the first of its recipients finds out for all.
async fn is_left(app: &App, channels: &Channels, one: &Delivery) -> StoreResult<bool> {
    if channels.mailbox.is_empty() {
        return Ok(false);
    }
    if one.event == Event::Test {
        let all = app.store.deliveries_of(&one.message).await?;
        if !all.iter().any(|other| other.id != one.id && other.attempts > 0) {
            return Ok(false);
        }
    }
    let left = checks::left_in_peace(app, &MailboxId(channels.mailbox.clone())).await?;
    Ok(left.iter().any(|rest| rest.direction == Direction::Outgoing))
}

/// Sends it through the mailbox that was chosen; none where that is gone or sends nothing.
async fn through_mailbox(app: &App, id: &str, mail: Mail) -> StoreResult<Option<(Sent, String)>> {
    let Some(mailbox) = app.store.mailbox_by_id(&MailboxId(id.to_owned())).await? else {
        return Ok(None);
    };
    let Some(sent) = deliver(app, &mailbox, mail).await? else {
        return Ok(None);
    };
    let (step, problem) = (sent.report.failed_step(), sent.problem.as_ref());
    let (step, problem) = (step.map(|step| step.step.as_str()), problem.map(|problem| problem.id.as_str()));
    let is_refused = sent.refused && checks::is_password_refused(&mailbox, Direction::Outgoing, step, problem);
    if (is_refused || sent.fate == Fate::Delivered)
        && let Err(error) = checks::note_sign_in(app, &mailbox, Direction::Outgoing, is_refused).await
    {
        tracing::warn!(mailbox.id = %mailbox.id, %error, "It can't be written down whether a mailbox takes its password");
    }
    if sent.fate == Fate::Delivered
        && let Err(error) = dead::mailbox_sent(app, &mailbox).await
    {
        tracing::warn!(mailbox.id = %mailbox.id, %error, "It can't be written down that a mailbox sends");
    }
    Ok(Some((sent, format!("the mailbox {}", mailbox.name))))
}

fn unreadable_mailbox(column: &str) -> Diagnosis {
    Diagnosis {
        title: "The mailbox that sends can't be read".to_owned(),
        meaning: format!("Its row in the database holds something in {column} that this version of the console doesn't know."),
        remedy: vec![
            "Choose another mailbox to send through, or set up a fallback server.".to_owned(),
            "If a newer version of the console was used with this database, start that one again.".to_owned(),
        ],
        ..diagnose(&Evidence::own(own::DAMAGED))
    }
}

/// Notes that the message wasn't handed over after all; `false` where another instance has it now.
async fn still_here(app: &App, one: &Delivery, owner: &str) -> StoreResult<bool> {
    let mut tx = app.store.begin().await?;
    let ours = tx.kept_delivery(&one.id, owner).await?;
    tx.commit().await?;
    Ok(ours)
}

/// The same at every attempt, so that who gets it twice can know.
async fn message_id(app: &App, one: &Delivery) -> StoreResult<String> {
    let base = settings::base_url(app).await?;
    let host = base.domain().unwrap_or("mailgrant.invalid").to_owned();
    Ok(format!("<{}@{host}>", one.id))
}

/// Writes down that the message is about to be handed over.
fn handing(app: &App, one: &Delivery, owner: &str) -> Handing {
    let (app, id, owner) = (app.clone(), one.id.clone(), owner.to_owned());
    Handing::new(move || {
        let (app, id, owner) = (app.clone(), id.clone(), owner.clone());
        async move {
            let noted = async {
                let mut tx = app.store.begin().await?;
                let noted = tx.handing_delivery(&id, &owner).await?;
                tx.commit().await?;
                StoreResult::Ok(noted)
            };
            match noted.await {
                Ok(true) => Ok(()),
                Ok(false) => Err("another instance has taken this message over, so it was not handed over here".to_owned()),
                Err(error) => Err(format!("it can't be written down that the message is sent, so it was not: {error}")),
            }
        }
    })
}

/// What the fallback server is signed in to with; none where the stored password can't be opened.
fn login(app: &App, stored: &StoredChannels, fallback: &Fallback) -> Option<Login> {
    if fallback.user.is_empty() {
        return Some(Login::None);
    }
    let sealed = stored.smtp_password.as_ref()?;
    let version = stored.channels.password_set.as_ref()?.version;
    let destination = fallback.destination();
    match app.vault.open(&super::channels::password_place(version, &destination), sealed) {
        Ok(text) => Some(Login::Password {
            user: fallback.user.clone(),
            password: Password::new(text.as_str()),
        }),
        Err(error) => {
            tracing::error!(%error, "The password of the fallback server can't be opened");
            None
        }
    }
}

/// What was said, secrets removed: the whole conversation, and the server's last words.
fn conversation(report: &Report) -> (String, String) {
    let lines = report.steps.iter().flat_map(|step| &step.transcript);
    let all: Vec<String> = lines.map(|line| format!("{}: {}", line.from, line.text)).collect();
    let last = report
        .failed_step()
        .or_else(|| report.steps.iter().rev().find(|step| !step.detail.is_empty()));
    let reply = last
        .map(|step| format!("{}: {}", step.step.title(), step.detail))
        .unwrap_or_default();
    let cut = |text: String| text.chars().take(KEPT).collect::<String>();
    (cut(all.join("\n")), cut(reply))
}
