//! A person in front of the OpenID provider's pages, with a cookie jar and without script: reads a page, clicks, and is sent on.

use super::rig::Rig;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Response};
use scraper::{Html, Selector};
use std::collections::BTreeMap;
use url::Url;

/// Somebody's browser, as far as the provider sees it.
pub struct Visitor {
    http: reqwest::Client,
    issuer: Url,
    /// By path and name, as cookies are kept.
    cookies: BTreeMap<(String, String), String>,
}

/// Where a click led.
#[derive(Debug)]
pub enum Place {
    /// A page of the provider that waits for a click.
    Waiting(Page),
    /// Back to the console: the address with `code` and `state`, or with `error`.
    Back(Url),
}

/// A page of the provider.
#[derive(Debug)]
pub struct Page {
    pub heading: String,
    /// What the page says.
    pub text: String,
    /// What stands in the field for the address.
    pub email: Option<String>,
    address: Url,
    /// What its first form sends by itself, and where.
    form: Option<(String, Vec<(String, String)>)>,
}

impl Place {
    /// The page that waits.
    pub fn page(self) -> Page {
        match self {
            Self::Waiting(page) => page,
            Self::Back(url) => panic!("sent back to {url} already"),
        }
    }

    /// The address in the console to go on with.
    pub fn back(self) -> Url {
        match self {
            Self::Back(url) => url,
            Self::Waiting(page) => panic!("still at {:?}", page.heading),
        }
    }
}

impl Visitor {
    /// Nobody is signed in yet.
    pub fn new(rig: &Rig) -> Self {
        Self {
            http: rig.http(),
            issuer: Url::parse(&rig.issuer).unwrap(),
            cookies: BTreeMap::new(),
        }
    }

    /// Opens the address that the console sends people to.
    pub async fn open(&mut self, authorize_url: &str) -> Place {
        let url = Url::parse(authorize_url).unwrap();
        let request = self.http.request(Method::GET, url.clone());
        self.go(url, request).await
    }

    /// Picks an account; no password is asked for.
    pub async fn pick(&mut self, page: &Page, account: &str) -> Place {
        self.click(page, &[("action", "pick"), ("account", account)]).await
    }

    /// Signs in with address and password; every password but "wrong" is right.
    pub async fn sign_in(&mut self, page: &Page, email: &str, password: &str) -> Place {
        self.click(page, &[("action", "sign-in"), ("email", email), ("password", password)])
            .await
    }

    /// Presses one of the buttons `cancel`, `allow` and `deny`.
    pub async fn press(&mut self, page: &Page, button: &str) -> Place {
        self.click(page, &[("action", button)]).await
    }

    /// Signs in as somebody and allows what is asked for; back to the console.
    pub async fn allow_as(&mut self, authorize_url: &str, email: &str) -> Url {
        let mut place = self.open(authorize_url).await;
        loop {
            place = match place {
                Place::Back(url) => return url,
                Place::Waiting(page) if page.heading == "Sign in" => self.sign_in(&page, email, "right").await,
                Place::Waiting(page) if page.heading == "Permissions requested" => self.press(&page, "allow").await,
                Place::Waiting(page) => panic!("{}: {}", page.heading, page.text),
            }
        }
    }

    /// Sends the page's form with what stands in it, and these fields.
    pub async fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> Place {
        let (action, kept) = page.form.as_ref().unwrap_or_else(|| panic!("no form: {}", page.text));
        let url = page.address.join(action).unwrap();
        let kept = kept.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let form: Vec<(&str, &str)> = kept
            .filter(|(name, _)| !fields.iter().any(|(other, _)| other == name))
            .chain(fields.iter().copied())
            .collect();
        let request = self.http.request(Method::POST, url.clone()).form(&form);
        self.go(url, request).await
    }

    async fn click(&mut self, page: &Page, form: &[(&str, &str)]) -> Place {
        let request = self.http.request(Method::POST, page.address.clone()).form(form);
        self.go(page.address.clone(), request).await
    }

    /// Sends a request, and follows redirects while they stay at the provider.
    async fn go(&mut self, mut url: Url, mut request: RequestBuilder) -> Place {
        loop {
            let answer = request.header(COOKIE, self.cookies_for(&url)).send().await.unwrap();
            self.keep_cookies(&answer);
            let Some(next) = answer.headers().get(LOCATION) else {
                return Place::Waiting(Page::read(url, &answer.text().await.unwrap()));
            };
            url = url.join(next.to_str().unwrap()).unwrap();
            if url.origin() != self.issuer.origin() {
                return Place::Back(url);
            }
            request = self.http.request(Method::GET, url.clone());
        }
    }

    fn cookies_for(&self, url: &Url) -> String {
        let sent = self.cookies.iter().filter(|((path, _), _)| url.path().starts_with(path));
        sent.map(|((_, name), value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn keep_cookies(&mut self, answer: &Response) {
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let mut parts = cookie.to_str().unwrap().split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let path = parts.find_map(|part| part.strip_prefix("path=")).unwrap_or("/");
            let key = (path.to_owned(), name.to_owned());
            if value.is_empty() {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
    }
}

impl Page {
    fn read(address: Url, html: &str) -> Self {
        let html = Html::parse_document(html);
        let first = |selector| html.select(&Selector::parse(selector).unwrap()).next();
        let text = |selector| first(selector).map(|found| found.text().collect::<String>());
        Self {
            heading: text("h1").unwrap_or_default(),
            text: text("main").unwrap_or_default(),
            email: first("input[name=email]").and_then(|field| field.attr("value")).map(str::to_owned),
            address,
            form: first("form").and_then(|form| {
                let inputs = Selector::parse("input[name]").unwrap();
                let fields = form.select(&inputs).map(|field| {
                    let of = |name| field.attr(name).unwrap_or_default().to_owned();
                    (of("name"), of("value"))
                });
                Some((form.attr("action")?.to_owned(), fields.collect()))
            }),
        }
    }
}
