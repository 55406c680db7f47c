//! Scopes as ticks and text, and back: in the forms of providers and tokens.

use crate::model::provider::Cloud;
use crate::model::template::{self, Purpose, TemplateKind};

/// A tick under *Permissions to ask for*.
pub struct Tick {
    /// Its value.
    pub key: &'static str,
    /// What it lets tokens do.
    pub label: String,
    /// The scopes behind it, without their server.
    pub scopes: String,
    /// Whether it is set.
    pub on: bool,
}

/// The ticks of a template. Where every purpose has the same scopes there is one for all of them.
pub fn ticks(kind: TemplateKind, cloud: Cloud, set: &[String]) -> Vec<Tick> {
    let purposes = template::purposes(kind, cloud);
    let on = |key: &str| set.iter().any(|ticked| ticked == key);
    let short = |scopes: &[&str]| {
        let names: Vec<&str> = scopes.iter().map(|scope| short_scope(scope)).collect();
        names.join(", ")
    };
    match purposes {
        [first, _, ..] if purposes.iter().all(|p| p.scopes == first.scopes) => vec![Tick {
            key: first.key,
            label: "Read and send mail with IMAP, SMTP and POP".to_owned(),
            scopes: short(first.scopes),
            on: purposes.iter().any(|purpose| on(purpose.key)),
        }],
        _ => purposes
            .iter()
            .map(|purpose| Tick {
                key: purpose.key,
                label: purpose.label.to_owned(),
                scopes: short(purpose.scopes),
                on: on(purpose.key),
            })
            .collect(),
    }
}

/// Scopes as the form has them: ticked purposes, and the rest as text.
pub fn apart(kind: TemplateKind, cloud: Cloud, scopes: &[String]) -> (Vec<String>, String) {
    let ticked = |purpose: &&Purpose| template::ticked(purpose, scopes);
    let purposes: Vec<&Purpose> = template::purposes(kind, cloud).iter().filter(ticked).collect();
    let covered = |scope: &&String| {
        let of_purpose = purposes
            .iter()
            .flat_map(|p| p.scopes)
            .any(|known| known.eq_ignore_ascii_case(scope));
        let always = kind != TemplateKind::Custom && kind.template().always.contains(&scope.as_str());
        of_purpose || always
    };
    let rest: Vec<&str> = scopes.iter().filter(|s| !covered(s)).map(String::as_str).collect();
    (purposes.iter().map(|purpose| purpose.key.to_owned()).collect(), rest.join("\n"))
}

/// The other way: ticks and text as one text. For `custom` the text is all there is.
pub fn all_scopes(kind: TemplateKind, cloud: Cloud, purposes: &[String], rest: &str) -> String {
    if kind == TemplateKind::Custom {
        return rest.to_owned();
    }
    let ticks: Vec<&str> = purposes.iter().map(String::as_str).collect();
    format!("{}\n{rest}", template::scopes_of(kind, cloud, &ticks).join("\n"))
}

/// A scope without the server before it.
pub fn short_scope(scope: &str) -> &str {
    match scope.strip_prefix("https://").and_then(|rest| rest.split_once('/')) {
        Some((_, name)) if !name.is_empty() && !name.contains('/') => name,
        _ => scope,
    }
}
