//! What a run is aimed at: the settings of a side, with what the test form asked for.

use super::{Options, subject};
use crate::actions::place;
use crate::app::App;
use crate::diagnosis::own;
use crate::mail::Login;
use crate::mail::graph::{Base, Whose};
use crate::model::lint::is_guid;
use crate::model::mailbox::{Auth, Endpoint, Mailbox, Side};
use crate::model::provider::Provider;
use crate::model::template::TemplateKind;
use crate::model::token::Token;
use crate::probe::{Expected, Failure, GraphReading, GraphSending, GraphTarget, ImapTarget, Pop3Target, SmtpTarget};
use crate::random::hex;
use crate::store::StoreError;

pub(super) fn imap(mailbox: &Mailbox, endpoint: &Endpoint, login: Login, options: &Options) -> ImapTarget {
    ImapTarget {
        endpoint: endpoint.clone(),
        login,
        folder: mailbox.folder.clone(),
        newest: options.newest,
        oversized_over: options.oversized_over,
        junk_days: options.junk_days,
    }
}

pub(super) fn pop3(endpoint: &Endpoint, login: Login, options: &Options) -> Pop3Target {
    Pop3Target {
        endpoint: endpoint.clone(),
        login,
        newest: options.newest,
        oversized_over: options.oversized_over,
    }
}

pub(super) fn smtp(app: &App, mailbox: &Mailbox, endpoint: &Endpoint, login: Login, options: &Options) -> SmtpTarget {
    let from = options.from.clone().unwrap_or_else(|| mailbox.sender().to_owned());
    SmtpTarget {
        endpoint: endpoint.clone(),
        login,
        to: options.to.clone().unwrap_or_else(|| mailbox.address.clone()),
        bcc: if options.bcc { mailbox.bcc.clone() } else { Vec::new() },
        subject: options.subject.clone().unwrap_or_else(|| subject(&*app.random)),
        message_id: own_message_id(app, &from, options),
        login_only: options.login_only,
        hello_name: hello_name(app),
        from,
    }
}

pub(super) fn reading(mailbox: &Mailbox, options: &Options) -> GraphReading {
    GraphReading {
        folder: mailbox.folder.clone(),
        newest: options.newest,
        oversized_over: options.oversized_over,
        junk_days: options.junk_days,
    }
}

pub(super) fn sending(app: &App, mailbox: &Mailbox, options: &Options) -> GraphSending {
    let from = options.from.clone().unwrap_or_else(|| mailbox.sender().to_owned());
    let to = options.to.clone().unwrap_or_else(|| mailbox.address.clone());
    let bcc = if options.bcc { mailbox.bcc.clone() } else { Vec::new() };
    GraphSending {
        to_itself: bcc.is_empty() && to.eq_ignore_ascii_case(&mailbox.address),
        subject: options.subject.clone().unwrap_or_else(|| subject(&*app.random)),
        message_id: own_message_id(app, &from, options),
        login_only: options.login_only,
        from,
        to,
        bcc,
    }
}

/// Where a side's token would open Graph; none for sides without a token, and for providers without Graph.
pub(super) async fn graph_base(app: &App, side: &Side) -> Result<Option<(Token, Provider, Base)>, StoreError> {
    let Auth::OAuth2 { token_id, .. } = &side.auth else {
        return Ok(None);
    };
    let Some(token) = app.store.token_by_id(token_id).await? else {
        return Ok(None);
    };
    let Some(provider) = app.store.provider_by_id(&token.provider_id).await? else {
        return Ok(None);
    };
    let base = provider.endpoints().graph_url.as_deref().and_then(Base::parse);
    Ok(base.map(|base| (token, provider, base)))
}

/// The mailbox as Graph has it: the account's own, or the one of this address. An app-only token has no own one.
pub(super) async fn graph(app: &App, mailbox: &Mailbox, side: &Side, login: Login) -> Result<GraphTarget, Failure> {
    let missing = |detail: &str, own_id| Failure {
        own_id: Some(own_id),
        detail: detail.to_owned(),
        ..Failure::default()
    };
    let found = graph_base(app, side).await;
    let found = found.map_err(|_| missing("the provider can't be read from the database", own::UNKNOWN))?;
    let Some((token, provider, base)) = found else {
        return Err(missing(
            "the provider of this token has no address of Microsoft Graph",
            own::GRAPH_MISSING,
        ));
    };
    // The provider may have moved since the token was handed out. It was read before the grant, so what agrees belongs together (SEC-8).
    let grant = app.store.grant(&token.id).await;
    let grant = grant.map_err(|_| missing("the token can't be read from the database", own::UNKNOWN))?;
    if !grant.is_some_and(|grant| place::is_current(&grant, &provider)) {
        return Err(missing(
            "the address of the provider changed since somebody signed in",
            own::DESTINATION_CHANGED,
        ));
    }
    let address = mailbox.login(side).to_owned();
    let own = token.user.as_deref().is_some_and(|user| user.eq_ignore_ascii_case(&address));
    Ok(GraphTarget {
        base,
        login,
        whose: if own { Whose::Me } else { Whose::User(address.clone()) },
        expected: expected(&token, &provider, &address),
        request_id: uuid(app),
    })
}

/// What a token should say to open the mailbox of this login name.
pub fn expected(token: &Token, provider: &Provider, mailbox: &str) -> Expected {
    Expected {
        microsoft: provider.template == TemplateKind::Microsoft,
        graph_url: provider.endpoints().graph_url.unwrap_or_default(),
        tenant: provider.tenant.clone().filter(|tenant| is_guid(tenant)),
        client_id: provider.client_id.clone(),
        user: token.user.clone(),
        mailbox: mailbox.to_owned(),
    }
}

/// The Message-ID of a message: as whoever sends it wants it, else a new one.
fn own_message_id(app: &App, from: &str, options: &Options) -> String {
    let letter = options.letter.as_ref().map(|letter| letter.message_id.clone());
    letter
        .or_else(|| options.message_id.clone())
        .unwrap_or_else(|| message_id(app, from))
}

/// A Message-ID that no other message has, in the domain of its sender.
pub(super) fn message_id(app: &App, from: &str) -> String {
    let domain = from.rsplit('@').next().unwrap_or("localhost");
    let mut unique = [0; 16];
    app.random.fill(&mut unique);
    format!("<{}@{domain}>", hex(&unique))
}

/// A random UUID (RFC 9562, 5.4).
fn uuid(app: &App) -> String {
    let mut bytes = [0; 16];
    app.random.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// The name we greet with (RFC 5321, 4.1.3): our public one, or an address where there is none.
pub(super) fn hello_name(app: &App) -> String {
    match app.config.base_url.host() {
        Some(url::Host::Domain(name)) if name.contains('.') && !name.ends_with(".localhost") => name.to_owned(),
        Some(url::Host::Ipv4(ip)) => format!("[{ip}]"),
        Some(url::Host::Ipv6(ip)) => format!("[IPv6:{ip}]"),
        _ => "[127.0.0.1]".to_owned(),
    }
}
