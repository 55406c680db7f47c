//! What the address of the list asks for: search, filters, order and place; and a filter in words.

use crate::model::mailbox::MailboxState;
use crate::model::retirements;
use crate::store::mailboxes::{MailboxFilter, MailboxKey, MailboxSort, Page as Place};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

/// Page sizes on offer.
pub(super) const SIZES: [usize; 4] = [25, 50, 100, 200];
/// The usual one.
const SIZE: usize = 50;

/// What the address asks for, as text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    pub(super) q: String,
    state: String,
    provider: String,
    token: String,
    tag: String,
    auth: String,
    on: String,
    imported: String,
    change: String,
    problem: String,
    pub(super) sort: String,
    pub(super) dir: String,
    pub(super) size: String,
    after: String,
    before: String,
    page: String,
    pub(super) n: String,
}

impl ListQuery {
    /// The list that a search asks for.
    pub fn search(words: &str) -> Self {
        Self {
            q: words.to_owned(),
            ..Self::default()
        }
    }

    /// The list of what an import brought.
    pub fn imported(id: &str) -> Self {
        Self {
            imported: id.to_owned(),
            ..Self::default()
        }
    }

    /// The list of what a dated change touches.
    pub fn change(id: &str) -> Self {
        Self {
            change: id.to_owned(),
            ..Self::default()
        }
    }

    /// The list of what fails with a problem, by its title.
    pub fn problem(title: &str) -> Self {
        Self {
            problem: title.to_owned(),
            ..Self::default()
        }
    }

    /// The list of what hangs on a provider, by its name.
    pub fn provider(name: &str) -> Self {
        Self {
            provider: name.to_owned(),
            ..Self::default()
        }
    }

    /// The list of what hangs on a token, by its name.
    pub fn token(name: &str) -> Self {
        Self {
            token: name.to_owned(),
            ..Self::default()
        }
    }

    /// The filter: the fields, and words like `state:failing tag:"a b"` in the search.
    pub fn filter(&self) -> MailboxFilter {
        let mut filter = MailboxFilter {
            text: String::new(),
            state: MailboxState::parse(&self.state).map(MailboxState::rank),
            provider: self.provider.trim().to_owned(),
            token: self.token.trim().to_owned(),
            tag: self.tag.trim().to_lowercase(),
            auth: self.auth.trim().to_owned(),
            enabled: on_off(&self.on),
            imported: self.imported.trim().to_owned(),
            change: self.change.trim().to_owned(),
            problem: self.problem.trim().to_owned(),
        };
        let mut words = Vec::new();
        for word in search_words(&self.q) {
            match word.split_once(':') {
                Some(("state", state)) if MailboxState::parse(state).is_some() => {
                    filter.state = MailboxState::parse(state).map(MailboxState::rank);
                }
                Some(("provider", name)) => filter.provider = name.to_owned(),
                Some(("token", name)) => filter.token = name.to_owned(),
                Some(("tag", tag)) => filter.tag = tag.to_lowercase(),
                Some(("auth", auth)) => filter.auth = auth.to_owned(),
                Some(("imported", id)) => filter.imported = id.to_owned(),
                Some(("change", id)) => filter.change = id.to_owned(),
                Some(("problem", title)) => filter.problem = title.to_owned(),
                Some(("on", value)) if on_off(value).is_some() => filter.enabled = on_off(value),
                _ => words.push(word),
            }
        }
        filter.text = words.join(" ");
        filter
    }

    pub(super) fn sort(&self) -> MailboxSort {
        MailboxSort::parse(&self.sort).unwrap_or_default()
    }

    pub(super) fn descending(&self) -> bool {
        match self.dir.as_str() {
            "asc" => false,
            "desc" => true,
            _ => usually_descending(self.sort()),
        }
    }

    pub(super) fn size(&self) -> usize {
        self.size.parse().ok().filter(|size| SIZES.contains(size)).unwrap_or(SIZE)
    }

    pub(super) fn place(&self) -> Place {
        match (read_key(&self.after), read_key(&self.before), self.page.as_str()) {
            (Some(key), _, _) => Place::After(key),
            (_, Some(key), _) => Place::Before(key),
            (_, _, "last") => Place::Last,
            _ => Place::First,
        }
    }

    /// The place, as the address has it.
    pub(super) fn place_pairs(&self) -> [(&str, &str); 4] {
        [
            ("after", &self.after),
            ("before", &self.before),
            ("page", &self.page),
            ("n", &self.n),
        ]
    }

    /// The address of this list with its filters and order, and `more` of it.
    pub fn address(&self, more: &[(&str, &str)]) -> String {
        let mut query = Serializer::new(String::new());
        let kept = [
            ("q", &self.q),
            ("state", &self.state),
            ("provider", &self.provider),
            ("token", &self.token),
            ("tag", &self.tag),
            ("auth", &self.auth),
            ("on", &self.on),
            ("imported", &self.imported),
            ("change", &self.change),
            ("problem", &self.problem),
            ("sort", &self.sort),
            ("dir", &self.dir),
            ("size", &self.size),
        ];
        for (name, value) in kept {
            if !value.is_empty() && !more.iter().any(|(other, _)| *other == name) {
                query.append_pair(name, value);
            }
        }
        for (name, value) in more {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        match query.finish() {
            text if text.is_empty() => "/mailboxes".to_owned(),
            text => format!("/mailboxes?{text}"),
        }
    }
}

pub(super) fn usually_descending(sort: MailboxSort) -> bool {
    matches!(sort, MailboxSort::Checked | MailboxSort::Added)
}

fn on_off(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// The words of a search; quotes hold words together.
fn search_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (String::new(), false);
    for c in text.chars().take(500) {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// A place in the list, as it stands in addresses: `number.id.address`.
pub(super) fn write_key(key: &MailboxKey) -> String {
    format!("{}.{}.{}", key.number, key.id, key.address)
}

fn read_key(text: &str) -> Option<MailboxKey> {
    let mut parts = text.splitn(3, '.');
    let number = parts.next()?.parse().ok()?;
    let (id, address) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    Some(MailboxKey { number, address, id })
}

/// A filter as one says it: `state: failing and tag: helpdesk`.
/// `imported` says which import it is.
pub fn filter_words(filter: &MailboxFilter, imported: &str) -> String {
    let state = filter.state.map(|rank| MailboxState::from_rank(rank).as_str()).unwrap_or_default();
    let on = match filter.enabled {
        Some(true) => "on",
        Some(false) => "off",
        None => "",
    };
    let change = retirements::find(&filter.change).map_or(filter.change.as_str(), |change| &change.title);
    let parts = [
        ("", filter.text.trim()),
        ("state: ", state),
        ("provider: ", &filter.provider),
        ("token: ", &filter.token),
        ("tag: ", &filter.tag),
        ("sign-in: ", &filter.auth),
        ("turned ", on),
        ("imported: ", imported),
        ("touched by: ", change),
        ("problem: ", &filter.problem),
    ];
    let words: Vec<String> = parts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| match *label {
            "" => format!("\"{value}\""),
            label => format!("{label}{value}"),
        })
        .collect();
    words.join(" and ")
}

/// A filter as the words of a search that mean the same.
pub fn search_text(filter: &MailboxFilter) -> String {
    let state = filter.state.map(|rank| MailboxState::from_rank(rank).as_str()).unwrap_or_default();
    let on = match filter.enabled {
        Some(true) => "on",
        Some(false) => "off",
        None => "",
    };
    let parts = [
        ("state", state),
        ("provider", &filter.provider),
        ("token", &filter.token),
        ("tag", &filter.tag),
        ("auth", &filter.auth),
        ("on", on),
        ("imported", &filter.imported),
        ("change", &filter.change),
        ("problem", &filter.problem),
    ];
    let mut words: Vec<String> = parts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| {
            let value = value.replace('"', "");
            if value.contains(char::is_whitespace) {
                format!("{label}:\"{value}\"")
            } else {
                format!("{label}:{value}")
            }
        })
        .collect();
    words.extend(Some(filter.text.trim().to_owned()).filter(|text| !text.is_empty()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_the_search_become_filters() {
        let filter = |q: &str| {
            ListQuery {
                q: q.into(),
                ..ListQuery::default()
            }
            .filter()
        };
        let found = filter("state:failing tag:Helpdesk provider:\"Contoso Oy\" hr@ 100%");
        assert_eq!(
            (found.state, found.tag.as_str(), found.provider.as_str(), found.text.as_str()),
            (Some(0), "helpdesk", "Contoso Oy", "hr@ 100%")
        );
        assert_eq!(filter("state:odd").text, "state:odd");
        assert_eq!(filter("\"unclosed").text, "unclosed");
        assert_eq!(
            filter_words(&found, ""),
            "\"hr@ 100%\" and state: failing and provider: Contoso Oy and tag: helpdesk"
        );
    }

    #[test]
    fn places_survive_the_address_and_nonsense_is_the_beginning() {
        let key = MailboxKey {
            number: -3,
            address: "a.b@c.d".into(),
            id: "00ff".into(),
        };
        assert_eq!(read_key(&write_key(&key)), Some(key));
        for bad in ["", "1", "1.x", "x.1.a@b"] {
            assert_eq!(read_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_filter_means_the_same_as_words_of_a_search() {
        for text in [
            "",
            "hr@ 100%",
            "state:failing tag:helpdesk provider:\"Contoso Oy\" auth:oauth2 on:off imported:00ff token:t change:ews problem:\"Client secret has expired\" hr@",
            "state:odd",
        ] {
            let filter = ListQuery::search(text).filter();
            assert_eq!(ListQuery::search(&search_text(&filter)).filter(), filter, "{text}");
        }
    }
}
