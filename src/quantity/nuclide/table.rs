//! The embedded tables, read once.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::chain::equilibrium;
use super::{
    BetaBranch, BetaSign, Daughter, DecayData, DecayMode, KiloElectronvolt, Line, MeanEnergies,
    Nuclide, Radiation, Seconds, Transition, beta,
};

/// Rest energy of the electron, keV (CODATA 2018).
pub(super) const ELECTRON_REST_KEV: f64 = 510.998_95;
/// Mass of the alpha particle in atomic mass units (CODATA 2018).
const ALPHA_MASS_U: f64 = 4.001_506;

macro_rules! tables {
    ($($name:literal),* $(,)?) => {
        [$((
            concat!("nuclides/", $name, ".yaml"),
            include_str!(concat!("../../../config/nuclides/", $name, ".yaml")),
        )),*]
    };
}

/// Name below `config/` and text of each.
pub(crate) const TABLES: [(&str, &str); 48] = tables![
    "P-32", "F-18", "Sc-47", "Cu-64", "Cu-67", "Ga-68", "Y-86", "Sr-89", "Zr-89", "Y-90", "Tc-99",
    "Tc-99m", "In-111", "I-123", "I-124", "I-131", "Xe-131m", "Sm-153", "Tb-161", "Ho-166",
    "Lu-177", "Re-186", "Re-188", "Bi-207", "Tl-207", "Tl-208", "Tl-209", "Pb-209", "Pb-211",
    "Pb-212", "Bi-211", "Bi-212", "Bi-213", "Po-211", "Po-212", "Po-213", "Po-215", "Po-216",
    "At-211", "At-217", "Rn-217", "Rn-219", "Rn-220", "Fr-221", "Ra-223", "Ra-224", "Ac-225",
    "Th-227",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HalfLife {
    value: f64,
    uncertainty: f64,
    unit: String,
    seconds: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unlisted {
    photon: f64,
    conversion_auger: f64,
    alpha: f64,
}

/// One file of `config/nuclides/`, as `scripts/nuclear_data.py` writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    nuclide: String,
    atomic_number: u8,
    mass_number: u16,
    half_life: HalfLife,
    evaluation: String,
    retrieved: String,
    #[serde(default)]
    notes: Vec<String>,
    #[serde(default)]
    daughters: Vec<(String, f64, DecayMode)>,
    #[serde(default)]
    beta_minus: Vec<(f64, f64, Transition, f64)>,
    #[serde(default)]
    beta_plus: Vec<(f64, f64, Transition, f64)>,
    #[serde(default)]
    alpha: Vec<(f64, f64)>,
    #[serde(default)]
    gamma: Vec<(f64, f64)>,
    #[serde(default)]
    x_ray: Vec<(f64, f64, String)>,
    #[serde(default)]
    conversion: Vec<(f64, f64, String)>,
    #[serde(default)]
    auger: Vec<(f64, f64, String)>,
    unlisted_kev: Unlisted,
}

type Tables = BTreeMap<(u8, u16, bool), (Nuclide, DecayData)>;

fn key(nuclide: &Nuclide) -> (u8, u16, bool) {
    (nuclide.atomic_number(), nuclide.mass_number, nuclide.metastable)
}

fn tables() -> &'static Tables {
    static READ: OnceLock<Tables> = OnceLock::new();
    READ.get_or_init(|| {
        let mut own = Tables::new();
        for (_, text) in TABLES {
            let record: Record =
                serde_saphyr::from_str(text).expect("embedded table, read by a test");
            let nuclide = Nuclide::parse(&record.nuclide).expect("embedded table, read by a test");
            assert_eq!(nuclide.atomic_number(), record.atomic_number, "{nuclide}");
            assert_eq!(nuclide.mass_number, record.mass_number, "{nuclide}");
            let data = decay_data(&nuclide, record);
            own.insert(key(&nuclide), (nuclide, data));
        }
        with_equilibrium(own)
    })
}

pub(super) fn find(nuclide: &Nuclide) -> Option<&'static DecayData> {
    tables().get(&key(nuclide)).map(|(_, data)| data)
}

pub(super) fn nuclides() -> Vec<&'static Nuclide> {
    tables().values().map(|(nuclide, _)| nuclide).collect()
}

/// Fills in what needs the other nuclides' tables.
fn with_equilibrium(mut own: Tables) -> Tables {
    let look_up = |n: &Nuclide| own.get(&key(n)).map(|(_, data)| data);
    let filled: Vec<_> = own
        .iter()
        .map(|(k, (nuclide, _))| {
            let members = equilibrium(nuclide, &look_up);
            let mut sum = MeanEnergies::default();
            for (member, decays) in &members {
                if let Some(data) = look_up(member) {
                    sum.add_weighted(&data.energies, *decays);
                }
            }
            (*k, members, sum)
        })
        .collect();
    for (k, members, sum) in filled {
        if let Some((_, data)) = own.get_mut(&k) {
            data.equilibrium = members;
            data.chain_energies = sum;
        }
    }
    own
}

fn decay_data(nuclide: &Nuclide, r: Record) -> DecayData {
    let lines = lines(nuclide, &r);
    let branch = |sign| {
        move |&(end, intensity, transition, mean): &(f64, f64, Transition, f64)| BetaBranch {
            sign,
            end_point: KiloElectronvolt::new(end),
            intensity,
            transition,
            evaluated_mean: KiloElectronvolt::new(mean),
        }
    };
    let betas: Vec<_> = r
        .beta_minus
        .iter()
        .map(branch(BetaSign::Minus))
        .chain(r.beta_plus.iter().map(branch(BetaSign::Plus)))
        .collect();
    let daughters = r.daughters.iter().map(|(name, fraction, mode)| Daughter {
        nuclide: Nuclide::parse(name).expect("embedded table, read by a test"),
        fraction: *fraction,
        mode: *mode,
    });
    let per_unit = r.half_life.seconds / r.half_life.value;
    let daughters = daughters.collect();
    DecayData {
        half_life: Seconds::new(r.half_life.seconds),
        half_life_uncertainty: Seconds::new(r.half_life.uncertainty * per_unit),
        energies: energies(nuclide, &lines, &betas, &r.unlisted_kev),
        chain_energies: MeanEnergies::default(),
        equilibrium: Vec::new(),
        lines,
        betas,
        unlisted_photon: KiloElectronvolt::new(r.unlisted_kev.photon),
        unlisted_electron: KiloElectronvolt::new(r.unlisted_kev.conversion_auger),
        unlisted_alpha: KiloElectronvolt::new(r.unlisted_kev.alpha),
        daughters,
        notes: r.notes,
        source: format!(
            "{}; half-life {} {}; retrieved {}",
            r.evaluation, r.half_life.value, r.half_life.unit, r.retrieved
        ),
    }
}

fn lines(nuclide: &Nuclide, r: &Record) -> Vec<Line> {
    let line = |radiation, energy: f64, intensity: f64, label: &str| Line {
        radiation,
        energy: KiloElectronvolt::new(energy),
        intensity,
        label: label.to_owned(),
    };
    let mut out = Vec::new();
    out.extend(r.gamma.iter().map(|(e, i)| line(Radiation::Gamma, *e, *i, "")));
    out.extend(r.x_ray.iter().map(|(e, i, l)| line(Radiation::XRay, *e, *i, l)));
    let positrons: f64 = r.beta_plus.iter().map(|b| b.1).sum();
    if positrons > 0.0 {
        out.push(line(Radiation::Annihilation, ELECTRON_REST_KEV, 2.0 * positrons, ""));
    }
    out.extend(r.conversion.iter().map(|(e, i, l)| line(Radiation::Conversion, *e, *i, l)));
    out.extend(r.auger.iter().map(|(e, i, l)| line(Radiation::Auger, *e, *i, l)));
    out.extend(r.alpha.iter().map(|(e, i)| line(Radiation::Alpha, *e, *i, "")));
    // Momentum is conserved: the daughter takes E m_alpha / m_daughter.
    let ratio = ALPHA_MASS_U / (f64::from(nuclide.mass_number) - ALPHA_MASS_U);
    out.extend(r.alpha.iter().map(|(e, i)| line(Radiation::Recoil, e * ratio, *i, "")));
    out
}

fn energies(
    nuclide: &Nuclide,
    lines: &[Line],
    betas: &[BetaBranch],
    unlisted: &Unlisted,
) -> MeanEnergies {
    let sum = |kinds: &[Radiation]| -> f64 {
        lines
            .iter()
            .filter(|l| kinds.contains(&l.radiation))
            .map(|l| l.energy.value() * l.intensity)
            .sum()
    };
    let beta = |sign| {
        beta::spectrum(nuclide, betas, sign)
            .map_or(KiloElectronvolt::default(), |s| s.energy_per_decay())
    };
    use Radiation::*;
    MeanEnergies {
        beta: beta(BetaSign::Minus),
        positron: beta(BetaSign::Plus),
        conversion_auger: KiloElectronvolt::new(
            sum(&[Conversion, Auger]) + unlisted.conversion_auger,
        ),
        photon: KiloElectronvolt::new(sum(&[Gamma, XRay, Annihilation]) + unlisted.photon),
        alpha: KiloElectronvolt::new(sum(&[Alpha]) + unlisted.alpha),
        recoil: KiloElectronvolt::new(sum(&[Recoil])),
    }
}
