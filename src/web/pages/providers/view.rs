//! How a provider stands, in a mark and a sentence; and what is wrong with it.

use crate::actions::judgement;
use crate::actions::providers::lint::SECRET_ENDS_SOON;
use crate::actions::providers::trial::Check;
use crate::app::App;
use crate::diagnosis::ways::Scene;
use crate::model::Date;
use crate::model::provider::{ClientAuth, Provider};
use crate::model::report::{Diagnosis, Outcome, Stage};
use crate::model::token::GrantType;
use crate::model::user::Permission;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::pages::diagnosis::{Again, DiagnosisView};

/// How a provider stands.
pub(super) struct Standing {
    /// Mark.
    pub kind: &'static str,
    /// The verdict.
    pub title: String,
    /// What it means, in a sentence or two.
    pub text: String,
    /// Whether replacing the secret is what helps.
    pub replace: bool,
}

impl Standing {
    fn new(kind: &'static str, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind,
            title: title.into(),
            text: text.into(),
            replace: false,
        }
    }

    fn replace(self) -> Self {
        Self { replace: true, ..self }
    }
}

/// The verdict on a provider: its problem, its secret's end, then its last check.
/// `proved`: somebody signed in, or a token was renewed, with the settings as they are now.
pub(super) fn standing(provider: &Provider, check: Option<&Check>, proved: bool, today: Date) -> Standing {
    if provider.problem.is_some() {
        let (title, text, secret) = match provider.problem_found() {
            Some(found) => {
                let secret = is_about_proof(&found);
                (found.title, found.meaning, secret)
            }
            None => ("The provider refuses this app".to_owned(), String::new(), false),
        };
        let standing = Standing::new("bad", title, format!("{text} All tokens of this provider wait until it is mended."));
        return if secret { standing.replace() } else { standing };
    }
    let noun = match provider.client_auth {
        ClientAuth::Certificate => "Certificate",
        _ => "Client secret",
    };
    if provider.client_auth == ClientAuth::Certificate && provider.held().is_none() {
        let text = "The app can't prove itself without one. Create it here, or upload one.";
        return Standing::new("todo", "No certificate yet", text).replace();
    }
    let end = provider.client_secret_expires.filter(|_| provider.client_auth != ClientAuth::None);
    match end.map(|date| (date.days_after(today), date)) {
        Some((_, date)) if date.has_ended(today) => {
            let text = format!("It ended on {date}. Nothing can be renewed until there is a new one.");
            return Standing::new("bad", format!("{noun} has ended"), text).replace();
        }
        Some((days, date)) if days <= SECRET_ENDS_SOON / 2 => {
            let unit = if days == 1 { "day" } else { "days" };
            let text = format!("It ends on {date}. Make a new one and put it in before that.");
            return Standing::new("warn", format!("{noun} ends in {days} {unit}"), text).replace();
        }
        _ => {}
    }
    match check {
        _ if proved => Standing::new("ok", "Works", "The provider gives tokens with these settings."),
        Some(check) if check.version != provider.version => Standing::new(
            "todo",
            "Not checked since the change",
            "The last check was made with other settings.",
        ),
        Some(check) if check.failed() => Standing::new("bad", "The last check found a problem", "See the step that failed below."),
        Some(_) => Standing::new(
            "ok",
            "Works as far as it can be checked",
            match provider.grant {
                GrantType::ClientCredentials | GrantType::JwtBearer => "The rest is proved by the tests of mailboxes.",
                _ => "The rest is proved by the first sign-in.",
            },
        ),
        None => Standing::new(
            "todo",
            "Not checked yet",
            match (provider.grant, provider.client_auth) {
                (GrantType::JwtBearer, _) => "A check shows whether the service account's key is accepted.",
                (_, ClientAuth::Certificate) => "A check shows whether the app is known and its certificate accepted.",
                (GrantType::Password | GrantType::DeviceCode, ClientAuth::None) => {
                    "A check shows whether the tenant exists. The rest is proved by the first sign-in."
                }
                (_, ClientAuth::None) => "A check shows whether the app is known.",
                _ => "A check shows whether the app is known and its secret accepted.",
            },
        ),
    }
}

/// Whether a refusal is about what the app proves itself with.
pub(in crate::web::pages) fn is_about_proof(found: &Diagnosis) -> bool {
    ["secret", "certificate", "700027"].iter().any(|word| found.id.contains(word))
}

/// Why the provider refuses the app, and what the last check found; one cause once.
pub(super) async fn diagnoses(
    user: &CurrentUser,
    app: &App,
    provider: &Provider,
    check: Option<&Check>,
) -> Result<Vec<DiagnosisView>, PageError> {
    let problem = provider.problem_found();
    let current = check.filter(|check| check.version == provider.version);
    let failed = current.into_iter().flat_map(|check| &check.steps).find_map(|step| {
        let found = step.diagnosis.clone()?;
        Some((found, step.said.clone()))
    });
    let failed = failed.filter(|(found, _)| problem.as_ref().is_none_or(|problem| problem.id != found.id));
    let told = [("problem", problem.map(|found| (found, String::new()))), ("failed", failed)];
    let mut views = Vec::new();
    for (key, found) in told {
        if let Some((found, said)) = found {
            let scene = Scene {
                step: Some(Stage::Token),
                said,
                ..judgement::scene_of_provider(app, provider).await?
            };
            let mut view = DiagnosisView::new(user, key, &found, &scene).await;
            if key == "problem" {
                view = view.note("All tokens of this provider wait until it is mended.");
                view.since = provider.problem_since;
            }
            let again = Again::provider(provider.name.as_str());
            views.push(view.again(user, Permission::ProviderEdit, again));
        }
    }
    Ok(views)
}

/// The mark of a step.
pub(super) fn mark(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "ok",
        Outcome::Warning => "warn",
        Outcome::Failed => "bad",
        Outcome::Skipped => "skip",
    }
}

/// How the row of a step looks.
pub(super) fn css(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Failed => "fail",
        Outcome::Skipped => "wait",
        Outcome::Passed | Outcome::Warning => "",
    }
}
