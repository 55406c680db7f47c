//! Rules about the provider: the app's secret, what it asks for, how long sign-ins last there, and clocks.

use super::{CLOCK_LIMIT, Finding};
use crate::diagnosis::family::Family;
use crate::diagnosis::judge::Seen;
use crate::diagnosis::own;
use crate::model::idle;
use crate::model::provider::{ClientAuth, ConsentScreen};
use crate::model::scopes;
use crate::model::template::TemplateKind;

const SECRET_REFUSED: [&str; 3] = ["entra-7000215-secret-wrong", "oauth-invalid-client", "google-invalid-client-secret"];
const SIGN_IN_ENDED: [&str; 4] = [
    "oauth-invalid-grant",
    "entra-70000-grant-invalid",
    "google-invalid-grant-revoked",
    "console-needs-sign-in",
];

/// This server's clock.
pub(super) fn clock(seen: &Seen<'_>) -> Option<Finding> {
    let ahead = seen.case.clock_ahead.filter(|ahead| ahead.abs() > CLOCK_LIMIT)?;
    let touched =
        seen.is_of(&[Family::Clock, Family::Token]) || seen.is_any(&["tls-cert-expired", "console-id-token", "graph-token-expired"]);
    let minutes = ahead.abs() / 60;
    let found = if ahead > 0 { "ahead" } else { "behind" };
    touched.then(|| {
        Finding::certain(own::CLOCK)
            .compare(
                ("Difference allowed", "2 minutes"),
                ("This server", &format!("{minutes} minutes {found}")),
            )
            .because("the other side says what time it is, and this server has another")
    })
}

/// The secret's ID in place of its value.
pub(super) fn secret_is_id(seen: &Seen<'_>) -> Option<Finding> {
    let provider = seen.case.provider.as_ref()?;
    (provider.secret_is_id && seen.is_any(&SECRET_REFUSED)).then(|| {
        Finding::certain(own::SECRET_IS_ID)
            .compare(
                ("Client secret", "the Value column"),
                ("Stored", "something with the shape of an ID"),
            )
            .because("what is stored has the shape of an ID: five groups of letters and digits with hyphens")
    })
}

/// A secret whose end is known here.
pub(super) fn secret_ended(seen: &Seen<'_>) -> Option<Finding> {
    let provider = seen.case.provider.as_ref()?;
    let days = provider.secret_ended_days.filter(|days| *days >= 0)?;
    if !seen.is_any(&SECRET_REFUSED) {
        return None;
    }
    Some(
        Finding::likely("entra-7000222-secret-expired")
            .because(format!("the end date that was entered for it passed {days} days ago"))
            .compare(("Client secret", "one that hasn't ended"), ("Ended", &format!("{days} days ago"))),
    )
}

/// No secret, where the app needs one.
pub(super) fn public_client(seen: &Seen<'_>) -> Option<Finding> {
    let provider = seen.case.provider.as_ref()?;
    (provider.client_auth == ClientAuth::None && seen.is_any(&["oauth-invalid-client", "oauth-unauthorized-client"])).then(|| {
        Finding::likely(own::PUBLIC_CLIENT)
            .compare(("The provider wants", "a secret or a certificate"), ("Sent", "the client ID alone"))
            .because("the provider is set up to prove itself with nothing")
    })
}

/// Scopes of two services in one request.
pub(super) fn two_services(seen: &Seen<'_>) -> Option<Finding> {
    let provider = seen.case.provider.as_ref()?;
    if provider.template != TemplateKind::Microsoft || !seen.is_any(&["oauth-invalid-scope", "oauth-invalid-request"]) {
        return None;
    }
    let conflict = scopes::conflict(provider.template, provider.cloud, &provider.scopes);
    conflict.is_some().then(|| {
        Finding::certain("entra-28000-multiple-resources")
            .because("the scopes that are asked for belong to more than one service, and a token is for one")
    })
}

/// A tenant for everybody, with an app that is for one organisation.
pub(super) fn single_tenant(seen: &Seen<'_>) -> Option<Finding> {
    let provider = seen.case.provider.as_ref()?;
    let tenant = provider
        .tenant
        .as_deref()
        .filter(|tenant| ["common", "organizations"].contains(tenant))?;
    let texts = ["oauth-unauthorized-client", "oauth-invalid-request"];
    (provider.template == TemplateKind::Microsoft && seen.is_any(&texts)).then(|| {
        Finding::likely("entra-50194-not-multitenant")
            .compare(("Tenant of a single-tenant app", "its own directory ID"), ("Set", tenant))
            .because("the provider is set up for any organisation, and most apps are registered for one")
    })
}

/// A sign-in that can't last.
pub(super) fn offline_access_missing(seen: &Seen<'_>) -> Option<Finding> {
    let provider = seen.case.provider.as_ref()?;
    let missing = scopes::offline_access_missing(provider.template, &provider.scopes)?;
    seen.is_any(&[own::NO_REFRESH_TOKEN, own::NEEDS_SIGN_IN]).then(|| {
        Finding::certain(own::OFFLINE_ACCESS)
            .compare(("Needed", missing), ("In the scopes", "not there"))
            .because("without it the provider gives no refresh token, and the sign-in ends after about an hour")
    })
}

/// Google's seven days.
pub(super) fn consent_screen_in_testing(seen: &Seen<'_>) -> Option<Finding> {
    let provider = seen.case.provider.as_ref()?;
    let days = provider.signed_in_days.filter(|days| *days >= 6)?;
    if provider.template != TemplateKind::Google || !seen.is_any(&SIGN_IN_ENDED) {
        return None;
    }
    let finding = match provider.consent_screen {
        Some(ConsentScreen::Testing) => Finding::certain(own::GOOGLE_TESTING),
        None if days <= 8 => Finding::likely(own::GOOGLE_TESTING),
        _ => return None,
    };
    Some(
        finding
            .compare(
                ("A sign-in lasts", "7 days while in testing"),
                ("Signed in", &format!("{days} days ago")),
            )
            .because("Google ends every sign-in after seven days while the consent screen is in testing"),
    )
}

/// A sign-in that nobody used for longer than the provider keeps it.
pub(super) fn unused(seen: &Seen<'_>) -> Option<Finding> {
    let provider = seen.case.provider.as_ref()?;
    let profile = idle::profile(provider.template, None).filter(|profile| profile.from == idle::From::Use)?;
    let limit = profile.days();
    let days = provider.used_days.filter(|days| *days >= limit)?;
    let id = match provider.template {
        TemplateKind::Microsoft => "entra-700082-refresh-inactive",
        _ => own::UNUSED,
    };
    seen.is_any(&SIGN_IN_ENDED).then(|| {
        Finding::likely(id)
            .compare(
                ("Kept without use", &format!("{limit} days")),
                ("Last used", &format!("{days} days ago")),
            )
            .because(format!("{} lets a sign-in lapse that isn't used", provider.label))
    })
}
