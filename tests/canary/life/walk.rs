//! What the command line prints, what mistakes bring back, and every page there is.

use super::super::search::Search;
use super::{Life, PEOPLE, TYPED};
use axum::http::{Method, StatusCode};
use sqlx::Connection;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

impl<'a> Life<'a> {
    pub(super) async fn commands(&mut self, search: &mut Search) {
        for arguments in [
            &["config", "export"][..],
            &["config", "export", "--with-secrets"],
            &["config", "check", "-"],
            &["provider", "list", "--json"],
            &["token", "list", "--json"],
            &["token", "show", "support", "--json"],
            &["token", "show", "support"],
            &["token", "get", "support", "--json"],
            &["token", "get", "nobody"],
            &["mailbox", "list", "--json"],
            &["mailbox", "list"],
            &["user", "list"],
            &["doctor", "--json"],
        ] {
            self.console.command(arguments, "");
        }
        // It waits for somebody to sign in, so there is time to look at it.
        let mut command = self.console.machine.command(&["token", "authorize", "support"]);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut link = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut link).unwrap();
        search.add("link of the command line", link.trim().rsplit('/').next().unwrap());
        self.console.look_at_process("token authorize", child.id());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Secrets in the wrong field, at the wrong time, to the wrong address.
    pub(super) async fn mistakes(&mut self) {
        let names = [
            "password",
            "client_secret",
            "current",
            "incoming_password",
            "outgoing_password",
            "code",
            "nonsense",
        ];
        let secrets = names.map(|name| (name, TYPED));
        let mut browsers = vec![self.admin.clone(), self.console.browser("nobody")];
        for (role, email, password) in &PEOPLE[1..] {
            browsers.push(self.console.sign_in(role, email, password).await);
        }
        for browser in &mut browsers {
            for path in [
                "/login",
                "/me/password",
                "/providers/new",
                "/providers/rig/secret",
                "/mailboxes/new",
                "/tokens/new",
                "/nowhere",
            ] {
                browser.post(path, &secrets).await;
                // Without the token of a form.
                browser.post_raw(path, &secrets).await;
            }
        }
        // A session that ended while somebody typed: what was typed waits for them.
        let (_, email, password) = PEOPLE[0];
        let mut late = self.console.sign_in("admin", email, password).await;
        late.get("/providers/new?template=custom").await;
        let session = mailgrant::vault::sha256(&late.cookies["session"]);
        let mut shell = self.shell().await;
        let end = sqlx::query("UPDATE sessions SET expires_at = 1 WHERE id_hash = $1").bind(session);
        assert_eq!(end.execute(&mut shell).await.unwrap().rows_affected(), 1);
        let page = late
            .post_raw(
                "/providers/new",
                &[
                    ("csrf_token", late.csrf.clone().unwrap().as_str()),
                    ("name", "later"),
                    ("client_secret", TYPED),
                ],
            )
            .await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
        shell.close().await.unwrap();
        let page = self
            .console
            .browser("nobody")
            .post("/login", &[("email", email), ("password", TYPED)])
            .await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.words());
    }

    /// Every page there is, as everybody.
    pub(super) async fn walk(&mut self, search: &mut Search) {
        let mut browsers = vec![("nobody", self.console.browser("nobody"))];
        for (role, email, password) in PEOPLE {
            browsers.push((role, self.console.sign_in(role, email, password).await));
        }
        for (role, browser) in &mut browsers {
            if let Some(session) = browser.cookies.get("session") {
                search.add("session", session);
            }
            for route in mailgrant::web::all().list() {
                if route.method != Method::GET {
                    continue;
                }
                for path in self.concrete(route.path) {
                    let page = browser.get(&path).await;
                    assert!(!page.status.is_server_error(), "{role} {path}: {}", page.status);
                }
            }
        }
    }

    /// The addresses of a route, with everything there is in place of its parameters.
    fn concrete(&self, route: &str) -> Vec<String> {
        let named: Vec<String> = match route.split('/').nth(1).unwrap_or_default() {
            "providers" => ["rig", "accounts", "graph"].map(str::to_owned).into(),
            "tokens" => ["support", "phone", "old", "robot", "graph"].map(str::to_owned).into(),
            _ => ["support", "hr", "by-pop", "by-graph"].map(str::to_owned).into(),
        };
        let mut paths = vec![route.to_owned()];
        for (parameter, values) in [
            ("{name}", named),
            ("{run}", self.runs.clone()),
            ("{attempt}", self.attempts.clone()),
            ("{direction}", vec!["incoming".into(), "outgoing".into()]),
            ("{provider}", vec!["rig".into()]),
        ] {
            if route.contains(parameter) {
                let fill = |path: &String| values.iter().map(|value| path.replace(parameter, value)).collect::<Vec<_>>();
                paths = paths.iter().flat_map(fill).collect();
            }
        }
        paths.iter().map(|path| path.replace(['{', '}', '*'], "")).collect()
    }
}
