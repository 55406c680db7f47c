//! A year in the life of twenty mailboxes, on a clock that is moved: what was lost, why, when it was seen, and that nothing was lost which
//! the provider's rules allow to keep. With `MAILGRANT_WHOLE_YEAR=1` there are two hundred of them: no token is taken to live for more than
//! a day, so that makes some ninety thousand renewals, which take minutes.

mod told;

use super::sink::{Call, Hook, all, looked_and_sent, save};
use super::world::{DAY, HOUR, Rotation, Rules, Trouble, World};
use mailgrant::actions::expiry::{Kind, expiring};
use mailgrant::actions::notices::channels::ChannelsInput;
use mailgrant::clock::Clock;
use mailgrant::model::Date;
use mailgrant::model::provider::{ConsentScreen, Provider};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{GrantState, Token};
use mailgrant::worker::instances;
use std::collections::BTreeMap;
use std::time::Instant;

/// What happens at a provider, or to us.
#[derive(Debug, Clone, Copy)]
enum Event {
    Begins(&'static str, Trouble),
    Recovers(&'static str),
    /// The provider takes this secret from now on, and nobody has put it in.
    SecretEnds(&'static str, &'static str),
    SecretReplaced(&'static str, &'static str),
    PasswordChanges(&'static str, usize),
    SignsInAgain(&'static str, usize),
    ClockSetBy(i64),
    AnswersGetLost(&'static str, usize),
    /// The console is off for so long.
    Off(i64),
}

/// Who has how many mailboxes.
fn counts() -> [(&'static str, usize); 4] {
    let times = if std::env::var_os("MAILGRANT_WHOLE_YEAR").is_some() {
        10
    } else {
        1
    };
    [("microsoft", 6), ("google", 5), ("strict", 4), ("testing", 5)].map(|(name, count)| (name, count * times))
}
/// Seconds between two looks at everything.
const LOOK: i64 = DAY;
/// What is renewed within so many seconds is renewed in one go, which is what makes a year short: less than a token has left when it is
/// due.
const STEP: i64 = 3 * HOUR;

fn rules() -> [Rules; 4] {
    [
        Rules {
            idle: Some(90 * DAY),
            ..Rules::new(TemplateKind::Microsoft, Rotation::Keep, DAY)
        },
        Rules {
            idle: Some(180 * DAY),
            ..Rules::new(TemplateKind::Google, Rotation::Never, DAY)
        },
        Rules {
            idle: Some(30 * DAY),
            ..Rules::new(TemplateKind::Custom, Rotation::Grace(10), DAY)
        },
        Rules {
            screen: Some(ConsentScreen::Testing),
            idle: Some(180 * DAY),
            absolute: Some(7 * DAY),
            ..Rules::new(TemplateKind::Google, Rotation::Never, DAY)
        },
    ]
}

/// The year, by day and hour.
fn script() -> Vec<(i64, Event)> {
    let mut events = vec![
        (20 * DAY, Event::SecretEnds("microsoft", "second")),
        (24 * DAY, Event::SecretReplaced("microsoft", "second")),
        (95 * DAY, Event::AnswersGetLost("microsoft", 3)),
        (100 * DAY, Event::PasswordChanges("google", 1)),
        (100 * DAY, Event::PasswordChanges("google", 2)),
        (101 * DAY, Event::PasswordChanges("strict", 3)),
        (110 * DAY, Event::SignsInAgain("google", 1)),
        (130 * DAY, Event::ClockSetBy(DAY)),
        (140 * DAY, Event::ClockSetBy(-DAY)),
        (210 * DAY, Event::SecretEnds("google", "second")),
        (222 * DAY, Event::SecretReplaced("google", "second")),
        (240 * DAY, Event::AnswersGetLost("strict", 1)),
        (260 * DAY, Event::Off(10 * DAY)),
    ];
    let mut trouble = |day: i64, name, trouble, hours: i64| {
        events.push((day * DAY, Event::Begins(name, trouble)));
        events.push((day * DAY + hours * HOUR, Event::Recovers(name)));
    };
    trouble(45, "strict", Trouble::Down, 5);
    trouble(70, "google", Trouble::Down, 72);
    // The line is down.
    for (name, _) in counts() {
        trouble(160, name, Trouble::Down, 8);
    }
    trouble(190, "strict", Trouble::Throttles(1800), 6);
    // Longer than this one keeps a sign-in.
    trouble(300, "strict", Trouble::Down, 40 * 24);
    events.sort_by_key(|(at, _)| *at);
    events
}

struct Mailbox {
    provider: Provider,
    token: Token,
    family: usize,
    told: bool,
}

struct Year {
    world: World,
    /// Where everything is told.
    hook: Hook,
    /// What was told, with the second of the year.
    told: Vec<(i64, Call)>,
    mailboxes: Vec<Mailbox>,
    /// Providers that are in trouble, or were until then.
    troubled: BTreeMap<&'static str, Option<i64>>,
}

impl Year {
    async fn begin() -> Self {
        let world = World::new().await;
        let mut mailboxes = Vec::new();
        for ((name, count), rules) in counts().into_iter().zip(rules()) {
            let provider = world.provider(name, rules).await;
            for (family, token) in world.tokens(&provider, count).await.into_iter().enumerate() {
                let provider = provider.clone();
                mailboxes.push(Mailbox {
                    provider,
                    token,
                    family,
                    told: false,
                });
            }
        }
        let hook = Hook::start().await;
        let input = ChannelsInput {
            webhook: hook.url.clone(),
            ..all()
        };
        save(&world.app, &input).await;
        let mut tx = world.app.store.begin().await.unwrap();
        let ends = Provider {
            client_secret_expires: Date::parse("2026-12-11"),
            ..mailboxes[0].provider.clone()
        };
        tx.update_provider(&ends).await.unwrap();
        tx.commit().await.unwrap();
        Self {
            world,
            hook,
            told: Vec::new(),
            mailboxes,
            troubled: BTreeMap::new(),
        }
    }

    fn note(passed: i64, line: &str) {
        eprintln!("day {:>3}.{}  {line}", passed / DAY, passed % DAY * 10 / DAY);
    }

    async fn happens(&mut self, passed: i64, event: Event) {
        let world = &self.world;
        match event {
            Event::Begins(name, trouble) => {
                world.trouble(name, Some(trouble));
                self.troubled.insert(name, None);
            }
            Event::Recovers(name) => {
                world.trouble(name, None);
                self.troubled.insert(name, Some(passed));
            }
            Event::SecretEnds(name, secret) => {
                world.takes(name, secret);
                self.troubled.insert(name, None);
            }
            Event::SecretReplaced(name, secret) => {
                world.new_secret(name, secret, Date::parse("2028-01-01")).await;
                self.troubled.insert(name, Some(passed));
            }
            Event::PasswordChanges(name, family) => world.change_password(name, family),
            Event::SignsInAgain(name, number) => {
                let count = counts().iter().find(|(other, _)| *other == name).unwrap().1;
                let of = self.mailboxes.iter_mut().filter(|one| one.provider.name.as_str() == name);
                let mailbox = of.into_iter().nth(number).unwrap();
                let mut tx = self.world.app.store.begin().await.unwrap();
                self.world.sign_in(&mut tx, &mailbox.provider, &mailbox.token).await;
                tx.commit().await.unwrap();
                (mailbox.family, mailbox.told) = (count, false);
            }
            Event::ClockSetBy(by) => world.clock.set_by(by),
            Event::AnswersGetLost(name, count) => world.loses(name, count),
            Event::Off(seconds) => world.clock.advance(seconds),
        }
        Self::note(passed, &format!("{event:?}"));
    }

    /// Whether a provider was well for the last day.
    fn is_quiet(&self, name: &str, passed: i64) -> bool {
        match self.troubled.get(name) {
            None => true,
            Some(None) => false,
            Some(Some(at)) => passed - at > LOOK,
        }
    }

    /// Lets the console tell what there is to tell, and notes it.
    async fn tell(&mut self, passed: i64) {
        instances::tick(&self.world.app).await.unwrap();
        looked_and_sent(&self.world.app).await;
        for call in self.hook.take() {
            Self::note(passed, &format!("told: {} ({})", call.subject(), call.kind()));
            self.told.push((passed, call));
        }
    }

    /// Compares what the console says with what the providers know.
    async fn look(&mut self, passed: i64, start: mailgrant::clock::Timestamp) {
        let now = self.world.clock.now();
        let grants = self.world.app.store.grants().await.unwrap();
        let grants: BTreeMap<&str, _> = grants.iter().map(|grant| (grant.token_id.as_str(), grant)).collect();
        let mut told = Vec::new();
        for (at, mailbox) in self.mailboxes.iter().enumerate() {
            let (name, provider) = (&mailbox.token.name, mailbox.provider.name.as_str());
            let grant = grants[mailbox.token.id.as_str()];
            let quiet = self.is_quiet(provider, passed);
            match self.world.ended(provider, mailbox.family) {
                None => {
                    assert_ne!(
                        grant.state,
                        GrantState::Revoked,
                        "{name} lives, and the console says it has ended: {:?}",
                        grant.last_error
                    );
                    let left = grant.expires_at.unwrap().since(now);
                    assert!(!quiet || left > 0, "{name} has a dead access token on day {}", passed / DAY);
                }
                Some((why, when)) => {
                    let since = passed - when.since(start);
                    let expected = match why {
                        "the password changed" => true,
                        "its time was over" => provider == "testing",
                        // Nobody could ask for longer than that.
                        "not used for too long" => provider == "strict" && passed > 323 * DAY,
                        _ => false,
                    };
                    assert!(expected, "{name} was lost: {why}, on day {}", when.since(start) / DAY);
                    if grant.state == GrantState::Revoked && !mailbox.told {
                        told.push((at, format!("lost: {name}, {why} {} hours ago", since / HOUR)));
                    }
                    // As soon as its token had to be renewed, which lives a day.
                    let within = DAY + LOOK;
                    assert!(
                        grant.state == GrantState::Revoked || since < within || !quiet,
                        "{name} has ended {} hours ago ({why}), and nothing says so",
                        since / HOUR
                    );
                }
            }
        }
        for (at, line) in told {
            self.mailboxes[at].told = true;
            Self::note(passed, &line);
        }
        self.look_at_secrets(passed).await;
    }

    /// A secret that ends is told before, on the day, and as what it is.
    async fn look_at_secrets(&mut self, passed: i64) {
        let microsoft = self.mailboxes[0].provider.name.clone();
        if passed < 24 * DAY {
            let all = expiring(&self.world.app, 30, &jiff::tz::TimeZone::UTC).await.unwrap();
            let secret = all.iter().find(|one| one.kind == Kind::ClientSecret).unwrap();
            let today = (self.world.clock.now().0 / DAY) - (1_795_248_000 / DAY);
            assert_eq!((secret.provider.as_ref(), secret.days), (Some(&microsoft), 20 - today));
            let testing = all.iter().filter(|one| one.kind == Kind::FixedSignIn);
            assert!(passed > 7 * DAY || testing.count() == counts()[3].1);
        }
        for (name, ends, replaced) in [("microsoft", 20, 24), ("google", 210, 222)] {
            let provider = self
                .world
                .app
                .store
                .provider(&mailgrant::model::Name::parse(name).unwrap())
                .await
                .unwrap()
                .unwrap();
            let day = |hours: i64| passed - hours * HOUR;
            if day(12) > ends * DAY && passed < replaced * DAY {
                assert!(provider.problem.is_some(), "the secret of {name} has ended and nothing says so");
            } else if passed < ends * DAY || passed > replaced * DAY {
                assert_eq!(provider.problem, None, "{name} on day {}", passed / DAY);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_renewals_loses_nothing_that_can_be_kept() {
    let began = Instant::now();
    let mut year = Year::begin().await;
    let (start, running) = (year.world.there(), year.world.clock.running());
    let mut events = script().into_iter().peekable();
    let (mut next_look, mut rounds) = (LOOK, 0);
    loop {
        let passed = i64::try_from((year.world.clock.running() - running).as_secs()).unwrap();
        if passed >= 365 * DAY {
            break;
        }
        while let Some((_, event)) = events.next_if(|(at, _)| *at <= passed) {
            year.happens(passed, event).await;
        }
        rounds += year.world.rounds().await;
        if passed >= next_look {
            year.tell(passed).await;
            year.look(passed, start).await;
            next_look = passed + LOOK;
        }
        let due = year.world.app.store.next_due().await.unwrap().unwrap();
        let wait = due.since(year.world.clock.now());
        let step = match wait {
            // Something waits for a provider.
            ..=0 if passed < 300 * DAY => HOUR,
            ..=0 => 4 * HOUR,
            wait => wait.max(STEP),
        };
        let event = events.peek().map_or(i64::MAX, |(at, _)| (at - passed).max(1));
        year.world.clock.advance(step.min(event).min(LOOK));
    }
    year.tell(365 * DAY).await;
    year.check_told();
    let world = &year.world;

    let mut lost: BTreeMap<&str, usize> = BTreeMap::new();
    for mailbox in &year.mailboxes {
        if let Some((why, _)) = world.ended(mailbox.provider.name.as_str(), mailbox.family) {
            assert!(mailbox.told, "{} was lost and nobody was told", mailbox.token.name);
            *lost.entry(why).or_default() += 1;
        }
    }
    let expected = [
        ("its time was over", counts()[3].1),
        ("not used for too long", counts()[2].1 - 1),
        ("the password changed", 2),
    ];
    assert_eq!(lost.into_iter().collect::<Vec<_>>(), expected);
    let alarms = world.audited("provider.problem").await;
    assert_eq!(alarms.len(), 2, "one alarm for each secret: {alarms:?}");
    assert!(world.app.store.verify_audit().await.unwrap().is_ok());

    for (name, _) in counts() {
        let asked = world.asked(name);
        let mut last: BTreeMap<usize, i64> = BTreeMap::new();
        let (mut served, mut longest) = (0, 0);
        for one in asked.iter().filter(|one| one.served) {
            let at = i64::try_from((one.at - running).as_secs()).unwrap();
            longest = longest.max(at - last.insert(one.family, at).unwrap_or(at));
            served += 1;
        }
        eprintln!(
            "{name:>9}: {served} renewals, {} more requests, longest gap {} days, most in a second {}",
            asked.len() - served,
            longest / DAY,
            world.most_a_second(name)
        );
        assert!(world.most_a_second(name) <= 20);
    }
    eprintln!("a year in {:?}, {rounds} rounds", began.elapsed());
}
