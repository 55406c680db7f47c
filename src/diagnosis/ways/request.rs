//! The mail to whoever can fix it, with every value they need.

use super::{Scene, Way};
use crate::diagnosis::catalogue::{self, entry};
use crate::diagnosis::signal::Signals;
use crate::model::report::{Diagnosis, Direction, FixWhere};
use crate::model::token::GrantType;

/// How much of what the other side said goes along, in characters?
const SAID: usize = 600;

/// How a mail ends.
const END: &str = "Thank you";

/// A one-time link for somebody without an account here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFor {
    /// An admin allows the app.
    Consent,
    /// Whoever runs the provider brings a secret, a certificate or a key.
    Secret,
    /// Whoever runs the provider takes the public half of a certificate whose key is here.
    PublicHalf,
    /// The account's owner signs in.
    SignIn,
}

impl LinkFor {
    const fn words(self) -> &'static str {
        match self {
            Self::Consent => {
                "Open this link, sign in as an admin of the organisation, look at what is asked, and accept. You need no account here:"
            }
            Self::PublicHalf => "Open this link for the file, and press the button there once it is uploaded. You need no account here:",
            Self::Secret => "Bring it here, not in a mail. You need no account here:",
            Self::SignIn => {
                "Open this link, choose the account above at the sign-in page, and allow what is asked. You need no account here:"
            }
        }
    }
}

/// A request with the link in it. `until`: the end of the link, in words.
pub fn with_link(request: &str, link: LinkFor, url: &str, until: &str) -> String {
    let body = request.trim_end();
    let body = body.strip_suffix(END).unwrap_or(body).trim_end();
    format!("{body}\n\n{}\n{url}\nThe link works once, until {until}.\n\n{END}", link.words())
}

/// A mail that asks for this way. `ask`: its words for whoever has no account here; empty: those of the way.
pub(super) fn request(diagnosis: &Diagnosis, way: &Way, ask: &str, scene: &Scene) -> String {
    let what = match (scene.direction, scene.address.is_empty()) {
        (Some(Direction::Incoming), false) => format!("can't read the mail of {}", scene.address),
        (Some(Direction::Outgoing), false) => format!("can't send mail as {}", scene.address),
        (_, false) => format!("can't open the mailbox {}", scene.address),
        (_, true) if !scene.account.is_empty() => format!("has no working sign-in for {}", scene.account),
        (_, true) => "can't get at our mail".to_owned(),
    };
    let mut lines = vec![
        format!("Subject: {}: what we need from you", diagnosis.title),
        String::new(),
        "Hello,".to_owned(),
        String::new(),
        format!("our mail console Mailgrant {what}. The cause: {}.", diagnosis.title),
        diagnosis.meaning.clone(),
        String::new(),
        "What would fix it:".to_owned(),
    ];
    if ask.is_empty() {
        lines.extend([&way.title, &way.text].into_iter().filter(|text| !text.is_empty()).cloned());
    } else {
        lines.push(ask.to_owned());
    }
    if let Some(shell) = way.shell {
        lines.extend([String::new(), format!("{}:", shell.hint()), way.command.clone()]);
    }
    let values = values(way.who, scene);
    if !values.is_empty() {
        lines.extend([String::new(), "The values:".to_owned()]);
        lines.extend(values.into_iter().map(|(label, value)| format!("- {label}: {value}")));
    }
    let said = telling(&scene.said, &diagnosis.id);
    if !said.is_empty() {
        // Marked line by line: what they say must not pass for what we ask.
        lines.extend([String::new(), "What the other side said:".to_owned()]);
        lines.extend(said.lines().map(|line| format!("> {line}")));
    }
    if !diagnosis.url.is_empty() {
        lines.extend([String::new(), format!("More about it: {}", diagnosis.url)]);
    }
    lines.extend([String::new(), END.to_owned()]);
    lines.join("\n")
}

/// So much of what the other side said as goes into a mail, cut between words: the piece by which the cause was recognised is in it.
fn telling(said: &str, id: &str) -> String {
    let chars: Vec<char> = said.trim().chars().collect();
    if chars.len() <= SAID {
        return chars.into_iter().collect();
    }
    let decisive = decisive(&chars, id);
    // What comes before it says where it came from; of a conversation without one, the last word counts.
    let from = match decisive {
        Some(at) if at < SAID / 2 => 0,
        Some(at) => (at - SAID / 3).min(chars.len() - SAID),
        None if chars.contains(&'\n') => chars.len() - SAID,
        None => 0,
    };
    let to = (from + SAID).min(chars.len());
    let blank = |at: usize| chars.get(at).is_some_and(|c| c.is_whitespace());
    let half = SAID / 6;
    let start = match from {
        0 => 0,
        from => (from..from + half).find(|at| blank(*at)).map_or(from, |at| at + 1),
    };
    let end = match to == chars.len() {
        true => to,
        false => (to - half..to).rev().find(|at| blank(*at)).unwrap_or(to),
    };
    let piece: String = chars.get(start..end).unwrap_or_default().iter().collect();
    let (before, after) = (
        if start > 0 { "\u{2026} " } else { "" },
        if end < chars.len() { " \u{2026}" } else { "" },
    );
    format!("{before}{}{after}", piece.trim())
}

/// Where the piece begins by which a cause is recognised, in characters.
fn decisive(said: &[char], id: &str) -> Option<usize> {
    let entry = entry(id)?;
    let text: String = said.iter().collect();
    // One character each, so that places stay the same.
    let lower: Vec<char> = said.iter().map(char::to_ascii_lowercase).collect();
    let signals = Signals::read(&text);
    let codes = signals.codes().iter().map(|code| format!("AADSTS{code}"));
    let hits: Vec<String> = catalogue::hits(entry, &signals).cloned().chain(codes).collect();
    hits.iter().find_map(|hit| {
        let wanted: Vec<char> = hit.trim_end_matches(':').to_ascii_lowercase().chars().collect();
        lower.windows(wanted.len().max(1)).position(|window| window == wanted)
    })
}

/// What whoever fixes it there has to know; what isn't known here is left out.
fn values(who: FixWhere, scene: &Scene) -> Vec<(String, String)> {
    let (host, port) = scene.server();
    let of = |label: &str, place: &str| (label.to_owned(), scene.value(place));
    let mut values = match who {
        FixWhere::Portal => {
            let mut values = vec![
                of("Directory (tenant) ID", "tenant"),
                of("Application (client) ID", "client id"),
                of("Client ID of the service account", "service account's client id"),
                of("Permissions", "permissions"),
                of("Account", "account"),
                of("Mailbox", "mailbox"),
            ];
            if scene.grant.is_none_or(GrantType::needs_person) {
                values.push(of("Redirect address", "redirect address"));
                values.push(of("Return address of admin consent", "consent return address"));
            }
            values.extend(
                scene
                    .thumbprints
                    .iter()
                    .map(|(kind, text)| (format!("Thumbprint of the certificate, {kind}"), text.clone())),
            );
            values
        }
        FixWhere::Exchange => vec![
            of("Mailbox", "mailbox"),
            of("Sender", "from address"),
            of("Account that opens it", "account"),
            of("Application (client) ID", "client id"),
            of("Object ID of the enterprise application", "enterprise object id"),
            of("Directory (tenant) ID", "tenant"),
        ],
        FixWhere::Network => vec![
            ("Direction".to_owned(), "outgoing, from this console to the server".to_owned()),
            of("From", "this server"),
            ("To host".to_owned(), host.to_owned()),
            ("To port".to_owned(), if port > 0 { format!("TCP {port}") } else { String::new() }),
            of("Protocol", "protocol"),
        ],
        FixWhere::User => vec![
            of("Mailbox", "mailbox"),
            of("Account", "account"),
            ("Console".to_owned(), scene.console.clone()),
        ],
        FixWhere::Console => Vec::new(),
    };
    values.retain(|(_, value)| !value.is_empty());
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_cut_between_words_and_keeps_what_decides() {
        let id = "smtp-exchange-send-as-5760";
        let code = "550 5.7.60 SMTP; Client does not have permissions to send as this sender";
        let talk = "250-smtp.example SIZE 157286400\n".repeat(60);
        for said in [
            format!("{talk}{code}"),
            format!("{code} {talk}"),
            format!("{talk}{code} {talk}"),
            code.to_owned(),
        ] {
            let kept = telling(&said, id);
            assert!(kept.contains("5.7.60 SMTP; Client does not have permissions"), "{kept}");
            assert!(kept.chars().count() <= SAID + 4, "{}", kept.chars().count());
            assert_eq!(kept.contains('\u{2026}'), said.len() > SAID, "{kept}");
            let words: Vec<&str> = said.split_whitespace().collect();
            assert!(
                kept.split_whitespace().all(|word| word == "\u{2026}" || words.contains(&word)),
                "{kept}"
            );
        }
        let long = format!("{} the end \u{20ac}", "word ".repeat(400));
        assert!(telling(&long, "console-unknown").ends_with("word \u{2026}"));
        assert!(telling(&"\u{20ac}".repeat(5_000), "console-unknown").chars().count() <= SAID + 4);
    }

    #[test]
    fn a_link_stands_before_the_end_of_the_mail() {
        let mail = with_link(
            "Hello,\n\nwe need it.\n\nThank you",
            LinkFor::Secret,
            "https://m.example/s/x",
            "Monday",
        );
        assert!(
            mail.ends_with("https://m.example/s/x\nThe link works once, until Monday.\n\nThank you"),
            "{mail}"
        );
        assert_eq!(mail.matches("Thank you").count(), 1);
    }
}
