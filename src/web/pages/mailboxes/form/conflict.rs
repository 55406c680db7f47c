//! Somebody else saved the mailbox meanwhile: both versions side by side (`ux.md` 8.8).

use super::MailboxForm;
use super::fields::labels;
use super::submit::keep_passwords;
use crate::model::mailbox::Mailbox;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::changes::Names;
use crate::web::{WebState, routes};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

/// A field two people have set differently.
struct Difference {
    field: &'static str,
    label: &'static str,
    theirs: String,
    yours: String,
}

#[derive(Template)]
#[template(path = "mailboxes/conflict.html")]
struct ConflictPage {
    layout: Layout,
    address: String,
    action: String,
    who: String,
    when: Option<crate::clock::Timestamp>,
    differences: Vec<Difference>,
    same: Vec<(String, String)>,
    version: i64,
    password_typed: bool,
}

/// Somebody else saved meanwhile (`ux.md` 8.8): both versions side by side, a choice for each field.
pub(super) async fn conflict(web: &WebState, user: &CurrentUser, form: MailboxForm, now: Mailbox) -> Result<Response, PageError> {
    let theirs = MailboxForm::of(&now).pairs(false);
    let password_typed = !form.password.is_empty() || !form.outgoing_password.is_empty();
    let form = keep_passwords(web, user, form).await?;
    let mut differences = Vec::new();
    let mut same = vec![("kept".to_owned(), form.kept.clone()), ("act".to_owned(), "save".to_owned())];
    for (name, yours) in form.pairs(false) {
        let other = theirs
            .iter()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default();
        match labels().iter().find(|(field, _)| *field == name) {
            Some((field, label)) if other != yours => differences.push(Difference {
                field,
                label,
                theirs: other,
                yours,
            }),
            _ => same.push((name, yours)),
        }
    }
    let target = format!("mailbox:{}", now.name);
    let last = web.app.store.audit_rows_of(&target, 1).await?.into_iter().next();
    let names = Names::load(&web.app).await?;
    let layout = user.layout(Section::Mailboxes, &format!("Edit {}", now.address)).await.error();
    ConflictPage {
        layout: layout
            .crumb("Mailboxes", "/mailboxes")
            .crumb(&now.address, &routes::mailbox(now.name.as_str())),
        action: format!("{}/edit", routes::mailbox(now.name.as_str())),
        who: last.as_ref().map_or("Somebody else".to_owned(), |row| names.of(&row.actor)),
        when: last.map(|row| row.at),
        version: now.version,
        address: now.address,
        differences,
        same,
        password_typed,
    }
    .with_status(StatusCode::CONFLICT)
}
