//! The names a bundle may hold, for *Hide names too*.

use super::{About, Found};
use crate::actions::probe::stored_settings;
use crate::app::App;
use crate::model::bundle::names::{Kind, Known};
use crate::model::mailbox::Server;
use crate::model::report::Report;
use crate::store::StoreResult;
use serde_json::Value as Json;
use url::Url;

/// Every name in the records: addresses first, so that hosts find their domains.
pub(super) async fn names(app: &App, about: About<'_>, found: &Found, report: Option<&Report>) -> StoreResult<Vec<Known>> {
    let mut names = Vec::new();
    let mut add = |kind: Kind, text: &str| {
        if !text.trim().is_empty() {
            names.push(Known::new(kind, text));
        }
    };
    if let About::Run(run) = about {
        add(Kind::Address, &run.address);
    }
    let mailbox = found.mailbox.as_ref();
    let sides: Vec<_> = mailbox
        .into_iter()
        .flat_map(|mailbox| [&mailbox.incoming, &mailbox.outgoing])
        .flatten()
        .collect();
    if let Some(mailbox) = mailbox {
        let own = [&mailbox.address, mailbox.sender()];
        let logins = sides.iter().map(|side| mailbox.login(side));
        for address in own.into_iter().chain(logins).chain(mailbox.bcc.iter().map(String::as_str)) {
            add(Kind::Address, address);
        }
    }
    if let Some(token) = &found.token {
        add(Kind::Address, token.user.as_deref().unwrap_or_default());
    }
    if let Some(grant) = &found.grant {
        let identity = &grant.identity;
        for text in [identity.username.as_deref(), identity.email.as_deref()].into_iter().flatten() {
            add(Kind::Address, text);
        }
        add(Kind::Name, &identity.sub);
        add(Kind::Person, identity.name.as_deref().unwrap_or_default());
        add(Kind::Tenant, identity.tid.as_deref().unwrap_or_default());
        add(Kind::Person, grant.authorized_by.as_deref().unwrap_or_default());
    }
    let tested = report.into_iter().flat_map(|report| &report.steps);
    for (_, value) in tested
        .clone()
        .flat_map(|step| &step.facts)
        .filter(|(name, _)| ["account", "user", "from", "to", "bcc"].contains(&name.as_str()))
    {
        each_text(value, &mut |text| add(Kind::Address, text));
    }
    for (name, value) in report.into_iter().flat_map(|report| &report.steps).flat_map(|step| &step.facts) {
        match name.as_str() {
            "app_name" => each_text(value, &mut |text| add(Kind::Name, text)),
            "tenant" => each_text(value, &mut |text| add(Kind::Tenant, text)),
            _ => {}
        }
    }
    let users = app.store.users().await?;
    for user in &users {
        add(Kind::Address, &user.email);
    }
    for side in &sides {
        if let Server::Imap(endpoint) | Server::Pop3(endpoint) | Server::Smtp(endpoint) = &side.server {
            add(Kind::Host, &endpoint.host);
        }
    }
    if let About::Run(run) = about {
        let settings = stored_settings(run);
        for (label, value) in &settings.0 {
            match label.as_str() {
                "Incoming server" | "Outgoing server" => add(Kind::Host, host_of(value)),
                "Incoming user name" | "Outgoing user name" | "Default From" | "Token's account" | "Signed in as" => {
                    add(Kind::Address, value)
                }
                "Default Bcc" => value.split(", ").for_each(|address| add(Kind::Address, address)),
                "Provider" => add(Kind::Provider, value),
                "Provider's tenant" => add(Kind::Tenant, value),
                "Incoming sign-in" | "Outgoing sign-in" => add(Kind::Token, value.strip_prefix("token ").unwrap_or_default()),
                _ => {}
            }
        }
        add(Kind::Mailbox, &run.mailbox_name);
        add(Kind::Person, &run.started_by);
    }
    add(Kind::Host, app.config.base_url.host_str().unwrap_or_default());
    if let Some(provider) = &found.provider {
        let endpoints = provider.endpoints();
        let addresses = [endpoints.authorize_url, endpoints.token_url, endpoints.graph_url, endpoints.issuer];
        for url in addresses.iter().flatten().filter_map(|address| Url::parse(address).ok()) {
            add(Kind::Host, url.host_str().unwrap_or_default());
        }
        add(Kind::Provider, provider.name.as_str());
        match provider.tenant.as_deref() {
            Some(tenant) if tenant.contains('.') => add(Kind::Host, tenant),
            tenant => add(Kind::Tenant, tenant.filter(|tenant| tenant.len() > 12).unwrap_or_default()),
        }
    }
    for (name, value) in tested.flat_map(|step| &step.facts) {
        match name.as_str() {
            "names" => each_text(value, &mut |text| match text.trim_start_matches("*.") {
                host if host.contains('.') => add(Kind::Host, host),
                name => add(Kind::Name, name),
            }),
            "issuer" | "folder" => each_text(value, &mut |text| add(Kind::Name, text)),
            _ => {}
        }
    }
    if let Some(mailbox) = mailbox {
        add(Kind::Person, &mailbox.display_name);
        add(Kind::Mailbox, mailbox.name.as_str());
        for tag in &mailbox.tags {
            add(Kind::Name, tag);
        }
        if !mailbox.folder.eq_ignore_ascii_case("inbox") {
            add(Kind::Name, &mailbox.folder);
        }
    }
    if let Some(token) = &found.token {
        add(Kind::Token, token.name.as_str());
    }
    for user in &users {
        add(Kind::Person, &user.name);
    }
    Ok(names)
}

/// `imap.contoso.com` of `imap.contoso.com:993/tls`.
fn host_of(destination: &str) -> &str {
    destination.rsplit_once(':').map_or(destination, |(host, _)| host)
}

fn each_text(value: &Json, with: &mut impl FnMut(&str)) {
    match value {
        Json::String(text) => with(text),
        Json::Array(values) => values.iter().for_each(|value| each_text(value, with)),
        _ => {}
    }
}
