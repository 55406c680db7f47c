//! Everything that is written down can be read by people, and looked for.

use crate::support::sources;
use mailgrant::model::audit::{ACTIONS, Actor, AuditEntry, NOUNS};

/// What is written like an action and is none: permissions, events of notices, fields of the log, a setting.
const OTHERS: [&str; 13] = [
    "console.certificate",
    "console.test",
    "mailbox.act",
    "mailbox.edit",
    "mailbox.failing",
    "mailbox.name",
    "provider.edit",
    "provider.name",
    "token.authorize",
    "token.edit",
    "token.id",
    "token.name",
    "token.sign_in_needed",
];

/// Whether a literal may be an action: `mailbox.delete`. What is only named in calls is found as well as what stands in an entry.
fn is_action(literal: &str) -> bool {
    literal.split_once('.').is_some_and(|(noun, verb)| {
        NOUNS.contains(&noun) && !verb.is_empty() && verb.bytes().all(|b| b.is_ascii_lowercase() || b"_-".contains(&b))
    })
}

#[tokio::test]
async fn everything_that_is_written_down_has_words() {
    let things = super::real_things::Things::make().await;
    let rows = things.t.app.store.audit_rows(1000).await.unwrap();
    assert!(rows.len() > 8, "{}", rows.len());
    for row in rows {
        assert!(
            ACTIONS.iter().any(|(action, _)| *action == row.action),
            "{} has no words",
            row.action
        );
    }
    // A name alone is looked for as everything that has one.
    let entry = AuditEntry {
        action: "batch.start",
        target: "batch:b17".into(),
        detail: String::new(),
        outcome: "ok",
    };
    let now = things.t.app.clock.now();
    things.t.app.store.audit(now, &Actor::console(), entry).await.unwrap();
    assert!(
        things
            .t
            .admin()
            .get("/audit?object=b17")
            .await
            .words()
            .contains("Started a bulk test")
    );
    let (mut found, mut actions) = (0, 0);
    for text in sources() {
        let pieces: Vec<&str> = text.split('"').collect();
        for pair in pieces.windows(2) {
            let (before, word) = (pair[0], pair[1]);
            let is_written = before.ends_with("action: ") && word.contains('.');
            if !is_written && (!is_action(word) || OTHERS.contains(&word)) {
                continue;
            }
            assert!(ACTIONS.iter().any(|(known, _)| *known == word), "{word} has no words");
            actions += 1;
        }
        for target in text.split("target: ").skip(1) {
            let noun = target
                .trim_start_matches("format!(")
                .strip_prefix('"')
                .and_then(|text| text.split_once(':'));
            if let Some((noun, rest)) = noun.filter(|(noun, _)| noun.bytes().all(|b| b.is_ascii_lowercase())) {
                assert!(NOUNS.contains(&noun) || rest.starts_with(':'), "{noun} can't be looked for");
                found += 1;
            }
        }
    }
    assert!(found > 20 && actions > 20, "{found} {actions}");
}
