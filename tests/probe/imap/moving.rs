//! A message is moved over IMAP, and no other: with MOVE, without it, where neither is possible, and where the connection ends in the middle.

use super::super::imap_server::ENVELOPE;
use super::super::server::{Gone, Peer, Server};
use super::super::{Lab, imap_target};
use mailgrant::mail::imap::Moved;
use mailgrant::model::mailbox::Security;
use mailgrant::model::report::{Direction, MessageSummary, Spot};
use mailgrant::probe;
use std::sync::{Arc, Mutex};

const BASE: &str = "IMAP4rev1 AUTH=XOAUTH2";

/// When the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Instead of doing what is asked.
    Before,
    /// After that, without an answer.
    After,
    /// It doesn't: no answer comes.
    Silent,
}

struct Mail {
    folder: &'static str,
    uid: u32,
    deleted: bool,
}

/// A server with three folders. In junk are the message that is meant and one that somebody else marked as deleted.
#[derive(Clone)]
struct Mailbox {
    capabilities: String,
    /// The command at which something happens, and what; once. "then" before it: the first one after a message has gone to the inbox.
    ends: Arc<Mutex<Option<(&'static str, Ends)>>>,
    refuses: &'static str,
    mail: Arc<Mutex<Vec<Mail>>>,
}

impl Mailbox {
    fn offering(more: &str) -> Self {
        let mail = |uid, deleted| Mail {
            folder: "Junk",
            uid,
            deleted,
        };
        Self {
            capabilities: format!("{BASE} {more}"),
            ends: Arc::default(),
            refuses: "nothing",
            mail: Arc::new(Mutex::new(vec![mail(103, false), mail(105, true)])),
        }
    }

    fn ends(self, at: &'static str, how: Ends) -> Self {
        *self.ends.lock().unwrap() = Some((at, how));
        self
    }

    async fn start(&self, lab: &Lab) -> Server {
        let this = self.clone();
        Server::start(lab.identity(), move |peer| {
            let this = this.clone();
            async move { this.play(peer).await }
        })
        .await
    }

    /// What is in a folder, with those that are marked as deleted.
    fn holds(&self, folder: &str) -> Vec<(u32, bool)> {
        let mail = self.mail.lock().unwrap();
        mail.iter()
            .filter(|mail| mail.folder == folder)
            .map(|mail| (mail.uid, mail.deleted))
            .collect()
    }

    async fn play(&self, mut peer: Peer) -> Result<(), Gone> {
        peer.say("* OK ready").await?;
        let mut open = "";
        loop {
            let line = peer.line().await?;
            let (tag, command) = line.split_once(' ').unwrap_or(("*", ""));
            let moved = !self.holds("INBOX").is_empty();
            let is_at = |at: &str| match at.strip_prefix("then ") {
                Some(at) => moved && command.starts_with(at),
                None => command.starts_with(at),
            };
            let found = self.ends.lock().unwrap().take_if(|(at, _)| is_at(at));
            match found {
                Some((_, Ends::Before)) => return Ok(()),
                Some((_, how)) => {
                    self.answer(command, &mut open);
                    return if how == Ends::Silent { peer.wait().await } else { Ok(()) };
                }
                None => {}
            }
            if command.starts_with("AUTHENTICATE") {
                peer.say("+ ").await?;
                peer.line().await?;
                peer.say(&format!("{tag} OK signed in")).await?;
                continue;
            }
            let answer = if command.starts_with(self.refuses) {
                format!("{tag} NO not here")
            } else {
                format!("{}{tag} OK done", self.answer(command, &mut open))
            };
            peer.say(&answer).await?;
            if command == "LOGOUT" {
                return Ok(());
            }
        }
    }

    fn answer(&self, command: &str, open: &mut &'static str) -> String {
        let mut mail = self.mail.lock().unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        let named = |text: &str| if text.contains("Junk") { "Junk" } else { "INBOX" };
        let uid = |place: usize| words.get(place).and_then(|word| word.parse::<u32>().ok()).unwrap_or(0);
        match (words[0], words.get(1).copied().unwrap_or_default()) {
            ("CAPABILITY", _) => format!("* CAPABILITY {}\n", self.capabilities),
            ("LIST", _) => "* LIST () \"/\" Zebra\n* LIST (\\Junk) \"/\" Junk\n* LIST (\\Trash) \"/\" Gone\n* LIST () \"/\" alpha\n\
                            * LIST (\\Archive) \"/\" Keep\n* LIST () \"/\" INBOX\n"
                .to_owned(),
            ("SELECT" | "EXAMINE", folder) => {
                *open = named(folder);
                "* 2 EXISTS\n* OK [UIDVALIDITY 1] ok\n".to_owned()
            }
            ("UID", "FETCH") => {
                let there = mail.iter().any(|mail| mail.folder == *open && mail.uid == uid(2));
                let date = "INTERNALDATE \"21-Nov-2026 09:00:03 +0100\"";
                let found = format!("* 1 FETCH (UID {} ENVELOPE {ENVELOPE} RFC822.SIZE 700 {date})\n", uid(2));
                if there { found } else { String::new() }
            }
            ("UID", "SEARCH") => {
                let found = mail.iter().find(|mail| mail.folder == *open && [7, 103].contains(&mail.uid));
                found.map_or_else(|| "* SEARCH\n".to_owned(), |mail| format!("* SEARCH {}\n", mail.uid))
            }
            ("UID", "MOVE" | "COPY") => {
                if words[1] == "MOVE" {
                    mail.retain(|mail| mail.folder != *open || mail.uid != uid(2));
                }
                mail.push(Mail {
                    folder: named(words[3]),
                    uid: 7,
                    deleted: false,
                });
                String::new()
            }
            ("UID", "STORE") => {
                let marked = mail.iter_mut().filter(|mail| mail.folder == *open && mail.uid == uid(2));
                marked.for_each(|mail| mail.deleted = words[3].starts_with('+'));
                String::new()
            }
            ("UID", "EXPUNGE") => {
                mail.retain(|mail| mail.folder != *open || mail.uid != uid(2) || !mail.deleted);
                String::new()
            }
            ("EXPUNGE" | "CLOSE", _) => {
                mail.retain(|mail| mail.folder != *open || !mail.deleted);
                String::new()
            }
            _ => String::new(),
        }
    }
}

fn meant() -> MessageSummary {
    MessageSummary {
        from: String::new(),
        subject: String::new(),
        date: "2026-11-21T08:00:03Z".to_owned(),
        size: 700,
        spot: Some(Spot::Imap {
            folder: "Junk".to_owned(),
            validity: 1,
            uid: 103,
            message_id: "<1@contoso.test>".to_owned(),
        }),
    }
}

/// What a move to the inbox came to, with what the server heard.
async fn moved(mailbox: &Mailbox) -> (Result<Moved, String>, Vec<String>) {
    let lab = Lab {
        allowance: std::time::Duration::from_secs(2),
        ..Lab::new()
    };
    let server = mailbox.start(&lab).await;
    let (mut steps, _watcher) = lab.steps(Direction::Incoming, Vec::new());
    let target = imap_target(&server, Security::Tls);
    let moved = probe::imap_moves(&lab.connector, &target, &meant(), "INBOX", &mut steps).await;
    let (report, failure) = steps.finish();
    (moved.map_err(|_| format!("{failure:?} {report:?}")), server.heard())
}

#[tokio::test]
async fn with_move_it_is_one_command_and_without_it_a_copy_and_this_message_taken_away() {
    for (offered, commands) in [
        ("MOVE UIDPLUS", vec!["UID MOVE 103 \"INBOX\""]),
        (
            "UIDPLUS",
            vec![
                "UID COPY 103 \"INBOX\"",
                "UID STORE 103 +FLAGS.SILENT (\\Deleted)",
                "UID EXPUNGE 103",
            ],
        ),
    ] {
        let mailbox = Mailbox::offering(offered);
        let (end, heard) = moved(&mailbox).await;
        assert_eq!(end, Ok(Moved::Done), "{offered}");
        let changing = ["MOVE", "COPY", "STORE", "EXPUNGE", "CLOSE"];
        let changed: Vec<&str> = heard
            .iter()
            .filter_map(|line| line.split_once(' '))
            .map(|(_, command)| command)
            .collect();
        let changed: Vec<&str> = changed
            .into_iter()
            .filter(|line| changing.iter().any(|word| line.contains(word)))
            .collect();
        assert_eq!(changed, commands);
        assert_eq!(mailbox.holds("INBOX"), [(7, false)]);
        assert_eq!(
            mailbox.holds("Junk"),
            [(105, true)],
            "what somebody else marked as deleted is still there"
        );
    }
}

#[tokio::test]
async fn a_server_that_can_take_no_single_message_away_is_asked_to_change_nothing() {
    let mailbox = Mailbox::offering("");
    let (end, heard) = moved(&mailbox).await;
    assert_eq!(end, Ok(Moved::CantMove));
    for word in ["SELECT", "COPY", "STORE", "EXPUNGE", "CLOSE"] {
        assert!(!heard.iter().any(|line| line.contains(word)), "{word}: {heard:?}");
    }
    assert_eq!((mailbox.holds("Junk").len(), mailbox.holds("INBOX").len()), (2, 0));
}

#[tokio::test]
async fn what_cant_be_taken_away_is_in_both_folders_and_not_left_to_be_cleaned_up() {
    let mut mailbox = Mailbox::offering("UIDPLUS");
    mailbox.refuses = "UID EXPUNGE";
    assert_eq!(moved(&mailbox).await.0, Ok(Moved::Copied));
    assert_eq!(mailbox.holds("Junk"), [(103, false), (105, true)]);
}

#[tokio::test]
async fn where_no_answer_comes_it_is_looked_where_the_message_is() {
    for (offered, at, how, end, junk, inbox) in [
        ("MOVE", "UID MOVE", Ends::After, Moved::Done, 1, 1),
        ("MOVE", "UID MOVE", Ends::Before, Moved::Kept, 2, 0),
        ("MOVE", "UID MOVE", Ends::Silent, Moved::Done, 1, 1),
        ("MOVE", "then UID FETCH", Ends::Silent, Moved::Done, 1, 1),
        ("UIDPLUS", "UID COPY", Ends::Before, Moved::Kept, 2, 0),
        ("UIDPLUS", "UID COPY", Ends::After, Moved::Copied, 2, 1),
        ("UIDPLUS", "UID EXPUNGE", Ends::After, Moved::Done, 1, 1),
        ("UIDPLUS", "UID EXPUNGE", Ends::Before, Moved::Copied, 2, 1),
    ] {
        let mailbox = Mailbox::offering(offered).ends(at, how);
        assert_eq!(moved(&mailbox).await.0, Ok(end), "{at} {how:?}");
        assert_eq!(
            (mailbox.holds("Junk").len(), mailbox.holds("INBOX").len()),
            (junk, inbox),
            "{at} {how:?}"
        );
    }
    // Where looking again is refused too, nobody says that it failed.
    let mut mailbox = Mailbox::offering("MOVE").ends("UID MOVE", Ends::After);
    mailbox.refuses = "EXAMINE \"Junk\"";
    assert_eq!(moved(&mailbox).await.0, Ok(Moved::Unknown));
}

#[tokio::test]
async fn what_ends_before_anything_was_asked_for_has_failed_and_says_why() {
    let mailbox = Mailbox::offering("MOVE").ends("SELECT", Ends::Before);
    assert!(moved(&mailbox).await.0.unwrap_err().contains("closed the connection"));
    let mut mailbox = Mailbox::offering("MOVE");
    mailbox.refuses = "UID MOVE";
    assert!(moved(&mailbox).await.0.unwrap_err().contains("NO not here"));
    assert_eq!(mailbox.holds("Junk").len(), 2);
}
