//! Causes on the overview: each has the button that mends it, and what is turned off is counted apart.

use crate::support::app::TestApp;
use crate::support::page::Page;
use axum::http::StatusCode;
use mailgrant::actions::provider_links;
use mailgrant::diagnosis::by_id;
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::consent::LinkKind;

/// What each button of the overview says, with where it leads.
fn buttons(page: &Page) -> Vec<(String, String)> {
    let html = scraper::Html::parse_document(&page.body);
    let all = scraper::Selector::parse(".todo .acts a").unwrap();
    html.select(&all)
        .map(|link| {
            let words: String = link.text().next().unwrap_or_default().to_owned();
            (words, link.attr("href").unwrap().to_owned())
        })
        .collect()
}

/// Each cause has the button that mends it for whoever may press that, and for everybody else one that shows it.
#[tokio::test]
async fn the_button_of_a_cause_is_the_one_that_mends_it() {
    let t = TestApp::start().await;
    t.add_token(true).await;
    t.add_mailbox("m", Some(1143), None).await;
    let execute = async |sql: &'static str, text: &str| {
        sqlx::query(sql)
            .bind(text.to_owned())
            .execute(t.app.store.raw_pool())
            .await
            .unwrap();
    };
    let both = async |path: &str| {
        let (admin, viewer) = (t.admin().get(path).await, t.viewer().get(path).await);
        (buttons(&admin).remove(0), buttons(&viewer).remove(0))
    };
    let pair = |words: &str, href: &str| (words.to_owned(), href.to_owned());
    let open = pair("Open the provider", "/providers/contoso#problem");
    for (id, auth, words, href) in [
        (
            "entra-7000222-secret-expired",
            "secret_post",
            "Replace secret",
            "/providers/contoso/secret",
        ),
        (
            "entra-700027-key-expired",
            "certificate",
            "Replace certificate",
            "/providers/contoso/certificate",
        ),
        (
            "entra-700016-app-not-found",
            "secret_post",
            "Check the provider's settings",
            "/providers/contoso/edit",
        ),
    ] {
        let mut found = by_id(id).unwrap();
        let number = id.split('-').nth(1).unwrap();
        found.said = format!("AADSTS{number}: no");
        execute(
            "UPDATE providers SET problem = $1, problem_since = 1795244400",
            &serde_json::to_string(&found).unwrap(),
        )
        .await;
        execute("UPDATE providers SET client_auth = $1", auth).await;
        let (admin, viewer) = both("/").await;
        assert_eq!((admin, viewer), (pair(words, href), open.clone()), "{id}");
        assert_eq!(t.admin().get(href).await.status, StatusCode::OK, "{href}");
        // What people look it up by stands beside the moment.
        let since = t.admin().get("/").await.text(".todo .since");
        assert!(
            since.starts_with("Since ") && since.ends_with(&format!(", AADSTS{number}")),
            "{since}"
        );
    }
    execute("UPDATE providers SET problem = NULL, client_auth = $1", "secret_post").await;

    // Sign-ins that have ended, by how they are got.
    execute(
        "INSERT INTO grants (token_id, state, generation) SELECT id, $1, 1 FROM tokens",
        "revoked",
    )
    .await;
    for (grant, mends, shows) in [
        (
            "authorization_code",
            pair("Sign in again", "/tokens/support"),
            pair("Open the token", "/tokens/support"),
        ),
        (
            "password",
            pair("Enter the password", "/tokens/support/edit#password"),
            pair("Open the token", "/tokens/support"),
        ),
        (
            "client_credentials",
            pair("See the fix", "/tokens/support"),
            pair("See the fix", "/tokens/support"),
        ),
    ] {
        execute("UPDATE tokens SET grant_type = $1", grant).await;
        assert_eq!(both("/").await, (mends, shows), "{grant}");
    }
    execute("DELETE FROM grants WHERE state = $1", "revoked").await;

    // Links that nobody has used for days.
    let contoso = t.app.store.provider(&Name::parse("contoso").unwrap()).await.unwrap().unwrap();
    provider_links::create(&t.app, &Actor::console(), &contoso, LinkKind::Secret)
        .await
        .unwrap();
    execute(
        "UPDATE provider_links SET created_at = created_at - 4 * 86400, expires_at = expires_at + $1",
        "864000",
    )
    .await;
    assert_eq!(
        both("/").await,
        (
            pair("Send a new link", "/providers/contoso/request"),
            pair("Open the provider", "/providers/contoso")
        )
    );
}

#[tokio::test]
async fn mailboxes_that_are_turned_off_are_counted_apart() {
    let t = TestApp::start().await;
    t.add_token(true).await;
    for name in ["one", "two", "three"] {
        t.add_mailbox(name, Some(1143), None).await;
    }
    let execute = async |sql: &'static str| sqlx::query(sql).execute(t.app.store.raw_pool()).await.unwrap();
    execute("UPDATE mailboxes SET enabled = 1, incoming_token_id = (SELECT id FROM tokens)").await;
    let page = t.viewer().get("/").await;
    assert!(page.text(".todo li").contains("Used by 3 mailboxes."), "{}", page.text(".todo li"));
    execute("UPDATE mailboxes SET enabled = 0 WHERE name = 'two'").await;
    let page = t.viewer().get("/").await;
    assert!(
        page.text(".todo li").contains("Used by 3 mailboxes, 1 turned off."),
        "{}",
        page.text(".todo li")
    );
    let found = serde_json::to_string(&by_id("entra-7000222-secret-expired").unwrap()).unwrap();
    sqlx::query("UPDATE providers SET problem = $1")
        .bind(found)
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    let page = t.viewer().get("/").await;
    assert!(
        page.text(".todo li").contains("Hits 3 mailboxes, 1 turned off."),
        "{}",
        page.text(".todo li")
    );
    let provider = t.viewer().get("/providers/contoso").await;
    assert!(provider.words().contains("3 mailboxes, 1 turned off"), "{}", provider.words());
    let list = t.viewer().get("/providers").await;
    assert_eq!(list.text("td[data-l=Mailboxes] small"), ", 1 off");
    let list = t.viewer().get("/tokens").await;
    assert_eq!(list.text("td[data-l=Mailboxes] small"), ", 1 off");
    let token = t.viewer().get("/tokens/support").await;
    assert!(token.text("ul.links").contains("turned off"), "{}", token.text("ul.links"));
}

/// A policy that ends forty sign-ins at once is one row, with all of them behind its button; one of another reason stays its own.
#[tokio::test]
async fn sign_ins_that_ended_for_one_reason_are_one_row() {
    let t = TestApp::start().await;
    t.add_token(true).await;
    let execute = async |sql: &'static str, text: &str| {
        sqlx::query(sql)
            .bind(text.to_owned())
            .execute(t.app.store.raw_pool())
            .await
            .unwrap();
    };
    execute(
        "INSERT INTO tokens (id, name, provider_id, grant_type, account, scopes, prompt, shared, version, created_at, updated_at)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < CAST($1 AS INTEGER))
         SELECT 'id' || i, 'box-' || i, provider_id, grant_type, 'box-' || i || '@contoso.test', scopes, prompt, 0, 1, created_at, updated_at
         FROM n, tokens WHERE tokens.name = 'support'",
        "41",
    )
    .await;
    execute(
        "INSERT INTO mailboxes (id, name, address, display_name, enabled, tags, bcc, state, changed_at, version, created_at,
                                incoming_protocol, incoming_token_id, checked_at)
         SELECT id, name, account, '', 1, '[]', '[]', 3, 1, 1, 1, $1, id, 1 FROM tokens WHERE name LIKE 'box-%'",
        "imap",
    )
    .await;
    let told = |id: &str, said: &str| {
        let mut found = by_id(id).unwrap();
        found.said = said.to_owned();
        serde_json::to_string(&found).unwrap()
    };
    execute(
        "INSERT INTO grants (token_id, state, generation, last_error, last_error_at)
         SELECT id, 'revoked', 1, $1, 1795240000 + ROW_NUMBER() OVER (ORDER BY id) FROM tokens WHERE name LIKE 'box-%'",
        &told("entra-70043-signin-frequency", "AADSTS70043: due to sign-in frequency checks"),
    )
    .await;
    let page = t.admin().get("/").await;
    let title = page.text(".todo h3");
    assert_eq!(title.lines().count(), 1, "{title}");
    assert!(
        title.starts_with("41 tokens of contoso need a new sign-in: a policy ends sign-ins"),
        "{title}"
    );
    assert!(page.text(".todo").contains("Hits 41 mailboxes."), "{}", page.text(".todo"));
    assert!(page.text(".todo .since").ends_with(", AADSTS70043"));
    let (words, list) = buttons(&page).remove(0);
    assert_eq!(words, "Show them");
    let shown = t.viewer().get(&list).await;
    assert!(
        shown.words().contains("41 tokens") && !shown.text("tbody").contains("support@"),
        "{}",
        shown.words()
    );

    // Another reason, and a few alone.
    execute(
        "UPDATE grants SET last_error = $1 WHERE token_id = 'id7'",
        &told("entra-70043-signin-frequency", "").replace("entra-70043-signin-frequency", "entra-50173-grant-expired"),
    )
    .await;
    let titles = t.admin().get("/").await.text(".todo h3");
    assert!(
        titles.contains("40 tokens of contoso") && titles.contains("box-7@contoso.test: needs a new sign-in"),
        "{titles}"
    );
    execute("DELETE FROM grants WHERE token_id NOT IN ('id1', 'id2') AND state = $1", "revoked").await;
    execute(
        "DELETE FROM mailboxes WHERE incoming_token_id NOT IN ('id1', 'id2') AND name <> $1",
        "",
    )
    .await;
    let titles = t.admin().get("/").await.text(".todo h3");
    assert_eq!(
        titles.lines().filter(|title| title.contains(": needs a new sign-in")).count(),
        2,
        "{titles}"
    );
}

/// "2 mailboxes, m1 among them" has to lead to both of them and nobody else.
#[tokio::test]
async fn messages_that_came_late_or_never_lead_to_the_list_of_their_mailboxes() {
    let t = TestApp::start().await;
    let refused = "The server refused the sender";
    for (name, outcome, seconds, problem) in [
        ("m1", "lost", None, ""),
        ("m2", "lost", None, ""),
        ("m3", "refused", None, refused),
        ("m4", "refused", None, refused),
        ("m5", "refused", None, "Another reason"),
        ("m6", "arrived", Some(400), ""),
        ("m7", "arrived", Some(500), ""),
        ("m8", "arrived", Some(3), ""),
        ("m9", "sent", None, ""),
        ("off", "lost", None, ""),
        ("well", "arrived", Some(3), ""),
    ] {
        let mailbox = t.add_mailbox(name, Some(1143), None).await;
        let pool = t.app.store.raw_pool();
        sqlx::query("UPDATE mailboxes SET enabled = CASE name WHEN 'off' THEN 0 ELSE 1 END, round_trip_hours = 1")
            .execute(pool)
            .await
            .unwrap();
        // The one before the last doesn't count.
        for (before, outcome, seconds, problem) in [(7200, "lost", None, ""), (3600, outcome, seconds, problem)] {
            sqlx::query("INSERT INTO round_trips (id, mailbox_id, message_id, sent_at, outcome, seconds, place, problem) VALUES ($1, $2, '<x>', $3, $4, $5, '', $6)")
                .bind(format!("{name}{before}"))
                .bind(mailbox.id.as_str())
                .bind(mailgrant::clock::Clock::now(&t.clock).0 - before)
                .bind(outcome)
                .bind(seconds)
                .bind(problem)
                .execute(pool)
                .await
                .unwrap();
        }
    }
    let page = t.viewer().get("/").await;
    let html = scraper::Html::parse_document(&page.body);
    let (item, link) = (
        scraper::Selector::parse(".todo li").unwrap(),
        scraper::Selector::parse("p a").unwrap(),
    );
    let mut lists = Vec::new();
    for item in html.select(&item) {
        let words: String = item.text().collect();
        let Some(link) = item.select(&link).next() else {
            assert!(!words.contains("2 mailboxes"), "{words}");
            continue;
        };
        let href = link.attr("href").unwrap();
        let list = t.viewer().get(href).await;
        assert_eq!(list.status, StatusCode::OK, "{href}");
        let mut names: Vec<String> = list
            .text("tbody td a b")
            .lines()
            .map(|line| line.replace("@contoso.test", ""))
            .collect();
        names.sort();
        lists.push((
            link.text().collect::<String>(),
            if href.contains('?') { names.join(" ") } else { href.to_owned() },
        ));
    }
    lists.sort();
    let found: Vec<(&str, &str)> = lists.iter().map(|(words, names)| (words.as_str(), names.as_str())).collect();
    for expected in [
        ("1 mailbox, m5", "/mailboxes/m5"),
        ("1 mailbox, m9", "/mailboxes/m9"),
        ("2 mailboxes, m1 among them", "m1 m2"),
        ("2 mailboxes, m3 among them", "m3 m4"),
        ("2 mailboxes, m6 among them", "m6 m7"),
    ] {
        assert!(found.contains(&expected), "{expected:?} is missing in {found:?}");
    }
}
