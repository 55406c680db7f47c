//! The table at the end.

/// A row: what was measured, against what, and what was aimed at.
struct Row {
    what: String,
    measured: String,
    aim: String,
    met: Option<bool>,
}

/// All rows.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// A figure to know, without an aim.
    pub fn note(&mut self, what: impl Into<String>, measured: impl Into<String>) {
        self.0.push(Row {
            what: what.into(),
            measured: measured.into(),
            aim: String::new(),
            met: None,
        });
    }

    /// A figure that should be at least `aim`.
    pub fn at_least(&mut self, what: &str, measured: f64, aim: f64) {
        self.0.push(Row {
            what: what.to_owned(),
            measured: format!("{measured:.2}"),
            aim: format!("≥ {aim}"),
            met: Some(measured >= aim),
        });
    }

    /// A figure that should be at most `aim`.
    pub fn at_most(&mut self, what: &str, measured: f64, aim: f64, unit: &str) {
        let digits = if unit.is_empty() { 2 } else { 1 };
        self.0.push(Row {
            what: what.to_owned(),
            measured: format!("{measured:.digits$}{unit}"),
            aim: format!("≤ {aim}{unit}"),
            met: Some(measured <= aim),
        });
    }

    pub fn print(&self) {
        let width =
            |pick: fn(&Row) -> &String, least: usize| self.0.iter().map(|row| pick(row).chars().count()).max().unwrap_or(0).max(least);
        let (what, measured, aim) = (width(|r| &r.what, 4), width(|r| &r.measured, 8), width(|r| &r.aim, 3));
        println!("\n{:what$}  {:>measured$}  {:>aim$}  met", "what", "measured", "aim");
        for row in &self.0 {
            let met = match row.met {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "",
            };
            println!("{:what$}  {:>measured$}  {:>aim$}  {met}", row.what, row.measured, row.aim);
        }
    }
}
