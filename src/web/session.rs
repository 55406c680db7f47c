//! Cookies and sessions: what the cookies are called, how a session begins and ends (SESS-1 to SESS-3).

use super::guard::Visit;
use crate::store::StoreResult;
pub use crate::store::sessions::USER;
use crate::store::sessions::{SessionRow, Sessions};
use axum::http::header;
use tower_sessions::cookie::SameSite;
use tower_sessions::{Expiry, SessionManagerLayer};

/// The flash message in a session's data.
pub const FLASH: &str = "flash";
/// Where a session was begun, in its data.
pub const ADDRESS: &str = "address";
/// With which browser, in its data.
pub const AGENT: &str = "agent";

/// How many seconds may pass before a use of a session is written down? At most one write a minute.
const TOUCH: i64 = 60;

/// Names of the cookies: on https with the prefix that pins them to this host (Safari and plain http drop such cookies).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieNames {
    /// The session's id.
    pub session: &'static str,
    /// Binds the forms of people without a session.
    pub visitor: &'static str,
    /// Key of a form that waits for its sender to sign in again.
    pub draft: &'static str,
    /// Whose forms come from this browser, also once the session is gone: it opens nothing.
    pub owner: &'static str,
    /// Set on all of them.
    pub secure: bool,
}

impl CookieNames {
    /// For a console on https, or not.
    pub fn new(https: bool) -> Self {
        if https {
            Self {
                session: "__Host-session",
                visitor: "__Host-visitor",
                draft: "__Host-draft",
                owner: "__Host-owner",
                secure: true,
            }
        } else {
            Self {
                session: "session",
                visitor: "visitor",
                draft: "draft",
                owner: "owner",
                secure: false,
            }
        }
    }

    /// A `Set-Cookie` value: HttpOnly, Lax, for this host alone. `max_age` 0 removes it; none: until the browser closes.
    pub fn build(&self, name: &str, value: &str, max_age: Option<i64>) -> String {
        let age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}")
    }
}

/// The layer that reads and writes the session cookie. It says nothing about the end: the row does.
pub(super) fn layer(sessions: Sessions, names: CookieNames) -> SessionManagerLayer<Sessions> {
    SessionManagerLayer::new(sessions)
        .with_name(names.session)
        .with_secure(names.secure)
        .with_same_site(SameSite::Lax)
        .with_expiry(Expiry::OnSessionEnd)
}

impl Visit {
    /// Begins a session for somebody who has just proved who they are, under a new id (SESS-2); an earlier one of this browser ends.
    pub async fn begin_session(&self, user: &str) -> Result<(), tower_sessions::session::Error> {
        let session = &self.session;
        if session.id().is_some() {
            session.flush().await?;
        }
        let agent = self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let agent: String = agent.unwrap_or_default().chars().take(200).collect();
        let names = self.web.cookies;
        let longest = self.web.app.store.session_limits().longest();
        self.set_cookie(&names.build(names.owner, &super::visit::owner_mark(&self.web, user), Some(longest)));
        session.insert(USER, user).await?;
        session.insert(ADDRESS, &self.address).await?;
        session.insert(AGENT, agent).await
    }

    /// Gives the session a new id; the old one is dead at once.
    pub async fn renew_session(&self) -> Result<(), tower_sessions::session::Error> {
        self.session.cycle_id().await
    }

    /// Ends the session here and in the browser.
    pub async fn end_session(&self) -> Result<(), tower_sessions::session::Error> {
        let names = self.web.cookies;
        self.set_cookie(&names.build(names.owner, "", Some(0)));
        self.session.flush().await
    }
}

/// Moves the end of a session that is in use.
pub(super) async fn touch(web: &super::WebState, session: &mut SessionRow) -> StoreResult<()> {
    let now = web.app.clock.now();
    // One that seems to have been used later than now was touched by a clock, or by a limit, that counts no more.
    if now.since(session.used_at()).abs() >= TOUCH {
        web.app.store.touch_session(session, now).await?;
        session.expires_at = now.plus(web.app.store.session_limits().idle());
    }
    Ok(())
}
