//! Ways to fix what a diagnosis names, most likely first (`ux.md`, 6.6): what can be done here, what to ask of whom, which command.
//!
//! The ways of the causes that come up most are data (`ways.json`); the others follow from the remedy of their entry. [`Scene`] fills
//! them in; with an empty one there are ways all the same, with placeholders.

pub mod act;
pub mod commands;
mod request;
pub mod scene;

pub use act::{Act, Lead};
pub use commands::{Line, Shell};
pub use request::{LinkFor, with_link};
pub use scene::Scene;

use super::catalogue::entry;
use super::family::Family;
use crate::model::report::{Diagnosis, FixHere, FixWhere, WayOut};
use crate::model::token::GrantType;
use commands::{places, where_to_find};
use scene::Only;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

const FILE: &str = include_str!("ways.json");

/// A way to fix it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// What to do, in a few words.
    pub title: String,
    /// Who can.
    pub who: FixWhere,
    /// One or two lines about it; may be empty.
    pub text: String,
    /// What can be done here.
    pub acts: Vec<Act>,
    /// Values to paste, with their labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, String)>,
    /// A finished mail to whoever can; empty where that is whoever reads this.
    pub request: String,
    /// A finished command; empty where none is needed.
    pub command: String,
    /// Where it is typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Shell>,
}

impl Way {
    /// The act that makes the one-time link which belongs into the request; none where there is none for it.
    pub fn linking(&self) -> Option<Act> {
        let mut acts = self.acts.iter().copied();
        acts.find(|act| act.makes_link()).filter(|_| !self.request.is_empty())
    }
}

/// Who can do it, as `ux.md` 6.6 calls them.
pub const fn who(place: FixWhere) -> &'static str {
    match place {
        FixWhere::Portal => "Entra or Google admin",
        FixWhere::Exchange => "Exchange admin",
        FixWhere::Console => "you",
        FixWhere::Network => "network",
        FixWhere::User => "the mailbox's user",
    }
}

/// A way before its places are filled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What to do, in a few words.
    pub title: String,
    /// Who can.
    pub who: FixWhere,
    /// One or two lines about it.
    #[serde(default)]
    pub text: String,
    /// What can be done here, the best first.
    #[serde(default)]
    pub acts: Vec<Act>,
    /// The lines of the command.
    #[serde(default)]
    pub commands: Vec<Line>,
    /// Values to paste: label, and the place they are known by.
    #[serde(default)]
    pub values: Vec<(String, String)>,
    /// Circumstances that must hold, as far as they are known.
    #[serde(default)]
    pub only: Vec<Only>,
    /// A kind of cause it is against: where that is ruled out, it isn't offered.
    #[serde(default)]
    pub against: Option<Family>,
    /// How whoever has no account here is asked for it, where title and text are for somebody who has.
    #[serde(default)]
    pub ask: String,
}

/// Ways that several causes share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What is seen, as the table of `ux.md` 6.6 has it; empty for others.
    #[serde(default)]
    pub row: String,
    /// Entries of the catalogue.
    pub ids: Vec<String>,
    /// The ways.
    pub ways: Vec<Plan>,
}

/// Every group of the file.
pub fn groups() -> &'static [Group] {
    static GROUPS: OnceLock<Vec<Group>> = OnceLock::new();
    // A file that can't be read gives no group; a test keeps that from happening.
    GROUPS.get_or_init(|| serde_json::from_str(FILE).unwrap_or_default())
}

/// The ways out of what a diagnosis names, most likely first.
pub fn ways(diagnosis: &Diagnosis, scene: &Scene) -> Vec<Way> {
    let scene = &scene.told_by(&diagnosis.id);
    let group = groups().iter().find(|group| group.ids.contains(&diagnosis.id));
    let ruled_out = |family: Family| {
        let grounds = diagnosis.grounds.as_deref();
        grounds.is_some_and(|grounds| grounds.ruled_out.iter().any(|out| Some(out.as_str()) == family.ruled_out()))
    };
    let fits = |plan: &&Plan| {
        let holds = plan.only.iter().all(|only| scene.holds(*only) != Some(false));
        holds && !plan.against.is_some_and(ruled_out)
    };
    let mut ways: Vec<Way> = group
        .iter()
        .flat_map(|group| &group.ways)
        .filter(fits)
        .map(|plan| of_plan(plan, diagnosis, scene))
        .collect();
    if ways.is_empty() {
        ways = of_remedy(diagnosis, scene);
        for way in &mut ways {
            way.request = asked(diagnosis, way, "", scene);
        }
    }
    ways
}

/// The same for programs.
pub fn told_to_programs(diagnosis: &Diagnosis, scene: &Scene) -> Vec<WayOut> {
    let ways = ways(diagnosis, scene).into_iter();
    ways.map(|way| WayOut {
        who: way.who,
        // A form that is sent has its button on the page of what it is about.
        fix: way.acts.iter().find_map(|act| act.lead(scene)).map(|lead| FixHere {
            path: match lead.fields {
                Some(_) => lead.href.rsplit_once('/').map_or(String::new(), |(page, _)| page.to_owned()),
                None => lead.href,
            },
            words: lead.words,
        }),
        title: way.title,
        text: way.text,
        command: way.command,
    })
    .collect()
}

/// A way with its places filled.
fn of_plan(plan: &Plan, diagnosis: &Diagnosis, scene: &Scene) -> Way {
    let trustee = match scene.grant {
        Some(GrantType::ClientCredentials) => "<enterprise object id>",
        _ => "<account>",
    };
    let lines = plan
        .commands
        .iter()
        .map(|line| line.fitting(scene).with(|place| scene.value(place)));
    let command = lines.collect::<Vec<_>>().join("\n").replace("<trustee>", trustee);
    let mut text = told(&plan.text, scene);
    // A placeholder that nobody explains is one that somebody types in.
    for place in places(&command) {
        if let Some(at) = where_to_find(place).filter(|_| !text.contains(&format!("<{place}>: "))) {
            text.push_str(&format!("{}<{place}>: {at}.", if text.is_empty() { "" } else { " " }));
        }
    }
    let mut way = Way {
        title: told(&plan.title, scene),
        who: plan.who,
        text,
        acts: plan.acts.iter().copied().filter(|act| act.lead(scene).is_some()).collect(),
        values: plan.values.iter().flat_map(|(label, place)| scene.labelled(label, place)).collect(),
        request: String::new(),
        command,
        shell: plan.commands.first().map(|line| line.shell()),
    };
    way.request = asked(diagnosis, &way, &told(&plan.ask, scene), scene);
    way
}

/// The mail that asks for a way; empty where nobody else is asked.
fn asked(diagnosis: &Diagnosis, way: &Way, ask: &str, scene: &Scene) -> String {
    // Nobody is asked to wait.
    let passes = entry(&diagnosis.id)
        .is_some_and(|entry| entry.family == Family::Outage || entry.family == Family::Limit && entry.fix_where == FixWhere::Network);
    if way.who == FixWhere::Console || passes {
        return String::new();
    }
    request::request(diagnosis, way, ask, scene)
}

/// A text with its places filled.
fn told(text: &str, scene: &Scene) -> String {
    commands::fill(text, |place| scene.value(place))
}

/// The ways of an entry that has none of its own: its remedy, the first with what can be done here for causes of its kind.
fn of_remedy(diagnosis: &Diagnosis, scene: &Scene) -> Vec<Way> {
    let family = entry(&diagnosis.id).map_or(Family::Console, |entry| entry.family);
    let remedies = diagnosis.remedy.iter().enumerate();
    remedies
        .map(|(at, remedy)| {
            let (title, text) = split(remedy);
            let acts = if at == 0 {
                of_family(family, diagnosis.fix_where, scene)
            } else {
                Vec::new()
            };
            Way {
                title: told(title, scene),
                who: diagnosis.fix_where,
                text: told(text, scene),
                acts,
                values: Vec::new(),
                request: String::new(),
                command: String::new(),
                shell: None,
            }
        })
        .collect()
}

/// The first sentence of a remedy, where it is short enough for a title, and the rest.
fn split(remedy: &str) -> (&str, &str) {
    const MOST: usize = 90;
    let (first, rest) = match remedy.find(". ") {
        Some(at) => (&remedy[..at], remedy[at + 2..].trim_start()),
        None => (remedy.strip_suffix('.').unwrap_or(remedy), ""),
    };
    if first.chars().count() <= MOST {
        (first, rest)
    } else {
        ("", remedy)
    }
}

/// What helps most against a kind of cause, as far as this console has it.
fn of_family(family: Family, who: FixWhere, scene: &Scene) -> Vec<Act> {
    let here = matches!(who, FixWhere::Console | FixWhere::User);
    let acts: &[Act] = match family {
        Family::Secret => &[Act::ReplaceSecret],
        // What an admin has to mend at the provider isn't mended here.
        Family::App | Family::Policy | Family::SignIn if !here => &[],
        Family::App => &[Act::EditProvider],
        // Who said no themselves can say yes at the next sign-in, for which the page has its own button.
        Family::Consent if who == FixWhere::User => &[],
        Family::Consent => &[Act::SendConsentLink],
        Family::SignIn | Family::Policy => &[Act::SignInLogin],
        Family::Account => &[Act::SignInSelectAccount],
        Family::Permission => &[Act::SignInConsent, Act::ComparePermissions],
        Family::Audience => &[Act::ChangePermissions],
        Family::Token => &[Act::SignIn],
        Family::Password => &[Act::UseOAuth, Act::EnterPassword],
        Family::Network | Family::Tls | Family::Server | Family::Message => &[Act::EditMailbox],
        Family::Request => &[Act::ChangePermissions, Act::EditMailbox],
        Family::Mailbox | Family::Disabled | Family::ProtocolOff | Family::Clock | Family::Limit | Family::Outage | Family::Console => &[],
    };
    acts.iter().copied().filter(|act| act.lead(scene).is_some()).take(1).collect()
}

#[cfg(test)]
mod tests;
