//! The decisive cause, from everything that is known (`ux.md`, 6.6).
//!
//! Many servers give one text for many causes: "AUTHENTICATE failed" may be the wrong service, the wrong account or a protocol that is
//! turned off. What the text leaves open is decided by the token, the settings and the steps that passed. In this order: what the
//! console noticed itself; a text that stands for one cause; a rule over the circumstances; a text that stands for several; nothing.

use super::case::Case;
use super::catalogue::{self, Entry, entry};
use super::family::Family;
use super::rules::{self, Finding};
use super::signal::Signals;
use super::{limits, own, unknown};
use crate::model::report::{Also, Confidence, Diagnosis, Grounds, Stage};
use crate::model::template::TemplateKind;

/// How many other causes are worth naming?
const MOST_OTHERS: usize = 2;

/// What is looked at: the case, and what its text stands for.
pub(super) struct Seen<'a> {
    /// The case.
    pub case: &'a Case<'a>,
    /// Whatever the text stands for, special entries first; what the console noticed before all.
    pub hits: Vec<&'static Entry>,
    /// Families it can't be.
    pub ruled_out: Vec<Family>,
    /// What the text gives away.
    pub signals: Signals,
}

impl Seen<'_> {
    /// The entry that the text alone would give.
    pub fn first(&self) -> Option<&'static Entry> {
        self.hits.first().copied()
    }

    /// Whether the text leaves the cause open.
    pub fn is_open(&self) -> bool {
        self.first().is_none_or(|entry| entry.general)
    }

    /// Whether the text alone would give one of these.
    pub fn is_any(&self, ids: &[&str]) -> bool {
        self.first().is_some_and(|entry| ids.contains(&entry.id.as_str()))
    }

    /// Whether the text alone would give something of these families.
    pub fn is_of(&self, families: &[Family]) -> bool {
        self.first().is_some_and(|entry| families.contains(&entry.family))
    }
}

/// Names the cause of a failure, with how sure that is and why. It never fails: what nobody has seen is "We don't know this one", with
/// what was ruled out. Nothing of the other side's text gets into the diagnosis.
pub fn judge(case: &Case<'_>) -> Diagnosis {
    let signals = Signals::read(case.evidence.text);
    let noticed = case.evidence.own_id.and_then(entry);
    let hits: Vec<_> = noticed.into_iter().chain(catalogue::recognise_all(&signals)).collect();
    let seen = Seen {
        case,
        hits,
        ruled_out: ruled_out(case),
        signals,
    };
    let mut findings: Vec<Finding> = rules::all(&seen);
    findings.retain(|finding| !seen.ruled_out.contains(&finding.family()));
    let mut cause = if seen.is_open() && !findings.is_empty() {
        findings.remove(0)
    } else {
        by_text(&seen)
    };
    let mut diagnosis = entry(cause.id).map_or_else(unknown, Entry::diagnosis);
    if seen.hits.is_empty() {
        diagnosis.retryable = case.transient;
    }
    fill(&mut diagnosis, case);
    let family = cause.family();
    // Beside what is certain only facts are worth a word, not what else the text might have stood for.
    let is_fact =
        |finding: &&Finding| finding.confidence == Confidence::Certain || [own::OTHER_ACCOUNT, own::USER_NAME].contains(&finding.id);
    let certain = cause.confidence == Confidence::Certain;
    if family == Family::Limit {
        cause.compared.extend(limits::named(cause.id, case));
    }
    let others = findings
        .iter()
        .filter(|finding| finding.confidence != Confidence::Guess && (!certain || is_fact(finding)))
        .map(|finding| finding.id)
        .chain(seen.hits.iter().filter(|hit| !hit.general).map(|hit| hit.id.as_str()));
    let mut also: Vec<Also> = Vec::new();
    for other in others.filter_map(entry) {
        let is_new = other.family != family && !seen.ruled_out.contains(&other.family) && also.iter().all(|also| also.id != other.id);
        if is_new && also.len() < MOST_OTHERS {
            also.push(Also {
                id: other.id.clone(),
                title: other.title.clone(),
            });
        }
    }
    let blamed: Vec<Family> = also.iter().filter_map(|also| entry(&also.id)).map(|entry| entry.family).collect();
    let out = seen.ruled_out.iter().filter(|out| **out != family && !blamed.contains(out));
    diagnosis.grounds = Some(Box::new(Grounds {
        confidence: cause.confidence,
        compared: cause.compared,
        why: cause.why,
        ruled_out: out.filter_map(|family| family.ruled_out()).map(str::to_owned).collect(),
        also,
    }));
    diagnosis
}

/// The cause the text gives by itself.
fn by_text(seen: &Seen<'_>) -> Finding {
    let noticed = seen.case.evidence.own_id.is_some_and(|id| entry(id).is_some());
    // A text of a family that is ruled out stands behind the next one.
    let fits = |hit: &&&'static Entry| noticed || !seen.ruled_out.contains(&hit.family);
    let Some(hit) = seen.hits.iter().find(fits).or_else(|| seen.hits.first()) else {
        return match rules::by_class(seen) {
            Some(finding) => finding,
            None => Finding::guess(own::UNKNOWN).because("nothing in the reply is known here"),
        };
    };
    // What a provider, the operating system or the encryption names by a number or a type is no guess.
    let named = ["entra", "network", "tls"].contains(&hit.source.as_str());
    let clock_is_right = hit.id == "tls-cert-expired" && seen.ruled_out.contains(&Family::Clock);
    let (confidence, why) = match (noticed, hit.general) {
        (true, false) => (Confidence::Certain, "the console noticed it by itself"),
        (true, true) => (
            Confidence::Likely,
            "the console noticed it by itself, and it can have several reasons",
        ),
        (false, false) if !catalogue::is_whole(hit, &seen.signals) => {
            (Confidence::Likely, "the reply holds a piece of a text that is known")
        }
        (false, false) => (Confidence::Certain, "the reply holds a code or a text that stands for this alone"),
        (false, true) if clock_is_right => (Confidence::Certain, "the reply says so, and this server's clock is right"),
        (false, true) if named => (
            Confidence::Likely,
            "the reply names it by a code that stands for this, and there can be several reasons behind it",
        ),
        (false, true) => (
            Confidence::Guess,
            "the reply is one that is given for several reasons, and nothing else decides between them",
        ),
    };
    Finding::new(&hit.id, confidence).because(why)
}

/// What it can't be, by the steps that passed and by what is known of the token.
fn ruled_out(case: &Case<'_>) -> Vec<Family> {
    let mut out = Vec::new();
    if case.passed(Stage::Tcp) && case.step != Some(Stage::Tls) {
        out.push(Family::Network);
    }
    if case.passed(Stage::Tls) {
        out.push(Family::Tls);
    }
    if let Some(token) = case.token.as_ref().filter(|_| case.passed(Stage::Token)) {
        if token.renewed {
            out.extend([Family::Secret, Family::SignIn]);
        }
        if token.expires_in.is_some_and(|left| left > 60) {
            out.push(Family::Token);
        }
        if !token.audience.is_empty() && !token.other_audience {
            out.push(Family::Audience);
        }
        // What an unknown provider's servers want, nobody knows.
        let known = case
            .provider
            .as_ref()
            .is_some_and(|provider| provider.template != TemplateKind::Custom);
        if token.missing.is_empty() && !token.permissions.is_empty() && known {
            out.push(Family::Permission);
        }
        let own = |account: &String| case.side.as_ref().is_some_and(|side| side.address.eq_ignore_ascii_case(account));
        if token.account.as_ref().is_some_and(own) {
            out.push(Family::Account);
        }
    }
    if case.passed(Stage::Auth) {
        out.extend([Family::Password, Family::ProtocolOff]);
    }
    if case.clock_ahead.is_some_and(|ahead| ahead.abs() <= rules::CLOCK_LIMIT) {
        out.push(Family::Clock);
    }
    out
}

/// Fills the places of a remedy with the values at hand.
fn fill(diagnosis: &mut Diagnosis, case: &Case<'_>) {
    let mut values: Vec<(&str, String)> = Vec::new();
    if let Some(side) = &case.side {
        let port = side.port.to_string();
        let host = if side.host.is_empty() { side.protocol.label() } else { &side.host };
        values.extend([("<host>", host.to_owned()), ("<port>", port), ("<mailbox>", side.address.clone())]);
        values.push(("<protocol>", side.protocol.label().to_owned()));
    }
    if let Some(token) = &case.token {
        values.extend(token.account.clone().map(|account| ("<account>", account)));
        values.extend(token.object_id.clone().map(|id| ("<object id>", id)));
    }
    if let Some(provider) = &case.provider {
        values.push(("<client id>", provider.client_id.clone()));
        values.extend(provider.tenant.clone().map(|tenant| ("<tenant>", tenant)));
    }
    for remedy in &mut diagnosis.remedy {
        for (place, value) in &values {
            if !value.is_empty() && remedy.contains(place) {
                *remedy = remedy.replace(place, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
