//! `/about`: the version, what the console does by itself and when it last did it, and the checks of `mailgrant doctor`. Those reach out
//! to servers, so they run when somebody asks, and what they found is kept until the next time.

use crate::actions::doctor::{Check, Verdict, examine_for};
use crate::actions::settings;
use crate::clock::Timestamp;
use crate::model::build;
use crate::model::settings::CHECK_INTERVAL;
use crate::model::user::Permission;
use crate::store::Engine;
use crate::store::instances::Instance;
use crate::store::turns::Turn;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, Nothing};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::health;
use crate::web::routes::{Access, Routes};
use crate::worker;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long may the checks take? A page has to be answered within half a minute.
const LONGEST: Duration = Duration::from_secs(25);
/// For how many seconds do their findings count as new?
const FRESH: i64 = 60;

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    Routes::new().get("/about", view, show).get("/about/licences", view, licences).post(
        "/about/check",
        Access::Permission(Permission::MailboxTest),
        check,
    )
}

/// What the program is built with, a name and its licence a line.
const THIRD_PARTY: &str = include_str!("about/licences.txt");

/// The names under each licence, the licence with most of them first.
fn third_party() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, licence) in THIRD_PARTY.lines().filter_map(|line| line.split_once('\t')) {
        match all.iter_mut().find(|(known, _)| *known == licence) {
            Some((_, names)) => names.push(name),
            None => all.push((licence, vec![name])),
        }
    }
    all.sort_by_key(|(licence, names)| (Reverse(names.len()), *licence));
    all
}

#[derive(Template)]
#[template(path = "about/licences.html")]
struct LicencesPage {
    layout: Layout,
    licence: &'static str,
    third_party: Vec<(&'static str, Vec<&'static str>)>,
}

/// `GET /about/licences`.
pub async fn licences(user: CurrentUser) -> Result<Response, PageError> {
    LicencesPage {
        layout: user.layout(Section::About, "Licences").await.crumb("About and health", "/about"),
        licence: build::LICENCE,
        third_party: third_party(),
    }
    .show()
}

/// What the checks found when they last ran, and who runs them now: they reach out to servers, so one at a time.
#[derive(Default)]
pub struct LastChecks(Mutex<Option<(Timestamp, Vec<Check>)>>, tokio::sync::Mutex<()>);

impl LastChecks {
    fn get(&self) -> Option<(Timestamp, Vec<Check>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, at: Timestamp, checks: Vec<Check>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, checks));
    }
}

/// A worker, as the page shows it.
struct Worker {
    name: &'static str,
    /// What it does.
    what: &'static str,
    kind: &'static str,
    words: String,
    at: Timestamp,
}

#[derive(Template)]
#[template(path = "about/index.html")]
struct AboutPage {
    layout: Layout,
    version: String,
    licence: &'static str,
    engine: &'static str,
    base_url: String,
    instances: Vec<Instance>,
    workers: Vec<Worker>,
    /// How many checks of mailboxes are due, and since when the first of them has been.
    due: (i64, Option<Timestamp>),
    interval: i64,
    checks: Option<(Timestamp, Vec<Check>)>,
    /// What the script compares the browser's clock with.
    now: Timestamp,
    /// What `/health/ready` says is failing here.
    failing: Vec<&'static str>,
    /// To whom `/metrics` is open.
    metrics: &'static str,
    support: String,
    cannot_check: Option<String>,
}

impl AboutPage {
    fn kind(&self, check: &Check) -> &'static str {
        match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warn",
            Verdict::Failed => "bad",
        }
    }

    fn words(&self, check: &Check) -> &'static str {
        match check.verdict {
            Verdict::Ok => "Sound",
            Verdict::Warning => "Needs attention",
            Verdict::Failed => "There is a problem",
        }
    }
}

/// `GET /about`.
pub async fn show(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let app = &web.app;
    let workers = app.workers.passes().into_iter().map(|(name, pass)| Worker {
        name,
        what: worker::words(name),
        kind: if pass.problem.is_some() { "bad" } else { "ok" },
        words: pass.problem.unwrap_or_default(),
        at: pass.ended_at,
    });
    let page = AboutPage {
        layout: user.layout(Section::About, "About and health").await,
        version: build::words(),
        licence: build::LICENCE,
        engine: match app.store.engine() {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        },
        base_url: web.url(""),
        instances: app.store.instances().await?,
        workers: workers.collect(),
        due: app.store.overdue_turns(Turn::Check, app.clock.now()).await?,
        interval: settings::number(app, &CHECK_INTERVAL).await?,
        checks: web.last_checks.get(),
        now: app.clock.now(),
        failing: health::failing(app).await,
        metrics: match (app.config.metrics_listen, app.config.metrics_networks.is_empty()) {
            (None, true) => "closed; the settings metrics_listen and metrics_networks open it",
            (Some(_), true) => "open at an address of its own, metrics_listen",
            (None, false) => "open to callers from metrics_networks",
            (Some(_), false) => "open at an address of its own, metrics_listen, and to callers from metrics_networks",
        },
        support: String::new(),
        cannot_check: user.cannot(Permission::MailboxTest).await,
    };
    AboutPage {
        support: support(&page),
        ..page
    }
    .show()
}

/// The same as text, for whoever is asked for help: no names of people, mailboxes or hosts of others.
fn support(page: &AboutPage) -> String {
    let mut lines = vec![
        format!("Mailgrant {}", page.version),
        format!("database: {}", page.engine),
        format!("instances: {}", page.instances.len()),
        format!("checks due: {}", page.due.0),
    ];
    for worker in &page.workers {
        // What the database said can name hosts and people.
        let state = if worker.words.is_empty() { "ok" } else { "failed" };
        lines.push(format!("worker {}: {state}, {}", worker.name, worker.at.to_rfc3339()));
    }
    if let Some((at, checks)) = &page.checks {
        lines.push(format!("checked: {}", at.to_rfc3339()));
        // What was found can name providers, people and servers; how it ended can't.
        let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
        for (verdict, word) in [
            (Verdict::Ok, "sound"),
            (Verdict::Warning, "need attention"),
            (Verdict::Failed, "failed"),
        ] {
            lines.push(format!("{word}: {}", count(verdict)));
        }
    }
    lines.join("\n")
}

/// `POST /about/check`: runs every check.
pub async fn check(State(web): State<WebState>, user: CurrentUser, CsrfForm(_): CsrfForm<Nothing>) -> Result<Response, PageError> {
    let app = &web.app;
    let now = app.clock.now();
    let Ok(_alone) = web.last_checks.1.try_lock() else {
        return user.redirect_with("/about", Flash::info("The checks are running already.")).await;
    };
    if web.last_checks.get().is_some_and(|(at, _)| (0..FRESH).contains(&now.since(at))) {
        return user
            .redirect_with("/about", Flash::info("Everything was looked at less than a minute ago."))
            .await;
    }
    let found = tokio::time::timeout(LONGEST, examine_for(app, &user.actor())).await;
    let flash = match found {
        Ok(checks) => {
            web.last_checks.set(now, checks?);
            Flash::ok("Everything was looked at.")
        }
        Err(_) => Flash::bad("The checks took longer than 25 seconds. On this machine run mailgrant doctor, which takes its time."),
    };
    user.redirect_with("/about", flash).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_the_program_is_built_with_is_left_out() {
        let lock = include_str!("../../../Cargo.lock");
        let names = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        let listed: Vec<&str> = THIRD_PARTY
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, _)| name)
            .collect();
        let missing: Vec<&str> = names
            .filter(|name| *name != env!("CARGO_PKG_NAME") && !listed.contains(name))
            .collect();
        assert!(
            missing.is_empty(),
            "put these and their licences into about/licences.txt: {missing:?}"
        );
        assert!(third_party().iter().all(|(licence, _)| !licence.is_empty()));
    }
}
