//! How many sign-ins may wait at other devices.

use super::House;
use crate::sandbox::SUPPORT;

impl House {
    /// Tokens `many0` … to begin sign-ins with.
    async fn with_many(count: usize) -> (Self, Vec<String>) {
        let house = Self::start().await;
        let names: Vec<String> = (0..count).map(|n| format!("many{n}")).collect();
        let tokens: String = names
            .iter()
            .map(|name| format!("[[token]]\nname = \"{name}\"\nprovider = \"contoso\"\nuser = \"{SUPPORT}\"\n"))
            .collect();
        house.apply(&tokens).await;
        (house, names)
    }
}

#[tokio::test]
async fn only_so_many_sign_ins_of_one_person_wait_at_other_devices() {
    let (house, names) = House::with_many(11).await;
    let mut admin = house.t.admin();
    for name in &names[..10] {
        assert!(house.begin(&mut admin, name).await.has("#code"), "{name}");
    }
    let page = house.begin(&mut admin, "many10").await;
    assert!(
        page.text(".flash")
            .starts_with("10 sign-ins that you started wait at other devices already. Cancel one of them"),
        "{}",
        page.words()
    );
    assert!(house.waits("many10").await.is_none());
    // Somebody else still can, and so can they once one is over.
    assert!(house.begin(&mut house.t.operator(), "many10").await.has("#code"));
    let attempt = house.attempt("many0").await;
    admin.submit(format!("/tokens/many0/authorize/{}/cancel", attempt.id), &[]).await;
    assert!(house.begin(&mut admin, "support").await.has("#code"));
}

#[tokio::test]
async fn two_that_begin_at_once_do_not_both_take_the_last_place() {
    let (house, names) = House::with_many(11).await;
    let mut admin = house.t.admin();
    for name in &names[..9] {
        assert!(house.begin(&mut admin, name).await.has("#code"), "{name}");
    }
    let (mut one, mut other) = (house.t.admin(), house.t.admin());
    let (first, second) = tokio::join!(house.begin(&mut one, "many9"), house.begin(&mut other, "many10"));
    let begun = [&first, &second].into_iter().filter(|page| page.has("#code")).count();
    assert_eq!(begun, 1, "{} {}", first.words(), second.words());
    let user = house.attempt("many0").await.user_id;
    let now = house.attempt("many0").await.started_at;
    assert_eq!(house.t.app.store.open_devices(user.as_ref(), now).await.unwrap(), (10, 10));
}
