//! What other programs print of the same failures: mail servers, libraries, command lines, bounces. People paste these.

use super::score::Score;
use mailgrant::diagnosis::explain;

const TEXTS: [(&str, &str); 86] = [
    // bounces
    (
        "Remote Server returned '550 5.7.60 SMTP; Client does not have permissions to send as this sender'",
        "smtp-exchange-send-as-5760",
    ),
    (
        "Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup'",
        "smtp-recipient-unknown",
    ),
    (
        "Remote server returned '550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [DB5EUR03FT012.eop-EUR03.prod.protection.outlook.com]'",
        "smtp-recipient-unknown",
    ),
    (
        "550-5.1.1 The email account that you tried to reach does not exist. Please try\n550-5.1.1 double-checking the recipient's email address for typos or\n550 5.1.1 unnecessary spaces.",
        "smtp-recipient-unknown",
    ),
    (
        "<anna@fabrikam.example>: host mx.fabrikam.example[192.0.2.7] said: 552 5.2.2 The recipient's inbox is full (in reply to RCPT TO command)",
        "console-smtp-mailbox",
    ),
    (
        "Diagnostic-Code: smtp; 554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
        "smtp-exchange-mailbox-full",
    ),
    (
        "421-4.7.28 Gmail has detected an unusual rate of mail originating from your IP\n421 4.7.28 address.",
        "console-smtp-later",
    ),
    (
        "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\n550 5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.",
        "console-smtp-policy",
    ),
    // mail servers of all kinds
    ("A1 NO [ALERT] Unsupported authentication mechanism.", "imap-mechanism-unavailable"),
    (
        "imap-login: Info: Login aborted: proxy: Remote returned: [AUTHENTICATIONFAILED] Authentication failed.",
        "imap-authenticationfailed-generic",
    ),
    ("535 Incorrect authentication data", "smtp-auth-failed-generic"),
    (
        "535 Authentication failed. Restarting authentication process.",
        "smtp-auth-failed-generic",
    ),
    ("535 Authentication Credentials Invalid", "smtp-auth-failed-generic"),
    ("535 5.7.0 (#MBR1212) Incorrect username or password", "smtp-auth-failed-generic"),
    ("535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", "smtp-auth-failed-generic"),
    (
        "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: sales@contoso.example",
        "smtp-sender-refused",
    ),
    ("553 Relaying disallowed as sales@contoso.example", "smtp-sender-refused"),
    ("554 5.7.1 <x@fabrikam.example>: Relay access denied", "smtp-relay-denied"),
    ("550 relay not permitted", "smtp-relay-denied"),
    (
        "530 5.7.0 Must issue a STARTTLS command first. 5b1f17b1804b1-38c9 - gsmtp",
        "smtp-starttls-required",
    ),
    (
        "NO [AUTHENTICATIONFAILED] LOGIN Invalid credentials",
        "imap-authenticationfailed-generic",
    ),
    (
        "* BYE [ALERT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
        "imap-too-many-connections",
    ),
    (
        "-ERR [SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail settings page",
        "pop-gmail-not-enabled",
    ),
    // Postfix and friends as clients
    (
        "warning: SASL authentication failure: No worthy mechs found\nstatus=deferred (SASL authentication failed; cannot authenticate to server smtp.office365.com[52.98.0.1]: no mechanism available)",
        "imap-mechanism-unavailable",
    ),
    (
        "status=deferred (TLS is required, but was not offered by host mail.contoso.example[192.0.2.1])",
        "tls-starttls-missing",
    ),
    (
        "status=deferred (connect to mail.contoso.example[192.0.2.1]:25: Connection timed out)",
        "network-timeout",
    ),
    (
        "IMAP command 'AUTHENTICATE XOAUTH2 <authdata>' returned an error: NO AUTHENTICATE failed.",
        "imap-exchange-authenticate-failed",
    ),
    (
        "msmtp: authentication failed (method XOAUTH2)\nmsmtp: server message: 535 5.7.3 Authentication unsuccessful [AM6P192CA0090.EURP192.PROD.OUTLOOK.COM]",
        "smtp-exchange-auth-unsuccessful",
    ),
    (
        "fetchmail: Authorization failure on hr@contoso.example@outlook.office365.com",
        "imap-authenticationfailed-generic",
    ),
    ("curl: (67) Login denied", "imap-authenticationfailed-generic"),
    // Java
    (
        "javax.mail.MessagingException: Couldn't connect to host, port: imap.gmail.com, 993; timeout 10000;\n  nested exception is:\n\tjava.net.SocketTimeoutException: connect timed out",
        "network-timeout",
    ),
    ("Caused by: java.net.UnknownHostException: imap.gmial.com", "network-dns-not-found"),
    (
        "sun.security.validator.ValidatorException: PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed\nCaused by: java.security.cert.CertificateExpiredException: NotAfter: Fri Nov 20 00:00:00 UTC 2026",
        "tls-cert-expired",
    ),
    (
        "javax.net.ssl.SSLHandshakeException: No subject alternative DNS name matching mail.contoso.example found.",
        "tls-cert-hostname",
    ),
    (
        "javax.net.ssl.SSLException: Unsupported or unrecognized SSL message",
        "tls-plaintext-port",
    ),
    (
        "javax.net.ssl.SSLHandshakeException: Received fatal alert: protocol_version",
        "tls-protocol-version",
    ),
    (
        "com.sun.mail.smtp.SMTPSendFailedException: 554 5.2.252 SendAsDenied; a@contoso.example not allowed to send as b@contoso.example",
        "smtp-exchange-sendas-denied",
    ),
    (
        "jakarta.mail.AuthenticationFailedException: 535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
        "smtp-exchange-credentials-incorrect",
    ),
    // Python
    (
        "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)",
        "tls-cert-unknown-issuer",
    ),
    (
        "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate is not valid for 'mail.contoso.example'. (_ssl.c:1006)",
        "tls-cert-hostname",
    ),
    (
        "ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)",
        "tls-plaintext-port",
    ),
    (
        "ssl.SSLError: [SSL: UNSUPPORTED_PROTOCOL] unsupported protocol (_ssl.c:1006)",
        "tls-protocol-version",
    ),
    ("socket.gaierror: [Errno -2] Name or service not known", "network-dns-not-found"),
    ("ConnectionRefusedError: [Errno 111] Connection refused", "network-refused"),
    ("TimeoutError: [Errno 110] Connection timed out", "network-timeout"),
    ("OSError: [Errno 101] Network is unreachable", "network-unreachable"),
    (
        "imaplib.IMAP4.error: b'[AUTHENTICATIONFAILED] Invalid credentials (Failure)'",
        "imap-gmail-invalid-credentials",
    ),
    (
        "imaplib.IMAP4.abort: socket error: EOF occurred in violation of protocol (_ssl.c:2426)",
        "network-closed-early",
    ),
    (
        "google.auth.exceptions.RefreshError: ('invalid_grant: Token has been expired or revoked.', {'error': 'invalid_grant', 'error_description': 'Token has been expired or revoked.'})",
        "google-invalid-grant-revoked",
    ),
    (
        "google.auth.exceptions.RefreshError: ('unauthorized_client: Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.', {'error': 'unauthorized_client'})",
        "google-unauthorized-client-dwd",
    ),
    (
        "{'error': 'invalid_grant', 'error_description': \"AADSTS50126: Error validating credentials due to invalid username or password.\", 'error_codes': [50126]}",
        "entra-50126-bad-password",
    ),
    // Node
    ("Error: getaddrinfo ENOTFOUND smtp.offce365.com", "network-dns-not-found"),
    (
        "Error: connect ECONNREFUSED 127.0.0.1:587\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1607:16)",
        "network-refused",
    ),
    (
        "Error: self-signed certificate in certificate chain { code: 'SELF_SIGNED_CERT_IN_CHAIN', command: 'CONN' }",
        "tls-cert-unknown-issuer",
    ),
    (
        "Error: Greeting never received { code: 'ETIMEDOUT', command: 'CONN' }",
        "console-no-greeting",
    ),
    (
        "Error: Invalid login: 535-5.7.8 Username and Password not accepted. For more information, go to 535 5.7.8  https://support.google.com/mail/?p=BadCredentials",
        "smtp-gmail-bad-credentials",
    ),
    (
        "Error: 0080EE:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../deps/openssl/ssl/record/ssl3_record.c:354:",
        "tls-plaintext-port",
    ),
    (
        "Error: Client network socket disconnected before secure TLS connection was established { code: 'ECONNRESET' }",
        "network-reset",
    ),
    // Go
    ("x509: certificate signed by unknown authority", "tls-cert-unknown-issuer"),
    (
        "tls: failed to verify certificate: x509: certificate is valid for *.hosting.example, not mail.contoso.example",
        "tls-cert-hostname",
    ),
    (
        "x509: certificate has expired or is not yet valid: current time 2026-11-21T08:14:02Z is after 2026-11-20T00:00:00Z",
        "tls-cert-expired",
    ),
    ("tls: first record does not look like a TLS handshake", "tls-plaintext-port"),
    (
        "dial tcp: lookup imap.gmial.com on 192.0.2.53:53: no such host",
        "network-dns-not-found",
    ),
    ("dial tcp 192.0.2.1:993: i/o timeout", "network-timeout"),
    (
        "oauth2: \"invalid_grant\" \"Token has been expired or revoked.\"",
        "google-invalid-grant-revoked",
    ),
    // .NET and PowerShell
    (
        "System.Net.Sockets.SocketException (10061): No connection could be made because the target machine actively refused it.",
        "network-refused",
    ),
    (
        "The SMTP server requires a secure connection or the client was not authenticated. The server response was: 5.7.57 Client not authenticated to send mail. [AM0PR04CA0001]",
        "smtp-exchange-not-authenticated",
    ),
    (
        "The remote certificate is invalid according to the validation procedure: RemoteCertificateNameMismatch",
        "tls-cert-hostname",
    ),
    (
        "System.Security.Authentication.AuthenticationException: The remote certificate is invalid because of errors in the certificate chain: UntrustedRoot",
        "tls-cert-unknown-issuer",
    ),
    (
        "Get-MgUserMessage : [ErrorAccessDenied] : Access is denied. Check credentials and try again.\nStatus: 403 (Forbidden)",
        "graph-access-denied",
    ),
    (
        "MsalServiceException: A configuration issue is preventing authentication. Original exception: AADSTS7000215: Invalid client secret provided.",
        "entra-7000215-secret-wrong",
    ),
    (
        "MsalUiRequiredException: AADSTS50076: Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication",
        "entra-50076-mfa-required",
    ),
    (
        "Sign-in error code 53003\nFailure reason Access has been blocked by Conditional Access policies.",
        "entra-53003-ca-blocked",
    ),
    // PHP
    (
        "Expected response code \"235\" but got code \"535\", with message \"535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [AM0PR04CA0001]\".",
        "smtp-exchange-basic-disabled",
    ),
    (
        "stream_socket_client(): Unable to connect to smtp.gmail.com:587 (Connection timed out)",
        "network-timeout",
    ),
    (
        "stream_socket_enable_crypto(): SSL operation failed with code 1. OpenSSL Error messages: error:0A000086:SSL routines::certificate verify failed",
        "console-tls-other",
    ),
    (
        "php_network_getaddresses: getaddrinfo for mail.contoso.exmple failed: Name or service not known",
        "network-dns-not-found",
    ),
    // command lines
    ("curl: (6) Could not resolve host: imap.gmial.com", "network-dns-not-found"),
    (
        "curl: (7) Failed to connect to mail.contoso.example port 993 after 21 ms: Couldn't connect to server",
        "network-refused",
    ),
    (
        "curl: (35) OpenSSL/3.0.2: error:0A00042E:SSL routines::tlsv1 alert protocol version",
        "tls-protocol-version",
    ),
    ("curl: (60) SSL certificate problem: certificate has expired", "tls-cert-expired"),
    ("verify error:num=18:self-signed certificate", "tls-cert-unknown-issuer"),
    ("curl: (56) Received HTTP code 407 from proxy after CONNECT", "network-proxy-auth"),
    // providers' pages and addresses
    (
        "Error 403: access_denied\nRequest details: access_type=offline scope=https://mail.google.com/",
        "google-access-denied-user",
    ),
    ("https://login.microsoftonline.com/error?code=90094", "entra-90094-admin-consent"),
    (
        "Request Id: 0000aaaa-11bb\nCorrelation Id: aaaa0000-bb11\nTimestamp: 2026-11-21T08:14:02Z\nMessage: AADSTS65001: The user or administrator has not consented to use the application",
        "entra-65001-consent-missing",
    ),
];

/// What people write that is no error.
const PROSE: [&str; 8] = [
    "We moved the office last week. The new rooms are 5.7.3 to 5.7.9, and the lift timed out twice on the way up with the boxes.",
    "Could you forward me the invoice for October? Accounting refused the last one, because the address was the old one.",
    "Minutes: 1. The certificate for Anna's ten years with us has been printed. 2. The broken pipe in the kitchen is repaired. 3. Next time: Friday.",
    "550 chairs are ordered for the conference; 535 of them arrived this morning, and the rest is on the way.",
    "Subject: Re: lunch\n\nI can't today, the train is late again and my connection in Berlin is gone.",
    "<html><body><h1>Welcome</h1><p>This is the start page of our intranet. News, canteen, telephone list.</p></body></html>",
    "{\"name\":\"support\",\"tags\":[\"helpdesk\"],\"enabled\":true}",
    "The quick brown fox jumps over the lazy dog.",
];

pub fn add_to(score: &mut Score) {
    for (text, expected) in TEXTS {
        score.add(text, expected, &explain(text).diagnosis, &[]);
    }
    score.part("no errors at all");
    for text in PROSE {
        score.add(text, "console-unknown", &explain(text).diagnosis, &[]);
    }
}
