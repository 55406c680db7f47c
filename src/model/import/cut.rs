//! What was pasted and can't be read goes back to whoever pasted it without anything that might be a secret: `‹kept 1›` stands in its
//! place, and what it stands for stays here until the text comes again. Only what is known to be none is shown, so a text that is not
//! understood is hidden more than it needs to be, and nothing of it is lost.

use super::keys::{is_secret, meaning, parted};
use super::{Fault, Format, fault, properties, recognise, table};
use crate::model::config_file::is_plain;
use zeroize::Zeroizing;

const BEGIN: &str = "‹kept ";
const END: char = '›';

/// A text that may be shown.
#[derive(Default)]
pub struct Cut {
    /// The text, with marks for what was taken out.
    pub shown: String,
    /// What the marks stand for, by number from 1.
    pub kept: Vec<Zeroizing<String>>,
}

impl Cut {
    fn hide(&mut self, text: &str) {
        let hidden = text.trim();
        if hidden.is_empty() {
            self.shown.push_str(text);
            return;
        }
        let before = text.len() - text.trim_start().len();
        self.shown.push_str(&text[..before]);
        self.kept.push(Zeroizing::new(hidden.to_owned()));
        self.shown.push_str(&format!("{BEGIN}{}{END}", self.kept.len()));
        self.shown.push_str(&text[before + hidden.len()..]);
    }

    fn show(&mut self, text: &str) {
        self.shown.push_str(text);
    }
}

/// Takes out of a text what might be secret.
pub fn cut(text: &str) -> Cut {
    let mut cut = Cut::default();
    match recognise(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        Format::Csv => table(text, &mut cut),
        Format::Toml => toml(text, &mut cut),
        Format::Settings => settings(text, &mut cut),
    }
    cut
}

/// Puts what was kept back in the places of its marks. A mark that stands for nothing goes, and the first of them is told.
pub fn whole(shown: &str, kept: &[Zeroizing<String>]) -> (Zeroizing<String>, Option<Fault>) {
    let mut text = Zeroizing::new(String::with_capacity(shown.len()));
    let (mut rest, mut told) = (shown, None);
    while let Some((before, after)) = rest.split_once(BEGIN) {
        text.push_str(before);
        let number = after.split_once(END).map(|(number, after)| (number.parse::<usize>(), after));
        let Some((Ok(number), after)) = number else {
            text.push_str(BEGIN);
            rest = after;
            continue;
        };
        match number.checked_sub(1).and_then(|at| kept.get(at)) {
            Some(value) => text.push_str(value),
            None => {
                let line = text.matches('\n').count() + 1;
                let message = format!("What {BEGIN}{number}{END} stood for is not kept any more, so write it there again");
                told.get_or_insert_with(|| fault(line, "", message, None));
            }
        }
        rest = after;
    }
    text.push_str(rest);
    (text, told)
}

fn parts(line: &str) -> (&str, &str) {
    line.split_at(line.trim_end_matches(['\r', '\n']).len())
}

/// A table is shown whole if no column of it can hold a secret; else its first row, if that names columns.
fn table(text: &str, cut: &mut Cut) {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let (is_harmless, is_names) = table::columns(first.trim_start_matches('\u{feff}'));
    if is_harmless {
        return cut.show(text);
    }
    let mut is_first = true;
    for line in text.split_inclusive('\n') {
        let (body, end) = parts(line);
        if is_first && !body.trim().is_empty() {
            is_first = false;
            if is_names { cut.show(body) } else { cut.hide(body) }
        } else {
            cut.hide(body);
        }
        cut.show(end);
    }
}

/// Lower case letters, with what joins words.
fn is_word(text: &str, joints: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || joints.contains(c);
    !text.is_empty() && text.len() <= 40 && text.chars().all(fits)
}

fn toml(text: &str, cut: &mut Cut) {
    let mut until: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let (body, end) = parts(line);
        let inner = body.trim();
        let opens = ["\"\"\"", "'''"].into_iter().find(|marks| body.matches(marks).count() % 2 == 1);
        match until {
            Some(marks) => {
                if body.contains(marks) {
                    until = None;
                }
                cut.hide(body);
            }
            None if inner.starts_with('[') && is_word(inner.trim_matches(['[', ']']), "_. ") => cut.show(body),
            None => {
                match body.split_once('=') {
                    Some((key, value)) if is_word(key.trim(), "_.") && !value.starts_with('=') => {
                        cut.show(key);
                        cut.show("=");
                        let last = key.trim().rsplit('.').next().unwrap_or_default();
                        if is_plain(last) && is_simple(value) {
                            cut.show(value);
                        } else {
                            cut.hide(value);
                        }
                    }
                    _ => cut.hide(body),
                }
                until = opens;
            }
        }
        cut.show(end);
    }
}

/// A value that stands whole in its line, with nothing behind it.
fn is_simple(value: &str) -> bool {
    let value = value.trim();
    let is_text = |text: &str| {
        let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let inner = inner.or_else(|| text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')));
        inner.is_some_and(|inner| !inner.contains(['"', '\'', '\\']) && !has_user(inner))
    };
    let is_number = |text: &str| {
        text.len() <= 20 && text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '-')
    };
    let list = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_list = list.is_some_and(|list| list.split(',').all(|item| item.trim().is_empty() || is_text(item.trim())));
    ["true", "false"].contains(&value) || is_text(value) || is_number(value) || is_list
}

/// An address that may have a user and a password in it.
fn has_user(text: &str) -> bool {
    text.contains("://") && text.contains('@')
}

fn settings(text: &str, cut: &mut Cut) {
    let mut goes_on = false;
    for line in text.split_inclusive('\n') {
        let (body, end) = parts(line);
        let inner = body.trim();
        let was = std::mem::replace(&mut goes_on, false);
        let fits = |text: &str, joints: &str| text.len() <= 100 && text.chars().all(|c| c.is_ascii_alphanumeric() || joints.contains(c));
        let block = inner.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if was {
            cut.hide(body);
        } else if block.is_some_and(|name| fits(name, "._-@")) {
            cut.show(body);
        } else {
            let line = body.trim_end();
            let (key, value) = properties::split(line.trim_start());
            let word = parted(key).filter(|_| fits(key, "._-@")).map(|(_, rest)| meaning(rest));
            let (head, tail) = line.split_at(line.len() - value.len());
            match word {
                Some(Some(word)) if !is_secret(word) && !has_user(value) && !value.ends_with('\\') => cut.show(body),
                Some(_) => {
                    cut.show(head);
                    cut.hide(tail);
                }
                None if is_word(key, "._-") && head.trim_end().ends_with(['=', ':']) => {
                    cut.show(head);
                    cut.hide(tail);
                }
                None => cut.hide(body),
            }
        }
        let is_comment = !was && inner.starts_with(['#', '!', ';']);
        goes_on = !is_comment && body.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        cut.show(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts with a canary in every place a secret could be, and what of each may be seen.
    const TEXTS: [(&str, &str); 7] = [
        (
            "[[provider]]\nname = \"contoso\"\nclient_secret = \"canary\"\nclient_id = \"x\" client_secret = \"canary\"\nscopes = [\"a\", \"b\"]\n",
            "[[provider]]\nname = \"contoso\"\nclient_secret = ‹kept 1›\nclient_id = ‹kept 2›\nscopes = [\"a\", \"b\"]\n",
        ),
        (
            "[[provider]]\r\ncertificate = \"\"\"\r\ncanary\r\nname = \"canary\"\r\n\"\"\"\r\nname = \"b\r\n# canary\r\ncanary==\r\n",
            "[[provider]]\r\ncertificate = ‹kept 1›\r\n‹kept 2›\r\n‹kept 3›\r\n‹kept 4›\r\nname = ‹kept 5›\r\n‹kept 6›\r\n‹kept 7›\r\n",
        ),
        (
            "[[token]]\ntoken_url = \"https://u:canary@h\"\nrefresh_token_file = \"/p\"\n",
            "[[token]]\ntoken_url = ‹kept 1›\nrefresh_token_file = \"/p\"\n",
        ),
        (
            "address,incoming.password,incoming.host\na@b.example,canary,h\n\"canary\ncanary\",x\n",
            "address,incoming.password,incoming.host\n‹kept 1›\n‹kept 2›\n‹kept 3›\n",
        ),
        ("address,tags\na@b.example,\"open\n", "address,tags\na@b.example,\"open\n"),
        (
            "mail.store.host=h\nmail.store.password : canary\\\n  canary\\\n canary\n#canary\nmail.store.user=a\ncanary\nodd.key=canary\nmail.x=canary\n",
            "mail.store.host=h\nmail.store.password : ‹kept 1›\n  ‹kept 2›\n ‹kept 3›\n‹kept 4›\nmail.store.user=a\n‹kept 5›\nodd.key=‹kept 6›\nmail.x=‹kept 7›\n",
        ),
        (
            "eyJcanary.canary=\nmail.oauth.token.endpoint=https://u:canary@h\n",
            "‹kept 1›\nmail.oauth.token.endpoint=‹kept 2›\n",
        ),
    ];

    #[test]
    fn nothing_that_might_be_secret_is_shown_and_all_of_it_comes_back() {
        for (text, shown) in TEXTS {
            let cut = cut(text);
            assert_eq!(cut.shown, shown);
            assert!(!cut.shown.contains("canary"));
            let (back, told) = whole(&cut.shown, &cut.kept);
            assert_eq!((back.as_str(), told), (text, None));
        }
    }

    #[test]
    fn a_mark_that_stands_for_nothing_is_told_by_line() {
        let kept = [Zeroizing::new("x".to_owned())];
        let (text, told) = whole("a\nb=‹kept 2›\nc ‹kept 1›\n", &kept);
        assert_eq!(text.as_str(), "a\nb=\nc x\n");
        assert!(told.is_some_and(|told| told.place.line == 2 && told.message.contains("‹kept 2›")));
        assert_eq!(whole("‹kept so› ‹kept 1", &kept).0.as_str(), "‹kept so› ‹kept 1");
    }
}
