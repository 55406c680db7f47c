//! *Test without saving*: the settings as they were typed, tried once.

use super::MailboxForm;
use super::fields::field_errors;
use super::page;
use super::submit::{Refused, keep_passwords, refuse};
use crate::actions::mailboxes::{self, MailboxEdit, MailboxError};
use crate::actions::probe::{self, Options, Order, ProbeError};
use crate::model::mailbox::Mailbox;
use crate::model::report::Direction;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::FieldErrors;
use crate::web::guard::CurrentUser;
use crate::web::page::Flash;
use crate::web::page::Page;
use crate::web::pages::tests::finished_view;
use crate::web::pages::tests::start::refusal;
use axum::response::Response;
use std::time::Duration;

/// How long does *Test without saving* wait for its runs? Longer than a conversation takes, shorter than a request may.
const WAIT: Duration = Duration::from_secs(26);

/// *Test without saving*: back to the form, with the result on top and every value kept.
pub(super) async fn test_draft(
    web: &WebState,
    user: &CurrentUser,
    form: MailboxForm,
    existing: Option<Mailbox>,
    edit: MailboxEdit,
) -> Result<Response, PageError> {
    let app = &web.app;
    let draft = match mailboxes::prepare(app, edit, existing.as_ref()).await {
        Ok(draft) => draft,
        Err(MailboxError::Fields(problems)) => {
            let refused = Refused {
                errors: field_errors(&form, &problems),
                other: None,
            };
            return refuse(web, user, form, existing, refused).await;
        }
        Err(error) => return Err(error.into()),
    };
    let mut begun = Vec::new();
    let mut problem = None;
    for direction in Direction::ALL {
        if probe::side(&draft, *direction).is_none() {
            continue;
        }
        let order = Order {
            mailbox: draft.clone(),
            draft: true,
            direction: *direction,
            // Nothing is sent in the name of settings that nobody has decided on.
            options: Options {
                login_only: true,
                ..Options::chosen(app).await?
            },
            user: Some(user.user().id.clone()),
        };
        match probe::begin(app, &user.actor(), order).await {
            Ok(run) => begun.push(run),
            Err(ProbeError::Store(error)) => return Err(error.into()),
            Err(error) => problem = Some(refusal(&error)),
        }
    }
    let until = tokio::time::Instant::now() + WAIT;
    let mut results = Vec::new();
    for (run, live) in begun {
        let _ = tokio::time::timeout_at(until, live.clone().end()).await;
        results.push(finished_view(app, user, &run, &live).await?);
    }
    let form = keep_passwords(web, user, form).await?;
    let mut page = page(web, user, form, existing, FieldErrors::default()).await?;
    if let Some(problem) = problem {
        page.layout.flash = Some(Flash::bad(&problem));
    }
    if let Some(first) = results.first() {
        page.layout.title = first.page_title.clone();
    }
    page.results = results;
    page.show()
}
