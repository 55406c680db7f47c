//! The HTTP client of everything that speaks to a provider: behind the outbound gate, https only but for this machine, no redirects,
//! no cookies, no proxy, no retries, no decompression, and limits on time and size (OAUTH-9, SSRF-1).

mod clocks;

use super::error::{Malformed, MalformedKind, OAuthError, Unreachable, Unreached};
use super::exchange::Exchange;
use crate::clock::Timestamp;
use crate::gate::{Gate, GateError};
use crate::secret::AccessToken;
pub use clocks::Heard;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use url::{Host, Url};

/// How many clients are kept? There is one for each port that is spoken to, and nearly always that is 443 alone.
const MOST_CLIENTS: usize = 16;

/// Limits of one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// For everything, the body included.
    pub total: Duration,
    /// Octets of the body.
    pub body: usize,
    /// Number of header fields.
    pub headers: usize,
    /// How deep JSON may nest.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(20),
            body: 256 * 1024,
            headers: 64,
            depth: 16,
        }
    }
}

/// The client. Cheap to clone; one per process.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    gate: Gate,
    tls: Arc<rustls::ClientConfig>,
    limits: Limits,
    clients: Mutex<HashMap<(u16, bool), reqwest::Client>>,
    /// What hosts said the time was, and when they said it.
    clocks: Mutex<HashMap<String, (Timestamp, Instant)>>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl Http {
    /// A client that goes through this gate and verifies as this TLS configuration says.
    pub fn new(gate: Gate, tls: Arc<rustls::ClientConfig>, limits: Limits) -> Self {
        Self(Arc::new(Inner {
            gate,
            tls,
            limits,
            clients: Mutex::default(),
            clocks: Mutex::default(),
        }))
    }

    /// Sends a form.
    pub async fn post_form(
        &self,
        url: &str,
        form: &[(&'static str, String)],
        authorization: Option<HeaderValue>,
    ) -> Result<Exchange, OAuthError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(Method::POST, url, authorization, Some(body)).await
    }

    /// Fetches a document, with an access token if one is given.
    pub async fn get(&self, url: &str, bearer: Option<&AccessToken>) -> Result<Exchange, OAuthError> {
        let authorization = bearer
            .map(|token| {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))?;
                value.set_sensitive(true);
                Ok(value)
            })
            .transpose()
            .map_err(|_: http::header::InvalidHeaderValue| OAuthError::address(url, "the access token has characters no token has"))?;
        self.send(Method::GET, url, authorization, None).await
    }

    /// Posts a document with these header fields. Of the answer as much is read as the limit has it, and the rest is left: what it says
    /// is only shown.
    pub async fn post_json(&self, address: &str, fields: &[(&'static str, String)], body: String) -> Result<Exchange, OAuthError> {
        let (request, host) = self.request(Method::POST, address)?;
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let mut response = request.send().await.map_err(|error| self.0.failed(&host, error))?;
        let mut exchange = Exchange::begin(host, response.status(), response.headers(), response.url(), self.0.limits.depth);
        while exchange.body.len() < self.0.limits.body {
            match response.chunk().await {
                Ok(Some(chunk)) => exchange.body.extend_from_slice(&chunk),
                // Its status has come: the other side has decided.
                Ok(None) | Err(_) => break,
            }
        }
        exchange.body.truncate(self.0.limits.body);
        Ok(exchange)
    }

    /// A request to an address that may be asked, and its host.
    fn request(&self, method: Method, address: &str) -> Result<(reqwest::RequestBuilder, String), OAuthError> {
        let url = check_url(address).map_err(|why| OAuthError::address(address, why))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let plain = url.scheme() == "http";
        let port = url.port_or_known_default().unwrap_or(443);
        // The resolver is never asked for a host that is an address already.
        match url.host() {
            Some(Host::Ipv4(ip)) => self.0.admit(&host, port, plain, &[ip.into()])?,
            Some(Host::Ipv6(ip)) => self.0.admit(&host, port, plain, &[ip.into()])?,
            _ => {}
        }
        Ok((self.0.client(port, plain)?.request(method, url), host))
    }

    async fn send(
        &self,
        method: Method,
        address: &str,
        authorization: Option<HeaderValue>,
        form: Option<String>,
    ) -> Result<Exchange, OAuthError> {
        let (mut request, host) = self.request(method, address)?;
        request = request.header(ACCEPT, "application/json");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(form) = form {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        }
        let mut response = request.send().await.map_err(|error| self.0.failed(&host, error))?;
        let mut exchange = Exchange::begin(host, response.status(), response.headers(), response.url(), self.0.limits.depth);
        self.note_clock(&exchange);
        if response.headers().len() > self.0.limits.headers {
            return Err(exchange.malformed(MalformedKind::TooManyHeaders));
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| self.0.failed(&exchange.host, error))? {
            if exchange.body.len() + chunk.len() > self.0.limits.body {
                return Err(exchange.malformed(MalformedKind::TooBig));
            }
            exchange.body.extend_from_slice(&chunk);
        }
        tracing::debug!(http.host = %exchange.host, http.status = exchange.status, "Asked {}", exchange.host);
        Ok(exchange)
    }
}

impl Inner {
    /// Lets a destination through or says why not.
    fn admit(&self, host: &str, port: u16, plain: bool, addresses: &[IpAddr]) -> Result<(), OAuthError> {
        self.gate.check(host, port, addresses)?;
        if plain && !self.gate.allows_plain(host, addresses) {
            return Err(OAuthError::Plain { host: host.to_owned() });
        }
        Ok(())
    }

    /// The client for a port. The name look-up has to know the port, and clients don't tell it.
    fn client(&self, port: u16, plain: bool) -> Result<reqwest::Client, OAuthError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&(port, plain)) {
            return Ok(client.clone());
        }
        let resolver = GatedResolver {
            gate: self.gate.clone(),
            port,
            plain,
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(rustls::ClientConfig::clone(&self.tls))
            .dns_resolver(resolver)
            .user_agent("Mailgrant")
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .http1_max_headers(self.limits.headers.max(1))
            // A connection that is kept may have died unnoticed, and a request lost on it may have used up a refresh token.
            .pool_max_idle_per_host(0)
            .connect_timeout(self.limits.connect)
            .timeout(self.limits.total)
            .build()
            .map_err(|error| OAuthError::address("", innermost(&error)))?;
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        clients.insert((port, plain), client.clone());
        Ok(client)
    }

    /// What it means that no answer came, or half of one.
    fn failed(&self, host: &str, error: reqwest::Error) -> OAuthError {
        for cause in causes(&error) {
            if let Some(refused) = cause.downcast_ref::<GateError>() {
                return OAuthError::from_gate(host, refused.clone());
            }
            if cause.is::<PlainRefused>() {
                return OAuthError::Plain { host: host.to_owned() };
            }
            if let Some(wire) = cause.downcast_ref::<hyper::Error>().filter(|e| e.is_parse()) {
                return OAuthError::Malformed(Malformed {
                    host: host.to_owned(),
                    status: 0,
                    kind: if wire.is_parse_too_large() {
                        MalformedKind::TooManyHeaders
                    } else {
                        MalformedKind::NotHttp
                    },
                    retry_after: None,
                    salvage: None,
                });
            }
        }
        let reason = innermost(&error);
        let is_no_tls = |c: &(dyn StdError + 'static)| matches!(c.downcast_ref(), Some(rustls::Error::InvalidMessage(_)));
        let how = if error.is_timeout() {
            Unreached::Timeout
        } else if causes(&error).any(is_no_tls) {
            Unreached::NotTls
        } else if causes(&error).any(|c| c.is::<rustls::Error>()) || reason.contains("certificate") || reason.contains("TLS") {
            Unreached::Tls
        } else if error.is_connect() {
            Unreached::Connection
        } else {
            Unreached::Lost
        };
        let reason = match how {
            Unreached::Timeout if error.is_connect() => format!("the connection timed out after {} s", self.limits.connect.as_secs()),
            Unreached::Timeout => format!("timed out after {} s without a complete answer", self.limits.total.as_secs()),
            Unreached::NotTls => {
                format!("what answers doesn't speak TLS on this port ({reason}; the first record does not look like a TLS handshake)")
            }
            _ => reason,
        };
        OAuthError::Unreachable(Unreachable {
            host: host.to_owned(),
            how,
            reason,
        })
    }
}

/// An address a request may go to, so far as its text shows: https, or http; a host; no user information, no fragment (SSRF-6).
/// Whether http is right is the gate's to say.
pub fn check_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| "it isn't an address")?;
    if !matches!(url.scheme(), "https" | "http") {
        Err("it must start with https://")
    } else if url.host_str().is_none_or(str::is_empty) {
        Err("it has no server name")
    } else if !url.username().is_empty() || url.password().is_some() {
        Err("it has a user name or password in it")
    } else if url.fragment().is_some() {
        Err("it has a part after #")
    } else {
        Ok(url)
    }
}

/// Looks names up through the gate, for one port.
struct GatedResolver {
    gate: Gate,
    port: u16,
    plain: bool,
}

/// Plain http to something that isn't this machine.
#[derive(Debug, thiserror::Error)]
#[error("plain http is refused")]
struct PlainRefused;

impl Resolve for GatedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (gate, port, plain) = (self.gate.clone(), self.port, self.plain);
        Box::pin(async move {
            let found = gate.resolve(name.as_str(), port).await?;
            let addresses: Vec<IpAddr> = found.iter().map(|a| a.ip()).collect();
            if plain && !gate.allows_plain(name.as_str(), &addresses) {
                return Err(PlainRefused.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| cause_of(*e))
}

/// An I/O error keeps what it wraps to itself: look inside.
fn cause_of<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The reason as the operating system or the TLS library words it.
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_could_hide_something_are_refused() {
        for good in ["https://login.example/token", "http://127.0.0.1:4444/token?x=1"] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "login.example",
            "ftp://login.example",
            "https://user@login.example/",
            "https://:pw@login.example/",
            "https://login.example/#x",
            "file:///etc/passwd",
            "https://",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
