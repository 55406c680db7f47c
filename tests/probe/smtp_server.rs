//! An SMTP server that behaves, except where a test wants it otherwise.

use super::imap_server::{PASSWORD, TOKEN};
use super::server::{Gone, Identity, Peer, Server};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::{Arc, Mutex};

/// How it answers.
#[derive(Clone)]
pub struct Smtpd {
    pub greeting: String,
    pub mechanisms: String,
    /// What it says instead to commands that begin so; `close` ends the connection. The first that fits counts.
    pub instead: Vec<(&'static str, String)>,
    /// What it says once the sign-in was sent.
    pub verdict: Option<String>,
    /// What it says when it has the whole message: `close`, `wait`, or a reply.
    pub taken: String,
    /// Where STARTTLS leads.
    pub starttls: Option<Identity>,
    /// What is sent in clear together with the answer to STARTTLS.
    pub injected: String,
    /// Messages it has.
    pub messages: Arc<Mutex<Vec<String>>>,
}

impl Default for Smtpd {
    fn default() -> Self {
        Self {
            greeting: "220-mail.test ESMTP\n220 welcome".to_owned(),
            mechanisms: "LOGIN PLAIN XOAUTH2 OAUTHBEARER".to_owned(),
            instead: Vec::new(),
            verdict: None,
            taken: "250 2.0.0 Ok: queued as 4Xb1Qk".to_owned(),
            starttls: None,
            injected: String::new(),
            messages: Arc::default(),
        }
    }
}

impl Smtpd {
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
        let mut clear = self.starttls.is_some();
        loop {
            let command = peer.line().await?;
            if let Some((_, answer)) = self.instead.iter().find(|(prefix, _)| command.starts_with(prefix)) {
                match answer.as_str() {
                    "close" => return Ok(()),
                    answer => peer.say(answer).await?,
                }
                continue;
            }
            let mut words = command.split(' ');
            match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
                ("EHLO", _) if clear => peer.say("250-mail.test\n250-SIZE 36700160\n250 STARTTLS").await?,
                ("EHLO", _) => {
                    let auth = match self.mechanisms.as_str() {
                        "" => String::new(),
                        names => format!("250-AUTH {names}\n"),
                    };
                    peer.say(&format!("250-mail.test\n250-SIZE 36700160\n{auth}250 8BITMIME")).await?;
                }
                ("STARTTLS", _) => {
                    peer.say(&format!("220 2.0.0 go ahead{}", self.injected)).await?;
                    peer = peer.encrypt(self.starttls.as_ref().unwrap()).await?;
                    clear = false;
                }
                ("AUTH", mechanism) => {
                    assert!(!command.contains(TOKEN) && command.len() < 30, "a token does not fit there");
                    self.authenticate(&mut peer, mechanism).await?;
                }
                ("MAIL" | "RCPT", _) => peer.say("250 2.1.0 Ok").await?,
                ("DATA", _) => self.data(&mut peer).await?,
                ("QUIT", _) => return peer.say("221 bye").await,
                _ => peer.say("500 5.5.2 unknown command").await?,
            }
        }
    }

    async fn authenticate(&self, peer: &mut Peer, mechanism: &str) -> Result<(), Gone> {
        peer.say("334 ").await?;
        let message = String::from_utf8(STANDARD.decode(peer.line().await?).unwrap()).unwrap();
        let good = match mechanism {
            "LOGIN" => {
                peer.say("334 UGFzc3dvcmQ6").await?;
                STANDARD.decode(peer.line().await?).unwrap() == PASSWORD.as_bytes()
            }
            "PLAIN" => message.ends_with(&format!("\0{PASSWORD}")),
            _ => message.ends_with(&format!("auth=Bearer {TOKEN}\x01\x01")),
        };
        match &self.verdict {
            Some(verdict) => peer.say(verdict).await,
            None if good => peer.say("235 2.7.0 Authentication successful").await,
            None if ["LOGIN", "PLAIN"].contains(&mechanism) => peer.say("535 5.7.8 Error: authentication failed").await,
            None => {
                let document = r#"{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}"#;
                peer.say(&format!("334 {}", STANDARD.encode(document))).await?;
                let answer = peer.line().await?;
                assert_eq!(answer, if mechanism == "OAUTHBEARER" { "AQ==" } else { "" });
                let refusal = "535-5.7.8 Username and Password not accepted. For more information, go to\n\
                               535 5.7.8  https://support.google.com/mail/?p=BadCredentials x - gsmtp";
                peer.say(refusal).await
            }
        }
    }

    async fn data(&self, peer: &mut Peer) -> Result<(), Gone> {
        peer.say("354 end with a dot").await?;
        let mut message = String::new();
        loop {
            match peer.line().await?.as_str() {
                "." => break,
                line => message.push_str(&format!("{line}\n")),
            }
        }
        self.messages.lock().unwrap().push(message);
        match self.taken.as_str() {
            "close" => Err(Gone),
            "wait" => peer.wait().await,
            reply => peer.say(reply).await,
        }
    }
}
