//! A message of the console itself, sent the way a test sends its own: through a mailbox, or through a server of its own. Nothing is
//! stored here; [`crate::actions::notices`] writes down what came of it.

use super::work::Work;
use super::{Options, Order, is_send_unknown, side, stages_of, target, time_limit};
use crate::app::App;
use crate::diagnosis::{Evidence, diagnose};
use crate::mail::Login;
use crate::model::Name;
use crate::model::mailbox::{Endpoint, Mailbox, Protocol};
use crate::model::report::{Diagnosis, Direction, Outcome, Report};
use crate::probe::{Failure, Letter, Plan, SmtpTarget, Steps, planned, smtp_letter};
use crate::store::StoreError;

/// A message to one recipient.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Address of the recipient.
    pub to: String,
    /// Subject.
    pub subject: String,
    /// The rest.
    pub letter: Letter,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server took it.
    Delivered,
    /// The server has not taken it.
    NotSent,
    /// It was handed over and no answer came.
    Unknown,
}

/// How it went.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What became of it.
    pub fate: Fate,
    /// The steps, without secrets.
    pub report: Report,
    /// Why it failed.
    pub problem: Option<Diagnosis>,
    /// Whether the server said no for good.
    pub refused: bool,
}

impl Sent {
    fn new(report: Report, failure: Option<&Failure>) -> Self {
        let fate = match failure {
            None if report.outcome != Outcome::Failed => Fate::Delivered,
            Some(failure) if is_send_unknown(failure.own_id) => Fate::Unknown,
            _ => Fate::NotSent,
        };
        Self {
            fate,
            problem: report.diagnosis.clone(),
            refused: failure.is_some_and(|failure| failure.refused),
            report,
        }
    }
}

/// Sends it through a mailbox. None where that mailbox sends nothing.
pub async fn deliver(app: &App, mailbox: &Mailbox, mail: Mail) -> Result<Option<Sent>, StoreError> {
    let direction = Direction::Outgoing;
    let Some(side) = side(mailbox, direction) else {
        return Ok(None);
    };
    let options = Options {
        to: Some(mail.to),
        subject: Some(mail.subject),
        wait: None,
        letter: Some(mail.letter),
        ..Options::default()
    };
    let order = Order::own(mailbox, direction, options);
    let planned = stages_of(app, &order, side, false).await?;
    let (work, mut steps, mut findings) = Work::begin(app, order, side, planned, None).await?;
    let _ = Box::pin(work.stages(&mut steps, &mut findings)).await;
    let (report, failure) = work.conclude(steps, &mut findings, false).await;
    Ok(Some(Sent::new(report, failure.as_ref())))
}

/// Sends it through a server, as this sender.
pub async fn deliver_through(app: &App, endpoint: &Endpoint, login: Login, from: &str, mail: &Mail) -> Result<Sent, StoreError> {
    let name = Name::parse("fallback").map_err(|error| StoreError::Row("name", error.to_string()))?;
    let plan = Plan {
        direction: Direction::Outgoing,
        protocol: Protocol::Smtp,
        security: endpoint.security,
        oauth: false,
        arrived: false,
        login_only: false,
        short: false,
    };
    let report = Report::start(name, Direction::Outgoing, Protocol::Smtp.as_str(), app.clock.now());
    let (steps, _watcher) = Steps::start(report, planned(plan));
    let mut steps = steps.allow(time_limit(app).await?);
    let target = SmtpTarget {
        endpoint: endpoint.clone(),
        login,
        from: from.to_owned(),
        to: mail.to.clone(),
        bcc: Vec::new(),
        subject: mail.subject.clone(),
        message_id: mail.letter.message_id.clone(),
        login_only: false,
        hello_name: target::hello_name(app),
    };
    let _ = Box::pin(smtp_letter(&app.connector, &target, Some(&mail.letter), &mut steps)).await;
    let (mut report, failure) = steps.finish();
    report.diagnosis = failure.as_ref().map(|failure| {
        diagnose(&Evidence {
            own_id: failure.own_id,
            text: &failure.evidence,
        })
    });
    Ok(Sent::new(report, failure.as_ref()))
}
