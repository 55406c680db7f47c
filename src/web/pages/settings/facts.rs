//! Settings that are made outside the pages, to be seen here: where connections may go, and what secrets are sealed with.

use super::SETTINGS;
use super::counting::Numbers;
use crate::clock::Timestamp;
use crate::config::MasterKeySource;
use crate::vault::KeyRow;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::mailboxes::list::counted;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::collections::BTreeMap;

/// Path, title and purpose of these pages, for the list.
pub(super) const ROWS: &[(&str, &str, &str)] = &[
    (
        "network",
        "Network",
        "Where connections may go, and whose certificates count. Set in the settings file or the environment.",
    ),
    (
        "encryption",
        "Encryption",
        "Where the master key comes from, and which key new secrets are sealed with.",
    ),
];

/// A setting, where it is made, and what it is now.
pub(super) struct Fact {
    pub title: &'static str,
    pub value: String,
    pub note: String,
    /// The variable it is set by.
    pub variable: &'static str,
    pub is_dangerous: bool,
    /// Of several with one title: which.
    pub id: String,
    /// When it was counted.
    pub at: Option<Timestamp>,
}

fn fact(title: &'static str, variable: &'static str, value: String, note: &str) -> Fact {
    Fact {
        title,
        value,
        note: note.to_owned(),
        variable,
        is_dangerous: false,
        id: String::new(),
        at: None,
    }
}

#[derive(Template)]
#[template(path = "settings/facts.html")]
struct FactsPage {
    layout: Layout,
    title: &'static str,
    about: &'static str,
    facts: Vec<Fact>,
}

impl FactsPage {
    async fn new(user: &CurrentUser, path: &str, facts: Vec<Fact>) -> Result<Self, PageError> {
        let row = ROWS.iter().find(|(known, ..)| *known == path).ok_or(PageError::NotFound)?;
        Ok(Self {
            layout: user.layout(Section::Settings, row.1).await.crumb("Settings", SETTINGS),
            title: row.1,
            about: row.2,
            facts,
        })
    }
}

fn listed<T: ToString>(items: &[T], none: &str) -> String {
    match items {
        [] => none.to_owned(),
        items => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// `GET /settings/network`.
pub async fn network(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let config = &web.app.config;
    let loopback = config.allow_networks.iter().any(|network| network.to_string() == "loopback");
    let facts = vec![
        Fact {
            is_dangerous: loopback,
            note: if loopback {
                "Loopback is among them: whoever may add a mailbox here can reach services of this machine.".to_owned()
            } else {
                "Mail servers in your own network have to be named here.".to_owned()
            },
            ..fact(
                "Destinations beyond public addresses",
                "MAILGRANT_ALLOW_NETWORKS",
                listed(&config.allow_networks, "none"),
                "",
            )
        },
        fact(
            "Ports beyond those of mail, and 443",
            "MAILGRANT_ALLOW_PORTS",
            listed(&config.allow_ports, "none"),
            "Any port will do at destinations that are named above.",
        ),
        fact(
            "Own certificate authorities",
            "MAILGRANT_EXTRA_CA_FILE",
            match &config.extra_ca_file {
                Some(path) => path.display().to_string(),
                None => "none".to_owned(),
            },
            "The roots of the system always count.",
        ),
        fact(
            "Lowest TLS version",
            "",
            "1.2".to_owned(),
            "Certificates are always verified. There is no setting to leave that out.",
        ),
        fact(
            "Names of servers",
            "",
            "Looked up by this machine’s own resolver".to_owned(),
            "There is no setting for another one here: it is chosen on this machine.",
        ),
        fact(
            "IPv4 and IPv6",
            "",
            "Both, as this machine has them".to_owned(),
            "There is no setting to turn one off.",
        ),
        fact(
            "Proxy",
            "",
            "none".to_owned(),
            "Connections go straight to their destination. There is no setting to send them through a proxy.",
        ),
        trusted_proxies(&web),
        fact("Listens at", "MAILGRANT_LISTEN", config.listen.to_string(), ""),
        fact(
            "Address for metrics",
            "MAILGRANT_METRICS_LISTEN",
            config
                .metrics_listen
                .map_or_else(|| "none".to_owned(), |address| address.to_string()),
            "An address of its own for what watches the console.",
        ),
        fact(
            "Callers that may read metrics",
            "MAILGRANT_METRICS_NETWORKS",
            listed(&config.metrics_networks, "none"),
            "",
        ),
    ];
    FactsPage::new(&user, "network", facts).await?.show()
}

/// What belongs to a group of settings and is not chosen on its page.
pub(super) fn beside(web: &WebState, group: &str) -> Vec<Fact> {
    match group {
        "general" => vec![fact("Language", "", "English".to_owned(), "There is no other yet.")],
        "sign-in" => vec![trusted_proxies(web)],
        _ => Vec::new(),
    }
}

fn trusted_proxies(web: &WebState) -> Fact {
    fact(
        "Trusted proxies",
        "MAILGRANT_TRUSTED_PROXIES",
        listed(&web.app.config.trusted_proxies, "none"),
        "Only these may say whom a request comes from: by that address tries to sign in are counted.",
    )
}

/// `GET /settings/encryption`.
pub async fn encryption(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let app = &web.app;
    let (source, variable) = match &app.config.master_key {
        MasterKeySource::Value(_) => ("The value of that setting itself".to_owned(), "MAILGRANT_MASTER_KEY"),
        MasterKeySource::File(path) => (path.display().to_string(), "MAILGRANT_MASTER_KEY_FILE"),
        MasterKeySource::DataDir => ("master.key in the data directory".to_owned(), ""),
    };
    let check = app.store.setting(crate::store::open::KEY_CHECK).await?.unwrap_or_default();
    let fingerprint: String = check.chars().take(16).collect();
    let mut keys = app.store.key_rows().await?;
    keys.retain(|key| app.vault.is_data_key(&key.id));
    let mut facts = vec![
        fact(
            "The master key comes from",
            variable,
            source,
            "Without it no stored token or secret can be read again, also not from a backup. Keep a copy somewhere else.",
        ),
        fact(
            "Its fingerprint",
            "",
            fingerprint,
            "Says which key it is, and nothing else about it.",
        ),
        fact(
            "New secrets are sealed with data key",
            "",
            app.vault.active_key_id().to_owned(),
            "Data keys are kept in the database, wrapped by the master key.",
        ),
        fact("Data keys", "", keys.len().to_string(), ""),
    ];
    let counts = sealed(&web, &keys).await;
    facts.extend(keys.iter().map(|key| fact_of_key(&key.id, &counts)));
    FactsPage::new(&user, "encryption", facts).await?.show()
}

/// How much is sealed with each key.
async fn sealed(web: &WebState, keys: &[KeyRow]) -> Numbers<BTreeMap<String, i64>> {
    let app = web.app.clone();
    let ids: Vec<String> = keys.iter().map(|key| key.id.clone()).collect();
    let count = async move {
        let mut counts = BTreeMap::new();
        for id in ids {
            let count = app.store.sealed_with(&id).await?;
            counts.insert(id, count);
        }
        Ok(counts)
    };
    let app = &web.app;
    web.counted.sealed.get(app.clock.now(), (&app.tasks, &app.stopping), count).await
}

/// How much is sealed with a key.
fn fact_of_key(id: &str, counts: &Numbers<BTreeMap<String, i64>>) -> Fact {
    let (words, at) = match counts {
        Numbers::Known(at, counts) => match counts.get(id) {
            Some(count) => (counted(*count, "value", "values"), Some(*at)),
            None => ("not counted yet".to_owned(), None),
        },
        Numbers::UnderWay => ("being counted; look again in a minute".to_owned(), None),
        Numbers::Failed => ("can't be counted now".to_owned(), None),
    };
    Fact {
        id: id.to_owned(),
        at,
        ..fact(
            "Sealed with data key",
            "",
            words,
            "Tokens, secrets, passwords, senders and subjects of test runs, imports.",
        )
    }
}
