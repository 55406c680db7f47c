//! Where one gets to from a page of a list whose pages begin after a row or end before one.

use super::mailboxes::list::grouped;

/// Where a page is in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// At the beginning.
    First,
    /// After a row.
    After,
    /// Before a row.
    Before,
    /// At the end.
    Last,
}

/// The rows of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    stand: Stand,
    /// Whether there is more on its far side.
    more: bool,
    rows: i64,
    size: i64,
    /// The number of the first row.
    start: i64,
}

/// Addresses, empty where nothing is there, and the rows in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pages {
    /// The first page, from another one.
    pub first: String,
    /// The page before.
    pub previous: String,
    /// The page after.
    pub next: String,
    /// `51–100 of 212`; empty without rows.
    pub words: String,
}

impl Range {
    /// So many `rows` of `size`; `n` is the number of the first one as the address has it.
    pub fn of(stand: Stand, more: bool, rows: usize, size: usize, n: &str) -> Self {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            stand,
            more,
            rows: number(rows),
            size: number(size),
            start: match (stand, n.parse::<i64>()) {
                (Stand::After | Stand::Before, Ok(n)) => n.clamp(1, 1_000_000_000),
                _ => 1,
            },
        }
    }

    /// Counts the rows from the end of so many.
    pub fn end_at(&mut self, all: i64) {
        self.start = (all - self.rows + 1).max(1);
    }

    /// The number of the last row.
    pub fn end(&self) -> i64 {
        self.start + self.rows - 1
    }

    /// Whether the page is the whole list.
    pub fn is_all(&self) -> bool {
        matches!(self.stand, Stand::First | Stand::Last) && !self.more
    }

    /// Whether rows come after it.
    pub fn has_next(&self) -> bool {
        match self.stand {
            Stand::First | Stand::After => self.more,
            Stand::Before => true,
            Stand::Last => false,
        }
    }

    fn has_previous(&self) -> bool {
        match self.stand {
            Stand::First => false,
            Stand::After => true,
            Stand::Before | Stand::Last => self.more,
        }
    }

    /// The ways from here: by the places of the first and the last row, the number of `all` in words, and what makes addresses of the
    /// list with its filters and more.
    pub fn pages(&self, (first, last): (&str, &str), all: &str, address: impl Fn(&[(&str, &str)]) -> String) -> Pages {
        let link = |there: bool, more: &[(&str, &str)]| if there { address(more) } else { String::new() };
        let (before, after) = ((self.start - self.size).max(1).to_string(), (self.end() + 1).to_string());
        Pages {
            first: link(self.has_previous(), &[]),
            previous: link(self.has_previous(), &[("before", first), ("n", &before)]),
            next: link(self.has_next(), &[("after", last), ("n", &after)]),
            words: match self.rows {
                0 => String::new(),
                _ => format!("{}–{} of {all}", grouped(self.start), grouped(self.end())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lead_on_and_back_and_count_their_rows() {
        let address = |more: &[(&str, &str)]| {
            let pairs: Vec<String> = more.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("?{}", pairs.join("&"))
        };
        let page = |stand, more, n| Range::of(stand, more, 50, 50, n).pages(("a", "z"), "212", address);
        let first = page(Stand::First, true, "7");
        assert_eq!((first.words.as_str(), first.next.as_str()), ("1–50 of 212", "?after=z&n=51"));
        assert_eq!((first.first.as_str(), first.previous.as_str()), ("", ""));
        let second = page(Stand::After, true, "51");
        assert_eq!((second.first.as_str(), second.previous.as_str()), ("?", "?before=a&n=1"));
        assert_eq!((second.words.as_str(), second.next.as_str()), ("51–100 of 212", "?after=z&n=101"));
        assert_eq!(page(Stand::After, false, "163").next, "");
        assert_eq!(page(Stand::Before, true, "-9").words, "1–50 of 212");
        assert_eq!(
            Range::of(Stand::First, false, 0, 50, "").pages(("", ""), "0", address),
            Pages::default()
        );
        assert!(Range::of(Stand::Last, false, 3, 50, "").is_all());
    }
}
