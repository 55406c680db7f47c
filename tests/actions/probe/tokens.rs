//! Where a run takes a token, and where it doesn't.

use super::super::{House, input};
use super::order;
use crate::probe::graph_server::Graphd;
use crate::probe::imap_server::{Imapd, PASSWORD, TOKEN};
use crate::probe::server::Server;
use crate::support::records;
use mailgrant::actions::access_token::{NewGrant, store_first_grant};
use mailgrant::actions::mailboxes::{self, SideInput, check_mailbox};
use mailgrant::actions::probe::{self, Order, ProbeError};
use mailgrant::model::audit::Actor;
use mailgrant::model::provider::{Endpoints, Provider};
use mailgrant::model::report::Direction;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::Identity;
use mailgrant::model::{Name, ProviderId};
use mailgrant::oauth::TokenResponse;
use mailgrant::secret::AccessToken;

#[tokio::test]
async fn a_token_goes_to_servers_of_its_provider_and_to_saved_ones_only() {
    let house = House::new().await;
    let (provider, token) = with_token(&house).await;
    let server = Imapd::default().start(None).await;
    let mut input = input("support", Some(&server), None, PASSWORD);
    let side = input.incoming.as_mut().unwrap();
    side.auth = "oauth2".into();
    side.token = token.to_string();
    side.password = None;
    let edit = check_mailbox(&input, &house.app.gate).unwrap();
    let draft = mailboxes::prepare(&house.app, edit.clone(), None).await.unwrap();
    let asked = Order {
        draft: true,
        ..order(&draft, Direction::Incoming)
    };
    let refused = probe::start(&house.app, &Actor::console(), asked.clone()).await;
    assert!(matches!(refused, Err(ProbeError::UnknownServer(Direction::Incoming))), "{provider}");
    assert_eq!(server.connections(), 0);
    // Once somebody has saved it, that server may have the token.
    mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let ended = house.run(asked).await;
    assert_eq!(ended.run.failed_step.as_deref(), Some("token"));
    assert_eq!(ended.run.diagnosis_id.as_deref(), Some("console-not-authorized"));
}

/// A provider, and a token of it that nobody has signed in for.
pub(super) async fn with_token(house: &House) -> (ProviderId, Name) {
    let (provider, token) = (records::provider(), records::token());
    let mut tx = house.app.store.begin().await.unwrap();
    tx.insert_provider(&provider).await.unwrap();
    tx.insert_token(&token).await.unwrap();
    tx.commit().await.unwrap();
    (provider.id, token.name)
}

#[tokio::test]
async fn a_graph_mailbox_goes_where_its_provider_says_and_nowhere_without_one() {
    let house = House::new().await;
    let (provider_id, token) = with_token(&house).await;
    let graphd = Graphd::default();
    let server = graphd.start(None).await;
    let mut provider = house.app.store.provider_by_id(&provider_id).await.unwrap().unwrap();
    provider.overrides = Endpoints {
        graph_url: Some(format!("http://127.0.0.1:{}", server.port)),
        ..Endpoints::default()
    };
    let mut tx = house.app.store.begin().await.unwrap();
    tx.update_provider(&provider).await.unwrap();
    tx.commit().await.unwrap();
    first_grant(&house, &provider, &token).await;

    let mut asked = input("support", None, None, PASSWORD);
    let side = SideInput {
        protocol: "graph".into(),
        auth: "oauth2".into(),
        token: token.to_string(),
        ..SideInput::default()
    };
    (asked.incoming, asked.outgoing) = (Some(side.clone()), Some(side));
    asked.bcc.clear();
    let edit = check_mailbox(&asked, &house.app.gate).unwrap();
    // Unsaved settings may be tried: the token goes where its own provider has Graph.
    let draft = mailboxes::prepare(&house.app, edit.clone(), None).await.unwrap();
    let ended = house
        .run(Order {
            draft: true,
            ..order(&draft, Direction::Incoming)
        })
        .await;
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);
    let mailbox = mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    let steps: Vec<&str> = ended.report.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(steps, ["token", "claims", "dns", "tcp", "inbox", "newest", "junk"]);
    assert_eq!(
        (ended.run.outcome.as_str(), ended.report.protocol.as_str()),
        ("passed", "graph"),
        "{:?}",
        ended.report
    );
    let ended = house.run(order(&mailbox, Direction::Outgoing)).await;
    let steps: Vec<&str> = ended.report.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(
        steps,
        ["token", "claims", "dns", "tcp", "send"],
        "a message through Graph is not looked for"
    );
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);
    let asked = graphd.asked();
    assert!(asked.iter().all(|asked| asked.target.starts_with("/v1.0/me/")));
    let id = asked[0].header("client-request-id");
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'), "{id}");

    // Another address than the account's own is named in the path; a provider without Graph has nowhere to go.
    let mut shared = house.stored(&mailbox).await;
    shared.incoming.as_mut().unwrap().username = Some("hr@contoso.test".into());
    house.run(order(&shared, Direction::Incoming)).await;
    assert!(graphd.asked().last().unwrap().target.starts_with("/v1.0/users/hr%40contoso.test/"));
    provider.template = TemplateKind::Custom;
    provider.overrides.graph_url = None;
    provider.version += 1;
    let mut tx = house.app.store.begin().await.unwrap();
    tx.update_provider(&provider).await.unwrap();
    tx.commit().await.unwrap();
    first_grant(&house, &provider, &token).await;
    let count = graphd.asked().len();
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    assert_eq!(ended.run.diagnosis_id.as_deref(), Some("console-graph-missing"));
    assert_eq!(graphd.asked().len(), count);
}

#[tokio::test]
async fn a_stored_token_does_not_follow_its_provider_to_another_graph() {
    let house = House::new().await;
    let (provider_id, token) = with_token(&house).await;
    let (here, elsewhere) = (Graphd::default(), Graphd::default());
    let (here_server, elsewhere_server) = (here.start(None).await, elsewhere.start(None).await);
    let mut provider = house.app.store.provider_by_id(&provider_id).await.unwrap().unwrap();
    let point = async |provider: &mut Provider, server: &Server| {
        provider.overrides.graph_url = Some(format!("http://127.0.0.1:{}", server.port));
        let mut tx = house.app.store.begin().await.unwrap();
        tx.update_provider(provider).await.unwrap();
        tx.commit().await.unwrap();
        provider.version += 1;
    };
    point(&mut provider, &here_server).await;
    first_grant(&house, &provider, &token).await;
    let mut asked = input("support", None, None, PASSWORD);
    let side = SideInput {
        protocol: "graph".into(),
        auth: "oauth2".into(),
        token: token.to_string(),
        ..SideInput::default()
    };
    (asked.incoming, asked.outgoing) = (Some(side.clone()), Some(side));
    asked.bcc.clear();
    let edit = check_mailbox(&asked, &house.app.gate).unwrap();
    let mailbox = mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);

    point(&mut provider, &elsewhere_server).await;
    for direction in [Direction::Incoming, Direction::Outgoing, Direction::Incoming] {
        let ended = house.run(order(&mailbox, direction)).await;
        assert_eq!(ended.run.diagnosis_id.as_deref(), Some("console-destination-changed"));
    }
    assert_eq!(elsewhere_server.connections(), 0, "the token stays here");

    // Who signs in again says that it may go there.
    first_grant(&house, &provider, &token).await;
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);
    assert!(!elsewhere.asked().is_empty());
}

/// A sign-in for the token, with the access token that the servers of these tests take.
pub(super) async fn first_grant(house: &House, provider: &Provider, token: &Name) {
    let token = house.app.store.token(token).await.unwrap().unwrap();
    let response = TokenResponse {
        access_token: AccessToken::new(TOKEN),
        token_type: "Bearer".into(),
        expires_in: 3600,
        refresh_token: None,
        scopes: Some(vec!["Mail.ReadWrite".into(), "Mail.Send".into()]),
        id_token: None,
        date: None,
    };
    let identity = Identity {
        email: Some("support@contoso.test".into()),
        ..Identity::default()
    };
    let new = NewGrant::SignedIn {
        response: &response,
        identity: &identity,
        by: "Maija",
    };
    let mut tx = house.app.store.begin().await.unwrap();
    store_first_grant(&house.app, &mut tx, &token, provider, new).await.unwrap();
    tx.commit().await.unwrap();
}
