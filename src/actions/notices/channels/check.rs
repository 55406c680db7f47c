//! The rules of what is typed on the page of notifications.

use super::ChannelsInput;
use crate::actions::Problems;
use crate::actions::mailboxes::port_misfit;
use crate::app::App;
use crate::gate::GateError;
use crate::model::Name;
use crate::model::mailbox::{Endpoint, Protocol, Security, check_address};
use crate::model::notices::{Channels, Event, Fallback, Local, Quiet, marked};
use crate::oauth::http::check_url;
use crate::store::StoreResult;
use std::net::{IpAddr, Ipv4Addr};
use url::{Host, Url};
use zeroize::Zeroizing;

/// How many people are told at most?
const MOST_RECIPIENTS: usize = 20;
/// The port of submission.
const PORT: u16 = 587;

/// What was typed, and the whole address of the webhook.
pub(super) async fn check(app: &App, input: &ChannelsInput, problems: &mut Problems) -> StoreResult<(Channels, Zeroizing<String>)> {
    let events = |words: &[String]| -> Vec<Event> {
        Event::CHOSEN
            .into_iter()
            .filter(|event| words.iter().any(|word| word == event.as_str()))
            .collect()
    };
    let mut mail_events = events(&input.mail_events);
    mail_events.retain(|event| event.by_mail());
    let mut webhook_events = events(&input.webhook_events);
    webhook_events.retain(|event| event.by_webhook());
    let address = Zeroizing::new(webhook(app, input.webhook.trim(), problems));
    let channels = Channels {
        recipients: recipients(&input.recipients, problems),
        mailbox: mailbox(app, input.mailbox.trim(), problems).await?,
        fallback: fallback(app, input, problems),
        webhook: if address.is_empty() { String::new() } else { marked(&address) },
        mail_events,
        webhook_events,
        quiet: quiet(input, problems),
        zone: zone(input.zone.trim(), problems),
        ..Channels::default()
    };
    Ok((channels, address))
}

fn recipients(text: &str, problems: &mut Problems) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for typed in text.split([',', ';', '\n']).map(str::trim).filter(|typed| !typed.is_empty()) {
        match check_address(typed).filter(|address| address.parse::<lettre::Address>().is_ok()) {
            Some(address) if all.iter().any(|known| known.eq_ignore_ascii_case(&address)) => {}
            Some(address) => all.push(address),
            None => {
                let shown: String = typed.chars().take(60).collect();
                problems.add(
                    "recipients",
                    format!("Recipients must be addresses like ann@example.com; {shown} isn't one"),
                );
                return all;
            }
        }
    }
    if all.len() > MOST_RECIPIENTS {
        problems.add(
            "recipients",
            format!("Recipients must be {MOST_RECIPIENTS} or fewer; use a mailing list for more"),
        );
    }
    all
}

async fn mailbox(app: &App, name: &str, problems: &mut Problems) -> StoreResult<String> {
    if name.is_empty() {
        return Ok(String::new());
    }
    let found = match Name::parse(name) {
        Ok(name) => app.store.mailbox(&name).await?,
        Err(_) => None,
    };
    match found {
        Some(mailbox) if mailbox.outgoing.is_some() => return Ok(mailbox.id.as_str().to_owned()),
        Some(_) => problems.add("mailbox", format!("Mailbox {name} sends no mail; choose another one")),
        None => problems.add("mailbox", "Choose a mailbox from the list"),
    }
    Ok(String::new())
}

/// The addresses that are known without asking a name server.
fn known(host: &str) -> Vec<IpAddr> {
    match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) if host.eq_ignore_ascii_case("localhost") => vec![Ipv4Addr::LOCALHOST.into()],
        Err(_) => Vec::new(),
    }
}

fn fallback(app: &App, input: &ChannelsInput, problems: &mut Problems) -> Option<Fallback> {
    if input.host.trim().is_empty() {
        // Whoever takes the server away leaves the other fields as they were, but types no password.
        if input.password.as_ref().is_some_and(|typed| !typed.expose_secret().is_empty()) {
            problems.add("host", "Enter the server that this password is for");
        }
        return None;
    }
    let host = problems.take("host", Endpoint::check_host(input.host.trim()));
    let security = match input.security.trim() {
        "" => Some(Security::Starttls),
        text => Security::parse(text),
    };
    if security.is_none() {
        problems.add("security", "Encryption must be tls (TLS from the start) or starttls");
    }
    let port = match input.port.trim() {
        "" if security == Some(Security::Tls) => Some(465),
        "" => Some(PORT),
        text => text.parse::<u16>().ok().filter(|port| *port > 0),
    };
    if port.is_none() {
        problems.add("port", "Port must be between 1 and 65535");
    }
    let from = check_address(&input.from).filter(|address| address.parse::<lettre::Address>().is_ok());
    if input.from.trim().is_empty() {
        problems.add("from", "Enter the sender");
    } else if from.is_none() {
        problems.add("from", "Sender must be an address like console@example.com");
    }
    let user = input.user.trim();
    if user.chars().any(char::is_control) || user.len() > 254 {
        problems.add("user", "User name can't have line breaks, and must be 254 characters or fewer");
    }
    let (host, security, port, from) = (host?, security?, port?, from?);
    if let Some(problem) = port_misfit(port, security, Protocol::Smtp) {
        problems.add("port", problem);
    }
    let addresses = known(&host);
    if !addresses.is_empty() {
        match app.gate.check(&host, port, &addresses) {
            Ok(()) => {}
            Err(error @ GateError::PortForbidden { .. }) => problems.add("port", format!("Port is refused: {error}")),
            Err(error) => problems.add("host", format!("Server is refused: {error}")),
        }
    }
    if security == Security::None && !app.gate.allows_plain(&host, &addresses) {
        problems.add("security", "Unencrypted mail is allowed to this machine only");
    }
    Some(Fallback {
        host,
        port,
        security,
        user: user.to_owned(),
        from,
    })
}

fn webhook(app: &App, text: &str, problems: &mut Problems) -> String {
    if text.is_empty() {
        return String::new();
    }
    let url: Url = match check_url(text) {
        Ok(url) if text.len() <= 2000 => url,
        Ok(_) => {
            problems.add("webhook", "Webhook address must be 2,000 characters or fewer");
            return String::new();
        }
        Err(why) => {
            problems.add("webhook", format!("Webhook address can't be used: {why}"));
            return String::new();
        }
    };
    let host = url.host_str().unwrap_or_default();
    if let Some(Host::Domain(name)) = url.host()
        && let Err(why) = Endpoint::check_host(name)
    {
        problems.add("webhook", format!("Webhook address can't be used: {why}"));
        return String::new();
    }
    let addresses = match url.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        _ => known(host),
    };
    let port = url.port_or_known_default().unwrap_or(443);
    if url.scheme() == "http" && !app.gate.allows_plain(host, &addresses) {
        problems.add("webhook", "Webhook address must start with https://");
    } else if !addresses.is_empty()
        && let Err(error) = app.gate.check(host, port, &addresses)
    {
        problems.add("webhook", format!("Webhook address is refused: {error}"));
    }
    url.to_string()
}

fn quiet(input: &ChannelsInput, problems: &mut Problems) -> Option<Quiet> {
    let (from, until) = (input.quiet_from.trim(), input.quiet_until.trim());
    if from.is_empty() && until.is_empty() {
        return None;
    }
    let mut minute = |field, label: &str, text: &str| {
        let minute = Quiet::minute(text);
        if text.is_empty() {
            problems.add(field, format!("Enter {}, like 22:00", label.to_lowercase()));
        } else if minute.is_none() {
            problems.add(field, format!("{label} must be a time of day like 22:00"));
        }
        minute
    };
    let (from, until) = (
        minute("quiet_from", "Quiet from", from),
        minute("quiet_until", "Quiet until", until),
    );
    let quiet = Quiet {
        from: from?,
        until: until?,
    };
    if quiet.from == quiet.until {
        problems.add("quiet_until", "Quiet until must be another time than quiet from");
    }
    Some(quiet)
}

fn zone(name: &str, problems: &mut Problems) -> String {
    if !name.is_empty() && !Local::exists(name) {
        problems.add("zone", "Time zone must be a name like Europe/Helsinki");
    }
    name.to_owned()
}
