//! What the domain of an address suggests: well-known domains, providers and mailboxes that are here already. A suggestion and never
//! a silent choice; nothing is asked outside.

use crate::app::App;
use crate::model::Name;
use crate::model::mailbox::{Auth, Mailbox, Protocol, Server};
use crate::model::provider::{Cloud, Provider};
use crate::model::report::Direction;
use crate::model::scopes::missing_scopes;
use crate::model::template::{TemplateKind, mail_servers, needed_scopes};
use crate::model::token::Token;
use crate::store::StoreResult;
use crate::store::mailboxes::{MailboxFilter, MailboxSort, Page};

/// Domains everybody can have an address at.
const KNOWN: &[(TemplateKind, &[&str])] = &[
    (
        TemplateKind::Microsoft,
        &["outlook.com", "hotmail.com", "live.com", "msn.com", "hotmail.co.uk", "outlook.de"],
    ),
    (TemplateKind::Google, &["gmail.com", "googlemail.com"]),
    (
        TemplateKind::Yahoo,
        &["yahoo.com", "yahoo.co.uk", "yahoo.de", "yahoo.fr", "ymail.com", "rocketmail.com"],
    ),
    (TemplateKind::Zoho, &["zohomail.com", "zoho.com"]),
    (TemplateKind::Fastmail, &["fastmail.com", "fastmail.fm"]),
];

/// What is suggested.
#[derive(Debug, Clone)]
pub struct Suggestion {
    /// "Microsoft 365"; "other mailboxes of contoso.example".
    pub label: String,
    /// The sentence on the page.
    pub words: String,
    /// Where to read.
    pub incoming: Option<Server>,
    /// Where to send.
    pub outgoing: Option<Server>,
    /// Token that belongs to the address.
    pub token: Option<String>,
    /// Whether a password is usual there.
    pub password: bool,
    /// Whether there is no provider for it yet.
    pub provider_missing: bool,
}

/// The kind of provider everybody's domains belong to.
fn known(domain: &str) -> Option<TemplateKind> {
    let listed = KNOWN.iter().find(|(_, domains)| domains.contains(&domain)).map(|(kind, _)| *kind);
    listed.or(domain.ends_with(".onmicrosoft.com").then_some(TemplateKind::Microsoft))
}

/// The provider an account belongs to by its domain, if exactly one fits.
pub async fn fitting<'a>(app: &App, providers: &'a [Provider], account: &str) -> StoreResult<Option<&'a Provider>> {
    let Some((_, domain)) = account.rsplit_once('@') else {
        return Ok(None);
    };
    let domain = domain.trim().to_lowercase();
    let tokens = app.store.tokens().await?;
    let at_domain = |user: &str| user.rsplit('@').next().is_some_and(|other| other.eq_ignore_ascii_case(&domain));
    let fits = |provider: &&Provider| {
        provider
            .tenant
            .as_deref()
            .is_some_and(|tenant| tenant.eq_ignore_ascii_case(&domain))
            || known(&domain) == Some(provider.template)
            || tokens
                .iter()
                .any(|token| token.provider_id == provider.id && token.user.as_deref().is_some_and(at_domain))
    };
    let mut found = providers.iter().filter(fits);
    let first = found.next();
    Ok(first.filter(|_| found.next().is_none()))
}

/// What is suggested for an address; none if nothing is known.
pub async fn suggest(app: &App, address: &str) -> StoreResult<Option<Suggestion>> {
    let domain = address.rsplit('@').next().unwrap_or_default().to_lowercase();
    let providers = app.store.providers().await?;
    let mut tokens = app.store.tokens().await?;
    tokens.retain(|token| token.user.as_deref().is_some_and(|user| user.eq_ignore_ascii_case(address)));
    let token = tokens.first();

    // A token of this very address says most: its provider is the one.
    let own = token.and_then(|token| providers.iter().find(|provider| provider.id == token.provider_id));
    if let Some(provider) = own.filter(|provider| provider.template != TemplateKind::Custom) {
        return Ok(of_provider(&domain, provider, token));
    }
    if let Some(neighbour) = neighbour(app, &domain).await? {
        return Ok(Some(of_neighbour(&domain, &neighbour, token.map(|token| token.name.to_string()))));
    }
    let tenant = |provider: &&Provider| {
        provider
            .tenant
            .as_deref()
            .is_some_and(|tenant| tenant.eq_ignore_ascii_case(&domain))
    };
    if let Some(provider) = providers.iter().find(tenant) {
        return Ok(of_provider(&domain, provider, token));
    }
    let Some(kind) = known(&domain) else {
        return Ok(None);
    };
    Ok(match providers.iter().find(|provider| provider.template == kind) {
        Some(provider) => of_provider(&domain, provider, token),
        None => of_kind(&domain, kind),
    })
}

/// What a direction is usually done with; what the token or the provider's tokens are made for, where that is something else.
fn protocol(provider: &Provider, direction: Direction, scopes: &[String]) -> Protocol {
    let usual: &[Protocol] = match direction {
        Direction::Incoming => &[Protocol::Imap, Protocol::Pop3, Protocol::Graph],
        Direction::Outgoing => &[Protocol::Smtp, Protocol::Graph],
    };
    let fits = |protocol: &Protocol| {
        let needed = needed_scopes(provider.template, provider.cloud, direction, *protocol);
        !needed.is_empty() && missing_scopes(provider.template, &needed, scopes).is_empty()
    };
    usual.iter().copied().find(fits).unwrap_or(usual[0])
}

/// `IMAP at imap.example.com`, `Microsoft Graph`.
fn named(server: &Server) -> String {
    let label = server.protocol().label();
    match server.endpoint() {
        Some(endpoint) => format!("{label} at {}", endpoint.host),
        None => label.to_owned(),
    }
}

fn of_provider(domain: &str, provider: &Provider, token: Option<&Token>) -> Option<Suggestion> {
    let servers = mail_servers(
        provider.template,
        provider.cloud,
        provider.tenant.as_deref(),
        provider.overrides.authority.as_deref(),
    )?;
    let scopes = token.map_or(&provider.scopes, |token| &token.scopes);
    let incoming = servers.server(protocol(provider, Direction::Incoming, scopes));
    let outgoing = servers.server(protocol(provider, Direction::Outgoing, scopes));
    let label = provider.template.label();
    Some(Suggestion {
        label: label.to_owned(),
        words: format!(
            "{domain} is on {label}. Use provider {}, incoming {}, outgoing {}.",
            provider.name,
            named(&incoming),
            named(&outgoing)
        ),
        incoming: Some(incoming),
        outgoing: Some(outgoing),
        token: token.map(|token| token.name.to_string()),
        password: provider.template == TemplateKind::Zoho,
        provider_missing: false,
    })
}

fn of_kind(domain: &str, kind: TemplateKind) -> Option<Suggestion> {
    let tenant = (kind == TemplateKind::Microsoft && !domain.ends_with(".onmicrosoft.com")).then_some("consumers");
    let servers = mail_servers(kind, Cloud::Global, tenant, None)?;
    let (incoming, outgoing) = (servers.server(Protocol::Imap), servers.server(Protocol::Smtp));
    let label = kind.label();
    // Zoho's IMAP and SMTP take app passwords only.
    let password = kind == TemplateKind::Zoho;
    Some(Suggestion {
        label: label.to_owned(),
        words: format!(
            "{domain} is at {label}: incoming {}, outgoing {}.",
            named(&incoming),
            named(&outgoing)
        ),
        incoming: Some(incoming),
        outgoing: Some(outgoing),
        token: None,
        password,
        provider_missing: !password,
    })
}

/// A mailbox of the same domain.
async fn neighbour(app: &App, domain: &str) -> StoreResult<Option<Mailbox>> {
    let filter = MailboxFilter {
        text: format!("@{domain}"),
        ..MailboxFilter::default()
    };
    let (rows, _) = app.store.mailbox_page(&filter, MailboxSort::Added, true, &Page::First, 5).await?;
    let same = rows.iter().find(|row| row.address.to_lowercase().ends_with(&format!("@{domain}")));
    match same.and_then(|row| Name::parse(&row.name).ok()) {
        Some(name) => app.store.mailbox(&name).await,
        None => Ok(None),
    }
}

fn of_neighbour(domain: &str, neighbour: &Mailbox, own_token: Option<String>) -> Suggestion {
    let sides = [&neighbour.incoming, &neighbour.outgoing];
    let password = sides.into_iter().flatten().any(|side| matches!(side.auth, Auth::Password { .. }));
    Suggestion {
        label: format!("mailboxes of {domain}"),
        words: format!("{} is set up here already. Use the same servers.", neighbour.address),
        incoming: neighbour.incoming.as_ref().map(|side| side.server.clone()),
        outgoing: neighbour.outgoing.as_ref().map(|side| side.server.clone()),
        token: own_token,
        password,
        provider_missing: false,
    }
}
