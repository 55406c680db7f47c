//! `/mailboxes`: the list, the form, and a mailbox with what can be done to it.

mod acts;
mod bulk;
mod form;
pub mod former;
pub mod list;
pub mod show;
mod suggest;
mod trips;

pub use suggest::fitting;

use crate::actions::mailboxes::MailboxError;
use crate::app::App;
use crate::model::mailbox::Mailbox;
use crate::model::user::Permission;
use crate::web::error::PageError;
use crate::web::routes::{Access, Routes};

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    let edit = Access::Permission(Permission::MailboxEdit);
    Routes::new()
        .get("/mailboxes", view, list::index)
        .get("/mailboxes/new", edit, form::new)
        .post("/mailboxes/new", edit, form::create)
        .get("/bulk", Access::Permission(Permission::View), bulk::to_list)
        .post("/bulk", Access::Permission(Permission::MailboxTest), bulk::act)
        .get("/bulk/{id}", edit, bulk::show)
        .post("/bulk/{id}/undo", edit, bulk::undo)
        .get("/mailboxes/{name}", view, show::show)
        .get("/mailboxes/{name}/edit", edit, form::edit)
        .post("/mailboxes/{name}/edit", edit, form::update)
        .get("/mailboxes/{name}/pause", edit, acts::ask_pause)
        .post("/mailboxes/{name}/pause", edit, acts::pause)
        .post("/mailboxes/{name}/turn-on", edit, acts::turn_on)
        .post("/mailboxes/{name}/change-back", edit, former::change_back)
        .post("/mailboxes/{name}/keep-token", edit, former::keep)
        .get("/mailboxes/{name}/delete", edit, acts::ask_delete)
        .post("/mailboxes/{name}/delete", edit, acts::delete)
}

/// A mailbox by the name in its address.
pub async fn find(app: &App, name: &str) -> Result<Mailbox, PageError> {
    let missing = || PageError::Missing("There is no such mailbox. It may have been deleted.".to_owned());
    let name = super::tests::start::name(name).ok_or_else(missing)?;
    app.store.mailbox(&name).await?.ok_or_else(missing)
}

impl From<MailboxError> for PageError {
    fn from(error: MailboxError) -> Self {
        match error {
            MailboxError::NotFound => Self::Missing("There is no such mailbox. It may have been deleted.".to_owned()),
            MailboxError::Fields(problems) => Self::Bad(problems.into_iter().map(|problem| format!("{}. ", problem.message)).collect()),
            MailboxError::Stale(_) => Self::Conflict("Somebody else changed this mailbox meanwhile. Nothing was changed.".to_owned()),
            MailboxError::Store(error) => error.into(),
        }
    }
}
