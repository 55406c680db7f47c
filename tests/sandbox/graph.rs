//! Microsoft Graph over https.

use super::{IMAP, Play, SUPPORT};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailgrant::sandbox::{Fault, Folder, House};
use serde_json::{Value, json};

const READ: &str = "https://graph.microsoft.com/Mail.ReadWrite";
const SEND: &str = "https://graph.microsoft.com/Mail.Send";

struct Call {
    status: u16,
    retry_after: Option<String>,
    request_id: String,
    document: Value,
}

impl Call {
    fn code(&self) -> &str {
        self.document["error"]["code"].as_str().unwrap_or_default()
    }
}

async fn call(play: &Play, token: &str, path: &str, body: Option<(&str, String)>) -> Call {
    let url = format!("{}/v1.0{path}", play.sandbox.graph_url());
    let request = match body {
        Some((kind, body)) => play.http.post(url).header("content-type", kind).body(body),
        None => play.http.get(url),
    };
    let response = request.bearer_auth(token).header("client-request-id", "mine").send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("client-request-id").as_deref(), Some("mine"));
    Call {
        status: response.status().as_u16(),
        retry_after: header("retry-after"),
        request_id: header("request-id").unwrap(),
        document: serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default(),
    }
}

#[tokio::test]
async fn folders_messages_and_sizes_are_read() {
    let play = Play::start().await;
    let token = play.access(House::Microsoft, SUPPORT, &[READ, SEND]).await;
    assert_eq!(call(&play, &token, "/me?$select=mail", None).await.document["mail"], SUPPORT);
    let inbox = call(&play, &token, "/me/mailFolders/inbox?$select=unreadItemCount,totalItemCount", None)
        .await
        .document;
    assert_eq!(
        (&inbox["unreadItemCount"], &inbox["totalItemCount"], inbox.get("sizeInBytes")),
        (&3.into(), &7.into(), None)
    );
    let junk = call(&play, &token, "/users/support@contoso.test/mailFolders/junkemail", None)
        .await
        .document;
    assert_eq!(junk["totalItemCount"], 3);
    let newest = "/me/mailFolders/inbox/messages?$top=2&$select=id,subject,from,receivedDateTime,isRead&$orderby=receivedDateTime%20desc\
                  &$expand=singleValueExtendedProperties($filter=id%20eq%20'Long%200x0E08')";
    let newest = call(&play, &token, newest, None).await.document;
    assert_eq!(newest["value"][0]["subject"], "Order 4711: where is my parcel?");
    assert!(
        newest["value"][0]["singleValueExtendedProperties"][0]["value"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 100
    );
    assert_eq!(newest["value"].as_array().unwrap().len(), 2);
    let filter = "/me/messages?$filter=isRead%20eq%20false&$orderby=receivedDateTime%20desc";
    assert_eq!(call(&play, &token, filter, None).await.code(), "InefficientFilter");
    let id = newest["value"][0]["id"].as_str().unwrap();
    let moved = call(
        &play,
        &token,
        &format!("/me/messages/{id}/move"),
        Some(("application/json", json!({"destinationId": "junkemail"}).to_string())),
    )
    .await;
    assert_ne!(moved.document["id"], id);
    assert_eq!(play.sandbox.messages(SUPPORT, Folder::Junk).len(), 4);
}

#[tokio::test]
async fn mail_is_sent_as_json_and_as_mime() {
    let play = Play::start().await;
    let token = play.access(House::Microsoft, SUPPORT, &[SEND]).await;
    let message = json!({"message": {"subject": "Grüße", "body": {"contentType": "Text", "content": "Hi"},
        "toRecipients": [{"emailAddress": {"address": "sales@contoso.test"}}]}, "saveToSentItems": false});
    let sent = call(&play, &token, "/me/sendMail", Some(("application/json", message.to_string()))).await;
    assert_eq!(sent.status, 202);
    let mime = STANDARD.encode("From: support@contoso.test\r\nTo: sales@contoso.test\r\nSubject: By MIME\r\n\r\nHi\r\n");
    assert_eq!(call(&play, &token, "/me/sendMail", Some(("text/plain", mime))).await.status, 202);
    let subjects: Vec<String> = play
        .sandbox
        .messages("sales@contoso.test", Folder::Inbox)
        .iter()
        .map(|m| m.head().subject)
        .collect();
    assert_eq!(subjects[7..], ["Grüße", "By MIME"]);
    let refused = async |kind, body: String| call(&play, &token, "/me/sendMail", Some((kind, body))).await.code().to_owned();
    assert_eq!(refused("text/plain", "%%%".into()).await, "ErrorMimeContentInvalidBase64String");
    assert_eq!(
        refused("application/json", json!({"message": {}}).to_string()).await,
        "ErrorInvalidRecipients"
    );
    let mut other = message.clone();
    other["message"]["from"] = json!({"emailAddress": {"address": "ceo@contoso.test"}});
    assert_eq!(refused("application/json", other.to_string()).await, "ErrorSendAsDenied");
    assert_eq!(
        call(&play, &token, "/me/mailFolders/inbox", None).await.code(),
        "ErrorAccessDenied",
        "sending only"
    );
    assert_eq!(refused("text/plain", "A".repeat(4_000_001)).await, "RequestBodyTooLarge");
}

#[tokio::test]
async fn tokens_mailboxes_and_faults_are_refused_in_graphs_shape() {
    let play = Play::start().await;
    let token = play.access(House::Microsoft, SUPPORT, &[READ, SEND]).await;
    let outlook = play.access(House::Microsoft, SUPPORT, &[IMAP]).await;
    let inbox = "/me/mailFolders/inbox";
    let message = async |token: &str| {
        let call = call(&play, token, inbox, None).await;
        assert_eq!((call.status, call.code()), (401, "InvalidAuthenticationToken"));
        call.document["error"]["message"].as_str().unwrap().to_owned()
    };
    assert!(message("opaque").await.starts_with("IDX14100:"));
    assert_eq!(message("a.b.c").await, "Access token validation failure.");
    assert_eq!(message(&outlook).await, "Access token validation failure. Invalid audience.");
    let refused = async |token: &str, path: &str| {
        let call = call(&play, token, path, None).await;
        assert_eq!(call.document["error"]["innerError"]["request-id"], call.request_id.as_str());
        (call.status, call.code().to_owned())
    };
    assert_eq!(
        refused(&token, "/users/nobody@contoso.test/messages").await,
        (404, "ErrorInvalidUser".into())
    );
    assert_eq!(
        refused(&token, "/users/ceo@contoso.test/mailFolders/inbox").await,
        (404, "ErrorItemNotFound".into())
    );
    assert_eq!(
        refused(&token, "/users/info@contoso.test/mailFolders/inbox").await,
        (403, "ErrorAccessDenied".into()),
        "no .Shared"
    );
    let app = play
        .token(
            House::Microsoft,
            &[
                ("grant_type", "client_credentials"),
                ("scope", "https://graph.microsoft.com/.default"),
            ],
        )
        .await;
    let app = app.ok().text("access_token").to_owned();
    assert_eq!(refused(&app, inbox).await, (400, "BadRequest".into()));
    assert_eq!(
        refused(&app, "/users/ceo@contoso.test/messages").await,
        (403, "ErrorAccessDenied".into())
    );
    assert_eq!(
        call(&play, &app, "/users/orders@contoso.test/mailFolders/inbox", None).await.status,
        200
    );
    for (fault, status, code, retry) in [
        (Fault::Throttled, 429, "ApplicationThrottled", Some("10")),
        (Fault::ServerUnavailable, 503, "ServiceUnavailable", Some("30")),
        (Fault::MailboxDisabled, 404, "MailboxNotEnabledForRESTAPI", None),
        (Fault::GraphPolicy, 403, "ErrorAccessDenied", None),
        (Fault::TokenRefused, 401, "InvalidAuthenticationToken", None),
    ] {
        play.sandbox.faults().set(&[fault]);
        let call = call(&play, &token, inbox, None).await;
        assert_eq!(
            (call.status, call.code(), call.retry_after.as_deref()),
            (status, code, retry),
            "{fault}"
        );
    }
    play.sandbox.faults().set(&[]);
    play.sandbox.expire_access_tokens();
    assert_eq!(message(&token).await, "Lifetime validation failed, the token is expired.");
}
