//! Received text as a person may be shown it.
//!
//! Names and descriptions are kept as received; what changes how other text is read (control
//! characters, terminal escapes, bidirectional overrides) is shown by its number instead of taking
//! effect. Markup is the business of the page that shows it.

use std::borrow::Cow;

/// `text` with control and direction-changing characters as `[U+202E]`; unchanged without them.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| match is_hidden(c) {
        true => format!("[U+{:04X}]", u32::from(c)),
        false => c.to_string(),
    });
    Cow::Owned(shown.collect())
}

/// Control characters, the marks, embeddings, overrides and isolates of Unicode's bidirectional
/// algorithm (UAX 9), line and paragraph separator.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_changes_other_text_is_shown_by_its_number() {
        assert!(matches!(visible("Niere links, Ω 腎臓 كلية"), std::borrow::Cow::Borrowed(_)));
        assert_eq!(visible("a\u{1b}[2Jb"), "a[U+001B][2Jb");
        assert_eq!(visible("dose \u{202e}yG 5"), "dose [U+202E]yG 5");
        assert_eq!(visible("a\nb"), "a[U+000A]b");
    }
}
