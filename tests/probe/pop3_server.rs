//! A POP3 server that behaves, except where a test wants it otherwise.

use super::imap_server::{PASSWORD, TOKEN};
use super::server::{Gone, Identity, Peer, Server};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// How it answers.
#[derive(Clone)]
pub struct Popd {
    pub greeting: String,
    /// Lines of CAPA; none: it doesn't know CAPA.
    pub capabilities: Option<String>,
    /// What it says instead to commands that begin so. The first that fits counts.
    pub instead: Vec<(&'static str, String)>,
    /// What it says instead, once the sign-in was sent.
    pub verdict: Option<String>,
    /// Where STLS leads.
    pub stls: Option<Identity>,
    /// What is sent in clear together with the answer to STLS.
    pub injected: String,
}

impl Default for Popd {
    fn default() -> Self {
        Self {
            greeting: "+OK Test server ready.".to_owned(),
            capabilities: Some("TOP\nUSER\nSASL PLAIN XOAUTH2 OAUTHBEARER\nUIDL".to_owned()),
            instead: Vec::new(),
            verdict: None,
            stls: None,
            injected: String::new(),
        }
    }
}

impl Popd {
    /// With another answer to commands that begin so.
    pub fn on(mut self, command: &'static str, answer: &str) -> Self {
        self.instead.push((command, answer.to_owned()));
        self
    }

    pub async fn start(self, identity: Option<Identity>) -> Server {
        let this = Arc::new(self);
        Server::start(identity, move |peer| {
            let this = Arc::clone(&this);
            async move { this.play(peer).await }
        })
        .await
    }

    async fn play(&self, mut peer: Peer) -> Result<(), Gone> {
        peer.say(&self.greeting).await?;
        let mut encrypted = false;
        loop {
            let line = peer.line().await?;
            if let Some((_, answer)) = self.instead.iter().find(|(prefix, _)| line.starts_with(prefix)) {
                match answer.as_str() {
                    "close" => return Ok(()),
                    answer => peer.say(answer).await?,
                }
                continue;
            }
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["CAPA"] => match &self.capabilities {
                    Some(capabilities) => {
                        let offer = if self.stls.is_some() && !encrypted { "\nSTLS" } else { "" };
                        peer.say(&format!("+OK here\n{capabilities}{offer}\n.")).await?;
                    }
                    None => peer.say("-ERR what").await?,
                },
                ["STLS"] => {
                    peer.say(&format!("+OK go ahead{}", self.injected)).await?;
                    peer = peer.encrypt(self.stls.as_ref().unwrap()).await?;
                    encrypted = true;
                }
                ["AUTH", mechanism] => {
                    peer.say("+ ").await?;
                    let message = peer.line().await?;
                    self.authenticate(&mut peer, mechanism, &message).await?;
                }
                ["AUTH", mechanism, message] => self.authenticate(&mut peer, mechanism, message).await?,
                ["USER", _] => peer.say("+OK go on").await?,
                ["PASS", ..] => self.decide(&mut peer, line == format!("PASS {PASSWORD}")).await?,
                ["STAT"] => peer.say("+OK 3 30001200").await?,
                ["LIST"] => peer.say("+OK 3 messages\n1 500\n2 700\n3 30000000\n.").await?,
                ["TOP", number, "0"] => {
                    let header = format!(
                        "Received: from x; Sat, 21 Nov 2026 09:00:0{number} +0100\nFrom: =?utf-8?Q?J=C3=B6rg?= <ann@contoso.test>\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?="
                    );
                    peer.say(&format!("+OK top\n{header}\n..\n\n.")).await?;
                }
                ["QUIT"] => {
                    peer.say("+OK bye").await?;
                    return Ok(());
                }
                _ => peer.say("-ERR unknown command").await?,
            }
        }
    }

    async fn authenticate(&self, peer: &mut Peer, mechanism: &str, message: &str) -> Result<(), Gone> {
        let message = String::from_utf8(STANDARD.decode(message).unwrap()).unwrap();
        let good = match mechanism {
            "PLAIN" => message.ends_with(&format!("\0{PASSWORD}")),
            _ => message.ends_with(&format!("auth=Bearer {TOKEN}\x01\x01")),
        };
        if !good && mechanism != "PLAIN" && self.verdict.is_none() {
            let document = r#"{"status":"401","schemes":"bearer","scope":"mail"}"#;
            peer.say(&format!("+ {}", STANDARD.encode(document))).await?;
            let answer = peer.line().await?;
            assert_eq!(answer, if mechanism == "OAUTHBEARER" { "AQ==" } else { "" });
        }
        self.decide(peer, good).await
    }

    async fn decide(&self, peer: &mut Peer, good: bool) -> Result<(), Gone> {
        match &self.verdict {
            Some(verdict) if verdict == "close" => Err(Gone),
            Some(verdict) => peer.say(verdict).await,
            None if good => peer.say("+OK signed in").await,
            None => peer.say("-ERR [AUTH] Authentication failed.").await,
        }
    }
}
