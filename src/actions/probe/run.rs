//! One run, from its turn to its record.

use super::desk::{Progress, Turn};
use super::{Ended, Messages, Order, is_send_unknown, login, messages_place, passed, side, target};
use crate::actions::judgement::{Known, of_test};
use crate::app::App;
use crate::diagnosis::{Evidence, diagnose, own};
use crate::mail::Login;
use crate::mask::Masks;
use crate::model::bundle::said_without_secrets;
use crate::model::mailbox::{Mailbox, Protocol, Server, Side, SideState};
use crate::model::report::{Diagnosis, Direction, MessageSummary, Outcome, Report, Stage};
use crate::probe::{Done, Failure, Steps, Stopped, arrived, graph, graph_send, imap, pop3, smtp};
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
    pub app: App,
    pub order: Order,
    pub row: Run,
    pub planned: Vec<Stage>,
    pub arrival: Option<Duration>,
    pub progress: watch::Sender<Progress>,
    pub cancel: CancellationToken,
}

/// What the stages leave behind besides the report.
#[derive(Default)]
pub(super) struct Findings {
    messages: Messages,
    /// What the token's own failure means; the catalogue need not guess it from a text.
    pub token: Option<Diagnosis>,
    /// What decides where a text leaves the cause open.
    pub known: Known,
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
            self.order.mailbox.name.clone(),
            self.order.direction,
            &self.row.protocol,
            self.app.clock.now(),
        );
        let (mut steps, mut watcher) = Steps::start(report, self.planned.clone());
        let mut findings = Findings::default();
        let stopped = match permit {
            None => true,
            Some(_permit) => {
                self.show(&watcher.borrow_and_update());
                let mut work = Box::pin(self.stages(&mut steps, &mut findings));
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
        let (mut report, failure) = steps.finish();
        // A step that failed before its turn, and those skipped because of it, stand where they belong.
        report
            .steps
            .sort_by_key(|step| self.planned.iter().position(|stage| *stage == step.step));
        self.keep_private(&mut report, &findings.messages);
        report.diagnosis = match (&failure, findings.token) {
            (Some(_), Some(token)) => Some(token),
            (Some(failure), None) => Some(match self.side_of(report.failed_step().map(|step| step.step)) {
                Some((side, direction)) => of_test(failure, &report, &self.order.mailbox, side, direction, findings.known),
                None => diagnose(&Evidence {
                    own_id: failure.own_id,
                    text: &failure.evidence,
                }),
            }),
            (None, _) if stopped => Some(diagnose(&Evidence::own(own::STOPPED))),
            (None, _) => None,
        };
        if report.diagnosis.is_some() {
            report.outcome = Outcome::Failed;
        }
        // A message that may have been sent is no matter of a test that was merely stopped.
        let stopped = stopped && !failure.is_some_and(|failure| is_send_unknown(failure.own_id));
        self.fill_row(&report, &findings.messages, stopped);
        self.record(&report, stopped).await;
        Ended {
            run: self.row,
            report,
            messages: findings.messages,
        }
    }

    /// Takes senders and subjects out of what the servers said: the report is shown to more people than they are. A server may speak of
    /// a message before it was asked for it.
    fn keep_private(&self, report: &mut Report, messages: &Messages) {
        let mut masks = Masks::default();
        let mailbox = &self.order.mailbox;
        let sides = [&mailbox.incoming, &mailbox.outgoing].into_iter().flatten();
        let own: Vec<&str> = sides
            .map(|side| mailbox.login(side))
            .chain([&*mailbox.address, &*mailbox.display_name])
            .collect();
        let listed = messages.newest.iter().chain(&messages.oversized).flat_map(MessageSummary::private);
        // What it sent to itself has its own address as sender, which is no news.
        let others = listed.filter(|text| !own.iter().any(|own| own.eq_ignore_ascii_case(text)));
        others.for_each(|text| masks.add(text));
        if let Some(subject) = &self.order.options.subject {
            masks.add(subject);
        }
        for step in &mut report.steps {
            let theirs: Vec<&str> = step
                .transcript
                .iter()
                .filter(|line| line.from == 'S')
                .map(|line| line.text.as_str())
                .collect();
            let shown = said_without_secrets(&theirs, &masks);
            for (line, text) in step.transcript.iter_mut().filter(|line| line.from == 'S').zip(shown) {
                line.text = text;
            }
            step.detail = said_without_secrets(&[&step.detail], &masks).concat();
        }
    }

    /// The side a step talks to: a message is looked for in the incoming one.
    fn side_of(&self, step: Option<Stage>) -> Option<(&Side, Direction)> {
        let direction = match step {
            Some(Stage::Arrived) => Direction::Incoming,
            _ => self.order.direction,
        };
        Some((side(&self.order.mailbox, direction)?, direction))
    }

    fn show(&self, report: &Report) {
        self.progress.send_replace(Progress {
            waiting: false,
            report: report.clone(),
            step_began: Instant::now(),
        });
    }

    async fn stages(&self, steps: &mut Steps, findings: &mut Findings) -> Result<(), Stopped> {
        let mailbox = &self.order.mailbox;
        let Some(side) = side(mailbox, self.order.direction) else {
            return Err(Stopped);
        };
        let login = self.sign_in_with(steps, side, findings).await?;
        let (app, options, connector) = (&self.app, &self.order.options, &self.app.connector);
        let found = match (&side.server, self.order.direction) {
            (Server::Imap(endpoint), _) => imap(connector, &target::imap(mailbox, endpoint, login, options), steps).await?,
            (Server::Pop3(endpoint), _) => pop3(connector, &target::pop3(endpoint, login, options), steps).await?,
            (Server::Smtp(endpoint), _) => {
                let target = target::smtp(app, mailbox, endpoint, login, options);
                smtp(connector, &target, steps).await?;
                if let (Some(wait), Some(incoming)) = (self.arrival, &mailbox.incoming) {
                    self.arrives(incoming, &target.message_id, wait, steps).await?;
                }
                return Ok(());
            }
            (Server::Graph, direction) => {
                let target = match target::graph(app, mailbox, side, login).await {
                    Ok(target) => target,
                    Err(failure) => return steps.run(Stage::Claims, async { Err::<Done<()>, Failure>(failure) }).await,
                };
                match direction {
                    Direction::Incoming => graph(connector, &target, &target::reading(mailbox, options), steps).await?,
                    Direction::Outgoing => {
                        return graph_send(connector, &target, &target::sending(app, mailbox, options), steps).await;
                    }
                }
            }
        };
        findings.messages = Messages {
            newest: found.newest,
            oversized: found.oversized,
        };
        Ok(())
    }

    /// What the side signs in with. A password that can't be had fails the sign-in before anybody is connected to.
    async fn sign_in_with(&self, steps: &mut Steps, side: &Side, findings: &mut Findings) -> Result<Login, Stopped> {
        let (app, order) = (&self.app, &self.order);
        if self.planned.contains(&Stage::Token) {
            let token = Box::pin(login::token(app, &order.mailbox, order.direction, side, findings));
            return steps.run(Stage::Token, token).await;
        }
        match login::password(app, &order.mailbox, order.direction, side) {
            Ok(login) => Ok(login),
            Err(failure) => steps.run(Stage::Auth, async { Err::<Done<Login>, Failure>(failure) }).await,
        }
    }

    async fn arrives(&self, incoming: &Side, message_id: &str, wait: Duration, steps: &mut Steps) -> Result<(), Stopped> {
        let (app, mailbox) = (&self.app, &self.order.mailbox);
        let Server::Imap(endpoint) = &incoming.server else {
            return Err(Stopped);
        };
        let login = match login::any(app, mailbox, Direction::Incoming, incoming).await {
            Ok(login) => login,
            Err(failure) => return steps.run(Stage::Arrived, async { Err::<Done<()>, Failure>(failure) }).await,
        };
        let target = target::imap(mailbox, endpoint, login, &self.order.options);
        arrived(&app.connector, &target, message_id, wait, steps).await
    }

    fn fill_row(&mut self, report: &Report, messages: &Messages, stopped: bool) {
        let row = &mut self.row;
        row.finished_at = Some(self.app.clock.now());
        row.outcome = match (stopped, passed(report)) {
            (true, _) => "stopped",
            (false, true) => "passed",
            (false, false) => "failed",
        }
        .to_owned();
        row.failed_step = report.failed_step().map(|step| step.step.as_str().to_owned());
        row.diagnosis_id = report.diagnosis.as_ref().map(|diagnosis| diagnosis.id.clone());
        row.report = serde_json::to_string(report).unwrap_or_default();
        row.newest = (*messages != Messages::default()).then(|| {
            let text = serde_json::to_string(messages).unwrap_or_default();
            self.app.vault.seal(&messages_place(&row.id), &text)
        });
    }

    /// Stores the end. Whoever watches hears it in any case.
    async fn record(&self, report: &Report, stopped: bool) {
        for attempt in 1..=STORE_TRIES {
            match self.write(report, stopped).await {
                Ok(()) => return,
                Err(error) => {
                    let id = &self.row.id;
                    tracing::error!(run.id = %id, %error, attempt, "The result of run {id} can't be stored");
                }
            }
            if attempt < STORE_TRIES {
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }

    async fn write(&self, report: &Report, stopped: bool) -> Result<(), StoreError> {
        let mailbox = &self.order.mailbox;
        let now = self.app.clock.now();
        let mut tx = self.app.store.begin().await?;
        tx.finish_run(&self.row).await?;
        if !self.order.draft && !stopped {
            let state = SideState {
                outcome: Some(if passed(report) { Outcome::Passed } else { Outcome::Failed }),
                problem: report.diagnosis.as_ref().map(|diagnosis| diagnosis.title.clone()),
                run: Some(self.row.id.clone()),
                tested_at: Some(now),
            };
            tx.record_side(&mailbox.id, mailbox.changed_at, self.order.direction, state, now)
                .await?;
        }
        tx.commit().await
    }
}
