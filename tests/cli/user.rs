//! Accounts by the command line.

use crate::support::command::Machine;

const PASSWORD: &str = "xk2-vale-9tr-moss\n";

#[test]
fn the_first_account_is_an_admin_and_the_next_a_viewer() {
    let machine = Machine::new();
    let add = |more: &[&str]| machine.run_with(&[&["user", "add"], more, &["--password-stdin"]].concat(), PASSWORD);
    assert_eq!(add(&["Maija@Contoso.Test"]).ok().out, "Added maija@contoso.test as admin\n");
    assert_eq!(add(&["ossi@contoso.test"]).ok().out, "Added ossi@contoso.test as viewer\n");
    assert_eq!(
        add(&["vera@contoso.test", "--role", "operator", "--name", "Vera Salo"]).ok().out,
        "Added vera@contoso.test as operator\n"
    );
    let list = machine.run(&["user", "list"]).ok().out;
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["maija@contoso.test", "maija", "admin", "on", "never"]);
    assert_eq!(lines[3], ["vera@contoso.test", "Vera", "Salo", "operator", "on", "never"]);
}

#[test]
fn wrong_input_is_named_and_nothing_is_added() {
    let machine = Machine::new();
    let add = |email: &str, password: &str| machine.run_with(&["user", "add", email, "--password-stdin"], password);
    assert_eq!(
        add("maija", PASSWORD).refused(2),
        ["error: Enter an email address like name@example.com"]
    );
    assert_eq!(
        add("a@b.test", "password1234\n").refused(2),
        ["error: Password is one of the most common ones"]
    );
    assert_eq!(
        add("a@b.test", "short\n").refused(2),
        ["error: Password must be 12 characters or more"]
    );
    assert_eq!(add("a@b.test", "").refused(2), ["error: no password on standard input"]);
    assert_eq!(
        machine.run(&["user", "add", "a@b.test"]).refused(2)[0],
        "error: there is no terminal to ask for the password"
    );
    assert_eq!(machine.run(&["user", "list"]).ok().out.lines().count(), 1);
    add("a@b.test", PASSWORD).ok();
    assert_eq!(add("A@B.test", PASSWORD).refused(2), ["error: a@b.test has an account already"]);
}

#[test]
fn the_last_admin_stays_and_others_can_go_and_come_back() {
    let machine = Machine::new();
    for email in ["a@b.test", "c@d.test"] {
        machine
            .run_with(&["user", "add", email, "--role", "admin", "--password-stdin"], PASSWORD)
            .ok();
    }
    machine.run(&["user", "disable", "C@D.test"]).ok();
    assert_eq!(
        machine.run(&["user", "disable", "a@b.test"]).refused(1),
        ["error: a@b.test is the last admin; make someone else admin first"]
    );
    assert!(machine.run(&["user", "list"]).ok().out.contains("disabled"));
    assert_eq!(
        machine.run(&["user", "disable", "x@y.test"]).refused(2)[0],
        "error: there is no account for x@y.test"
    );
    machine
        .run_with(&["user", "reset-password", "c@d.test", "--password-stdin"], PASSWORD)
        .ok();
    assert!(!machine.run(&["user", "list"]).ok().out.contains("disabled"));
}
