//! A data directory for the length of one command: what only checks leaves nothing behind on a machine that has none yet.

use super::answer::Failure;
use crate::config::Config;
use crate::random::{Random, SystemRandom};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The directory; it goes when this does.
pub struct Passing(PathBuf);

impl Passing {
    /// One in place of a data directory that was never made; none where there is one, or a database elsewhere.
    pub fn instead_of(config: &Config) -> Result<Option<Self>, Failure> {
        if config.database_url.is_some() || config.data_dir.exists() {
            return Ok(None);
        }
        Self::new("check").map(Some)
    }

    /// One in the folder for temporary files, for nobody else.
    pub fn new(what: &str) -> Result<Self, Failure> {
        let random: &dyn Random = &SystemRandom;
        let path = std::env::temp_dir().join(format!("mailgrant-{what}-{}", random.id()));
        let shown = path.display();
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Failure::no(format!("{shown} can't be made: {error}")))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
