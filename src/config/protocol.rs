//! Protocols: what is imaged, fitted and computed by default, each constant with its source.

use super::parameters::{
    BedParameters, Biology, Dose, DoseGrid, Engine, Imaging, Kinetics, KineticsMethod, Parameters,
    Regions, TIME_POINTS_MAX,
};
use super::yaml::{Document, Fault, Step, steps};
use crate::quantity::nuclide::Nuclide;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The protocols that come with the program.
const BUILT_IN: [(&str, &str); 2] = [
    ("multi-time-point.yaml", include_str!("../../config/protocols/multi-time-point.yaml")),
    ("single-time-point.yaml", include_str!("../../config/protocols/single-time-point.yaml")),
];

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provenance {
    /// Stated in the review of prospective dosimetry that the regimes follow.
    S,
    /// Read in a public source, which is named.
    P,
    /// Derived from physics or from the form of the model.
    D,
    /// Recalled from professional literature, not re-read: a physicist has to confirm it.
    M,
}

/// A constant with its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    pub value: T,
    pub provenance: Provenance,
    pub source: String,
}

/// One protocol. Valid by construction.
#[derive(Debug, Clone)]
pub struct Protocol {
    pub name: String,
    pub version: String,
    /// One line.
    pub title: String,
    /// What it does and for whom, in a few sentences.
    pub description: String,
    /// Where the protocol fixes it.
    pub radiopharmaceutical: Option<String>,
    pub nuclide: Option<Nuclide>,
    pub parameters: Parameters,
    /// The file as it was read, for people to see and for the parameters' hash.
    pub text: String,
    /// Comes with the program (else from the site's folder).
    pub built_in: bool,
}

/// All protocols by name; a site's own replaces a built-in one of the same name.
#[derive(Debug, Clone, Default)]
pub struct Protocols(BTreeMap<String, Protocol>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProtocolFile {
    name: String,
    version: String,
    title: String,
    description: String,
    radiopharmaceutical: Option<String>,
    nuclide: Option<String>,
    imaging: ImagingFile,
    regions: Regions,
    kinetics: KineticsFile,
    dose: DoseFile,
    biology: BiologyFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImagingFile {
    time_points: Sourced<u32>,
    at_least: Sourced<u32>,
    provisional: bool,
    window_h: Sourced<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KineticsFile {
    method: KineticsMethod,
    relative_sigma: Sourced<f64>,
    #[serde(default)]
    effective_half_life_h: BTreeMap<String, Sourced<f64>>,
    half_life_relative_uncertainty: Option<Sourced<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DoseFile {
    engine: Engine,
    grid: DoseGrid,
    spacing_mm: Option<Sourced<f64>>,
    stated_density_g_per_ml: Sourced<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BiologyFile {
    bed: bool,
    #[serde(default)]
    bed_parameters: BTreeMap<String, Sourced<BedParameters>>,
}

impl Protocols {
    /// The built-in protocols and those of the site's folder; `Err` holds every fault.
    pub fn load(folder: Option<&Path>) -> Result<Self, Vec<Fault>> {
        let mut protocols = Self::default();
        let mut faults = Vec::new();
        for (file, text) in BUILT_IN {
            protocols.add(file, text, true, &mut faults);
        }
        let listed = folder.map_or(Ok(Vec::new()), super::yaml_files);
        for path in listed.unwrap_or_else(|fault| {
            faults.push(fault);
            Vec::new()
        }) {
            match super::read_text(&path) {
                Ok(text) => {
                    protocols.add(&path.display().to_string(), &text, false, &mut faults);
                }
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(protocols) } else { Err(faults) }
    }

    fn add(&mut self, file: &str, text: &str, built_in: bool, faults: &mut Vec<Fault>) {
        match Protocol::read(file, text, built_in) {
            Ok(protocol) => {
                let name = protocol.name.clone();
                let before = self.0.insert(name.clone(), protocol);
                if before.is_some_and(|other| other.built_in == built_in) {
                    let message = format!("there are two protocols `{name}`; rename one");
                    faults.push(Fault::of_file(file, message));
                }
            }
            Err(found) => faults.extend(found),
        }
    }

    /// One protocol alone: what a worker is given.
    pub fn of(protocol: Protocol) -> Self {
        Self([(protocol.name.clone(), protocol)].into())
    }

    pub fn find(&self, name: &str) -> Option<&Protocol> {
        self.0.get(name)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &Protocol> {
        self.0.values()
    }

    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl Protocol {
    /// Reads and checks one protocol; `Err` holds every fault.
    pub fn read(file: &str, text: &str, built_in: bool) -> Result<Self, Vec<Fault>> {
        let mut document = Document::parse(file, text).map_err(|fault| vec![fault])?;
        let (read, mut faults) = document.read::<ProtocolFile>();
        let Some(read) = read else { return Err(faults) };
        let legal = !read.name.is_empty()
            && read.name.len() <= 64
            && read.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !legal {
            let message = "must be lower-case letters, digits and hyphens, like `lu177-uppsala`";
            faults.push(document.fault_at(steps!["name"], message));
        }
        let nuclide = match read.nuclide.as_deref().map(Nuclide::parse).transpose() {
            Ok(nuclide) => nuclide,
            Err(error) => {
                faults.push(document.fault_at(steps!["nuclide"], error.to_string()));
                None
            }
        };
        check_ranges(&read, &document, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            parameters: read.parameters(),
            name: read.name,
            version: read.version,
            title: read.title,
            description: read.description,
            radiopharmaceutical: read.radiopharmaceutical,
            nuclide,
            text: text.to_owned(),
            built_in,
        })
    }
}

fn check_ranges(read: &ProtocolFile, document: &Document, faults: &mut Vec<Fault>) {
    let points = f64::from(read.imaging.time_points.value);
    let mut ranges: Vec<(Vec<Step<'_>>, f64, f64, f64)> = vec![
        (steps!["imaging", "time_points"].to_vec(), points, 1.0, f64::from(TIME_POINTS_MAX)),
        (
            steps!["imaging", "at_least"].to_vec(),
            f64::from(read.imaging.at_least.value),
            1.0,
            points,
        ),
        (steps!["imaging", "window_h"].to_vec(), read.imaging.window_h.value, 1.0, 1e4),
        (
            steps!["kinetics", "relative_sigma"].to_vec(),
            read.kinetics.relative_sigma.value,
            0.001,
            1.0,
        ),
        (
            steps!["dose", "stated_density_g_per_ml"].to_vec(),
            read.dose.stated_density_g_per_ml.value,
            0.1,
            3.0,
        ),
    ];
    for (region, hours) in &read.kinetics.effective_half_life_h {
        let path = steps!["kinetics", "effective_half_life_h", region.as_str()].to_vec();
        ranges.push((path, hours.value, 0.01, 1e5));
    }
    if let Some(uncertainty) = &read.kinetics.half_life_relative_uncertainty {
        let path = steps!["kinetics", "half_life_relative_uncertainty"].to_vec();
        ranges.push((path, uncertainty.value, 0.0, 1.0));
    }
    if let Some(spacing) = &read.dose.spacing_mm {
        ranges.push((steps!["dose", "spacing_mm"].to_vec(), spacing.value, 0.5, 20.0));
    }
    for (region, bed) in &read.biology.bed_parameters {
        let path = steps!["biology", "bed_parameters", region.as_str()].to_vec();
        ranges.push((path.clone(), bed.value.alpha_beta_gy, 0.1, 100.0));
        ranges.push((path, bed.value.repair_half_time_h, 0.01, 100.0));
    }
    for (path, value, low, high) in ranges {
        if !(low..=high).contains(&value) {
            let message = format!("{value} is out of range; write {low} to {high}");
            faults.push(document.fault_at(&path, message));
        }
    }
}

impl ProtocolFile {
    fn parameters(&self) -> Parameters {
        let kinetics = &self.kinetics;
        let half_lives = &kinetics.effective_half_life_h;
        Parameters {
            imaging: Imaging {
                time_points: self.imaging.time_points.value,
                at_least: self.imaging.at_least.value,
                provisional: self.imaging.provisional,
                window_h: self.imaging.window_h.value,
            },
            regions: self.regions.clone(),
            kinetics: Kinetics {
                method: kinetics.method,
                relative_sigma: kinetics.relative_sigma.value,
                effective_half_life_h: half_lives
                    .iter()
                    .map(|(region, hours)| (region.clone(), hours.value))
                    .collect(),
                half_life_relative_uncertainty: kinetics
                    .half_life_relative_uncertainty
                    .as_ref()
                    .map(|uncertainty| uncertainty.value),
            },
            dose: Dose {
                engine: self.dose.engine,
                grid: self.dose.grid,
                spacing_mm: self.dose.spacing_mm.as_ref().map(|spacing| spacing.value),
                stated_density_g_per_ml: self.dose.stated_density_g_per_ml.value,
            },
            biology: Biology {
                bed: self.biology.bed,
                bed_parameters: self
                    .biology
                    .bed_parameters
                    .iter()
                    .map(|(region, bed)| (region.clone(), bed.value))
                    .collect(),
            },
            unconfirmed: self.unconfirmed(),
        }
    }

    /// Keys of the constants whose provenance is M.
    fn unconfirmed(&self) -> Vec<String> {
        let mut all = vec![
            ("imaging.time_points".to_owned(), self.imaging.time_points.provenance),
            ("imaging.at_least".to_owned(), self.imaging.at_least.provenance),
            ("imaging.window_h".to_owned(), self.imaging.window_h.provenance),
            ("kinetics.relative_sigma".to_owned(), self.kinetics.relative_sigma.provenance),
            (
                "dose.stated_density_g_per_ml".to_owned(),
                self.dose.stated_density_g_per_ml.provenance,
            ),
        ];
        for (region, hours) in &self.kinetics.effective_half_life_h {
            all.push((format!("kinetics.effective_half_life_h.{region}"), hours.provenance));
        }
        for (region, bed) in &self.biology.bed_parameters {
            all.push((format!("biology.bed_parameters.{region}"), bed.provenance));
        }
        let others = [
            (
                "kinetics.half_life_relative_uncertainty",
                self.kinetics.half_life_relative_uncertainty.as_ref().map(|u| u.provenance),
            ),
            ("dose.spacing_mm", self.dose.spacing_mm.as_ref().map(|s| s.provenance)),
        ];
        all.extend(others.into_iter().filter_map(|(key, tag)| Some((key.to_owned(), tag?))));
        all.into_iter().filter(|(_, tag)| *tag == Provenance::M).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_protocols_are_sound() {
        let protocols = Protocols::load(None).unwrap();
        assert_eq!(protocols.names(), ["multi-time-point", "single-time-point"]);
        let single = &protocols.find("single-time-point").unwrap().parameters;
        assert_eq!(single.kinetics.method, KineticsMethod::SingleTimePoint);
        assert_eq!((single.imaging.time_points, single.imaging.at_least), (1, 1));
    }

    #[test]
    fn a_site_s_protocol_replaces_the_built_in_one_and_its_faults_have_positions() {
        let folder = tempfile::tempdir().unwrap();
        let own = BUILT_IN[0].1.replace("version: \"1\"", "version: \"site-7\"");
        std::fs::write(folder.path().join("own.yaml"), &own).unwrap();
        let protocols = Protocols::load(Some(folder.path())).unwrap();
        let protocol = protocols.find("multi-time-point").unwrap();
        assert_eq!((protocol.version.as_str(), protocol.built_in), ("site-7", false));

        let broken = own.replace("name: multi-time-point", "name: Multi Time");
        let broken = broken.replace("provisional: false", "provisional: perhaps");
        let path = folder.path().join("own.yaml");
        std::fs::write(&path, &broken).unwrap();
        let faults = Protocols::load(Some(folder.path())).unwrap_err();
        let line = |needle: &str| 1 + broken.lines().position(|l| l.contains(needle)).unwrap();
        let texts: Vec<String> = faults.iter().map(Fault::to_string).collect();
        let file = path.display();
        assert!(texts.contains(&format!(
            "{file}:{}:16: the text `perhaps` stands here; write true or false",
            line("perhaps")
        )));
    }
}
