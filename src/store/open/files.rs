//! The files of an installation: their places and modes, and what a start that was killed left of them.

use super::unusable;
use crate::store::StoreResult;
use sqlx::{AnyConnection, Connection};
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes the data directory with mode 0700, or refuses one that others can enter (SEC-9).
pub(super) fn prepare_directory(directory: &Path) -> StoreResult<()> {
    let shown = directory.display();
    match std::fs::metadata(directory) {
        Ok(meta) if !meta.is_dir() => {
            return Err(unusable(format!(
                "data directory {shown} is not a directory\nhelp: choose another with --data-dir"
            )));
        }
        Ok(meta) if meta.mode() & 0o077 != 0 => {
            // An empty directory was prepared by somebody (a volume, a service manager): take it over.
            let empty = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none());
            if !empty || std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)).is_err() {
                return Err(unusable(format!(
                    "data directory {shown} can be entered by others (mode {:o})\nhelp: chmod 700 {shown}",
                    meta.mode() & 0o7777
                )));
            }
        }
        Ok(_) => {}
        Err(_) => DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
            unusable(format!(
                "data directory {shown} can't be made: {error}\nhelp: choose another with --data-dir"
            ))
        })?,
    }
    refuse_network_file_system(directory)
}

/// SQLite's write-ahead log needs memory that processes share: no network file systems (MULTI-2).
fn refuse_network_file_system(directory: &Path) -> StoreResult<()> {
    let Ok(status) = rustix::fs::statfs(directory) else { return Ok(()) };
    #[allow(clippy::unnecessary_cast, reason = "the width of the field differs by platform")]
    let kind = status.f_type as i64;
    match network_file_system(kind) {
        Some(name) => Err(unusable(format!(
            "data directory {} is on a network file system ({name}), where SQLite is not safe\nhelp: choose a local one with --data-dir, or use PostgreSQL",
            directory.display()
        ))),
        None => Ok(()),
    }
}

/// The name of a network file system by the number `statfs` gives it (Linux, `statfs(2)`); none for others.
fn network_file_system(kind: i64) -> Option<&'static str> {
    match kind {
        0x6969 => Some("NFS"),
        0x517b => Some("SMB"),
        0xff53_4d42 => Some("CIFS"),
        0xfe53_4d42 => Some("SMB2"),
        _ => None,
    }
}

/// Whether a database file is what a first start left that was killed before it made a key: nothing can be sealed in it yet. Only looks;
/// what can't be read counts as finished.
pub(super) async fn was_never_finished(file: &Path) -> bool {
    if std::fs::metadata(file).is_ok_and(|meta| meta.len() == 0) {
        return true;
    }
    sqlx::any::install_default_drivers();
    // Where nothing waits beside the file, nothing is to be made beside it either.
    let mut waiting = file.as_os_str().to_owned();
    waiting.push("-wal");
    let how = if Path::new(&waiting).exists() { "mode=ro" } else { "immutable=1" };
    let url = format!("sqlite://{}?{how}", percent_path(file));
    let Ok(mut connection) = AnyConnection::connect(&url).await else {
        return false;
    };
    let tables = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'data_keys'")
        .fetch_one(&mut connection)
        .await;
    let keys = match tables {
        Ok(0) => Ok(0),
        Ok(_) => {
            sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM data_keys")
                .fetch_one(&mut connection)
                .await
        }
        Err(error) => Err(error),
    };
    let _ = connection.close().await;
    matches!(keys, Ok(0))
}

pub(super) fn open_private(path: &Path) -> StoreResult<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| {
            unusable(format!(
                "{} can't be opened: {error}\nhelp: check who owns the data directory",
                path.display()
            ))
        })
}

pub(super) fn check_mode(path: &Path) -> StoreResult<()> {
    let mode = std::fs::metadata(path).map(|meta| meta.mode() & 0o7777).unwrap_or(0o600);
    if mode & 0o077 != 0 {
        return Err(unusable(format!(
            "{} can be read by others (mode {mode:o})\nhelp: chmod 600 {}",
            path.display(),
            path.display()
        )));
    }
    Ok(())
}

pub(super) fn sqlite_path(url: &str) -> std::path::PathBuf {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    path.split('?').next().unwrap_or_default().into()
}

pub(super) fn percent_path(path: &Path) -> String {
    path.display()
        .to_string()
        .replace('%', "%25")
        .replace('?', "%3F")
        .replace('#', "%23")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_numbers_and_local_ones_pass() {
        for (kind, name) in [
            (0x6969, Some("NFS")),
            (0xff53_4d42, Some("CIFS")),
            (0xef53, None),
            (0x0102_1994, None),
        ] {
            assert_eq!(network_file_system(kind), name, "{kind:x}");
        }
        let here = tempfile::tempdir().unwrap();
        assert!(refuse_network_file_system(here.path()).is_ok());
    }
}
