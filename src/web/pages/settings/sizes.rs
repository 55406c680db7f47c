//! How much there is of what the retention settings are about.

use super::counting::Numbers;
use crate::app::App;
use crate::clock::Timestamp;
use crate::store::StoreResult;
use crate::store::retention::Kept;
use crate::web::WebState;
use crate::web::pages::mailboxes::list::{counted, grouped};

/// How much there is of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Size {
    pub title: &'static str,
    pub words: String,
    pub oldest: Option<Timestamp>,
}

/// What is kept, as it was last counted. The fields stay usable without.
pub(super) async fn sizes(web: &WebState) -> Numbers<Vec<Size>> {
    let (app, own) = (&web.app, web.app.clone());
    let count = async move { count(&own).await };
    web.counted.sizes.get(app.clock.now(), (&app.tasks, &app.stopping), count).await
}

async fn count(app: &App) -> StoreResult<Vec<Size>> {
    let now = app.clock.now();
    let mut sizes = Vec::new();
    for (title, what, one, several) in [
        ("Test results", Kept::Runs, "result", "results"),
        ("System log", Kept::Log, "entry", "entries"),
        ("Audit log", Kept::Audit, "entry", "entries"),
        ("Imports", Kept::Imports, "import", "imports"),
        ("Closed links", Kept::ClosedLinks, "link", "links"),
    ] {
        let (count, oldest) = app.store.how_much(what, now).await?;
        let bytes = match count {
            0 => None,
            count => app.store.about_bytes(what, count).await?,
        };
        let words = counted(count, one, several);
        sizes.push(Size {
            title,
            words: match bytes {
                Some(bytes) => format!("{words}, about {}", size_words(bytes)),
                None => words,
            },
            oldest,
        });
    }
    sizes.push(Size {
        title: "Database",
        words: size_words(app.store.database_bytes().await?),
        oldest: None,
    });
    Ok(sizes)
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
