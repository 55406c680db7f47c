//! `/providers/{name}/request`: the text for whoever runs the provider, and the link in it.

use super::{noun, words};
use crate::actions::provider_links::{self, NewLink, SECRETS, asks_for};
use crate::diagnosis::ways::{LinkFor, with_link};
use crate::model::consent::{LinkKind, ProviderLink};
use crate::model::provider::Provider;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::consent::view::{Line, line};
use crate::web::pages::diagnosis::asked_with;
use crate::web::pages::providers::find;
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "secret_links/request.html")]
struct RequestPage {
    layout: Layout,
    provider: Provider,
    /// The link, this once.
    made: Option<(String, ProviderLink)>,
    words: String,
    /// The same for a mail program.
    mail: String,
    links: Vec<Line>,
    /// What somebody with a link would enter, with its article; empty: nothing.
    wanted: &'static str,
    /// Whether the certificate is here already, and its public half is to go to the provider.
    own: bool,
    /// Where that is downloaded, without the kind of file.
    certificates: String,
    path: String,
}

async fn request_page(
    web: &WebState,
    user: &CurrentUser,
    provider: Provider,
    made: Option<(String, ProviderLink)>,
    request: Option<String>,
) -> Result<Response, PageError> {
    let name = provider.name.as_str().to_owned();
    let layout = user.layout(Section::Providers, "Request to whoever runs the provider").await;
    let layout = layout.crumb("Providers", "/providers").crumb(&name, &routes::provider(&name));
    let own = words::own_certificate(&provider).is_some() && asks_for(&provider) == Some(LinkKind::Certificate);
    let words = match (request, &made) {
        (Some(request), Some((url, link))) => {
            let ends = format!("{} ({})", layout.zone.full(link.expires_at), layout.zone.label(&layout.now));
            with_link(&request, if own { LinkFor::PublicHalf } else { LinkFor::Secret }, url, &ends)
        }
        _ => words::words(&web.app, &layout, &provider, made.as_ref()).await?,
    };
    let now = web.app.clock.now();
    let mut links = Vec::new();
    for kind in SECRETS {
        links.extend(web.app.store.provider_links_of(&provider.id, kind).await?);
    }
    links.sort_by_key(|link| std::cmp::Reverse(link.created_at));
    RequestPage {
        layout,
        mail: words.replace("\r\n", "\n").replace('\n', "\r\n"),
        words,
        links: links.into_iter().map(|one| line(one, &provider, now)).collect(),
        wanted: noun(asks_for(&provider)),
        own,
        certificates: {
            let which = if provider.credentials.next.is_some() { "next" } else { "current" };
            format!("{}/certificate/{which}", routes::provider(&name))
        },
        path: format!("{}/request", routes::provider(&name)),
        made,
        provider,
    }
    .show()
}

/// `GET /providers/{name}/request`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    request_page(&web, &user, provider, None, None).await
}

/// What the link goes into.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RequestForm {
    /// The request of a diagnosis; empty: the text of this page.
    request: String,
}

/// `POST /providers/{name}/request`: makes a secret link and shows it in the text, this once.
pub async fn create(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<RequestForm>,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    let Some(kind) = asks_for(&provider) else {
        return Err(PageError::Conflict(
            "This provider proves itself without a client secret, so there is nothing to enter.".to_owned(),
        ));
    };
    let NewLink { link, url } = provider_links::create(&web.app, &user.actor(), &provider, kind).await?;
    let made = Some((url.expose_secret().to_owned(), link));
    request_page(&web, &user, provider, made, asked_with(&form.request)).await
}

/// `POST /providers/{name}/request/{id}/withdraw`.
pub async fn withdraw(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    provider_links::withdraw(&web.app, &user.actor(), &provider, &SECRETS, &id).await?;
    let path = format!("{}/request", routes::provider(&name));
    user.redirect(&path, "Secret link withdrawn. It doesn't work any more.").await
}
