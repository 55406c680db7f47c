//! Can the servers in use be reached?

use super::{Check, Verdict, bad, ok};
use crate::app::App;
use crate::model::mailbox::Auth;
use crate::store::StoreResult;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long may a server take to accept a connection?
const CONNECT: Duration = Duration::from_secs(5);
/// How many servers are asked at once?
const AT_ONCE: usize = 16;

pub(super) async fn servers(app: &App) -> StoreResult<Vec<Check>> {
    let mut wanted = BTreeSet::new();
    for provider in app.store.providers().await? {
        if let Some(url) = provider.endpoints().token_url.and_then(|url| url::Url::parse(&url).ok())
            && let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
        {
            wanted.insert((host.to_owned(), port));
        }
    }
    for mailbox in app.store.mailboxes().await? {
        for side in [&mailbox.incoming, &mailbox.outgoing].into_iter().flatten() {
            if !matches!(&side.auth, Auth::Password { password: None }) {
                wanted.extend(side.server.endpoint().map(|endpoint| (endpoint.host.clone(), endpoint.port)));
            }
        }
    }
    use futures_util::StreamExt;
    let mut checks: Vec<Check> = futures_util::stream::iter(wanted)
        .map(|(host, port)| reach(app, host, port))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    checks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(checks)
}

async fn reach(app: &App, host: String, port: u16) -> Check {
    let name = format!("reach {host}:{port}");
    let addresses = match app.gate.resolve(&host, port).await {
        Ok(addresses) => addresses,
        Err(error) => {
            return bad(
                Verdict::Failed,
                name,
                error.to_string(),
                "check how the name is spelt, this machine's name service (DNS), and MAILGRANT_ALLOW_NETWORKS for servers of your own",
            );
        }
    };
    let mut last = String::from("no address");
    for address in addresses.iter().take(3) {
        match tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect(address)).await {
            Ok(Ok(_)) => return ok(name, format!("connects to {}", address.ip())),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = format!("no answer within {} s", CONNECT.as_secs()),
        }
    }
    bad(
        Verdict::Failed,
        name,
        last,
        format!("ask whoever runs the network to let this machine reach {host} on port {port}"),
    )
}
