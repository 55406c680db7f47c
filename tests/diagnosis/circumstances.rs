//! One reply, many causes: the token, the mailbox and the step decide.

use super::score::Score;
use super::set_up::{GRAPH, OUTLOOK, exchange, gmail, mail, own_server};
use mailgrant::model::mailbox::Protocol::{Graph, Imap, Pop3, Smtp};
use mailgrant::model::mailbox::Security;
use mailgrant::model::report::Stage;

const IMAP_NO: &str = "A2 NO AUTHENTICATE failed.";
const POP_NO: &str = "-ERR Authentication failure: unknown user name or bad password.";
const SMTP_NO: &str =
    "535 5.7.3 Authentication unsuccessful [FR4P281CA0011.DEUP281.PROD.OUTLOOK.COM 2026-11-21T08:14:02.118Z 08DE2A11AABBCCDD]";
const NOT_CONNECTED: &str = "A4 BAD User is authenticated but not connected.";
const GMAIL_NO: &str = "A2 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)";
const GMAIL_SMTP_NO: &str = "535-5.7.8 Username and Password not accepted. For more information, go to 535 5.7.8  https://support.google.com/mail/?p=BadCredentials x - gsmtp";
const GENERIC_NO: &str = "A2 NO [AUTHENTICATIONFAILED] Authentication failed.";
const DENIED: &str = "HTTP/1.1 403 Forbidden\n{\"error\":{\"code\":\"ErrorAccessDenied\",\"message\":\"Access is denied. Check credentials and try again.\"}}";

pub fn add_to(score: &mut Score) {
    exchange_imap(score);
    exchange_pop_and_smtp(score);
    google(score);
    graph(score);
    sending(score);
    other_servers(score);
}

fn exchange_imap(score: &mut Score) {
    let no = || exchange(Imap, Stage::Auth, IMAP_NO);
    no().for_another_service(GRAPH).is("console-audience-graph", score);
    no().for_another_service(GRAPH).of_somebody().is("console-audience-graph", score);
    no().for_another_service(GRAPH)
        .lacking("IMAP.AccessAsUser.All")
        .is("console-audience-graph", score);
    no().lacking("IMAP.AccessAsUser.All").is("console-permission-missing", score);
    no().lacking("IMAP.AccessAsUser.All")
        .of_a_delegate()
        .is("console-permission-missing", score);
    no().opaque()
        .lacking("IMAP.AccessAsUser.All")
        .is("console-permission-missing", score);
    no().of_somebody().is("console-other-account", score);
    no().of_a_delegate().is("console-full-access", score);
    no().ended().is("imap-exchange-token-expired-session", score);
    no().side(|side| side.user_name = "hr".to_owned()).is("console-user-name", score);
    no().side(|side| side.user_name = "CONTOSO\\hr".to_owned())
        .is("console-user-name", score);
    no().is("console-imap-off", score);
    no().opaque().is("console-imap-off", score);
    no().side(|side| side.address = "HR@Contoso.Example".to_owned())
        .is("console-imap-off", score);
    no().of_the_app("IMAP.AccessAsApp").is("console-service-principal", score);
    no().of_the_app("Mail.Read")
        .lacking("IMAP.AccessAsApp")
        .is("console-role-missing", score);
    no().of_the_app("IMAP.AccessAsApp")
        .for_another_service(GRAPH)
        .is("console-audience-graph", score);
    no().provider(|p| (p.template, p.label) = (mailgrant::model::template::TemplateKind::Google, "Google"))
        .is("console-other-provider", score);
    exchange(Imap, Stage::Auth, "A1 NO LOGIN failed.")
        .by_password()
        .is("imap-exchange-login-failed", score);
    exchange(Imap, Stage::Auth, "A1 NO Logon failure: BasicAuthBlocked")
        .by_password()
        .is("imap-exchange-basic-auth-blocked", score);
    exchange(Imap, Stage::Auth, "A2 NO Server Unavailable. 15")
        .passing()
        .of_somebody()
        .is("imap-exchange-server-unavailable", score);
    exchange(Imap, Stage::Auth, "A2 NO [UNAVAILABLE] Temporary authentication failure.")
        .passing()
        .lacking("IMAP.AccessAsUser.All")
        .is("imap-unavailable", score);
    let select = || exchange(Imap, Stage::Select, NOT_CONNECTED);
    select().is("console-no-licence", score);
    select().of_somebody().is("console-other-account", score);
    select().of_a_delegate().is("console-full-access", score);
    select().of_the_app("IMAP.AccessAsApp").is("console-service-principal", score);
    exchange(Imap, Stage::Select, "* BYE Session invalidated - AccessTokenExpired")
        .passing()
        .ended()
        .is("imap-exchange-token-expired-session", score);
    exchange(
        Imap,
        Stage::Select,
        "A4 BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds",
    )
    .passing()
    .of_a_delegate()
    .is("imap-exchange-throttled", score);
    exchange(Imap, Stage::Select, "A4 NO [NONEXISTENT] Unknown Mailbox: Archive").is("imap-mailbox-missing", score);
    exchange(Imap, Stage::Select, "A4 NO The folder is resting today.").is("console-folder-refused", score);
}

fn exchange_pop_and_smtp(score: &mut Score) {
    let no = || exchange(Pop3, Stage::Auth, POP_NO);
    no().is("console-pop-off", score);
    no().lacking("POP.AccessAsUser.All").is("console-permission-missing", score);
    no().for_another_service(GRAPH).is("console-audience-graph", score);
    no().of_somebody().is("console-other-account", score);
    no().of_a_delegate().is("console-full-access", score);
    no().of_the_app("POP.AccessAsApp").is("console-service-principal", score);
    no().of_the_app("IMAP.AccessAsApp")
        .lacking("POP.AccessAsApp")
        .is("console-role-missing", score);
    let no = || exchange(Smtp, Stage::Auth, SMTP_NO);
    no().is("console-smtp-off", score);
    no().lacking("SMTP.Send").is("console-permission-missing", score);
    no().lacking("SMTP.Send").of_somebody().is("console-permission-missing", score);
    no().for_another_service(GRAPH).is("console-audience-graph", score);
    no().of_somebody().is("console-other-account", score);
    no().of_a_delegate().is("console-send-as", score);
    no().of_the_app("SMTP.SendAsApp").is("console-service-principal", score);
    no().of_the_app("IMAP.AccessAsApp")
        .lacking("SMTP.SendAsApp")
        .is("console-role-missing", score);
    no().ended().is("imap-exchange-token-expired-session", score);
    let off = |what| exchange(Smtp, Stage::Auth, what);
    let tenant = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.";
    off(tenant).lacking("SMTP.Send").is("smtp-exchange-auth-disabled-tenant", score);
    off(tenant).of_a_delegate().is("smtp-exchange-auth-disabled-tenant", score);
    let incorrect = "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [FR4P281CA0011]";
    off(incorrect).lacking("SMTP.Send").is("console-permission-missing", score);
    off(incorrect).of_somebody().is("console-other-account", score);
    off(incorrect).by_password().is("smtp-exchange-credentials-incorrect", score);
    off("535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [FR4P281CA0011]")
        .by_password()
        .is("smtp-exchange-basic-disabled", score);
    off("454 4.7.0 Temporary authentication failure [FR4P281CA0011]")
        .passing()
        .of_somebody()
        .is("smtp-exchange-temp-auth-failure", score);
}

fn google(score: &mut Score) {
    let no = || gmail(Imap, Stage::Auth, GMAIL_NO);
    no().is("imap-gmail-invalid-credentials", score);
    no().lacking("https://mail.google.com/").is("console-permission-missing", score);
    no().of_somebody().is("console-other-account", score);
    no().ended().is("imap-exchange-token-expired-session", score);
    no().by_password().is("imap-gmail-invalid-credentials", score);
    no().provider(|p| (p.template, p.label) = (mailgrant::model::template::TemplateKind::Microsoft, "Microsoft"))
        .is("console-other-provider", score);
    gmail(Smtp, Stage::Auth, GMAIL_SMTP_NO).is("smtp-gmail-bad-credentials", score);
    gmail(Smtp, Stage::Auth, GMAIL_SMTP_NO)
        .lacking("https://mail.google.com/")
        .is("console-permission-missing", score);
    gmail(Smtp, Stage::Auth, GMAIL_SMTP_NO)
        .of_somebody()
        .is("console-other-account", score);
    let pop = || gmail(Pop3, Stage::Auth, "-ERR [AUTH] Username and password not accepted.");
    pop().is("pop-gmail-auth", score);
    pop().of_somebody().is("console-other-account", score);
    pop().by_password().is("console-password-refused", score);
    let off = "A2 NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable your account for IMAP access. (Failure)";
    gmail(Imap, Stage::Auth, off).is("imap-gmail-imap-disabled", score);
    let browser = "* NO [WEBALERT https://accounts.google.com/signin/continue?sarp=1] Web login required. A2 NO [ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)";
    gmail(Imap, Stage::Auth, browser)
        .by_password()
        .is("imap-gmail-web-login-required", score);
}

fn graph(score: &mut Score) {
    let no = || exchange(Graph, Stage::Inbox, DENIED);
    no().lacking("Mail.Read").is("console-permission-missing", score);
    no().of_somebody().is("console-other-account", score);
    no().of_a_delegate().is("console-full-access", score);
    no().of_the_app("Mail.Read").is("graph-access-policy", score);
    no().of_the_app("User.Read.All")
        .lacking("Mail.Read")
        .is("console-role-missing", score);
    no().of_the_app("").without_permissions().is("console-role-missing", score);
    exchange(Graph, Stage::Send, DENIED).of_a_delegate().is("console-send-as", score);
    exchange(Graph, Stage::Send, DENIED)
        .lacking("Mail.Send")
        .is("console-permission-missing", score);
    let raop = "HTTP/1.1 403 Forbidden\n{\"error\":{\"code\":\"ErrorAccessDenied\",\"message\":\"Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.\"}}";
    exchange(Graph, Stage::Inbox, raop)
        .of_the_app("Mail.Read")
        .is("graph-access-policy", score);
    let token =
        "HTTP/1.1 401 Unauthorized\n{\"error\":{\"code\":\"InvalidAuthenticationToken\",\"message\":\"Access token validation failure.\"}}";
    exchange(Graph, Stage::Inbox, token)
        .for_another_service(OUTLOOK)
        .is("graph-token-audience", score);
    exchange(Graph, Stage::Inbox, token).is("graph-invalid-token-other", score);
    let ended = "HTTP/1.1 401 Unauthorized\n{\"error\":{\"code\":\"InvalidAuthenticationToken\",\"message\":\"Lifetime validation failed, the token is expired.\"}}";
    exchange(Graph, Stage::Inbox, ended).ended().clock(900).is("console-clock", score);
    let gone = "HTTP/1.1 404 Not Found\n{\"error\":{\"code\":\"ResourceNotFound\",\"message\":\"Resource could not be discovered.\"}}";
    exchange(Graph, Stage::Inbox, gone)
        .of_the_app("Mail.Read")
        .side(|side| side.address = "nobody@contoso.example".to_owned())
        .is("graph-resource-not-found", score);
    exchange(Graph, Stage::Inbox, "HTTP/1.1 404 Not Found\n{\"error\":{\"code\":\"MailboxNotEnabledForRESTAPI\",\"message\":\"The mailbox is either inactive, soft-deleted, or is hosted on-premise.\"}}")
        .is("graph-mailbox-not-enabled", score);
    // Codes nobody here has seen: the HTTP status speaks.
    for (text, expected) in [
        (
            "HTTP/1.1 429 Too Many Requests\n{\"error\":{\"code\":\"TenantBudgetSpent\",\"message\":\"Come back.\"}}",
            "graph-throttled",
        ),
        (
            "HTTP/1.1 503 Service Unavailable\n{\"error\":{\"code\":\"RegionMoving\",\"message\":\"Come back.\"}}",
            "graph-service-unavailable",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\n{\"error\":{\"code\":\"RegionMoving\",\"message\":\"Come back.\"}}",
            "graph-service-unavailable",
        ),
    ] {
        exchange(Graph, Stage::Inbox, text).passing().is(expected, score);
    }
    exchange(
        Graph,
        Stage::Inbox,
        "HTTP/1.1 401 Unauthorized\n{\"error\":{\"code\":\"TokenOddity\",\"message\":\"No.\"}}",
    )
    .is("graph-invalid-token-other", score);
    exchange(
        Graph,
        Stage::Inbox,
        "HTTP/1.1 403 Forbidden\n{\"error\":{\"code\":\"ErrorMailboxQuiet\",\"message\":\"No.\"}}",
    )
    .is("graph-access-denied", score);
    exchange(
        Graph,
        Stage::Inbox,
        "HTTP/1.1 403 Forbidden\n{\"error\":{\"code\":\"ErrorMailboxQuiet\",\"message\":\"No.\"}}",
    )
    .lacking("Mail.Read")
    .is("console-permission-missing", score);
    exchange(
        Graph,
        Stage::Send,
        "HTTP/1.1 400 Bad Request\n{\"error\":{\"code\":\"ErrorSubjectTooFunny\",\"message\":\"No.\"}}",
    )
    .is("console-message-refused", score);
}

fn sending(score: &mut Score) {
    exchange(
        Smtp,
        Stage::MailFrom,
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender [FR4P281MB1234]",
    )
    .of_a_delegate()
    .is("smtp-exchange-send-as-5760", score);
    exchange(
        Smtp,
        Stage::Data,
        "554 5.2.252 SendAsDenied; hr@contoso.example not allowed to send as sales@contoso.example; STOREDRV.Submission",
    )
    .is("smtp-exchange-sendas-denied", score);
    own_server(Smtp, Stage::MailFrom, "550 5.7.1 We don't know this sender here").is("console-sender-refused", score);
    own_server(Smtp, Stage::RcptTo, "550 5.1.99 Nobody of that name").is("console-recipient-refused", score);
    own_server(
        Smtp,
        Stage::RcptTo,
        "550 5.1.1 <x@fabrikam.example>: Recipient address rejected: User unknown in virtual mailbox table",
    )
    .is("smtp-recipient-unknown", score);
    own_server(Smtp, Stage::RcptTo, "554 5.7.1 <x@fabrikam.example>: Relay access denied").is("smtp-relay-denied", score);
    own_server(Smtp, Stage::RcptTo, "451 4.7.1 Greylisted, come back in five minutes")
        .passing()
        .is("console-smtp-later", score);
    own_server(Smtp, Stage::Data, "554 5.7.1 The filter didn't like it").is("console-message-refused", score);
    own_server(Smtp, Stage::Data, "552 5.3.4 Message size exceeds fixed maximum message size").is("smtp-message-too-large", score);
    own_server(Smtp, Stage::Data, "450 4.2.1 So many messages an hour")
        .passing()
        .is("console-smtp-later", score);
}

fn other_servers(score: &mut Score) {
    let no = |text| own_server(Imap, Stage::Auth, text);
    no(GENERIC_NO).is("imap-authenticationfailed-generic", score);
    no(GENERIC_NO).by_password().is("console-password-refused", score);
    no("A2 NO not today").is("console-sign-in-refused", score);
    no("A2 NO not today").by_password().is("console-password-refused", score);
    no("A2 NO not today").lacking("mail").is("console-permission-missing", score);
    no("A2 NO [AUTHENTICATIONFAILED] Authentication failed.\n{\"status\":\"invalid_token\",\"schemes\":\"bearer\",\"scope\":\"mail\"}")
        .is("sasl-token-refused", score);
    no("A2 NO [AUTHENTICATIONFAILED] Authentication failed.\n{\"status\":\"insufficient_scope\",\"scope\":\"mail\"}")
        .opaque()
        .is("oauth-insufficient-scope", score);
    no("A2 NO [AUTHORIZATIONFAILED] No such authorization identity.")
        .opaque()
        .is("imap-authorizationfailed", score);
    no("A2 NO [CONTACTADMIN] Account locked.").is("imap-contactadmin", score);
    no("A2 NO [EXPIRED] Password expired.").by_password().is("imap-expired", score);
    mail(
        Imap,
        ("mail.contoso.example", 143, Security::None),
        Stage::Auth,
        "A2 NO [PRIVACYREQUIRED] Encrypt first.",
    )
    .by_password()
    .is("imap-logindisabled", score);
    no("A2 NO [LIMIT] Too many of you.").passing().is("imap-limit", score);
    own_server(Imap, Stage::Select, "A4 NO [NOPERM] Permission denied.").is("imap-noperm", score);
    own_server(Imap, Stage::Select, "A4 NO [INUSE] Locked by another session.")
        .passing()
        .is("imap-in-use", score);
    own_server(Pop3, Stage::Auth, "-ERR no").is("console-sign-in-refused", score);
    own_server(Pop3, Stage::Auth, "-ERR no")
        .by_password()
        .is("console-password-refused", score);
    own_server(Pop3, Stage::Auth, "-ERR [IN-USE] Do you have another POP session running?")
        .passing()
        .is("imap-in-use", score);
    own_server(Pop3, Stage::Auth, "-ERR [LOGIN-DELAY] Wait.")
        .passing()
        .is("imap-limit", score);
    own_server(Pop3, Stage::Auth, "-ERR [SYS/TEMP] Directory is away.")
        .passing()
        .is("imap-unavailable", score);
    own_server(Smtp, Stage::Auth, "535 5.7.99 nope").is("console-sign-in-refused", score);
    own_server(Smtp, Stage::Auth, "535 5.7.99 nope")
        .of_somebody()
        .is("console-other-account", score);
    own_server(
        Smtp,
        Stage::Auth,
        "535 5.7.8 Error: authentication failed: authentication failure\n{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail\"}",
    )
    .is("sasl-token-refused", score);
    own_server(Smtp, Stage::Auth, "535 5.7.8 Error: authentication failed: authentication failure")
        .by_password()
        .is("console-password-refused", score);
}
