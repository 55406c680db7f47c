//! What actions do, against servers of our own.

mod probe;

use crate::probe::server::Server;
use mailgrant::actions::mailboxes::{self, MailboxInput, SideInput, check_mailbox};
use mailgrant::app::App;
use mailgrant::clock::{MockClock, Timestamp};
use mailgrant::config::{Config, Flags};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::Mailbox;
use mailgrant::random::SeededRandom;
use mailgrant::secret::Password;
use std::sync::Arc;

/// The moment every test starts at: 2026-11-21T08:14:02Z.
const NOW: Timestamp = Timestamp(1_795_248_842);

/// An application that may go to this machine.
struct House {
    app: App,
    dir: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
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

fn input(name: &str, incoming: Option<&Server>, outgoing: Option<&Server>, password: &str) -> MailboxInput {
    let side = |protocol: &str, server: &Server| SideInput {
        protocol: protocol.into(),
        host: "127.0.0.1".into(),
        port: server.port.to_string(),
        security: "none".into(),
        auth: "password".into(),
        password: Some(Password::new(password)),
        ..SideInput::default()
    };
    MailboxInput {
        name: name.into(),
        address: format!("{name}@contoso.test"),
        incoming: incoming.map(|server| side("imap", server)),
        outgoing: outgoing.map(|server| side("smtp", server)),
        bcc: vec!["archive@contoso.test".into()],
        ..MailboxInput::default()
    }
}
