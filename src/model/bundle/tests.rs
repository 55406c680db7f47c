use super::names::{Kind, Known};
use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

fn said(text: &str) -> Value {
    Value::Said(text.to_owned())
}

fn bundle(rows: Vec<Row>) -> Bundle {
    Bundle {
        sections: vec![Section { title: "Test", rows }],
        names: vec![
            Known::new(Kind::Address, "helga.strand@kanarie.test"),
            Known::new(Kind::Host, "imap.kanarie.test"),
            Known::new(Kind::Person, "Helga Strand"),
            Known::new(Kind::Mailbox, "helga-desk"),
            Known::new(Kind::Tenant, "aaaabbbb-0000-cccc-1111-dddd2222eeee"),
        ],
    }
}

fn shown(text: &str, hide: bool) -> String {
    let text = bundle(vec![Row::Words(0, said(text))]).render(hide).plain();
    text.lines().nth(2).unwrap_or_default().to_owned()
}

fn talk(lines: &[&str], hide: bool) -> String {
    let lines = lines.iter().map(|text| Line {
        from: 'S',
        text: (*text).to_owned(),
    });
    bundle(vec![Row::Talk(0, lines.collect())]).render(hide).plain()
}

#[test]
fn what_looks_secret_is_removed_whoever_says_it() {
    const JWT: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl";
    let sasl = STANDARD.encode("user=helga.strand@kanarie.test\x01auth=Bearer canary\x01\x01");
    let plain = STANDARD.encode("\0helga.strand@kanarie.test\0canary");
    for (text, expected) in [
        (format!("NO you sent Bearer {JWT} here"), "NO you sent Bearer [token removed] here"),
        (format!("NO {JWT}"), "NO [token removed]"),
        (JWT.split('.').next().unwrap().to_owned(), "[token removed]"),
        (format!("BAD {sasl}"), "BAD [sign-in removed]"),
        (format!("BAD x{sasl}"), "BAD [sign-in removed]"),
        (format!("BAD {plain} unknown"), "BAD [sign-in removed] unknown"),
        ("Set-Cookie: canary=1; Path=/".to_owned(), "Set-Cookie: [cookie removed]"),
        (
            "said authorization: Basic canary".to_owned(),
            "said authorization: [authorization removed]",
        ),
        (
            "554 rejected, Subject: canary".to_owned(),
            "554 rejected, Subject: [subject removed]",
        ),
        ("554 From: Ann <canary@x.test>".to_owned(), "554 From: [sender removed]"),
        (
            r#"{"refresh_token":"canary","a":1}"#.to_owned(),
            r#"{"refresh_token":"[value removed]","a":1}"#,
        ),
        (r#"{"subject":"canary","a":1}"#.to_owned(), r#"{"subject":"[value removed]","a":1}"#),
        ("back?code=canary-canary&state=x".to_owned(), "back?code=[code removed]&state=x"),
        ("abc8Q~canarycanarycanarycanarycanaryca".to_owned(), "[token removed]"),
        ("1//0canaryCanary99canary".to_owned(), "[token removed]"),
        ("before [hidden] after".to_owned(), "before [secret removed] after"),
    ] {
        assert_eq!(shown(&text, false), expected, "{text}");
    }
    let key = talk(
        &[
            "* OK -----BEGIN PRIVATE KEY-----",
            "* OK canary",
            "-----END PRIVATE KEY-----",
            "* OK on",
        ],
        false,
    );
    assert!(!key.contains("canary") && key.contains("S * OK on"), "{key}");
}

#[test]
fn what_explains_an_error_stays() {
    let challenge = STANDARD.encode(r#"{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}"#);
    for text in [
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        "AADSTS7000215: Invalid client secret provided. Trace ID: 0b1c2d3e-0000-4444-8888-0123456789ab",
        r#"{"error":{"code":"ErrorAccessDenied","message":"Access is denied."}}"#,
        "A1 NO [AUTHENTICATIONFAILED] AUTHENTICATE failed.",
        "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/oauth2/v2.0/token",
        "https://outlook.office.com/IMAP.AccessAsUser.All offline_access",
        "250 2.0.0 OK queued as 4Xb1Qk2Zz9z1c [Hostname=AM0PR01MB1234.eurprd01.prod.exchangelabs.com]",
        "C MAIL FROM:<helga.strand@kanarie.test> SIZE=512",
        "WWW-Authenticate: Bearer error=\"invalid_token\"",
        &format!("+ {challenge}"),
    ] {
        assert_eq!(shown(text, false), text);
    }
}

#[test]
fn names_have_stand_ins_that_stay_the_same() {
    for (text, expected) in [
        ("helga.strand@kanarie.test", "user1@domain1"),
        (
            "HELGA.STRAND@KANARIE.TEST at imap.kanarie.test:993",
            "user1@domain1 at host1.domain1:993",
        ),
        ("NO user helga.strand is unknown in KANARIE", "NO user user1 is unknown in domain1"),
        ("other@kanarie.test and other@elsewhere.example", "user2@domain1 and user3@domain2"),
        ("mail.elsewhere.example, b.elsewhere.example", "host2.domain2, host3.domain2"),
        ("CN=Helga Strand, O=Kanarie", "CN=person1, O=domain1"),
        ("mailbox helga-desk", "mailbox mailbox1"),
        ("10.1.2.3:993 [2001:db8::1]", "ip1:993 [ip2]"),
        (
            "/aaaabbbb-0000-cccc-1111-dddd2222eeee/oauth2/v2.0/token",
            "/tenant1/oauth2/v2.0/token",
        ),
        ("helga.strand%40kanarie.test", "user1@domain1"),
        ("bob%40other.example", "user2@domain2"),
        ("xhelga.strand@kanarie.testy", "user2@domain2"),
        ("xxhelga.strandxx imap.kanarie.testx", "xxuser1xx host1.domain1x"),
    ] {
        let got = shown(text, true);
        assert_eq!(got, expected, "{text}");
    }
    for text in [
        "https://outlook.office365.com/IMAP.AccessAsUser.All Mail.Read User.Read",
        "535 5.7.139 Authentication unsuccessful",
        "4.3.2 STOREDRV; TLS 1.3; AADSTS700016",
        "port 993 at outlook.office365.com, 127.0.0.1",
    ] {
        assert_eq!(shown(text, true), text);
    }
    let twice = talk(
        &["* OK helga.strand@kanarie.test", "* OK imap.kanarie.test helga.strand@kanarie.test"],
        true,
    );
    assert_eq!(twice.matches("user1@domain1").count(), 2, "{twice}");
}

#[test]
fn no_encoding_hides_a_name() {
    let every = |write: fn(u8) -> String| "helga.strand@kanarie.test".bytes().map(write).collect::<String>();
    let encoded = STANDARD.encode("helga.strand@kanarie.test");
    for text in [
        encoded.clone(),
        STANDARD.encode(&encoded),
        STANDARD.encode("x unknown.person@elsewhere.example"),
        every(|byte| format!("%{byte:02X}")),
        every(|byte| format!("{byte:02x}")),
        every(|byte| format!("\\x{byte:02x}")),
        every(|byte| format!("{} ", char::from(byte))),
        every(|byte| format!("{byte:02x}:")),
        "=?utf-8?B?SGVsZ2E=?=".to_owned(),
    ] {
        let shown = shown(&format!("NO >{text}< what"), true);
        assert!(shown.starts_with("NO >") && shown.ends_with("< what"), "{shown}");
        assert!(shown.contains("removed]") || shown.contains("user1@domain1"), "{text}: {shown}");
        assert!(shown.len() < 60, "{text}: {shown}");
    }
    let split = talk(&["* OK helga.st", "* OK rand@kana", "* OK rie.test is it", "A2 NO bye"], true);
    assert!(
        !split.contains("helga") && !split.contains("kana") && split.contains("A2 NO bye"),
        "{split}"
    );
}

#[test]
fn what_was_removed_is_marked_and_nobody_else_can_mark() {
    let text = bundle(vec![Row::Words(0, said("a [hidden] b \u{e000}c\u{e001}"))]).render(false);
    let marked: Vec<String> = text
        .pieces()
        .into_iter()
        .filter(|piece| piece.removed)
        .map(|piece| piece.text)
        .collect();
    assert_eq!(marked, ["[secret removed]"]);
    assert_eq!(text.removed(), 1);
    assert_eq!(
        text.pieces().iter().map(|piece| piece.text.as_str()).collect::<String>(),
        text.plain()
    );
    assert!(!text.plain().contains(['\u{e000}', '\u{e001}']));
    assert_eq!(without_secrets("password=canary\nok").plain(), "password=[value removed]\nok");
}
