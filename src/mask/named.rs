//! Secrets that are known by the name before them.

/// The text with `instead` in place of what follows `name` and a colon or equals sign: a quoted text to its end, anything else to the
/// next separator.
pub fn hide_values(text: &str, name: &str, instead: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = rest.split_at(at + name.len());
        out.push_str(before);
        rest = after;
        let gap = after.len() - after.trim_start_matches(['"', '\'', '\\', ' ', '\t', '\r', '\n']).len();
        if !after[gap..].starts_with([':', '=']) {
            continue;
        }
        let value = after[gap + 1..].trim_start();
        let start = after.len() - value.len();
        let slashes = value.len() - value.trim_start_matches('\\').len();
        let quote = value[slashes..].chars().next().filter(|c| matches!(c, '"' | '\''));
        let (open, length) = match quote {
            Some(quote) if slashes == 0 => (1, quoted_length(&value[1..], quote)),
            // JSON inside a JSON text: the quotes are escaped as well.
            Some(_) => {
                let (delimiter, inner) = value.split_at(slashes + 1);
                (slashes + 1, inner.find(delimiter).unwrap_or(inner.len()))
            }
            None => (
                0,
                value
                    .find([',', '&', '}', '<', '"', '\'', ' ', '\r', '\n', ';'])
                    .unwrap_or(value.len()),
            ),
        };
        if length > 0 {
            out.push_str(&after[..start + open]);
            out.push_str(instead);
            rest = &after[start + open + length..];
        }
    }
    out.push_str(rest);
    out
}

/// How long a quoted text is, up to its closing quote or the end.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at,
            _ => {}
        }
    }
    text.len()
}
