//! Replies of mail servers (RFC 5321, 4.2; RFC 3463), as servers send them and as logs and libraries print them.

/// Makes one line of an SMTP reply over several: code and status stay at the first line and go from the others. Whatever a log or a
/// library puts before a line goes with it.
pub(super) fn join(text: &str) -> String {
    let text = tidy(text);
    let mut out = String::with_capacity(text.len());
    let mut open: Option<Reply<'_>> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()).flat_map(cut) {
        if let Some(first) = open
            && let Some(next) = Reply::after(line, first)
        {
            out.push(' ');
            out.push_str(next.text.strip_prefix(first.status()).unwrap_or(next.text));
            open = next.more.then_some(first);
            continue;
        }
        match Reply::parse(line).or_else(|| Reply::inside(line)) {
            Some(reply) => {
                out.extend(["\n", reply.code, " ", reply.text]);
                open = reply.more.then_some(reply);
            }
            None => {
                out.extend(["\n", line]);
                open = None;
            }
        }
    }
    out
}

/// Every reply in a text that was joined: its code, and its enhanced status.
pub(super) fn of(text: &str) -> Vec<(u16, Option<String>)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(reply) = Reply::parse(line).or_else(|| Reply::inside(line)) else {
            continue;
        };
        let status = reply.status();
        if let Ok(code) = reply.code.parse() {
            found.push((code, (!status.is_empty()).then(|| status.to_owned())));
        }
    }
    found
}

/// Code and status as servers write them, where a library prints them as `(535, b'5.7.3 …')` or `535: 5.7.3 …`.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        let len = c.len_utf8();
        let apart = !before.is_some_and(|c: char| c.is_ascii_alphanumeric() || c == '.');
        if apart
            && c.is_ascii_digit()
            && let Some((code, after)) = rest.split_at_checked(3)
            && is_code(code)
        {
            let tail = after.trim_start_matches([',', ':', ' ', '(', ')', '\'', '"', '#', '\t']);
            let tail = tail.strip_prefix('b').unwrap_or(tail).trim_start_matches(['\'', '"']);
            let gap = after.len() - tail.len();
            if gap > 1 && gap <= 6 && !after.starts_with([' ', '-']) && starts_with_status(tail, code) {
                out.push_str(code);
                out.push(' ');
                rest = tail;
                before = Some(' ');
                continue;
            }
        }
        out.push(c);
        before = Some(c);
        rest = &rest[len..];
    }
    out
}

fn is_code(text: &str) -> bool {
    text.len() == 3 && text.starts_with(['2', '4', '5']) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text starts with an enhanced status of the class of this code.
fn starts_with_status(text: &str, code: &str) -> bool {
    let status = status_of(text);
    !status.is_empty() && status.as_bytes().first() == code.as_bytes().first()
}

/// The enhanced status at the start of a text, such as `5.7.8`; empty without one.
fn status_of(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let word = text.get(..end).unwrap_or_default().trim_end_matches('.');
    let mut numbers = word.split('.');
    let is_number = |number: Option<&str>| number.is_some_and(|number| (1..=3).contains(&number.len()));
    let whole = is_number(numbers.next()) && is_number(numbers.next()) && is_number(numbers.next()) && numbers.next().is_none();
    if whole { word } else { "" }
}

/// A line without the mark of a transcript; taken apart where it holds a reply's lines one after the other.
fn cut(line: &str) -> impl Iterator<Item = &str> {
    let line = ["S: ", "< ", "<-- ", "<< "]
        .iter()
        .find_map(|mark| line.strip_prefix(mark))
        .unwrap_or(line);
    let mut cuts = vec![0];
    if let Some(first) = Reply::parse(line).or_else(|| Reply::inside(line)).filter(|reply| reply.more) {
        let start = line.len() - first.whole_len();
        cuts.extend(line.match_indices(first.code).map(|(at, _)| at).filter(|at| {
            let before = line[..*at].ends_with(' ');
            *at > start && before && line[at + first.code.len()..].starts_with(['-', ' '])
        }));
    }
    cuts.push(line.len());
    (1..cuts.len()).filter_map(move |at| Some(line.get(*cuts.get(at - 1)?..*cuts.get(at)?)?.trim_end()))
}

/// One line of an SMTP reply.
#[derive(Clone, Copy)]
pub(super) struct Reply<'a> {
    code: &'a str,
    more: bool,
    text: &'a str,
}

impl<'a> Reply<'a> {
    /// The line of a server.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (code, rest) = line.split_at_checked(3)?;
        let more = rest.starts_with('-');
        let text = rest.strip_prefix(['-', ' '])?;
        code.bytes().all(|byte| byte.is_ascii_digit()).then_some(Self { code, more, text })
    }

    /// A line in which a reply with a status stands behind something else.
    fn inside(line: &'a str) -> Option<Self> {
        let bytes = line.as_bytes();
        let starts = (1..line.len().saturating_sub(8)).filter(|at| {
            let apart = bytes.get(at - 1).is_some_and(|byte| !byte.is_ascii_alphanumeric() && *byte != b'.');
            apart && bytes.get(*at).is_some_and(|byte| matches!(byte, b'2' | b'4' | b'5'))
        });
        starts
            .filter_map(|at| Self::parse(line.get(at..)?))
            .find(|reply| starts_with_status(reply.text, reply.code))
    }

    /// The next line of a reply, with whatever stands before it.
    fn after(line: &'a str, first: Self) -> Option<Self> {
        let same = |reply: &Self| reply.code == first.code;
        let next = Self::parse(line).filter(same);
        next.or_else(|| Self::inside(line).filter(|reply| same(reply) && reply.status() == first.status()))
    }

    fn whole_len(&self) -> usize {
        self.code.len() + 1 + self.text.len()
    }

    /// The enhanced status (RFC 3463) at the start of the text, such as `5.7.8`; empty without one.
    fn status(&self) -> &'a str {
        status_of(self.text)
    }
}
