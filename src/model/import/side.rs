//! How a mailbox reads or sends, by the settings of another product.

use super::settings::{Fields, View};
use crate::model::provider::Cloud;
use crate::model::template::{MailServers, TemplateKind, mail_servers};

/// One side as the settings have it.
pub(super) struct Side {
    table: &'static str,
    short: &'static str,
    pub protocol: &'static str,
    security: Option<&'static str>,
    pub oauth: bool,
}

impl Side {
    pub(super) fn incoming(view: View<'_>) -> Option<Self> {
        let said = view.text("in.protocol").map(str::to_ascii_lowercase);
        let (protocol, tls) = match said.as_deref() {
            Some("pop3" | "pop") => ("pop3", false),
            Some("pop3s" | "pops") => ("pop3", true),
            Some("graph" | "msgraph" | "microsoft graph") => ("graph", false),
            Some("imaps") => ("imap", true),
            None => (
                if matches!(view.text("in.port"), Some("995" | "110")) {
                    "pop3"
                } else {
                    "imap"
                },
                false,
            ),
            Some(_) => ("imap", false),
        };
        Self::of(view, "incoming", "in", protocol, tls)
    }

    pub(super) fn outgoing(view: View<'_>) -> Option<Self> {
        let said = view.text("out.protocol").map(str::to_ascii_lowercase);
        let (protocol, tls) = match said.as_deref() {
            Some("graph" | "msgraph" | "microsoft graph") => ("graph", false),
            Some("smtps") => ("smtp", true),
            _ => ("smtp", false),
        };
        Self::of(view, "outgoing", "out", protocol, tls)
    }

    fn of(view: View<'_>, table: &'static str, short: &'static str, protocol: &'static str, tls: bool) -> Option<Self> {
        let word = |end: &str| format!("{short}.{end}");
        let is_there = ["protocol", "host", "user", "oauth"]
            .iter()
            .any(|end| view.get(&word(end)).is_some());
        if !is_there {
            return None;
        }
        let security = match view.text(&word("port")) {
            _ if tls || view.flag(&word("tls")) == Some(true) => Some("tls"),
            _ if view.flag(&word("starttls")) == Some(true) => Some("starttls"),
            Some("993" | "995" | "465") => Some("tls"),
            Some("143" | "110" | "587" | "25") => Some("starttls"),
            _ => None,
        };
        let oauth = view
            .flag(&word("oauth"))
            .unwrap_or_else(|| view.get(&word("password")).is_none() && view.get("client_id").is_some());
        Some(Self {
            table,
            short,
            protocol,
            security,
            oauth,
        })
    }

    pub(super) fn write(&self, fields: &mut Fields<'_>, view: View<'_>, kind: Option<TemplateKind>, token: &str, address: &str) {
        let key = |end: &str| format!("{}.{end}", self.table);
        let from = |end: &str| view.get(&format!("{}.{end}", self.short));
        fields.text(&key("protocol"), self.protocol, from("protocol"));
        if self.protocol != "graph" {
            match from("host") {
                Some(host) => {
                    fields.copy(&key("host"), Some(host));
                    fields.copy(&key("port"), from("port"));
                    if let Some(security) = self.security {
                        fields.text(&key("security"), security, None);
                    }
                }
                None => self.usual_server(fields, kind),
            }
        }
        if self.oauth {
            fields.text(&key("auth"), "oauth2", from("oauth"));
            fields.text(&key("token"), token, None);
            if let Some(password) = from("password") {
                let why = "This side signs in with a token, so its password stays out";
                fields.document.leave_out(password.line, &password.key, why);
            }
        } else if from("password").is_some() || self.table == "incoming" || from("user").is_some() {
            fields.text(&key("auth"), "password", from("oauth"));
            fields.copy(&key("password"), from("password"));
        } else {
            fields.text(&key("auth"), "none", from("oauth"));
        }
        fields.copy(&key("username"), from("user").filter(|user| user.value.trim() != address));
        if self.table == "incoming" && self.protocol != "pop3" {
            fields.copy(&key("folder"), from("folder"));
        }
    }

    fn usual_server(&self, fields: &mut Fields<'_>, kind: Option<TemplateKind>) {
        let servers: Option<MailServers> = kind.and_then(|kind| mail_servers(kind, Cloud::Global, None, None));
        let Some(servers) = servers else { return };
        let endpoint = match self.protocol {
            "pop3" => servers.pop,
            "imap" => servers.imap,
            _ => servers.smtp,
        };
        let key = |end: &str| format!("{}.{end}", self.table);
        fields.text(&key("host"), endpoint.host, None);
        fields.text(&key("port"), endpoint.port.to_string(), None);
        fields.text(&key("security"), endpoint.security.as_str(), None);
    }
}
