//! What tests share.

pub mod app;
pub mod certificates;
pub mod command;
pub mod consoles;
pub mod databases;
pub mod logs;
pub mod matrix;
pub mod page;
pub mod provider;
pub mod records;
pub mod rig;
pub mod visitor;

/// The text of every file of `src/`.
pub fn sources() -> Vec<String> {
    fn add(directory: &std::path::Path, texts: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => add(&path, texts),
                false => texts.extend(std::fs::read_to_string(&path).ok()),
            }
        }
    }
    let mut texts = Vec::new();
    add(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    texts
}
