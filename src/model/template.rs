//! The provider templates as data: endpoints, defaults and the quirks of Microsoft, Google, Yahoo, Zoho and Fastmail.

use super::provider::{Cloud, Endpoints};
use super::words;

words!(
    /// What a provider is made from.
    TemplateKind {
        /// Microsoft 365 and Outlook.com (Entra ID v2 endpoints).
        Microsoft = "microsoft",
        /// Gmail and Google Workspace.
        Google = "google",
        /// Yahoo Mail.
        Yahoo = "yahoo",
        /// Zoho Mail.
        Zoho = "zoho",
        /// Fastmail.
        Fastmail = "fastmail",
        /// Anything else, by discovery or by hand.
        Custom = "custom",
    }
);

/// The template's endpoints for a cloud and tenant; `authority` replaces the host where the template has one.
pub fn endpoints(_kind: TemplateKind, _cloud: Cloud, _tenant: Option<&str>, _authority: Option<&str>) -> Endpoints {
    Endpoints::default()
}
