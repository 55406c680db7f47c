//! A file that does nothing but take up room: given up when the disk is full, so that a renewed token can be stored all the same.

use crate::app::App;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// How much room is kept for bad days?
const SIZE: usize = 1 << 20;

fn path(app: &App) -> PathBuf {
    app.config.data_dir.join("ballast")
}

/// Gives the room up.
pub(super) fn drop(app: &App) {
    let _ = fs::remove_file(path(app));
}

/// Takes the room, if it isn't taken and the disk has it.
pub(super) fn make(app: &App) {
    let path = path(app);
    if fs::metadata(&path).is_ok_and(|meta| meta.len() == SIZE as u64) {
        return;
    }
    let made = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| {
            // Not zeros: a file system that compresses would keep no room for them.
            let mut noise = vec![0; SIZE];
            app.random.fill(&mut noise);
            file.write_all(&noise)?;
            file.sync_all()
        });
    if made.is_err() {
        let _ = fs::remove_file(&path);
    }
}
