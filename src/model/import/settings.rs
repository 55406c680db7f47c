//! Settings of other products, central or for each mailbox, turned into providers, tokens and mailboxes. Central ones stand before any
//! block and have no prefix; those of a mailbox stand in a block `[support]` or have a prefix, `mailbox.support.mail.store.host`, and
//! go before the central ones.

use super::keys::{OWN, meaning, parted, tellable};
use super::looks;
use super::properties::{self, Setting};
use super::provider_of::{self, Application};
use super::side::Side;
use super::{Document, Fault, Format};
use crate::model::Name;
use crate::model::config_file::{Entry, Field, Value};
use crate::model::mailbox::check_address;
use std::collections::{BTreeMap, BTreeSet};

/// The settings of one mailbox, by meaning.
#[derive(Default)]
pub(super) struct Group {
    pub name: String,
    line: usize,
    values: BTreeMap<&'static str, Setting>,
}

/// A group with the central settings behind it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    own: &'a Group,
    central: &'a Group,
}

impl<'a> View<'a> {
    pub(super) fn get(self, word: &str) -> Option<&'a Setting> {
        let central = || self.central.values.get(word).filter(|_| !OWN.contains(&word));
        let found = self.own.values.get(word).or_else(central);
        found.filter(|setting| !setting.value.trim().is_empty())
    }

    pub(super) fn text(self, word: &str) -> Option<&'a str> {
        self.get(word).map(|setting| setting.value.trim())
    }

    pub(super) fn flag(self, word: &str) -> Option<bool> {
        self.text(word).and_then(flag)
    }
}

/// What is meant by on and off.
fn flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "y" | "t" | "enabled" => Some(true),
        "false" | "no" | "off" | "0" | "n" | "f" | "disabled" => Some(false),
        _ => None,
    }
}

pub(super) fn read(text: &str) -> Result<Document, Vec<Fault>> {
    let (settings, faults) = properties::read(text);
    if let Some(what) = looks::by_settings(text, &settings) {
        return Err(vec![looks::told(what)]);
    }
    let mut document = Document::new(Format::Settings);
    document.faulty = faults.len();
    document.faults = faults;
    let groups = gathered(&mut document, settings);
    let central = &groups[0];
    let mut applications: Vec<Application> = Vec::new();
    let mut names = BTreeSet::new();
    let alone = groups.len() == 1;
    for (at, own) in groups.iter().enumerate() {
        let view = View { own, central };
        let has_sides = own.values.keys().any(|word| word.starts_with("in.") || word.starts_with("out."));
        let is_mailbox = at > 0 || (has_sides && (alone || ["address", "in.user"].iter().any(|word| own.values.contains_key(word))));
        if !is_mailbox {
            for setting in OWN.iter().filter_map(|word| own.values.get(word)) {
                let why = "It is of one mailbox, and stands among what is for all of them";
                document.leave_out(setting.line, &setting.key, why);
            }
            continue;
        }
        mailbox(&mut document, &mut applications, &mut names, view);
    }
    if document.file.mailboxes.is_empty() && central.values.contains_key("client_id") {
        let view = View { own: central, central };
        let found = provider_of::find(&mut document, &mut applications, view, &[]);
        if found.is_none() {
            document.faulty += 1;
        }
    }
    for application in applications {
        let entry = application.entry;
        document.file.providers.push(entry);
    }
    Ok(document)
}

/// The settings by mailbox, the central ones first; what isn't known is left out.
fn gathered(document: &mut Document, settings: Vec<Setting>) -> Vec<Group> {
    let mut groups = vec![Group::default()];
    for setting in settings {
        let Some((prefix, rest)) = parted(&setting.key) else {
            let key = tellable(&setting.key, &setting.value);
            document.leave_out(setting.line, key, "This isn't a setting of mail");
            continue;
        };
        let block = setting.block.strip_prefix("mailbox.").unwrap_or(&setting.block);
        let name = if prefix.is_empty() { block } else { prefix };
        let Some(word) = meaning(rest) else {
            document.leave_out(setting.line, &setting.key, "There is nothing like it here");
            continue;
        };
        if word == "redirect" {
            let why = "People come back to this console's own address now. It stands on the provider's page: register it there";
            document.leave_out(setting.line, &setting.key, why);
            continue;
        }
        let is_flag = [".oauth", ".tls", ".starttls"].iter().any(|end| word.ends_with(end));
        if is_flag && !setting.value.trim().is_empty() && flag(&setting.value).is_none() {
            let help = "Write true or false, and nothing behind it";
            document.faulty += 1;
            document.fault(setting.line, &setting.key, "This is neither true nor false", Some(help));
            continue;
        }
        let at = groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
            groups.push(Group {
                name: name.to_owned(),
                line: setting.line,
                values: BTreeMap::new(),
            });
            groups.len() - 1
        });
        if let Some(earlier) = groups[at].values.insert(word, setting.clone()) {
            let why = format!("It is set again in line {}, and the last one counts", setting.line);
            document.leave_out(earlier.line, &earlier.key, why);
        }
    }
    groups
}

/// Puts fields into an entry, each with the place its value stands at.
pub(super) struct Fields<'a> {
    pub document: &'a mut Document,
    pub entry: Entry,
}

impl<'a> Fields<'a> {
    pub(super) fn new(document: &'a mut Document, line: usize, key: &str) -> Self {
        let line = document.mark(line, key);
        Self {
            document,
            entry: Entry {
                line,
                fields: BTreeMap::new(),
                faulty: false,
            },
        }
    }

    pub(super) fn text(&mut self, key: &str, value: impl Into<String>, from: Option<&Setting>) {
        self.value(key, Value::Text(value.into()), from);
    }

    pub(super) fn value(&mut self, key: &str, value: Value, from: Option<&Setting>) {
        let line = from.map_or(self.entry.line, |setting| self.document.mark(setting.line, &setting.key));
        self.entry.fields.insert(key.to_owned(), Field { line, value });
    }

    pub(super) fn copy(&mut self, key: &str, from: Option<&Setting>) {
        if let Some(setting) = from {
            self.text(key, setting.value.trim(), Some(setting));
        }
    }
}

fn address_of(view: View<'_>) -> Option<(String, Option<&Setting>)> {
    let said = ["address", "in.user", "out.user", "oauth_user", "from"]
        .into_iter()
        .filter_map(|word| view.get(word))
        .find_map(|setting| check_address(setting.value.trim()).map(|address| (address, Some(setting))));
    said.or_else(|| check_address(&view.own.name).map(|address| (address, None)))
}

fn mailbox(document: &mut Document, applications: &mut Vec<Application>, names: &mut BTreeSet<String>, view: View<'_>) {
    let line = view
        .own
        .values
        .values()
        .map(|setting| setting.line)
        .min()
        .unwrap_or(view.own.line)
        .max(1);
    let found = address_of(view);
    if found.is_none() {
        let help = "Add mail.store.user with the address of the mailbox";
        document.fault(line, &view.own.name, "This mailbox has no address", Some(help));
    }
    let sides = [Side::incoming(view), Side::outgoing(view)];
    let oauth = sides.iter().flatten().any(|side| side.oauth);
    let protocols: Vec<&str> = sides.iter().flatten().map(|side| side.protocol).collect();
    let application = oauth.then(|| provider_of::find(document, applications, view, &protocols));
    let (Some((address, address_from)), false) = (found, application == Some(None)) else {
        document.faulty += 1;
        return;
    };
    let application = application.flatten().map(|at| &applications[at]);
    let wanted = Name::parse(&view.own.name).ok().or_else(|| Name::suggest(&address));
    let name = wanted.map_or_else(String::new, |name| provider_of::free(name.as_str(), names));
    let kind = application.map(|application| application.kind);
    if let Some(application) = application {
        token(document, application, view, &name, &address);
    }
    let mut fields = Fields::new(document, line, &view.own.name);
    fields.text("name", name.clone(), None);
    fields.text("address", address.clone(), address_from);
    fields.copy("display_name", view.get("display_name"));
    for side in sides.into_iter().flatten() {
        side.write(&mut fields, view, kind, &name, &address);
    }
    fields.copy("outgoing.from", view.get("from").filter(|from| from.value.trim() != address));
    if !fields.entry.has_table("outgoing") {
        fields.entry.fields.remove("outgoing.from");
    }
    let entry = fields.entry;
    document.file.mailboxes.push(entry);
}

fn token(document: &mut Document, application: &Application, view: View<'_>, name: &str, address: &str) {
    let scopes = provider_of::scopes_for(application, view);
    let from = view.get("scopes");
    let mut fields = Fields::new(document, view.own.line.max(1), &view.own.name);
    fields.text("name", name, None);
    fields.text("provider", application.name.clone(), None);
    let user = ["oauth_user", "in.user", "out.user"].into_iter().filter_map(|word| view.get(word));
    let user = user.into_iter().find(|user| check_address(user.value.trim()).is_some());
    fields.text("user", user.map_or(address, |user| user.value.trim()), user);
    if scopes != application.scopes {
        fields.value("scopes", Value::List(scopes), from);
    }
    fields.copy("grant", view.get("grant"));
    fields.copy("prompt", view.get("prompt"));
    fields.copy("refresh_token", view.get("refresh_token"));
    let entry = fields.entry;
    document.file.tokens.push(entry);
}

#[cfg(test)]
mod tests {
    use super::super::{Document, read};

    fn told(document: &Document) -> Vec<String> {
        let mut all = Vec::new();
        let file = &document.file;
        for (kind, entries) in [("provider", &file.providers), ("token", &file.tokens), ("mailbox", &file.mailboxes)] {
            for entry in entries {
                let fields: Vec<String> = entry
                    .fields
                    .keys()
                    .map(|key| match (entry.text(key), entry.list(key)) {
                        (Some(text), _) => format!("{key}={text}"),
                        (_, Some(list)) => format!("{key}={}", list.join(" ")),
                        _ => key.clone(),
                    })
                    .collect();
                all.push(format!("{kind} {}", fields.join("; ")));
            }
        }
        all
    }

    const CENTRAL: &str = "mail.store.protocol=imap\nmail.store.host=outlook.office365.com\nmail.store.port=993\nmail.store.oauth.enabled=true\n\
        mail.transport.host=smtp.office365.com\nmail.transport.port=587\nmail.transport.oauth.enabled=true\n\
        mail.oauth.authorize.endpoint=https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/authorize\n\
        mail.oauth.token.endpoint=https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token\n\
        mail.oauth.client.id=11112222-bbbb-3333-cccc-4444dddd5555\nmail.oauth.client.secret=canary\n\
        mail.oauth.scopes=offline_access,https://outlook.office.com/IMAP.AccessAsUser.All,https://outlook.office.com/SMTP.Send,https://graph.microsoft.com/Mail.Send\n\
        mail.oauth.redirect.uri=https://old.example/callback\nmail.debug=true\n";

    #[test]
    fn central_settings_become_a_provider_with_a_token_and_a_mailbox() {
        let document = read(&format!("{CENTRAL}mail.store.user=support@contoso.com\n")).unwrap();
        assert_eq!(
            told(&document),
            [
                "provider client_id=11112222-bbbb-3333-cccc-4444dddd5555; client_secret=canary; name=contoso; \
                 scopes=https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access; \
                 template=microsoft; tenant=contoso.onmicrosoft.com",
                "token name=support; provider=contoso; user=support@contoso.com",
                "mailbox address=support@contoso.com; incoming.auth=oauth2; incoming.host=outlook.office365.com; incoming.port=993; \
                 incoming.protocol=imap; incoming.security=tls; incoming.token=support; name=support; outgoing.auth=oauth2; \
                 outgoing.host=smtp.office365.com; outgoing.port=587; outgoing.protocol=smtp; outgoing.security=starttls; outgoing.token=support",
            ]
        );
        let left: Vec<&str> = document.left_out.iter().map(|fault| fault.place.key.as_str()).collect();
        assert_eq!(left, ["mail.oauth.redirect.uri", "mail.debug", "mail.oauth.scopes"]);
    }

    #[test]
    fn each_mailbox_has_its_own_settings_before_the_central_ones() {
        let text = format!(
            "{CENTRAL}mailbox.support.mail.store.user=support@contoso.com\nmailbox.hr.mail.store.user=hr@contoso.com\n\
             mailbox.hr.mail.store.protocol=pop3\nmailbox.hr.mail.store.port=995\n[info@contoso.com]\nmail.store.oauth.enabled=true\n\
             [broken]\nmail.store.oauth.enabled=true\n"
        );
        let document = read(&text).unwrap();
        let names: Vec<_> = document.file.mailboxes.iter().filter_map(|entry| entry.text("name")).collect();
        assert_eq!(names, ["support", "hr", "info"]);
        assert_eq!(
            (document.file.providers.len(), document.file.tokens.len(), document.faulty),
            (1, 3, 1)
        );
        let hr = told(&document)
            .into_iter()
            .find(|line| line.starts_with("mailbox address=hr@"))
            .unwrap();
        assert!(
            hr.contains("incoming.port=995; incoming.protocol=pop3; incoming.security=tls"),
            "{hr}"
        );
        assert_eq!(document.faults[0].message, "This mailbox has no address");
    }

    #[test]
    fn google_and_strangers_are_told_apart_by_their_endpoints() {
        let at = |host: &str| {
            let text = format!(
                "mail.store.user=a@b.example\nmail.store.host=imap.b.example\nmail.store.oauth.enabled=true\nmail.oauth.client.id=x\n\
                 mail.oauth.token.endpoint=https://{host}/token\nmail.oauth.authorize.endpoint=https://{host}/authorize\n"
            );
            told(&read(&text).unwrap()).remove(0)
        };
        assert!(at("oauth2.googleapis.com").contains("name=google; template=google"));
        let other = at("login.example.net");
        assert!(
            other.contains("template=custom; token_url=https://login.example.net/token"),
            "{other}"
        );
    }

    /// As they come out of real systems: every way to part and to escape, leftovers, and secrets in odd places.
    const UGLY: &str = "! exported by hand\r\n#mail.store.password=canary-comment\r\n  mail.store.protocol      = imaps\r\n\
        mail.store.host\t\toutlook.office365.com\r\nmail.store.port:993\r\nmail.store.oauth.enabled : TRUE\r\n\
        mail.store.password = canary-old \\\r\n    canary-older\r\nmail.transport.host=smtp.office365.com\r\nmail.transport.port=587\r\n\
        mail.transport.oauth.enabled=maybe # ask Maija\r\nmail.transport.oauth.enabled=yes\r\n\
        mail.oauth.authorize.endpoint=https\\://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/authorize\r\n\
        mail.oauth.token.endpoint=https\\://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token\r\n\
        mail.oauth.client.id = 11112222-bbbb-3333-cccc-4444dddd5555\r\nmail.oauth.client.secret=first\r\n\
        mail.oauth.client.secret=can\\u0061ry\\=\\:1\r\n\
        mail.oauth.scopes= offline_access , https\\://outlook.office.com/IMAP.AccessAsUser.All,\\\r\n\t https\\://outlook.office.com/SMTP.Send\r\n\
        mail.store.ssl.trust=*\r\nlog4j.rootLogger=DEBUG\r\neyJcanary.canary.canary\r\nMIIcanary+canary/canary==\r\n\
        mailbox.support.mail.store.user=support@contoso.com\r\nmailbox.support.mail.display.name=J\\u00e4rvi\\u0020Oy\r\n";

    #[test]
    fn ugly_files_are_read_and_what_is_left_out_is_named_without_its_secrets() {
        let document = read(UGLY).unwrap();
        let all = told(&document);
        assert!(all[0].contains("client_secret=canary=:1; name=contoso"), "{}", all[0]);
        assert!(
            all[0].contains("scopes=https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access"),
            "{}",
            all[0]
        );
        assert!(all[2].contains("display_name=Järvi Oy; incoming.auth=oauth2"), "{}", all[2]);
        assert!(
            all[2].contains("incoming.security=tls") && all[2].contains("outgoing.auth=oauth2"),
            "{}",
            all[2]
        );
        assert_eq!(all.len(), 3);
        let faults: Vec<_> = document
            .faults
            .iter()
            .map(|fault| (fault.place.line, fault.message.as_str()))
            .collect();
        assert_eq!(faults, [(11, "This is neither true nor false")]);
        let left: Vec<_> = document
            .left_out
            .iter()
            .map(|left| (left.place.line, left.place.key.as_str()))
            .collect();
        for expected in [
            (7, "mail.store.password"),
            (16, "mail.oauth.client.secret"),
            (20, "mail.store.ssl.trust"),
            (21, "log4j.rootLogger"),
            (22, ""),
            (23, ""),
        ] {
            assert!(left.contains(&expected), "{expected:?}: {left:?}");
        }
        assert!(!format!("{:?} {:?}", document.left_out, document.faults).contains("canary"));
    }
}
