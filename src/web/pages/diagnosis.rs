//! The block that tells a diagnosis on any page (`ux.md` 6.6): the cause with what decides it, the ways to fix it with their buttons,
//! what was ruled out, and why we think so. Templates: `{% if let Some(d) = … %}{% include "components/diagnosis.html" %}{% endif %}`.

use super::capital;
use crate::actions::probe::Settings;
use crate::clock::Timestamp;
use crate::diagnosis::own;
use crate::diagnosis::ways::{self, Act, Lead, Scene};
use crate::model::mailbox::{Protocol, Security};
use crate::model::report::{Confidence, Diagnosis, Direction, Outcome, Report, Stage};
use crate::model::user::Permission;
use crate::web::guard::CurrentUser;
use crate::web::routes;

/// A diagnosis as a page shows it.
#[derive(Debug, Clone, Default)]
pub struct DiagnosisView {
    /// Its id on the page, and the beginning of all ids in it.
    pub key: String,
    /// Whether its title is the page's heading.
    pub is_page: bool,
    /// The verdict.
    pub title: String,
    /// What it means.
    pub text: String,
    /// More about it that only this page knows.
    pub notes: Vec<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Where more is told: address and words.
    pub more: Option<(String, &'static str)>,
    /// What decides it, side by side: label and value.
    pub facts: Vec<(String, String)>,
    /// The ways to fix it.
    pub ways: Vec<WayView>,
    /// What it isn't, as a list in words.
    pub ruled_out: String,
    /// How sure: `Certain`, `Likely`, `A guess`; empty where nobody looked further.
    pub confidence: &'static str,
    /// What speaks for it, as sentences.
    pub why: Vec<String>,
    /// What may be wrong besides.
    pub also: Vec<String>,
    /// Where the provider explains it.
    pub url: String,
    /// Whether it may go away by itself.
    pub retryable: bool,
    /// Whether nothing in the catalogue fits.
    pub unknown: bool,
    /// What the other side said, in full.
    pub said: String,
    /// The step that failed, by its title.
    pub step: &'static str,
    /// How to test it again.
    pub again: Option<Again>,
}

/// A way to fix it.
#[derive(Debug, Clone)]
pub struct WayView {
    /// Beginning of its ids.
    pub key: String,
    /// What to do.
    pub title: String,
    /// Who can.
    pub who: &'static str,
    /// A line or two about it.
    pub text: String,
    /// What can be done here.
    pub buttons: Vec<Lead>,
    /// What stands in place of buttons this person may not press.
    pub denied: Vec<String>,
    /// Values to paste: id on the page, label and value.
    pub values: Vec<(String, String, String)>,
    /// A finished command.
    pub command: String,
    /// Where to type it.
    pub shell: &'static str,
    /// A finished mail.
    pub request: String,
    /// What makes a one-time link and puts it into that mail, for whoever may.
    pub link: Option<Lead>,
}

/// *I've done this, test again*: a form that is sent.
#[derive(Debug, Clone)]
pub struct Again {
    /// Where to.
    pub action: String,
    /// Its fields.
    pub fields: Vec<(&'static str, String)>,
    /// Words of the button.
    pub words: &'static str,
}

impl Again {
    /// The words after something was done.
    pub const DONE: &'static str = "I've done this, test again";

    /// The same test of a mailbox once more. `once` makes two presses one test.
    pub fn mailbox(name: &str, direction: Direction, once: &str) -> Self {
        Self {
            action: format!("{}/test/{direction}", routes::mailbox(name)),
            fields: vec![("defaults", "1".to_owned()), ("once", once.to_owned()), ("script", String::new())],
            words: Self::DONE,
        }
    }

    /// A test of a token.
    pub fn token(name: &str) -> Self {
        Self {
            action: format!("{}/test", routes::token(name)),
            fields: Vec::new(),
            words: Self::DONE,
        }
    }

    /// A check of a provider.
    pub fn provider(name: &str) -> Self {
        Self {
            action: format!("{}/check", routes::provider(name)),
            fields: Vec::new(),
            words: "I've done this, check again",
        }
    }
}

const fn sure(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Certain => "Certain",
        Confidence::Likely => "Likely",
        Confidence::Guess => "A guess",
    }
}

fn sentence(text: &str) -> String {
    let text = capital(text);
    if text.ends_with('.') { text } else { format!("{text}.") }
}

impl DiagnosisView {
    /// A diagnosis for whoever can't do anything here: with requests and commands, without buttons. An empty scene will do.
    pub fn plain(key: &str, diagnosis: &Diagnosis, scene: &Scene) -> Self {
        let grounds = diagnosis.grounds.as_deref();
        let facts = grounds.iter().flat_map(|grounds| &grounds.compared).flat_map(|compared| {
            [
                (compared.expected_label.clone(), compared.expected.clone()),
                (compared.found_label.clone(), compared.found.clone()),
            ]
        });
        let thumbprints = side_by_side(diagnosis, scene);
        let ways = ways::ways(diagnosis, scene).into_iter().enumerate();
        Self {
            key: key.to_owned(),
            title: diagnosis.title.clone(),
            text: diagnosis.meaning.clone(),
            facts: facts.chain(thumbprints).collect(),
            ways: ways
                .map(|(at, way)| WayView {
                    key: format!("{key}-{}", at + 1),
                    title: way.title,
                    who: ways::who(way.who),
                    text: way.text,
                    buttons: Vec::new(),
                    denied: Vec::new(),
                    values: (way.values.into_iter().enumerate())
                        .map(|(n, (label, value))| (format!("{key}-{}-v{}", at + 1, n + 1), label, value))
                        .collect(),
                    command: way.command,
                    shell: way.shell.map_or("", ways::Shell::hint),
                    request: way.request,
                    link: None,
                })
                .collect(),
            ruled_out: grounds.map(|grounds| grounds.ruled_out.join(", ")).unwrap_or_default(),
            confidence: grounds.map_or("", |grounds| sure(grounds.confidence)),
            why: grounds
                .map(|grounds| grounds.why.iter().map(|why| sentence(why)).collect())
                .unwrap_or_default(),
            also: grounds
                .map(|grounds| grounds.also.iter().map(|also| also.title.clone()).collect())
                .unwrap_or_default(),
            url: diagnosis.url.clone(),
            retryable: diagnosis.retryable,
            unknown: diagnosis.id == own::UNKNOWN,
            said: if scene.said.is_empty() {
                diagnosis.said.clone()
            } else {
                scene.said.clone()
            },
            step: scene.step.map_or("", Stage::title),
            ..Self::default()
        }
    }

    /// A diagnosis for a person, with the buttons they may press.
    pub async fn new(user: &CurrentUser, key: &str, diagnosis: &Diagnosis, scene: &Scene) -> Self {
        let mut view = Self::plain(key, diagnosis, scene);
        for (way, shown) in ways::ways(diagnosis, scene).into_iter().zip(&mut view.ways) {
            if let Some(lead) = way.linking().and_then(|act| act.maker(scene, &way.request))
                && user.may(lead.permission)
            {
                shown.link = Some(lead);
            }
            // The link in the request is the same link.
            let linked = shown.link.is_some();
            let acts = way
                .acts
                .into_iter()
                .filter(|act| !linked || !act.makes_link() || *act == Act::SendConsentLink);
            for lead in acts.filter_map(|act| act.lead(scene)) {
                match user.cannot(lead.permission).await {
                    None => shown.buttons.push(lead),
                    Some(words) => {
                        let words = format!("{}: {words}", lead.words);
                        shown.denied.push(words);
                    }
                }
            }
        }
        view
    }

    /// With *test again*, for those who may.
    #[must_use]
    pub fn again(mut self, user: &CurrentUser, permission: Permission, again: Again) -> Self {
        self.again = Some(again).filter(|_| user.may(permission));
        self
    }

    /// As the heading of its page.
    #[must_use]
    pub fn as_page(mut self) -> Self {
        self.is_page = true;
        self
    }

    /// With a sentence that only this page knows.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }
}

/// The thumbprint of the certificate here beside the one Microsoft names, where that is what doesn't fit.
fn side_by_side(diagnosis: &Diagnosis, scene: &Scene) -> Vec<(String, String)> {
    if !diagnosis.id.starts_with("entra-700027") {
        return Vec::new();
    }
    let said = if scene.said.is_empty() { &diagnosis.said } else { &scene.said };
    let named = said.split(|c: char| !c.is_ascii_hexdigit()).find(|word| word.len() == 40);
    let ours = scene.value("thumbprint sha-1");
    [
        ("Thumbprint of the certificate here", ours),
        ("Thumbprint in the reply", named.unwrap_or_default().to_owned()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(label, value)| (label.to_owned(), value))
    .collect()
}

/// Longest request of a diagnosis that comes back for its link, in characters.
const LONGEST_REQUEST: usize = 12_000;

/// The request of a diagnosis as a form brings it back, to put a link in; none where none came.
pub fn asked_with(request: &str) -> Option<String> {
    let kept = request.chars().filter(|c| !c.is_control() || *c == '\n').take(LONGEST_REQUEST);
    Some(kept.collect()).filter(|request: &String| !request.trim().is_empty())
}

/// What the other side said at the step that failed, as far as the report has it.
pub fn said_in(report: &Report) -> String {
    let Some(step) = report.steps.iter().find(|step| step.outcome == Outcome::Failed) else {
        return String::new();
    };
    let theirs = step
        .transcript
        .iter()
        .filter(|line| line.from == 'S')
        .map(|line| line.text.as_str());
    let theirs: Vec<&str> = theirs.collect();
    let said = report
        .diagnosis
        .as_ref()
        .map(|diagnosis| diagnosis.said.as_str())
        .unwrap_or_default();
    match (theirs.is_empty(), said) {
        (false, _) => theirs.join("\n"),
        (true, "") => step.detail.clone(),
        (true, said) => said.to_owned(),
    }
}

/// The scene as the settings of a run had it: server, address and user name of then.
pub fn as_of_run(scene: &mut Scene, settings: &Settings, report: &Report) {
    scene.direction = Some(report.direction);
    scene.protocol = Protocol::parse(&report.protocol);
    scene.step = report.failed_step().map(|step| step.step);
    scene.said = said_in(report);
    let label = |what: &str| match report.direction {
        Direction::Incoming => format!("Incoming {what}"),
        Direction::Outgoing => format!("Outgoing {what}"),
    };
    if let Some((host, rest)) = settings.get(&label("server")).and_then(|server| server.rsplit_once(':')) {
        let (port, security) = rest.split_once('/').unwrap_or((rest, ""));
        host.clone_into(&mut scene.host);
        scene.port = port.parse().unwrap_or(scene.port);
        scene.security = Security::parse(security).or(scene.security);
    }
    if let Some(login) = settings.get(&label("user name")) {
        login.clone_into(&mut scene.user_name);
    }
    if let Some(address) = settings.get("Email address") {
        address.clone_into(&mut scene.address);
    }
}
