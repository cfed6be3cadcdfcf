//! Configuration, plans and protocols: one declaration a key, checked with file:line:column.
//!
//! [`load`] reads everything that a node starts from and reports all faults of all files in one
//! go. [`watch`] keeps the plans in force as their folder changes.

pub mod camera;
pub mod audit;
pub mod credentials;
pub mod destination;
pub mod filled;
pub mod node;
pub mod plan;
mod priors;
pub mod protocol;
pub mod tls;
pub mod watch;
pub mod web;
pub mod yaml;

pub use audit::SyslogSettings;
pub use camera::{CameraSettings, DeviceMatch};
pub use node::{NodeConfig, SiteSettings};
pub use plan::{Administration, AdministrationDetails, Cycle, Plan};
pub use priors::{Priors, Retrieve};
pub use protocol::{
    Biology, DoseGrid, Engine, Kinetics, KineticsMethod, Parameters, PartialVolume, PlanarUse,
    Protocol, Protocols, RegistrationMethod, Rule, Sourced, Trapezoid, UncalibratedUse,
    Uncertainty, VoxelKinetics,
};
pub use watch::{PlanFolder, Plans};
pub use yaml::Fault;

use std::path::{Path, PathBuf};

/// The most plans (or protocols) in one folder.
const FILES_MAX: usize = 10_000;

/// What a node starts from.
#[derive(Debug)]
pub struct Loaded {
    pub config: NodeConfig,
    pub protocols: Protocols,
    /// Sound plans, by file name.
    pub plans: Vec<Plan>,
    /// Faults of plans: reported, but they do not keep the node from starting.
    pub plan_faults: Vec<Fault>,
}

/// Reads configuration, protocols and plans. `Err` holds every fault of all of them where the
/// configuration or a protocol has one; without, `plan_faults` holds those of plans.
pub fn load(path: &Path) -> Result<Loaded, Vec<Fault>> {
    let (config, mut faults) = NodeConfig::open_with_faults(path);
    let Some(config) = config else { return Err(faults) };
    // A folder that is not there is a fault of the configuration, reported with its position.
    let folder = config.protocols.as_deref().filter(|folder| folder.is_dir());
    let protocols = Protocols::load(folder).unwrap_or_else(|found| {
        faults.extend(found);
        Protocols::load(None).unwrap_or_default()
    });
    let (plans, plan_faults) = match config.plans.0.is_dir() {
        true => read_plans(&config.plans.0, &protocols),
        false => (Vec::new(), Vec::new()),
    };
    if faults.is_empty() {
        return Ok(Loaded { config, protocols, plans, plan_faults });
    }
    faults.extend(plan_faults);
    Err(faults)
}

/// Every sound plan of a folder, by file name, and every fault of the others.
pub fn read_plans(folder: &Path, protocols: &Protocols) -> (Vec<Plan>, Vec<Fault>) {
    let mut folder = PlanFolder::new(folder.to_owned());
    let plans = folder.rescan(protocols);
    (plans.in_force, plans.faults)
}

/// The `*.yaml` files of a folder, by name. Hidden files are somebody's editor at work.
fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let name = folder.display().to_string();
    let unreadable = |error: std::io::Error| {
        Fault::of_file(&name, format!("cannot be listed ({error}); check path and rights"))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            return Err(Fault::of_file(&name, "holds more than 10000 files; move old ones away"));
        }
    }
    files.sort();
    Ok(files)
}

fn read_text(path: &Path) -> Result<String, Fault> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        Fault::of_file(&name, format!("cannot be read ({error}); check rights and encoding"))
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > yaml::FILE_BYTES_MAX {
        return Err(Fault::of_file(&name, "is longer than 1 MiB; is this the right file?"));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}
