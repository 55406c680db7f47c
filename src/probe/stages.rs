//! The stages every protocol begins with: name, connection, encryption.

use super::{Done, Steps, Stopped};
use crate::clock::Timestamp;
use crate::mail::graph::GraphError;
use crate::mail::record::Recorder;
use crate::mail::stream::{Recorded, Wire};
use crate::mail::tls::{Certificate, day};
use crate::mail::{Connector, MailError};
use crate::model::mailbox::{Endpoint, Security};
use crate::model::report::{MessageSummary, Stage};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// How many oversized messages are listed?
pub const MOST_OVERSIZED: usize = 20;
/// How many messages in junk are listed?
pub const MOST_JUNK: usize = 20;

/// The stages up to a stream that can be spoken over: name, connection, and TLS where it is there from the start.
pub async fn open(connector: &Connector, endpoint: &Endpoint, recorder: &Recorder, steps: &mut Steps) -> Result<Recorded, Stopped> {
    steps.listen(recorder);
    let addresses = steps.run(Stage::Dns, dns(connector, endpoint)).await?;
    let connection = steps.run(Stage::Tcp, tcp(connector, &addresses)).await?;
    let wire = match endpoint.security {
        Security::Tls => steps.run(Stage::Tls, tls(connector, connection, &endpoint.host)).await?,
        Security::Starttls | Security::None => Wire::Plain(connection),
    };
    Ok(Recorded::new(wire, recorder.clone()))
}

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

/// What Graph says when it says no.
pub fn refusal_facts(error: &GraphError) -> Map<String, Value> {
    let answer = &error.answer;
    Map::from_iter([
        ("status".to_owned(), json!(error.status)),
        ("code".to_owned(), json!(error.codes.first())),
        ("inner_code".to_owned(), json!(error.codes.get(1))),
        ("request_id".to_owned(), json!(answer.request_id)),
        ("client_request_id".to_owned(), json!(answer.client_request_id)),
        ("retry_after".to_owned(), json!(answer.retry_after)),
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

/// When the newest of these came.
pub fn newest_text(newest: &[MessageSummary]) -> String {
    match newest.first() {
        Some(message) if message.date.is_empty() => "the newest has no date".to_owned(),
        Some(message) => format!("newest from {}", message.date),
        None => "no messages, that's fine".to_owned(),
    }
}

/// How many are over the limit, as the end of a line.
pub fn oversized_text(number: usize, limit: u64) -> String {
    match number {
        0 => format!("none over {}", size(limit)),
        number => format!("{number} over {}", size(limit)),
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
