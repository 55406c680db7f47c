//! Rules about the token in use: for whom, for what, and what it may do.

use super::Finding;
use crate::diagnosis::case::{Aim, Held};
use crate::diagnosis::judge::Seen;
use crate::diagnosis::own;
use crate::model::mailbox::Protocol;
use crate::model::report::{Direction, Stage};
use crate::model::template::TemplateKind;
use crate::model::token::GrantType;

/// The side and the token of a sign-in that was refused in words that leave the cause open.
fn refused<'a>(seen: &'a Seen<'_>) -> Option<(&'a Aim, &'a Held)> {
    let case = seen.case;
    let at_the_sender = matches!(case.step, Some(Stage::MailFrom | Stage::Data)) && seen.is_open();
    if !(case.at_the_mailbox() || at_the_sender) || case.transient {
        return None;
    }
    case.side.as_ref().zip(case.token.as_ref())
}

fn is_app(held: &Held) -> bool {
    held.grant == Some(GrantType::ClientCredentials)
}

/// Whether the account that signed in is the mailbox's own.
fn is_own(side: &Aim, held: &Held) -> bool {
    let account = held.account.as_ref();
    account.is_some_and(|account| account.eq_ignore_ascii_case(&side.address))
}

fn is_microsoft(seen: &Seen<'_>) -> bool {
    seen.case
        .provider
        .as_ref()
        .is_some_and(|provider| provider.template == TemplateKind::Microsoft)
}

const MICROSOFT_HOSTS: [&str; 5] = [
    ".office365.com",
    ".office.com",
    ".outlook.com",
    ".office365.us",
    ".partner.outlook.cn",
];
const GOOGLE_HOSTS: [&str; 3] = [".gmail.com", ".googlemail.com", ".google.com"];

/// Whose servers these are, where that is known.
fn owner(host: &str) -> Option<TemplateKind> {
    let is = |known: &[&str]| known.iter().any(|end| host.ends_with(end) || host == &end[1..]);
    let host_owners: [(&[&str], TemplateKind); 2] = [(&MICROSOFT_HOSTS, TemplateKind::Microsoft), (&GOOGLE_HOSTS, TemplateKind::Google)];
    host_owners.iter().find(|(known, _)| is(known)).map(|(_, owner)| *owner)
}

/// Whether these are servers of Microsoft.
pub(super) fn is_microsoft_host(host: &str) -> bool {
    owner(&host.to_ascii_lowercase()) == Some(TemplateKind::Microsoft)
}

/// Whose servers these are, by the words of their refusal.
fn owner_by_words(seen: &Seen<'_>) -> Option<TemplateKind> {
    let of_exchange = [
        "imap-exchange-authenticate-failed",
        "pop-exchange-auth-failure",
        "smtp-exchange-auth-unsuccessful",
    ];
    let of_gmail = ["imap-gmail-invalid-credentials", "smtp-gmail-bad-credentials"];
    let microsoft = seen.is_any(&of_exchange).then_some(TemplateKind::Microsoft);
    microsoft.or(seen.is_any(&of_gmail).then_some(TemplateKind::Google))
}

/// A token of one provider at the servers of another.
pub(super) fn other_provider(seen: &Seen<'_>) -> Option<Finding> {
    let (side, _) = refused(seen)?;
    let provider = seen.case.provider.as_ref()?;
    let by_name = owner(&side.host);
    let owner = by_name.or_else(|| owner_by_words(seen))?;
    if matches!(provider.template, TemplateKind::Custom) || provider.template == owner {
        return None;
    }
    let (finding, why) = match by_name {
        Some(_) => (Finding::certain(own::OTHER_PROVIDER), format!("{} isn't theirs", side.host)),
        None => (
            Finding::likely(own::OTHER_PROVIDER),
            format!("the server refuses in the words of {}", owner.template().short),
        ),
    };
    Some(
        finding
            .compare(("Token is from", provider.label), ("Server belongs to", owner.template().short))
            .because(format!("the token was made by {}, and {why}", provider.label)),
    )
}

/// A token for Graph where Exchange is asked, or the other way round.
pub(super) fn other_audience(seen: &Seen<'_>) -> Option<Finding> {
    let (side, held) = refused(seen)?;
    if !held.other_audience {
        return None;
    }
    let (id, service) = match side.protocol {
        Protocol::Graph => ("graph-token-audience", "Microsoft Graph"),
        _ => (own::AUDIENCE_GRAPH, "Exchange Online"),
    };
    let finding = Finding::certain(id)
        .compare(
            (&format!("{} wants", side.protocol.label()), service),
            ("Token is for", &held.audience),
        )
        .because("the token names the service it is for, and that isn't the one that was asked");
    Some(finding)
}

/// A permission that this side needs.
pub(super) fn missing_permission(seen: &Seen<'_>) -> Option<Finding> {
    let (side, held) = refused(seen)?;
    if held.missing.is_empty() {
        return None;
    }
    let found = if held.permissions.is_empty() {
        "none".to_owned()
    } else {
        held.permissions.join(" ")
    };
    let id = if is_app(held) { own::ROLE_MISSING } else { own::PERMISSION_MISSING };
    Some(
        Finding::certain(id)
            .compare(
                (&format!("{} needs", side.protocol.label()), &held.missing.join(" ")),
                ("Token has", &found),
            )
            .because("what the token may do was read before it was used"),
    )
}

/// Somebody else's token.
pub(super) fn other_account(seen: &Seen<'_>) -> Option<Finding> {
    let (side, held) = refused(seen)?;
    let account = held.account.as_ref()?;
    if held.shared || is_app(held) || account.eq_ignore_ascii_case(&side.address) {
        return None;
    }
    let finding = if seen.is_any(&["imap-exchange-authenticated-not-connected", "gmail-delegation-denied"]) {
        Finding::certain(own::OTHER_ACCOUNT)
    } else {
        Finding::likely(own::OTHER_ACCOUNT)
    };
    Some(
        finding
            .compare(("Mailbox asked for", &side.address), ("Token belongs to", account))
            .because("the account that signed in isn't the mailbox, and the token isn't allowed for shared mailboxes"),
    )
}

/// A user name that is neither the account's nor the mailbox's.
pub(super) fn user_name(seen: &Seen<'_>) -> Option<Finding> {
    let (side, held) = refused(seen)?;
    let account = held.account.as_ref()?;
    let same = |other: &str| side.user_name.eq_ignore_ascii_case(other);
    if side.protocol == Protocol::Graph || same(account) || same(&side.address) {
        return None;
    }
    Some(
        Finding::likely(own::USER_NAME)
            .compare(("Token belongs to", account), ("User name sent", &side.user_name))
            .because("the server compares the user name with the token"),
    )
}

/// An access token that ended on the way.
pub(super) fn ended(seen: &Seen<'_>) -> Option<Finding> {
    let (_, held) = refused(seen)?;
    held.expires_in
        .is_some_and(|left| left <= 0)
        .then(|| Finding::certain("imap-exchange-token-expired-session").because("the access token had run out by the time it was used"))
}

/// What the server's document says (RFC 7628, 3.2.2) where its reply says no more than no.
pub(super) fn refused_by_document(seen: &Seen<'_>) -> Option<Finding> {
    if !seen.is_any(&["imap-authenticationfailed-generic", "pop-gmail-auth", "smtp-auth-failed-generic"]) {
        return None;
    }
    let said = |id: &&str| seen.hits.iter().any(|hit| hit.id == *id);
    let id = ["oauth-insufficient-scope", "sasl-token-refused"].into_iter().find(said)?;
    // Only Exchange opens mailboxes to delegates; elsewhere a token that is fine by itself is refused for another's mailbox.
    if let Some((side, held)) = refused(seen)
        && let Some(account) = held.account.as_ref().filter(|_| !is_app(held) && !is_microsoft(seen))
        && !account.eq_ignore_ascii_case(&side.address)
    {
        return Some(
            Finding::likely(own::OTHER_ACCOUNT)
                .compare(("Mailbox asked for", &side.address), ("Token belongs to", account))
                .because("the server refused the token, and the account that signed in isn't the mailbox"),
        );
    }
    Some(Finding::likely(id).because("the server gave a document with the reason, and it is about the token"))
}

/// A delegate without rights on a shared mailbox.
pub(super) fn delegate(seen: &Seen<'_>) -> Option<Finding> {
    let (side, held) = refused(seen)?;
    let account = held.account.as_ref().filter(|_| !is_app(held))?;
    if !held.shared || account.eq_ignore_ascii_case(&side.address) || !is_microsoft(seen) {
        return None;
    }
    let id = match side.direction {
        Direction::Incoming => own::FULL_ACCESS,
        Direction::Outgoing => own::SEND_AS,
    };
    Some(
        Finding::likely(id)
            .compare(("Shared mailbox", &side.address), ("Opened by", account))
            .because("the token is allowed for shared mailboxes here, and whether its account may open this one is decided in Exchange"),
    )
}

/// An app that nobody made known to Exchange, or gave this mailbox.
pub(super) fn app_unknown_to_exchange(seen: &Seen<'_>) -> Option<Finding> {
    let (side, held) = refused(seen)?;
    if !is_app(held) || side.protocol == Protocol::Graph || !is_microsoft(seen) {
        return None;
    }
    let id = held.object_id.as_deref().unwrap_or("not in the token");
    Some(
        Finding::likely(own::SERVICE_PRINCIPAL)
            .compare(("Object ID to register", id), ("Mailbox", &side.address))
            .because("the app's own token has the permission, so what is missing is on the side of Exchange"),
    )
}

/// An app that Exchange keeps out of this mailbox.
pub(super) fn app_kept_out(seen: &Seen<'_>) -> Option<Finding> {
    let (side, held) = refused(seen)?;
    if !is_app(held) || side.protocol != Protocol::Graph || !seen.is_any(&["graph-access-denied"]) {
        return None;
    }
    let finding = if held.permissions.is_empty() {
        Finding::likely(own::ROLE_MISSING)
            .compare(
                ("Graph needs", "an application permission, or a role in Exchange"),
                ("Token has", "none"),
            )
            .because("no application permission is in the token, and Exchange gave the app no right to this mailbox either")
    } else {
        Finding::likely("graph-access-policy")
            .compare(("Mailbox", &side.address), ("Token has", &held.permissions.join(" ")))
            .because("the permission is in the token, so it is the mailbox that is kept from the app")
    };
    Some(finding)
}

/// A protocol that is turned off, where everything about the token fits.
pub(super) fn turned_off(seen: &Seen<'_>) -> Option<Finding> {
    let (side, held) = refused(seen)?;
    let texts = [
        "imap-exchange-authenticate-failed",
        "imap-exchange-login-failed",
        "pop-exchange-auth-failure",
        "smtp-exchange-auth-unsuccessful",
        "smtp-exchange-refused-7139",
    ];
    if is_app(held) || !is_own(side, held) || !is_microsoft(seen) || !seen.is_any(&texts) {
        return None;
    }
    let id = match side.protocol {
        Protocol::Imap => own::IMAP_OFF,
        Protocol::Pop3 => own::POP_OFF,
        Protocol::Smtp => own::SMTP_OFF,
        Protocol::Graph => return None,
    };
    let why = "the token is the mailbox's own, for this service and with this permission, and Exchange gives this reply when the protocol is turned off";
    Some(Finding::likely(id).because(why))
}

/// A mailbox that isn't there, where everything about the token fits.
pub(super) fn no_mailbox(seen: &Seen<'_>) -> Option<Finding> {
    let (side, held) = refused(seen)?;
    (is_own(side, held) && seen.is_any(&["imap-exchange-authenticated-not-connected"])).then(|| {
        Finding::likely(own::NO_LICENCE)
            .compare(("Mailbox asked for", &side.address), ("Token belongs to", &side.address))
            .because("the account is the mailbox's own, so the mailbox behind it can't be opened")
    })
}
