//! `/providers/{name}/consent`: admin consent, asked for and looked at (`ux.md`, 6.9), and where the provider sends the admin back to.
//! What is behind the link for people without an account is in [`link`].

pub mod link;
pub(super) mod view;

use super::authorize::{clean_redirect, clear_flow_cookie, flow, set_flow_cookie};
use super::diagnosis::asked_with;
use super::providers::find;
use crate::actions::consent::{self, BeginError, Evidence, Mode, Outcome};
use crate::actions::provider_links::{self, NewLink};
use crate::clock::Timestamp;
use crate::diagnosis::ways::{LinkFor, with_link};
use crate::model::Name;
use crate::model::consent::{LinkKind, ProviderLink};
use crate::model::provider::Provider;
use crate::model::template::TemplateKind;
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::back::{Back, BackForm};
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::{CurrentUser, Visit};
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::routes::{self, Access, Routes};
use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use view::{Group, Line, Verdict, asked, line, permission_line, verdict};

/// Longest note that goes into a mail.
const LONGEST_NOTE: usize = 2000;

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    let send = Access::Permission(Permission::TokenAuthorize);
    Routes::new()
        .get("/providers/{name}/consent", view, show)
        .post(
            "/providers/{name}/consent/check",
            Access::Permission(Permission::ProviderEdit),
            check,
        )
        .post("/providers/{name}/consent/links", send, create)
        .post("/providers/{name}/consent/links/{id}/withdraw", send, withdraw)
        .post("/providers/{name}/consent/open", send, open)
        .get("/providers/{name}/consent/{attempt}", send, leave)
        .get("/oauth/admin-consent/{provider}", Access::Public, callback)
        .get("/c/{code}", Access::Public, link::open)
        .post("/c/{code}", Access::Public, link::start)
        .get("/c/{code}/{attempt}", Access::Public, link::leave)
        .get("/c/done/{attempt}", Access::Public, link::done)
}

/// The address of a provider's page.
pub(super) fn path(provider: &Provider) -> String {
    format!("{}/consent", routes::provider(provider.name.as_str()))
}

/// The provider of an address, if it has a page for admins.
async fn with_consent(web: &WebState, name: &str) -> Result<Provider, PageError> {
    let provider = find(&web.app, name).await?;
    if !consent::is_known(&provider) {
        let words = format!("{} has no page where an admin consents for everybody.", provider.template.label());
        return Err(PageError::Missing(words));
    }
    Ok(provider)
}

#[derive(Template)]
#[template(path = "consent/show.html")]
struct ShowPage {
    layout: Layout,
    provider: Provider,
    verdict: Verdict,
    /// Since when an admin is waited for, and whether they opened the link.
    waits: Option<(Timestamp, bool)>,
    asked: Vec<Group>,
    app_only: bool,
    /// Whether some of it is for Microsoft Graph.
    by_graph: bool,
    /// Whether people sign in through the app too.
    has_people: bool,
    microsoft: bool,
    return_uri: String,
    links: Vec<Line>,
    path: String,
}

/// `GET /providers/{name}/consent`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = with_consent(&web, &name).await?;
    let wanted = consent::wanted(&web.app, &provider).await?;
    let standing = consent::standing(&web.app, &provider).await?;
    let now = web.app.clock.now();
    let links = web.app.store.provider_links_of(&provider.id, LinkKind::Consent).await?;
    let layout = user.layout(Section::Providers, "Admin consent").await;
    ShowPage {
        layout: layout.crumb("Providers", "/providers").crumb(&name, &routes::provider(&name)),
        verdict: verdict(&standing, &provider, wanted.app_only),
        waits: view::waits_for(&web.app, &provider, &standing).await?,
        asked: asked(&wanted),
        app_only: wanted.app_only,
        by_graph: wanted.permissions.iter().any(|permission| permission.starts_with("Mail.")),
        has_people: !wanted.people.is_empty(),
        microsoft: provider.template == TemplateKind::Microsoft,
        return_uri: consent::return_uri(&web.app, &provider).await?,
        links: links.into_iter().map(|one| line(one, &provider, now)).collect(),
        path: path(&provider),
        provider,
    }
    .show()
}

/// `POST /providers/{name}/consent/check`: *It's already granted*, or *Check now* where the app's own token tells.
pub async fn check(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = with_consent(&web, &name).await?;
    let flash = match consent::check(&web.app, &user.actor(), &provider).await {
        Ok(Outcome::Granted { .. }) => Flash::ok("Checked. The app's own token holds every permission."),
        Ok(Outcome::Told) => Flash::info("Noted. The next sign-in proves it."),
        Ok(_) => Flash::warn("Checked. It isn't granted yet."),
        Err(crate::actions::ActionError::Vault(_)) => Flash::bad("The stored client secret can't be opened. Replace it."),
        Err(error) => return Err(error.into()),
    };
    user.redirect_with(&path(&provider), flash).await
}

/// Whom the mail is for.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct MailForm {
    address: String,
    note: String,
    /// The request of a diagnosis that the link goes into.
    request: String,
}

#[derive(Template)]
#[template(path = "consent/made.html")]
struct MadePage {
    layout: Layout,
    provider: Provider,
    short: &'static str,
    url: String,
    link: ProviderLink,
    words: String,
    /// The same for a mail program.
    mail: String,
    to: String,
    path: String,
}

/// `POST /providers/{name}/consent/links`: makes a link and shows it, this once.
pub async fn create(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<MailForm>,
) -> Result<Response, PageError> {
    let provider = with_consent(&web, &name).await?;
    let wanted = consent::wanted(&web.app, &provider).await?;
    let NewLink { link, url } = provider_links::create(&web.app, &user.actor(), &provider, LinkKind::Consent).await?;
    let path = path(&provider);
    let layout = user.layout(Section::Providers, "Consent link").await;
    let layout = layout
        .crumb("Providers", "/providers")
        .crumb(&name, &routes::provider(&name))
        .crumb("Admin consent", &path);
    let short = provider.template.short_name();
    let ends = format!("{} ({})", layout.zone.full(link.expires_at), layout.zone.label(&layout.now));
    let organisation = view::organisation(&provider, "our organisation");
    let mut words = format!(
        "Our mail console reads and sends mail through an app at {short}. An admin of {organisation} has to allow that app once.\nOpen \
         this link, sign in at {short} as an admin, and press Accept:\n\n{}\n\n{}\nIt asks for:\n",
        url.expose_secret(),
        view::app_lines(&provider),
    );
    for group in asked(&wanted) {
        words.push_str(&format!("\n{}:\n", group.heading));
        for one in &group.list {
            words.push_str(&format!("{}\n", permission_line(one)));
        }
    }
    let note: String = form.note.trim().chars().take(LONGEST_NOTE).collect();
    if !note.is_empty() {
        words.push_str(&format!("\n{note}\n"));
    }
    words.push_str(&format!("\nThe link works once, until {ends}. {} asks for it.", link.created_by));
    if let Some(request) = asked_with(&form.request) {
        words = with_link(&request, LinkFor::Consent, url.expose_secret(), &ends);
    }
    MadePage {
        layout,
        mail: words.replace("\r\n", "\n").replace('\n', "\r\n"),
        to: form.address.trim().chars().filter(|c| !c.is_control()).take(320).collect(),
        url: url.expose_secret().to_owned(),
        short,
        link,
        words,
        path,
        provider,
    }
    .show()
}

/// `POST /providers/{name}/consent/links/{id}/withdraw`.
pub async fn withdraw(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    provider_links::withdraw(&web.app, &user.actor(), &provider, &[LinkKind::Consent], &id).await?;
    user.redirect(&path(&provider), "Consent link withdrawn. It doesn't work any more.")
        .await
}

/// `POST /providers/{name}/consent/open`: *Open it myself*.
pub async fn open(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(from): CsrfForm<BackForm>,
) -> Result<Response, PageError> {
    let provider = with_consent(&web, &name).await?;
    if let Some(back) = Back::parse(&from.back) {
        back.keep(&user, &format!("provider:{name}")).await?;
    }
    let mode = Mode::Browser {
        user: &user.user().id,
        session_hash: user.session_hash(),
    };
    match consent::begin(&web.app, &user.actor(), &provider, mode).await {
        Ok(begun) => {
            set_flow_cookie(&web, &user.visit, &begun.consent.id, begun.flow.expose_secret());
            Ok(Redirect::to(&format!("{}/{}", path(&provider), begun.consent.id)).into_response())
        }
        Err(BeginError::OAuth(error)) => {
            let flash = Flash::bad(&format!("It can't begin: {error}."));
            user.redirect_with(&path(&provider), flash).await
        }
        Err(error @ BeginError::LinkWornOut) => Err(PageError::internal(error)),
        Err(BeginError::Store(error)) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "consent/leave.html")]
struct LeavePage {
    layout: Layout,
    provider: Provider,
    asked: Vec<Group>,
    short: &'static str,
    organisation: String,
    url: String,
    back: String,
    ends: Timestamp,
}

/// `GET /providers/{name}/consent/{attempt}`: the page before leaving.
pub async fn leave(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let provider = with_consent(&web, &name).await?;
    let back = path(&provider);
    let now = web.app.clock.now();
    let mine = web.app.store.consent(&id).await?.filter(|one| {
        one.provider_id == provider.id
            && one.session_hash.as_deref() == Some(user.session_hash())
            && one.outcome.is_empty()
            && one.expires_at >= now
            && flow(&web, &user.visit, &id).is_some()
    });
    let found = mine.and_then(|one| Some((consent::leave_url(&web.app, &provider, &one)?, one)));
    let Some((url, attempt)) = found else {
        return Ok(Redirect::to(&back).into_response());
    };
    let wanted = consent::wanted(&web.app, &provider).await?;
    let layout = user.layout(Section::Providers, "Consent as an admin").await;
    LeavePage {
        layout: layout
            .crumb("Providers", "/providers")
            .crumb(&name, &routes::provider(&name))
            .crumb("Admin consent", &back),
        asked: asked(&wanted),
        short: provider.template.short_name(),
        organisation: view::organisation(&provider, "your organisation"),
        ends: attempt.expires_at,
        provider,
        url,
        back,
    }
    .show()
}

/// `GET /oauth/admin-consent/{provider}`: takes a return once, and leads at once to an address without state (OAUTH-7).
pub async fn callback(
    State(web): State<WebState>,
    visit: Visit,
    method: Method,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    // Somebody looks whether the address exists: nothing may be used up by that.
    if method != Method::GET {
        return Err(PageError::Method);
    }
    let user = visit.user();
    let nobody = visit.actor("return", "Somebody");
    let actor = user.as_ref().map_or(nobody, CurrentUser::actor);
    let cookie = |attempt: &str| flow(&web, &visit, attempt);
    let evidence = Evidence {
        user: user.as_ref().map(|user| &user.user().id),
        session_hash: visit.session_hash(),
        flow: &cookie,
        actor: &actor,
    };
    let Ok(name) = Name::parse(&provider) else {
        return Ok(clean_redirect("/oauth/returned/consent-unknown"));
    };
    let returned = match consent::finish(&web.app, &name, query.as_deref().unwrap_or_default(), &evidence).await {
        Ok(returned) => returned,
        Err(error) => {
            tracing::error!(error = %error, "An admin consent could not be finished: {error}");
            return Ok(clean_redirect("/oauth/returned/consent-failed"));
        }
    };
    let Some((id, by_link)) = returned.consent else {
        let how = if returned.outcome == Outcome::OtherWindow {
            "consent-too-old"
        } else {
            "consent-unknown"
        };
        return Ok(clean_redirect(&format!("/oauth/returned/{how}")));
    };
    if returned.outcome != Outcome::Used {
        clear_flow_cookie(&web, &visit, &id);
    }
    if by_link {
        return Ok(clean_redirect(&format!("/c/done/{id}")));
    }
    let home = format!("{}/consent", routes::provider(name.as_str()));
    if let Some(user) = &user {
        let flash = match &returned.outcome {
            Outcome::Granted { .. } => Flash::ok("Consent is granted."),
            outcome @ (Outcome::Missing { .. } | Outcome::Unproved { .. }) => Flash::warn(&outcome.sentence()),
            outcome => Flash::bad(&outcome.sentence()),
        };
        if let Some(back) = Back::take(user, &format!("provider:{name}")).await {
            back.arrive(user, None, flash).await?;
            return Ok(clean_redirect(&back.path()));
        }
        user.redirect_with(&home, flash).await?;
    }
    Ok(clean_redirect(&home))
}
