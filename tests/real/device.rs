//! `token authorize` for a token that is got at another device: the command prints address and code, somebody walks the real provider's
//! pages, and the command says how that ended. With a console beside it, and without one.

use super::authorize::{House, PATIENCE, Running};
use crate::support::visitor::{Place, Visitor};
use rustix::process::Signal;

/// Starts the command; it, the address and the code it printed.
pub fn authorize(house: &House) -> (Running, String, String) {
    let command = Running::start(&house.machine, &["token", "authorize", "phone"]);
    let said = command.err.recv_timeout(PATIENCE).unwrap();
    let wanted = format!(
        "On any phone or computer open this address, enter the code, and sign in as {}, before ",
        house.address
    );
    assert!(said.starts_with(&wanted), "{said}");
    let address = command.out.recv_timeout(PATIENCE).unwrap();
    assert_eq!(address, format!("{}/device", house.rig.issuer));
    let code = command.out.recv_timeout(PATIENCE).unwrap();
    (command, address, code)
}

/// Types the code in, and gets to where the provider asks who it is.
async fn enter(visitor: &mut Visitor, address: &str, code: &str) -> Place {
    let page = visitor.open(address).await.page();
    assert_eq!(page.heading, "Enter the code");
    let page = visitor.submit(&page, &[("user_code", code)]).await.page();
    assert_eq!(page.heading, "Is this your code?");
    visitor.submit(&page, &[]).await
}

/// Signs in as somebody and allows what is asked for.
pub async fn sign_in(house: &House, address: &str, code: &str, account: &str) {
    let mut visitor = Visitor::new(house.rig);
    let mut page = enter(&mut visitor, address, code).await.page();
    while page.heading != "Signed in" {
        page = match page.heading.as_str() {
            "Sign in" => visitor.sign_in(&page, account, "right").await,
            "Permissions requested" => visitor.press(&page, "allow").await,
            other => panic!("{other}: {}", page.text),
        }
        .page();
    }
}

fn state(house: &House) -> String {
    let shown = house.machine.run(&["token", "show", "phone", "--json"]).ok().json();
    shown["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_right_account_is_stored_with_a_console_and_without_one() {
    let Some(mut house) = House::new(false).await else { return };
    for with_console in [true, false] {
        if !with_console {
            house.serving.signal(Signal::TERM);
            assert_eq!(house.serving.end().0, Some(0));
        }
        let (mut command, address, code) = authorize(&house);
        assert_eq!(command.child.try_wait().unwrap(), None);
        sign_in(&house, &address, &code, &house.address).await;
        let ended = command.end();
        assert_eq!(ended, (Some(0), vec![format!("signed in as {}", house.address)], vec![]));
        assert_eq!(state(&house), "active");
        house.machine.run(&["token", "refresh", "phone"]).ok();
        let token = house.machine.run(&["token", "get", "phone"]).ok().out;
        assert!(house.rig.is_active(token.trim_end()).await);
    }
    let asked = house.rig.requests_at(&house.client, "device").await;
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn another_account_and_a_refusal_end_the_command_and_leave_the_token_as_it_was() {
    let Some(house) = House::new(false).await else { return };
    let maija = house.rig.user("maija");
    let (mut command, address, code) = authorize(&house);
    sign_in(&house, &address, &code, maija).await;
    let (status, out, err) = command.end();
    assert_eq!((status, out), (Some(1), vec![]), "{err:?}");
    let said = format!("error: Somebody came back as {maija}, expected {}. Token unchanged", house.address);
    assert_eq!(err[0], said);
    assert_eq!(state(&house), "unauthorized");

    let (mut command, address, code) = authorize(&house);
    let mut visitor = Visitor::new(house.rig);
    let page = enter(&mut visitor, &address, &code).await.page();
    visitor.press(&page, "cancel").await;
    let (status, _, err) = command.end();
    assert_eq!(status, Some(1), "{err:?}");
    assert!(err[0].contains("refused by the person or a policy"), "{err:?}");
    assert_eq!(state(&house), "unauthorized");
}

#[tokio::test]
async fn a_stopped_command_takes_its_code_back() {
    let Some(house) = House::new(false).await else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let (mut command, address, code) = authorize(&house);
        // A second command joins the first, and leaves it alone when it is stopped.
        let mut second = Running::start(&house.machine, &["token", "authorize", "phone"]);
        assert_eq!(
            second.err.recv_timeout(PATIENCE).unwrap(),
            "the command line started this sign-in; it still waits."
        );
        assert_eq!(second.out.recv_timeout(PATIENCE).unwrap(), address);
        assert_eq!(second.out.recv_timeout(PATIENCE).unwrap(), code);
        second.signal(signal);
        assert_eq!(second.end().0, Some(1));
        assert_eq!(state(&house), "authorizing");
        command.signal(signal);
        let (status, out, err) = command.end();
        assert_eq!((status, out), (Some(1), vec![]), "{err:?}");
        assert_eq!(
            err,
            [
                "error: stopped before anybody signed in",
                "help: the code no longer works here: run the command again for another"
            ]
        );
        assert_eq!(state(&house), "unauthorized");
    }
}
