//! The end of *Test outgoing*: does the message come out at the incoming side, in the inbox or in the junk folder?

use super::imap::{ImapTarget, sign_in_at_once};
use super::{DEADLINE, Done, Steps, Stopped};
use crate::clock::Timestamp;
use crate::mail::imap::Imap;
use crate::mail::messages::Verdicts;
use crate::mail::record::{Protocol, Recorder};
use crate::mail::{Connector, MailError, folder};
use crate::model::report::Stage;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long between two looks? Grows, so that a slow delivery is not asked for a hundred times.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long may the sign-in take, however short the wait is?
const SIGN_IN: Duration = Duration::from_secs(10);
/// How much of the wait is left for looking after it?
const LEAST: Duration = Duration::from_secs(3);

/// Where a message was found.
struct Sighting {
    junk: bool,
    folder: String,
    verdicts: Verdicts,
    /// When it came in, by the server's clock.
    came_in: Option<Timestamp>,
}

/// Waits for the message with this Message-ID, which was just sent.
pub async fn arrived(
    connector: &Connector,
    target: &ImapTarget,
    message_id: &str,
    wait: Duration,
    steps: &mut Steps,
) -> Result<(), Stopped> {
    let recorder = Recorder::new(Protocol::Imap);
    target.login.hide(&recorder);
    steps.listen(&recorder);
    steps.run(Stage::Arrived, hunt(connector, target, message_id, wait, recorder)).await
}

async fn hunt(
    connector: &Connector,
    target: &ImapTarget,
    message_id: &str,
    wait: Duration,
    recorder: Recorder,
) -> Result<Done<()>, MailError> {
    let begun = Instant::now();
    let not_arrived = MailError::NotArrived { seconds: wait.as_secs() };

    let signing_in = sign_in_at_once(connector, target, recorder.clone());
    let limit = begun + wait.max(SIGN_IN).min(DEADLINE);
    let mut imap = timeout_at(limit, Box::pin(signing_in)).await.map_err(|_| MailError::Deadline {
        seconds: DEADLINE.as_secs(),
    })??;
    // A sign-in that was slow must not leave no time for a look.
    let end = (begun + wait).max(Instant::now() + wait.min(LEAST));
    let looking = look_until_found(&mut imap, target, message_id, &recorder);
    let Ok(sighting) = timeout_at(end, looking).await else {
        return Err(not_arrived);
    };
    let sighting = sighting?;
    let _ = tokio::time::timeout(Duration::from_secs(1), imap.logout()).await;

    let seconds = begun.elapsed().as_secs();
    let mut detail = format!(
        "in {} after {seconds} s",
        if sighting.junk { "the junk folder" } else { "the inbox" }
    );
    match sighting.verdicts.text() {
        verdicts if verdicts.is_empty() => {}
        verdicts => detail.push_str(&format!("; {verdicts}")),
    }
    let done = Done::new((), detail)
        .fact("place", if sighting.junk { "junk" } else { "inbox" })
        .fact("folder", sighting.folder)
        .fact("seconds", seconds)
        .fact("came_in", sighting.came_in.map(|at| at.0))
        .fact("spf", sighting.verdicts.spf)
        .fact("dkim", sighting.verdicts.dkim)
        .fact("dmarc", sighting.verdicts.dmarc);
    Ok(if sighting.junk { done.warn() } else { done })
}

async fn look_until_found(imap: &mut Imap, target: &ImapTarget, message_id: &str, recorder: &Recorder) -> Result<Sighting, MailError> {
    let junk = match imap.junk_folder().await {
        Ok(junk) => junk,
        Err(MailError::Refused { .. }) => None,
        Err(error) => return Err(error),
    };
    let inbox = folder::encode(&target.folder);
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some((verdicts, came_in)) = look(imap, &inbox, message_id).await? {
            let folder = target.folder.clone();
            return Ok(Sighting {
                junk: false,
                folder,
                verdicts,
                came_in,
            });
        }
        if let Some(name) = junk.as_deref().filter(|name| *name != inbox)
            && let Some((verdicts, came_in)) = look(imap, name, message_id).await?
        {
            let folder = folder::decode(name);
            return Ok(Sighting {
                junk: true,
                folder,
                verdicts,
                came_in,
            });
        }
        sleep_until(Instant::now() + pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        // One look is like the other: only the last is shown.
        drop(recorder.take());
    }
}

/// Looks into a folder, opened anew so that the server shows what has come.
async fn look(imap: &mut Imap, wire_name: &str, message_id: &str) -> Result<Option<(Verdicts, Option<Timestamp>)>, MailError> {
    imap.examine(wire_name).await?;
    match imap.with_message_id(message_id).await? {
        Some(uid) => Ok(Some(imap.verdicts(uid).await?)),
        None => Ok(None),
    }
}
