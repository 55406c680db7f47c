//! `/mailboxes/{name}`: what a mailbox is set to, how it does, and what was seen last.

use super::find;
use super::form::fix_query;
use super::former::{self, FormerView};
use super::list::{half_words, state_kind, state_words};
use super::trips::{Trips, trips};
use crate::actions::access_token::{not_granted, side_scopes};
use crate::actions::ahead::{self, Warned};
use crate::actions::judgement;
use crate::actions::mailboxes::describe;
use crate::actions::probe::stored_settings;
use crate::app::App;
use crate::model::limits::{self, Limit, Service};
use crate::model::mailbox::{Auth, Endpoint, Mailbox, MailboxState, Security, Side, SideState};
use crate::model::report::{Direction, Outcome, Report};
use crate::model::token::GrantState;
use crate::model::user::Permission;
use crate::store::StoreResult;
use crate::store::checks::CountKind;
use crate::store::findings::Finding;
use crate::store::reports::RunFilter;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::changes::{ChangeLine, Names};
use crate::web::pages::diagnosis::{Again, DiagnosisView, as_of_run};
use crate::web::pages::history::{History, MONTH, history};
use crate::web::pages::providers::refused_words;
use crate::web::pages::radar::Retiring;
use crate::web::pages::tests::last_run;
use crate::web::pages::tests::view::{LastRun, numbers};
use crate::web::time::date_words;
use crate::web::{WebState, routes};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

/// What a mailbox is after a change, until its next test; when it was checked before says nothing about it now.
const CHANGED: &str = "Not tested, since the change";
/// The same where nothing was changed: what its last test failed with is over, because its provider or its token is in order again.
const OVER: &str = "Not tested since its problem ended";
/// What a side says then.
const OVER_NOTE: &str = "What the last test failed with is over: the provider or the token is in order again.";
/// How many runs and changes are listed?
const RUNS: i64 = 6;
const CHANGES: i64 = 6;

/// One side as the page shows it.
struct SideView {
    direction: &'static str,
    title: &'static str,
    server: String,
    login: String,
    kind: &'static str,
    words: &'static str,
    note: String,
    state: SideState,
    /// Whose limits, and the limits.
    service: &'static str,
    limits: Vec<&'static Limit>,
}

/// How a side signs in.
struct SignIn {
    token: String,
    account: String,
    kind: &'static str,
    words: &'static str,
    missing: String,
}

#[derive(Template)]
#[template(path = "mailboxes/show.html")]
struct ShowPage {
    layout: Layout,
    mailbox: Mailbox,
    kind: &'static str,
    verdict: String,
    problems: Vec<DiagnosisView>,
    formers: Vec<FormerView>,
    retiring: Vec<Retiring>,
    /// What is bound to fail, with the address that leads to the fix.
    ahead: Vec<(Warned, String)>,
    sides: Vec<SideView>,
    sign_ins: Vec<SignIn>,
    seen: Vec<(String, String)>,
    seen_at: Option<crate::clock::Timestamp>,
    /// How checks ended within thirty days; none where there were none.
    history: Option<History>,
    /// Messages to itself; none where it sends none and never has.
    trips: Option<Trips>,
    /// What the weekly look found; none before the first.
    finding: Option<Finding>,
    runs: Vec<LastRun>,
    changes: Vec<ChangeLine>,
    /// Who may test, for somebody who may not.
    cannot_test: Option<String>,
}

/// `GET /mailboxes/{name}`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let app = &web.app;
    let mailbox = find(app, &name).await?;
    let layout = user
        .layout(Section::Mailboxes, &mailbox.address)
        .await
        .crumb("Mailboxes", "/mailboxes");
    let sides: Vec<SideView> = [
        (Direction::Incoming, &mailbox.incoming, &mailbox.incoming_state),
        (Direction::Outgoing, &mailbox.outgoing, &mailbox.outgoing_state),
    ]
    .into_iter()
    .filter_map(|(direction, side, state)| side.as_ref().map(|side| side_view(&mailbox, direction, side, state)))
    .collect();
    let runs = app
        .store
        .runs(&RunFilter {
            mailbox: Some(mailbox.id.clone()),
            limit: RUNS,
            ..RunFilter::default()
        })
        .await?;
    let (seen, seen_at) = seen(app, &mailbox).await?;
    let changes = app.store.audit_rows_of(&format!("mailbox:{}", mailbox.name), CHANGES).await?;
    let names = Names::load(app).await?;
    let problems = problems(&user, app, &mailbox).await?;
    let mut ahead = ahead::of_mailbox(app, &mailbox).await?;
    // What a failed test has shown needs no warning.
    ahead.retain(|one| !problems.iter().any(|problem| problem.title == one.title));
    ShowPage {
        kind: state_kind(mailbox.state),
        verdict: verdict(&mailbox),
        problems,
        formers: former::views(app, &mailbox).await?,
        sign_ins: sign_ins(app, &mailbox).await?,
        retiring: Retiring::all(app.store.changes_of(&mailbox.id).await?, app.clock.now()),
        ahead: ahead.into_iter().map(|one| with_fix(one, &mailbox)).collect(),
        history: checks_of(app, &mailbox).await?,
        trips: trips(app, &mailbox).await?,
        finding: app.store.finding(&mailbox.id).await?,
        runs: runs.iter().map(last_run).collect(),
        changes: changes.into_iter().map(|row| names.line(row)).collect(),
        cannot_test: user.cannot(Permission::MailboxTest).await,
        sides,
        seen,
        seen_at,
        layout,
        mailbox,
    }
    .show()
}

/// How the checks of the last thirty days ended.
async fn checks_of(app: &App, mailbox: &Mailbox) -> StoreResult<Option<History>> {
    let now = app.clock.now();
    let counts = app
        .store
        .check_counts(CountKind::MailboxDay, mailbox.id.as_str(), MONTH.first(now))
        .await?;
    Ok((!counts.is_empty()).then(|| history(&counts, MONTH, now)))
}

/// A warning with the address of its fix: elsewhere, or the form with it put in.
fn with_fix(one: Warned, mailbox: &Mailbox) -> (Warned, String) {
    let href = match one.fix.map(fix_query) {
        Some(query) => format!("{}/edit?{query}", routes::mailbox(mailbox.name.as_str())),
        None => one.href.clone(),
    };
    (one, href)
}

fn side_view(mailbox: &Mailbox, direction: Direction, side: &Side, state: &SideState) -> SideView {
    let incoming = direction == Direction::Incoming;
    let protocol = side.server.protocol().label();
    let (kind, words, note) = match state.outcome {
        Some(Outcome::Failed) => ("bad", "Failing", state.problem.clone().unwrap_or_default()),
        Some(_) => ("ok", "Working", String::new()),
        None if is_over(mailbox, state) => ("todo", "Not tested", OVER_NOTE.to_owned()),
        None if state.run.is_some() => ("todo", "Not tested", "The settings have changed since the last test.".to_owned()),
        None => ("todo", "Not tested", String::new()),
    };
    let service = Service::of(&side.server);
    let with_token = matches!(side.auth, Auth::OAuth2 { .. });
    let limits = service.map(|service| limits::of_side(service, side.server.protocol(), direction, with_token).collect());
    SideView {
        service: service.map_or("", Service::label),
        limits: limits.unwrap_or_default(),
        direction: direction.as_str(),
        title: if incoming { "Incoming" } else { "Outgoing" },
        server: match side.server.endpoint() {
            Some(endpoint) => format!("{protocol} at {}, port {}, {}", endpoint.host, endpoint.port, encryption(endpoint)),
            None => protocol.to_owned(),
        },
        login: mailbox.login(side).to_owned(),
        kind,
        words,
        note,
        state: state.clone(),
    }
}

fn encryption(endpoint: &Endpoint) -> &'static str {
    match endpoint.security {
        Security::Tls => "TLS from the start",
        Security::Starttls => "STARTTLS",
        Security::None => "unencrypted",
    }
}

/// Whether the result of a side says nothing any more though neither the mailbox, nor its token, nor its provider was changed since.
fn is_over(mailbox: &Mailbox, state: &SideState) -> bool {
    state.outcome.is_none() && state.run.is_some() && state.tested_at.is_some_and(|at| at > mailbox.changed_at)
}

fn verdict(mailbox: &Mailbox) -> String {
    let (incoming, outgoing) = (&mailbox.incoming_state, &mailbox.outgoing_state);
    let old = |state: &SideState| state.run.is_some() && state.outcome.is_none();
    let over = |state: &SideState| is_over(mailbox, state);
    let both = mailbox.incoming.is_some() && mailbox.outgoing.is_some();
    let text = match (mailbox.state, incoming.outcome, outgoing.outcome) {
        (MailboxState::Partly, Some(Outcome::Failed), Some(_)) => "Sends mail, but can't read",
        (MailboxState::Partly, Some(Outcome::Failed), None) => "Can't read mail, sending is not tested",
        (MailboxState::Partly, Some(_), _) => "Reads mail, but can't send",
        (MailboxState::Partly, None, _) => "Can't send mail, reading is not tested",
        (MailboxState::NotTested, Some(Outcome::Passed | Outcome::Warning), None) if both => half_words(Direction::Incoming),
        (MailboxState::NotTested, None, Some(Outcome::Passed | Outcome::Warning)) if both => half_words(Direction::Outgoing),
        (MailboxState::NotTested, ..) if over(incoming) || over(outgoing) => OVER,
        (MailboxState::NotTested, ..) if old(incoming) || old(outgoing) => CHANGED,
        (state, ..) => state_words(state),
    };
    text.to_owned()
}

/// What is wrong with the sides whose last test failed; one cause once.
async fn problems(user: &CurrentUser, app: &App, mailbox: &Mailbox) -> Result<Vec<DiagnosisView>, PageError> {
    let mut problems: Vec<DiagnosisView> = Vec::new();
    for (direction, state) in [
        (Direction::Incoming, &mailbox.incoming_state),
        (Direction::Outgoing, &mailbox.outgoing_state),
    ] {
        let (Some(Outcome::Failed), Some(id)) = (state.outcome, &state.run) else {
            continue;
        };
        let title = state.problem.clone().unwrap_or_else(|| "The test failed".to_owned());
        if problems.iter().any(|known| known.title == title) {
            continue;
        }
        let key = format!("problem-{direction}");
        let run = app.store.run(id).await?;
        let report: Option<Report> = run.as_ref().and_then(|run| serde_json::from_str(&run.report).ok());
        let found = report.as_ref().and_then(|report| report.diagnosis.as_ref());
        let mut view = match (&run, &report, found) {
            (Some(run), Some(report), Some(found)) => {
                let mut scene = judgement::scene_of_mailbox(app, mailbox, direction).await?;
                as_of_run(&mut scene, &stored_settings(run), report);
                if !user.may(Permission::LogRead) {
                    scene.said.clear();
                }
                let again = Again::mailbox(mailbox.name.as_str(), direction, &app.random.base64url(12));
                let view = DiagnosisView::new(user, &key, found, &scene).await;
                view.again(user, Permission::MailboxTest, again)
            }
            _ => DiagnosisView {
                key,
                title,
                ..DiagnosisView::default()
            },
        };
        view.since = mailbox.failing_since;
        view.more = Some((routes::run(id.as_str()), "Open the test"));
        problems.push(view);
    }
    Ok(problems)
}

async fn sign_ins(app: &App, mailbox: &Mailbox) -> Result<Vec<SignIn>, PageError> {
    let mut found: Vec<SignIn> = Vec::new();
    for (direction, side) in [(Direction::Incoming, &mailbox.incoming), (Direction::Outgoing, &mailbox.outgoing)] {
        let Some(side) = side else {
            continue;
        };
        let Auth::OAuth2 { token_id, token: name } = &side.auth else {
            continue;
        };
        let (Some(token), grant) = (app.store.token_by_id(token_id).await?, app.store.grant(token_id).await?) else {
            continue;
        };
        let provider = app.store.provider_by_id(&token.provider_id).await?;
        let (kind, words) = match grant.as_ref().map(|grant| grant.state) {
            None if !token.grant.needs_person() => ("todo", "No token yet, the first use gets it"),
            None => ("todo", "Nobody has signed in yet"),
            Some(GrantState::Active) => ("ok", "Works"),
            Some(GrantState::Failing) => ("warn", "Renewal fails"),
            Some(GrantState::Revoked) => ("bad", refused_words(token.grant)),
        };
        let missing = match (&provider, &grant) {
            (Some(provider), Some(grant)) if !grant.granted_scopes.is_empty() => {
                let needed = side_scopes(&token, provider, direction, side.server.protocol());
                not_granted(provider, &needed, grant).join(" ")
            }
            _ => String::new(),
        };
        if let Some(known) = found.iter_mut().find(|known| known.token == name.as_str()) {
            if !missing.is_empty() && !known.missing.contains(&missing) {
                known.missing = format!("{} {missing}", known.missing).trim().to_owned();
            }
            continue;
        }
        found.push(SignIn {
            token: name.to_string(),
            account: match grant {
                Some(grant) if token.grant.needs_person() => grant.identity.account().to_owned(),
                _ => token.user.unwrap_or_else(|| "the app itself".to_owned()),
            },
            kind,
            words,
            missing,
        });
    }
    Ok(found)
}

/// What the last test that read found, also where the settings changed since, and where checks only opened the mailbox since.
async fn seen(app: &App, mailbox: &Mailbox) -> Result<(Vec<(String, String)>, Option<crate::clock::Timestamp>), PageError> {
    let read = match &mailbox.incoming {
        Some(_) => app.store.last_read(&mailbox.id).await?,
        None => None,
    };
    let Some(run) = read else {
        return Ok((Vec::new(), None));
    };
    let report: Option<Report> = serde_json::from_str(&run.report).ok();
    Ok((report.map(|report| numbers(&report)).unwrap_or_default(), run.finished_at))
}

impl ShowPage {
    fn is_changed(&self) -> bool {
        [CHANGED, OVER].contains(&self.verdict.as_str())
    }

    /// The defaults, and whatever else has no block of its own.
    fn defaults(&self) -> Vec<(&'static str, String)> {
        let wanted = ["Folder", "Default From", "Default Bcc", "Tags", "Message to itself"];
        let lines = describe(&self.mailbox).into_iter();
        lines.filter(|(label, value)| wanted.contains(label) && !value.is_empty()).collect()
    }

    fn as_of(&self, limit: &Limit) -> String {
        date_words(limit.as_of)
    }

    fn has_password(&self) -> bool {
        [&self.mailbox.incoming, &self.mailbox.outgoing]
            .into_iter()
            .flatten()
            .any(|side| matches!(side.auth, Auth::Password { .. }))
    }
}
