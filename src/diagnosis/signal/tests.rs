//! What is recognised in which form, and what is not.

use super::*;

fn has(text: &str, needle: &str) -> bool {
    Signals::read(text).has(&Needle::new(needle))
}

#[test]
fn an_entra_number_is_found_in_every_form_and_never_as_part_of_another() {
    for text in [
        "AADSTS50011: The redirect URI",
        "Sorry, aadsts50011 came back",
        "error_description=AADSTS50011%3a+The+redirect+URI",
        "https://a.example/?next=https%3A%2F%2Fb.example%2F%3Ferror_description%3DAADSTS50011%253A%2BThe",
        r#"{"error":"invalid_request","error_codes":[90094, 50011]}"#,
        r#"{"body":"{\"error_codes\":[50011]}"}"#,
    ] {
        assert!(Signals::read(text).codes().contains(&50011), "{text}");
        assert!(has(text, "AADSTS50011:"), "{text}");
    }
    for text in [
        "AADSTS500113: No reply address",
        r#"{"error_codes":[500113]}"#,
        "50011",
        "AADSTS: 50011",
    ] {
        assert!(!has(text, "AADSTS50011:"), "{text}");
    }
}

#[test]
fn a_reply_over_several_lines_reads_as_one() {
    let folded = "535-5.7.8 Username and Password\r\n535-5.7.8 not accepted. For more\r\n535 5.7.8 information";
    assert!(has(folded, "5.7.8 Username and Password not accepted. For more information"));
    assert!(has(folded, "535 5.7.8 Username"));
    assert!(has(
        "S: 535-5.7.8 Username and\nS: 535 5.7.8 Password not accepted",
        "username and password not accepted"
    ));
    assert!(
        !has("535 5.7.8 Username and\n250 2.0.0 Password", "Username and Password"),
        "two replies"
    );
}

#[test]
fn escapes_of_json_html_and_addresses_are_undone() {
    assert!(has(r#"{\"code\":\"ResourceNotFound\"}"#, "\"ResourceNotFound\""));
    assert!(has(r"doesn\u0027t comply", "doesn't comply"));
    assert!(has("doesn&#39;t&nbsp;comply &lt;", "doesn't comply <"));
    assert!(has("doesn\u{2019}t\u{a0}\r\n  comply", "doesn't comply"));
    assert!(has("?error=invalid_scope&error_description=Bad%20scope%3A+a", "bad scope: a"));
    assert!(
        has("100 % of C:\\new & old &#; %zz", "100 % of c:\\new & old &#; %zz"),
        "what is no escape stays"
    );
}

#[test]
fn a_code_inside_something_longer_is_not_that_code() {
    assert!(has("550 5.7.705. Access denied", "5.7.705"));
    assert!(!has("connecting to 15.7.705.1", "5.7.705"));
    assert!(!has("to 5.7.705.12", "5.7.705"));
    assert!(!has("os error 1104", "os error 110"));
    assert!(!has("invalid_request_object", "invalid_request"));
    assert!(has("SubmissionQuotaExceededException", "SubmissionQuotaExceeded"));
}

#[test]
fn texts_of_any_shape_and_size_are_read() {
    for text in [
        "",
        "%",
        "%%%%",
        "%e2%82",
        "\\",
        "\\u12",
        "&#xffffffff;",
        "&",
        "535",
        "535-",
        "\u{0}\u{1f4e7}",
        "AADSTS99999999999999",
    ] {
        assert!(Signals::read(text).codes().is_empty(), "{text}");
    }
    let huge = "\u{20ac}%25\\n&amp;".repeat(1_000_000);
    let read = Signals::read(&huge);
    assert!(read.texts.iter().all(|text| text.len() <= 2 * MOST));
    // beyond the limit nothing is looked at
    assert!(!has(&format!("{huge} AADSTS50011:"), "AADSTS50011:"));
}

#[test]
fn a_number_is_found_where_it_stands_without_its_word() {
    for text in [
        "https://login.microsoftonline.com/error?code=50011",
        r#"$Config={"sErrorCode":"50011","iHttpErrorCode":400}"#,
        "Sign-in error code: 50011",
        r#"{"status":{"errorCode":50011,"failureReason":"The redirect URI"}}"#,
        "Error Code: 50011",
        "{'error': 'invalid_request', 'error_codes': [50011]}",
    ] {
        assert!(has(text, "AADSTS50011:"), "{text}");
    }
    for text in [
        "Error code: 42",
        r#"{"errorCode":535}"#,
        "https://login.microsoftonline.com/common/50011",
    ] {
        assert!(Signals::read(text).codes().is_empty(), "{text}");
    }
}

#[test]
fn replies_are_read_as_libraries_and_logs_print_them() {
    for text in [
        "smtplib.SMTPAuthenticationError: (535, b'5.7.3 Authentication unsuccessful [AM0PR01.EURPRD01]')",
        "MailKit.Security.AuthenticationException: 535: 5.7.3 Authentication unsuccessful [AM0PR01]",
        "Nov 21 08:14:02 mx postfix/smtp[123]: 4F: SASL authentication failed; server x[1.2.3.4] said: 535 5.7.3 Authentication unsuccessful",
        "2026-11-21 08:14:02 SERVER -> CLIENT: 535 5.7.3 Authentication unsuccessful [AM0PR01]",
        r#"{"level":"error","msg":"535-5.7.3 Authentication\r\n535 5.7.3 unsuccessful"}"#,
        "08:14 S: 535-5.7.3 Authentication\n08:14 S: 535 5.7.3 unsuccessful",
        "<p>535-5.7.3 Authentication<br>535 5.7.3 unsuccessful</p>",
    ] {
        assert!(has(text, "535 5.7.3 Authentication unsuccessful"), "{text}");
        assert_eq!(Signals::read(text).smtp_status(), Some((535, Some("5.7.3".to_owned()))), "{text}");
    }
    for text in [
        "at 10:45 550 people",
        "version 5.7.3",
        "192.168.535 5.7.3",
        "Error 535, 4.7.3 of them",
    ] {
        assert!(
            Signals::read(text).smtp_status().is_none_or(|(_, status)| status.is_none()),
            "{text}"
        );
    }
}

#[test]
fn what_base64_and_tags_hide_is_read() {
    let document = "eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ==";
    for text in [
        format!("+ {document}"),
        format!("334 {document}"),
        format!("challenge=\"{document}\""),
    ] {
        assert!(has(&text, "\"schemes\":\"bearer\""), "{text}");
    }
    assert!(has(
        "User is authenticated but <b>not</b> connected.",
        "authenticated but not connected"
    ));
    assert!(has("<p>AADSTS<wbr>50011: The</p>", "AADSTS50011:"));
    assert!(has("if a < b then <3 AADSTS50011", "AADSTS50011:"), "what is no tag stays");
    let token = "eyJhbGciOiJub25lIn0.eyJlcnJvciI6ImludmFsaWRfZ3JhbnQgaW52YWxpZF9ncmFudCJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
    assert!(!has(token, "invalid_grant"), "a token is no error");
}

#[test]
fn a_refusal_of_imap_and_pop_is_told_from_other_words() {
    for text in [
        "* 1 EXISTS A1 NO something new",
        "* BYE going",
        "-ERR whatever",
        "NO [CODE] text",
        "a2 BAD what",
    ] {
        assert!(Signals::read(text).is_refusal(), "{text}");
    }
    for text in ["There is no answer", "no idea", "250 ok", "Oh no, not again", ""] {
        assert!(!Signals::read(text).is_refusal(), "{text}");
    }
    assert_eq!(Signals::read("HTTP/1.1 403 Forbidden\n{}").http_status(), Some(403));
    assert_eq!(Signals::read("https://x HTTP/1.1 403").http_status(), None);
}
