//! Text with code extensions (PS3.5 6.1.2.5), which the parser reads by the first character set
//! alone.

use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

/// Escape sequences after ESC, and the defined term of the set that each designates
/// (PS3.3 tables C.12-3 and C.12-4). Sets of two bytes in G0 are marked: their bytes are 7-bit and
/// only the codec that sees the escape can read them.
const ESCAPES: [(&[u8], &str, bool); 16] = [
    (b"(B", "ISO_IR 6", false),
    (b"-A", "ISO_IR 100", false),
    (b"-B", "ISO_IR 101", false),
    (b"-C", "ISO_IR 109", false),
    (b"-D", "ISO_IR 110", false),
    (b"-L", "ISO_IR 144", false),
    (b"-G", "ISO_IR 127", false),
    (b"-F", "ISO_IR 126", false),
    (b"-H", "ISO_IR 138", false),
    (b"-T", "ISO_IR 166", false),
    (b")I", "ISO_IR 13", false),
    (b"(J", "ISO_IR 13", false),
    (b"$)C", "ISO_IR 149", false),
    (b"$)A", "GB18030", false),
    (b"$B", "ISO_IR 87", true),
    (b"$(D", "ISO_IR 87", true),
];
const ESC: u8 = 0x1B;

/// Decodes what the parser read under the Specific Character Set `values`. With one value the
/// parser has done it. With several, the text is taken back to its bytes where the first value
/// allows that (the default repertoire and Latin-1, which the parser reads byte for byte), and is
/// decoded with its escapes.
pub(crate) fn decode(text: &str, values: &[String]) -> String {
    let reversible = matches!(
        values.first().map(|v| v.trim()),
        Some("" | "ISO 2022 IR 6" | "ISO_IR 6" | "ISO 2022 IR 100" | "ISO_IR 100")
    );
    if values.len() < 2 || !reversible {
        return text.to_owned();
    }
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    bytes.map_or_else(|| text.to_owned(), |bytes| decode_escapes(&bytes))
}

fn decode_escapes(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut set = ("ISO_IR 100", false, &b""[..]);
    let mut rest = bytes;
    while !rest.is_empty() {
        if let Some((escape, term, wide)) = designation(rest) {
            set = (term, wide, escape);
            rest = &rest[1 + escape.len()..];
            continue;
        }
        // A run ends at the next escape; delimiters bring the initial set back.
        let end = rest[1..].iter().position(|b| *b == ESC).map_or(rest.len(), |at| at + 1);
        let wide_run = set.1;
        let delimiter = |b: &u8| !wide_run && matches!(b, b'^' | b'=' | b'\\' | b'\r' | b'\n');
        let end = rest[..end].iter().position(delimiter).map_or(end, |at| at.max(1));
        let (run, after) = rest.split_at(end);
        if run.len() == 1 && delimiter(&run[0]) {
            set = ("ISO_IR 100", false, b"");
        }
        out.push_str(&decode_run(run, set));
        rest = after;
    }
    out
}

fn designation(bytes: &[u8]) -> Option<(&'static [u8], &'static str, bool)> {
    let (&ESC, after) = bytes.split_first()? else { return None };
    ESCAPES.iter().copied().find(|(escape, ..)| after.starts_with(escape))
}

fn decode_run(run: &[u8], (term, wide, escape): (&str, bool, &[u8])) -> String {
    let codec = SpecificCharacterSet::from_code(term).unwrap_or_default();
    let decoded = if wide {
        codec.decode(&[&[ESC], escape, run, &[ESC], b"(B"].concat())
    } else {
        codec.decode(run)
    };
    decoded.unwrap_or_else(|_| run.iter().map(|b| char::from(*b)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], values: &[&str]) -> String {
        let latin: String = bytes.iter().map(|b| char::from(*b)).collect();
        decode(&latin, &values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>())
    }

    /// The examples of PS3.5 annexes H (Japanese) and I (Korean).
    #[test]
    fn names_of_the_standards_examples_are_decoded() {
        let japanese =
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
        assert_eq!(
            read(japanese, &["", "ISO 2022 IR 87"]),
            "Yamada^Tarou=\u{5c71}\u{7530}^\u{592a}\u{90ce}=\u{3084}\u{307e}\u{3060}^\u{305f}\u{308d}\u{3046}"
        );
        let korean = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf";
        assert_eq!(
            read(korean, &["", "ISO 2022 IR 149"]),
            "Hong^Gildong=\u{6d2a}^\u{5409}\u{6d1e}=\u{d64d}^\u{ae38}\u{b3d9}"
        );
    }

    #[test]
    fn one_character_set_is_left_to_the_parser() {
        assert_eq!(decode("J\u{e9}", &["ISO_IR 100".into()]), "J\u{e9}");
        assert_eq!(decode("\u{5c71}", &["".into(), "ISO 2022 IR 87".into()]), "\u{5c71}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_run_on(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let text = read(&bytes, &["", "ISO 2022 IR 87"]);
            prop_assert!(text.chars().count() <= 4 * bytes.len());
        }
    }
}
