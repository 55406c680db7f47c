//! Imports, and imports undone, that would move a provider elsewhere: what is stored for one place goes to no other (SEC-8).

use super::transfer::{apply, consoles, preview};
use crate::support::app::{Browser, PASSWORD, TestApp};
use mailgrant::actions::config::{self, Sources};
use mailgrant::actions::transfer::{self, Existing, TransferError};
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::provider::Provider;

const CANARY: &str = "canary~Q8-secret-of-the-first-place";
const OTHER: &str = "canary~Q8-secret-of-the-second-place";

/// Imports a text, with what is here changed.
async fn bring(browser: &mut Browser, text: &str) -> String {
    let (address, page) = preview(browser, text, "change").await;
    let report = apply(browser, &address, &page).await;
    assert!(report.words().contains("imported."), "{}", report.words());
    address
}

async fn exported(browser: &mut Browser) -> String {
    let with = [("what", "everything"), ("secrets", "on"), ("password", PASSWORD)];
    browser.post("/transfer/export", &with).await.body
}

fn provider(tenant: &str, more: &str) -> String {
    format!(
        "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"{tenant}.onmicrosoft.com\"\n\
         client_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\n{more}\n\n"
    )
}

fn secret(text: &str) -> String {
    format!("client_secret = \"{text}\"")
}

/// A token with a password and one with a sign-in, each with `mark`.
fn tokens(mark: &str) -> String {
    format!(
        "[[token]]\nname = \"ropc\"\nprovider = \"contoso\"\ngrant = \"password\"\nuser = \"old@contoso.com\"\npassword = \"{mark}-password\"\n\n\
         [[token]]\nname = \"person\"\nprovider = \"contoso\"\nuser = \"person@contoso.com\"\nrefresh_token = \"{mark}-refresh\"\n\n"
    )
}

async fn contoso(t: &TestApp) -> Provider {
    t.app.store.provider(&Name::parse("contoso").unwrap()).await.unwrap().unwrap()
}

/// Where the stored password of a token goes, if there is one.
async fn password_of(t: &TestApp, name: &str) -> Option<String> {
    let token = t.app.store.token(&Name::parse(name).unwrap()).await.unwrap()?;
    let stored = t.app.store.token_password(&token.id).await.unwrap()?;
    stored.sealed.map(|_| stored.destination)
}

/// Where the stored sign-in of a token goes.
async fn sign_in_of(t: &TestApp, name: &str) -> String {
    let token = t.app.store.token(&Name::parse(name).unwrap()).await.unwrap().unwrap();
    t.app.store.grant(&token.id).await.unwrap().unwrap().destination
}

/// Somebody changes it beside the import.
async fn by_hand(t: &TestApp, text: &str) {
    let sources = Sources {
        directory: std::path::PathBuf::new(),
        env: &|_| None,
    };
    let file = config::parse(text).unwrap_or_else(|error| panic!("{error:?}"));
    let done = config::apply(&t.app, &Actor::command_line(), &file, &sources, false).await;
    done.unwrap_or_else(|error| panic!("{error:?}"));
}

#[tokio::test]
async fn an_import_that_moves_a_provider_without_its_secret_is_refused_whatever_moves_it() {
    for t in consoles().await {
        let mut admin = t.admin();
        bring(&mut admin, &(provider("contoso", &secret(CANARY)) + &tokens(CANARY))).await;
        let before = exported(&mut admin).await;
        let (home, count) = (contoso(&t).await.destination(), t.count("SELECT COUNT(*) FROM audit").await);
        for moved in [
            provider("fabrikam", ""),
            provider("contoso", "cloud = \"usgov\""),
            provider("contoso", "authority = \"https://login.elsewhere.example\""),
            provider("contoso", "token_url = \"https://login.elsewhere.example/token\""),
            provider(
                "contoso",
                "issuer = \"https://login.elsewhere.example\"\ntoken_url = \"https://login.elsewhere.example/token\"",
            ),
            provider("contoso", "revocation_url = \"https://login.elsewhere.example/revoke\""),
            provider("contoso", "userinfo_url = \"https://login.elsewhere.example/me\""),
            provider("contoso", "device_authorization_url = \"https://login.elsewhere.example/device\""),
            provider("contoso", "graph_url = \"https://graph.elsewhere.example\""),
        ] {
            for existing in ["change", "skip", "add"] {
                let (address, page) = preview(&mut admin, &moved, existing).await;
                assert_eq!(
                    page.text("#sum-h"),
                    "0 new, 0 changed, 0 the same, 1 with errors",
                    "{existing} {moved}: {}",
                    page.words()
                );
                let faults = page.text("section[aria-labelledby=faults-h] tbody");
                assert!(faults.contains("Enter the client secret again"), "{moved}: {faults}");
                apply(&mut admin, &address, &page).await;
            }
        }
        assert_eq!(contoso(&t).await.destination(), home);
        assert_eq!(exported(&mut admin).await, before, "all of it is where it was");
        let new = t.count("SELECT COUNT(*) FROM audit WHERE action = 'provider.update'").await;
        assert_eq!(new, 0, "of {count} entries");
    }
}

#[tokio::test]
async fn secrets_of_tokens_stay_behind_when_an_import_moves_their_provider_and_are_back_when_it_is_undone() {
    for t in consoles().await {
        let mut admin = t.admin();
        bring(&mut admin, &(provider("contoso", &secret(CANARY)) + &tokens(CANARY))).await;
        let before = exported(&mut admin).await;
        let home = contoso(&t).await.destination();

        let moving = bring(&mut admin, &provider("fabrikam", &secret(OTHER))).await;
        let away = contoso(&t).await.destination();
        assert_ne!(home, away);
        assert_eq!(
            password_of(&t, "ropc").await.as_deref(),
            Some(home.as_str()),
            "it was entered for there"
        );
        assert_eq!(sign_in_of(&t, "person").await, home);
        let page = admin.get("/tokens/person").await;
        assert!(!page.words().contains("Working"), "{}", page.words());
        admin.submit(format!("{moving}/undo"), &[]).await;
        assert_eq!(contoso(&t).await.destination(), home);
        assert_eq!(exported(&mut admin).await, before, "all of it is as it was");

        // With new ones for the new place.
        let moving = bring(&mut admin, &(provider("fabrikam", &secret(OTHER)) + &tokens(OTHER))).await;
        assert_eq!(password_of(&t, "ropc").await.as_deref(), Some(away.as_str()));
        assert_eq!(sign_in_of(&t, "person").await, away);
        let undone = admin.submit(format!("{moving}/undo"), &[]).await;
        assert!(undone.words().contains("The import was undone."), "{}", undone.words());
        assert_eq!(password_of(&t, "ropc").await.as_deref(), Some(home.as_str()));
        assert_eq!(sign_in_of(&t, "person").await, home);
        assert_eq!(exported(&mut admin).await, before, "all of it is as it was");
    }
}

#[tokio::test]
async fn what_an_undo_would_put_back_does_not_follow_a_provider_that_moved_since() {
    for t in consoles().await {
        let mut admin = t.admin();
        bring(&mut admin, &(provider("contoso", &secret(CANARY)) + &tokens(CANARY))).await;
        let home = contoso(&t).await.destination();
        let renewing = bring(&mut admin, &tokens(&format!("{CANARY}-new"))).await;
        by_hand(&t, &provider("fabrikam", &secret(OTHER))).await;
        let away = contoso(&t).await.destination();
        assert_ne!(home, away);

        let page = admin.submit(format!("{renewing}/undo"), &[]).await;
        let kept = page.text("section[aria-labelledby=kept-h] tbody");
        assert!(kept.contains("tokenropcIts provider leads elsewhere since"), "{kept}");
        assert_ne!(
            password_of(&t, "ropc").await,
            Some(away.clone()),
            "a password for one place is stored for another"
        );
        assert_ne!(sign_in_of(&t, "person").await, away);
        let file = exported(&mut admin).await;
        assert!(!file.contains(&format!("\"{CANARY}-password")), "{file}");
    }
}

#[tokio::test]
async fn a_provider_that_an_import_moved_and_somebody_kept_there_gets_no_secrets_of_the_place_before() {
    for t in consoles().await {
        let mut admin = t.admin();
        bring(&mut admin, &(provider("contoso", &secret(CANARY)) + &tokens(CANARY))).await;
        let moving = bring(&mut admin, &(provider("fabrikam", &secret(OTHER)) + &tokens(OTHER))).await;
        let away = contoso(&t).await.destination();
        by_hand(&t, &provider("fabrikam", "login_hint = false")).await;

        let page = admin.submit(format!("{moving}/undo"), &[]).await;
        let kept = page.text("section[aria-labelledby=kept-h] tbody");
        assert!(kept.contains("providercontosoIt was changed since"), "{kept}");
        for name in ["ropc", "person"] {
            assert!(kept.contains(&format!("token{name}Its provider leads elsewhere since")), "{kept}");
        }
        assert_eq!(contoso(&t).await.destination(), away);
        assert_eq!(password_of(&t, "ropc").await, Some(away.clone()));
        assert_eq!(sign_in_of(&t, "person").await, away);
        let file = exported(&mut admin).await;
        assert!(!file.contains(CANARY), "secrets of the place before are at the new one: {file}");
        assert_eq!(file.matches(OTHER).count(), 3, "{file}");
    }
}

#[tokio::test]
async fn a_provider_that_waited_for_its_secret_waits_again_where_it_was() {
    for t in consoles().await {
        let mut admin = t.admin();
        bring(&mut admin, &provider("contoso", "")).await;
        let home = contoso(&t).await;
        assert!(home.client_secret.is_none());
        let moving = bring(&mut admin, &provider("fabrikam", &secret(OTHER))).await;
        assert!(contoso(&t).await.client_secret.is_some());
        let undone = admin.submit(format!("{moving}/undo"), &[]).await;
        assert!(undone.words().contains("The import was undone."), "{}", undone.words());
        let back = contoso(&t).await;
        assert_eq!((back.destination(), back.client_secret), (home.destination(), None));
    }
}

#[tokio::test]
async fn what_was_brought_for_one_place_is_not_written_for_another_the_provider_moved_to_meanwhile() {
    for t in consoles().await {
        let mut admin = t.admin();
        bring(&mut admin, &provider("contoso", &secret(CANARY))).await;
        let one = |n: usize| {
            format!(
                "[[token]]\nname = \"t{n:03}\"\nprovider = \"contoso\"\ngrant = \"password\"\nuser = \"t{n:03}@contoso.com\"\n\
                 password = \"{CANARY}-{n}\"\n\n"
            )
        };

        // Between the preview and the press.
        let (address, page) = preview(&mut admin, &one(900), "skip").await;
        by_hand(&t, &provider("fabrikam", &secret(OTHER))).await;
        let moved = apply(&mut admin, &address, &page).await;
        assert!(moved.words().contains("Something changed here since"), "{}", moved.words());
        assert_eq!(t.count("SELECT COUNT(*) FROM tokens").await, 0);
        by_hand(&t, &provider("contoso", &secret(CANARY))).await;

        // Between two parts of one import.
        let text: String = (0..201).map(one).collect();
        let (address, page) = preview(&mut admin, &text, "skip").await;
        let form = page.form(&format!("{address}/apply"));
        let digest = form.iter().find(|(name, _)| name == "digest").map(|(_, digest)| digest.clone());
        let user = t.app.store.user_by_email("maija.korhonen@contoso.test").await.unwrap().unwrap();
        let row = t
            .app
            .store
            .import(&user.id, address.rsplit('/').next().unwrap())
            .await
            .unwrap()
            .unwrap();
        let stopping = t.app.stopping.clone();
        let progress = |done: usize| {
            if done >= 200 {
                stopping.cancel();
            }
        };
        let stopped = transfer::apply(&t.app, &Actor::console(), &row, Existing::Skip, &digest.unwrap(), &progress).await;
        assert!(matches!(stopped, Err(TransferError::Stopping)), "{stopped:?}");
        let t = t.restart().await;
        by_hand(&t, &provider("fabrikam", &secret(OTHER))).await;
        let away = contoso(&t).await.destination();
        let mut admin = t.admin();
        admin.submit(format!("{address}/go-on"), &[]).await;
        t.app.tasks.close();
        t.app.tasks.wait().await;
        let page = admin.get(&address).await;
        let missed = page.text("section[aria-labelledby=miss-h] tbody");
        assert!(missed.contains("tokent200Somebody changed it meanwhile"), "{missed}");
        assert_eq!(password_of(&t, "t200").await, None);
        assert_ne!(password_of(&t, "t000").await, Some(away));
    }
}
