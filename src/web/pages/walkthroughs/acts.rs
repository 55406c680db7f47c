//! What is done to a walkthrough: a step checked, told or taken back, something chosen for it, the mailbox turned on, all of it deleted.

use super::fit::misfit;
use super::{find, page, step_of};
use crate::actions::ActionError;
use crate::actions::mailboxes;
use crate::actions::walkthroughs::{self, Checked, Chosen, Request};
use crate::model::Name;
use crate::model::user::Permission;
use crate::model::walkthrough::StepState;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::timeout;

/// How long does a page wait for checks? They go on by themselves.
const PATIENCE: Duration = Duration::from_secs(24);

/// The version that was shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Shown {
    version: i64,
}

/// An address that must stay closed, where the check is about that.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct CheckForm {
    address: String,
}

/// Something that is here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChooseForm {
    version: i64,
    step: usize,
    provider: String,
    token: String,
    mailbox: String,
}

fn at(id: &str, number: usize) -> String {
    format!("/walkthroughs/{id}?step={number}")
}

/// Somebody was faster: nothing was done, and the page shows how it stands now.
pub(super) async fn stale(user: &CurrentUser, web: &WebState, path: &str, id: &str) -> Result<Response, PageError> {
    let who = web.app.store.walkthrough(id).await?.map_or_else(String::new, |row| row.touched_by);
    let flash = Flash::warn(&format!(
        "{who} changed this walkthrough meanwhile, so nothing was done. This is how it stands now."
    ));
    user.redirect_with(path, flash).await
}

/// `POST /walkthroughs/{id}/steps/{step}/check`: *Check now*.
pub async fn check(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((id, step)): Path<(String, String)>,
    CsrfForm(form): CsrfForm<CheckForm>,
) -> Result<Response, PageError> {
    let (number, _) = step_of(&find(&web.app, &id).await?, &step)?;
    let (app, actor, person) = (web.app.clone(), user.actor(), user.user().id.clone());
    let (walk, address) = (id.clone(), form.address.clone());
    // A task of its own: what was found is written down, also where the browser has left.
    let work = web.app.tasks.spawn(async move {
        let request = Request {
            user: &person,
            address: &address,
        };
        Box::pin(walkthroughs::check_one(&app, &actor, &request, &walk, number)).await
    });
    let flash = match timeout(PATIENCE, work).await {
        Err(_) => Flash::info("The check goes on by itself. Look again in a minute."),
        Ok(Err(error)) => return Err(PageError::internal(error)),
        Ok(Ok(Ok(Checked::Stands(StepState::Done, _)))) => Flash::ok(&format!("Step {number} is done.")),
        Ok(Ok(Ok(Checked::Stands(StepState::Confirmed, _)))) => {
            Flash::info("Checked. Nothing speaks against it, and nothing proves it yet.")
        }
        Ok(Ok(Ok(Checked::Stands(StepState::Problem, why)))) => Flash::bad(&format!("There is a problem with step {number}: {why}.")),
        Ok(Ok(Ok(Checked::Stands(_, why)))) if why.is_empty() => Flash::warn("Checked. It isn't done yet."),
        Ok(Ok(Ok(Checked::Stands(_, why)))) => Flash::warn(&format!("Checked. It isn't done yet: {why}.")),
        Ok(Ok(Ok(Checked::Untold(why)))) => Flash::info(&format!("It can't be told now. {why}.")),
        Ok(Ok(Err(ActionError::Fields(problems)))) => {
            return page(&web, &user, &id, Some(number), &form.address, FieldErrors::from(problems))
                .await?
                .refused();
        }
        Ok(Ok(Err(error))) => return Err(error.into()),
    };
    user.redirect_with(&at(&id, number), flash).await
}

/// `POST /walkthroughs/{id}/check`: *Check everything again*.
pub async fn check_all(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    find(&web.app, &id).await?;
    let (app, actor, person, walk) = (web.app.clone(), user.actor(), user.user().id.clone(), id.clone());
    let work = web.app.tasks.spawn(async move {
        let request = Request {
            user: &person,
            address: "",
        };
        Box::pin(walkthroughs::check_all(&app, &actor, &request, &walk)).await
    });
    let path = format!("/walkthroughs/{id}");
    let flash = match timeout(PATIENCE, work).await {
        Err(_) => Flash::info("The checks go on by themselves. Look again in a minute."),
        Ok(Err(error)) => return Err(PageError::internal(error)),
        Ok(Ok(Err(error))) => return Err(error.into()),
        Ok(Ok(Ok((0, lost)))) if lost.is_empty() => Flash::info("Nothing can be checked yet."),
        Ok(Ok(Ok((looked, lost)))) => match lost.as_slice() {
            [] => Flash::ok(&format!(
                "Checked what can be checked: {looked} {}. Everything that was so still is.",
                steps(looked)
            )),
            [one] => Flash::bad(&format!("Step {one} was so, and isn't any more.")).link(&at(&id, *one), "Open it"),
            many => {
                let numbers: Vec<String> = many.iter().map(ToString::to_string).collect();
                Flash::bad(&format!("Steps {} were so, and aren't any more.", numbers.join(", ")))
            }
        },
    };
    user.redirect_with(&path, flash).await
}

const fn steps(count: usize) -> &'static str {
    if count == 1 { "step" } else { "steps" }
}

async fn told(web: &WebState, user: &CurrentUser, (id, step): (&str, &str), version: i64, is_done: bool) -> Result<Response, PageError> {
    let walk = find(&web.app, id).await?;
    let (number, step) = step_of(&walk, step)?;
    match walkthroughs::say(&web.app, &user.actor(), id, version, step, is_done).await {
        Ok(()) if is_done => {
            // On to what comes next.
            let flash = Flash::ok(&format!("Noted: step {number} is done, as you say."));
            user.redirect_with(&format!("/walkthroughs/{id}"), flash).await
        }
        Ok(()) => user.redirect(&at(id, number), &format!("Noted: step {number} isn't done.")).await,
        Err(ActionError::Store(StoreError::Stale)) => stale(user, web, &at(id, number), id).await,
        Err(ActionError::NotFound(_)) => Err(PageError::Conflict(
            "This console can prove this step, so nobody's word is taken for it. Choose Check now.".to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}

/// `POST /walkthroughs/{id}/steps/{step}/done`: *I've done this*.
pub async fn done(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((id, step)): Path<(String, String)>,
    CsrfForm(form): CsrfForm<Shown>,
) -> Result<Response, PageError> {
    Box::pin(told(&web, &user, (&id, &step), form.version, true)).await
}

/// `POST /walkthroughs/{id}/steps/{step}/undone`: *It isn't done*.
pub async fn undone(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((id, step)): Path<(String, String)>,
    CsrfForm(form): CsrfForm<Shown>,
) -> Result<Response, PageError> {
    Box::pin(told(&web, &user, (&id, &step), form.version, false)).await
}

/// `POST /walkthroughs/{id}/steps/{step}/back`: nobody is waited for any more.
pub async fn take_back(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((id, step)): Path<(String, String)>,
    CsrfForm(form): CsrfForm<Shown>,
) -> Result<Response, PageError> {
    let walk = find(&web.app, &id).await?;
    let (number, step) = step_of(&walk, &step)?;
    match walkthroughs::take_back(&web.app, &user.actor(), &walk, step, form.version).await {
        Ok(()) => {
            user.redirect(&at(&id, number), "Taken back. A link that was sent doesn't work any more.")
                .await
        }
        Err(ActionError::Store(StoreError::Stale)) => stale(&user, &web, &at(&id, number), &id).await,
        Err(error) => Err(error.into()),
    }
}

/// What was chosen, if it is here, and how it is called.
async fn chosen(web: &WebState, form: &ChooseForm) -> Result<Option<(Chosen, String)>, PageError> {
    let store = &web.app.store;
    let name = |text: &str| Name::parse(text).ok();
    Ok(if !form.provider.is_empty() {
        let Some(name) = name(&form.provider) else { return Ok(None) };
        let found = store.provider(&name).await?;
        found.map(|one| (Chosen::Provider(one.id, name.clone()), format!("provider {name}")))
    } else if !form.token.is_empty() {
        let Some(name) = name(&form.token) else { return Ok(None) };
        let found = store.token(&name).await?;
        found.map(|one| (Chosen::Token(one.id, name.clone()), format!("token {name}")))
    } else {
        let Some(name) = name(&form.mailbox) else { return Ok(None) };
        let found = store.mailbox(&name).await?;
        found.map(|one| (Chosen::Mailbox(one.id, name.clone()), one.address))
    })
}

/// `POST /walkthroughs/{id}/choose`: something that is here is taken.
pub async fn choose(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    CsrfForm(form): CsrfForm<ChooseForm>,
) -> Result<Response, PageError> {
    let walk = find(&web.app, &id).await?;
    let path = at(&id, form.step.max(1));
    if form.version != walk.row.version {
        return stale(&user, &web, &path, &id).await;
    }
    let Some((chosen, words)) = chosen(&web, &form).await? else {
        let flash = Flash::bad("What you chose isn't here any more. Nothing was changed.");
        return user.redirect_with(&path, flash).await;
    };
    if let Some(why) = misfit(&web.app, &walk, &chosen).await? {
        let flash = Flash::bad(&format!("This walkthrough can't be about {words}: {why}. Nothing was changed."));
        return user.redirect_with(&path, flash).await;
    }
    match walkthroughs::choose(&web.app, &user.actor(), &id, Some(form.version), chosen).await {
        Ok(()) => user.redirect(&path, &format!("This walkthrough is about {words} now.")).await,
        Err(ActionError::Store(StoreError::Stale)) => stale(&user, &web, &path, &id).await,
        Err(error) => Err(error.into()),
    }
}

/// `POST /walkthroughs/{id}/turn-on`.
pub async fn turn_on(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    user.require(Permission::MailboxEdit).await?;
    let walk = find(&web.app, &id).await?;
    let Some(mailbox) = &walk.mailbox else {
        return Err(PageError::Conflict("There is no mailbox to turn on yet.".to_owned()));
    };
    mailboxes::turn_on(&web.app, &user.actor(), &mailbox.name).await?;
    walkthroughs::settle(&web.app, &user.actor(), &id, None).await?;
    let flash = Flash::ok(&format!("{} is turned on.", mailbox.address));
    user.redirect_with(
        &format!("/walkthroughs/{id}"),
        flash.link(&format!("/mailboxes/{}", mailbox.name), "Open it"),
    )
    .await
}

#[derive(Template)]
#[template(path = "walkthroughs/delete.html")]
struct DeletePage {
    layout: Layout,
    errors: FieldErrors,
    title: &'static str,
    action: String,
    keep: String,
}

/// `GET /walkthroughs/{id}/delete`.
pub async fn ask_delete(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    let walk = find(&web.app, &id).await?;
    let keep = format!("/walkthroughs/{id}");
    let layout = user.layout(Section::Walkthroughs, "Delete this walkthrough").await;
    DeletePage {
        layout: layout.crumb("Walkthroughs", "/walkthroughs").crumb(&walk.template.title, &keep),
        errors: FieldErrors::default(),
        title: &walk.template.title,
        action: format!("{keep}/delete"),
        keep,
    }
    .show()
}

/// `POST /walkthroughs/{id}/delete`.
pub async fn delete(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    let walk = find(&web.app, &id).await?;
    walkthroughs::delete(&web.app, &user.actor(), &walk.row).await?;
    user.redirect("/walkthroughs", "Walkthrough deleted. What came of it stays.").await
}
