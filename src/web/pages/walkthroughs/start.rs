//! `/walkthroughs/new`: what a walkthrough is to be about, as far as that is known.

use super::fit::{suits, unsuited};
use crate::actions::walkthroughs::{self, New};
use crate::app::App;
use crate::model::Name;
use crate::model::mailbox::check_address;
use crate::model::provider::Provider;
use crate::model::walkthrough::{Template as Kind, template};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, clean, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::capital;
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
    /// The name is taken: by whom, and whether that could be used instead.
    taken: Option<Taken>,
}

/// A provider that has the name already.
struct Taken {
    name: String,
    /// The form again with this provider chosen; empty: it doesn't fit.
    instead: String,
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
            taken: None,
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
    let mut errors = FieldErrors::default();
    if !form.provider.is_empty()
        && let Err(why) = provider_of(&web.app, kind, &form.provider).await?
    {
        form.provider.clear();
        errors.add("name", why);
    }
    if form.name.is_empty() && adds(kind) {
        let stem = kind.card.split('-').next().unwrap_or_default();
        form.name = free_name(&web.app, if stem == "custom" { "mail" } else { stem }).await?;
    }
    NewPage::new(&user, kind, form, errors).await.show()
}

/// A provider that is to be used, or why it can't be, as an error at a field.
async fn provider_of(app: &App, kind: &Kind, name: &str) -> Result<Result<Provider, String>, PageError> {
    let found = match Name::parse(name) {
        Ok(name) => app.store.provider(&name).await?,
        Err(_) => None,
    };
    Ok(match found {
        // Nowhere to say it: the walkthrough itself asks for a provider.
        None if !adds(kind) => {
            return Err(PageError::Missing(format!(
                "Provider {name} isn't here any more. It may have been deleted."
            )));
        }
        None => Err(format!("Provider {name} isn't here any more. Enter a name for a new one")),
        Some(provider) if !suits(kind, &provider) => Err(format!("{}. Enter a name for a new one", capital(&unsuited(kind, &provider)))),
        Some(provider) => Ok(provider),
    })
}

/// `POST /walkthroughs/new`.
pub async fn create(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<StartForm>) -> Result<Response, PageError> {
    let kind = kind_of(&form.template)?;
    let mut errors = FieldErrors::default();
    let mut provider = None;
    if !form.provider.is_empty() {
        match provider_of(&web.app, kind, &form.provider).await? {
            Ok(found) => provider = Some(found),
            Err(why) => errors.add("name", why),
        }
    }
    let mut taken = None;
    let name = match adds(kind) && provider.is_none() {
        true => errors.take("name", Name::parse(clean(&form.name))),
        false => None,
    };
    if let Some(name) = &name
        && let Some(other) = web.app.store.provider(name).await?
    {
        let fits = suits(kind, &other);
        errors.add(
            "name",
            match fits {
                true => format!("Name is already used by provider {name}. Enter another one, or use that provider"),
                false => format!("Name is already used: {}. Enter another one", unsuited(kind, &other)),
            },
        );
        let pairs = [
            ("template", kind.id.as_str()),
            ("address", &form.address),
            ("account", &form.account),
            ("provider", name.as_str()),
        ];
        let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
        taken = Some(Taken {
            instead: if fits { format!("{NEW}?{query}") } else { String::new() },
            name: name.to_string(),
        });
    }
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
    if !errors.is_empty() {
        let mut form = form;
        if provider.is_none() {
            form.provider.clear();
        }
        return NewPage {
            taken,
            ..NewPage::new(&user, kind, form, errors).await
        }
        .refused();
    }
    let new = New {
        name: name.map(|name| name.to_string()).unwrap_or_default(),
        address: mailbox,
        account,
        provider: provider.map(|provider| provider.id),
    };
    let row = walkthroughs::start(&web.app, &user.actor(), kind, new).await?;
    let flash = Flash::ok("Started. Anybody here who may change providers can go on with it.");
    user.redirect_with(&format!("/walkthroughs/{}", row.id), flash).await
}
