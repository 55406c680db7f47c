//! A `[[mailbox]]` of the file, as it would be stored.

use super::super::{ApplyError, Sources};
use super::{Planned, at_lines, both, entry_name, secret, with_name};
use crate::actions::FieldProblem;
use crate::actions::mailboxes::{self, MailboxInput, SideInput, check_mailbox};
use crate::app::App;
use crate::model::Name;
use crate::model::audit::Actor;
use crate::model::config_file::Entry;
use crate::model::mailbox::{Mailbox, Pause};
use crate::model::token::Token;
use crate::secret::Password;
use std::collections::HashMap;

pub(super) async fn plan_mailbox(
    app: &App,
    actor: &Actor,
    entry: &Entry,
    tokens: &HashMap<Name, Token>,
    sources: &Sources<'_>,
) -> Result<Planned<(Option<Mailbox>, Mailbox)>, ApplyError> {
    let named = entry_name(entry);
    let current = match &named {
        Ok(name) => app.store.mailbox(name).await?,
        Err(_) => None,
    };
    let mut input = current.as_ref().map_or_else(
        || MailboxInput {
            enabled: true,
            ..MailboxInput::default()
        },
        MailboxInput::of,
    );
    input.name = named.as_ref().map(Name::to_string).unwrap_or_default();
    if let Some(text) = entry.text("address") {
        text.clone_into(&mut input.address);
    }
    if let Some(text) = entry.text("display_name") {
        text.clone_into(&mut input.display_name);
    }
    input.enabled = entry.flag("enabled").unwrap_or(input.enabled);
    if let Some(tags) = entry.list("tags") {
        input.tags = tags.to_vec();
    }
    if let Some(text) = entry.text("round_trip_hours") {
        text.clone_into(&mut input.round_trip_hours);
    }
    let mut secrets = Vec::new();
    for (table, side, protocol) in [("incoming", &mut input.incoming, "imap"), ("outgoing", &mut input.outgoing, "smtp")] {
        if entry.has_table(table) {
            let new = SideInput {
                protocol: protocol.into(),
                auth: "oauth2".into(),
                ..SideInput::default()
            };
            if let Err(problems) = plan_side(entry, table, side.get_or_insert(new), sources) {
                secrets.extend(problems);
            }
        }
    }
    if let Some(text) = entry.text("incoming.folder") {
        text.clone_into(&mut input.folder);
    }
    if let Some(text) = entry.text("outgoing.from") {
        text.clone_into(&mut input.from);
    }
    if let Some(bcc) = entry.list("outgoing.bcc") {
        input.bcc = bcc.to_vec();
    }
    let edit = match check_mailbox(&input, &app.gate) {
        Ok(edit) if secrets.is_empty() && named.is_ok() => edit,
        Ok(_) => {
            secrets.extend(at_lines(entry, unknown_tokens(&input, tokens)));
            return Ok(Err(with_name(secrets, named)));
        }
        Err(mut problems) => {
            problems.extend(unknown_tokens(&input, tokens));
            return Ok(Err(with_name(both(entry, secrets, problems), named)));
        }
    };
    match mailboxes::build(app, edit, current.as_ref(), &|name| tokens.get(name).cloned()) {
        Ok(mut mailbox) => {
            if current.as_ref().is_some_and(|current| current.enabled) && !mailbox.enabled {
                mailbox.paused = Some(Pause {
                    by: actor.name.clone(),
                    at: app.clock.now(),
                    reason: String::new(),
                });
                mailbox.state = mailbox.derive_state();
            }
            Ok(Ok((current, mailbox)))
        }
        Err(problems) => Ok(Err(at_lines(entry, problems))),
    }
}

/// Tokens that a mailbox names and that are nowhere: told with whatever else is wrong with it.
fn unknown_tokens(input: &MailboxInput, tokens: &HashMap<Name, Token>) -> Vec<FieldProblem> {
    let sides = [("incoming.token", &input.incoming), ("outgoing.token", &input.outgoing)];
    let wanted = sides.into_iter().filter_map(|(field, side)| {
        let side = side.as_ref().filter(|side| side.auth.trim() == "oauth2")?;
        Some((field, Name::parse(side.token.trim()).ok()?))
    });
    wanted
        .filter(|(_, name)| !tokens.contains_key(name))
        .map(|(field, name)| FieldProblem {
            field,
            message: format!("There is no token called {name}"),
        })
        .collect()
}

fn plan_side(entry: &Entry, table: &str, side: &mut SideInput, sources: &Sources<'_>) -> Planned<()> {
    // Another protocol has another server, and its own usual port.
    if entry
        .text(&format!("{table}.protocol"))
        .is_some_and(|protocol| protocol != side.protocol)
    {
        side.host.clear();
        side.port.clear();
        side.security.clear();
    }
    for (key, into) in [
        ("protocol", &mut side.protocol),
        ("host", &mut side.host),
        ("port", &mut side.port),
        ("security", &mut side.security),
        ("auth", &mut side.auth),
        ("token", &mut side.token),
        ("username", &mut side.username),
    ] {
        if let Some(text) = entry.text(&format!("{table}.{key}")) {
            text.clone_into(into);
        }
    }
    side.password = secret(entry, &format!("{table}.password"), sources)?.map(|text| Password::new(text.as_str()));
    Ok(())
}
