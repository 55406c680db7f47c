//! What a web page says: the text people read, and the fields it would send on. Scripts hold every error there could be, so nothing of
//! them counts but the number with which Entra's own page names the one it shows.

use super::signal::tag_end;

/// How much around one of Entra's numbers in a script is kept, in bytes?
const AROUND: usize = 400;

/// Whether a text is a web page, or holds one.
pub(super) fn is_page(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.contains("<html") || lower.contains("<!doctype html")
}

/// The page as people read it, one block a line.
pub(super) fn reduce(text: &str) -> String {
    // ASCII only changes its case, so places are the same in both.
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len() / 2);
    let mut at = 0;
    while let Some(start) = lower[at..].find('<').map(|found| at + found) {
        out.push_str(&text[at..start]);
        let rest = &lower[start..];
        let skipped = ["<!--", "<script", "<style", "<svg"].iter().position(|tag| rest.starts_with(tag));
        let end = match skipped {
            Some(0) => "-->",
            Some(1) => "</script>",
            Some(2) => "</style>",
            Some(_) => "</svg>",
            None => ">",
        };
        let len = rest.find(end).map_or(rest.len(), |found| found + end.len());
        match skipped {
            Some(1) => numbers(&text[start..start + len], &rest[..len], &mut out),
            None => {
                if let Some(value) = field(&text[start..start + len], &rest[..len]) {
                    out.extend(["\n", value, "\n"]);
                }
                // Left to whoever reads the forms of a text: some tags end a line.
                out.push_str(&text[start..start + len]);
            }
            Some(_) => {}
        }
        at = start + len;
    }
    out.push_str(&text[at..]);
    strip_pages(&out)
}

/// Without the tags that make a text a page, and without what tags say of themselves.
fn strip_pages(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match tag_end(rest) {
            Some(end) => {
                let name: String = rest[1..end]
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '/')
                    .collect();
                if !name.eq_ignore_ascii_case("html") && !name.is_empty() {
                    out.extend(["<", &name, ">"]);
                }
                rest = &rest[end + 1..];
            }
            None => {
                out.push('<');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

/// What a field of a form holds: providers send errors on in hidden ones.
fn field<'a>(tag: &'a str, lower: &str) -> Option<&'a str> {
    let start = lower
        .strip_prefix("<input")
        .and_then(|rest| rest.find("value="))
        .map(|at| "<input".len() + at + "value=".len())?;
    let quote = tag.get(start..)?.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let value = tag.get(start + 1..)?;
    value.get(..value.find(quote)?)
}

/// The surroundings of Entra's numbers in a script.
fn numbers(script: &str, lower: &str, out: &mut String) {
    let mut from = 0;
    let marks = lower.match_indices("aadsts").chain(lower.match_indices("\"serrorcode\""));
    let mut places: Vec<usize> = marks.map(|(at, _)| at).collect();
    places.sort_unstable();
    for at in places {
        let mut end = (at + AROUND).min(script.len());
        let mut start = at.max(from);
        while !script.is_char_boundary(end) {
            end -= 1;
        }
        while !script.is_char_boundary(start) {
            start += 1;
        }
        if let Some(piece) = script.get(start..end) {
            // What looks like a tag in a script is none.
            out.extend(["\n", &piece.replace('<', " "), "\n"]);
            from = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_styles_are_left_out_but_for_numbers() {
        let page = "<!DOCTYPE html><HTML lang=en><head><style>.a{}</style><script>var all=['access_denied','x'];\
            $Config={\"sErrorCode\":\"50011\",\"strMessage\":\"AADSTS50011: The <b>\"};</script></head>\
            <body class=error><!-- invalid_grant --><h1>Sorry</h1><input type=hidden name=error value='consent_required'></body>";
        let read = reduce(page);
        for gone in ["access_denied", "invalid_grant", ".a{}", "<HTML", "class=error"] {
            assert!(!read.contains(gone), "{gone}: {read}");
        }
        for kept in ["\"sErrorCode\":\"50011\"", "AADSTS50011", "Sorry", "consent_required"] {
            assert!(read.contains(kept), "{kept}: {read}");
        }
        assert!(is_page(page) && !is_page("a < b"));
    }

    #[test]
    fn broken_pages_are_read_all_the_same() {
        for page in [
            "<html",
            "<html><script>aadsts",
            "<html><input value=",
            "<html><input value='",
            "<",
            "<html>\u{20ac}<b \u{20ac}",
            "<html><!--",
        ] {
            reduce(page);
        }
    }
}
