//! Every route says who may use it (ROLE-1): [`Routes`] takes no handler without an [`Access`], wraps each one in the check, and
//! keeps the list as data, for the test that walks every route with every role. Also the addresses other pages link to.

use super::WebState;
use super::guard;
use crate::model::user::Permission;
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::MethodRouter;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, also without signing in.
    Public,
    /// Whoever is signed in.
    SignedIn,
    /// Whoever is signed in and has the permission.
    Permission(Permission),
}

/// One route, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// GET (which answers HEAD too) or POST.
    pub method: Method,
    /// Path with its parameters, `/mailboxes/{name}`.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
}

/// Routes with their handlers. A section's page file has a function `routes()` that returns its own.
#[derive(Default)]
pub struct Routes {
    list: Vec<(Route, MethodRouter<WebState>)>,
}

impl Routes {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A page, or anything else that changes nothing (SESS-7).
    #[must_use]
    pub fn get<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, WebState>,
        T: 'static,
    {
        self.add(Method::GET, path, access, axum::routing::get(handler))
    }

    /// A form.
    #[must_use]
    pub fn post<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, WebState>,
        T: 'static,
    {
        self.add(Method::POST, path, access, axum::routing::post(handler))
    }

    fn add(mut self, method: Method, path: &'static str, access: Access, handler: MethodRouter<WebState>) -> Self {
        let handler = handler.layer(axum::middleware::from_fn(move |request, next| guard::check(access, request, next)));
        self.list.push((Route { method, path, access }, handler));
        self
    }

    /// These and those of another section.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        self
    }

    /// The list without its handlers.
    pub fn list(&self) -> Vec<Route> {
        self.list.iter().map(|(route, _)| route.clone()).collect()
    }

    /// The router of the list.
    pub(super) fn into_router(self) -> Router<WebState> {
        self.list
            .into_iter()
            .fold(Router::new(), |router, (route, handler)| router.route(route.path, handler))
    }
}

/// The overview.
pub const OVERVIEW: &str = "/";
/// Signing in.
pub const LOGIN: &str = "/login";
/// Explaining an error.
pub const EXPLAIN: &str = "/explain";
/// Searching.
pub const SEARCH: &str = "/search";
/// What ends, and when.
pub const EXPIRY: &str = "/expiry";
/// Every bulk test that is kept.
pub const BATCHES: &str = "/tests/batches";
/// The own account.
pub const ME: &str = "/me";

/// A mailbox.
pub fn mailbox(name: &str) -> String {
    format!("/mailboxes/{name}")
}

/// A token.
pub fn token(name: &str) -> String {
    format!("/tokens/{name}")
}

/// A provider.
pub fn provider(name: &str) -> String {
    format!("/providers/{name}")
}

/// A run of a test.
pub fn run(id: &str) -> String {
    format!("/tests/{id}")
}

/// A bulk test.
pub fn batch(id: &str) -> String {
    format!("/tests/batches/{id}")
}

/// `text` if it is a path of this console, for `next` parameters (OAUTH-8: no open redirector): starts with one slash, and holds
/// nothing a browser could take for another host.
pub fn own_path(text: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_graphic() && c != '\\';
    let fine = text.starts_with('/') && !text.starts_with("//") && text.len() <= 2000 && text.chars().all(plain);
    let leads_in_circles = text == LOGIN || text.starts_with("/login?") || text.starts_with("/logout");
    (fine && !leads_in_circles).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn only_own_paths_are_returned_to() {
        for good in ["/", "/mailboxes?after=a%20b&sort=state", "/tokens/a/authorize/1#x"] {
            assert_eq!(own_path(good), Some(good));
        }
        for bad in [
            "",
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "/a\r\nSet-Cookie: x",
            "/a b",
            "/login?next=/login",
            "javascript:alert(1)",
        ] {
            assert_eq!(own_path(bad), None, "{bad:?}");
        }
    }
}
