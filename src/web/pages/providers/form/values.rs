//! Values that stand in one field together: parameters, the file of a client, a name.

use crate::model::lint::is_guid;
use crate::model::template::TemplateKind;
use crate::secret::ClientSecret;
use crate::web::form::FieldErrors;

/// Pairs as the text of a field.
pub(super) fn lines<K: AsRef<str>, V: AsRef<str>>(pairs: &[(K, V)]) -> String {
    let lines: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", key.as_ref(), value.as_ref()))
        .collect();
    lines.join("\n")
}

/// The pairs of such a text; lines that are none are told.
pub(super) fn parameters(text: &str, errors: &mut FieldErrors) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once('=') {
            Some((name, value)) => pairs.push((name.to_owned(), value.to_owned())),
            None => errors.add("extra_authorize_params", "Extra parameters must be name=value, one a line"),
        }
    }
    pairs
}

/// Id and secret in the file Google hands out for a web client; else what to say.
pub(super) fn client_json(text: &str) -> Result<(String, ClientSecret), &'static str> {
    let Ok(document) = serde_json::from_str::<serde_json::Value>(text.trim().trim_start_matches('\u{feff}')) else {
        return Err("Client JSON can't be read. Paste the whole file, from the first { to the last }");
    };
    let Some(web) = document.get("web") else {
        return Err(if document.get("installed").is_some() {
            "Client JSON is of a desktop app. Create a client of the type Web application, and take its file"
        } else if document.get("type").is_some_and(|kind| kind == "service_account") {
            "This is the key of a service account. Choose the card Google, Service account, and paste it there"
        } else if document.get("type").is_some_and(|kind| kind == "authorized_user") {
            "This file is of type authorized_user, which gcloud makes for a person. The file of a web client is wanted, as Google hands it out under Clients"
        } else {
            "Client JSON must be the file of a web client, as Google hands it out under Clients"
        });
    };
    let text = |name: &str| web.get(name)?.as_str().map(str::to_owned);
    match (text("client_id"), text("client_secret")) {
        (Some(id), Some(secret)) => Ok((id, ClientSecret::new(secret))),
        _ => Err("Client JSON lacks client_id or client_secret. Make a new secret under Clients, and download its file"),
    }
}

/// A name for a new provider: the template's, or what stands before the first dot of the tenant's domain.
pub fn suggested_name(kind: TemplateKind, tenant: &str) -> String {
    let domain = Some(tenant.trim()).filter(|tenant| tenant.contains('.') && !is_guid(tenant));
    domain
        .and_then(|domain| domain.split('.').next())
        .unwrap_or(kind.as_str())
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_file_brings_id_and_secret() {
        let (id, secret) = client_json(r#" {"web":{"client_id":"1.apps.googleusercontent.com","client_secret":"canary"}} "#).unwrap();
        assert_eq!((id.as_str(), secret.expose_secret()), ("1.apps.googleusercontent.com", "canary"));
        for (text, said) in [
            (r#"{"installed":{"client_id":"1"}}"#, "desktop app"),
            (r#"{"type":"service_account"}"#, "key of a service account"),
            (r#"{"type":"authorized_user"}"#, "which gcloud makes"),
            ("{", "can't be read"),
            ("[]", "web client"),
            (r#"{"web":{"client_id":"1"}}"#, "lacks"),
        ] {
            assert!(client_json(text).unwrap_err().contains(said), "{text}");
        }
    }
}
