//! One of everything that an address can name, for walks over all routes.

use super::authorize::{begin, house, signed_in};
use super::consent::change_named;
use crate::probe::imap_server::Imapd;
use crate::probe::server::Server;
use crate::support::app::{Page, TestApp};
use crate::support::provider::Provider;
use axum::http::StatusCode;

/// A console with one of everything.
pub struct Things {
    pub t: TestApp,
    pub provider: Provider,
    pub server: Server,
    /// A route's parameter, the beginning of the routes it is meant for, and what stands for it there.
    named: Vec<(&'static str, &'static str, String)>,
}

fn last(address: &str) -> String {
    address.rsplit('/').next().unwrap().to_owned()
}

impl Things {
    pub async fn make() -> Self {
        let (t, provider) = house().await;
        signed_in(&t, &provider).await;
        let server = Imapd::default().start(None).await;
        t.add_mailbox("hr", Some(server.port), None).await;
        let mut admin = t.admin();
        let page = admin.submit("/mailboxes/hr/test/incoming", &[("defaults", "1")]).await;
        assert!(page.text("title").starts_with("Passed"), "{}", page.words());
        let (attempt, _) = begin(&mut admin, &[]).await;
        let link = |page: &Page| {
            assert_eq!(page.status, StatusCode::OK, "{}", page.words());
            last(&page.text("#link"))
        };
        admin.get("/tokens/support").await;
        let sign_in = link(&admin.post("/tokens/support/links", &[]).await);
        change_named(&t, "rig", |rig| {
            rig.overrides.admin_consent_url = Some(format!("{}/adminconsent", provider.url));
        })
        .await;
        admin.get("/providers/rig/consent").await;
        let consent = link(&admin.post("/providers/rig/consent/links", &[]).await);
        let opened = admin.post("/providers/rig/consent/open", &[]).await;
        let consenting = last(&opened.location().unwrap_or_else(|| panic!("{}", opened.words())));
        admin.get("/providers/rig/request").await;
        let secret = link(&admin.post("/providers/rig/request", &[]).await);
        let text = "[[mailbox]]\nname = \"brought\"\naddress = \"brought@contoso.test\"\n[mailbox.incoming]\nhost = \"imap.example.com\"\n\
                    auth = \"password\"\npassword = \"canary-brought\"\n";
        let import = admin.post("/transfer/import", &[("text", text)]).await;
        let import = last(&import.location().unwrap_or_else(|| panic!("{}", import.words())));
        assert_eq!(admin.get(format!("/transfer/import/{import}")).await.status, StatusCode::OK);

        let start = [
            ("template", "other"),
            ("name", "another"),
            ("address", "hr@contoso.test"),
            ("provider", "rig"),
        ];
        let walkthrough = admin.post("/walkthroughs/new", &start).await;
        let walkthrough = last(&walkthrough.location().unwrap_or_else(|| panic!("{}", walkthrough.words())));

        mailgrant::worker::instances::tick(&t.app).await.unwrap();
        let mut new = admin.get("/tests/new?which=filter").await.form("/tests/new");
        new.push(("act".to_owned(), "start".to_owned()));
        let new: Vec<(&str, &str)> = new.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let batch = admin.post_raw("/tests/new", &new).await;
        let batch = last(&batch.location().unwrap_or_else(|| panic!("{}", batch.words())));
        for _ in 0..500 {
            mailgrant::worker::batches::tick(&t.app).await.unwrap();
            if t.count("SELECT COUNT(*) FROM batches WHERE finished_at IS NULL").await == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        admin.get("/mailboxes").await;
        admin.post("/bulk", &[("all", "1"), ("act", "add-tag"), ("tag", "sorted")]).await;

        let delivery = super::notifications::delivered(&t.app).await;
        let pool = t.app.store.raw_pool();
        let id = async |sql: &'static str| sqlx::query_scalar::<_, String>(sql).fetch_one(pool).await.unwrap();
        let named = vec![
            ("{name}", "/providers/", "rig".to_owned()),
            ("{name}", "/tokens/", "support".to_owned()),
            ("{name}", "/mailboxes/", "hr".to_owned()),
            ("{run}", "/", id("SELECT id FROM runs ORDER BY started_at, id LIMIT 1").await),
            ("{list}", "/", "junk".to_owned()),
            ("{number}", "/", "0".to_owned()),
            ("{id}", "/tests/batches/", batch),
            ("{turn}", "/tests/batches/", "stop".to_owned()),
            ("{id}", "/bulk/", id("SELECT id FROM bulk_acts").await),
            ("{direction}", "/", "incoming".to_owned()),
            ("{provider}", "/", "rig".to_owned()),
            ("{attempt}", "/tokens/", last(&attempt)),
            ("{attempt}", "/providers/", consenting.clone()),
            ("{attempt}", "/c/", consenting),
            ("{attempt}", "/l/", last(&attempt)),
            ("{code}", "/l/", sign_in),
            ("{code}", "/c/", consent),
            ("{code}", "/s/", secret),
            ("{id}", "/tokens/", id("SELECT id FROM links").await),
            (
                "{id}",
                "/providers/{name}/consent/",
                id("SELECT id FROM provider_links WHERE kind = 'consent'").await,
            ),
            (
                "{id}",
                "/providers/{name}/request/",
                id("SELECT id FROM provider_links WHERE kind = 'secret'").await,
            ),
            ("{id}", "/walkthroughs/", walkthrough),
            ("{step}", "/walkthroughs/", "other-scopes".to_owned()),
            ("{id}", "/transfer/", import),
            ("{id}", "/settings/", delivery),
            ("{channel}", "/settings/", "webhook".to_owned()),
            ("{id}", "/me/", id("SELECT id_hash FROM sessions ORDER BY created_at LIMIT 1").await),
            ("{group}", "/settings/", "checks".to_owned()),
            ("{how}", "/", "cancelled".to_owned()),
            ("{file}", "/", "current.pem".to_owned()),
            ("{hash}", "/", "0".to_owned()),
            ("{*name}", "/", "app.css".to_owned()),
        ];
        Self {
            t,
            provider,
            server,
            named,
        }
    }

    /// The address of a route with things that exist; a parameter nothing is known for is a mistake of this list.
    pub fn address(&self, route: &str) -> String {
        let fits = |(parameter, start, _): &&(&str, &str, String)| route.contains(parameter) && route.starts_with(start);
        let mut path = route.to_owned();
        for (parameter, _, value) in self.named.iter().filter(fits) {
            path = path.replace(parameter, value);
        }
        assert!(!path.contains('{'), "nothing stands for the parameter of {route}: {path}");
        path
    }
}
