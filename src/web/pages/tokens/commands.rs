//! Ready commands for the Exchange admin of an app-only token at Microsoft, with the record's own ids.

use super::abilities::{abilities, object_id};
use crate::diagnosis::ways::Line;
use crate::model::lint::is_guid;
use crate::model::mailbox::{Auth, Mailbox, Protocol, Side};
use crate::model::provider::Provider;
use crate::model::scopes::{Resource, resource_of};
use crate::model::template::TemplateKind;
use crate::model::token::Token;
use crate::web::WebState;
use crate::web::error::PageError;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

/// How many mailboxes are written out on the page? The file has them all.
pub const SHOWN: usize = 10;

/// Lines to copy, with what they are for.
#[derive(Debug)]
pub struct Command {
    /// Id on the page.
    pub id: &'static str,
    /// What they do.
    pub title: &'static str,
    /// When they are needed.
    pub hint: &'static str,
    /// The lines.
    pub lines: String,
}

fn lines<'a>(most: usize, addresses: impl Iterator<Item = &'a str>, line: impl Fn(&str) -> String) -> Vec<String> {
    let mut all: Vec<&str> = addresses.collect();
    all.sort_unstable();
    all.dedup();
    let more = all.len().saturating_sub(most);
    let mut out: Vec<String> = all.iter().take(most).map(|address| line(address)).collect();
    if more > 0 {
        out.push(format!("# and the same for {more} more mailboxes: the file below has them all"));
    }
    if out.is_empty() {
        out.push(line(""));
    }
    out
}

/// The commands for the mailboxes that use the token, of which at most so many are written out. `object_id` is the service principal's,
/// where the token has told it.
pub fn commands(token: &Token, provider: &Provider, object_id: Option<&str>, mailboxes: &[Mailbox], most: usize) -> Vec<Command> {
    if !super::abilities::is_app_only(token) || provider.template != TemplateKind::Microsoft {
        return Vec::new();
    }
    let object = object_id.filter(|id| is_guid(id)).unwrap_or_default();
    // A line with the ids of this token, and one value more.
    let with = |line: Line, place: &str, value: &str| {
        line.with(|wanted| match wanted {
            _ if wanted == place => value.to_owned(),
            "client id" => provider.client_id.clone(),
            "enterprise object id" | "trustee" => object.to_owned(),
            "app name" => format!("Mailgrant {}", provider.name),
            "scope name" => format!("Mailgrant {}", token.name),
            "mark" => format!("mailgrant-{}", token.name),
            _ => String::new(),
        })
        .replace("<trustee>", "<enterprise object id>")
    };
    let uses = |mailbox: &Mailbox, wanted: &dyn Fn(Protocol, bool) -> bool| {
        let with = |side: &Option<Side>, reads: bool| {
            side.as_ref().is_some_and(|side| {
                wanted(side.server.protocol(), reads) && matches!(&side.auth, Auth::OAuth2 { token_id, .. } if *token_id == token.id)
            })
        };
        with(&mailbox.incoming, true) || with(&mailbox.outgoing, false)
    };
    let addresses = |wanted: &'static dyn Fn(Protocol, bool) -> bool| {
        mailboxes
            .iter()
            .filter(move |mailbox| uses(mailbox, wanted))
            .map(|mailbox| mailbox.address.as_str())
    };
    let any = |wanted: &'static dyn Fn(Protocol, bool) -> bool| addresses(wanted).next().is_some();
    let graph_token = resource_of(provider.template, &token.scopes) == Some(Resource::Graph);
    // Without a mailbox yet: what the token's own permissions are for.
    let (none, exchange, graph) = (
        mailboxes.is_empty(),
        any(&|p, _| p != Protocol::Graph),
        any(&|p, _| p == Protocol::Graph),
    );
    let (exchange, graph) = (exchange || none && !graph_token, graph || none && graph_token);

    let mut found = vec![Command {
        id: "c-app",
        title: "Make the app known to Exchange",
        hint: "Once for each app. The object id is that of the enterprise application; the app registration has another one, with which \
               every sign-in fails.",
        lines: with(Line::NewServicePrincipal, "", ""),
    }];
    if exchange {
        found.push(Command {
            id: "c-mailbox",
            title: "Let it open these mailboxes by IMAP, POP and SMTP",
            hint: "It opens no other one this way. Allow up to an hour.",
            lines: lines(most, addresses(&|p, _| p != Protocol::Graph), |mailbox| {
                with(Line::FullAccess, "mailbox", mailbox)
            })
            .join("\n"),
        });
    }
    if any(&|p, _| p == Protocol::Smtp) {
        let mut all = lines(most, addresses(&|p, _| p == Protocol::Smtp), |mailbox| {
            with(Line::SmtpOn, "mailbox", mailbox)
        });
        let by_smtp = mailboxes.iter().filter(|mailbox| uses(mailbox, &|p, _| p == Protocol::Smtp));
        let senders: Vec<&str> = by_smtp
            .filter(|mailbox| !mailbox.sender().eq_ignore_ascii_case(&mailbox.address))
            .map(Mailbox::sender)
            .collect();
        if !senders.is_empty() {
            all.extend(lines(most, senders.into_iter(), |sender| {
                with(Line::SendAs, "from address", sender)
            }));
        }
        found.push(Command {
            id: "c-smtp",
            title: "Turn SMTP AUTH on for them",
            hint: "SMTP AUTH is off in most tenants, and that holds for tokens too.",
            lines: all.join("\n"),
        });
    }
    if graph {
        let mut all = lines(most, addresses(&|p, _| p == Protocol::Graph), |mailbox| {
            with(Line::ShowMark, "mailbox", mailbox)
        });
        all.extend(lines(most, addresses(&|p, _| p == Protocol::Graph), |mailbox| {
            with(Line::Mark, "mailbox", mailbox)
        }));
        all.push(with(Line::NewScope, "", ""));
        for (role, needed) in [
            ("Application Mail.ReadWrite", none || any(&|p, reads| p == Protocol::Graph && reads)),
            ("Application Mail.Send", none || any(&|p, reads| p == Protocol::Graph && !reads)),
        ] {
            if needed {
                all.push(with(Line::AssignRole, "role", role));
            }
        }
        all.extend(lines(most, addresses(&|p, _| p == Protocol::Graph).take(1), |mailbox| {
            with(Line::TestAuthorization, "mailbox", mailbox)
        }));
        found.push(Command {
            id: "c-rbac",
            title: "Limit it to these mailboxes (RBAC for Applications)",
            hint: "First take the Mail permissions off the app registration: what it has there adds up. The token then names no roles, which \
                   is right. Changes take up to two hours. CustomAttribute1 serves as the mark: the first lines show what stands in it now, \
                   and what stands there is overwritten. Where your organisation uses it, take another of the fifteen in every line.",
            lines: all.join("\n"),
        });
        found.push(Command {
            id: "c-policy",
            title: "Ask an application access policy, where one is in use",
            hint: "Such policies limit Graph, not IMAP, POP and SMTP. Make no new ones: RBAC for Applications follows them.",
            lines: lines(most, addresses(&|p, _| p == Protocol::Graph), |mailbox| {
                with(Line::TestPolicy, "mailbox", mailbox)
            })
            .join("\n"),
        });
    }
    found
}

/// `GET /tokens/{name}/commands`: the commands for every mailbox, as a text file.
pub async fn download(State(web): State<WebState>, Path(name): Path<String>) -> Result<Response, PageError> {
    let (token, provider) = super::find(&web.app, &name).await?;
    let store = &web.app.store;
    let mailboxes = store.mailboxes_of_token(&token.id).await?;
    let grant = store.grant(&token.id).await?;
    let abilities = abilities(&web.app, &token, &provider, grant.as_ref(), &mailboxes);
    let found = commands(&token, &provider, object_id(&abilities), &mailboxes, usize::MAX);
    if found.is_empty() {
        return Err(PageError::Missing(
            "There are commands for app-only tokens at Microsoft only.".to_owned(),
        ));
    }
    let mut text = String::from("# In PowerShell, after Connect-ExchangeOnline. Read each part before you run it.\n");
    for command in found {
        text.push_str(&format!("\n# {}\n# {}\n{}\n", command.title, command.hint, command.lines));
    }
    let file = format!("attachment; filename=\"exchange-{}.txt\"", token.name);
    Ok((
        [(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, file)],
        text,
    )
        .into_response())
}
