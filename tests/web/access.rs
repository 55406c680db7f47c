//! Who may use which page.

use super::real_things::Things;
use crate::sandbox::Play;
use crate::support::app::TestApp;
use axum::http::{Method, StatusCode};
use mailgrant::model::user::Role;
use mailgrant::web::routes::{Access, Route};

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
    assert_eq!(t.admin().get("/demo").await.status, StatusCode::NOT_FOUND, "there only in the demo");
    walk(&t).await;
}

#[tokio::test]
async fn every_route_of_the_demo_lets_in_exactly_the_roles_it_declares() {
    let mut t = TestApp::start().await;
    t.attach(Play::start_at(&t.clock).await.sandbox);
    let routes = walk(&t).await;
    let more: Vec<_> = routes[mailgrant::web::all().list().len()..]
        .iter()
        .map(|route| route.path)
        .collect();
    assert_eq!(more, ["/demo", "/demo"]);
    // Who can't run a test sees what goes wrong, and changes nothing for those who can.
    for (mut browser, may) in [(t.operator(), true), (t.viewer(), false)] {
        let page = browser.get("/demo").await;
        assert_eq!((page.status, page.has("form[action='/demo'] button")), (StatusCode::OK, may));
    }
}

/// The same with things that exist, where somebody would lose something: whoever may not is refused before anything is looked up, and
/// what they would have changed is as it was. Who may looks only.
#[tokio::test]
async fn what_exists_is_kept_from_whoever_may_not() {
    let things = Things::make().await;
    let t = &things.t;
    let before = super::safe::rows(t).await;
    let (mut refused, mut shown) = (0, 0);
    for route in mailgrant::web::all().list() {
        let path = things.address(route.path);
        if path == "/logout" || path.starts_with("/setup") {
            continue;
        }
        let allows = |role: Role| match route.access {
            Access::Public | Access::SignedIn => true,
            Access::Permission(permission) => role.may(permission),
        };
        for role in Role::ALL {
            let mut browser = t.signed_in(role.as_str());
            if !allows(*role) {
                let page = if route.method == Method::GET {
                    browser.get(&path).await
                } else {
                    browser.post(&path, &[("confirm", "hr"), ("act", "save")]).await
                };
                assert_eq!(page.status, StatusCode::FORBIDDEN, "{role} {} {path}", route.method);
                assert!(!page.body.contains("canary"), "{role} {path}");
                refused += 1;
            } else if route.method == Method::GET {
                let page = browser.get(&path).await;
                let ok = page.status != StatusCode::FORBIDDEN && !page.status.is_server_error();
                assert!(ok, "{role} {path}: {}", page.status);
                shown += usize::from(page.status == StatusCode::OK);
            }
        }
        if route.access != Access::Public {
            let mut nobody = t.anonymous();
            let page = if route.method == Method::GET {
                nobody.get(&path).await
            } else {
                nobody.post(&path, &[]).await
            };
            let to = page.location().unwrap_or_default();
            assert!(
                page.status == StatusCode::SEE_OTHER && to.starts_with("/login"),
                "nobody {path}: {}",
                page.status
            );
        }
    }
    // Somebody else who may import sees nothing of what this one brought.
    let other = t.add_user(Role::Admin, "Another Admin").await;
    let page = t.browser_with(&other).get(things.address("/transfer/import/{id}")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "an import is its owner's");
    let after = super::safe::rows(t).await;
    let changed: Vec<_> = after.symmetric_difference(&before).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    assert!(refused > 60 && shown > 60, "{refused} {shown}");
}

/// Every route of this console with every role, and with nobody.
async fn walk(t: &TestApp) -> Vec<Route> {
    let routes = mailgrant::web::routes_of(&t.web).list();
    for route in &routes {
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
    routes
}
