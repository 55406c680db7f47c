//! Two credentials at once: whatever stops the program while one takes over from the other, one is there that works.

use super::simulator::Rotation;
use super::{House, SECRET};
use crate::support::certificates::{FILE, thumbprint};
use mailgrant::actions::access_token::How;
use mailgrant::actions::place;
use mailgrant::actions::providers::credential::{self, New, Replaced, Terms};
use mailgrant::model::Date;
use mailgrant::model::audit::Actor;
use mailgrant::model::provider::{ClientAuth, Provider};
use mailgrant::model::template::TemplateKind;
use mailgrant::oauth::KeyedCertificate;
use mailgrant::secret::ClientSecret;

const CUSTOM: TemplateKind = TemplateKind::Custom;

fn certificate() -> KeyedCertificate {
    KeyedCertificate::read_pem(FILE.as_bytes(), super::NOW).unwrap()
}

async fn stored(house: &House) -> Provider {
    house.app.store.provider_by_id(&house.provider.id).await.unwrap().unwrap()
}

async fn replace(house: &House, new: New, keep_until: Option<&str>) -> Replaced {
    let terms = Terms {
        keep_until: keep_until.map(|date| Date::parse(date).unwrap()),
        even_untried: false,
    };
    credential::replace(&house.app, &Actor::console(), &stored(house).await, new, terms)
        .await
        .unwrap()
}

/// A process that starts now renews: the access token has run out.
async fn works(house: &House, token: &mailgrant::model::token::Token) {
    house.clock.advance(3700);
    let app = house.another().await;
    let handed = mailgrant::actions::access_token::access_token(&app, token, None).await.unwrap();
    assert_eq!(handed.how, How::Refreshed);
    app.store.close().await;
}

#[tokio::test]
async fn a_program_that_is_stopped_after_any_step_has_a_credential_that_works() {
    for house in House::on_each(CUSTOM, Rotation::Keep).await {
        let token = house.signed_in("one").await;
        let print = thumbprint();
        house.sim.takes(&[SECRET]);
        works(&house, &token).await;

        // Put in, and refused: the provider doesn't know it yet. It waits, and nothing else has changed.
        let refused = replace(&house, New::Certificate(certificate()), Some("2026-12-02")).await;
        assert!(matches!(refused, Replaced::Refused(..)), "{refused:?}");
        let now = stored(&house).await;
        assert_eq!((now.client_auth, now.credentials.next.is_some()), (ClientAuth::SecretPost, true));
        assert_eq!(now.client_secret, house.provider.client_secret);
        works(&house, &token).await;

        // Stopped between the proof and the write: what was half done is not there.
        let mut half = now.clone();
        half.client_auth = ClientAuth::Certificate;
        half.client_secret = None;
        half.credentials.certificate = half.credentials.next.take();
        let mut tx = house.app.store.begin().await.unwrap();
        tx.update_provider(&half).await.unwrap();
        drop(tx);
        assert_eq!(stored(&house).await, now);
        works(&house, &token).await;

        // The provider knows both: the certificate takes over, and the secret stands by.
        house.sim.takes(&[SECRET, &print]);
        let done = replace(&house, New::Waiting, Some("2026-12-02")).await;
        assert!(matches!(done, Replaced::Done { proved: true, .. }), "{done:?}");
        let now = stored(&house).await;
        assert_eq!((now.client_auth, now.client_secret.is_none()), (ClientAuth::Certificate, true));
        assert!(now.credentials.next.is_none() && now.credentials.fallback.is_some());
        works(&house, &token).await;
        let last = house.sim.asked().pop().unwrap();
        assert_eq!(
            (super::simulator::proof(&last.form), last.form.contains_key("client_secret")),
            (print.clone(), false)
        );

        // Refused later: the one before it still counts, and that is written down once.
        house.sim.takes(&[SECRET]);
        works(&house, &token).await;
        works(&house, &token).await;
        assert_eq!(house.audited("provider.fallback").await.len(), 1);
        assert!(stored(&house).await.credentials.fallback.unwrap().used_at.is_some());

        // Its last day is over: the refusal counts.
        house.clock.advance(13 * 86_400);
        let error = house.get(&token).await.unwrap_err();
        assert_eq!(error.diagnosis().id, "entra-7000215-secret-wrong", "{error:?}");

        // And what it was sealed in goes.
        let kept = stored(&house).await;
        assert!(kept.credentials.fallback.is_some());
        credential::forget_outdated(&house.app).await.unwrap();
        let now = stored(&house).await;
        assert_eq!((now.credentials.fallback.as_ref(), now.held()), (None, kept.held()));
    }
}

#[tokio::test]
async fn a_fallback_that_still_counts_is_not_swept_away() {
    for house in House::on_each(CUSTOM, Rotation::Keep).await {
        house.sim.takes(&[SECRET, "another secret, which is as long"]);
        let done = replace(
            &house,
            New::Secret(ClientSecret::new("another secret, which is as long"), None),
            Some("2026-12-02"),
        )
        .await;
        assert!(matches!(done, Replaced::Done { .. }), "{done:?}");
        let before = stored(&house).await;
        credential::forget_outdated(&house.app).await.unwrap();
        assert!(before.credentials.fallback.is_some() && stored(&house).await == before);
    }
}

#[tokio::test]
async fn a_certificate_gives_way_to_a_secret_and_the_old_one_goes_only_when_the_new_one_works() {
    for house in House::on_each(CUSTOM, Rotation::Keep).await {
        let token = house.signed_in("one").await;
        let print = thumbprint();
        house.sim.takes(&[SECRET, &print]);
        let done = replace(&house, New::Certificate(certificate()), None).await;
        assert!(matches!(done, Replaced::Done { proved: true, .. }), "{done:?}");
        assert!(stored(&house).await.credentials.fallback.is_none());
        works(&house, &token).await;

        let next = || New::Secret(ClientSecret::new("canary-the-next-secret"), None);
        let before = stored(&house).await;
        assert!(matches!(replace(&house, next(), None).await, Replaced::Refused(..)));
        assert_eq!(stored(&house).await, before);
        house.sim.takes(&[&print, "canary-the-next-secret"]);
        let done = replace(&house, next(), None).await;
        assert!(matches!(done, Replaced::Done { proved: true, .. }), "{done:?}");
        let now = stored(&house).await;
        assert_eq!(
            (now.client_auth, now.credentials.certificate.is_none()),
            (ClientAuth::SecretBasic, true)
        );
        works(&house, &token).await;
        let rows = format!("{:?} {now:?}", house.app.store.audit_rows(100).await.unwrap());
        assert!(!rows.contains("canary") && !rows.contains("PRIVATE"), "{rows}");
    }
}

#[tokio::test]
async fn a_key_that_was_aimed_elsewhere_behind_our_back_does_not_sign() {
    let house = House::new(CUSTOM, Rotation::Keep).await;
    house.sim.takes(&[SECRET, &thumbprint()]);
    replace(&house, New::Certificate(certificate()), None).await;
    let mut aimed = stored(&house).await;
    assert!(place::client(&house.app, &aimed).is_ok());
    aimed.overrides.token_url = Some("https://evil.example/token".into());
    assert!(place::client(&house.app, &aimed).is_err());
}
