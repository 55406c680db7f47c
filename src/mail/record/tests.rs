use super::*;

fn feed(recorder: &Recorder, bytes: &[u8]) -> Result<String, Violation> {
    let mut out = VecDeque::new();
    recorder.received(bytes, &mut out)?;
    Ok(String::from_utf8_lossy(out.make_contiguous()).into_owned())
}

fn imap() -> Recorder {
    let recorder = Recorder::new(Protocol::Imap);
    recorder.greeted();
    recorder
}

fn transcript(recorder: &Recorder) -> Vec<String> {
    recorder
        .take()
        .into_iter()
        .map(|line| format!("{}: {}", line.from, line.text))
        .collect()
}

#[test]
fn parsers_get_whole_lines_of_the_kinds_we_asked_for() {
    let recorder = imap();
    assert_eq!(feed(&recorder, b"* OK re").unwrap(), "");
    assert_eq!(feed(&recorder, b"ady\r\n* XNEW {3}\r\n((( x\r\n").unwrap(), "* OK ready\r\n");
    assert_eq!(feed(&recorder, b"* 3 FETCH (BODYSTRUCTURE (((\r\n").unwrap(), "");
    assert_eq!(feed(&recorder, b"* FLAGS (\\Seen)\r\n* 4 EXISTS\r\n").unwrap(), "* 4 EXISTS\r\n");
    assert_eq!(feed(&recorder, b"+\r\nA1 OK\n").unwrap(), "+ \r\nA1 OK\r\n");
    assert_eq!(
        feed(&recorder, b"* CAPABILITY IMAP4rev1 \r\n").unwrap(),
        "* CAPABILITY IMAP4rev1\r\n"
    );
    let literal = b"* LIST () \"/\" {5}\r\na\nb\"(\r\nA2 OK x\r\n";
    assert_eq!(feed(&recorder, literal).unwrap().as_bytes(), literal);
}

#[test]
fn shapes_that_hurt_parsers_do_not_reach_them() {
    assert_eq!(
        feed(&imap(), "* OK [ALERT]\u{fc}ber\r\n".as_bytes()).unwrap(),
        "* OK [ALERT]?ber\r\n"
    );
    assert_eq!(
        feed(&imap(), b"A1 NO [BADCHARSET ({400000000}\r\n").unwrap(),
        "A1 NO [BADCHARSET (?400000000}\r\n"
    );
    let recorder = imap();
    recorder.want_messages(true);
    assert_eq!(
        feed(&recorder, b"* 1 FETCH (X a\"b internaldate nil BodyStructure (((((())\r\n").unwrap(),
        "* 1 FETCH (X a\"b internaldate-nil BodyStructure-(((((())\r\n"
    );
    // The parser takes what follows an unknown word for its value, line ends and all.
    assert_eq!(
        feed(&recorder, b"* 1 FETCH (X %\r\nA1 INTERNALDATE NIL\r\n").unwrap(),
        "* 1 FETCH (X %\r\nA1 INTERNALDATE-NIL\r\n"
    );
    for literal in ["{99999999999}", "{99999999999999999999999}", "{9000}", "X a\"b {9000}"] {
        assert!(
            feed(&imap(), format!("* LIST () \"/\" {literal}\r\n").as_bytes()).is_err(),
            "{literal}"
        );
    }
}

#[test]
fn limits_hold_before_sign_in_and_are_wider_after() {
    let long = vec![b'x'; 9000];
    assert!(matches!(feed(&imap(), &long), Err(Violation::TooMuch(_))));
    let recorder = imap();
    recorder.signed_in();
    assert!(feed(&recorder, &long).is_ok());

    let flood = b"* OK x\r\n".repeat(101);
    assert!(feed(&imap(), &flood).is_err());

    let recorder = imap();
    let mut total = 0;
    let result = loop {
        recorder.sent(b"A1 NOOP\r\n");
        total += 4000;
        match feed(&recorder, &[vec![b'x'; 3998], b"\r\n".to_vec()].concat()) {
            Ok(_) if total < 1_000_000 => {}
            other => break other,
        }
    };
    assert!(matches!(result, Err(Violation::TooMuch(_))));
    assert!(total <= 68_000, "{total}");
}

#[test]
fn nothing_is_shown_before_the_greeting_and_no_mail_after_it() {
    let recorder = Recorder::new(Protocol::Imap);
    feed(&recorder, b"secret service, go away\r\n").unwrap();
    assert!(recorder.take().is_empty());
    recorder.greeted();
    recorder.want_messages(true);
    recorder.sent(b"A1 UID FETCH 1 (ENVELOPE)\r\n");
    feed(&recorder, b"* 12 FETCH (ENVELOPE (\"d\" {7}\r\nprivate NIL))\r\nA1 OK done\r\n").unwrap();
    assert_eq!(
        transcript(&recorder),
        [
            "C: A1 UID FETCH 1 (ENVELOPE)",
            "S: * 12 FETCH (message data, not kept)",
            "S: A1 OK done"
        ]
    );
}

#[test]
fn secrets_and_tricks_of_terminals_are_not_kept() {
    let recorder = Recorder::new(Protocol::Smtp);
    recorder.greeted();
    recorder.hide("canary-token-canary-token");
    recorder.instead("(XOAUTH2 as me, 40 characters)".to_owned());
    recorder.sent(b"Y2FuYXJ5LXRva2VuLWNhbmFyeS10b2tlbg==\r\n");
    let line = "501 \x1b[31mcanary-token-canary-token Y2FuYXJ5LXRva2VuLWNhbmFyeS10b2tlbg==\u{202e}\r\n";
    feed(&recorder, line.as_bytes()).unwrap();
    assert_eq!(
        transcript(&recorder),
        [
            "C: (XOAUTH2 as me, 40 characters)",
            "S: 501 \u{fffd}[31m[hidden] [hidden]g==\u{fffd}"
        ]
    );
    assert_eq!(recorder.reply(), ["501 \u{fffd}[31m[hidden] [hidden]g==\u{fffd}"]);
}

#[test]
fn the_end_of_a_message_is_noticed_and_its_text_is_not_kept() {
    let recorder = Recorder::new(Protocol::Smtp);
    recorder.greeted();
    recorder.sending(b"x\r\n.\r\n");
    assert!(!recorder.handed_over());
    recorder.body("(message of 5 octets)".to_owned());
    recorder.sending(b"Subject: x\r\n");
    recorder.sent(b"Subject: x\r\n");
    assert!(!recorder.handed_over());
    recorder.sending(b"\r\n.\r\n");
    recorder.sent(b"\r\n.\r\n");
    assert!(recorder.handed_over());
    feed(&recorder, b"250 queued as 42\r\n").unwrap();
    recorder.body_ended();
    recorder.sent(b"QUIT\r\n");
    assert_eq!(
        transcript(&recorder),
        ["C: (message of 5 octets)", "S: 250 queued as 42", "C: QUIT"]
    );
}

#[test]
fn sloppy_smtp_replies_become_proper_ones() {
    let recorder = Recorder::new(Protocol::Smtp);
    assert_eq!(feed(&recorder, b"334\r\n").unwrap(), "334 \r\n");
    assert_eq!(feed(&recorder, b"250 ok\n").unwrap(), "250 ok\r\n");
    assert_eq!(feed(&recorder, b"250 gr\xfc\xdfe\r\n").unwrap(), "250 gr\u{fffd}\u{fffd}e\r\n");
}
