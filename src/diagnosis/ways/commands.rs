//! Commands for whoever can fix it outside, with places to fill in. Every command of the console is made from these lines.

use super::Scene;
use crate::model::mailbox::Security;
use crate::model::words;

words!(
    /// A command line.
    Line {
        /// Exchange: makes an app known.
        NewServicePrincipal = "new_service_principal",
        /// Exchange: shows the apps it knows.
        GetServicePrincipal = "get_service_principal",
        /// Exchange: opens a mailbox to somebody.
        FullAccess = "full_access",
        /// Exchange: who may open a mailbox.
        ShowFullAccess = "show_full_access",
        /// Exchange: lets somebody send as an address.
        SendAs = "send_as",
        /// Exchange: who may send as a mailbox.
        ShowSendAs = "show_send_as",
        /// Exchange: turns SMTP AUTH on.
        SmtpOn = "smtp_on",
        /// Exchange: whether SMTP AUTH is off.
        ShowSmtp = "show_smtp",
        /// Exchange: whether SMTP AUTH is off for the tenant.
        ShowTenantSmtp = "show_tenant_smtp",
        /// Exchange: turns IMAP on.
        ImapOn = "imap_on",
        /// Exchange: whether IMAP is on.
        ShowImap = "show_imap",
        /// Exchange: turns POP on.
        PopOn = "pop_on",
        /// Exchange: whether POP is on.
        ShowPop = "show_pop",
        /// Exchange: what an access policy says.
        TestPolicy = "test_policy",
        /// Exchange: which access policies there are for the app.
        ShowPolicies = "show_policies",
        /// Exchange: lets a mailbox into the group of a policy.
        JoinGroup = "join_group",
        /// Exchange: what roles say.
        TestAuthorization = "test_authorization",
        /// Exchange: which mailboxes a role's scope holds.
        ShowScope = "show_scope",
        /// Exchange: where a mailbox is.
        ShowRecipient = "show_recipient",
        /// Exchange: shows the mark of a mailbox.
        ShowMark = "show_mark",
        /// Exchange: marks a mailbox.
        Mark = "mark",
        /// Exchange: a scope of marked mailboxes.
        NewScope = "new_scope",
        /// Exchange: a role for an app in a scope.
        AssignRole = "assign_role",
        /// Exchange: the largest message a mailbox sends.
        MaxSendSize = "max_send_size",
        /// Here: asks the name service.
        Lookup = "lookup",
        /// Here: whether a port is open.
        Reach = "reach",
        /// Here: the certificate of a server.
        ShowCertificate = "show_certificate",
        /// Here: the certificate after STARTTLS.
        ShowStarttlsCertificate = "show_starttls_certificate",
        /// Here: how far the clock is off.
        ShowClock = "show_clock",
        /// Here: keeps the clock right.
        SetClock = "set_clock",
    }
);

impl Line {
    /// The line, its places in angle brackets.
    pub const fn template(self) -> &'static str {
        match self {
            Self::NewServicePrincipal => "New-ServicePrincipal -AppId <client id> -ObjectId <enterprise object id> -DisplayName <app name>",
            Self::GetServicePrincipal => "Get-ServicePrincipal | Format-List DisplayName, AppId, ObjectId",
            Self::FullAccess => "Add-MailboxPermission -Identity <mailbox> -User <trustee> -AccessRights FullAccess",
            Self::ShowFullAccess => "Get-MailboxPermission -Identity <mailbox> -User <trustee>",
            Self::SendAs => "Add-RecipientPermission -Identity <from address> -Trustee <trustee> -AccessRights SendAs -Confirm:$false",
            Self::ShowSendAs => "Get-RecipientPermission -Identity <from address> -Trustee <trustee>",
            Self::SmtpOn => "Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false",
            Self::ShowSmtp => "Get-CASMailbox -Identity <mailbox> | Format-List SmtpClientAuthenticationDisabled",
            Self::ShowTenantSmtp => "Get-TransportConfig | Format-List SmtpClientAuthenticationDisabled",
            Self::ImapOn => "Set-CASMailbox -Identity <mailbox> -ImapEnabled $true",
            Self::ShowImap => "Get-CASMailbox -Identity <mailbox> | Format-List ImapEnabled",
            Self::PopOn => "Set-CASMailbox -Identity <mailbox> -PopEnabled $true",
            Self::ShowPop => "Get-CASMailbox -Identity <mailbox> | Format-List PopEnabled",
            Self::TestPolicy => "Test-ApplicationAccessPolicy -Identity <mailbox> -AppId <client id>",
            Self::ShowPolicies => {
                "Get-ApplicationAccessPolicy | Where-Object AppId -eq <client id> | Format-List AccessRight, ScopeName, ScopeIdentity"
            }
            Self::JoinGroup => "Add-DistributionGroupMember -Identity <group of the policy> -Member <mailbox>",
            // By its id: the name in Exchange is whatever somebody gave it there.
            Self::TestAuthorization => "Test-ServicePrincipalAuthorization -Identity <client id> -Resource <mailbox> | Format-Table",
            Self::ShowScope => "Get-ManagementScope -Identity <scope of the role> | Format-List RecipientFilter",
            Self::ShowRecipient => "Get-Recipient -Identity <mailbox> | Format-List RecipientType, RecipientTypeDetails",
            Self::ShowMark => "Get-Mailbox <mailbox> | Format-Table Name, CustomAttribute1",
            Self::Mark => "Set-Mailbox -Identity <mailbox> -CustomAttribute1 <mark>",
            Self::NewScope => "New-ManagementScope -Name <scope name> -RecipientRestrictionFilter \"CustomAttribute1 -eq <mark>\"",
            Self::AssignRole => {
                "New-ManagementRoleAssignment -App <enterprise object id> -Role \"<role>\" -CustomResourceScope <scope name>"
            }
            Self::MaxSendSize => "Set-Mailbox -Identity <mailbox> -MaxSendSize 150MB",
            Self::Lookup => "nslookup <host>",
            Self::Reach => "nc -vz <host> <port>",
            Self::ShowCertificate => "openssl s_client -connect <host>:<port> -servername <host> -showcerts </dev/null",
            Self::ShowStarttlsCertificate => {
                "openssl s_client -starttls <protocol> -connect <host>:<port> -servername <host> -showcerts </dev/null"
            }
            Self::ShowClock => "timedatectl status",
            Self::SetClock => "timedatectl set-ntp true",
        }
    }

    /// Where it is typed.
    pub const fn shell(self) -> Shell {
        match self {
            Self::Lookup | Self::Reach | Self::ShowCertificate | Self::ShowStarttlsCertificate | Self::ShowClock | Self::SetClock => {
                Shell::Server
            }
            _ => Shell::Exchange,
        }
    }

    /// The line for a connection as it is: where encryption begins later, the certificate is shown only to whoever asks for it first.
    pub fn fitting(self, scene: &Scene) -> Self {
        match self {
            Self::ShowCertificate if scene.security == Some(Security::Starttls) => Self::ShowStarttlsCertificate,
            line => line,
        }
    }

    /// The line with its values; a place without one keeps its placeholder.
    pub fn with(self, value: impl Fn(&str) -> String) -> String {
        let shell = self.shell();
        fill(self.template(), |place| {
            let value = value(place);
            match place {
                // Not a value: one of our own words.
                "role" => value,
                "protocol" => value.to_ascii_lowercase().replace("pop", "pop3"),
                _ if value.is_empty() => value,
                _ => shell.quoted(&value),
            }
        })
    }
}

/// Where a command is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shell {
    /// PowerShell, connected to Exchange Online.
    Exchange,
    /// A shell on this server.
    Server,
}

impl Shell {
    /// What to do before, in a sentence.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Exchange => "In PowerShell, after Connect-ExchangeOnline",
            Self::Server => "On this console's server",
        }
    }

    /// A value as this shell takes it literally.
    pub fn quoted(self, text: &str) -> String {
        match self {
            Self::Exchange if crate::model::lint::is_guid(text) => text.to_owned(),
            Self::Exchange => quoted(text),
            Self::Server if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".:-_@".contains(c)) => text.to_owned(),
            Self::Server => {
                let clean: String = text.chars().filter(|c| !c.is_control()).collect();
                format!("'{}'", clean.replace('\'', r"'\''"))
            }
        }
    }
}

/// A text as PowerShell takes it literally: in quotes, of which it knows five kinds.
pub fn quoted(text: &str) -> String {
    let clean = text.chars().filter(|c| !c.is_control());
    let doubled: String = clean
        .flat_map(|c| std::iter::repeat_n(c, if "'\u{2018}\u{2019}\u{201a}\u{201b}".contains(c) { 2 } else { 1 }))
        .collect();
    format!("'{doubled}'")
}

/// The places that are left in a text, each once.
pub fn places(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('<') {
        let rest = &text[at + 1..];
        let place = rest.find('>').and_then(|end| rest.get(..end)).filter(|place| is_place(place));
        found.extend(place.filter(|place| !found.contains(place)));
    }
    found
}

fn is_place(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || " '".contains(c))
}

/// Where whoever types a command finds what stands in place of a placeholder.
pub fn where_to_find(place: &str) -> Option<&'static str> {
    Some(match place {
        "mailbox" => "the address of the mailbox",
        "account" => "the account that signs in",
        "from address" => "the address that mail is sent as",
        "client id" => "Entra admin center > App registrations > the app > Overview, Application (client) ID",
        "enterprise object id" => {
            "Entra admin center > Enterprise apps > the app > Overview, Object ID; not the one of the app registration"
        }
        "app name" => "any name you will know the app by",
        "group of the policy" => "the ScopeName that the command before it shows",
        "scope of the role" => "what the command before it calls AllowedResourceScope",
        "mark" => "the value that the filter compares CustomAttribute1 with",
        "scope name" => "any name you will know the scope by",
        "host" => "the server's name",
        "port" => "its port",
        "protocol" => "imap, pop3 or smtp",
        _ => return None,
    })
}

/// Fills the places of a text; one without a value stays as it is. What is filled in is not looked at again.
pub fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('<') {
        let (before, place) = rest.split_at(at);
        out.push_str(before);
        let Some(end) = place.find('>').filter(|end| is_place(&place[1..*end])) else {
            out.push('<');
            rest = &place[1..];
            continue;
        };
        let found = value(&place[1..end]);
        out.push_str(if found.is_empty() { &place[..=end] } else { &found });
        rest = &place[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_breaks_out_of_its_quotes() {
        assert_eq!(quoted("o'brien@b.test"), "'o''brien@b.test'");
        assert_eq!(quoted("x\u{2019}; Remove-Mailbox a\n"), "'x\u{2019}\u{2019}; Remove-Mailbox a'");
        assert_eq!(quoted("$(calc) `n"), "'$(calc) `n'");
        assert_eq!(Shell::Server.quoted("mail.b.test"), "mail.b.test");
        assert_eq!(Shell::Server.quoted("a'; rm -r b\n"), r"'a'\''; rm -r b'");
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let value = |place: &str| {
            if place == "mailbox" {
                "<account>@b.test".to_owned()
            } else {
                String::new()
            }
        };
        assert_eq!(
            fill("a < b <mailbox> <account> </dev/null", value),
            "a < b <account>@b.test <account> </dev/null"
        );
    }
}
