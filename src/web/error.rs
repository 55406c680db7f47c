//! [`PageError`]: what goes wrong while a page is made, as a status and a page with a way out. The cause is logged once, with the
//! request's id; the page never shows it (HDR-4). These pages need no database.

use super::guard::Visit;
use super::page::Page;
use crate::actions::ActionError;
use crate::actions::users::UserError;
use crate::model::user::Permission;
use crate::store::StoreError;
use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use std::fmt::Display;

/// Why there is no page.
#[derive(Debug)]
pub enum PageError {
    /// 404: nothing at this address.
    NotFound,
    /// 404, with a sentence that says what was here or is missing.
    Missing(String),
    /// 403: names up to three people who could.
    Forbidden {
        /// What it would have taken.
        permission: Permission,
        /// Who has it.
        names: Vec<String>,
    },
    /// 303 to the sign-in page.
    SignIn,
    /// 403: the form was not sent by a page of ours; the text says what was seen.
    CrossSite(String),
    /// 403: the form belongs to an earlier visit. Holds the page it was on.
    StaleForm(Option<String>),
    /// 400: the request can't be read.
    Bad(String),
    /// 409: it does not fit what is there now.
    Conflict(String),
    /// 405.
    Method,
    /// 413.
    TooLarge,
    /// 415.
    Unsupported,
    /// 429: too many tries, with the seconds to wait.
    TooMany(i64),
    /// 503: not now, with the seconds to wait.
    Busy(i64),
    /// 500. Logged where it was made.
    Internal,
}

impl PageError {
    /// 500, and the cause in the log.
    pub fn internal(cause: impl Display) -> Self {
        tracing::error!(error = %cause, "A request failed: {cause}");
        Self::Internal
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Forbidden { .. } | Self::CrossSite(_) | Self::StaleForm(_) => StatusCode::FORBIDDEN,
            Self::SignIn => StatusCode::SEE_OTHER,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn story(self) -> Story {
        let overview = ("/", "Overview");
        match self {
            Self::NotFound | Self::SignIn => Story::new(
                "There's no page here",
                "The address may be mistyped, or what it showed was removed.",
                overview,
            ),
            Self::Missing(text) => Story::new("There's no page here", text, overview),
            Self::Forbidden { permission, names } => {
                Story::new("You can't do this", format!("{} {}", who_can(permission), ask(&names)), overview)
            }
            Self::CrossSite(text) => Story::new("This form didn't come from this console", text, overview),
            Self::StaleForm(back) => Story {
                link: ("Open the page again", back.unwrap_or_else(|| "/".into())),
                ..Story::new(
                    "This form is from an earlier visit",
                    "Nothing was changed. Open the page again, then send the form once more.",
                    overview,
                )
            },
            Self::Bad(text) => Story::new("This request can't be read", text, overview),
            Self::Conflict(text) => Story::new("This doesn't fit any more", text, overview),
            Self::Method => Story::new("This page can't be asked that way", "Open it by its link instead.", overview),
            Self::TooLarge => Story::new(
                "That's too much at once",
                "A form can have 64 kB and 200 fields, an import 1 MB. Nothing was changed.",
                overview,
            ),
            Self::Unsupported => Story::new("This form was sent in a way we don't read", "Nothing was changed.", overview),
            Self::TooMany(seconds) => Story::new(
                "Too many tries",
                format!("Try again in {}. Nothing was changed.", wait(seconds)),
                overview,
            ),
            Self::Busy(seconds) => Story::new(
                "The console is busy",
                format!("Nothing was changed. Try again in {}.", wait(seconds)),
                overview,
            ),
            Self::Internal => Story::new(
                "Something went wrong on our side",
                "Nothing you typed was saved. If it happens again, look for the reference in the console's log.",
                overview,
            ),
        }
    }
}

/// `20 seconds`, `3 minutes`.
pub fn wait(seconds: i64) -> String {
    match seconds {
        ..=1 => "1 second".into(),
        2..=119 => format!("{seconds} seconds"),
        _ => format!("{} minutes", (seconds + 59) / 60),
    }
}

/// "Only people with … can do this."
pub fn who_can(permission: Permission) -> String {
    let words = match permission {
        Permission::View => "permission to look around",
        Permission::LogRead => "permission to read the logs",
        Permission::AuditRead => "permission to read the audit log",
        Permission::MailboxTest => "permission to run tests",
        Permission::TokenAuthorize => "permission to start sign-ins",
        Permission::MailboxAct => "permission to move messages",
        Permission::MailboxPeek => "permission to see senders and subjects",
        Permission::MailboxEdit => "permission to change mailboxes",
        Permission::ProviderEdit => "permission to change providers",
        Permission::TokenEdit => "permission to change tokens",
        Permission::SecretSet => "permission to set secrets",
        Permission::PeopleManage => "permission to manage people",
        Permission::SettingsEdit => "permission to change settings",
        Permission::CryptoManage => "permission to export secrets",
    };
    format!("Only people with {words} can do this.")
}

/// "Ask Ossi Lahti or Maija Korhonen."
pub fn ask(names: &[String]) -> String {
    match names {
        [] => "Nobody here has it at the moment.".into(),
        [one] => format!("Ask {one}."),
        [first @ .., last] => format!("Ask {} or {last}.", first.join(", ")),
    }
}

/// What the page says.
#[derive(Clone)]
struct Story {
    title: String,
    text: String,
    link: (&'static str, String),
}

impl Story {
    fn new(title: &str, text: impl Into<String>, link: (&str, &'static str)) -> Self {
        Self {
            title: title.into(),
            text: text.into(),
            link: (link.1, link.0.into()),
        }
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy(_) | StoreError::Database(sqlx::Error::PoolTimedOut) => {
                tracing::warn!(error = %error, "The database can't be used now: {error}");
                Self::Busy(5)
            }
            StoreError::Taken => Self::Conflict("There is one with this name already. Nothing was changed.".into()),
            StoreError::InUse => Self::Conflict("Something else still uses it, so nothing was changed.".into()),
            StoreError::Stale => Self::Conflict("Somebody else changed this meanwhile. Open the page again to see how it is now.".into()),
            other => Self::internal(other),
        }
    }
}

impl From<ActionError> for PageError {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::NotFound(what) => Self::Missing(format!("There is no such {what}. It may have been deleted.")),
            ActionError::Fields(problems) => {
                let all: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
                Self::Conflict(format!("{}.", all.join(". ")))
            }
            ActionError::Store(error) => error.into(),
            other @ ActionError::Vault(_) => Self::internal(other),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if matches!(self, Self::SignIn) {
            return Redirect::to(super::routes::LOGIN).into_response();
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        if let Self::TooMany(seconds) | Self::Busy(seconds) = &self
            && let Ok(value) = HeaderValue::from_str(&seconds.max(&1).to_string())
        {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        if matches!(self, Self::Method) {
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        }
        response.extensions_mut().insert(self.story());
        response
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: String,
    text: String,
    link: (&'static str, String),
    request_id: String,
}

/// Gives every refusal its page: our own, and those of the router and the extractors, which come without one.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<super::RequestId>().cloned().unwrap_or_default();
    let mut response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_page(response.headers()) {
        return response;
    }
    let story = response.extensions_mut().remove::<Story>();
    let story = story.unwrap_or_else(|| from_status(status).story());
    let page = ErrorPage {
        title: story.title,
        text: story.text,
        link: story.link,
        request_id: id.0,
    };
    let mut answer = page.with_status(status).unwrap_or_else(|_| status.into_response());
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            answer.headers_mut().append(name, value.clone());
        }
    }
    answer
}

fn is_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| !value.as_bytes().starts_with(b"text/plain"))
}

fn from_status(status: StatusCode) -> PageError {
    match status {
        StatusCode::NOT_FOUND => PageError::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => PageError::Method,
        StatusCode::PAYLOAD_TOO_LARGE => PageError::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => PageError::Unsupported,
        StatusCode::CONFLICT => PageError::Conflict("Nothing was changed.".into()),
        StatusCode::SERVICE_UNAVAILABLE => PageError::Busy(5),
        status if status.is_server_error() => PageError::Internal,
        _ => PageError::Bad("Something in the address or the form is not as it should be. Nothing was changed.".into()),
    }
}

/// What a panic becomes: its text stays in the log.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    PageError::Internal.into_response()
}

/// The answer where nothing is.
pub(super) async fn not_found() -> PageError {
    PageError::NotFound
}

/// The answer to a method nothing has here.
pub(super) async fn no_such_method() -> PageError {
    PageError::Method
}

impl Visit {
    /// The page the form was on, as the browser says: only its path, and only if it is ours.
    pub(super) fn referer(&self) -> Option<String> {
        let referer = self.headers.get(header::REFERER)?.to_str().ok()?;
        let url = url::Url::parse(referer).ok()?;
        if url.origin() != self.web.base_url().origin() && url.authority() != self.host {
            return None;
        }
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        super::routes::own_path(path).map(str::to_owned)
    }
}

impl From<UserError> for PageError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Store(error) => error.into(),
            UserError::Wait(seconds) => Self::TooMany(seconds),
            UserError::Busy => Self::Busy(crate::auth::password::BUSY),
            UserError::Unknown(email) => Self::Missing(format!("There is no such account, {email}. It may have been deleted.")),
            other => Self::Conflict(format!("{other}.")),
        }
    }
}
