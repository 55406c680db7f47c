//! *Send to someone*: the text for whoever does a step, with every value they need, and a one-time link where one fits. Nobody needs an
//! account.

use super::acts::stale;
use super::values::{besides, permissions, values};
use super::{find, step_of};
use crate::actions::ActionError;
use crate::actions::walkthroughs::{Sending, Sent};
use crate::clock::Timestamp;
use crate::model::user::Permission;
use crate::model::walkthrough::Send;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

/// To whom.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SendForm {
    version: i64,
    to: String,
}

#[derive(Template)]
#[template(path = "walkthroughs/sent.html")]
struct SentPage {
    layout: Layout,
    number: usize,
    step: &'static str,
    whom: String,
    link: Option<(String, Timestamp)>,
    words: String,
    /// The same for a mail program.
    mail: String,
    to: String,
    subject: String,
    back: String,
    action: String,
    version: i64,
}

/// `POST /walkthroughs/{id}/steps/{step}/send`.
pub async fn send(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((id, step)): Path<(String, String)>,
    CsrfForm(form): CsrfForm<SendForm>,
) -> Result<Response, PageError> {
    let walk = find(&web.app, &id).await?;
    let (number, step) = step_of(&walk, &step)?;
    let back = format!("/walkthroughs/{id}?step={number}");
    match step.send {
        Send::Nobody => {
            return Err(PageError::Conflict(
                "This step is done in this console, so there is nothing to send.".to_owned(),
            ));
        }
        Send::Consent | Send::SignIn => user.require(Permission::TokenAuthorize).await?,
        Send::Secret => user.require(Permission::SecretSet).await?,
        Send::Mail => {}
    }
    let sending = Sending {
        to: form.to.clone(),
        version: form.version,
    };
    let Sent { link } = match walk.send(&web.app, &user.actor(), step, sending).await {
        Ok(sent) => sent,
        Err(ActionError::Store(StoreError::Stale)) => return stale(&user, &web, &back, &id).await,
        Err(ActionError::Fields(problems)) => {
            let why = problems.into_iter().map(|problem| format!("{}. ", problem.message)).collect();
            return Err(PageError::Conflict(why));
        }
        Err(error) => return Err(error.into()),
    };
    let layout = user.layout(Section::Walkthroughs, "Words to send").await;
    let layout = layout
        .crumb("Walkthroughs", "/walkthroughs")
        .crumb(&walk.template.title, &format!("/walkthroughs/{id}"));
    let mut lines = vec![
        format!(
            "{} sets up our mail console ({}) and asks for your help with one step.",
            user.user().name,
            web.base_url().host_str().unwrap_or_default()
        ),
        "You need no account there.".to_owned(),
        String::new(),
        step.title.clone(),
    ];
    let with_link = link.is_some();
    if step.send == Send::SignIn {
        lines.push(format!(
            "Open the link below, choose {} at the sign-in page, and allow what is asked.",
            walk.row.signs_in()
        ));
    } else if step.send == Send::Consent {
        lines.push("Open the link below, sign in as an admin of the organisation, look at what is asked, and accept.".to_owned());
    } else {
        let steps = if step.asked.is_empty() { &step.how } else { &step.asked };
        for (at, text) in steps.iter().enumerate() {
            lines.push(format!("{}. {text}", at + 1));
        }
    }
    let asked = permissions(&web, &walk, step).await?;
    if !asked.is_empty() {
        lines.extend([String::new(), "Permissions:".to_owned()]);
        lines.extend(asked.into_iter().map(|(name, plain)| match plain {
            "" => format!("- {name}"),
            plain => format!("- {name} ({plain})"),
        }));
    }
    let own = if step.send == Send::Consent {
        besides(&web, &walk).await?
    } else {
        Vec::new()
    };
    if !own.is_empty() {
        // The page behind the link shows both: nobody is to find more there than the letter says.
        let lead = "The app has permissions of its own in this console, which the page shows too:";
        lines.extend([String::new(), lead.to_owned()]);
        lines.extend(own.into_iter().map(|name| format!("- {name}")));
    }
    for value in values(&web, &walk, step).await? {
        lines.push(String::new());
        if value.href.is_empty() {
            lines.push(format!("{}:", value.label));
            lines.push(value.value);
        } else {
            lines.push(format!("{}: the file {} comes with this mail.", value.label, value.value));
        }
    }
    if let Some((url, ends)) = &link {
        let ends = format!("{} ({})", layout.zone.full(*ends), layout.zone.label(&layout.now));
        let what = if step.send == Send::Secret {
            "Enter it here, not in a mail:"
        } else {
            "The link:"
        };
        lines.extend([String::new(), what.to_owned(), url.expose_secret().to_owned(), String::new()]);
        lines.push(format!("It works once, until {ends}."));
    }
    if !with_link {
        lines.extend([String::new(), format!("When it is done, tell {}.", user.user().name)]);
    }
    let words = lines.join("\n");
    let version = web.app.store.walkthrough(&id).await?.map_or(0, |row| row.version);
    let is_address = form.to.contains('@');
    SentPage {
        layout,
        number,
        step: &step.title,
        whom: if form.to.trim().is_empty() {
            step.to.clone()
        } else {
            form.to.trim().to_owned()
        },
        link: link.map(|(url, ends)| (url.expose_secret().to_owned(), ends)),
        mail: words.replace('\n', "\r\n"),
        words,
        to: form.to.trim().chars().filter(|c| is_address && !c.is_control()).take(320).collect(),
        subject: format!("Our mail console: {}", step.title),
        action: format!("/walkthroughs/{id}/steps/{}/back", step.id),
        back,
        version,
    }
    .show()
}
