//! The message of *Test outgoing*, and of notices: plain text, marked so that no machine answers it.

use super::super::checked;
use super::super::error::MailError;
use crate::clock::Timestamp;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use std::time::{Duration, SystemTime};

/// A test message.
#[derive(Debug, Clone)]
pub struct TestMail {
    /// Address of the sender.
    pub from: String,
    /// Address of the recipient.
    pub to: String,
    /// Recipients that are not named in the message.
    pub bcc: Vec<String>,
    /// Subject.
    pub subject: String,
    /// Unique, with its angle brackets.
    pub message_id: String,
    /// Date of the message.
    pub date: Timestamp,
    /// What it says, in lines; none: that it is a test.
    pub text: Option<String>,
}

/// A message ready to be sent.
pub struct Prepared {
    pub(super) envelope: Envelope,
    pub(super) bytes: Vec<u8>,
}

impl TestMail {
    /// Builds the message with its envelope.
    pub fn prepare(&self) -> Result<Prepared, MailError> {
        let message = self.message(false)?;
        Ok(Prepared {
            envelope: message.envelope().clone(),
            bytes: message.formatted(),
        })
    }

    /// Builds the message; nothing in it can end a header or the message itself (INJ-3). `copies_named`: whoever takes it reads in it
    /// who gets a copy, and takes that out.
    pub(in crate::mail) fn message(&self, copies_named: bool) -> Result<Message, MailError> {
        let mailbox = |what: &'static str, text: &str| -> Result<Mailbox, MailError> {
            checked(what, text)?.parse().map_err(|_| MailError::Unsendable { what })
        };
        let (from, to) = (mailbox("sender", &self.from)?, mailbox("recipient", &self.to)?);
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(self.date.0).unwrap_or_default());
        let mut builder = Message::builder().from(from).to(to);
        for copy in &self.bcc {
            builder = builder.bcc(mailbox("recipient", copy)?);
        }
        if copies_named {
            builder = builder.keep_bcc();
        }
        builder
            .date(date)
            .subject(checked("subject", &self.subject)?)
            .message_id(Some(checked("message id", &self.message_id)?.to_owned()))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN)
            .body(self.text())
            .map_err(|_| MailError::Unsendable { what: "message" })
    }

    /// What it says.
    pub(in crate::mail) fn text(&self) -> String {
        if let Some(text) = &self.text {
            // The builder leaves a carriage return alone as it is, which a server may take for the end of a line.
            let lines = text
                .split('\n')
                .map(|line| line.trim_end_matches('\r').replace(char::is_control, " "));
            return lines.collect::<Vec<_>>().join("\r\n");
        }
        format!(
            "This is a test message. Mailgrant sent it to find out whether mail from {} works.\r\n\r\nIt can be deleted.\r\n",
            self.from
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn mail() -> TestMail {
        TestMail {
            from: "support@contoso.test".to_owned(),
            to: "support@contoso.test".to_owned(),
            bcc: vec!["archive@contoso.test".to_owned()],
            subject: "Test 7F3K from Mailgrant".to_owned(),
            message_id: "<7F3K@mailgrant.test>".to_owned(),
            date: Timestamp(1_795_248_842),
            text: None,
        }
    }

    #[test]
    fn a_text_of_its_own_keeps_its_lines_and_ends_nothing() {
        let mail = TestMail {
            text: Some("One\r\n.\r\nQUIT\n\nTwo\u{7}".to_owned()),
            ..mail()
        };
        let text = String::from_utf8(mail.prepare().unwrap().bytes).unwrap();
        assert!(text.ends_with("One\r\n.\r\nQUIT\r\n\r\nTwo "), "{text:?}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text:?}");
    }

    #[test]
    fn a_test_message_names_its_sender_and_hides_its_copies() {
        let prepared = mail().prepare().unwrap();
        let text = String::from_utf8(prepared.bytes).unwrap();
        assert!(text.contains("Subject: Test 7F3K from Mailgrant\r\n"), "{text}");
        assert!(text.contains("Message-ID: <7F3K@mailgrant.test>\r\n"), "{text}");
        assert!(text.contains("Date: Sat, 21 Nov 2026 08:14:02 +0000\r\n"), "{text}");
        assert!(text.contains("Auto-Submitted: auto-generated\r\n"), "{text}");
        assert!(!text.contains("archive@"), "{text}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text:?}");
        assert_eq!(prepared.envelope.to().len(), 2);
    }

    #[test]
    fn nothing_breaks_out_of_a_header_or_command() {
        type Change = fn(&mut TestMail);
        let changes: [Change; 6] = [
            |m| m.subject = "x\r\nBcc: victim@x.test".to_owned(),
            |m| m.from = "a@x.test>\r\nDATA".to_owned(),
            |m| m.to = "a@x.test\nRCPT TO:<b@x.test>".to_owned(),
            |m| m.bcc = vec!["a@x.test> NOTIFY=NEVER".to_owned()],
            |m| m.message_id = "<a>\r\nX: y".to_owned(),
            |m| m.from = String::new(),
        ];
        for change in changes {
            let mut mail = mail();
            change(&mut mail);
            assert!(mail.prepare().is_err(), "{mail:?}");
        }
        let mut mail = mail();
        mail.subject = "Grüße 日本".to_owned();
        assert!(mail.prepare().unwrap().bytes.is_ascii());
    }
}
