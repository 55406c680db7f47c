//! What becomes of a token while mailboxes are tested with it.

use super::Setup;
use super::report::{check, keys, step};
use crate::support::command::finish;
use crate::support::rig::{IMAP_SCOPE, SMTP_SCOPE};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_and_the_imported_one_forgotten() {
    let Some(setup) = Setup::with_mailbox(json!({ "rotate": true, "token_length": 4000 })).await else {
        return;
    };
    let imported = setup.minted.refresh_token.clone().unwrap();
    for _ in 0..3 {
        let said = setup.machine.run(&["token", "refresh", "mail"]).ok().out;
        assert!(said.starts_with("renewed; expires "), "{said}");
    }
    let seen = setup.rig.requests(&setup.client).await;
    assert!(
        seen.iter()
            .all(|seen| seen.ok && seen.client_auth.as_deref() == Some("client_secret_post")),
        "{seen:?}"
    );
    for pair in seen.windows(2) {
        assert_eq!(
            pair[0].new_refresh_token_sha256, pair[1].refresh_token_sha256,
            "each renewal uses what the last one brought"
        );
    }
    assert!(!setup.rig.is_active(&imported).await, "the imported one is used up");
    setup.passes("mail", &["--incoming"]);
    // Applying the file with the old refresh token again doesn't put it back.
    let said = setup.machine.apply(&setup.provider_and_token()).ok().out;
    assert_eq!(said, "provider rig unchanged\ntoken mail unchanged\n");
    setup.machine.run(&["token", "refresh", "mail"]).ok();
    setup.passes("mail", &["--outgoing"]);
}

#[tokio::test]
async fn an_access_token_that_ran_out_is_renewed_before_it_is_used() {
    let Some(setup) = Setup::with_mailbox(json!({ "access_token_ttl": 3 })).await else {
        return;
    };
    setup.passes("mail", &["--incoming"]);
    assert_eq!(setup.renewals().await, 1);
    tokio::time::sleep(Duration::from_millis(3100)).await;
    let report = setup.passes("mail", &["--incoming"]);
    assert_eq!(setup.renewals().await, 2);
    let detail = step(&report, "token")["detail"].as_str().unwrap();
    assert!(detail.starts_with("refreshed; expires in "), "{detail}");

    // Handed out with its real end, also where more was asked for than there is.
    let got = setup
        .machine
        .run(&["token", "get", "mail", "--min-lifetime", "3600", "--json"])
        .ok()
        .json();
    let mut fields = keys(&got);
    fields.sort_unstable();
    assert_eq!(fields, ["access_token", "expires_at", "expires_in", "scope", "token_type", "user"]);
    assert!((1..=3).contains(&got["expires_in"].as_i64().unwrap()), "{got}");
    assert!(setup.rig.is_active(got["access_token"].as_str().unwrap()).await);
    assert_eq!(
        (&got["token_type"], &got["user"]),
        (&"Bearer".into(), &setup.address.clone().into())
    );
    assert!(got["scope"].as_str().unwrap().contains(IMAP_SCOPE));
}

#[tokio::test]
async fn a_provider_that_answers_nonsense_is_named_and_nothing_is_lost() {
    for (rotate, mode, id) in [
        (false, json!({ "mode": "html" }), "console-provider-html"),
        (false, json!({ "mode": "empty" }), "console-provider-empty"),
        (false, json!({ "mode": "redirect" }), "console-provider-redirect"),
        (false, json!({ "mode": "http503", "retry_after": 1 }), "console-provider-busy"),
        (
            false,
            json!({ "mode": "error200", "error": "temporarily_unavailable" }),
            "entra-transient",
        ),
        (false, json!({ "mode": "newline_token" }), "console-provider-malformed"),
        (true, json!({ "mode": "newline_token" }), "console-provider-malformed"),
    ] {
        let Some(setup) = Setup::new(json!({ "rotate": rotate })).await else {
            return;
        };
        setup.rig.set_mode(&setup.client, mode.clone()).await;
        let ran = setup.machine.run(&["token", "refresh", "mail"]);
        let said = ran.refused(1).join("\n");
        let shown = setup.shown();
        assert!(said.contains(&format!("({id})")), "{mode}: {said}");
        assert_eq!(shown["last_error"]["id"], id, "{mode}");
        assert!(shown["last_error"]["ways"][0]["title"].is_string(), "{mode} {shown:#}");
        assert_eq!(
            (&shown["refresh_token"], &shown["state"]),
            (&true.into(), &"failing".into()),
            "{mode} {shown:#}"
        );
        assert_eq!(setup.rig.requests_at(&setup.client, "followed").await.len(), 0);
        assert!(setup.renewals().await <= 2, "asked again once at most");
        setup.rig.set_mode(&setup.client, json!({ "mode": "ok" })).await;

        let renewed = setup.machine.run(&["token", "refresh", "mail"]).ok().out;
        assert!(renewed.starts_with("renewed"), "{mode}");
        let shown = setup.shown();
        assert_eq!((&shown["state"], &shown["last_error"]), (&"active".into(), &Value::Null));
        let token = setup.machine.run(&["token", "get", "mail"]).ok().out;
        assert!(setup.rig.is_active(token.trim_end()).await);
    }
}

#[tokio::test]
async fn a_provider_in_trouble_is_named_in_the_token_step_while_a_stored_token_still_serves() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    setup.passes("mail", &["--incoming"]);
    setup.rig.set_mode(&setup.client, json!({ "mode": "http503" })).await;
    setup.machine.run(&["token", "refresh", "mail"]).refused(1);
    setup.passes("mail", &["--incoming"]);

    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    setup.rig.set_mode(&setup.client, json!({ "mode": "http503" })).await;
    let report = setup.fails("mail", &["--incoming"], "token", "console-provider-busy");
    assert_eq!(report["diagnosis"]["retryable"], true);
    assert_eq!(report["steps"].as_array().unwrap().len(), 11);

    // The grant was ended at the provider: a person must sign in again, and the token set is kept until then.
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    setup.rig.revoke_grants(&setup.client).await;
    let (_, report) = setup.test("mail", &["--outgoing"]);
    check(&report);
    assert_eq!(step(&report, "token")["outcome"], "failed");
    let shown = setup.shown();
    assert_eq!((&shown["state"], &shown["refresh_token"]), (&"revoked".into(), &true.into()));
    assert_eq!(shown["last_error"]["id"], report["diagnosis"]["id"]);
}

#[tokio::test]
async fn a_refresh_token_of_somebody_else_is_never_used() {
    let Some(mut setup) = Setup::new(json!({})).await else {
        return;
    };
    let scope = format!("openid email profile offline_access {IMAP_SCOPE} {SMTP_SCOPE}");
    let other = setup.rig.mint_grant(&setup.client, setup.rig.user("hr"), &scope).await;
    setup.machine.set("OF_HR", other.refresh_token.unwrap());
    let token = format!(
        "[[token]]\nname = \"swapped\"\nprovider = \"rig\"\nuser = \"{}\"\nrefresh_token_env = \"OF_HR\"\n",
        setup.address
    );
    setup.machine.apply(&token).ok();
    for _ in 0..2 {
        let ran = setup.machine.run(&["token", "get", "swapped"]);
        assert!(ran.refused(1)[0].ends_with("(console-different-account)"), "{ran:?}");
        assert_eq!(ran.out, "");
    }
    assert_eq!(setup.renewals().await, 1);
}

#[tokio::test]
async fn two_processes_that_want_one_token_ask_once() {
    let Some(setup) = Setup::new(json!({ "delay_before": 300, "rotate": true })).await else {
        return;
    };
    let commands = (0..4).map(|_| setup.machine.command(&["token", "get", "mail"]));
    let running: Vec<_> = commands.map(|command| std::thread::spawn(move || finish(command, None))).collect();
    let tokens: Vec<String> = running.into_iter().map(|thread| thread.join().unwrap().ok().out).collect();
    assert!(
        tokens.iter().all(|token| *token == tokens[0] && token.len() > 20),
        "all got the same"
    );
    assert_eq!(setup.renewals().await, 1);
    assert!(setup.rig.is_active(tokens[0].trim_end()).await);
}

#[tokio::test]
async fn a_token_that_is_removed_is_revoked_at_the_provider() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    let access = setup.machine.run(&["token", "get", "mail"]).ok().out;
    let refresh = setup.minted.refresh_token.clone().unwrap();
    assert!(setup.rig.is_active(&refresh).await && setup.rig.is_active(access.trim_end()).await);
    let said = setup.machine.run(&["token", "remove", "mail"]).ok().out;
    assert_eq!(
        said,
        "removed here and revoked at the provider\n1 mailboxes that used it are paused\n"
    );
    assert!(!setup.rig.is_active(&refresh).await && !setup.rig.is_active(access.trim_end()).await);
    assert!(!setup.rig.requests_at(&setup.client, "revoke").await.is_empty());
    let shown = setup.shown();
    assert_eq!((&shown["state"], &shown["refresh_token"]), (&"unauthorized".into(), &false.into()));
    setup.fails("mail", &["--incoming"], "token", "console-not-authorized");
    assert_eq!(setup.machine.run(&["token", "remove", "mail"]).ok().out, "nothing was stored\n");
}
