//! The parts of a bundle.

use super::{About, Found};
use crate::actions::access_token::state;
use crate::actions::judgement::clock_ahead;
use crate::actions::probe::{settings_of, stored_settings};
use crate::actions::providers::trial::CheckStep;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::batch::{Batch, Group};
use crate::model::bundle::{Row, Section, Value};
use crate::model::credential::StoredCertificate;
use crate::model::mailbox::Mailbox;
use crate::model::provider::Provider;
use crate::model::report::{Diagnosis, Line, Outcome, Report, Step};
use crate::model::token::{Grant, Token};
use crate::store::StoreResult;
use crate::store::reports::Run;
use serde_json::Value as Json;

/// How many lines of a step's conversation are shown: so many from its beginning, so many from its end.
const TALK_HEAD: usize = 25;
const TALK_TAIL: usize = 15;
/// How many of the last changes of each record?
const CHANGES: i64 = 10;

pub(super) fn console(app: &App, about: About<'_>, provider: Option<&Provider>) -> Section {
    let mut section = Section::new("Mailgrant support bundle");
    match about {
        About::Run(run) => section.ours("Run", run.id.as_str()),
        About::Token(token) => section.said("Token", token.name.as_str()),
        About::Provider(provider) => section.said("Provider", provider.name.as_str()),
        About::Batch((batch, _)) => section.ours("Bulk test", batch.id.as_str()),
    }
    section.ours("Made", app.clock.now().to_rfc3339());
    section.ours("Version", env!("CARGO_PKG_VERSION"));
    section.ours("System", system());
    section.ours("Database", format!("{:?}", app.store.engine()));
    let offset = match provider.and_then(|provider| clock_ahead(app, provider)) {
        Some(0) => "agrees with the provider's".to_owned(),
        Some(seconds @ 1..) => format!("{seconds} s ahead of the provider's"),
        Some(seconds) => format!("{} s behind the provider's", -seconds),
        None => "not compared yet".to_owned(),
    };
    section.ours("Clock", offset);
    section.ours("Proxy", "no, the console connects directly");
    section.ours("Own authorities", if app.config.extra_ca_file.is_some() { "yes" } else { "no" });
    section
}

/// `Debian GNU/Linux 12, x86_64, kernel 6.1.0`.
fn system() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let name = name.map_or(std::env::consts::OS, |name| name.trim_matches('"'));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{name}, {}, kernel {}", std::env::consts::ARCH, kernel.trim())
}

pub(super) async fn mailbox_section(app: &App, run: &Run, mailbox: Option<&Mailbox>) -> StoreResult<Section> {
    let mut section = Section::new("Mailbox, as it was tested");
    section.said("Mailbox", run.mailbox_name.as_str());
    let settings = stored_settings(run);
    for (label, value) in settings.0.iter().filter(|(_, value)| !value.is_empty()) {
        section
            .rows
            .push(Row::Words(0, Value::Said(format!("{:22} {value}", format!("{label}:")))));
    }
    section.ours("Settings", if run.draft { "not saved" } else { "saved" });
    match mailbox {
        Some(mailbox) => {
            let today = settings_of(app, mailbox, run.direction).await?;
            let changed: Vec<String> = settings.changes(&today).into_iter().map(|(label, ..)| label).collect();
            let text = if changed.is_empty() {
                "nothing".to_owned()
            } else {
                changed.join(", ")
            };
            section.ours("Changed since", text);
            section.ours("State now", mailbox.state.as_str());
        }
        None if !run.draft => section.ours("State now", "the mailbox was deleted"),
        None => {}
    }
    Ok(section)
}

pub(super) fn batch_section(batch: &Batch) -> Section {
    let mut section = Section::new("Bulk test");
    section.ours("What", batch.what.as_str());
    section.ours("State", batch.state.as_str());
    section.ours("At the same time", batch.parallel.to_string());
    section.ours("Started", batch.started_at.to_rfc3339());
    section.ours("Ended", batch.finished_at.map(Timestamp::to_rfc3339).unwrap_or_default());
    for (label, number) in [
        ("Mailboxes", batch.mailboxes),
        ("Tests", batch.total),
        ("Passed", batch.passed),
        ("Failed", batch.failed),
        ("Gone since", batch.skipped),
    ] {
        section.ours(label, number.to_string());
    }
    section
}

/// What failed in a bulk test. A run has a bundle of its own, with the conversation.
pub(super) fn groups_section(groups: &[Group]) -> Section {
    let mut section = Section::new("What failed, by cause");
    for group in groups {
        let run = group.run.as_ref().map(|run| format!(", newest run {run}")).unwrap_or_default();
        section
            .rows
            .push(Row::Words(0, Value::Said(format!("{} x {}", group.items, group.title))));
        let kind = group.cause.split(':').next().unwrap_or_default();
        section.rows.push(Row::Words(2, Value::Ours(format!("cause: {kind}{run}"))));
    }
    section
}

pub(super) fn provider_section(provider: &Provider) -> Section {
    let mut section = Section::new("Provider");
    section.said("Name", provider.name.as_str());
    section.ours("Kind", provider.template.as_str());
    section.ours("Cloud", provider.cloud.as_str());
    section.said("Tenant ID", provider.tenant.clone().unwrap_or_default());
    section.said("Client ID", provider.client_id.as_str());
    section.ours("Client proves itself by", provider.client_auth.as_str());
    if let Some(secret) = &provider.client_secret {
        section.ours("Client secret set", secret.set_at.to_rfc3339());
    }
    if let Some(end) = provider.client_secret_expires {
        section.ours("It ends", end.to_string());
    }
    let mut certificate = |label, stored: &Option<StoredCertificate>| {
        if let Some(stored) = stored {
            section.ours(label, format!("{}, ends {}", stored.facts.sha1, stored.facts.ends.to_rfc3339()));
        }
    };
    certificate("Certificate", &provider.credentials.certificate);
    certificate("Next certificate", &provider.credentials.next);
    let endpoints = provider.endpoints();
    for (label, address) in [
        ("Sign-in address", endpoints.authorize_url),
        ("Token address", endpoints.token_url),
        ("Graph", endpoints.graph_url),
        ("Issuer", endpoints.issuer),
    ] {
        section.said(label, address.unwrap_or_default());
    }
    section.said("Permissions", provider.scopes.join(" "));
    section.ours("New tokens", provider.grant.as_str());
    section.ours("PKCE", if provider.pkce { "S256" } else { "off" });
    section.ours("Saved", provider.updated_at.to_rfc3339());
    section
}

pub(super) fn token_section(app: &App, token: &Token, grant: Option<&Grant>, report: Option<&Report>) -> Section {
    let mut section = Section::new("Token (never the token itself)");
    let time = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339).unwrap_or_default();
    section.said("Name", token.name.as_str());
    section.ours("Got by", token.grant.as_str());
    section.said("Account that must sign in", token.user.clone().unwrap_or_default());
    section.ours("Shared", if token.shared { "yes" } else { "no" });
    section.said("Permissions asked for", token.scopes.join(" "));
    section.ours("State", state(token.grant, grant, false, app.clock.now()).as_str());
    let Some(grant) = grant else {
        return section;
    };
    section.said("Account", grant.identity.account());
    section.said("Tenant", grant.identity.tid.clone().unwrap_or_default());
    section.ours("Signed in", time(grant.authorized_at));
    section.ours("Issued", time(grant.issued_at));
    section.ours("Ends", time(grant.expires_at));
    section.ours("Renewed", time(grant.refreshed_at));
    let facts = report.and_then(|report| report.steps.iter().find(|step| step.facts.contains_key("aud")));
    let audience = facts.and_then(|step| step.facts.get("aud")).and_then(Json::as_str);
    section.said("Audience", audience.unwrap_or_default());
    section.said("Permissions granted", grant.granted_scopes.join(" "));
    section.ours("Can be renewed", if grant.rt_current.is_some() { "yes" } else { "no" });
    section.ours("Failures in a row", grant.failures.to_string());
    section.ours("Tried again at", time(grant.retry_at));
    section
}

fn diagnosis_rows(section: &mut Section, diagnosis: &Diagnosis) {
    section.ours("Diagnosis", diagnosis.id.as_str());
    section.said("In words", diagnosis.title.as_str());
    section.said("It means", diagnosis.meaning.as_str());
    section.ours("Who can fix it", diagnosis.fix_where.as_str());
    section.said("The provider said", diagnosis.said.as_str());
    let Some(grounds) = &diagnosis.grounds else {
        return;
    };
    section.ours("How sure", grounds.confidence.as_str());
    for pair in &grounds.compared {
        let text = format!("{}: {}; {}: {}", pair.expected_label, pair.expected, pair.found_label, pair.found);
        section.said("Compared", text);
    }
    for why in &grounds.why {
        section.said("Why", why.as_str());
    }
    section.said("Ruled out", grounds.ruled_out.join(", "));
    let also: Vec<&str> = grounds.also.iter().map(|also| also.id.as_str()).collect();
    section.ours("Also possible", also.join(", "));
}

pub(super) fn result_section(run: &Run, report: Option<&Report>) -> Section {
    let mut section = Section::new("Result");
    section.ours("Test", format!("{} over {}", run.direction, run.protocol));
    section.ours("Outcome", run.outcome.as_str());
    section.ours("Started", run.started_at.to_rfc3339());
    section.said("Started by", run.started_by.as_str());
    match report {
        Some(report) => {
            section.ours("Took", format!("{} ms", report.duration_ms));
            section.ours("Failed at", run.failed_step.clone().unwrap_or_default());
            if let Some(diagnosis) = &report.diagnosis {
                diagnosis_rows(&mut section, diagnosis);
            }
        }
        None => section.ours("Report", "can't be read"),
    }
    section
}

pub(super) fn steps_section(report: &Report) -> Section {
    let mut section = Section::new("Steps");
    for step in &report.steps {
        let slow = step.facts.get("slow") == Some(&Json::Bool(true));
        let took = match step.outcome {
            Outcome::Skipped => String::new(),
            _ => format!(", {} ms{}", step.duration_ms, if slow { ", slow" } else { "" }),
        };
        let head = format!("{} ({}): {}{took}", step.step.title(), step.step, step.outcome);
        section.rows.push(Row::Words(0, Value::Ours(head)));
        if !step.detail.is_empty() {
            section.rows.push(Row::Words(2, Value::Said(step.detail.clone())));
        }
        let facts = facts(step);
        if !facts.is_empty() {
            section.rows.push(Row::Words(2, Value::Said(facts)));
        }
        if !step.transcript.is_empty() {
            section.rows.push(Row::Talk(4, shortened(&step.transcript)));
        }
    }
    section
}

/// What was measured, in a line. What the step's line of evidence says anyway is short enough to be said twice.
fn facts(step: &Step) -> String {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let told = step.facts.iter().filter(|(name, value)| !value.is_null() && *name != "slow");
    let told: Vec<String> = told.map(|(name, value)| format!("{name}: {}", text(value))).collect();
    told.join("; ")
}

fn shortened(lines: &[Line]) -> Vec<Line> {
    if lines.len() <= TALK_HEAD + TALK_TAIL + 1 {
        return lines.to_vec();
    }
    let left_out = lines.len() - TALK_HEAD - TALK_TAIL;
    let note = Line {
        from: ' ',
        text: format!("({left_out} lines left out)"),
    };
    let (head, tail) = (&lines[..TALK_HEAD], &lines[lines.len() - TALK_TAIL..]);
    [head, &[note], tail].concat()
}

pub(super) fn refusal_section(grant: Option<&Grant>, provider: Option<&Provider>) -> Section {
    let mut section = Section::new("Last refusal");
    let read = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Diagnosis>(text).ok());
    let of_token = grant.and_then(|grant| Some((read(&grant.last_error)?, grant.last_error_at)));
    let of_provider = provider.and_then(|provider| Some((read(&provider.problem)?, provider.problem_since)));
    for (label, found) in [("Of the token, at", of_token), ("Of the app, since", of_provider)] {
        if let Some((diagnosis, at)) = found {
            section.ours(label, at.map(Timestamp::to_rfc3339).unwrap_or_default());
            diagnosis_rows(&mut section, &diagnosis);
        }
    }
    if section.rows.is_empty() {
        section.rows.push(Row::Words(0, Value::Ours("None.".to_owned())));
    }
    section
}

pub(super) fn check_section(at: Timestamp, steps: &[CheckStep]) -> Section {
    let mut section = Section::new("Last check");
    section.ours("At", at.to_rfc3339());
    for step in steps {
        let head = format!("{}: {}", step.title, step.outcome);
        section.rows.push(Row::Words(0, Value::Said(head)));
        for text in [&step.detail, &step.said].into_iter().filter(|text| !text.is_empty()) {
            section.rows.push(Row::Words(2, Value::Said(text.clone())));
        }
        if let Some(diagnosis) = &step.diagnosis {
            diagnosis_rows(&mut section, diagnosis);
        }
    }
    section
}

/// Who did what, without any value.
pub(super) async fn changes_section(app: &App, about: About<'_>, found: &Found) -> StoreResult<Section> {
    let mut targets = vec![about.target()];
    targets.extend(found.token.as_ref().map(|token| format!("token:{}", token.name)));
    targets.extend(found.provider.as_ref().map(|provider| format!("provider:{}", provider.name)));
    targets.dedup();
    let mut rows = Vec::new();
    for target in &targets {
        rows.extend(app.store.audit_rows_of(target, CHANGES).await?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.sequence));
    let mut section = Section::new("Last changes (what, not which values)");
    for row in &rows {
        let (kind, name) = row.target.split_once(':').unwrap_or((&row.target, ""));
        let who = row.actor.strip_prefix("user:").unwrap_or(&row.actor);
        let ours = format!("{} {} {} of {kind}:", row.at.to_rfc3339(), row.outcome, row.action);
        section.rows.push(Row::Words(0, Value::Ours(ours)));
        section.rows.push(Row::Words(2, Value::Said(format!("{name} by {who}"))));
    }
    Ok(section)
}
