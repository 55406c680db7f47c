//! A message put into another folder through Graph.

use super::super::error::MailError;
use super::super::folder::Use;
use super::super::imap::Moved;
use super::answer::text;
use super::{Graph, KEPT, encoded, query};
use crate::model::report::{MessageSummary, Spot};
use serde_json::{Value, json};

/// How many folders are asked for?
const MOST_FOLDERS: &str = "200";

impl Graph {
    /// The folders at the top of the mailbox: what paths call them, and what people do.
    pub async fn folders(&mut self) -> Result<Vec<(String, String)>, MailError> {
        let select = query(&[("$select", "id,displayName"), ("$top", MOST_FOLDERS)]);
        let path = format!("{}/mailFolders?{select}", self.whose().path());
        let (value, _) = self.get(&path).await?;
        let read = |value: &Value| Some((value.get("id")?.as_str()?.to_owned(), text(value.get("displayName"), KEPT)));
        let mut all: Vec<(String, String)> = self.list(&value)?.iter().filter_map(read).collect();
        all.sort_by_key(|(_, name)| (Use::by_name(name), name.to_lowercase()));
        Ok(all)
    }

    /// Moves a message to the folder that people call so; `inbox` is the inbox, whatever they call it.
    pub async fn move_message(&mut self, message: &MessageSummary, to: &str) -> Result<Moved, MailError> {
        let Some(Spot::Graph { id, message_id, .. }) = &message.spot else {
            return Ok(Moved::Gone);
        };
        let Some(destination) = self.destination(to).await? else {
            return Ok(Moved::NoFolder);
        };
        if !self.is_there(id, message_id, &message.date).await? {
            return Ok(Moved::Gone);
        }
        let path = self.message(id);
        let body = json!({"destinationId": destination}).to_string().into_bytes();
        match self.act(&format!("{path}/move"), "application/json", body).await {
            Ok(_) => Ok(Moved::Done),
            Err(MailError::Graph(error)) if error.status == 404 => Ok(Moved::Gone),
            Err(error) => Err(error),
        }
    }

    /// Where a message is whose move had no answer. One that was moved has another id.
    pub async fn look_again(&mut self, message: &MessageSummary, to: &str) -> Result<Moved, MailError> {
        let Some(Spot::Graph { id, message_id, .. }) = &message.spot else {
            return Ok(Moved::Unknown);
        };
        let is_here = self.is_there(id, message_id, &message.date).await?;
        let arrived = match self.destination(to).await? {
            Some(folder) if !message_id.is_empty() => self.holds(&folder, message_id).await?,
            _ => false,
        };
        Ok(match (is_here, arrived) {
            (true, true) => Moved::Copied,
            (true, false) => Moved::Kept,
            (false, true) => Moved::Done,
            (false, false) => Moved::Unknown,
        })
    }

    /// What paths call the folder that people call so.
    async fn destination(&mut self, to: &str) -> Result<Option<String>, MailError> {
        if to == "inbox" {
            return Ok(Some(to.to_owned()));
        }
        let named = self.folders().await?.into_iter().find(|(_, name)| name == to);
        Ok(named.map(|(id, _)| id))
    }

    fn message(&self, id: &str) -> String {
        format!("{}/messages/{}", self.whose().path(), encoded(id))
    }

    /// Whether the id still names this message.
    async fn is_there(&mut self, id: &str, message_id: &str, date: &str) -> Result<bool, MailError> {
        let select = query(&[("$select", "internetMessageId,receivedDateTime")]);
        match self.get(&format!("{}?{select}", self.message(id))).await {
            Ok((value, _)) => {
                Ok(text(value.get("internetMessageId"), KEPT) == message_id && text(value.get("receivedDateTime"), 40) == date)
            }
            Err(MailError::Graph(error)) if error.status == 404 || error.is("ErrorInvalidIdMalformed") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a folder holds a message of this Message-ID; where the server won't say, none is known of.
    async fn holds(&mut self, folder: &str, message_id: &str) -> Result<bool, MailError> {
        let filter = format!("internetMessageId eq '{}'", message_id.replace('\'', "''"));
        let options = query(&[("$filter", &filter), ("$top", "1"), ("$select", "internetMessageId")]);
        let path = format!("{}/mailFolders/{}/messages?{options}", self.whose().path(), encoded(folder));
        match self.get(&path).await {
            // A server that takes no notice of the filter answers with others.
            Ok((value, _)) => Ok(self
                .list(&value)?
                .iter()
                .any(|value| text(value.get("internetMessageId"), KEPT) == message_id)),
            Err(MailError::Graph(error)) if error.status == 400 || error.status == 501 => Ok(false),
            Err(error) => Err(error),
        }
    }
}
