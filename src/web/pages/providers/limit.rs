//! How an app of Microsoft's that gets its tokens itself is limited to its mailboxes: commands for the Exchange admin.

use crate::model::lint::is_guid;
use crate::model::provider::Provider;
use crate::model::scopes::{Resource, resource_of};

/// Commands, with what is known filled in.
pub struct Limit {
    /// For Graph: roles of Exchange in place of the app registration's permissions.
    pub graph: String,
    /// For IMAP, POP and SMTP: what opens one mailbox.
    pub exchange: String,
    /// Whether Graph's are to be shown; none: not chosen yet, so both.
    pub for_graph: Option<bool>,
}

/// The commands for an app of this client id.
pub fn limit(name: &str, client_id: &str, for_graph: Option<bool>) -> Limit {
    let client_id = client_id.trim();
    let client = if is_guid(client_id) { client_id } else { "<client id>" };
    // The name of a provider has no character that PowerShell reads as anything else.
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    let app = format!("New-ServicePrincipal -AppId {client} -ObjectId <enterprise object id> -DisplayName 'Mailgrant {plain}'");
    let mark = format!("'mailgrant-{plain}'");
    Limit {
        graph: [
            app.clone(),
            format!("Set-Mailbox -Identity <mailbox> -CustomAttribute1 {mark}"),
            format!("New-ManagementScope -Name 'Mailgrant {plain}' -RecipientRestrictionFilter \"CustomAttribute1 -eq {mark}\""),
            format!(
                "New-ManagementRoleAssignment -App <enterprise object id> -Role \"Application Mail.ReadWrite\" -CustomResourceScope 'Mailgrant {plain}'"
            ),
            format!(
                "New-ManagementRoleAssignment -App <enterprise object id> -Role \"Application Mail.Send\" -CustomResourceScope 'Mailgrant {plain}'"
            ),
            format!("Test-ServicePrincipalAuthorization -Identity 'Mailgrant {plain}' -Resource <mailbox> | Format-Table"),
        ]
        .join("\n"),
        exchange: [
            app,
            "Add-MailboxPermission -Identity <mailbox> -User <enterprise object id> -AccessRights FullAccess".to_owned(),
            "Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false".to_owned(),
        ]
        .join("\n"),
        for_graph,
    }
}

/// The commands for a stored provider.
pub fn of(provider: &Provider) -> Limit {
    let graph = resource_of(provider.template, &provider.scopes) == Some(Resource::Graph);
    limit(provider.name.as_str(), &provider.client_id, Some(graph))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_never_becomes_part_of_a_command_but_as_an_id_or_a_name() {
        let found = limit("a'; Remove-Mailbox x #", "$(calc)", None);
        for text in [found.graph, found.exchange] {
            assert!(!text.contains("calc") && !text.contains('#') && !text.contains("; "), "{text}");
        }
    }
}
