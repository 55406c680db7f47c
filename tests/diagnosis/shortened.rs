//! Replies as people cut them off: without their code, without their tag, without their end. The cause is told all the same, and it is
//! said that only a piece was seen.

use super::score::Score;
use mailgrant::diagnosis::{entry, explain};
use mailgrant::model::report::Confidence;

/// A piece, and the cause behind it.
#[rustfmt::skip]
const PIECES: &[(&str, &str)] = &[
    ("User is authenticated but not connected", "imap-exchange-authenticated-not-connected"),
    ("authenticated but not connected.", "imap-exchange-authenticated-not-connected"),
    ("AUTHENTICATE failed", "imap-exchange-authenticate-failed"),
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled", "smtp-exchange-auth-disabled"),
    ("535 5.7.139 \u{2026} SmtpClientAuthentication is disabled", "smtp-exchange-auth-disabled"),
    ("SmtpClientAuthentication is disabled", "smtp-exchange-auth-disabled"),
    ("SmtpClientAuthentication is disabled for the Tenant", "smtp-exchange-auth-disabled-tenant"),
    ("SmtpClientAuthentication is disabled for the Mailbox.", "smtp-exchange-auth-disabled-mailbox"),
    ("Authentication unsuccessful, SmtpClientAuthentication", "smtp-exchange-auth-disabled"),
    ("535 5.7.139 Authentication unsuccessful", "smtp-exchange-refused-7139"),
    ("535 5.7.139", "smtp-exchange-refused-7139"),
    ("535 5.7.3", "smtp-exchange-auth-unsuccessful"),
    ("5.7.3 Authentication unsuccessful", "smtp-exchange-auth-unsuccessful"),
    ("535 5.7.8", "smtp-auth-failed-generic"),
    ("Authentication unsuccessful, basic authentication is disabled.", "smtp-exchange-basic-disabled"),
    ("Authentication unsuccessful, the user credentials were incorrect.", "smtp-exchange-credentials-incorrect"),
    ("550 5.7.60", "smtp-exchange-send-as-5760"),
    ("Client does not have permissions to send as this sender", "smtp-exchange-send-as-5760"),
    ("554 5.2.252", "smtp-exchange-sendas-denied"),
    ("SendAsDenied", "smtp-exchange-sendas-denied"),
    ("432 4.3.2", "smtp-exchange-concurrent-connections"),
    ("451 4.5.127 Excessive message rate", "smtp-exchange-concurrent-connections"),
    ("429 Too Many Requests", "graph-throttled"),
    ("The redirect URI 'https://a.example/x' specified in the request does not match the redirect URIs", "entra-50011-redirect-mismatch"),
    ("The reply URL specified in the request does not match", "entra-50011-redirect-mismatch"),
    ("No reply address is registered for the application", "entra-500113-no-reply-address"),
    ("The user or administrator has not consented to use the application with ID", "entra-65001-consent-missing"),
    ("Need admin approval", "entra-90094-admin-consent"),
    ("Invalid client secret provided. Ensure the secret being sent", "entra-7000215-secret-wrong"),
    ("The provided client secret keys for app", "entra-7000222-secret-expired"),
    ("The request body must contain the following parameter: 'client_assertion' or", "entra-7000218-secret-missing"),
    ("was not found in the directory 'Contoso'", "entra-700016-app-not-found"),
    ("Tenant 'contoso' not found. Check to make sure you have the correct tenant ID", "entra-90002-tenant-not-found"),
    ("from identity provider 'live.com' does not exist in tenant", "entra-50020-foreign-user"),
    ("The provided grant has expired due to it being revoked", "entra-50173-grant-revoked"),
    ("The refresh token has expired due to inactivity", "entra-700082-refresh-inactive"),
    ("authorization code or refresh token has expired due to inactivity", "entra-70008-grant-expired"),
    ("due to sign-in frequency checks by conditional access", "entra-70043-signin-frequency"),
    ("you must use multi-factor authentication to access", "entra-50076-mfa-required"),
    ("you must enroll in multi-factor authentication", "entra-50079-mfa-enrol"),
    ("Access has been blocked by Conditional Access policies", "entra-53003-ca-blocked"),
    ("Client assertion contains an invalid signature", "entra-700027-key-not-found"),
    ("Error validating credentials due to invalid username or password", "entra-50126-bad-password"),
    (r#"{"error":"invalid_grant","error_description":"The provided grant has expired due to it being revoked"#, "entra-50173-grant-revoked"),
    ("Access is denied. Check credentials and try again.", "graph-access-denied"),
    ("Blocked by tenant configured AppOnly AccessPolicy settings", "graph-access-policy"),
    ("ErrorAccessDenied", "graph-access-denied"),
    ("The mailbox is either inactive, soft-deleted, or is hosted on-premise", "graph-mailbox-not-enabled"),
    ("MailboxNotEnabledForRESTAPI", "graph-mailbox-not-enabled"),
    ("Token has been expired", "google-invalid-grant-revoked"),
    ("Client is unauthorized to retrieve access tokens", "google-unauthorized-client-dwd"),
    ("534 5.7.9", "smtp-gmail-app-password"),
    ("Application-specific password required", "smtp-gmail-app-password"),
    ("Username and Password not accepted.", "smtp-gmail-bad-credentials"),
    // Not offered at all, and offered but asked for out of turn, are two things.
    ("SMTP AUTH extension not supported by server.", "smtp-auth-not-offered"),
    ("The SMTP server does not offer AUTH", "smtp-auth-not-offered"),
    ("503 AUTH command used when not advertised", "smtp-auth-not-offered"),
    ("503 5.5.1 Error: authentication not enabled", "smtp-auth-not-offered"),
    ("503 5.5.1 Bad sequence of commands", "smtp-out-of-turn"),
    ("503 5.5.0 Sender already specified", "smtp-out-of-turn"),
    ("503 Bad sequence of commands", "smtp-out-of-turn"),
    ("503 5.5.2 Send hello first", "smtp-send-hello-first"),
    ("-ERR AUTH not supported", "imap-mechanism-unavailable"),
];

pub fn add_to(score: &mut Score) {
    for (piece, expected) in PIECES {
        for text in [(*piece).to_owned(), format!("Error: {piece}"), piece.to_uppercase()] {
            score.add(&text, expected, &explain(&text).diagnosis, &[]);
        }
    }
}

#[test]
fn a_piece_is_certain_only_where_its_code_is() {
    for (piece, id) in PIECES {
        let found = explain(piece).diagnosis;
        let sure = found.grounds.map(|grounds| grounds.confidence);
        let whole = entry(id).is_some_and(|entry| {
            let lower = piece.to_lowercase();
            !entry.general && entry.matches.iter().any(|text| lower.contains(&text.to_lowercase()))
        });
        assert_eq!(sure == Some(Confidence::Certain), whole, "{piece}: {sure:?}");
    }
}

#[test]
fn what_a_number_or_a_type_names_is_no_guess() {
    for text in [
        "AADSTS7000215: Invalid client secret provided.",
        "7000215",
        "AADSTS70000: The user could not be authenticated.",
        "AADSTS700024: Client assertion is not within its valid time range.",
        "invalid peer certificate: certificate expired",
        "Connection refused (os error 111)",
    ] {
        let sure = explain(text).diagnosis.grounds.map(|grounds| grounds.confidence);
        assert_eq!(sure, Some(Confidence::Likely), "{text}");
    }
    let sure = explain("AADSTS7000222: The provided client secret keys are expired.")
        .diagnosis
        .grounds;
    assert_eq!(sure.map(|grounds| grounds.confidence), Some(Confidence::Certain));
    // What several servers say for several reasons stays a guess.
    let sure = explain("535 5.7.3 Authentication unsuccessful").diagnosis.grounds;
    assert_eq!(sure.map(|grounds| grounds.confidence), Some(Confidence::Guess));
}

#[test]
fn a_whole_text_goes_before_a_piece_of_another() {
    for (text, id) in [
        (
            "AADSTS90008: The user or administrator has not consented to use the application with ID",
            "entra-90008-needs-graph-permission",
        ),
        (
            "550 5.7.30 Basic authentication is not supported for Client Submission.",
            "smtp-exchange-basic-retired",
        ),
        ("A1 NO [ALERT] Application-specific password required", "imap-gmail-app-password"),
    ] {
        assert_eq!(explain(text).diagnosis.id, id, "{text}");
    }
}
