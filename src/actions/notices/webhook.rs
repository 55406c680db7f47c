//! A notice by webhook: a JSON document, posted, signed as Standard Webhooks has it: HMAC-SHA256 over `id.timestamp.body`, the key being
//! the base64 behind `whsec_`.

use super::send::{Attempt, Ended};
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{Evidence, diagnose, own};
use crate::mask::Masks;
use crate::model::bundle::said_without_secrets;
use crate::model::notices::Delivery;
use crate::model::report::{Diagnosis, FixWhere};
use crate::model::turns_text;
use crate::oauth::OAuthError;
use crate::oauth::error::Unreached;
use crate::store::deliveries::StoredChannels;
use crate::store::{StoreResult, to_json};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Id of what is wrong with a webhook.
const ID: &str = "console-webhook";
/// What secrets begin with.
const PREFIX: &str = "whsec_";
/// How many octets a key of ours has, and any may have.
const KEY: usize = 32;
const KEYS: std::ops::RangeInclusive<usize> = 24..=64;
/// Characters of an answer that are kept.
const KEPT: usize = 4096;

/// A new secret.
pub(super) fn new_secret(app: &App) -> Zeroizing<String> {
    let mut key = Zeroizing::new([0; KEY]);
    app.random.fill(&mut *key);
    Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(*key)))
}

fn key_of(secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok().map(Zeroizing::new)?;
    KEYS.contains(&key.len()).then_some(key)
}

/// Whether a text is a secret of a webhook: `whsec_` and base64 of 24 to 64 octets.
pub fn test_secret(secret: &str) -> bool {
    key_of(secret).is_some()
}

/// The signature of a message; none where the secret is none.
pub fn sign(secret: &str, id: &str, at: Timestamp, body: &str) -> Option<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key_of(secret)?);
    let tag = hmac::sign(&key, format!("{id}.{}.{body}", at.0).as_bytes());
    Some(format!("v1,{}", STANDARD.encode(tag.as_ref())))
}

/// Posts it once.
pub(super) async fn attempt(app: &App, stored: &StoredChannels, one: &Delivery) -> StoreResult<Attempt> {
    let channels = &stored.channels;
    let via = channels.webhook_shown();
    let unusable = |id: &'static str| Attempt {
        ended: Ended::Again(0),
        via: via.clone(),
        problem: Some(to_json(&diagnose(&Evidence::own(id)))),
        ..Attempt::default()
    };
    if !channels.posts() {
        return Ok(Attempt {
            reply: "The webhook is turned off.".to_owned(),
            via,
            ..Attempt::default()
        });
    }
    let version = channels.secret_set.as_ref().map_or(0, |set| set.version);
    let place = super::channels::secret_place(version, &channels.webhook);
    let secret = match stored.webhook_secret.as_ref().map(|sealed| app.vault.open(&place, sealed)) {
        Some(Ok(secret)) => secret,
        Some(Err(error)) => {
            tracing::error!(%error, "The secret of the webhook can't be opened");
            return Ok(unusable(own::DAMAGED));
        }
        None => return Ok(unusable(own::DAMAGED)),
    };
    let address = match super::channels::address(app, stored) {
        Ok(address) => address,
        Err(error) => {
            tracing::error!(%error, "The address of the webhook can't be opened");
            return Ok(unusable(own::DAMAGED));
        }
    };
    let (id, now) = (format!("msg_{}", one.message), app.clock.now());
    let Some(signature) = sign(&secret, &id, now, &one.content) else {
        return Ok(unusable(own::DAMAGED));
    };
    let fields = [
        ("webhook-id", id),
        ("webhook-timestamp", now.0.to_string()),
        ("webhook-signature", signature),
    ];
    let head: Vec<String> = fields
        .iter()
        .map(|(name, value)| match *name {
            "webhook-signature" => format!("{name}: v1,(left out)"),
            _ => format!("{name}: {value}"),
        })
        .collect();
    let request = format!(
        "POST {via}/…\ncontent-type: application/json\n{}\n\n{}",
        head.join("\n"),
        one.content
    );
    let answer = app.hooks.post_json(&address, &fields, one.content.clone()).await;
    let mut masks = Masks::default();
    masks.add(&secret);
    masks.add(secret.trim_start_matches(PREFIX));
    masks.add(&address);
    if let Some(path) = address.strip_prefix(&via).filter(|path| path.len() > 8) {
        masks.add(path);
    }
    let (ended, reply, problem) = match answer {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            let shown = said_without_secrets(&lines, &masks).join("\n");
            let is_odd = |c: char| c != '\n' && (c.is_control() || turns_text(c));
            let shown: String = shown.chars().map(|c| if is_odd(c) { ' ' } else { c }).take(KEPT).collect();
            let status = answer.status;
            let wait = answer.retry_after.map_or(0, |wait| i64::try_from(wait.as_secs()).unwrap_or(0));
            let ended = match status {
                200..=299 => Ended::Delivered,
                410 => Ended::Gone,
                _ => Ended::Again(wait),
            };
            let problem = (ended != Ended::Delivered).then(|| answered(&via, status));
            (ended, format!("HTTP {status}\n\n{shown}").trim_end().to_owned(), problem)
        }
        Err(error) => {
            let said = plain(&said_without_secrets(&[&error.to_string()], &masks).concat());
            let ended = if never(&error) { Ended::Refused } else { Ended::Again(0) };
            let found = unreached(&via, &error, said);
            (ended, format!("{}.", found.title), Some(found))
        }
    };
    Ok(Attempt {
        ended,
        via,
        request,
        reply,
        problem: problem.as_ref().map(to_json),
    })
}

/// Whether it won't work without a change.
fn never(error: &OAuthError) -> bool {
    matches!(
        error,
        OAuthError::Destination(_) | OAuthError::Plain { .. } | OAuthError::Address { .. }
    )
}

/// What it means that the other side said no.
fn answered(at: &str, status: u16) -> Diagnosis {
    let (title, meaning, remedy) = match status {
        300..=399 => (
            "The webhook answers with a redirect",
            format!("{at} answered with HTTP {status}. Redirects are not followed, because what is sent is meant for this address alone."),
            "Enter the address that the redirect leads to.",
        ),
        401 | 403 => (
            "The webhook refuses the message",
            format!("{at} answered with HTTP {status}. Often the secret there is another one than here."),
            "Compare the secret: make a new one here and enter it there.",
        ),
        404 => (
            "There is nothing at the webhook's address",
            format!("{at} answered with HTTP 404."),
            "Copy the address anew from where the webhook was made.",
        ),
        410 => (
            "The webhook is gone",
            format!("{at} answered with HTTP 410: it wants no more messages. The webhook is turned off now."),
            "Make a new one there and enter its address here.",
        ),
        429 => (
            "The webhook wants fewer messages",
            format!("{at} answered with HTTP 429."),
            "Wait, or choose fewer events.",
        ),
        500.. => (
            "The webhook's server has trouble",
            format!("{at} answered with HTTP {status}."),
            "Look at the log of the server there.",
        ),
        _ => (
            "The webhook doesn't take the message",
            format!("{at} answered with HTTP {status}. Only 200 to 299 means that it has it."),
            "Look at what it answered, and at the log of the server there.",
        ),
    };
    problem(ID, title, meaning, remedy, status == 429 || status >= 500)
}

/// What it means that no answer came.
fn unreached(at: &str, error: &OAuthError, said: String) -> Diagnosis {
    if never(error)
        && let Some(id) = error.own_id()
    {
        let mut found = diagnose(&Evidence::own(id));
        found.said = said;
        return found;
    }
    let how = match error {
        OAuthError::Unreachable(unreachable) => Some(unreachable.how),
        _ => None,
    };
    let (title, meaning, remedy) = match how {
        Some(Unreached::Name) => (
            "The webhook's server name isn't found",
            format!("The name service knows no address for the server in {at}, or didn't answer. Nothing was sent."),
            "Look for a typing error in the address. If it is right, ask whoever runs this console's network to look at its name service.",
        ),
        Some(Unreached::Connection) => (
            "Nothing answers at the webhook's address",
            format!("{at} took no connection: no program listens there, or a firewall is in between."),
            "Ask whoever runs that server whether it is up, and whether a firewall lets this console connect to it.",
        ),
        Some(Unreached::Tls) => (
            "The webhook's certificate isn't trusted",
            format!("{at} answered, but the encrypted connection failed, so nothing was sent."),
            "Ask whoever runs that server to look at its certificate: its name, its last day, and who issued it. If that is an authority of your own, name its certificate to this console in MAILGRANT_EXTRA_CA_FILE.",
        ),
        Some(Unreached::NotTls) => (
            "The webhook's server doesn't encrypt on this port",
            format!("{at} answered with something else than TLS, so nothing was sent."),
            "Check the port in the address. If it is right, ask whoever runs that server to turn TLS on there.",
        ),
        Some(Unreached::Timeout) => (
            "The webhook's server doesn't answer in time",
            format!("No complete answer came from {at} while the console waited. It may have got the message."),
            "Ask whoever runs that server whether it is overloaded, and whether a firewall lets this console connect to it.",
        ),
        Some(Unreached::Lost) => (
            "The webhook's server hung up",
            format!("The connection to {at} ended before an answer came. It may have got the message."),
            "Ask whoever runs that server to look into its log.",
        ),
        None => (
            "The webhook's answer can't be understood",
            format!("What came from {at} is no answer that a webhook gives."),
            "Check the address: it may lead to another service, or to a proxy.",
        ),
    };
    let mut found = problem(ID, title, meaning, remedy, true);
    found.said = said;
    found
}

/// The words of the system without its numbers, which tell people nothing.
fn plain(said: &str) -> String {
    let bare = said.split(" (os error ").next().unwrap_or_default();
    bare.replace("tcp connect error: ", "")
}

/// Something that is mended on the page of notifications.
pub(super) fn problem(id: &str, title: &str, meaning: String, remedy: &str, retryable: bool) -> Diagnosis {
    Diagnosis {
        id: id.to_owned(),
        title: title.to_owned(),
        meaning,
        remedy: vec![remedy.to_owned()],
        fix_where: FixWhere::Console,
        retryable,
        url: String::new(),
        grounds: None,
        said: String::new(),
        ways: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the scheme's own description.
    #[test]
    fn a_signature_is_that_of_the_public_scheme() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed = sign(
            secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Timestamp(1_614_265_330),
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn a_secret_that_is_too_short_or_no_base64_is_none() {
        assert!(test_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!"] {
            assert!(!test_secret(bad), "{bad}");
        }
    }
}
