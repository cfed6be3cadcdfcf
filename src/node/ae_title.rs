//! Application entity titles, valid by construction (PS3.5 table 6.2-1, VR AE).

/// 1 to 16 printable ASCII characters without backslash, not all spaces; leading and trailing
/// spaces are not significant and are not kept. A title is a key to compare, never part of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AeTitle(String);

/// Why a text is no AE title. The text is not echoed: it may have come from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an AE title: 1 to 16 printable ASCII characters without backslash are wanted")]
pub struct AeTitleError;

impl AeTitle {
    pub fn parse(text: &str) -> Result<Self, AeTitleError> {
        let text = text.trim_matches(' ');
        let legal = (1..=16).contains(&text.len())
            && text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'\\');
        if legal { Ok(Self(text.to_owned())) } else { Err(AeTitleError) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for AeTitle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_title_is_refused_and_padding_is_not_significant() {
        for text in ["", "    ", "SEVENTEEN_LETTERS", "A\\B", "A\0", "A\nB", "\u{c4}E"] {
            assert_eq!(AeTitle::parse(text), Err(AeTitleError), "{text:?}");
        }
        assert_eq!(AeTitle::parse("  SPECT 1 ").unwrap().as_str(), "SPECT 1");
        // A path is a legal title; it must simply never become a path.
        assert_eq!(AeTitle::parse("../x").unwrap().as_str(), "../x");
    }
}
