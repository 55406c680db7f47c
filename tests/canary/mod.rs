//! One console, its whole life with every secret there is, at the finest log level; then a look for the secrets wherever something
//! came out. Servers and provider throw back what they were sent.

mod alone;
mod bundle;
mod console;
mod echo;
mod life;
mod notices;
mod search;

use console::{Console, Output};
use life::Life;
use search::Search;
use std::collections::BTreeSet;

/// Where a secret is meant to come out: what it is, how the name of the place begins, and in which form.
const MEANT: [(&str, &str); 22] = [
    ("setup code", "serve.log "),
    ("master key", "data/master.key "),
    ("access token", "stdout of token get"),
    // On the page before leaving, in the link to the provider; only the browser that began sees it.
    ("state", "GET /tokens/support/authorize/"),
    ("nonce", "GET /tokens/support/authorize/"),
    ("link's state", "GET /l/"),
    ("link's nonce", "GET /l/"),
    ("link", "POST /tokens/support/links as admin"),
    ("link", "POST /l/"),
    ("link", "GET /l/"),
    ("consent link", "POST /providers/rig/consent/links as admin"),
    ("consent link", "POST /c/"),
    ("consent link", "GET /c/"),
    ("consent's state", "GET /c/"),
    ("secret link", "POST /providers/rig/request as admin"),
    ("secret link", "POST /s/"),
    ("secret link", "GET /s/"),
    ("client secret", "stdout of config export --with-secrets"),
    ("mailbox password", "stdout of config export --with-secrets"),
    ("refresh token", "stdout of config export --with-secrets"),
    ("granted password", "stdout of config export --with-secrets"),
    ("service account key", "stdout of config export --with-secrets"),
];

/// What has to have come out, or nothing was looked at: the beginning of a place, and something harmless there.
const HARMLESS: [(&str, &str); 31] = [
    ("serve.log ", "\"level\":\"DEBUG\""),
    ("serve.log ", "POST /tokens/{name}/renew"),
    ("serve.log ", "Asked 127.0.0.1"),
    ("stderr of token refresh", "\"level\":\"DEBUG\""),
    ("arguments of serve", "serve"),
    ("arguments of token authorize", "authorize"),
    ("data/mailgrant.db while it serves", "SQLite format 3"),
    ("data/mailgrant.db-wal while it serves", "access.refuse"),
    ("data/mailgrant.db-shm while it serves", ""),
    ("data/recovery/", "v1."),
    ("data/mailgrant.db after the stop", "token.hand_out"),
    ("data/mailgrant.db after the stop", "different_account"),
    ("data/mailgrant.db after the stop", "sign_in"),
    ("data/mailgrant.db after the stop", "The console started"),
    ("data/mailgrant.db after the stop", "Renewing token"),
    ("GET /log as viewer", "Newest first"),
    ("GET /settings/notifications/deliveries/", "HTTP 401"),
    ("GET /tokens/support as viewer", "support@contoso.test"),
    ("GET /providers/rig/secret as admin", "Replace secret"),
    ("GET /providers/rig/secret as operator", "403"),
    ("GET /tests/", "Authentication failed"),
    ("GET /mailboxes/hr/edit as admin", "hr@contoso.test"),
    ("GET /tokens/old as viewer", "old@contoso.test"),
    ("GET /tokens/robot/edit as admin", "robot"),
    ("GET /providers/accounts/edit as admin", "Google"),
    ("stdout of mailbox test by-pop --incoming --json", "\"outcome\": \"failed\""),
    ("stdout of mailbox test by-graph --incoming --json", "InvalidAuthenticationToken"),
    ("POST /providers/new as admin", "422"),
    ("stdout of config export", "client_id"),
    ("stdout of mailbox test support --login-only --json", "\"outcome\""),
    ("stdout of token show support --json", "support@contoso.test"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_comes_out_anywhere() {
    let mut console = Console::start().await;
    let mut search = Search::default();
    Life::begin(&console, &mut search).await.live(&mut search).await;
    console.look_at_process("serve", console.pid());
    console.look_at_files("while it serves");
    console.stop().await;
    console.look_at_files("after the stop");

    let outputs = console.outputs();
    let is_there = |(place, harmless): &&(&str, &str)| {
        let holds = |output: &&Output| String::from_utf8_lossy(&output.bytes).contains(harmless);
        outputs
            .iter()
            .filter(|output| output.place.starts_with(place))
            .any(|output| holds(&output))
    };
    let missing: Vec<_> = HARMLESS.iter().filter(|one| !is_there(one)).collect();
    let mut meant: BTreeSet<(&str, &str)> = MEANT.into();
    let mut leaks = BTreeSet::new();
    for output in outputs.iter() {
        for (what, form) in search.find(&output.bytes) {
            let fits = |(other, place): &&(&str, &str)| *other == what && output.place.starts_with(place);
            match MEANT.iter().find(fits) {
                Some(one) => drop(meant.remove(one)),
                None => drop(leaks.insert(format!("{what}, {form}: {}", output.place))),
            }
        }
    }
    assert!(missing.is_empty(), "not looked at: {missing:?}");
    assert!(leaks.is_empty(), "{leaks:#?}");
    assert!(
        meant.is_empty(),
        "never seen where they are meant to be, so perhaps not looked for rightly: {meant:?}"
    );
}
