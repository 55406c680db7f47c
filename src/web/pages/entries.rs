//! Audit entries in the words of people: names where the entry has ids, and nothing of what only the program counts. The entries
//! themselves stay as they were written; their chain is about them.

use crate::app::App;
use crate::diagnosis;
use crate::model::audit::AuditRow;
use crate::model::notices::Event;
use crate::model::{BatchId, MailboxId, settings, walkthrough};
use crate::store::StoreResult;
use crate::web::pages::records::subject_link;
use std::collections::{BTreeSet, HashMap};

/// What stands for a thing that was deleted, and has left its id alone.
const GONE: &str = "one that was deleted";
/// The beginning of what says which mailbox sends notifications.
const SENDER: &str = "mailbox \"";
/// How many characters has an id at least?
const ID: usize = 16;

/// The names of what the entries of a page call by ids.
#[derive(Default)]
pub struct Entries(HashMap<String, String>);

/// What an entry is about.
pub struct Object {
    /// What kind of thing; may be empty.
    pub noun: &'static str,
    /// Its name.
    pub name: String,
    /// Its page; empty where it has none.
    pub href: String,
}

impl Entries {
    /// Looks the names up.
    pub async fn load(app: &App, rows: &[AuditRow]) -> StoreResult<Self> {
        let mut names = HashMap::new();
        let targets: BTreeSet<&str> = rows.iter().map(|row| row.target.as_str()).collect();
        for target in targets {
            let name = match target.split_once(':') {
                Some(("walkthrough", id)) => app.store.walkthrough(id).await?.map(|one| {
                    let title = walkthrough::template(&one.template).map(|template| template.title.clone());
                    if one.address.is_empty() {
                        title.unwrap_or(one.template)
                    } else {
                        one.address
                    }
                }),
                Some(("batch", id)) => app.store.batch(&BatchId(id.to_owned())).await?.map(|one| one.which),
                _ => None,
            };
            names.extend(name.map(|name| (target.to_owned(), name)));
        }
        let senders: BTreeSet<&str> = rows.iter().flat_map(|row| senders(&row.detail)).collect();
        for id in senders {
            if let Some(mailbox) = app.store.mailbox_by_id(&MailboxId(id.to_owned())).await? {
                names.insert(id.to_owned(), mailbox.name.to_string());
            }
        }
        Ok(Self(names))
    }

    /// What an entry is about, by its name.
    pub fn object(&self, row: &AuditRow) -> Object {
        let target = row.target.as_str();
        let (noun, name) = target.split_once(':').unwrap_or(("", target));
        let known = self.0.get(target).cloned();
        let is_there = known.is_some();
        let (noun, name, href) = match noun {
            "walkthrough" => {
                let href = if is_there { format!("/walkthroughs/{name}") } else { String::new() };
                ("setup", known.unwrap_or_else(|| GONE.to_owned()), href)
            }
            "batch" => {
                let href = if is_there { subject_link(target) } else { String::new() };
                ("bulk test", known.unwrap_or_else(|| GONE.to_owned()), href)
            }
            "setting" => setting(name),
            "mailbox" => ("mailbox", name.to_owned(), subject_link(target)),
            "token" => ("token", name.to_owned(), subject_link(target)),
            "provider" => ("provider", name.to_owned(), subject_link(target)),
            "user" => ("person", name.to_owned(), String::new()),
            "link" => ("link", String::new(), String::new()),
            "console" => ("", "this console".to_owned(), "/about".to_owned()),
            "page" => ("page", name.to_owned(), String::new()),
            _ => ("", target.to_owned(), String::new()),
        };
        Object { noun, name, href }
    }

    /// What changed, in words.
    pub fn detail(&self, row: &AuditRow) -> String {
        if row.target != "setting:notifications" {
            return plain(row);
        }
        let parts = row.detail.split("; ").map(|part| match part.split_once(" \"") {
            Some(("mailbox", _)) => self.sender(part),
            Some((what @ ("mailed" | "posted"), rest)) => events(what, rest),
            _ => part.to_owned(),
        });
        filled(&parts.collect::<Vec<_>>().join("; "))
    }

    /// The mailbox that sends, by its name.
    fn sender(&self, part: &str) -> String {
        let mut text = part.to_owned();
        for id in senders(part) {
            let name = self.0.get(id).map_or(GONE, String::as_str);
            text = text.replace(&format!("\"{id}\""), &format!("\"{name}\""));
        }
        text
    }
}

/// A setting by its label, with the page it stands on.
fn setting(key: &str) -> (&'static str, String, String) {
    let found = settings::GROUPS.iter().find_map(|group| {
        let field = group.fields.iter().find(|field| field.key == key)?;
        let label = field.label.trim_end_matches(" (optional)").to_owned();
        Some((label, format!("/settings/{}", group.path)))
    });
    let (label, href) = match (key, found) {
        ("notifications", _) => ("Notifications".to_owned(), "/settings/notifications".to_owned()),
        ("base_url", _) => ("Base URL".to_owned(), "/settings/general".to_owned()),
        (_, Some(found)) => found,
        (key, None) => (key.to_owned(), String::new()),
    };
    ("setting", label, href)
}

fn is_id(text: &str) -> bool {
    text.len() >= ID && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The ids of mailboxes that a change of notifications names.
fn senders(detail: &str) -> Vec<&str> {
    let part = detail.split("; ").find(|part| part.starts_with(SENDER));
    let quoted = part.into_iter().flat_map(|part| part.split('"').skip(1).step_by(2));
    quoted.filter(|id| is_id(id)).collect()
}

/// Which events were added and which left out; `rest` is `a b" → "a c"`.
fn events(what: &str, rest: &str) -> String {
    let label = |word: &str| Event::parse(word).map_or_else(|| word.to_owned(), |event| event.label().to_owned());
    let (before, after) = rest.split_once("\" → \"").unwrap_or((rest, ""));
    let words = |text: &str| -> Vec<String> { text.trim_end_matches('"').split(' ').map(str::to_owned).collect() };
    let (before, after) = (words(before), words(after));
    let differs = |here: &[String], there: &[String]| {
        let only = here.iter().filter(|word| !word.is_empty() && !there.contains(word));
        only.map(|word| label(word)).collect::<Vec<_>>().join(", ")
    };
    let (added, left) = (differs(&after, &before), differs(&before, &after));
    let mut text = format!("{what}: ");
    match (added.is_empty(), left.is_empty()) {
        (false, true) => text.push_str(&format!("added {added}")),
        (true, false) => text.push_str(&format!("no longer {left}")),
        _ => text.push_str(&format!("added {added}, no longer {left}")),
    }
    text
}

/// The test that an entry names, by its id.
pub fn run_of(row: &AuditRow) -> Option<&str> {
    let (_, rest) = row.detail.split_once("run ")?;
    let id = rest.split([',', ' ']).next().unwrap_or_default();
    is_id(id).then_some(id)
}

/// What changed, without numbers and ids of the program, where no name has to be looked up.
pub fn plain(row: &AuditRow) -> String {
    let mut detail = row.detail.clone();
    if row.action == "token.refresh" && detail.starts_with("generation ") {
        return String::new();
    }
    if let Some(id) = run_of(row) {
        for (written, told) in [
            (format!(", run {id}"), ""),
            (format!("of run {id}"), "of a test"),
            (format!("run {id}"), ""),
        ] {
            detail = detail.replace(&written, told);
        }
    }
    let is_answer = row.action.ends_with(".finish");
    let parts: Vec<&str> = detail.split(": ").collect();
    let last = parts.len().saturating_sub(1);
    let kept = parts.iter().enumerate().filter(|(at, part)| {
        // `signed_in: Signed in as …`, `aadsts-7000222: The secret has expired`.
        let is_word = is_answer && *at == 0 && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        *at == last || !(is_word || diagnosis::by_id(part).is_some())
    });
    filled(&kept.map(|(_, part)| *part).collect::<Vec<_>>().join(": "))
}

/// With a word where a value is empty: `Message to itself: none → every hour`.
fn filled(detail: &str) -> String {
    let parts = detail.split("; ").map(|part| {
        let part = part
            .replace("\"\" →", "none →")
            .replace("→ \"\"", "→ none")
            .replace(":  →", ": none →");
        match part.trim_end().strip_suffix('→') {
            Some(before) => format!("{before}→ none"),
            None => part,
        }
    });
    parts.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn row(action: &str, detail: &str) -> AuditRow {
        AuditRow {
            sequence: 1,
            at: Timestamp(0),
            actor: "console".to_owned(),
            action: action.to_owned(),
            target: "mailbox:hr".to_owned(),
            detail: detail.to_owned(),
            outcome: "ok".to_owned(),
            address: String::new(),
            request_id: String::new(),
            session: String::new(),
            hash: String::new(),
        }
    }

    #[test]
    fn what_only_the_program_counts_is_left_out_and_what_was_empty_has_a_word() {
        const ID: &str = "00006b0121c80123456789abcdef0123";
        for (action, written, told) in [
            ("token.refresh", "generation 17", ""),
            (
                "mailbox.test",
                &*format!("incoming, unsaved settings, run {ID}"),
                "incoming, unsaved settings",
            ),
            (
                "mailbox.test",
                &*format!("outgoing, run {ID}, message from a@x.test to b@x.test"),
                "outgoing, message from a@x.test to b@x.test",
            ),
            (
                "bundle.take",
                &*format!("support bundle of run {ID} copied"),
                "support bundle of a test copied",
            ),
            (
                "mailbox.update",
                "Message to itself:  → every hour",
                "Message to itself: none → every hour",
            ),
            ("mailbox.update", "Tags: a, b → ; Folder: A → B", "Tags: a, b → none; Folder: A → B"),
            (
                "token.authorize.finish",
                "different_account: ann@x.test signed in. Through a sign-in link.",
                "ann@x.test signed in. Through a sign-in link.",
            ),
            ("mailbox.update", "folder: 1 → 2", "folder: 1 → 2"),
            (
                "token.refresh",
                "second access token: console-damaged: A stored secret can't be opened",
                "second access token: A stored secret can't be opened",
            ),
        ] {
            assert_eq!(plain(&row(action, written)), told, "{written}");
        }
    }

    #[test]
    fn a_change_of_notifications_names_the_mailbox_and_what_is_told() {
        let mut entry = row(
            "settings.change",
            "recipients \"\" → \"ann@x.test\"; mailbox \"00006b0121c80123456789abcdef0123\" → \"00006b0121c80123456789abcdef0124\"; mailed \"mailbox.failing recovered\" → \"mailbox.failing report.weekly\"",
        );
        entry.target = "setting:notifications".to_owned();
        let names = Entries(HashMap::from([(
            "00006b0121c80123456789abcdef0124".to_owned(),
            "support".to_owned(),
        )]));
        assert_eq!(
            names.detail(&entry),
            "recipients none → \"ann@x.test\"; mailbox \"one that was deleted\" → \"support\"; mailed: added Weekly report, no longer What failed works again"
        );
        assert_eq!(names.object(&entry).name, "Notifications");
        entry.target = "walkthrough:00006b".to_owned();
        assert_eq!(names.object(&entry).name, GONE);
        entry.target = "setting:checks.interval_minutes".to_owned();
        let object = names.object(&entry);
        assert!(
            !object.name.contains("interval_minutes") && object.href.starts_with("/settings/"),
            "{}",
            object.name
        );
    }
}
