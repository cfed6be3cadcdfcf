//! `grayd backup` and `grayd restore`: the archive's second copy.

use super::{Failure, attach, count, failed, node_config, print_all};
use crate::archive::{BackupReport, LocalArchive};
use clap::Args;
use std::path::PathBuf;

/// Copy the archive while the node runs.
///
/// The copy shows one moment: index, and every object that it names, each checked against its
/// hash. A folder that holds an earlier backup gets only what is new. Configuration and plans are
/// files of yours and not part of it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  grayd backup --config /etc/grayd/grayd.yaml --to /mnt/backup/grayd"
)]
pub struct Backup {
    /// Configuration of the node
    #[arg(long, value_name = "FILE", default_value = "config/grayd.yaml")]
    config: PathBuf,
    /// Folder that is empty or holds an earlier backup, best on another disk
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Make an archive out of a backup.
///
/// Restores into the configuration's storage directory, which must not hold an archive. Every
/// object is checked against its hash.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  grayd restore --config /etc/grayd/grayd.yaml --from /mnt/backup/grayd"
)]
pub struct Restore {
    /// Configuration of the node
    #[arg(long, value_name = "FILE", default_value = "config/grayd.yaml")]
    config: PathBuf,
    /// The backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

impl Backup {
    pub fn run(self) -> Result<(), Failure> {
        let archive = attach(&node_config(&self.config)?)?;
        let report = archive.back_up(&self.to).map_err(|error| failed(&error))?;
        let known = report.manifest.objects - report.copied;
        tell("backed up", &report, &format!("{known} were there already"))
    }
}

impl Restore {
    pub fn run(self) -> Result<(), Failure> {
        let config = node_config(&self.config)?;
        let zone = config.site.zone();
        let report = LocalArchive::restore(&self.from, &config.storage, zone)
            .map_err(|error| failed(&error))?;
        tell("restored", &report, &format!("as of {}", report.manifest.made))
    }
}

fn tell(what: &str, report: &BackupReport, more: &str) -> Result<(), Failure> {
    let copied = count(usize::try_from(report.copied).unwrap_or(usize::MAX), "object");
    print_all(&format!("{what}: {copied}, {more}; audit trail {}", report.manifest.audit))?;
    if report.damaged.is_empty() {
        return Ok(());
    }
    let list: String = report.damaged.iter().map(|uid| format!("\n{uid}")).collect();
    Err(Failure::Failed(format!(
        "{} left out, since the bytes are lost or not those received; have them sent again:{list}",
        count(report.damaged.len(), "object")
    )))
}
