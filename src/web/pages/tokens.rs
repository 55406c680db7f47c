//! `/tokens`: list and page of one; testing and renewing it is in `pressed`. The form is in [`edit`], logging out and deleting in [`remove`].

pub(super) mod abilities;
pub mod alone;
pub(super) mod commands;
mod conflict;
mod device;
pub mod edit;
mod ends;
pub mod fix;
pub(in crate::web::pages) mod list;
mod permissions;
mod pressed;
mod prove;
mod refusal;
pub mod remove;
mod saved;
pub mod verdict;
mod ways;

pub(super) use list::in_a_row;
pub use list::index;
pub(super) use verdict::STUCK;

use super::consent::view::{ConsentCard, card};
use super::providers::edit::secret_words;
use crate::actions::access_token::{self, missing_scopes, next_press};
use crate::actions::links::LinkState;
use crate::actions::providers::Warning;
use crate::actions::{links, tokens};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::Name;
use crate::model::mailbox::Mailbox;
use crate::model::provider::Provider;
use crate::model::token::{Authorization, Grant, GrantType, Link, Prompt, Token, TokenEvent, TokenEventKind};
use crate::model::user::Permission as May;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::FieldErrors;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::diagnosis::DiagnosisView;
use crate::web::routes::{Access, Routes};
use crate::web::time::Html;
use abilities::Abilities;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use commands::Command;
use device::{Device, Ended};
use ends::{Lapse, heard};
use permissions::{Permission, permissions};
use prove::{ProofForm, Proving};
use verdict::{Seen, Verdict, verdict};

/// How many lines of its history a token's page shows.
const EVENTS: i64 = 60;
/// How many renewals in a row are shown unfolded.
const RENEWALS: usize = 3;

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(May::View);
    let change = Access::Permission(May::TokenEdit);
    Routes::new()
        .get("/tokens", view, index)
        .get("/tokens/new", change, edit::new)
        .post("/tokens/new", change, edit::create)
        .get("/tokens/{name}", view, show)
        .get("/tokens/{name}/edit", change, edit::edit)
        .post("/tokens/{name}/edit", change, edit::update)
        .get("/tokens/{name}/commands", view, commands::download)
        .post("/tokens/{name}/test", Access::Permission(May::MailboxTest), pressed::test)
        .post("/tokens/{name}/renew", Access::Permission(May::TokenAuthorize), pressed::renew)
        .post("/tokens/{name}/prove", Access::Permission(May::MailboxTest), prove::submit)
        .post("/tokens/{name}/get", Access::Permission(May::TokenAuthorize), alone::get)
        .get("/tokens/{name}/remove", change, remove::confirm)
        .post("/tokens/{name}/remove", change, remove::remove)
        .get("/tokens/{name}/delete", change, remove::confirm_delete)
        .post("/tokens/{name}/delete", change, remove::delete)
}

/// The token of an address with its provider, or 404.
pub(super) async fn find(app: &App, name: &str) -> Result<(Token, Provider), PageError> {
    let missing = || PageError::Missing("There is no such token. It may have been deleted.".to_owned());
    let name = Name::parse(name).map_err(|_| missing())?;
    let token = app.store.token(&name).await?.ok_or_else(missing)?;
    let provider = app.store.provider_by_id(&token.provider_id).await?.ok_or_else(missing)?;
    Ok((token, provider))
}

/// The prompts a provider understands, for the choice at a sign-in.
pub(super) fn prompts(provider: &Provider) -> Vec<(&'static str, String)> {
    use crate::model::template::TemplateKind;
    let decides = format!("Let {} decide", provider.template.short_name());
    let all = [
        ("select_account", "Choose the account (select_account)".to_owned()),
        ("consent", "Ask for consent again (consent)".to_owned()),
        ("login", "Ask for the password (login)".to_owned()),
        ("none", "Show no page (none)".to_owned()),
        ("", decides),
    ];
    let known = |(word, _): &(&'static str, String)| !(*word == "login" && provider.template == TemplateKind::Google);
    all.into_iter().filter(known).collect()
}

/// A line of the history.
struct Line {
    kind: &'static str,
    words: &'static str,
    event: TokenEvent,
}

fn line(event: TokenEvent) -> Line {
    let (kind, words) = match event.kind {
        TokenEventKind::Changed => ("said", "Changed"),
        TokenEventKind::Authorized => ("ok", "Authorized"),
        TokenEventKind::Refused => ("bad", "Sign-in refused"),
        TokenEventKind::Renewed => ("ok", "Renewed"),
        TokenEventKind::Failed => ("warn", "Renewal failed"),
        TokenEventKind::Revoked => ("bad", "Ended by the provider"),
        TokenEventKind::Removed => ("off", "Removed"),
        TokenEventKind::Imported => ("ok", "Brought along"),
    };
    Line { kind, words, event }
}

/// A sign-in link, as its sender sees it.
struct LinkLine {
    link: Link,
    words: &'static str,
    kind: &'static str,
    ready: bool,
}

#[derive(Template)]
#[template(path = "tokens/show.html")]
struct ShowPage {
    layout: Layout,
    account: String,
    errors: FieldErrors,
    way: &'static str,
    alone: bool,
    verdict: Verdict,
    /// Why it doesn't work.
    diagnosis: Option<DiagnosisView>,
    /// Whether that says all that the verdict would.
    is_told: bool,
    abilities: Abilities,
    commands: Vec<Command>,
    /// Whether there are more mailboxes than are written out.
    commands_cut: bool,
    object_known: bool,
    proving: Proving,
    attempt: Option<Authorization>,
    attempt_is_mine: bool,
    by_device: bool,
    device: Option<Device>,
    ended: Option<Ended>,
    prompts: Vec<(&'static str, String)>,
    preset: Prompt,
    warnings: Vec<Warning>,
    permissions: Vec<Permission>,
    granted_at: Option<Timestamp>,
    lines: Vec<Line>,
    folded: Vec<Line>,
    links: Vec<LinkLine>,
    expected: bool,
    access: String,
    lapse: Option<Lapse>,
    secret: Option<Html>,
    secret_set: String,
    key: String,
    revocable: bool,
    mailboxes: Vec<Mailbox>,
    /// The admin consent of its provider, where that knows one.
    consent: Option<ConsentCard>,
    grant: Option<Grant>,
    provider: Provider,
    token: Token,
}

/// `GET /tokens/{name}`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    page(&web, &user, &name, ProofForm::default(), FieldErrors::default()).await?.show()
}

async fn page(web: &WebState, user: &CurrentUser, name: &str, proof: ProofForm, errors: FieldErrors) -> Result<ShowPage, PageError> {
    let (token, provider) = find(&web.app, name).await?;
    let store = &web.app.store;
    let now = web.app.clock.now();
    let grant = store.grant(&token.id).await?;
    let mailboxes = store.mailboxes_of_token(&token.id).await?;
    let attempt = store.latest_authorization(&token.id).await?;
    let links = store.links_of(&token.id).await?;
    let open = attempt.as_ref().is_some_and(|a| a.outcome.is_empty() && a.expires_at > now);
    let missing = grant
        .as_ref()
        .map(|grant| missing_scopes(&token, &provider, grant))
        .unwrap_or_default();
    let account = token.user.clone().unwrap_or_else(|| token.name.to_string());
    let layout = user.layout(Section::Tokens, &account).await.crumb("Tokens", "/tokens");
    let layout = if errors.is_empty() { layout } else { layout.error() };
    let abilities = abilities::abilities(&web.app, &token, &provider, grant.as_ref(), &mailboxes);
    let object_id = abilities::object_id(&abilities);
    let heard = heard(&web.app, &provider);
    let verdict = verdict(&Seen {
        token: &token,
        provider: &provider,
        grant: grant.as_ref(),
        state: access_token::state(token.grant, grant.as_ref(), open, now),
        missing: &missing,
        attempt: attempt.as_ref(),
        links: &links,
        heard: heard.as_ref(),
        now,
        zone: &layout.zone,
    });
    let diagnosis = refusal::of(web, user, &token, &provider, grant.as_ref(), attempt.as_ref(), &verdict).await?;
    let (lines, folded) = history(store.token_events(&token.id, EVENTS).await?);
    let expected = grant.as_ref().is_some_and(|grant| {
        let names = [grant.identity.username.as_deref(), grant.identity.email.as_deref()];
        names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(&account))
    });
    let mine = |a: &Authorization| a.session_hash.as_deref() == Some(user.session_hash());
    Ok(ShowPage {
        commands: commands::commands(&token, &provider, object_id, &mailboxes, commands::SHOWN),
        commands_cut: mailboxes.len() > commands::SHOWN,
        object_known: object_id.is_some(),
        proving: prove::proving(&web.app, &token, &mailboxes, proof).await?,
        is_told: diagnosis.is_some() && !verdict.beside.is_empty() && !open,
        diagnosis,
        abilities,
        errors,
        way: alone::way(token.grant),
        alone: !token.grant.needs_person(),
        attempt_is_mine: attempt.as_ref().is_some_and(mine),
        by_device: token.grant == GrantType::DeviceCode,
        device: attempt
            .as_ref()
            .filter(|a| open && a.at_device())
            .map(|a| Device::new(&web.app, user, &provider, a)),
        ended: attempt.as_ref().and_then(|a| Ended::new(a, &token, &provider, grant.as_ref(), now)),
        attempt: attempt.filter(|a| open && a.link_id.is_none() && !a.at_device()),
        prompts: prompts(&provider),
        preset: verdict.prompt,
        warnings: tokens::lint(&token, &provider),
        permissions: permissions(&token, &provider, grant.as_ref(), &mailboxes),
        granted_at: grant.as_ref().and_then(|grant| grant.authorized_at),
        lines,
        folded,
        links: links.into_iter().map(|link| link_line(link, now)).collect(),
        expected,
        access: access_words(grant.as_ref(), now),
        lapse: grant
            .as_ref()
            .filter(|_| token.grant.needs_person())
            .and_then(|grant| Lapse::of(grant, &provider)),
        secret: provider.client_secret_expires.map(|date| layout.date(date)),
        secret_set: provider
            .client_secret
            .as_ref()
            .map(|secret| secret_words(secret, None, &layout))
            .unwrap_or_default(),
        key: grant.as_ref().map(key_of).unwrap_or_default(),
        revocable: provider.endpoints().revocation_url.is_some(),
        mailboxes,
        consent: card(&web.app, &provider).await?,
        account,
        verdict,
        layout,
        grant,
        provider,
        token,
    })
}

/// The history, newest first; of renewals the newest few, the rest to be unfolded.
fn history(events: Vec<TokenEvent>) -> (Vec<Line>, Vec<Line>) {
    let mut renewals = 0;
    events.into_iter().map(line).partition(|line| {
        renewals += usize::from(line.event.kind == TokenEventKind::Renewed);
        line.event.kind != TokenEventKind::Renewed || renewals <= RENEWALS
    })
}

fn link_line(link: Link, now: Timestamp) -> LinkLine {
    let state = links::state(&link, now);
    let (kind, words) = match state {
        LinkState::Ready if link.opened_at.is_some() => ("run", "Opened"),
        LinkState::Ready => ("run", "Waiting"),
        LinkState::Used => ("ok", "Used"),
        LinkState::Ended => ("off", "Ended"),
        LinkState::Withdrawn => ("off", "Withdrawn"),
    };
    LinkLine {
        ready: state == LinkState::Ready,
        kind,
        words,
        link,
    }
}

fn access_words(grant: Option<&Grant>, now: Timestamp) -> String {
    let Some(grant) = grant else {
        return "None yet".to_owned();
    };
    match grant.expires_at.map(|end| end.since(now)).filter(|_| grant.access_token.is_some()) {
        None if grant.rt_current.is_none() => "None yet".to_owned(),
        None => "Comes with the first renewal".to_owned(),
        Some(..=0) => "Has run out".to_owned(),
        Some(left @ ..120) => format!("{left} seconds left"),
        Some(left) => format!("{} minutes left", left / 60),
    }
}

/// The data key a grant is sealed with, by its id.
fn key_of(grant: &Grant) -> String {
    let sealed = grant.rt_current.as_ref().or(grant.access_token.as_ref());
    sealed
        .and_then(|(sealed, _)| sealed.0.split('.').nth(1))
        .unwrap_or_default()
        .to_owned()
}
