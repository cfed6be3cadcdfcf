//! Protocols: what is imaged, fitted and computed by default, each constant with its source.
//!
//! A protocol file holds its names and then one section a stage of the pipeline; each section has
//! its own file here, which declares its keys, their units and ranges.

mod biology;
mod dose;
mod gates;
mod imaging;
mod kinetics;
mod limits;
mod parameters;
pub mod prescription;
mod quantification;
mod regions;
mod registration;
mod section;
mod sourced;
mod uncertainty;
mod views;

pub use biology::{BedParameters, Biology, Marrow};
pub use dose::{Dose, DoseGrid, Engine, MonteCarlo};
pub use gates::{Gate, Gates};
pub use imaging::{Imaging, PlanarUse, UncalibratedUse};
pub use kinetics::{DEFAULT_REGION, HalfLife, Kinetics, KineticsMethod, Trapezoid, VoxelKinetics};
pub use limits::{Combine, Limit, Limits, covers, holds_word, is_lesion};
pub use parameters::Parameters;
pub use prescription::{Prescription, Rule};
pub use quantification::PartialVolume;
pub use quantification::Quantification;
pub use regions::{Derived, Regions, SpheresWithin, ThresholdWithin};
pub use registration::{Registration, RegistrationMethod};
pub use section::{Check, Section};
pub use sourced::{Provenance, Sourced};
pub use uncertainty::Uncertainty;
pub use views::ViewSizes;

use super::priors::Priors;
use super::yaml::{Document, Fault, steps};
use crate::quantity::nuclide::Nuclide;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// File name and text of each, from `config/protocols/`.
macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$((
            concat!($name, ".yaml"),
            include_str!(concat!("../../../config/protocols/", $name, ".yaml")),
        )),*]
    };
}

/// The protocols that come with the program.
const BUILT_IN: [(&str, &str); 23] = built_in![
    "alpha-surrogate",
    "combo-lp",
    "fixed-activity",
    "i124-lesion",
    "i131-dtc-blood",
    "i131-mibg-azedra",
    "i131-tositumomab-wb",
    "lu177-iluminet",
    "lu177-maintenance",
    "lu177-netter1",
    "lu177-psma",
    "lu177-quebec",
    "lu177-uppsala",
    "multi-time-point",
    "single-time-point",
    "sm153-edtmp-2tp",
    "stp-madsen",
    "stp-prior-cycle",
    "y90-dotatoc-iowa",
    "y90-glass-dosisphere",
    "y90-resin-bsa",
    "y90-resin-partition",
    "y90-zevalin-liver",
];

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
    /// Earlier objects to be fetched for each course, unless its plan says otherwise.
    pub priors: Option<Priors>,
    pub parameters: Parameters,
    /// The file as it was read, for people to see and for the parameters' hash.
    pub text: String,
    /// Comes with the program (else from the site's folder).
    pub built_in: bool,
    /// The sections as written, for plans to be laid over.
    sections: Document,
}

/// All protocols by name; a site's own replaces a built-in one of the same name.
#[derive(Debug, Clone, Default)]
pub struct Protocols(BTreeMap<String, Protocol>);

/// What a protocol file says about itself; every other key is a section's.
const HEAD_KEYS: [&str; 7] =
    ["name", "version", "title", "description", "radiopharmaceutical", "nuclide", "priors"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: String,
    version: String,
    title: String,
    description: String,
    radiopharmaceutical: Option<String>,
    nuclide: Option<String>,
    priors: Option<Priors>,
}

impl Head {
    /// Checks the name, and finds the nuclide where one is named.
    fn check(&self, document: &Document, faults: &mut Vec<Fault>) -> Option<Nuclide> {
        let legal = !self.name.is_empty()
            && self.name.len() <= 64
            && self.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !legal {
            let message = "must be lower-case letters, digits and hyphens, like `lu177-uppsala`";
            faults.push(document.fault_at(steps!["name"], message));
        }
        for (key, message) in self.priors.as_ref().map(Priors::faults).unwrap_or_default() {
            faults.push(document.fault_at(steps!["priors", key], message));
        }
        let nuclide = self.nuclide.as_deref().map(Nuclide::parse).transpose();
        nuclide.unwrap_or_else(|error| {
            faults.push(document.fault_at(steps!["nuclide"], error.to_string()));
            None
        })
    }
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
        let mut sections = Document::parse(file, text).map_err(|fault| vec![fault])?;
        let mut head = sections.split_off(&HEAD_KEYS);
        let (read, mut faults) = head.read::<Head>();
        let nuclide = read.as_ref().and_then(|read| read.check(&head, &mut faults));
        let parameters =
            Parameters::read(&mut sections, false).map_err(|found| faults.extend(found));
        let (Some(read), Ok(parameters)) = (read, parameters) else { return Err(faults) };
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            parameters,
            name: read.name,
            version: read.version,
            title: read.title,
            description: read.description,
            radiopharmaceutical: read.radiopharmaceutical,
            nuclide,
            priors: read.priors,
            text: text.to_owned(),
            built_in,
            sections,
        })
    }

    /// The parameters with the `settings` of a plan; `Err` holds every fault, at the plan's lines.
    pub fn with(&self, plan: &Document) -> Result<Parameters, Vec<Fault>> {
        let mut sections = self.sections.clone();
        sections.lay_over(plan, "settings");
        let states = |key: &str| plan.has(steps!["settings", "imaging", key]);
        let one_for_all_cycles = states("time_points") && !states("by_cycle");
        Parameters::read(&mut sections, one_for_all_cycles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in(name: &str) -> &'static str {
        BUILT_IN.iter().find(|(file, _)| file.strip_suffix(".yaml") == Some(name)).unwrap().1
    }

    #[test]
    fn the_built_in_protocols_are_sound() {
        let protocols = Protocols::load(None).unwrap();
        assert_eq!(protocols.names().len(), BUILT_IN.len());
        for (protocol, (file, text)) in protocols.iter().zip(BUILT_IN) {
            assert_eq!(format!("{}.yaml", protocol.name), file);
            // What is not confirmed is known by its path, and nothing else is.
            let marked = text.lines().filter(|line| line.contains("provenance: M")).count();
            assert_eq!(protocol.parameters.unconfirmed.len(), marked, "{file}");
        }
        let single = &protocols.find("single-time-point").unwrap().parameters;
        assert_eq!(single.kinetics.method, KineticsMethod::SingleTimePoint);
        let points = (single.imaging.time_points.value, single.imaging.at_least.value);
        assert_eq!(points, (1, 1));
    }

    fn read(text: &str) -> Result<Protocol, Vec<String>> {
        let read = Protocol::read("own.yaml", text, false);
        read.map_err(|faults| faults.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn time_points_of_a_cycle_are_the_list_s_unless_a_plan_states_one_number() {
        let of_site = |text: &str| {
            let site = "provenance: site, source: \"Dr. Roe\"";
            text.replace(
                "time_points: { value: 3, provenance: S",
                &format!("time_points: {{ value: 3, {site} }} #"),
            )
        };
        let quebec = built_in("lu177-quebec");
        assert_ne!(of_site(quebec), quebec);
        for text in [quebec.to_owned(), of_site(quebec)] {
            let protocol = read(&text).unwrap();
            let with = |settings: &str| {
                let text = format!("settings: {{ imaging: {{ {settings} }} }}\n");
                let imaging = protocol.with(&Document::parse("p.yaml", &text).unwrap());
                let imaging = imaging.unwrap().imaging;
                [1, 2, 3, 4, 5].map(|cycle| imaging.time_points_of(cycle))
            };
            assert_eq!(with("provisional: true"), [3, 2, 1, 1, 1]);
            assert_eq!(with("time_points: 2"), [2; 5]);
            assert_eq!(with("time_points: { value: 2, provenance: P, source: x }"), [2; 5]);
            assert_eq!(with("by_cycle: [2, 1]"), [2, 1, 1, 1, 1]);
            assert_eq!(with("time_points: 3, by_cycle: [2, 1]"), [2, 1, 1, 1, 1]);
            // What the plan does away with is not held against it either.
            assert_eq!(with("time_points: 3, at_least: 3"), [3; 5]);
        }
    }

    #[test]
    fn a_list_of_time_points_is_not_empty_and_asks_for_what_can_be_computed() {
        let quebec = built_in("lu177-quebec");
        let two = quebec.replace("at_least: { value: 1", "at_least: { value: 2");
        let faults = read(&two).unwrap_err();
        assert_eq!(faults.len(), 2, "the two cycles of one image: {faults:?}");
        assert!(faults[0].contains("1 is out of range; write 2 to 20"), "{faults:?}");
        assert!(read(&two.replace("[3, 2, 1, 1]", "[3, 2]")).is_ok());
        let none = read(&quebec.replace("[3, 2, 1, 1]", "[]")).unwrap_err();
        assert!(none[0].contains("is empty; write a number a cycle"), "{none:?}");
    }

    #[test]
    fn a_site_s_protocol_replaces_the_built_in_one_and_its_faults_have_positions() {
        let folder = tempfile::tempdir().unwrap();
        let own = built_in("multi-time-point").replace("version: \"1\"", "version: \"site-7\"");
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
            "{file}:{}:7: must be lower-case letters, digits and hyphens, like `lu177-uppsala`",
            line("name: Multi Time")
        )));
        assert!(texts.contains(&format!(
            "{file}:{}:16: the text `perhaps` stands here; write true or false",
            line("perhaps")
        )));
    }
}
