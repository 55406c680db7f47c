//! Where the provider sends a browser back to.

use super::{attempt_path, clear_flow_cookie, flow};
use crate::actions::authorize::{self, Evidence, Outcome};
use crate::model::Name;
use crate::web::WebState;
use crate::web::back::Back;
use crate::web::error::PageError;
use crate::web::guard::{CurrentUser, Visit};
use crate::web::page::{Flash, Layout, Page};
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Redirect, Response};

/// `GET /oauth/callback/{provider}`: takes a return once, and leads at once to an address without code and state (OAUTH-7).
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
        return Ok(clean_redirect("/oauth/returned/unknown"));
    };
    let returned = match authorize::finish(&web.app, &name, query.as_deref().unwrap_or_default(), &evidence).await {
        Ok(returned) => returned,
        Err(error) => {
            tracing::error!(error = %error, "A sign-in could not be finished: {error}");
            return Ok(clean_redirect("/oauth/returned/failed"));
        }
    };
    let Some(attempt) = returned.attempt else {
        let how = if returned.outcome == Outcome::OtherWindow {
            "too-old"
        } else {
            "unknown"
        };
        return Ok(clean_redirect(&format!("/oauth/returned/{how}")));
    };
    if returned.outcome != Outcome::Used {
        clear_flow_cookie(&web, &visit, &attempt.id);
    }
    if attempt.link {
        return Ok(clean_redirect(&format!("/l/done/{}", attempt.id)));
    }
    if let (Outcome::SignedIn { account, run }, Some(user)) = (&returned.outcome, &user) {
        let flash = Flash::ok(&format!("{account} is signed in."));
        let flash = match run {
            Some(run) => flash.link(&routes::run(run), "See the first mail test"),
            None => flash,
        };
        if let Some(back) = Back::take(user, &format!("token:{}", attempt.token)).await {
            back.arrive(user, None, flash).await?;
            return Ok(clean_redirect(&back.path()));
        }
        user.redirect_with(&routes::token(attempt.token.as_str()), flash).await?;
        return Ok(clean_redirect(&routes::token(attempt.token.as_str())));
    }
    Ok(clean_redirect(&attempt_path(&attempt.token, &attempt.id)))
}

/// `303` that takes neither the address it was asked at nor a copy along.
pub(in crate::web::pages) fn clean_redirect(path: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    let headers = response.headers_mut();
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[derive(Template)]
#[template(path = "authorize/returned.html")]
struct ReturnedPage {
    layout: Layout,
    heading: &'static str,
    text: &'static str,
}

/// `GET /oauth/returned/{how}`: a return that belongs to nothing we may show.
pub async fn returned(visit: Visit, Path(how): Path<String>) -> Result<Response, PageError> {
    let (heading, text) = match how.as_str() {
        "too-old" => (
            "This sign-in is too old",
            "Sign-ins must come back within 10 minutes, in the window they were started in. Nothing changed. Start again there.",
        ),
        "unknown" => ("We didn't start this sign-in", "Nothing changed."),
        "failed" => (
            "Something went wrong on our side",
            "The sign-in came back, but it couldn't be finished. Nothing was stored. Start again.",
        ),
        "consent-too-old" => (
            "This consent is too old",
            "It must come back within 10 minutes, in the window it was started in. Nothing changed. Start again there.",
        ),
        "consent-unknown" => ("We didn't start this consent", "Nothing changed."),
        "consent-failed" => (
            "Something went wrong on our side",
            "The consent came back, but it couldn't be finished. Nothing was stored. Start again.",
        ),
        _ => return Err(PageError::NotFound),
    };
    ReturnedPage {
        layout: visit.layout(heading),
        heading,
        text,
    }
    .show()
}
