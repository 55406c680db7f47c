//! Providers by their rules: how long they keep a sign-in, what becomes of a used refresh token, and how they are when they aren't well.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Shared};
use axum::http::Response;
use mailgrant::clock::{Clock, MockClock, Timestamp};
use mailgrant::model::provider::ConsentScreen;
use mailgrant::model::template::TemplateKind;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a refresh token once it was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The same one stays.
    Never,
    /// A new one each time; old ones stay good.
    Keep,
    /// A new one each time; the old one is good for so many seconds, then using it ends everything.
    Grace(i64),
}

/// A provider's rules.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub template: TemplateKind,
    pub screen: Option<ConsentScreen>,
    pub rotation: Rotation,
    /// Seconds an access token lives.
    pub lifetime: i64,
    /// Seconds a sign-in lasts after its last use, and after it was made.
    pub idle: Option<i64>,
    pub absolute: Option<i64>,
}

impl Rules {
    pub fn new(template: TemplateKind, rotation: Rotation, lifetime: i64) -> Self {
        Self {
            template,
            screen: None,
            rotation,
            lifetime,
            idle: None,
            absolute: None,
        }
    }
}

/// How a provider is, where it isn't well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// 503, and nothing more.
    Down,
    /// 429 with so many seconds to wait.
    Throttles(i64),
    /// Nothing ever comes.
    Hangs,
}

/// A sign-in as the provider knows it.
pub struct Family {
    pub signed_in: Timestamp,
    pub used: Timestamp,
    /// Why it ended, and when.
    pub ended: Option<(&'static str, Timestamp)>,
}

/// One request: what the clock had run, which sign-in, and whether it got a token.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub at: Duration,
    pub family: usize,
    pub served: bool,
}

pub struct Place {
    pub rules: Rules,
    pub trouble: Option<Trouble>,
    /// The secret it takes.
    pub secret: String,
    /// How many answers get lost from now on, after the provider has done its part.
    pub loses: usize,
    pub families: Vec<Family>,
    /// Refresh tokens: whose, and when first used.
    tokens: HashMap<String, (usize, Option<Timestamp>)>,
    made: usize,
    pub asked: Vec<Asked>,
}

impl Place {
    /// With the name of the provider for its secret.
    pub fn new(name: &str, rules: Rules) -> Self {
        Self {
            rules,
            trouble: None,
            secret: name.to_owned(),
            loses: 0,
            families: Vec::new(),
            tokens: HashMap::new(),
            made: 0,
            asked: Vec::new(),
        }
    }

    pub fn issue(&mut self, family: usize) -> String {
        self.made += 1;
        let token = format!("canary-rt-{family}-{}", self.made);
        self.tokens.insert(token.clone(), (family, None));
        token
    }

    fn redeem(&mut self, token: &str, now: Timestamp) -> Option<serde_json::Value> {
        let rules = self.rules;
        let (family, used) = *self.tokens.get(token)?;
        self.lapse(family, now);
        if let (Rotation::Grace(grace), Some(used)) = (rules.rotation, used)
            && now.since(used) > grace
        {
            self.end(family, "a used refresh token came again", now);
        }
        if self.families[family].ended.is_some() {
            return None;
        }
        self.tokens.insert(token.to_owned(), (family, used.or(Some(now))));
        self.families[family].used = now;
        self.made += 1;
        let mut answer =
            json!({"access_token": format!("canary-at-{family}-{}", self.made), "token_type": "Bearer", "expires_in": rules.lifetime});
        if rules.rotation != Rotation::Never {
            answer["refresh_token"] = self.issue(family).into();
        }
        Some(answer)
    }

    /// Ends a sign-in that has lasted too long.
    pub fn lapse(&mut self, family: usize, now: Timestamp) {
        let Family { signed_in, used, .. } = self.families[family];
        if let Some(idle) = self.rules.idle
            && now.since(used) > idle
        {
            self.end(family, "not used for too long", used.plus(idle));
        }
        if let Some(absolute) = self.rules.absolute
            && now.since(signed_in) > absolute
        {
            self.end(family, "its time was over", signed_in.plus(absolute));
        }
    }

    pub fn end(&mut self, family: usize, why: &'static str, at: Timestamp) {
        self.families[family].ended.get_or_insert((why, at));
    }
}

pub type Places = Arc<Mutex<BTreeMap<String, Place>>>;

/// What the time is at the providers, whatever our clock was set to.
pub fn there(clock: &MockClock) -> Timestamp {
    Timestamp(i64::try_from(clock.running().as_secs()).unwrap())
}

fn says(status: u16, header: (&str, &str), body: String) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.header(header.0, header.1).body(Body::from(body)).unwrap()
}

pub async fn answer(Shared((places, clock)): Shared<(Places, MockClock)>, Path(name): Path<String>, body: Bytes) -> Response<Body> {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let none = ("x-none", "none");
    let (response, hangs) = {
        let mut places = places.lock().unwrap();
        let place = places.get_mut(&name).unwrap();
        let now = there(&clock);
        let token = form.get("refresh_token").map(String::as_str).unwrap_or_default();
        let family = place.tokens.get(token).map_or(usize::MAX, |(family, _)| *family);
        let mut asked = Asked {
            at: clock.running(),
            family,
            served: false,
        };
        let refused =
            json!({"error": "invalid_client", "error_description": "AADSTS7000222: The provided client secret keys are expired."});
        let response = match place.trouble {
            Some(Trouble::Down) => says(503, none, json!({"error": "temporarily_unavailable"}).to_string()),
            Some(Trouble::Throttles(wait)) => says(429, ("retry-after", &wait.to_string()), json!({"error": "slow_down"}).to_string()),
            Some(Trouble::Hangs) => says(200, none, String::new()),
            None if form.get("client_secret") != Some(&place.secret) => says(401, none, refused.to_string()),
            None => match place.redeem(token, now) {
                Some(_) if place.loses > 0 => {
                    place.loses -= 1;
                    let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
                    let lost = Response::builder()
                        .header("content-type", "application/json")
                        .header("content-length", "500");
                    lost.body(Body::from_stream(broken)).unwrap()
                }
                Some(answer) => {
                    asked.served = true;
                    says(200, none, answer.to_string())
                }
                None => says(
                    400,
                    none,
                    json!({"error": "invalid_grant", "error_description": "it has ended"}).to_string(),
                ),
            },
        };
        place.asked.push(asked);
        (response, place.trouble == Some(Trouble::Hangs))
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    response
}
