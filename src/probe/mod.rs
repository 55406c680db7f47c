//! Connection tests, stage by stage.
//!
//! [`Steps`] times each stage, keeps what was said during it, streams the report to whoever watches and stops at the first failure.
//! The stages themselves read in order in [`imap()`], [`pop3()`], [`smtp()`], [`graph()`], [`graph_send()`] and [`arrived()`].
//! Those that only ask whether a mailbox opens end there: [`imap_opens()`], [`pop3_opens()`], [`graph_opens()`].

mod arrived;
mod claims;
mod graph;
mod imap;
mod judgement;
mod letter;
mod pop3;
mod smtp;
mod stages;
pub use stages::size;
mod steps;

pub use arrived::arrived;
pub use graph::{GraphReading, GraphSending, GraphTarget, graph, graph_letter, graph_moves, graph_opens, graph_send};
pub use imap::{ImapTarget, imap, imap_moves, imap_opens};
pub use judgement::{Expected, Judgement, Opens, judge};
pub use letter::{Handing, Letter};
pub use pop3::{Pop3Target, pop3, pop3_opens};
pub use smtp::{SmtpTarget, smtp, smtp_letter};
pub use steps::{DEADLINE, Done, Failure, Steps, Stopped};

use crate::model::mailbox::{Protocol, Security};
use crate::model::report::{Direction, MessageSummary, Stage};

/// What decides which stages a test has.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Which side.
    pub direction: Direction,
    /// What it speaks.
    pub protocol: Protocol,
    /// How the connection is encrypted.
    pub security: Security,
    /// Whether it signs in with a token.
    pub oauth: bool,
    /// Whether a message that was sent is looked for.
    pub arrived: bool,
    /// Whether it stops after the sign-in.
    pub login_only: bool,
    /// Whether it looks only whether the mailbox opens.
    pub short: bool,
}

/// The stages of a test, in the order they are run.
pub fn planned(plan: Plan) -> Vec<Stage> {
    let mut stages = Vec::new();
    if plan.oauth {
        stages.push(Stage::Token);
    }
    if plan.protocol == Protocol::Graph {
        stages.push(Stage::Claims);
    }
    stages.extend([Stage::Dns, Stage::Tcp]);
    if plan.security == Security::Tls {
        stages.push(Stage::Tls);
    }
    match (plan.protocol, plan.direction) {
        (Protocol::Graph, Direction::Incoming) if plan.short => stages.push(Stage::Inbox),
        (Protocol::Graph, Direction::Incoming) => stages.extend([Stage::Inbox, Stage::Newest, Stage::Junk]),
        (Protocol::Graph, Direction::Outgoing) => {
            if !plan.login_only {
                stages.push(Stage::Send);
            }
        }
        (protocol, _) => {
            stages.extend([
                Stage::Greeting,
                if protocol == Protocol::Smtp {
                    Stage::Ehlo
                } else {
                    Stage::Capability
                },
            ]);
            if plan.security == Security::Starttls {
                stages.extend([Stage::Starttls, Stage::Tls]);
            }
            stages.push(Stage::Auth);
        }
    }
    match plan.protocol {
        Protocol::Imap if plan.short => stages.push(Stage::Select),
        Protocol::Pop3 if plan.short => {}
        Protocol::Imap => stages.extend([Stage::Select, Stage::Unread, Stage::Newest, Stage::Junk]),
        Protocol::Pop3 => stages.extend([Stage::Unread, Stage::Newest]),
        Protocol::Smtp if !plan.login_only => {
            stages.extend([Stage::MailFrom, Stage::RcptTo, Stage::Data]);
            if plan.arrived {
                stages.push(Stage::Arrived);
            }
        }
        Protocol::Smtp | Protocol::Graph => {}
    }
    stages
}

/// What was found. Senders and subjects are here and not in the report's facts: not everybody may see them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Messages in the folder.
    pub messages: u64,
    /// How many of them are unread; POP can't tell.
    pub unread: Option<u64>,
    /// Messages in the junk folder; none if there is no such folder.
    pub junk: Option<u64>,
    /// How many of them are unread.
    pub junk_unread: Option<u64>,
    /// The newest, newest first.
    pub newest: Vec<MessageSummary>,
    /// Those above the limit, newest first.
    pub oversized: Vec<MessageSummary>,
    /// The newest in the junk folder, newest first.
    pub in_junk: Vec<MessageSummary>,
    /// The folders of the mailbox, as the server names them; only where something is listed that could go there.
    pub folders: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_come_in_the_order_of_the_contract() {
        let words = |protocol, direction, security, change: fn(&mut Plan)| {
            let mut plan = Plan {
                direction,
                protocol,
                security,
                oauth: true,
                arrived: false,
                login_only: false,
                short: false,
            };
            change(&mut plan);
            planned(plan).iter().map(|s| s.as_str()).collect::<Vec<_>>().join(" ")
        };
        let incoming = |protocol, security| words(protocol, Direction::Incoming, security, |_| {});
        assert_eq!(
            incoming(Protocol::Imap, Security::Tls),
            "token dns tcp tls greeting capability auth select unread newest junk"
        );
        assert_eq!(
            incoming(Protocol::Imap, Security::Starttls),
            "token dns tcp greeting capability starttls tls auth select unread newest junk"
        );
        assert_eq!(
            incoming(Protocol::Imap, Security::None),
            "token dns tcp greeting capability auth select unread newest junk"
        );
        assert_eq!(
            incoming(Protocol::Pop3, Security::Tls),
            "token dns tcp tls greeting capability auth unread newest"
        );
        assert_eq!(
            incoming(Protocol::Pop3, Security::Starttls),
            "token dns tcp greeting capability starttls tls auth unread newest"
        );
        assert_eq!(
            incoming(Protocol::Graph, Security::Tls),
            "token claims dns tcp tls inbox newest junk"
        );
        assert_eq!(incoming(Protocol::Graph, Security::None), "token claims dns tcp inbox newest junk");
        let outgoing = |protocol, security, change| words(protocol, Direction::Outgoing, security, change);
        assert_eq!(
            outgoing(Protocol::Smtp, Security::Tls, |plan| plan.oauth = false),
            "dns tcp tls greeting ehlo auth mail_from rcpt_to data"
        );
        assert_eq!(
            outgoing(Protocol::Smtp, Security::Starttls, |plan| (plan.oauth, plan.arrived) =
                (false, true)),
            "dns tcp greeting ehlo starttls tls auth mail_from rcpt_to data arrived"
        );
        assert_eq!(
            outgoing(Protocol::Smtp, Security::Tls, |plan| (plan.arrived, plan.login_only) = (true, true)),
            "token dns tcp tls greeting ehlo auth"
        );
        assert_eq!(outgoing(Protocol::Graph, Security::Tls, |_| {}), "token claims dns tcp tls send");
        assert_eq!(
            outgoing(Protocol::Graph, Security::Tls, |plan| plan.login_only = true),
            "token claims dns tcp tls"
        );
    }
}
