//! Is the certificate that is served at the console's public address a good one, and for how long?

use super::{Check, Verdict, bad, ok};
use crate::actions::console_certificate::{self, Answer, Look};
use crate::actions::settings;
use crate::app::App;
use crate::gate::GateError;
use crate::mail::tls::Certificate;
use crate::model::Date;
use crate::store::StoreResult;

const NAME: &str = "certificate";
/// Days before its end from which it is named.
const SOON: i64 = 14;
const RENEW: &str = "renew it where https is set up for the console, usually in the web server in front of it";

/// Looks at it, and remembers its end.
pub(super) async fn check(app: &App) -> StoreResult<Check> {
    let Some(look) = console_certificate::look(app).await? else {
        return Ok(ok(NAME, "none needed: the console is reached by http"));
    };
    if let Err(error) = console_certificate::remember(app, &look).await {
        // The other checks say what is wrong with the database.
        tracing::warn!(%error, "The end of this console's certificate can't be remembered: {error}");
    }
    let (server, host) = (&look.server, &look.host);
    Ok(match &look.answer {
        Answer::Served { certificate, refused } => served(app, &look, certificate, refused.as_deref()).await?,
        Answer::Forbidden(error) => {
            let (why, add) = match error {
                GateError::PortForbidden { port } => (format!("this console may not connect to port {port}"), true),
                GateError::Forbidden { add: Some(_), .. } => (format!("{host} is in a network that this console may not connect to"), true),
                error => (error.to_string(), false),
            };
            let help = match add {
                true => format!("add {host} to MAILGRANT_ALLOW_NETWORKS, and its end is watched"),
                false => "watch its end from elsewhere".to_owned(),
            };
            bad(Verdict::Warning, NAME, format!("can't be looked at: {why}"), help)
        }
        Answer::Silent(why) => {
            let zone = settings::zone(app).await?;
            let words = |at| Date::of(at, &zone).words();
            let last = console_certificate::seen(app).await?.map(|seen| {
                let (on, until) = (words(seen.at), words(seen.until));
                format!("; when it was last seen, on {on}, it was good until {until}")
            });
            bad(
                Verdict::Warning,
                NAME,
                format!(
                    "this console can't reach its own address {server}: {why}{}",
                    last.unwrap_or_default()
                ),
                "nothing, if people can open the console: behind NAT that is normal, and only the end of the certificate isn't watched",
            )
        }
    })
}

async fn served(app: &App, look: &Look, certificate: &Certificate, refused: Option<&str>) -> StoreResult<Check> {
    let zone = settings::zone(app).await?;
    let now = app.clock.now();
    let end = Date::of(certificate.not_after, &zone);
    let (until, issuer, host) = (end.words(), &certificate.issuer, &look.host);
    let failed = |detail: String, help: &str| bad(Verdict::Failed, NAME, detail, help);
    if certificate.not_after <= now {
        let detail = format!("ended on {until} (issued by {issuer}); sign-ins at providers can't come back");
        return Ok(failed(detail, RENEW));
    }
    if !certificate.fits {
        let detail = format!(
            "the one at {} is for {}, not for {host} (issued by {issuer}, good until {until})",
            look.server,
            certificate.named()
        );
        let help = format!("give the web server in front of the console a certificate for {host}, or correct the base URL");
        return Ok(failed(detail, &help));
    }
    if let Some(why) = refused {
        return Ok(failed(
            format!("not trusted by this machine: {why}"),
            match certificate.not_before > now {
                true => "wait until it is valid, or set this machine's clock",
                false => {
                    "have the web server send the whole chain; name an authority of your own in MAILGRANT_EXTRA_CA_FILE; else get a \
                     certificate that browsers trust"
                }
            },
        ));
    }
    let days = end.days_after(Date::of(now, &zone));
    let when = match days {
        ..=0 => "today".to_owned(),
        days => super::ahead(days),
    };
    Ok(if days <= SOON {
        bad(
            Verdict::Warning,
            NAME,
            format!("ends {when}, on {until}; issued by {issuer}"),
            format!("{RENEW}; once it has ended, sign-ins at providers can't come back"),
        )
    } else {
        ok(NAME, format!("good until {until}, ends {when}; issued by {issuer}"))
    })
}
