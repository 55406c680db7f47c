//! Comma-separated values (RFC 4180), as spreadsheets write and read them.

use super::{Fault, fault};

/// One row: the line it begins in, and its cells.
pub type Row = (usize, Vec<String>);

/// Takes a table apart. Quoted cells may hold separators, doubled quotes and line breaks; empty rows are left out.
pub fn rows(text: &str, separator: char) -> Result<Vec<Row>, Fault> {
    let mut rows: Vec<Row> = Vec::new();
    let (mut row, mut cell) = (Vec::new(), String::new());
    let (mut line, mut begun) = (1, 1);
    let mut quoted: Option<usize> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        match (c, quoted) {
            ('"', Some(_)) if chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            ('"', Some(_)) => quoted = None,
            (c, Some(_)) => cell.push(c),
            ('"', None) if cell.trim().is_empty() => {
                cell.clear();
                quoted = Some(line);
            }
            ('\r', None) => {}
            ('\n', None) => {
                row.push(std::mem::take(&mut cell));
                finish(&mut rows, begun, std::mem::take(&mut row));
                begun = line;
            }
            (c, None) if c == separator => row.push(std::mem::take(&mut cell)),
            (c, None) => cell.push(c),
        }
    }
    if let Some(from) = quoted {
        return Err(fault(
            from,
            "",
            "A quote opens here and never closes",
            Some("Write a quote inside a quoted cell twice"),
        ));
    }
    row.push(cell);
    finish(&mut rows, begun, row);
    Ok(rows)
}

fn finish(rows: &mut Vec<Row>, line: usize, row: Vec<String>) {
    if row.iter().any(|cell| !cell.trim().is_empty()) {
        rows.push((line, row));
    }
}

/// What a spreadsheet would take for a formula: beginning with one of these, also as East Asian keyboards write them. A mark before
/// one counts as one, so that it comes back.
fn is_formula(text: &str) -> bool {
    let text = text.trim_start_matches('\'');
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// A cell as it is written: quoted where that is needed, and never a formula.
pub fn cell(text: &str) -> String {
    let cell = if is_formula(text) { format!("'{text}") } else { text.to_owned() };
    if cell.contains(['"', ',', ';', '\n', '\r']) || cell.starts_with(' ') || cell.ends_with(' ') {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

/// A cell as it was meant: without the mark that keeps a spreadsheet from taking it for a formula.
pub fn meant(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if is_formula(rest) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were_written() {
        for text in [
            "",
            "plain",
            "a,b",
            "say \"hi\"",
            "two\nlines",
            "=1+1",
            "+358",
            "-x",
            "@sum",
            "'=x",
            "''=x",
            "'x",
            "＝1",
            " padded ",
            "\ttab",
        ] {
            let written = format!("{},z\n", cell(text));
            let read = rows(&written, ',').unwrap();
            assert_eq!(meant(&read[0].1[0]), text, "{text:?}");
            let first = written.trim_start_matches('"').chars().next().unwrap_or(' ');
            assert!(first == '\'' || !is_formula(&first.to_string()), "{written:?}");
        }
    }

    #[test]
    fn rows_know_the_line_they_begin_in() {
        let read = rows("a;b\r\n\r\n\"x\ny\";2\n3;4", ';').unwrap();
        let lines: Vec<usize> = read.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 5]);
        assert_eq!(read[1].1, ["x\ny", "2"]);
        assert_eq!(rows("a,b\n1,\"open\n2,3\n", ',').unwrap_err().place.line, 2);
    }
}
