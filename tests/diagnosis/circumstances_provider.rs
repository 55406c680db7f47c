//! One word of a provider, many causes: what is stored, what is asked for, how old the sign-in is, and the clock decide.

use super::score::Score;
use super::set_up::at_the_provider;
use mailgrant::model::provider::{ClientAuth, ConsentScreen};
use mailgrant::model::template::TemplateKind::{Custom, Google, Microsoft, Zoho};

const SECRET: &str =
    r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215]}"#;
const CLIENT: &str = r#"{"error":"invalid_client","error_description":"Client authentication failed"}"#;
const GRANT: &str = r#"{"error":"invalid_grant"}"#;
const REVOKED: &str = r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#;
const SCOPE: &str = r#"{"error":"invalid_scope","error_description":"The requested scope is invalid."}"#;
const UNAUTHORIZED: &str = r#"{"error":"unauthorized_client","error_description":"The client is not authorized."}"#;

fn owned(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|&scope| scope.to_owned()).collect()
}

pub fn add_to(score: &mut Score) {
    secrets(score);
    sign_ins(score);
    requests(score);
    clocks(score);
}

fn secrets(score: &mut Score) {
    at_the_provider(Microsoft, SECRET).is("entra-7000215-secret-wrong", score);
    at_the_provider(Microsoft, SECRET)
        .provider(|p| p.secret_is_id = true)
        .is("console-secret-is-id", score);
    at_the_provider(Microsoft, SECRET)
        .provider(|p| p.secret_ended_days = Some(3))
        .is("entra-7000222-secret-expired", score);
    at_the_provider(Microsoft, SECRET)
        .provider(|p| p.secret_ended_days = Some(-30))
        .is("entra-7000215-secret-wrong", score);
    at_the_provider(Microsoft, SECRET)
        .provider(|p| (p.secret_is_id, p.secret_ended_days) = (true, Some(3)))
        .is("console-secret-is-id", score);
    at_the_provider(Microsoft, r#"{"error":"invalid_client","error_codes":[7000222]}"#)
        .provider(|p| p.secret_is_id = true)
        .is("entra-7000222-secret-expired", score);
    at_the_provider(Custom, CLIENT).is("oauth-invalid-client", score);
    at_the_provider(Custom, CLIENT)
        .provider(|p| p.client_auth = ClientAuth::None)
        .is("console-public-client", score);
    at_the_provider(Custom, UNAUTHORIZED)
        .provider(|p| p.client_auth = ClientAuth::None)
        .is("console-public-client", score);
    at_the_provider(
        Google,
        r#"{"error":"invalid_client","error_description":"The provided client secret is invalid."}"#,
    )
    .is("google-invalid-client-secret", score);
    at_the_provider(Microsoft, r#"{"error":"invalid_client","error_description":"AADSTS700027: Client assertion contains an invalid signature. [Reason - The key was not found., Thumbprint of key used by client: 'A1B2']"}"#)
        .provider(|p| p.client_auth = ClientAuth::Certificate)
        .is("entra-700027-key-not-found", score);
    at_the_provider(Microsoft, "no client secret is stored")
        .noticed("console-secret-missing")
        .is("console-secret-missing", score);
}

fn sign_ins(score: &mut Score) {
    let testing = |days| {
        at_the_provider(Google, REVOKED)
            .provider(move |p| (p.consent_screen, p.signed_in_days) = (Some(ConsentScreen::Testing), Some(days)))
    };
    testing(7).is("console-google-testing", score);
    testing(8).is("console-google-testing", score);
    testing(2).is("google-invalid-grant-revoked", score);
    at_the_provider(Google, REVOKED)
        .provider(|p| p.signed_in_days = Some(7))
        .is("console-google-testing", score);
    at_the_provider(Google, REVOKED)
        .provider(|p| (p.consent_screen, p.signed_in_days) = (Some(ConsentScreen::Production), Some(7)))
        .is("google-invalid-grant-revoked", score);
    at_the_provider(Google, REVOKED)
        .provider(|p| p.used_days = Some(200))
        .is("console-unused", score);
    at_the_provider(Google, REVOKED).is("google-invalid-grant-revoked", score);
    at_the_provider(Microsoft, GRANT)
        .provider(|p| p.used_days = Some(95))
        .is("entra-700082-refresh-inactive", score);
    at_the_provider(Microsoft, GRANT).is("oauth-invalid-grant", score);
    at_the_provider(
        Microsoft,
        r#"{"error":"invalid_grant","error_description":"AADSTS50173: The provided grant has expired due to it being revoked"}"#,
    )
    .provider(|p| p.used_days = Some(95))
    .is("entra-50173-grant-revoked", score);
    at_the_provider(Microsoft, r#"{"error":"invalid_grant","suberror":"bad_token","error_description":"AADSTS70000: The provided value for the 'refresh_token' is not valid."}"#)
        .is("entra-70000-grant-invalid", score);
    at_the_provider(Zoho, r#"{"error":"invalid_code"}"#).is("oauth-zoho-invalid-code", score);
    let lasting = |id| at_the_provider(Microsoft, "").noticed(id);
    let without = || owned(&["https://outlook.office.com/SMTP.Send"]);
    let with = || owned(&["offline_access", "https://outlook.office.com/SMTP.Send"]);
    lasting("console-no-refresh-token")
        .provider(|p| p.scopes = without())
        .is("console-offline-access", score);
    lasting("console-needs-sign-in")
        .provider(|p| p.scopes = without())
        .is("console-offline-access", score);
    lasting("console-no-refresh-token")
        .provider(|p| p.scopes = with())
        .is("console-no-refresh-token", score);
    lasting("console-needs-sign-in")
        .provider(|p| p.scopes = with())
        .is("console-needs-sign-in", score);
    lasting("console-different-account").is("console-different-account", score);
    lasting("console-different-tenant").is("console-different-tenant", score);
}

fn requests(score: &mut Score) {
    let two = || {
        owned(&[
            "https://outlook.office.com/IMAP.AccessAsUser.All",
            "https://graph.microsoft.com/Mail.Send",
        ])
    };
    at_the_provider(Microsoft, SCOPE)
        .provider(|p| p.scopes = two())
        .is("entra-28000-multiple-resources", score);
    at_the_provider(Microsoft, SCOPE).is("oauth-invalid-scope", score);
    at_the_provider(Custom, SCOPE).is("oauth-invalid-scope", score);
    for tenant in ["common", "organizations"] {
        at_the_provider(Microsoft, UNAUTHORIZED)
            .provider(move |p| p.tenant = Some(tenant.to_owned()))
            .is("entra-50194-not-multitenant", score);
    }
    at_the_provider(Microsoft, UNAUTHORIZED).is("oauth-unauthorized-client", score);
    at_the_provider(Microsoft, r#"{"error":"invalid_request","error_description":"AADSTS50194: Application 'x' is not configured as a multi-tenant application."}"#)
        .provider(|p| p.tenant = Some("common".to_owned()))
        .is("entra-50194-not-multitenant", score);
    at_the_provider(
        Microsoft,
        r#"{"error":"invalid_request","error_description":"AADSTS50059: No tenant-identifying information found"}"#,
    )
    .provider(|p| p.tenant = Some("common".to_owned()))
    .is("entra-50059-no-tenant", score);
    at_the_provider(
        Microsoft,
        r#"{"error":"invalid_grant","error_description":"AADSTS9999999: Something new.","error_codes":[9999999]}"#,
    )
    .is("oauth-invalid-grant", score);
    at_the_provider(Microsoft, "AADSTS9999999: Something new.").is("console-entra-other", score);
    at_the_provider(Custom, r#"{"error":"moon_phase","error_description":"Not today."}"#).is("console-provider-other", score);
    at_the_provider(Custom, "a web page")
        .noticed("console-provider-html")
        .is("console-provider-html", score);
    at_the_provider(Custom, "invalid peer certificate: UnknownIssuer").is("tls-cert-unknown-issuer", score);
    at_the_provider(Custom, "login.contoso.example: name or service not known")
        .noticed("console-provider-name")
        .is("console-provider-name", score);
    at_the_provider(Custom, "HTTP/1.1 407 Proxy Authentication Required").is("network-proxy-auth", score);
    at_the_provider(Google, r#"{"error":"unauthorized_client","error_description":"Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested."}"#)
        .is("google-unauthorized-client-dwd", score);
    at_the_provider(Microsoft, r#"{"error":"interaction_required","error_description":"AADSTS50076: Due to a configuration change made by your administrator, you must use multi-factor authentication","suberror":"basic_action"}"#)
        .is("entra-50076-mfa-required", score);
}

fn clocks(score: &mut Score) {
    let assertion =
        r#"{"error":"invalid_client","error_description":"AADSTS700024: Client assertion is not within its valid time range."}"#;
    at_the_provider(Microsoft, assertion).clock(900).is("console-clock", score);
    at_the_provider(Microsoft, assertion).clock(-900).is("console-clock", score);
    at_the_provider(Microsoft, assertion).is("entra-700024-assertion-time", score);
    let google = r#"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."}"#;
    at_the_provider(Google, google).clock(-700).is("console-clock", score);
    at_the_provider(Google, google).is("google-invalid-grant-jwt-time", score);
    at_the_provider(Custom, "")
        .noticed("console-id-token")
        .clock(86_400)
        .is("console-clock", score);
    at_the_provider(Custom, "")
        .noticed("console-id-token")
        .clock(4)
        .is("console-id-token", score);
    at_the_provider(Microsoft, r#"{"error":"invalid_client","error_codes":[7000222]}"#)
        .clock(900)
        .is("entra-7000222-secret-expired", score);
    at_the_provider(Custom, "invalid peer certificate: Expired")
        .clock(400_000)
        .is("console-clock", score);
}
