//! What ends, and when: told before it does.

use super::world::{DAY, HOUR, Rotation, Rules, World};
use jiff::tz::TimeZone;
use mailgrant::actions::expiry::{Expiring, Kind, expiring};
use mailgrant::actions::{links, provider_links};
use mailgrant::clock::{Clock, Timestamp};
use mailgrant::model::audit::Actor;
use mailgrant::model::consent::LinkKind;
use mailgrant::model::idle::{From, lapses_at};
use mailgrant::model::provider::{ConsentScreen, Provider};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{Grant, GrantState, ServiceAccount, StoredServiceAccount};
use mailgrant::model::{Date, Name, Sealed};

fn short(all: &[Expiring]) -> Vec<(Kind, String, i64)> {
    let name = |one: &Expiring| one.token.as_ref().or(one.provider.as_ref()).unwrap().to_string();
    all.iter().map(|one| (one.kind, name(one), one.days)).collect()
}

#[tokio::test]
async fn everything_that_ends_is_listed_the_nearest_first_and_what_is_kept_alive_is_not() {
    for world in World::on_each().await {
        let rules = |kind| Rules::new(kind, Rotation::Never, HOUR);
        let microsoft = world.provider("microsoft", rules(TemplateKind::Microsoft)).await;
        let testing = Rules {
            screen: Some(ConsentScreen::Testing),
            ..rules(TemplateKind::Google)
        };
        let google = world.provider("google", testing).await;
        let other = world.provider("other", rules(TemplateKind::Custom)).await;
        for provider in [&microsoft, &google, &other] {
            world.tokens(provider, 1).await;
        }
        let stored = world.app.store.provider(&microsoft.name).await.unwrap().unwrap();
        let mut tx = world.app.store.begin().await.unwrap();
        let in_ten_days = world.app.clock.now().plus(10 * DAY).to_rfc3339();
        let ends = Provider {
            client_secret_expires: Date::parse(&in_ten_days[..10]),
            ..stored
        };
        tx.update_provider(&ends).await.unwrap();
        tx.commit().await.unwrap();
        let maija = Actor::console();
        let prompt = mailgrant::model::token::Prompt::Consent;
        let token = world.app.store.token(&Name::parse("other-0").unwrap()).await.unwrap().unwrap();
        links::create(&world.app, &maija, &token, prompt, 3 * DAY).await.unwrap();
        let taken_back = links::create(&world.app, &maija, &token, prompt, 3 * DAY).await.unwrap();
        links::withdraw(&world.app, &maija, &token, &taken_back.link).await.unwrap();
        provider_links::create(&world.app, &maija, &other, LinkKind::Secret).await.unwrap();
        let of_links = expiring(&world.app, 90, &TimeZone::UTC).await.unwrap();
        let of_links: Vec<_> = of_links.iter().filter(|one| matches!(one.kind, Kind::Link(_))).cloned().collect();
        assert_eq!(of_links.len(), 2, "{of_links:?}");
        assert!(of_links.iter().any(|one| one.kind == Kind::Link(None) && one.days == 3));
        assert!(of_links.iter().any(|one| one.kind == Kind::Link(Some(LinkKind::Secret))));
        // Both are over, and what follows is about the rest.
        let execute = async |sql: &'static str| sqlx::query(sql).execute(world.app.store.raw_pool()).await.unwrap();
        execute("UPDATE links SET withdrawn = 1").await;
        execute("UPDATE provider_links SET withdrawn = 1").await;

        let list = async |within| short(&expiring(&world.app, within, &TimeZone::UTC).await.unwrap());
        let (secret, testing) = (
            (Kind::ClientSecret, "microsoft".to_owned()),
            (Kind::FixedSignIn, "google-0".to_owned()),
        );
        assert_eq!(
            list(90).await,
            [(testing.0, testing.1.clone(), 7), (secret.0, secret.1.clone(), 10)],
            "a sign-in that was just made lapses in 90 days, and is renewed before"
        );
        assert_eq!(list(7).await.len(), 1);
        // Nobody renews for 80 days.
        world.clock.advance(80 * DAY);
        assert_eq!(
            list(30).await,
            [
                (testing.0, testing.1, -73),
                (secret.0, secret.1, -70),
                (Kind::SignIn, "microsoft-0".to_owned(), 10)
            ],
            "and of a provider whose rule is not known nothing is said"
        );
        let stored = StoredServiceAccount {
            sealed: Sealed("v1.key".into()),
            version: 1,
            destination: String::new(),
            account: ServiceAccount {
                client_email: "mail@project.test".into(),
                client_id: "1".into(),
                key_id: "2".into(),
            },
            set_at: world.clock.now(),
            set_by: "Maija".into(),
        };
        let mut tx = world.app.store.begin().await.unwrap();
        tx.set_service_account(&google.id, &stored).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            list(90).await.last().unwrap(),
            &(Kind::ServiceAccountKey, "google".to_owned(), 90),
            "as old as Google wants it to get"
        );
    }
}

#[tokio::test]
async fn using_a_sign_in_keeps_it_where_the_provider_says_so_and_nowhere_else() {
    let world = World::new().await;
    let mut provider = world
        .provider("one", Rules::new(TemplateKind::Microsoft, Rotation::Never, HOUR))
        .await;
    let token = world.tokens(&provider, 1).await.remove(0);
    let mut grant = world.grant(&token).await;
    let start = world.clock.now();
    let days = |at: Timestamp| at.since(start) / DAY;
    let ends = |grant: &Grant, provider: &Provider| lapses_at(grant, provider).map(|(at, profile)| (days(at), profile.from));
    assert_eq!(ends(&grant, &provider), Some((90, From::Use)));
    grant.refreshed_at = Some(start.plus(10 * DAY));
    assert_eq!(ends(&grant, &provider), Some((100, From::Use)));
    provider.template = TemplateKind::Google;
    assert_eq!(ends(&grant, &provider), Some((190, From::Use)));
    provider.consent_screen = Some(ConsentScreen::Testing);
    assert_eq!(ends(&grant, &provider), Some((7, From::SignIn)));
    provider.template = TemplateKind::Custom;
    assert_eq!(ends(&grant, &provider), None, "nobody knows");
    provider.template = TemplateKind::Microsoft;
    grant.state = GrantState::Revoked;
    assert_eq!(ends(&grant, &provider), None, "it has ended");
    let spa = mailgrant::diagnosis::by_id("entra-700084-spa-refresh-expired").unwrap();
    grant.last_error = serde_json::to_string(&spa).ok();
    assert_eq!(ends(&grant, &provider), Some((1, From::SignIn)), "a day, whatever it was used for");
    grant.rt_current = None::<(Sealed, i64)>;
    assert_eq!(ends(&grant, &provider), None, "nothing lasts of it");
}
