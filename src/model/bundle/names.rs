//! *Hide names too*: every address, host and name gets a stand-in, the same one throughout a bundle: `user1@domain1`, `host1.domain1`.

use super::encoded::{percent_decoded, without_encoded};
use super::remove::{CLOSE, OPEN};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `local@domain`.
    Address,
    /// A server.
    Host,
    /// A person, or what a mailbox is called.
    Person,
    /// A mailbox, by its handle.
    Mailbox,
    /// A token, by its handle.
    Token,
    /// A provider, by its handle.
    Provider,
    /// A directory, by its number.
    Tenant,
    /// Any other name: a user name, a folder, a certificate's owner.
    Name,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Address => "user",
            Self::Host => "host",
            Self::Person => "person",
            Self::Mailbox => "mailbox",
            Self::Token => "token",
            Self::Provider => "provider",
            Self::Tenant => "tenant",
            Self::Name => "name",
        }
    }
}

/// A name that is known from the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Of what.
    pub kind: Kind,
    /// The name.
    pub text: String,
}

impl Known {
    /// Of this kind.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Whether it is looked for in encoded and scattered forms too: a common word would be found where nobody wrote it.
    pub(super) fn is_distinctive(&self) -> bool {
        let letters = self.text.chars().filter(|c| c.is_alphanumeric()).count();
        letters >= 8 && (self.text.contains(['@', '.', '-', ' ', '_']) || letters >= 12) && !is_everyones(&self.text)
    }
}

/// Servers everybody has, which are no news.
const EVERYONES: [&str; 40] = [
    "outlook.office365.com",
    "smtp.office365.com",
    "outlook.office.com",
    "outlook.office365.us",
    "smtp.office365.us",
    "partner.outlook.cn",
    "smtp.partner.outlook.cn",
    "outlook.live.com",
    "smtp-mail.outlook.com",
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.live.com",
    "sts.windows.net",
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "microsoftgraph.chinacloudapi.cn",
    "learn.microsoft.com",
    "support.microsoft.com",
    "go.microsoft.com",
    "aka.ms",
    "imap.gmail.com",
    "pop.gmail.com",
    "smtp.gmail.com",
    "mail.google.com",
    "support.google.com",
    "accounts.google.com",
    "www.googleapis.com",
    "oauth2.googleapis.com",
    "openidconnect.googleapis.com",
    "imap.mail.yahoo.com",
    "pop.mail.yahoo.com",
    "smtp.mail.yahoo.com",
    "api.login.yahoo.com",
    "imap.fastmail.com",
    "pop.fastmail.com",
    "smtp.fastmail.com",
    "api.fastmail.com",
    "localhost",
];
/// Parts of addresses that half of the world's mailboxes share, and words the protocols use themselves.
const COMMON: [&str; 24] = [
    "admin", "auth", "contact", "error", "help", "host", "imap", "inbox", "info", "login", "mail", "mailbox", "office", "password", "pop3",
    "sales", "server", "service", "smtp", "support", "test", "token", "user", "users",
];

fn is_everyones(host: &str) -> bool {
    EVERYONES.contains(&host.to_ascii_lowercase().as_str())
}

/// Gives stand-ins out.
pub(super) struct Names {
    /// By kind and name in small letters.
    given: HashMap<(Kind, String), String>,
    count: HashMap<&'static str, usize>,
    domains: Vec<(String, String)>,
    /// What is replaced wherever it stands as a word, the longest first.
    words: Vec<(Vec<char>, String)>,
}

impl Names {
    pub fn new(known: &[Known]) -> Self {
        let mut names = Self {
            given: HashMap::new(),
            count: HashMap::new(),
            domains: Vec::new(),
            words: Vec::new(),
        };
        for one in known.iter().filter(|one| !one.text.trim().is_empty()) {
            names.know(one.kind, one.text.trim());
        }
        names.words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        names
    }

    fn know(&mut self, kind: Kind, text: &str) {
        match kind {
            Kind::Address if text.contains('@') => {
                let instead = self.address(text);
                let (local, domain) = text.rsplit_once('@').unwrap_or((text, ""));
                self.word(text, &instead);
                let user = instead.split('@').next().unwrap_or_default().to_owned();
                self.uncommon(local, &user);
                self.know_domain(domain);
            }
            Kind::Host if text.parse::<IpAddr>().is_ok() => {
                let instead = self.stand_in("ip", text);
                self.word(text, &instead);
            }
            Kind::Host => {
                if !is_everyones(text) {
                    let instead = self.host(text);
                    self.word(text, &instead);
                    self.know_domain(text);
                }
            }
            Kind::Address => self.know(Kind::Name, text),
            kind => {
                let instead = self.stand_in_of(kind, text);
                self.word(text, &instead);
                if kind == Kind::Person {
                    for part in text.split_whitespace().filter(|part| part.chars().count() >= 4) {
                        self.uncommon(part, &instead);
                    }
                }
            }
        }
    }

    /// The domain of a host or address, and what it begins with, which is mostly the name of somebody.
    fn know_domain(&mut self, host: &str) {
        let (domain, instead) = self.domain(host);
        self.word(&domain, &instead);
        if let Some(label) = domain.split('.').next().filter(|label| label.chars().count() >= 4) {
            self.uncommon(label, &instead);
        }
    }

    fn uncommon(&mut self, word: &str, instead: &str) {
        if word.chars().count() >= 3 && !COMMON.contains(&word.to_lowercase().as_str()) {
            self.word(word, instead);
        }
    }

    fn word(&mut self, text: &str, instead: &str) {
        let word: Vec<char> = text.chars().map(small).collect();
        if !word.is_empty() && !self.words.iter().any(|(known, _)| *known == word) {
            self.words.push((word, instead.to_owned()));
        }
    }

    fn stand_in_of(&mut self, kind: Kind, text: &str) -> String {
        let key = (kind, text.to_lowercase());
        if let Some(given) = self.given.get(&key) {
            return given.clone();
        }
        let instead = self.next(kind.word());
        self.given.insert(key, instead.clone());
        instead
    }

    fn next(&mut self, word: &'static str) -> String {
        let number = self.count.entry(word).or_default();
        *number += 1;
        format!("{word}{number}")
    }

    fn stand_in(&mut self, word: &'static str, text: &str) -> String {
        let key = (Kind::Host, format!("{word} {}", text.to_lowercase()));
        if let Some(given) = self.given.get(&key) {
            return given.clone();
        }
        let instead = self.next(word);
        self.given.insert(key, instead.clone());
        instead
    }

    fn address(&mut self, text: &str) -> String {
        let (local, domain) = text.rsplit_once('@').unwrap_or((text, ""));
        let user = self.stand_in_of(Kind::Address, &format!("{local}@{domain}"));
        match (domain.parse::<IpAddr>(), domain.is_empty()) {
            (_, true) => user,
            (Ok(_), _) => format!("{user}@{}", self.stand_in("ip", domain)),
            _ => format!("{user}@{}", self.whole_domain(domain)),
        }
    }

    /// What stands for the part of an address behind its sign: a domain by itself.
    fn whole_domain(&mut self, domain: &str) -> String {
        let domain = domain.to_lowercase();
        if let Some((_, instead)) = self.domains.iter().find(|(known, _)| *known == domain) {
            return instead.clone();
        }
        let instead = self.next("domain");
        self.domains.push((domain, instead.clone()));
        instead
    }

    fn host(&mut self, text: &str) -> String {
        let host = text.to_lowercase();
        let (domain, instead) = self.domain(&host);
        match host == domain {
            true => instead,
            false => format!("{}.{instead}", self.stand_in_of(Kind::Host, &host)),
        }
    }

    /// The domain a host is in, as far as names tell, and what stands for it.
    fn domain(&mut self, host: &str) -> (String, String) {
        let host = host.to_lowercase();
        let within = |known: &str| host == *known || host.strip_suffix(known).is_some_and(|head| head.ends_with('.'));
        let known = self
            .domains
            .iter()
            .filter(|(known, _)| within(known))
            .max_by_key(|(known, _)| known.len());
        if let Some((known, instead)) = known {
            return (known.clone(), instead.clone());
        }
        let labels: Vec<&str> = host.split('.').collect();
        let country = labels.len() > 2 && labels[labels.len() - 1].len() == 2 && labels[labels.len() - 2].len() <= 3;
        let domain = labels[labels.len().saturating_sub(if country { 3 } else { 2 })..].join(".");
        let instead = self.whole_domain(&domain);
        (domain, instead)
    }

    /// The text with stand-ins; what is marked already stays.
    pub fn apply(&mut self, text: &str) -> String {
        let readable = between(text, without_encoded);
        // Addresses first: what is known of one may be its domain only.
        let addressed = between(&readable, |part| self.runs(part, true));
        let known = between(&addressed, |part| self.known_words(part));
        between(&known, |part| self.runs(part, false))
    }

    /// Replaces what the records know, wherever it stands between other letters.
    fn known_words(&self, text: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        let lower: Vec<char> = chars.iter().copied().map(small).collect();
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while at < chars.len() {
            let starts = at == 0 || !lower[at - 1].is_alphanumeric();
            let found = self.words.iter().find(|(word, _)| {
                let end = at + word.len();
                let distinctive = word.len() >= 12;
                let ends = lower.get(end).is_none_or(|c| !c.is_alphanumeric());
                lower[at..].starts_with(word) && (distinctive || starts && ends)
            });
            match found {
                Some((word, instead)) => {
                    out.push_str(&format!("{OPEN}{instead}{CLOSE}"));
                    at += word.len();
                }
                None => {
                    out.push(chars[at]);
                    at += 1;
                }
            }
        }
        out
    }

    /// Replaces addresses, or hosts that no record knows.
    fn runs(&mut self, text: &str, addresses: bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut run = String::new();
        for c in text.chars().chain([' ']) {
            if c.is_alphanumeric() || "._-+@%:".contains(c) {
                run.push(c);
                continue;
            }
            if !run.is_empty() {
                out.push_str(&self.stranger(&run, addresses));
                run.clear();
            }
            out.push(c);
        }
        out.pop();
        out
    }

    fn stranger(&mut self, run: &str, addresses: bool) -> String {
        let core = run.trim_matches(['.', ':', '-', '+']);
        let Some(start) = run.find(core).filter(|_| !core.is_empty()) else {
            return run.to_owned();
        };
        let (head, tail) = (&run[..start], &run[start + core.len()..]);
        let read = percent_decoded(core);
        if let Ok(address) = read.parse::<Ipv6Addr>()
            && !addresses
        {
            return format!("{head}{OPEN}{}{CLOSE}{tail}", self.stand_in("ip", &address.to_string()));
        }
        let parts: Vec<String> = read
            .split(':')
            .map(|part| self.stranger_part(part, addresses).unwrap_or_else(|| part.to_owned()))
            .collect();
        match parts.join(":") {
            same if same == read && !(addresses && read != core) => run.to_owned(),
            other => format!("{head}{other}{tail}"),
        }
    }

    fn stranger_part(&mut self, text: &str, addresses: bool) -> Option<String> {
        let marked = |instead: String| Some(format!("{OPEN}{instead}{CLOSE}"));
        if addresses {
            let (local, domain) = text.rsplit_once('@').filter(|(_, domain)| !domain.is_empty())?;
            return marked(match local.is_empty() {
                true => format!("@{}", self.whole_domain(domain)),
                false => self.address(text),
            });
        }
        if text.parse::<Ipv4Addr>().is_ok_and(|ip| !ip.is_loopback()) {
            return marked(self.stand_in("ip", text));
        }
        if is_host(text) && !is_everyones(text) {
            return marked(self.host(text));
        }
        None
    }
}

/// The text with what is not marked changed.
fn between(text: &str, mut change: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, part) in text.split([OPEN, CLOSE]).enumerate() {
        match number % 2 {
            0 => out.push_str(&change(part)),
            _ => out.push_str(&format!("{OPEN}{part}{CLOSE}")),
        }
    }
    out
}

/// Whether it looks like the name of a server; permissions like `Mail.Read` don't.
fn is_host(text: &str) -> bool {
    let one_case = !text.chars().any(char::is_uppercase) || !text.chars().any(char::is_lowercase);
    let labels: Vec<&str> = text.split('.').collect();
    let top = labels
        .last()
        .is_some_and(|top| (2..=24).contains(&top.len()) && top.chars().all(char::is_alphabetic));
    let shaped = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    one_case && labels.len() >= 2 && top && labels.iter().all(shaped)
}

fn small(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}
