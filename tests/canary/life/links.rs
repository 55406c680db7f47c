//! Links for people without an account, and settings brought along.

use super::super::console::come_back;
use super::super::search::Search;
use super::{Life, SUPPORT, TYPED};
use crate::support::app::Page;
use crate::support::provider::{Lie, SECRET, parameter};
use axum::http::StatusCode;
use sqlx::Connection;

impl<'a> Life<'a> {
    pub(super) async fn links(&mut self, search: &mut Search) {
        self.provider.lies(&[]);
        self.admin.get("/tokens/support").await;
        let page = self.admin.post("/tokens/support/links", &[]).await;
        let address = page.text("#link");
        let path = address
            .strip_prefix(self.console.base.as_str())
            .unwrap_or_else(|| panic!("{}", page.words()));
        search.add("link", path.strip_prefix("l/").unwrap());
        let path = format!("/{path}");
        let mut stranger = self.console.browser("somebody with a link");
        stranger.get(&path).await;
        let page = stranger.post(&path, &[]).await;
        let page = stranger.follow(page).await;
        let leave = page.attribute("a#continue", "href").unwrap_or_else(|| panic!("{}", page.words()));
        search.add("link's state", &parameter(&leave, "state").unwrap());
        search.add("link's nonce", &parameter(&leave, "nonce").unwrap());
        let page = come_back(&mut stranger, &self.console.base, &self.provider.sign_in(&leave, SUPPORT)).await;
        assert_eq!(page.text("h1"), "Done", "{}", page.words());
    }

    /// Settings brought along in every format: seen, one applied and undone, the others left to wait.
    pub(super) async fn imports(&mut self, search: &mut Search) {
        search.add("brought along", "canary-import-");
        let endpoint = "https://login.microsoftonline.com/fabrikam.test/oauth2/v2.0/token";
        let client = "11112222-bbbb-3333-cccc-4444dddd5555";
        for text in [
            format!(
                "[[provider]]\nname = \"brought\"\ntemplate = \"microsoft\"\ntenant = \"fabrikam.test\"\nclient_id = \"{client}\"\n\
                 client_secret = \"canary-import-toml\"\n[[token]]\nname = \"brought\"\nprovider = \"brought\"\nuser = \"a@fabrikam.test\"\n\
                 refresh_token = \"canary-import-refresh\"\n"
            ),
            "name,address,incoming.host,incoming.password\nrow,row@contoso.test,imap.example.com,canary-import-csv\n".to_owned(),
            format!(
                "mail.store.user=b@fabrikam.test\nmail.store.host=imap.example.com\nmail.store.oauth.enabled=true\nmail.oauth.client.id={client}\n\
                 mail.oauth.client.secret=canary-import-settings\nmail.oauth.token.endpoint={endpoint}\nmail.transport.password=canary-import-left\n"
            ),
        ] {
            let page = self.admin.submit("/transfer/import", &[("text", &text)]).await;
            assert!(page.text("title").starts_with("Preview of the import"), "{}", page.words());
            let action = page.attribute("form[action$=apply]", "action").unwrap();
            let fields = page.form(&action);
            if text.starts_with("[[") {
                let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let page = self.admin.post_raw(&action, &fields).await;
                let page = self.admin.follow(page).await;
                assert!(page.words().contains("2 entries were imported."), "{}", page.words());
                let page = self.admin.submit(action.replace("/apply", "/undo"), &[]).await;
                assert!(page.words().contains("The import was undone."), "{}", page.words());
            }
        }
    }

    /// An admin consents through a link, and somebody enters the client secret through another.
    pub(super) async fn provider_links(&mut self, search: &mut Search) {
        self.provider.lies(&[]);
        let mut shell = self.shell().await;
        let endpoints: String = sqlx::query_scalar("SELECT endpoints FROM providers WHERE name = 'rig'")
            .fetch_one(&mut shell)
            .await
            .unwrap();
        let mut endpoints: serde_json::Value = serde_json::from_str(&endpoints).unwrap();
        endpoints["admin_consent_url"] = format!("{}/adminconsent", self.provider.url).into();
        let update = sqlx::query("UPDATE providers SET endpoints = $1 WHERE name = 'rig'").bind(endpoints.to_string());
        assert_eq!(update.execute(&mut shell).await.unwrap().rows_affected(), 1);
        shell.close().await.unwrap();

        self.admin.get("/providers/rig/consent").await;
        let page = self.admin.post("/providers/rig/consent/links", &[]).await;
        let path = self.made(search, "consent link", &page);
        let mut stranger = self.console.browser("somebody with a link");
        stranger.get(&path).await;
        for answer in [
            &[("error", "access_denied"), ("error_description", TYPED), ("admin_consent", "True")][..],
            &[("admin_consent", "True"), ("tenant", "a-tenant")],
        ] {
            let page = stranger.post(&path, &[]).await;
            let page = stranger.follow(page).await;
            let leave = page.attribute("a#continue", "href").unwrap_or_else(|| panic!("{}", page.words()));
            search.add("consent's state", &parameter(&leave, "state").unwrap());
            let page = come_back(&mut stranger, &self.console.base, &self.provider.back(&leave, answer)).await;
            assert!(!page.text("h1").is_empty(), "{}", page.words());
        }
        // A certificate that waits would be what a link asks for.
        self.admin.submit("/providers/rig/certificate/discard", &[]).await;
        self.admin.get("/providers/rig/request").await;
        let page = self.admin.post("/providers/rig/request", &[]).await;
        let path = self.made(search, "secret link", &page);
        let mut stranger = self.console.browser("somebody with a link");
        stranger.get(&path).await;
        for (lies, secret) in [(&[Lie::Echoes][..], TYPED), (&[], TYPED), (&[Lie::Echoes], SECRET), (&[], SECRET)] {
            self.provider.lies(lies);
            let page = stranger.post(&path, &[("client_secret", secret)]).await;
            assert_eq!(
                page.status == StatusCode::SEE_OTHER,
                lies.is_empty() && secret == SECRET,
                "{}",
                page.words()
            );
        }
    }

    /// The path of a link that was made just now.
    fn made(&self, search: &mut Search, what: &'static str, page: &Page) -> String {
        let address = page.text("#link");
        let path = address
            .strip_prefix(self.console.base.as_str())
            .unwrap_or_else(|| panic!("{}", page.words()));
        search.add(what, path.rsplit('/').next().unwrap());
        format!("/{path}")
    }
}
