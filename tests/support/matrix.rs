//! Every way to get a token × every protocol: what the templates offer, where each of them is tried, and the table of it.

use mailgrant::model::mailbox::Protocol;
use mailgrant::model::provider::Cloud;
use mailgrant::model::template::{TemplateKind, purposes};
use mailgrant::model::token::GrantType;
use std::collections::BTreeSet;
use std::fmt::Write;

/// A grant, and for the app itself what it proves itself with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Code,
    AppBySecret,
    AppByCertificate,
    Password,
    Device,
    ServiceAccount,
}

pub const WAYS: [Way; 6] = [
    Way::Code,
    Way::AppBySecret,
    Way::AppByCertificate,
    Way::Password,
    Way::Device,
    Way::ServiceAccount,
];

impl Way {
    pub const fn grant(self) -> GrantType {
        match self {
            Self::Code => GrantType::AuthorizationCode,
            Self::AppBySecret | Self::AppByCertificate => GrantType::ClientCredentials,
            Self::Password => GrantType::Password,
            Self::Device => GrantType::DeviceCode,
            Self::ServiceAccount => GrantType::JwtBearer,
        }
    }

    /// Fit for a handle.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::AppBySecret => "app-secret",
            Self::AppByCertificate => "app-certificate",
            Self::Password => "password",
            Self::Device => "device",
            Self::ServiceAccount => "service-account",
        }
    }

    fn label(self) -> String {
        let proof = match self {
            Self::AppBySecret => ", secret",
            Self::AppByCertificate => ", certificate (private_key_jwt)",
            _ => "",
        };
        format!("{}{proof}", self.grant())
    }
}

/// A field of the table.
pub type Cell = (TemplateKind, Way, Protocol);

/// Why a template has no such token, or nothing it would open; none: it has to work.
pub fn not_offered((kind, way, protocol): Cell) -> Option<&'static str> {
    let key = match protocol {
        Protocol::Imap => "imap",
        Protocol::Pop3 => "pop",
        Protocol::Smtp => "smtp",
        Protocol::Graph => "graph",
    };
    let is_offered = purposes(kind, Cloud::Global).iter().any(|purpose| purpose.key == key);
    let takes_tokens = is_offered || (kind == TemplateKind::Custom && protocol != Protocol::Graph);
    if !kind.grants().contains(&way.grant()) {
        Some("no such grant")
    } else if takes_tokens {
        None
    } else if protocol == Protocol::Graph {
        Some("Graph is Microsoft's")
    } else {
        Some("its mail servers take no tokens")
    }
}

/// Every field that has to work.
pub fn offered() -> BTreeSet<Cell> {
    let ways = TemplateKind::ALL.iter().flat_map(|kind| WAYS.map(|way| (*kind, way)));
    let cells = ways.flat_map(|(kind, way)| Protocol::ALL.iter().map(move |protocol| (kind, way, *protocol)));
    cells.filter(|cell| not_offered(*cell).is_none()).collect()
}

/// Whether the real servers can play it: the OpenID provider knows no passwords, and nobody but Microsoft runs a Graph.
pub fn is_real((kind, way, protocol): Cell) -> bool {
    kind == TemplateKind::Custom && protocol != Protocol::Graph && !matches!(way, Way::Password | Way::ServiceAccount)
}

/// The table as the project's notes have it. `sandbox`: what ran there.
pub fn table(sandbox: &BTreeSet<Cell>) -> String {
    let mut table = String::from("| Provider | Grant | IMAP | POP3 | SMTP | Graph |\n| --- | --- | --- | --- | --- | --- |\n");
    for kind in TemplateKind::ALL {
        for way in WAYS {
            let cells = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp, Protocol::Graph].map(|protocol| {
                let cell = (*kind, way, protocol);
                match not_offered(cell) {
                    Some(why) => format!("not offered: {why}"),
                    None if is_real(cell) && sandbox.contains(&cell) => "real, sandbox".to_owned(),
                    None if is_real(cell) => "real".to_owned(),
                    None if sandbox.contains(&cell) => "sandbox".to_owned(),
                    None => "NOT RUN".to_owned(),
                }
            });
            if kind.grants().contains(&way.grant()) {
                writeln!(table, "| {} | {} | {} |", kind.label(), way.label(), cells.join(" | ")).unwrap();
            }
        }
    }
    table
}
