//! Numbers as people read them.

/// Four significant digits.
pub fn four_digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if !(-3..=6).contains(&digits) {
        return format!("{value:.3e}");
    }
    format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
}
