//! The keys of the configuration file and what kind of value each takes.

use super::Value;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    Number,
    List,
    /// A table of texts: names and values in order.
    Pairs,
    /// A secret: the key itself, or with `_file` or `_env`.
    Secret,
    /// A table with keys of its own, which are listed with a dot.
    Table,
}

pub(super) type Keys = &'static [(&'static str, Kind)];

pub(super) const PROVIDER: Keys = &[
    ("name", Kind::Text),
    ("template", Kind::Text),
    ("tenant", Kind::Text),
    ("cloud", Kind::Text),
    ("client_id", Kind::Text),
    ("client_auth", Kind::Text),
    ("client_secret", Kind::Secret),
    ("client_secret_expires", Kind::Text),
    ("certificate", Kind::Secret),
    ("assertion_alg", Kind::Text),
    ("service_account", Kind::Secret),
    ("consent_screen", Kind::Text),
    ("grant", Kind::Text),
    ("scopes", Kind::List),
    ("prompt", Kind::Text),
    ("login_hint", Kind::Flag),
    ("authority", Kind::Text),
    ("graph_url", Kind::Text),
    ("issuer", Kind::Text),
    ("authorize_url", Kind::Text),
    ("token_url", Kind::Text),
    ("device_authorization_url", Kind::Text),
    ("revocation_url", Kind::Text),
    ("admin_consent_url", Kind::Text),
    ("userinfo_url", Kind::Text),
    ("iss_required", Kind::Flag),
    ("pkce", Kind::Flag),
    ("extra_authorize_params", Kind::Pairs),
];

pub(super) const TOKEN: Keys = &[
    ("name", Kind::Text),
    ("provider", Kind::Text),
    ("grant", Kind::Text),
    ("user", Kind::Text),
    ("scopes", Kind::List),
    ("prompt", Kind::Text),
    ("password", Kind::Secret),
    ("refresh_token", Kind::Secret),
    ("shared", Kind::Flag),
];

pub(super) const MAILBOX: Keys = &[
    ("name", Kind::Text),
    ("address", Kind::Text),
    ("display_name", Kind::Text),
    ("enabled", Kind::Flag),
    ("tags", Kind::List),
    ("round_trip_hours", Kind::Number),
    ("incoming", Kind::Table),
    ("incoming.protocol", Kind::Text),
    ("incoming.host", Kind::Text),
    ("incoming.port", Kind::Number),
    ("incoming.security", Kind::Text),
    ("incoming.auth", Kind::Text),
    ("incoming.token", Kind::Text),
    ("incoming.username", Kind::Text),
    ("incoming.password", Kind::Secret),
    ("incoming.folder", Kind::Text),
    ("outgoing", Kind::Table),
    ("outgoing.protocol", Kind::Text),
    ("outgoing.host", Kind::Text),
    ("outgoing.port", Kind::Number),
    ("outgoing.security", Kind::Text),
    ("outgoing.auth", Kind::Text),
    ("outgoing.token", Kind::Text),
    ("outgoing.username", Kind::Text),
    ("outgoing.password", Kind::Secret),
    ("outgoing.from", Kind::Text),
    ("outgoing.bcc", Kind::List),
];

/// The keys of a `[[mailbox]]` that have a value, those of its sides with a dot: what columns of a table may be called.
pub fn mailbox_keys() -> impl Iterator<Item = &'static str> {
    let values = MAILBOX.iter().filter(|(_, kind)| *kind != Kind::Table);
    values.map(|(key, _)| *key)
}

/// Whether a key of a `[[mailbox]]` holds a secret.
pub fn is_secret(key: &str) -> bool {
    MAILBOX.iter().any(|(known, kind)| *known == key && *kind == Kind::Secret)
}

/// Whether a key of any entry, those of inner tables with a dot, holds a secret itself.
pub fn holds_secret(key: &str) -> bool {
    let all = [PROVIDER, TOKEN, MAILBOX];
    all.iter()
        .any(|keys| keys.iter().any(|(known, kind)| *known == key && *kind == Kind::Secret))
}

/// Whether a key, or the end of one after its dot, never holds a secret, whatever entry it stands in.
pub fn is_plain(key: &str) -> bool {
    let end = |known: &'static str| known.rsplit('.').next().unwrap_or_default();
    [PROVIDER, TOKEN, MAILBOX].iter().any(|keys| {
        keys.iter().any(|(known, kind)| match kind {
            Kind::Secret => [format!("{}_file", end(known)), format!("{}_env", end(known))]
                .iter()
                .any(|name| name == key),
            Kind::Table | Kind::Pairs => false,
            _ => end(known) == key,
        })
    })
}

/// The value of a `[[mailbox]]` key that was written without TOML around it; what would fit if it doesn't.
pub fn mailbox_value(key: &str, text: &str) -> Result<Value, &'static str> {
    let kind = MAILBOX.iter().find(|(known, _)| *known == key).map(|(_, kind)| *kind);
    match kind {
        Some(Kind::Flag) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Value::Flag(true)),
            "false" | "no" | "off" | "0" => Ok(Value::Flag(false)),
            _ => Err("true or false"),
        },
        Some(Kind::List) => {
            let items = text.split([',', ';', '\n']).map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::List(items.map(str::to_owned).collect()))
        }
        Some(Kind::Number) if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) => Err("a number"),
        _ => Ok(Value::Text(text.to_owned())),
    }
}
