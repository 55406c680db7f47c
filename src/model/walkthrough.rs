//! Walkthroughs: checklists that lead through a setup. What they say is data, part of the program (`walkthrough/*.toml`); how far one
//! has come is a row that belongs to everybody here.

mod kinds;

pub use kinds::{Act, Check, Send, StepState, Sure, Value};

use super::report::Diagnosis;
use super::{MailboxId, ProviderId, TokenId};
use crate::clock::Timestamp;
use serde::Deserialize;
use std::sync::OnceLock;

const TEMPLATES: &str = include_str!("walkthrough/templates.toml");
const STEPS: [&str; 2] = [include_str!("walkthrough/microsoft.toml"), include_str!("walkthrough/others.toml")];

/// A step as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// A line for lists.
    pub brief: String,
    /// What to do, in order, in the provider's own words for things.
    pub how: Vec<String>,
    /// The same for whoever is sent the step and has no account here; none: as it is.
    #[serde(default)]
    pub asked: Vec<String>,
    /// Values to copy.
    #[serde(default)]
    pub values: Vec<Value>,
    /// Lines for a shell, each with what they are for; `<mailbox>` and `<account>` stand for the addresses.
    #[serde(default)]
    pub commands: Vec<(String, String)>,
    /// How it is checked.
    pub check: Check,
    /// How sure that is.
    pub sure: Sure,
    /// What is looked at, in a sentence.
    pub checked: String,
    /// Steps that have to be over before, where they are in the walkthrough.
    #[serde(default)]
    pub waits: Vec<String>,
    /// What is done here.
    #[serde(default = "nothing")]
    pub act: Act,
    /// How it is sent to somebody.
    #[serde(default = "nobody")]
    pub send: Send,
    /// To whom, with the article.
    #[serde(default)]
    pub to: String,
    /// The day its words were last compared with the provider's documentation.
    #[serde(skip)]
    pub verified: String,
}

const fn nothing() -> Act {
    Act::Nothing
}

const fn nobody() -> Send {
    Send::Nobody
}

/// Steps that are done in one place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Where.
    pub place: String,
    /// The role that takes; empty for this console.
    #[serde(default)]
    pub role: String,
    /// Ids of its steps.
    pub steps: Vec<String>,
}

/// A walkthrough that can be started.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its id.
    pub id: String,
    /// What it is called in lists.
    pub title: String,
    /// What it is called on its page.
    pub heading: String,
    /// What it means, in a line or two.
    pub about: String,
    /// Under which heading it stands.
    pub family: String,
    /// The card of a new provider's form; empty: the provider has to be here.
    pub card: String,
    /// What is asked at the start: `address` of the mailbox, `account` of the delegate.
    pub asks: Vec<String>,
    /// A note for its page: heading and text.
    #[serde(default)]
    pub aside: Option<(String, String)>,
    /// Its steps by place.
    #[serde(rename = "group")]
    pub groups: Vec<Group>,
}

impl Template {
    /// Its steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &'static Step> {
        self.groups.iter().flat_map(|group| &group.steps).filter_map(|id| step(id))
    }

    /// Whether it asks for this at the start.
    pub fn asks_for(&self, what: &str) -> bool {
        self.asks.iter().any(|asked| asked == what)
    }
}

#[derive(Default, Deserialize)]
struct TemplateFile {
    template: Vec<Template>,
}

#[derive(Default, Deserialize)]
struct StepFile {
    verified: String,
    step: Vec<Step>,
}

/// All that can be started, in the order of the page. A file that can't be read gives none; a test keeps that from happening.
pub fn templates() -> &'static [Template] {
    static READ: OnceLock<Vec<Template>> = OnceLock::new();
    READ.get_or_init(|| toml::from_str::<TemplateFile>(TEMPLATES).unwrap_or_default().template)
}

/// The template of an id.
pub fn template(id: &str) -> Option<&'static Template> {
    templates().iter().find(|template| template.id == id)
}

fn steps() -> &'static [Step] {
    static READ: OnceLock<Vec<Step>> = OnceLock::new();
    READ.get_or_init(|| {
        let files = STEPS.iter().map(|text| toml::from_str::<StepFile>(text).unwrap_or_default());
        files
            .flat_map(|file| {
                let verified = file.verified;
                file.step.into_iter().map(move |step| Step {
                    verified: verified.clone(),
                    ..step
                })
            })
            .collect()
    })
}

/// The step of an id.
pub fn step(id: &str) -> Option<&'static Step> {
    steps().iter().find(|step| step.id == id)
}

/// A walkthrough that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walkthrough {
    /// Row id.
    pub id: String,
    /// Id of its template.
    pub template: String,
    /// The name a new provider is to have.
    pub name: String,
    /// The mailbox it is about; may be empty.
    pub address: String,
    /// The account that signs in, where it is another; may be empty.
    pub account: String,
    /// The provider, once there is one.
    pub provider_id: Option<ProviderId>,
    /// The token, once there is one.
    pub token_id: Option<TokenId>,
    /// The mailbox, once there is one.
    pub mailbox_id: Option<MailboxId>,
    /// Who started it.
    pub started_by: String,
    /// When.
    pub started_at: Timestamp,
    /// Who did something about it last.
    pub touched_by: String,
    /// When.
    pub touched_at: Timestamp,
    /// When its last step was over.
    pub finished_at: Option<Timestamp>,
    /// Counts changes; a form that carries an older one is out of date.
    pub version: i64,
}

impl Walkthrough {
    /// The account that signs in.
    pub fn signs_in(&self) -> &str {
        if self.account.is_empty() { &self.address } else { &self.account }
    }
}

/// What is stored of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// Id of the step.
    pub step: String,
    /// How it stands.
    pub state: StepState,
    /// What that rests on, in a sentence; while it waits for somebody: what was sent is about this app.
    pub evidence: String,
    /// What a failure means.
    pub problem: Option<Diagnosis>,
    /// Since when it stands so.
    pub changed_at: Timestamp,
    /// By whom.
    pub changed_by: String,
    /// When it last held.
    pub held_at: Option<Timestamp>,
    /// Whom it was sent to.
    pub sent_to: String,
    /// The link that was sent; empty: none.
    pub link_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn nobody_without_an_account_is_asked_to_enter_something_here() {
        let steps: Vec<&Step> = templates()
            .iter()
            .flat_map(Template::steps)
            .filter(|step| step.send == Send::Mail)
            .collect();
        assert!(steps.iter().any(|step| step.id == "register"));
        for step in steps {
            let words = if step.asked.is_empty() { &step.how } else { &step.asked };
            for text in words {
                assert!(!text.contains("Enter both here"), "{}: {text}", step.id);
            }
            let told = words.join(" ");
            if step.id.starts_with("register") && step.brief.contains("two ids") {
                assert!(told.contains("role ") && told.contains("Send both back"), "{}: {told}", step.id);
            }
        }
    }

    #[test]
    fn the_files_can_be_read_and_fit_together() {
        let read: Result<TemplateFile, _> = toml::from_str(TEMPLATES);
        assert_eq!(read.map(|file| file.template.len()).map_err(|error| error.to_string()), Ok(10));
        for text in STEPS {
            let read: Result<StepFile, _> = toml::from_str(text);
            let read = read.map_err(|error| error.to_string());
            assert!(read.as_ref().is_ok_and(|file| file.step.len() > 20), "{:?}", read.err());
        }
        let mut used = HashSet::new();
        for template in templates() {
            let ids: Vec<&str> = template.groups.iter().flat_map(|group| &group.steps).map(String::as_str).collect();
            assert_eq!(template.steps().count(), ids.len(), "{}: a step that isn't there", template.id);
            used.extend(ids.iter().copied());
            for (at, step) in template.steps().enumerate() {
                // Only what stands before can be waited for, so that there is always a step to go on with.
                for waited in step.waits.iter().filter(|waited| ids.contains(&waited.as_str())) {
                    assert!(
                        ids[..at].contains(&waited.as_str()),
                        "{}: {} waits for {waited}",
                        template.id,
                        step.id
                    );
                }
                let here = step.waits.iter().any(|waited| ids.contains(&waited.as_str()));
                assert!(here || step.waits.is_empty(), "{}: {} waits for nothing here", template.id, step.id);
            }
        }
        for step in steps() {
            assert!(used.contains(step.id.as_str()), "{} is of no use", step.id);
            assert!(step.how.iter().all(|text| text.ends_with('.')), "{}: sentences", step.id);
            assert_eq!(step.send == Send::Nobody, step.to.is_empty(), "{}: to whom?", step.id);
            assert!(
                !step.brief.is_empty() && !step.brief.ends_with('.') && step.checked.ends_with('.'),
                "{}",
                step.id
            );
            for waited in &step.waits {
                assert!(super::step(waited).is_some(), "{} waits for {waited}", step.id);
            }
        }
        assert_eq!(used.len(), steps().len());
    }
}
