//! The own account.

use crate::support::app::{PASSWORD, TestApp};
use axum::http::StatusCode;

#[tokio::test]
async fn a_person_sees_their_account_and_changes_it() {
    let t = TestApp::start().await;
    let mut maija = t.admin();
    let page = maija.get("/me").await;
    assert_eq!((page.status, page.text("h1").as_str()), (StatusCode::OK, "Your account"));
    assert_eq!(page.attribute("input[name=name]", "value").unwrap(), "Maija Korhonen");
    let page = maija
        .submit(
            "/me/profile",
            &[("name", "Maija K"), ("theme", "dark"), ("time_zone", "Europe/Helsinki")],
        )
        .await;
    assert_eq!(page.text(".flash"), "Your account is saved.");
    assert_eq!(page.attribute("html", "data-theme").unwrap(), "dark");
    assert!(page.text("footer.foot").starts_with("Times are in Europe/Helsinki (EET, UTC+2)."));
    let page = maija
        .post("/me/profile", &[("name", " "), ("theme", "dark"), ("time_zone", "Mars/Olympus")])
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text("title").starts_with("Error: Your account"));
    assert_eq!(page.text(".summary li"), "Choose a time zone from the list");
}

#[tokio::test]
async fn changing_the_password_wants_the_current_one_and_ends_every_other_session() {
    let t = TestApp::start().await;
    let (mut here, mut there) = (t.admin(), t.admin());
    let user = t.app.store.user_by_email("maija.korhonen@contoso.test").await.unwrap().unwrap();
    let mut elsewhere = t.browser_with(&t.session_for(&user.id).await);
    assert_eq!(elsewhere.get("/me").await.status, StatusCode::OK);
    let page = here
        .post(
            "/me/password",
            &[("current", "wrong password here"), ("password", "xk2-vale-9tr-moss")],
        )
        .await;
    assert_eq!(page.text(".summary li"), "Current password is wrong");
    let page = here
        .submit("/me/password", &[("current", PASSWORD), ("password", "xk2-vale-9tr-moss")])
        .await;
    assert_eq!(page.text(".flash"), "Your password is changed. Your other session ended.");
    // The session went on under a new id: the old cookie is as dead as the other session.
    assert_eq!(there.get("/me").await.status, StatusCode::SEE_OTHER);
    assert_eq!(elsewhere.get("/me").await.status, StatusCode::SEE_OTHER);
    assert_eq!(here.get("/me").await.status, StatusCode::OK);
    let mut anew = t.anonymous();
    let page = anew
        .submit(
            "/login",
            &[
                ("email", "Maija.Korhonen@contoso.test "),
                ("password", "xk2-vale-9tr-moss"),
                ("next", "/me"),
            ],
        )
        .await;
    assert_eq!(page.text("h1"), "Your account");
}

#[tokio::test]
async fn open_sessions_are_listed_and_can_be_ended() {
    let t = TestApp::start().await;
    let user = t.app.store.user_by_email("maija.korhonen@contoso.test").await.unwrap().unwrap();
    let mut other = t.browser_with(&t.session_for(&user.id).await);
    let mut here = t.admin();
    let page = here.get("/me").await;
    let lines = page.text(".lines li");
    assert_eq!(lines.lines().count(), 2);
    assert_eq!(lines.matches("(this one)").count(), 1);
    let page = here.submit("/me/sessions/end", &[]).await;
    assert_eq!(page.text(".flash"), "Your other sessions ended.");
    assert_eq!(other.get("/me").await.status, StatusCode::SEE_OTHER);
    // Another person's session is not one of the own.
    let theirs = t.operator();
    let hash = mailgrant::vault::sha256(&theirs.cookies["session"]);
    let page = here.post(format!("/me/sessions/{}/end", &hash[..16]), &[]).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(t.operator().get("/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_stolen_session_does_not_guess_the_password_at_leisure() {
    let t = TestApp::start().await;
    let mut thief = t.admin();
    let guess = [("current", "guess number one two"), ("password", "xk2-vale-9tr-moss")];
    for _ in 0..5 {
        assert_eq!(
            thief.post("/me/password", &guess).await.text(".summary li"),
            "Current password is wrong"
        );
    }
    let before = t.web.passwords.computed();
    let page = thief.post("/me/password", &guess).await;
    assert_eq!(page.text(".summary li"), "Too many tries. Try again in 20 seconds");
    assert_eq!(t.web.passwords.computed(), before, "it costs nobody a place in the queue");
    t.clock.advance(20);
    let right = [("current", PASSWORD), ("password", "xk2-vale-9tr-moss")];
    assert_eq!(thief.post("/me/password", &right).await.status, StatusCode::SEE_OTHER);
}
