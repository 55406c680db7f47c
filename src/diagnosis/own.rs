//! Ids of our own findings: failures the console notices itself, without a server's text to recognise.
//!
//! Whoever finds one passes its id on as [`Evidence::own_id`](super::Evidence::own_id); the catalogue holds the words for it.

/// Names the ids and lists them, so that a test can look each of them up.
macro_rules! own {
    ($($(#[$doc:meta])* $name:ident = $id:literal),+ $(,)?) => {
        $($(#[$doc])* pub const $name: &str = $id;)+

        /// Every id of this list.
        pub const ALL: &[&str] = &[$($id),+];
    };
}

own!(
    /// Nobody has signed in for the token yet.
    NOT_AUTHORIZED = "console-not-authorized",
    /// The provider ended the sign-in; a person has to sign in again.
    NEEDS_SIGN_IN = "console-needs-sign-in",
    /// Sign-in by password, and none is stored.
    PASSWORD_MISSING = "console-password-missing",
    /// The provider needs a client secret, and none is stored.
    SECRET_MISSING = "console-secret-missing",
    /// A service account is to act, and its key isn't stored.
    KEY_MISSING = "console-key-missing",
    /// A sealed value can't be opened.
    DAMAGED = "console-damaged",
    /// The server a secret goes to was changed after the secret was entered.
    DESTINATION_CHANGED = "console-destination-changed",
    /// The return from a provider belongs to no sign-in that is open.
    STATE_MISMATCH = "console-state-mismatch",
    /// The provider gave an access token only.
    NO_REFRESH_TOKEN = "console-no-refresh-token",
    /// Another account signed in than the token names.
    DIFFERENT_ACCOUNT = "console-different-account",
    /// The account that signed in belongs to another tenant.
    DIFFERENT_TENANT = "console-different-tenant",
    /// Nothing in the answer says who signed in.
    NO_IDENTITY = "console-no-identity",
    /// The ID token failed one of its checks.
    ID_TOKEN = "console-id-token",
    /// The answer names another issuer than the provider's.
    ISSUER_MISMATCH = "console-issuer-mismatch",
    /// Signed in, with a permission missing.
    SCOPE_MISSING = "console-scope-missing",
    /// The mailbox is turned off.
    MAILBOX_OFF = "console-mailbox-off",
    /// The address is in a network that is not allowed.
    DESTINATION_REFUSED = "console-destination-refused",
    /// The port is not one that is allowed.
    PORT_REFUSED = "console-port-refused",
    /// The first line is not the protocol's greeting.
    NOT_A_MAIL_SERVER = "console-not-a-mail-server",
    /// The server took the connection and said nothing.
    NO_GREETING = "console-no-greeting",
    /// No encryption, and not on this machine.
    PLAIN_REFUSED = "console-plain-refused",
    /// A text that can't stand in a command.
    UNSENDABLE = "console-unsendable",
    /// The server offers no mechanism that fits.
    MECHANISM_NOT_OFFERED = "console-mechanism-not-offered",
    /// The server offers no STARTTLS where it is required.
    STARTTLS_MISSING = "console-starttls-missing",
    /// A reply that the protocol doesn't allow.
    PROTOCOL_ERROR = "console-protocol-error",
    /// The time for the whole conversation is used up.
    DEADLINE = "console-deadline",
    /// A line or reply beyond the limit.
    TOO_MUCH_DATA = "console-too-much-data",
    /// The folder to read isn't there.
    FOLDER_MISSING = "console-folder-missing",
    /// Somebody stopped the test.
    STOPPED = "console-stopped",
    /// Sent, and not found in the incoming side within the waiting time.
    NOT_ARRIVED = "console-not-arrived",
    /// The connection broke between the message and its answer.
    SEND_UNKNOWN = "console-send-unknown",
    /// The host of a provider's address has no address, or the name service has trouble.
    PROVIDER_NAME = "console-provider-name",
    /// No connection to the token endpoint.
    PROVIDER_UNREACHABLE = "console-provider-unreachable",
    /// The token endpoint answered with HTML.
    PROVIDER_HTML = "console-provider-html",
    /// The token endpoint answered with nothing.
    PROVIDER_EMPTY = "console-provider-empty",
    /// The token endpoint answered with a redirect.
    PROVIDER_REDIRECT = "console-provider-redirect",
    /// The token endpoint asks to come back later, or has a fault of its own.
    PROVIDER_BUSY = "console-provider-busy",
    /// The token endpoint's answer is not a token response.
    PROVIDER_MALFORMED = "console-provider-malformed",
    /// The provider of the token has no Microsoft Graph.
    GRAPH_MISSING = "console-graph-missing",
    /// Graph's address answered with HTML.
    GRAPH_HTML = "console-graph-html",
    /// Graph's address answered with a redirect.
    GRAPH_REDIRECT = "console-graph-redirect",
    /// Graph's address answered with something that isn't Graph's.
    GRAPH_MALFORMED = "console-graph-malformed",
    /// Too many tests wait already.
    QUEUE_FULL = "console-queue-full",
    /// The database can't be written because the disk is full.
    DISK_FULL = "console-disk-full",
    /// The database is locked, or the disk refuses writes for another reason.
    DATABASE_BUSY = "console-database-busy",
    /// Too many wait for one renewal already.
    TOO_MANY_WAITING = "console-too-many-waiting",
    /// The server refused user name or password, and doesn't say why.
    PASSWORD_REFUSED = "console-password-refused",
    /// The server took the sign-in and refused the sender, in words we don't know.
    SENDER_REFUSED = "console-sender-refused",
    /// The server refused the recipient, in words we don't know.
    RECIPIENT_REFUSED = "console-recipient-refused",
    /// The server refused the message, in words we don't know.
    MESSAGE_REFUSED = "console-message-refused",
    /// A token of one provider was used at the servers of another.
    OTHER_PROVIDER = "console-other-provider",
    /// The token is for Microsoft Graph, and a mail server of Exchange was asked.
    AUDIENCE_GRAPH = "console-audience-graph",
    /// The token lacks a permission that this side needs.
    PERMISSION_MISSING = "console-permission-missing",
    /// The app lacks an application permission that this side needs.
    ROLE_MISSING = "console-role-missing",
    /// The token belongs to another account than the mailbox.
    OTHER_ACCOUNT = "console-other-account",
    /// The user name sent to the server is neither the token's account nor the mailbox.
    USER_NAME = "console-user-name",
    /// A delegate that Exchange gives no right to read a shared mailbox.
    FULL_ACCESS = "console-full-access",
    /// A delegate that Exchange gives no right to send for a shared mailbox.
    SEND_AS = "console-send-as",
    /// An app that wasn't made known to Exchange, or got no right to the mailbox.
    SERVICE_PRINCIPAL = "console-service-principal",
    /// IMAP is probably turned off for the mailbox.
    IMAP_OFF = "console-imap-off",
    /// POP is probably turned off for the mailbox.
    POP_OFF = "console-pop-off",
    /// SMTP sign-in is probably turned off for the mailbox or the tenant.
    SMTP_OFF = "console-smtp-off",
    /// The account has no mailbox that can be opened.
    NO_LICENCE = "console-no-licence",
    /// This server's clock is wrong.
    CLOCK = "console-clock",
    /// The client secret that is stored is the secret's ID.
    SECRET_IS_ID = "console-secret-is-id",
    /// The app must prove itself, and the provider is set up to send nothing.
    PUBLIC_CLIENT = "console-public-client",
    /// The scope that makes a sign-in last is not asked for.
    OFFLINE_ACCESS = "console-offline-access",
    /// The seven days of a Google consent screen in testing are over.
    GOOGLE_TESTING = "console-google-testing",
    /// The provider let a sign-in lapse that wasn't used.
    UNUSED = "console-unused",
    /// TLS from the start on a port that begins in plain text.
    TLS_ON_STARTTLS_PORT = "console-tls-on-starttls-port",
    /// STARTTLS, or nothing, on a port that begins with TLS.
    STARTTLS_ON_TLS_PORT = "console-starttls-on-tls-port",
    /// The port speaks another protocol.
    OTHER_PROTOCOL = "console-other-protocol",
    /// A server name that is nearly a known one.
    HOST_MISTYPED = "console-host-mistyped",
    /// Port 25, which most networks close.
    PORT_25 = "console-port-25",
    /// Another protocol's port, on which nothing answers.
    PORT_UNUSUAL = "console-port-unusual",
    /// A number of Entra's that nobody here knows.
    ENTRA_OTHER = "console-entra-other",
    /// A mail server that asks to come back later, in words we don't know.
    SMTP_LATER = "console-smtp-later",
    /// A mail server that refuses an address, in words we don't know.
    SMTP_ADDRESS = "console-smtp-address",
    /// A mail server that has trouble with the mailbox, in words we don't know.
    SMTP_MAILBOX = "console-smtp-mailbox",
    /// A mail server that refuses for a rule or a right, in words we don't know.
    SMTP_POLICY = "console-smtp-policy",
    /// A mail server that refuses for good, in words we don't know.
    SMTP_REFUSED = "console-smtp-refused",
    /// A mail server that says no to the sign-in, in words we don't know.
    SIGN_IN_REFUSED = "console-sign-in-refused",
    /// A mail server that took the sign-in and won't show the mailbox, in words we don't know.
    FOLDER_REFUSED = "console-folder-refused",
    /// A mail server that ends the connection in place of greeting, in words we don't know.
    TURNED_AWAY = "console-turned-away",
    /// A server that says what it offers only to those who have signed in.
    AFTER_LOGIN_ONLY = "console-after-login-only",
    /// Microsoft Graph's address as that of a mail server.
    GRAPH_HOST = "console-graph-host",
    /// A provider that refuses, in words we don't know.
    PROVIDER_OTHER = "console-provider-other",
    /// No encryption came about, for a reason we don't know.
    TLS_OTHER = "console-tls-other",
    /// The operating system gave an error we have no words for.
    NETWORK_OTHER = "console-network-other",
    /// Nothing in the catalogue fits.
    UNKNOWN = "console-unknown",
);
