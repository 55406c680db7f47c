//! Who may use which page.

use crate::support::app::TestApp;
use axum::http::{Method, StatusCode};
use mailgrant::model::user::Role;
use mailgrant::web::routes::Access;

/// A path with something in place of its parameters. What it names does not exist: being let in shows as 404, never as 403.
fn concrete(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "none" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn every_route_lets_in_exactly_the_roles_it_declares() {
    let t = TestApp::start().await;
    for route in mailgrant::web::all().list() {
        let path = concrete(route.path);
        if path == "/logout" || path.starts_with("/setup") {
            continue;
        }
        for role in Role::ALL {
            let mut browser = t.signed_in(role.as_str());
            let page = if route.method == Method::GET {
                browser.get(&path).await
            } else {
                browser.post(&path, &[]).await
            };
            let allowed = match route.access {
                Access::Public | Access::SignedIn => true,
                Access::Permission(permission) => role.may(permission),
            };
            let refused = page.status == StatusCode::FORBIDDEN;
            assert_eq!(refused, !allowed, "{role} {} {path}: {}", route.method, page.status);
            assert!(!page.status.is_server_error(), "{role} {} {path}: {}", route.method, page.status);
        }
        let mut nobody = t.anonymous();
        let page = if route.method == Method::GET {
            nobody.get(&path).await
        } else {
            nobody.post(&path, &[]).await
        };
        if route.access != Access::Public {
            let to = page.location().unwrap_or_default();
            assert_eq!(page.status, StatusCode::SEE_OTHER, "nobody {} {path}", route.method);
            assert!(to.starts_with("/login"), "nobody {} {path} is sent to {to}", route.method);
        }
    }
}
