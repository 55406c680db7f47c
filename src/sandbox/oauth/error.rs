//! Refusals of the authorization servers, in the words of each.

use super::json_answer;
use crate::sandbox::state::{House, Shared, TENANT_DOMAIN};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

/// An error answer.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub error: &'static str,
    /// Entra's number.
    pub code: Option<u32>,
    pub text: String,
    status: StatusCode,
}

impl Refusal {
    /// Entra's form: a number, and ids to ask support with.
    pub fn entra(error: &'static str, code: u32, text: impl Into<String>) -> Self {
        let status = match error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            error,
            code: Some(code),
            text: text.into(),
            status,
        }
    }

    /// Everybody else's form.
    pub fn plain(error: &'static str, text: impl Into<String>) -> Self {
        let status = match error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            error,
            code: None,
            text: text.into(),
            status,
        }
    }

    /// One of the two.
    pub fn of(house: House, error: &'static str, (code, entra): (u32, String), google: &str, open: &str) -> Self {
        match house {
            House::Microsoft => Self::entra(error, code, entra),
            House::Google => Self::plain(error, google),
            House::Open => Self::plain(error, open),
        }
    }

    /// The description as it goes into a redirect or onto a page.
    pub fn description(&self, shared: &Shared) -> String {
        match self.code {
            Some(code) => format!(
                "AADSTS{code}: {}\r\nTrace ID: {}\r\nCorrelation ID: {}\r\nTimestamp: {}",
                self.text,
                shared.guid(),
                shared.guid(),
                timestamp(shared)
            ),
            None => self.text.clone(),
        }
    }

    /// The answer of an endpoint.
    pub fn answer(&self, shared: &Shared) -> Response {
        let Some(code) = self.code else {
            return json_answer(self.status, &json!({"error": self.error, "error_description": self.text}));
        };
        let (trace, correlation, now) = (shared.guid(), shared.guid(), timestamp(shared));
        let text = format!(
            "AADSTS{code}: {}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {now}",
            self.text
        );
        let document = json!({
            "error": self.error, "error_description": text, "error_codes": [code], "timestamp": now, "trace_id": trace,
            "correlation_id": correlation, "error_uri": format!("{}/error?code={code}", shared.base()),
        });
        json_answer(self.status, &document)
    }
}

/// `2026-11-20 08:14:02Z`.
fn timestamp(shared: &Shared) -> String {
    shared.now().to_rfc3339().replace('T', " ")
}

pub(super) fn tenant_unknown(tenant: &str) -> Refusal {
    let text = format!(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with \
         your subscription administrator, this may happen if there are no active subscriptions for the tenant."
    );
    Refusal::entra("invalid_request", 90002, text)
}

pub(super) fn tenant_malformed(tenant: &str) -> Refusal {
    let text = format!("Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.");
    Refusal::entra("invalid_request", 900_023, text)
}

pub(super) fn client_unknown(house: House, client: &str) -> Refusal {
    let text = format!(
        "Application with identifier '{client}' was not found in the directory 'Contoso'. This can happen if the application has not been \
         installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication \
         request to the wrong tenant."
    );
    match house {
        House::Microsoft => Refusal::entra("unauthorized_client", 700_016, text),
        House::Google => Refusal::plain("invalid_client", "The OAuth client was not found."),
        House::Open => Refusal::plain("invalid_client", "Client authentication failed"),
    }
}

pub(super) fn secret_wrong(house: House, client: &str) -> Refusal {
    let text = format!(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, \
         for a secret added to app '{client}'."
    );
    let google = "The provided client secret is invalid.";
    Refusal::of(house, "invalid_client", (7_000_215, text), google, "Client authentication failed")
}

pub(super) fn secret_expired(house: House, client: &str) -> Refusal {
    let text = format!(
        "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys for your app: \
         https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."
    );
    let google = "The provided client secret is invalid.";
    Refusal::of(house, "invalid_client", (7_000_222, text), google, "Client authentication failed")
}

pub(super) fn secret_missing(house: House, grant: &str) -> Refusal {
    let (code, text) = if grant == "client_credentials" {
        let text = "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.";
        (7_000_216, text)
    } else {
        let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        (7_000_218, text)
    };
    let google = "client_secret is missing.";
    Refusal::of(
        house,
        "invalid_client",
        (code, text.to_owned()),
        google,
        "Client authentication failed",
    )
}

pub(super) fn consent_missing(house: House, client: &str, name: &str) -> Refusal {
    let text = format!(
        "The user or administrator has not consented to use the application with ID '{client}' named '{name}'. Send an interactive \
         authorization request for this user and resource."
    );
    let other = "The user has not granted the requested permissions.";
    match house {
        House::Google => Refusal::plain("invalid_grant", "Token has been expired or revoked."),
        _ => Refusal::of(house, "invalid_grant", (65001, text), other, other),
    }
}

pub(super) fn revoked(house: House) -> Refusal {
    let text = "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or \
                reset their password. The grant was issued on '2026-10-02T09:00:00.0000000Z' and the TokensValidFrom date (before which \
                tokens are not valid) for this user is '2026-11-20T08:00:00.0000000Z'.";
    let google = "Token has been expired or revoked.";
    Refusal::of(house, "invalid_grant", (50173, text.to_owned()), google, "grant request is invalid")
}

pub(super) fn policy_blocks(house: House) -> Refusal {
    let text = "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.";
    match house {
        House::Microsoft => Refusal::entra("invalid_grant", 53003, text),
        House::Google => Refusal::plain("invalid_grant", "reauth related error (invalid_rapt)"),
        House::Open => Refusal::plain("access_denied", "The resource owner or authorization server denied the request."),
    }
}

pub(super) fn unavailable(house: House) -> Refusal {
    match house {
        House::Microsoft => Refusal::entra(
            "temporarily_unavailable",
            90033,
            "A transient error has occurred. Please try again.",
        ),
        _ => Refusal::plain("temporarily_unavailable", "The service is temporarily unavailable."),
    }
}

pub(super) fn admin_needed(name: &str) -> Refusal {
    let text = format!(
        "An administrator of Contoso has set a policy that prevents you from granting {name} the permissions it is requesting. Contact an \
         administrator of Contoso, who can grant permissions to this app on your behalf."
    );
    Refusal::entra("access_denied", 90094, text)
}

pub(super) fn code_unknown(house: House) -> Refusal {
    let text = "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization \
                request for this user and resource.";
    Refusal::of(
        house,
        "invalid_grant",
        (70008, text.to_owned()),
        "Malformed auth code.",
        "authorization code is unknown or has expired",
    )
}

pub(super) fn code_redeemed(house: House) -> Refusal {
    let text = "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.";
    Refusal::of(
        house,
        "invalid_grant",
        (54005, text.to_owned()),
        "Bad Request",
        "authorization code was used already",
    )
}

pub(super) fn verifier_differs(house: House) -> Refusal {
    let text = "The Code_Verifier does not match the code_challenge supplied in the authorization request.";
    Refusal::of(
        house,
        "invalid_grant",
        (501_481, text.to_owned()),
        "Invalid code verifier.",
        "PKCE verification failed",
    )
}

pub(super) fn redirect_differs(house: House, given: &str, client: &str) -> Refusal {
    let text = format!(
        "The redirect URI '{given}' specified in the request does not match the redirect URIs configured for the application '{client}'. \
         Make sure the redirect URI sent in the request matches one added to your application in the Azure portal. Navigate to \
         https://aka.ms/redirectUriMismatchError to learn more about how to troubleshoot this error."
    );
    let google = "Error 400: redirect_uri_mismatch";
    Refusal::of(
        house,
        "invalid_request",
        (50011, text),
        google,
        "redirect_uri did not match any registered one",
    )
}

pub(super) fn parameter_missing(house: House, name: &str) -> Refusal {
    let text = format!("The request body must contain the following parameter: '{name}'.");
    let other = format!("Missing required parameter: {name}");
    Refusal::of(house, "invalid_request", (900_144, text), &other, &other)
}

pub(super) fn grant_unsupported(house: House, grant: &str) -> Refusal {
    let text = format!("The app requested an unsupported grant type '{grant}'.");
    let google = format!("Invalid grant_type: {grant}");
    let open = "The authorization server does not support this grant type.";
    Refusal::of(house, "unsupported_grant_type", (70003, text), &google, open)
}

pub(super) fn password_wrong(house: House) -> Refusal {
    let text = "Error validating credentials due to invalid username or password.";
    Refusal::of(house, "invalid_grant", (50126, text.to_owned()), text, "Invalid user credentials")
}

pub(super) fn user_unknown(house: House) -> Refusal {
    let text = format!(
        "The user account {{EmailHidden}} does not exist in the {TENANT_DOMAIN} directory. To sign into this application, the account must be \
         added to the directory."
    );
    Refusal::of(
        house,
        "invalid_grant",
        (50034, text),
        "Invalid email or User ID",
        "Invalid user credentials",
    )
}
