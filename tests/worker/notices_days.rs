//! Notices over days: what joins a cause that was told, what leaves it and comes back, and what is told on which day.

use super::sink::{House, all, save};
use crate::support::databases::new_postgres;
use crate::support::records;
use jiff::tz::TimeZone;
use mailgrant::actions::expiry::expiring;
use mailgrant::actions::links;
use mailgrant::actions::mailboxes::{self, check_mailbox};
use mailgrant::actions::notices::channels::ChannelsInput;
use mailgrant::model::audit::Actor;
use mailgrant::model::provider::{ConsentScreen, Provider};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{Prompt, Token};
use mailgrant::model::{Date, Name, TokenId};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// Mailboxes with a password of their own that work.
pub async fn mailboxes(house: &House, count: usize) {
    for number in 0..count {
        let mut input = records::mailbox(&format!("box-{number}"), Some(1143), None, "a password");
        input.enabled = true;
        let edit = check_mailbox(&input, &house.app.gate).unwrap();
        mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    }
    house.sql("UPDATE mailboxes SET next_check_at = 9999999999").await;
    work(house, "1 = 1").await;
}

/// Their passwords are refused, as checks write it down.
async fn refused(house: &House, which: &str) {
    let now = house.now();
    house
        .sql(
            "INSERT INTO runs (id, mailbox_name, address, direction, protocol, started_by, started_at, outcome, failed_step, diagnosis_id, settings, fingerprint, report)
             VALUES ('run', 'box', 'box@contoso.test', 'incoming', 'imap', 'the console', 1, 'failed', 'auth', 'imap-password', '[]', '', '{}') ON CONFLICT DO NOTHING",
        )
        .await;
    house
        .sql(format!(
            "UPDATE mailboxes SET incoming_outcome = 'failed', incoming_problem = 'The password is refused', incoming_run = 'run', state = 0,
             failed_checks = 2, failing_since = {now} WHERE {which}"
        ))
        .await;
}

async fn work(house: &House, which: &str) {
    house
        .sql(format!(
            "UPDATE mailboxes SET incoming_outcome = 'passed', incoming_problem = NULL, state = 3, failed_checks = 0, failing_since = NULL WHERE {which}"
        ))
        .await;
}

/// Somebody's sign-ins at `contoso`, each for an hour or so.
pub async fn sign_ins(house: &House, provider: Provider, count: usize) {
    let mut tx = house.app.store.begin().await.unwrap();
    tx.insert_provider(&provider).await.unwrap();
    for number in 0..count {
        let token = Token {
            id: TokenId(format!("t{number}")),
            name: Name::parse(&format!("sign-in-{number}")).unwrap(),
            user: Some(format!("person-{number}@contoso.test")),
            ..records::token()
        };
        tx.insert_token(&token).await.unwrap();
    }
    tx.commit().await.unwrap();
    let now = house.now();
    for number in 0..count {
        house
            .sql(format!(
                "INSERT INTO grants (token_id, state, generation, rt_current, granted_scopes, authorized_at, refreshed_at, expires_at)
                 VALUES ('t{number}', 'active', 1, 'v1.rt', '[]', {now}, {now}, {now} + 4000)"
            ))
            .await;
    }
}

/// The provider says no to these when they are renewed.
async fn ends(house: &House, which: &str) {
    let (now, why) = (
        house.now(),
        r#"{"id":"entra-50173","title":"The password was changed","meaning":"","remedy":[],"fix_where":"person","retryable":false,"url":""}"#,
    );
    house
        .sql(format!(
            "UPDATE grants SET state = 'revoked', last_error = '{why}', last_error_at = {now} WHERE token_id {which}"
        ))
        .await;
}

/// These were renewed, or somebody signed in again.
async fn renewed(house: &House, which: &str) {
    let now = house.now();
    house
        .sql(format!(
            "UPDATE grants SET state = 'active', last_error = NULL, refreshed_at = {now} WHERE token_id {which}"
        ))
        .await;
}

/// What was told, without the weekly reports.
fn subjects(calls: Vec<super::sink::Call>) -> Vec<String> {
    let told = calls.iter().filter(|call| call.kind() != "report.weekly");
    told.map(|call| call.subject()).collect()
}

/// One abandoned mailbox doesn't silence the others for ever.
#[tokio::test]
async fn what_worked_again_and_fails_again_is_told_though_another_never_was_mended() {
    let house = House::new().await;
    let hook = house.hook().await;
    mailboxes(&house, 3).await;
    refused(&house, "1 = 1").await;
    house.after(MINUTE).await;
    assert_eq!(subjects(hook.take()).len(), 1);
    work(&house, "name <> 'box-0'").await;
    house.after(HOUR).await;
    house.after(3 * DAY).await;
    assert!(subjects(hook.take()).is_empty(), "nobody has mended box-0");
    refused(&house, "name = 'box-1'").await;
    house.after(MINUTE).await;
    let told = subjects(hook.take());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("box-1@contoso.test can't be read"), "{told:?}");
    house.after(HOUR).await;
    assert!(subjects(hook.take()).is_empty(), "and once");
    work(&house, "name = 'box-1'").await;
    house.after(MINUTE).await;
    assert_eq!(subjects(hook.take()), ["box-1@contoso.test can be read again"]);
    // The last one is taken out of use: that the others were mended is told all the same.
    house.sql("UPDATE mailboxes SET enabled = 0 WHERE name = 'box-0'").await;
    house.after(MINUTE).await;
    assert_eq!(subjects(hook.take()), ["3 mailboxes can be read again"]);
}

/// A policy ends all sign-ins; each is found when it is renewed, within the life of its token. That is one message. A password that
/// somebody changes later is another one, though the first cause is still there.
#[tokio::test]
async fn sign_ins_that_one_policy_ended_are_told_and_those_found_later_together() {
    let house = House::new().await;
    let hook = house.hook().await;
    sign_ins(&house, records::provider(), 5).await;
    house.after(MINUTE).await;
    assert!(hook.take().is_empty());
    house.clock.advance(20 * MINUTE);
    ends(&house, "= 't0'").await;
    house.after(MINUTE).await;
    let told = subjects(hook.take());
    assert_eq!(told.len(), 1, "{told:?}");
    for (at, which) in [(30, "= 't1'"), (50, "= 't2'"), (700, "= 't3'")] {
        ends(&house, which).await;
        house.after(at * MINUTE).await;
    }
    assert!(
        subjects(hook.take()).is_empty(),
        "all of them were last seen working before the first was told: more may come"
    );
    let path = house.app.store.open_notices().await.unwrap();
    assert_eq!(path.len(), 1);
    // The fifth works on, and is renewed.
    renewed(&house, "= 't4'").await;
    house.after(MINUTE).await;
    ends(&house, "= 't4'").await;
    house.after(2 * HOUR).await;
    let told = subjects(hook.take());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("4 accounts of contoso have to sign in again"), "{told:?}");
    renewed(&house, "<> 't0'").await;
    house.after(MINUTE).await;
    assert_eq!(subjects(hook.take()), ["4 accounts of contoso are signed in again"]);
    renewed(&house, "= 't0'").await;
    house.after(MINUTE).await;
    assert_eq!(subjects(hook.take()), ["person-0@contoso.test is signed in again"]);
}

/// Whose sign-in was found to have ended after the message went out would have no mail until somebody reads the report on Monday.
#[tokio::test]
async fn whoever_was_found_after_the_message_is_told_within_a_day_or_so_and_once() {
    let house = House::new().await;
    let hook = house.hook().await;
    sign_ins(&house, records::provider(), 4).await;
    house.after(MINUTE).await;
    house.clock.advance(20 * MINUTE);
    ends(&house, "= 't0'").await;
    house.after(MINUTE).await;
    assert_eq!(hook.take().len(), 1);
    ends(&house, "<> 't0'").await;
    let mut told = Vec::new();
    for _ in 0..40 {
        house.after(HOUR).await;
        told.extend(subjects(hook.take()));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("3 accounts of contoso have to sign in again"), "{told:?}");
}

/// Who wants to know how the week was reads it, however much else is told.
#[tokio::test]
async fn the_weekly_report_is_a_message_of_its_own_in_quiet_hours_and_in_a_storm() {
    let house = House::new().await;
    let hook = house.quiet_hook("06:00", "10:00").await;
    mailboxes(&house, 20).await;
    house.after(0).await;
    // Monday, a minute past eight.
    house.clock.advance(2 * DAY);
    refused(&house, "name = 'box-0'").await;
    house.after(MINUTE).await;
    assert!(hook.take().is_empty());
    house.after(2 * HOUR).await;
    let told = hook.take();
    let mut kinds: Vec<String> = told.iter().map(|call| call.kind()).collect();
    kinds.sort();
    assert_eq!(kinds, ["mailbox.failing", "report.weekly"]);
    let report = told.iter().find(|call| call.kind() == "report.weekly").unwrap();
    assert!(
        report.body.contains("19 of 20 mailboxes that are turned on work."),
        "{}",
        report.body
    );

    save(
        &house.app,
        &ChannelsInput {
            webhook: hook.url.clone(),
            ..all()
        },
    )
    .await;
    house.clock.advance(7 * DAY - 2 * HOUR - 60 * MINUTE);
    for number in 1..20 {
        refused(&house, &format!("name = 'box-{number}'")).await;
        house
            .sql(format!(
                "UPDATE mailboxes SET incoming_problem = 'Cause {number}' WHERE name = 'box-{number}'"
            ))
            .await;
    }
    let mut kinds = Vec::new();
    for _ in 0..30 {
        house.after(5 * MINUTE).await;
        kinds.extend(hook.take().iter().map(|call| call.kind()));
    }
    assert_eq!(kinds.iter().filter(|kind| *kind == "report.weekly").count(), 1, "{kinds:?}");
}

/// A link of the command line lives an hour, and nobody has to be told that it ends today.
#[tokio::test]
async fn a_link_that_was_made_for_an_hour_is_no_news() {
    let house = House::new().await;
    let hook = house.hook().await;
    sign_ins(&house, records::provider(), 1).await;
    let token = house.app.store.token(&Name::parse("sign-in-0").unwrap()).await.unwrap().unwrap();
    for seconds in [HOUR, 3 * DAY] {
        links::create(&house.app, &Actor::console(), &token, Prompt::Consent, seconds)
            .await
            .unwrap();
    }
    house.after(0).await;
    let mut told = subjects(hook.take());
    for _ in 0..72 {
        house.after(HOUR).await;
        told.extend(subjects(hook.take()));
    }
    assert_eq!(told, ["The sign-in link for sign-in-0 ends tomorrow and nobody has used it"]);
}

/// Days are those of the zone that the messages are written in.
#[tokio::test]
async fn what_ends_today_here_is_not_told_as_tomorrow() {
    let house = House::new().await;
    let hook = house.hook().await;
    let input = ChannelsInput {
        webhook: hook.url.clone(),
        // Thirteen hours ahead: it is 21:00 on 21 November there.
        zone: "Pacific/Auckland".into(),
        ..all()
    };
    save(&house.app, &input).await;
    let provider = Provider {
        template: TemplateKind::Google,
        consent_screen: Some(ConsentScreen::Testing),
        client_secret_expires: Date::parse("2026-12-06"),
        ..records::provider()
    };
    sign_ins(&house, provider, 1).await;
    // The sign-in ends seven days later, at 08:00 UTC; and 14 days before the secret ends is 22 November there.
    let mut told = Vec::new();
    for hour in 0..9 * 24 {
        house.after(HOUR).await;
        told.extend(subjects(hook.take()).into_iter().map(|subject| (hour + 1, subject)));
    }
    let of = |what: &str| -> Vec<(i64, &str)> {
        let fits = told.iter().filter(|(_, subject)| subject.contains(what));
        fits.map(|(at, subject)| (*at, subject.as_str())).collect()
    };
    assert_eq!(
        of("sign-in of person-0"),
        [
            (1, "The sign-in of person-0@contoso.test ends in 7 days, 28 Nov 2026"),
            (123, "The sign-in of person-0@contoso.test ends tomorrow, 28 Nov 2026"),
        ]
    );
    let secret = of("client secret of contoso");
    assert_eq!(
        secret,
        [
            (1, "The client secret of contoso expires in 15 days, 6 Dec 2026"),
            (3, "The client secret of contoso expires in 14 days, 6 Dec 2026"),
            (171, "The client secret of contoso expires in 7 days, 6 Dec 2026"),
        ]
    );
}

/// Two instances that both hold themselves for the one that looks tell what ends once.
#[tokio::test]
async fn two_that_look_at_once_tell_an_end_once() {
    let mut places = vec![None];
    places.extend(new_postgres().await.map(Some));
    for place in places {
        looks_at_once(&House::on(place).await).await;
    }
}

async fn looks_at_once(house: &House) {
    let hook = house.hook().await;
    sign_ins(
        house,
        Provider {
            client_secret_expires: Date::parse("2026-11-25"),
            ..records::provider()
        },
        1,
    )
    .await;
    house.after(0).await;
    hook.take();
    let other = house.another().await;
    for round in 0..20 {
        house.sql("DELETE FROM notices").await;
        let ending = expiring(&house.app, 60, &TimeZone::UTC).await.unwrap();
        let look = mailgrant::actions::notices::look;
        let (one, two) = tokio::join!(look(&house.app, &ending), look(&other, &ending));
        one.unwrap();
        two.unwrap();
        let notices = house.app.store.notices_since(mailgrant::clock::Timestamp(0), 10).await.unwrap();
        let ends = notices.iter().filter(|one| one.cause.starts_with("ends:")).count();
        assert_eq!(ends, 1, "in round {round}: {notices:?}");
    }
}
