//! An IMAP server that behaves, except where a test wants it otherwise.

use super::server::{Gone, Identity, Peer, Server};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub const TOKEN: &str = "canary-access-token-0123456789-abcdefghijklmnopqrstuvwxyz";
pub const PASSWORD: &str = "canary-password-42";

/// How it answers.
#[derive(Clone)]
pub struct Imapd {
    pub greeting: String,
    pub capabilities: String,
    /// What it says instead to commands that begin so; `{t}` is the tag. The first that fits counts.
    pub instead: Vec<(&'static str, String)>,
    /// What it says instead, once the sign-in was sent.
    pub verdict: Option<String>,
    /// What comes before the `+`.
    pub before_question: String,
    /// Where STARTTLS leads.
    pub starttls: Option<Identity>,
    /// What is sent in clear together with the answer to STARTTLS.
    pub injected: String,
    /// Whether a message that is looked for by its id is there now, whatever stands above.
    pub arrived: Arc<AtomicBool>,
}

impl Default for Imapd {
    fn default() -> Self {
        Self {
            greeting: "* OK Test server ready.".to_owned(),
            capabilities: "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER SPECIAL-USE LIST-EXTENDED".to_owned(),
            instead: Vec::new(),
            verdict: None,
            before_question: String::new(),
            starttls: None,
            injected: String::new(),
            arrived: Arc::default(),
        }
    }
}

/// Of the message `<1@contoso.test>`.
pub const ENVELOPE: &str = concat!(
    r#"("Sat, 21 Nov 2026 08:00:00 +0000" "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=" (("Ann \"A\" Example" NIL "ann" "contoso.test")) "#,
    r#"NIL NIL NIL NIL NIL NIL "<1@contoso.test>")"#
);

impl Imapd {
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
            let (tag, command) = line.split_once(' ').unwrap_or(("*", ""));
            if command.starts_with("UID SEARCH HEADER") && self.arrived.load(Ordering::Relaxed) {
                peer.say(&format!("* SEARCH 103\n{tag} OK done")).await?;
                continue;
            }
            if let Some((_, answer)) = self.instead.iter().find(|(prefix, _)| command.starts_with(prefix)) {
                match answer.as_str() {
                    "close" => return Ok(()),
                    answer => peer.say(&answer.replace("{t}", tag)).await?,
                }
                continue;
            }
            let mut words = command.split(' ');
            match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
                ("CAPABILITY", _) => {
                    let offer = if self.starttls.is_some() && !encrypted { " STARTTLS" } else { "" };
                    peer.say(&format!("* CAPABILITY {}{offer}\n{tag} OK done", self.capabilities))
                        .await?;
                }
                ("STARTTLS", _) => {
                    peer.say(&format!("{tag} OK go ahead{}", self.injected)).await?;
                    peer = peer.encrypt(self.starttls.as_ref().unwrap()).await?;
                    encrypted = true;
                }
                ("AUTHENTICATE", mechanism) => self.authenticate(&mut peer, tag, mechanism).await?,
                ("LOGIN", _) => {
                    let good = command.ends_with(&format!("\"{PASSWORD}\""));
                    self.decide(&mut peer, tag, good).await?;
                }
                ("LOGOUT", _) => {
                    peer.say(&format!("* BYE bye\n{tag} OK done")).await?;
                    return Ok(());
                }
                _ => peer.say(&reply_to(command).replace("{t}", tag)).await?,
            }
        }
    }

    async fn authenticate(&self, peer: &mut Peer, tag: &str, mechanism: &str) -> Result<(), Gone> {
        peer.send(self.before_question.replace('\n', "\r\n")).await?;
        peer.say("+ ").await?;
        let message = String::from_utf8(STANDARD.decode(peer.line().await?).unwrap()).unwrap();
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
        self.decide(peer, tag, good).await
    }

    async fn decide(&self, peer: &mut Peer, tag: &str, good: bool) -> Result<(), Gone> {
        match &self.verdict {
            Some(verdict) if verdict == "close" => Err(Gone),
            Some(verdict) => peer.say(&verdict.replace("{t}", tag)).await,
            None if good => peer.say(&format!("* CAPABILITY {}\n{tag} OK signed in", self.capabilities)).await,
            None => peer.say(&format!("{tag} NO [AUTHENTICATIONFAILED] Authentication failed.")).await,
        }
    }
}

fn reply_to(command: &str) -> String {
    let fetch = |number: u32, size: u32| {
        format!(
            "* {number} FETCH (UID {} ENVELOPE {ENVELOPE} RFC822.SIZE {size} INTERNALDATE \"21-Nov-2026 09:00:0{number} +0100\")\n",
            number + 100
        )
    };
    let data = match command {
        "EXAMINE \"INBOX\"" => "* FLAGS (\\Seen)\n* 3 EXISTS\n* 0 RECENT\n* OK [UIDVALIDITY 1] ok\n".to_owned(),
        "STATUS \"INBOX\" (MESSAGES UNSEEN)" => "* STATUS INBOX (MESSAGES 3 UNSEEN 2)\n".to_owned(),
        "EXAMINE \"Junk\"" => "* 2 EXISTS\n".to_owned(),
        "STATUS \"Junk\" (MESSAGES UNSEEN)" => "* STATUS \"Junk\" (MESSAGES 2 UNSEEN 1)\n".to_owned(),
        _ if command.starts_with("FETCH 1:3 ") => [fetch(1, 500), fetch(2, 700), fetch(3, 30_000_000)].concat(),
        _ if command.starts_with("UID FETCH 103 ") => fetch(3, 30_000_000),
        _ if command.starts_with("UID SEARCH LARGER") => "* SEARCH 103\n".to_owned(),
        _ if command.starts_with("UID SEARCH SINCE") => "* SEARCH 7\n".to_owned(),
        _ if command.starts_with("UID SEARCH") => "* SEARCH\n".to_owned(),
        _ if command.starts_with("LIST") => {
            "* LIST (\\HasNoChildren) \"/\" INBOX\n* LIST (\\Junk) \"/\" Junk\n* LIST (\\Sent) \"/\" \"Sent Items\"\n".to_owned()
        }
        _ => return "{t} BAD unknown command".to_owned(),
    };
    data + "{t} OK done"
}
