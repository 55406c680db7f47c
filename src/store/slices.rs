//! Pages of records that only ever grow at one end: the system log and the audit log. A page starts beside the number of a row, so that
//! nothing is left out or shown twice however much is added meanwhile. A filter that no index answers looks at so many rows at most and
//! says how far it got.

/// How many rows does a filter without an index look at for one page?
pub(super) const LOOKED: i64 = 30_000;
/// How many rows does a count look at?
pub(super) const COUNTED: i64 = 20_000;

/// A statement that is planned anew each time, for what it is asked this time. PostgreSQL makes one plan for all after five times, and then
/// looks through a million rows for something rare the way that suits what there is most of.
macro_rules! planned_anew {
    ($query:expr) => {
        $query.persistent(false)
    };
}
pub(super) use planned_anew;

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// With the newest row.
    #[default]
    Newest,
    /// With the first one that is older than the row of this number.
    OlderThan(i64),
    /// The page that ends before the row of this number: the ones that are newer.
    NewerThan(i64),
}

impl Place {
    /// The least number and the one beyond the last, of what lies between these two and on the far side of the place. One bound a side:
    /// of two an index uses the first. And whether the page is read upwards, from old to new.
    pub(super) fn within(self, (least, beyond): (i64, i64)) -> (i64, i64, bool) {
        match self {
            Self::Newest => (least, beyond, false),
            Self::OlderThan(number) => (least, beyond.min(number), false),
            Self::NewerThan(number) => (least.max(number.saturating_add(1)), beyond, true),
        }
    }
}

/// The bounds of a page for which was looked as far as `reached` only.
pub(super) fn narrowed((least, beyond): (i64, i64), reached: Option<i64>, upwards: bool) -> (i64, i64) {
    match reached {
        Some(reached) if upwards => (least, reached.saturating_add(1)),
        Some(reached) => (reached, beyond),
        None => (least, beyond),
    }
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice<R> {
    /// Newest first.
    pub rows: Vec<R>,
    /// Whether there is more on the far side.
    pub more: bool,
    /// The number down (or up) to which was looked, where that was not everything.
    pub reached: Option<i64>,
}

impl<R: Numbered> Slice<R> {
    /// Where the page after this one begins, for a page that was read from new to old; none after the last.
    pub fn older(&self) -> Option<Place> {
        let last = self.rows.last().map(Numbered::number).filter(|_| self.more);
        self.reached.or(last).map(Place::OlderThan)
    }

    /// The numbers of its first and its last row.
    pub fn ends(&self) -> Option<(i64, i64)> {
        Some((self.rows.first()?.number(), self.rows.last()?.number()))
    }
}

/// How many rows a filter finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// So many.
    pub rows: i64,
    /// Whether that is all of them, not only those that were counted so far.
    pub exact: bool,
}

/// A row with a number.
pub trait Numbered {
    /// The higher, the newer.
    fn number(&self) -> i64;
}

/// What one index found.
pub(super) struct Part<R> {
    pub rows: Vec<R>,
    pub reached: Option<i64>,
}

/// The page that several indexes found together. Each of them found one row more than the page has, where there are so many.
pub(super) fn merged<R: Numbered>(parts: Vec<Part<R>>, upwards: bool, limit: usize) -> Slice<R> {
    let nearest = |a: i64, b: i64| if upwards { a.min(b) } else { a.max(b) };
    let reached = parts.iter().filter_map(|part| part.reached).reduce(nearest);
    let mut rows: Vec<R> = parts.into_iter().flat_map(|part| part.rows).collect();
    if let Some(reached) = reached {
        // What lies beyond was looked at by some only.
        rows.retain(|row| {
            if upwards {
                row.number() <= reached
            } else {
                row.number() >= reached
            }
        });
    }
    rows.sort_by_key(|row| if upwards { row.number() } else { -row.number() });
    let more = rows.len() > limit;
    rows.truncate(limit);
    if upwards {
        rows.reverse();
    }
    Slice {
        rows,
        more: more || reached.is_some(),
        reached: reached.filter(|_| !more),
    }
}

/// `%text%`, in lower case and with what has a meaning of its own escaped; empty for an empty text.
pub(super) fn containing(text: &str) -> String {
    let text = text.trim().to_lowercase();
    if text.is_empty() {
        return String::new();
    }
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern + "%"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct N(i64);

    impl Numbered for N {
        fn number(&self) -> i64 {
            self.0
        }
    }

    fn part(rows: &[i64], reached: Option<i64>) -> Part<N> {
        Part {
            rows: rows.iter().map(|n| N(*n)).collect(),
            reached,
        }
    }

    #[test]
    fn what_only_one_index_looked_at_waits_for_the_next_page() {
        let page = merged(vec![part(&[9, 2], Some(2)), part(&[8, 6], Some(5))], false, 3);
        assert_eq!(page.rows, [N(9), N(8), N(6)]);
        assert_eq!((page.more, page.reached), (true, Some(5)));
        let page = merged(vec![part(&[9, 7, 5], None), part(&[8, 6, 4], None)], false, 2);
        assert_eq!(
            (page.rows.as_slice(), page.more, page.reached),
            ([N(9), N(8)].as_slice(), true, None)
        );
        let page = merged(vec![part(&[2, 4], None), part(&[3], None)], true, 2);
        assert_eq!((page.rows.as_slice(), page.more), ([N(3), N(2)].as_slice(), true));
    }

    #[test]
    fn a_text_is_looked_for_as_it_is_written() {
        assert_eq!(containing(" 100%_A! "), "%100!%!_a!!%");
        assert_eq!(containing("  "), "");
    }
}
