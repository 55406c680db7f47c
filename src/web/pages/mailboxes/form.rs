//! The form of a mailbox: first the address alone, then all of it, filled in as far as it can be (`ux.md` 6.4).

mod conflict;
mod fields;
mod fix;
mod hints;
mod kept;
mod submit;
mod try_out;

use super::find;
use super::suggest::{Suggestion, suggest};
use crate::actions::ahead::Warned;
use crate::actions::mailboxes;
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::ways::act::Fix;
use crate::model::Name;
use crate::model::mailbox::{Mailbox, check_address};
use crate::model::report::Direction;
use crate::model::token::{GrantState, GrantType, Token};
use crate::web::back::BackForm;
use crate::web::error::PageError;
use crate::web::form::{FieldErrors, clean, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::tests::Rights;
use crate::web::pages::tests::view::RunView;
use crate::web::{WebState, routes};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
pub use fields::MailboxForm;
pub(super) use fix::query as fix_query;
use fix::{FixQuery, PutIn};
use serde::Deserialize;
use submit::keep_passwords;
pub use submit::{create, update};

/// The address the form posts to when there is no mailbox yet.
const NEW: &str = "/mailboxes/new";
/// With more tokens than this the choice becomes a field to type into.
const MOST_OPTIONS: usize = 300;

/// What the address of the form asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NewQuery {
    address: String,
    /// `suggested` or `hand`: what was chosen.
    with: String,
    /// A mailbox to start from.
    copy: String,
    /// Whether the form that was left is asked for.
    draft: String,
    /// The walkthrough it comes from.
    back: String,
}

#[derive(Template)]
#[template(path = "mailboxes/first.html")]
struct FirstPage {
    layout: Layout,
    errors: FieldErrors,
    address: String,
    other: Option<Name>,
    /// The address in a form that was left; empty where it has none yet.
    left: Option<String>,
    back: String,
}

#[derive(Template)]
#[template(path = "mailboxes/suggestion.html")]
struct SuggestionPage {
    layout: Layout,
    suggestion: Suggestion,
    address: String,
    suggested: String,
    by_hand: String,
}

#[derive(Template)]
#[template(path = "mailboxes/form.html")]
struct FormPage {
    layout: Layout,
    errors: FieldErrors,
    form: MailboxForm,
    /// The mailbox that is edited.
    existing: Option<Mailbox>,
    /// Another one that is in the way.
    other: Option<Name>,
    tokens: Vec<(String, String)>,
    too_many_tokens: bool,
    /// Where the servers come from, where they were filled in.
    filled: String,
    /// What *Test without saving* came to.
    results: Vec<RunView>,
    may: Rights,
    /// Whether this is a form that was left and came back.
    came_back: bool,
    /// What is bound to fail with these settings.
    ahead: Vec<Warned>,
    /// What a proposal changed.
    put_in: Vec<PutIn>,
    now: Timestamp,
}

impl FormPage {
    fn action(&self) -> String {
        match &self.existing {
            Some(mailbox) => format!("{}/edit", routes::mailbox(mailbox.name.as_str())),
            None => NEW.to_owned(),
        }
    }

    fn cancel(&self) -> String {
        match &self.existing {
            Some(mailbox) => routes::mailbox(mailbox.name.as_str()),
            None => "/mailboxes".to_owned(),
        }
    }

    /// What may be said of the stored password of a side.
    fn stored(&self, incoming: bool) -> &'static str {
        let side = self.existing.as_ref().and_then(|mailbox| {
            if incoming {
                mailbox.incoming.as_ref()
            } else {
                mailbox.outgoing.as_ref()
            }
        });
        match fields::has_password(side) {
            true => "Set, and never shown",
            false => "",
        }
    }

    /// What may be said where one password is for both sides.
    fn stored_for_both(&self) -> &'static str {
        match (self.stored(true), self.stored(false)) {
            ("", other) => other,
            (one, _) => one,
        }
    }

    fn reads_imap(&self) -> bool {
        !matches!(self.form.incoming.as_str(), "none" | "graph" | "pop3")
    }

    fn sends_smtp(&self) -> bool {
        !matches!(self.form.outgoing.as_str(), "none" | "graph")
    }
}

async fn first_page(user: &CurrentUser, address: String, errors: FieldErrors, other: Option<Name>, back: String) -> FirstPage {
    let layout = user
        .layout(Section::Mailboxes, "Add mailbox")
        .await
        .crumb("Mailboxes", "/mailboxes");
    FirstPage {
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
        address,
        other,
        left: user.peek_draft(NEW).await.map(|fields| address_of(&fields)),
        back,
    }
}

/// The address in the fields of a form.
fn address_of(fields: &[(String, String)]) -> String {
    let found = fields.iter().find(|(name, _)| name == "address");
    found.map(|(_, value)| clean(value).to_owned()).unwrap_or_default()
}

/// Whether the form that was left is the one this address asks for.
async fn asks_for_left(user: &CurrentUser, query: &NewQuery) -> bool {
    if !query.draft.is_empty() {
        return true;
    }
    let address = clean(&query.address);
    let left = user.peek_draft(NEW).await;
    !address.is_empty() && left.is_some_and(|fields| address_of(&fields).eq_ignore_ascii_case(address))
}

/// The page of a form that comes back.
async fn come_back(
    web: &WebState,
    user: &CurrentUser,
    fields: &[(String, String)],
    existing: Option<Mailbox>,
) -> Result<Response, PageError> {
    let form = refill::<MailboxForm>(fields).await.unwrap_or_default();
    let form = keep_passwords(web, user, with_own_token(&web.app, form).await?).await?;
    let mut page = page(web, user, form, existing, FieldErrors::default()).await?;
    page.came_back = true;
    page.show()
}

/// `GET /mailboxes/new`: the address, then what its domain suggests, then the form.
pub async fn new(State(web): State<WebState>, user: CurrentUser, Query(query): Query<NewQuery>) -> Result<Response, PageError> {
    let app = &web.app;
    if asks_for_left(&user, &query).await
        && let Some(fields) = user.take_draft(NEW).await
    {
        return come_back(&web, &user, &fields, None).await;
    }
    if !query.copy.is_empty() {
        let form = MailboxForm::copy_of(&find(app, &query.copy).await?);
        return page(&web, &user, form, None, FieldErrors::default()).await?.show();
    }
    let typed = clean(&query.address).to_owned();
    if typed.is_empty() {
        return first_page(&user, typed, FieldErrors::default(), None, query.back).await.show();
    }
    let mut errors = FieldErrors::default();
    let Some(address) = check_address(&typed) else {
        errors.add("address", "Enter an email address like support@example.com");
        return first_page(&user, typed, errors, None, query.back).await.refused();
    };
    if let Some(other) = mailboxes::address_taken(app, &address, None).await? {
        errors.add("address", format!("{address} is already here"));
        return first_page(&user, address, errors, Some(other), query.back).await.refused();
    }
    let suggestion = suggest(app, &address).await?;
    match (suggestion, query.with.as_str()) {
        (Some(suggestion), "suggested") => {
            let mut form = with_own_token(app, MailboxForm::suggested(&address, &suggestion)).await?;
            form.back = query.back;
            let mut page = page(&web, &user, form, None, FieldErrors::default()).await?;
            page.filled = format!("Filled in for {}", suggestion.label);
            page.show()
        }
        (Some(suggestion), with) if with != "hand" => {
            let link = |with: &str| {
                let pairs = [("address", address.as_str()), ("with", with), ("back", query.back.as_str())];
                let pairs: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
                let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
                format!("{NEW}?{query}")
            };
            SuggestionPage {
                layout: user
                    .layout(Section::Mailboxes, "Add mailbox")
                    .await
                    .crumb("Mailboxes", "/mailboxes"),
                suggested: link("suggested"),
                by_hand: link("hand"),
                suggestion,
                address: address.clone(),
            }
            .show()
        }
        (found, _) => {
            let mut form = with_own_token(app, MailboxForm::by_hand(&address)).await?;
            form.back = query.back;
            let mut page = page(&web, &user, form, None, FieldErrors::default()).await?;
            if found.is_none() {
                page.layout.flash = Some(Flash::info(&format!(
                    "Where mail for {address} lives isn't known here, so enter the servers by hand."
                )));
            }
            page.show()
        }
    }
}

/// `GET /mailboxes/{name}/edit`, as it is stored or with what a diagnosis proposes put in.
pub async fn edit(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    Query(from): Query<BackForm>,
    Query(query): Query<FixQuery>,
) -> Result<Response, PageError> {
    let mailbox = find(&web.app, &name).await?;
    let path = format!("{}/edit", routes::mailbox(mailbox.name.as_str()));
    if let Some(fields) = user.take_draft(&path).await {
        return come_back(&web, &user, &fields, Some(mailbox)).await;
    }
    let form = MailboxForm {
        back: from.back,
        ..MailboxForm::of(&mailbox)
    };
    with_proposal(&web, &user, form, query.wanted(), Some(mailbox)).await
}

/// The page of a form with what was proposed put in and marked.
async fn with_proposal(
    web: &WebState,
    user: &CurrentUser,
    mut form: MailboxForm,
    proposal: Option<(Fix, Direction)>,
    existing: Option<Mailbox>,
) -> Result<Response, PageError> {
    let before = form.clone();
    let words = match proposal {
        Some(proposal) => fix::apply(&web.app, proposal, &mut form).await?,
        None => None,
    };
    let put_in = fix::put_in(&before, &form);
    let mut page = page(web, user, form, existing, FieldErrors::default()).await?;
    page.put_in = put_in;
    if let Some(words) = words {
        page.layout.flash = Some(Flash::info(&words));
    }
    page.show()
}

/// The page of the form.
async fn page(
    web: &WebState,
    user: &CurrentUser,
    mut form: MailboxForm,
    existing: Option<Mailbox>,
    errors: FieldErrors,
) -> Result<FormPage, PageError> {
    let title = match &existing {
        Some(mailbox) => format!("Edit {}", mailbox.address),
        None => "Add mailbox".to_owned(),
    };
    let mut layout = user.layout(Section::Mailboxes, &title).await.crumb("Mailboxes", "/mailboxes");
    if let Some(mailbox) = &existing {
        layout = layout.crumb(&mailbox.address, &routes::mailbox(mailbox.name.as_str()));
    }
    form.once = web.app.random.base64url(12);
    let (tokens, too_many_tokens) = tokens(web, &form).await?;
    let ahead = hints::warned(web, user, &form, existing.as_ref()).await?;
    Ok(FormPage {
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
        form,
        existing,
        other: None,
        tokens,
        too_many_tokens,
        filled: String::new(),
        results: Vec::new(),
        may: Rights::of(user),
        came_back: false,
        ahead,
        put_in: Vec::new(),
        now: web.app.clock.now(),
    })
}

/// With the token of this very address chosen, if one is to be chosen.
async fn with_own_token(app: &App, mut form: MailboxForm) -> Result<MailboxForm, PageError> {
    if form.auth == "oauth2" && form.token.is_empty() {
        form.token = fix::own_token(app, clean(&form.address), "").await?.unwrap_or_default();
    }
    Ok(form)
}

/// The tokens to choose from: (name, account and state), those of the form's own address first.
async fn tokens(web: &WebState, form: &MailboxForm) -> Result<(Vec<(String, String)>, bool), PageError> {
    let store = &web.app.store;
    let tokens = store.tokens().await?;
    if tokens.len() > MOST_OPTIONS {
        return Ok((Vec::new(), true));
    }
    let grants = store.grants().await?;
    let state = |token: &Token| match grants.iter().find(|grant| grant.token_id == token.id).map(|grant| grant.state) {
        None if !token.grant.needs_person() => "",
        None => ", nobody has signed in yet",
        Some(GrantState::Revoked) if token.grant == GrantType::Password => ", needs its password again",
        Some(GrantState::Revoked) if !token.grant.needs_person() => ", refused by the provider",
        Some(GrantState::Revoked) => ", needs a new sign-in",
        Some(GrantState::Failing) => ", renewal fails",
        Some(GrantState::Active) => "",
    };
    let own = |user: Option<&str>| user.is_some_and(|user| user.eq_ignore_ascii_case(form.address.trim()));
    let mut sorted: Vec<_> = tokens.into_iter().collect();
    sorted.sort_by_key(|token| (!own(token.user.as_deref()), token.name.clone()));
    let mut options = vec![(String::new(), "Choose a token".to_owned())];
    options.extend(sorted.into_iter().map(|token| {
        let account = token.user.as_deref().unwrap_or("app-only");
        let shared = if token.shared { ", for shared mailboxes" } else { "" };
        let words = format!("{}: {account} at {}{shared}{}", token.name, token.provider, state(&token));
        (token.name.to_string(), words)
    }));
    Ok((options, false))
}
