//! `grayd check`: every fault of configuration, plans and protocols in one go.

use super::{Failure, count};
use crate::config;
use clap::Args;
use std::path::PathBuf;

/// Check configuration, plans and protocols.
///
/// Prints every fault of all files in one go, each as `file:line:column: what is wrong, what to
/// write instead`, and ends with status 2 where there is one.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grayd check --config /etc/grayd/grayd.yaml")]
pub struct Check {
    /// Configuration of the node
    #[arg(long, value_name = "FILE", default_value = "config/grayd.yaml")]
    config: PathBuf,
}

impl Check {
    pub fn run(self) -> Result<(), Failure> {
        let (mut faults, sound) = match config::load(&self.config) {
            Ok(loaded) => {
                let plans = count(loaded.plans.len(), "plan");
                let protocols = count(loaded.protocols.iter().count(), "protocol");
                (loaded.plan_faults, format!("sound: configuration, {protocols}, {plans}"))
            }
            Err(faults) => (faults, String::new()),
        };
        if faults.is_empty() {
            println!("{sound}");
            return Ok(());
        }
        faults.chunk_by_mut(|a, b| a.file == b.file).for_each(<[_]>::sort);
        // Faults are what this command is for: they go where its output goes.
        faults.iter().for_each(|fault| println!("{fault}"));
        Err(Failure::Usage(format!("{} to correct", count(faults.len(), "fault"))))
    }
}
