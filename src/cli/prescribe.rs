//! `grayd prescribe`: the state of a course and the next activity, without images.

use super::Failure;
use crate::archive::Archive;
use crate::config::{NodeConfig, Plan, Protocols};
use crate::dicom::visible;
use crate::pipeline::course;
use crate::service::job::results_note;
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The state of a course and the next activity.
///
/// From the doses that the plan carries (`measured:`), from results.json files of cycles that grayd
/// computed (--results), and from the archive of the node that --config names. A proposal is a proposal: a named person decides.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  grayd prescribe --plan plan.yaml\n  grayd prescribe --plan \
                        plan.yaml --results cycle-1/results.json --results cycle-2/results.json")]
pub struct Prescribe {
    /// The treatment plan
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// results.json of a computed cycle (may be given several times)
    #[arg(long, value_name = "FILE")]
    results: Vec<PathBuf>,
    /// For the site's own protocols and the results in the node's archive
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Prescribe {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.config.as_deref().map(super::node_config).transpose()?;
        let folder = config.as_ref().and_then(|config| config.protocols.as_deref());
        let protocols = Protocols::load(folder).map_err(Failure::Faults)?;
        read("--plan", &self.plan)?;
        let plan = Plan::open(&self.plan, &protocols).map_err(Failure::Faults)?;
        let mut results = Vec::new();
        for path in &self.results {
            results.push((path.display().to_string(), read("--results", path)?));
        }
        if let Some(config) = &config {
            results.extend(of_archive(config, &plan)?);
        }
        let mut computed: Vec<course::CycleDoses> = Vec::new();
        for (name, text) in results {
            let bad = |why: String| Failure::Usage(format!("results {name}: {why}"));
            let value: Value = serde_json::from_str(&text)
                .map_err(|error| bad(format!("is no results.json ({error})")))?;
            let doses = course::from_results(&value, &plan).map_err(bad)?;
            // What was named on the command line stands before the archive's.
            if !computed.iter().any(|other| other.cycle == doses.cycle) {
                computed.push(doses);
            }
        }
        let course = course::evaluate(&plan, &computed)
            .map_err(|error| Failure::Failed(visible(&error.to_string()).into_owned()))?;
        if self.json {
            let text = serde_json::to_string_pretty(&course::write(&course))
                .map_err(|error| super::failed(&error))?;
            return super::print_all(&text);
        }
        let lines = course::lines(&course);
        let lines: Vec<String> = lines.iter().map(|line| visible(line).into_owned()).collect();
        super::print_all(&lines.join("\n"))
    }
}

fn read(argument: &str, path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        Failure::Usage(format!("{argument} {path} cannot be read ({error}); check path and rights"))
    })
}

/// Newest results of the plan's cycles in the node's archive, where there is one.
fn of_archive(config: &NodeConfig, plan: &Plan) -> Result<Vec<(String, String)>, Failure> {
    if !config.storage.directory.is_dir() {
        return Ok(Vec::new());
    }
    let archive = super::attach(config)?;
    let mut results = Vec::new();
    for cycle in &plan.cycles {
        let name = results_note(&plan.course_id(), cycle.number);
        let note = archive.note(&name).map_err(|error| super::failed(&error))?;
        results.extend(note.map(|text| (format!("of cycle {}", cycle.number), text)));
    }
    Ok(results)
}
