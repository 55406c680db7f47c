//! The words of a walkthrough's files and rows: how a step is checked and how sure that is, what is done for it, how it is sent, how it
//! stands.

use crate::model::words;

words!(
    /// How a step is checked.
    Check {
        /// The tenant is there, and the app is known in it.
        App = "app",
        /// The provider sends people back to the redirect address.
        Redirect = "redirect",
        /// The app proves itself with what is stored.
        Credential = "credential",
        /// The key of a service account is accepted.
        ServiceKey = "service_key",
        /// Permissions of people: the sign-in proves them.
        Permissions = "permissions",
        /// Permissions of the app: its own token has them.
        Roles = "roles",
        /// An admin has consented.
        Consent = "consent",
        /// What the mail servers or Exchange have to allow: a test proves it.
        MailOn = "mail_on",
        /// Somebody has signed in, and it counts.
        SignedIn = "signed_in",
        /// The token is there.
        Token = "token",
        /// The provider is there.
        Provider = "provider",
        /// The mailbox is there.
        Mailbox = "mailbox",
        /// The mailbox can be read.
        Incoming = "incoming",
        /// Both directions work.
        Tests = "tests",
        /// The mailbox is turned on.
        TurnedOn = "turned_on",
        /// Another mailbox stays closed.
        Limit = "limit",
        /// A service account may act for the account.
        Delegation = "delegation",
        /// The secret was replaced since.
        Replaced = "replaced",
        /// A token of the provider is renewed.
        Renewed = "renewed",
        /// The mailbox uses the app's own token.
        Switched = "switched",
        /// No mailbox uses a person's token any more.
        SwitchedAll = "switched_all",
        /// No token holds a person's sign-in any more.
        LoggedOut = "logged_out",
        /// Public client flows are off.
        PublicOff = "public_off",
        /// Only a person knows.
        Person = "person",
    }
);

words!(
    /// How sure a check is.
    Sure {
        /// The console proves it.
        Proved = "proved",
        /// As likely as not seen otherwise; something later proves it.
        Likely = "likely",
        /// A person's word, until something later proves it.
        Late = "late",
        /// A person's word.
        Confirmed = "confirmed",
    }
);

words!(
    /// What is done here for a step.
    Act {
        /// Nothing.
        Nothing = "",
        /// A provider is added or chosen.
        Provider = "provider",
        /// A provider that is here is chosen.
        ProviderHere = "provider_here",
        /// A secret, certificate or key is put in.
        Credential = "credential",
        /// An admin consents.
        Consent = "consent",
        /// A token is added or chosen, and somebody signs in.
        SignIn = "sign_in",
        /// A token of the app itself is added or chosen.
        AppToken = "app_token",
        /// A token of a service account is added or chosen.
        ServiceToken = "service_token",
        /// A mailbox is added or chosen.
        Mailbox = "mailbox",
        /// The mailbox is turned on.
        TurnOn = "turn_on",
        /// An address is tried that must stay closed.
        Limit = "limit",
        /// A mailbox changes over.
        Switch = "switch",
        /// The mailboxes of the provider are looked at.
        Mailboxes = "mailboxes",
        /// The tokens of the provider are looked at.
        Tokens = "tokens",
    }
);

words!(
    /// How a step is sent to somebody.
    Send {
        /// It isn't.
        Nobody = "",
        /// With a consent link.
        Consent = "consent",
        /// With a link to enter the secret, certificate or key.
        Secret = "secret",
        /// With a sign-in link.
        SignIn = "sign_in",
        /// As a text alone.
        Mail = "mail",
    }
);

words!(
    /// A value to copy.
    Value {
        /// Where sign-ins return to.
        Redirect = "redirect",
        /// Where consents return to.
        ConsentReturn = "consent_return",
        /// The client id.
        ClientId = "client_id",
        /// The certificate to download, and its thumbprints.
        Certificate = "certificate",
        /// The permissions that are asked for.
        Permissions = "permissions",
        /// Lines for the Exchange admin of an app.
        AppCommands = "app_commands",
        /// The service account's client id.
        ServiceClient = "service_client",
        /// Scopes for the delegation.
        GoogleScopes = "google_scopes",
    }
);

words!(
    /// What is stored of a step.
    StepState {
        /// Nothing is known.
        Open = "",
        /// The console proved it.
        Done = "done",
        /// A person says so.
        Confirmed = "confirmed",
        /// It was sent to somebody.
        Waiting = "waiting",
        /// It isn't so, or not any more.
        Problem = "problem",
    }
);

impl StepState {
    /// Whether what waits for it can go on.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Confirmed)
    }
}
