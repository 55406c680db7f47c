//! What actions do, against servers of our own.

mod probe;

use crate::probe::server::Server;
use crate::support::records;
use mailgrant::actions::mailboxes::{self, MailboxInput, check_mailbox};
use mailgrant::app::App;
use mailgrant::clock::{MockClock, Timestamp};
use mailgrant::config::{Config, Flags};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::Mailbox;
use mailgrant::random::SeededRandom;
use std::sync::Arc;

/// The moment every test starts at: 2026-11-21T08:14:02Z.
const NOW: Timestamp = Timestamp(1_795_248_842);

/// An application that may go to this machine.
pub struct House {
    pub app: App,
    dir: tempfile::TempDir,
}

impl House {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let flags = Flags {
            data_dir: Some(dir.path().join("data")),
            ..Flags::default()
        };
        let env = |name: &str| (name == "MAILGRANT_ALLOW_NETWORKS").then(|| "loopback".to_owned());
        let config = Config::load(&flags, env).unwrap();
        let clock = Arc::new(MockClock::at(NOW));
        let app = App::open(config, clock, Arc::new(SeededRandom::new(7))).await.unwrap();
        Self { app, dir }
    }

    /// A mailbox with a password, reading and sending where there is a server for it.
    async fn mailbox(&self, name: &str, incoming: Option<&Server>, outgoing: Option<&Server>, password: &str) -> Mailbox {
        let edit = check_mailbox(&input(name, incoming, outgoing, password), &self.app.gate).unwrap();
        mailboxes::create(&self.app, &Actor::console(), edit).await.unwrap()
    }

    async fn stored(&self, mailbox: &Mailbox) -> Mailbox {
        self.app.store.mailbox(&mailbox.name).await.unwrap().unwrap()
    }
}

/// A mailbox as it is typed, with copies of what it sends.
fn input(name: &str, incoming: Option<&Server>, outgoing: Option<&Server>, password: &str) -> MailboxInput {
    let port = |server: &Server| server.port;
    MailboxInput {
        bcc: vec!["archive@contoso.test".into()],
        ..records::mailbox(name, incoming.map(port), outgoing.map(port), password)
    }
}
