//! The app registration behind the OAuth settings of another product: which template its addresses are of, and which permissions one
//! token can have.

use super::Document;
use super::settings::{Fields, View};
use crate::model::Name;
use crate::model::config_file::{Entry, Value};
use crate::model::provider::Cloud;
use crate::model::scopes::{Resource, normalize_order, parse_scopes, resource_of};
use crate::model::template::{TemplateKind, scopes_of};
use std::collections::BTreeSet;
use url::Url;

/// A provider found in settings.
pub(super) struct Application {
    pub name: String,
    pub kind: TemplateKind,
    pub scopes: Vec<String>,
    pub entry: Entry,
    cloud: Cloud,
    /// What tells it from others.
    signature: [String; 3],
}

/// `name`, or with a number behind it if that is taken; takes it.
pub(super) fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut candidate = name.to_owned();
    let mut number = 2;
    while !taken.insert(candidate.clone()) {
        let cut: String = name.chars().take(58).collect();
        candidate = format!("{}-{number}", cut.trim_end_matches(['.', '_', '-']));
        number += 1;
    }
    candidate
}

/// The provider these settings speak of, made if it is a new one; none if they don't name any, and then that is told.
pub(super) fn find(document: &mut Document, known: &mut Vec<Application>, view: View<'_>, protocols: &[&str]) -> Option<usize> {
    let text = |word: &str| view.text(word).unwrap_or_default().to_owned();
    let signature = [text("authorize"), text("token"), text("client_id")];
    if let Some(at) = known.iter().position(|application| application.signature == signature) {
        return Some(at);
    }
    let line = view.get("token").or(view.get("authorize")).map_or(1, |setting| setting.line);
    let fault = |document: &mut Document, word: &str, key: &str, message: &str| {
        let line = view.get(word).map_or(line, |setting| setting.line);
        document.fault(line, key, message, Some("Without it there's no provider, and so no token"));
    };
    let client_id = view.get("client_id");
    if client_id.is_none() {
        fault(document, "client_id", "mail.oauth.client.id", "mail.oauth.client.id is missing");
    }
    let urls: Vec<Url> = ["token", "authorize"]
        .iter()
        .filter_map(|word| Url::parse(view.text(word)?).ok())
        .collect();
    if urls.is_empty() {
        fault(
            document,
            "token",
            "mail.oauth.token.endpoint",
            "mail.oauth.token.endpoint must be an address like https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token",
        );
    }
    let client_id = client_id.filter(|_| !urls.is_empty())?;
    let (kind, cloud) = template_of(&urls);
    let tenant = (kind == TemplateKind::Microsoft).then(|| tenant_of(&urls)).flatten();
    let mut names: BTreeSet<String> = known.iter().map(|application| application.name.clone()).collect();
    let name = free(&suggested(kind, tenant.as_deref(), &urls), &mut names);
    let scopes = scopes_of_view(document, view, kind, cloud, protocols);
    let mut fields = Fields::new(document, line, "");
    fields.text("name", name.clone(), None);
    fields.text("template", kind.as_str(), None);
    let endpoint = view.get("token").or(view.get("authorize"));
    if let Some(tenant) = tenant {
        fields.text("tenant", tenant, endpoint);
    }
    if kind == TemplateKind::Microsoft && cloud != Cloud::Global {
        fields.text("cloud", cloud.as_str(), endpoint);
    }
    if kind == TemplateKind::Zoho
        && let Some(url) = urls.first()
    {
        fields.text("authority", url.origin().ascii_serialization(), endpoint);
    }
    if kind == TemplateKind::Custom {
        fields.copy("authorize_url", view.get("authorize"));
        fields.copy("token_url", view.get("token"));
    }
    fields.copy("client_id", Some(client_id));
    fields.copy("client_secret", view.get("client_secret"));
    if !scopes.is_empty() {
        fields.value("scopes", Value::List(scopes.clone()), view.get("scopes"));
    }
    let entry = fields.entry;
    known.push(Application {
        name,
        kind,
        scopes,
        entry,
        cloud,
        signature,
    });
    Some(known.len() - 1)
}

/// The permissions of one mailbox's token.
pub(super) fn scopes_for(application: &Application, view: View<'_>) -> Vec<String> {
    let scopes = view.text("scopes").and_then(|text| parse_scopes(text).ok());
    let own = scopes.map(|scopes| named(application.kind, application.cloud, scopes));
    match (own, resource_of(application.kind, &application.scopes)) {
        (Some(own), wanted) => sorted(application.kind, own, wanted).0,
        (None, _) => application.scopes.clone(),
    }
}

/// Permissions in the order the wire needs, of one resource: a token has no more. What is of another one comes beside them.
fn sorted(kind: TemplateKind, scopes: Vec<String>, wanted: Option<Resource>) -> (Vec<String>, Vec<String>) {
    let by_themselves = ["openid", "email", "profile"];
    let fits = |scope: &String| {
        let own = resource_of(kind, std::slice::from_ref(scope));
        own.is_none() || wanted.is_none() || own == wanted
    };
    let (keep, other): (Vec<String>, Vec<String>) = scopes
        .into_iter()
        .filter(|scope| !by_themselves.contains(&scope.as_str()))
        .partition(fits);
    (normalize_order(kind, &keep), other)
}

fn scopes_of_view(document: &mut Document, view: View<'_>, kind: TemplateKind, cloud: Cloud, protocols: &[&str]) -> Vec<String> {
    let Some(setting) = view.get("scopes") else { return Vec::new() };
    let Ok(scopes) = parse_scopes(&setting.value) else {
        // As it stands: the rules of the form say what is wrong with it.
        return vec![setting.value.trim().to_owned()];
    };
    let scopes = named(kind, cloud, scopes);
    // Whoever reads with IMAP needs a token for that, whatever else was asked for beside it.
    let wanted = match protocols.first() {
        Some(&"graph") => Some(Resource::Graph),
        Some(_) => Some(Resource::Outlook),
        None => resource_of(kind, &scopes),
    };
    let has = |resource| {
        scopes
            .iter()
            .any(|scope| resource_of(kind, std::slice::from_ref(scope)) == resource)
    };
    let (keep, other) = sorted(kind, scopes.clone(), wanted.filter(|wanted| has(Some(*wanted))));
    if !other.is_empty() {
        let why = format!("One token is for one resource, so these stay out: {}", other.join(", "));
        document.leave_out(setting.line, &setting.key, why);
    }
    keep
}

/// The names the portal lists, with the address that makes them Outlook's.
fn named(kind: TemplateKind, cloud: Cloud, scopes: Vec<String>) -> Vec<String> {
    if kind != TemplateKind::Microsoft {
        return scopes;
    }
    let full = scopes_of(kind, cloud, &["imap"])
        .into_iter()
        .find(|scope| scope.contains("://"))
        .unwrap_or_default();
    let base = full.rsplit_once('/').map_or("", |(base, _)| base).to_owned();
    let bare = ["imap.accessasuser.all", "pop.accessasuser.all", "smtp.send"];
    let complete = |scope: String| match bare.contains(&scope.to_ascii_lowercase().as_str()) {
        true => format!("{base}/{scope}"),
        false => scope,
    };
    scopes.into_iter().map(complete).collect()
}

fn template_of(urls: &[Url]) -> (TemplateKind, Cloud) {
    let one = |url: &Url| match url.host_str().unwrap_or_default() {
        "login.microsoftonline.com" | "login.windows.net" | "login.microsoft.com" | "login.live.com" => {
            (TemplateKind::Microsoft, Cloud::Global)
        }
        "login.microsoftonline.us" => (TemplateKind::Microsoft, Cloud::UsGov),
        "login.partner.microsoftonline.cn" | "login.chinacloudapi.cn" => (TemplateKind::Microsoft, Cloud::China),
        "accounts.google.com" | "oauth2.googleapis.com" | "www.googleapis.com" => (TemplateKind::Google, Cloud::Global),
        "api.login.yahoo.com" => (TemplateKind::Yahoo, Cloud::Global),
        "api.fastmail.com" => (TemplateKind::Fastmail, Cloud::Global),
        host if host.starts_with("accounts.zoho") => (TemplateKind::Zoho, Cloud::Global),
        _ => (TemplateKind::Custom, Cloud::Global),
    };
    let mut kinds = urls.iter().map(one);
    let first = kinds.next().unwrap_or((TemplateKind::Custom, Cloud::Global));
    // Addresses of two providers are nobody's template.
    if kinds.all(|other| other == first) {
        first
    } else {
        (TemplateKind::Custom, Cloud::Global)
    }
}

/// The tenant in the path of a Microsoft address.
fn tenant_of(urls: &[Url]) -> Option<String> {
    let first = |url: &Url| url.path_segments()?.next().map(str::to_owned);
    let fits = |tenant: &String| !tenant.is_empty() && !["oauth2", "v2.0"].contains(&tenant.as_str());
    urls.iter().find_map(|url| first(url).filter(fits))
}

fn suggested(kind: TemplateKind, tenant: Option<&str>, urls: &[Url]) -> String {
    let word = match kind {
        TemplateKind::Microsoft => tenant
            .filter(|tenant| tenant.contains('.'))
            .and_then(|tenant| tenant.split('.').next()),
        TemplateKind::Custom => urls.first().and_then(Url::host_str),
        _ => None,
    };
    let name = word.and_then(Name::suggest);
    name.map_or_else(|| kind.as_str().to_owned(), |name| name.to_string())
}
