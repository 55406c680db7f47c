//! What an access token says about itself, where it is a JSON web token (RFC 9068). Not verified: it is shown, and decides nothing but
//! what is said in advance; the server it is for decides the rest.

use crate::clock::Timestamp;
use crate::secret::AccessToken;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// How many characters of a claim are worth showing?
const LONGEST_CLAIM: usize = 500;
/// How many items of a list?
const MOST_ITEMS: usize = 64;
/// How long a token is looked into at all?
const LONGEST_TOKEN: usize = 32 * 1024;

/// The claims that matter for mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Whom it is for: `aud`.
    pub audience: Vec<String>,
    /// What the person allowed: `scp` or `scope`.
    pub scopes: Vec<String>,
    /// What the app itself may do: `roles`.
    pub roles: Vec<String>,
    /// Directory: `tid`.
    pub tenant: Option<String>,
    /// Who signed in: `upn`, `preferred_username`, `unique_name` or `email`.
    pub user: Option<String>,
    /// Client: `appid`, `azp` or `client_id`.
    pub app: Option<String>,
    /// Its name: `app_displayname`.
    pub app_name: Option<String>,
    /// Object id of the person or of the service principal: `oid`.
    pub object_id: Option<String>,
    /// Whether it stands for the app alone.
    pub app_only: bool,
    /// When it ends: `exp`.
    pub expires_at: Option<Timestamp>,
}

impl Claims {
    /// Reads the claims; none where the token is opaque.
    pub fn of(token: &AccessToken) -> Option<Self> {
        let text = token.expose_secret();
        let parts: Vec<&str> = text.split('.').take(4).collect();
        let [_, payload, _] = parts[..] else {
            return None;
        };
        if text.len() > LONGEST_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let claims: Value = serde_json::from_slice(&bytes).ok()?;
        claims.is_object().then(|| Self::read(&claims))
    }

    fn read(claims: &Value) -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| items(claims.get(*name)?).into_iter().next());
        let all = |names: &[&str], separator: &[char]| -> Vec<String> {
            let found = names.iter().find_map(|name| claims.get(*name)).map(items).unwrap_or_default();
            let words = found.iter().flat_map(|text| text.split(separator)).filter(|word| !word.is_empty());
            words.take(MOST_ITEMS).map(str::to_owned).collect()
        };
        let (scopes, roles) = (all(&["scp", "scope"], &[' ']), all(&["roles"], &[]));
        let kind = first(&["idtyp"]);
        let user = first(&["upn", "preferred_username", "unique_name", "email"]);
        Self {
            audience: all(&["aud"], &[]),
            app_only: match kind.as_deref() {
                Some(kind) => kind == "app",
                None => scopes.is_empty() && user.is_none(),
            },
            scopes,
            roles,
            tenant: first(&["tid"]),
            user,
            app: first(&["appid", "azp", "client_id"]),
            app_name: first(&["app_displayname"]),
            object_id: first(&["oid"]),
            expires_at: claims.get("exp").and_then(Value::as_i64).map(Timestamp),
        }
    }

    /// What it allows, scopes or roles.
    pub fn permissions(&self) -> &[String] {
        if self.scopes.is_empty() { &self.roles } else { &self.scopes }
    }
}

/// A claim as short texts without control characters.
fn items(value: &Value) -> Vec<String> {
    let clean = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(LONGEST_CLAIM).collect() };
    let texts: Vec<String> = match value {
        Value::String(text) => vec![clean(text)],
        Value::Array(items) => items.iter().filter_map(Value::as_str).take(MOST_ITEMS).map(clean).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &str) -> AccessToken {
        AccessToken::new(format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn a_token_is_looked_into_only_as_far_as_it_can_be() {
        let claims = Claims::of(&jwt(
            r#"{"aud":"https://outlook.office.com","scp":"IMAP.AccessAsUser.All SMTP.Send","upn":"a@b.test","appid":"x","exp":1795250000}"#,
        ))
        .unwrap();
        assert_eq!(claims.audience, ["https://outlook.office.com"]);
        assert_eq!(claims.permissions(), ["IMAP.AccessAsUser.All", "SMTP.Send"]);
        assert!(!claims.app_only);
        assert_eq!((claims.user.as_deref(), claims.app.as_deref()), (Some("a@b.test"), Some("x")));
        assert_eq!(claims.expires_at, Some(Timestamp(1_795_250_000)));
        let claims = Claims::of(&jwt(r#"{"aud":["a","b"],"roles":["Mail.Read\u0007"],"oid":"o"}"#)).unwrap();
        assert_eq!((claims.audience.len(), claims.permissions()), (2, &["Mail.Read".to_owned()][..]));
        assert!(claims.app_only);
        assert!(!Claims::of(&jwt(r#"{"idtyp":"user","roles":["x"]}"#)).unwrap().app_only);
        for odd in [r#"{"aud":7,"scp":{"a":[]},"exp":"soon","roles":[[["x"]]]}"#, "{}"] {
            assert_eq!(Claims::of(&jwt(odd)).unwrap().permissions(), &[] as &[String]);
        }
        for opaque in ["ya29.a0AfB_opaque", "a.b.c", "...", "", "e30.bm90IGpzb24.x", "e30.W10.x"] {
            assert_eq!(Claims::of(&AccessToken::new(opaque)), None, "{opaque}");
        }
    }
}
