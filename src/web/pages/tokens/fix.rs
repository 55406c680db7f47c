//! What a page of ours proposes to change in a token's form, by its address: it is said, looked over and saved by a person.

use super::edit::TokenForm;
use crate::model::provider::Provider;
use crate::model::template::purposes;
use serde::Deserialize;

/// `?provider=…&user=…&shared=1&add=…`
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Start {
    pub(super) provider: Option<String>,
    pub(super) user: String,
    pub(super) name: String,
    pub(super) shared: String,
    pub(super) add: String,
    pub(super) grant: String,
    pub(super) back: String,
}

/// Puts it into the form; what was put in, in words.
pub(super) fn put_in(form: &mut TokenForm, start: Start, provider: &Provider) -> Vec<String> {
    let mut put_in: Vec<String> = Vec::new();
    if !start.user.is_empty() && start.user != form.user {
        put_in.push(format!("the account {}", start.user));
        form.user = start.user;
    }
    if start.shared == "1" && form.shared.is_empty() {
        put_in.push("May open shared mailboxes".to_owned());
        form.shared = "on".to_owned();
    }
    if start.add == "offline_access" && !form.all_scopes(provider).contains("offline_access") {
        form.scopes = format!("{}\noffline_access", form.scopes).trim().to_owned();
        put_in.push("the permission offline_access".to_owned());
    }
    let known = purposes(provider.template, provider.cloud)
        .iter()
        .any(|purpose| purpose.key == start.add);
    if known && !form.purposes.contains(&start.add) {
        put_in.push("one more permission".to_owned());
        form.purposes.push(start.add);
    }
    put_in
}
