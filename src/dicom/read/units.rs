//! The ladder from stored values to a quantity. In this order, and never two of them at once:
//! a mapping inside the image that gives Bq/ml; Units BQML with the rescale slope; a separate
//! mapping object that gives Bq/ml; else counts (a mapping to counts before a rescale), or what
//! Units says.

use super::attribute::malformed;
use super::error::ReadError;
use super::rwvm::{RealWorldScale, RealWorldValueMap};
use crate::quantify::ImageUnit;
use crate::quantity::Warning;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// What one frame offers.
pub struct Offer<'a> {
    /// Real World Value Mapping Sequence of the frame or image.
    pub inside: &'a [RealWorldValueMap],
    /// Mappings of separate objects that name the frame.
    pub separate: &'a [RealWorldValueMap],
    /// Units (0054,1001).
    pub units: Option<&'a str>,
    /// SUV Type (0054,1006).
    pub suv_type: Option<&'a str>,
    pub rescale: Option<(f64, f64)>,
    /// Bq/ml of a rescaled value in CNTS: Philips' Activity Concentration Scale Factor (7053,xx09).
    pub concentration_scale: Option<f64>,
}

/// How the stored values of a frame become values in `unit`.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueRule {
    pub unit: ImageUnit,
    scale: Scale,
    /// One sentence's beginning: which rung of the ladder.
    pub origin: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
enum Scale {
    Linear(f64, f64),
    /// Mappings by range, and the factor from their unit.
    Mapped(Vec<RealWorldValueMap>, f64),
}

/// Activity Concentration Scale Factor of the group `Philips PET Private Group`.
pub const CONCENTRATION_SCALE: Tag = Tag(0x7053, 0x1009);

/// Largest scale factor that is taken for real: a stored 1 of more than 1 TBq/ml is none.
const SLOPE_LIMIT: f64 = 1e12;

impl ValueRule {
    /// The value of a stored one.
    pub fn value(&self, stored: i64) -> Option<f64> {
        match &self.scale {
            Scale::Linear(slope, intercept) => Some(slope * stored as f64 + intercept),
            Scale::Mapped(maps, factor) => {
                maps.iter().find_map(|map| map.value(stored)).map(|value| value * factor)
            }
        }
    }
}

/// Bq/ml in one of the unit, by UCUM code or the texts that writers use instead.
fn bq_per_ml(map: &RealWorldValueMap) -> Option<f64> {
    match map.unit.value.as_str() {
        "Bq/ml" | "Bq/mL" | "BQML" | "Bq/cm3" => Some(1.0),
        "kBq/ml" | "kBq/mL" | "Bq/mm3" | "kBq/cm3" => Some(1e3),
        "MBq/ml" | "MBq/mL" | "MBq/cm3" => Some(1e6),
        _ => None,
    }
}

fn is_counts(map: &RealWorldValueMap) -> bool {
    matches!(map.unit.value.as_str(), "{counts}" | "{count}" | "counts" | "CNTS")
}

/// The mappings to activity concentration, all in one unit.
fn activity_maps(maps: &[RealWorldValueMap]) -> Result<Option<Scale>, ReadError> {
    let Some(first) = maps.iter().find(|m| bq_per_ml(m).is_some()) else { return Ok(None) };
    let factor = bq_per_ml(first).unwrap_or(1.0);
    let chosen = maps.iter().filter(|m| m.unit.value == first.unit.value);
    checked(chosen.cloned().collect(), factor).map(Some)
}

fn checked(maps: Vec<RealWorldValueMap>, factor: f64) -> Result<Scale, ReadError> {
    for map in &maps {
        if let RealWorldScale::Linear { slope, .. } = map.scale {
            check_slope(slope).map_err(|reason| malformed(tags::REAL_WORLD_VALUE_SLOPE, reason))?;
        }
    }
    Ok(Scale::Mapped(maps, factor))
}

fn check_slope(slope: f64) -> Result<(), String> {
    if slope > 0.0 && slope < SLOPE_LIMIT {
        Ok(())
    } else {
        Err(format!("a scale factor of {slope} cannot be"))
    }
}

fn linear(offer: &Offer) -> Result<Scale, ReadError> {
    scaled(offer, 1.0)
}

/// Rescale Slope and Intercept, times a factor.
fn scaled(offer: &Offer, factor: f64) -> Result<Scale, ReadError> {
    let (slope, intercept) = offer.rescale.unwrap_or((1.0, 0.0));
    check_slope(slope).map_err(|reason| malformed(tags::RESCALE_SLOPE, reason))?;
    Ok(Scale::Linear(slope * factor, intercept * factor))
}

/// The rule for one frame.
///
/// # Errors
/// Units that give no activity, and scale factors that cannot be.
pub fn rule(offer: &Offer, warnings: &mut Vec<Warning>) -> Result<ValueRule, ReadError> {
    let activity = ImageUnit::BecquerelPerMl;
    if let Some(scale) = activity_maps(offer.inside)? {
        let rule =
            ValueRule { unit: activity, scale, origin: "Real World Value Mapping of the image" };
        warn_of_conflict(&rule, offer, warnings);
        return Ok(rule);
    }
    if offer.units.is_some_and(|u| u.eq_ignore_ascii_case("BQML")) {
        if offer.rescale.is_none() {
            warn_once(
                warnings,
                "rescale-slope-absent",
                "Units (0054,1001) is BQML without a \
                Rescale Slope (0028,1053); stored values were taken as Bq/ml",
            );
        }
        let scale = linear(offer)?;
        return Ok(ValueRule { unit: activity, scale, origin: "Units BQML with Rescale Slope" });
    }
    if let Some(scale) = activity_maps(offer.separate)? {
        let origin = "Real World Value Mapping object for the image";
        return Ok(ValueRule { unit: activity, scale, origin });
    }
    let counts: Vec<RealWorldValueMap> = [offer.inside, offer.separate]
        .into_iter()
        .find(|maps| maps.iter().any(is_counts))
        .map(|maps| maps.iter().filter(|m| is_counts(m)).cloned().collect())
        .unwrap_or_default();
    match offer.units {
        None | Some("CNTS") if !counts.is_empty() => Ok(ValueRule {
            unit: ImageUnit::Counts,
            scale: checked(counts, 1.0)?,
            origin: "Real World Value Mapping to counts",
        }),
        None => {
            if offer.rescale.is_some_and(|(slope, intercept)| (slope, intercept) != (1.0, 0.0)) {
                warn_once(
                    warnings,
                    "rescale-without-units",
                    "Rescale Slope (0028,1053) has no \
                    Units (0054,1001) beside it; rescaled values were taken as counts",
                );
            }
            let scale = linear(offer)?;
            Ok(ValueRule { unit: ImageUnit::Counts, scale, origin: "no unit stated, so counts" })
        }
        Some("CNTS") => match offer.concentration_scale {
            Some(bq_per_ml) => {
                check_slope(bq_per_ml).map_err(|reason| malformed(CONCENTRATION_SCALE, reason))?;
                let scale = scaled(offer, bq_per_ml)?;
                Ok(ValueRule { unit: activity, scale, origin: "Units CNTS with Philips' scale" })
            }
            None => {
                let scale = linear(offer)?;
                Ok(ValueRule { unit: ImageUnit::Counts, scale, origin: "Units CNTS" })
            }
        },
        Some("CPS") => {
            let scale = linear(offer)?;
            Ok(ValueRule { unit: ImageUnit::CountsPerSecond, scale, origin: "Units CPS" })
        }
        Some("GML") if matches!(offer.suv_type, None | Some("BW")) => {
            let scale = linear(offer)?;
            Ok(ValueRule { unit: ImageUnit::SuvBodyWeight, scale, origin: "Units GML" })
        }
        Some(other) => Err(ReadError::Units(format!(
            "Units (0054,1001) {other} with SUV Type {} give no activity; send the series in Bq/ml \
             (BQML)",
            offer.suv_type.unwrap_or("not stated")
        ))),
    }
}

/// A mapping and a rescale that both claim Bq/ml and differ: the mapping holds, and it is said.
fn warn_of_conflict(rule: &ValueRule, offer: &Offer, warnings: &mut Vec<Warning>) {
    let (Some((slope, intercept)), Some("BQML")) = (offer.rescale, offer.units) else { return };
    let Scale::Mapped(maps, _) = &rule.scale else { return };
    let Some(last) = maps.iter().map(|m| m.last).reduce(f64::max) else { return };
    let rescaled = slope * last + intercept;
    if let Some(mapped) = rule.value(last as i64)
        && (mapped - rescaled).abs() > 1e-3 * mapped.abs()
    {
        warn_once(
            warnings,
            "rescale-and-mapping-differ",
            "Real World Value Mapping and Rescale \
            Slope (0028,1053) give different Bq/ml; the mapping was used",
        );
    }
}

fn warn_once(warnings: &mut Vec<Warning>, code: &str, text: &str) {
    if !warnings.iter().any(|w| w.code == code) {
        warnings.push(Warning::new(code, text));
    }
}

#[cfg(test)]
mod tests {
    use super::super::attribute::Code;
    use super::*;

    fn map(unit: &str, slope: f64) -> RealWorldValueMap {
        RealWorldValueMap {
            unit: Code { value: unit.into(), scheme: "UCUM".into(), meaning: String::new() },
            label: None,
            scale: RealWorldScale::Linear { slope, intercept: 0.0 },
            first: 0.0,
            last: 65_535.0,
        }
    }

    fn offer<'a>(
        inside: &'a [RealWorldValueMap],
        separate: &'a [RealWorldValueMap],
        units: Option<&'a str>,
        rescale: Option<(f64, f64)>,
    ) -> Offer<'a> {
        Offer { inside, separate, units, suv_type: None, rescale, concentration_scale: None }
    }

    fn value(offer: &Offer) -> (ImageUnit, f64, Vec<Warning>) {
        let mut warnings = Vec::new();
        let rule = rule(offer, &mut warnings).unwrap();
        (rule.unit, rule.value(10).unwrap(), warnings)
    }

    #[test]
    fn the_ladder_is_climbed_in_its_order_and_one_rung_only() {
        use ImageUnit::{BecquerelPerMl, Counts, CountsPerSecond};
        let inside = [map("g/ml{SUVbw}", 9.0), map("kBq/ml", 2.0)];
        let separate = [map("Bq/ml", 5.0)];
        let rescale = Some((3.0, 1.0));
        let (unit, v, warnings) = value(&offer(&inside, &separate, Some("BQML"), rescale));
        assert_eq!((unit, v), (BecquerelPerMl, 20_000.0));
        assert_eq!(warnings[0].code, "rescale-and-mapping-differ");
        let (unit, v, warnings) = value(&offer(&[], &separate, Some("BQML"), rescale));
        assert_eq!((unit, v, warnings.len()), (BecquerelPerMl, 31.0, 0));
        let (unit, v, _) = value(&offer(&[], &separate, None, rescale));
        assert_eq!((unit, v), (BecquerelPerMl, 50.0));
        let counts = [map("{counts}", 0.5)];
        let (unit, v, _) = value(&offer(&counts, &[], None, rescale));
        assert_eq!((unit, v), (Counts, 5.0));
        let (unit, v, warnings) = value(&offer(&[], &[], None, None));
        assert_eq!((unit, v, warnings.len()), (Counts, 10.0, 0));
        assert_eq!(value(&offer(&[], &[], Some("CPS"), rescale)).0, CountsPerSecond);
    }

    #[test]
    fn counts_of_philips_become_activity_by_their_own_scale_and_by_no_impossible_one() {
        let counts = offer(&[], &[], Some("CNTS"), Some((3.0, 1.0)));
        let with = |factor| Offer {
            concentration_scale: Some(factor),
            ..offer(&[], &[], Some("CNTS"), Some((3.0, 1.0)))
        };
        assert_eq!(value(&counts).0, ImageUnit::Counts);
        let (unit, v, _) = value(&with(2.5));
        assert_eq!((unit, v), (ImageUnit::BecquerelPerMl, 77.5));
        for factor in [0.0, -1.0, f64::NAN, 1e30] {
            assert!(rule(&with(factor), &mut Vec::new()).is_err(), "{factor}");
        }
        // Units BQML needs no second factor.
        let twice = Offer { units: Some("BQML"), ..with(2.5) };
        assert_eq!(value(&twice).1, 31.0);
    }

    #[test]
    fn what_gives_no_activity_is_refused() {
        for (units, slope) in [
            ("PROPCNTS", 1.0),
            ("CM2ML", 1.0),
            ("BQML", 0.0),
            ("BQML", -1.0),
            ("BQML", 1e30),
            ("CNTS", 0.0),
        ] {
            let refused = rule(&offer(&[], &[], Some(units), Some((slope, 0.0))), &mut Vec::new());
            assert!(refused.is_err(), "{units} {slope}");
        }
        let lean = Offer { suv_type: Some("LBM"), ..offer(&[], &[], Some("GML"), None) };
        assert!(rule(&lean, &mut Vec::new()).is_err());
        let narrow = [RealWorldValueMap { last: 5.0, ..map("Bq/ml", 1.0) }];
        let narrow = rule(&offer(&narrow, &[], None, None), &mut Vec::new()).unwrap();
        assert_eq!((narrow.value(5), narrow.value(6)), (Some(5.0), None));
    }
}
