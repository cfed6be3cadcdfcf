//! What the names of outlines say.

use crate::quantify::planar::ViewOutline;

/// Lower case, with one space between words, however the drawing program parts them.
fn plain(name: &str) -> String {
    let words = name.split(|c: char| c.is_whitespace() || c == '_' || c == '-');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

const BACKGROUND: &str = "background";

/// Outlines to be measured, and those of their backgrounds: `X background` of region X, and `background` of all
/// that have none of their own.
pub fn split_backgrounds(outlines: &[ViewOutline]) -> (Vec<&ViewOutline>, Vec<&ViewOutline>) {
    outlines.iter().partition(|outline| {
        let name = plain(&outline.name);
        name != BACKGROUND && !name.ends_with(" background")
    })
}

/// Is a region of this name the whole body, in which all others lie?
pub fn covers_body(name: &str) -> bool {
    ["whole body", "wholebody", "total body", "body"].contains(&plain(name).as_str())
}

pub(super) fn is_background_of(background: &str, region: &str) -> bool {
    plain(background) == format!("{} {BACKGROUND}", plain(region))
}

pub(super) fn is_common(background: &str) -> bool {
    plain(background) == BACKGROUND
}

pub(super) fn is_background_of_any(background: &str, regions: &[&str]) -> bool {
    is_common(background) || regions.iter().any(|region| is_background_of(background, region))
}
