//! The stages every protocol begins with: name, connection, encryption.

use super::Done;
use crate::clock::Timestamp;
use crate::mail::stream::Wire;
use crate::mail::tls::{Certificate, day};
use crate::mail::{Connector, MailError};
use crate::model::mailbox::Endpoint;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// The addresses of the server.
pub async fn dns(connector: &Connector, endpoint: &Endpoint) -> Result<Done<Vec<SocketAddr>>, MailError> {
    let addresses = connector.resolve(endpoint).await?;
    let ips: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    Ok(Done::new(addresses, ips.join(", ")).fact("addresses", ips))
}

/// A connection to one of them.
pub async fn tcp(connector: &Connector, addresses: &[SocketAddr]) -> Result<Done<TcpStream>, MailError> {
    let connected = connector.connect(addresses).await?;
    let mut detail = connected.address.to_string();
    for (address, why) in &connected.failed_first {
        detail.push_str(&format!("; failed first: {address}: {why}"));
    }
    let failed: Vec<String> = connected.failed_first.iter().map(|(address, _)| address.to_string()).collect();
    Ok(Done::new(connected.tcp, detail)
        .fact("address", connected.address.ip().to_string())
        .fact("port", connected.address.port())
        .fact("failed_first", failed))
}

/// The connection, encrypted.
pub async fn tls(connector: &Connector, tcp: TcpStream, host: &str) -> Result<Done<Wire>, MailError> {
    let (stream, encryption) = connector.encrypt(tcp, host).await?;
    let wire = Wire::Tls(Box::new(stream));
    let Some(certificate) = encryption.certificate else {
        return Ok(Done::new(wire, encryption.version).fact("version", encryption.version));
    };
    let detail = format!(
        "{}, {}, issued by {}, valid until {}",
        encryption.version,
        certificate.named(),
        certificate.issuer,
        day(certificate.not_after)
    );
    let mut done = Done::new(wire, detail).fact("version", encryption.version);
    done.facts.extend(certificate_facts(&certificate));
    Ok(done)
}

/// What a certificate says.
pub fn certificate_facts(certificate: &Certificate) -> Map<String, Value> {
    let at = |time: Timestamp| Value::String(time.to_rfc3339());
    Map::from_iter([
        ("names".to_owned(), json!(certificate.names)),
        ("issuer".to_owned(), json!(certificate.issuer)),
        ("not_before".to_owned(), at(certificate.not_before)),
        ("not_after".to_owned(), at(certificate.not_after)),
    ])
}

/// A size as people say it.
pub fn size(octets: u64) -> String {
    match octets {
        0..=9_999 => format!("{octets} bytes"),
        10_000..=9_999_999 => format!("{} kB", octets / 1000),
        _ => format!("{} MB", octets / 1_000_000),
    }
}

/// `1 message`, `2 messages`.
pub fn count(number: u64, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}
