//! The binary on its own, without servers: files in, answers and exit statuses out.

mod answers;
mod audit;
mod config_apply;
mod config_secrets;
mod config_wrong;
mod diagnose;
mod limits;
mod master_key;
mod quiet;
mod serve;
mod user;

/// A provider, a token with a refresh token of another program, and a mailbox with a password on one side.
const CONTOSO: &str = r#"
[[provider]]
name = "contoso"
template = "microsoft"
tenant = "contoso.onmicrosoft.com"
client_id = "11112222-bbbb-3333-cccc-4444dddd5555"
client_secret = "canary8Q~client-secret"
client_secret_expires = "2099-05-01"

[[token]]
name = "support"
provider = "contoso"
user = "support@contoso.example"
refresh_token = "canary-refresh-token"

[[mailbox]]
name = "support"
address = "support@contoso.example"
display_name = "Contoso Support"
tags = ["helpdesk"]
[mailbox.incoming]
host = "outlook.office365.com"
token = "support"
[mailbox.outgoing]
host = "smtp.contoso.example"
auth = "password"
username = "robot"
password = "canary-mailbox-password"
bcc = ["archive@contoso.example"]
"#;
