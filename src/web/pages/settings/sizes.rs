//! How much there is of what the retention settings are about.

use crate::clock::Timestamp;
use crate::store::retention::Kept;
use crate::web::WebState;
use crate::web::pages::mailboxes::list::grouped;

/// How much there is of something.
pub(super) struct Size {
    pub title: &'static str,
    pub words: String,
    pub oldest: Option<Timestamp>,
}

/// What is kept now. What can't be counted is left out with a word; the fields stay usable.
pub(super) async fn sizes(web: &WebState) -> Vec<Size> {
    let now = web.app.clock.now();
    let mut sizes = Vec::new();
    for (title, what, one, several) in [
        ("Test results", Kept::Runs, "result", "results"),
        ("System log", Kept::Log, "entry", "entries"),
        ("Audit log", Kept::Audit, "entry", "entries"),
        ("Imports", Kept::Imports, "import", "imports"),
        ("Closed links", Kept::ClosedLinks, "link", "links"),
    ] {
        let counted = web.app.store.how_much(what, now).await;
        let words = match &counted {
            Ok((1, _)) => format!("1 {one}"),
            Ok((count, _)) => format!("{} {several}", grouped(*count)),
            Err(error) => {
                tracing::warn!(%error, "{title} can't be counted: {error}");
                "can't be counted now".to_owned()
            }
        };
        let (count, oldest) = counted.unwrap_or_default();
        let bytes = match count {
            0 => None,
            count => web.app.store.about_bytes(what, count).await.unwrap_or_default(),
        };
        sizes.push(Size {
            title,
            words: match bytes {
                Some(bytes) => format!("{words}, about {}", size_words(bytes)),
                None => words,
            },
            oldest,
        });
    }
    if let Ok(bytes) = web.app.store.database_bytes().await {
        sizes.push(Size {
            title: "Database",
            words: size_words(bytes),
            oldest: None,
        });
    }
    sizes
}

/// `25 MB`.
fn size_words(bytes: i64) -> String {
    match bytes {
        ..1_000_000 => format!("{} kB", (bytes / 1000).max(1)),
        1_000_000..10_000_000_000 => format!("{} MB", grouped(bytes / 1_000_000)),
        _ => format!("{} GB", grouped(bytes / 1_000_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::size_words;

    #[test]
    fn sizes_are_said_in_units_people_know() {
        assert_eq!(size_words(812_000), "812 kB");
        assert_eq!(size_words(25_400_000), "25 MB");
        assert_eq!(size_words(31_000_000_000), "31 GB");
    }
}
