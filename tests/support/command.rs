//! The binary as people and scripts run it: a data directory and files of its own, nothing of the tester's environment.

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A machine Mailgrant was just put on.
pub struct Machine {
    directory: TempDir,
    environment: BTreeMap<String, OsString>,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Machine {
    /// Nothing is there yet, the data directory neither.
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("data").into_os_string();
        let mut environment = BTreeMap::from([("MAILGRANT_DATA_DIR".to_owned(), data)]);
        if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
            environment.insert("LLVM_PROFILE_FILE".to_owned(), profile);
        }
        Self { directory, environment }
    }

    /// The same, with this file applied.
    pub fn with(text: &str) -> Self {
        let machine = Self::new();
        machine.apply(text).ok();
        machine
    }

    /// Sets an environment variable for all commands from now on.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.insert(name.to_owned(), value.into());
    }

    /// Takes it away again.
    pub fn unset(&mut self, name: &str) {
        self.environment.remove(name);
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.environment["MAILGRANT_DATA_DIR"].clone().into()
    }

    /// Where commands run.
    pub fn home(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file that only its owner can read.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        chmod(&path, 0o600);
        path
    }

    /// A command that has not been started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailgrant"));
        command.args(arguments).current_dir(self.home()).env_clear().envs(&self.environment);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments), None)
    }

    /// Runs a command that reads this.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        finish(self.command(arguments), Some(input))
    }

    /// `config apply` of this text.
    pub fn apply(&self, text: &str) -> Ran {
        self.run_with(&["config", "apply", "-"], text)
    }

    /// `config export`.
    pub fn export(&self, more: &[&str]) -> String {
        self.run(&[&["config", "export"], more].concat()).ok().out
    }

    /// Every file of the data directory with its content, but for locks: what has to stay as it is when nothing is to change.
    pub fn stored(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.data()).into_iter().flatten().map(Result::unwrap);
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
            .filter(|(name, _)| !name.ends_with(".lock"))
            .map(|(name, path)| (name, std::fs::read(path).unwrap()))
            .collect()
    }
}

/// Runs a command to its end.
pub fn finish(mut command: Command, input: Option<&str>) -> Ran {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(input) = input {
        // A command that refuses early doesn't read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    }
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code().expect("ended by a signal"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// It did what it was asked for, without a word of complaint.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!((self.status, self.err.as_str()), (0, ""), "{self:?}");
        self
    }

    /// It did not: the status, and on standard error nothing but `error:` and `help:` lines. Returns those without the last `help: nothing
    /// was changed`.
    #[track_caller]
    pub fn refused(&self, status: i32) -> Vec<&str> {
        assert_eq!(self.status, status, "{self:?}");
        let lines: Vec<&str> = self.err.lines().collect();
        assert!(lines.first().is_some_and(|line| line.starts_with("error: ")), "{self:?}");
        for line in &lines {
            assert!(line.starts_with("error: ") || line.starts_with("help: "), "{line:?}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        lines.into_iter().filter(|line| *line != "help: nothing was changed").collect()
    }

    /// The one JSON document it printed.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sets the mode of a file.
pub fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
