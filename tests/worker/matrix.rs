//! The fault matrix: `docs/fault-matrix.md` has a row for each fault, with the tests that prove it.

/// Number, fault, and the pairs of a file and a test in it.
type Row = (String, String, Vec<(String, String)>);

fn rows(text: &str) -> Vec<Row> {
    let lines = text.lines().filter(|line| line.starts_with("| F"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let named: Vec<&str> = cells[2].split('`').skip(1).step_by(2).collect();
            let files: Vec<usize> = (0..named.len()).filter(|at| named[*at].ends_with(".rs")).collect();
            let tests = files.iter().map(|at| (named[*at].to_owned(), named[at + 1].to_owned())).collect();
            (cells[0].to_owned(), cells[1].to_owned(), tests)
        })
        .collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_row_has_tests_that_exist() {
    let rows = rows(&read("docs/fault-matrix.md"));
    let numbers: Vec<&str> = rows.iter().map(|(number, ..)| number.as_str()).collect();
    let expected: Vec<String> = (1..=36).map(|number| format!("F{number}")).collect();
    assert_eq!(numbers, expected);
    for (number, what, tests) in rows {
        assert!(!tests.is_empty(), "{number} {what}");
        for (file, test) in tests {
            let path = if file.starts_with("src/") { file } else { format!("tests/{file}") };
            let text = read(&path);
            let at = text
                .find(&format!("fn {test}()"))
                .unwrap_or_else(|| panic!("{number}: {path} has no {test}"));
            let before: Vec<&str> = text[..at].lines().rev().take(4).collect();
            assert!(
                before.iter().any(|line| line.contains("test]") || line.contains("test(")),
                "{number}: {test} in {path} is no test"
            );
        }
    }
}
