//! One sign-in, two resources: a mailbox that reads with IMAP and sends through Graph needs one person to sign in once.

use super::House;
use super::simulator::{Fault, Rotation};
use mailgrant::actions::access_token::{AccessError, Handed, How, access_token_for, other_needed};
use mailgrant::actions::mailboxes::{MailboxInput, SideInput, check_mailbox, create};
use mailgrant::actions::place;
use mailgrant::clock::Clock;
use mailgrant::model::Sealed;
use mailgrant::model::audit::Actor;
use mailgrant::model::scopes::Resource;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{Grant, GrantState, Token};
use serde_json::json;

const IMAP: &str = "https://outlook.office.com/IMAP.AccessAsUser.All";
const SEND: &str = "https://graph.microsoft.com/Mail.Send";
const READ: &str = "https://graph.microsoft.com/Mail.Read";

impl House {
    /// A token for IMAP that somebody signed in for.
    async fn for_imap(&self) -> Token {
        let mut token = self.token("support").await;
        token.scopes = vec![IMAP.into(), "offline_access".into()];
        let mut tx = self.app.store.begin().await.unwrap();
        tx.update_token(&token).await.unwrap();
        tx.commit().await.unwrap();
        token.version += 1;
        self.sign_in(&token).await;
        token
    }

    async fn get_for(&self, token: &Token, needed: &[&str]) -> Result<Handed, AccessError> {
        let needed: Vec<String> = needed.iter().map(|scope| (*scope).to_owned()).collect();
        access_token_for(&self.app, token, &self.provider, &needed).await
    }
}

fn graphs() -> Fault {
    Fault::But(json!({"access_token": "canary-graph-at", "scope": format!("{SEND} openid")}))
}

#[tokio::test]
async fn the_same_refresh_token_gets_a_second_access_token_that_is_kept_beside_the_first() {
    for house in House::on_each(TemplateKind::Microsoft, Rotation::Keep).await {
        let token = house.for_imap().await;
        let before = house.grant(&token).await;
        house.sim.next([graphs()]);
        let graph = house.get_for(&token, &[SEND]).await.unwrap();
        assert_eq!((graph.access_token.expose_secret(), graph.how), ("canary-graph-at", How::Refreshed));
        let asked = house.sim.asked();
        assert_eq!(asked[0].form["scope"], format!("{SEND} offline_access"), "one resource a request");

        // The first one is as it was, and nobody is asked for either again.
        let after = house.grant(&token).await;
        assert_eq!((&after.access_token, after.expires_at), (&before.access_token, before.expires_at));
        assert_eq!(after.granted_scopes, before.granted_scopes);
        assert_eq!((after.others.len(), after.others[0].resource), (1, Resource::Graph));
        assert_ne!(after.rt_current, before.rt_current, "the refresh token that came along is kept");
        let imap = house.get_for(&token, &[IMAP]).await.unwrap();
        assert_eq!(imap.access_token.expose_secret(), "canary-first-at-support");
        let again = house.get_for(&token, &[SEND]).await.unwrap();
        assert_eq!((again.access_token.expose_secret(), again.how), ("canary-graph-at", How::Stored));
        assert_eq!(house.sim.count(), 1);
        assert_eq!(
            house.get(&token).await.unwrap().access_token.expose_secret(),
            "canary-first-at-support"
        );

        // Both run out by themselves and are renewed by themselves.
        house.clock.advance(3590);
        house.sim.next([graphs()]);
        assert_eq!(house.get_for(&token, &[SEND]).await.unwrap().how, How::Refreshed);
        let imap = house.get_for(&token, &[IMAP]).await.unwrap();
        assert_eq!(imap.how, How::Refreshed);
        assert!(imap.access_token.expose_secret().starts_with("canary-at-"));
        assert!(house.sim.asked()[2].form["scope"].starts_with(IMAP));
        assert_eq!(house.grant(&token).await.others.len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_for_the_second_resource_leaves_the_sign_in_as_it_was() {
    let house = House::new(TemplateKind::Microsoft, Rotation::Keep).await;
    let token = house.for_imap().await;
    let before = house.grant(&token).await;
    let refusal = json!({"error": "invalid_grant", "error_description": "AADSTS65001: The user or administrator has not consented to use the application"});
    house.sim.next([Fault::Says(400, "x-none", "none", refusal.to_string())]);
    let error = house.get_for(&token, &[SEND]).await.unwrap_err();
    assert!(matches!(error, AccessError::NeedsSignIn(_)), "{error:?}");
    let after = house.grant(&token).await;
    assert_eq!(after.state, GrantState::Active);
    assert_eq!(
        (&after.access_token, &after.rt_current, after.generation),
        (&before.access_token, &before.rt_current, before.generation)
    );
    assert_eq!((after.lease_owner, after.last_error, after.failures), (None, None, 0));
    assert_eq!(house.get(&token).await.unwrap().how, How::Stored);
    // And once it is allowed it works.
    house.sim.next([graphs()]);
    assert_eq!(
        house.get_for(&token, &[SEND]).await.unwrap().access_token.expose_secret(),
        "canary-graph-at"
    );
    // A lost answer is no end either: what there is counts until it runs out.
    house.clock.advance(3590);
    house.sim.next([Fault::LostAfter, Fault::LostAfter]);
    assert_eq!(house.get_for(&token, &[SEND]).await.unwrap().how, How::Stored);
    let after = house.grant(&token).await;
    assert_eq!((after.state, after.lease_owner), (GrantState::Active, None));
    assert!(house.get(&token).await.is_ok(), "what is stored is served");
}

#[tokio::test]
async fn in_its_last_minute_the_second_token_is_still_handed_out_while_the_provider_is_away() {
    for house in House::on_each(TemplateKind::Microsoft, Rotation::Keep).await {
        let token = house.for_imap().await;
        house.sim.next([graphs()]);
        house.get_for(&token, &[SEND]).await.unwrap();
        let end = house.grant(&token).await.others[0].expires_at;
        house.clock.advance(end.since(house.clock.now()) - 30);
        house.sim.always(Some(Fault::Says(503, "x-none", "none", String::new())));
        // The failure itself, and then the pause after it.
        for _ in 0..2 {
            let handed = house.get_for(&token, &[SEND]).await.unwrap();
            assert_eq!((handed.access_token.expose_secret(), handed.how), ("canary-graph-at", How::Stored));
            assert_eq!(handed.expires_in, 30);
        }
        assert!(house.get_for(&token, &[READ]).await.is_err(), "it allows no more than it did");
        house.clock.advance(31);
        assert!(house.get_for(&token, &[SEND]).await.is_err(), "it has run out");
    }
}

#[tokio::test]
async fn many_who_ask_for_both_at_once_cost_one_renewal_each() {
    let house = House::new(TemplateKind::Microsoft, Rotation::Strict).await;
    let token = house.for_imap().await;
    house.clock.advance(3590);
    let asking = (0..40).map(|n| {
        let (house, token) = (&house, &token);
        async move {
            let scope = if n % 2 == 0 { SEND } else { IMAP };
            house
                .get_for(token, &[scope])
                .await
                .map(|handed| (n % 2, handed.access_token.expose_secret().to_owned()))
        }
    });
    let answers: Vec<(i32, String)> = futures_util::future::join_all(asking)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(house.sim.count(), 2, "one renewal for each resource");
    let of = |kind: i32| {
        answers
            .iter()
            .filter(|(other, _)| *other == kind)
            .map(|(_, token)| token)
            .collect::<std::collections::HashSet<_>>()
    };
    assert_eq!((of(0).len(), of(1).len()), (1, 1));
    assert_ne!(of(0), of(1), "nobody gets a token for the other resource");
}

#[tokio::test]
async fn a_token_for_one_resource_put_in_the_place_of_the_other_is_not_handed_out() {
    let house = House::new(TemplateKind::Microsoft, Rotation::Keep).await;
    let token = house.for_imap().await;
    house.sim.next([graphs()]);
    house.get_for(&token, &[SEND]).await.unwrap();
    let grant = house.grant(&token).await;
    let other = &grant.others[0];
    let place = place::access_token(&token.id, other.version, &grant.destination);
    assert!(house.app.vault.open(&place, &Sealed(other.sealed.clone())).is_err());
    let swapped = Grant {
        access_token: Some((Sealed(other.sealed.clone()), other.version)),
        ..grant.clone()
    };
    house.put(&swapped).await;
    assert!(matches!(house.get(&token).await, Err(AccessError::Damaged(_))));
    // Another sign-in takes both away.
    house.sign_in(&token).await;
    assert!(house.grant(&token).await.others.is_empty());
}

#[tokio::test]
async fn a_damaged_second_access_token_is_written_down_and_another_one_is_got() {
    for house in House::on_each(TemplateKind::Microsoft, Rotation::Keep).await {
        let token = house.for_imap().await;
        house.sim.next([graphs()]);
        house.get_for(&token, &[SEND]).await.unwrap();
        let mut damaged = house.grant(&token).await;
        damaged.others[0].sealed = damaged.access_token.clone().unwrap().0.0;
        house.put(&damaged).await;
        let told = house.audited("token.refresh").await.len();

        house.sim.next([graphs()]);
        let graph = house.get_for(&token, &[SEND]).await.unwrap();
        assert_eq!((graph.access_token.expose_secret(), graph.how), ("canary-graph-at", How::Refreshed));
        let again = house.get_for(&token, &[SEND]).await.unwrap();
        assert_eq!(again.how, How::Stored);
        assert_eq!(house.sim.count(), 2, "one renewal mends it");
        let rows = house.audited("token.refresh").await;
        let damaged: Vec<_> = rows[told..]
            .iter()
            .filter(|(_, detail)| detail.contains("console-damaged"))
            .collect();
        assert_eq!(damaged.len(), 1, "{rows:?}");
        assert_eq!(house.get(&token).await.unwrap().how, How::Stored, "the other one is as it was");
    }
}

#[tokio::test]
async fn the_sign_in_asks_for_what_all_mailboxes_of_the_token_need() {
    let house = House::new(TemplateKind::Microsoft, Rotation::Keep).await;
    let token = house.for_imap().await;
    let side = |protocol: &str, host: &str| SideInput {
        protocol: protocol.into(),
        host: host.into(),
        auth: "oauth2".into(),
        token: "support".into(),
        ..SideInput::default()
    };
    let input = MailboxInput {
        address: "support@contoso.test".into(),
        incoming: Some(side("imap", "outlook.office365.com")),
        outgoing: Some(side("graph", "")),
        ..MailboxInput::default()
    };
    let edit = check_mailbox(&input, &house.app.gate).unwrap();
    create(&house.app, &Actor::console(), edit).await.unwrap();
    let mailboxes = house.app.store.mailboxes_of_token(&token.id).await.unwrap();
    assert_eq!(other_needed(&token, &house.provider, &mailboxes), [SEND]);
    house.sim.next([graphs()]);
    house.get_for(&token, &[READ]).await.unwrap();
    let scope = house.sim.asked()[0].form["scope"].clone();
    assert_eq!(scope, format!("{SEND} {READ} offline_access"), "one token does for all sides");

    // A provider with but one resource is asked for nothing else.
    let mut other = house.provider.clone();
    other.template = TemplateKind::Google;
    assert!(other_needed(&token, &other, &mailboxes).is_empty());
}
