//! `/walkthroughs/new`: what a walkthrough is to be about, as far as that is known.

use crate::actions::walkthroughs::{self, New};
use crate::app::App;
use crate::model::Name;
use crate::model::mailbox::check_address;
use crate::model::walkthrough::{Template as Kind, template};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, clean, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

/// Where the form goes.
const NEW: &str = "/walkthroughs/new";

/// What was typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct StartForm {
    template: String,
    name: String,
    address: String,
    account: String,
    provider: String,
}

#[derive(Template)]
#[template(path = "walkthroughs/new.html")]
struct NewPage {
    layout: Layout,
    errors: FieldErrors,
    form: StartForm,
    kind: &'static Kind,
}

fn kind_of(id: &str) -> Result<&'static Kind, PageError> {
    template(id).ok_or_else(|| PageError::Missing("There is no such walkthrough to start.".to_owned()))
}

/// Whether a provider of its own may be added on the way: then it needs a name.
fn adds(kind: &Kind) -> bool {
    !kind.card.is_empty()
}

impl NewPage {
    async fn new(user: &CurrentUser, kind: &'static Kind, form: StartForm, errors: FieldErrors) -> Self {
        let layout = user.layout(Section::Walkthroughs, &kind.heading).await;
        let layout = layout.crumb("Walkthroughs", "/walkthroughs");
        Self {
            layout: if errors.is_empty() { layout } else { layout.error() },
            errors,
            form,
            kind,
        }
    }

    fn adds(&self) -> bool {
        adds(self.kind)
    }
}

/// A name nobody has yet.
async fn free_name(app: &App, wanted: &str) -> Result<String, PageError> {
    for number in 1..100 {
        let name = if number == 1 {
            wanted.to_owned()
        } else {
            format!("{wanted}-{number}")
        };
        match Name::parse(&name) {
            Ok(parsed) if app.store.provider(&parsed).await?.is_none() => return Ok(name),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    Ok(String::new())
}

/// `GET /walkthroughs/new?template=…`.
pub async fn new(State(web): State<WebState>, user: CurrentUser, Query(start): Query<StartForm>) -> Result<Response, PageError> {
    let kind = kind_of(&start.template)?;
    let mut form = match user.take_draft(NEW).await {
        Some(fields) => refill(&fields).await.unwrap_or_default(),
        None => start,
    };
    form.template.clone_from(&kind.id);
    if form.name.is_empty() && adds(kind) {
        let stem = kind.card.split('-').next().unwrap_or_default();
        form.name = free_name(&web.app, if stem == "custom" { "mail" } else { stem }).await?;
    }
    NewPage::new(&user, kind, form, FieldErrors::default()).await.show()
}

/// `POST /walkthroughs/new`.
pub async fn create(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<StartForm>) -> Result<Response, PageError> {
    let kind = kind_of(&form.template)?;
    let mut errors = FieldErrors::default();
    let provider = match Name::parse(&form.provider) {
        Ok(name) => web.app.store.provider(&name).await?,
        Err(_) => None,
    };
    let name = match adds(kind) && provider.is_none() {
        true => errors.take("name", Name::parse(clean(&form.name))).map(|name| name.to_string()),
        false => Some(String::new()),
    };
    let mut address = |field: &str, asked: bool, text: &str, message: &str| {
        let text = clean(text);
        if !asked {
            return String::new();
        }
        check_address(text).unwrap_or_else(|| {
            errors.add(field, message);
            String::new()
        })
    };
    let mailbox = address(
        "address",
        kind.asks_for("address"),
        &form.address,
        "Enter the address of the mailbox, like support@example.com",
    );
    let account = address(
        "account",
        kind.asks_for("account"),
        &form.account,
        "Enter the account of the delegate, like maija@example.com",
    );
    let Some(name) = name.filter(|_| errors.is_empty()) else {
        return NewPage::new(&user, kind, form, errors).await.refused();
    };
    let new = New {
        name,
        address: mailbox,
        account,
        provider: provider.map(|provider| provider.id),
    };
    let row = walkthroughs::start(&web.app, &user.actor(), kind, new).await?;
    let flash = Flash::ok("Started. Anybody here who may change providers can go on with it.");
    user.redirect_with(&format!("/walkthroughs/{}", row.id), flash).await
}
