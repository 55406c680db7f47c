//! How a consent stands, in a mark and sentences, and what it is about.

use crate::actions::consent::{self, Outcome, Standing, Wanted, plain};
use crate::actions::links::LinkState;
use crate::actions::provider_links;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::Name;
use crate::model::consent::{Consent, LinkKind, ProviderLink};
use crate::model::lint::is_guid;
use crate::model::provider::Provider;
use crate::model::template::TemplateKind;
use crate::store::StoreResult;
use crate::web::pages::providers::form::short_scope;

/// A permission an admin is asked for.
pub struct Asked {
    /// Its name.
    pub name: String,
    /// What it means; empty where nobody here knows.
    pub plain: &'static str,
}

/// Permissions of one kind.
pub struct Group {
    /// Whose they are, and what the provider's pages call them.
    pub heading: &'static str,
    /// They, each once.
    pub list: Vec<Asked>,
}

/// What an admin is asked for: what the app does by itself, and what people who sign in let it do.
pub fn asked(wanted: &Wanted) -> Vec<Group> {
    let (own, people) = if wanted.app_only {
        (wanted.permissions.as_slice(), wanted.people.as_slice())
    } else {
        (&[][..], wanted.permissions.as_slice())
    };
    [
        ("For the app itself (application permissions)", own),
        ("For people who sign in (delegated permissions)", people),
    ]
    .into_iter()
    .map(|(heading, permissions)| Group {
        heading,
        list: asked_of(permissions),
    })
    .filter(|group| !group.list.is_empty())
    .collect()
}

/// These permissions with what they mean, each once: one name may stand for several servers.
pub fn asked_of(permissions: &[String]) -> Vec<Asked> {
    let mut list: Vec<Asked> = Vec::new();
    for permission in permissions {
        let name = short_scope(permission);
        if !list.iter().any(|known| known.name == name) {
            list.push(Asked {
                name: name.to_owned(),
                plain: plain(permission),
            });
        }
    }
    list
}

/// A permission as a line of a mail.
pub fn permission_line(Asked { name, plain }: &Asked) -> String {
    let plain = if plain.is_empty() { String::new() } else { format!(" ({plain})") };
    format!("- {name}{plain}")
}

/// Whose organisation: the tenant's domain, or `other`.
pub fn organisation(provider: &Provider, other: &str) -> String {
    let named = provider.tenant.as_deref().filter(|tenant| tenant.contains('.'));
    named.unwrap_or(other).to_owned()
}

/// Which app in which directory, a line each, for a mail; whoever runs the provider knows them by these.
pub fn app_lines(provider: &Provider) -> String {
    let microsoft = provider.template == TemplateKind::Microsoft;
    let label = if microsoft { "Application (client) ID" } else { "Client ID" };
    let mut lines = format!("{label}: {}\n", provider.client_id);
    if let Some(tenant) = provider.tenant.as_deref().filter(|_| microsoft) {
        let label = if is_guid(tenant) {
            "Directory (tenant) ID"
        } else {
            "Directory (tenant)"
        };
        lines.push_str(&format!("{label}: {tenant}\n"));
    }
    lines
}

/// The state of the consent of a provider's app.
pub struct Verdict {
    /// Mark.
    pub kind: &'static str,
    /// In a few words.
    pub title: String,
    /// What that means.
    pub text: String,
    /// What is missing, or what to do.
    pub list: Vec<String>,
    /// What the provider said.
    pub said: String,
    /// When it was found out, by whom.
    pub at: Option<(Timestamp, String)>,
    /// The directory, as it came back.
    pub tenant: Option<String>,
    /// A newer try that changed nothing.
    pub tried: Option<(Timestamp, String)>,
}

fn stamp(consent: &Consent) -> (Timestamp, String) {
    let who = if consent.link_id.is_some() {
        "through a consent link".to_owned()
    } else {
        format!("by {}", consent.started_by)
    };
    (consent.finished_at.unwrap_or(consent.started_at), who)
}

/// The verdict.
pub fn verdict(standing: &Standing, provider: &Provider, app_only: bool) -> Verdict {
    let mut verdict = Verdict {
        kind: "todo",
        title: "Nobody has consented yet".to_owned(),
        text: "At least nobody has told this console. Ask an admin, or say that it is already granted.".to_owned(),
        list: Vec::new(),
        said: String::new(),
        at: None,
        tenant: None,
        tried: standing.tried.as_ref().map(|(consent, outcome)| {
            let (at, _) = stamp(consent);
            (at, outcome.sentence())
        }),
    };
    if let Some((roles, at)) = &standing.held {
        (verdict.kind, verdict.title) = ("ok", "Granted".to_owned());
        verdict.text = format!("The app's own token holds {}.", roles.join(", "));
        verdict.at = Some((*at, "by the token itself".to_owned()));
        return verdict;
    }
    let Some((consent, outcome)) = &standing.result else {
        if standing.signed_in.is_some() && !app_only {
            (verdict.kind, verdict.title) = ("ok", "Not asked for, and not needed so far".to_owned());
            verdict.text = "People have signed in and allowed the app themselves. Ask an admin if others aren't let in.".to_owned();
        }
        return verdict;
    };
    verdict.at = Some(stamp(consent));
    let who = organisation(provider, "The organisation");
    let (kind, title, text) = match outcome {
        Outcome::Granted { roles, .. } if !roles.is_empty() => (
            "ok",
            "Granted".to_owned(),
            format!("The app's own token holds {}.", roles.join(", ")),
        ),
        Outcome::Granted { .. } if standing.proved_at.is_some() => (
            "ok",
            "Granted".to_owned(),
            "Somebody has signed in since, so it is proved.".to_owned(),
        ),
        Outcome::Granted { .. } => (
            "said",
            format!("{who} allows this app"),
            "So the admin's browser said. The next sign-in proves it.".to_owned(),
        ),
        Outcome::Told if standing.proved_at.is_some() => (
            "ok",
            "Granted".to_owned(),
            "Somebody has signed in since, so it is proved.".to_owned(),
        ),
        Outcome::Told => (
            "said",
            "Granted, as somebody here said".to_owned(),
            "The next sign-in proves it.".to_owned(),
        ),
        Outcome::Missing { missing, .. } => {
            verdict.list.clone_from(missing);
            let text = if app_only {
                "The app's own token lacks these. Add them to the app's registration, then ask for consent again. (Where Exchange \
                 itself gives the app its rights, RBAC for Applications, the token may stay without them.)"
            } else {
                "These weren't allowed. Add them to the app's registration if they are missing there, then ask for consent again."
            };
            ("warn", "Permissions are missing".to_owned(), text.to_owned())
        }
        Outcome::Unproved { diagnosis, said, .. } => {
            verdict.list.clone_from(&diagnosis.remedy);
            verdict.said.clone_from(said);
            let text = format!(
                "The app's own token can't be had to look: {} {}",
                ended(&diagnosis.title),
                diagnosis.meaning
            );
            ("warn", "Not proved".to_owned(), text)
        }
        _ => return verdict,
    };
    (verdict.kind, verdict.title, verdict.text) = (kind, title, text);
    if let Outcome::Granted { tenant, .. } | Outcome::Missing { tenant, .. } | Outcome::Unproved { tenant, .. } = outcome {
        verdict.tenant.clone_from(tenant);
    }
    verdict
}

fn ended(title: &str) -> String {
    format!("{}.", title.trim_end_matches('.'))
}

/// The consent of a provider in short: for its own page, those of its tokens and the overview.
pub struct ConsentCard {
    /// The provider.
    pub provider: Name,
    /// Mark.
    pub kind: &'static str,
    /// In a few words.
    pub title: String,
    /// What it is.
    pub text: &'static str,
    /// When something was found out; what, and by whom.
    pub at: Option<(Timestamp, String)>,
    /// Whether an admin was asked who has not answered: when, and whether the link was opened.
    pub asked: Option<(Timestamp, bool)>,
}

/// The consent of a provider in short; none where it knows none.
pub async fn card(app: &App, provider: &Provider) -> StoreResult<Option<ConsentCard>> {
    if !consent::is_known(provider) {
        return Ok(None);
    }
    let app_only = consent::wanted(app, provider).await?.app_only;
    let standing = consent::standing(app, provider).await?;
    let asked = waits_for(app, provider, &standing).await?;
    let found = verdict(&standing, provider, app_only);
    Ok(Some(ConsentCard {
        provider: provider.name.clone(),
        kind: if asked.is_some() && found.kind == "todo" {
            "run"
        } else {
            found.kind
        },
        title: if asked.is_some() && found.kind == "todo" {
            "An admin was asked".to_owned()
        } else {
            found.title
        },
        text: if app_only {
            "An admin allows the app, once, to act by itself. Nobody signs in. Which mailboxes it opens is set apart from that."
        } else {
            "Many organisations let only an admin allow an app. It is done once, for everybody; each mailbox still needs its own sign-in."
        },
        at: standing.result.as_ref().map(|(consent, outcome)| {
            let (at, who) = stamp(consent);
            (at, format!("{} {who}", what(consent, outcome)))
        }),
        asked,
    }))
}

/// What was done, before who did it.
fn what(consent: &Consent, outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Told => "Told",
        // Nobody was sent anywhere.
        _ if consent.state_hash.is_none() => "Looked up",
        Outcome::Granted { .. } => "Consent given",
        _ => "An answer came",
    }
}

/// The newest link that an admin may still use, where there is no answer newer than it.
pub async fn waits_for(app: &App, provider: &Provider, standing: &Standing) -> StoreResult<Option<(Timestamp, bool)>> {
    let now = app.clock.now();
    let answered = standing.result.as_ref().and_then(|(consent, _)| consent.finished_at);
    let links = app.store.provider_links_of(&provider.id, LinkKind::Consent).await?;
    let open = links
        .into_iter()
        .find(|link| provider_links::state(link, provider, now) == LinkState::Ready);
    Ok(open
        .filter(|link| answered.is_none_or(|at| at < link.created_at))
        .map(|link| (link.created_at, link.opened_at.is_some())))
}

/// A link in a list.
pub struct Line {
    /// As it is stored.
    pub link: ProviderLink,
    /// Mark.
    pub kind: &'static str,
    /// Its state.
    pub words: &'static str,
    /// Whether it can still be used.
    pub ready: bool,
}

/// A link as a list shows it.
pub fn line(link: ProviderLink, provider: &Provider, now: Timestamp) -> Line {
    let state = provider_links::state(&link, provider, now);
    let (kind, words) = match state {
        LinkState::Ready if link.opened_at.is_some() => ("run", "Opened"),
        LinkState::Ready => ("todo", "Ready"),
        LinkState::Used => ("ok", "Used"),
        LinkState::Ended => ("off", "Ended"),
        LinkState::Withdrawn => ("off", "Withdrawn"),
    };
    Line {
        link,
        kind,
        words,
        ready: state == LinkState::Ready,
    }
}
