//! An answer of the console, and what can be read in it.

use axum::http::{HeaderMap, StatusCode};
use scraper::{Html, Selector};

/// An answer.
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Page {
    /// The text of every element a CSS selector finds, blanks folded; empty if there is none.
    pub fn text(&self, css: &str) -> String {
        let html = Html::parse_document(&self.body);
        let all: Vec<String> = html
            .select(&Selector::parse(css).unwrap())
            .map(|element| fold(&element.text().collect::<String>()))
            .collect();
        all.join("\n")
    }

    /// An attribute of the first element a selector finds.
    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let html = Html::parse_document(&self.body);
        let selector = Selector::parse(css).unwrap();
        html.select(&selector).next()?.attr(name).map(str::to_owned)
    }

    /// Whether a selector finds anything.
    pub fn has(&self, css: &str) -> bool {
        Html::parse_document(&self.body)
            .select(&Selector::parse(css).unwrap())
            .next()
            .is_some()
    }

    /// Everything one can read on the page.
    pub fn words(&self) -> String {
        self.text("body")
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> String {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    /// Where it leads.
    pub fn location(&self) -> Option<String> {
        Some(self.header("location")).filter(|location| !location.is_empty())
    }

    /// `csrf_token` and every other field of the first form with this action, as a browser would send them unchanged.
    pub fn form(&self, action: &str) -> Vec<(String, String)> {
        let html = Html::parse_document(&self.body);
        let form = Selector::parse(&format!("form[action=\"{action}\"]")).unwrap();
        let Some(form) = html.select(&form).next() else { return Vec::new() };
        let controls = Selector::parse("input[name], textarea[name], select[name]").unwrap();
        let option = Selector::parse("option").unwrap();
        let mut fields = Vec::new();
        for control in form.select(&controls) {
            let (name, element) = (control.attr("name").unwrap().to_owned(), control.value());
            let kind = element.attr("type").unwrap_or("text");
            if matches!(kind, "checkbox" | "radio") && element.attr("checked").is_none() {
                continue;
            }
            let value = match element.name() {
                "textarea" => control.text().collect(),
                "select" => {
                    let options: Vec<_> = control.select(&option).collect();
                    let chosen = options.iter().find(|option| option.attr("selected").is_some()).or(options.first());
                    chosen.and_then(|option| option.attr("value")).unwrap_or_default().to_owned()
                }
                _ => element
                    .attr("value")
                    .unwrap_or(if kind == "checkbox" { "on" } else { "" })
                    .to_owned(),
            };
            fields.push((name, value));
        }
        fields
    }
}

fn fold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
