//! What a token can do, before connecting, and the proof that an app-only token is kept out of a mailbox: against the sandbox.

use super::{GOOGLE_APP, HOST, House, IMAP, MICROSOFT_APP, Play, SMTP, SUPPORT, TENANT, apply, claims};
use crate::support::app::{Page, TestApp};
use crate::support::databases::NOW;
use axum::http::StatusCode;
use mailgrant::actions::access_token::{NewGrant, access_token, store_first_grant};
use mailgrant::clock::MockClock;
use mailgrant::model::token::{GrantType, Identity, Token};
use mailgrant::model::{Name, TokenId};
use mailgrant::oauth::TokenResponse;
use mailgrant::sandbox::Fault;
use mailgrant::secret::AccessToken;
use tempfile::TempDir;

const CEO: &str = "ceo@contoso.test";
const OUTLOOK: &str = "https://outlook.office365.com/.default";
const GRAPH: &str = "https://graph.microsoft.com/.default";

/// A console with tokens of people and of the app itself.
pub struct Town {
    pub t: TestApp,
    pub play: Play,
    _ca: TempDir,
}

impl Town {
    pub async fn start() -> Self {
        let play = Play::start_at(&MockClock::at(NOW)).await;
        let directory = TempDir::new().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, play.sandbox.ca_pem()).unwrap();
        let t = TestApp::start_with(&[("MAILGRANT_EXTRA_CA_FILE", ca.to_str().unwrap())]).await;
        let town = Self { t, play, _ca: directory };
        let (url, graph) = (town.play.sandbox.url(), town.play.sandbox.graph_url());
        let sign_in = |client, user, scopes: &[&str]| town.play.sandbox.sign_in(client, user, scopes);
        let support = sign_in(MICROSOFT_APP.0, SUPPORT, &["openid", "email", "offline_access", IMAP, SMTP]);
        let help = sign_in(GOOGLE_APP.0, "help@fabrikam.test", &["openid", "email", "https://mail.google.com/"]);
        let text = format!(
            "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"{TENANT}\"\nauthority = \"{url}\"\ngraph_url = \"{graph}\"\n\
             client_id = \"{}\"\nclient_auth = \"secret_post\"\nclient_secret = \"{}\"\nscopes = [\"offline_access\", \"{IMAP}\", \"{SMTP}\"]\n\
             [[provider]]\nname = \"fabrikam\"\ntemplate = \"google\"\nissuer = \"{url}/google\"\nauthorize_url = \"{url}/google/o/oauth2/v2/auth\"\n\
             token_url = \"{url}/google/token\"\nrevocation_url = \"{url}/google/revoke\"\nclient_id = \"{}\"\nclient_auth = \"secret_post\"\n\
             client_secret = \"{}\"\n\
             [[token]]\nname = \"support\"\nprovider = \"contoso\"\nuser = \"{SUPPORT}\"\nshared = true\nrefresh_token = \"{support}\"\n\
             [[token]]\nname = \"help\"\nprovider = \"fabrikam\"\nuser = \"help@fabrikam.test\"\nrefresh_token = \"{help}\"\n",
            MICROSOFT_APP.0, MICROSOFT_APP.1, GOOGLE_APP.0, GOOGLE_APP.1
        );
        town.apply(&text).await;
        for (name, scope) in [("app", OUTLOOK), ("app-graph", GRAPH)] {
            let like = town.token("support").await;
            let token = Token {
                id: TokenId(format!("id-{name}")),
                name: Name::parse(name).unwrap(),
                grant: GrantType::ClientCredentials,
                user: None,
                scopes: vec![scope.to_owned()],
                shared: false,
                ..like
            };
            let mut tx = town.t.app.store.begin().await.unwrap();
            tx.insert_token(&token).await.unwrap();
            tx.commit().await.unwrap();
        }
        let mailbox = |name: &str, address: &str, token: &str| {
            let ports = town.play.sandbox.ports(House::Microsoft);
            format!(
                "[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\n[mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{HOST}\"\n\
                 port = {}\nsecurity = \"tls\"\ntoken = \"{token}\"\n",
                ports.imaps
            )
        };
        town.apply(&format!(
            "{}{}{}[[mailbox]]\nname = \"team\"\naddress = \"{SUPPORT}\"\n[mailbox.incoming]\nprotocol = \"graph\"\ntoken = \"support\"\n\
             [[mailbox]]\nname = \"orders\"\naddress = \"orders@contoso.test\"\n[mailbox.incoming]\nprotocol = \"graph\"\n\
             token = \"app-graph\"\n[mailbox.outgoing]\nprotocol = \"graph\"\ntoken = \"app-graph\"\n",
            mailbox("support", SUPPORT, "support"),
            mailbox("info", "info@contoso.test", "app"),
            mailbox("help", "help@fabrikam.test", "help"),
        ))
        .await;
        town
    }

    pub async fn apply(&self, text: &str) {
        apply(&self.t.app, text).await.unwrap();
    }

    pub async fn token(&self, name: &str) -> Token {
        self.t.app.store.token(&Name::parse(name).unwrap()).await.unwrap().unwrap()
    }

    /// Gets an access token of the app itself and stores it; returns it.
    async fn get(&self, name: &str) -> String {
        let token = self.token(name).await;
        let form = [("grant_type", "client_credentials"), ("scope", token.scopes[0].as_str())];
        let answer = self.play.token(House::Microsoft, &form).await.ok();
        let text = answer.text("access_token").to_owned();
        let response = TokenResponse {
            access_token: AccessToken::new(text.clone()),
            token_type: "Bearer".into(),
            expires_in: 3600,
            refresh_token: None,
            scopes: None,
            id_token: None,
            date: None,
        };
        let provider = self.t.app.store.provider_by_id(&token.provider_id).await.unwrap().unwrap();
        let new = NewGrant::SignedIn {
            response: &response,
            identity: &Identity::default(),
            by: "Maija",
        };
        let mut tx = self.t.app.store.begin().await.unwrap();
        store_first_grant(&self.t.app, &mut tx, &token, &provider, new).await.unwrap();
        tx.commit().await.unwrap();
        text
    }

    async fn page(&self, name: &str) -> Page {
        self.t.viewer().get(format!("/tokens/{name}")).await
    }

    /// *Prove it* as an operator; what the page says then.
    async fn prove(&self, name: &str, address: &str) -> Page {
        let mut operator = self.t.operator();
        let page = operator.post(format!("/tokens/{name}/prove"), &[("address", address)]).await;
        operator.follow(page).await
    }
}

const FACTS: &str = "[aria-labelledby=can] .kv dd";
const MAILBOXES: &str = "[aria-labelledby=can] tbody";
const COMMANDS: &str = "[aria-labelledby=cmd] output";
const PROOFS: &str = "#proof li .state";

#[tokio::test]
async fn a_token_tells_what_it_is_for_and_which_mailboxes_it_opens() {
    let town = Town::start().await;
    assert!(
        !town.page("support").await.words().contains("What it can do"),
        "nothing was got yet"
    );
    let token = town.token("support").await;
    let handed = access_token(&town.t.app, &token, None).await.unwrap();
    let page = town.page("support").await;
    let facts = page.text(FACTS);
    for said in [
        "https://outlook.office",
        "IMAP.AccessAsUser.All SMTP.Send",
        TENANT,
        SUPPORT,
        MICROSOFT_APP.0,
        "Of the user",
    ] {
        assert!(facts.contains(said), "{said} in {facts}");
    }
    assert!(
        !page.body.contains(handed.access_token.expose_secret()),
        "the token itself is not shown"
    );
    let mailboxes = page.text(MAILBOXES);
    assert!(
        mailboxes.contains("Reads by IMAP") && mailboxes.contains("Should open it"),
        "{mailboxes}"
    );
    assert!(
        mailboxes.contains("Reads by Microsoft Graph") && mailboxes.contains("Not known yet"),
        "Graph takes another token: {mailboxes}"
    );
    assert_eq!(page.text(COMMANDS), "", "somebody signed in to this one");
    assert!(!page.words().contains("Proof of least privilege"));
    // Google's say nothing.
    let token = town.token("help").await;
    access_token(&town.t.app, &token, None).await.unwrap();
    let page = town.page("help").await;
    assert!(page.text("[aria-labelledby=can]").contains("This token is opaque"), "{}", page.body);
    assert!(page.text(MAILBOXES).contains("Not known before"));
}

#[tokio::test]
async fn the_commands_for_more_mailboxes_than_the_page_shows_are_a_file() {
    let town = Town::start().await;
    town.get("app").await;
    let ports = town.play.sandbox.ports(House::Microsoft);
    let many: String = (0..30)
        .map(|n| {
            format!(
                "[[mailbox]]\nname = \"m{n}\"\naddress = \"m{n}@contoso.test\"\n[mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{HOST}\"\n\
                 port = {}\nsecurity = \"tls\"\ntoken = \"app\"\n",
                ports.imaps
            )
        })
        .collect();
    town.apply(&many).await;
    let page = town.page("app").await;
    assert!(
        page.text(COMMANDS).contains("more mailboxes: the file below has them all") || page.words().contains("more mailboxes: the file")
    );
    assert_eq!(
        page.attribute("a[href='/tokens/app/commands']", "href").as_deref(),
        Some("/tokens/app/commands")
    );
    let file = town.t.viewer().get("/tokens/app/commands").await;
    assert!(file.header("content-disposition").contains("exchange-app.txt"));
    for n in 0..30 {
        let line = format!("Add-MailboxPermission -Identity 'm{n}@contoso.test' ");
        assert!(file.body.contains(&line), "{line}: {}", file.body);
    }
    assert_eq!(town.t.viewer().get("/tokens/support/commands").await.status.as_u16(), 404);
}

#[tokio::test]
async fn an_app_gets_its_commands_with_its_own_object_id() {
    let town = Town::start().await;
    let page = town.page("app").await;
    assert!(
        page.text(COMMANDS).contains("-ObjectId <enterprise object id>"),
        "{}",
        page.text(COMMANDS)
    );
    let access = town.get("app").await;
    let object = claims(&access)["oid"].as_str().unwrap().to_owned();
    let page = town.page("app").await;
    let said = page.text(COMMANDS);
    let client = MICROSOFT_APP.0;
    assert!(
        said.contains(&format!(
            "New-ServicePrincipal -AppId {client} -ObjectId {object} -DisplayName 'Mailgrant contoso'"
        )),
        "{said}"
    );
    assert!(
        said.contains(&format!(
            "Add-MailboxPermission -Identity 'info@contoso.test' -User {object} -AccessRights FullAccess"
        )),
        "{said}"
    );
    assert!(!said.contains("ManagementScope"), "that limits Graph alone: {said}");
    let facts = page.text(FACTS);
    assert!(
        facts.contains("IMAP.AccessAsApp") && facts.contains("Nobody: the app itself"),
        "{facts}"
    );
    assert!(page.text(MAILBOXES).contains("Should open it"), "{}", page.text(MAILBOXES));

    // Without roles: Exchange may give the rights.
    let mut app = town.play.sandbox.client(client).unwrap();
    app.roles.clear();
    town.play.sandbox.set_client(app);
    town.get("app-graph").await;
    let page = town.page("app-graph").await;
    let said = page.text(COMMANDS);
    for line in [
        "New-ManagementScope -Name 'Mailgrant app-graph' -RecipientRestrictionFilter \"CustomAttribute1 -eq 'mailgrant-app-graph'\"",
        &format!("New-ManagementRoleAssignment -App {object} -Role \"Application Mail.Send\" -CustomResourceScope 'Mailgrant app-graph'"),
        &format!("Test-ApplicationAccessPolicy -Identity 'orders@contoso.test' -AppId {client}"),
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(page.text(FACTS).contains("RBAC for Applications"), "{}", page.text(FACTS));
    assert!(
        page.text(MAILBOXES).contains("Not known before")
            && !page.text(MAILBOXES).contains("In doubt")
            && !page.text(MAILBOXES).contains("Can't open")
    );
}

#[tokio::test]
async fn a_mailbox_that_must_be_refused_proves_the_limit() {
    let town = Town::start().await;
    for name in ["app", "app-graph"] {
        town.get(name).await;
        let page = town.prove(name, CEO).await;
        assert_eq!(page.text(PROOFS), "Refused, as it must be", "{name}: {}", page.text("#proof"));
        assert!(page.text("#proof li").contains("Ossi Lahti"), "{}", page.text("#proof li"));
    }
    // Somebody gives the app more than it needs.
    let mut ceo = town.play.sandbox.person(CEO).unwrap();
    ceo.apps.push(MICROSOFT_APP.0.to_owned());
    town.play.sandbox.set_person(ceo);
    town.t.clock.advance(60);
    for name in ["app", "app-graph"] {
        let page = town.prove(name, CEO).await;
        assert_eq!(page.text(PROOFS), "It opened\nRefused, as it must be", "{name}");
    }
    let rows = town
        .t
        .count("SELECT COUNT(*) FROM audit WHERE action = 'token.prove' AND outcome = 'failed'")
        .await;
    assert_eq!(rows, 2);
    assert_eq!(town.t.count("SELECT COUNT(*) FROM runs").await, 0, "nothing was read");
}

#[tokio::test]
async fn trouble_is_no_proof() {
    let town = Town::start().await;
    town.get("app").await;
    town.get("app-graph").await;
    let unclear = async |name: &str, address: &str, words: &str| {
        let page = town.prove(name, address).await;
        assert!(page.text(PROOFS).starts_with("Not proved"), "{words}: {}", page.text("#proof"));
        assert!(page.text("#proof li").contains(words), "{words}: {}", page.text("#proof li"));
    };
    unclear("app-graph", "nobody@contoso.test", "nobody@contoso.test").await;
    for fault in [Fault::HangsUp, Fault::Throttled, Fault::ServerUnavailable] {
        town.play.sandbox.faults().set(&[fault]);
        unclear("app-graph", CEO, CEO).await;
    }
    // A token that opens nothing at all is refused everywhere.
    town.play.sandbox.faults().set(&[Fault::TokenRefused]);
    unclear("app", CEO, "info@contoso.test doesn't open either").await;
    town.play.sandbox.faults().set(&[]);

    let mut operator = town.t.operator();
    for (address, message) in [
        ("", "Enter an email address like board@example.com"),
        (
            "INFO@contoso.test",
            "This token is meant to open that mailbox. Enter one it must not open",
        ),
    ] {
        let page = operator.post("/tokens/app/prove", &[("address", address)]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(page.text(".summary li"), message);
        assert_eq!(page.attribute("#address", "value").unwrap(), address, "nothing typed is lost");
    }
    let page = town.prove("support", CEO).await;
    assert!(page.text(".flash").contains("Only app-only tokens"), "{}", page.text(".flash"));
}
