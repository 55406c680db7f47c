//! One run, from its turn to its record.

use super::desk::{Progress, Turn};
use super::work::{Findings, Work};
use super::{Ended, Messages, Order, is_send_unknown, messages_place, passed};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::mailbox::{Mailbox, Protocol, Side, SideState};
use crate::model::report::{Direction, Outcome, Report};
use crate::model::{RunId, Sealed};
use crate::probe::Steps;
use crate::store::StoreError;
use crate::store::reports::Run;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often is a result that can't be stored tried again, and how long between?
const STORE_TRIES: u32 = 3;
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait for the message in the incoming side; none where that can't be seen there.
pub(super) fn arrival(order: &Order) -> Option<Duration> {
    let options = &order.options;
    let to_itself = options.to.as_ref().is_none_or(|to| to.eq_ignore_ascii_case(&order.mailbox.address));
    let possible = order.direction == Direction::Outgoing && !options.login_only && may_arrive(&order.mailbox) && to_itself;
    options.wait.filter(|_| possible)
}

/// Whether a message that was sent can be looked for: sent over SMTP, and the incoming side can search.
pub fn may_arrive(mailbox: &Mailbox) -> bool {
    let speaks = |side: &Option<Side>, protocol| side.as_ref().is_some_and(|side| side.server.protocol() == protocol);
    speaks(&mailbox.outgoing, Protocol::Smtp) && speaks(&mailbox.incoming, Protocol::Imap)
}

/// A run that was asked for.
pub(super) struct Job {
    pub work: Work,
    pub row: Run,
    pub progress: watch::Sender<Progress>,
    pub cancel: CancellationToken,
}

impl Job {
    /// Waits for its turn, runs the stages and stores how they ended.
    pub async fn run(mut self, turn: Turn) -> Ended {
        let permit = match turn {
            Turn::Now(permit) => Some(permit),
            Turn::Later(waiting) => tokio::select! {
                () = self.cancel.cancelled() => None,
                permit = waiting => permit.ok(),
            },
        };
        let report = Report::start(
            self.work.order.mailbox.name.clone(),
            self.work.order.direction,
            &self.row.protocol,
            self.work.app.clock.now(),
        );
        let (steps, mut watcher) = Steps::start(report, self.work.planned.clone());
        let mut steps = steps.allow(self.work.limit);
        let mut findings = Findings::default();
        let stopped = match permit {
            None => true,
            Some(_permit) => {
                self.show(&watcher.borrow_and_update());
                let mut work = Box::pin(self.work.stages(&mut steps, &mut findings));
                loop {
                    tokio::select! {
                        biased;
                        () = self.cancel.cancelled() => break true,
                        _ = &mut work => break false,
                        Ok(()) = watcher.changed() => self.show(&watcher.borrow_and_update()),
                    }
                }
            }
        };
        let (report, failure) = self.work.conclude(steps, &mut findings, stopped).await;
        // A message that may have been sent is no matter of a test that was merely stopped.
        let stopped = stopped && !failure.is_some_and(|failure| is_send_unknown(failure.own_id));
        self.fill_row(&report, &findings.messages, stopped);
        self.record(&report, stopped).await;
        if !stopped && !self.work.order.draft {
            let after = state_after(&report, None, self.work.app.clock.now());
            tell(&self.work.order.mailbox, self.work.order.direction, &after, &self.row);
        }
        Ended {
            run: self.row,
            report,
            messages: findings.messages,
        }
    }

    fn show(&self, report: &Report) {
        self.progress.send_replace(Progress {
            waiting: false,
            report: report.clone(),
            step_began: Instant::now(),
        });
    }

    fn fill_row(&mut self, report: &Report, messages: &Messages, stopped: bool) {
        let row = &mut self.row;
        finish_row(row, report, stopped, self.work.app.clock.now());
        row.newest = sealed(&self.work.app, &row.id, messages);
    }

    /// Stores the end. Whoever watches hears it in any case.
    async fn record(&self, report: &Report, stopped: bool) {
        for attempt in 1..=STORE_TRIES {
            match self.write(report, stopped).await {
                Ok(()) => return,
                Err(error) => {
                    let id = &self.row.id;
                    tracing::error!(mailbox.name = %self.row.mailbox_name, run.id = %id, %error, attempt, "The result of run {id} can't be stored");
                }
            }
            if attempt < STORE_TRIES {
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }

    async fn write(&self, report: &Report, stopped: bool) -> Result<(), StoreError> {
        let mailbox = &self.work.order.mailbox;
        let now = self.work.app.clock.now();
        let mut tx = self.work.app.store.begin().await?;
        tx.finish_run(&self.row).await?;
        if !self.work.order.draft && !stopped {
            let state = state_after(report, Some(self.row.id.clone()), now);
            tx.record_side(&mailbox.id, mailbox.changed_at, self.work.order.direction, state, now)
                .await?;
        }
        tx.commit().await
    }
}

/// Senders and subjects as a run keeps them; none where there are none.
pub(super) fn sealed(app: &App, run: &RunId, messages: &Messages) -> Option<Sealed> {
    (*messages != Messages::default()).then(|| {
        let text = serde_json::to_string(messages).unwrap_or_default();
        app.vault.seal(&messages_place(run), &text)
    })
}

/// Writes into a run how it ended.
pub(super) fn finish_row(row: &mut Run, report: &Report, stopped: bool, now: Timestamp) {
    row.finished_at = Some(now);
    row.outcome = match (stopped, passed(report)) {
        (true, _) => "stopped",
        (false, true) => "passed",
        (false, false) => "failed",
    }
    .to_owned();
    row.failed_step = report.failed_step().map(|step| step.step.as_str().to_owned());
    row.diagnosis_id = report.diagnosis.as_ref().map(|diagnosis| diagnosis.id.clone());
    row.report = serde_json::to_string(report).unwrap_or_default();
}

/// Tells the log of a saved mailbox that began to fail, fails for another reason, or works again; what goes on as it was is no news. `after` is
/// what the test found, `mailbox` as it was before.
pub fn tell(mailbox: &Mailbox, direction: Direction, after: &SideState, run: &Run) {
    let before = match direction {
        Direction::Incoming => &mailbox.incoming_state,
        Direction::Outgoing => &mailbox.outgoing_state,
    };
    let (name, id) = (&mailbox.name, &run.id);
    let failed_before = before.outcome == Some(Outcome::Failed);
    match (after.outcome, &after.problem) {
        (Some(Outcome::Failed), problem) if !failed_before || before.problem != *problem => {
            let title = problem.as_deref().unwrap_or("for a reason that isn't known");
            let diagnosis = run.diagnosis_id.as_deref().unwrap_or_default();
            tracing::warn!(mailbox.name = %name, run.id = %id, diagnosis = %diagnosis, "Test {direction} of mailbox {name} failed: {title}");
        }
        (Some(Outcome::Passed), _) if failed_before => {
            tracing::info!(area = "mailbox", mailbox.name = %name, run.id = %id, "Test {direction} of mailbox {name} passes again");
        }
        _ => {}
    }
}

/// What a side's state is after this.
pub(super) fn state_after(report: &Report, run: Option<RunId>, now: Timestamp) -> SideState {
    SideState {
        outcome: Some(if passed(report) { Outcome::Passed } else { Outcome::Failed }),
        problem: report.diagnosis.as_ref().map(|diagnosis| diagnosis.title.clone()),
        run,
        tested_at: Some(now),
    }
}
