//! What goes wrong with a mail server, stage by stage, in words for the step and in evidence for the catalogue of causes.

use super::graph::{GraphError, LARGEST_REQUEST, Strange};
use super::record::{Protocol, Recorder, Violation};
use super::tls::TlsError;
use crate::gate::GateError;
use std::io;
use std::net::SocketAddr;

/// Why a conversation with a mail server did not work.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The name leads nowhere, or where we don't go.
    #[error(transparent)]
    Destination(#[from] GateError),
    /// No encryption, and not on this machine.
    #[error("without encryption only servers on this machine are spoken to, where allow_networks has loopback; {host} is not")]
    PlainRefused {
        /// The server.
        host: String,
    },
    /// A text that can't stand in a command.
    #[error("the {what} has a character in it that can't be sent")]
    Unsendable {
        /// Which text.
        what: &'static str,
    },
    /// The mailbox has nothing to sign in with.
    #[error("there is nothing to sign in with")]
    NoLogin,
    /// None of the addresses took the connection.
    #[error("{}", connect_text(.tried))]
    Connect {
        /// What each of them answered.
        tried: Vec<(SocketAddr, String)>,
    },
    /// None of the addresses answered in time.
    #[error("connection timed out after {seconds} s (os error 110)")]
    ConnectTimeout {
        /// How long it was tried.
        seconds: u64,
    },
    /// No encryption came about.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Something else than a mail server answers.
    #[error("it answers, but not as {}", server_of(*.0))]
    NotAMailServer(Protocol),
    /// The server took the connection and said nothing.
    #[error("no greeting; a port that starts with TLS stays silent when it isn't spoken to in TLS")]
    NoGreeting,
    /// The server said no.
    #[error("{}", without_tag(.reply))]
    Refused {
        /// Its lines, secrets removed.
        reply: Vec<String>,
        /// The document it gave as reason before (RFC 7628, 3.2.2).
        document: Option<String>,
    },
    /// The server ended the connection.
    #[error("the server closed the connection {when}{}", said(.reply))]
    Closed {
        /// During what.
        when: &'static str,
        /// What it said before, maybe nothing.
        reply: Vec<String>,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// More than we read.
    #[error("{0}")]
    TooMuch(&'static str),
    /// The reply can't be understood.
    #[error("{what}{}", said(.reply))]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// The lines, secrets removed.
        reply: Vec<String>,
    },
    /// The server can't switch to encryption, or something on the way says so.
    #[error("STARTTLS not advertised; it offers: {offered}")]
    StarttlsMissing {
        /// What it offers.
        offered: String,
    },
    /// Something was sent in clear after the switch was agreed.
    #[error("something was sent in clear after the switch to encryption was agreed; the connection was given up")]
    StarttlsInjected,
    /// No way of signing in that fits.
    #[error("{wanted} not offered; it offers: {offered}")]
    MechanismMissing {
        /// What we would have used.
        wanted: &'static str,
        /// What it offers.
        offered: String,
    },
    /// The folder does not exist.
    #[error("{}", without_tag(.reply))]
    FolderMissing {
        /// What the server said.
        reply: Vec<String>,
    },
    /// Graph said no.
    #[error("{0}")]
    Graph(Box<GraphError>),
    /// What answers isn't Graph.
    #[error("{}", .0.text())]
    Strange(Strange),
    /// The message is too long to be handed over.
    #[error("the message needs {octets} octets; one request to Graph may have {LARGEST_REQUEST}")]
    TooLarge {
        /// How long it is.
        octets: usize,
    },
    /// The message was handed over, and no answer came.
    #[error("the message was handed over and no answer came ({why}); it isn't known whether it was sent")]
    SendUnknown {
        /// What came instead.
        why: String,
    },
    /// The message was sent and not found.
    #[error("not in the inbox and not in the junk folder after {seconds} s")]
    NotArrived {
        /// How long we looked.
        seconds: u64,
    },
    /// The time for the whole conversation is over.
    #[error("not finished in time; the whole conversation may take {seconds} s")]
    Deadline {
        /// How long it may take.
        seconds: u64,
    },
}

impl MailError {
    /// Our own name for it, where we know more than the server's text says.
    pub fn own_id(&self) -> Option<&'static str> {
        Some(match self {
            Self::Destination(GateError::Forbidden { .. } | GateError::Outside { .. }) => "console-destination-refused",
            Self::Destination(GateError::PortForbidden { .. }) => "console-port-refused",
            Self::PlainRefused { .. } => "console-plain-refused",
            Self::Unsendable { .. } => "console-unsendable",
            Self::NoLogin => "console-password-missing",
            Self::NotAMailServer(_) => "console-not-a-mail-server",
            Self::NoGreeting => "console-no-greeting",
            Self::TooMuch(_) => "console-too-much-data",
            Self::Malformed { .. } | Self::StarttlsInjected => "console-protocol-error",
            Self::StarttlsMissing { .. } => "console-starttls-missing",
            Self::MechanismMissing { .. } => "console-mechanism-not-offered",
            Self::FolderMissing { .. } => "console-folder-missing",
            Self::Strange(strange) => strange.own_id(),
            Self::TooLarge { .. } => "graph-message-too-large",
            Self::SendUnknown { .. } => "console-send-unknown",
            Self::NotArrived { .. } => "console-not-arrived",
            Self::Deadline { .. } => "console-deadline",
            Self::Destination(_)
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Tls(_)
            | Self::Refused { .. }
            | Self::Graph(_)
            | Self::Closed { .. }
            | Self::Broken(_) => {
                return None;
            }
        })
    }

    /// What the other side said, as it came, for the catalogue: replies of several lines joined by spaces.
    pub fn evidence(&self) -> String {
        match self {
            Self::Refused { reply, document } => {
                let mut text = reply.join(" ");
                if let Some(document) = document {
                    text.push('\n');
                    text.push_str(document);
                }
                text
            }
            Self::FolderMissing { reply } | Self::Malformed { reply, .. } => reply.join(" "),
            Self::Closed { when, reply } => {
                let mut text = reply.join(" ");
                if !text.is_empty() {
                    text.push('\n');
                }
                text + "unexpected end of file: the server closed the connection " + when
            }
            Self::Tls(error) => error.evidence.clone(),
            Self::Graph(error) => error.evidence.clone(),
            other => other.to_string(),
        }
    }

    /// Whether trying again may help without a change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Destination(error) => error.is_transient(),
            Self::Graph(error) => error.is_transient(),
            Self::Refused { reply, .. } => reply.last().is_some_and(|line| is_transient_reply(line)),
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::NoGreeting
            | Self::Closed { .. }
            | Self::Broken(_)
            | Self::NotArrived { .. }
            | Self::Deadline { .. } => true,
            _ => false,
        }
    }

    /// What became of a read or write, given what the recorder knows.
    pub(super) fn io(error: &io::Error, recorder: &Recorder, when: &'static str) -> Self {
        match recorder.violation() {
            Some(Violation::TooMuch(text)) => return Self::TooMuch(text),
            Some(Violation::Malformed(what)) => return Self::malformed(what, recorder),
            None => {}
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::closed(recorder, when),
            _ if error.raw_os_error().is_some() => Self::Broken(error.to_string()),
            // An unexpected end inside TLS is reported without a number.
            _ if error.to_string().contains("close_notify") => Self::closed(recorder, when),
            io::ErrorKind::Other | io::ErrorKind::InvalidData => Self::malformed("the reply can't be understood", recorder),
            _ => Self::Broken(error.to_string()),
        }
    }

    pub(super) fn closed(recorder: &Recorder, when: &'static str) -> Self {
        Self::Closed {
            when,
            reply: recorder.reply(),
        }
    }

    pub(super) fn malformed(what: &'static str, recorder: &Recorder) -> Self {
        Self::Malformed {
            what,
            reply: recorder.reply(),
        }
    }

    pub(super) fn refused(recorder: &Recorder) -> Self {
        Self::Refused {
            reply: recorder.reply(),
            document: None,
        }
    }
}

/// 4yz of SMTP, and what IMAP (RFC 5530) and POP3 servers say when they are busy.
fn is_transient_reply(line: &str) -> bool {
    let smtp = line.starts_with('4') && line.chars().take(3).all(|c| c.is_ascii_digit());
    let imap = [
        "[UNAVAILABLE]",
        "[INUSE]",
        "[SERVERBUG]",
        "[LIMIT]",
        "* BYE",
        "Server Unavailable",
        "throttled",
    ];
    // RFC 3206, RFC 2449.
    let pop = ["-ERR [SYS/TEMP]", "-ERR [IN-USE]", "-ERR [LOGIN-DELAY]"];
    smtp || imap.iter().any(|word| line.contains(word)) || pop.iter().any(|code| line.starts_with(code))
}

/// The reply as the step shows it: the last line that says something, without the tag of IMAP.
fn without_tag(reply: &[String]) -> String {
    let imap = reply.iter().rev().find_map(|line| {
        let (tag, rest) = line.split_once(' ')?;
        let word = rest.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let tagged = tag == "*" || tag.chars().all(|c| c.is_ascii_alphanumeric()) && tag.starts_with('A');
        (tagged && ["NO", "BAD", "BYE"].contains(&word.as_str())).then(|| rest.to_owned())
    });
    imap.unwrap_or_else(|| reply.join(" "))
}

fn said(reply: &[String]) -> String {
    match reply.last() {
        Some(line) => format!(": {line}"),
        None => String::new(),
    }
}

fn server_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "an IMAP server",
        Protocol::Pop3 => "a POP server",
        Protocol::Smtp => "a SMTP server",
        Protocol::Graph => "Microsoft Graph",
    }
}

fn connect_text(tried: &[(SocketAddr, String)]) -> String {
    let each: Vec<String> = tried.iter().map(|(address, why)| format!("{address}: {why}")).collect();
    format!("tcp connect error: {}", each.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(lines: &[&str], document: Option<&str>) -> MailError {
        MailError::Refused {
            reply: lines.iter().map(|line| (*line).to_owned()).collect(),
            document: document.map(str::to_owned),
        }
    }

    #[test]
    fn a_refusal_reads_without_its_tag_and_is_evidence_with_everything() {
        let error = refused(
            &[
                "* NO [WEBALERT https://x.test] Web login required.",
                "A2 NO [ALERT] Please log in (Failure)",
            ],
            Some("{\"status\":\"400\"}"),
        );
        assert_eq!(error.to_string(), "NO [ALERT] Please log in (Failure)");
        assert_eq!(
            error.evidence(),
            "* NO [WEBALERT https://x.test] Web login required. A2 NO [ALERT] Please log in (Failure)\n{\"status\":\"400\"}"
        );
        let smtp = refused(&["535-5.7.8 Username and Password not accepted.", "535 5.7.8 Go to x"], None);
        assert_eq!(smtp.to_string(), "535-5.7.8 Username and Password not accepted. 535 5.7.8 Go to x");
    }

    #[test]
    fn busy_is_not_broken() {
        for line in [
            "421 4.3.2 Service not available",
            "A1 NO [UNAVAILABLE] later",
            "A1 BAD Request is throttled.",
            "-ERR [IN-USE] Another session has the mailbox",
        ] {
            assert!(refused(&[line], None).is_transient(), "{line}");
        }
        for line in ["535 5.7.8 no", "A1 NO [AUTHENTICATIONFAILED] no", "-ERR [AUTH] no"] {
            assert!(!refused(&[line], None).is_transient(), "{line}");
        }
    }
}
