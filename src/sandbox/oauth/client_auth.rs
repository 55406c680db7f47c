//! How apps prove themselves at the token endpoint: a secret in the form or the header, or an assertion signed with a certificate's key.

use super::error::{self, Refusal};
use super::{Fields, take};
use crate::random::hex;
use crate::sandbox::fault::Fault;
use crate::sandbox::state::{AppClient, House, Shared};
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// `client_assertion_type` (RFC 7523, 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far may two clocks be apart, in seconds?
const SKEW: i64 = 300;

/// An app that has proved itself.
pub(super) struct Proved {
    pub client: AppClient,
    /// 0 not at all, 1 secret, 2 certificate.
    pub proof: u8,
}

/// Finds the app of a request and checks its proof.
pub(super) fn check(shared: &Shared, house: House, headers: &HeaderMap, form: &Fields, grant: &str) -> Result<Proved, Refusal> {
    let basic = basic(headers);
    let id = match &basic {
        Some((id, _)) => id.clone(),
        None => match take(form, "client_id") {
            "" if form.contains_key("client_assertion") => claimed_by(take(form, "client_assertion")),
            "" => return Err(error::parameter_missing(house, "client_id")),
            id => id.to_owned(),
        },
    };
    let found = shared.world().client(&id).filter(|client| client.house == house).cloned();
    let client = found.ok_or_else(|| error::client_unknown(house, &id))?;
    let secret = basic.map(|(_, secret)| secret).or_else(|| form.get("client_secret").cloned());
    let proof = match (secret, form.get("client_assertion")) {
        (Some(secret), _) => {
            check_secret(shared, &client, &secret)?;
            1
        }
        (None, Some(assertion)) => {
            if take(form, "client_assertion_type") != ASSERTION_TYPE {
                return Err(error::parameter_missing(house, "client_assertion_type"));
            }
            check_assertion(shared, &client, assertion)?;
            2
        }
        (None, None) => {
            // A public client, and flows without a place for a secret where the app allows them.
            let has_secret = !client.secrets.is_empty() || !client.certificates.is_empty();
            let needs = grant == "client_credentials" || (grant == "authorization_code" && has_secret);
            if !client.is_public || needs {
                return Err(error::secret_missing(house, grant));
            }
            0
        }
    };
    Ok(Proved { client, proof })
}

/// `Authorization: Basic`, both halves form-encoded (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decode = |text: &str| {
        let pair = format!("x={text}");
        url::form_urlencoded::parse(pair.as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    Some((decode(id), decode(secret)))
}

fn check_secret(shared: &Shared, client: &AppClient, secret: &str) -> Result<(), Refusal> {
    if shared.faults().hits(Fault::SecretExpired) {
        return Err(error::secret_expired(client.house, &client.id));
    }
    let known = client.secrets.iter().find(|known| known.value == secret);
    match known {
        Some(_) if shared.faults().hits(Fault::SecretWrong) => Err(error::secret_wrong(client.house, &client.id)),
        Some(known) if known.ends.is_some_and(|end| end <= shared.now()) => Err(error::secret_expired(client.house, &client.id)),
        Some(_) => Ok(()),
        None => Err(error::secret_wrong(client.house, &client.id)),
    }
}

/// A JWT that somebody signed, taken apart and not yet believed.
pub(super) struct Assertion {
    pub header: Value,
    pub claims: Value,
    pub signed: String,
    pub signature: Vec<u8>,
}

impl Assertion {
    pub fn parse(text: &str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(Self {
            header: json(head)?,
            claims: json(claims)?,
            signed: signed.to_owned(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    pub fn head(&self, name: &str) -> &str {
        self.header[name].as_str().unwrap_or_default()
    }

    pub fn claim(&self, name: &str) -> &str {
        self.claims[name].as_str().unwrap_or_default()
    }

    pub fn seconds(&self, name: &str) -> Option<i64> {
        self.claims[name].as_i64()
    }
}

fn claimed_by(assertion: &str) -> String {
    Assertion::parse(assertion)
        .map(|parsed| parsed.claim("sub").to_owned())
        .unwrap_or_default()
}

fn check_assertion(shared: &Shared, client: &AppClient, text: &str) -> Result<(), Refusal> {
    let house = client.house;
    let now = shared.now();
    let refused = |code: u32, text: String| {
        let open = "Client authentication failed";
        Refusal::of(house, "invalid_client", (code, text), open, open)
    };
    let Some(assertion) = Assertion::parse(text) else {
        let text = "Invalid JWT token. Token is not well formed.";
        return Err(refused(50027, text.to_owned()));
    };
    let algorithm = assertion.head("alg");
    if !["RS256", "PS256"].contains(&algorithm) {
        let text = "Invalid JWT token. Unsupported asymmetric signing algorithm.";
        return Err(refused(700_027, text.to_owned()));
    }
    let (sha1, sha256) = (assertion.head("x5t"), assertion.head("x5t#S256"));
    let shown = match URL_SAFE_NO_PAD.decode(if sha1.is_empty() { sha256 } else { sha1 }) {
        Ok(octets) => hex(&octets).to_uppercase(),
        Err(_) => String::new(),
    };
    let named = |known: &&crate::sandbox::keys::AppCertificate| match (sha1, sha256) {
        ("", "") => house == House::Open,
        (sha1, "") => known.sha1 == sha1,
        (_, sha256) => known.sha256 == sha256,
    };
    let candidates: Vec<_> = client.certificates.iter().filter(named).collect();
    if candidates.is_empty() {
        let text = format!(
            "Client assertion contains an invalid signature. [Reason - The key was not found., Thumbprint of key used by client: '{shown}']"
        );
        return Err(refused(700_027, text));
    }
    let signer = candidates.iter().find(|known| {
        known
            .has_signed(algorithm, assertion.signed.as_bytes(), &assertion.signature)
            .unwrap_or_default()
    });
    let Some(signer) = signer else {
        let text = format!(
            "Client assertion contains an invalid signature. [Reason - The key was found, but use of the key to verify the signature \
             failed., Thumbprint of key used by client: '{shown}']"
        );
        return Err(refused(700_027, text));
    };
    if signer.ends <= now || shared.faults().hits(Fault::SecretExpired) {
        let text = format!(
            "The certificate with identifier used to sign the client assertion is expired on application. [Reason - The key used is \
             expired., Thumbprint of key used by client: '{shown}']"
        );
        return Err(refused(700_027, text));
    }
    if assertion.claim("iss") != client.id || assertion.claim("sub") != client.id {
        let text = "Client assertion application identifier doesn't match 'client_id' parameter. Review the documentation at \
                    https://learn.microsoft.com/entra/identity-platform/certificate-credentials.";
        return Err(refused(700_021, text.to_owned()));
    }
    if !is_for_us(shared, house, &assertion.claims["aud"]) {
        let text = "Client assertion audience claim does not match Realm issuer. Review the documentation at \
                    https://learn.microsoft.com/entra/identity-platform/certificate-credentials.";
        return Err(refused(700_023, text.to_owned()));
    }
    let from = assertion.seconds("nbf").or_else(|| assertion.seconds("iat")).unwrap_or(now.0);
    let until = assertion.seconds("exp").unwrap_or_default();
    if until + SKEW <= now.0 || from - SKEW > now.0 {
        let moment = |seconds: i64| crate::clock::Timestamp(seconds).to_rfc3339().replace('Z', ".0000000Z");
        let text = format!(
            "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry time of assertion {}. \
             Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
            moment(now.0),
            moment(from),
            moment(until)
        );
        return Err(refused(700_024, text));
    }
    // Entra lets one be used again; a strict server does not.
    let jti = assertion.claim("jti");
    let is_new = shared.world().assertions.insert(format!("{} {jti}", client.id));
    if house == House::Open && (jti.is_empty() || !is_new) {
        return Err(Refusal::plain("invalid_client", "the assertion was used already"));
    }
    Ok(())
}

/// The token endpoint under any name of the tenant, or the issuer.
fn is_for_us(shared: &Shared, house: House, audience: &Value) -> bool {
    let base = shared.base();
    let fits = |audience: &str| match house {
        House::Microsoft => {
            let path = audience
                .strip_prefix(base)
                .and_then(|rest| rest.strip_prefix('/'))
                .unwrap_or_default();
            let (tenant, rest) = path.split_once('/').unwrap_or_default();
            super::check_tenant(tenant).is_ok() && ["oauth2/v2.0/token", "oauth2/token", "v2.0"].contains(&rest)
        }
        _ => audience == shared.issuer(house) || audience == format!("{base}/token"),
    };
    match audience {
        Value::String(one) => fits(one),
        Value::Array(all) => all.iter().filter_map(Value::as_str).any(fits),
        _ => false,
    }
}
