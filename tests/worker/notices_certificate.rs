//! Notices of the console's own certificate: before it ends, once it has, and when there is a new one.

use super::sink::{Call, House};
use crate::web::console_certificate::Front;
use mailgrant::actions::settings::set_base_url;
use mailgrant::model::audit::Actor;
use mailgrant::worker::certificate;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

fn told(calls: Vec<Call>) -> Vec<String> {
    let told = calls.iter().filter(|call| call.kind() != "report.weekly");
    told.map(|call| format!("{}: {}", call.kind(), call.subject())).collect()
}

/// Lets time pass, a look at the certificate every hour.
async fn hours(house: &House, count: i64) {
    for _ in 0..count {
        house.clock.advance(HOUR);
        mailgrant::worker::instances::tick(&house.app).await.unwrap();
        certificate::tick(&house.app).await.unwrap();
        house.after(0).await;
    }
}

/// The console doesn't trust the authority here: what its own address shows ends all the same.
#[tokio::test]
async fn its_end_is_told_before_and_once_it_has_come_and_a_new_one_too() {
    let house = House::new().await;
    let hook = house.hook().await;
    let front = Front::start().await;
    assert!(set_base_url(&house.app, &Actor::console(), &front.url()).await.unwrap().is_ok());
    // The clock stands at 21 November, 08:00. A web server renews by itself while there are weeks left.
    front.until((2026, 12, 20));
    hours(&house, 2).await;
    assert!(told(hook.take()).is_empty());
    front.until((2026, 12, 1));
    hours(&house, 8 * 24).await;
    assert_eq!(
        told(hook.take()),
        [
            "expiring: The certificate of this console expires in 9 days, 1 Dec 2026",
            "expiring: The certificate of this console expires in 7 days, 1 Dec 2026",
        ]
    );
    hours(&house, 24).await;
    let calls = hook.take();
    let text = calls[0].body.clone();
    assert!(text.contains("/about") && text.contains("web server in front"), "{text}");
    assert_eq!(
        told(calls),
        ["expiring: The certificate of this console expires tomorrow, 1 Dec 2026"]
    );
    hours(&house, 24).await;
    assert_eq!(told(hook.take()), ["expired: The certificate of this console has expired"]);
    hours(&house, 24).await;
    assert!(told(hook.take()).is_empty());

    front.until((2027, 3, 1));
    hours(&house, 1).await;
    assert_eq!(told(hook.take()), ["recovered: The certificate of this console is good again"]);

    // A console that is reached otherwise has none any more, which is no recovery.
    front.until((2026, 12, 3));
    hours(&house, 24).await;
    assert_eq!(told(hook.take()), ["expired: The certificate of this console has expired"]);
    let local = set_base_url(&house.app, &Actor::console(), "http://localhost:8080").await;
    assert!(local.unwrap().is_ok());
    house.after(DAY).await;
    assert!(told(hook.take()).is_empty());
}
