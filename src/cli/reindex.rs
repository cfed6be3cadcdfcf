//! `grayd reindex`: the index made anew from the objects.

use super::{Failure, count, failed, node_config, print_all};
use crate::archive::{Archive, InstanceFilter, LocalArchive};
use clap::Args;
use std::path::PathBuf;

/// Make the index anew from the objects; the node must be stopped.
///
/// A missing or damaged index is made anew at every start; this is for one that is sound and yet
/// not trusted. The old one is kept beside it, and jobs, deliveries, notes and audit are taken over.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grayd reindex --config /etc/grayd/grayd.yaml")]
pub struct Reindex {
    /// Configuration of the node
    #[arg(long, value_name = "FILE", default_value = "config/grayd.yaml")]
    config: PathBuf,
}

impl Reindex {
    pub fn run(self) -> Result<(), Failure> {
        let config = node_config(&self.config)?;
        let archive = LocalArchive::reindex(&config.storage, config.site.zone())
            .map_err(|error| failed(&error))?;
        let found =
            archive.instances(&InstanceFilter::default()).map_err(|error| failed(&error))?;
        print_all(&format!("made anew from {}", count(found.len(), "object")))
    }
}
