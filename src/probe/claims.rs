//! The step `claims`: can this token open this mailbox? Read from the token without trusting it, before anything is connected to. What is
//! sure to be refused fails here; what only looks wrong is said, and Graph decides.

use super::{Done, Failure};
use crate::clock::Timestamp;
use crate::mail::Login;
use crate::model::report::Direction;
use crate::oauth::Claims;
use crate::secret::AccessToken;
use url::Url;

/// Graph's addresses and number as audience, and Exchange's.
const GRAPH: [&str; 5] = [
    "https://graph.microsoft.com",
    "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn",
    "00000003-0000-0000-c000-000000000000",
];
const EXCHANGE: [&str; 6] = [
    "https://outlook.office.com",
    "https://outlook.office365.com",
    "https://outlook.office365.us",
    "https://outlook-dod.office365.us",
    "https://partner.outlook.cn",
    "00000002-0000-0ff1-ce00-000000000000",
];

/// What a token should say to open a mailbox through Graph.
#[derive(Debug, Clone, Default)]
pub struct Expected {
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
    fn is_shared(&self) -> bool {
        self.user.as_deref().is_none_or(|user| !user.eq_ignore_ascii_case(&self.mailbox))
    }
}

/// Compares what the token says with what is expected, and hands it on.
pub(super) fn claims(login: &Login, expected: &Expected, direction: Direction, now: Timestamp) -> Result<Done<AccessToken>, Failure> {
    let Login::OAuth2 { token, .. } = login else {
        return Err(crate::mail::MailError::NoLogin.into());
    };
    let Some(claims) = Claims::of(token) else {
        let detail = "the token is opaque: what it allows shows when it is used";
        return Ok(Done::new(token.clone(), detail).fact("opaque", true));
    };
    let mut detail = vec![whom(&claims)];
    let mut wrong = Vec::new();

    let audience = claims.audience.join(" ");
    if !audience.is_empty() {
        detail.push(format!("for {audience}"));
    }
    let for_exchange = !claims.audience.is_empty() && claims.audience.iter().all(|audience| is(&EXCHANGE, audience));
    if !for_exchange && !claims.audience.iter().any(|audience| is_graph(audience, expected)) {
        wrong.push("that isn't Graph as far as known here".to_owned());
    }
    match (claims.permissions(), claims.app_only) {
        ([], true) => {
            wrong.push("no roles in it, which is right only where Exchange gives the app its rights (RBAC for Applications)".to_owned())
        }
        ([], false) => wrong.push("no permissions in it".to_owned()),
        (permissions, app_only) => {
            detail.push(permissions.join(" "));
            let fitting = fitting(direction, app_only, expected.is_shared());
            let has = |name: &&str| permissions.iter().any(|held| held.eq_ignore_ascii_case(name));
            if !fitting.iter().any(has) {
                wrong.push(format!("{} is missing", fitting.join(" or ")));
            }
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
        (_, Some(wanted)) if claims.app_only => wrong.push(format!("it stands for the app, not for {wanted}")),
        (Some(held), None) => wrong.push(format!("it stands for {held}, not for the app alone")),
        _ => {}
    }
    match claims.expires_at.map(|end| end.since(now)) {
        Some(left) if left <= 0 => wrong.push("it says it has ended; compare the clocks".to_owned()),
        Some(left) => detail.push(format!("ends in {} min", left / 60)),
        None => {}
    }
    detail.append(&mut wrong.clone());
    let detail = detail.join("; ");
    let done = Done::new(token.clone(), detail.clone())
        .fact("aud", audience)
        .fact("scp", claims.scopes.join(" "))
        .fact("roles", claims.roles.clone())
        .fact("app_only", claims.app_only)
        .fact("tenant", claims.tenant)
        .fact("user", claims.user)
        .fact("app", claims.app)
        .fact("app_name", claims.app_name)
        .fact("object_id", claims.object_id)
        .fact("expires_at", claims.expires_at.map(Timestamp::to_rfc3339));
    if for_exchange {
        return Err(Failure {
            own_id: Some("graph-token-audience"),
            detail,
            facts: done.facts,
            ..Failure::default()
        });
    }
    Ok(if wrong.is_empty() { done } else { done.warn() })
}

fn whom(claims: &Claims) -> String {
    let app = claims.app_name.as_deref().or(claims.app.as_deref()).unwrap_or("unnamed");
    match &claims.user {
        _ if claims.app_only => format!("app {app}, acting by itself"),
        Some(user) => format!("{user} through app {app}"),
        None => format!("a person through app {app}"),
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
fn fitting(direction: Direction, app_only: bool, shared: bool) -> &'static [&'static str] {
    match (direction, app_only, shared) {
        (Direction::Incoming, true, _) => &["Mail.ReadBasic.All", "Mail.Read", "Mail.ReadWrite"],
        (Direction::Incoming, false, true) => &["Mail.Read.Shared", "Mail.ReadWrite.Shared"],
        (Direction::Incoming, false, false) => &["Mail.ReadBasic", "Mail.Read", "Mail.ReadWrite"],
        (Direction::Outgoing, false, true) => &["Mail.Send.Shared"],
        (Direction::Outgoing, ..) => &["Mail.Send"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_795_248_842);

    fn good() -> Value {
        json!({"aud": "https://graph.microsoft.com", "scp": "Mail.ReadWrite Mail.Send", "upn": "Support@contoso.test",
            "appid": "app-1", "tid": "tenant-1", "oid": "object-1", "exp": NOW.0 + 4440})
    }

    fn expected() -> Expected {
        Expected {
            graph_url: "https://graph.microsoft.com".to_owned(),
            tenant: Some("tenant-1".to_owned()),
            client_id: "app-1".to_owned(),
            user: Some("support@contoso.test".to_owned()),
            mailbox: "support@contoso.test".to_owned(),
        }
    }

    fn login(payload: &Value) -> Login {
        Login::OAuth2 {
            user: "support@contoso.test".to_owned(),
            token: AccessToken::new(format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload.to_string()))),
        }
    }

    /// The detail, with a question mark before it where it is a warning.
    fn says(payload: &Value, expected: &Expected, direction: Direction) -> String {
        let done = claims(&login(payload), expected, direction, NOW).unwrap();
        format!("{}{}", if done.warning { "? " } else { "" }, done.detail)
    }

    #[test]
    fn a_fitting_token_is_described_and_passes() {
        assert_eq!(
            says(&good(), &expected(), Direction::Incoming),
            "Support@contoso.test through app app-1; for https://graph.microsoft.com; Mail.ReadWrite Mail.Send; ends in 74 min"
        );
        let mut number = good();
        number["aud"] = "00000003-0000-0000-c000-000000000000".into();
        assert!(!says(&number, &expected(), Direction::Outgoing).starts_with('?'));
        let mut own = (good(), expected());
        own.0["aud"] = "http://127.0.0.1:8123/".into();
        own.1.graph_url = "http://127.0.0.1:8123".into();
        assert!(!says(&own.0, &own.1, Direction::Outgoing).starts_with('?'));
    }

    #[test]
    fn whatever_looks_wrong_is_said_and_left_to_graph() {
        type Change = fn(&mut Value, &mut Expected);
        let cases: &[(Change, &str)] = &[
            (
                |p, _| p["scp"] = "Mail.Send".into(),
                "Mail.ReadBasic or Mail.Read or Mail.ReadWrite is missing",
            ),
            (
                |_, e| e.mailbox = "hr@contoso.test".into(),
                "Mail.Read.Shared or Mail.ReadWrite.Shared is missing",
            ),
            (
                |p, _| p["tid"] = "tenant-2".into(),
                "it is from the directory tenant-2, not tenant-1",
            ),
            (|p, _| p["appid"] = "app-2".into(), "it was made for the app app-2"),
            (
                |p, _| p["upn"] = "b@contoso.test".into(),
                "b@contoso.test signed in, not support@contoso.test",
            ),
            (|p, _| p["exp"] = NOW.0.into(), "it says it has ended; compare the clocks"),
            (|p, _| p["aud"] = "api://else".into(), "that isn't Graph as far as known here"),
            (|_, e| e.user = None, "it stands for Support@contoso.test, not for the app alone"),
        ];
        for (change, words) in cases {
            let (mut payload, mut expected) = (good(), expected());
            change(&mut payload, &mut expected);
            let said = says(&payload, &expected, Direction::Incoming);
            assert!(said.starts_with("? ") && said.contains(words), "{said} lacks {words}");
        }
    }

    #[test]
    fn an_app_without_roles_is_no_error() {
        let app =
            json!({"aud": "https://graph.microsoft.com", "idtyp": "app", "appid": "app-1", "app_displayname": "Helpdesk", "oid": "o"});
        let mut expected = expected();
        expected.user = None;
        let said = says(&app, &expected, Direction::Incoming);
        assert!(
            said.starts_with("? app Helpdesk, acting by itself; ") && said.contains("RBAC for Applications"),
            "{said}"
        );
        let mut with = app;
        with["roles"] = json!(["Mail.Read"]);
        assert!(!says(&with, &expected, Direction::Incoming).starts_with('?'));
    }

    #[test]
    fn a_token_for_exchange_is_not_sent_to_graph_and_an_opaque_one_is() {
        let mut payload = good();
        payload["aud"] = "https://outlook.office.com".into();
        let failure = claims(&login(&payload), &expected(), Direction::Incoming, NOW).unwrap_err();
        assert_eq!(failure.own_id, Some("graph-token-audience"));
        assert_eq!(failure.facts["aud"], "https://outlook.office.com");
        let opaque = Login::OAuth2 {
            user: "a".to_owned(),
            token: AccessToken::new("EwBopaque"),
        };
        let done = claims(&opaque, &expected(), Direction::Incoming, NOW).unwrap();
        assert!(!done.warning && done.facts["opaque"] == true);
    }
}
