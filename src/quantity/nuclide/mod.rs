//! Nuclides by name and the decay data in use (tables in `config/nuclides/`).
//!
//! In: a name as people and DICOM write it. Out: half-life, radiations, daughters and mean energies
//! per decay from one evaluation (ENSDF), with beta spectra computed by Fermi theory. Equations and
//! measured differences from other evaluations: `docs/methods/decay-data.md`.

mod beta;
mod chain;
mod name;
mod table;

pub use beta::{BetaSpectrum, SpectrumBin};
pub use chain::{Chain, DecayCount, EQUILIBRIUM_HALF_LIFE_RATIO, Member};
pub(crate) use table::TABLES;

use super::{KiloElectronvolt, Seconds};

/// A radionuclide: element symbol, mass number, metastable or not. Written `Lu-177`, `Tc-99m`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nuclide {
    symbol: String,
    mass_number: u16,
    metastable: bool,
}

/// Why a nuclide or its data cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NuclideError {
    #[error("no nuclide is named here; write it like `Lu-177` or `177Lu-DOTATATE`")]
    NotANuclide,
    #[error("two nuclides are named here, {0} and {1}; name the one that was administered")]
    TwoNuclides(String, String),
    #[error("no decay data for {0}; `grayd nuclide` lists the nuclides there are data for")]
    NoData(String),
    #[error(
        "{0} is not a member of the decay chain of {1}; `grayd nuclide {1}` lists its daughters"
    )]
    NotInChain(String, String),
    #[error("{quantity} must lie in {range}, not {value}")]
    OutOfRange { quantity: &'static str, range: &'static str, value: String },
}

/// Mean energy per decay of one nuclide by what carries it (own radiations only).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MeanEnergies {
    pub beta: KiloElectronvolt,
    pub positron: KiloElectronvolt,
    pub conversion_auger: KiloElectronvolt,
    /// Gamma and X-rays and, for positron emitters, the two annihilation photons.
    pub photon: KiloElectronvolt,
    pub alpha: KiloElectronvolt,
    /// Nuclear recoil of alpha decays.
    pub recoil: KiloElectronvolt,
}

impl MeanEnergies {
    /// What is spent within millimetres: everything but photons.
    pub fn non_penetrating(&self) -> KiloElectronvolt {
        self.beta + self.positron + self.conversion_auger + self.alpha + self.recoil
    }

    /// The electron part: beta, positron, conversion and Auger electrons.
    pub fn electron(&self) -> KiloElectronvolt {
        self.beta + self.positron + self.conversion_auger
    }

    /// Adds another nuclide's energies, weighted by its decays per decay of this one.
    pub fn add_weighted(&mut self, other: &Self, decays: f64) {
        self.beta = self.beta + other.beta * decays;
        self.positron = self.positron + other.positron * decays;
        self.conversion_auger = self.conversion_auger + other.conversion_auger * decays;
        self.photon = self.photon + other.photon * decays;
        self.alpha = self.alpha + other.alpha * decays;
        self.recoil = self.recoil + other.recoil * decays;
    }
}

/// What a line of discrete energy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Radiation {
    Gamma,
    XRay,
    /// Two photons of 511 keV for each positron that comes to rest. Transport that follows
    /// positrons makes them itself and must leave these lines out.
    Annihilation,
    Conversion,
    Auger,
    Alpha,
    /// The daughter nucleus of an alpha decay.
    Recoil,
}

/// A line of discrete energy.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub radiation: Radiation,
    pub energy: KiloElectronvolt,
    /// Emissions per decay.
    pub intensity: f64,
    /// Shell of a conversion or Auger electron, line of an X-ray (`ka1`); empty for the others.
    pub label: String,
}

/// Sign of the emitted beta particle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BetaSign {
    Minus,
    Plus,
}

/// Forbiddenness of a beta transition, which fixes the shape of its spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transition {
    Allowed,
    FirstForbidden,
    UniqueFirstForbidden,
    SecondForbidden,
    UniqueSecondForbidden,
    /// Spins not assigned by the evaluation: taken as allowed.
    NotAssigned,
}

/// One beta transition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaBranch {
    pub sign: BetaSign,
    pub end_point: KiloElectronvolt,
    /// Emissions per decay.
    pub intensity: f64,
    pub transition: Transition,
    /// Mean energy as evaluated, to compare the computed spectrum with.
    pub evaluated_mean: KiloElectronvolt,
}

/// How a nuclide becomes its daughter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecayMode {
    BetaMinus,
    ElectronCaptureBetaPlus,
    Alpha,
    IsomericTransition,
}

/// A daughter and the fraction of decays that lead to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Daughter {
    pub nuclide: Nuclide,
    pub fraction: f64,
    pub mode: DecayMode,
}

/// Decay data in use.
#[derive(Debug, Clone, PartialEq)]
pub struct DecayData {
    pub half_life: Seconds,
    /// Standard uncertainty of the half-life (k = 1).
    pub half_life_uncertainty: Seconds,
    /// Own radiations.
    pub energies: MeanEnergies,
    /// With the daughters that are in equilibrium with the parent: those, and theirs, whose
    /// half-life is at most a tenth of the parent's ([`EQUILIBRIUM_HALF_LIFE_RATIO`]), each counted
    /// with all its decays per decay of the parent.
    pub chain_energies: MeanEnergies,
    /// The members of that equilibrium with their decays per decay of this nuclide, this nuclide
    /// first with 1.
    pub equilibrium: Vec<(Nuclide, f64)>,
    /// Lines above the thresholds of the table; own radiations only.
    pub lines: Vec<Line>,
    pub betas: Vec<BetaBranch>,
    /// Photon energy per decay below the thresholds of `lines`; counted in `energies`.
    pub unlisted_photon: KiloElectronvolt,
    /// Electron energy per decay that no line carries (outer-shell Auger electrons, weak or
    /// unmeasured conversion); counted in `energies`, spent where it arises.
    pub unlisted_electron: KiloElectronvolt,
    /// Alpha energy per decay below the thresholds of `lines`; counted in `energies`.
    pub unlisted_alpha: KiloElectronvolt,
    pub daughters: Vec<Daughter>,
    /// What a reader must know about these data; may be empty.
    pub notes: Vec<String>,
    pub source: String,
}

impl Nuclide {
    /// Reads `Lu-177`, `Lu177`, `177Lu`, `177Lu-DOTATATE`, `[177Lu]Lu-PSMA-617`, `Tc-99m`,
    /// `99mTc-MAA`, and DICOM's `^177^Lutetium`.
    ///
    /// # Errors
    /// [`NuclideError::NotANuclide`] where no nuclide is named, [`NuclideError::TwoNuclides`] where
    /// two different ones are.
    pub fn parse(text: &str) -> Result<Self, NuclideError> {
        name::parse(text)
    }

    /// Decay data in use, from the embedded tables.
    ///
    /// # Errors
    /// [`NuclideError::NoData`] for a nuclide without a table (stable ones among them).
    pub fn decay(&self) -> Result<&'static DecayData, NuclideError> {
        table::find(self).ok_or_else(|| NuclideError::NoData(self.to_string()))
    }

    /// Every nuclide there are decay data for, by atomic number and mass.
    pub fn all_with_data() -> Vec<&'static Nuclide> {
        table::nuclides()
    }

    /// Element symbol, `Lu`.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    pub fn mass_number(&self) -> u16 {
        self.mass_number
    }

    pub fn is_metastable(&self) -> bool {
        self.metastable
    }

    /// Number of protons.
    pub fn atomic_number(&self) -> u8 {
        name::atomic_number(&self.symbol)
    }
}

impl DecayData {
    /// The spectrum of all beta particles of one sign, `None` where there are none. Probabilities
    /// are per decay; the mean over the bins is the energy in [`DecayData::energies`].
    pub fn beta_spectrum(&self, nuclide: &Nuclide, sign: BetaSign) -> Option<BetaSpectrum> {
        beta::spectrum(nuclide, &self.betas, sign)
    }
}

impl serde::Serialize for Nuclide {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Display for Nuclide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}{}", self.symbol, self.mass_number, if self.metastable { "m" } else { "" })
    }
}

#[cfg(test)]
mod tests;
