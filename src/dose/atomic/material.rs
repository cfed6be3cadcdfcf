//! The tissues: composition, density effect parameters, and the CT number's way to one of them.

use super::AVOGADRO;
use super::table::{Curve, rows};
use std::collections::BTreeMap;
use std::sync::OnceLock;

const MATERIALS: &str = include_str!("../../../config/tissues/materials.yaml");
const PHOTON_CROSS_SECTIONS: &str =
    include_str!("../../../config/atomic/photon_cross_sections.csv");
const FORM_FACTORS: &str = include_str!("../../../config/atomic/form_factors.csv");
const STOPPING_POWERS: &str = include_str!("../../../config/atomic/stopping_powers.csv");

/// Name below `config/` and text of each.
pub(crate) const TABLES: [(&str, &str); 4] = [
    ("tissues/materials.yaml", MATERIALS),
    ("atomic/photon_cross_sections.csv", PHOTON_CROSS_SECTIONS),
    ("atomic/form_factors.csv", FORM_FACTORS),
    ("atomic/stopping_powers.csv", STOPPING_POWERS),
];

/// Symbol, atomic number and standard atomic weight (IUPAC 2021, conventional values).
const ELEMENTS: [(&str, u8, f64); 13] = [
    ("H", 1, 1.008),
    ("C", 6, 12.011),
    ("N", 7, 14.007),
    ("O", 8, 15.999),
    ("Na", 11, 22.990),
    ("Mg", 12, 24.305),
    ("P", 15, 30.974),
    ("S", 16, 32.06),
    ("Cl", 17, 35.45),
    ("Ar", 18, 39.95),
    ("K", 19, 39.098),
    ("Ca", 20, 40.078),
    ("Fe", 26, 55.845),
];

/// Number of a tissue in the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaterialId(pub(crate) u8);

impl MaterialId {
    /// Place in [`MaterialLibrary::iter`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What XCOM and xraylib know of one element, per atom.
#[derive(Debug, Clone, Default)]
pub(crate) struct ElementTables {
    pub coherent: Curve,
    pub incoherent: Curve,
    pub photoelectric: Curve,
    pub pair: Curve,
    pub form_factor: Curve,
    pub scattering_function: Curve,
}

/// One element's share of a tissue.
#[derive(Debug, Clone)]
pub(crate) struct Constituent {
    pub atomic_number: f64,
    pub atoms_per_gram: f64,
    pub tables: ElementTables,
}

/// A tissue of the library.
#[derive(Debug, Clone)]
pub struct Material {
    name: String,
    nominal_density_g_per_ml: f64,
    pub(crate) constituents: Vec<Constituent>,
    pub(crate) electrons_per_gram: f64,
    pub(crate) collision: Curve,
    pub(crate) radiative: Curve,
}

impl Material {
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The density at which the density effect was evaluated, and a fair default.
    pub fn nominal_density_g_per_ml(&self) -> f64 {
        self.nominal_density_g_per_ml
    }
    /// Collision stopping power of electrons (ESTAR), keV cm²/g.
    pub fn collision_stopping_power(&self, kev: f64) -> f64 {
        1e3 * self.collision.at(kev)
    }
    /// Radiative stopping power of electrons (ESTAR), keV cm²/g.
    pub fn radiative_stopping_power(&self, kev: f64) -> f64 {
        1e3 * self.radiative.at(kev)
    }
}

/// All tissues and the CT number scale.
#[derive(Debug)]
pub struct MaterialLibrary {
    materials: Vec<Material>,
    hu_bins: Vec<(f32, MaterialId)>,
}

impl MaterialLibrary {
    /// The tissues of `config/tissues/materials.yaml`, read once.
    pub fn embedded() -> &'static Self {
        static LIBRARY: OnceLock<MaterialLibrary> = OnceLock::new();
        LIBRARY.get_or_init(|| {
            let file: MaterialsFile =
                serde_saphyr::from_str(MATERIALS).expect("embedded tissue file is valid");
            assemble(file)
        })
    }

    /// A tissue by the name it has in the file: `water`, `lung`, `cortical-bone` ...
    pub fn by_name(&self, name: &str) -> Option<MaterialId> {
        let position = self.materials.iter().position(|m| m.name == name)?;
        Some(MaterialId(position as u8))
    }

    pub fn get(&self, id: MaterialId) -> &Material {
        &self.materials[usize::from(id.0)]
    }

    pub fn iter(&self) -> impl Iterator<Item = (MaterialId, &Material)> {
        self.materials.iter().enumerate().map(|(n, m)| (MaterialId(n as u8), m))
    }

    /// The tissue of a CT number (Schneider 2000 bins, drawn together); below the first bin air.
    pub fn for_hu(&self, hu: f32) -> MaterialId {
        let above = self.hu_bins.partition_point(|bin| bin.0 <= hu);
        self.hu_bins[above.saturating_sub(1)].1
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct MaterialsFile {
    materials: Vec<MaterialEntry>,
    hu_to_material: Vec<HuBin>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct MaterialEntry {
    name: String,
    nominal_density_g_per_ml: f64,
    /// Enters the stopping powers when the tables are made, not here.
    #[serde(rename = "mean_excitation_energy_ev")]
    _mean_excitation_energy_ev: f64,
    composition: BTreeMap<String, f64>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct HuBin {
    hu_from: f32,
    material: String,
}

fn element_tables() -> BTreeMap<u8, ElementTables> {
    let mut elements: BTreeMap<u8, ElementTables> = BTreeMap::new();
    let number = |key: &str| key.parse::<u8>().expect("embedded table is keyed by atomic number");
    for (key, row) in rows(PHOTON_CROSS_SECTIONS) {
        let element = elements.entry(number(key)).or_default();
        element.coherent.push(row[0], row[1]);
        element.incoherent.push(row[0], row[2]);
        element.photoelectric.push(row[0], row[3]);
        element.pair.push(row[0], row[4]);
    }
    for (key, row) in rows(FORM_FACTORS) {
        let element = elements.entry(number(key)).or_default();
        element.form_factor.push(row[0], row[1]);
        element.scattering_function.push(row[0], row[2]);
    }
    elements
}

fn assemble(file: MaterialsFile) -> MaterialLibrary {
    let elements = element_tables();
    let materials: Vec<Material> = file
        .materials
        .into_iter()
        .map(|entry| {
            let total: f64 = entry.composition.values().sum();
            let constituents: Vec<Constituent> = entry
                .composition
                .iter()
                .map(|(symbol, fraction)| {
                    let &(_, z, weight) = ELEMENTS
                        .iter()
                        .find(|e| e.0 == symbol)
                        .expect("embedded tissues use known elements");
                    Constituent {
                        atomic_number: f64::from(z),
                        atoms_per_gram: AVOGADRO * fraction / total / weight,
                        tables: elements[&z].clone(),
                    }
                })
                .collect();
            let (mut collision, mut radiative) = (Curve::default(), Curve::default());
            for (_, row) in rows(STOPPING_POWERS).filter(|(key, _)| *key == entry.name) {
                collision.push(row[0], row[1]);
                radiative.push(row[0], row[2]);
            }
            Material {
                electrons_per_gram: constituents
                    .iter()
                    .map(|c| c.atoms_per_gram * c.atomic_number)
                    .sum(),
                name: entry.name,
                nominal_density_g_per_ml: entry.nominal_density_g_per_ml,
                constituents,
                collision,
                radiative,
            }
        })
        .collect();
    let find = |name: &str| {
        let n = materials.iter().position(|m| m.name == name);
        MaterialId(n.expect("embedded CT bins name known tissues") as u8)
    };
    let hu_bins = file.hu_to_material.iter().map(|b| (b.hu_from, find(&b.material))).collect();
    MaterialLibrary { materials, hu_bins }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_tissue_is_complete() {
        let library = MaterialLibrary::embedded();
        assert_eq!(library.iter().count(), 8);
        for (id, material) in library.iter() {
            assert_eq!(library.by_name(material.name()), Some(id));
            let z_over_a = material.electrons_per_gram / AVOGADRO;
            assert!((0.49..0.56).contains(&z_over_a), "{}: Z/A {z_over_a}", material.name());
            assert!(material.collision_stopping_power(100.0) > 3000.0, "{}", material.name());
        }
        assert_eq!(library.by_name("cheese"), None);
    }

    #[test]
    fn ct_numbers_find_their_tissue() {
        let library = MaterialLibrary::embedded();
        for (hu, name) in [
            (-5000.0, "air"),
            (-1000.0, "air"),
            (-700.0, "lung"),
            (-100.0, "adipose"),
            (0.0, "soft-tissue"),
            (40.0, "muscle"),
            (300.0, "spongiosa"),
            (1500.0, "cortical-bone"),
        ] {
            assert_eq!(library.get(library.for_hu(hu)).name(), name, "{hu} HU");
        }
    }
}
