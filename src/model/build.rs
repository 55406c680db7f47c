//! What this program was built from.

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Its licence, as an SPDX expression.
pub const LICENCE: &str = env!("CARGO_PKG_LICENSE");
/// The commit, where whoever built it said so (`MAILGRANT_BUILD_COMMIT` while it was built).
pub const COMMIT: Option<&str> = option_env!("MAILGRANT_BUILD_COMMIT");
/// The day it was built, in the same way (`MAILGRANT_BUILD_DATE`, like 2026-11-21).
pub const DATE: Option<&str> = option_env!("MAILGRANT_BUILD_DATE");

/// How many characters of a commit tell it from others?
const SHORT: usize = 12;

/// `0.1.0, commit 3f9a12b, built 2026-11-21`; what nobody said is left out.
pub fn words() -> String {
    told(COMMIT, DATE)
}

fn told(commit: Option<&str>, date: Option<&str>) -> String {
    let mut words = VERSION.to_owned();
    for (lead, text) in [("commit", commit), ("built", date)] {
        let short: String = text.unwrap_or_default().trim().chars().take(SHORT).collect();
        if !short.is_empty() {
            words.push_str(&format!(", {lead} {short}"));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_said_is_left_out() {
        assert_eq!(told(None, Some(" ")), VERSION);
        let commit = "3f9a12bc00d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5";
        assert_eq!(
            told(Some(commit), Some("2026-11-21")),
            format!("{VERSION}, commit 3f9a12bc00d1, built 2026-11-21")
        );
    }
}
