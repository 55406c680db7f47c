//! Messages above the heading of the next page.

use serde::{Deserialize, Serialize};

/// A message that survives one redirect (`ux.md` 8.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// `ok`, `info`, `warn` or `bad`.
    pub tone: String,
    /// A sentence.
    pub text: String,
    /// A link behind it: address and words.
    pub link: Option<(String, String)>,
    /// A button behind it.
    #[serde(default)]
    pub button: Option<FlashButton>,
}

/// A button behind a message: a form of one hidden field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlashButton {
    /// Where it is sent.
    pub action: String,
    /// What it says.
    pub words: String,
    /// The name of the field, and what stands in it: what the message was about, so that nothing else is acted on.
    pub field: (String, String),
}

impl Flash {
    fn new(tone: &str, text: &str) -> Self {
        Self {
            tone: tone.into(),
            text: text.into(),
            link: None,
            button: None,
        }
    }

    /// Something was done.
    pub fn ok(text: &str) -> Self {
        Self::new("ok", text)
    }

    /// Something to know.
    pub fn info(text: &str) -> Self {
        Self::new("info", text)
    }

    /// Done, but.
    pub fn warn(text: &str) -> Self {
        Self::new("warn", text)
    }

    /// Something failed.
    pub fn bad(text: &str) -> Self {
        Self::new("bad", text)
    }

    /// With a link behind the sentence.
    #[must_use]
    pub fn link(mut self, href: &str, words: &str) -> Self {
        self.link = Some((href.into(), words.into()));
        self
    }

    /// With a button behind the sentence, and a field that goes with it.
    #[must_use]
    pub fn button(mut self, action: &str, words: &str, field: (&str, &str)) -> Self {
        self.button = Some(FlashButton {
            action: action.into(),
            words: words.into(),
            field: (field.0.into(), field.1.into()),
        });
        self
    }
}
