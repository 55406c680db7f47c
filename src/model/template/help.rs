//! Where a person finds the values a provider's form asks for: in the provider's order and with its names for things.

use super::TemplateKind;
use crate::model::provider::Cloud;

/// A step under *Where to find these*: where to go, and what to do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelpStep {
    /// The provider's name of the place; set in bold.
    pub place: &'static str,
    /// What to do there. Goes on after the place.
    pub text: &'static str,
}

const fn step(place: &'static str, text: &'static str) -> HelpStep {
    HelpStep { place, text }
}

/// The provider's own console: what it is called, and its address. Empty for `custom`.
pub const fn portal(kind: TemplateKind, cloud: Cloud) -> (&'static str, &'static str) {
    match (kind, cloud) {
        (TemplateKind::Microsoft, Cloud::Global) => ("Entra admin center", "https://entra.microsoft.com"),
        (TemplateKind::Microsoft, Cloud::UsGov | Cloud::Dod) => ("Entra admin center", "https://entra.microsoft.us"),
        (TemplateKind::Microsoft, Cloud::China) => ("Entra admin center", "https://entra.microsoftonline.cn"),
        (TemplateKind::Google, _) => ("Google Cloud console", "https://console.cloud.google.com"),
        (TemplateKind::Yahoo, _) => ("Yahoo Developer Network", "https://developer.yahoo.com/apps/"),
        (TemplateKind::Zoho, _) => ("Zoho API console", "https://api-console.zoho.com"),
        (TemplateKind::Fastmail, _) => ("Fastmail for developers", "https://www.fastmail.com/developer/oauth/"),
        (TemplateKind::Custom, _) => ("", ""),
    }
}

/// Where to find the values, in the provider's order.
pub const fn steps(kind: TemplateKind) -> &'static [HelpStep] {
    match kind {
        TemplateKind::Microsoft => MICROSOFT,
        TemplateKind::Google => GOOGLE,
        TemplateKind::Yahoo => YAHOO,
        TemplateKind::Zoho => ZOHO,
        TemplateKind::Fastmail => FASTMAIL,
        TemplateKind::Custom => CUSTOM,
    }
}

/// Where to find the values of an app of Microsoft that gets its tokens itself, by certificate or by secret.
pub const fn app_only_steps(by_certificate: bool) -> &'static [HelpStep] {
    if by_certificate { APP_BY_CERTIFICATE } else { APP_BY_SECRET }
}

/// The same where tokens are got with username and password.
pub const fn password_steps() -> &'static [HelpStep] {
    PASSWORD
}

/// The same for a service account of Google.
pub const fn service_account_steps() -> &'static [HelpStep] {
    SERVICE_ACCOUNT
}

const REGISTRATION: HelpStep = step(
    "Entra admin center",
    "> Entra ID > App registrations: open your app, or make one with New registration, for accounts in this organizational directory only.",
);
const OVERVIEW: HelpStep = step("Overview", "shows the Application (client) ID and the Directory (tenant) ID.");
const APPLICATION: HelpStep = step(
    "API permissions",
    "> Add a permission > Microsoft Graph > Application permissions: Mail.ReadWrite and Mail.Send. Or > APIs my organization uses > Office 365 Exchange Online > Application permissions: IMAP.AccessAsApp, POP.AccessAsApp, SMTP.SendAsApp.",
);
const APP_CONSENT: HelpStep = step("Grant admin consent", "on the same page. Without it the app may do nothing.");

const APP_BY_CERTIFICATE: &[HelpStep] = &[
    REGISTRATION,
    OVERVIEW,
    APPLICATION,
    APP_CONSENT,
    step(
        "Certificates & secrets",
        "> Certificates > Upload certificate: the .cer that this console gives you after saving. Compare the thumbprint.",
    ),
];

const APP_BY_SECRET: &[HelpStep] = &[
    REGISTRATION,
    OVERVIEW,
    APPLICATION,
    APP_CONSENT,
    step(
        "Certificates & secrets",
        "> New client secret: copy the Value at once, Entra shows it only this time. The Secret ID beside it is something else.",
    ),
];

const PASSWORD: &[HelpStep] = &[
    REGISTRATION,
    OVERVIEW,
    step(
        "Authentication",
        "> Settings (older pages: Advanced settings): set Allow public client flows to Yes, and save.",
    ),
    step(
        "API permissions",
        "> Add a permission > Microsoft Graph > Delegated permissions: tick IMAP.AccessAsUser.All, SMTP.Send, offline_access, openid, email and profile.",
    ),
    step(
        "Grant admin consent",
        "on the same page. It has to be there before the first token: nobody is asked at a sign-in of this kind.",
    ),
];

const SERVICE_ACCOUNT: &[HelpStep] = &[
    step(
        "Google Cloud console",
        "choose or make a project inside your Workspace organisation, and turn on APIs & Services > Library > Gmail API.",
    ),
    step("IAM & Admin", "> Service Accounts > Create service account. It needs no role."),
    step(
        "Keys",
        "> Add key > Create new key > JSON: the file that downloads is the key JSON. Your organisation may forbid such keys; an admin can lift that for the project.",
    ),
    step(
        "Google Admin console",
        "> Security > Access and data control > API controls > Manage Domain Wide Delegation > Add new: the client ID and the scopes shown here. It may take minutes, at most a day.",
    ),
];

const MICROSOFT: &[HelpStep] = &[
    step(
        "Entra admin center",
        "> Entra ID > App registrations: open your app, or make one with New registration, for accounts in this organizational directory only.",
    ),
    step("Overview", "shows the Application (client) ID and the Directory (tenant) ID."),
    step(
        "Authentication",
        "> Add a platform (newer pages: Add Redirect URI) > Web: paste the redirect address. It must match to the letter.",
    ),
    step(
        "API permissions",
        "> Add a permission > Microsoft Graph > Delegated permissions: tick IMAP.AccessAsUser.All, SMTP.Send, offline_access, openid, email and profile.",
    ),
    step(
        "Grant admin consent",
        "on the same page: most organisations no longer let people allow mail access themselves.",
    ),
    step(
        "Certificates & secrets",
        "> New client secret: copy the Value at once, Entra shows it only this time. The Secret ID beside it is something else.",
    ),
];

const GOOGLE: &[HelpStep] = &[
    step(
        "Google Cloud console",
        "choose or make a project inside your Workspace organisation.",
    ),
    step("APIs & Services", "> Library > Gmail API: turn it on."),
    step(
        "Google Auth Platform",
        "> Audience: Internal for a Workspace. External in testing ends every sign-in after 7 days.",
    ),
    step(
        "Data access",
        "> Add or remove scopes: add https://mail.google.com/ for IMAP and SMTP.",
    ),
    step(
        "Clients",
        "> Create client > Web application: paste the redirect address under Authorized redirect URIs, then copy the client ID and the client secret.",
    ),
    step(
        "Google Admin console",
        "> Security > API controls: if your domain limits apps, mark this client ID as Trusted.",
    ),
];

const YAHOO: &[HelpStep] = &[
    step(
        "Mail API access form",
        "at senders.yahooinc.com: Yahoo gives mail permission by contract only. Without it, use an app password for the mailbox.",
    ),
    step(
        "Yahoo Developer Network",
        "> My Apps > Create an App: confidential client, and paste the redirect address.",
    ),
    step("Your app", "shows Client ID (Consumer Key) and Client Secret (Consumer Secret)."),
];

const ZOHO: &[HelpStep] = &[
    step(
        "Zoho API console",
        "> Add client > Server-based Applications: paste the redirect address under Authorized Redirect URIs.",
    ),
    step("Client Secret", "shows the Client ID and the Client Secret."),
    step(
        "Settings",
        "> Multi-DC: choose the data centre your organisation is in. IMAP and SMTP take app passwords only.",
    ),
];

const FASTMAIL: &[HelpStep] = &[
    step(
        "Fastmail for developers",
        "ask Fastmail to register your redirect address; you get a client ID. There is no secret: the sign-in is proved with PKCE.",
    ),
    step(
        "Settings",
        "> Privacy & Security: for a single mailbox an app password does as well.",
    ),
];

const CUSTOM: &[HelpStep] = &[
    step(
        "Issuer",
        "the address your provider names in its description, usually its base address. Read it fills in the rest.",
    ),
    step(
        "Client",
        "register a confidential client for the authorization code flow and paste the redirect address there.",
    ),
    step(
        "Permissions",
        "the scopes your mail server asks for, and offline_access for a lasting sign-in.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_says_where_its_values_are() {
        for steps in [
            app_only_steps(true),
            app_only_steps(false),
            password_steps(),
            service_account_steps(),
        ] {
            assert!(steps.len() > 3 && steps.iter().all(|s| s.text.ends_with('.')));
        }
        for kind in TemplateKind::ALL {
            assert!(!steps(*kind).is_empty(), "{kind}");
            assert!(steps(*kind).iter().all(|s| s.text.ends_with('.')), "{kind}: sentences");
            let (label, address) = portal(*kind, Cloud::Global);
            assert_eq!(label.is_empty(), address.is_empty());
        }
    }
}
