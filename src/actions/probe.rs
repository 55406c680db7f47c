//! *Test incoming* and *Test outgoing*: run a probe, keep the report, diagnose it.
//!
//! A run goes on by itself once it was started; pages watch it through the [`Desk`]. It is stored when it starts and when it ends,
//! with the settings it used, and the mailbox's state follows from how it ended.

mod check;
mod deliver;
mod desk;
mod limits;
mod login;
mod measure;
mod moving;
mod order;
mod proof;
mod run;
mod settings;
mod shared;
mod target;
mod trip;
mod work;

pub use check::{CheckPlace, Checked, Tested, check, free_place, test};
pub use deliver::{Fate, Mail, Sent, deliver, deliver_through};
pub use desk::{Desk, Live, Progress};
pub use limits::{MOST_PLACES, lane_rests, places, rests_for, turn_places};
pub use measure::{Measured, measure};
pub use moving::{MessageOf, MoveEnd, folder_of, folder_words, move_message};
pub use order::{Options, Order, ProbeError};
pub use proof::{ProofError, prove, ways};
pub use run::{may_arrive, tell};
pub use settings::{Settings, settings_of, stored_settings};
pub use shared::{Elsewhere, elsewhere, recover, stop_anywhere};
pub use target::expected;
pub use trip::{Found, Trip, look_for, new_message_id, send_to_itself};

use crate::app::App;
use crate::auth::throttle;
use crate::clock::Timestamp;
use crate::diagnosis::own;
use crate::model::RunId;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::{Auth, Mailbox, Security, Side};
use crate::model::report::{Direction, MessageSummary, Outcome, Report, Stage};
use crate::probe::{Plan, planned};
use crate::random::Random;
use crate::store::StoreError;
use crate::store::reports::Run;
use crate::vault::{Place, sha256};
use desk::LaneKey;
use limits::{lane, time_limit};
use serde::{Deserialize, Serialize};
use shared::Listed;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How many unsaved settings are tested at once?
const DRAFTS_AT_ONCE: usize = 4;
/// How long may the text be that tells one form from others?
const LONGEST_FORM: usize = 64;

/// A run that ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// As it is stored.
    pub run: Run,
    /// The report, without senders and subjects.
    pub report: Report,
    /// The messages, for those who may see them.
    pub messages: Messages,
}

/// Senders and subjects: stored sealed, and shown to those who may see them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// The newest, newest first.
    pub newest: Vec<MessageSummary>,
    /// Those above the limit.
    pub oversized: Vec<MessageSummary>,
    /// The newest in the junk folder.
    #[serde(default)]
    pub junk: Vec<MessageSummary>,
    /// The folders of the mailbox as its server names them, where any of these could go there.
    #[serde(default)]
    pub folders: Vec<String>,
}

impl Ended {
    /// The report with senders and subjects, for whoever may read the mailbox's database anyway: the command line.
    pub fn whole_report(&self) -> Report {
        let mut report = self.report.clone();
        if self.run.direction == Direction::Incoming {
            for (name, list) in [("newest", &self.messages.newest), ("oversized", &self.messages.oversized)] {
                // Where they are is nobody's business but the console's.
                let list: Vec<MessageSummary> = list
                    .iter()
                    .cloned()
                    .map(|message| MessageSummary { spot: None, ..message })
                    .collect();
                let list = serde_json::to_value(list).unwrap_or_default();
                report.facts.insert(name.to_owned(), list);
            }
        }
        report
    }
}

/// The side of a mailbox that a direction is about.
pub fn side(mailbox: &Mailbox, direction: Direction) -> Option<&Side> {
    match direction {
        Direction::Incoming => mailbox.incoming.as_ref(),
        Direction::Outgoing => mailbox.outgoing.as_ref(),
    }
}

/// Starts a test and answers at once; [`Desk::live`] shows how far it is.
pub async fn start(app: &App, actor: &Actor, order: Order) -> Result<RunId, ProbeError> {
    begin(app, actor, order).await.map(|(run, _)| run)
}

/// As [`start`], once for each `form`, whichever instance it is sent to: a second time is [`StoreError::Taken`], and
/// [`crate::store::Store::run_of_form`] knows the run.
pub async fn start_once(app: &App, actor: &Actor, order: Order, form: &str) -> Result<RunId, ProbeError> {
    let form = Some(form).filter(|form| !form.is_empty() && form.len() <= LONGEST_FORM);
    begin_once(app, actor, order, form).await.map(|(run, _)| run)
}

/// Starts a test and hands out the view of it at once, for those who wait. What a limit refuses is written down.
pub async fn begin(app: &App, actor: &Actor, order: Order) -> Result<(RunId, Live), ProbeError> {
    begin_once(app, actor, order, None).await
}

async fn begin_once(app: &App, actor: &Actor, order: Order, form: Option<&str>) -> Result<(RunId, Live), ProbeError> {
    let (name, direction) = (order.mailbox.name.clone(), order.direction);
    let begun = admit(app, actor, order, form).await;
    if let Err(error) = &begun
        && let Some(limit) = error.limit()
        && app.probes.note_refusal(&actor.id, limit, app.clock.now())
    {
        let entry = AuditEntry {
            action: "mailbox.test",
            target: format!("mailbox:{name}"),
            detail: format!("{direction}: {error}"),
            outcome: "refused",
        };
        let mut tx = app.store.begin().await?;
        tx.audit(app.clock.now(), actor, entry).await?;
        tx.commit().await?;
    }
    begun
}

async fn admit(app: &App, actor: &Actor, mut order: Order, form: Option<&str>) -> Result<(RunId, Live), ProbeError> {
    if order.direction == Direction::Outgoing && !order.options.login_only {
        // Here, so that what is sent is what is written down.
        order.options.subject.get_or_insert_with(|| subject(&*app.random));
    }
    let side = side(&order.mailbox, order.direction).ok_or(ProbeError::NoSide(order.direction))?;
    if app.stopping.is_cancelled() {
        return Err(ProbeError::Stopping);
    }
    let arrival = run::arrival(&order);
    if order.draft {
        login::check_servers(app, &order, arrival.is_some()).await?;
    }
    let id = RunId(app.new_id());
    let (lane, limit, claim) = if order.draft {
        app.probes.note_draft(&actor.id, app.clock.now()).map_err(ProbeError::TooOften)?;
        (LaneKey::Draft, DRAFTS_AT_ONCE, None)
    } else {
        let claim = app
            .probes
            .claim(&order.mailbox.id, order.direction, &id)
            .map_err(ProbeError::UnderWay)?;
        if let Some(user) = &order.user {
            let noted = app.probes.note_test(user.as_str(), app.clock.now());
            noted.map_err(ProbeError::TestsTooOften)?;
        }
        (lane(app, side).await?, places(app).await?, Some(claim))
    };
    let settings = settings_of(app, &order.mailbox, order.direction).await?;
    let turn = app.probes.queue(lane, limit).ok_or(ProbeError::QueueFull)?;

    let planned = stages_of(app, &order, side, arrival.is_some()).await?;
    let now = app.clock.now();
    let report = Report::start(order.mailbox.name.clone(), order.direction, side.server.protocol().as_str(), now);
    let row = new_row(&order, id.clone(), actor, &settings, &report, now);
    insert(app, actor, &order, &row, form, &planned).await?;

    let (progress, watcher) = watch::channel(Progress {
        waiting: true,
        report,
        step_began: Instant::now(),
    });
    let (ended, end_watcher) = watch::channel(None);
    let cancel = app.stopping.child_token();
    let live = Live {
        planned: planned.clone(),
        progress: watcher,
        ended: end_watcher,
        began: Instant::now(),
        cancel: cancel.clone(),
    };
    app.probes.register(id.clone(), live.clone());
    let work = work::Work {
        app: app.clone(),
        order,
        planned,
        arrival,
        limit: time_limit(app).await?,
    };
    let job = run::Job {
        work,
        row,
        progress,
        cancel,
    };
    let meeting = shared::meet(app.clone(), id.clone(), live.progress.clone(), job.cancel.clone());
    app.tasks.spawn(async move {
        let _listed = Listed(job.work.app.probes.clone(), job.row.id.clone());
        let _meeting = AbortOnDropHandle::new(tokio::spawn(meeting));
        let result = job.run(turn).await;
        // Who hears of the end may start the next.
        drop(claim);
        ended.send_replace(Some(Arc::new(result)));
    });
    Ok((id, live))
}

/// The stages that an order comes to.
async fn stages_of(app: &App, order: &Order, side: &Side, arrived: bool) -> Result<Vec<Stage>, StoreError> {
    let security = match side.server.endpoint() {
        Some(endpoint) => endpoint.security,
        None => target::graph_base(app, side)
            .await?
            .map_or(Security::Tls, |(_, _, base)| base.endpoint.security),
    };
    Ok(planned(Plan {
        direction: order.direction,
        protocol: side.server.protocol(),
        security,
        oauth: matches!(side.auth, Auth::OAuth2 { .. }),
        arrived,
        login_only: order.options.login_only,
        short: order.options.short,
    }))
}

/// A run as it starts.
fn new_row(order: &Order, id: RunId, actor: &Actor, settings: &Settings, report: &Report, now: Timestamp) -> Run {
    Run {
        id,
        mailbox_id: (!order.draft).then(|| order.mailbox.id.clone()),
        mailbox_name: order.mailbox.name.to_string(),
        address: order.mailbox.address.clone(),
        direction: order.direction,
        protocol: report.protocol.clone(),
        draft: order.draft,
        started_by: actor.name.clone(),
        user_id: order.user.clone(),
        started_at: now,
        finished_at: None,
        outcome: "running".to_owned(),
        failed_step: None,
        diagnosis_id: None,
        fingerprint: sha256(&settings.to_json()),
        settings: settings.to_json(),
        report: serde_json::to_string(report).unwrap_or_default(),
        newest: None,
    }
}

/// Writes down that a test starts, whatever becomes of it; the mailbox's oldest runs go.
async fn insert(app: &App, actor: &Actor, order: &Order, row: &Run, form: Option<&str>, planned: &[Stage]) -> Result<(), ProbeError> {
    let own = app.flights.owner(app).as_str();
    let mut tx = app.store.begin().await?;
    if let (Some(user), Some((_, to, _))) = (&order.user, order.message())
        && !to.eq_ignore_ascii_case(&order.mailbox.address)
    {
        let taken = throttle::take_message(&mut tx, user, row.started_at).await?;
        taken.map_err(ProbeError::MessagesTooOften)?;
    }
    tx.insert_run(row).await?;
    tx.own_run(&row.id, own, form, &shared::planned_text(planned)).await?;
    tx.prune_runs(row.mailbox_id.as_ref()).await?;
    let unsaved = if row.draft { ", unsaved settings" } else { "" };
    let mut detail = format!("{}{unsaved}, run {}", row.direction, row.id);
    if let Some((from, to, copies)) = order.message() {
        detail.push_str(&format!(", message from {from} to {to}"));
        if !copies.is_empty() {
            detail.push_str(&format!(", copies to {}", copies.join(", ")));
        }
        detail.push_str(&format!(", subject: {}", order.options.subject.as_deref().unwrap_or_default()));
    }
    let entry = AuditEntry {
        action: "mailbox.test",
        target: format!("mailbox:{}", row.mailbox_name),
        detail,
        outcome: "ok",
    };
    tx.audit(row.started_at, actor, entry).await?;
    if let Some(mailbox) = &row.mailbox_id
        && let Some(other) = tx.run_elsewhere(mailbox, row.direction, own).await?
    {
        return Err(ProbeError::UnderWay(other));
    }
    Ok(tx.commit().await?)
}

/// Starts a test and waits for its end: for the command line.
pub async fn run_to_end(app: &App, actor: &Actor, order: Order) -> Result<Arc<Ended>, ProbeError> {
    let (_, live) = begin(app, actor, order).await?;
    live.end().await.ok_or(ProbeError::Stopping)
}

/// Stops a run of this process; says whether there was one. Its connection ends at once.
pub fn stop(app: &App, run: &RunId) -> bool {
    match app.probes.live(run) {
        Some(live) => {
            live.cancel.cancel();
            true
        }
        None => false,
    }
}

impl Live {
    /// Waits for the end.
    pub async fn end(mut self) -> Option<Arc<Ended>> {
        self.ended.wait_for(Option::is_some).await.ok()?.clone()
    }
}

/// The senders and subjects of a run, opened; none where there are none.
pub fn open_messages(app: &App, run: &Run) -> Option<Messages> {
    let sealed = run.newest.as_ref()?;
    match app.vault.open(&messages_place(&run.id), sealed) {
        Ok(text) => serde_json::from_str(&text).ok(),
        Err(error) => {
            tracing::warn!(mailbox.name = %run.mailbox_name, run.id = %run.id, %error, "The messages of run {} can't be opened", run.id);
            None
        }
    }
}

fn messages_place(run: &RunId) -> Place<'_> {
    Place {
        table: "runs",
        column: "newest",
        row: run.as_str(),
        version: 1,
        destination: "",
    }
}

/// A subject that no other test has: `Test 7F3K from Mailgrant`.
pub fn subject(random: &dyn Random) -> String {
    /// Without those that look alike.
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    let mark: String = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect();
    format!("Test {mark} from Mailgrant")
}

/// Whether a run ended as it should.
pub fn passed(report: &Report) -> bool {
    report.outcome != Outcome::Failed
}

/// Whether a message may have been sent or not.
fn is_send_unknown(own_id: Option<&str>) -> bool {
    own_id == Some(own::SEND_UNKNOWN)
}

/// The step that runs after these.
pub fn running_step(planned: &[Stage], report: &Report) -> Option<Stage> {
    planned.get(report.steps.len()).copied()
}
