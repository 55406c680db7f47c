//! Servers that throw back what they were sent, in every way they can write it, and what they know from before.

use super::canaries::PIECE;
use crate::probe::imap_server::Imapd;
use crate::probe::server::{Gone, Peer, Server};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// A text in every way that is known.
pub fn odd(text: &str) -> Vec<String> {
    let every = |write: fn(u8) -> String| text.bytes().map(write).collect::<String>();
    vec![
        text.to_owned(),
        STANDARD.encode(text),
        URL_SAFE.encode(format!("xx{text}")),
        STANDARD.encode(STANDARD.encode(text)),
        every(|byte| format!("{byte:02x}")),
        every(|byte| format!("%{byte:02X}")),
        every(|byte| format!("\\x{byte:02x}")),
        text.chars().flat_map(|c| [c, ' ']).collect(),
        text.to_uppercase(),
    ]
}

/// A text in pieces for a line each.
pub fn pieces(text: &str) -> Vec<String> {
    text.as_bytes()
        .chunks(PIECE)
        .map(|piece| String::from_utf8_lossy(piece).into_owned())
        .collect()
}

/// What all of them said, and what one of them knows: of a mailbox that is nobody's but its own, because what somebody else has told a
/// server is its to tell in whatever way it likes.
#[derive(Clone, Default)]
struct Memory {
    said: Arc<Mutex<String>>,
    known: Arc<Mutex<Vec<String>>>,
    turn: Arc<Mutex<usize>>,
}

impl Memory {
    /// That of another server.
    fn beside(&self) -> Self {
        Self {
            known: Arc::default(),
            ..self.clone()
        }
    }

    fn learn(&self, text: &str) {
        let mut known = self.known.lock().unwrap();
        if !text.is_empty() && !known.iter().any(|other| other == text) {
            known.push(text.to_owned());
        }
    }

    fn said(&self, text: &str) {
        let mut said = self.said.lock().unwrap();
        said.push_str(text);
        said.push('\n');
    }

    /// One way to say it, another one each time.
    fn one(&self, text: &str) -> String {
        let mut turn = self.turn.lock().unwrap();
        *turn += 1;
        let ways = odd(text);
        ways[*turn % ways.len()].clone()
    }

    /// What is known from before, in one line.
    fn greeting(&self) -> String {
        let known = self.known.lock().unwrap().clone();
        known.iter().map(|text| self.one(text)).collect::<Vec<_>>().join(" ; ")
    }

    async fn say(&self, peer: &mut Peer, text: &str) -> Result<(), Gone> {
        self.said(text);
        peer.say(text).await
    }

    /// A sign-in as it was sent, and what is in it.
    fn read(&self, sent: &str) -> (String, String) {
        let message = STANDARD
            .decode(sent)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default();
        let secret = message.rsplit(['\0', '=']).next().unwrap_or_default().trim_end_matches('\x01');
        let secret = secret.strip_prefix("Bearer ").unwrap_or(secret).to_owned();
        self.learn(&secret);
        (message.replace(['\0', '\x01'], " ").trim().to_owned(), secret)
    }
}

pub struct Hostile {
    memory: Memory,
    imap: Server,
    pop: Server,
    smtp: Server,
    graph: Server,
}

impl Hostile {
    pub async fn start() -> Self {
        let memory = Memory::default();
        let (a, b, c, d) = (memory.beside(), memory.beside(), memory.beside(), memory.beside());
        Self {
            memory,
            imap: Server::start(None, move |peer| imap(peer, a.clone())).await,
            pop: Server::start(None, move |peer| pop(peer, b.clone())).await,
            smtp: Server::start(None, move |peer| smtp(peer, c.clone())).await,
            graph: Server::start(None, move |peer| graph(peer, d.clone())).await,
        }
    }

    pub fn imap(&self) -> u16 {
        self.imap.port
    }

    pub fn pop(&self) -> u16 {
        self.pop.port
    }

    pub fn smtp(&self) -> u16 {
        self.smtp.port
    }

    pub fn graph(&self) -> String {
        format!("http://127.0.0.1:{}", self.graph.port)
    }

    pub fn said(&self) -> String {
        self.memory.said.lock().unwrap().clone()
    }
}

/// As many lines as a reply may have: in every way, then in pieces.
fn lines(text: &str) -> Vec<String> {
    let cut: String = text.chars().take(800).collect();
    [odd(&cut), pieces(&cut)].concat()
}

async fn imap(mut peer: Peer, memory: Memory) -> Result<(), Gone> {
    let greeting = format!("* OK ready {}", memory.greeting());
    memory.say(&mut peer, &greeting).await?;
    loop {
        let line = peer.line().await?;
        let (tag, command) = line.split_once(' ').unwrap_or(("*", ""));
        if command.starts_with("AUTHENTICATE") {
            peer.say("+ ").await?;
            let sent = peer.line().await?;
            let (readable, secret) = memory.read(&sent);
            if !sent.is_empty() && readable.contains("Bearer") {
                let document = json!({"status": "400", "schemes": secret, "scope": readable}).to_string();
                memory.say(&mut peer, &format!("+ {}", STANDARD.encode(document))).await?;
                peer.line().await?;
            }
            let mut reply = format!("* OK you said {sent}\n* OK that is {readable}\n* OK Set-Cookie: canary={secret}");
            for line in lines(&secret).iter().take(85) {
                reply += &format!("\n* OK {line}");
            }
            for line in odd("zaunkoenig@kanarienvogel.test").iter().take(9) {
                memory.said(&format!("{line}\n"));
            }
            memory
                .say(&mut peer, &format!("{reply}\n{tag} NO [AUTHENTICATIONFAILED] {readable}"))
                .await?;
        } else if command.starts_with("CAPABILITY") {
            memory
                .say(&mut peer, &format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2\n{tag} OK done"))
                .await?;
        } else {
            memory.say(&mut peer, &format!("* BYE {command}\n{tag} OK done")).await?;
        }
    }
}

async fn pop(mut peer: Peer, memory: Memory) -> Result<(), Gone> {
    memory.say(&mut peer, &format!("+OK ready {}", memory.greeting())).await?;
    loop {
        let line = peer.line().await?;
        let sent = match line.split(' ').collect::<Vec<_>>()[..] {
            ["CAPA"] => {
                peer.say("+OK here\nSASL XOAUTH2 PLAIN\nUIDL\n.").await?;
                continue;
            }
            ["AUTH", _] => {
                peer.say("+ ").await?;
                peer.line().await?
            }
            ["AUTH", _, sent] => sent.to_owned(),
            _ => {
                memory.say(&mut peer, &format!("-ERR {line}")).await?;
                continue;
            }
        };
        let (readable, secret) = memory.read(&sent);
        if readable.contains("Bearer") {
            let document = json!({"status": "401", "schemes": readable, "scope": sent}).to_string();
            memory.say(&mut peer, &format!("+ {}", STANDARD.encode(document))).await?;
            peer.line().await?;
        }
        let said = format!("{} {} {readable}", memory.one(&secret), memory.one(&readable));
        memory
            .say(&mut peer, &format!("-ERR [AUTH] {}", said.chars().take(7000).collect::<String>()))
            .await?;
    }
}

async fn smtp(mut peer: Peer, memory: Memory) -> Result<(), Gone> {
    let greeting = format!("220 ready {}", memory.greeting());
    memory.say(&mut peer, &greeting).await?;
    let refuse = |text: &str, code: &str| -> String {
        let all = lines(text);
        let all: Vec<String> = all.iter().take(90).map(|line| format!("{code}-5.7.8 {line}")).collect();
        format!("{}\n{code} 5.7.8 no", all.join("\n"))
    };
    loop {
        let line = peer.line().await?;
        let word = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "EHLO" => peer.say("250-here\n250-AUTH XOAUTH2 PLAIN\n250 SIZE 99999999").await?,
            "AUTH" => {
                peer.say("334 ").await?;
                let sent = peer.line().await?;
                let (readable, secret) = memory.read(&sent);
                let turn = *memory.turn.lock().unwrap();
                if turn.is_multiple_of(2) {
                    memory.say(&mut peer, "235 2.7.0 come in").await?;
                } else {
                    memory.say(&mut peer, &refuse(&secret, "535")).await?;
                    memory.said(&readable);
                }
            }
            "DATA" => {
                peer.say("354 go on").await?;
                let mut message = String::new();
                loop {
                    let line = peer.line().await?;
                    if line == "." {
                        break;
                    }
                    message += &line;
                    message.push('\n');
                }
                let subject = message.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default();
                memory.learn(subject);
                let quoted = message.replace('\n', " / ");
                memory.said(&quoted);
                let more = format!("554-5.7.8 {quoted}\n{}", refuse(subject, "554"));
                memory.say(&mut peer, &more).await?;
            }
            _ => memory.say(&mut peer, &format!("250 2.0.0 {line}")).await?,
        }
    }
}

async fn graph(mut peer: Peer, memory: Memory) -> Result<(), Gone> {
    loop {
        let (request, mut told, mut length) = (peer.line().await?, Vec::new(), 0);
        loop {
            let line = peer.line().await?;
            let Some((name, value)) = line.split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            }
            if let Some(token) = value.strip_prefix("Bearer ") {
                memory.learn(token);
            }
            told.push(value.to_owned());
        }
        let body = peer.exactly(length).await?;
        let known = memory.known.lock().unwrap().clone();
        let known: Vec<String> = known.iter().map(|text| memory.one(text)).collect();
        let all = format!("{} {request} {} {body} Cookie: canary=1", known.join(" "), told.join(" "));
        memory.said(&all);
        let answer = json!({"error": {"code": "InvalidAuthenticationToken", "message": all, "innerError": {"request-id": told.join(" ")}}})
            .to_string();
        let id = told.join(" ");
        peer.send(format!(
            "HTTP/1.1 401 X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nrequest-id: {id}\r\nSet-Cookie: canary={id}\r\n\r\n{answer}",
            answer.len()
        ))
        .await?;
    }
}

/// Signs everybody in, shows messages, and speaks of them before it was asked and afterwards.
pub async fn gossip(subject: &str) -> Server {
    let spoken = format!("{} {}", subject, STANDARD.encode(subject));
    let envelope = format!(
        "* 1 FETCH (UID 101 ENVELOPE (\"Sat, 21 Nov 2026 08:00:00 +0000\" \"{subject}\" ((\"Kanarius Absender\" NIL \"kanari.absender\" \
         \"kanarienheim.test\")) NIL NIL NIL NIL NIL NIL \"<1@x.test>\") RFC822.SIZE 500 INTERNALDATE \"21-Nov-2026 09:00:01 +0100\")"
    );
    let imapd = Imapd {
        greeting: format!("* OK ready, there is {spoken} of Kanarius Absender <kanari.absender@kanarienheim.test>"),
        verdict: Some(format!("{{t}} OK signed in, {spoken}")),
        ..Imapd::default()
    };
    imapd
        .on(
            "EXAMINE",
            &format!("* 1 EXISTS\n{envelope}\n* OK [UIDVALIDITY 1] {spoken}\n{{t}} OK {spoken}"),
        )
        .on("FETCH 1:1 ", &format!("{envelope}\n{{t}} OK that was {spoken}"))
        .on("UID SEARCH LARGER", &format!("* SEARCH\n* OK {spoken}\n{{t}} OK done"))
        .start(None)
        .await
}
