//! The keys of other products' settings, and which mailbox one belongs to.

/// What a setting means: its key without `mail.` and marks, as it compares, and our word for it.
const KEYS: &[(&str, &str)] = &[
    ("address", "address"),
    ("email", "address"),
    ("emailaddress", "address"),
    ("user", "address"),
    ("from", "from"),
    ("displayname", "display_name"),
    ("name", "display_name"),
    ("storeprotocol", "in.protocol"),
    ("storehost", "in.host"),
    ("storeport", "in.port"),
    ("storeuser", "in.user"),
    ("storeusername", "in.user"),
    ("storepassword", "in.password"),
    ("storefolder", "in.folder"),
    ("storeoauthenabled", "in.oauth"),
    ("storessl", "in.tls"),
    ("storesslenable", "in.tls"),
    ("storesslenabled", "in.tls"),
    ("storestarttls", "in.starttls"),
    ("storestarttlsenable", "in.starttls"),
    ("storestarttlsenabled", "in.starttls"),
    ("transportprotocol", "out.protocol"),
    ("transporthost", "out.host"),
    ("transportport", "out.port"),
    ("transportuser", "out.user"),
    ("transportusername", "out.user"),
    ("transportpassword", "out.password"),
    ("transportfrom", "from"),
    ("transportoauthenabled", "out.oauth"),
    ("transportssl", "out.tls"),
    ("transportsslenable", "out.tls"),
    ("transportsslenabled", "out.tls"),
    ("transportstarttls", "out.starttls"),
    ("transportstarttlsenable", "out.starttls"),
    ("transportstarttlsenabled", "out.starttls"),
    ("oauthauthorizeendpoint", "authorize"),
    ("oauthauthorizationendpoint", "authorize"),
    ("oauthauthorizeurl", "authorize"),
    ("oauthtokenendpoint", "token"),
    ("oauthtokenurl", "token"),
    ("oauthclientid", "client_id"),
    ("oauthclientsecret", "client_secret"),
    ("oauthscope", "scopes"),
    ("oauthscopes", "scopes"),
    ("oauthuser", "oauth_user"),
    ("oauthusername", "oauth_user"),
    ("oauthprompt", "prompt"),
    ("oauthgrant", "grant"),
    ("oauthgranttype", "grant"),
    ("oauthrefreshtoken", "refresh_token"),
    ("oauthredirect", "redirect"),
    ("oauthredirecturi", "redirect"),
    ("oauthredirecturl", "redirect"),
    ("oauthredirectendpoint", "redirect"),
];

/// What is each mailbox's own: central settings of these make no other mailbox's.
pub(super) const OWN: [&str; 8] = [
    "address",
    "from",
    "display_name",
    "in.user",
    "in.password",
    "out.user",
    "out.password",
    "refresh_token",
];

/// Whether what a setting means is secret.
pub(super) fn is_secret(word: &str) -> bool {
    ["in.password", "out.password", "client_secret", "refresh_token"].contains(&word)
}

/// A key as it may be told: what looks like no key of settings may be a secret that lost its own.
pub(super) fn tellable<'a>(key: &'a str, value: &str) -> &'a str {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_word = key.chars().all(|c| c.is_ascii_lowercase());
    let is_key = !value.is_empty() && key.len() <= 64 && key.chars().all(fits) && (is_word || key.contains(['.', '_', '-']));
    if parted(key).is_some() || is_key { key } else { "" }
}

pub(super) fn meaning(key: &str) -> Option<&'static str> {
    let plain: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    KEYS.iter().find(|(known, _)| *known == plain).map(|(_, word)| *word)
}

/// A mailbox's name and the rest of a key: `mailbox.support.mail.store.host` is `support` and `store.host`.
pub(super) fn parted(key: &str) -> Option<(&str, &str)> {
    let lower = key.to_ascii_lowercase();
    if lower.starts_with("mail.") {
        return Some(("", &key[5..]));
    }
    let at = lower.find(".mail.")?;
    let mut prefix = &key[..at];
    for word in ["mailboxes.", "mailbox.", "accounts.", "account."] {
        if lower.starts_with(word) && prefix.len() > word.len() {
            prefix = &key[word.len()..at];
            break;
        }
    }
    Some((prefix, &key[at + 6..]))
}
