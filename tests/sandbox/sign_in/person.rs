//! A person in front of a browser.

use super::super::{BACK, IMAP, Play, SMTP, app};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailgrant::sandbox::{House, TENANT};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use std::collections::BTreeMap;
use url::Url;

pub(super) const VERIFIER: &str = "a-verifier-that-is-long-enough-for-everybody-1234";

/// A person in front of a browser.
pub struct Person<'a> {
    play: &'a Play,
    house: House,
    cookie: Option<String>,
    /// Where sign-ins return to.
    back: String,
}

pub(super) enum Seen {
    Page(String),
    Back(BTreeMap<String, String>),
}

impl Seen {
    #[track_caller]
    pub(super) fn back(self) -> BTreeMap<String, String> {
        match self {
            Self::Back(back) => back,
            Self::Page(text) => panic!("a page, not a return: {text}"),
        }
    }

    #[track_caller]
    pub(super) fn page(self) -> String {
        match self {
            Self::Page(text) => text,
            Self::Back(back) => panic!("a return, not a page: {back:?}"),
        }
    }
}

pub(super) fn flow(page: &str) -> String {
    let rest = page
        .split("name=\"flow\" value=\"")
        .nth(1)
        .unwrap_or_else(|| panic!("no form: {page}"));
    rest.split('"').next().unwrap().to_owned()
}

impl<'a> Person<'a> {
    pub fn new(play: &'a Play, house: House) -> Self {
        Self {
            play,
            house,
            cookie: None,
            back: BACK.to_owned(),
        }
    }

    /// Goes where a console sends its people, picks an account and agrees; the query that comes back with them to `back`.
    pub async fn walk(mut self, leave: &str, back: &str, account: &str) -> String {
        self.back = back.to_owned();
        let response = self.get(leave).await;
        let page = self.follow(response).await;
        let returned = self.choose(page, account).await;
        serde_urlencoded::to_string(returned).unwrap()
    }

    pub(super) fn authorize_url(&self, more: &[(&str, &str)]) -> Url {
        let base = self.play.sandbox.url();
        let (path, scope) = match self.house {
            House::Microsoft => (
                format!("/{TENANT}/oauth2/v2.0/authorize"),
                format!("openid email profile offline_access {IMAP} {SMTP}"),
            ),
            House::Google => (
                "/google/o/oauth2/v2/auth".to_owned(),
                "openid email https://mail.google.com/".to_owned(),
            ),
            House::Open => ("/authorize".to_owned(), "openid email offline_access mail".to_owned()),
        };
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let mut fields = BTreeMap::from([
            ("client_id", app(self.house).0),
            ("redirect_uri", BACK),
            ("response_type", "code"),
            ("scope", &scope),
            ("state", "a state & more"),
            ("nonce", "a-nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        if self.house == House::Google {
            fields.insert("access_type", "offline");
        }
        for (name, value) in more {
            fields.insert(name, value);
        }
        Url::parse_with_params(&format!("{base}{path}"), fields.iter().filter(|(_, value)| !value.is_empty())).unwrap()
    }

    pub(super) async fn follow(&mut self, mut response: reqwest::Response) -> Seen {
        loop {
            if let Some(cookie) = response.headers().get(SET_COOKIE) {
                self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
            }
            let Some(location) = response.headers().get(LOCATION) else {
                return Seen::Page(response.text().await.unwrap());
            };
            let location = location.to_str().unwrap();
            if location.starts_with(&self.back) {
                let url = Url::parse(location).unwrap();
                return Seen::Back(url.query_pairs().into_owned().collect());
            }
            let url = format!("{}{location}", self.play.sandbox.url());
            response = self.get(&url).await;
        }
    }

    pub(super) async fn get(&self, url: &str) -> reqwest::Response {
        let mut request = self.play.http.get(url);
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        request.send().await.unwrap()
    }

    pub(super) async fn visit(&mut self, more: &[(&str, &str)]) -> Seen {
        let response = self.get(self.authorize_url(more).as_str()).await;
        self.follow(response).await
    }

    pub(super) async fn send(&mut self, path: &str, form: &[(&str, &str)]) -> Seen {
        let mut request = self.play.http.post(format!("{}{path}", self.play.sandbox.url())).form(form);
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let response = request.send().await.unwrap();
        self.follow(response).await
    }

    /// Picks an account and agrees.
    pub(super) async fn sign_in(&mut self, account: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let page = self.visit(more).await;
        self.choose(page, account).await
    }

    pub(super) async fn choose(&mut self, page: Seen, account: &str) -> BTreeMap<String, String> {
        let page = page.page();
        let page = self.send("/sandbox/account", &[("flow", &flow(&page)), ("account", account)]).await;
        match page {
            Seen::Back(back) => back,
            Seen::Page(page) => {
                let form = [
                    ("flow", flow(&page)),
                    ("decision", "allow".to_owned()),
                    ("scope https://mail.google.com/", "1".to_owned()),
                ];
                let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
                self.send("/sandbox/consent", &form).await.back()
            }
        }
    }

    pub(super) async fn exchange(&self, code: &str) -> super::super::Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        self.play.token(self.house, &form).await
    }
}
