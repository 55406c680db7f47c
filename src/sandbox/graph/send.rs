//! sendMail: a message as JSON, or as MIME in base64.

use super::{Answer, Call, Refused};
use crate::sandbox::fault::Fault;
use crate::sandbox::seed::rfc2822;
use crate::sandbox::smtp::deliver;
use crate::sandbox::state::Shared;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::MessageParser;
use serde_json::Value;

struct Outgoing {
    from: String,
    to: Vec<String>,
    content: Vec<u8>,
}

pub(super) fn mail(shared: &Shared, call: &Call) -> Result<Answer, Refused> {
    let outgoing = if call.content_type.starts_with("text/plain") {
        from_mime(call)?
    } else {
        from_json(shared, call)?
    };
    if outgoing.to.is_empty() {
        let text = "At least one recipient isn't valid., A message can't be sent because it contains no recipients.";
        return Err(Refused::new(400, "ErrorInvalidRecipients", text));
    }
    let may = outgoing.from.eq_ignore_ascii_case(&call.mailbox);
    if !may || shared.faults().hits(Fault::SendAsDenied) {
        let text = "The user account which was used to submit this request does not have the right to send mail on behalf of the \
                    specified sending account. Cannot submit message.";
        return Err(Refused::new(403, "ErrorSendAsDenied", text));
    }
    if shared.faults().hits(Fault::DailyLimit) {
        let text = "Cannot send mail. Follow the instructions in your Inbox to verify your account.";
        return Err(Refused::new(429, "ErrorExceededMessageLimit", text));
    }
    if shared.faults().hits(Fault::TooLarge) {
        return Err(Refused::new(413, "RequestBodyTooLarge", "The request body is too large."));
    }
    let now = shared.now();
    deliver(
        &mut shared.world(),
        &outgoing.from,
        &call.mailbox,
        &outgoing.to,
        &outgoing.content,
        now,
    );
    Ok(Answer::Nothing(StatusCode::ACCEPTED))
}

fn from_mime(call: &Call) -> Result<Outgoing, Refused> {
    let text: String = String::from_utf8_lossy(&call.body).split_whitespace().collect();
    let wrong = || {
        Refused::new(
            400,
            "ErrorMimeContentInvalidBase64String",
            "Invalid base64 string for MIME content.",
        )
    };
    let content = STANDARD.decode(text).map_err(|_| wrong())?;
    let parsed = MessageParser::new().parse(&content).ok_or_else(wrong)?;
    let addresses = |of: Option<&mail_parser::Address<'_>>| -> Vec<String> {
        of.map(|all| all.iter().filter_map(|one| one.address()).map(str::to_owned).collect())
            .unwrap_or_default()
    };
    let from = addresses(parsed.from()).into_iter().next();
    Ok(Outgoing {
        from: from.unwrap_or_else(|| call.mailbox.clone()),
        to: [addresses(parsed.to()), addresses(parsed.cc()), addresses(parsed.bcc())].concat(),
        content,
    })
}

fn from_json(shared: &Shared, call: &Call) -> Result<Outgoing, Refused> {
    let wish: Value =
        serde_json::from_slice(&call.body).map_err(|_| Refused::new(400, "BadRequest", "Unable to read JSON request payload."))?;
    let message = &wish["message"];
    if !message.is_object() {
        let text = "The request is missing the required parameter 'Message'.";
        return Err(Refused::new(400, "ErrorInvalidParameter", text));
    }
    let plain = |value: &Value| -> String {
        let text = value.as_str().unwrap_or_default();
        text.chars().filter(|c| !c.is_control()).collect()
    };
    let addresses = |name: &str| -> Vec<String> {
        let all = message[name].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter()
            .map(|one| plain(&one["emailAddress"]["address"]))
            .filter(|one| one.contains('@'))
            .collect()
    };
    let (to, cc, bcc) = (addresses("toRecipients"), addresses("ccRecipients"), addresses("bccRecipients"));
    let from = plain(&message["from"]["emailAddress"]["address"]);
    let from = if from.is_empty() { call.mailbox.clone() } else { from };
    let id = match plain(&message["internetMessageId"]) {
        id if id.starts_with('<') => id,
        _ => format!("<{}@sandbox.test>", shared.guid()),
    };
    let mut head = format!(
        "From: {from}\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: {id}\r\n",
        to.join(", "),
        plain(&message["subject"]),
        rfc2822(shared.now())
    );
    if !cc.is_empty() {
        head.push_str(&format!("Cc: {}\r\n", cc.join(", ")));
    }
    for header in message["internetMessageHeaders"].as_array().into_iter().flatten() {
        let (name, value) = (plain(&header["name"]), plain(&header["value"]));
        if !name.to_ascii_lowercase().starts_with("x-") {
            let text = format!("The internet message header name '{name}' should start with 'x-' or 'X-'.");
            return Err(Refused::new(400, "InvalidInternetMessageHeader", text));
        }
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let kind = match message["body"]["contentType"].as_str() {
        Some(kind) if kind.eq_ignore_ascii_case("html") => "text/html",
        _ => "text/plain",
    };
    let body = message["body"]["content"]
        .as_str()
        .unwrap_or_default()
        .replace("\r\n", "\n")
        .replace('\n', "\r\n");
    let content = format!("{head}MIME-Version: 1.0\r\nContent-Type: {kind}; charset=utf-8\r\n\r\n{body}\r\n");
    Ok(Outgoing {
        from,
        to: [to, cc, bcc].concat(),
        content: content.into_bytes(),
    })
}
