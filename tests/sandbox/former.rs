//! A mailbox goes from a sign-in to an app-only token and back: nothing is lost on the way, and the old token goes only once it is
//! needed nowhere.

use super::abilities::Town;
use super::{HOST, House, MICROSOFT_APP, SUPPORT};
use crate::support::app::Page;
use mailgrant::actions::probe::{self, Options, Order};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::{Auth, Mailbox};
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::sandbox::Fault;

const BEFORE: &str = "support@contoso.test (token support) was used here before";
const NEEDLESS: &str = "support@contoso.test (token support) is no longer used";
const REMOVE: &str = ".former a[href='/tokens/support/delete']";
const KEEP: &str = ".former form[action$='/keep-token']";
const BACK: &str = ".former form[action$='/change-back']";

/// Another mailbox at the same address, read by the app itself.
const TEAM_ALONE: &str = "[[mailbox]]\nname = \"team\"\naddress = \"support@contoso.test\"\n[mailbox.incoming]\nprotocol = \"graph\"\n\
                          token = \"app-graph\"\n";

impl Town {
    /// A town whose app may open these mailboxes by itself.
    async fn with_app() -> Self {
        let town = Self::start().await;
        for address in [SUPPORT, "info@contoso.test"] {
            let mut person = town.play.sandbox.person(address).unwrap();
            person.apps.push(MICROSOFT_APP.0.to_owned());
            town.play.sandbox.set_person(person);
        }
        town
    }

    /// Sets a mailbox that reads with IMAP and sends with SMTP to this token.
    async fn set(&self, name: &str, address: &str, token: &str) {
        let ports = self.play.sandbox.ports(House::Microsoft);
        let side = |side: &str, protocol: &str, port: u16, security: &str| {
            format!(
                "[mailbox.{side}]\nprotocol = \"{protocol}\"\nhost = \"{HOST}\"\nport = {port}\nsecurity = \"{security}\"\ntoken = \"{token}\"\n"
            )
        };
        self.apply(&format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\n{}{}",
            side("incoming", "imap", ports.imaps, "tls"),
            side("outgoing", "smtp", ports.submission, "starttls"),
        ))
        .await;
    }

    async fn stored(&self, name: &str) -> Mailbox {
        self.t.mailbox(name).await
    }

    /// Runs a test; gives its number.
    async fn run(&self, name: &str, direction: Direction, passes: bool) -> String {
        let order = Order {
            mailbox: self.stored(name).await,
            draft: false,
            direction,
            options: Options::default(),
            user: None,
        };
        let ended = probe::run_to_end(&self.t.app, &Actor::console(), order).await.unwrap();
        assert_eq!(ended.report.outcome != Outcome::Failed, passes, "{:?}", ended.report);
        ended.run.id.to_string()
    }

    async fn passes(&self, name: &str) {
        for direction in [Direction::Incoming, Direction::Outgoing] {
            self.run(name, direction, true).await;
        }
    }

    async fn look(&self, name: &str) -> Page {
        self.t.admin().get(format!("/mailboxes/{name}")).await
    }

    /// What is stored of the sign-in: when it is renewed or replaced this differs.
    async fn sign_in(&self) -> (i64, String) {
        let token = self.token("support").await;
        let grant = self.t.app.store.grant(&token.id).await.unwrap().unwrap();
        (grant.generation, format!("{:?}", grant.rt_current))
    }

    /// Presses *Change back* on the page of a mailbox as it is now.
    async fn change_back(&self, name: &str, token: &str) -> Page {
        let version = self.stored(name).await.version.to_string();
        let fields = [("token", token), ("version", version.as_str())];
        self.t.admin().submit(format!("/mailboxes/{name}/change-back"), &fields).await
    }

    async fn formers(&self) -> i64 {
        self.t.count("SELECT COUNT(*) FROM former_tokens").await
    }
}

fn tokens(mailbox: &Mailbox) -> Vec<String> {
    let sides = [&mailbox.incoming, &mailbox.outgoing].into_iter().flatten();
    sides
        .map(|side| match &side.auth {
            Auth::OAuth2 { token, .. } => token.to_string(),
            _ => "none".to_owned(),
        })
        .collect()
}

#[tokio::test]
async fn the_old_token_is_offered_for_removal_after_both_tests_passed_and_not_before() {
    let town = Town::with_app().await;
    town.apply(TEAM_ALONE).await;
    town.run("team", Direction::Incoming, true).await;
    town.set("support", SUPPORT, "support").await;
    town.passes("support").await;
    assert!(!town.look("support").await.has(".former"));
    let before = town.sign_in().await;

    town.set("support", SUPPORT, "app").await;
    let page = town.look("support").await;
    assert_eq!(page.text(".former h2"), BEFORE, "{}", page.words());
    assert!(
        page.text(".former p").contains("until Test incoming and Test outgoing passed"),
        "{}",
        page.words()
    );
    assert!(page.has(BACK) && !page.has(REMOVE) && !page.has(KEEP), "its tests have not passed");
    town.run("support", Direction::Incoming, true).await;
    town.play.sandbox.faults().set(&[Fault::HangsUp]);
    let failed = town.run("support", Direction::Outgoing, false).await;
    for path in ["/mailboxes/support".to_owned(), format!("/tests/{failed}")] {
        let page = town.t.admin().get(&path).await;
        assert!(
            page.text(".former p").contains("until Test outgoing passed"),
            "{path}: {}",
            page.words()
        );
        assert!(page.has(BACK) && !page.has(REMOVE), "{path}: sending fails");
    }
    town.play.sandbox.faults().set(&[]);
    let passed = town.run("support", Direction::Outgoing, true).await;
    for path in ["/mailboxes/support".to_owned(), format!("/tests/{passed}")] {
        let page = town.t.admin().get(&path).await;
        assert_eq!(page.text(".former h2"), NEEDLESS, "{path}: {}", page.words());
        assert_eq!(page.text(REMOVE), "Log out and remove…");
        assert!(page.has(KEEP) && page.has(BACK));
        let page = town.t.viewer().get(&path).await;
        assert!(
            page.has(".former") && !page.has(".former .acts"),
            "{path}: a viewer changes nothing"
        );
    }
    assert_eq!(town.sign_in().await, before, "untouched all the while");

    // Somebody removes it: nothing refers to it any more.
    let mut admin = town.t.admin();
    let page = admin.get("/tokens/support/delete").await;
    assert!(page.words().contains("is logged out first"), "{}", page.words());
    let page = admin.post("/tokens/support/delete", &[("confirm", "support")]).await;
    assert_eq!(page.location().as_deref(), Some("/tokens"), "{}", page.words());
    assert_eq!(town.formers().await, 0);
    assert!(!town.look("support").await.has(".former"));
    let version = town.stored("support").await.version.to_string();
    let fields = [("token", "support"), ("version", version.as_str())];
    let page = admin.post("/mailboxes/support/change-back", &fields).await;
    assert_eq!(page.status.as_u16(), 404, "{}", page.words());
}

#[tokio::test]
async fn a_former_token_that_another_mailbox_needs_is_not_offered() {
    let town = Town::with_app().await;
    town.set("support", SUPPORT, "support").await;
    town.set("info", "info@contoso.test", "support").await;
    town.set("support", SUPPORT, "app").await;
    town.passes("support").await;
    let page = town.look("support").await;
    assert!(
        page.text(".former p")
            .contains("because info@contoso.test, support@contoso.test (team) still use it"),
        "{}",
        page.words()
    );
    // One that uses it for another side only counts as well, and so does one that left it and has not passed without it.
    town.set("info", "info@contoso.test", "app").await;
    town.apply(TEAM_ALONE).await;
    let page = town.look("support").await;
    assert!(
        page.text(".former p")
            .contains("info@contoso.test, support@contoso.test (team) had it too"),
        "{}",
        page.words()
    );
    assert!(!page.has(REMOVE));
    town.passes("info").await;
    town.run("team", Direction::Incoming, true).await;
    for name in ["support", "info", "team"] {
        assert_eq!(town.look(name).await.text(".former h2"), NEEDLESS, "{name}");
    }
    // Used again: no longer offered, without anybody doing anything.
    town.set("info", "info@contoso.test", "support").await;
    assert_eq!(town.look("support").await.text(".former h2"), BEFORE);
    town.set("info", "info@contoso.test", "app").await;
    town.passes("info").await;
    // Kept: the question is answered, for every mailbox that had it.
    let page = town
        .t
        .admin()
        .submit("/mailboxes/support/keep-token", &[("token", "support")])
        .await;
    assert_eq!(page.text(".flash"), "The token support stays.", "{}", page.words());
    for name in ["support", "info", "team"] {
        assert!(!town.look(name).await.text(".former h2").contains("token support"), "{name}");
    }
    let rows = format!("{:?}", town.t.app.store.audit_rows(5).await.unwrap());
    assert!(rows.contains("mailbox.keep_token"), "{rows}");
}

#[tokio::test]
async fn changing_back_and_forth_loses_neither_sign_in_nor_settings() {
    let town = Town::with_app().await;
    town.set("support", SUPPORT, "support").await;
    town.passes("support").await;
    let (was, sign_in) = (town.stored("support").await, town.sign_in().await);
    // Another protocol comes with the other token.
    town.apply(
        "[[mailbox]]\nname = \"support\"\naddress = \"support@contoso.test\"\n[mailbox.incoming]\nprotocol = \"graph\"\n\
         token = \"app-graph\"\n[mailbox.outgoing]\nprotocol = \"graph\"\ntoken = \"app-graph\"\n",
    )
    .await;
    town.passes("support").await;
    let page = town.look("support").await;
    assert!(
        page.text(".former details").contains("token support"),
        "says what it changes: {}",
        page.words()
    );
    let page = town.change_back("support", "support").await;
    assert!(!page.text(".head p").contains("checked"), "{}", page.text(".head p"));
    assert!(
        page.text(".head p").starts_with("Not tested, since the change"),
        "{}",
        page.text(".head p")
    );
    assert!(
        page.text(".flash")
            .starts_with("support@contoso.test uses the token support again."),
        "{}",
        page.words()
    );
    let back = town.stored("support").await;
    assert_eq!(
        (&back.incoming, &back.outgoing, &back.folder),
        (&was.incoming, &was.outgoing, &was.folder)
    );
    assert_eq!(town.sign_in().await, sign_in);
    assert_eq!(page.text(".former h2"), "Token app-graph was used here before");
    town.passes("support").await;
    assert_eq!(town.sign_in().await.1, sign_in.1, "nobody had to sign in again");
    // And forth again.
    town.change_back("support", "app-graph").await;
    assert_eq!(tokens(&town.stored("support").await), ["app-graph", "app-graph"]);
    assert_eq!(town.look("support").await.text(".former h2"), BEFORE);
    // Not what it never had, and not what doesn't fit any more.
    let version = town.stored("support").await.version.to_string();
    let fields = [("token", "help"), ("version", version.as_str())];
    let page = town.t.admin().post("/mailboxes/support/change-back", &fields).await;
    assert_eq!(page.status.as_u16(), 404);
    let page = town
        .t
        .operator()
        .post("/mailboxes/support/change-back", &[("token", "support")])
        .await;
    assert_eq!(page.status.as_u16(), 403);
    let rows = format!("{:?}", town.t.app.store.audit_rows(20).await.unwrap());
    assert!(
        rows.contains("token support → token app-graph") && rows.contains("token app-graph → token support"),
        "{rows}"
    );
}

#[tokio::test]
async fn change_back_overwrites_nobody_who_was_faster_and_several_offers_are_a_line_each() {
    let town = Town::with_app().await;
    town.set("support", SUPPORT, "support").await;
    town.set("support", SUPPORT, "app").await;
    let seen = town.look("support").await;
    let version = seen.attribute(".former input[name=version]", "value").unwrap();
    town.set("support", SUPPORT, "app-graph").await;
    let before = town.stored("support").await;
    let fields = [("token", "support"), ("version", version.as_str())];
    let page = town.t.admin().post("/mailboxes/support/change-back", &fields).await;
    assert_eq!(page.status.as_u16(), 409, "{}", page.words());
    assert!(page.words().contains("nothing was changed back"), "{}", page.words());
    assert_eq!(town.stored("support").await, before);
    let page = town.look("support").await;
    assert_eq!(page.text("details.former > summary").lines().count(), 2, "{}", page.words());
    assert!(page.text("details.former > summary").contains(BEFORE) && page.has(BACK));
}
