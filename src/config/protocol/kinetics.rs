//! `kinetics:` from activities to time-integrated activity.

use super::{Check, Provenance, Section, Sourced};
use crate::kinetics::{CurveLibrary, TrapezoidStart, TrapezoidTail};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of a map of half-lives that stands for every region not named.
pub const DEFAULT_REGION: &str = "default";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KineticsMethod {
    /// The model with the smallest corrected Akaike criterion among those the data can carry.
    SelectByAicc,
    MonoExponential,
    BiExponential,
    TriExponential,
    UptakeClearance,
    /// Straight lines between the points, see [`Trapezoid`].
    Trapezoid,
    /// A sum of many decays with amplitudes of 0 or more.
    Spectral,
    /// One measured point and a stated effective half-life.
    SingleTimePoint,
    /// One measured point, integral = A(t) · 2t / ln 2.
    TwoTimes,
    /// One measured point and the curves of other patients, see [`Kinetics::library`].
    CurveLibrary,
    /// Physical decay alone after the measured point.
    PhysicalOnly,
}

/// Where the curve of a voxel comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoxelKinetics {
    /// Its region's curve, scaled by the voxel's part of the region's activity.
    #[default]
    RegionCurve,
    /// A mono-exponential of its own; needs registered time points.
    VoxelFit,
}

/// What a trapezoid takes before the first and after the last point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trapezoid {
    pub start: TrapezoidStart,
    pub tail: TrapezoidTail,
}

impl Default for Trapezoid {
    fn default() -> Self {
        Self { start: TrapezoidStart::Constant, tail: TrapezoidTail::Physical }
    }
}

/// A half-life with how well it is known: `75`, or `{ value: 75, relative_uncertainty: 0.1 }`. Who writes no
/// source is the source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HalfLife {
    /// Hours.
    pub value: f64,
    /// k = 1.
    pub relative_uncertainty: Option<f64>,
    pub provenance: Provenance,
    pub source: String,
}

impl HalfLife {
    fn stated(value: f64) -> Self {
        let source = "stated by the site".into();
        Self { value, relative_uncertainty: None, provenance: Provenance::Site, source }
    }
}

impl<'de> Deserialize<'de> for HalfLife {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            value: f64,
            relative_uncertainty: Option<f64>,
            provenance: Option<Provenance>,
            source: Option<String>,
        }
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = HalfLife;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("hours, or `{ value: HOURS, relative_uncertainty: 0.1 }`")
            }

            fn visit_f64<E: de::Error>(self, hours: f64) -> Result<HalfLife, E> {
                Ok(HalfLife::stated(hours))
            }

            fn visit_u64<E: de::Error>(self, hours: u64) -> Result<HalfLife, E> {
                Ok(HalfLife::stated(hours as f64))
            }

            fn visit_i64<E: de::Error>(self, hours: i64) -> Result<HalfLife, E> {
                Ok(HalfLife::stated(hours as f64))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HalfLife, A::Error> {
                let whole = Whole::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let stated = HalfLife::stated(whole.value);
                Ok(HalfLife {
                    relative_uncertainty: whole.relative_uncertainty,
                    provenance: whole.provenance.unwrap_or(stated.provenance),
                    source: whole.source.unwrap_or(stated.source),
                    ..stated
                })
            }
        }
        deserializer.deserialize_any(Written)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kinetics {
    pub method: KineticsMethod,
    /// Regions with a method of their own.
    #[serde(default)]
    pub region_methods: BTreeMap<String, KineticsMethod>,
    #[serde(default)]
    pub voxels: VoxelKinetics,
    #[serde(default)]
    pub trapezoid: Trapezoid,
    /// Curves of a population by region; [`DEFAULT_REGION`] for those not named.
    #[serde(default)]
    pub library: BTreeMap<String, CurveLibrary>,
    /// Relative standard uncertainty (k = 1) of a measured activity where none is known.
    pub relative_sigma: Sourced<f64>,
    /// Stated effective half-lives, h, by region; [`DEFAULT_REGION`] for those not named.
    #[serde(default)]
    pub effective_half_life_h: BTreeMap<String, HalfLife>,
    /// A region imaged once, for which no half-life is stated, has the effective half-life of its last
    /// cycle that was imaged more often.
    #[serde(default)]
    pub prior_cycle: bool,
    /// Relative standard uncertainty (k = 1) of a half-life that comes from elsewhere and states none of its own;
    /// absent: as published (`config/kinetics.yaml`).
    pub half_life_relative_uncertainty: Option<Sourced<f64>>,
}

impl Kinetics {
    /// The method of a region.
    pub fn method(&self, region: &str) -> KineticsMethod {
        self.region_methods.get(region).copied().unwrap_or(self.method)
    }

    /// The library of curves of a region.
    pub fn library(&self, region: &str) -> Option<&CurveLibrary> {
        self.library.get(region).or_else(|| self.library.get(DEFAULT_REGION))
    }

    /// The stated effective half-life of a region.
    pub fn half_life(&self, region: &str) -> Option<&HalfLife> {
        let stated = &self.effective_half_life_h;
        stated.get(region).or_else(|| stated.get(DEFAULT_REGION))
    }
}

impl Section for Kinetics {
    fn check(&self, check: &mut Check<'_>) {
        check.number("relative_sigma", &self.relative_sigma, 0.001..=1.0);
        for (region, half_life) in &self.effective_half_life_h {
            let path = ["effective_half_life_h".into(), region.as_str().into()];
            check.value(&path, half_life.value, 0.01..=1e5);
            check.value(&path, half_life.relative_uncertainty.unwrap_or(0.5), 1e-3..=1.0);
        }
        let uncertainty = self.half_life_relative_uncertainty.as_ref();
        check.optional("half_life_relative_uncertainty", uncertainty, 0.0..=1.0);
    }
}
