//! The stages of a run and what they mean, whoever asked for it: a person, or the schedule.

use super::limits::note_pause;
use super::{Messages, Order, login, side, target, time_limit};
use crate::actions::judgement::{Known, of_test};
use crate::app::App;
use crate::diagnosis::{Evidence, diagnose, own};
use crate::mail::Login;
use crate::mask::Masks;
use crate::model::bundle::said_without_secrets;
use crate::model::mailbox::{Server, Side};
use crate::model::report::{Diagnosis, Direction, MessageSummary, Outcome, Report, Stage};
use crate::probe::{
    Done, Failure, Steps, Stopped, arrived, graph, graph_letter, graph_opens, imap, imap_opens, pop3, pop3_opens, smtp_letter,
};
use crate::store::StoreResult;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A side of a mailbox that is looked at.
pub(super) struct Work {
    pub app: App,
    pub order: Order,
    pub planned: Vec<Stage>,
    pub arrival: Option<Duration>,
    /// How long the conversation may take.
    pub limit: Duration,
}

/// What the stages leave behind besides the report.
#[derive(Default)]
pub(super) struct Findings {
    pub messages: Messages,
    /// What the token's own failure means; the catalogue need not guess it from a text.
    pub token: Option<Diagnosis>,
    /// What decides where a text leaves the cause open.
    pub known: Known,
}

impl Work {
    /// A conversation with a side that is about to begin, its steps under their time limit.
    pub async fn begin(
        app: &App,
        order: Order,
        side: &Side,
        planned: Vec<Stage>,
        arrival: Option<Duration>,
    ) -> StoreResult<(Self, Steps, Findings)> {
        let protocol = side.server.protocol().as_str();
        let report = Report::start(order.mailbox.name.clone(), order.direction, protocol, app.clock.now());
        let work = Self {
            app: app.clone(),
            order,
            planned,
            arrival,
            limit: time_limit(app).await?,
        };
        let (steps, _) = Steps::start(report, work.planned.clone());
        let steps = steps.allow(work.limit);
        Ok((work, steps, Findings::default()))
    }

    /// Runs the stages to their end, or until `cancel`; whether that came first.
    pub async fn run_until(&self, cancel: &CancellationToken, steps: &mut Steps, findings: &mut Findings) -> bool {
        tokio::select! {
            biased;
            () = cancel.cancelled() => true,
            _ = Box::pin(self.stages(steps, findings)) => false,
        }
    }

    /// The report of what was done, with its diagnosis; and what the step that failed left, if one did.
    pub async fn conclude(&self, steps: Steps, findings: &mut Findings, stopped: bool) -> (Report, Option<Failure>) {
        let (mut report, failure) = steps.finish();
        // A step that failed before its turn, and those skipped because of it, stand where they belong.
        report
            .steps
            .sort_by_key(|step| self.planned.iter().position(|stage| *stage == step.step));
        self.keep_private(&mut report, &findings.messages);
        // What somebody only types into a form must not stop the checks of saved mailboxes.
        if let (Some(failure), Some(step), false) = (&failure, report.failed_step(), self.order.draft)
            && let Some((side, _)) = self.side_of(Some(step.step))
        {
            note_pause(&self.app, side, failure, &step.facts).await;
        }
        report.diagnosis = match (&failure, findings.token.take()) {
            (Some(_), Some(token)) => Some(token),
            (Some(failure), None) => Some(match self.side_of(report.failed_step().map(|step| step.step)) {
                Some((side, direction)) => {
                    let known = std::mem::take(&mut findings.known);
                    of_test(failure, &report, &self.order.mailbox, side, direction, known)
                }
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
        (report, failure)
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
        let listed = messages
            .newest
            .iter()
            .chain(&messages.oversized)
            .chain(&messages.junk)
            .flat_map(MessageSummary::private);
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

    /// Runs the stages. [`Stopped`] where one failed: the steps say which.
    pub async fn stages(&self, steps: &mut Steps, findings: &mut Findings) -> Result<(), Stopped> {
        let mailbox = &self.order.mailbox;
        let Some(side) = side(mailbox, self.order.direction) else {
            return Err(Stopped);
        };
        let login = self.sign_in_with(steps, side, findings).await?;
        let (app, options, connector) = (&self.app, &self.order.options, &self.app.connector);
        let short = options.short;
        let found = match (&side.server, self.order.direction) {
            (Server::Imap(endpoint), _) if short => {
                return imap_opens(connector, &target::imap(mailbox, endpoint, login, options), steps).await;
            }
            (Server::Pop3(endpoint), _) if short => {
                return pop3_opens(connector, &target::pop3(endpoint, login, options), steps).await;
            }
            (Server::Imap(endpoint), _) => imap(connector, &target::imap(mailbox, endpoint, login, options), steps).await?,
            (Server::Pop3(endpoint), _) => pop3(connector, &target::pop3(endpoint, login, options), steps).await?,
            (Server::Smtp(endpoint), _) => {
                let target = target::smtp(app, mailbox, endpoint, login, options);
                smtp_letter(connector, &target, options.letter.as_ref(), steps).await?;
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
                    Direction::Incoming if short => return graph_opens(connector, &target, &mailbox.folder, steps).await,
                    Direction::Incoming => graph(connector, &target, &target::reading(mailbox, options), steps).await?,
                    Direction::Outgoing => {
                        let sending = target::sending(app, mailbox, options);
                        return graph_letter(connector, &target, &sending, options.letter.as_ref(), steps).await;
                    }
                }
            }
        };
        findings.messages = Messages {
            newest: found.newest,
            oversized: found.oversized,
            junk: found.in_junk,
            folders: found.folders,
        };
        Ok(())
    }

    /// What the side signs in with. A password that can't be had fails the sign-in before anybody is connected to.
    pub(super) async fn sign_in_with(&self, steps: &mut Steps, side: &Side, findings: &mut Findings) -> Result<Login, Stopped> {
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

    /// Looks for a message in the incoming side.
    pub(super) async fn arrives(&self, incoming: &Side, message_id: &str, wait: Duration, steps: &mut Steps) -> Result<(), Stopped> {
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
}
