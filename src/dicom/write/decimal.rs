//! Numbers as Decimal Strings: at most 16 characters (PS3.5 section 6.2), as exact as those allow.

/// Longest Decimal String.
const LONGEST: usize = 16;

/// The text of at most 16 characters that parses nearest to `value`. `None` for NaN and infinity.
pub fn decimal_string(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    if value == 0.0 {
        return Some("0".into());
    }
    let plain = format!("{value}");
    let scientific = format!("{value:e}");
    let exact = [plain, scientific].into_iter().find(|text| text.len() <= LONGEST);
    exact.or_else(|| nearest_of(value))
}

/// The best of all fixed and scientific forms that fit.
fn nearest_of(value: f64) -> Option<String> {
    let error =
        |text: &String| text.parse::<f64>().map_or(f64::INFINITY, |parsed| (parsed - value).abs());
    (0..LONGEST)
        .flat_map(|digits| [format!("{value:.digits$}"), format!("{value:.digits$e}")])
        .filter(|text| text.len() <= LONGEST)
        .min_by(|a, b| error(a).total_cmp(&error(b)))
}

/// A text of at most 16 characters whose parsed value is not below `value`, and above it by less
/// than one part in 10⁸: for scale factors that must not let a stored value overflow.
pub fn decimal_string_not_below(value: f64) -> Option<String> {
    if !(value.is_finite() && value > 0.0) {
        return None;
    }
    (0..8).find_map(|ulp| {
        let raised = value * (1.0 + f64::from(ulp) * 1e-9);
        let text = decimal_string(raised)?;
        text.parse::<f64>().is_ok_and(|parsed| parsed >= value).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_that_fit_are_written_exactly() {
        for (value, text) in
            [(0.0, "0"), (-0.0, "0"), (4.8, "4.8"), (-151.2, "-151.2"), (1e-300, "1e-300")]
        {
            assert_eq!(decimal_string(value).as_deref(), Some(text));
        }
        assert_eq!(decimal_string(f64::NAN), None);
        assert_eq!(decimal_string(f64::NEG_INFINITY), None);
    }

    proptest! {
        #[test]
        fn every_number_fits_and_keeps_nine_digits(mantissa in -9.99f64..9.99, power in -99i32..99) {
            let value = mantissa * 10f64.powi(power);
            let text = decimal_string(value).unwrap();
            prop_assert!(text.len() <= 16);
            prop_assert!((text.parse::<f64>().unwrap() - value).abs() <= value.abs() * 1e-8);
        }

        #[test]
        fn a_scale_factor_is_never_rounded_down(mantissa in 1.0f64..9.99, power in -20i32..5) {
            let value = mantissa * 10f64.powi(power);
            let text = decimal_string_not_below(value).unwrap();
            let parsed: f64 = text.parse().unwrap();
            prop_assert!(text.len() <= 16 && parsed >= value && parsed <= value * (1.0 + 1e-8));
        }
    }
}
