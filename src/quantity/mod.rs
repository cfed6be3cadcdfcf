//! Units as types, so that a becquerel never meets a gray by accident.
//!
//! Every number that crosses a module edge carries its unit in its type; inside a voxel loop a
//! raw array says it in its name (`tia_bq_s`, `dose_gy`).

pub mod constant;
pub mod nuclide;

macro_rules! units {
    ($($(#[$doc:meta])* $name:ident, $symbol:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default,
                 serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(f64);

        impl $name {
            /// The unit's symbol as UCUM writes it.
            pub const SYMBOL: &'static str = $symbol;
            /// A value in the unit of the type's name.
            pub const fn new(value: f64) -> Self { Self(value) }
            /// The number, in the unit of the type's name.
            pub const fn value(self) -> f64 { self.0 }
            /// Neither NaN nor infinite.
            pub fn is_finite(self) -> bool { self.0.is_finite() }
        }
        impl std::ops::Add for $name { type Output = Self; fn add(self, o: Self) -> Self { Self(self.0 + o.0) } }
        impl std::ops::Sub for $name { type Output = Self; fn sub(self, o: Self) -> Self { Self(self.0 - o.0) } }
        impl std::ops::Mul<f64> for $name { type Output = Self; fn mul(self, f: f64) -> Self { Self(self.0 * f) } }
        impl std::ops::Div<f64> for $name { type Output = Self; fn div(self, f: f64) -> Self { Self(self.0 / f) } }
        impl std::ops::Div for $name { type Output = f64; fn div(self, o: Self) -> f64 { self.0 / o.0 } }
        impl std::iter::Sum for $name { fn sum<I: Iterator<Item = Self>>(it: I) -> Self { Self(it.map(|v| v.0).sum()) } }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)?;
                write!(f, " {}", $symbol)
            }
        }
    )*};
}

units! {
    /// Activity, Bq.
    Becquerel, "Bq";
    /// Time-integrated activity (number of decays), Bq·s.
    BecquerelSecond, "Bq.s";
    /// Absorbed dose, or a dose-like quantity such as BED where the name says so, Gy.
    Gray, "Gy";
    /// A span of time, s.
    Seconds, "s";
    /// A rate constant, 1/s.
    PerSecond, "/s";
    /// Mass, g.
    Gram, "g";
    /// Volume, ml (= cm³).
    Millilitre, "mL";
    /// Length, mm.
    Millimetre, "mm";
    /// Energy per decay, keV.
    KiloElectronvolt, "keV";
    /// Mass density, g/cm³.
    GramPerMl, "g/mL";
    /// Dose per administered activity, Gy/Bq.
    GrayPerBecquerel, "Gy/Bq";
}

/// One electronvolt in joule (CODATA 2018, exact since 2019).
pub const JOULE_PER_EV: f64 = 1.602_176_634e-19;

impl Becquerel {
    pub const fn from_mbq(mbq: f64) -> Self {
        Self(mbq * 1e6)
    }
    pub const fn mbq(self) -> f64 {
        self.0 / 1e6
    }
    pub const fn from_gbq(gbq: f64) -> Self {
        Self(gbq * 1e9)
    }
    pub const fn gbq(self) -> f64 {
        self.0 / 1e9
    }
}

impl GrayPerBecquerel {
    pub const fn from_gy_per_gbq(coefficient: f64) -> Self {
        Self(coefficient / 1e9)
    }
    pub const fn gy_per_gbq(self) -> f64 {
        self.0 * 1e9
    }
}

impl std::ops::Mul<Becquerel> for GrayPerBecquerel {
    type Output = Gray;
    fn mul(self, activity: Becquerel) -> Gray {
        Gray(self.0 * activity.0)
    }
}

impl std::ops::Div<GrayPerBecquerel> for Gray {
    type Output = Becquerel;
    fn div(self, coefficient: GrayPerBecquerel) -> Becquerel {
        Becquerel(self.0 / coefficient.0)
    }
}

impl BecquerelSecond {
    pub const fn from_mbq_h(mbq_h: f64) -> Self {
        Self(mbq_h * 3.6e9)
    }
    pub const fn mbq_h(self) -> f64 {
        self.0 / 3.6e9
    }
}

impl Seconds {
    pub const fn from_hours(hours: f64) -> Self {
        Self(hours * 3600.0)
    }
    pub const fn hours(self) -> f64 {
        self.0 / 3600.0
    }
    /// λ = ln 2 / T for a half-life T.
    pub fn half_life_to_rate(self) -> PerSecond {
        PerSecond(std::f64::consts::LN_2 / self.0)
    }
}

impl PerSecond {
    /// T = ln 2 / λ.
    pub fn half_life(self) -> Seconds {
        Seconds(std::f64::consts::LN_2 / self.0)
    }
}

/// A value with its relative standard uncertainty (k = 1).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Measured<T> {
    pub value: T,
    /// Standard uncertainty divided by the value; `None` where it is not known, never a guess.
    pub relative_uncertainty: Option<f64>,
}

/// Something a reader of a result must know: kept with the result, in every form it leaves in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Warning {
    /// Stable machine word, kebab-case: `decay-factor-contradiction`.
    pub code: String,
    /// One sentence for a person: what, where (object, tag), what was done about it.
    pub text: String,
}

impl Warning {
    pub fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_owned(), text: text.into() }
    }
}
