//! Folders and messages.

use super::{Answer, Call, Refused, folder_id, folder_of};
use crate::sandbox::mailboxes::{Folder, Message};
use crate::sandbox::state::Shared;
use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Map, Value, json};

/// Permissions that let messages be read.
const READ: [&str; 3] = ["Mail.Read", "Mail.ReadWrite", "Mail.ReadBasic"];
/// How many messages there are on a page, and at most.
const PAGE: usize = 10;
const LARGEST_PAGE: usize = 1000;
/// The property that holds a message's size, as Graph writes it back.
const SIZE_PROPERTY: &str = "Long 0xe08";

pub(super) fn answer(shared: &Shared, call: &Call) -> Result<Answer, Refused> {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    match (&call.method, path.as_slice()) {
        (&Method::GET, ["mailFolders"]) => {
            call.permits(&[&READ[..], &["Mail.ReadBasic.All"]].concat())?;
            let folders: Vec<Value> = Folder::ALL
                .into_iter()
                .map(|folder| folder_document(shared, call, folder))
                .collect();
            Ok(Answer::Json(json!({"value": folders})))
        }
        (&Method::GET, ["mailFolders", name]) => {
            call.permits(&READ)?;
            let folder = folder_of(name).ok_or_else(Refused::item)?;
            Ok(Answer::Json(folder_document(shared, call, folder)))
        }
        (&Method::GET, ["mailFolders", name, "messages"]) => {
            call.permits(&READ)?;
            let folder = folder_of(name).ok_or_else(Refused::item)?;
            list(shared, call, &[folder])
        }
        (&Method::GET, ["messages"]) => {
            call.permits(&READ)?;
            list(shared, call, &Folder::ALL)
        }
        (&Method::GET, ["messages", id] | ["mailFolders", _, "messages", id]) => {
            call.permits(&READ)?;
            let (folder, message) = find(shared, call, id)?;
            Ok(Answer::Json(document(call, folder, &message)))
        }
        (&Method::GET, ["messages", id, "$value"]) => {
            call.permits(&["Mail.Read", "Mail.ReadWrite"])?;
            Ok(Answer::Mime(find(shared, call, id)?.1.content().into_owned()))
        }
        (&Method::PATCH, ["messages", id]) => {
            call.permits(&["Mail.ReadWrite"])?;
            let (folder, message) = find(shared, call, id)?;
            let change: Value = serde_json::from_slice(&call.body).map_err(|_| malformed())?;
            if let Some(read) = change["isRead"].as_bool() {
                shared.world().mail.mark(&call.mailbox, folder, message.uid, read);
            }
            let (folder, message) = find(shared, call, id)?;
            Ok(Answer::Json(document(call, folder, &message)))
        }
        (&Method::POST, ["messages", id, "move"]) => {
            call.permits(&["Mail.ReadWrite"])?;
            let (folder, message) = find(shared, call, id)?;
            let wish: Value = serde_json::from_slice(&call.body).map_err(|_| malformed())?;
            let to = wish["destinationId"].as_str().and_then(folder_of).ok_or_else(Refused::item)?;
            let uid = shared.world().mail.shift(&call.mailbox, folder, message.uid, to);
            let (folder, message) = find(shared, call, &id_of(to, uid.ok_or_else(Refused::item)?))?;
            Ok(Answer::Json(document(call, folder, &message)))
        }
        (&Method::DELETE, ["messages", id]) => {
            call.permits(&["Mail.ReadWrite"])?;
            let (folder, message) = find(shared, call, id)?;
            shared.world().mail.shift(&call.mailbox, folder, message.uid, Folder::Deleted);
            Ok(Answer::Nothing(StatusCode::NO_CONTENT))
        }
        _ => {
            let text = format!("Resource not found for the segment '{}'.", call.path.join("/"));
            Err(Refused::new(400, "BadRequest", text))
        }
    }
}

fn malformed() -> Refused {
    Refused::new(400, "BadRequest", "Unable to read JSON request payload.")
}

fn id_of(folder: Folder, uid: u32) -> String {
    URL_SAFE.encode(format!("{}/{uid}", folder.graph_names().0))
}

fn find(shared: &Shared, call: &Call, id: &str) -> Result<(Folder, Message), Refused> {
    let text = URL_SAFE.decode(id).ok().and_then(|octets| String::from_utf8(octets).ok());
    let (folder, uid) = text
        .as_deref()
        .and_then(|text| text.split_once('/'))
        .and_then(|(folder, uid)| Some((folder_of(folder)?, uid.parse::<u32>().ok()?)))
        .ok_or_else(|| Refused::new(400, "ErrorInvalidIdMalformed", "Id is malformed."))?;
    let messages = shared.world().mail.list(&call.mailbox, folder);
    let message = messages.into_iter().find(|message| message.uid == uid).ok_or_else(Refused::item)?;
    Ok((folder, message))
}

fn folder_document(shared: &Shared, call: &Call, folder: Folder) -> Value {
    let messages = shared.world().mail.list(&call.mailbox, folder);
    let (_, name) = folder.graph_names();
    let document = json!({
        "id": folder_id(folder), "displayName": name, "childFolderCount": 0, "isHidden": false,
        "totalItemCount": messages.len(), "unreadItemCount": messages.iter().filter(|message| !message.seen).count(),
        "sizeInBytes": messages.iter().map(Message::size).sum::<usize>(),
    });
    selected(call, document)
}

/// Only what `$select` names, and the id.
fn selected(call: &Call, document: Value) -> Value {
    let (Some(names), Value::Object(all)) = (call.query.get("$select"), &document) else {
        return document;
    };
    let wanted: Vec<&str> = names.split(',').map(str::trim).collect();
    let kept: Map<String, Value> = all
        .iter()
        .filter(|(name, _)| *name == "id" || *name == "singleValueExtendedProperties" || wanted.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Value::Object(kept)
}

fn document(call: &Call, folder: Folder, message: &Message) -> Value {
    let head = message.head();
    let address = |name: &str, address: &str| json!({"emailAddress": {"name": name, "address": address}});
    let attachments = message.field("content-type").is_some_and(|kind| !kind.starts_with("text/"));
    let received = message.received.to_rfc3339();
    let mut document = json!({
        "id": id_of(folder, message.uid), "subject": head.subject, "internetMessageId": head.message_id,
        "from": address(&head.from.0, &head.from.1), "sender": address(&head.from.0, &head.from.1),
        "toRecipients": head.to.iter().map(|to| address("", to)).collect::<Vec<_>>(),
        "receivedDateTime": received, "sentDateTime": received, "isRead": message.seen, "hasAttachments": attachments,
        "parentFolderId": folder_id(folder), "bodyPreview": "Good day, this message is part of the sandbox.",
    });
    let expand = call.query.get("$expand").map(|text| text.to_ascii_lowercase()).unwrap_or_default();
    if expand.contains("0x0e08") || expand.contains("0xe08") {
        document["singleValueExtendedProperties"] = json!([{"id": SIZE_PROPERTY, "value": message.size().to_string()}]);
    }
    let select = call
        .query
        .get("$select")
        .is_some_and(|names| names.contains("internetMessageHeaders"));
    if select {
        let headers: Vec<Value> = ["Authentication-Results", "Received", "Return-Path"]
            .iter()
            .filter_map(|name| Some(json!({"name": name, "value": message.field(name)?})))
            .collect();
        document["internetMessageHeaders"] = headers.into();
    }
    selected(call, document)
}

fn list(shared: &Shared, call: &Call, folders: &[Folder]) -> Result<Answer, Refused> {
    let number = |name: &str, default: usize| match call.query.get(name) {
        None => Ok(default),
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| Refused::new(400, "BadRequest", format!("Invalid value '{text}' for {name}."))),
    };
    let (top, skip) = (number("$top", PAGE)?.min(LARGEST_PAGE), number("$skip", 0)?);
    let order = call.query.get("$orderby").map(String::as_str).unwrap_or("receivedDateTime desc");
    let filter = call.query.get("$filter").map(String::as_str).unwrap_or_default();
    // The field that is sorted by has to come first in the filter, or Exchange finds it too much work.
    let sorts = call.query.contains_key("$orderby");
    if sorts && !filter.is_empty() && !filter.trim_start().starts_with("receivedDateTime") {
        let text = "The restriction or sort order is too complex for this operation.";
        return Err(Refused::new(400, "InefficientFilter", text));
    }
    let mut found = Vec::new();
    for folder in folders {
        for message in shared.world().mail.list(&call.mailbox, *folder) {
            if fits(&message, filter)? {
                found.push((*folder, message));
            }
        }
    }
    found.sort_by_key(|(_, message)| (message.received, message.uid));
    if !order.ends_with(" asc") {
        found.reverse();
    }
    let total = found.len();
    let page: Vec<Value> = found
        .iter()
        .skip(skip)
        .take(top)
        .map(|(folder, message)| document(call, *folder, message))
        .collect();
    let mut answer = json!({"value": page});
    if call.query.get("$count").is_some_and(|count| count == "true") {
        answer["@odata.count"] = total.into();
    }
    if skip + top < total {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(call.query.iter().filter(|(name, _)| *name != "$skip"))
            .append_pair("$skip", &(skip + top).to_string())
            .finish();
        let path = call.path.join("/");
        answer["@odata.nextLink"] = format!("{}/v1.0/users/{}/{path}?{query}", shared.base(), call.mailbox).into();
    }
    Ok(Answer::Json(answer))
}

/// Conditions joined by `and`: what mail programs ask for.
fn fits(message: &Message, filter: &str) -> Result<bool, Refused> {
    let mut all = true;
    for condition in filter.split(" and ").map(str::trim).filter(|condition| !condition.is_empty()) {
        let words: Vec<&str> = condition.splitn(3, ' ').collect();
        all &= match words.as_slice() {
            ["isRead", "eq", value] => message.seen == (*value == "true"),
            ["hasAttachments", "eq", value] => {
                message.field("content-type").is_some_and(|kind| !kind.starts_with("text/")) == (*value == "true")
            }
            ["receivedDateTime", "ge", moment] => message.received.to_rfc3339().as_str() >= *moment,
            ["receivedDateTime", "gt", moment] => message.received.to_rfc3339().as_str() > *moment,
            ["receivedDateTime", "lt", moment] => message.received.to_rfc3339().as_str() < *moment,
            ["receivedDateTime", "le", moment] => message.received.to_rfc3339().as_str() <= *moment,
            ["internetMessageId", "eq", id] => message.head().message_id == id.trim_matches('\''),
            ["subject", "eq", text] => message.head().subject == text.trim_matches('\''),
            _ => {
                let text = format!("Invalid filter clause: {condition}");
                return Err(Refused::new(400, "BadRequest", text));
            }
        };
    }
    Ok(all)
}
