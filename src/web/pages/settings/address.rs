//! `/settings/general/address`: another public address. Providers know the old one, so it is a page of its own that says what to do
//! there first (`ux.md` 6.14).

use super::SETTINGS;
use crate::actions::settings;
use crate::config::check_base_url;
use crate::store::StoreResult;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, clean};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use url::Url;

/// The page of the group it belongs to.
const GENERAL: &str = "/settings/general";

/// The address that is wanted, and for the change what was typed to confirm it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    to: String,
    confirm: String,
}

/// The redirect address of a provider.
struct Redirect {
    provider: String,
    id: String,
    address: String,
}

#[derive(Template)]
#[template(path = "settings/address.html")]
struct AddressPage {
    layout: Layout,
    errors: FieldErrors,
    now: String,
    to: String,
    host: String,
    /// Whether people sign in again because cookies of plain http don't count on https, or the reverse.
    other_scheme: bool,
    /// Whether what is sent from pages at the old address counts no more: browsers don't say of plain http where a form comes from, but by
    /// its address.
    cuts_off: bool,
    redirects: Vec<Redirect>,
}

impl AddressPage {
    async fn new(web: &WebState, user: &CurrentUser, to: &str, errors: FieldErrors) -> Result<Self, PageError> {
        let layout = user.layout(Section::Settings, "Another address").await;
        let layout = layout.crumb("Settings", SETTINGS).crumb("General", GENERAL);
        let wanted = if to.is_empty() { None } else { check(web, to).ok() };
        let redirects = match &wanted {
            Some(url) => redirects(web, url).await?,
            None => Vec::new(),
        };
        Ok(Self {
            layout: if errors.is_empty() { layout } else { layout.error() },
            errors,
            now: web.url(""),
            to: to.to_owned(),
            host: wanted.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned(),
            other_scheme: wanted.is_some_and(|url| url.scheme() != web.base_url().scheme()),
            cuts_off: check_base_url(web.url(""), false).is_err(),
            redirects,
        })
    }
}

async fn redirects(web: &WebState, to: &Url) -> StoreResult<Vec<Redirect>> {
    let base = to.as_str().trim_end_matches('/');
    let providers = web.app.store.providers().await?;
    Ok(providers
        .into_iter()
        .map(|provider| Redirect {
            id: format!("redirect-{}", provider.name),
            address: format!("{base}/oauth/callback/{}", provider.name),
            provider: provider.name.to_string(),
        })
        .collect())
}

fn check(web: &WebState, to: &str) -> Result<Url, String> {
    check_base_url(to.to_owned(), web.app.config.insecure_http)
        .map_err(|_| "Base URL must be like https://mail-console.example.com, without a path; http:// only for this machine".to_owned())
}

fn only_if_ours(web: &WebState) -> Result<(), PageError> {
    match web.app.config.base_url_set {
        true => Err(PageError::Conflict(
            "The address is set from outside, by MAILGRANT_BASE_URL or the settings file. Change it there and start the console again."
                .into(),
        )),
        false => Ok(()),
    }
}

/// `GET /settings/general/address`: asks for the address, and with one says what changes.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Query(wanted): Query<Wanted>) -> Result<Response, PageError> {
    only_if_ours(&web)?;
    let to = clean(&wanted.to).trim_end_matches('/');
    let mut errors = FieldErrors::default();
    if !to.is_empty() {
        if let Err(message) = check(&web, to) {
            errors.add("to", message);
        } else if to == web.url("") {
            errors.add("to", "Base URL is this one already");
        }
    }
    let page = AddressPage::new(&web, &user, to, errors).await?;
    if page.errors.is_empty() { page.show() } else { page.refused() }
}

/// `POST /settings/general/address`: changes it, once the new host was typed.
pub async fn change(State(web): State<WebState>, user: CurrentUser, CsrfForm(wanted): CsrfForm<Wanted>) -> Result<Response, PageError> {
    only_if_ours(&web)?;
    let to = clean(&wanted.to).trim_end_matches('/');
    let mut errors = FieldErrors::default();
    match check(&web, to) {
        Ok(url) => {
            let host = url.host_str().unwrap_or_default();
            if !clean(&wanted.confirm).eq_ignore_ascii_case(host) {
                errors.add("confirm", format!("Type {host} to confirm"));
            }
        }
        Err(message) => errors.add("to", message),
    }
    if errors.is_empty() {
        match settings::set_base_url(&web.app, &user.actor(), to).await? {
            Ok(url) => {
                web.set_base_url(url);
                let text = format!("The address is {to} now. Sign-ins at providers come back only there, and new links lead there.");
                return user
                    .redirect_with(GENERAL, Flash::ok(&text).link(&format!("{to}{GENERAL}"), "Open it there"))
                    .await;
            }
            Err(message) => errors.add("to", message),
        }
    }
    AddressPage::new(&web, &user, to, errors).await?.refused()
}
