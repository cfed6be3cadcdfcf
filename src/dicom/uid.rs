//! Unique identifiers, valid by construction (PS3.5 section 9).

use sha2::{Digest, Sha256};

/// A DICOM UID: 1 to 64 characters, digits and dots, no empty component. Components with leading
/// zeros are not legal but common in archives, so they are accepted on reading.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(String);

/// Why a text is no UID. The text itself is not echoed: it came from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UID: 1 to 64 digits and dots with no empty component are wanted")]
pub struct UidError;

impl Uid {
    /// Parses the text of an UI value, with the trailing NUL or space that padding leaves.
    pub fn parse(text: &str) -> Result<Self, UidError> {
        let text = text.trim_end_matches(['\0', ' ']);
        let legal = (1..=64).contains(&text.len())
            && text.split('.').all(|c| !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit()));
        if legal { Ok(Self(text.to_owned())) } else { Err(UidError) }
    }

    /// A UID that is a function of `parts` alone: `2.25.` and 122 bits of their SHA-256 in the
    /// form of a UUID (version 8), so that a rerun names its results alike.
    pub fn derived(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(format!("2.25.{}", u128::from_be_bytes(bytes)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Uid {
    type Error = UidError;
    fn try_from(text: String) -> Result<Self, UidError> {
        Self::parse(&text)
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> String {
        uid.0
    }
}

impl std::fmt::Display for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_uid_is_refused() {
        for text in
            ["", "..", "../1", "1..2", "1.2/3", "1.2\\3", "1.2\u{0663}", &"1".repeat(65), "1.2 3"]
        {
            assert_eq!(Uid::parse(text), Err(UidError), "{text:?}");
        }
        assert_eq!(Uid::parse("1.2.3\0").unwrap().as_str(), "1.2.3");
    }

    #[test]
    fn derived_uids_are_stable_and_distinguish_the_cut_between_parts() {
        let a = Uid::derived(&["ab", "c"]);
        assert_eq!(a, Uid::derived(&["ab", "c"]));
        assert_ne!(a, Uid::derived(&["a", "bc"]));
        assert!(Uid::parse(a.as_str()).is_ok() && a.as_str().len() <= 44);
    }
}
