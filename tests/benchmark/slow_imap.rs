//! An IMAP server with three messages, and an SMTP server, that think about every line they are sent.

use anyhow::Result;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Starts it on a port of its own; it runs as long as the runtime.
pub async fn start(thinks: Duration) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, thinks));
        }
    });
    Ok(port)
}

/// The SMTP server.
pub async fn start_smtp(thinks: Duration) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_smtp(stream, thinks));
        }
    });
    Ok(port)
}

async fn serve_smtp(stream: TcpStream, thinks: Duration) -> Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 slow.test ESMTP\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(thinks).await;
        let answer: &[u8] = match line.get(..4).unwrap_or_default() {
            "EHLO" => b"250-slow.test\r\n250 AUTH XOAUTH2 PLAIN\r\n",
            "AUTH" if line.trim_end().split(' ').count() == 2 => b"334 \r\n",
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            "NOOP" | "RSET" => b"250 ok\r\n",
            _ => b"235 2.7.0 signed in\r\n",
        };
        stream.write_all(answer).await?;
    }
}

async fn serve(stream: TcpStream, thinks: Duration) -> Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"* OK Slow server ready.\r\n").await?;
    let mut line = String::new();
    // Tag of the AUTHENTICATE whose answer comes next.
    let mut signing_in: Option<String> = None;
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(thinks).await;
        if let Some(tag) = signing_in.take() {
            stream.write_all(format!("{tag} OK signed in\r\n").as_bytes()).await?;
            continue;
        }
        let (tag, command) = line.trim_end().split_once(' ').unwrap_or(("*", ""));
        if command.starts_with("AUTHENTICATE") {
            signing_in = Some(tag.to_owned());
            stream.write_all(b"+ \r\n").await?;
            continue;
        }
        let answer = format!("{}{tag} OK done\r\n", data(command));
        stream.write_all(answer.as_bytes()).await?;
        if command == "LOGOUT" {
            return Ok(());
        }
    }
}

/// The data before the verdict.
fn data(command: &str) -> String {
    const ENVELOPE: &str =
        r#"("Sat, 21 Nov 2026 08:00:00 +0000" "Order" (("Ann" NIL "ann" "contoso.test")) NIL NIL NIL NIL NIL NIL "<1@contoso.test>")"#;
    let message = |number: usize| {
        format!("* {number} FETCH (UID {number} ENVELOPE {ENVELOPE} RFC822.SIZE 900 INTERNALDATE \"21-Nov-2026 09:00:00 +0100\")\r\n")
    };
    match command.split(' ').next().unwrap_or_default() {
        "CAPABILITY" => "* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SPECIAL-USE LIST-EXTENDED\r\n".to_owned(),
        "EXAMINE" => "* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] ok\r\n".to_owned(),
        "STATUS" => format!(
            "* STATUS {} (MESSAGES 3 UNSEEN 2)\r\n",
            command.split(' ').nth(1).unwrap_or_default()
        ),
        "FETCH" => (1..=3).map(message).collect(),
        "UID" => "* SEARCH\r\n".to_owned(),
        "LIST" => "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST (\\Junk) \"/\" Junk\r\n".to_owned(),
        _ => String::new(),
    }
}
