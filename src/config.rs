//! Typed settings from the file, the environment and flags (later ones win), checked before anything starts.

mod values;

pub use values::check_base_url;

use crate::gate::AllowNetwork;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use url::Url;
use values::{address, default_base_url, each, flag, networks};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where the master key comes from.
#[derive(Clone)]
pub enum MasterKeySource {
    /// `MAILGRANT_MASTER_KEY`.
    Value(crate::secret::Password),
    /// A file named by a setting.
    File(PathBuf),
    /// `<data-dir>/master.key`, made at first start.
    DataDir,
}

/// The checked settings.
#[derive(Clone)]
pub struct Config {
    /// Data directory.
    pub data_dir: PathBuf,
    /// Database URL; none: SQLite in the data directory.
    pub database_url: Option<crate::secret::Password>,
    /// Listen address.
    pub listen: SocketAddr,
    /// Public address, without a slash at the end.
    pub base_url: Url,
    /// Whether the public address was set from outside; then pages show it read-only.
    pub base_url_set: bool,
    /// Master key source.
    pub master_key: MasterKeySource,
    /// PEM file of further trusted CAs.
    pub extra_ca_file: Option<PathBuf>,
    /// Destinations beyond public addresses.
    pub allow_networks: Vec<AllowNetwork>,
    /// Ports beyond the mail ports and 443.
    pub allow_ports: Vec<u16>,
    /// Peers whose forwarded headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Plain http on a public address is accepted.
    pub insecure_http: bool,
    /// An address of its own for `/metrics`; none: there is none.
    pub metrics_listen: Option<SocketAddr>,
    /// Callers that may read `/metrics` at the console's own address.
    pub metrics_networks: Vec<IpNet>,
    /// Log format.
    pub log_format: LogFormat,
    /// This is `mailgrant demo`: nothing outside this machine is contacted, and every page says so. Not a setting.
    pub demo: bool,
}

/// A setting that cannot be used: says which, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// One line.
    pub message: String,
    /// What to do, one line each.
    pub help: Vec<String>,
}

impl ConfigError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: vec![help.into()],
        }
    }
}

/// Settings as flags give them; the file and the environment have the same.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Settings file (TOML)
    #[arg(long, global = true, env = "MAILGRANT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data directory
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Listen address
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Accept plain http on a public address that is not loopback
    #[arg(long, global = true)]
    pub insecure_http: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data_dir: Option<PathBuf>,
    database_url: Option<String>,
    listen: Option<String>,
    base_url: Option<String>,
    master_key: Option<String>,
    master_key_file: Option<PathBuf>,
    extra_ca_file: Option<PathBuf>,
    allow_networks: Option<Vec<String>>,
    allow_ports: Option<Vec<u16>>,
    trusted_proxies: Option<Vec<String>>,
    insecure_http: Option<bool>,
    log_format: Option<String>,
    metrics_listen: Option<String>,
    metrics_networks: Option<Vec<String>>,
}

/// Keys of the settings file, for suggestions.
const KEYS: &[&str] = &[
    "data_dir",
    "database_url",
    "listen",
    "base_url",
    "master_key",
    "master_key_file",
    "extra_ca_file",
    "allow_networks",
    "allow_ports",
    "trusted_proxies",
    "insecure_http",
    "log_format",
    "metrics_listen",
    "metrics_networks",
];

impl Config {
    /// Puts flags, environment and file together and checks them. `env` looks a variable up.
    pub fn load(flags: &Flags, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = |name: &str| env(&format!("MAILGRANT_{name}")).filter(|value| !value.is_empty());
        let file = match &flags.config {
            Some(path) => read_file(path)?,
            None => File::default(),
        };
        let list = |text: String| {
            text.split(',')
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect::<Vec<_>>()
        };

        let data_dir = flags
            .data_dir
            .clone()
            .or_else(|| env("DATA_DIR").map(PathBuf::from))
            .or(file.data_dir);
        let data_dir = data_dir.unwrap_or_else(|| PathBuf::from("./mailgrant-data"));
        let database_url = env("DATABASE_URL").or(file.database_url);
        if let Some(url) = &database_url
            && !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme))
        {
            return Err(ConfigError::new(
                "database_url must start with sqlite:// or postgres://",
                "leave it out to use SQLite in the data directory",
            ));
        }
        let listen = flags
            .listen
            .clone()
            .or_else(|| env("LISTEN"))
            .or(file.listen)
            .unwrap_or_else(|| "127.0.0.1:8080".into());
        let listen = address(&listen, "listen address")?;
        let insecure_http = flags.insecure_http
            || flag(env("INSECURE_HTTP"), "MAILGRANT_INSECURE_HTTP")?
                .or(file.insecure_http)
                .unwrap_or(false);
        let base_url = env("BASE_URL").or(file.base_url);
        let base_url_set = base_url.is_some();
        let base_url = check_base_url(base_url.unwrap_or_else(|| default_base_url(listen)), insecure_http)?;
        let master_key = match (
            env("MASTER_KEY").or(file.master_key),
            env("MASTER_KEY_FILE").map(PathBuf::from).or(file.master_key_file),
        ) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::new("both master_key and master_key_file are set", "keep one of them"));
            }
            (Some(value), None) => MasterKeySource::Value(crate::secret::Password::new(value)),
            (None, Some(path)) => MasterKeySource::File(path),
            (None, None) => MasterKeySource::DataDir,
        };
        let allow_networks = env("ALLOW_NETWORKS").map(list).or(file.allow_networks).unwrap_or_default();
        let allow_networks = each(
            &allow_networks,
            "allow_networks",
            "loopback, private, a network like 10.1.0.0/16, or a host name",
        )?;
        let allow_ports = match env("ALLOW_PORTS").map(list) {
            Some(ports) => each(&ports, "allow_ports", "port numbers from 1 to 65535")?,
            None => file.allow_ports.unwrap_or_default(),
        };
        let trusted_proxies = env("TRUSTED_PROXIES").map(list).or(file.trusted_proxies).unwrap_or_default();
        let trusted_proxies = networks(&trusted_proxies, "trusted_proxies")?;
        let metrics_networks = env("METRICS_NETWORKS").map(list).or(file.metrics_networks).unwrap_or_default();
        let metrics_networks = networks(&metrics_networks, "metrics_networks")?;
        let metrics_listen = env("METRICS_LISTEN").or(file.metrics_listen);
        let metrics_listen = metrics_listen.map(|text| address(&text, "metrics_listen")).transpose()?;
        let log_format = match env("LOG_FORMAT").or(file.log_format).as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => return Err(ConfigError::new(format!("log_format \"{other}\" is not known"), "use text or json")),
        };
        Ok(Self {
            data_dir,
            database_url: database_url.map(crate::secret::Password::new),
            listen,
            base_url,
            base_url_set,
            master_key,
            extra_ca_file: env("EXTRA_CA_FILE").map(PathBuf::from).or(file.extra_ca_file),
            allow_networks,
            allow_ports,
            trusted_proxies,
            metrics_listen,
            metrics_networks,
            insecure_http,
            log_format,
            demo: false,
        })
    }

    /// An address below the public one: `path` starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url.as_str().trim_end_matches('/'))
    }

    /// Whether browsers reach the console by https.
    pub fn is_https(&self) -> bool {
        self.base_url.scheme() == "https"
    }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(
            format!("settings file {shown} can't be read: {error}"),
            "check --config or MAILGRANT_CONFIG",
        )
    })?;
    let file: File = toml::from_str(&text).map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        let unknown = message
            .strip_prefix("unknown field `")
            .and_then(|rest| rest.split('`').next())
            .map(str::to_owned);
        match unknown {
            Some(key) => ConfigError::new(
                format!("{shown}:{line}: unknown key \"{key}\""),
                nearest(&key, KEYS).map_or_else(
                    || format!("known keys: {}", KEYS.join(", ")),
                    |known| format!("did you mean \"{known}\"?"),
                ),
            ),
            None => ConfigError::new(format!("{shown}:{line}: {message}"), "the settings file is TOML"),
        }
    })?;
    let holds_secret = file.master_key.is_some()
        || file
            .database_url
            .as_deref()
            .and_then(|url| Url::parse(url).ok())
            .is_some_and(|url| url.password().is_some());
    let mode = std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    if holds_secret && mode & 0o077 != 0 {
        return Err(ConfigError::new(
            format!(
                "settings file {shown} holds a secret and can be read by others (mode {:03o})",
                mode & 0o777
            ),
            format!("chmod 600 {shown}"),
        ));
    }
    Ok(file)
}

/// The known word nearest to a mistyped one, if any is near enough to be meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (edits(word, candidate), *candidate))
        .min()
        .filter(|(d, candidate)| *d <= 2.max(candidate.len() / 3))
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be changed, added or left out to make one word of another (Levenshtein's distance).
pub fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
