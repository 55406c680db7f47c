//! What the README promises, held against the code.

use mailgrant::model::provider::Cloud;
use mailgrant::model::template::{TemplateKind, purposes};
use std::fmt::Write;

/// Which way of getting a token opens a mailbox over which protocol, as the templates have it.
fn table() -> String {
    let mut table = String::from("| Provider | `grant` | IMAP | POP3 | SMTP | Graph |\n| --- | --- | --- | --- | --- | --- |\n");
    for kind in TemplateKind::ALL {
        let offered = purposes(*kind, Cloud::Global);
        for grant in kind.grants() {
            let cells = ["imap", "pop", "smtp", "graph"].map(|key| match key {
                _ if offered.iter().any(|purpose| purpose.key == key) => "yes",
                // Only its own people know what its mail servers take.
                "imap" | "pop" | "smtp" if *kind == TemplateKind::Custom => "where its servers take tokens",
                _ => "no",
            });
            writeln!(table, "| {} | `{}` | {} |", kind.label(), grant.as_str(), cells.join(" | ")).unwrap();
        }
    }
    table
}

#[test]
fn the_table_of_grants_says_what_the_templates_do() {
    let readme = include_str!("../README.md");
    let table = table();
    assert!(
        readme.contains(&table),
        "the README's table is out of date; this is what belongs there:\n\n{table}"
    );
}
