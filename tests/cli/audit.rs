//! `mailgrant audit verify`: the first bad entry by its number, and anchors.

use super::CONTOSO;
use crate::support::command::Machine;
use sqlx::Connection;

/// Past the console, as somebody does who owns the file.
fn harm(machine: &Machine, statements: &[&'static str]) {
    let database = format!("sqlite://{}", machine.data().join("mailgrant.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        sqlx::any::install_default_drivers();
        let mut connection = sqlx::AnyConnection::connect(&database).await.unwrap();
        for sql in ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"]
            .iter()
            .chain(statements)
        {
            sqlx::query(*sql).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    });
}

#[test]
fn an_intact_chain_is_told_and_its_head_is_an_anchor_for_later() {
    let machine = Machine::with(CONTOSO);
    machine.apply(&CONTOSO.replace("Contoso Support", "Support")).ok();
    let said = machine.run(&["audit", "verify"]).ok().out;
    assert!(said.starts_with("The chain is intact: "), "{said}");
    let json = machine.run(&["audit", "verify", "--json"]).ok().json();
    assert_eq!((json["intact"].as_bool(), json["first"].as_i64()), (Some(true), Some(1)));
    let (last, head) = (json["last"].as_i64().unwrap(), json["head"].as_str().unwrap().to_owned());
    assert!(last > 3, "{json}");

    let line = format!("2026-11-21T08:00:00.000Z  INFO Audit anchor mailgrant-audit:{last}:{head}\n");
    let file = machine.file("console.log", &line);
    let file = file.to_str().unwrap();
    let said = machine.run(&["audit", "verify", "--anchor", file]).ok().out;
    assert!(said.contains("Anchors that the log still holds: 1\n"), "{said}");
    let json = machine.run_with(&["audit", "verify", "--anchor", "-", "--json"], &line).ok().json();
    assert_eq!(json["anchors"][0]["held"], "yes");

    // Two more entries, then those and the one before them are cut off, neatly.
    machine.apply(CONTOSO).ok();
    harm(
        &machine,
        &[
            "DELETE FROM audit WHERE sequence >= 3",
            "UPDATE audit_head SET sequence = 2, hash = (SELECT hash FROM audit WHERE sequence = 2)",
        ],
    );
    assert!(
        machine
            .run(&["audit", "verify"])
            .ok()
            .out
            .starts_with("The chain is intact: 2 entries, 1 to 2")
    );
    let ran = machine.run(&["audit", "verify", "--anchor", file]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(
        ran.out
            .contains(&format!("Entry {last} isn't the one of the anchor: the log ends before it\n")),
        "{ran:?}"
    );
}

#[test]
fn the_first_bad_entry_is_named_with_exit_status_1() {
    let machine = Machine::with(CONTOSO);
    harm(&machine, &["UPDATE audit SET actor = 'console' WHERE sequence = 2"]);
    let ran = machine.run(&["audit", "verify"]);
    assert_eq!((ran.status, ran.err.as_str()), (1, ""));
    assert_eq!(ran.out, "The chain breaks at entry 2: This entry isn't as it was written\n");
    let ran = machine.run(&["audit", "verify", "--json"]);
    let json = ran.json();
    assert_eq!(
        (ran.status, json["broken"]["sequence"].as_i64(), json["intact"].as_bool()),
        (1, Some(2), Some(false))
    );
}

#[test]
fn a_file_without_anchors_is_wrong_input() {
    let machine = Machine::with(CONTOSO);
    let file = machine.file("other.log", "nothing of the kind\n");
    let ran = machine.run(&["audit", "verify", "--anchor", file.to_str().unwrap()]);
    assert!(ran.refused(2)[0].starts_with("error: there is no anchor in "), "{ran:?}");
    assert!(machine.run(&["audit", "verify", "--anchor", "missing"]).refused(2)[0].contains("can't be read"));
}
