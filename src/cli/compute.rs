//! `grayd compute`: the pipeline without the network.

use super::Failure;
use super::progress::ProgressDisplay;
use super::table;
use crate::archive::Instance;
use crate::config::{NodeConfig, Plan, Protocols};
use crate::dicom::{InstanceHeader, visible};
use crate::intake::{self, View, Work};
use crate::pipeline;
use crate::report;
use crate::service::job::JobSpec;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Compute results from a folder of DICOM files, without a node.
///
/// Reads every DICOM file below the input folder, decides by the plan what belongs to which cycle, and
/// writes RT Dose, SEG, SR, report.pdf and results.json. Several cycles go to folders `cycle-1`, `cycle-2` ...
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  grayd phantom --output patient\n  \
    grayd compute --plan patient/plan.yaml --input patient --output results")]
pub struct Compute {
    /// Treatment plan of the course
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Folder that DICOM files are read below
    #[arg(long, value_name = "DIR")]
    input: PathBuf,
    /// Folder that results are written to; made where it is missing
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// For calibrations, time zone and the site's protocols
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Compute {
    pub fn run(self) -> Result<(), Failure> {
        let config = match &self.config {
            Some(path) => NodeConfig::open(path).map_err(Failure::Faults)?,
            None => NodeConfig::default(),
        };
        let protocols = Protocols::load(config.protocols.as_deref()).map_err(Failure::Faults)?;
        std::fs::metadata(&self.plan).map_err(|error| unreadable("--plan", &self.plan, &error))?;
        let mut plan = Plan::open(&self.plan, &protocols).map_err(Failure::Faults)?;
        check_apart(&self.input, &self.output)?;
        // Whoever calls this has no more images to wait for.
        plan.parameters.imaging.provisional = true;
        let found = find(&self.input, &config.site.zone())?;
        let work = decide(&found, &plan)?;
        let protocol = protocols
            .find(&plan.protocol)
            .ok_or_else(|| Failure::Usage(format!("there is no protocol `{}`", plan.protocol)))?;
        let several = work.len() > 1;
        let mut earlier = Vec::new();
        for one in work {
            let folder = match several {
                true => self.output.join(format!("cycle-{}", one.cycle)),
                false => self.output.clone(),
            };
            let inputs =
                one.inputs.iter().filter_map(|i| found.paths.get(&i.sop_instance).cloned());
            let inputs: Vec<PathBuf> = inputs.collect();
            let spec = JobSpec::new(one, &plan, protocol, &config);
            let request = spec.request(inputs, None, Timestamp::now()).map_err(Failure::Faults)?;
            let request = pipeline::Request { earlier: earlier.clone(), ..request };
            let result = run_one(&request, &folder)?;
            earlier.push(pipeline::course::CycleDoses::of(&result));
        }
        Ok(())
    }
}

fn run_one(request: &pipeline::Request, folder: &Path) -> Result<report::CycleResult, Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))?;
    let display = ProgressDisplay::new();
    let outcome = pipeline::compute(request, folder, &|at| display.show(at.done, at.stage));
    display.finish();
    let outcome =
        outcome.map_err(|error| Failure::Failed(visible(&error.to_string()).into_owned()))?;
    super::print_all(&table::of(&report::json::write(&outcome.result)))?;
    let paths: Vec<String> =
        outcome.written.iter().map(|written| written.path.display().to_string()).collect();
    super::print_all(&paths.join("\n"))?;
    Ok(outcome.result)
}

/// Results below the input would be the next run's images and regions.
fn check_apart(input: &Path, output: &Path) -> Result<(), Failure> {
    // Of an output folder that is yet to be made, the part that is there decides.
    let output = std::path::absolute(output).unwrap_or_else(|_| output.to_owned());
    let there = output.ancestors().find_map(|part| part.canonicalize().ok());
    match (input.canonicalize(), there) {
        (Ok(input), Some(output)) if output.starts_with(&input) => Err(Failure::Usage(format!(
            "--output lies in the folder of --input, where the next run would take its results for \
             inputs; write them outside of {}",
            input.display()
        ))),
        _ => Ok(()),
    }
}

/// What an argument names is not there or not ours to read.
fn unreadable(argument: &str, path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display();
    Failure::Usage(format!("{argument} {path} cannot be read ({error}); check path and rights"))
}

/// What lies below the input folder.
struct Found {
    instances: Vec<Instance>,
    paths: BTreeMap<crate::dicom::Uid, PathBuf>,
}

/// Every DICOM file below a folder. Others are passed over; a DICOM file that cannot be read is
/// named, because its absence may change the result.
fn find(folder: &Path, zone: &TimeZone) -> Result<Found, Failure> {
    let mut files = Vec::new();
    list(folder, &mut files).map_err(|error| unreadable("--input", folder, &error))?;
    files.sort();
    let mut found = Found { instances: Vec::new(), paths: BTreeMap::new() };
    for path in files {
        let bytes = std::fs::read(&path)
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
        if bytes.get(128..132) != Some(b"DICM") {
            continue;
        }
        let header = InstanceHeader::read(&path, zone)
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
        let digest = Sha256::digest(&bytes);
        let instance = Instance {
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes: bytes.len() as u64,
            received: Timestamp::UNIX_EPOCH,
            source: "file".into(),
            header,
        };
        let uid = &instance.header.sop_instance;
        match found.instances.iter().find(|other| other.header.sop_instance == *uid) {
            None => {
                found.paths.insert(uid.clone(), path);
                found.instances.push(instance);
            }
            Some(other) if other.sha256 == instance.sha256 => {}
            Some(_) => {
                return Err(Failure::Failed(format!(
                    "{}: another file has the same SOP Instance UID (0008,0018) {uid} and other \
                     content; remove one",
                    path.display()
                )));
            }
        }
    }
    if found.instances.is_empty() {
        return Err(Failure::Failed(format!(
            "no DICOM file lies below {}; give with --input the folder of the images and regions",
            folder.display()
        )));
    }
    Ok(found)
}

/// Every DICOM file below a folder, by its path.
pub(super) fn dicom_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let found = find(folder, &TimeZone::UTC)?;
    Ok(found.paths.into_values().collect())
}

/// Regular files below a folder; links are not followed, so that no loop can be made.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(())
}

/// What intake would have computed of these files, or why nothing.
fn decide(found: &Found, plan: &Plan) -> Result<Vec<Work>, Failure> {
    let decision = intake::decide(&View {
        instances: &found.instances,
        plans: std::slice::from_ref(plan),
        now: Timestamp::now(),
        settle_seconds: 0,
    });
    let mut waits: Vec<String> = decision
        .waiting
        .iter()
        .map(|w| visible(&format!("{}; {}", w.reason, w.supply)).into_owned())
        .collect();
    waits.sort();
    waits.dedup();
    for reason in &waits {
        eprintln!("waits: {reason}");
    }
    if decision.work.is_empty() {
        return Err(Failure::Failed(
            "nothing can be computed of these files and this plan; supply what the lines above \
             name"
                .into(),
        ));
    }
    Ok(decision.work)
}
