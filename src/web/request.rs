//! The outermost layer: an id for every request, its span and line in the log, which client it came from, and the time limit.

use super::WebState;
use super::error::PageError;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tracing::Instrument;

/// How long may a handler take? Streams have begun their answer long before.
const LONGEST: Duration = Duration::from_secs(30);

/// Who is at the other end of the connection, as the accept loop saw it.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The client: the peer, or whom a trusted proxy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The id of a request, also in `x-request-id`, in the log and on error pages.
#[derive(Debug, Clone, Default)]
pub struct RequestId(pub String);

/// Begins a request.
pub(super) async fn begin(State(web): State<WebState>, mut request: Request, next: Next) -> Response {
    let mut id = [0; 8];
    web.app.random.fill(&mut id);
    let id = crate::random::hex(&id);
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    if let Some(peer) = peer {
        let client = client(peer, request.headers(), &web.app.config.trusted_proxies);
        request.extensions_mut().insert(ClientAddress(client));
    }
    request.extensions_mut().insert(RequestId(id.clone()));
    // The route's own pattern, never the address: the provider's return has its code in the query.
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("-", MatchedPath::as_str)
        .to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = %id, method = %method, path = %path);
    async move {
        let begun = Instant::now();
        let mut response = next.run(request).await;
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
        }
        let (status, took) = (
            response.status().as_u16(),
            u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        );
        if path.starts_with("/static/") || path.starts_with("/health/") {
            tracing::debug!(status, took_ms = took, "Answered {method} {path} with {status}");
        } else {
            tracing::info!(status, took_ms = took, "Answered {method} {path} with {status}");
        }
        response
    }
    .instrument(span)
    .await
}

/// Every handler ends (DOS-3).
pub(super) async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(LONGEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!("A request took longer than {} seconds and was given up", LONGEST.as_secs());
            PageError::Busy(5).into_response()
        }
    }
}

/// The client behind the peer. Forwarded headers count only where the peer, and every hop after the client, is a configured proxy;
/// the nearest hop that is none is the client.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let trusted = |address: &IpAddr| proxies.iter().any(|net| net.contains(address));
    if !trusted(&peer) {
        return peer;
    }
    let hops = match headers.get("x-forwarded-for") {
        Some(_) => list(headers, "x-forwarded-for", |item| Some(item)),
        None => list(headers, "forwarded", |item| {
            item.split(';').find_map(|pair| {
                pair.trim()
                    .split_once('=')
                    .filter(|(key, _)| key.eq_ignore_ascii_case("for"))
                    .map(|(_, value)| value)
            })
        }),
    };
    let mut client = peer;
    for hop in hops.into_iter().rev() {
        let Some(address) = hop else { break };
        client = address;
        if !trusted(&address) {
            break;
        }
    }
    client
}

/// The hops of a list header, `None` for one that is no address.
fn list(headers: &HeaderMap, name: &str, part: impl Fn(&str) -> Option<&str>) -> Vec<Option<IpAddr>> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|item| part(item.trim()).and_then(address))
        .collect()
}

fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, headers: &[(&'static str, &str)], proxies: &[&str]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|net| net.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &map, &proxies).to_string()
    }

    #[test]
    fn forwarded_headers_count_only_behind_configured_proxies() {
        let forged = [("x-forwarded-for", "198.51.100.1")];
        assert_eq!(seen("203.0.113.9", &forged, &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &forged, &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &forged, &["10.0.0.0/8"]), "198.51.100.1");
    }

    #[test]
    fn what_a_client_puts_in_front_of_the_list_does_not_count() {
        let headers = [("x-forwarded-for", "1.1.1.1, 198.51.100.1, 10.0.0.7")];
        assert_eq!(seen("10.0.0.1", &headers, &["10.0.0.0/8"]), "198.51.100.1");
        let headers = [("x-forwarded-for", "1.1.1.1, garbage, 10.0.0.7")];
        assert_eq!(seen("10.0.0.1", &headers, &["10.0.0.0/8"]), "10.0.0.7");
    }

    #[test]
    fn forwarded_is_read_too() {
        let headers = [("forwarded", "for=1.1.1.1, for=\"[2001:db8::7]:4711\";proto=https")];
        assert_eq!(seen("::ffff:10.0.0.1", &headers, &["10.0.0.0/8"]), "2001:db8::7");
    }
}
