//! What happens to a form that was sent: checked, saved, tested, or shown again with what is wrong.

use super::super::find;
use super::conflict::conflict;
use super::fields::field_errors;
use super::try_out::test_draft;
use super::{MailboxForm, NEW, fields, fix, kept, page, with_proposal};
use crate::actions::mailboxes::{self, MailboxEdit, MailboxError, check_mailbox};
use crate::actions::probe::Options;
use crate::actions::walkthroughs::Chosen;
use crate::diagnosis::ways::act::Fix;
use crate::model::Name;
use crate::model::mailbox::{Mailbox, check_address};
use crate::model::report::Direction;
use crate::web::back::Back;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, clean};
use crate::web::guard::CurrentUser;
use crate::web::page::Flash;
use crate::web::page::Page;
use crate::web::pages::tests::start;
use crate::web::{WebState, routes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

/// What a form that was sent is to do.
enum Act {
    Save,
    SaveAndTest,
    Test,
    GetToken,
    /// Forget the form that was left.
    Afresh,
    /// Put a proposal in, where it is one, and show the form again.
    Fix(Option<(Fix, Direction)>),
}

impl MailboxForm {
    fn act(&self) -> Act {
        match self.act.as_str() {
            "test" => Act::Test,
            "save" => Act::Save,
            "token" => Act::GetToken,
            "afresh" => Act::Afresh,
            act if act.starts_with("fix:") => Act::Fix(fix::of_act(act)),
            _ => Act::SaveAndTest,
        }
    }
}

/// A form that can't be taken as it is, and the mailbox that is in the way of it.
pub(super) struct Refused {
    pub(super) errors: FieldErrors,
    pub(super) other: Option<Name>,
}

/// Everything that can be wrong with the form before anything is written.
async fn check(
    web: &WebState,
    user: &CurrentUser,
    form: &MailboxForm,
    existing: Option<&Mailbox>,
) -> Result<Result<MailboxEdit, Refused>, PageError> {
    let app = &web.app;
    let input = form.input(&kept::of(web, user, &form.kept).await?);
    let mut errors = FieldErrors::default();
    let result = check_mailbox(&input, &app.gate);
    if let Err(problems) = &result {
        errors = field_errors(form, problems);
    }
    for (field, side, stored) in [
        ("password", &input.incoming, existing.and_then(|mailbox| mailbox.incoming.as_ref())),
        (
            if form.is_separate() { "outgoing_password" } else { "password" },
            &input.outgoing,
            existing.and_then(|mailbox| mailbox.outgoing.as_ref()),
        ),
    ] {
        let asks = side.as_ref().is_some_and(|side| side.auth == "password" && side.password.is_none());
        if asks && !fields::has_password(stored) && !errors.has(field) {
            errors.add(field, "Enter the password");
        }
    }
    let mut other = None;
    let mut more = mailboxes::check_stored(app, &input, existing).await?;
    if more.iter().any(|problem| problem.field == "name") {
        other = Name::parse(clean(&form.name)).ok();
    }
    if let Ok(edit) = &result
        && let Err(MailboxError::Fields(problems)) = mailboxes::prepare(app, edit.clone(), existing).await
    {
        more.extend(problems);
    }
    for (field, message) in field_errors(form, &more).iter() {
        if !errors.has(field) {
            errors.add(field, message);
        }
    }
    if let Some(address) = check_address(clean(&form.address))
        && let Some(name) = mailboxes::address_taken(app, &address, existing).await?
    {
        errors.add("address", format!("{address} is already here"));
        other = Some(name);
    }
    Ok(match result {
        Ok(edit) if errors.is_empty() => Ok(edit),
        _ => Err(Refused { errors, other }),
    })
}

/// `POST /mailboxes/new`.
pub async fn create(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<MailboxForm>) -> Result<Response, PageError> {
    Box::pin(submit(&web, &user, form, None)).await
}

/// `POST /mailboxes/{name}/edit`.
pub async fn update(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<MailboxForm>,
) -> Result<Response, PageError> {
    let mailbox = find(&web.app, &name).await?;
    Box::pin(submit(&web, &user, form, Some(mailbox))).await
}

async fn submit(web: &WebState, user: &CurrentUser, form: MailboxForm, existing: Option<Mailbox>) -> Result<Response, PageError> {
    let path = match &existing {
        Some(mailbox) => format!("{}/edit", routes::mailbox(mailbox.name.as_str())),
        None => NEW.to_owned(),
    };
    match form.act() {
        Act::Afresh => {
            user.drop_draft(&path).await;
            return Ok(Redirect::to(&path).into_response());
        }
        Act::GetToken => {
            user.keep_draft(&path, &form.pairs(true)).await?;
            let back = CurrentUser::draft_address(&path);
            let flash = Flash::info("What you typed into the mailbox form is kept for 30 minutes.").link(&back, "Back to the mailbox");
            let account = serde_urlencoded::to_string([("user", clean(&form.address))]).unwrap_or_default();
            return user.redirect_with(&format!("/tokens/new?{account}"), flash).await;
        }
        Act::Fix(proposal) => {
            let form = keep_passwords(web, user, form).await?;
            return with_proposal(web, user, form, proposal, existing).await;
        }
        Act::Save | Act::SaveAndTest | Act::Test => {}
    }
    let edit = match check(web, user, &form, existing.as_ref()).await? {
        Ok(edit) => edit,
        Err(refused) => return refuse(web, user, form, existing, refused).await,
    };
    if matches!(form.act(), Act::Test) {
        return Box::pin(test_draft(web, user, form, existing, edit)).await;
    }
    let saved = match &existing {
        None => mailboxes::create(&web.app, &user.actor(), edit)
            .await
            .map(|mailbox| (mailbox.name, true)),
        Some(old) => {
            let version = form.version.parse().unwrap_or(-1);
            let changed = mailboxes::update(&web.app, &user.actor(), &old.name, version, edit).await;
            changed.map(|changed| (old.name.clone(), changed))
        }
    };
    let (name, changed) = match saved {
        Ok(saved) => saved,
        Err(MailboxError::Fields(problems)) => {
            let taken = problems.iter().find(|problem| problem.message.starts_with("Name is already used"));
            let refused = Refused {
                other: taken.and_then(|_| Name::parse(clean(&form.name)).ok()),
                errors: field_errors(&form, &problems),
            };
            return refuse(web, user, form, existing, refused).await;
        }
        Err(MailboxError::Stale(now)) => return conflict(web, user, form, *now).await,
        Err(error) => return Err(error.into()),
    };
    kept::forget(web, user, &form.kept).await;
    after_saving(web, user, &form, &name, changed).await
}

async fn after_saving(web: &WebState, user: &CurrentUser, form: &MailboxForm, name: &Name, changed: bool) -> Result<Response, PageError> {
    let mailbox = find(&web.app, name.as_str()).await?;
    let direction = match mailbox.incoming {
        Some(_) => Direction::Incoming,
        None => Direction::Outgoing,
    };
    if let Some(back) = Back::parse(&form.back) {
        let flash = Flash::ok(&format!("{} saved. Check now tests it.", mailbox.address));
        return back.arrive(user, Some(Chosen::Mailbox(mailbox.id, mailbox.name)), flash).await;
    }
    if matches!(form.act(), Act::SaveAndTest) {
        return start::run(
            web,
            user,
            mailbox,
            direction,
            Options::chosen(&web.app).await?,
            &form.once,
            form.script == "1",
        )
        .await;
    }
    let path = routes::mailbox(name.as_str());
    if !changed {
        return user
            .redirect_with(
                &path,
                Flash::info(&format!("{} is as it was. Nothing was changed.", mailbox.address)),
            )
            .await;
    }
    // A name or a schedule makes no result old.
    let is_tested = mailbox.incoming_state.outcome.is_some() || mailbox.outgoing_state.outcome.is_some();
    let untested = if is_tested { "" } else { " Not tested since the change." };
    let flash = Flash::ok(&format!("{} saved.{untested}", mailbox.address));
    user.redirect_with(&path, flash.link(&format!("{path}/test/{direction}"), "Test now"))
        .await
}

pub(super) async fn refuse(
    web: &WebState,
    user: &CurrentUser,
    form: MailboxForm,
    existing: Option<Mailbox>,
    refused: Refused,
) -> Result<Response, PageError> {
    let form = keep_passwords(web, user, form).await?;
    let mut page = page(web, user, form, existing, refused.errors).await?;
    page.other = refused.other;
    page.refused()
}

/// Passwords never go back into a page; what was typed is kept here for a while instead.
pub(super) async fn keep_passwords(web: &WebState, user: &CurrentUser, mut form: MailboxForm) -> Result<MailboxForm, PageError> {
    form.kept = kept::keep(web, user, &form).await?;
    form.password.clear();
    form.outgoing_password.clear();
    Ok(form)
}
