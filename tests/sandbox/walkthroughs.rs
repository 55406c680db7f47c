//! Every check of the walkthroughs against the sandbox: it passes where all is well, and fails where somebody did it wrong.

use super::abilities::Town;
use super::{GOOGLE_APP, HOST, House, MICROSOFT_APP, SUPPORT};
use crate::web::consent::change_named;
use mailgrant::actions::walkthroughs::{self, Checked, Chosen, New, Request, Stand};
use mailgrant::model::audit::Actor;
use mailgrant::model::walkthrough::{StepState, template};
use mailgrant::model::{Name, UserId};
use mailgrant::sandbox::Fault;

const CEO: &str = "ceo@contoso.test";
const BACK: &str = "http://127.0.0.1:8080/oauth/callback/contoso";

fn maija() -> Actor {
    Actor {
        id: "user:maija.korhonen@contoso.test".into(),
        name: "Maija Korhonen".into(),
        ..Actor::console()
    }
}

/// A walkthrough in a town.
struct Way {
    town: Town,
    id: String,
}

impl Way {
    async fn start(kind: &str, provider: &str, address: &str) -> Self {
        Box::pin(Self::start_in(Town::start().await, kind, provider, address)).await
    }

    async fn start_in(town: Town, kind: &str, provider: &str, address: &str) -> Self {
        let app = &town.t.app;
        let provider = app.store.provider(&Name::parse(provider).unwrap()).await.unwrap();
        let new = New {
            name: "another".into(),
            address: address.into(),
            account: String::new(),
            provider: provider.map(|provider| provider.id),
        };
        let row = walkthroughs::start(app, &maija(), template(kind).unwrap(), new).await.unwrap();
        town.t.clock.advance(5);
        Self { id: row.id, town }
    }

    async fn stands(&self) -> Vec<Stand> {
        let app = &self.town.t.app;
        let walk = walkthroughs::load(app, &self.id).await.unwrap().unwrap();
        walk.stands(app, &mut walkthroughs::Seen::default()).await.unwrap()
    }

    async fn stand(&self, step: &str) -> Stand {
        let all = self.stands().await;
        all.into_iter().find(|stand| stand.step.id == step).unwrap()
    }

    async fn user(&self) -> UserId {
        let store = &self.town.t.app.store;
        store.user_by_email("maija.korhonen@contoso.test").await.unwrap().unwrap().id
    }

    async fn check_with(&self, step: &str, address: &str) -> Checked {
        let number = self.stand(step).await.number;
        let user = self.user().await;
        let request = Request { user: &user, address };
        self.town.t.clock.advance(5);
        walkthroughs::check_one(&self.town.t.app, &maija(), &request, &self.id, number)
            .await
            .unwrap()
    }

    /// *Check now*: how it stands then.
    async fn check(&self, step: &str) -> (StepState, String) {
        match self.check_with(step, "").await {
            Checked::Stands(state, why) => (state, why),
            Checked::Untold(why) => panic!("{step} can't be told: {why}"),
        }
    }

    async fn untold(&self, step: &str) -> String {
        match self.check_with(step, "").await {
            Checked::Untold(why) => why,
            Checked::Stands(state, why) => panic!("{step}: {state} {why}"),
        }
    }

    async fn is_done(&self, step: &str) {
        let (state, why) = self.check(step).await;
        assert_eq!(state, StepState::Done, "{step}: {why}");
    }

    async fn is_wrong(&self, step: &str, says: &str) {
        let (state, why) = self.check(step).await;
        assert_eq!(state, StepState::Problem, "{step}: {why}");
        assert!(why.contains(says), "{step}: {why}");
    }

    fn faults(&self, faults: &[Fault]) {
        self.town.play.sandbox.faults().set(faults);
    }
}

#[tokio::test]
async fn the_app_is_found_and_an_app_or_tenant_that_is_not_there_is_named() {
    let way = Box::pin(Way::start("microsoft-user", "contoso", SUPPORT)).await;
    way.is_done("register").await;
    let unknown = "99990000-bbbb-4333-8ccc-4444dddd5555";
    change_named(&way.town.t, "contoso", |provider| provider.client_id = unknown.into()).await;
    way.is_wrong("register", "The app doesn't exist in this tenant").await;
    let stand = way.stand("register").await;
    assert!(
        stand.held_at.is_some() && !stand.problem.unwrap().remedy.is_empty(),
        "when it was last true, and what to do"
    );
    change_named(&way.town.t, "contoso", |provider| {
        provider.client_id = MICROSOFT_APP.0.into();
        provider.tenant = Some("fabrikam.test".into());
    })
    .await;
    way.is_wrong("register", "tenant").await;
}

#[tokio::test]
async fn the_redirect_address_is_asked_about_without_anybody_signing_in() {
    let way = Box::pin(Way::start("microsoft-user", "contoso", "sales@contoso.test")).await;
    change_named(&way.town.t, "contoso", |provider| provider.created_at.0 += 3600).await;
    way.is_wrong("redirect", "redirect address isn't registered").await;
    way.town.play.sandbox.add_redirect_uri(MICROSOFT_APP.0, BACK);
    way.is_done("redirect").await;

    let way = Box::pin(Way::start("google-user", "fabrikam", "billing@fabrikam.test")).await;
    change_named(&way.town.t, "fabrikam", |provider| provider.created_at.0 += 3600).await;
    way.is_wrong("google-redirect", "redirect address isn't registered").await;
    let back = "http://127.0.0.1:8080/oauth/callback/fabrikam";
    way.town.play.sandbox.add_redirect_uri(GOOGLE_APP.0, back);
    way.is_done("google-redirect").await;
}

#[tokio::test]
async fn a_secret_that_stops_being_good_shows_when_everything_is_checked_again() {
    let way = Box::pin(Way::start("microsoft-user", "contoso", SUPPORT)).await;
    way.is_done("secret").await;
    let since = way.stand("secret").await.held_at.unwrap();
    way.faults(&[Fault::SecretExpired]);
    way.town.t.clock.advance(3600);
    let user = way.user().await;
    let request = Request { user: &user, address: "" };
    let (looked, lost) = Box::pin(walkthroughs::check_all(&way.town.t.app, &maija(), &request, &way.id))
        .await
        .unwrap();
    assert!(looked > 2 && lost.contains(&3), "{looked} {lost:?}");
    let stand = way.stand("secret").await;
    assert_eq!(
        (stand.state, stand.held_at),
        (StepState::Problem, Some(since)),
        "and when it was last true"
    );
    assert!(
        stand.problem.is_some_and(|problem| problem.id.contains("7000222")),
        "{}",
        stand.evidence
    );
    way.faults(&[]);
    way.is_done("secret").await;
}

#[tokio::test]
async fn consent_and_permissions_of_an_app_stand_in_its_own_token() {
    let way = Box::pin(Way::start("move-to-app", "contoso", "info@contoso.test")).await;
    way.is_done("app-token").await;
    assert_eq!(way.stand("move-consent").await.state, StepState::Open);
    way.is_done("move-consent").await;
    assert_eq!(way.stand("move-permissions").await.state, StepState::Done);
    let sandbox = &way.town.play.sandbox;
    let mut client = sandbox.client(MICROSOFT_APP.0).unwrap();
    client.roles = vec!["SMTP.SendAsApp".into()];
    sandbox.set_client(client);
    way.is_wrong("move-consent", "Not allowed: IMAP.AccessAsApp").await;
}

#[tokio::test]
async fn consent_for_people_is_a_word_until_somebody_signs_in() {
    let town = Town::start().await;
    // Without tokens of the app itself.
    for name in ["app", "app-graph"] {
        let token = town.token(name).await;
        let mailboxes = town.t.app.store.mailboxes_of_token(&token.id).await.unwrap();
        let mut tx = town.t.app.store.begin().await.unwrap();
        for mailbox in mailboxes {
            tx.delete_mailbox(&mailbox.id).await.unwrap();
        }
        tx.delete_token(&token.id).await.unwrap();
        tx.commit().await.unwrap();
    }
    let way = Box::pin(Way::start_in(town, "microsoft-user", "contoso", SUPPORT)).await;
    assert!(way.untold("consent").await.contains("next sign-in"));
    let walk = walkthroughs::load(&way.town.t.app, &way.id).await.unwrap().unwrap();
    let step = way.stand("consent").await.step;
    walkthroughs::say(&way.town.t.app, &maija(), &way.id, walk.row.version, step, true)
        .await
        .unwrap();
    let stand = way.stand("consent").await;
    assert_eq!((stand.state, stand.by.as_str()), (StepState::Confirmed, "Maija Korhonen"));
}

#[tokio::test]
async fn a_sign_in_that_ends_is_a_problem_of_its_step_and_of_nothing_else() {
    let way = Box::pin(Way::start("microsoft-user", "contoso", SUPPORT)).await;
    way.is_done("sign-in").await;
    assert_eq!(
        way.stand("delegated").await.state,
        StepState::Done,
        "the sign-in got every permission"
    );
    way.town.play.sandbox.revoke(Some(SUPPORT));
    // Just renewed it isn't renewed again.
    way.town.t.clock.advance(60);
    way.is_wrong("sign-in", "").await;
    assert_eq!(way.stand("secret").await.state, StepState::Open);
}

#[tokio::test]
async fn tests_prove_what_exchange_has_to_allow() {
    let town = Town::start().await;
    let ports = town.play.sandbox.ports(House::Microsoft);
    town.apply(&format!(
        "[[mailbox]]\nname = \"support\"\naddress = \"{SUPPORT}\"\n[mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{HOST}\"\nport = {}\n\
         security = \"tls\"\ntoken = \"support\"\n[mailbox.outgoing]\nprotocol = \"smtp\"\nhost = \"{HOST}\"\nport = {}\n\
         security = \"tls\"\ntoken = \"support\"\n",
        ports.imaps, ports.submissions
    ))
    .await;
    let way = Box::pin(Way::start_in(town, "microsoft-user", "contoso", SUPPORT)).await;
    let app = &way.town.t.app;
    let mailbox = app.store.mailbox(&Name::parse("support").unwrap()).await.unwrap().unwrap();
    walkthroughs::choose(app, &maija(), &way.id, None, Chosen::Mailbox(mailbox.id, mailbox.name))
        .await
        .unwrap();
    way.faults(&[Fault::SmtpAuthOffMailbox]);
    way.is_wrong("mail-on", "Sending").await;
    way.is_wrong("test", "Sending").await;
    way.faults(&[]);
    way.is_done("mail-on").await;
    let stand = way.stand("test").await;
    assert_eq!(
        (stand.state, stand.evidence.as_str()),
        (StepState::Open, "Reading works. No message was sent yet")
    );
    let before = way.town.play.sandbox.messages(SUPPORT, mailgrant::sandbox::Folder::Inbox).len();
    way.is_done("test").await;
    let after = way.town.play.sandbox.messages(SUPPORT, mailgrant::sandbox::Folder::Inbox).len();
    assert_eq!(after, before + 1, "one message to the mailbox itself");
    way.faults(&[Fault::MailboxDisabled]);
    way.is_wrong("test", "Reading").await;
}

#[tokio::test]
async fn an_app_opens_its_mailbox_and_is_kept_out_of_another() {
    let way = Box::pin(Way::start("move-to-app", "contoso", "info@contoso.test")).await;
    assert_eq!(way.stand("switch").await.state, StepState::Done);
    way.is_done("test-switched").await;
    assert!(way.untold("limit-switched").await.contains("Enter the address"));
    assert_eq!(
        way.check_with("limit-switched", CEO).await,
        Checked::Stands(StepState::Done, format!("{CEO} was refused, as it must be"))
    );
    let sandbox = &way.town.play.sandbox;
    let mut ceo = sandbox.person(CEO).unwrap();
    ceo.apps.push(MICROSOFT_APP.0.into());
    sandbox.set_person(ceo);
    // The same address again, without typing it.
    way.is_wrong("limit-switched", "opened").await;
    let mut info = sandbox.person("info@contoso.test").unwrap();
    info.apps.clear();
    sandbox.set_person(info);
    way.is_wrong("test-switched", "Reading").await;
}

#[tokio::test]
async fn public_client_flows_that_were_left_on_are_seen_without_an_account() {
    let way = Box::pin(Way::start("move-to-app", "contoso", "info@contoso.test")).await;
    way.is_wrong("public-off", "Public client flows are on").await;
    let sandbox = &way.town.play.sandbox;
    let mut client = sandbox.client(MICROSOFT_APP.0).unwrap();
    client.is_public = false;
    sandbox.set_client(client);
    way.is_done("public-off").await;
    assert_eq!(
        way.stand("switch-all").await.state,
        StepState::Open,
        "people's tokens are still in use"
    );
    assert!(
        way.stand("log-out").await.evidence.contains("still hold"),
        "{}",
        way.stand("log-out").await.evidence
    );
}

#[tokio::test]
async fn a_service_account_is_proved_with_its_key_and_its_delegation_with_the_account() {
    let town = Town::start().await;
    let email = "console@sandbox.iam.gserviceaccount.com";
    let key = town
        .play
        .sandbox
        .add_service_account(email, &["https://www.googleapis.com/auth/gmail.readonly"])
        .unwrap();
    let url = town.play.sandbox.url().to_owned();
    town.apply(&format!(
        "[[provider]]\nname = \"service\"\ntemplate = \"google\"\nissuer = \"{url}/google\"\nauthorize_url = \"{url}/google/o/oauth2/v2/auth\"\n\
         token_url = \"{url}/google/token\"\nrevocation_url = \"{url}/google/revoke\"\ngrant = \"jwt_bearer\"\n\
         scopes = [\"https://mail.google.com/\"]\nservice_account = '{key}'\n\
         [[token]]\nname = \"billing\"\nprovider = \"service\"\ngrant = \"jwt_bearer\"\nuser = \"billing@fabrikam.test\"\n"
    ))
    .await;
    let way = Box::pin(Way::start_in(town, "google-service", "service", "billing@fabrikam.test")).await;
    way.is_done("google-key").await;
    way.is_wrong("delegation", "").await;
    let sandbox = &way.town.play.sandbox;
    let mut client = sandbox.client("117000000000000000001").unwrap();
    client.roles = vec!["https://mail.google.com/".into()];
    sandbox.set_client(client.clone());
    // Asked too often it isn't asked again at once.
    way.town.t.clock.advance(60);
    way.is_done("delegation").await;
    client.certificates.clear();
    sandbox.set_client(client);
    way.is_wrong("google-key", "").await;
}

#[tokio::test]
async fn a_secret_counts_as_replaced_only_when_a_new_one_came_and_works() {
    let way = Box::pin(Way::start("replace-secret", "contoso", "")).await;
    assert_eq!(way.check("replaced").await.0, StepState::Open);
    assert!(way.stand("replaced").await.evidence.contains("old one is still in use"));
    let now = way.town.t.app.clock.now();
    change_named(&way.town.t, "contoso", |provider| {
        provider.client_secret.as_mut().unwrap().set_at = now;
    })
    .await;
    way.is_done("replaced").await;
    way.is_done("prove-replaced").await;
    way.faults(&[Fault::SecretWrong]);
    way.is_wrong("replaced", "").await;
    way.town.t.clock.advance(3600);
    way.is_wrong("prove-replaced", "").await;
}
