//! The table of `ux.md` 6.6 as failed runs: what was seen, at which mailbox, and what its page must have.

use mailgrant::diagnosis::own;
use mailgrant::model::report::{Direction, Stage};

pub const CLIENT: &str = "11112222-bbbb-3333-cccc-4444dddd5555";
const GOOGLE: &str = "123456789012-abcdefghijklmnop.apps.googleusercontent.com";
pub const CANARY: &str = "canary-of-the-client-secret";

/// Providers, tokens and mailboxes for all rows; nobody connects to these.
pub fn records() -> String {
    let certificate = include_str!("../../data/certificates/pkcs8.pem");
    let mailbox = |name: &str, address: &str, token: &str, more: &str| {
        let auth = match token {
            "" => "auth = \"password\"\n".to_owned(),
            token => format!("token = \"{token}\"\n"),
        };
        format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\n\
             [mailbox.incoming]\nprotocol = \"imap\"\nhost = \"outlook.office365.com\"\nport = 143\nsecurity = \"starttls\"\n{auth}\
             [mailbox.outgoing]\nprotocol = \"smtp\"\nhost = \"smtp.office365.com\"\nport = 587\nsecurity = \"starttls\"\n{auth}{more}"
        )
    };
    let token = |name: &str, provider: &str, grant: &str, user: &str| {
        // A token that serves another address than its own has to be allowed to, when it is saved.
        let shared = if name == "maija" { "shared = true\n" } else { "" };
        let user = if user.is_empty() {
            String::new()
        } else {
            format!("user = \"{user}\"\n")
        };
        format!("[[token]]\nname = \"{name}\"\nprovider = \"{provider}\"\ngrant = \"{grant}\"\n{user}{shared}")
    };
    [
        format!(
            "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"contoso.onmicrosoft.com\"\nclient_id = \"{CLIENT}\"\n\
             client_secret = \"{CANARY}\"\n"
        ),
        format!(
            "[[provider]]\nname = \"litware\"\ntemplate = \"microsoft\"\ntenant = \"litware.onmicrosoft.com\"\nclient_id = \"{CLIENT}\"\n\
             client_auth = \"certificate\"\ngrant = \"client_credentials\"\nscopes = [\"https://graph.microsoft.com/.default\"]\n\
             certificate = \"\"\"\n{certificate}\"\"\"\n"
        ),
        format!("[[provider]]\nname = \"gmail\"\ntemplate = \"google\"\nclient_id = \"{GOOGLE}\"\nclient_secret = \"{CANARY}\"\n"),
        token("own", "contoso", "authorization_code", "own@contoso.test"),
        token("maija", "contoso", "authorization_code", "maija@contoso.test"),
        token("hr", "contoso", "authorization_code", "hr@contoso.test"),
        token("robot", "litware", "client_credentials", ""),
        token("post", "gmail", "authorization_code", "post@contoso.test"),
        mailbox("own", "own@contoso.test", "own", "from = \"sales@contoso.test\"\n"),
        mailbox("hr", "hr@contoso.test", "maija", ""),
        mailbox("app", "app@contoso.test", "robot", ""),
        mailbox("post", "post@contoso.test", "post", ""),
        mailbox("old", "old@contoso.test", "", ""),
    ]
    .join("\n")
}

/// What the page must have.
pub enum First {
    /// A link with these words to this address; there, this element has this attribute.
    Go(&'static str, &'static str, &'static str),
    /// A form with these words to this address, with this prompt; none: without.
    Send(&'static str, &'static str, &'static str),
    /// A command with this in it.
    Command(&'static str),
    /// A value to copy with this in it.
    Value(&'static str),
    /// A request with this in it.
    Request(&'static str),
    /// Nothing but a test once more.
    Again,
}

pub struct Row {
    pub seen: &'static str,
    /// Entry whose example the server says, or our own finding.
    pub says: &'static str,
    pub mailbox: &'static str,
    pub direction: Direction,
    pub step: Stage,
    pub cause: &'static str,
    pub who: &'static str,
    pub first: First,
}

pub const IN: Direction = Direction::Incoming;
const OUT: Direction = Direction::Outgoing;
const USER: &str = "the mailbox's user";
const PORTAL: &str = "Entra or Google admin";
const EXCHANGE: &str = "Exchange admin";
/// Whoever reads it.
pub const YOU: &str = "you";
const SECRET: First = First::Go("Replace secret", "/providers/contoso/secret", "#client_secret");

#[allow(clippy::too_many_arguments, reason = "a row of a table")]
pub const fn row(
    seen: &'static str,
    says: &'static str,
    mailbox: &'static str,
    direction: Direction,
    step: Stage,
    cause: &'static str,
    who: &'static str,
    first: First,
) -> Row {
    Row {
        seen,
        says,
        mailbox,
        direction,
        step,
        cause,
        who,
        first,
    }
}

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("IMAP: User is authenticated but not connected", "imap-exchange-authenticated-not-connected", "hr", IN, Stage::Select,
        "The token belongs to somebody else than the mailbox", USER,
        First::Go("Use a token of its own", "/mailboxes/hr/edit?fix=token&side=incoming#token", "#token option[value=hr][selected]")),
    row("SMTP 535 5.7.139: SmtpClientAuthentication is disabled", "smtp-exchange-auth-disabled-mailbox", "own", OUT, Stage::Auth,
        "SMTP sign-in is turned off for this mailbox", EXCHANGE,
        First::Command("Set-CASMailbox -Identity 'own@contoso.test' -SmtpClientAuthenticationDisabled $false")),
    row("SMTP 535 5.7.3, 5.7.8: the token lacks the permission", "smtp-exchange-auth-unsuccessful", "own", OUT, Stage::Auth,
        "Signed in, but the token lacks a permission", USER, First::Send("Get authorization token", "/tokens/own/authorize", "consent")),
    row("550 5.7.60, SendAsDenied", "smtp-exchange-send-as-5760", "own", OUT, Stage::Data,
        "The account has no Send As right for this sender", EXCHANGE,
        First::Command("Add-RecipientPermission -Identity 'sales@contoso.test' -Trustee 'own@contoso.test' -AccessRights SendAs")),
    row("432 4.3.2, 4.5.127, Graph 429", "smtp-exchange-concurrent-connections", "own", OUT, Stage::Data,
        "Too many messages sent at once from this mailbox", YOU, First::Again),
    row("AADSTS50011", "entra-50011-redirect-mismatch", "own", IN, Stage::Token,
        "The redirect address isn't registered with the app", PORTAL, First::Value("/oauth/callback/contoso")),
    row("AADSTS65001, 90094, 90008", "entra-65001-consent-missing", "own", IN, Stage::Token,
        "Nobody has given consent for these permissions", PORTAL, First::Go("Send consent link", "/providers/contoso/consent", "h1")),
    row("AADSTS7000215", "entra-7000215-secret-wrong", "own", IN, Stage::Token, "Client secret is wrong", PORTAL, SECRET),
    row("AADSTS7000222", "entra-7000222-secret-expired", "own", IN, Stage::Token, "Client secret has expired", PORTAL, SECRET),
    row("AADSTS7000218", "entra-7000218-secret-missing", "own", IN, Stage::Token,
        "The app must send a secret, or be allowed as a public client", PORTAL, SECRET),
    row("AADSTS700016, 90002", "entra-700016-app-not-found", "own", IN, Stage::Token,
        "The app doesn't exist in this tenant", YOU, First::Go("Check the provider's settings", "/providers/contoso/edit", "#client_id")),
    row("AADSTS50020, 50178, personal account", "entra-50020-foreign-user", "own", IN, Stage::Token,
        "The account belongs to another organisation", USER, First::Send("Get authorization token", "/tokens/own/authorize", "select_account")),
    row("AADSTS50173, 50133, 70043, 700082 invalid_grant", "entra-50173-grant-revoked", "own", IN, Stage::Token,
        "Password changed or sessions revoked: a new sign-in is needed", USER,
        First::Send("Get authorization token", "/tokens/own/authorize", "select_account")),
    row("AADSTS700084", "entra-700084-spa-refresh-expired", "own", IN, Stage::Token,
        "Sign-ins end after 24 hours: registered as a single-page app", PORTAL, First::Value("/oauth/callback/contoso")),
    row("AADSTS50076, 50079, 53003", "entra-50076-mfa-required", "own", IN, Stage::Token,
        "A second factor is wanted", USER, First::Send("Get authorization token", "/tokens/own/authorize", "login")),
    row("AADSTS700027, certificate errors", "entra-700027-key-not-found", "app", IN, Stage::Token,
        "The certificate isn't the one registered with the app", PORTAL, First::Value("Thumbprint, SHA-1")),
    row("Graph 403, ErrorAccessDenied with app-only", "graph-access-policy", "app", IN, Stage::Inbox,
        "An access policy keeps the app out of this mailbox", EXCHANGE,
        First::Command("Test-ApplicationAccessPolicy -Identity 'app@contoso.test' -AppId 11112222-bbbb-3333-cccc-4444dddd5555")),
    row("Graph MailboxNotEnabledForRESTAPI, ErrorInvalidUser, ErrorItemNotFound", "graph-mailbox-not-enabled", "app", IN, Stage::Inbox,
        "The account has no mailbox in Exchange Online", EXCHANGE, First::Command("Get-Recipient -Identity 'app@contoso.test'")),
    row("IMAP app-only: NO AUTHENTICATE failed", "imap-exchange-authenticate-failed", "app", IN, Stage::Auth,
        "Exchange doesn't know the app, or hasn't given it this mailbox", EXCHANGE,
        First::Command("Add-MailboxPermission -Identity 'app@contoso.test' -User <enterprise object id> -AccessRights FullAccess")),
    row("Google invalid_grant", "google-invalid-grant-revoked", "post", IN, Stage::Token,
        "Google no longer accepts this sign-in", USER, First::Send("Get authorization token", "/tokens/post/authorize", "consent")),
    row("Google unauthorized_client (service account)", "google-unauthorized-client-dwd", "post", IN, Stage::Token,
        "Domain-wide delegation lacks this service account or scope", PORTAL, First::Value("OAuth scopes")),
    row("Google 534 5.7.9, application-specific password", "smtp-gmail-app-password", "old", OUT, Stage::Auth,
        "Gmail doesn't take the normal password for SMTP", YOU,
        First::Go("Use a token in place of the password", "/mailboxes/old/edit?fix=oauth&side=outgoing#auth", "input[name=auth][value=oauth2][checked]")),
    row("TLS: name mismatch", "tls-cert-hostname", "own", IN, Stage::Tls,
        "The server's certificate is for another name", YOU, First::Go("Edit mailbox", "/mailboxes/own/edit#incoming_host", "#incoming_host")),
    row("TLS: unknown issuer", "tls-cert-unknown-issuer", "own", OUT, Stage::Tls, "The server's certificate comes from an unknown issuer", "network",
        First::Command("openssl s_client -starttls smtp -connect smtp.office365.com:587")),
    row("DNS none, refused, timed out, proxy 407", "network-refused", "own", OUT, Stage::Tcp,
        "Nothing answers on that port", "network", First::Request("- To port: TCP 587")),
    row("Clock off by more than 2 minutes", own::CLOCK, "app", IN, Stage::Token,
        "This server's clock is wrong", YOU, First::Command("timedatectl set-ntp true")),
    // What the page of the mailbox puts into its form.
    row("TLS on a port that begins in plain text", own::TLS_ON_STARTTLS_PORT, "own", IN, Stage::Tls,
        "This port begins in plain text, and TLS from the start is set", YOU,
        First::Go("Use port 993 with TLS", "/mailboxes/own/edit?fix=tls&side=incoming#incoming_host", "#incoming_port[value='993']")),
    row("The user name doesn't fit", own::USER_NAME, "own", IN, Stage::Auth, "The user name doesn't fit the token", YOU,
        First::Go("Set the user name", "/mailboxes/own/edit?fix=user_name&side=incoming#username", "#username[value='']")),
];
