//! A mail server that throws back what it was sent.

use crate::probe::server::{Gone, Peer, Server};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// A server that refuses every sign-in with what was said, in several forms.
pub(super) async fn echo() -> Server {
    Server::start(None, |mut peer: Peer| async move {
        peer.say("* OK ready").await?;
        loop {
            let line = peer.line().await?;
            let (tag, command) = line.split_once(' ').unwrap_or(("*", ""));
            if command.starts_with("AUTHENTICATE") {
                peer.say("+ ").await?;
                let sent = peer.line().await?;
                refuse(&mut peer, tag, &sent).await?;
            } else if command.starts_with("CAPABILITY") {
                peer.say(&format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2\n{tag} OK done"))
                    .await?;
            } else {
                peer.say(&format!("* BYE {command}\n{tag} OK done")).await?;
            }
        }
    })
    .await
}

async fn refuse(peer: &mut Peer, tag: &str, sent: &str) -> Result<(), Gone> {
    let message = String::from_utf8(STANDARD.decode(sent).unwrap()).unwrap();
    let secret = message.rsplit(['\0', '=']).next().unwrap().trim_end_matches('\x01').to_owned();
    let secret = secret.strip_prefix("Bearer ").unwrap_or(&secret);
    let readable = message.replace(['\0', '\x01'], " ");
    if message.contains('\x01') {
        let document = json!({"status": "400", "schemes": secret, "scope": readable}).to_string();
        peer.say(&format!("+ {}", STANDARD.encode(document))).await?;
        peer.line().await?;
    }
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let twice = STANDARD.encode(secret);
    peer.say(&format!(
        "* OK you said {sent}\n* OK that is {readable}\n* OK or {hex} or {percent} or {twice}\n\
         {tag} NO [AUTHENTICATIONFAILED] Authentication failed for {readable} {secret}"
    ))
    .await
}
