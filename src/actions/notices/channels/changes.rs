//! What changed of whom to tell, for the audit log: where notices go and what signs in there first, in as many entries as it takes, so that
//! no long list pushes out what matters (AUD-1). Secrets and the path of the webhook are only told as changed.

use crate::model::notices::{Channels, Event, Quiet};

/// How many characters has an entry at most? The log cuts at a thousand.
const ENTRY: usize = 900;

/// What changed, a text each; what matters most first.
pub(super) fn changes(before: &Channels, after: &Channels) -> Vec<String> {
    let mut changed = Vec::new();
    if before.webhook_shown() != after.webhook_shown() {
        changed.push(from_to("webhook", &before.webhook_shown(), &after.webhook_shown()));
    } else if before.webhook != after.webhook {
        changed.push("path of the webhook changed".to_owned());
    }
    let server = |one: &Channels| one.fallback.as_ref().map(|fallback| fallback.destination()).unwrap_or_default();
    let user = |one: &Channels| one.fallback.as_ref().map(|fallback| fallback.user.clone()).unwrap_or_default();
    let from = |one: &Channels| one.fallback.as_ref().map(|fallback| fallback.from.clone()).unwrap_or_default();
    let mut parts = vec![
        ("fallback server", server(before), server(after)),
        ("user of the fallback server", user(before), user(after)),
    ];
    for (what, before, after) in [
        ("webhook secret", &before.secret_set, &after.secret_set),
        ("password of the fallback server", &before.password_set, &after.password_set),
    ] {
        if before != after {
            changed.push(format!("{what} {}", if after.is_some() { "changed" } else { "removed" }));
        }
    }
    if before.webhook_off.is_some() && after.webhook_off.is_none() && !after.webhook.is_empty() {
        changed.push("webhook turned on again".to_owned());
    }
    parts.push(("mailbox", before.mailbox.clone(), after.mailbox.clone()));
    parts.push(("sender of the fallback server", from(before), from(after)));
    changed.extend(different(parts));
    changed.extend(recipients(&before.recipients, &after.recipients));
    let words = |events: &[Event]| events.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(" ");
    let quiet = |one: &Channels| {
        one.quiet.map_or_else(String::new, |quiet| {
            format!("{}–{}", Quiet::clock(quiet.from), Quiet::clock(quiet.until))
        })
    };
    changed.extend(different(vec![
        ("mailed", words(&before.mail_events), words(&after.mail_events)),
        ("posted", words(&before.webhook_events), words(&after.webhook_events)),
        ("quiet hours", quiet(before), quiet(after)),
        ("time zone", before.zone.clone(), after.zone.clone()),
    ]));
    changed
}

fn from_to(what: &str, before: &str, after: &str) -> String {
    format!("{what} \"{before}\" → \"{after}\"")
}

fn different(parts: Vec<(&str, String, String)>) -> impl Iterator<Item = String> {
    let parts = parts.into_iter().filter(|(_, before, after)| before != after);
    parts.map(|(what, before, after)| from_to(what, &before, &after))
}

/// How many there were and are, then each that is told now and wasn't, and each that isn't any more.
fn recipients(before: &[String], after: &[String]) -> Vec<String> {
    let without = |all: &[String], others: &[String]| -> Vec<String> { all.iter().filter(|one| !others.contains(one)).cloned().collect() };
    let (added, removed) = (without(after, before), without(before, after));
    if added.is_empty() && removed.is_empty() {
        return Vec::new();
    }
    let (were, are) = (before.len(), after.len());
    let mut changed = vec![format!(
        "recipients {were} → {are}: {} added, {} removed",
        added.len(),
        removed.len()
    )];
    changed.extend(added.iter().map(|one| format!("recipient {one} added")));
    changed.extend(removed.iter().map(|one| format!("recipient {one} removed")));
    changed
}

/// The details of the entries: as many changes in each as it holds.
pub(super) fn entries(changed: Vec<String>) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for change in changed {
        match entries.last_mut() {
            Some(last) if last.chars().count() + change.chars().count() + 2 <= ENTRY => {
                last.push_str("; ");
                last.push_str(&change);
            }
            _ => entries.push(change),
        }
    }
    if entries.is_empty() {
        entries.push("nothing changed".to_owned());
    }
    entries
}
