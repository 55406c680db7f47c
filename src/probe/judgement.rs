//! Can this token open this mailbox with this protocol? Judged by what the token says of itself, before anybody is connected to: for
//! the step `claims` and for the token's page. Nothing is trusted; the server has the last word.

use crate::clock::Timestamp;
use crate::model::mailbox::Protocol;
use crate::model::report::Direction;
use crate::oauth::Claims;
use url::Url;

/// Graph's addresses and number as audience, and Exchange's.
const GRAPH: [&str; 5] = [
    "https://graph.microsoft.com",
    "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn",
    "00000003-0000-0000-c000-000000000000",
];
const EXCHANGE: [&str; 7] = [
    "https://outlook.office.com",
    "https://outlook.office365.com",
    "https://outlook.office365.us",
    "https://outlook-dod.office365.us",
    "https://partner.outlook.cn",
    "https://ps.outlook.com",
    "00000002-0000-0ff1-ce00-000000000000",
];

/// What a token should say to open a mailbox.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Whether the provider is Microsoft: elsewhere nobody knows what audience and permissions mean.
    pub microsoft: bool,
    /// Where Graph is.
    pub graph_url: String,
    /// The provider's directory, where it is known by its number.
    pub tenant: Option<String>,
    /// The provider's client id.
    pub client_id: String,
    /// Who signed in; none for app-only tokens.
    pub user: Option<String>,
    /// Whose mailbox is opened.
    pub mailbox: String,
}

impl Expected {
    /// Whether somebody else's mailbox is opened.
    pub fn is_shared(&self) -> bool {
        self.user.as_deref().is_none_or(|user| !user.eq_ignore_ascii_case(&self.mailbox))
    }
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// Nothing speaks against it.
    Fits,
    /// Nothing is wrong, and the token doesn't tell; the server decides.
    Untold,
    /// Something looks wrong; the server decides.
    Doubtful,
    /// It is sure to be refused.
    Never,
}

/// A judgement, with what speaks against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// In a word.
    pub opens: Opens,
    /// What looks wrong, in half sentences.
    pub wrong: Vec<String>,
    /// Why the token can't tell, where that is no fault of it: half a sentence.
    pub note: Option<&'static str>,
    /// The permission that is sure not to be in it, or those one of which would do.
    pub missing: Option<String>,
    /// Whether it is made for Exchange where Graph is asked, or the other way round.
    pub other_audience: bool,
}

/// Compares what a token says with what opens this mailbox.
pub fn judge(claims: &Claims, expected: &Expected, protocol: Protocol, direction: Direction, now: Timestamp) -> Judgement {
    let (mut wrong, mut never, mut other_audience) = (Vec::new(), false, false);
    let (mut missing, mut note) = (None, None);
    if expected.microsoft {
        let exchange = |audience: &String| is(&EXCHANGE, audience);
        let graph = |audience: &String| is_graph(audience, expected);
        let all = |known: &dyn Fn(&String) -> bool| !claims.audience.is_empty() && claims.audience.iter().all(known);
        match protocol {
            Protocol::Graph if all(&exchange) => {
                other_audience = true;
                wrong.push("it is for Exchange, and Graph takes tokens for Graph only".to_owned());
            }
            Protocol::Graph if !claims.audience.iter().any(graph) => wrong.push("that isn't Graph as far as known here".to_owned()),
            Protocol::Graph => {}
            _ if all(&graph) => {
                other_audience = true;
                wrong.push(format!("it is for Graph, and {} takes tokens for Exchange only", protocol.label()));
            }
            _ if !claims.audience.iter().any(exchange) => wrong.push("that isn't Exchange as far as known here".to_owned()),
            _ => {}
        }
        if claims.app_only && claims.permissions().is_empty() && !reads_protocol(protocol) {
            note = Some(NO_ROLES);
        } else {
            (never, missing) = permission(claims, expected, protocol, direction, &mut wrong);
        }
    }
    if let (Some(held), Some(wanted)) = (&claims.tenant, &expected.tenant)
        && !held.eq_ignore_ascii_case(wanted)
    {
        wrong.push(format!("it is from the directory {held}, not {wanted}"));
    }
    if let Some(app) = &claims.app
        && !app.eq_ignore_ascii_case(&expected.client_id)
    {
        wrong.push(format!("it was made for the app {app}"));
    }
    match (&claims.user, &expected.user) {
        (Some(held), Some(wanted)) if !held.eq_ignore_ascii_case(wanted) => wrong.push(format!("{held} signed in, not {wanted}")),
        (_, Some(wanted)) if claims.app_only && expected.microsoft => wrong.push(format!("it stands for the app, not for {wanted}")),
        (Some(held), None) => wrong.push(format!("it stands for {held}, not for the app alone")),
        _ => {}
    }
    if claims.expires_at.is_some_and(|end| end.since(now) <= 0) {
        wrong.push("it says it has ended; compare the clocks".to_owned());
    }
    let opens = match (never || other_audience, wrong.is_empty()) {
        (true, _) => Opens::Never,
        (false, false) => Opens::Doubtful,
        (false, true) if note.is_some() => Opens::Untold,
        (false, true) => Opens::Fits,
    };
    Judgement {
        opens,
        wrong,
        note,
        missing,
        other_audience,
    }
}

/// Exchange can give an app rights that no token shows, but not for IMAP and POP.
const NO_ROLES: &str = "no roles in it, which is right where Exchange gives the app its rights (RBAC for Applications)";

const fn reads_protocol(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Imap | Protocol::Pop3)
}

/// Looks for the permission; says whether its absence is sure to be the end, and which is absent.
fn permission(
    claims: &Claims,
    expected: &Expected,
    protocol: Protocol,
    direction: Direction,
    wrong: &mut Vec<String>,
) -> (bool, Option<String>) {
    let fitting = fitting(protocol, direction, claims.app_only, expected.is_shared());
    match (claims.permissions(), claims.app_only) {
        ([], false) => {
            wrong.push("no permissions in it".to_owned());
            (false, Some(fitting.join(" or ")))
        }
        (permissions, _) => {
            let has = |name: &&str| permissions.iter().any(|held| held.eq_ignore_ascii_case(name));
            if fitting.iter().any(has) {
                return (false, None);
            }
            let names = fitting.join(" or ");
            wrong.push(format!("{names} is missing"));
            (reads_protocol(protocol), Some(names))
        }
    }
}

fn is(known: &[&str], audience: &str) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(audience.trim_end_matches('/')))
}

fn is_graph(audience: &str, expected: &Expected) -> bool {
    let origin = |text: &str| Url::parse(text).ok().map(|url| url.origin());
    is(&GRAPH, audience) || origin(audience).is_some_and(|held| Some(held) == origin(&expected.graph_url))
}

/// Permissions one of which does, the least first.
fn fitting(protocol: Protocol, direction: Direction, app_only: bool, shared: bool) -> &'static [&'static str] {
    match (protocol, direction, app_only, shared) {
        (Protocol::Imap, _, true, _) => &["IMAP.AccessAsApp"],
        (Protocol::Imap, ..) => &["IMAP.AccessAsUser.All"],
        (Protocol::Pop3, _, true, _) => &["POP.AccessAsApp"],
        (Protocol::Pop3, ..) => &["POP.AccessAsUser.All"],
        (Protocol::Smtp, _, true, _) => &["SMTP.SendAsApp"],
        (Protocol::Smtp, ..) => &["SMTP.Send"],
        (Protocol::Graph, Direction::Incoming, true, _) => &["Mail.ReadBasic.All", "Mail.Read", "Mail.ReadWrite"],
        (Protocol::Graph, Direction::Incoming, false, true) => &["Mail.Read.Shared", "Mail.ReadWrite.Shared"],
        (Protocol::Graph, Direction::Incoming, false, false) => &["Mail.ReadBasic", "Mail.Read", "Mail.ReadWrite"],
        (Protocol::Graph, Direction::Outgoing, false, true) => &["Mail.Send.Shared"],
        (Protocol::Graph, Direction::Outgoing, ..) => &["Mail.Send"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(audience: &str, scopes: &[&str]) -> Claims {
        Claims {
            audience: vec![audience.to_owned()],
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            ..Claims::default()
        }
    }

    fn app(audience: &str, roles: &[&str]) -> Claims {
        Claims {
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            app_only: true,
            ..claims(audience, &[])
        }
    }

    fn opens(claims: &Claims, protocol: Protocol, user: Option<&str>) -> Opens {
        let expected = Expected {
            microsoft: true,
            graph_url: "https://graph.microsoft.com".to_owned(),
            user: user.map(str::to_owned),
            mailbox: "a@b.test".to_owned(),
            ..Expected::default()
        };
        let direction = if protocol == Protocol::Smtp {
            Direction::Outgoing
        } else {
            Direction::Incoming
        };
        judge(claims, &expected, protocol, direction, Timestamp(0)).opens
    }

    #[test]
    fn each_protocol_wants_its_own_audience_and_permission() {
        const OUTLOOK: &str = "https://outlook.office.com";
        let user = Some("a@b.test");
        let imap = claims(OUTLOOK, &["IMAP.AccessAsUser.All"]);
        assert_eq!(opens(&imap, Protocol::Imap, user), Opens::Fits);
        assert_eq!(opens(&imap, Protocol::Pop3, user), Opens::Never, "another permission");
        assert_eq!(opens(&imap, Protocol::Smtp, user), Opens::Doubtful);
        assert_eq!(opens(&imap, Protocol::Graph, user), Opens::Never, "another audience");
        let graph = claims("https://graph.microsoft.com", &["Mail.Read"]);
        assert_eq!(opens(&graph, Protocol::Graph, user), Opens::Fits);
        assert_eq!(opens(&graph, Protocol::Imap, user), Opens::Never);
        assert_eq!(
            opens(&claims("api://x", &["IMAP.AccessAsUser.All"]), Protocol::Imap, user),
            Opens::Doubtful
        );
    }

    #[test]
    fn rights_that_exchange_gives_an_app_show_in_no_token() {
        let (outlook, graph) = ("https://outlook.office365.com", "https://graph.microsoft.com");
        assert_eq!(opens(&app(graph, &[]), Protocol::Graph, None), Opens::Untold);
        assert_eq!(opens(&app(outlook, &[]), Protocol::Smtp, None), Opens::Untold);
        assert_eq!(
            opens(&app(outlook, &[]), Protocol::Smtp, Some("a@b.test")),
            Opens::Doubtful,
            "somebody was to sign in"
        );
        assert_eq!(
            opens(&app(outlook, &[]), Protocol::Imap, None),
            Opens::Never,
            "there is no such role for IMAP"
        );
        assert_eq!(opens(&app(outlook, &["IMAP.AccessAsApp"]), Protocol::Imap, None), Opens::Fits);
        assert_eq!(opens(&app(graph, &["Mail.ReadWrite"]), Protocol::Graph, None), Opens::Fits);
    }
}
