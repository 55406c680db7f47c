//! IMAP, POP3 and SMTP over bare sockets.

use super::{IMAP, POP, Play, SMTP, SUPPORT, Wire, oauthbearer, xoauth2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailgrant::sandbox::{Folder, House, MailPorts};
use serde_json::Value;

const GOOGLE: &str = "https://mail.google.com/";
const HELP: &str = "help@fabrikam.test";

fn document(challenge: &str) -> Value {
    let text = challenge.split_once(' ').unwrap().1;
    serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap()
}

#[tokio::test]
async fn imap_as_exchange_shows_it() {
    let play = Play::start().await;
    let ports: MailPorts = play.sandbox.ports(House::Microsoft);
    let token = play.access(House::Microsoft, SUPPORT, &[IMAP, SMTP]).await;
    let mut imap = play.tls(ports.imaps).await;
    assert!(
        imap.line()
            .await
            .starts_with("* OK The Microsoft Exchange IMAP4 service is ready. [")
    );
    let capability = imap.until("a CAPABILITY", "a ").await.remove(0);
    assert!(
        capability.contains("AUTH=XOAUTH2 SASL-IR") && !capability.contains("OAUTHBEARER"),
        "{capability}"
    );
    assert_eq!(
        imap.ask("b AUTHENTICATE XOAUTH2 bm9uc2Vuc2U=").await,
        "b BAD Command Argument Error. 12"
    );
    assert_eq!(
        imap.ask(&format!("c AUTHENTICATE XOAUTH2 {}", xoauth2(SUPPORT, "wrong"))).await,
        "c NO AUTHENTICATE failed."
    );
    let ceo = imap
        .ask(&format!("d AUTHENTICATE XOAUTH2 {}", xoauth2("ceo@contoso.test", &token)))
        .await;
    assert_eq!(ceo, "d NO AUTHENTICATE failed.", "somebody else's mailbox");
    assert_eq!(imap.ask("e SELECT INBOX").await, "e BAD Command received in Invalid state.");
    assert_eq!(imap.ask("f AUTHENTICATE XOAUTH2").await, "+");
    assert_eq!(imap.ask(&xoauth2(SUPPORT, &token)).await, "f OK AUTHENTICATE completed.");

    let examined = imap.until("g EXAMINE INBOX", "g ").await;
    assert!(
        examined.contains(&"* 7 EXISTS".to_owned()) && examined.last().unwrap().starts_with("g OK [READ-ONLY]"),
        "{examined:?}"
    );
    let status = imap.until("h STATUS \"Junk Email\" (MESSAGES UNSEEN)", "h ").await;
    assert_eq!(status[0], "* STATUS \"Junk Email\" (MESSAGES 3 UNSEEN 2)");
    let list = imap.until("i LIST \"\" \"*\" RETURN (SPECIAL-USE)", "i ").await;
    assert!(
        list.iter()
            .any(|line| line.ends_with("\"Junk Email\"") && !line.contains("\\Junk ")),
        "{list:?}"
    );
    assert_eq!(imap.until("j UID SEARCH LARGER 25000000", "j ").await[0].split(' ').count(), 3);
    assert_eq!(imap.until("k SEARCH UNSEEN FROM maija", "k ").await[0], "* SEARCH 7");
    let fetched = imap
        .until("l FETCH 7 (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])", "l ")
        .await;
    assert!(
        fetched[0].contains("FLAGS ()") && fetched[1].starts_with("Subject: Order 4711"),
        "{fetched:?}"
    );
    // A literal, as old clients send names.
    assert_eq!(imap.ask("m STATUS {5}").await, "+ Ready for additional command text.");
    assert!(imap.until("INBOX (UNSEEN)", "m ").await[0].contains("UNSEEN 3"));
    assert!(imap.until("n LOGOUT", "n ").await[0].starts_with("* BYE"));
    assert!(imap.is_over().await);
}

#[tokio::test]
async fn encryption_is_switched_to_and_forgets_what_came_before() {
    let play = Play::start().await;
    let ports = play.sandbox.ports(House::Microsoft);
    let mut imap = Wire::plain(ports.imap).await;
    imap.line().await;
    assert!(imap.until("a CAPABILITY", "a ").await[0].contains("LOGINDISABLED STARTTLS"));
    let refused = imap.ask(&format!("b AUTHENTICATE XOAUTH2 {}", xoauth2(SUPPORT, "x"))).await;
    assert!(refused.starts_with("b NO"), "{refused}");
    assert!(imap.ask("c STARTTLS").await.starts_with("c OK"));
    let mut imap = Wire::new(Box::new(play.handshake(imap.into_inner()).await.unwrap()));
    assert!(imap.until("d CAPABILITY", "d ").await[0].contains("AUTH=XOAUTH2"));

    let mut smtp = Wire::plain(ports.submission).await;
    smtp.line().await;
    let offered = smtp.until("EHLO console", "250 ").await;
    assert!(
        offered.contains(&"250-STARTTLS".to_owned()) && !offered.iter().any(|line| line.contains("AUTH")),
        "{offered:?}"
    );
    assert!(smtp.ask("MAIL FROM:<a@b.test>").await.starts_with("530 5.7.0"));
    assert!(smtp.ask("STARTTLS").await.starts_with("220 2.0.0"));
    let mut smtp = Wire::new(Box::new(play.handshake(smtp.into_inner()).await.unwrap()));
    assert!(smtp.ask("AUTH XOAUTH2").await.starts_with("503 5.5.2 Send hello first"));
    assert!(
        smtp.until("EHLO console", "250 ")
            .await
            .contains(&"250-AUTH LOGIN XOAUTH2".to_owned())
    );

    let mut pop = Wire::plain(ports.pop3).await;
    pop.line().await;
    assert!(pop.until("CAPA", ".").await.contains(&"STLS".to_owned()));
    assert!(pop.ask("STLS").await.starts_with("+OK"));
    let mut pop = Wire::new(Box::new(play.handshake(pop.into_inner()).await.unwrap()));
    assert!(pop.until("CAPA", ".").await.contains(&"SASL PLAIN XOAUTH2".to_owned()));
}

#[tokio::test]
async fn gmail_explains_a_refusal_in_a_document_first() {
    let play = Play::start().await;
    let ports = play.sandbox.ports(House::Google);
    let token = play.access(House::Google, HELP, &[GOOGLE]).await;
    let mut imap = play.tls(ports.imaps).await;
    imap.line().await;
    let asked = imap.ask(&format!("a AUTHENTICATE XOAUTH2 {}", xoauth2(HELP, "wrong"))).await;
    assert_eq!(document(&asked)["status"], "400");
    assert_eq!(imap.ask("").await, "a NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)");
    imap.send("b AUTHENTICATE OAUTHBEARER").await;
    assert_eq!(imap.line().await, "+");
    let asked = imap.ask(&oauthbearer(HELP, "wrong")).await;
    assert_eq!(document(&asked)["status"], "invalid_token");
    assert_eq!(imap.ask("AQ==").await, "b NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)");
    let told = imap
        .until(&format!("c AUTHENTICATE OAUTHBEARER {}", oauthbearer(HELP, &token)), "c ")
        .await;
    assert_eq!(told[1], format!("c OK {HELP} authenticated (Success)"));
    assert!(
        imap.until("d LIST \"\" \"*\"", "d ")
            .await
            .iter()
            .any(|line| line.contains("\\Junk") && line.contains("[Gmail]/Spam"))
    );

    let mut pop = play.tls(ports.pop3s).await;
    assert!(pop.line().await.starts_with("+OK Gpop ready"));
    assert_eq!(pop.ask("AUTH XOAUTH2").await, "+");
    assert_eq!(document(&pop.ask(&xoauth2(HELP, "wrong")).await)["schemes"], "Bearer");
    assert_eq!(pop.ask("").await, "-ERR [AUTH] Username and password not accepted.");
    let mut smtp = play.tls(ports.submissions).await;
    smtp.line().await;
    smtp.until("EHLO console", "250 ").await;
    let asked = smtp.ask(&format!("AUTH XOAUTH2 {}", xoauth2(HELP, "wrong"))).await;
    assert_eq!(document(&asked)["scope"], GOOGLE);
    assert_eq!(smtp.until("", "535 ").await.len(), 2);
}

#[tokio::test]
async fn pop3_takes_long_tokens_on_a_line_of_their_own() {
    let play = Play::start().await;
    let token = play.access(House::Microsoft, SUPPORT, &[POP]).await;
    let mut pop = play.tls(play.sandbox.ports(House::Microsoft).pop3s).await;
    assert!(pop.line().await.starts_with("+OK The Microsoft Exchange POP3 service is ready."));
    assert!(pop.ask("STAT").await.starts_with("-ERR"));
    let message = xoauth2(SUPPORT, &token);
    assert!(
        pop.ask(&format!("AUTH XOAUTH2 {message}")).await.starts_with("-ERR"),
        "RFC 5034: 255 octets"
    );
    assert_eq!(pop.ask("AUTH XOAUTH2").await, "+");
    assert_eq!(pop.ask(&message).await, "+OK User successfully authenticated.");
    assert!(pop.ask("STAT").await.starts_with("+OK 7 "));
    assert_eq!(pop.until("LIST", ".").await.len(), 9);
    assert_eq!(pop.until("UIDL", ".").await.len(), 9);
    let top = pop.until("TOP 7 0", ".").await;
    assert!(top.iter().any(|line| line.starts_with("Subject: Order 4711")) && !top.iter().any(|line| line.starts_with("Good day")));
    assert!(pop.ask("LIST 8").await.starts_with("-ERR"));
    assert!(pop.ask("QUIT").await.starts_with("+OK"));
    // A token for IMAP opens no POP3.
    let other = play.access(House::Microsoft, SUPPORT, &[IMAP]).await;
    let mut pop = play.tls(play.sandbox.ports(House::Microsoft).pop3s).await;
    pop.line().await;
    pop.ask("AUTH XOAUTH2").await;
    let refused = pop.ask(&xoauth2(SUPPORT, &other)).await;
    assert_eq!(refused, "-ERR Authentication failure: unknown user name or bad password.");
}

#[tokio::test]
async fn smtp_delivers_into_the_mailboxes_for_those_who_may_send() {
    let play = Play::start().await;
    let ports = play.sandbox.ports(House::Microsoft);
    let token = play.access(House::Microsoft, SUPPORT, &[SMTP]).await;
    let mut smtp = play.tls(ports.submissions).await;
    smtp.line().await;
    smtp.until("EHLO console", "250 ").await;
    assert!(smtp.ask("AUTH PLAIN AGEAYg==").await.starts_with("504 5.7.4"));
    assert_eq!(smtp.ask("AUTH XOAUTH2").await, "334");
    assert_eq!(smtp.ask(&xoauth2(SUPPORT, &token)).await, "235 2.7.0 Authentication successful");
    let mut send = async |from: &str, to: &str| {
        assert!(smtp.ask(&format!("MAIL FROM:<{from}> SIZE=100")).await.starts_with("250"));
        let answer = smtp.ask(&format!("RCPT TO:<{to}>")).await;
        if !answer.starts_with("250") {
            return answer;
        }
        assert!(smtp.ask("DATA").await.starts_with("354"));
        smtp.ask("Subject: Hello\r\nMessage-ID: <1@x>\r\n\r\n..a dot\r\n.").await
    };
    assert!(send(SUPPORT, "sales@contoso.test").await.starts_with("250 2.0.0 OK <"));
    let arrived = play.sandbox.messages("sales@contoso.test", Folder::Inbox).pop().unwrap();
    assert_eq!((arrived.head().subject.as_str(), arrived.seen), ("Hello", false));
    assert!(
        arrived.content().ends_with(b"\r\n\r\n.a dot\r\n"),
        "{}",
        String::from_utf8_lossy(&arrived.content())
    );
    assert_eq!(play.sandbox.messages(SUPPORT, Folder::Sent).len(), 1);
    assert!(
        send("info@contoso.test", "out@elsewhere.example").await.starts_with("250"),
        "as the shared mailbox"
    );
    let denied = send("ceo@contoso.test", SUPPORT).await;
    assert!(
        denied.starts_with("554 5.2.252 SendAsDenied; support@contoso.test not allowed to send as ceo@contoso.test"),
        "{denied}"
    );
    assert!(send(SUPPORT, "nobody@contoso.test").await.starts_with("550 5.1.10"));
}

#[tokio::test]
async fn app_only_tokens_open_the_mailboxes_they_were_given() {
    let play = Play::start().await;
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "https://outlook.office365.com/.default"),
    ];
    let token = play.token(House::Microsoft, &form).await.ok().text("access_token").to_owned();
    let mut imap = play.tls(play.sandbox.ports(House::Microsoft).imaps).await;
    imap.line().await;
    let ceo = imap
        .ask(&format!("a AUTHENTICATE XOAUTH2 {}", xoauth2("ceo@contoso.test", &token)))
        .await;
    assert_eq!(ceo, "a NO AUTHENTICATE failed.", "least privilege");
    let orders = imap
        .ask(&format!("b AUTHENTICATE XOAUTH2 {}", xoauth2("orders@contoso.test", &token)))
        .await;
    assert_eq!(orders, "b OK AUTHENTICATE completed.");
    play.sandbox.expire_access_tokens();
    let mut imap = play.tls(play.sandbox.ports(House::Microsoft).imaps).await;
    imap.line().await;
    let late = imap
        .ask(&format!("a AUTHENTICATE XOAUTH2 {}", xoauth2("orders@contoso.test", &token)))
        .await;
    assert_eq!(late, "a NO AUTHENTICATE failed.");
}
