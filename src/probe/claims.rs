//! The step `claims`: can this token open this mailbox? Read from the token without trusting it, before anything is connected to. What is
//! sure to be refused fails here; what only looks wrong is said, and Graph decides.

use super::judgement::{Expected, Judgement, judge};
use super::{Done, Failure};
use crate::clock::Timestamp;
use crate::mail::Login;
use crate::model::mailbox::Protocol;
use crate::model::report::Direction;
use crate::oauth::Claims;
use crate::secret::AccessToken;

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
    let Judgement {
        wrong,
        note,
        other_audience,
        ..
    } = judge(&claims, expected, Protocol::Graph, direction, now);
    let audience = claims.audience.join(" ");
    if !audience.is_empty() {
        detail.push(format!("for {audience}"));
    }
    if !claims.permissions().is_empty() {
        detail.push(claims.permissions().join(" "));
    }
    if let Some(left) = claims.expires_at.map(|end| end.since(now)).filter(|left| *left > 0) {
        detail.push(format!("ends in {} min", left / 60));
    }
    detail.extend(wrong.iter().cloned());
    detail.extend(note.map(str::to_owned));
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
    if other_audience {
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
            microsoft: true,
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
            said.starts_with("app Helpdesk, acting by itself; ") && said.contains("RBAC for Applications"),
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
