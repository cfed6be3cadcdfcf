//! Received text as paper can show it.

use super::world::can_show;
use crate::dicom::visible;
use serde_json::Value;

/// A word longer than this may be broken: after these signs ...
const LONG_WORD: usize = 20;
const BREAK_AFTER: &str = "-/_.:,;";
/// ... and, between them, after so many characters.
const PIECE: usize = 10;
/// Where a line may end without a sign of it.
const BREAK: char = '\u{200b}';

/// `text` without characters that change how others are read and without such as no font of ours has:
/// both are shown by their number. Long words may be broken.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in visible(text).chars() {
        // A glyph in the private area says something else in every font.
        let private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
        match can_show(c) && !private && !matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{feff}') {
            true => shown.push(c),
            false => shown.push_str(&format!("[U+{:04X}]", u32::from(c))),
        }
    }
    let mut broken = String::with_capacity(shown.len());
    for word in shown.split_inclusive(' ') {
        let long = word.chars().count() > LONG_WORD;
        let mut run = 0;
        for c in word.chars() {
            if long && run == PIECE {
                broken.push(BREAK);
                run = 0;
            }
            broken.push(c);
            run += 1;
            if long && BREAK_AFTER.contains(c) {
                broken.push(BREAK);
                run = 0;
            }
        }
    }
    broken
}

/// Every text inside, keys aside.
pub(super) fn make_printable(value: &mut Value) {
    match value {
        Value::String(text) => *text = printable(text),
        Value::Array(values) => values.iter_mut().for_each(make_printable),
        Value::Object(values) => values.values_mut().for_each(make_printable),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_font_has_and_what_turns_text_about_is_shown_by_number() {
        assert_eq!(printable("Niere links"), "Niere links");
        assert_eq!(printable("腎 \u{202e}x"), "[U+814E] [U+202E]x");
        assert_eq!(printable("a\u{e000}\u{feff}"), "a[U+E000][U+FEFF]");
        let long = "x".repeat(64);
        let broken = printable(&long);
        assert_eq!(broken.replace(BREAK, ""), long);
        assert!(broken.split(BREAK).all(|piece| piece.chars().count() <= LONG_WORD));
        let path = printable("docs/methods/prescription.md");
        assert_eq!(
            path.split(BREAK).collect::<Vec<_>>(),
            ["docs/", "methods/", "prescripti", "on.", "md"]
        );
    }
}
