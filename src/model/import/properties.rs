//! Key=value settings as Java's `Properties` writes them, also in blocks under `[name]`: comments, continued lines, escapes.

use super::{Fault, fault};

/// A setting.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// Line it begins in, from 1.
    pub line: usize,
    /// The block it stands in; empty before the first.
    pub block: String,
    /// Key.
    pub key: String,
    /// Value. May be a secret: no `Debug`.
    pub value: String,
}

/// Reads settings; lines that can't be read come beside them.
pub(super) fn read(text: &str) -> (Vec<Setting>, Vec<Fault>) {
    let (mut settings, mut faults) = (Vec::new(), Vec::new());
    let mut block = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, first)) = lines.next() {
        let line = at + 1;
        let first = first.trim_start();
        if first.is_empty() || first.starts_with(['#', '!', ';']) {
            continue;
        }
        if let Some(name) = first.strip_prefix('[').and_then(|rest| rest.trim_end().strip_suffix(']')) {
            name.trim().clone_into(&mut block);
            continue;
        }
        let mut whole = first.to_owned();
        // A line goes on in the next one when it ends with an odd number of backslashes.
        while whole.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1 {
            whole.pop();
            match lines.next() {
                Some((_, next)) => whole.push_str(next.trim_start()),
                None => break,
            }
        }
        let (key, value) = split(&whole);
        match (unescape(key), unescape(value)) {
            (Some(key), Some(value)) if !key.is_empty() => settings.push(Setting {
                line,
                block: block.clone(),
                key,
                value,
            }),
            (Some(_), Some(_)) => faults.push(fault(line, "", "This line has no key before its value", None)),
            _ => faults.push(fault(
                line,
                "",
                "\\u wants four hexadecimal digits after it",
                Some("Write the character itself, or a backslash twice where one is meant"),
            )),
        }
    }
    (settings, faults)
}

/// Key and value: the first `=` or `:` that isn't escaped, or else the first blank, parts them.
pub(super) fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if !escaped && (c == '=' || c == ':' || c.is_whitespace()) {
            let rest = line[at..].trim_start();
            let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (&line[..at], rest.trim());
        }
        escaped = c == '\\' && !escaped;
    }
    (line, "")
}

fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::new();
    let mut out = String::new();
    let mut chars = text.chars();
    // Java writes what is beyond 16 bits as two escapes in a row.
    let settle = |units: &mut Vec<u16>, out: &mut String| out.push_str(&String::from_utf16_lossy(&std::mem::take(units)));
    while let Some(c) = chars.next() {
        if c != '\\' {
            settle(&mut units, &mut out);
            out.push(c);
            continue;
        }
        let escape = chars.next();
        if escape == Some('u') {
            let digits: String = chars.by_ref().take(4).collect();
            let valid = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            units.push(u16::from_str_radix(&digits, 16).ok().filter(|_| valid)?);
            continue;
        }
        settle(&mut units, &mut out);
        match escape {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('f') => out.push('\u{c}'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    settle(&mut units, &mut out);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(usize, String, String)> {
        let (settings, faults) = read(text);
        assert!(faults.is_empty(), "{faults:?}");
        settings
            .into_iter()
            .map(|s| (s.line, format!("{}|{}", s.block, s.key), s.value))
            .collect()
    }

    #[test]
    fn settings_are_read_as_java_reads_them() {
        let text = "# note\n! note\n\nmail.store.host = imap.example.com\nmail.store.port:993\nmail.store.user  a@b.example\n\
                    mail.oauth.scopes=one,\\\n    two,\\\n    three\nname=J\\u00e4rvi \\uD83D\\uDE00\npath=c\\:\\\\x\nodd\\=key=v\n[support]\nempty=\n";
        let expected = [
            (4, "|mail.store.host", "imap.example.com"),
            (5, "|mail.store.port", "993"),
            (6, "|mail.store.user", "a@b.example"),
            (7, "|mail.oauth.scopes", "one,two,three"),
            (10, "|name", "Järvi 😀"),
            (11, "|path", "c:\\x"),
            (12, "|odd=key", "v"),
            (14, "support|empty", ""),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(line, key, value)| (*line, (*key).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn a_broken_escape_names_its_line_and_the_others_are_read() {
        let (settings, faults) = read("a=1\nb=\\u12\nc=2\n=x\n");
        assert_eq!(settings.len(), 2);
        assert_eq!(faults.iter().map(|fault| fault.place.line).collect::<Vec<_>>(), [2, 4]);
    }
}
